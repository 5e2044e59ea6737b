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

	"watertight/internal/access/authz"
	"watertight/internal/fault"
	"watertight/internal/storage/seal"
)

func customer(first byte) Choice {
	var k seal.Key
	for i := range k {
		k[i] = first + byte(i)
	}
	return Customer(k)
}

// TestNeitherKeyAloneOpens: opening takes all of the server's keys, the customer's key
// and the binding.
func TestNeitherKeyAloneOpens(t *testing.T) {
	r, g, mine := New(rooted(), nil), grant(t), customer(0x80)
	plain, wrapped, err := r.Generate(t.Context(), g, mine, []byte("one"))
	if err != nil {
		t.Fatal(err)
	}
	if got, err := New(rooted(), nil).Open(t.Context(), g, mine, wrapped, []byte("one")); err != nil || got != plain {
		t.Fatal("all of them together don't open it", err)
	}
	elsewhere := root()
	elsewhere[0]++
	for name, c := range map[string]struct {
		ring    *Ring
		choice  Choice
		binding string
		code    string
	}{
		"without the customer's key": {r, Choice{}, "one", "AccessDenied"},
		"another customer's key":     {r, customer(0x81), "one", "AccessDenied"},
		"other server keys":          {New(seal.RingOf(elsewhere), nil), mine, "one", "InternalError"},
		"another binding":            {r, mine, "two", "InternalError"},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := c.ring.Open(t.Context(), g, c.choice, wrapped, []byte(c.binding))
			if !fault.Is(err, fault.Code(c.code)) || got != (seal.StreamKey{}) {
				t.Errorf("%s: %v, want %s", name, err, c.code)
			}
		})
	}
	for n := range wrapped {
		for _, bad := range [][]byte{
			wrapped[:n], append(append(bytes.Clone(wrapped[:n]), wrapped[n]^1), wrapped[n+1:]...),
		} {
			if got, err := r.Open(t.Context(), g, mine, bad, []byte("one")); err == nil || got != (seal.StreamKey{}) {
				t.Errorf("truncated or changed at %d: %v", n, err)
			}
		}
	}
	// A data key that only the server wrapped is not opened with a customer's key, nor
	// is one scheme accepted for the other.
	_, service, err := r.Generate(t.Context(), g, Choice{}, []byte("one"))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := r.Open(t.Context(), g, mine, service, []byte("one")); err == nil {
		t.Error("a customer's key opens a data key that needs none")
	}
	if len(service) >= len(wrapped) {
		t.Error("both schemes have wrapped keys of the same size")
	}
	if _, _, err := r.Generate(context.Background(), authz.Grant{}, mine, nil); !fault.Is(err, fault.AccessDenied) {
		t.Error("Generate with a zero grant:", err)
	}
	if _, err := r.Open(context.Background(), authz.Grant{}, mine, wrapped,
		[]byte("one")); !fault.Is(err, fault.AccessDenied) {
		t.Error("Open with a zero grant:", err)
	}
}

// TestServerKeysSeeNoDataKey: the server's keys alone don't reveal the data key.
func TestServerKeysSeeNoDataKey(t *testing.T) {
	r, g := New(rooted(), nil), grant(t)
	plain, wrapped, err := r.Generate(t.Context(), g, customer(1), []byte("one"))
	if err != nil {
		t.Fatal(err)
	}
	salt := wrapped[5:headerSize]
	inner, err := once{r.of(1).key(customerPurpose, salt).AEAD()}.open(nil, wrapped[headerSize:],
		bound(wrapped[:headerSize], []byte("one")))
	if err != nil || len(inner) != innerSize || bytes.Contains(inner, plain.Key[:8]) {
		t.Errorf("%x holds the data key, %v", inner, err)
	}
}

// TestCustomerVector computes the scheme of SSE-C from RFC 5869 and SP 800-38D, independent of the
// package, and fixes the result: stored keys must open for ever.
func TestCustomerVector(t *testing.T) {
	const want = "0200000001" + "a0a1a2a3a4a5a6a7a8a9aaabacadaeaf" + customerVector
	hash := func(key []byte, m ...[]byte) []byte {
		h := hmac.New(sha256.New, key)
		for _, part := range m {
			h.Write(part)
		}
		return h.Sum(nil)
	}
	gcm := func(key, message, context []byte) []byte {
		block, err := aes.NewCipher(key)
		if err != nil {
			t.Fatal(err)
		}
		a, err := cipher.NewGCM(block)
		if err != nil {
			t.Fatal(err)
		}
		return a.Seal(nil, make([]byte, 12), message, context)
	}
	k, mine := root(), customer(0x40)
	var salt [saltSize]byte
	for i := range salt {
		salt[i] = 0xa0 + byte(i)
	}
	var plain seal.Key
	for i := range plain {
		plain[i] = 0xff - byte(i)
	}
	header := append([]byte{2, 0, 0, 0, 1}, salt[:]...)
	context := append(bytes.Clone(header), "binding"...)
	service := hash(hash(make([]byte, 32), k[:]), []byte("watertight sse-s3 service key 1\x01"))
	outer := hash(service, []byte("watertight sse-c outer wrap"), salt[:], []byte{1})
	inner := hash(hash(salt[:], mine.customer[:]), []byte("watertight sse-c inner wrap\x01"))
	expect := append(header, gcm(outer, gcm(inner, plain[:], context), context)...)

	got := New(rooted(), nil).wrap(plain, mine, salt, []byte("binding"))
	if !bytes.Equal(got, expect) {
		t.Fatalf("\n got %x\nwant %x", got, expect)
	}
	if hex.EncodeToString(got) != want {
		t.Errorf("the stored form changed\n got %x\nwant %s", got, want)
	}
}

// customerVector is the ciphertext of TestCustomerVector.
const customerVector = "23eab7f9c6016e5651f6e196791dfc7909309c3c7b7852f7eb46e3ff2b273b1c" +
	"c7a226b797ba106013d87889a0a214d0" + "8658fd77805261d63206c550a0dbf7da"

func FuzzOpenCustomer(f *testing.F) {
	r, g, mine := New(rooted(), nil), grant(f), customer(3)
	_, wrapped, _ := r.Generate(context.Background(), g, mine, []byte("one"))
	f.Add(wrapped, []byte("two"))
	f.Add([]byte{schemeCustomer}, []byte{})
	f.Fuzz(func(t *testing.T, wrapped, binding []byte) {
		if _, err := r.Open(t.Context(), g, mine, wrapped, binding); err == nil {
			t.Fatal("opened a key that was not wrapped for this binding")
		}
	})
}
