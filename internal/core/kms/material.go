package kms

import (
	"crypto/hmac"
	"math"
	"sync"
	"sync/atomic"
	"time"

	"watertight/internal/core/change/record"
	"watertight/internal/fault"
	"watertight/internal/storage/kv"
	"watertight/internal/storage/seal"
)

// materialRecord is the record of one material of a key. When imported material is removed,
// its record stays without the wrapped bytes, because only the same material, which has the
// same id, can be imported again.
type materialRecord struct {
	id         MaterialID
	number     uint64 // from 1, in the order in which they became current
	wrapped    []byte // bound to key and material; nil if the material was removed
	generation uint32 // generation of the root key from which the wrapping key is derived
	created    time.Time
	how        Rotation
	kept       []byte
	// compared is set once the opened material was found to have this id. Only records in
	// the cache have it: the same bytes always open as the same material.
	compared *atomic.Bool
}

// Rotation says how a material became the current one. The numbers are stored.
type Rotation uint8

// The kinds of rotations. The first material of a key has none.
const (
	First     Rotation = 0
	Automatic Rotation = 1
	OnDemand  Rotation = 2
)

// Fields of a material's record. The numbers are stored.
const (
	fieldMaterialNumber     = 1
	fieldMaterialWrapped    = 2
	fieldMaterialGeneration = 3
	fieldMaterialCreated    = 4
	fieldMaterialHow        = 5
)

// wrapping derives the keys that wrap material, one for each generation of the root key.
type wrapping struct {
	root *seal.Ring
	keys sync.Map // by generation; derived from the root key, so they never change
}

// of returns the wrapping key of a generation.
func (w *wrapping) of(generation uint32) (*seal.Wrapper, bool) {
	if k, ok := w.keys.Load(generation); ok {
		return k.(*seal.Wrapper), true
	}
	root, ok := w.root.Of(generation)
	if !ok {
		return nil, false
	}
	k := root.Derive("watertight kms material").Wrapper()
	w.keys.Store(generation, k)
	return k, true
}

func (m *materialRecord) encode() []byte {
	r := record.Uint(record.Start(make([]byte, 0, 96)), fieldMaterialNumber, m.number)
	r = record.Bytes(r, fieldMaterialWrapped, m.wrapped)
	r = record.Uint(r, fieldMaterialGeneration, uint64(m.generation))
	r = record.Time(r, fieldMaterialCreated, m.created)
	r = record.Uint(r, fieldMaterialHow, uint64(m.how))
	return append(r, m.kept...)
}

func decodeMaterial(id MaterialID, value []byte) (*materialRecord, error) {
	m := &materialRecord{id: id}
	f := record.Read(value)
	for f.Next() {
		switch f.Number {
		case fieldMaterialNumber:
			m.number = f.Uint
		case fieldMaterialWrapped:
			m.wrapped = f.Bytes
		case fieldMaterialGeneration:
			m.generation = uint32(min(f.Uint, math.MaxUint32))
		case fieldMaterialCreated:
			m.created = f.Time()
		case fieldMaterialHow:
			if m.how = Rotation(min(f.Uint, 255)); m.how > OnDemand {
				f.Unknown()
			}
		default:
			m.kept = f.Keep(m.kept)
		}
	}
	if err := f.Err(); err != nil {
		return nil, fault.Internal(err)
	}
	if m.number == 0 || len(m.wrapped) != 0 && len(m.wrapped) != seal.WrappedSize {
		return nil, record.Malformed("material of a KMS key")
	}
	return m, nil
}

// readMaterial returns a material of a key, or nil if there is none.
func readMaterial(r kv.Reader, id string, m MaterialID) (*materialRecord, error) {
	v, err := r.Get(materialKey(id, m))
	if err != nil || v == nil {
		return nil, err
	}
	return decodeMaterial(m, v)
}

// materialsIn returns all materials of a key.
func materialsIn(r kv.Reader, id string) (all []*materialRecord, err error) {
	prefix := materialsOf(id)
	for p, err := range r.Scan(prefix, record.After(prefix)) {
		if err != nil {
			return nil, err
		}
		if len(p.Key) != len(prefix)+len(MaterialID{}) {
			return nil, record.Malformed("material of KMS key " + id)
		}
		m, err := decodeMaterial(MaterialID(p.Key[len(prefix):]), append([]byte(nil), p.Value...))
		if err != nil {
			return nil, err
		}
		all = append(all, m)
	}
	return all, nil
}

// idOf returns the id of a material of a key. It is a pseudorandom function of the
// material, so it discloses nothing about it.
func idOf(material seal.Key, key keyID) MaterialID {
	return material.Tag("watertight kms material id", key[:])
}

// materialContext appends what a wrapped material is bound to: its key and its id.
func materialContext(b []byte, key keyID, id MaterialID) []byte {
	return append(append(append(b, "watertight kms material\x00"...), key[:]...), id[:]...)
}

// newMaterial wraps a material of a key under the current generation. It must be called
// before a transaction begins; the caller holds the ring until the record is stored.
func (s *Store) newMaterial(key keyID, material seal.Key, at time.Time, how Rotation) *materialRecord {
	m := &materialRecord{
		id: idOf(material, key), generation: s.wrapping.root.Current().Number, created: at, how: how,
	}
	k, _ := s.wrapping.of(m.generation)
	m.wrapped = k.Wrap(material, materialContext(nil, key, m.id))
	return m
}

// openMaterial opens a material. It is never done inside a transaction or a view.
func (s *Store) openMaterial(key keyID, m *materialRecord) (material seal.Key, err error) {
	err = s.openMaterialTo(&material, nil, key, m)
	return material, err
}

// openMaterialTo is openMaterial to a place, with room for what the material is bound to,
// which may be nil. If it fails, the place is zero.
func (s *Store) openMaterialTo(to *seal.Key, room []byte, key keyID, m *materialRecord) error {
	k, ok := s.wrapping.of(m.generation)
	if !ok {
		return fault.Internal(seal.ErrCorrupt)
	}
	if err := k.UnwrapTo(to, m.wrapped, materialContext(room[:0], key, m.id)); err != nil {
		return fault.Internal(err)
	}
	if m.compared != nil && m.compared.Load() {
		return nil
	}
	if id := idOf(*to, key); !hmac.Equal(id[:], m.id[:]) {
		*to = seal.Key{}
		return fault.Internal(seal.ErrCorrupt)
	}
	if m.compared != nil {
		m.compared.Store(true)
	}
	return nil
}

// begin makes a material the current one.
func (k *keyRecord) begin(tx kv.Tx, m *materialRecord) {
	k.materials++
	m.number = k.materials
	k.current = m.id
	tx.Set(materialKey(k.id, m.id), m.encode())
}
