package payload

import (
	"context"
	"errors"
	"fmt"

	"watertight/internal/core/change"
	"watertight/internal/core/change/record"
	"watertight/internal/core/payload/internal/segment"
	"watertight/internal/fault"
	"watertight/internal/storage/kv"
)

// ReferencePrefix begins the keys of the records that say which version or part has a blob;
// the blob's name follows. A blob without such a record is not needed.
const ReferencePrefix = "r/"

// The name of a blob in a segment says where it was written first. Records say where it
// lies after it was moved, and which blob lies at a place. They are written by the
// transaction that moves the blob. When a blob is removed, they stay until the next survey.
const (
	placesPrefix = "t/"   // of all of them
	movedPrefix  = "t/n/" // NAME: where the blob was moved to
	placedPrefix = "t/s/" // PLACE: the name of the blob that was moved there
	nextKey      = "t/next"
)

// Fields of these records. The numbers are stored.
const (
	fieldSegment = 1 // of movedPrefix: number of the segment
	fieldUnit    = 2 // of movedPrefix: offset in the segment, in units
	fieldName    = 1 // of placedPrefix
	fieldNext    = 1 // of nextKey: the number of the next new segment
)

func movedKey(name string) []byte      { return record.Key(movedPrefix, name) }
func placedKey(p segment.Place) []byte { return record.Key(placedPrefix, p.String()) }
func referenceKey(name string) []byte  { return record.Key(ReferencePrefix, name) }
func malformed() error                 { return record.Malformed("payload: the place of a blob") }
func setPlace(tx kv.Tx, name string, p segment.Place) {
	r := record.Uint(record.Start(nil), fieldSegment, uint64(p.Segment))
	tx.Set(movedKey(name), record.Uint(r, fieldUnit, uint64(p.Unit)))
	tx.Set(placedKey(p), record.String(record.Start(nil), fieldName, name))
}

func decodePlace(b []byte) (p segment.Place, err error) {
	f := record.Read(b)
	for f.Next() {
		switch f.Number {
		case fieldSegment:
			p.Segment = uint32(f.Uint)
		case fieldUnit:
			p.Unit = uint32(f.Uint)
		default:
			f.Unknown()
		}
	}
	if err := f.Err(); err != nil {
		return p, fault.Internal(err)
	}
	if p.Segment == 0 || p.Unit == 0 {
		return p, malformed()
	}
	return p, nil
}

func decodeName(b []byte) (name string, err error) {
	f := record.Read(b)
	for f.Next() {
		if f.Number == fieldName {
			name = string(f.Bytes)
			continue
		}
		f.Unknown()
	}
	if err := f.Err(); err != nil {
		return "", fault.Internal(err)
	}
	if _, _, ok := segment.Parse(name); !ok {
		return "", malformed()
	}
	return name, nil
}

// movedTo returns where a blob was moved to; ok is false if it never was.
func movedTo(r kv.Reader, name string) (p segment.Place, ok bool, err error) {
	b, err := r.Get(movedKey(name))
	if err != nil || b == nil {
		return p, false, err
	}
	p, err = decodePlace(b)
	return p, err == nil, err
}

// placeOf returns where a blob in a segment lies.
func placeOf(r kv.Reader, name string) (segment.Place, error) {
	p, ok, err := movedTo(r, name)
	if !ok && err == nil {
		p, _, ok = segment.Parse(name)
		if !ok {
			err = malformed()
		}
	}
	return p, err
}

// Placed returns the name of a blob as OpenFile expects it: with its place, if the blob was
// moved.
func Placed(r kv.Reader, name string) (string, error) {
	if _, _, ok := segment.Parse(name); !ok {
		return name, nil
	}
	p, ok, err := movedTo(r, name)
	if !ok || err != nil {
		return name, err
	}
	return name + placeSign + p.String(), nil
}

// placeSign stands between the name of a blob and its place.
const placeSign = "@"

// number returns the number of the next new segment, which is never returned again.
func (s *Store) number(used uint32) (n uint32, err error) {
	err = change.Background(context.Background(), s.records, "a segment gets its number", func(tx kv.Tx) error {
		next, err := nextNumber(tx)
		if err != nil {
			return err
		}
		n = max(next, used+1)
		if n == 0 {
			return fault.Internal(errors.New("payload: there are no more numbers for segments"))
		}
		tx.Set([]byte(nextKey), record.Uint(record.Start(nil), fieldNext, uint64(n)+1))
		return nil
	})
	return n, err
}

// nextNumber returns the number of the next new segment, 0 if there never was one.
func nextNumber(r kv.Reader) (uint32, error) {
	b, err := r.Get([]byte(nextKey))
	if err != nil || b == nil {
		return 0, err
	}
	return decodeNext(b)
}

func decodeNext(b []byte) (uint32, error) {
	n := uint64(0)
	f := record.Read(b)
	for f.Next() {
		if f.Number == fieldNext {
			n = f.Uint
			continue
		}
		f.Unknown()
	}
	if err := f.Err(); err != nil {
		return 0, fault.Internal(err)
	}
	if n == 0 || n > 1<<32-1 {
		return 0, fault.Internal(fmt.Errorf("payload: the next segment has number %d", n))
	}
	return uint32(n), nil
}
