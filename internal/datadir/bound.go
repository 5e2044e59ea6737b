package datadir

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"time"

	"watertight/internal/core/change"
	"watertight/internal/core/change/record"
	"watertight/internal/fault"
	"watertight/internal/storage/folder"
	"watertight/internal/storage/kv"
	"watertight/internal/storage/kv/embedded"
	"watertight/internal/storage/rootkey"
)

// The records of this package:
//
//	z/keyring  which keyring belongs to the store, and how new it is at least
//	z/anchor   whether the store is anchored, see Anchor
func keyringKey() []byte { return []byte("z/keyring") }

// Fields of z/keyring. The numbers are stored.
const (
	fieldKeyringID     = 1
	fieldKeyringSerial = 2
)

func encodeKeyring(id [16]byte, serial uint64) []byte {
	return record.Uint(record.Bytes(record.Start(nil), fieldKeyringID, id[:]), fieldKeyringSerial, serial)
}

func decodeKeyring(value []byte) (id [16]byte, serial uint64, err error) {
	f := record.Read(value)
	for f.Next() {
		switch {
		case f.Number == fieldKeyringID && len(f.Bytes) == len(id):
			id = [16]byte(f.Bytes)
		case f.Number == fieldKeyringSerial:
			serial = f.Uint
		default:
			f.Unknown()
		}
	}
	if err = f.Err(); err != nil {
		err = fault.Internal(fmt.Errorf("datadir: what the store remembers of its keyring: %w", err))
	}
	return id, serial, err
}

// remembered calls fn with the value of a record; nil means that there is none.
func remembered(ctx context.Context, store kv.Store, key []byte, fn func(value []byte) error) error {
	return store.View(ctx, func(r kv.Reader) error {
		v, err := r.Get(key)
		if err != nil {
			return err
		}
		return fn(v)
	})
}

// checkKeyring refuses a keyring that is not the store's, or older than the one that the
// store knows: it may be opened by a source, or hold a generation, that was removed since.
func (p *Parts) checkKeyring(ctx context.Context, store kv.Store) error {
	if p.Keyring == nil {
		return nil
	}
	return remembered(ctx, store, keyringKey(), func(v []byte) error {
		if v == nil {
			return nil
		}
		id, serial, err := decodeKeyring(v)
		if err != nil {
			return err
		}
		path := filepath.Join(p.data, rootkey.KeyringFile)
		switch have, n := p.Keyring.Version(); {
		case have != id:
			return fmt.Errorf("%s is the keyring of another store", path)
		case n < serial:
			return fmt.Errorf("%s is an older keyring, the writing number %d; the store knows of number %d. Put the "+
				"newest one back: the copies beside blobs and audit may be it", path, n, serial)
		}
		return nil
	})
}

// rememberKeyring makes the store know the keyring as it is now. The keyring is always
// written before.
func (p *Parts) rememberKeyring(ctx context.Context, store kv.Store) error {
	if p.Keyring == nil || p.Keyring.Migrates() {
		return nil
	}
	id, serial := p.Keyring.Version()
	same := false
	err := remembered(ctx, store, keyringKey(), func(v []byte) error {
		same = string(v) == string(encodeKeyring(id, serial))
		return nil
	})
	if err != nil || same {
		return err
	}
	return change.Background(ctx, store, "which keyring belongs to the store", func(tx kv.Tx) error {
		tx.Set(keyringKey(), encodeKeyring(id, serial))
		return nil
	})
}

// full reports whether an error only says that the disk has no room.
func full(err error) bool {
	var f *fault.Error
	return errors.As(err, &f) && f.Kind == fault.KindFull
}

// markInterval is the shortest time between two writings of the markers of a running server.
const markInterval = 5 * time.Second

// KeepMarked brings the markers up to date with the store every few seconds in which it
// changed, until ctx ends, so that an older store beside the blobs of today is refused. What
// a marker says is durable in the store before, and the marker beside the blobs is written
// first, so whatever a crash leaves is accepted. told is called with the result of each writing;
// after an error the older markers stay, which are still true.
func (p *Parts) KeepMarked(ctx context.Context, store kv.Store, told func(error)) {
	tick := time.NewTicker(markInterval)
	defer tick.Stop()
	for marked := uint64(0); ; {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		now := store.Durable()
		if now == marked {
			continue
		}
		err := p.rememberKeyring(ctx, store)
		if full(err) {
			err = nil
		}
		if err = errors.Join(err, p.Mark(store)); ctx.Err() != nil {
			return
		}
		if told(err); err == nil {
			marked = now
		}
	}
}

// mark writes the marker into every part that exists.
func (p *Parts) mark(marker []byte) error {
	for _, dir := range p.marked() {
		if err := embedded.WriteMarker(p.files, dir, marker); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("marking %s: %w", dir, err)
		}
	}
	return nil
}

// Mark brings the markers up to date with the store. If a marker can't be
// written, the older one stays, which is still valid.
func (p *Parts) Mark(s kv.Store) error {
	m, ok := s.(embedded.Marked)
	if !ok {
		return nil
	}
	p.marking.Lock()
	defer p.marking.Unlock()
	return p.mark(m.Marker())
}

// unmark removes the markers of a store that was never finished. It removes the metadata
// after them, because a marker without metadata would mean that a store is missing.
func (p *Parts) unmark() error {
	for _, dir := range p.marked() {
		err := p.files.Remove(filepath.Join(dir, embedded.MarkerFile))
		if err == nil {
			err = folder.Sync(p.files, dir)
		}
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	return nil
}
