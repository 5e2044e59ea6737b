package embedded

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"hash"
	"io/fs"
	"time"

	"watertight/internal/storage/kv"
	"watertight/internal/storage/kv/embedded/internal/pebblekv"
)

// A store of an older format, which was verified, is copied record by record into a folder
// beside it (following). Then the two folders are renamed, and when the new store is open,
// the old one is removed (place.go). The new store has the id of the old one, its newest
// commit and its chain; each record keeps the number of its commit.
const (
	migrateBatch = 1 << 20         // bytes
	reportEvery  = 5 * time.Second // how often progress is logged
)

// migration copies the records of a store.
type migration struct {
	o        Options // of the new store
	from     *store
	id       *identity
	bytes    int64 // in the files of the old store
	reported *time.Ticker
}

// migrate makes the new store, and returns its identity once the store is durable and was
// read back. It does not change the old one.
func migrate(ctx context.Context, o Options) (_ *identity, err error) {
	from, err := openReadOnly(ctx, o, nil)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, from.Close()) }()
	m := &migration{o: o, from: from, id: newIdentity(o.Root, from.legacy.id)}
	m.reported = time.NewTicker(reportEvery)
	defer m.reported.Stop()
	m.o.Dir += following
	if m.bytes, err = folderBytes(o); err != nil {
		return nil, err
	}
	if need := m.bytes + m.bytes/8 + startRoom; o.Enough != nil && !o.Enough(need) {
		return nil, fmt.Errorf("kv: the store has format %d and has to be migrated to format %d, which copies its "+
			"records once: this needs %d MiB of free space until the old files are removed. Until there is room, the "+
			"program that wrote the store still serves it",
			from.legacy.format, version, need>>20+1)
	}
	from.log.Info("kv: the store is migrated to a new format", "from", from.legacy.format, "to", version,
		"bytes", m.bytes)
	if err := discard(m.o.disk(), m.o.Dir); err != nil {
		return nil, err
	}
	if err := begin(m.o, m.id); err != nil {
		return nil, err
	}
	if err := m.run(ctx); err != nil {
		return nil, errors.Join(fmt.Errorf("kv: migrating the store: %w", err), discard(m.o.disk(), m.o.Dir))
	}
	return m.id, nil
}

// folderBytes returns the size of the files in o.Dir.
func folderBytes(o Options) (n int64, err error) {
	names, err := o.disk().List(o.Dir)
	for _, name := range names {
		info, serr := o.disk().Stat(o.disk().PathJoin(o.Dir, name))
		if errors.Is(serr, fs.ErrNotExist) {
			continue
		}
		if err = errors.Join(err, serr); serr == nil {
			n += info.Size()
		}
	}
	return n, err
}

func (m *migration) run(ctx context.Context) error {
	written, err := m.copy(ctx)
	if err != nil {
		return err
	}
	m.from.log.Info("kv: all records are copied, and are read back", "records", written.records)
	to, err := openReadOnly(ctx, m.o, m.id)
	if err != nil {
		return err
	}
	read := newContents()
	err = errors.Join(m.each(ctx, to, func(p kv.Pair) error { read.add(p); return nil }), to.Close())
	if err == nil && (!read.equal(written) || to.Durable() != m.from.Durable() || to.chain.sum != m.from.chain.sum) {
		err = errors.New("what was written is not what is read back; look at the disk and at the memory")
	}
	return err
}

// copy writes all records and the chain to the new store.
func (m *migration) copy(ctx context.Context) (_ contents, err error) {
	failed := make(chan error, 1)
	eo := engineOptions(m.o, m.id)
	eo.Bulk, eo.Failed = true, func(err error) { failed <- err }
	e, err := pebblekv.Open(eo)
	if err != nil {
		return contents{}, err
	}
	defer func() { err = errors.Join(err, e.Close()) }()
	all, b, size := newContents(), e.Batch(), 0
	apply := func() error {
		if err := errors.Join(b.Apply(), b.Wait()); err != nil {
			return err
		}
		b.Close()
		b, size = e.Batch(), 0
		return nil
	}
	err = m.each(ctx, m.from, func(p kv.Pair) error {
		setValue(b, p.Commit, p.Key, p.Value)
		all.add(p)
		if size += len(p.Key) + len(p.Value); size < migrateBatch {
			return nil
		}
		m.report(all)
		return apply()
	})
	if err != nil {
		return all, err
	}
	c := chain{commit: m.from.chain.commit, sum: m.from.chain.sum}
	c.write(b)
	if err := errors.Join(apply(), e.Flush()); err != nil {
		return all, err
	}
	b.Close()
	return all, nil
}

// each calls fn with every record of a store, in the order of keys.
func (m *migration) each(ctx context.Context, s *store, fn func(kv.Pair) error) error {
	return s.View(ctx, func(r kv.Reader) error {
		for p, err := range r.Scan(nil, nil) {
			if err != nil {
				return err
			}
			if err := fn(p); err != nil {
				return err
			}
		}
		return nil
	})
}

func (m *migration) report(all contents) {
	select {
	case <-m.reported.C:
		m.from.log.Info("kv: the store is being migrated", "records", all.records, "bytes", all.bytes, "of", m.bytes)
	default:
	}
}

// contents sums up the records of a store.
type contents struct {
	records, bytes int64
	hash           hash.Hash
}

func newContents() contents { return contents{hash: sha256.New()} }

func (c *contents) add(p kv.Pair) {
	var head [24]byte
	binary.BigEndian.PutUint64(head[:], uint64(len(p.Key)))
	binary.BigEndian.PutUint64(head[8:], uint64(len(p.Value)))
	binary.BigEndian.PutUint64(head[16:], p.Commit)
	for _, b := range [][]byte{head[:], p.Key, p.Value} {
		c.hash.Write(b)
	}
	c.records++
	c.bytes += int64(len(p.Key) + len(p.Value))
}

func (c *contents) equal(o contents) bool {
	return c.records == o.records && string(c.hash.Sum(nil)) == string(o.hash.Sum(nil))
}
