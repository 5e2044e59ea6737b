package seal_test

import (
	"bytes"
	"crypto/hkdf"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"watertight/internal/storage/seal"
)

// TestOneStep compares the one-step derivation with its definition, and fixes a value, since
// stored keys are made with it.
func TestOneStep(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var k seal.Key
		var label seal.Label
		var salt [16]byte
		for _, b := range [][]byte{k[:], label[:], salt[:]} {
			copy(b, rapid.SliceOfN(rapid.Byte(), len(b), len(b)).Draw(t, "bytes"))
		}
		got := k.OneStep(label, salt)
		if want := sha256.Sum256(slices.Concat([]byte{0, 0, 0, 1}, k[:], label[:], salt[:])); got != want {
			t.Fatalf("%x, want %x", [32]byte(got), want)
		}
	})
	k := seal.Key{1}
	distinct := map[seal.Key]bool{
		k: true, k.OneStep(seal.Label{'a'}, [16]byte{1}): true, k.OneStep(seal.Label{'b'}, [16]byte{1}): true,
		k.OneStep(seal.Label{'a'}, [16]byte{2}): true, seal.Key{2}.OneStep(seal.Label{'a'}, [16]byte{1}): true,
	}
	if len(distinct) != 5 {
		t.Error("key, label or salt makes no difference")
	}
	const want = "8b697539a30519128661e3997ffc6f5c4af199f1f2696eadef10cbcda90d4688"
	got := seal.Key{1}.OneStep(seal.Label{'k', 'm', 's'}, [16]byte{2})
	if hex.EncodeToString(got[:]) != want {
		t.Errorf("it is %x", [32]byte(got))
	}
}

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
