package object

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"

	"watertight/internal/core/bucket"
	"watertight/internal/core/change/record"
	"watertight/internal/core/keys"
	"watertight/internal/core/payload"
	"watertight/internal/storage/seal"
)

// Mended is what Mend found and did.
type Mended struct {
	Pointers   int              // current pointers that were written again or deleted
	References int              // references of blobs that were written again
	Broken     []string         // records that can't be read
	Later      []string         // records that a later program wrote, and that this one can't read
	Lost       []string         // objects whose bytes are missing
	Blobs      map[string]Owned // the blobs that objects and parts refer to
}

// Owned is a blob that a record refers to.
type Owned struct {
	Size int64  // in bytes, of the object or part
	Of   string // name for messages

	key     []byte // data key, wrapped
	binding []byte // nil if it isn't known
}

// Verify compares a blob with its record. It checks the length and, if read is set, every
// byte, unless that needs a customer's key or one of KMS.
func (o *Owned) Verify(f payload.File, root *seal.Ring, read bool) error {
	if size := seal.LayeredSize(o.Size, keys.Layers(o.key)); f.Size() != size {
		return fmt.Errorf("it has %d bytes, not %d", f.Size(), size)
	}
	if !read || o.binding == nil || !keys.Own(o.key) {
		return nil
	}
	key, err := keys.Recover(root, o.key, o.binding)
	if err != nil {
		return err
	}
	r := seal.NewReader(f, seal.StreamKey{Key: key}, o.Size)
	buf := make([]byte, seal.MaxSealedChunk)
	for n := int64(0); n == 0 || n*seal.ChunkSize < o.Size; n++ {
		if _, err := r.Chunk(uint64(n), buf); err != nil {
			return fmt.Errorf("from byte %d on: %w", n*seal.ChunkSize, err)
		}
	}
	return nil
}

// Mend repairs records that were saved from a damaged store. It trusts versions and parts,
// and rebuilds pointers and references from them. It drops records that can't be read.
func Mend(records map[string][]byte) Mended {
	m := mender{
		records: records, names: map[string]string{}, at: map[unique]string{}, uploads: map[unique]string{},
		pointers: map[string][]byte{}, nulls: map[string][]byte{},
		payloads: map[unique]string{}, shares: map[unique]*share{},
	}
	m.Blobs = map[string]Owned{}
	m.buckets()
	keys := slices.Sorted(maps.Keys(records))
	for _, k := range keys {
		if strings.HasPrefix(k, bucket.VersionPrefix) {
			m.sharing(k)
		}
	}
	for _, k := range keys {
		switch {
		case strings.HasPrefix(k, bucket.VersionPrefix):
			m.version(k)
		case strings.HasPrefix(k, uploadPrefix) && len(k) > uploadFixed:
			m.uploads[unique([]byte(k[len(k)-16:]))] = k
		}
	}
	for _, k := range keys {
		switch {
		case strings.HasPrefix(k, uploadPartPrefix):
			m.part(k, k, records[k], nil)
		case strings.HasPrefix(k, partListPrefix):
			m.parts(k)
		}
	}
	m.count(keys)
	m.point(keys)
	return m.Mended
}

const (
	bucketIDSize = 8
	uploadFixed  = 2 + bucketIDSize + 1 + 1 + 8 + 16
)

type mender struct {
	Mended
	records  map[string][]byte
	names    map[string]string // names of buckets, by id
	at       map[unique]string // key of the version's record
	payloads map[unique]string // key of the record of one version that has the payload
	shares   map[unique]*share // shared payloads
	uploads  map[unique]string // key of the upload's record
	pointers map[string][]byte
	nulls    map[string][]byte // index entries of null versions that are not the newest
	last     string            // the object of the version before this one
}

func (m *mender) buckets() {
	for k, b := range m.records {
		if name, ok := strings.CutPrefix(k, "b/"); ok {
			for f := record.Read(b); f.Next(); {
				if f.Number == 1 {
					m.names[string(f.Bytes)] = name
				}
			}
		}
	}
}

// version adds the version whose record is at k: v/ID/KEY, a zero byte, its number.
// Versions of a key come newest first.
func (m *mender) version(k string) {
	const fixed = 2 + bucketIDSize + 1 + 1 + 8
	v, err := decodeVersion(m.records[k])
	if len(k) < fixed || err != nil || ^binary.BigEndian.Uint64([]byte(k[len(k)-8:])) != v.seq {
		m.broken(k, err)
		return
	}
	id, key := k[2:2+bucketIDSize], k[2+bucketIDSize+1:len(k)-9]
	of := m.name(id, key)
	m.at[v.unique] = k
	m.payloads[v.payloadUnique()] = k
	refers := k
	if h := m.shares[v.payloadUnique()]; h != nil {
		refers = string(shareKey(v.payloadUnique()))
		h.count, h.id, h.key = h.count+1, bucket.ID([]byte(id)), key
		if !v.shared { // an older state of its record was saved
			v.shared = true
			m.records[k] = v.encode()
		}
	}
	if object := id + "/" + key; m.last != object {
		m.last = object
		if !v.deleteMarker {
			m.pointers[pointerPrefix+object] = v.pointerOf(slices.Clip(m.records[k]))
		}
	} else if v.null {
		m.nulls[nullPrefix+object] = binary.BigEndian.AppendUint64(nil, v.seq)
	}
	if v.inline && m.records[string(inlineKey(v.payloadUnique()))] == nil {
		m.Lost = append(m.Lost, of)
	}
	m.refer(v.blob, refers, Owned{v.size, of, v.dataKey, binding(bucket.ID([]byte(id)), v.payloadUnique(), key)})
}

// sharing notes whose payload the version at k shares.
func (m *mender) sharing(k string) {
	if v, err := decodeVersion(m.records[k]); err == nil && v.shared {
		m.shares[v.payloadUnique()] = &share{}
	}
}

// count makes the counts of shared payloads those that follow from the versions.
func (m *mender) count(keys []string) {
	for _, k := range keys {
		if !strings.HasPrefix(k, sharePrefix) {
			continue
		}
		var h *share
		if len(k) == len(sharePrefix)+len(unique{}) {
			h = m.shares[unique([]byte(k[len(sharePrefix):]))]
		}
		if h == nil || h.count == 0 {
			delete(m.records, k)
			m.References++
		}
	}
	for u, h := range m.shares {
		if k, b := string(shareKey(u)), h.encode(); h.count > 0 && !bytes.Equal(m.records[k], b) {
			m.records[k] = b
			m.References++
		}
	}
}

// broken takes in a record that can't be read. One that a later program wrote stays: what it
// says may protect it.
func (m *mender) broken(k string, why error) {
	if errors.Is(why, record.ErrUnknown) {
		m.Later = append(m.Later, k)
		return
	}
	m.Broken = append(m.Broken, k)
	delete(m.records, k)
}

// refer makes a blob refer back to the record at.
func (m *mender) refer(blob, at string, o Owned) {
	if blob == "" {
		return
	}
	m.Blobs[blob] = o
	if k := string(blobKey(blob)); string(m.records[k]) != at {
		m.records[k] = []byte(at)
		m.References++
	}
}

// part adds a part whose record is at k. of returns its binding for its number; nil means a
// part of an upload in progress.
func (m *mender) part(k, at string, text []byte, of func(number int) []byte) {
	p, err := decodePart(text)
	if err != nil {
		m.broken(k, err)
		return
	}
	if of == nil && len(k) >= 2+16 {
		u := unique([]byte(k[2:18]))
		if up, ok := m.uploads[u]; ok {
			of = bindingOf(u, up[2:2+bucketIDSize], up[2+bucketIDSize+1:len(up)-25])
		}
	}
	o := Owned{Size: p.size, Of: fmt.Sprintf("part %d of %q", p.number, at), key: p.dataKey}
	if of != nil {
		o.binding = of(p.number)
	}
	m.refer(p.blob, at, o)
}

func bindingOf(u unique, id, key string) func(int) []byte {
	return func(number int) []byte { return partBinding(bucket.ID([]byte(id)), u, number, key) }
}

// parts adds a record of a version's parts. If the version does not exist, it was deleted:
// the blobs then refer to this record, and are removed together with it.
func (m *mender) parts(k string) {
	if len(k) < 2+16 {
		m.broken(k, nil)
		return
	}
	u := unique([]byte(k[2:18]))
	at, ok := m.payloads[u]
	var of func(int) []byte
	if ok {
		of = bindingOf(u, at[2:2+bucketIDSize], at[2+bucketIDSize+1:len(at)-9])
		if m.shares[u] != nil {
			at = string(shareKey(u))
		}
	} else {
		at = k
	}
	f := record.Read(m.records[k])
	for f.Next() {
		if f.Number == fieldParts {
			m.part(k, at, f.Bytes, of)
		}
	}
	if err := f.Err(); err != nil {
		m.broken(k, err)
	}
}

// samePointer reports whether a current pointer says the same as want, the one that this
// program would write. Earlier ones wrote none that are whole.
func samePointer(b, want []byte) bool {
	w, err := decodeVersion(want)
	if err != nil || b == nil {
		return false
	}
	if bytes.Equal(b, w.appendPointer(nil)) {
		return true
	}
	p, err := decodeVersion(b)
	return err == nil && reflect.DeepEqual(p, w)
}

// point rebuilds current pointers and the index of null versions from the versions. A
// pointer to a version that does not exist shows that a version is lost.
func (m *mender) point(keys []string) {
	for _, k := range keys {
		if !strings.HasPrefix(k, pointerPrefix) && !strings.HasPrefix(k, nullPrefix) {
			continue
		}
		want, old := m.pointers[k], m.records[k]
		if k[0] == 'u' {
			want = m.nulls[k]
		} else if p, err := decodeVersion(old); err == nil && m.at[p.unique] == "" && len(k) > 11 {
			m.Lost = append(m.Lost, m.name(k[2:10], k[11:]))
		}
		if want == nil {
			delete(m.records, k)
			m.Pointers++
		}
	}
	for _, all := range []map[string][]byte{m.pointers, m.nulls} {
		for k, p := range all {
			if !bytes.Equal(m.records[k], p) && !samePointer(m.records[k], p) {
				m.records[k] = p
				m.Pointers++
			}
		}
	}
	slices.Sort(m.Broken)
	slices.Sort(m.Later)
	slices.Sort(m.Lost)
}

// name returns an object's name for messages.
func (m *mender) name(id, key string) string {
	if name := m.names[id]; name != "" {
		return name + "/" + key
	}
	return fmt.Sprintf("%x/%s", id, key)
}
