package e2e

import (
	"bytes"
	"encoding/binary"
	"os"
	"testing"
)

// extents returns the names of the blobs in a segment that are not freed (docs/FORMAT.md, "Segments").
func extents(t *testing.T, path string) (names []string) {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	const unit = 4096
	for n := 2; (n+1)*unit <= len(b); {
		x := b[n*unit:]
		if !bytes.HasPrefix(x, []byte("WTEXTNT\n")) {
			n++
			continue
		}
		if b[unit+n/8]&(1<<(n%8)) == 0 {
			names = append(names, string(x[8:40]))
		}
		n += (int(binary.BigEndian.Uint64(x[40:])) + 64 + unit - 1) / unit
	}
	return names
}
