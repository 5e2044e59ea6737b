package object

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"maps"
	"slices"
	"strings"

	"watertight/internal/core/change/record"
	"watertight/internal/storage/seal"
)

// Mended is what Mend found and did.
type Mended struct {
	Pointers   int              // current pointers made from versions, or taken away
	References int              // references from blobs made anew
	Broken     []string         // records that can't be read
	Lost       []string         // objects whose bytes are missing
	Blobs      map[string]Owned // the blobs that objects and parts refer to
}

// Owned is a blob that a record refers to.
type Owned struct {
	Size int64  // in bytes, sealed
	Of   string // for people
}

// Mend brings records that were saved from a damaged store in order: versions
// and parts are what counts, and what follows from them, pointers and
// references, is made from them. Records that can't be read are taken away.
func Mend(records map[string][]byte) Mended {
	m := mender{records: records, names: map[string]string{}, at: map[unique]string{}, pointers: map[string][]byte{}, nulls: map[string][]byte{}}
	m.Blobs = map[string]Owned{}
	m.buckets()
	keys := slices.Sorted(maps.Keys(records))
	for _, k := range keys {
		if strings.HasPrefix(k, "v/") {
			m.version(k)
		}
	}
	for _, k := range keys {
		switch {
		case strings.HasPrefix(k, "p/"):
			m.part(k, k, records[k])
		case strings.HasPrefix(k, "q/"):
			m.parts(k)
		}
	}
	m.point(keys)
	return m.Mended
}

type mender struct {
	Mended
	records  map[string][]byte
	names    map[string]string // of buckets, by id
	at       map[unique]string // key of the version
	pointers map[string][]byte
	nulls    map[string][]byte // where the null version is not the newest
	last     string            // the object of the version before
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

// version takes in the version at k: v/ID/KEY, a zero byte, its number. The
// newest of a key comes first.
func (m *mender) version(k string) {
	const id, fixed = 8, 2 + 8 + 1 + 1 + 8
	v, err := decodeVersion(m.records[k])
	if len(k) < fixed || err != nil || ^binary.BigEndian.Uint64([]byte(k[len(k)-8:])) != v.seq {
		m.broken(k)
		return
	}
	bucket, key := k[2:2+id], k[2+id+1:len(k)-9]
	of := m.name(bucket, key)
	m.at[v.unique] = k
	if object := bucket + "/" + key; m.last != object {
		m.last = object
		if !v.deleteMarker {
			m.pointers["c/"+object] = v.pointer()
		}
	} else if v.null {
		m.nulls["u/"+object] = binary.BigEndian.AppendUint64(nil, v.seq)
	}
	if v.inline && m.records[string(inlineKey(v.unique))] == nil {
		m.Lost = append(m.Lost, of)
	}
	m.refer(v.blob, v.size, k, of)
}

func (m *mender) broken(k string) {
	m.Broken = append(m.Broken, k)
	delete(m.records, k)
}

// refer sets what a blob refers back to.
func (m *mender) refer(blob string, size int64, at, of string) {
	if blob == "" {
		return
	}
	m.Blobs[blob] = Owned{seal.SealedSize(size), of}
	if k := string(blobKey(blob)); string(m.records[k]) != at {
		m.records[k] = []byte(at)
		m.References++
	}
}

func (m *mender) part(k, at string, text []byte) {
	p, err := decodePart(text)
	if err != nil {
		m.broken(k)
		return
	}
	m.refer(p.blob, p.size, at, fmt.Sprintf("part %d of %x", p.number, at))
}

// parts takes in a record of a version's parts. One without its version is
// being buried, and refers to what is removed with it.
func (m *mender) parts(k string) {
	if len(k) < 2+16 {
		m.broken(k)
		return
	}
	at, ok := m.at[unique([]byte(k[2:18]))]
	if !ok {
		at = k
	}
	f := record.Read(m.records[k])
	for f.Next() {
		if f.Number == fieldParts {
			m.part(k, at, f.Bytes)
		}
	}
	if f.Err() != nil {
		m.broken(k)
	}
}

// point makes current pointers and the index of null versions those that follow
// from the versions. A pointer to a version that is newer than all there are
// tells that one is lost.
func (m *mender) point(keys []string) {
	for _, k := range keys {
		if !strings.HasPrefix(k, "c/") && !strings.HasPrefix(k, "u/") {
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
			if !bytes.Equal(m.records[k], p) {
				m.records[k] = p
				m.Pointers++
			}
		}
	}
	slices.Sort(m.Broken)
	slices.Sort(m.Lost)
}

// name is an object's for people.
func (m *mender) name(bucket, key string) string {
	if name := m.names[bucket]; name != "" {
		return name + "/" + key
	}
	return fmt.Sprintf("%x/%s", bucket, key)
}
