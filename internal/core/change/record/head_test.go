package record

import (
	"bytes"
	"errors"
	"testing"

	"google.golang.org/protobuf/encoding/protowire"
)

// walked is a Head as Fields reads it.
func walked(b []byte, known uint64) (number [HeadFields]uint64, value [HeadFields][]byte, err error) {
	f := Read(b)
	for f.Next() {
		if n := f.Number; n >= 64 || known>>n&1 == 0 { // 0, a kind that is not used here, is never known
			f.Keep(nil)
		} else if n < HeadFields {
			number[n], value[n] = f.Uint, f.Bytes
		}
	}
	return number, value, f.Err()
}

// FuzzHead: a Head has what Fields has, and the same error.
func FuzzHead(f *testing.F) {
	usual := Bytes(Uint(Uint(Start(nil), 1, 1<<60), 3, 1), 6, []byte("sum"))
	for _, b := range [][]byte{
		nil, {Format}, {9}, {Format, 0}, {Format, 0x0a}, {Format, 0x0a, 5, 1}, {Format, 0x08}, {Format, 0x08, 0x80},
		{Format, 0x0b}, {Format, 0x08, 1, 0x0a, 0}, usual, Uint(usual, 3, 300), String(usual, 15, "x"),
		String(usual, 16, "y"), Uint(usual, 38, 1), Uint(usual, 40, 1), Uint(usual, 64, 1), Uint(usual, 1023, 1),
		String(usual, Ancillary, "later"), Uint(usual, protowire.MaxValidNumber, 1),
		protowire.AppendFixed64(protowire.AppendTag(usual, 3, protowire.Fixed64Type), 7),
		protowire.AppendFixed32(protowire.AppendTag(usual, Ancillary, protowire.Fixed32Type), 7),
		append(bytes.Clone(usual), 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1, 1),
	} {
		f.Add(b, uint64(1<<39-1))
		f.Add(b, uint64(1<<3|1<<6))
	}
	var h Head // of the record before
	f.Fuzz(func(t *testing.T, b []byte, known uint64) {
		known &^= 1
		number, value, want := walked(b, known)
		err := h.Read(b, known)
		if !errors.Is(err, want) {
			t.Fatalf("%v, want %v", err, want)
		}
		for n := range HeadFields {
			if err == nil && (h.Uint[n] != number[n] || !bytes.Equal(h.Bytes(n), value[n])) {
				t.Fatalf("field %d: %d %q, want %d %q", n, h.Uint[n], h.Bytes(n), number[n], value[n])
			}
		}
	})
}
