package cache

import (
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"

	"watertight/internal/storage/folder"
	"watertight/internal/storage/seal"
)

// state is what the cache remembers between runs beside its files. It is sealed. After an
// unclean stop, only its key counts: invalidations are then learned from the first snapshot.
type state struct {
	Clean bool
	Seen  uint64
	Floor uint64
	Sites map[string]savedSite
}

type savedSite struct {
	Floor    uint64
	Exact    map[string]uint64
	Prefixes map[string]uint64
}

// openDisk opens the folder of a cache and reads what is there. Entries that another key
// sealed are removed, and so are those that a crash left behind.
func (c *Cache) openDisk(dir string, unseal func() (seal.Key, error), room func(int64) bool) (err error) {
	if err := Claim(dir); err != nil {
		return err
	}
	if c.lock, err = locked(dir); err != nil {
		return err
	}
	defer func() {
		if err != nil {
			c.lock.Close()
		}
	}()
	key, err := unseal()
	if err != nil {
		return err
	}
	c.disk = &disk{
		dir: filepath.Join(dir, "objects"), key: key, room: room, now: c.now, open: c.open,
	}
	c.state = filepath.Join(dir, "state")
	if err := folder.Make(folder.OS(), c.disk.dir, 0o700); err != nil {
		return err
	}
	s, err := c.readState()
	if errors.Is(err, seal.ErrCorrupt) || errors.Is(err, fs.ErrNotExist) {
		s, err = &state{}, c.disk.each(func(n name) error { return os.Remove(c.disk.path(n)) })
	}
	if err != nil {
		return err
	}
	if err := c.writeState(&state{}); err != nil { // so that a crash from now on is noticed
		return err
	}
	c.purges.restore(s)
	return c.load()
}

func (p *purges) restore(s *state) {
	if !s.Clean {
		return
	}
	p.seen, p.floor = s.Seen, s.Floor
	for id, saved := range s.Sites {
		t := p.site(id)
		t.floor = saved.Floor
		for path, n := range saved.Exact {
			p.purge(t, n, path)
		}
		for prefix, n := range saved.Prefixes {
			p.purge(t, n, prefix+"*")
		}
	}
}

func (p *purges) save() *state {
	s := &state{Clean: true, Seen: p.seen, Floor: p.floor, Sites: map[string]savedSite{}}
	for id, t := range p.sites {
		s.Sites[id] = savedSite{Floor: t.floor, Exact: t.exact, Prefixes: t.prefixes}
	}
	return s
}

// stateKey seals only the state. Each state has a random nonce.
func (c *Cache) stateKey() seal.Key { return c.disk.key.Expand("cdn cache state", nil) }

func (c *Cache) readState() (*state, error) {
	b, err := folder.ReadAtMost(folder.OS(), c.state, maxState)
	if errors.Is(err, folder.ErrTooLong) || err == nil && len(b) < nonceSize {
		return nil, seal.ErrCorrupt
	}
	if err != nil {
		return nil, err
	}
	plain, err := c.stateKey().AEAD().Open(nil, b[:nonceSize], b[nonceSize:], nil)
	if err != nil {
		return nil, seal.ErrCorrupt
	}
	var s state
	if json.Unmarshal(plain, &s) != nil {
		return nil, seal.ErrCorrupt
	}
	return &s, nil
}

// maxState bounds the sealed state, in bytes: maxBytes of paths, of which JSON may escape each byte.
const maxState = 8 * maxBytes

func (c *Cache) writeState(s *state) error {
	plain, err := json.Marshal(s)
	if err != nil {
		return err
	}
	n := newName()
	out := append([]byte(nil), n[:nonceSize]...)
	return folder.Replace(folder.OS(), c.state, c.stateKey().AEAD().Seal(out, out, plain, nil), 0o600)
}

// loaded is a file that was read at the start.
type loaded struct {
	file   name
	length int64
	record *record
}

// load reads the records of all entries, and removes those that it can't open.
func (c *Cache) load() error {
	var names []name
	if err := c.disk.each(func(n name) error { names = append(names, n); return nil }); err != nil {
		return err
	}
	var readers sync.WaitGroup
	found, errs := make([][]loaded, runtime.GOMAXPROCS(0)), make([]error, runtime.GOMAXPROCS(0))
	var next atomic.Int64
	for i := range found {
		readers.Go(func() {
			for n := next.Add(1) - 1; int(n) < len(names) && errs[i] == nil; n = next.Add(1) - 1 {
				if l, err := c.disk.loadFile(names[n]); err == nil {
					found[i] = append(found[i], l)
				} else {
					errs[i] = os.Remove(c.disk.path(names[n]))
				}
			}
		})
	}
	readers.Wait()
	if err := errors.Join(errs...); err != nil {
		return err
	}
	all := slices.Concat(found...)
	slices.SortFunc(all, func(a, b loaded) int { return a.record.Life.Received.Compare(b.record.Life.Received) })
	for _, l := range all {
		r := l.record
		c.purges.found = max(c.purges.found, r.Seq)
		e := &entry{
			key: r.Key, site: c.purges.site(r.Distribution), seq: r.Seq, life: r.Life, status: r.Status, size: r.Size,
			file: l.file, length: l.length, cost: diskCost(l.length),
		}
		if old := c.index.entries[e.key]; old != nil && old.seq > e.seq {
			c.disk.remove(e.file)
			continue
		}
		c.discard(e, c.index.put(e)...)
	}
	return nil
}

func (d *disk) loadFile(n name) (loaded, error) {
	f, err := os.Open(d.path(n))
	if err != nil {
		return loaded{}, err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return loaded{}, err
	}
	r, err := d.record(n, f, info.Size())
	if err != nil {
		return loaded{}, err
	}
	r.Header = nil // it is read again when it is needed
	return loaded{file: n, length: info.Size(), record: r}, nil
}

// diskCost is what a file counts against the budget: what it takes on the disk.
func diskCost(length int64) int64 { return (length + block - 1) / block * block }
