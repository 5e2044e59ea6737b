// Package rootkeytest checks every source of root keys against the contract of
// rootkey.Source. It exists so that a new source is tested with the same cases as all
// others.
package rootkeytest

import (
	"bytes"
	"context"
	"errors"
	"strings"
	"testing"

	"watertight/internal/storage/rootkey"
	"watertight/internal/storage/seal"
)

// Case is a source, and what the suite needs to test it.
type Case struct {
	Source rootkey.Source
	Other  rootkey.Source // the same kind of source with another key
	Lose   func()         // makes Source unreachable
	Return func()         // makes it reachable again
	Secret string         // of the source; no output may contain it
}

// Run tests a source.
func Run(t *testing.T, open func(*testing.T) Case) {
	t.Helper()
	t.Run("opens what it wrapped", func(t *testing.T) { opens(t, open(t)) })
	t.Run("refuses what it did not wrap", func(t *testing.T) { refuses(t, open(t)) })
	t.Run("says that it is lost", func(t *testing.T) { lost(t, open(t)) })
	t.Run("ends with its context", func(t *testing.T) { ends(t, open(t)) })
}

func opens(t *testing.T, c Case) {
	key, bound := seal.NewKey(), []byte("one keyring")
	first, err := c.Source.Wrap(t.Context(), key, bound)
	if err != nil || len(first) > 4<<10 {
		t.Fatal(len(first), err)
	}
	second, err := c.Source.Wrap(t.Context(), key, bound)
	if err != nil || bytes.Equal(first, second) {
		t.Errorf("the same key was wrapped to the same bytes twice, %v", err)
	}
	for _, w := range [][]byte{first, second} {
		if bytes.Contains(w, key[:]) {
			t.Error("the key stands in what was wrapped")
		}
		if got, err := c.Source.Unwrap(t.Context(), w, bound); err != nil || got != key {
			t.Errorf("it does not open: %v", err)
		}
	}
	name := c.Source.Describe()
	if name == "" || !strings.Contains(name, ":") || c.Secret != "" && strings.Contains(name, c.Secret) {
		t.Errorf("it is described as %q", name)
	}
}

func refuses(t *testing.T, c Case) {
	key, bound := seal.NewKey(), []byte("one keyring")
	wrapped, err := c.Source.Wrap(t.Context(), key, bound)
	if err != nil {
		t.Fatal(err)
	}
	changed := bytes.Clone(wrapped)
	changed[len(changed)-3] ^= 4
	for name, test := range map[string]struct {
		source         rootkey.Source
		wrapped, bound []byte
	}{
		"another key":     {c.Other, wrapped, bound},
		"another context": {c.Source, wrapped, []byte("another keyring")},
		"nothing":         {c.Source, nil, bound},
		"cut":             {c.Source, wrapped[:len(wrapped)-1], bound},
		"changed":         {c.Source, changed, bound},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := test.source.Unwrap(t.Context(), test.wrapped, test.bound)
			if !errors.Is(err, rootkey.ErrOtherKey) || got != (seal.Key{}) {
				t.Errorf("it says %v", err)
			}
			hides(t, c, err)
		})
	}
}

func lost(t *testing.T, c Case) {
	key, bound := seal.NewKey(), []byte("one keyring")
	wrapped, err := c.Source.Wrap(t.Context(), key, bound)
	if err != nil {
		t.Fatal(err)
	}
	c.Lose()
	_, err = c.Source.Unwrap(t.Context(), wrapped, bound)
	if err == nil || errors.Is(err, rootkey.ErrOtherKey) {
		t.Errorf("opening without the source: %v", err)
	}
	hides(t, c, err)
	if _, err = c.Source.Wrap(t.Context(), key, bound); err == nil {
		t.Error("wrapped without the source")
	}
	hides(t, c, err)
	c.Return()
	if got, err := c.Source.Unwrap(t.Context(), wrapped, bound); err != nil || got != key {
		t.Errorf("after its return: %v", err)
	}
}

func ends(t *testing.T, c Case) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := c.Source.Wrap(ctx, seal.NewKey(), nil); err == nil {
		t.Error("it went on after the end of its context")
	}
}

// hides fails the test if an error shows the secret of the source.
func hides(t *testing.T, c Case, err error) {
	t.Helper()
	if err != nil && c.Secret != "" && strings.Contains(err.Error(), c.Secret) {
		t.Errorf("the error shows the secret: %v", err)
	}
}
