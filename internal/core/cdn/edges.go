package cdn

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"regexp"
	"slices"
	"strings"
	"time"

	"watertight/internal/access/arn"
	"watertight/internal/access/authz"
	"watertight/internal/access/policy"
	"watertight/internal/core/change"
	"watertight/internal/core/change/record"
	"watertight/internal/core/distribution"
	"watertight/internal/fault"
	"watertight/internal/storage/kv"
)

// Service is the service principal of every edge.
const Service = "cloudfront.amazonaws.com"

// EdgePrefix begins the access key ids of edges on other machines.
const EdgePrefix = "WTED"

// Edge is an edge on another machine that the operator enrolled. Its credential can only fetch
// the configuration of its distributions, send their requests to buckets and deliver their
// access logs.
type Edge struct {
	AccessKeyID string
	Name        string
	Account     string   // the account that owns the distributions
	Only        []string // ids of distributions; nil means all of the account
	Created     time.Time
	Seen        time.Time // its last request; zero if it sent none since the start
	Confirmed   uint64    // the generation that it serves
}

// serves reports whether the edge is for a distribution.
func (e *Edge) serves(account, id string) bool {
	return account == e.Account && (e.Only == nil || slices.Contains(e.Only, id))
}

// Limits of edges.
const (
	maxEdges    = 64
	maxEdgeOnly = 200
)

// edge is the record of an edge.
type edge struct {
	Edge
	secret string
}

func edgeKey(accessKeyID string) []byte { return record.Key(edgePrefix, accessKeyID) }

// Fields of the record of an edge. The numbers are stored.
const (
	fieldEdgeSecret  = 1
	fieldEdgeName    = 2
	fieldEdgeAccount = 3
	fieldEdgeOnly    = 4 // repeated
	fieldEdgeCreated = 5
)

func (e *edge) encode() []byte {
	r := record.String(record.Start(nil), fieldEdgeSecret, e.secret)
	r = record.String(r, fieldEdgeName, e.Name)
	r = record.String(r, fieldEdgeAccount, e.Account)
	for _, id := range e.Only {
		r = record.String(r, fieldEdgeOnly, id)
	}
	return record.Time(r, fieldEdgeCreated, e.Created)
}

func decodeEdge(accessKeyID string, value []byte) (*edge, error) {
	e := &edge{Edge: Edge{AccessKeyID: accessKeyID}}
	f := record.Read(value)
	for f.Next() {
		switch f.Number {
		case fieldEdgeSecret:
			e.secret = string(f.Bytes)
		case fieldEdgeName:
			e.Name = string(f.Bytes)
		case fieldEdgeAccount:
			e.Account = string(f.Bytes)
		case fieldEdgeOnly:
			e.Only = append(e.Only, string(f.Bytes))
		case fieldEdgeCreated:
			e.Created = f.Time()
		default:
			f.Unknown()
		}
	}
	if f.Err() != nil || e.secret == "" || !arn.IsAccountID(e.Account) {
		return nil, record.Malformed("edge " + accessKeyID)
	}
	return e, nil
}

func readEdge(r kv.Reader, accessKeyID string) (*edge, error) {
	v, err := r.Get(edgeKey(accessKeyID))
	if err != nil || v == nil {
		return nil, err
	}
	return decodeEdge(accessKeyID, v)
}

// EnrolInput is an edge to enrol.
type EnrolInput struct {
	Name    string
	Account string
	Only    []string // ids of distributions; nil means all of the account
	At      time.Time
}

// EnrollEdge creates the credential of an edge. The secret is shown only once. The account
// must exist. Errors: InvalidArgument, NoSuchDistribution.
func (o *Operator) EnrollEdge(ctx context.Context, rec authz.Record, in EnrolInput) (e Edge, secret string, err error) {
	switch {
	case !regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$`).MatchString(in.Name):
		return e, "", fault.New(fault.InvalidArgument, "The name of an edge has up to 64 letters, digits, points, "+
			"underscores and hyphens.")
	case !arn.IsAccountID(in.Account):
		return e, "", fault.New(fault.InvalidArgument, "An account id has 12 digits.")
	case len(in.Only) > maxEdgeOnly || in.Only != nil && len(in.Only) == 0:
		return e, "", fault.New(fault.InvalidArgument, "An edge is for up to 200 distributions, or for all.")
	}
	var b [30]byte
	rand.Read(b[:])
	secret = base64.StdEncoding.EncodeToString(b[:])
	e = Edge{
		AccessKeyID: EdgePrefix + random(idLetters, 16), Name: in.Name, Account: in.Account,
		Only: slices.Compact(slices.Sorted(slices.Values(in.Only))), Created: in.At.UTC().Truncate(time.Microsecond),
	}
	err = change.Operate(ctx, o.store, rec, func(tx kv.Tx) error {
		if err := tx.Lock([]byte(edgePrefix), kv.Exclusive); err != nil {
			return err
		}
		all, err := edges(tx)
		if err != nil {
			return err
		}
		if len(all) >= maxEdges || slices.ContainsFunc(all, func(o *edge) bool { return o.Name == e.Name }) {
			return fault.New(fault.InvalidArgument, "There is an edge of that name, or there are 64 already.")
		}
		for _, id := range e.Only {
			if _, err := readItem(tx, distributions(), e.Account, id); err != nil {
				return err
			}
		}
		tx.Set(edgeKey(e.AccessKeyID), (&edge{e, secret}).encode())
		return nil
	})
	if err != nil {
		return Edge{}, "", err
	}
	return e, secret, nil
}

// edges returns all records of edges.
func edges(r kv.Reader) (all []*edge, err error) {
	for p, err := range r.Scan([]byte(edgePrefix), record.After([]byte(edgePrefix))) {
		if err != nil {
			return nil, err
		}
		e, err := decodeEdge(string(p.Key[len(edgePrefix):]), p.Value)
		if err != nil {
			return nil, err
		}
		all = append(all, e)
	}
	return all, nil
}

// Edges lists the edges on other machines, and what they serve.
func (o *Operator) Edges(ctx context.Context) (out []Edge, err error) {
	return out, o.store.View(ctx, func(r kv.Reader) error {
		all, err := edges(r)
		for _, e := range all {
			e.Seen, e.Confirmed = o.remote.last(e.AccessKeyID)
			out = append(out, e.Edge)
		}
		return err
	})
}

// RemoveEdge removes the credential of the edge with a name or an access key id. Error:
// NoSuchResource.
func (o *Operator) RemoveEdge(ctx context.Context, rec authz.Record, name string) (removed Edge, err error) {
	err = change.Operate(ctx, o.store, rec, func(tx kv.Tx) error {
		all, err := edges(tx)
		if err != nil {
			return err
		}
		i := slices.IndexFunc(all, func(e *edge) bool { return e.Name == name || e.AccessKeyID == name })
		if i < 0 {
			return fault.New(fault.NoSuchResource, "There is no edge "+name+".")
		}
		removed = all[i].Edge
		tx.Delete(edgeKey(removed.AccessKeyID))
		return nil
	})
	if err == nil {
		o.remote.forget(removed.AccessKeyID)
		o.remote.announce() // the edge's next request is refused
	}
	return removed, err
}

// EdgeSecret returns the secret of an edge's access key; found is false if there is none.
func (s *Store) EdgeSecret(ctx context.Context, accessKeyID string) (secret string, found bool, err error) {
	if !strings.HasPrefix(accessKeyID, EdgePrefix) {
		return "", false, nil
	}
	err = s.store.View(ctx, func(r kv.Reader) error {
		e, err := readEdge(r, accessKeyID)
		if err == nil && e != nil {
			secret, found = e.secret, true
		}
		return err
	})
	return secret, found, err
}

// EdgeSite returns an enabled distribution for which an edge may send requests, or nil.
func (s *Store) EdgeSite(ctx context.Context, accessKeyID, id string) (site *distribution.Site, err error) {
	if !isID(id, 'E') {
		return nil, nil
	}
	err = s.store.View(ctx, func(r kv.Reader) error {
		e, err := readEdge(r, accessKeyID)
		if err != nil || e == nil {
			return err
		}
		v, err := r.Get(itemKey(distributions(), id))
		if err != nil || v == nil {
			return err
		}
		if site, err = siteOf(r, id, v); err == nil && (!site.Config.Enabled || !e.serves(site.Account, id)) {
			site = nil
		}
		return err
	})
	return site, err
}

// pollTime is how long EdgeSnapshot waits for a newer generation.
const pollTime = 10 * time.Second

// EdgeSnapshot returns the configuration of an edge on another machine, as soon as it is newer than the
// generation that the edge confirms with its request, or after ten seconds. It needs no
// permission, but the credential of an edge. Error: AccessDenied.
func (s *Store) EdgeSnapshot(ctx context.Context, c authz.Caller, after uint64) (*distribution.Snapshot, error) {
	if !isEdge(c) {
		return nil, fault.Of(fault.AccessDenied)
	}
	limit := time.NewTimer(pollTime)
	defer limit.Stop()
	for {
		changed := s.remote.changed()
		generation, err := s.confirm(ctx, c, after)
		if err != nil {
			return nil, err
		}
		if generation != after {
			return s.edgeSnapshot(ctx, c.AccessKeyID())
		}
		select {
		case <-changed:
		case <-limit.C:
			return s.edgeSnapshot(ctx, c.AccessKeyID())
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}

// confirm records that an edge has a generation, and returns the newest one. A generation
// above the newest confirms nothing: the edge got it before the store was restored from a
// backup.
func (s *Store) confirm(ctx context.Context, c authz.Caller, has uint64) (newest uint64, err error) {
	return newest, s.store.View(ctx, func(r kv.Reader) error {
		st, err := readState(r)
		if err != nil {
			return err
		}
		e, err := readEdge(r, c.AccessKeyID())
		if err != nil {
			return err
		}
		if e == nil {
			return fault.Of(fault.AccessDenied)
		}
		if newest = st.generation; has > newest {
			has = 0
		}
		s.remote.confirm(&e.Edge, has, c.At())
		return nil
	})
}

// edgeSnapshot returns the part of the snapshot that an edge serves.
func (s *Store) edgeSnapshot(ctx context.Context, accessKeyID string) (out *distribution.Snapshot, err error) {
	return out, s.store.View(ctx, func(r kv.Reader) error {
		e, err := readEdge(r, accessKeyID)
		if err != nil {
			return err
		}
		if e == nil {
			return fault.Of(fault.AccessDenied)
		}
		if out, err = snapshot(r); err != nil {
			return err
		}
		own := map[string]bool{}
		out.Sites = slices.DeleteFunc(out.Sites, func(site distribution.Site) bool {
			own[site.ID] = e.serves(site.Account, site.ID)
			return !own[site.ID]
		})
		out.Invalidations = slices.DeleteFunc(out.Invalidations, func(i distribution.Invalidation) bool {
			return !own[i.Distribution]
		})
		out.Unreadable = slices.DeleteFunc(out.Unreadable, func(id string) bool { return !slices.Contains(e.Only, id) })
		return nil
	})
}

// ARN names the edge in policies of keys: it is the aws:SourceArn of the use of a key for its cache.
func (e *Edge) ARN() string { return distribution.ARN(e.Account, "edge", e.Name) }

// RemoteEdge returns the edge on another machine that is the caller. It needs no permission, but
// the credential of an edge. Error: AccessDenied.
func (s *Store) RemoteEdge(ctx context.Context, c authz.Caller) (out Edge, err error) {
	if !isEdge(c) {
		return out, fault.Of(fault.AccessDenied)
	}
	return out, s.store.View(ctx, func(r kv.Reader) error {
		e, err := readEdge(r, c.AccessKeyID())
		if err == nil && e == nil {
			err = fault.Of(fault.AccessDenied)
		}
		if err == nil {
			out = e.Edge
		}
		return err
	})
}

// isEdge reports whether a caller is an edge on another machine.
func isEdge(c authz.Caller) bool {
	p := c.Principal()
	return p.Kind == policy.Service && p.Name == Service && c.AccessKeyID() != ""
}
