package server

import (
	"fmt"
	"math"
	"testing"
)

// TestPlaces: there are file descriptors for each accepted connection and the blob that it reads, and one
// for the next connection.
func TestPlaces(t *testing.T) {
	for _, c := range []struct {
		maximum int
		files   uint64
		want    int
	}{
		{4096, math.MaxUint64, 4096}, {4096, 1 << 20, 4096}, {4096, 1024, 368}, {100, 1024, 100},
		{4096, 300, 6}, {4096, 296, 4}, {1, 290, 1}, {4096, 256, 0}, {4096, 64, 0}, {4096, 0, 0},
	} {
		t.Run(fmt.Sprintf("%d connections, %d files", c.maximum, c.files), func(t *testing.T) {
			got, err := places(c.maximum, c.files)
			if got != c.want || (err == nil) != (c.want > 0) {
				t.Errorf("%d connections of %d files: %d, %v", c.maximum, c.files, got, err)
			}
		})
	}
	if openFiles() == 0 {
		t.Error("this process may not open any files")
	}
}
