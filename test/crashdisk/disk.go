// Package crashdisk is a file system in memory whose power can fail at any moment. Afterwards
// only what was synced is certain: the content of a file by its Sync, a name by that of its
// folder. Of everything else a random part remains: pages of 4 KiB in any
// order, a page torn between two sectors, a name with or without its file's content. It
// exists so that every room with durable files is tested against the same rules. It must
// never know what the files are for.
package crashdisk

import (
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"

	"watertight/internal/storage/folder"
)

// Disk is a file system. It implements folder.FS. Paths are absolute; the root folder is
// always there.
type Disk struct {
	// Watch, if it is set, is called before and after each call that changes something. It
	// may call Crash. It must be set before the disk is used.
	Watch func(Point)
	// Lies, if it is set, chooses files whose Sync does nothing: a test must notice that. It must be set
	// before the disk is used.
	Lies func(path string) bool

	mu      sync.Mutex
	root    *node
	pending []*change // of names, oldest first; no folder of them was synced since
}

// Point is a moment at which the power may fail.
type Point struct {
	Op    string // "write", "sync", "create", "rename", "remove", "link", "mkdir", "truncate", "punch"
	Path  string
	After bool // the call has had its effect
}

// node is a file or folder. A file's pages are never changed in place once they are durable.
type node struct {
	mode     fs.FileMode
	modified time.Time
	locked   bool

	names, durable map[string]*node // of a folder

	now, synced content      // of a file
	dirty       map[int]bool // pages of now that are private to it
	floor       int64        // smallest size since the last sync: what lay beyond it is gone
}

// content is what a file holds. A nil page is zero.
type content struct {
	size  int64
	pages []*page
}

const (
	pageSize   = 4096
	sectorSize = 512
)

type page [pageSize]byte

// change is a change of names that happens completely or not at all.
type change struct {
	at []spot
}

// spot is one name in a change: it gets a node, or none.
type spot struct {
	dir  *node
	name string
	to   *node
}

func newFolder(mode fs.FileMode) *node {
	return &node{
		mode: mode | fs.ModeDir, modified: time.Now(), names: map[string]*node{}, durable: map[string]*node{},
	}
}

// New returns an empty disk.
func New() *Disk { return &Disk{root: newFolder(0o755)} }

func (d *Disk) told(op, path string, do func() error) error {
	if d.Watch != nil {
		d.Watch(Point{op, path, false})
	}
	d.mu.Lock()
	err := do()
	d.mu.Unlock()
	if d.Watch != nil {
		d.Watch(Point{op, path, true})
	}
	if err != nil {
		return &fs.PathError{Op: op, Path: path, Err: err}
	}
	return nil
}

// find returns the node at a path.
func (d *Disk) find(path string) (*node, error) {
	n := d.root
	for part := range strings.SplitSeq(strings.Trim(filepath.Clean(path), "/"), "/") {
		if part == "" {
			continue
		}
		if n.names == nil {
			return nil, syscall.ENOTDIR
		}
		if n = n.names[part]; n == nil {
			return nil, fs.ErrNotExist
		}
	}
	return n, nil
}

// parent returns the folder of a path, and the name in it.
func (d *Disk) parent(path string) (*node, string, error) {
	dir, err := d.find(filepath.Dir(filepath.Clean(path)))
	if err == nil && dir.names == nil {
		err = syscall.ENOTDIR
	}
	return dir, filepath.Base(path), err
}

// change changes names.
func (d *Disk) change(at ...spot) {
	for _, s := range at {
		if s.to == nil {
			delete(s.dir.names, s.name)
		} else {
			s.dir.names[s.name] = s.to
		}
	}
	d.pending = append(d.pending, &change{at})
}

func (c *change) touches(of func(spot) bool) bool { return slices.ContainsFunc(c.at, of) }

func (c *change) meets(other *change) bool {
	return c.touches(func(s spot) bool {
		return other.touches(func(o spot) bool { return s.dir == o.dir && s.name == o.name })
	})
}

// apply makes a change durable.
func (c *change) apply() {
	for _, s := range c.at {
		if s.to == nil {
			delete(s.dir.durable, s.name)
		} else {
			s.dir.durable[s.name] = s.to
		}
	}
}

// settle makes the changes of names durable that touch a folder, and the earlier ones that
// they follow.
func (d *Disk) settle(dir *node) {
	chosen := make([]bool, len(d.pending))
	for i := len(d.pending) - 1; i >= 0; i-- {
		c := d.pending[i]
		chosen[i] = c.touches(func(s spot) bool { return s.dir == dir })
		for k := i + 1; k < len(d.pending) && !chosen[i]; k++ {
			chosen[i] = chosen[k] && c.meets(d.pending[k])
		}
	}
	var left []*change
	for i, c := range d.pending {
		if chosen[i] {
			c.apply()
		} else {
			left = append(left, c)
		}
	}
	d.pending = left
}

// OpenFile implements folder.FS.
func (d *Disk) OpenFile(path string, flag int, mode fs.FileMode) (folder.File, error) {
	f := &file{disk: d, path: path, write: flag&(os.O_WRONLY|os.O_RDWR) != 0}
	do := func() (err error) { f.node, err = d.open(path, flag, mode); return err }
	if flag&(os.O_CREATE|os.O_TRUNC) != 0 {
		if err := d.told("create", path, do); err != nil {
			return nil, err
		}
		return f, nil
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if err := do(); err != nil {
		return nil, &fs.PathError{Op: "open", Path: path, Err: err}
	}
	return f, nil
}

func (d *Disk) open(path string, flag int, mode fs.FileMode) (*node, error) {
	n, err := d.find(path)
	switch {
	case err == nil && flag&os.O_EXCL != 0:
		return nil, fs.ErrExist
	case err == nil && n.names != nil && flag&(os.O_WRONLY|os.O_RDWR) != 0:
		return nil, syscall.EISDIR
	case err == nil && flag&os.O_TRUNC != 0:
		n.resize(0)
	case os.IsNotExist(err) && flag&os.O_CREATE != 0:
		dir, name, err := d.parent(path)
		if err != nil {
			return nil, err
		}
		n = &node{mode: mode, modified: time.Now(), dirty: map[int]bool{}}
		d.change(spot{dir, name, n})
		return n, nil
	}
	return n, err
}

// Mkdir implements folder.FS.
func (d *Disk) Mkdir(path string, mode fs.FileMode) error {
	return d.told("mkdir", path, func() error {
		dir, name, err := d.parent(path)
		if err != nil {
			return err
		}
		if path == "/" || dir.names[name] != nil {
			return fs.ErrExist
		}
		d.change(spot{dir, name, newFolder(mode)})
		return nil
	})
}

// Remove implements folder.FS.
func (d *Disk) Remove(path string) error {
	return d.told("remove", path, func() error {
		dir, name, err := d.parent(path)
		if err != nil {
			return err
		}
		switch n := dir.names[name]; {
		case n == nil:
			return fs.ErrNotExist
		case len(n.names) > 0:
			return syscall.ENOTEMPTY
		}
		d.change(spot{dir, name, nil})
		return nil
	})
}

// RemoveAll implements folder.FS: name by name, as the system does it.
func (d *Disk) RemoveAll(path string) error {
	d.mu.Lock()
	n, err := d.find(path)
	var names []string
	if err == nil {
		for name := range n.names {
			names = append(names, name)
		}
	}
	d.mu.Unlock()
	if err != nil {
		if os.IsNotExist(err) {
			return nil
		}
		return err
	}
	slices.Sort(names)
	for _, name := range names {
		if err := d.RemoveAll(filepath.Join(path, name)); err != nil {
			return err
		}
	}
	if err := d.Remove(path); err != nil && !os.IsNotExist(err) {
		return err
	}
	return nil
}

// Rename implements folder.FS.
func (d *Disk) Rename(from, to string) error {
	return d.told("rename", to, func() error {
		fromDir, fromName, err := d.parent(from)
		if err != nil {
			return err
		}
		toDir, toName, err := d.parent(to)
		if err != nil {
			return err
		}
		n, old := fromDir.names[fromName], toDir.names[toName]
		switch {
		case n == nil:
			return fs.ErrNotExist
		case n == old:
			return nil
		case old != nil && old.names == nil && n.names != nil:
			return syscall.ENOTDIR
		case old != nil && old.names != nil && n.names == nil:
			return syscall.EISDIR
		case old != nil && len(old.names) > 0:
			return syscall.ENOTEMPTY
		}
		d.change(spot{fromDir, fromName, nil}, spot{toDir, toName, n})
		return nil
	})
}

// Link implements folder.FS.
func (d *Disk) Link(from, to string) error {
	return d.told("link", to, func() error {
		n, err := d.find(from)
		if err != nil {
			return err
		}
		dir, name, err := d.parent(to)
		switch {
		case err != nil:
			return err
		case dir.names[name] != nil:
			return fs.ErrExist
		}
		d.change(spot{dir, name, n})
		return nil
	})
}

// Stat implements folder.FS.
func (d *Disk) Stat(path string) (fs.FileInfo, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	n, err := d.find(path)
	if err != nil {
		return nil, &fs.PathError{Op: "stat", Path: path, Err: err}
	}
	return n.info(filepath.Base(path)), nil
}

// Lstat implements folder.FS. There are no symbolic links.
func (d *Disk) Lstat(path string) (fs.FileInfo, error) { return d.Stat(path) }

// EvalSymlinks implements folder.FS.
func (d *Disk) EvalSymlinks(path string) (string, error) {
	_, err := d.Stat(path)
	return filepath.Clean(path), err
}

// Chmod implements folder.FS. Modes are durable at once.
func (d *Disk) Chmod(path string, mode fs.FileMode) error {
	return d.with(path, func(n *node) { n.mode = n.mode&fs.ModeDir | mode })
}

// Chtimes implements folder.FS. Times are durable at once.
func (d *Disk) Chtimes(path string, _, modified time.Time) error {
	return d.with(path, func(n *node) { n.modified = modified })
}

func (d *Disk) with(path string, fn func(*node)) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	n, err := d.find(path)
	if err != nil {
		return &fs.PathError{Op: "set", Path: path, Err: err}
	}
	fn(n)
	return nil
}

// Space implements folder.FS: there is always room.
func (d *Disk) Space(string) (total, free int64, err error) { return 1 << 40, 1 << 39, nil }
