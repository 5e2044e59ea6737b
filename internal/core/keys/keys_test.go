package keys

import (
	"bytes"
	"context"
	"crypto/aes"
	"crypto/cipher"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"testing"

	"watertight/internal/access/arn"
	"watertight/internal/access/authz"
	"watertight/internal/access/policy"
	"watertight/internal/fault"
	"watertight/internal/storage/seal"
)

func grant(t testing.TB) authz.Grant {
	t.Helper()
	c := authz.NewCaller(
		&policy.Principal{Kind: policy.AccountRoot, Account: "111122223333", ARN: arn.Root("111122223333")},
		&authz.Situation{},
	)
	g, err := authz.Judge(t.Context(), authz.New(nil), c, authz.Open[struct{}]("a test"), &struct{}{})
	if err != nil {
		t.Fatal(err)
	}
	return g
}

func root() (k seal.Key) {
	for i := range k {
		k[i] = byte(i)
	}
	return k
}

func rooted() *seal.Ring { return seal.RingOf(root()) }

func TestRoundTrip(t *testing.T) {
	r, g := New(rooted(), nil), grant(t)
	plain, wrapped, err := r.Generate(t.Context(), g, Choice{}, []byte("one"))
	if err != nil || len(wrapped) != headerSize+seal.KeySize+tagSize {
		t.Fatal(len(wrapped), err)
	}
	reopened, err := New(rooted(), nil).Open(t.Context(), g, Choice{}, wrapped, []byte("one"))
	if err != nil || reopened != plain {
		t.Fatal("a ring under the same root doesn't open the key", err)
	}
	again, wrappedAgain, _ := r.Generate(t.Context(), g, Choice{}, []byte("one"))
	if again == plain || bytes.Equal(wrapped[5:headerSize], wrappedAgain[5:headerSize]) {
		t.Fatal("a key or a salt was repeated")
	}
}

func TestOpenRefuses(t *testing.T) {
	r, g := New(rooted(), nil), grant(t)
	_, wrapped, err := r.Generate(t.Context(), g, Choice{}, []byte("one"))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := r.Open(t.Context(), g, Choice{}, wrapped, []byte("two")); err == nil {
		t.Error("another binding opens it")
	}
	other := root()
	other[0]++
	if _, err := New(seal.RingOf(other), nil).Open(t.Context(), g, Choice{}, wrapped, []byte("one")); err == nil {
		t.Error("another root opens it")
	}
	for n := range wrapped {
		if _, err := r.Open(t.Context(), g, Choice{}, wrapped[:n], []byte("one")); err == nil {
			t.Errorf("truncated to %d bytes it opens", n)
		}
		changed := bytes.Clone(wrapped)
		changed[n] ^= 1
		plain, err := r.Open(t.Context(), g, Choice{}, changed, []byte("one"))
		if err == nil || plain != (seal.StreamKey{}) {
			t.Errorf("byte %d changed: %v", n, err)
		}
	}
}

func TestZeroGrantIsRefused(t *testing.T) {
	r := New(rooted(), nil)
	if _, _, err := r.Generate(context.Background(), authz.Grant{}, Choice{}, nil); !fault.Is(err, fault.AccessDenied) {
		t.Error("Generate:", err)
	}
	_, wrapped, _ := r.Generate(t.Context(), grant(t), Choice{}, nil)
	if _, err := r.Open(context.Background(), authz.Grant{}, Choice{}, wrapped,
		nil); !fault.Is(err, fault.AccessDenied) {
		t.Error("Open:", err)
	}
}

// TestVector computes the scheme from RFC 5869 and SP 800-38D, independent of the package, and
// fixes the result: stored keys must open for ever.
func TestVector(t *testing.T) {
	const want = "0100000001" + "a0a1a2a3a4a5a6a7a8a9aaabacadaeaf" +
		"8335cb7f3351ccea00e77e14db4d75619af0b6466ffd6776b839e43bfb6f4382" + "aa47ce23a405865af009dd11a2fcdc2d"
	hash := func(key, m []byte) []byte {
		h := hmac.New(sha256.New, key)
		h.Write(m)
		return h.Sum(nil)
	}
	k := root()
	prk := hash(make([]byte, 32), k[:])
	service := hash(prk, []byte("watertight sse-s3 service key 1\x01"))
	var salt [saltSize]byte
	for i := range salt {
		salt[i] = 0xa0 + byte(i)
	}
	wrapping := hash(service, append([]byte("watertight sse-s3 wrap"), append(salt[:], 1)...))
	var plain seal.Key
	for i := range plain {
		plain[i] = 0xff - byte(i)
	}
	block, _ := aes.NewCipher(wrapping)
	gcm, _ := cipher.NewGCM(block)
	header := append([]byte{1, 0, 0, 0, 1}, salt[:]...)
	expect := gcm.Seal(bytes.Clone(header), make([]byte, 12), plain[:], append(bytes.Clone(header), "binding"...))

	got := New(rooted(), nil).wrap(plain, Choice{}, salt, []byte("binding"))
	if !bytes.Equal(got, expect) {
		t.Fatalf("\n got %x\nwant %x", got, expect)
	}
	if hex.EncodeToString(got) != want {
		t.Errorf("the stored form changed\n got %x\nwant %s", got, want)
	}
}

func FuzzOpen(f *testing.F) {
	r, g := New(rooted(), nil), grant(f)
	_, wrapped, _ := r.Generate(context.Background(), g, Choice{}, []byte("one"))
	f.Add(wrapped, []byte("two"))
	f.Add([]byte{schemeService}, []byte{})
	f.Fuzz(func(t *testing.T, wrapped, binding []byte) {
		if _, err := r.Open(t.Context(), g, Choice{}, wrapped, binding); err == nil {
			t.Fatal("opened a key that was not wrapped for this binding")
		}
	})
}

func BenchmarkGenerate(b *testing.B) {
	r, g := New(rooted(), nil), grant(b)
	b.ReportAllocs()
	for b.Loop() {
		if _, _, err := r.Generate(b.Context(), g, Choice{}, []byte("binding")); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkOpen(b *testing.B) {
	r, g := New(rooted(), nil), grant(b)
	_, wrapped, _ := r.Generate(b.Context(), g, Choice{}, []byte("binding"))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := r.Open(b.Context(), g, Choice{}, wrapped, []byte("binding")); err != nil {
			b.Fatal(err)
		}
	}
}

// TestGenerations: data keys are wrapped under the newest generation of the root key,
// and every generation opens its own.
func TestGenerations(t *testing.T) {
	all, g := rooted(), grant(t)
	r := New(all, nil)
	for name, choice := range map[string]Choice{"sse-s3": {}, "sse-c": customer(5)} {
		t.Run(name, func(t *testing.T) {
			plain, first, err := r.Generate(t.Context(), g, choice, []byte("one"))
			if err != nil {
				t.Fatal(err)
			}
			all.Add(seal.Generation{Number: all.Current().Number + 1, Key: seal.NewKey()})
			_, second, err := r.Generate(t.Context(), g, choice, []byte("one"))
			if err != nil {
				t.Fatal(err)
			}
			if got, err := r.Open(t.Context(), g, choice, first, []byte("one")); err != nil || got != plain {
				t.Error("an older generation:", err)
			}
			newest := New(seal.NewRing(all.Current()), nil)
			if _, err := newest.Open(t.Context(), g, choice, first, []byte("one")); err == nil {
				t.Error("a data key opens without its generation")
			}
			if _, err := newest.Open(t.Context(), g, choice, second, []byte("one")); err != nil {
				t.Error("the newest generation did not wrap:", err)
			}
		})
	}
}
