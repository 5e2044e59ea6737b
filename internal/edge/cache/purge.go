package cache

import (
	"encoding/hex"
	"strings"

	"watertight/internal/core/distribution"
)

// purges holds the invalidations. They do not change entries. A lookup compares the entry's
// number with the numbers of the invalidations that name its path, so that an invalidation is
// effective at once, also for fills that are under way.
type purges struct {
	sites map[string]*site
	seen  uint64 // the newest invalidation that was applied
	floor uint64 // what was asked for before this one was known is gone
	bytes int    // of the paths of all sites
	told  bool   // whether a snapshot was applied; nothing is answered before
	found uint64 // the greatest number of an entry that a start found
}

// site is one distribution.
type site struct {
	id       string
	floor    uint64 // like that of purges
	newest   uint64
	exact    map[string]uint64 // path → the newest invalidation of it
	prefixes map[string]uint64 // the same for paths that end with a star
	bytes    int               // of exact and prefixes
	gone     bool              // the distribution is not served any more
}

// What is remembered of paths, in bytes. Beyond it, all of a distribution is purged.
const (
	maxSiteBytes = 1 << 20
	maxBytes     = 16 << 20 // of all distributions
	pathCost     = 64       // a path's place in a map, about
	maxPrefixes  = 64       // of one distribution: each lookup compares them all
)

func newPurges() purges { return purges{sites: map[string]*site{}} }

// site returns a distribution. One that is new here has no entry that was asked for before the
// newest invalidation: those of a distribution that was gone meanwhile are gone, also where a file
// could not be removed, or was put back while the process was down.
func (p *purges) site(id string) *site {
	s := p.sites[id]
	if s == nil {
		s = &site{id: id, floor: p.seen, exact: map[string]uint64{}, prefixes: map[string]uint64{}}
		p.sites[id] = s
	}
	return s
}

// current reports whether no invalidation is newer than what was asked for when number seq
// was the newest.
func (p *purges) current(s *site, path string, seq uint64) bool {
	if !p.told || s.gone || seq < p.floor || seq < s.floor {
		return false
	}
	if s.newest <= seq {
		return true
	}
	path = spelling(path)
	if s.exact[path] > seq {
		return false
	}
	for prefix, n := range s.prefixes {
		if n > seq && strings.HasPrefix(path, prefix) {
			return false
		}
	}
	return true
}

// spelling returns one form for all ways to write a path that an origin may read alike: without
// escapes except %25, with + for a space, and with single slashes. An invalidation of one of them
// covers them all. The form of a form is the form itself, because a stored state has it.
func spelling(path string) string {
	if !strings.ContainsAny(path, "% ") && !strings.Contains(path, "//") {
		return path
	}
	out := make([]byte, 0, len(path))
	for i := 0; i < len(path); i++ {
		c := path[i]
		if c == '%' {
			if i+2 < len(path) {
				if b, err := hex.DecodeString(path[i+1 : i+3]); err == nil {
					c, i = b[0], i+2
				}
			}
			if c == '%' {
				out = append(out, "%25"...)
				continue
			}
		}
		if c == ' ' {
			c = '+'
		}
		if c != '/' || len(out) == 0 || out[len(out)-1] != '/' {
			out = append(out, c)
		}
	}
	return string(out)
}

// purge remembers an invalidation. It returns true if it purges all paths of a distribution:
// those of s, or, if there is too much to remember, those of the one that remembers most.
func (p *purges) purge(s *site, n uint64, path string) (all bool) {
	if n <= s.floor {
		return false
	}
	s.newest = max(s.newest, n)
	path = spelling(path)
	into, name := s.exact, path
	if prefix, wild := strings.CutSuffix(path, "*"); wild {
		into, name = s.prefixes, prefix
		if len(prefix) <= 1 || len(into) >= maxPrefixes && into[prefix] == 0 {
			p.purgeAll(s)
			return true
		}
	}
	if into[name] == 0 {
		s.bytes += len(name) + pathCost
		p.bytes += len(name) + pathCost
	}
	into[name] = max(into[name], n)
	if s.bytes > maxSiteBytes {
		p.purgeAll(s)
		all = true
	}
	for p.bytes > maxBytes {
		most := s
		for _, other := range p.sites {
			if other.bytes > most.bytes {
				most = other
			}
		}
		p.purgeAll(most)
		all = true
	}
	return all
}

// purgeAll purges all paths of a distribution, and remembers none of them.
func (p *purges) purgeAll(s *site) {
	s.floor = max(s.floor, s.newest)
	p.bytes -= s.bytes
	s.bytes, s.exact, s.prefixes = 0, map[string]uint64{}, map[string]uint64{}
}

// Apply makes the invalidations of a snapshot effective: when it returns, nothing that they
// name and that was asked for before is answered or will be stored. Snapshots are applied
// one after the other, in their order. What belongs to a distribution that the snapshot does
// not list is dropped. If invalidations may have been missed, everything is.
func (c *Cache) Apply(s *distribution.Snapshot) {
	c.mu.Lock()
	gone := c.apply(s)
	c.mu.Unlock()
	c.discard(nil, gone...)
}

// Clear drops everything, invalidations too: the next snapshot may be another store's.
func (c *Cache) Clear() {
	c.mu.Lock()
	c.purges.forget()
	gone := c.sweep()
	c.mu.Unlock()
	c.discard(nil, gone...)
}

// forget drops everything that was asked for up to now, and what is being asked for.
func (p *purges) forget() {
	for _, s := range p.sites {
		s.gone = true
	}
	clear(p.sites)
	p.seen, p.found, p.floor, p.bytes, p.told = 0, 0, 0, 0, false
}

// ahead reports whether a snapshot's store does not know the newest invalidation that was
// applied. Such a store was restored from a backup, and will give the same number again.
func (p *purges) ahead(s *distribution.Snapshot) bool {
	newest := max(s.Oldest, 1) - 1
	for _, n := range s.Invalidations {
		newest = max(newest, n.Number)
	}
	return max(p.seen, p.found) > newest
}

func (c *Cache) apply(s *distribution.Snapshot) (gone []*entry) {
	p := &c.purges
	if !p.told && p.ahead(s) {
		p.forget()
		gone = c.sweep()
	}
	p.told = true
	all := p.seen+1 < s.Oldest // whether entries are gone that sweep finds
	if all {
		p.floor = max(p.floor, s.Oldest-1)
	}
	if s.Oldest > 0 {
		p.seen = max(p.seen, s.Oldest-1)
	}
	listed := map[string]bool{}
	for i := range s.Sites {
		listed[s.Sites[i].ID] = true
	}
	for _, n := range s.Invalidations {
		if listed[n.Distribution] {
			for _, path := range n.Paths {
				all = p.purge(p.site(n.Distribution), n.Number, path) || all
			}
		}
		p.seen = max(p.seen, n.Number)
	}
	for id, old := range p.sites {
		if !listed[id] {
			old.gone, all = true, true
			p.bytes -= old.bytes
			delete(p.sites, id)
		}
	}
	if all {
		gone = append(gone, c.sweep()...)
	}
	return gone
}

// sweep removes the entries of distributions that were purged as a whole or are gone. Other
// stale entries are removed when they are looked up.
func (c *Cache) sweep() (gone []*entry) {
	for _, e := range c.index.entries {
		if e.site.gone || e.seq < c.purges.floor || e.seq < e.site.floor {
			c.index.remove(e)
			gone = append(gone, e)
		}
	}
	return gone
}

// lookup returns the entry that answers a request, fresh or not.
func (c *Cache) lookup(r *Request) *entry {
	c.mu.RLock()
	e := c.index.entries[r.Key]
	told, ok := c.purges.told, e != nil && c.purges.current(e.site, r.Path, e.seq)
	c.mu.RUnlock()
	switch {
	case ok:
		e.use()
		return e
	case e != nil && told:
		c.remove(e)
	}
	return nil
}

// remove removes an entry, if it is still the one of its key.
func (c *Cache) remove(e *entry) {
	c.mu.Lock()
	found := c.index.entries[e.key] == e
	if found {
		c.index.remove(e)
	}
	c.mu.Unlock()
	if found {
		c.discard(nil, e)
	}
}

// discard removes the files of entries that are no longer in the index. successor is the
// entry that took their place, or nil: it may have taken over its predecessor's file.
func (c *Cache) discard(successor *entry, gone ...*entry) {
	for _, e := range gone {
		switch {
		case successor != nil && e.file == successor.file:
		case c.disk == nil:
			c.open.removed(e.file)
		default:
			c.disk.remove(e.file)
		}
	}
}
