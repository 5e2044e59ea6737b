package pebblekv

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/batchrepr"
	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/wal"

	"watertight/internal/storage/kv/embedded/internal/engine"
)

var errReadOnly = errors.New("pebblekv: the files are read only")

// View says how much of an engine OpenReadOnly shows.
type View uint8

const (
	// Whole shows everything, with the log replayed in memory.
	Whole View = iota
	// TablesOnly shows the state before the first batch of the log.
	TablesOnly
)

// OpenReadOnly opens the engine in o.Dir without changing any file: no lock,
// no recovery, nothing removed. Nothing else may be writing to it.
func OpenReadOnly(o Options, v View) (*Engine, error) {
	o.Failed = func(error) {}
	e := &Engine{dir: o.Dir, disk: newDisk(readOnlyFS{o.fs(), v}, o), lock: io.NopCloser(nil)}
	options := tune(o.Logger, e.disk)
	options.ReadOnly, options.CacheSize = true, 8<<20
	if err := e.start(o.Dir, options); err != nil {
		return nil, err
	}
	return e, nil
}

// LogBytes returns the size of the logs, whose contents the engine writes again when it is opened.
func LogBytes(o Options) (n int64, err error) {
	names, err := o.fs().List(o.Dir)
	for _, name := range names {
		if !isLog(name) {
			continue
		}
		info, serr := o.fs().Stat(o.fs().PathJoin(o.Dir, name))
		if serr == nil {
			n += info.Size()
		}
		err = errors.Join(err, serr)
	}
	return n, err
}

// readOnlyFS is a read-only file system.
type readOnlyFS struct {
	vfs.FS
	view View
}

func (l readOnlyFS) Unwrap() vfs.FS { return l.FS }

// List leaves out what must not be read: the logs, if only tables are wanted.
func (l readOnlyFS) List(dir string) ([]string, error) {
	names, err := l.FS.List(dir)
	if l.view == Whole {
		return names, err
	}
	return slices.DeleteFunc(names, isLog), err
}

func (l readOnlyFS) Create(string, vfs.DiskWriteCategory) (vfs.File, error) { return nil, errReadOnly }
func (l readOnlyFS) Link(string, string) error                              { return errReadOnly }
func (l readOnlyFS) OpenReadWrite(string, vfs.DiskWriteCategory, ...vfs.OpenOption) (vfs.File, error) {
	return nil, errReadOnly
}
func (l readOnlyFS) Remove(string) error         { return errReadOnly }
func (l readOnlyFS) RemoveAll(string) error      { return errReadOnly }
func (l readOnlyFS) Rename(string, string) error { return errReadOnly }
func (l readOnlyFS) ReuseForWrite(string, string, vfs.DiskWriteCategory) (vfs.File, error) {
	return nil, errReadOnly
}
func (l readOnlyFS) MkdirAll(string, os.FileMode) error { return errReadOnly }

// Log yields the batches of the logs, oldest first. Some of the logs may already be
// in the tables, and the ends of logs may be missing.
func Log(o Options, yield func(engine.Change) error) error {
	logs, err := wal.Scan(wal.Dir{FS: o.fs(), Dirname: o.Dir})
	if err != nil {
		return err
	}
	for _, l := range logs {
		if err := readLog(l, yield); err != nil {
			return err
		}
	}
	return nil
}

// readLog stops where the log can't be read any further. Pebble, which has replayed the
// log, decides whether that is its real end.
func readLog(l wal.LogicalLog, yield func(engine.Change) error) (err error) {
	r := l.OpenForRead()
	defer func() { err = errors.Join(err, r.Close()) }()
	var buf bytes.Buffer
	for {
		record, _, err := r.NextRecord()
		if err == nil {
			buf.Reset()
			_, err = io.Copy(&buf, record)
		}
		if err != nil || buf.Len() < batchrepr.HeaderLen {
			return nil
		}
		if err := eachChange(buf.Bytes(), yield); err != nil {
			return err
		}
	}
}

func eachChange(batch []byte, yield func(engine.Change) error) error {
	for r := batchrepr.Read(batch); ; {
		kind, key, value, ok, err := r.Next()
		if err != nil || !ok {
			return err
		}
		c := engine.Change{Key: key, Value: value}
		switch kind {
		case pebble.InternalKeyKindSet:
		case pebble.InternalKeyKindDelete:
			c.Value = nil
		case pebble.InternalKeyKindLogData: // a checkpoint writes one, which changes no record
			continue
		default:
			return fmt.Errorf("pebblekv: a log holds a change of kind %d", kind)
		}
		if err := yield(c); err != nil {
			return err
		}
	}
}

// hidden reports the engine's OPTIONS files. They are written anew at every start
// and say nothing that this program does not know, so damage to them must not keep
// a store from opening.
func hidden(name string) bool { return strings.HasPrefix(name, "OPTIONS-") }
