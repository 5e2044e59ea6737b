package sealedfs

import (
	"errors"
	"io"
	"os"
	"slices"
	"strings"
	"sync"

	"github.com/cockroachdb/pebble/v2/vfs"

	"watertight/internal/storage/seal"
)

// Options of a FS.
type Options struct {
	// Salvage reads what can be read: a single wrong bit is corrected, and any other damaged
	// part reads as zeros. A table is opened even if it has another id than the catalogue says.
	Salvage bool
	// Damaged is called with each part that is damaged, from any goroutine. It may be nil.
	Damaged func(Damage)
}

// FS is a vfs.FS whose files are sealed. It keeps the catalogue of every folder in memory: a
// folder that was changed by something else needs a new FS.
type FS struct {
	inner   vfs.FS
	keys    keys
	o       Options
	buffers sync.Pool // of *buffer

	corrections corrections // in salvage

	mu         sync.Mutex
	catalogues map[string]*catalogue // by folder
}

var _ vfs.FS = (*FS)(nil)

// New returns a FS whose files are files of inner, sealed under key. The key seals one store
// and the copies that are made of it through the FS.
func New(inner vfs.FS, key seal.Key, o Options) *FS {
	return &FS{
		inner: inner, keys: newKeys(key), o: o, buffers: sync.Pool{New: func() any { return new(buffer) }},
		catalogues: map[string]*catalogue{},
	}
}

func (fs *FS) report(d Damage) {
	if fs.o.Damaged != nil {
		fs.o.Damaged(d)
	}
}

// folder returns the folder of a file, in the form that names a catalogue.
func (fs *FS) folder(path string) string { return fs.inner.PathDir(path) }

// parse returns the kind and number of a file.
func (fs *FS) parse(path string) name {
	k, n := parse(fs.inner.PathBase(path))
	return name{k, n}
}

// Create implements vfs.FS.
func (fs *FS) Create(path string, c vfs.DiskWriteCategory) (vfs.File, error) {
	n := fs.parse(path)
	h := newHeader(n.kind, n.number)
	var all *catalogue
	var entries *pending
	if n.kind.catalogued() || n.kind == manifest {
		var err error
		if all, err = fs.catalogue(fs.folder(path)); err != nil {
			return nil, err
		}
	}
	inner, err := fs.inner.Create(path, c)
	if err != nil {
		return nil, err
	}
	switch {
	case n.kind == empty:
		return emptyFile{sealedFile{inner, path}}, nil
	case !n.kind.framed():
		if all != nil {
			all.add(h)
		}
		return fs.newChunkWriter(inner, path, h), nil
	case n.kind == manifest:
		entries = all.begin()
		exist, err := fs.exist(fs.folder(path))
		if err != nil {
			entries.close()
			return nil, errors.Join(err, inner.Close())
		}
		entries.prune(exist)
	}
	// The header is durable before the first frame, so that a header that is not sound is
	// always damage.
	if _, err = inner.Write(fs.keys.seal(h)); err == nil {
		err = inner.SyncData()
	}
	w := fs.newFrameWriter(inner, path, h, entries)
	if err == nil && n.kind == manifest {
		err = fs.syncFolder(path)
	}
	if err != nil {
		return nil, errors.Join(err, w.Close())
	}
	return w, nil
}

// syncFolder makes the name of a file durable. Pebble creates the marker that names a
// manifest before it syncs the folder, so the marker might survive alone.
func (fs *FS) syncFolder(path string) error {
	d, err := fs.inner.OpenDir(fs.folder(path))
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

// ReuseForWrite implements vfs.FS. The old file gets its new header before its new name: a
// log whose header has a larger number than its name is being reused, and is empty.
func (fs *FS) ReuseForWrite(from, to string, c vfs.DiskWriteCategory) (vfs.File, error) {
	n := fs.parse(to)
	if n.kind != log || fs.parse(from).kind != log {
		return nil, errUnsupported
	}
	if _, err := fs.inner.Stat(from); err != nil {
		return nil, err
	}
	h := newHeader(n.kind, n.number)
	sealed := fs.keys.seal(h)
	old, err := fs.inner.OpenReadWrite(from, c)
	if err != nil {
		return nil, err
	}
	if _, err = old.Write(slices.Clone(sealed)); err == nil {
		err = old.SyncData()
	}
	if err = errors.Join(err, old.Close()); err != nil {
		return nil, err
	}
	inner, err := fs.inner.ReuseForWrite(from, to, c)
	if err != nil {
		return nil, err
	}
	if _, err := inner.Write(sealed); err != nil { // the same again, for the position
		return nil, errors.Join(err, inner.Close())
	}
	w := fs.newFrameWriter(inner, to, h, nil)
	if i, err := inner.Stat(); err == nil {
		w.filled = i.Size()
	}
	return w, nil
}

// Open implements vfs.FS.
func (fs *FS) Open(path string, o ...vfs.OpenOption) (_ vfs.File, err error) {
	n := fs.parse(path)
	inner, err := fs.inner.Open(path, o...)
	if err != nil {
		return nil, err
	}
	if n.kind == empty {
		return emptyFile{sealedFile{inner, path}}, nil
	}
	var f vfs.File
	if n.kind.framed() {
		f, err = fs.openFrames(inner, path, n)
	} else {
		f, err = fs.openChunks(inner, path, n, slices.Contains(o, vfs.SequentialReadsOption))
	}
	if err != nil {
		return nil, errors.Join(err, inner.Close())
	}
	return f, nil
}

// readHeader returns the header of a file, or false if it has none. size is the number of its
// bytes that the file has.
func (fs *FS) readHeader(inner vfs.File, path string) (h header, size int, ok bool, err error) {
	var b [headerSize]byte
	size, err = inner.ReadAt(b[:], 0)
	if err == io.EOF {
		err = nil
	}
	h, ok = fs.keys.open(b[:size])
	if !ok && err == nil && fs.o.Salvage {
		h, ok = fs.correctHeader(inner, path)
	}
	return h, size, ok, err
}

// wrong reports that a file as a whole is not the one that was written.
func (fs *FS) wrong(path, what string) error {
	d := Damage{path, 0, headerSize, what}
	fs.report(d)
	return &damaged{d}
}

const (
	badHeader = "the header does not authenticate"
	exchanged = "it is another file"
	tooLong   = "it is longer than such a file ever is"
	notNamed  = "it is not the file that the manifest names"
)

func (fs *FS) openFrames(inner vfs.File, path string, n name) (vfs.File, error) {
	h, size, ok, err := fs.readHeader(inner, path)
	if err != nil {
		return nil, err
	}
	i, err := inner.Stat()
	switch {
	case err != nil:
		return nil, err
	case i.Size() > n.kind.most() && !(ok && fs.o.Salvage): // a hole may be of any length, and takes long to read
		return nil, fs.wrong(path, tooLong)
	case n.kind == log && size < headerSize: // there was no room on the disk, or no time
		return &frameReader{sealedFile: sealedFile{inner, path}}, nil
	case !ok && n.kind == log:
		// A log that has no header yet has nothing else, either.
		b := fs.buffers.Get().(*buffer)
		defer fs.buffers.Put(b)
		if zero, err := isZero(inner, 0, b.room[:]); err != nil {
			return nil, err
		} else if !zero {
			return nil, fs.wrong(path, badHeader)
		}
		return &frameReader{sealedFile: sealedFile{inner, path}}, nil
	case !ok:
		return nil, fs.wrong(path, badHeader)
	case h.kind == log && n.kind == log && h.number > n.number: // it is being reused
		return &frameReader{sealedFile: sealedFile{inner, path}}, nil
	case h.name != n:
		return nil, fs.wrong(path, exchanged)
	}
	return fs.newFrameReader(inner, path, h), nil
}

func (fs *FS) openChunks(inner vfs.File, path string, n name, sequential bool) (vfs.File, error) {
	h, _, ok, err := fs.readHeader(inner, path)
	if err != nil {
		return nil, err
	}
	if !ok {
		err = fs.wrong(path, badHeader)
	} else if h.name != n {
		err = fs.wrong(path, exchanged)
	}
	if n.kind.catalogued() {
		h, err = fs.identify(h, err, path, n)
	}
	if err != nil {
		return nil, err
	}
	i, err := inner.Stat()
	if err != nil {
		return nil, err
	}
	count, last, size, ok := chunks(i.Size())
	if !ok {
		if err := fs.wrong(path, "the file is cut"); !fs.o.Salvage {
			return nil, err
		}
		count = max(0, i.Size()-headerSize) / sealedChunk // the whole ones
		last, size = sealedChunk, count*chunkSize
		count++ // none of them is the last
	}
	r := &chunkReader{
		sealedFile: sealedFile{inner, path}, fs: fs, aead: fs.keys.file(h).AEAD(), count: count, last: last, size: size,
	}
	if sequential {
		return &sequentialReader{chunkReader: r}, nil
	}
	return r, nil
}

// identify compares the header of a table with the catalogue. In salvage, the catalogue takes
// the place of a header that can't be read.
func (fs *FS) identify(h header, err error, path string, n name) (header, error) {
	c, cerr := fs.catalogue(fs.folder(path))
	var id [idSize]byte
	known := false
	if cerr == nil {
		id, known = c.id(n)
	}
	switch {
	case fs.o.Salvage && err != nil && known:
		return header{n, id}, nil
	case err != nil:
		return h, err
	case cerr != nil:
		if fs.o.Salvage {
			cerr = nil
		}
		return h, cerr
	case !known || id != h.id:
		if err := fs.wrong(path, notNamed); !fs.o.Salvage {
			return h, err
		}
	}
	return h, nil
}

// OpenReadWrite implements vfs.FS. No sealed file is written twice.
func (fs *FS) OpenReadWrite(string, vfs.DiskWriteCategory, ...vfs.OpenOption) (vfs.File, error) {
	return nil, errUnsupported
}

// Link implements vfs.FS.
func (fs *FS) Link(from, to string) error {
	n := fs.parse(to)
	if fs.parse(from) != n {
		return errUnsupported
	}
	if !n.kind.catalogued() {
		return fs.inner.Link(from, to)
	}
	source, err := fs.catalogue(fs.folder(from))
	if err != nil {
		return err
	}
	target, err := fs.catalogue(fs.folder(to))
	if err != nil {
		return err
	}
	id, ok := source.id(n)
	if !ok {
		return fs.wrong(from, notNamed)
	}
	if err := fs.inner.Link(from, to); err != nil {
		return err
	}
	target.add(header{n, id})
	return nil
}

// Remove implements vfs.FS.
func (fs *FS) Remove(path string) error {
	if err := fs.inner.Remove(path); err != nil {
		return err
	}
	if n := fs.parse(path); n.kind.catalogued() {
		fs.mu.Lock()
		c := fs.catalogues[fs.folder(path)]
		fs.mu.Unlock()
		if c != nil {
			c.remove(n)
		}
	}
	return nil
}

// forget forgets the catalogues of dir and of all folders in it. They are read again when they
// are needed. fs.mu is held.
func (fs *FS) forget(dir string) {
	dir = strings.TrimSuffix(fs.inner.PathJoin(dir, "file"), "file")
	for folder := range fs.catalogues {
		if strings.HasPrefix(fs.inner.PathJoin(folder, "file"), dir) {
			delete(fs.catalogues, folder)
		}
	}
}

// RemoveAll implements vfs.FS.
func (fs *FS) RemoveAll(path string) error {
	fs.mu.Lock()
	defer fs.mu.Unlock()
	fs.forget(path)
	return fs.inner.RemoveAll(path)
}

// Rename implements vfs.FS. The folder of a store may be renamed, and files without a number.
func (fs *FS) Rename(from, to string) error {
	if fs.parse(from) != fs.parse(to) {
		return errUnsupported
	}
	fs.mu.Lock()
	defer fs.mu.Unlock()
	if err := fs.inner.Rename(from, to); err != nil {
		return err
	}
	fs.forget(from)
	fs.forget(to)
	return nil
}

// List implements vfs.FS.
func (fs *FS) List(dir string) ([]string, error) { return fs.inner.List(dir) }

// Stat implements vfs.FS. The size of a table or blob is its plaintext's; that of a log or
// manifest is the size on the disk.
func (fs *FS) Stat(path string) (vfs.FileInfo, error) {
	i, err := fs.inner.Stat(path)
	if err != nil || i.IsDir() {
		return i, err
	}
	if n := fs.parse(path); n.kind != empty && !n.kind.framed() {
		_, _, size, _ := chunks(i.Size())
		return sized{i, size}, nil
	}
	return i, nil
}

// Unwrap implements vfs.FS. Nothing may look at what is below.
func (fs *FS) Unwrap() vfs.FS { return nil }

// OpenDir implements vfs.FS.
func (fs *FS) OpenDir(path string) (vfs.File, error) { return fs.inner.OpenDir(path) }

// MkdirAll implements vfs.FS. A folder that is made has no catalogue, whatever was there before.
func (fs *FS) MkdirAll(path string, perm os.FileMode) error {
	fs.mu.Lock()
	defer fs.mu.Unlock()
	if _, err := fs.inner.Stat(path); errors.Is(err, os.ErrNotExist) {
		fs.forget(path)
	}
	return fs.inner.MkdirAll(path, perm)
}

// Lock implements vfs.FS.
func (fs *FS) Lock(path string) (io.Closer, error) { return fs.inner.Lock(path) }

// PathBase implements vfs.FS.
func (fs *FS) PathBase(path string) string { return fs.inner.PathBase(path) }

// PathJoin implements vfs.FS.
func (fs *FS) PathJoin(elem ...string) string { return fs.inner.PathJoin(elem...) }

// PathDir implements vfs.FS.
func (fs *FS) PathDir(path string) string { return fs.inner.PathDir(path) }

// GetDiskUsage implements vfs.FS.
func (fs *FS) GetDiskUsage(path string) (vfs.DiskUsage, error) { return fs.inner.GetDiskUsage(path) }
