package mac

import (
	"crypto/hmac"
	"crypto/sha256"
	"testing"

	"pgregory.net/rapid"
)

// TestSHA256: the result equals crypto/hmac's, for keys and messages of every length.
func TestSHA256(t *testing.T) {
	rapid.Check(t, func(r *rapid.T) {
		key := rapid.SliceOfN(rapid.Byte(), 0, 3*sha256.BlockSize).Draw(r, "key")
		data := rapid.SliceOfN(rapid.Byte(), 0, 2*room).Draw(r, "data")
		want := hmac.New(sha256.New, key)
		want.Write(data)
		if got := SHA256(key, data); string(got[:]) != string(want.Sum(nil)) {
			r.Fatalf("%x, want %x", got, want.Sum(nil))
		}
	})
}
