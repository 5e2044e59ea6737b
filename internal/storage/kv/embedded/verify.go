package embedded

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"log/slog"
	"syscall"

	"watertight/internal/storage/kv"
	"watertight/internal/storage/kv/embedded/internal/engine"
	"watertight/internal/storage/kv/embedded/internal/pebblekv"
	"watertight/internal/storage/kv/embedded/internal/sealedfs"
)

// Found is a store that was inspected and not changed.
type Found struct {
	New    bool // the store is being created
	Format byte // format of the program that wrote it last; format 1 had no markers
	ID     [16]byte
	Commit uint64   // its newest commit
	Marker []byte   // see Marked
	Store  kv.Store // for reading until Verified returns; it takes no Update
}

// OldFormat reports whether the store was written by a program without markers.
func (f Found) OldFormat() bool { return !f.New && f.Format == oldest }

// firstKeyed is the first format whose root key is in a keyring.
const firstKeyed = 3

// Keyed reports whether the store was written by a program with a keyring.
func (f Found) Keyed() bool { return f.New || f.Format >= firstKeyed }

// verified verifies the store that was located and changes no byte: whether the root key
// opens it, whether it reaches o.AtLeast, and whether the log follows the state in
// the tables, so that no file of the engine can be missing or an older one.
func verified(ctx context.Context, o Options, at place) error {
	o.Dir = at.dir
	s, err := openReadOnly(ctx, o, at.id)
	if err != nil {
		return err
	}
	if o.Verified != nil {
		f := s.found()
		f.Store = s
		err = o.Verified(f)
	}
	return errors.Join(err, s.Close())
}

// openReadOnly opens the store in o.Dir only for Views. A nil id is that of a store of an
// older format.
func openReadOnly(ctx context.Context, o Options, id *identity) (*store, error) {
	eo := engineOptions(o, id)
	s := newStore(o, id)
	s.readOnly = true
	s.fail(errReadOnly)
	e, err := pebblekv.OpenReadOnly(eo, pebblekv.Whole)
	if err != nil {
		return nil, engineFailed{"looking at", err}
	}
	s.engine = e
	snap := e.Snapshot()
	err = s.look(ctx, o, eo, snap)
	if err != nil {
		return nil, errors.Join(err, snap.Close(), e.Close())
	}
	s.begin(snap)
	return s, nil
}

func (s *store) look(ctx context.Context, o Options, eo pebblekv.Options, snap engine.Snapshot) error {
	if s.id == nil {
		var err error
		if s.legacy, err = readLegacy(o.Root, snap); err != nil {
			return err
		}
	}
	if err := s.resume(snap); err != nil {
		return err
	}
	if err := s.reached(o.AtLeast); err != nil {
		return err
	}
	tables, err := s.tables(eo)
	if err != nil {
		return err
	}
	return s.follows(ctx, eo, tables)
}

// tables returns the chain as it is in the tables, without the log.
func (s *store) tables(eo pebblekv.Options) (*chain, error) {
	t := &store{legacy: s.legacy}
	e, err := pebblekv.OpenReadOnly(eo, pebblekv.TablesOnly)
	if err != nil {
		return nil, engineFailed{"looking at", err}
	}
	snap := e.Snapshot()
	v, done, err := snap.Get(chainKey())
	if err == nil && v != nil {
		t.chain.commit, t.chain.sum, err = t.chained(v)
	}
	if done != nil {
		err = errors.Join(err, done.Close())
	}
	return &t.chain, errors.Join(err, snap.Close(), e.Close())
}

// engineOptions are those of the engine in o.Dir, whose files are sealed, or plain for a nil
// id. The engine must not be opened for writing without one.
func engineOptions(o Options, id *identity) pebblekv.Options {
	eo := pebblekv.Options{Dir: o.Dir, FS: o.disk(), Logger: o.Logger, Own: ownFiles()}
	if eo.Logger == nil {
		eo.Logger = slog.New(slog.DiscardHandler)
	}
	if id != nil {
		eo.FS = sealedfs.New(o.disk(), id.files, sealedfs.Options{})
	}
	return eo
}

func (s *store) found() Found {
	f := Found{Commit: s.chain.commit, Marker: s.marker(s.chain.commit)}
	if s.legacy != nil {
		f.Format, f.ID = s.legacy.format, publicID(s.legacy.id)
	} else {
		f.Format, f.ID = version, publicID(s.id.id)
	}
	return f
}

// errReadOnly is the error of a store that was opened without room to write.
var errReadOnly = fmt.Errorf("kv: the store is open for reading only: %w", syscall.ENOSPC)

var errGap = errors.New("kv: the log does not follow the tables: a file of the engine is missing, cut or an older one")

// follows checks that the log leads from the state in the tables to the state of the whole
// store. It skips batches that the tables already contain.
func (s *store) follows(ctx context.Context, eo pebblekv.Options, at *chain) error {
	at.hash = sha256.New()
	at.begin()
	err := pebblekv.Log(eo, func(c engine.Change) error {
		if len(c.Key) == 0 || c.Key[0] != reserved {
			switch {
			case s.legacy != nil:
				at.legacyAdd(c.Key, c.Value)
			case c.Value == nil:
				at.add(c.Key)
			default:
				at.add(c.Key, c.Value)
			}
			return nil
		}
		if string(c.Key) != string(chainKey()) {
			return nil
		}
		defer at.begin()
		commit, sum, err := s.chained(c.Value)
		if err != nil || commit > s.chain.commit {
			return errGap
		}
		var next [32]byte
		if at.hash.Sum(next[:0]); next == sum {
			at.commit, at.sum = commit, sum
		} else if commit > at.commit {
			return errGap
		}
		return ctx.Err()
	})
	if err == nil && at.sum != s.chain.sum {
		err = errGap
	}
	return err
}
