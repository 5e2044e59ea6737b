// Package cdn keeps the configuration of the content delivery network: distributions, origin
// access controls, policies, public keys, key groups and invalidations. It exists so that only
// one package decides who may change them and what may be stored, and so that a change is in
// effect at the edge of this process before the caller gets an answer. It must never know how
// an edge serves a request, or what a bucket contains.
package cdn

import (
	"context"
	"sync"
	"sync/atomic"
	"time"

	"watertight/internal/access/arn"
	"watertight/internal/access/authz"
	"watertight/internal/core/change"
	"watertight/internal/core/distribution"
	"watertight/internal/fault"
	"watertight/internal/storage/kv"
)

// Options are what a Store needs in addition to the metadata.
type Options struct {
	// Domains are those below which this store's buckets have names, such as "s3.example.com".
	Domains []string
	Now     func() time.Time // for the time since an edge on another machine last asked
}

// Store manages the configuration. It is safe for concurrent use. Its methods are those of the
// CloudFront API; a caller sees only what belongs to its account.
type Store struct {
	store   kv.Store
	domains []string

	publishing sync.Mutex // held while a snapshot is applied, so that they are applied in order
	serve      func(context.Context, *distribution.Snapshot) error
	serves     atomic.Bool
	applied    atomic.Uint64 // the newest generation that the edge of this process has
	remote     remote        // edges on other machines
	now        func() time.Time
}

// New returns a Store of the configuration in store.
func New(store kv.Store, o Options) *Store {
	if o.Now == nil {
		o.Now = func() time.Time { return time.Time{} }
	}
	return &Store{store: store, domains: o.Domains, now: o.Now}
}

// Resource is a stored document of CloudFront.
type Resource[C any] struct {
	ID       string
	ARN      string
	ETag     string // changes with every change of the resource
	Created  time.Time
	Modified time.Time
	Managed  bool // it exists in every account and can't be changed
	Config   C
}

// The documents.
type (
	OriginAccessControl   = Resource[distribution.OriginAccessControlConfig]
	CachePolicy           = Resource[distribution.CachePolicyConfig]
	OriginRequestPolicy   = Resource[distribution.OriginRequestPolicyConfig]
	ResponseHeadersPolicy = Resource[distribution.ResponseHeadersPolicyConfig]
	PublicKey             = Resource[distribution.PublicKeyConfig]
	KeyGroup              = Resource[distribution.KeyGroupConfig]
)

// account returns the account of the grant's caller.
func account(g authz.Grant) (string, error) {
	a := g.Caller().Principal().Account
	if a == "" {
		return "", fault.Of(fault.AccessDenied)
	}
	return a, nil
}

// transaction is a change of the configuration.
type transaction struct {
	kv.Tx
	account    string
	at         time.Time
	generation uint64 // that of this change
	state      *state
}

// commit runs fn in a transaction for the grant's caller, and puts the change into effect at
// the edge of this process.
func (s *Store) commit(ctx context.Context, g authz.Grant, fn func(t *transaction) error) error {
	owner, err := account(g)
	if err != nil {
		return err
	}
	err = change.Commit(ctx, s.store, g, func(tx kv.Tx) error { return modify(tx, owner, g.Caller().At(), fn) })
	if err != nil {
		return err
	}
	return s.Publish(ctx)
}

// modify runs fn with the next generation. Changes of all accounts are made one after the
// other.
func modify(tx kv.Tx, account string, at time.Time, fn func(t *transaction) error) error {
	if err := tx.Lock([]byte(statePrefix), kv.Exclusive); err != nil {
		return err
	}
	st, err := readState(tx)
	if err != nil {
		return err
	}
	st.generation++
	t := &transaction{
		Tx: tx, account: account, at: at.UTC().Truncate(time.Microsecond), generation: st.generation, state: st,
	}
	if err := fn(t); err != nil {
		return err
	}
	st.write(tx)
	return nil
}

// create stores a resource. It demands no permission; the exported methods did.
func create[C any](ctx context.Context, s *Store, g authz.Grant, k kind, in *draft[C]) (out Resource[C], err error) {
	return out, s.commit(ctx, g, func(t *transaction) error {
		i, err := add(t, k, in)
		if err != nil {
			return err
		}
		g.Note("id", i.id)
		out = resource(k, i, in.config)
		return nil
	})
}

// get reads a resource of the grant's account. It demands no permission; the exported methods
// did.
func get[C any](ctx context.Context, s *Store, g authz.Grant, k kind, id string) (out Resource[C], err error) {
	owner, err := account(g)
	if err != nil {
		return out, err
	}
	return out, change.View(ctx, s.store, g, func(r kv.Reader) error {
		i, config, err := read[C](r, k, owner, id)
		if err == nil {
			out = resource(k, i, config)
		}
		return err
	})
}

// update replaces a resource of the grant's account. check compares the new document with the
// old one; it may be nil.
func update[C any](
	ctx context.Context, s *Store, g authz.Grant, k kind, id, ifMatch string, in *draft[C], check func(old *C) error,
) (out Resource[C], err error) {
	return out, s.commit(ctx, g, func(t *transaction) error {
		i, old, err := read[C](t, k, t.account, id)
		if err != nil {
			return err
		}
		if err := matches(i, ifMatch); err != nil {
			return err
		}
		if check != nil {
			if err := check(&old); err != nil {
				return err
			}
		}
		if err := replace(t, k, i, in); err != nil {
			return err
		}
		out = resource(k, i, in.config)
		return nil
	})
}

// remove deletes a resource of the grant's account that nothing uses.
func remove[C any](ctx context.Context, s *Store, g authz.Grant, k kind, id, ifMatch string) error {
	return s.commit(ctx, g, func(t *transaction) error {
		i, _, err := read[C](t, k, t.account, id)
		if err != nil {
			return err
		}
		if err := matches(i, ifMatch); err != nil {
			return err
		}
		used, err := isUsed(t, id)
		if err != nil {
			return err
		}
		if used {
			return fault.Of(k.inUse)
		}
		return drop(t, k, i)
	})
}

// list returns a page of the resources of the grant's account.
func list[C any](
	ctx context.Context, s *Store, g authz.Grant, k kind, p Page,
) (out []Resource[C], next string, err error) {
	owner, err := account(g)
	if err != nil {
		return nil, "", err
	}
	return out, next, change.View(ctx, s.store, g, func(r kv.Reader) error {
		ids, more, err := pageOf(r, k, owner, p)
		if err != nil {
			return err
		}
		next = more
		for _, id := range ids {
			i, config, err := read[C](r, k, owner, id)
			if err != nil {
				return err
			}
			out = append(out, resource(k, i, config))
		}
		return nil
	})
}

func resource[C any](k kind, i *item, config C) Resource[C] {
	return Resource[C]{
		ID: i.id, ARN: arn.CloudFront(i.account, k.name+"/"+i.id).String(), ETag: i.etag, Created: i.created,
		Modified: i.modified, Config: config,
	}
}

// matches compares an If-Match header with a resource's ETag. Errors: InvalidIfMatchVersion if
// the header is missing or is not an ETag, PreconditionFailed.
func matches(i *item, ifMatch string) error {
	switch {
	case !isID(ifMatch, 'E'):
		return fault.Of(fault.InvalidIfMatchVersion)
	case ifMatch != i.etag:
		return fault.New(fault.PreconditionFailed,
			"The request failed because it didn't meet the preconditions in one or more request-header fields.")
	}
	return nil
}

// Page says which page of a listing a request asks for.
type Page struct {
	Marker string // id of the last item of the previous page; empty for the first page
	Max    int    // 0 means 100, which is also the most
}

// Size returns the maximum number of items on the page.
func (p Page) Size() int {
	const most = 100
	if p.Max <= 0 || p.Max > most {
		return most
	}
	return p.Max
}
