package digest

import (
	"bytes"
	"encoding/hex"
	"testing"

	"pgregory.net/rapid"
)

// TestCheckValues are the catalogue's check values: of "123456789".
func TestCheckValues(t *testing.T) {
	for a, want := range map[Algorithm]string{
		CRC32: "cbf43926", CRC32C: "e3069283", CRC64NVME: "ae8b14860a799888", SHA1: "f7c3bc1d808e04732adf679965ccc34ca7ae3441",
		SHA256: "15e2b0d3c33891ebb0f1ef609ec419420c20e320ce94c65fbc8c3312448eb225",
	} {
		h := a.New()
		h.Write([]byte("123456789"))
		sum := h.Sum(nil)
		if got := hex.EncodeToString(sum); got != want || len(sum) != a.Size() {
			t.Errorf("%s: %s, want %s", a, got, want)
		}
	}
	if None.New() != nil || None.Size() != 0 {
		t.Error("None is an algorithm")
	}
}

// TestCombine: the checksum of two parts is that of the whole.
func TestCombine(t *testing.T) {
	sum := func(a Algorithm, b []byte) []byte {
		h := a.New()
		h.Write(b)
		return h.Sum(nil)
	}
	rapid.Check(t, func(t *rapid.T) {
		a := rapid.SampledFrom([]Algorithm{CRC32, CRC32C, CRC64NVME}).Draw(t, "algorithm")
		first, second := rapid.SliceOf(rapid.Byte()).Draw(t, "first"), rapid.SliceOf(rapid.Byte()).Draw(t, "second")
		if got := Combine(a, sum(a, first), sum(a, second), int64(len(second))); !bytes.Equal(got, sum(a, append(first, second...))) {
			t.Fatalf("%s: %x", a, got)
		}
	})
	// A length that no memory holds: three terabytes of zeros, in two ways.
	for _, a := range []Algorithm{CRC32, CRC32C, CRC64NVME} {
		zero := sum(a, []byte{0})
		double := func(s []byte, n int64) []byte { return Combine(a, s, s, n) }
		long, n := zero, int64(1)
		for range 41 {
			long, n = double(long, n), 2*n
		}
		if whole := Combine(a, long, Combine(a, long, zero, 1), n+1); !bytes.Equal(whole, Combine(a, double(long, n), zero, 1)) {
			t.Errorf("%s: combining is not associative", a)
		}
	}
	for _, a := range []Algorithm{SHA1, SHA256, None} {
		if Combine(a, make([]byte, a.Size()), make([]byte, a.Size()), 1) != nil {
			t.Errorf("%q combines", a)
		}
	}
	if Combine(CRC32, []byte{1}, []byte{1, 2, 3, 4}, 1) != nil {
		t.Error("a sum of another size combines")
	}
}
