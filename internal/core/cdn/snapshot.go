package cdn

import (
	"context"
	"encoding/binary"
	"errors"

	"watertight/internal/core/change/record"
	"watertight/internal/core/distribution"
	"watertight/internal/fault"
	"watertight/internal/storage/kv"
)

// Snapshot returns everything that an edge serves. It takes no grant: only the server's own
// edges may have it, because it contains the configuration of every account.
func (s *Store) Snapshot(ctx context.Context) (out *distribution.Snapshot, err error) {
	return out, s.store.View(ctx, func(r kv.Reader) (err error) {
		out, err = snapshot(r)
		return err
	})
}

// Generation returns the generation that Snapshot would have.
func (s *Store) Generation(ctx context.Context) (generation uint64, err error) {
	return generation, s.store.View(ctx, func(r kv.Reader) error {
		st, err := readState(r)
		if err == nil {
			generation = st.generation
		}
		return err
	})
}

// Serve sets the edge of this process. From now on, every change is handed to apply before its
// caller gets an answer. When apply returns, the snapshot and its invalidations must be in
// effect. Its calls do not overlap. The server then calls Publish for the configuration that
// is already stored.
func (s *Store) Serve(apply func(ctx context.Context, s *distribution.Snapshot) error) {
	s.publishing.Lock()
	defer s.publishing.Unlock()
	s.serve = apply
	s.serves.Store(apply != nil)
}

// Publish hands the stored configuration to the edge of this process, if there is one. It
// continues when the client has gone away, because a committed change must take effect. An
// error means that the change is stored but not in effect at the edge.
func (s *Store) Publish(ctx context.Context) error {
	defer s.remote.announce()
	s.publishing.Lock()
	defer s.publishing.Unlock()
	if s.serve == nil {
		return nil
	}
	ctx = context.WithoutCancel(ctx)
	now, err := s.Snapshot(ctx)
	if err == nil {
		err = s.serve(ctx, now)
	}
	if err != nil {
		return fault.New(fault.ServiceUnavailable,
			"The change is stored, but the edge could not take it yet. Try again.").Because(err)
	}
	s.applied.Store(now.Generation)
	return nil
}

// deployed reports whether every edge that serves a distribution has what a generation changed.
func (s *Store) deployed(account, id string, generation uint64) bool {
	return (!s.serves.Load() || s.applied.Load() >= generation) && s.remote.have(account, id, generation, s.now())
}

func snapshot(r kv.Reader) (*distribution.Snapshot, error) {
	st, err := readState(r)
	if err != nil {
		return nil, err
	}
	out := &distribution.Snapshot{Generation: st.generation, Oldest: st.oldest}
	prefix := itemPrefix(distributions())
	for p, err := range r.Scan(prefix, record.After(prefix)) {
		if err != nil {
			return nil, err
		}
		id := string(p.Key[len(prefix):])
		site, err := siteOf(r, id, p.Value)
		switch {
		case errors.Is(err, record.ErrMalformed) || errors.Is(err, record.ErrUnknown):
			out.Unreadable = append(out.Unreadable, id)
		case err != nil:
			return nil, err
		case site.Config.Enabled:
			out.Sites = append(out.Sites, *site)
		}
	}
	for p, err := range r.Scan(pathsKey(st.oldest), record.After([]byte(pathsPrefix))) {
		if err != nil {
			return nil, err
		}
		in, err := decodePaths(p.Value)
		if err != nil || len(p.Key) != len(pathsPrefix)+8 {
			return nil, record.Malformed("paths of an invalidation")
		}
		number := binary.BigEndian.Uint64(p.Key[len(pathsPrefix):])
		out.Invalidations = append(out.Invalidations, distribution.Invalidation{
			Number: number, Distribution: in.distribution, ID: invalidationID(number), Paths: in.items,
		})
	}
	return out, nil
}

// siteOf decodes a distribution and collects what it names.
func siteOf(r kv.Reader, id string, value []byte) (*distribution.Site, error) {
	i, err := decodeItem(id, value)
	if err != nil {
		return nil, err
	}
	c, err := config[distribution.Config](i)
	if err != nil {
		return nil, err
	}
	site := &distribution.Site{
		ID: i.id, Account: i.account, DomainName: i.domainName, Config: c, Changed: i.generation,
		KeyGroups: map[string][]distribution.Key{},
	}
	refs := c.References()
	var errs [4]error
	site.OriginAccessControls, errs[0] = named(r, site, accessControls(), refs.OriginAccessControls,
		map[string]distribution.OriginAccessControlConfig{})
	site.CachePolicies, errs[1] = named(r, site, cachePolicies(), refs.CachePolicies,
		distribution.ManagedCachePolicies())
	site.OriginRequestPolicies, errs[2] = named(r, site, originRequestPolicies(), refs.OriginRequestPolicies,
		distribution.ManagedOriginRequestPolicies())
	site.ResponseHeadersPolicies, errs[3] = named(r, site, responseHeadersPolicies(), refs.ResponseHeadersPolicies,
		distribution.ManagedResponseHeadersPolicies())
	if err := errors.Join(errs[:]...); err != nil {
		return nil, err
	}
	groups, err := named(r, site, keyGroups(), refs.KeyGroups, map[string]distribution.KeyGroupConfig{})
	if err != nil {
		return nil, err
	}
	for id, group := range groups {
		keys, err := named(r, site, publicKeys(), group.Items, map[string]distribution.PublicKeyConfig{})
		if err != nil {
			return nil, err
		}
		for _, key := range group.Items {
			site.KeyGroups[id] = append(site.KeyGroups[id], distribution.Key{ID: key, PEM: keys[key].EncodedKey})
		}
	}
	return site, nil
}

// named returns the documents with these ids: managed ones, and those of the site's account.
func named[C any](
	r kv.Reader, site *distribution.Site, k kind, ids []string, managed map[string]C,
) (map[string]C, error) {
	out := make(map[string]C, len(ids))
	for _, id := range ids {
		if c, ok := managed[id]; ok {
			out[id] = c
			continue
		}
		i, c, err := read[C](r, k, site.Account, id)
		if fault.Is(err, k.missing) {
			return nil, record.Malformed("reference of CDN " + site.ID)
		}
		if err != nil {
			return nil, err
		}
		out[id], site.Changed = c, max(site.Changed, i.generation)
	}
	return out, nil
}
