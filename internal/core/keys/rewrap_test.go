package keys

import (
	"bytes"
	"errors"
	"testing"

	"watertight/internal/storage/seal"
)

// TestRewrapUnderANewGeneration: a data key that is wrapped again, even several times, opens with
// the same choice and binding, without any older generation. No customer's key is needed.
func TestRewrapUnderANewGeneration(t *testing.T) {
	for name, choice := range map[string]Choice{"sse-s3": {}, "sse-c": customer(5)} {
		t.Run(name, func(t *testing.T) {
			all, g := rooted(), grant(t)
			r := New(all, nil)
			plain, wrapped, err := r.Generate(t.Context(), g, choice, []byte("one"))
			if err != nil {
				t.Fatal(err)
			}
			for n := uint32(2); n < 5; n++ {
				all.Add(seal.Generation{Number: n, Key: seal.NewKey()})
				if _, _, err := r.Rewrap(wrapped, []byte("two")); err == nil {
					t.Error("another binding")
				}
				again, changed, err := r.Rewrap(wrapped, []byte("one"))
				if err != nil || !changed || Generation(again) != n {
					t.Fatal(changed, err)
				}
				if _, changed, err := r.Rewrap(again, []byte("one")); changed || err != nil {
					t.Error("a data key of the current generation is wrapped again", err)
				}
				wrapped = again
				newest := New(seal.NewRing(all.Current()), nil)
				got, err := newest.Open(t.Context(), g, choice, wrapped, []byte("one"))
				if err != nil || got != plain {
					t.Errorf("generation %d: %v", n, err)
				}
				if _, err := NewOperator(newest, nil).Open(t.Context(), Choice{}, wrapped,
					[]byte("one")); choice.IsCustomer() != errors.Is(err, ErrCustomerKey) {
					t.Errorf("the operator reads %v", err)
				}
				other := Choice{}
				if !choice.IsCustomer() {
					other = customer(6)
				}
				for name, c := range map[string]struct {
					choice  Choice
					binding string
				}{"another choice": {other, "one"}, "another binding": {choice, "two"}} {
					t.Run(name, func(t *testing.T) {
						if _, err := newest.Open(t.Context(), g, c.choice, wrapped, []byte(c.binding)); err == nil {
							t.Error("it opens")
						}
					})
				}
			}
			for n := range wrapped {
				changed := bytes.Clone(wrapped)
				changed[n] ^= 1
				if _, err := r.Open(t.Context(), g, choice, changed, []byte("one")); err == nil {
					t.Errorf("byte %d changed: it opens", n)
				}
			}
		})
	}
}

// TestRewrapLeavesKMS: data keys under keys of KMS need no generation.
func TestRewrapLeavesKMS(t *testing.T) {
	r := New(rooted(), nil)
	for _, wrapped := range [][]byte{nil, {schemeKMS}, append([]byte{schemeLayers}, make([]byte, 200)...)} {
		if got, changed, err := r.Rewrap(wrapped, nil); changed || err != nil || !bytes.Equal(got, wrapped) {
			t.Errorf("%x: %v", wrapped, err)
		}
		if Generation(wrapped) != 0 {
			t.Errorf("%x needs a generation", wrapped)
		}
	}
}
