package crashdisk

import (
	"io"
	"io/fs"
	"os"
	"syscall"
	"time"

	"watertight/internal/storage/folder"
)

// file is an open file or folder.
type file struct {
	disk   *Disk
	node   *node
	path   string
	write  bool
	at     int64 // for Read and Write
	listed bool
	holds  bool // the lock
	direct bool
	closed bool
}

// Name implements folder.File.
func (f *file) Name() string { return f.path }

func (f *file) locked(do func() error) error {
	f.disk.mu.Lock()
	defer f.disk.mu.Unlock()
	if f.closed {
		return fs.ErrClosed
	}
	return do()
}

// ReadAt implements folder.File.
func (f *file) ReadAt(p []byte, at int64) (n int, err error) {
	err = f.locked(func() error {
		n = f.node.now.read(p, at)
		if n < len(p) {
			return io.EOF
		}
		return nil
	})
	return n, err
}

// Read implements folder.File.
func (f *file) Read(p []byte) (n int, err error) {
	err = f.locked(func() error {
		if f.node.names != nil {
			return syscall.EISDIR
		}
		if n = f.node.now.read(p, f.at); n == 0 && len(p) > 0 {
			return io.EOF
		}
		f.at += int64(n)
		return nil
	})
	return n, err
}

func (f *file) changing(op string, do func() error) error {
	return f.disk.told(op, f.path, func() error {
		switch {
		case f.closed:
			return fs.ErrClosed
		case !f.write:
			return syscall.EBADF
		}
		return do()
	})
}

// WriteAt implements folder.File.
func (f *file) WriteAt(p []byte, at int64) (int, error) {
	err := f.changing("write", func() error {
		if f.direct && (at|int64(len(p)))%folder.DirectUnit != 0 {
			return syscall.EINVAL
		}
		f.node.write(p, at)
		return nil
	})
	if err != nil {
		return 0, err
	}
	return len(p), nil
}

// Write implements folder.File.
func (f *file) Write(p []byte) (int, error) {
	err := f.changing("write", func() error {
		if f.direct && (f.at|int64(len(p)))%folder.DirectUnit != 0 {
			return syscall.EINVAL
		}
		f.node.write(p, f.at)
		f.at += int64(len(p))
		return nil
	})
	if err != nil {
		return 0, err
	}
	return len(p), nil
}

// SetDirect implements folder.Direct. What was written past a cache is lost as anything else
// is that was not synced: it may be in the cache of the disk, or its place not in the file yet.
func (f *file) SetDirect(on bool) error {
	return f.locked(func() error { f.direct = on; return nil })
}

// Truncate implements folder.File.
func (f *file) Truncate(size int64) error {
	return f.changing("truncate", func() error { f.node.resize(size); return nil })
}

// Sync implements folder.File.
func (f *file) Sync() error {
	return f.disk.told("sync", f.path, func() error {
		switch {
		case f.closed:
			return fs.ErrClosed
		case f.disk.Lies != nil && f.disk.Lies(f.path):
		case f.node.names != nil:
			f.disk.settle(f.node)
		default:
			f.node.sync()
		}
		return nil
	})
}

// SyncData implements folder.File.
func (f *file) SyncData() error { return f.Sync() }

// Allocate implements folder.File. There is always room.
func (f *file) Allocate(int64, int64) error { return f.locked(func() error { return nil }) }

// Punch implements folder.Puncher. A hole is as little durable as written zeros, page by page, until the file is
// synced.
func (f *file) Punch(at, n int64) error {
	return f.changing("punch", func() error {
		if end := min(at+n, f.node.now.size); at < end {
			f.node.write(make([]byte, end-at), at)
		}
		return nil
	})
}

// Uncache implements folder.File.
func (f *file) Uncache() {}

// Lock implements folder.File.
func (f *file) Lock() error {
	return f.locked(func() error {
		if f.node.locked && !f.holds {
			return folder.ErrLocked
		}
		f.node.locked, f.holds = true, true
		return nil
	})
}

// Close implements folder.File.
func (f *file) Close() error {
	return f.locked(func() error {
		f.closed = true
		if f.holds {
			f.node.locked = false
		}
		return nil
	})
}

// Stat implements folder.File.
func (f *file) Stat() (i fs.FileInfo, err error) {
	err = f.locked(func() error { i = f.node.info(f.path); return nil })
	return i, err
}

// ReadDir implements folder.File. A second call finds nothing more.
func (f *file) ReadDir(n int) (entries []fs.DirEntry, err error) {
	err = f.locked(func() error {
		if f.node.names == nil {
			return syscall.ENOTDIR
		}
		for name, child := range f.node.names {
			if !f.listed && (n <= 0 || len(entries) < n) {
				entries = append(entries, fs.FileInfoToDirEntry(child.info(name)))
			}
		}
		if f.listed = true; n > 0 && len(entries) == 0 {
			return io.EOF
		}
		return nil
	})
	return entries, err
}

func (c *content) read(p []byte, at int64) (n int) {
	for n < len(p) && at < c.size {
		i, off := int(at/pageSize), int(at%pageSize)
		m := min(len(p)-n, pageSize-off, int(c.size-at))
		if i < len(c.pages) && c.pages[i] != nil {
			copy(p[n:n+m], c.pages[i][off:])
		} else {
			clear(p[n : n+m])
		}
		n, at = n+m, at+int64(m)
	}
	return n
}

func (c *content) set(i int, p *page) {
	for len(c.pages) <= i {
		c.pages = append(c.pages, nil)
	}
	c.pages[i] = p
}

// private returns a page that may be changed.
func (n *node) private(i int) *page {
	var p *page
	if i < len(n.now.pages) {
		p = n.now.pages[i]
	}
	if !n.dirty[i] {
		c := new(page)
		if p != nil {
			*c = *p
		}
		n.now.set(i, c)
		n.dirty[i] = true
		return c
	}
	return p
}

func (n *node) write(b []byte, at int64) {
	n.modified = time.Now()
	for len(b) > 0 {
		i, off := int(at/pageSize), int(at%pageSize)
		m := copy(n.private(i)[off:], b)
		b, at = b[m:], at+int64(m)
	}
	n.now.size = max(n.now.size, at)
}

func (n *node) resize(size int64) {
	if size < n.now.size {
		last := int(size / pageSize)
		if size%pageSize != 0 && last < len(n.now.pages) {
			clear(n.private(last)[size%pageSize:])
			last++
		}
		for i := last; i < len(n.now.pages); i++ {
			n.now.pages[i] = nil
			delete(n.dirty, i)
		}
	}
	n.now.size = size
	n.floor = min(n.floor, size)
}

func (n *node) sync() {
	if n.floor < n.synced.size {
		n.synced.pages = append([]*page(nil), n.now.pages...)
	}
	for i := range n.dirty {
		n.synced.set(i, n.now.pages[i])
	}
	clear(n.dirty)
	n.synced.size, n.floor = n.now.size, n.now.size
}

// info describes a file or folder of this process.
type info struct {
	name     string
	size     int64
	mode     fs.FileMode
	modified time.Time
}

func (n *node) info(name string) fs.FileInfo { return info{name, n.now.size, n.mode, n.modified} }

func (i info) Name() string       { return i.name }
func (i info) Size() int64        { return i.size }
func (i info) Mode() fs.FileMode  { return i.mode }
func (i info) ModTime() time.Time { return i.modified }
func (i info) IsDir() bool        { return i.mode.IsDir() }
func (i info) Sys() any {
	return &syscall.Stat_t{Uid: uint32(os.Geteuid()), Gid: uint32(os.Getegid())}
}

var _ folder.FS = (*Disk)(nil)
