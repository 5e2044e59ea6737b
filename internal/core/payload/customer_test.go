package payload

import (
	"bytes"
	"errors"
	"testing"

	"watertight/internal/access/authz"
	"watertight/internal/storage/digest"
	"watertight/internal/storage/seal"
)

// TestCustomer: the bytes and the checksum take the customer's key, whatever
// the size, and the checksum stands nowhere in plain.
func TestCustomer(t *testing.T) {
	s, _ := open(t)
	mine, other := seal.NewKey(), seal.NewKey()
	for _, n := range borders() {
		body := random(n)
		at, d, err := s.Write(t.Context(), authz.Grant{}, Source{Body: bytes.NewReader(body), Size: int64(n), Checksum: digest.SHA256, Customer: &mine, Binding: []byte("b")})
		if err != nil {
			t.Fatal(n, err)
		}
		if at.Sum == nil || bytes.Contains(at.Sum, d.Sum[:8]) {
			t.Errorf("%d bytes: the checksum %x is kept as %x", n, d.Sum, at.Sum)
		}
		if sum, err := s.Unlock(t.Context(), authz.Grant{}, at, &mine, []byte("b")); err != nil || !bytes.Equal(sum, d.Sum) {
			t.Errorf("%d bytes: checksum %x, %v", n, sum, err)
		}
		if o, err := s.Open(t.Context(), authz.Grant{}, at, &mine, at.Inline, []byte("b")); err != nil || o.Size() != int64(n) {
			t.Errorf("%d bytes: %v", n, err)
		} else {
			o.Close()
		}
		for name, k := range map[string]*seal.Key{"another key": &other, "no key": nil} {
			if _, err := s.Open(t.Context(), authz.Grant{}, at, k, at.Inline, []byte("b")); err == nil {
				t.Errorf("%d bytes open with %s", n, name)
			}
			if sum, err := s.Unlock(t.Context(), authz.Grant{}, at, k, []byte("b")); err == nil || sum != nil {
				t.Errorf("the checksum of %d bytes opens with %s", n, name)
			}
		}
		bad := at
		bad.Sum = bytes.Clone(at.Sum)
		bad.Sum[len(bad.Sum)-1] ^= 1
		for _, sum := range [][]byte{bad.Sum, at.Sum[:5], {}} {
			bad.Sum = sum
			if got, err := s.Unlock(t.Context(), authz.Grant{}, bad, &mine, []byte("b")); !errors.Is(err, seal.ErrCorrupt) || got != nil {
				t.Errorf("a sealed checksum of %d bytes: %x, %v", len(sum), got, err)
			}
		}
		s.Settle(at)
	}
}

// TestLock: a location without bytes tells keys apart, and takes a checksum
// later, each time sealed anew.
func TestLock(t *testing.T) {
	s, _ := open(t)
	mine, other := seal.NewKey(), seal.NewKey()
	at, err := s.Lock(t.Context(), authz.Grant{}, &mine, []byte("b"))
	if err != nil {
		t.Fatal(err)
	}
	if sum, err := s.Unlock(t.Context(), authz.Grant{}, at, &mine, []byte("b")); err != nil || sum != nil {
		t.Errorf("%x, %v", sum, err)
	}
	if _, err := s.Unlock(t.Context(), authz.Grant{}, at, &other, []byte("b")); err == nil {
		t.Error("another key is the same")
	}
	if _, err := s.SealSum(t.Context(), authz.Grant{}, at, &other, []byte("sum"), []byte("b")); err == nil {
		t.Error("another key seals")
	}
	one, err := s.SealSum(t.Context(), authz.Grant{}, at, &mine, []byte("sum"), []byte("b"))
	if err != nil {
		t.Fatal(err)
	}
	two, err := s.SealSum(t.Context(), authz.Grant{}, at, &mine, []byte("sum"), []byte("b"))
	if err != nil || bytes.Equal(one.Sum, two.Sum) {
		t.Errorf("a nonce came twice, or %v", err)
	}
	for _, l := range []Location{one, two} {
		if sum, err := s.Unlock(t.Context(), authz.Grant{}, l, &mine, []byte("b")); err != nil || string(sum) != "sum" {
			t.Errorf("%q, %v", sum, err)
		}
	}
}
