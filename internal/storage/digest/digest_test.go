package digest

import (
	"encoding/hex"
	"testing"
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
