package record

import (
	"bytes"
	"errors"
	"fmt"
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
	for i, b := range [][]byte{
		nil, {}, {2}, {Format, 0}, {Format, 0x0a}, {Format, 0x0a, 5, 1}, {Format, 0x08}, {Format, 0x08, 0x80},
		{Format, 0x0b},
	} {
		t.Run(fmt.Sprint(i), func(t *testing.T) {
			f := Read(b)
			for f.Next() {
			}
			if f.Err() == nil {
				t.Errorf("%x is accepted", b)
			}
		})
	}
}

// TestUnknownFields: a field that a later program wrote is kept byte for byte, or the
// record is refused. Only the field's number decides which.
func TestUnknownFields(t *testing.T) {
	const known = 1
	read := func(b []byte) (kept []byte, err error) {
		f := Read(b)
		for f.Next() {
			if f.Number != known {
				kept = f.Keep(kept)
			}
		}
		return kept, f.Err()
	}
	fixed := func(n protowire.Number) []byte {
		return protowire.AppendFixed64(protowire.AppendTag(nil, n, protowire.Fixed64Type), 7)
	}
	for _, c := range []struct {
		name  string
		field []byte
		kept  bool
	}{
		{"a number that may be kept", Uint(nil, Ancillary, 7), true},
		{"bytes that may be kept", Bytes(nil, Ancillary+1, []byte("later")), true},
		{"the largest number", String(nil, protowire.MaxValidNumber, "later"), true},
		{"another kind that may be kept", fixed(Ancillary), true},
		{"the last one that protects", Uint(nil, Ancillary-1, 7), false},
		{"the next free number", Bytes(nil, known+1, []byte("lock")), false},
		{"another kind that protects", fixed(known + 1), false},
		{"a known number of another kind", fixed(known), false},
	} {
		t.Run(c.name, func(t *testing.T) {
			b := append(Uint(Start(nil), known, 1), c.field...)
			kept, err := read(Uint(b, known, 2))
			if c.kept && (err != nil || !bytes.Equal(kept, c.field)) {
				t.Errorf("%x becomes %x, %v", c.field, kept, err)
			}
			if !c.kept && !errors.Is(err, ErrUnknown) {
				t.Errorf("%x is accepted: %v", c.field, err)
			}
			if again, _ := read(append(Start(nil), kept...)); !bytes.Equal(again, kept) {
				t.Errorf("kept twice, %x is %x", kept, again)
			}
		})
	}
}

func FuzzRead(f *testing.F) {
	f.Add(Pair(Uint(Start(nil), 1, 7), 2, "a", "b"))
	f.Add([]byte{Format, 0x0a, 0xff})
	f.Fuzz(func(t *testing.T, b []byte) {
		r := Read(b)
		n := 0
		var kept []byte
		for r.Next() {
			n++
			r.Pair()
			kept = r.Keep(kept)
			r.Time()
		}
		if n > len(b) || len(kept) > len(b) {
			t.Fatalf("%d fields, %d bytes kept, in %d bytes", n, len(kept), len(b))
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
