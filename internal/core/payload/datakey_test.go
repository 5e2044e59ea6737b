package payload

import (
	"bytes"
	"crypto/md5"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"watertight/internal/access/arn"
	"watertight/internal/access/authz"
	"watertight/internal/core/keys"
	"watertight/internal/storage/digest"
	"watertight/internal/storage/seal"
)

// TestLayers: bytes in two layers of encryption are read back in any size and range, and damage of
// any byte is noticed before a byte is returned.
func TestLayers(t *testing.T) {
	s, dir := open(t)
	mine := keys.UnderKMS(arn.ARN{}, nil, true)
	s.keys = testKeys{mine: seal.NewKey()}
	for _, n := range borders() {
		body := random(n)
		at, d, err := s.Write(t.Context(), authz.Grant{}, Source{
			Body: bytes.NewReader(body), Size: -1, Checksum: digest.CRC64NVME, Choice: mine, Binding: []byte("b"),
		})
		if err != nil || d.Size != int64(n) || d.MD5 != [16]byte{} || d.Sum == nil {
			t.Fatal(n, d, err)
		}
		read := func(inline []byte, off, length int) ([]byte, error) {
			o, err := s.get(at, mine, inline, "b")
			if err != nil {
				return nil, err
			}
			defer o.Close()
			r, err := o.Range(int64(off), int64(length))
			if err != nil {
				return nil, err
			}
			defer r.Close()
			return io.ReadAll(r)
		}
		for _, span := range [][2]int{{0, n}, {n / 2, n - n/2}, {n / 3, n / 3}, {max(0, n-1), min(n, 1)}} {
			got, err := read(at.Inline, span[0], span[1])
			if err != nil || !bytes.Equal(got, body[span[0]:span[0]+span[1]]) {
				t.Errorf("%d bytes, range %v: %v", n, span, err)
			}
		}
		s.Settle(at)
		if n == 0 {
			continue
		}
		flip := func(b []byte, i int) {
			b[i] ^= 1
			inline := at.Inline
			if inline != nil {
				inline = b
			}
			if got, err := read(inline, 0, n); err == nil || !bytes.HasPrefix(body, got) {
				t.Errorf("%d bytes, byte %d of %d changed: %v", n, i, len(b), err)
			}
			b[i] ^= 1
		}
		sealed := bytes.Clone(at.Inline)
		path := ""
		if at.Blob != "" {
			all := files(t, dir)
			path = all[slices.IndexFunc(all, func(f string) bool { return filepath.Base(f) == at.Blob })]
			if sealed, err = os.ReadFile(path); err != nil {
				t.Fatal(err)
			}
		}
		if int64(len(sealed)) != seal.LayeredSize(int64(n), true) ||
			n > 8 && bytes.Contains(sealed, body[:min(n, 16)]) {
			t.Errorf("%d bytes are kept as %d", n, len(sealed))
		}
		last := len(sealed) - 1
		for _, i := range []int{0, last / 2, last, max(0, last-16), min(last, seal.ChunkSize+seal.Overhead)} {
			if path == "" {
				flip(sealed, i)
				continue
			}
			bad := bytes.Clone(sealed)
			bad[i] ^= 1
			if err := os.WriteFile(path, bad, 0o600); err != nil {
				t.Fatal(err)
			}
			if got, err := read(nil, 0, n); err == nil || !bytes.HasPrefix(body, got) {
				t.Errorf("%d bytes, byte %d of the file changed: %v", n, i, err)
			}
		}
	}
}

// TestMD5IsLeftOut: where digests are hidden, the MD5 is computed only if the client declares one.
func TestMD5IsLeftOut(t *testing.T) {
	s, _ := open(t)
	mine, _, all := customers()
	s.keys = all
	for _, n := range []int{3, InlineMax + 1} {
		body := random(n)
		for _, c := range []struct {
			choice keys.Choice
			asked  bool
			want   bool
		}{{keys.Choice{}, false, true}, {mine, false, false}, {mine, true, true}} {
			t.Run(fmt.Sprint(n, c.choice.HidesDigests(), c.asked), func(t *testing.T) {
				_, d, err := s.Write(t.Context(), authz.Grant{}, Source{
					Body: bytes.NewReader(body), Size: int64(n), Choice: c.choice, MD5: c.asked,
				})
				if err != nil || (d.MD5 == md5.Sum(body)) != c.want || (d.MD5 != [16]byte{}) != c.want {
					t.Errorf("%x, %v", d.MD5, err)
				}
			})
		}
	}
}

// TestCustomer: bytes of any size and their checksum need the customer's key, and the checksum is
// never stored in plain text.
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
	at, k, err := s.NewKey(t.Context(), authz.Grant{}, mine, []byte("b"))
	if err != nil {
		t.Fatal(err)
	}
	if sum, err := s.sum(at, mine, "b"); err != nil || sum != nil {
		t.Errorf("%x, %v", sum, err)
	}
	if _, err := s.sum(at, other, "b"); err == nil {
		t.Error("another key is the same")
	}
	opened, err := s.OpenKey(t.Context(), authz.Grant{}, at, mine, []byte("b"))
	if err != nil || opened.key.Key != k.key.Key {
		t.Fatal(err)
	}
	one, two := k.SealSum(at, []byte("sum")), k.SealSum(at, []byte("sum"))
	if bytes.Equal(one.Sum, two.Sum) {
		t.Error("a nonce was repeated")
	}
	for i, l := range []Location{one, two} {
		t.Run(fmt.Sprint(i), func(t *testing.T) {
			if sum, err := s.sum(l, mine, "b"); err != nil || string(sum) != "sum" {
				t.Errorf("%q, %v", sum, err)
			}
			if sum, err := (DataKey{seal.StreamKey{Key: seal.NewKey()}}).OpenSum(l); err == nil {
				t.Errorf("another key opens %q", sum)
			}
		})
	}
	if none := k.SealSum(one, nil); none.Sum != nil {
		t.Errorf("no checksum is sealed as %x", none.Sum)
	}
}

// TestOlderSum: a checksum that an older program sealed opens under its data key, and under no other one.
func TestOlderSum(t *testing.T) {
	k := DataKey{seal.StreamKey{Key: seal.NewKey()}}
	nonce := make([]byte, 12)
	older := k.key.Key.Derive("watertight checksum").AEAD().Seal(nonce, nonce, []byte("sum"), nil)
	if sum, err := k.OpenSum(Location{Sum: older}); err != nil || string(sum) != "sum" {
		t.Errorf("%q, %v", sum, err)
	}
	outer := seal.NewKey()
	for name, other := range map[string]seal.StreamKey{
		"another key": {Key: seal.NewKey()}, "two keys": {Key: k.key.Key, Outer: &outer},
	} {
		t.Run(name, func(t *testing.T) {
			if sum, err := (DataKey{other}).OpenSum(Location{Sum: older}); err == nil || sum != nil {
				t.Errorf("it opens: %q, %v", sum, err)
			}
		})
	}
	older[len(older)-1] ^= 1
	if sum, err := k.OpenSum(Location{Sum: older}); !errors.Is(err, seal.ErrCorrupt) || sum != nil {
		t.Errorf("damaged: %q, %v", sum, err)
	}
}

// TestDataKeysAreNotPrinted: no format of fmt shows the key's bytes.
func TestDataKeysAreNotPrinted(t *testing.T) {
	k := DataKey{seal.StreamKey{Key: seal.Key{1, 2, 3}, Outer: &seal.Key{1, 2, 3}}}
	for _, format := range []string{"%v", "%+v", "%#v", "%s", "%x"} {
		if got := fmt.Sprintf(format, k); strings.Contains(got, "010203") || strings.Contains(got, "1 2 3") {
			t.Errorf("%s prints %s", format, got)
		}
	}
}
