package mem

import (
	"testing"

	"watertight/internal/core/payload/internal/blob"
	"watertight/internal/core/payload/internal/blobtest"
)

func TestConformance(t *testing.T) {
	blobtest.Run(t, func(t *testing.T) blob.Engine {
		return Open()
	})
}
