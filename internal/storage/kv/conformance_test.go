package kv_test

import (
	"testing"

	"watertight/internal/storage/kv"
	"watertight/internal/storage/kv/kvtest"
	"watertight/internal/storage/seal"
)

func TestMemory(t *testing.T) {
	kvtest.Run(t, func(t *testing.T) kv.Store {
		s, err := kv.OpenMemory(t.Context(), kv.Options{Root: seal.NewKey()})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { s.Close() })
		return s
	})
}

func TestPebble(t *testing.T) {
	kvtest.Run(t, func(t *testing.T) kv.Store {
		s, err := kv.OpenPebble(t.Context(), kv.Options{Dir: t.TempDir(), Root: seal.NewKey(), Create: true})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { s.Close() })
		return s
	})
}
