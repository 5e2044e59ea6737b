package embedded_test

import (
	"testing"

	"watertight/internal/storage/kv"
	"watertight/internal/storage/kv/embedded"
	"watertight/internal/storage/kv/kvtest"
	"watertight/internal/storage/seal"
)

func TestMemory(t *testing.T) {
	kvtest.Run(t, func(t *testing.T) kv.Store {
		s, err := embedded.OpenMemory(t.Context(), embedded.Options{Root: seal.RingOf(seal.NewKey())})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { s.Close() })
		return s
	})
}

func TestPebble(t *testing.T) {
	kvtest.Run(t, func(t *testing.T) kv.Store {
		s, err := embedded.OpenPebble(t.Context(), embedded.Options{
			Dir: t.TempDir(), Root: seal.RingOf(seal.NewKey()), Create: true,
		})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { s.Close() })
		return s
	})
}
