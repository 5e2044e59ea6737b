package embedded

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"hash"

	"watertight/internal/storage/kv/embedded/internal/engine"
	"watertight/internal/storage/seal"
)

// reserved is the first byte of the keys of the store's own records and of guards.
const reserved = 0x00

// version is the format of the store as a whole. The record with the version contains the
// version byte and the store's id, wrapped under the root key. The version increases with
// every change that an older program would not understand, or would lose when it writes a
// record again. Version 1 had no markers (see Marker), version 2 no keyring.
const (
	version = 3
	oldest  = 1
)

func versionKey() []byte { return []byte{reserved, 'v'} }
func chainKey() []byte   { return []byte{reserved, 'c'} }

// chain numbers the commits and hashes them. It belongs to the committer.
type chain struct {
	commit uint64
	sum    [32]byte
	hash   hash.Hash
	buf    []byte
}

const chainSize = 8 + 32

// Purposes of the root key.
const (
	storePurpose = "watertight kv store"
	epochPurpose = "watertight kv epoch"
)

// begin starts a group.
func (c *chain) begin() {
	c.hash.Reset()
	c.hash.Write(c.sum[:])
}

// add adds a change to the hash: its key and, for a value, the header and tag that
// represent it.
func (c *chain) add(key, sealed []byte) {
	c.buf = binary.BigEndian.AppendUint32(c.buf[:0], uint32(len(key)))
	c.buf = append(c.buf, key...)
	if sealed != nil {
		c.buf = append(c.buf, sealed[:headerSize]...)
		c.buf = append(c.buf, sealed[len(sealed)-tagSize:]...)
	}
	c.hash.Write(c.buf)
}

// end writes the record of the group.
func (c *chain) end(s *sealer, b engine.Batch) {
	c.hash.Sum(c.sum[:0])
	c.buf = binary.BigEndian.AppendUint64(c.buf[:0], c.commit)
	c.buf = append(c.buf, c.sum[:]...)
	s.set(b, c.commit, chainKey(), c.buf)
}

// restore reads the store's own records and continues from them.
func (s *store) restore(ctx context.Context, o Options) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	snap := s.engine.Snapshot()
	defer snap.Close()
	i, err := snap.Iterator()
	if err != nil {
		return err
	}
	defer i.Close()

	b := s.engine.Batch()
	s.chain.hash = sha256.New()
	if !i.Seek([]byte{reserved}, nil) && i.Err() == nil {
		s.create(o.Root, b)
		s.chain.commit = o.From
		if err := s.sealer.load(i); err != nil {
			return err
		}
	} else if err := s.recall(o, snap, i); err != nil {
		return err
	} else if s.format != version {
		s.create(o.Root, b)
	}
	if err := s.reached(o.AtLeast); err != nil {
		return err
	}
	s.sealer.begin(b)
	s.chain.begin()
	s.chain.end(&s.sealer, b)
	if err := b.Apply(); err != nil {
		return err
	}
	if err := b.Wait(); err != nil {
		return err
	}
	b.Close()
	return nil
}

// recall reads the records that the store keeps about itself.
func (s *store) recall(o Options, snap engine.Snapshot, i engine.Iterator) error {
	if err := s.identify(o.Root, snap); err != nil {
		return err
	}
	if err := s.sealer.load(i); err != nil {
		return err
	}
	return s.resume(snap)
}

// reached refuses a store whose newest commit is older than one that it is known to have had.
func (s *store) reached(commit uint64) error {
	if s.chain.commit < commit {
		return fmt.Errorf("kv: the store has lost its newest commits: found %d, anchor says %d", s.chain.commit, commit)
	}
	return nil
}

// create writes the version record of a new store, or of a store of an older format, which
// keeps its id.
func (s *store) create(root *seal.Ring, b engine.Batch) {
	if s.format == 0 {
		s.sealer.id = seal.NewKey()
	}
	s.format = version
	record := append([]byte{version}, root.For(storePurpose).Wrap(s.sealer.id, versionKey())...)
	s.record.Store(&record)
	copy(b.Set(versionKey(), len(record)), record)
}

// identify checks that this is a store of this program, under this root key.
func (s *store) identify(root *seal.Ring, snap engine.Snapshot) error {
	v, done, err := snap.Get(versionKey())
	if err != nil {
		return err
	}
	if done != nil {
		defer done.Close()
	}
	switch {
	case len(v) == 0:
		return errors.New("kv: the directory holds records, but not this program's version record")
	case v[0] < oldest || v[0] > version:
		return fmt.Errorf(
			"kv: the store has format %d, this program knows formats %d to %d; a newer program made it, use that one",
			v[0], oldest, version,
		)
	}
	id, err := root.For(storePurpose).Unwrap(v[1:], versionKey())
	if err != nil {
		return fmt.Errorf("kv: the root key is not this store's, or its version record is damaged: %w", err)
	}
	record := bytes.Clone(v)
	s.sealer.id, s.format = id, v[0]
	s.record.Store(&record)
	return nil
}

// resume reads the chain.
func (s *store) resume(snap engine.Snapshot) error {
	v, done, err := snap.Get(chainKey())
	if err != nil {
		return err
	}
	if done != nil {
		defer done.Close()
	}
	commit, sum, err := s.sealer.chained(v)
	if err != nil {
		return fmt.Errorf("kv: the record of the newest commit: %w", err)
	}
	s.chain.commit, s.chain.sum = commit, sum
	return nil
}

// chained opens a record of the chain.
func (s *sealer) chained(sealed []byte) (commit uint64, sum [32]byte, err error) {
	var scratch []byte
	plain, commit, err := s.open(nil, chainKey(), sealed, ^uint64(0), &scratch)
	if err == nil && (len(plain) != chainSize || binary.BigEndian.Uint64(plain) != commit) {
		err = seal.ErrCorrupt
	}
	if err != nil {
		return 0, sum, err
	}
	return commit, [32]byte(plain[8:]), nil
}
