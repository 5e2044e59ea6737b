package kms

import (
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"crypto/sha256"
	"encoding/hex"
	"slices"
	"testing"

	"watertight/internal/fault"
	"watertight/internal/storage/kv"
	"watertight/internal/storage/seal"
)

// TestDataKeyVector computes a data key of a service from SP 800-56C and SP 800-38D, independent of the
// package, and fixes the result: stored data keys must open for ever.
func TestDataKeyVector(t *testing.T) {
	material, key, id := testKey(0x10), keyID{0xaa, 1, 2}, MaterialID{0xbb, 3, 4}
	salt := [saltSize]byte{0xa0, 5, 6}
	derived := sha256.Sum256(slices.Concat([]byte{0, 0, 0, 1}, material[:], []byte("kms"), salt[:]))
	block, err := aes.NewCipher(derived[:])
	if err != nil {
		t.Fatal(err)
	}
	gcm, err := cipher.NewGCM(block)
	if err != nil {
		t.Fatal(err)
	}
	header := slices.Concat([]byte{1, 3}, key[:], id[:], salt[:])
	want := gcm.Seal(bytes.Clone(header), make([]byte, 12), []byte("message"), slices.Concat(header, []byte("binding")))
	got := sealSalted(nil, forDataKeys, key, id, material, salt, []byte("message"), []byte("binding"))
	if !bytes.Equal(got, want) {
		t.Errorf("\n got %x\nwant %x", got, want)
	}
	if pinned := hex.EncodeToString(got[headerSize:]); pinned != "5d467fa1f59afbeece1f4f15f04fe6386ad89c9ab6887e" {
		t.Errorf("the stored form changed: %s", pinned)
	}
}

// olderWrapped returns a data key as Wrap sealed it before forDataKeys.
func (e *env) olderWrapped(m Metadata, plain seal.Key, binding []byte) []byte {
	e.Helper()
	var record *materialRecord
	err := e.store.View(e.Context(), func(r kv.Reader) (err error) {
		record, err = readMaterial(r, m.ID, m.Material)
		return err
	})
	if err != nil {
		e.Fatal(err)
	}
	id, _ := parseKeyID(m.ID)
	material, err := e.openMaterial(id, record)
	if err != nil {
		e.Fatal(err)
	}
	return sealBlob(forServices, id, m.Material, material, plain[:], binding)
}

// TestOlderDataKeys: a data key in the older form opens, is bound as one of today's, opens as no other kind
// of ciphertext, and is wrapped again in today's form.
func TestOlderDataKeys(t *testing.T) {
	e := newEnv(t)
	m := e.create(CreateInput{})
	older := e.olderWrapped(m, testKey(7), []byte("b"))
	newer, err := e.Wrap(t.Context(), e.may(m.ARN, "kms:GenerateDataKey"), m.ARN, testKey(7), []byte("b"))
	if err != nil || newer[1] != byte(forDataKeys) {
		t.Fatalf("%x, %v", newer, err)
	}
	may := e.may(m.ARN, "kms:Decrypt")
	for name, wrapped := range map[string][]byte{"older": older, "of today": newer} {
		t.Run(name, func(t *testing.T) {
			if k, err := e.Unwrap(t.Context(), may, m.ARN, wrapped, []byte("b")); err != nil || k != testKey(7) {
				t.Fatal(err)
			}
			if k, err := NewOperator(e.Store).Open(t.Context(), wrapped, []byte("b")); err != nil || k != testKey(7) {
				t.Fatal(err)
			}
			if _, err := e.Unwrap(t.Context(), may, m.ARN, wrapped, []byte("c")); err == nil {
				t.Error("it opens with another binding")
			}
			for p := range 256 {
				if other := bytes.Clone(wrapped); purpose(p) != purpose(wrapped[1]) {
					other[1] = byte(p)
					_, err := e.Unwrap(t.Context(), may, m.ARN, other, []byte("b"))
					if !fault.Is(err, fault.InvalidCiphertextException) {
						t.Errorf("it opens as one of purpose %d: %v", p, err)
					}
				}
			}
			if _, err := e.decrypt(m, wrapped, nil, ""); !fault.Is(err, fault.InvalidCiphertextException) {
				t.Error("the API opens it:", err)
			}
		})
	}
	e.must("RotateKeyOnDemand", m)
	again, changed, err := NewOperator(e.Store).Rewrap(t.Context(), older, []byte("b"))
	if err != nil || !changed || again[1] != byte(forDataKeys) {
		t.Fatalf("%x, %v, %v", again, changed, err)
	}
	if k, err := e.Unwrap(t.Context(), may, m.ARN, again, []byte("b")); err != nil || k != testKey(7) {
		t.Error(err)
	}
}
