package seal_test

import (
	"bytes"
	"crypto/hkdf"
	"crypto/hmac"
	"crypto/sha256"
	"testing"

	"pgregory.net/rapid"

	"watertight/internal/storage/seal"
)

// TestMAC compares HMAC and HKDF of this package with the standard library's.
func TestMAC(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		draw := func(name string, most int) []byte {
			return bytes.Clone(rapid.SliceOfN(rapid.Byte(), 0, most).Draw(t, name))
		}
		var k seal.Key
		copy(k[:], rapid.SliceOfN(rapid.Byte(), len(k), len(k)).Draw(t, "key"))
		message, salt, purpose := draw("message", 300), draw("salt", 150), string(draw("purpose", 150))
		h := hmac.New(sha256.New, k[:])
		h.Write(message)
		if got := k.MAC(message); !hmac.Equal(got[:], h.Sum(nil)) {
			t.Errorf("HMAC of %x is %x", message, got)
		}
		want, err := hkdf.Key(sha256.New, k[:], salt, purpose, len(k))
		if got := k.DeriveSalted(salt, purpose); err != nil || !bytes.Equal(got[:], want) {
			t.Errorf("HKDF is %x, want %x (%v)", got[:], want, err)
		}
		want, err = hkdf.Expand(sha256.New, k[:], purpose+string(salt), len(k))
		if got := k.Expand(purpose, salt); err != nil || !bytes.Equal(got[:], want) {
			t.Errorf("HKDF-Expand is %x, want %x (%v)", got[:], want, err)
		}
	})
}
