package cache

import (
	"encoding/hex"
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"

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

// openDisk opens the folder of a cache and reads what is there. What another key sealed is
// removed, and so is what a crash left behind.
func (c *Cache) openDisk(dir string, key seal.Key, room func(int64) bool) error {
	if err := folder.Make(dir, 0o700); err != nil {
		return err
	}
	c.disk = &disk{dir: filepath.Join(dir, "objects"), key: key, room: room, now: c.now}
	c.state = filepath.Join(dir, "state")
	s, err := c.readState()
	if errors.Is(err, seal.ErrCorrupt) || errors.Is(err, fs.ErrNotExist) {
		s, err = &state{}, os.RemoveAll(c.disk.dir)
	}
	if err != nil {
		return err
	}
	if err := folder.Make(c.disk.dir, 0o700); err != nil {
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
			t.exact[path], t.newest = n, max(t.newest, n)
		}
		for prefix, n := range saved.Prefixes {
			t.prefixes[prefix], t.newest = n, max(t.newest, n)
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
	b, err := os.ReadFile(c.state)
	if err != nil {
		return nil, err
	}
	if len(b) < nonceSize {
		return nil, seal.ErrCorrupt
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

func (c *Cache) writeState(s *state) error {
	plain, err := json.Marshal(s)
	if err != nil {
		return err
	}
	n := newName()
	out := append([]byte(nil), n[:nonceSize]...)
	return folder.Replace(c.state, c.stateKey().AEAD().Seal(out, out, plain, nil), 0o600)
}

// load reads the records of all files, and removes the files that it can't open.
func (c *Cache) load() error {
	folders, err := os.ReadDir(c.disk.dir)
	if err != nil {
		return err
	}
	var all []*entry
	for _, fan := range folders {
		names, err := os.ReadDir(filepath.Join(c.disk.dir, fan.Name()))
		if err != nil {
			return err
		}
		for _, file := range names {
			path := filepath.Join(c.disk.dir, fan.Name(), file.Name())
			e, err := c.loadFile(fan.Name()+file.Name(), path)
			if err != nil {
				if err := os.RemoveAll(path); err != nil {
					return err
				}
				continue
			}
			all = append(all, e)
		}
	}
	slices.SortFunc(all, func(a, b *entry) int { return a.life.Received.Compare(b.life.Received) })
	for _, e := range all {
		if old := c.index.entries[e.key]; old != nil && old.seq > e.seq {
			c.disk.remove(e.file)
			continue
		}
		for _, gone := range c.index.put(e) {
			c.disk.remove(gone.file)
		}
	}
	return nil
}

func (c *Cache) loadFile(text, path string) (*entry, error) {
	raw, err := hex.DecodeString(text)
	if err != nil || len(raw) != len(name{}) {
		return nil, seal.ErrCorrupt
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	r, err := c.disk.record(name(raw), f, info.Size())
	if err != nil {
		return nil, err
	}
	return &entry{
		key: r.Key, site: c.purges.site(r.Distribution), seq: r.Seq, life: r.Life, status: r.Status, size: r.Size,
		file: name(raw), length: info.Size(), cost: diskCost(info.Size()),
	}, nil
}

// diskCost is what a file counts against the budget: what it takes on the disk.
func diskCost(length int64) int64 { return (length + block - 1) / block * block }
