package pebblekv

import (
	"errors"
	"io"
	"log/slog"
	"os"
	"runtime"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// disk is a layer between Pebble and its files. Pebble ends the process if it can't
// write its log or its manifest, but a store should go on serving reads. So after
// the first such failure disk freezes: it no longer changes any file, so that Pebble
// can't do damage, and the next start recovers as it would after a power loss.
//
// Errors of the log are hidden from Pebble, which would panic on them and leave its
// locks in disorder. Durability is still reported correctly, because Batch.Wait also
// asks disk.
type disk struct {
	vfs.FS
	dir   string // the engine's folder; failures elsewhere, for example in a copy, are only returned
	syncs atomic.Uint64
	cause atomic.Pointer[error]
	slow  atomic.Bool
	// replayed is set once the engine begins its log, when what it replayed is in tables.
	replayed atomic.Bool
	// started is set once the engine has written the options it runs with.
	started atomic.Bool
	purges  atomic.Int32 // number of running purges: meanwhile logs are removed instead of written over
	closed  chan struct{}
	broken  chan struct{} // closed by the first failure
	failed  func(error)
	own     []string // files in dir that are not the engine's
	bulk    bool     // see Options
	// complaints counts the failures of background work.
	complaints atomic.Uint64
}

var errFrozen = errors.New("pebblekv: the files are frozen after a failure")

// retryPause slows Pebble down, which tries a failed flush again at once.
const retryPause = 100 * time.Millisecond

func (d *disk) fail(err error) {
	if d.cause.CompareAndSwap(nil, &err) {
		close(d.broken)
		d.failed(err)
	}
}

func newDisk(fs vfs.FS, o Options) *disk {
	dir := fs.PathDir(fs.PathJoin(o.Dir, "file")) // in the form in which the names of its files begin
	return &disk{
		FS: fs, dir: dir, own: o.Own, bulk: o.Bulk, failed: o.Failed,
		closed: make(chan struct{}), broken: make(chan struct{}),
	}
}

// Lock does nothing: the engine itself holds the folder's lock.
func (d *disk) Lock(string) (io.Closer, error) { return io.NopCloser(nil), nil }

// complaintEvery is the number of failures of background work for each one that is logged:
// about a minute's worth.
const complaintEvery = uint64(time.Minute / retryPause)

// background is told about background work that failed and is tried again. An
// engine that is being opened or filled would wait for it forever. So that fails
// instead, and the goroutine ends, which releases Pebble's locks.
func (d *disk) background(log *slog.Logger) func(error) {
	return func(err error) {
		if d.bulk || !d.started.Load() {
			d.fail(err)
			runtime.Goexit()
		}
		select {
		case <-d.closed:
			runtime.Goexit()
		default:
		}
		if d.complaints.Add(1)%complaintEvery == 1 {
			log.Warn("engine: background work failed and is tried again", "err", err.Error())
		}
	}
}

func (d *disk) err() error {
	if p := d.cause.Load(); p != nil {
		return *p
	}
	return nil
}

// hides reports whether errors are hidden from Pebble: while it is being opened and has replayed the log. If its
// opening failed then, it would close its caches under its goroutines that compact the new tables or collect their
// statistics, and their panics would end the process. The opening is given up when Pebble has returned.
func (d *disk) hides() bool { return d.replayed.Load() && !d.started.Load() }

// hide runs f, unless the disk is frozen, and hides its error.
func (d *disk) hide(f func() error) {
	if d.err() == nil {
		if err := f(); err != nil {
			d.fail(err)
		}
	}
}

// change runs f, which changes any file but the log.
func (d *disk) change(f func() error) error {
	if d.hides() {
		d.hide(f)
		return nil
	}
	if d.err() != nil || d.slow.Swap(false) {
		select {
		case <-time.After(retryPause):
		case <-d.closed:
		}
	}
	if d.err() != nil {
		return errFrozen
	}
	err := f()
	if err != nil {
		d.slow.Store(true)
	}
	return err
}

func isLog(name string) bool { return strings.HasSuffix(name, ".log") }

// elsewhere reports whether a file is not the engine's.
func (d *disk) elsewhere(name string) bool { return d.FS.PathDir(name) != d.dir }

// open makes a file with f. A log always opens; Wait returns its error.
func (d *disk) open(name string, f func() (vfs.File, error)) (vfs.File, error) {
	if d.elsewhere(name) {
		return f()
	}
	if !isLog(name) {
		var file vfs.File
		err := d.change(func() (err error) { file, err = f(); return err })
		if err != nil {
			return nil, err
		}
		if file == nil { // an error is hidden
			file = vfs.NewMemFile(nil)
		}
		return &tableFile{file, d}, nil
	}
	d.replayed.Store(true)
	var file vfs.File
	d.hide(func() (err error) { file, err = f(); return err })
	if file == nil {
		file = vfs.NewMemFile(nil)
	}
	return &logFile{file, d, d.FS.PathDir(name)}, nil
}

func (d *disk) Unwrap() vfs.FS { return d.FS }

func isMarker(name string) bool { return strings.HasPrefix(name, "marker.") }

// Create implements vfs.FS. Pebble moves a marker by an empty file that names another file,
// removes the older one, and syncs the folder only then. A file system that does not keep the
// order of names may lose the named file, or both markers, in a power failure. So the folder is
// also synced before and after the new one is made.
func (d *disk) Create(name string, c vfs.DiskWriteCategory) (vfs.File, error) {
	create := func() (vfs.File, error) { return d.FS.Create(name, c) }
	if !isMarker(d.FS.PathBase(name)) {
		return d.open(name, create)
	}
	return d.open(name, func() (vfs.File, error) {
		if err := d.syncFolder(d.FS.PathDir(name)); err != nil {
			return nil, err
		}
		f, err := create()
		if err == nil {
			if err = d.syncFolder(d.FS.PathDir(name)); err != nil {
				err = errors.Join(err, f.Close())
			}
		}
		return f, err
	})
}

func (d *disk) syncFolder(dir string) error {
	f, err := d.FS.OpenDir(dir)
	if err != nil {
		return err
	}
	return errors.Join(f.Sync(), f.Close())
}

func (d *disk) ReuseForWrite(from, to string, c vfs.DiskWriteCategory) (vfs.File, error) {
	return d.open(to, func() (vfs.File, error) {
		if d.purges.Load() == 0 {
			return d.FS.ReuseForWrite(from, to, c)
		}
		if err := d.FS.Remove(from); err != nil {
			return nil, err
		}
		return d.FS.Create(to, c)
	})
}

func (d *disk) OpenReadWrite(name string, c vfs.DiskWriteCategory, o ...vfs.OpenOption) (vfs.File, error) {
	return d.open(name, func() (vfs.File, error) { return d.FS.OpenReadWrite(name, c, o...) })
}

func (d *disk) OpenDir(name string) (vfs.File, error) {
	f, err := d.FS.OpenDir(name)
	if err != nil || d.elsewhere(d.FS.PathJoin(name, "file")) {
		return f, err
	}
	return &folder{f, d}, nil
}

func (d *disk) Link(from, to string) error {
	if d.elsewhere(to) {
		return d.FS.Link(from, to)
	}
	return d.change(func() error { return d.FS.Link(from, to) })
}

func (d *disk) Rename(from, to string) error {
	if d.elsewhere(to) {
		return d.FS.Rename(from, to)
	}
	err := d.change(func() error { return d.FS.Rename(from, to) })
	if err == nil && hidden(d.FS.PathBase(to)) {
		d.started.Store(true)
	}
	return err
}

// List hides files that are not the engine's, and the OPTIONS files of earlier starts until
// there is a new one.
func (d *disk) List(dir string) ([]string, error) {
	names, err := d.FS.List(dir)
	if err != nil && d.hides() {
		d.fail(err)
		return nil, nil
	}
	names = slices.DeleteFunc(names, func(name string) bool { return slices.Contains(d.own, name) })
	if d.started.Load() {
		return names, err
	}
	return slices.DeleteFunc(names, hidden), err
}

func (d *disk) MkdirAll(name string, perm os.FileMode) error {
	if d.elsewhere(d.FS.PathJoin(name, "file")) {
		return d.FS.MkdirAll(name, perm)
	}
	return d.change(func() error { return d.FS.MkdirAll(name, perm) })
}

// Remove isn't delayed, and its failure isn't reported: a file that is not removed only
// takes space.
func (d *disk) Remove(name string) error {
	if d.err() != nil {
		return errFrozen
	}
	return d.FS.Remove(name)
}

func (d *disk) RemoveAll(name string) error {
	if d.err() != nil {
		return errFrozen
	}
	return d.FS.RemoveAll(name)
}

// logFile is a log file: its errors freeze the disk and are hidden from Pebble.
type logFile struct {
	vfs.File
	d   *disk
	dir string
}

// preallocatedShare: a log preallocates at most this share of the free space.
const preallocatedShare = 16

func (f *logFile) do(op func() error) error {
	f.d.hide(op)
	return nil
}

func (f *logFile) Write(p []byte) (int, error) {
	return len(p), f.do(func() error { _, err := f.File.Write(p); return err })
}

func (f *logFile) Preallocate(at, n int64) error {
	if f.d.err() != nil {
		return nil
	}
	// Preallocation only saves time. It is left out on a disk that is small or nearly
	// full, because even a call that fails leaves blocks behind.
	if u, err := f.d.FS.GetDiskUsage(f.dir); err == nil && u.AvailBytes/preallocatedShare < uint64(n) {
		return nil
	}
	return f.File.Preallocate(at, n)
}

func (f *logFile) Sync() error {
	f.d.syncs.Add(1)
	return f.do(f.File.Sync)
}

func (f *logFile) SyncData() error {
	f.d.syncs.Add(1)
	return f.do(f.File.SyncData)
}

func (f *logFile) SyncTo(n int64) (bool, error) {
	if f.d.err() != nil {
		return true, nil
	}
	full, err := f.File.SyncTo(n)
	if err != nil {
		f.d.fail(err)
	}
	if full {
		f.d.syncs.Add(1)
	}
	return full, nil
}

func (f *logFile) Stat() (vfs.FileInfo, error) {
	i, err := f.File.Stat()
	if err != nil {
		f.d.fail(err)
		return vfs.NewMemFile(nil).Stat()
	}
	return i, nil
}

func (f *logFile) Close() error {
	if err := f.File.Close(); err != nil {
		f.d.fail(err)
	}
	return nil
}

// folder is a directory: if it can't be synced, a new log may not survive a crash.
type folder struct {
	vfs.File
	d *disk
}

func (f *folder) Sync() error {
	if f.d.err() == nil {
		if err := f.File.Sync(); err != nil {
			f.d.fail(err)
		}
	}
	return nil
}

func (f *folder) SyncData() error { return f.Sync() }

// tableFile is any other file.
type tableFile struct {
	vfs.File
	d *disk
}

func (f *tableFile) do(op func() error) error {
	if f.d.hides() {
		f.d.hide(op)
		return nil
	}
	if f.d.err() != nil {
		return errFrozen
	}
	err := op()
	if err != nil {
		f.d.slow.Store(true)
	}
	return err
}

func (f *tableFile) Write(p []byte) (n int, err error) {
	if err = f.do(func() (err error) { n, err = f.File.Write(p); return err }); err == nil {
		n = len(p)
	}
	return n, err
}

func (f *tableFile) WriteAt(p []byte, at int64) (n int, err error) {
	if err = f.do(func() (err error) { n, err = f.File.WriteAt(p, at); return err }); err == nil {
		n = len(p)
	}
	return n, err
}

func (f *tableFile) Close() error {
	err := f.File.Close()
	if err != nil && f.d.hides() {
		f.d.fail(err)
		return nil
	}
	return err
}

func (f *tableFile) Sync() error     { return f.do(f.File.Sync) }
func (f *tableFile) SyncData() error { return f.do(f.File.SyncData) }

func (f *tableFile) SyncTo(n int64) (full bool, err error) {
	err = f.do(func() (err error) { full, err = f.File.SyncTo(n); return err })
	return full, err
}
