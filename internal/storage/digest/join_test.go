package digest

import (
	"bytes"
	"fmt"
	"testing"

	"pgregory.net/rapid"
)

func sumOf(a Algorithm, b []byte) []byte {
	h := a.New()
	h.Write(b)
	return h.Sum(nil)
}

// TestJoin: the joined checksum of two parts is that of the whole, wherever it is divided.
func TestJoin(t *testing.T) {
	for _, a := range All() {
		if j := a.NewJoiner(); (j != nil) != a.Joins() {
			t.Errorf("%s: there is a joiner where there should be none, or none where there should be one", a)
		}
		if !a.Joins() {
			continue
		}
		rapid.Check(t, func(t *rapid.T) {
			parts := rapid.SliceOfN(rapid.SliceOfN(rapid.Byte(), 0, 300), 0, 6).Draw(t, "parts")
			j := a.NewJoiner()
			for _, p := range parts {
				j.Add(sumOf(a, p), int64(len(p)))
			}
			if want := sumOf(a, bytes.Join(parts, nil)); !bytes.Equal(j.Sum(), want) {
				t.Fatalf("%s: %x, want %x", a, j.Sum(), want)
			}
		})
	}
}

// TestJoinLarge: sizes above 32 bits work: appending zeros in two steps equals
// appending them in one.
func TestJoinLarge(t *testing.T) {
	for i, a := range []Algorithm{CRC32, CRC32C, CRC64NVME} {
		t.Run(fmt.Sprint(i), func(t *testing.T) {
			const half = 5<<30 + 3
			one, two := a.NewJoiner(), a.NewJoiner()
			for _, n := range []int64{half, half} {
				two.crc = two.multiply(two.power(uint64(n)), max(two.crc, 1))
			}
			one.crc = one.multiply(one.power(2*half), 1)
			if one.crc != two.crc || one.crc == 0 {
				t.Errorf("%s: %x, %x", a, one.crc, two.crc)
			}
			mega := bytes.Repeat([]byte{7}, 1<<20)
			j, sum := a.NewJoiner(), sumOf(a, mega)
			for range 32 {
				j.Add(sum, 1<<20)
			}
			if want := sumOf(a, bytes.Repeat(mega, 32)); !bytes.Equal(j.Sum(), want) {
				t.Errorf("%s: 32 MiB: %x, want %x", a, j.Sum(), want)
			}
		})
	}
}
