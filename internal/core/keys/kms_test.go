package keys

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"testing"

	"watertight/internal/access/arn"
	"watertight/internal/access/authz"
	"watertight/internal/fault"
	"watertight/internal/storage/seal"
)

// fakeKMS holds KMS keys in memory, with one material each.
type fakeKMS struct {
	material map[arn.ARN]seal.Key
	refuses  error
	wraps    int
}

func (f *fakeKMS) Wrap(
	_ context.Context, _ authz.Grant, key arn.ARN, plain seal.Key, binding []byte,
) ([]byte, error) {
	f.wraps++
	k, ok := f.material[key]
	if f.refuses != nil || !ok {
		return nil, errors.Join(f.refuses, nil)
	}
	return k.Wrap(plain, binding), nil
}

func (f *fakeKMS) Unwrap(
	_ context.Context, _ authz.Grant, key arn.ARN, wrapped, binding []byte,
) (seal.Key, error) {
	if f.refuses != nil {
		return seal.Key{}, f.refuses
	}
	k, err := f.material[key].Unwrap(wrapped, binding)
	if err != nil {
		err = fault.New(fault.InvalidCiphertextException, "")
	}
	return k, err
}

func kmsARN(n byte) arn.ARN {
	a, err := arn.Parse(fmt.Sprintf("arn:aws:kms:us-east-1:111122223333:key/%032d", n))
	if err != nil {
		panic(err)
	}
	return a
}

func newFake() *fakeKMS {
	return &fakeKMS{material: map[arn.ARN]seal.Key{kmsARN(1): seal.NewKey(), kmsARN(2): seal.NewKey()}}
}

// TestUnderKMS: a data key opens only with the key, the encryption context, the binding and the
// number of layers that it was made with.
func TestUnderKMS(t *testing.T) {
	for _, two := range []bool{false, true} {
		t.Run(fmt.Sprint("two layers ", two), func(t *testing.T) {
			kms := newFake()
			r, g := New(rooted(), kms), grant(t)
			mine := UnderKMS(kmsARN(1), []byte("context"), two)
			plain, wrapped, err := r.Generate(t.Context(), g, mine, []byte("one"))
			if err != nil || (plain.Outer != nil) != two || Layers(wrapped) != two || Own(wrapped) {
				t.Fatal(err)
			}
			got, err := r.Open(t.Context(), g, mine, wrapped, []byte("one"))
			if err != nil || !same(got, plain) {
				t.Fatal("it does not open:", err)
			}
			if _, err := Recover(rooted(), wrapped, []byte("one")); err == nil {
				t.Error("the root key opens it")
			}
			for name, c := range map[string]struct {
				choice  Choice
				binding string
			}{
				"another key":      {UnderKMS(kmsARN(2), []byte("context"), two), "one"},
				"another context":  {UnderKMS(kmsARN(1), []byte("else"), two), "one"},
				"another binding":  {mine, "two"},
				"other layers":     {UnderKMS(kmsARN(1), []byte("context"), !two), "one"},
				"no key":           {Choice{}, "one"},
				"a customer's key": {customer(1), "one"},
			} {
				t.Run(name, func(t *testing.T) {
					got, err := r.Open(t.Context(), g, c.choice, wrapped, []byte(c.binding))
					if err == nil || !same(got, seal.StreamKey{}) {
						t.Error("it opens")
					}
				})
			}
			for n := range wrapped {
				bad := bytes.Clone(wrapped)
				bad[n] ^= 1
				got, err := r.Open(t.Context(), g, mine, bad, []byte("one"))
				if err == nil || !same(got, seal.StreamKey{}) {
					t.Errorf("byte %d changed: %v", n, err)
				}
				if _, err := r.Open(t.Context(), g, mine, wrapped[:n], []byte("one")); err == nil {
					t.Errorf("truncated to %d bytes it opens", n)
				}
			}
		})
	}
}

func same(a, b seal.StreamKey) bool {
	if a.Key != b.Key || (a.Outer == nil) != (b.Outer == nil) {
		return false
	}
	return a.Outer == nil || *a.Outer == *b.Outer
}

// TestLayersHaveOwnKeys: the two data keys of DSSE-KMS are not the same, and neither
// opens in place of the other.
func TestLayersHaveOwnKeys(t *testing.T) {
	kms := newFake()
	r, g, mine := New(rooted(), kms), grant(t), UnderKMS(kmsARN(1), nil, true)
	plain, wrapped, err := r.Generate(t.Context(), g, mine, nil)
	if err != nil || plain.Key == *plain.Outer || kms.wraps != 2 {
		t.Fatal(kms.wraps, err)
	}
	inner, outer, ok := pieces(wrapped)
	if !ok || len(inner) != len(outer) {
		t.Fatal("the two wrapped keys can't be separated")
	}
	exchanged := append(append(append([]byte{}, wrapped[:3]...), outer...), inner...)
	if _, err := r.Open(t.Context(), g, mine, exchanged, nil); err == nil {
		t.Error("they open in each other's place")
	}
}

// TestDataKeysDoNotRepeat: no data key and no wrapped form is repeated, whatever the choice. Each
// data key seals one stream, so no nonce can repeat either.
func TestDataKeysDoNotRepeat(t *testing.T) {
	r, g := New(rooted(), newFake()), grant(t)
	seen := map[string]bool{}
	note := func(b []byte) {
		if seen[string(b)] {
			t.Fatal("a data key or its wrapped form was repeated")
		}
		seen[string(b)] = true
	}
	for _, c := range []Choice{{}, customer(1), UnderKMS(kmsARN(1), nil, false), UnderKMS(kmsARN(1), nil, true)} {
		for range 1000 {
			plain, wrapped, err := r.Generate(t.Context(), g, c, []byte("one"))
			if err != nil {
				t.Fatal(err)
			}
			note(plain.Key[:])
			note(wrapped)
			if plain.Outer != nil {
				note(plain.Outer[:])
			}
		}
	}
}

// TestFaultsOfKMS: KMS's errors are passed on unchanged, and damage is an internal error.
func TestFaultsOfKMS(t *testing.T) {
	kms := newFake()
	r, g, mine := New(rooted(), kms), grant(t), UnderKMS(kmsARN(1), nil, false)
	_, wrapped, err := r.Generate(t.Context(), g, mine, nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, code := range []fault.Code{
		fault.DisabledException, fault.NotFoundException, fault.KMSInvalidStateException, fault.AccessDenied,
	} {
		t.Run(string(code), func(t *testing.T) {
			kms.refuses = fault.New(code, "why")
			if _, err := r.Open(t.Context(), g, mine, wrapped, nil); !errors.Is(err, kms.refuses) {
				t.Errorf("%v", err)
			}
			if _, _, err = r.Generate(t.Context(), g, mine, nil); !errors.Is(err, kms.refuses) {
				t.Errorf("%v", err)
			}
		})
	}
	kms.refuses = nil
	if _, err := r.Open(t.Context(), g, mine, wrapped, []byte("else")); fault.From(err).Kind != fault.KindInternal {
		t.Errorf("damage: %v", err)
	}
	if _, _, err := New(rooted(), nil).Generate(t.Context(), g, mine, nil); err == nil {
		t.Error("a ring without KMS makes a data key")
	}
}

// moved is a KMS whose key has been rotated.
type moved struct{ from, to seal.Key }

func (m moved) Rewrap(_ context.Context, wrapped, binding []byte) ([]byte, bool, error) {
	if _, err := m.to.Unwrap(wrapped, binding); err == nil {
		return wrapped, false, nil
	}
	k, err := m.from.Unwrap(wrapped, binding)
	if err != nil {
		return nil, false, err
	}
	return m.to.Wrap(k, binding), true, nil
}

// TestRewrap: the data key stays the same, and a second run changes nothing.
func TestRewrap(t *testing.T) {
	for _, two := range []bool{false, true} {
		t.Run(fmt.Sprint("two layers ", two), func(t *testing.T) {
			kms := newFake()
			r, g, mine := New(rooted(), kms), grant(t), UnderKMS(kmsARN(1), []byte("c"), two)
			plain, wrapped, err := r.Generate(t.Context(), g, mine, []byte("one"))
			if err != nil {
				t.Fatal(err)
			}
			to := moved{kms.material[kmsARN(1)], seal.NewKey()}
			again, changed, err := Rewrap(t.Context(), to, mine, wrapped, []byte("one"))
			if err != nil || !changed {
				t.Fatal(changed, err)
			}
			same2, changed, err := Rewrap(t.Context(), to, mine, again, []byte("one"))
			if err != nil || changed || !bytes.Equal(same2, again) {
				t.Error("a second run changes something:", err)
			}
			kms.material[kmsARN(1)] = to.to
			if got, err := r.Open(t.Context(), g, mine, again, []byte("one")); err != nil || !same(got, plain) {
				t.Error("the data key is another one:", err)
			}
			if _, _, err := Rewrap(t.Context(), to, Choice{}, wrapped, []byte("one")); err == nil {
				t.Error("a data key is re-wrapped without its choice")
			}
		})
	}
}

// TestWrapAnew: a data key that only the server wrapped can be wrapped under a KMS key, and opens
// there as the same key.
func TestWrapAnew(t *testing.T) {
	r, g, mine := New(rooted(), newFake()), grant(t), UnderKMS(kmsARN(1), []byte("c"), false)
	plain, _, err := r.Generate(t.Context(), g, Choice{}, []byte("one"))
	if err != nil {
		t.Fatal(err)
	}
	wrapped, err := r.Wrap(t.Context(), g, mine, plain, []byte("one"))
	if err != nil {
		t.Fatal(err)
	}
	if got, err := r.Open(t.Context(), g, mine, wrapped, []byte("one")); err != nil || !same(got, plain) {
		t.Error("it does not open:", err)
	}
	for name, c := range map[string]Choice{
		"SSE-S3": {}, "SSE-C": customer(1), "two layers": UnderKMS(kmsARN(1), nil, true),
	} {
		t.Run(name, func(t *testing.T) {
			if _, err := r.Wrap(t.Context(), g, c, plain, []byte("one")); err == nil {
				t.Error("it is wrapped")
			}
		})
	}
}
