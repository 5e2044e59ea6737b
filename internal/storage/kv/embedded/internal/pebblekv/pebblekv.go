// Package pebblekv is the embedded engine: Pebble, tuned for small values that are synced
// in groups and don't compress. It must never know what its records mean, nor how its files
// are sealed.
package pebblekv

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"runtime"
	"slices"
	"sync"
	"time"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/bloom"
	"github.com/cockroachdb/pebble/v2/vfs"

	"watertight/internal/storage/kv/embedded/internal/engine"
)

// Options says where the engine's files are.
type Options struct {
	Dir    string
	FS     vfs.FS // nil is the machine's file system
	Logger *slog.Logger
	Own    []string // names of files in Dir that are not the engine's
	// Sealed says that FS returns only what was written, or zeros.
	Sealed bool
	// Bulk is for filling a new engine: there is no log, nothing is durable until Flush, and
	// background work that fails is not tried again.
	Bulk bool
	// Failed is called once, from any goroutine, when the engine can no longer
	// write. Reads go on. Files are not changed until the next start.
	Failed func(error)
}

func (o Options) fs() vfs.FS {
	if o.FS == nil {
		return vfs.Default
	}
	return o.FS
}

// Engine is an open Pebble.
type Engine struct {
	db   *pebble.DB
	dir  string
	disk *disk
	bulk bool
	lock io.Closer // the lock on the folder; Pebble's own does nothing

	mu    sync.Mutex
	ended []*pebble.Snapshot // that are to be closed
}

// Open opens or creates the engine in o.Dir.
func Open(o Options) (*Engine, error) {
	fs := o.fs()
	e := &Engine{dir: o.Dir, disk: newDisk(fs, o), bulk: o.Bulk}
	if err := fs.MkdirAll(o.Dir, 0o700); err != nil {
		return nil, err
	}
	lock, err := fs.Lock(fs.PathJoin(o.Dir, "LOCK"))
	if err != nil {
		return nil, fmt.Errorf("pebblekv: %s is in use: %w", o.Dir, err)
	}
	e.lock = lock
	options := tune(o.Logger, e.disk)
	options.DisableWAL = o.Bulk
	if err := e.start(o.Dir, options); err != nil {
		return nil, err
	}
	return e, nil
}

// settling is how long an opening that has failed may take to end.
const settling = time.Second

// start opens Pebble. A fatal error ends the goroutine in which it occurs. A
// goroutine that waits for that one is left behind: it no longer changes any file.
func (e *Engine) start(dir string, options *pebble.Options) error {
	type result struct {
		db  *pebble.DB
		err error
	}
	opened := make(chan result, 1)
	go func() {
		var r result
		defer func() { opened <- r }()
		r.db, r.err = pebble.Open(dir, options)
	}()
	var r result
	select {
	case r = <-opened:
	case <-e.disk.broken:
		select {
		case r = <-opened:
		case <-time.After(settling):
		}
	}
	if fatal := e.disk.err(); fatal != nil && (r.err == nil || errors.Is(r.err, errFrozen)) {
		r.err = fatal
	}
	e.disk.started.Store(true)
	if r.err != nil || r.db == nil {
		close(e.disk.closed)
		if r.db != nil {
			go abandon(r.db)
		}
		return errors.Join(r.err, e.lock.Close())
	}
	e.db = r.db
	return nil
}

// abandon releases the memory of a Pebble whose disk froze while it was opened. It changes no file. If one of its
// goroutines has ended, it may wait for that one for ever.
func abandon(db *pebble.DB) {
	defer func() { _ = recover() }() // nobody uses it
	_ = db.Close()
}

// Memory that the engine takes, in bytes. Pebble takes the memory of its memtables out of
// its cache, and keeps two of them: the one that is being filled, and another that is being
// flushed or waits to be filled. If the cache were only as large as these two, it could
// hold no block of a table, and each record that is not in a memtable would be read from
// its file.
const (
	memTable   = 16 << 20
	blockCache = 48 << 20
	wholeCache = blockCache + 2*memTable
)

const (
	memtables = 4
	keptLogs  = memtables + 1 // how many old logs Pebble keeps to write over them
)

func tune(log *slog.Logger, d *disk) *pebble.Options {
	o := &pebble.Options{
		FS:                          d,
		Logger:                      logger{log, d},
		FormatMajorVersion:          pebble.FormatNewest,
		CacheSize:                   wholeCache,
		MemTableSize:                memTable,
		MemTableStopWritesThreshold: memtables,
		BytesPerSync:                1 << 20,
		WALBytesPerSync:             1 << 20,
		// Pebble counts each layer of level 0 twice. To wait for the third one halves what is read
		// and written again for each record; a read looks into one or two more filters.
		L0CompactionThreshold:      6,
		L0CompactionFileThreshold:  8,
		L0StopWritesThreshold:      1000,
		LBaseMaxBytes:              64 << 20,
		CompactionConcurrencyRange: func() (int, int) { return 1, max(1, min(4, runtime.GOMAXPROCS(0)/2)) },
		EventListener: &pebble.EventListener{
			BackgroundError: d.background(log),
			// The reader gets the error; Pebble's default would end the process.
			DataCorruption: func(i pebble.DataCorruptionInfo) {
				log.Error("engine: a file is corrupt", "what",
					i.String())
			},
		},
	}
	o.TargetFileSizes[0] = 4 << 20
	for i := range o.Levels {
		o.Levels[i].BlockSize = 8 << 10
		o.Levels[i].IndexBlockSize = 64 << 10
		o.Levels[i].FilterPolicy = bloom.FilterPolicy(10)
	}
	// Most of what is stored is sealed bytes, wrapped keys and random ids, which don't compress.
	o.ApplyCompressionSettings(func() pebble.DBCompressionSettings { return pebble.DBCompressionNone })
	return o
}

// Batch implements engine.Engine.
func (e *Engine) Batch() engine.Batch { return &batch{e: e, b: e.db.NewBatch()} }

// Snapshot implements engine.Engine.
func (e *Engine) Snapshot() engine.Snapshot { return &snapshot{e, e.db.NewSnapshot()} }

// heldSnapshots is how many snapshots that ended are closed at once. Pebble looks for
// compactions whenever the oldest one is closed, which would be after each group of commits.
const heldSnapshots = 64

// end closes a snapshot, or remembers it for later.
func (e *Engine) end(s *pebble.Snapshot) error {
	e.mu.Lock()
	e.ended = append(e.ended, s)
	enough := len(e.ended) >= heldSnapshots && e.disk.err() == nil // after a failure Pebble may hold its locks
	e.mu.Unlock()
	if enough {
		return e.closeEnded()
	}
	return nil
}

// closeEnded closes the snapshots that ended, the oldest one last.
func (e *Engine) closeEnded() error {
	e.mu.Lock()
	ended := e.ended
	e.ended = nil
	e.mu.Unlock()
	var errs []error
	for _, s := range slices.Backward(ended) {
		errs = append(errs, s.Close())
	}
	return errors.Join(errs...)
}

// Purge implements engine.Engine. It removes logs that Pebble would write over, because old
// contents would stay after the end of the new contents. Several purges may run at once.
func (e *Engine) Purge(ctx context.Context, from, to []byte) error {
	e.disk.purges.Add(1)
	defer e.disk.purges.Add(-1)
	for range keptLogs + 1 {
		if err := errors.Join(e.closeEnded(), e.db.Flush(), e.disk.err(), ctx.Err()); err != nil {
			return err
		}
	}
	return errors.Join(e.db.Compact(ctx, from, to, false), e.disk.err())
}

// Copy copies the engine to dir, which must not exist. The copy contains everything that
// was applied when Copy began. On the same file system, tables are linked instead of
// copied. A failure does not harm the engine.
func (e *Engine) Copy(dir string) error {
	if err := e.disk.err(); err != nil {
		return err
	}
	if err := e.db.Flush(); err != nil { // so that there is little of the log to copy
		return err
	}
	return e.db.Checkpoint(dir, pebble.WithFlushedWAL())
}

// Flush makes everything that was applied in bulk durable, in tables.
func (e *Engine) Flush() error { return e.inBulk(e.db.Flush) }

// inBulk runs f, or ends with the first failure of background work, for which f would wait.
func (e *Engine) inBulk(f func() error) error {
	done := make(chan error, 1)
	go func() { done <- f() }()
	select {
	case err := <-done:
		return errors.Join(err, e.disk.err())
	case <-e.disk.broken:
		return e.disk.err()
	}
}

// Syncs implements engine.Engine.
func (e *Engine) Syncs() uint64 { return e.disk.syncs.Load() }

// Unlock allows another engine to open the folder while this one, which has failed,
// still serves reads.
func (e *Engine) Unlock() error {
	if e.lock == nil {
		return nil
	}
	lock := e.lock
	e.lock = nil
	return lock.Close()
}

// Close implements engine.Engine. After a failure Pebble can't be closed cleanly:
// its goroutines may wait forever, but they no longer change any file.
func (e *Engine) Close() error {
	var err error
	if cause := e.disk.err(); cause != nil {
		err = fmt.Errorf("pebblekv: closed after a failure: %w", cause)
	} else if err = errors.Join(e.closeEnded(), e.db.Close()); err == nil {
		err = e.disk.err()
	}
	close(e.disk.closed)
	return errors.Join(err, e.Unlock())
}

type batch struct {
	e *Engine
	b *pebble.Batch
}

func (b *batch) Set(key []byte, n int) []byte {
	op := b.b.SetDeferred(len(key), n)
	copy(op.Key, key)
	op.Finish() // only indexed batches would read the value here
	return op.Value
}

func (b *batch) Delete(key []byte) { b.b.Delete(key, nil) } // fails only on a batch that is being applied

func (b *batch) Apply() (err error) {
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("pebblekv: %v", r)
			b.e.disk.fail(err)
		}
	}()
	if err := b.e.disk.err(); err != nil {
		return err
	}
	if b.e.bulk {
		return b.e.inBulk(func() error { return b.e.db.Apply(b.b, pebble.NoSync) })
	}
	return b.e.db.ApplyNoSyncWait(b.b, pebble.Sync)
}

func (b *batch) Wait() error {
	if b.e.bulk {
		return b.e.disk.err()
	}
	if err := b.b.SyncWait(); err != nil {
		b.e.disk.fail(err)
	}
	return b.e.disk.err()
}

func (b *batch) Close() { b.b.Close() }

type snapshot struct {
	e *Engine
	s *pebble.Snapshot
}

func (s *snapshot) Get(key []byte) ([]byte, io.Closer, error) {
	v, done, err := s.s.Get(key)
	if errors.Is(err, pebble.ErrNotFound) {
		return nil, nil, nil
	}
	return v, done, err
}

func (s *snapshot) Iterator() (engine.Iterator, error) {
	i, err := s.s.NewIter(&pebble.IterOptions{UseL6Filters: true}) // of which only Find knows
	if err != nil {
		return nil, err
	}
	return iterator{i}, nil
}

func (s *snapshot) Close() error { return s.e.end(s.s) }

type iterator struct{ i *pebble.Iterator }

func (i iterator) Seek(from, to []byte) bool {
	i.i.SetBounds(from, to)
	return i.i.SeekGE(from)
}

// Find uses the filters of all levels. Pebble's Get leaves out those of the last one, and reads a
// block there for each key that does not exist.
func (i iterator) Find(key []byte) bool {
	i.i.SetBounds(nil, nil)
	return i.i.SeekPrefixGE(key) && bytes.Equal(i.i.Key(), key)
}

func (i iterator) Next() bool             { return i.i.Next() }
func (i iterator) Key() []byte            { return i.i.Key() }
func (i iterator) Value() ([]byte, error) { return i.i.ValueAndErr() }
func (i iterator) Err() error             { return i.i.Error() }
func (i iterator) Close() error           { return i.i.Close() }

// logger passes Pebble's messages on. Fatalf must not return, because Pebble would
// go on with a state that it knows to be wrong. So it freezes the files and ends the
// goroutine, whose deferred calls release Pebble's locks.
type logger struct {
	log *slog.Logger
	d   *disk
}

func (l logger) Infof(format string, args ...any) {
	l.log.Debug("engine: " + fmt.Sprintf(format, args...))
}

func (l logger) Errorf(format string, args ...any) {
	l.log.Warn("engine: " + fmt.Sprintf(format, args...))
}

func (l logger) Fatalf(format string, args ...any) {
	err := fmt.Errorf("pebblekv: "+format, args...)
	l.log.Error("engine: it can't write any more; restart the server", "err", err)
	l.d.fail(err)
	runtime.Goexit()
}
