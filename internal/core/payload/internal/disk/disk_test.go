package disk

import (
	"testing"

	"watertight/internal/core/payload/internal/blob"
	"watertight/internal/core/payload/internal/blobtest"
)

func TestConformance(t *testing.T) {
	blobtest.Run(t, func(t *testing.T) blob.Engine {
		e, err := Open(t.TempDir())
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { e.Close() })
		return e
	})
}
