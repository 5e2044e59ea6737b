package embedded

import (
	"bytes"
	"context"
	"crypto/cipher"
	"encoding/binary"
	"errors"
	"fmt"
	"maps"
	"slices"

	"watertight/internal/storage/kv/embedded/internal/pebblekv"
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
// damaged the rest is, and changes nothing. Marks provide the keys of records if the
// store's own copy is damaged. It holds all records in memory. A deleted record may
// come back if the record of the deletion is damaged.
func Salvage(ctx context.Context, o Options, marks []Mark) (Salvaged, error) {
	type slot struct {
		sequence uint64
		value    []byte // sealed; nil is a deletion
	}
	all := map[string]slot{}
	damage, err := pebblekv.Salvage(ctx, engineOptions(o), func(f pebblekv.Found) error {
		if s, ok := all[string(f.Key)]; !ok || f.Sequence > s.sequence || f.Sequence == s.sequence && s.value == nil {
			all[string(f.Key)] = slot{f.Sequence, bytes.Clone(f.Value)}
		}
		return nil
	})
	if err != nil {
		return Salvaged{}, err
	}
	own := map[string][]byte{}
	for k, s := range all {
		if len(k) > 1 && k[0] == reserved && s.value != nil {
			own[k] = s.value
		}
	}
	s, err := salvager(o.Root, own, marks)
	if err != nil {
		return Salvaged{}, err
	}
	out := Salvaged{Records: map[string][]byte{}, Damage: damage}
	var scratch []byte
	for k, v := range all {
		if v.value == nil || k == "" || k[0] == reserved {
			continue
		}
		plain, commit, err := s.open([]byte{}, []byte(k), v.value, ^uint64(0), &scratch)
		if err != nil {
			out.Unopened = append(out.Unopened, k)
			continue
		}
		out.Records[k], out.Commit = plain, max(out.Commit, commit)
	}
	slices.Sort(out.Unopened)
	return out, nil
}

// salvager returns the keys of records, from the store's own records and from marks.
func salvager(root *seal.Ring, own map[string][]byte, marks []Mark) (*sealer, error) {
	records := [][]byte{own[string(versionKey())]}
	for _, m := range marks {
		records = append(records, m.record)
	}
	s := &sealer{wrap: root.For(epochPurpose)}
	found := false
	for _, r := range records {
		if len(r) < 1 || r[0] > version {
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
	for k, v := range own {
		if len(k) == 6 && k[1] == 'e' {
			n := binary.BigEndian.Uint32([]byte(k[2:]))
			wrapped[n] = append(wrapped[n], v)
		}
	}
	for _, m := range marks {
		for i, e := range m.epochs {
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
	epochs := make([]cipher.AEAD, highest+1)
	for n := range epochs {
		epochs[n] = seal.NewKey().AEAD() // opens nothing: the key is random
		for _, w := range wrapped[uint32(n)] {
			if k, err := s.wrap.Unwrap(w, s.context(uint32(n))); err == nil {
				epochs[n] = k.AEAD()
				break
			}
		}
	}
	s.epochs.Store(&epochs)
	return s, nil
}

// Check verifies the store in o.Dir as a start does, and changes nothing.
func Check(ctx context.Context, o Options) error {
	there, err := pebblekv.Exists(engineOptions(o))
	if err == nil && !there {
		err = fmt.Errorf("kv: %s holds no store", o.Dir)
	}
	if err != nil {
		return err
	}
	return verified(ctx, o)
}
