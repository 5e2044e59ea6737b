package sealedfs

import (
	"encoding/binary"
	"errors"
	"slices"
	"sync"

	"github.com/cockroachdb/pebble/v2/vfs/atomicfs"
)

// catalogue has the ids of the tables and blobs of a folder.
type catalogue struct {
	mu        sync.Mutex
	ids       map[name][idSize]byte
	manifests map[*pending]struct{} // that are being written
}

// pending are the entries that a manifest does not have yet.
type pending struct {
	c     *catalogue
	all   []header
	first int // entries that there were when the manifest was begun
}

func (c *catalogue) id(n name) ([idSize]byte, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	id, ok := c.ids[n]
	return id, ok
}

func (c *catalogue) add(h header) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.ids[h.name] = h.id
	for p := range c.manifests {
		p.all = append(p.all, h)
	}
}

func (c *catalogue) remove(n name) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.ids, n)
}

// begin begins a manifest: it will have all entries.
func (c *catalogue) begin() *pending {
	c.mu.Lock()
	defer c.mu.Unlock()
	p := &pending{c: c}
	for n, id := range c.ids {
		p.all = append(p.all, header{n, id})
	}
	p.first = len(p.all)
	c.manifests[p] = struct{}{}
	return p
}

// prune removes the entries of files that did not exist after the manifest was begun.
func (p *pending) prune(exist map[name]bool) {
	p.c.mu.Lock()
	defer p.c.mu.Unlock()
	kept := slices.DeleteFunc(p.all[:p.first], func(h header) bool { return !exist[h.name] })
	p.all = append(kept, p.all[p.first:]...)
}

func (p *pending) close() {
	p.c.mu.Lock()
	defer p.c.mu.Unlock()
	delete(p.c.manifests, p)
}

// few reports whether the entries fit into one frame.
func (p *pending) few() bool {
	p.c.mu.Lock()
	defer p.c.mu.Unlock()
	return len(p.all) <= maxEntries
}

// take appends the entries of the next frame to b.
func (p *pending) take(b []byte) []byte {
	p.c.mu.Lock()
	defer p.c.mu.Unlock()
	n := min(len(p.all), maxEntries)
	b = binary.BigEndian.AppendUint16(b, uint16(n))
	for _, h := range p.all[:n] {
		b = h.append(b)
	}
	p.all = p.all[:copy(p.all, p.all[n:])]
	return b
}

// parseEntries splits the payload of a manifest's frame.
func parseEntries(p []byte) (entries, data []byte, ok bool) {
	if len(p) < entriesSize {
		return nil, nil, false
	}
	n := int(binary.BigEndian.Uint16(p)) * entrySize
	if p = p[entriesSize:]; n > len(p) {
		return nil, nil, false
	}
	return p[:n], p[n:], true
}

// manifestMarker is Pebble's name for the marker of the current manifest.
const manifestMarker = "manifest"

// catalogue returns the catalogue of a folder. The first time it reads the current manifest.
func (fs *FS) catalogue(dir string) (*catalogue, error) {
	fs.mu.Lock()
	defer fs.mu.Unlock()
	if c := fs.catalogues[dir]; c != nil {
		return c, nil
	}
	c := &catalogue{ids: map[name][idSize]byte{}, manifests: map[*pending]struct{}{}}
	current, err := atomicfs.ReadMarker(fs.inner, dir, manifestMarker)
	if err != nil {
		return nil, err
	}
	if current != "" {
		if err := fs.load(c, fs.inner.PathJoin(dir, fs.inner.PathBase(current))); err != nil {
			return nil, err
		}
	}
	fs.catalogues[dir] = c
	return c, nil
}

// load reads the entries of a manifest.
func (fs *FS) load(c *catalogue, path string) (err error) {
	f, err := fs.Open(path)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	r, ok := f.(*frameReader)
	if !ok {
		return &damaged{Damage{path, 0, 0, "the marker of the manifest names another file"}}
	}
	r.entry = func(h header) { c.ids[h.name] = h.id }
	return r.drain()
}

// exist returns the tables and blobs that a folder has.
func (fs *FS) exist(dir string) (map[name]bool, error) {
	names, err := fs.inner.List(dir)
	if err != nil {
		return nil, err
	}
	all := map[name]bool{}
	for _, s := range names {
		if k, n := parse(s); k.catalogued() {
			all[name{k, n}] = true
		}
	}
	return all, nil
}
