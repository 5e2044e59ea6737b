package record

import (
	"bytes"
	"testing"
	"time"

	"google.golang.org/protobuf/encoding/protowire"
	"pgregory.net/rapid"
)

func TestRoundTrip(t *testing.T) {
	at := time.Date(2026, 11, 23, 1, 2, 3, 456000, time.UTC)
	b := Start(nil)
	b = Uint(b, 1, 300)
	b = Bool(b, 2, true)
	b = Time(b, 3, at)
	b = Bytes(b, 4, []byte{0, 1})
	b = String(b, 5, "text")
	b = Pair(b, 6, "name", "")
	b = protowire.AppendFixed64(protowire.AppendTag(b, 7, protowire.Fixed64Type), 1) // a kind not used here
	b = Uint(b, 8, 8)
	f := Read(b)
	var seen []protowire.Number
	for f.Next() {
		seen = append(seen, f.Number)
		name, value, _ := f.Pair()
		ok := true
		switch f.Number {
		case 1:
			ok = f.Uint == 300
		case 3:
			ok = f.Time().Equal(at)
		case 4:
			ok = bytes.Equal(f.Bytes, []byte{0, 1})
		case 5:
			ok = string(f.Bytes) == "text"
		case 6:
			ok = name == "name" && value == ""
		}
		if !ok {
			t.Errorf("field %d: %+v", f.Number, f)
		}
	}
	if f.Err() != nil || !bytes.Equal(numbers(seen), []byte{1, 2, 3, 4, 5, 6, 0, 8}) {
		t.Error(seen, f.Err())
	}
}

func numbers(n []protowire.Number) (b []byte) {
	for _, x := range n {
		b = append(b, byte(x))
	}
	return b
}

func TestZeroIsLeftOut(t *testing.T) {
	b := String(Bytes(Bool(Uint(Start(nil), 1, 0), 2, false), 3, nil), 4, "")
	if len(b) != 1 {
		t.Errorf("%x", b)
	}
}

func TestMalformed(t *testing.T) {
	for _, b := range [][]byte{nil, {}, {2}, {Format, 0}, {Format, 0x0a}, {Format, 0x0a, 5, 1}, {Format, 0x08}, {Format, 0x08, 0x80}, {Format, 0x0b}} {
		f := Read(b)
		for f.Next() {
		}
		if f.Err() == nil {
			t.Errorf("%x passes", b)
		}
	}
}

func FuzzRead(f *testing.F) {
	f.Add(Pair(Uint(Start(nil), 1, 7), 2, "a", "b"))
	f.Add([]byte{Format, 0x0a, 0xff})
	f.Fuzz(func(t *testing.T, b []byte) {
		r := Read(b)
		n := 0
		for r.Next() {
			n++
			r.Pair()
			r.Time()
		}
		if n > len(b) {
			t.Fatalf("%d fields in %d bytes", n, len(b))
		}
	})
}

func TestAfter(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		prefix := rapid.SliceOfN(rapid.SampledFrom([]byte{0, 1, 'a', 0xfe, 0xff}), 0, 4).Draw(t, "prefix")
		key := rapid.SliceOfN(rapid.SampledFrom([]byte{0, 1, 'a', 0xfe, 0xff}), 0, 6).Draw(t, "key")
		after := After(prefix)
		inside := bytes.Compare(key, prefix) >= 0 && (after == nil || bytes.Compare(key, after) < 0)
		if inside != bytes.HasPrefix(key, prefix) {
			t.Fatalf("prefix %x, after %x, key %x", prefix, after, key)
		}
	})
}
