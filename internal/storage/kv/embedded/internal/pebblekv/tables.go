package pebblekv

import (
	"context"
	"errors"
	"fmt"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/sstable"
	"github.com/cockroachdb/pebble/v2/vfs"
	"golang.org/x/sys/unix"
)

// VerifyTables reads every table that is in use, without the engine's cache, and compares
// the checksum of each block. read is called before so many bytes are read; if it returns
// an error, VerifyTables ends. bad is called with the name of each file that is damaged or
// can't be read. Tables that the engine replaces in the meantime are skipped.
func (e *Engine) VerifyTables(
	ctx context.Context, read func(int64) error, bad func(file string, why error) error,
) error {
	done := map[string]bool{} // tables may share a file
	levels, err := e.db.SSTables()
	if err != nil {
		return err
	}
	for _, level := range levels {
		for _, table := range level {
			name := fmt.Sprintf("%06d.sst", uint64(table.BackingSSTNum))
			if done[name] {
				continue
			}
			done[name] = true
			stop, err := e.verifyTable(ctx, name, read)
			if stop != nil {
				return stop
			}
			if err != nil { // it may have been removed meanwhile
				used, serr := e.uses(name)
				if serr != nil {
					return serr
				}
				if !used {
					continue
				}
			}
			if err != nil {
				if err := bad(name, err); err != nil {
					return err
				}
			}
		}
	}
	return nil
}

// uses reports whether a table is still in use.
func (e *Engine) uses(name string) (bool, error) {
	levels, err := e.db.SSTables()
	for _, level := range levels {
		for _, table := range level {
			if fmt.Sprintf("%06d.sst", uint64(table.BackingSSTNum)) == name {
				return true, nil
			}
		}
	}
	return false, err
}

// verifyTable reads one table. stop ends VerifyTables; err is what is wrong with this
// table. The open file stays readable after its name was removed.
func (e *Engine) verifyTable(ctx context.Context, name string, read func(int64) error) (stop, err error) {
	f, err := e.disk.Open(e.disk.PathJoin(e.dir, name), fromDisk{})
	if err != nil {
		return ctx.Err(), err
	}
	from := &paced{File: f, ctx: ctx, read: read}
	readable, err := sstable.NewSimpleReadable(from)
	if err != nil {
		return from.stop, errors.Join(err, f.Close())
	}
	var o pebble.Options
	o.EnsureDefaults() // what tune does not set: the order of keys and their schema
	r, err := sstable.NewReader(ctx, readable, o.MakeReaderOptions())
	if err != nil {
		return from.stop, errors.Join(err, readable.Close())
	}
	err = blocks(ctx, r)
	return from.stop, errors.Join(err, r.Close())
}

// fromDisk is a vfs.OpenOption that makes the system forget what it has of a file in memory.
// It is applied to the machine's own file, whatever lies above it.
type fromDisk struct{}

func (fromDisk) Apply(f vfs.File) {
	if fd := f.Fd(); fd != vfs.InvalidFd {
		_ = unix.Fadvise(int(fd), 0, 0, unix.FADV_DONTNEED) // only advice: if it fails, the bytes are read all the same
	}
}

// blocks reads all blocks of a table.
func blocks(ctx context.Context, r *sstable.Reader) error {
	if err := r.ValidateBlockChecksums(); err != nil {
		return err
	}
	l, err := r.Layout() // values in separate blocks are not among the data blocks
	if err != nil {
		return err
	}
	for _, b := range append(l.ValueBlock, l.ValueIndex) {
		if b.Length == 0 {
			continue
		}
		h, err := r.ReadValueBlockExternal(ctx, b)
		if err != nil {
			return err
		}
		h.Release()
	}
	return nil
}

// paced is a file that calls a function before each read.
type paced struct {
	vfs.File
	ctx  context.Context
	read func(int64) error
	stop error // the error that ended the reading
}

func (p *paced) ReadAt(b []byte, at int64) (int, error) {
	if p.stop == nil {
		p.stop = errors.Join(p.ctx.Err(), p.read(int64(len(b))))
	}
	if p.stop != nil {
		return 0, p.stop
	}
	return p.File.ReadAt(b, at)
}
