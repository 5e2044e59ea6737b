package embedded

import (
	"bytes"
	"cmp"
	"context"
	"crypto/cipher"
	"encoding/binary"
	"errors"
	"maps"
	"slices"
	"sync"

	"watertight/internal/storage/kv/embedded/internal/pebblekv"
	"watertight/internal/storage/kv/embedded/internal/sealedfs"
	"watertight/internal/storage/seal"
)

// Salvaged is what could be read from a damaged store.
type Salvaged struct {
	Records map[string][]byte // by key; authenticated
	Commit  uint64            // the newest commit of any record
	Damage  []Damage
	// Unopened are keys whose newest value does not authenticate.
	Unopened []string
}

// Damage is a part of a file that could not be read.
type Damage = pebblekv.Damage

// Salvage reads everything in o.Dir that authenticates under the root key, however
// damaged the rest is, and changes nothing. Marks provide the keys if the store's own copy
// is damaged. It holds all records in memory. A deleted record may come back if the record
// of the deletion is damaged.
func Salvage(ctx context.Context, o Options, marks []Mark) (Salvaged, error) {
	o.Marks = marks
	at, err := locate(o)
	if err != nil {
		return Salvaged{}, err
	}
	o.Dir = at.dir
	out := Salvaged{Records: map[string][]byte{}}
	if at.id != nil && !at.whole {
		out.Damage = append(out.Damage, Damage{File: o.disk().PathJoin(at.dir, storeFile),
			What: "the store's keys, which a marker has, too"})
	}
	all, err := out.collect(ctx, o, at.id)
	if err != nil {
		return Salvaged{}, err
	}
	open := func(_, stored []byte) ([]byte, uint64, error) { return storedValue(stored, ^uint64(0)) }
	if at.id == nil {
		l, err := salvager(o.Root, all, marks)
		if err != nil {
			return Salvaged{}, err
		}
		var scratch []byte
		open = func(key, stored []byte) ([]byte, uint64, error) { return l.open(key, stored, ^uint64(0), &scratch) }
	}
	for k, v := range all {
		if v.value == nil || k == "" || k[0] == reserved {
			continue
		}
		value, commit, err := open([]byte(k), v.value)
		if err != nil {
			out.Unopened = append(out.Unopened, k)
			continue
		}
		out.Records[k], out.Commit = value, max(out.Commit, commit)
	}
	slices.Sort(out.Unopened)
	return out, nil
}

// slot is the newest change of a key.
type slot struct {
	sequence uint64
	value    []byte // as it is stored; nil is a deletion
}

// collect reads the files of the engine.
func (s *Salvaged) collect(ctx context.Context, o Options, id *identity) (map[string]slot, error) {
	all := map[string]slot{}
	eo := engineOptions(o, id)
	var mu sync.Mutex
	seen := map[Damage]bool{}
	if id != nil {
		eo.Sealed = true
		eo.FS = sealedfs.New(o.disk(), id.files, sealedfs.Options{Salvage: true, Damaged: func(d sealedfs.Damage) {
			mu.Lock()
			defer mu.Unlock()
			seen[Damage{File: d.File, At: d.At, What: d.What}] = true
		}})
	}
	damage, err := pebblekv.Salvage(ctx, eo, func(f pebblekv.Found) error {
		if s, ok := all[string(f.Key)]; !ok || f.Sequence > s.sequence || f.Sequence == s.sequence && s.value == nil {
			all[string(f.Key)] = slot{f.Sequence, bytes.Clone(f.Value)}
		}
		return nil
	})
	mu.Lock()
	defer mu.Unlock()
	s.Damage = append(s.Damage, slices.SortedFunc(maps.Keys(seen), func(a, b Damage) int {
		return cmp.Or(cmp.Compare(a.File, b.File), cmp.Compare(a.At, b.At), cmp.Compare(a.What, b.What))
	})...)
	s.Damage = append(s.Damage, damage...)
	return all, err
}

// salvager returns the keys of records of an older format, from the store's own records and
// from marks.
func salvager(root *seal.Ring, all map[string]slot, marks []Mark) (*legacy, error) {
	records := [][]byte{all[string(versionKey())].value}
	for _, m := range marks {
		records = append(records, m.record)
	}
	s := &legacy{wrap: root.For(legacyEpochPurpose)}
	found := false
	for _, r := range records {
		if len(r) < 1 || r[0] > newestLegacy {
			continue
		}
		if id, err := root.For(storePurpose).Unwrap(r[1:], versionKey()); err == nil {
			s.id, found = id, true
			break
		}
	}
	if !found {
		return nil, errors.New(
			"kv: the store's id can't be read: the root key is another store's, or every copy of the id is damaged")
	}
	wrapped := map[uint32][][]byte{}
	for k, v := range all {
		if len(k) == 6 && k[0] == reserved && k[1] == 'e' && v.value != nil {
			n := binary.BigEndian.Uint32([]byte(k[2:]))
			wrapped[n] = append(wrapped[n], v.value)
		}
	}
	for _, m := range marks {
		for i, e := range m.keys {
			wrapped[uint32(i+1)] = append(wrapped[uint32(i+1)], e)
		}
	}
	const mostEpochs = 1 << 24
	highest := uint32(0)
	for n := range maps.Keys(wrapped) {
		if n < mostEpochs {
			highest = max(highest, n)
		}
	}
	s.epochs = make([]cipher.AEAD, highest+1)
	for n := range s.epochs {
		s.epochs[n] = seal.NewKey().AEAD() // opens nothing: the key is random
		for _, w := range wrapped[uint32(n)] {
			if k, err := s.wrap.Unwrap(w, s.context(uint32(n))); err == nil {
				s.epochs[n] = k.AEAD()
				break
			}
		}
	}
	return s, nil
}

// Check verifies the store in o.Dir as a start does, and changes nothing.
func Check(ctx context.Context, o Options) (err error) {
	defer func() { err = explain(o, err) }()
	at, err := locate(o)
	if err == nil && !at.exists {
		err = errNoStore(o)
	}
	if err != nil {
		return err
	}
	return verified(ctx, o, at)
}
