package kms

import (
	"bytes"
	"crypto/aes"
	"crypto/rand"
	"crypto/rsa"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"testing"
	"time"

	"pgregory.net/rapid"

	"watertight/internal/fault"
	"watertight/internal/storage/seal"
)

// wrapKWP implements RFC 5649, section 4.1, with the shifting registers of RFC 3394.
func wrapKWP(t testing.TB, kek, plain []byte) []byte {
	t.Helper()
	block, err := aes.NewCipher(kek)
	if err != nil {
		t.Fatal(err)
	}
	a := binary.BigEndian.AppendUint32([]byte{0xa6, 0x59, 0x59, 0xa6}, uint32(len(plain)))
	padded := append(bytes.Clone(plain), make([]byte, (8-len(plain)%8)%8)...)
	if len(padded) == 8 {
		out := make([]byte, 16)
		block.Encrypt(out, append(a, padded...))
		return out
	}
	n := len(padded) / 8
	for s := 1; s <= 6*n; s++ {
		in := append(bytes.Clone(a), padded[:8]...)
		block.Encrypt(in, in)
		a = binary.BigEndian.AppendUint64(nil, binary.BigEndian.Uint64(in[:8])^uint64(s))
		padded = append(padded[8:], in[8:]...)
	}
	return append(a, padded...)
}

func unhex(t testing.TB, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(s)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// TestKeyWrapVectors has the vectors of RFC 5649, section 6.
func TestKeyWrapVectors(t *testing.T) {
	kek := unhex(t, "5840df6e29b02af1ab493b705bf16ea1ae8338f4dcc176a8")
	for plain, wrapped := range map[string]string{
		"c37b7e6492584340bed12207808941155068f738": "138bdeaa9b8fa7fc61f97742e72248ee5ae6ae5360d1ae6a" +
			"5f54f373fa543b6a",
		"466f7250617369": "afbeb0f07dfbf5419200f2ccb50bb24f",
	} {
		t.Run(plain, func(t *testing.T) {
			got, ok := unwrapKWP(kek, unhex(t, wrapped))
			if !ok || hex.EncodeToString(got) != plain {
				t.Errorf("%x, %v", got, ok)
			}
			if got := wrapKWP(t, kek, unhex(t, plain)); hex.EncodeToString(got) != wrapped {
				t.Errorf("the test wraps it as %x", got)
			}
		})
	}
}

// TestKeyWrap: a wrapped key is unwrapped, and a changed, truncated or extended one is refused.
func TestKeyWrap(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		plain := rapid.SliceOfN(rapid.Byte(), 1, 70).Draw(rt, "plain")
		kek := testKey(rapid.Byte().Draw(rt, "kek"))
		wrapped := wrapKWP(t, kek[:], plain)
		if got, ok := unwrapKWP(kek[:], wrapped); !ok || !bytes.Equal(got, plain) {
			rt.Fatalf("%x, %v", got, ok)
		}
		n := rapid.IntRange(0, len(wrapped)-1).Draw(rt, "at")
		changed := bytes.Clone(wrapped)
		changed[n] ^= byte(rapid.IntRange(1, 255).Draw(rt, "change"))
		for _, bad := range [][]byte{changed, wrapped[:n], append(bytes.Clone(wrapped), make([]byte, 8)...)} {
			if _, ok := unwrapKWP(kek[:], bad); ok {
				rt.Fatalf("%x is unwrapped", bad)
			}
		}
	})
}

// TestImport: with each algorithm and each size of wrapping key, material is imported, deleted and
// imported again.
func TestImport(t *testing.T) {
	for spec, algorithms := range map[string][]string{ // large keys take seconds to make
		"RSA_2048": {"RSAES_OAEP_SHA_256", "RSA_AES_KEY_WRAP_SHA_256"}, "RSA_3072": {"RSAES_OAEP_SHA_256"},
		"RSA_4096": {"RSA_AES_KEY_WRAP_SHA_256"},
	} {
		for _, algorithm := range algorithms {
			t.Run(algorithm+"/"+spec, func(t *testing.T) {
				t.Parallel()
				testImport(newEnv(t), algorithm, spec)
			})
		}
	}
}

func testImport(e *env, algorithm, spec string) {
	m := e.create(CreateInput{Origin: OriginExternal})
	p, err := e.GetParametersForImport(e.Context(), e.may(m.ARN, "kms:GetParametersForImport"), ParametersInput{
		Key: m.ARN.String(), Algorithm: algorithm, Spec: spec,
	})
	if err != nil || p.Key != m.ARN || !p.ValidTo.Equal(e.at.Add(24*time.Hour)) {
		e.Fatalf("%+v, %v", p.Key, err)
	}
	wrap := func(material []byte) []byte {
		if algorithm == "RSAES_OAEP_SHA_256" {
			return sealOAEP(e.T, p.PublicKey, material)
		}
		kek := seal.NewKey()
		return append(sealOAEP(e.T, p.PublicKey, kek[:]), wrapKWP(e.T, kek[:], material)...)
	}
	material := testKey(60)
	first, err := e.give(m, p, wrap(material[:]), time.Time{})
	if err != nil {
		e.Fatal(err)
	}
	b := e.encrypt(m, "text", nil)
	if b.Material != first.Material {
		e.Error("the data key is under the material", b.Material)
	}
	e.must("DeleteImportedKeyMaterial", m)
	if _, err := e.decrypt(m, b.Ciphertext, nil, ""); !fault.Is(err, fault.KMSInvalidStateException) {
		e.Error("without its material:", err)
	}
	other := testKey(61)
	if _, err := e.give(m, p, wrap(other[:]), time.Time{}); !fault.Is(err, fault.IncorrectKeyMaterialException) {
		e.Error("other material:", err)
	}
	for _, n := range []int{1, 16, 31, 33, 64} {
		_, err := e.give(m, p, wrap(make([]byte, n)), time.Time{})
		if !fault.Is(err, fault.IncorrectKeyMaterialException) {
			e.Error(n, "bytes:", err)
		}
	}
	again, err := e.give(m, p, wrap(material[:]), time.Time{})
	if err != nil || again.Material != first.Material {
		e.Fatal(again.Material, err)
	}
	if got, err := e.decrypt(m, b.Ciphertext, nil, ""); err != nil || string(got.Plaintext) != "text" {
		e.Error("with its material again:", err)
	}
	sealed := wrap(material[:])
	sealed[len(sealed)-1] ^= 1
	for _, bad := range [][]byte{nil, sealed, sealed[:len(sealed)-1], make([]byte, 7000)} {
		if _, err := e.give(m, p, bad, time.Time{}); !fault.Is(err, fault.InvalidCiphertextException) {
			e.Errorf("%d bytes: %v", len(bad), err)
		}
	}
}

func TestImportTokens(t *testing.T) {
	e := newEnv(t)
	private, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	m, other := e.create(CreateInput{Origin: OriginExternal}), e.create(CreateInput{Origin: OriginExternal})
	p := e.parameters(m, private)
	material := testKey(60)
	wrapped := sealOAEP(t, p.PublicKey, material[:])
	if _, err := e.give(other, p, wrapped, time.Time{}); !fault.Is(err, fault.InvalidImportTokenException) {
		t.Error("for another key:", err)
	}
	for n := range p.Token {
		changed := p
		changed.Token = bytes.Clone(p.Token)
		changed.Token[n] ^= 1
		_, err := e.give(m, changed, wrapped, time.Time{})
		if isEnd := n >= 17 && n < 25; !fault.Is(err, fault.InvalidImportTokenException) &&
			!(isEnd && fault.Is(err, fault.ExpiredImportTokenException)) {
			t.Errorf("byte %d changed: %v", n, err)
		}
		changed.Token = p.Token[:n]
		if _, err := e.give(m, changed, wrapped, time.Time{}); !fault.Is(err, fault.InvalidImportTokenException) {
			t.Errorf("truncated at %d: %v", n, err)
		}
	}
	for _, end := range []time.Duration{0, -time.Hour, 366 * 24 * time.Hour} {
		if _, err := e.give(m, p, wrapped, e.at.Add(end)); !fault.Is(err, fault.ValidationException) {
			t.Error("valid for", end, err)
		}
	}
	e.at = p.ValidTo
	if _, err := e.give(m, p, wrapped, time.Time{}); !fault.Is(err, fault.ExpiredImportTokenException) {
		t.Error("after its end:", err)
	}
	e.sweep()
	if left := e.records("k/i/" + m.ID); len(left) > 0 {
		t.Errorf("after the sweep there is %q", left)
	}
}

// TestFewTokens: a key has a bounded number of tokens; a new one replaces the oldest.
func TestFewTokens(t *testing.T) {
	e := newEnv(t)
	m := e.create(CreateInput{Origin: OriginExternal})
	private, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	for n := range maxTokens + 2 {
		e.at = e.at.Add(time.Second)
		if n < maxTokens-1 {
			e.parameters(m, private)
		} else {
			e.must("GetParametersForImport", m)
		}
		if got := len(e.records("k/i/" + m.ID)); got != min(n+1, maxTokens) {
			t.Fatalf("after %d imports there are %d tokens", n+1, got)
		}
	}
}

func TestImportParameters(t *testing.T) {
	e := newEnv(t)
	m := e.create(CreateInput{Origin: OriginExternal})
	for _, in := range []ParametersInput{
		{Algorithm: "RSAES_PKCS1_V1_5", Spec: "RSA_2048"}, {Algorithm: "RSAES_OAEP_SHA_1", Spec: "RSA_2048"},
		{Algorithm: "RSA_AES_KEY_WRAP_SHA_1", Spec: "RSA_4096"}, {Algorithm: "SM2PKE", Spec: "SM2"},
		{Algorithm: "RSAES_OAEP_SHA_256", Spec: "SM2"}, {},
	} {
		t.Run(fmt.Sprint(in), func(t *testing.T) {
			in.Key = m.ID
			_, err := e.GetParametersForImport(t.Context(), e.may(m.ARN, "kms:GetParametersForImport"), in)
			if !fault.Is(err, fault.UnsupportedOperationException) {
				t.Error(err)
			}
		})
	}
}

// TestExpiry: imported material can't be used from its expiry on, before and after the sweep, and
// no byte of it stays on the disk.
func TestExpiry(t *testing.T) {
	e := newEnv(t)
	private, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	m := e.create(CreateInput{Origin: OriginExternal})
	p, material := e.parameters(m, private), testKey(60)
	wrapped := sealOAEP(t, p.PublicKey, material[:])
	end := e.at.Add(time.Hour)
	in, err := e.give(m, p, wrapped, end)
	if err != nil {
		t.Fatal(err)
	}
	b := e.encrypt(m, "text", nil).Ciphertext
	if got, err := e.describe(m.ID, m.ARN); err != nil || !got.ValidTo.Equal(end) || got.State != Enabled {
		t.Errorf("%+v, %v", got, err)
	}
	e.at = end.Add(-time.Microsecond)
	if _, err := e.decrypt(m, b, nil, ""); err != nil {
		t.Error("just before:", err)
	}
	e.at = end
	for _, swept := range []bool{false, true} {
		if swept {
			if n := e.sweep(); n.Expired != 1 {
				t.Errorf("%+v", n)
			}
		}
		if _, err := e.decrypt(m, b, nil, ""); !fault.Is(err, fault.KMSInvalidStateException) {
			t.Errorf("swept %v: %v", swept, err)
		}
		if got, err := e.describe(m.ID, m.ARN); err != nil || got.State != PendingImport || got.HasMaterial {
			t.Errorf("swept %v: %+v, %v", swept, got, err)
		}
	}
	all, _, err := e.ListKeyRotations(t.Context(), e.may(m.ARN, "kms:ListKeyRotations"), m.ID, true, pageOne())
	if err != nil || len(all) != 1 || all[0].Present || all[0].Material != in.Material {
		t.Errorf("%+v, %v", all, err)
	}
	if _, err := e.give(m, p, wrapped, time.Time{}); err != nil {
		t.Fatal(err)
	}
	if _, err := e.decrypt(m, b, nil, ""); err != nil {
		t.Error("imported again:", err)
	}
}

func FuzzUnwrapMaterial(f *testing.F) {
	private, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		f.Fatal(err)
	}
	kek := testKey(1)
	f.Add(true, wrapKWP(f, kek[:], kek[:]))
	f.Add(false, make([]byte, 256))
	f.Fuzz(func(t *testing.T, oaep bool, b []byte) {
		w := RSAAESKeyWrapSHA256
		if oaep {
			w = RSAESOAEPSHA256
		}
		if _, err := unwrapMaterial(private, w, b); err == nil {
			t.Fatal("a made-up token or material was accepted")
		}
		if plain, ok := unwrapKWP(kek[:], b); ok && !bytes.Equal(wrapKWP(t, kek[:], plain), b) {
			t.Fatal("one key has two wrapped forms")
		}
		if k, ok := parseToken(b); ok && !bytes.Equal(k.encode(), b) {
			t.Fatal("one token has two forms")
		}
	})
}
