package object

import (
	"encoding/binary"
	"fmt"
	"time"

	"watertight/internal/core/bucket"
	"watertight/internal/core/change/record"
	"watertight/internal/core/payload"
	"watertight/internal/fault"
	"watertight/internal/storage/digest"
	"watertight/internal/storage/kv"
)

// part is a part of an upload, or of the version that the upload became.
type part struct {
	number   int
	unique   unique // names its bytes
	inline   bool
	size     int64
	md5      [16]byte
	modified time.Time
	checksum Checksum // of the part only
	dataKey  []byte
	blob     string

	sealedSum []byte // the checksum, if digests are hidden
	kept      []byte // unknown fields of the record, see record.Fields.Keep
}

// Fields of a part's record. The numbers are stored, here and below: they may be
// added to, never changed.
const (
	fieldPartNumber    = 1
	fieldPartUnique    = 2
	fieldPartFlags     = 3
	fieldPartSize      = 4
	fieldPartMD5       = 5
	fieldPartModified  = 6
	fieldPartAlgorithm = 7
	fieldPartSum       = 8
	fieldPartDataKey   = 9
	fieldPartBlob      = 10
	fieldPartSealedSum = 11
)

// Fields of a record of a version's parts. The fields before the parts say whether the
// parts must be read.
const (
	fieldListCount = 1
	fieldListLast  = 2
	fieldListSize  = 3
	fieldParts     = 28 // repeated: a part's record
)

// partList summarizes one record of a version's parts.
type partList struct {
	count int
	last  int   // number of the last part
	size  int64 // bytes of all its parts

	kept []byte // unknown fields of the record, see record.Fields.Keep
}

// partsPerRecord bounds a record of a version's parts to about 64 KiB.
const partsPerRecord = 256

// uploadParts is the prefix of the keys of an upload's parts.
func uploadParts(upload unique) []byte { return record.Key(uploadPartPrefix, string(upload[:]), "/") }

func partKey(upload unique, number int) []byte {
	return binary.BigEndian.AppendUint16(uploadParts(upload), uint16(number))
}

// versionParts is the prefix of the keys of a version's lists of parts.
func versionParts(version unique) []byte { return record.Key(partListPrefix, string(version[:]), "/") }

// partsKey is the key of the record of a version's parts that begins with the n-th.
func partsKey(version unique, n int) []byte {
	return binary.BigEndian.AppendUint32(versionParts(version), uint32(n))
}

// eachUploadPart calls fn for the parts of an upload, in order, from a number on. It stops
// when fn returns false.
func eachUploadPart(r kv.Reader, upload unique, from int, fn func(*part) bool) error {
	for pair, err := range r.Scan(partKey(upload, from), record.After(uploadParts(upload))) {
		if err != nil {
			return err
		}
		p, err := decodePart(pair.Value)
		if err != nil || !fn(p) {
			return err
		}
	}
	return nil
}

func (p *part) location() payload.Location {
	return payload.Location{Blob: p.blob, Size: p.size, Key: p.dataKey, Sum: p.sealedSum}
}

// partBinding binds a part's data key to its upload and its number, so that no part can
// replace another one.
func partBinding(id bucket.ID, upload unique, number int, key string) []byte {
	b := record.Key("watertight part\x00", string(id[:]), string(upload[:]))
	return append(binary.BigEndian.AppendUint16(b, uint16(number)), key...)
}

func (p *part) etag() ETag { return ETag{Sum: p.md5} }

func (p *part) encode(r []byte) []byte {
	r = record.Start(r)
	r = record.Uint(r, fieldPartNumber, uint64(p.number))
	r = record.Bytes(r, fieldPartUnique, p.unique[:])
	r = record.Bool(r, fieldPartFlags, p.inline)
	r = record.Uint(r, fieldPartSize, uint64(p.size))
	r = record.Bytes(r, fieldPartMD5, p.md5[:])
	r = record.Time(r, fieldPartModified, p.modified)
	r = record.Uint(r, fieldPartAlgorithm, algorithmNumber(p.checksum.Algorithm))
	if p.sealedSum == nil {
		r = record.Bytes(r, fieldPartSum, p.checksum.Sum)
	}
	r = record.Bytes(r, fieldPartSealedSum, p.sealedSum)
	r = record.Bytes(r, fieldPartDataKey, p.dataKey)
	return append(record.String(r, fieldPartBlob, p.blob), p.kept...)
}

func decodePart(b []byte) (*part, error) {
	p := &part{}
	ok := true
	f := record.Read(b)
	for f.Next() {
		switch f.Number {
		case fieldPartNumber:
			p.number = int(f.Uint)
			ok = ok && f.Uint <= maxParts
		case fieldPartUnique:
			ok = ok && copy(p.unique[:], f.Bytes) == len(p.unique)
		case fieldPartFlags:
			p.inline = f.Uint != 0
		case fieldPartSize:
			p.size = int64(f.Uint)
			ok = ok && f.Uint < sizeLimit
		case fieldPartMD5:
			ok = ok && copy(p.md5[:], f.Bytes) == len(p.md5)
		case fieldPartModified:
			p.modified = f.Time()
		case fieldPartAlgorithm:
			p.checksum.Algorithm = algorithmName(f.Uint)
		case fieldPartSum:
			p.checksum.Sum = append([]byte(nil), f.Bytes...)
		case fieldPartDataKey:
			p.dataKey = append([]byte(nil), f.Bytes...)
		case fieldPartBlob:
			p.blob = string(f.Bytes)
		case fieldPartSealedSum:
			p.sealedSum = append([]byte(nil), f.Bytes...)
		default:
			p.kept = f.Keep(p.kept)
		}
	}
	if err := f.Err(); err != nil {
		return nil, unreadable(err)
	}
	if !ok || p.number == 0 || p.unique == (unique{}) || p.sealedSum != nil && p.checksum.Sum != nil {
		return nil, malformed()
	}
	return p, nil
}

// writeParts writes the records of a version's parts, and makes their blobs refer to the version.
func writeParts(tx kv.Tx, v *version, at []byte, parts []*part) {
	for n := 0; n < len(parts); n += partsPerRecord {
		tx.Set(partsKey(v.payloadUnique(), n), encodeParts(parts[n:min(n+partsPerRecord, len(parts))]))
	}
	for _, p := range parts {
		if p.blob != "" {
			tx.Set(blobKey(p.blob), at)
		}
	}
}

func encodeParts(parts []*part) []byte {
	var size int64
	for _, p := range parts {
		size += p.size
	}
	r := record.Start(nil)
	r = record.Uint(r, fieldListCount, uint64(len(parts)))
	r = record.Uint(r, fieldListLast, uint64(parts[len(parts)-1].number))
	r = record.Uint(r, fieldListSize, uint64(size))
	for _, p := range parts {
		r = record.Bytes(r, fieldParts, p.encode(nil))
	}
	return r
}

// eachPart calls fn for the parts of a version, in order. It stops when fn returns false.
// It skips records for which skip returns true; skip may be nil.
func eachPart(r kv.Reader, v *version, skip func(partList) bool, fn func(*part) bool) error {
	prefix := versionParts(v.payloadUnique())
	n, more := 0, true
	for pair, err := range r.Scan(prefix, record.After(prefix)) {
		if err != nil {
			return err
		}
		l, err := partsOf(pair.Value, skip, func(p *part) bool {
			more = fn(p)
			return more
		})
		if err != nil || !more {
			return err
		}
		n += l.count
	}
	if n != int(v.etag.Parts) {
		return fault.Internal(fmt.Errorf("object: %d of %d parts are there", n, v.etag.Parts))
	}
	return nil
}

// partsOf calls fn for the parts of one record until fn returns false. If skip returns
// true, it calls fn for none of them.
func partsOf(b []byte, skip func(partList) bool, fn func(*part) bool) (l partList, err error) {
	f := record.Read(b)
	n := 0
	for f.Next() {
		switch f.Number {
		case fieldListCount:
			l.count = int(f.Uint)
		case fieldListLast:
			l.last = int(f.Uint)
		case fieldListSize:
			l.size = int64(f.Uint)
		case fieldParts:
			if n == 0 && skip != nil && skip(l) {
				return l, nil
			}
			p, err := decodePart(f.Bytes)
			if err != nil {
				return l, err
			}
			if n++; !fn(p) {
				return l, nil
			}
		default:
			l.kept = f.Keep(l.kept)
		}
	}
	if f.Err() != nil || n != l.count {
		return l, malformed()
	}
	return l, nil
}

// dropPart deletes the records that refer to the bytes of a part.
func dropPart(tx kv.Tx, p *part) []garbage {
	if p.inline {
		forget(tx, inlineKey(p.unique))
	}
	if p.blob == "" {
		return nil
	}
	forget(tx, blobKey(p.blob))
	return []garbage{{Location: p.location()}}
}

// sumOf returns the checksum of an object made of parts: that of the object's bytes if the
// type is FULL_OBJECT, else that of the parts' checksums. It is empty if a part has no
// checksum of the algorithm.
func sumOf(alg digest.Algorithm, kind ChecksumType, parts []*part) Checksum {
	for _, p := range parts {
		if p.checksum.Algorithm != alg || p.checksum.Sum == nil {
			return Checksum{}
		}
	}
	c := Checksum{Algorithm: alg, Type: kind}
	if kind == Composite {
		h := alg.New()
		for _, p := range parts {
			h.Write(p.checksum.Sum)
		}
		c.Sum, c.Parts = h.Sum(nil), uint32(len(parts))
		return c
	}
	j := alg.NewJoiner()
	for _, p := range parts {
		j.Add(p.checksum.Sum, p.size)
	}
	c.Sum = j.Sum()
	return c
}
