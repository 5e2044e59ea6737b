package embedded

import (
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

func chainKey() []byte { return []byte{reserved, 'c'} }

// chain numbers the commits and hashes them. It belongs to the committer.
type chain struct {
	commit uint64
	sum    [32]byte
	hash   hash.Hash
	buf    []byte
}

const chainSize = 8 + 32

// begin starts a group.
func (c *chain) begin() {
	c.hash.Reset()
	c.hash.Write(c.sum[:])
}

// add adds a change to the hash: its key and, for a value, all bytes that are stored.
func (c *chain) add(key []byte, stored ...[]byte) {
	c.buf = binary.BigEndian.AppendUint32(c.buf[:0], uint32(len(key)))
	c.buf = append(c.buf, key...)
	c.hash.Write(c.buf)
	for _, b := range stored {
		c.hash.Write(b)
	}
}

// end writes the record of the group.
func (c *chain) end(b engine.Batch) {
	c.hash.Sum(c.sum[:0])
	c.write(b)
}

func (c *chain) write(b engine.Batch) {
	c.buf = binary.BigEndian.AppendUint64(c.buf[:0], c.commit)
	c.buf = append(c.buf, c.sum[:]...)
	setValue(b, c.commit, chainKey(), c.buf)
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

	s.chain.hash = sha256.New()
	if !i.Seek([]byte{reserved}, nil) && i.Err() == nil {
		s.chain.commit = o.From
	} else if err := s.resume(snap); err != nil {
		return err
	}
	if err := s.reached(o.AtLeast); err != nil {
		return err
	}
	b := s.engine.Batch()
	s.chain.begin()
	s.chain.end(b)
	if err := b.Apply(); err != nil {
		return err
	}
	if err := b.Wait(); err != nil {
		return err
	}
	b.Close()
	return nil
}

// reached refuses a store whose newest commit is older than one that it is known to have had.
func (s *store) reached(commit uint64) error {
	if s.chain.commit < commit {
		return fmt.Errorf("kv: the store has lost its newest commits: found %d, anchor says %d", s.chain.commit, commit)
	}
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
	if v == nil {
		return errors.New("kv: the directory holds records, but not the record of the newest commit")
	}
	commit, sum, err := s.chained(v)
	if err != nil {
		return fmt.Errorf("kv: the record of the newest commit: %w", err)
	}
	s.chain.commit, s.chain.sum = commit, sum
	return nil
}

// chained reads a record of the chain.
func (s *store) chained(stored []byte) (commit uint64, sum [32]byte, err error) {
	var scratch []byte
	v, commit, err := s.value(chainKey(), stored, ^uint64(0), &scratch)
	if err == nil && (len(v) != chainSize || binary.BigEndian.Uint64(v) != commit) {
		err = seal.ErrCorrupt
	}
	if err != nil {
		return 0, sum, err
	}
	return commit, [32]byte(v[8:]), nil
}
