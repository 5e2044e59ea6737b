package object

import (
	"bytes"
	"encoding/binary"
	"fmt"

	"watertight/internal/core/bucket"
	"watertight/internal/core/change/record"
	"watertight/internal/core/payload"
	"watertight/internal/fault"
	"watertight/internal/storage/kv"
)

// slot identifies a key in a bucket, which has versions.
type slot struct {
	b   *bucket.Bucket
	key string
}

func pointers(b *bucket.Bucket, key string) []byte {
	return record.Key(pointerPrefix, string(b.ID[:]), "/", key)
}
func (s slot) pointer() []byte   { return pointers(s.b, s.key) }
func (s slot) nullIndex() []byte { return record.Key(nullPrefix, string(s.b.ID[:]), "/", s.key) }
func (s slot) guard() []byte     { return s.pointer() }

// versions is the prefix of the keys of all versions.
func (s slot) versions() []byte {
	const number = 8 // room for a version's number
	id := bucket.VersionsOf(s.b.ID)
	k := make([]byte, 0, len(id)+len(s.key)+1+number)
	return append(append(append(k, id...), s.key...), 0)
}

func (s slot) version(seq uint64) []byte { return record.Big(s.versions(), ^seq) }

func inlineKey(u unique) []byte  { return record.Key(inlinePrefix, string(u[:])) }
func blobKey(name string) []byte { return record.Key(blobPrefix, name) }

// payloadUnique is what the payload of a version is bound to and lies under. A version
// that was decoded from a current pointer does not know it.
func (v *version) payloadUnique() unique {
	if v.payload != (unique{}) {
		return v.payload
	}
	return v.unique
}

// binding binds the data key of a version or an upload to its key and bucket.
func binding(id bucket.ID, u unique, key string) []byte {
	return record.Key("watertight object\x00", string(id[:]), string(u[:]), key)
}

func (s slot) binding(v *version) []byte { return binding(s.b.ID, v.payloadUnique(), s.key) }

func (s slot) partBinding(upload unique, number int) []byte {
	return partBinding(s.b.ID, upload, number, s.key)
}

// at returns the version with a number, or nil if there is none.
func (s slot) at(r kv.Reader, seq uint64) (*version, error) {
	b, err := r.Get(s.version(seq))
	if err != nil || b == nil {
		return nil, err
	}
	v, err := decodeVersion(b)
	if err == nil && (v.seq != seq || v.whole) {
		err = malformed()
	}
	return v, err
}

// mustAt is at for a version that another record refers to.
func (s slot) mustAt(r kv.Reader, seq uint64) (*version, error) {
	v, err := s.at(r, seq)
	if err == nil && v == nil {
		err = s.lost(seq)
	}
	return v, err
}

// newest returns the full record of the newest version, which may be a delete marker, or
// nil if there is none.
func (s slot) newest(r kv.Reader) (*version, error) {
	from := s.versions()
	return first(r, from, record.After(from))
}

// below returns the newest version that is older than number seq, a delete marker included;
// nil if there is none.
func (s slot) below(r kv.Reader, seq uint64) (*version, error) {
	if s.b.Versioning == bucket.Off {
		return nil, nil
	}
	return first(r, record.After(s.version(seq)), record.After(s.versions()))
}

// first returns the first version from <= key < to; nil if there is none.
func first(r kv.Reader, from, to []byte) (*version, error) {
	for p, err := range r.Scan(from, to) {
		if err != nil {
			return nil, err
		}
		return decodeVersion(bytes.Clone(p.Value))
	}
	return nil, nil
}

// head returns the newest version, which may be a delete marker, or nil if there is none.
// For an object, only the fields of a current pointer are set.
func (s slot) head(r kv.Reader) (*version, error) {
	b, err := r.Get(s.pointer())
	if err != nil {
		return nil, err
	}
	if b != nil {
		return decodeVersion(b)
	}
	if s.b.Versioning == bucket.Off { // there can't be delete markers
		return nil, nil
	}
	return s.newest(r)
}

// current returns the full record of the current object. If a delete marker is current, it
// returns marker instead. Both are nil if there is no version.
func (s slot) current(r kv.Reader) (object, marker *version, err error) {
	b, err := r.Get(s.pointer())
	if err != nil {
		return nil, nil, err
	}
	if b == nil {
		if s.b.Versioning != bucket.Off {
			marker, err = s.newest(r)
		}
		return nil, marker, err
	}
	p, err := decodeVersion(b)
	if err != nil || p.whole {
		return p, nil, err
	}
	v, err := s.mustAt(r, p.seq)
	return v, nil, err
}

// lost is the error for a version that does not exist although another record refers to it.
func (s slot) lost(seq uint64) error {
	return fault.Internal(fmt.Errorf("object: version %d of a key in bucket %q is missing", seq, s.b.Name))
}

// null returns the null version, or nil if there is none. head is the newest version.
func (s slot) null(r kv.Reader, head *version) (*version, error) {
	if head == nil || head.null {
		return head, nil
	}
	if s.b.Versioning == bucket.Off {
		return nil, nil
	}
	b, err := r.Get(s.nullIndex())
	if err != nil || b == nil {
		return nil, err
	}
	if len(b) != 8 {
		return nil, malformed()
	}
	v, err := s.at(r, binary.BigEndian.Uint64(b))
	if err == nil && (v == nil || !v.null) {
		err = s.lost(binary.BigEndian.Uint64(b))
	}
	return v, err
}

// byID returns the full record of the version with an id, or nil if there is none.
func (s slot) byID(r kv.Reader, id string) (*version, error) {
	if id == NullVersion {
		head, err := s.head(r)
		if err != nil {
			return nil, err
		}
		v, err := s.null(r, head)
		if err != nil || v == nil {
			return nil, err
		}
		if v, err = s.at(r, v.seq); err == nil && v == nil {
			err = s.lost(head.seq)
		}
		return v, err
	}
	seq, u, err := parseID(id)
	if err != nil {
		return nil, err
	}
	v, err := s.at(r, seq)
	if err != nil || v == nil || v.unique != u || v.null {
		return nil, err
	}
	return v, nil
}

// push makes v the newest version; head is the newest one until then. It removes the version
// that v replaces by the rules of the bucket's versioning state (S3 user guide, "How S3
// Versioning works") on behalf of r, before it writes anything. It returns the bytes to
// remove after the commit. Errors: those of remove.
func (s slot) push(tx kv.Tx, head, v *version, inline []byte, r removal) (gone []garbage, err error) {
	v.seq = uint64(max(1, v.modified.UnixMicro()))
	if head != nil {
		v.seq = max(v.seq, head.seq+1)
	}
	if v.null = s.b.Versioning != bucket.Enabled; v.null {
		old, err := s.null(tx, head)
		if err != nil {
			return gone, err
		}
		if old != nil {
			if gone, err = s.remove(tx, old, r); err != nil {
				return gone, err
			}
		}
	} else if head != nil && head.null {
		tx.Set(s.nullIndex(), record.Big(nil, head.seq))
	}
	b := v.encode()
	tx.Set(s.version(v.seq), b)
	if v.deleteMarker {
		forget(tx, s.pointer())
		return gone, nil
	}
	tx.Set(s.pointer(), v.pointerOf(b))
	if v.shared {
		return gone, nil // its payload is there, see share
	}
	if v.inline {
		tx.Set(inlineKey(v.unique), inline)
	}
	if v.blob != "" {
		tx.Set(blobKey(v.blob), s.version(v.seq))
	}
	return gone, nil
}

// promote makes v current, the newest version that is left, if it is an object. v was read
// whole.
func (s slot) promote(tx kv.Tx, v *version) {
	if v == nil || v.deleteMarker {
		forget(tx, s.pointer())
	} else {
		tx.Set(s.pointer(), v.pointer())
	}
}

// rewrite replaces the record of a version, and the current pointer if that points to it.
func (s slot) rewrite(tx kv.Tx, v *version) error {
	b := v.encode()
	tx.Set(s.version(v.seq), b)
	return repoint(tx, s.pointer(), v, b)
}

// repoint replaces the current pointer at a key if it points to v, whose new record is encoded.
func repoint(tx kv.Tx, pointer []byte, v *version, encoded []byte) error {
	b, err := tx.Get(pointer)
	if err != nil || b == nil {
		return err
	}
	seq, err := pointerSeq(b)
	if err == nil && seq == v.seq {
		tx.Set(pointer, v.pointerOf(encoded))
	}
	return err
}

func (v *version) location() payload.Location {
	return payload.Location{Blob: v.blob, Size: v.size, Key: v.dataKey, Sum: v.sealedSum}
}
