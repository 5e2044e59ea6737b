package embedded

import (
	"bytes"
	"crypto/cipher"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"log/slog"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"

	"watertight/internal/storage/kv/embedded/internal/engine"
	"watertight/internal/storage/kv/embedded/internal/pebblekv"
	"watertight/internal/storage/seal"
)

// legacyStore writes a store as programs of formats 1 to 3 did.
type legacyStore struct {
	files  vfs.FS
	dir    string
	root   *seal.Ring
	id     seal.Key
	format byte

	e     *pebblekv.Engine
	chain chain
	epoch uint32
	aead  cipher.AEAD
	used  uint64
}

// open opens the engine and begins an epoch, as a start did.
func (l *legacyStore) open(t testing.TB) {
	t.Helper()
	e, err := pebblekv.Open(pebblekv.Options{
		Dir: l.dir, FS: l.files, Logger: slog.New(slog.DiscardHandler), Failed: func(err error) { t.Error(err) },
	})
	if err != nil {
		t.Fatal(err)
	}
	l.e = e
	l.write(t, func(b engine.Batch) {
		if l.epoch == 0 {
			l.chain.hash = sha256.New()
			record := append([]byte{l.format}, l.root.For(storePurpose).Wrap(l.id, versionKey())...)
			copy(b.Set(versionKey(), len(record)), record)
		}
		l.epoch++
		k := seal.NewKey()
		context := binary.BigEndian.AppendUint32(bytes.Clone(l.id[:]), l.epoch)
		wrapped := l.root.For(legacyEpochPurpose).Wrap(k, context)
		copy(b.Set(epochKey(l.epoch), len(wrapped)), wrapped)
		l.aead, l.used = k.AEAD(), 0
	})
}

func (l *legacyStore) set(b engine.Batch, key, value []byte) []byte {
	l.used++
	sealed := b.Set(key, legacyHeader+len(value)+legacyTag)
	sealed[0] = legacyValue
	binary.BigEndian.PutUint64(sealed[commitAt:], l.chain.commit)
	binary.BigEndian.PutUint32(sealed[legacyNonceAt:], l.epoch)
	binary.BigEndian.PutUint64(sealed[legacyNonceAt+4:], l.used)
	bound := append(bytes.Clone(sealed[:legacyHeader]), key...)
	l.aead.Seal(sealed[:legacyHeader], sealed[legacyNonceAt:legacyHeader], value, bound)
	return sealed
}

// write makes one batch with the chain's record.
func (l *legacyStore) write(t testing.TB, fn func(engine.Batch)) {
	t.Helper()
	b := l.e.Batch()
	if l.chain.hash == nil {
		l.chain.hash = sha256.New()
	}
	l.chain.begin()
	fn(b)
	l.chain.hash.Sum(l.chain.sum[:0])
	l.set(b, chainKey(), append(binary.BigEndian.AppendUint64(nil, l.chain.commit), l.chain.sum[:]...))
	if err := errors.Join(b.Apply(), b.Wait()); err != nil {
		t.Fatal(err)
	}
	b.Close()
}

// commit writes one record, or deletes it if value is nil.
func (l *legacyStore) commit(t testing.TB, key string, value []byte) {
	t.Helper()
	l.chain.commit++
	l.write(t, func(b engine.Batch) {
		if value == nil {
			b.Delete([]byte(key))
			l.chain.legacyAdd([]byte(key), nil)
			return
		}
		l.chain.legacyAdd([]byte(key), l.set(b, []byte(key), value))
	})
}

func (l *legacyStore) close(t testing.TB) {
	t.Helper()
	if err := l.e.Close(); err != nil {
		t.Fatal(err)
	}
}
