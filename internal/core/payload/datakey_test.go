package payload

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"testing"

	"watertight/internal/access/authz"
	"watertight/internal/core/keys"
	"watertight/internal/storage/digest"
	"watertight/internal/storage/seal"
)

// TestCustomer: the bytes and the checksum take the customer's key, whatever
// the size, and the checksum is nowhere in plain.
func TestCustomer(t *testing.T) {
	s, _ := open(t)
	mine, other, all := customers()
	s.keys = all
	for _, n := range borders() {
		body := random(n)
		at, d, err := s.Write(t.Context(), authz.Grant{}, Source{
			Body: bytes.NewReader(body), Size: int64(n), Checksum: digest.SHA256, Choice: mine, Binding: []byte("b"),
		})
		if err != nil {
			t.Fatal(n, err)
		}
		if at.Sum == nil || bytes.Contains(at.Sum, d.Sum[:8]) {
			t.Errorf("%d bytes: the checksum %x is kept as %x", n, d.Sum, at.Sum)
		}
		if sum, err := s.sum(at, mine, "b"); err != nil || !bytes.Equal(sum, d.Sum) {
			t.Errorf("%d bytes: checksum %x, %v", n, sum, err)
		}
		if o, err := s.get(at, mine, at.Inline, "b"); err != nil || o.Size() != int64(n) {
			t.Errorf("%d bytes: %v", n, err)
		} else {
			o.Close()
		}
		for name, k := range map[string]keys.Choice{"another key": other, "no key": {}} {
			t.Run(name, func(t *testing.T) {
				if _, err := s.get(at, k, at.Inline, "b"); err == nil {
					t.Errorf("%d bytes open with %s", n, name)
				}
				if sum, err := s.sum(at, k, "b"); err == nil || sum != nil {
					t.Errorf("the checksum of %d bytes opens with %s", n, name)
				}
			})
		}
		bad := at
		bad.Sum = bytes.Clone(at.Sum)
		bad.Sum[len(bad.Sum)-1] ^= 1
		for i, sum := range [][]byte{bad.Sum, at.Sum[:5], {}} {
			t.Run(fmt.Sprint(i), func(t *testing.T) {
				bad.Sum = sum
				if got, err := s.sum(bad, mine, "b"); !errors.Is(err, seal.ErrCorrupt) || got != nil {
					t.Errorf("a sealed checksum of %d bytes: %x, %v", len(sum), got, err)
				}
			})
		}
		s.Settle(at)
	}
}

// TestNewKey: a location without bytes recognizes its key, and takes a checksum later,
// sealed differently each time.
func TestNewKey(t *testing.T) {
	s, _ := open(t)
	mine, other, all := customers()
	s.keys = all
	at, err := s.NewKey(t.Context(), authz.Grant{}, mine, []byte("b"))
	if err != nil {
		t.Fatal(err)
	}
	if sum, err := s.sum(at, mine, "b"); err != nil || sum != nil {
		t.Errorf("%x, %v", sum, err)
	}
	if _, err := s.sum(at, other, "b"); err == nil {
		t.Error("another key is the same")
	}
	k, err := s.OpenKey(t.Context(), authz.Grant{}, at, mine, []byte("b"))
	if err != nil {
		t.Fatal(err)
	}
	one, two := k.SealSum(at, []byte("sum")), k.SealSum(at, []byte("sum"))
	if bytes.Equal(one.Sum, two.Sum) {
		t.Error("a nonce came twice")
	}
	for i, l := range []Location{one, two} {
		t.Run(fmt.Sprint(i), func(t *testing.T) {
			if sum, err := s.sum(l, mine, "b"); err != nil || string(sum) != "sum" {
				t.Errorf("%q, %v", sum, err)
			}
			if sum, err := (DataKey{seal.NewKey()}).OpenSum(l); err == nil {
				t.Errorf("another key opens %q", sum)
			}
		})
	}
	if none := k.SealSum(one, nil); none.Sum != nil {
		t.Errorf("no checksum is sealed as %x", none.Sum)
	}
}

// TestDataKeysAreNotPrinted: no format of fmt shows the key's bytes.
func TestDataKeysAreNotPrinted(t *testing.T) {
	k := DataKey{seal.Key{1, 2, 3}}
	for _, format := range []string{"%v", "%+v", "%#v", "%s", "%x"} {
		if got := fmt.Sprintf(format, k); strings.Contains(got, "010203") || strings.Contains(got, "1 2 3") {
			t.Errorf("%s prints %s", format, got)
		}
	}
}
