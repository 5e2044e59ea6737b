// Package record is the stored form of the core's records: a format byte, then fields in
// the Protocol Buffers wire format, so that fields can be added to a record. Fields with
// the value zero are left out. It must never know what a record means.
//
// What a reader does with a field that it does not know depends only on the field's number,
// so that a later program decides what an older one may do (decision 0041). If the number
// is below Ancillary, the reader refuses the record; otherwise it keeps the field and
// writes it again.
package record

import (
	"encoding/binary"
	"errors"
	"math"
	"time"

	"google.golang.org/protobuf/encoding/protowire"
)

// Format is the first byte of every record.
const Format = 1

// Ancillary is the lowest number of fields that a program may skip without knowing them.
// Every field that protects, restricts or is needed to read the record correctly has a
// lower number.
const Ancillary protowire.Number = 1024

// ErrMalformed is the error for bytes that are not a record.
var ErrMalformed = errors.New("record: malformed")

// ErrUnknown is the error for a record with a field that its reader does not know and must
// not skip: a later program wrote it.
var ErrUnknown = errors.New("record: a later program wrote a field that this one must not pass over")

// Start begins a record.
func Start(dst []byte) []byte { return append(dst, Format) }

// Uint appends a number.
func Uint(dst []byte, n protowire.Number, v uint64) []byte {
	if v == 0 {
		return dst
	}
	return protowire.AppendVarint(protowire.AppendTag(dst, n, protowire.VarintType), v)
}

// Bool appends true.
func Bool(dst []byte, n protowire.Number, v bool) []byte {
	if !v {
		return dst
	}
	return Uint(dst, n, 1)
}

// Time appends a time in microseconds.
func Time(dst []byte, n protowire.Number, t time.Time) []byte {
	return Uint(dst, n, uint64(max(0, t.UnixMicro())))
}

// Bytes appends bytes.
func Bytes(dst []byte, n protowire.Number, v []byte) []byte {
	if len(v) == 0 {
		return dst
	}
	return protowire.AppendBytes(protowire.AppendTag(dst, n, protowire.BytesType), v)
}

// String appends a text.
func String(dst []byte, n protowire.Number, v string) []byte {
	if v == "" {
		return dst
	}
	return protowire.AppendString(protowire.AppendTag(dst, n, protowire.BytesType), v)
}

// Pair appends two texts as one field: the length of the first, then both.
func Pair(dst []byte, n protowire.Number, a, b string) []byte {
	dst = protowire.AppendTag(dst, n, protowire.BytesType)
	dst = protowire.AppendVarint(dst, uint64(protowire.SizeBytes(len(a))+len(b)))
	return append(protowire.AppendString(dst, a), b...)
}

// Fields walks the fields of a record:
//
//	f := record.Read(b)
//	for f.Next() { switch f.Number { ... } }
//	if err := f.Err(); err != nil { ... }
type Fields struct {
	Number protowire.Number
	Uint   uint64 // value of a number field
	Bytes  []byte // value of a bytes field; shares memory with the record

	b         []byte
	start, at int              // offsets of the field and of the next one
	number    protowire.Number // number of the field, of any kind
	err       error
}

// Read returns the fields of b.
func Read(b []byte) Fields {
	if len(b) == 0 || b[0] != Format {
		return Fields{err: ErrMalformed}
	}
	return Fields{b: b, at: 1}
}

// Next advances to the next field. It returns false at the end and at the first error.
func (f *Fields) Next() bool {
	b, at := f.b, f.at
	if at >= len(b) || f.err != nil {
		return false
	}
	f.start = at
	tag := uint64(b[at])
	if at++; tag >= 0x80 {
		tag, at = varint(b, f.start)
	}
	if at < 0 || tag>>3 > math.MaxInt32 || tag>>3 == 0 {
		return f.fail()
	}
	f.number = protowire.Number(tag >> 3)
	f.Number = f.number
	if kind := protowire.Type(tag & 7); kind != protowire.VarintType && kind != protowire.BytesType {
		f.Number, f.Uint, f.Bytes = 0, 0, nil
		f.at = skipOther(f.number, kind, b, at)
		return f.at >= 0 || f.fail()
	}
	v := uint64(0x80)
	if at < len(b) {
		v = uint64(b[at])
	}
	if v < 0x80 {
		at++
	} else if v, at = varint(b, at); at < 0 {
		return f.fail()
	}
	switch {
	case protowire.Type(tag&7) == protowire.VarintType:
		f.Uint, f.Bytes, f.at = v, nil, at
		return true
	case v > uint64(len(b)-at):
		return f.fail()
	}
	f.Uint, f.Bytes, f.at = 0, b[at:at+int(v)], at+int(v)
	return true
}

// varint decodes the number at an offset and returns the offset behind it, which is negative
// for an error. Callers decode numbers of one byte themselves: most are that short, and a call
// costs as much as the rest.
func varint(b []byte, at int) (uint64, int) {
	if at+1 < len(b) && b[at] >= 0x80 && b[at+1] < 0x80 {
		return uint64(b[at]&0x7f) | uint64(b[at+1])<<7, at + 2
	}
	v, n := protowire.ConsumeVarint(b[at:])
	if n < 0 {
		return 0, -1
	}
	return v, at + n
}

// skipOther returns the offset behind the value of a kind that this package does not write. It
// is negative for an error.
func skipOther(number protowire.Number, kind protowire.Type, b []byte, at int) int {
	n := protowire.ConsumeFieldValue(number, kind, b[at:])
	if n < 0 {
		return -1
	}
	return at + n
}

func (f *Fields) fail() bool {
	f.err = ErrMalformed
	return false
}

// Unknown stops with ErrUnknown. It is for a value that the reader does not know, and for
// records whose writers keep no unknown fields (see Keep).
func (f *Fields) Unknown() { f.err = ErrUnknown }

// Keep is for a field that the reader does not know. It appends an ancillary field to kept,
// which the caller appends to the record when it writes it again. For any other field it
// stops with ErrUnknown.
func (f *Fields) Keep(kept []byte) []byte {
	if f.number < Ancillary {
		f.err = ErrUnknown
		return kept
	}
	return append(kept, f.b[f.start:f.at]...)
}

// Err returns ErrMalformed or ErrUnknown if one of them stopped the loop.
func (f *Fields) Err() error { return f.err }

// Time returns the field as a time; 0 and a missing field are the zero time.
func (f *Fields) Time() time.Time { return TimeOf(f.Uint) }

// TimeOf is Fields.Time for a number that was read before.
func TimeOf(v uint64) time.Time {
	if v == 0 {
		return time.Time{}
	}
	return time.UnixMicro(int64(min(v, math.MaxInt64))).UTC()
}

// Int returns the field as an int, and MaxInt32 if it is larger.
func (f *Fields) Int() int { return int(min(f.Uint, math.MaxInt32)) }

// Pair returns the field as two texts.
func (f *Fields) Pair() (a, b string, ok bool) {
	first, n := protowire.ConsumeBytes(f.Bytes)
	if n < 0 {
		return "", "", false
	}
	return string(first), string(f.Bytes[n:]), true
}

// Key concatenates the parts of a record's key.
func Key(parts ...string) []byte {
	n := 0
	for _, p := range parts {
		n += len(p)
	}
	k := make([]byte, 0, n)
	for _, p := range parts {
		k = append(k, p...)
	}
	return k
}

// After returns the first key after all keys that begin with prefix, or nil if there is none.
func After(prefix []byte) []byte {
	for n := len(prefix); n > 0; n-- {
		if prefix[n-1] != 0xff {
			next := append(make([]byte, 0, n), prefix[:n]...)
			next[n-1]++
			return next
		}
	}
	return nil
}

// Big appends v as 8 bytes, big-endian, so that keys sort like numbers.
func Big(dst []byte, v uint64) []byte { return binary.BigEndian.AppendUint64(dst, v) }
