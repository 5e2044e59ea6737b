package object

import (
	"testing"

	"watertight/internal/core/bucket"
)

// TestForgetRefusesVersions: no record of a version is deleted past slot.remove.
func TestForgetRefusesVersions(t *testing.T) {
	defer func() {
		if recover() == nil {
			t.Error("the record of a version was deleted")
		}
	}()
	forget(nil, slot{&bucket.Bucket{}, "k"}.version(1))
}
