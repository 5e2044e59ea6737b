package disk

import (
	"errors"
	"strings"
	"sync"
	"testing"

	"golang.org/x/sys/unix"

	"watertight/internal/core/payload/internal/blob"
	"watertight/internal/core/payload/internal/blobtest"
	"watertight/internal/storage/folder"
)

func TestConformance(t *testing.T) {
	blobtest.Run(t, func(t *testing.T) blob.Engine {
		e, err := Open(folder.OS(), t.TempDir(), &room{left: 1 << 40})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { e.Close() })
		return e
	})
}

// room counts the bytes that are reserved.
type room struct {
	mu    sync.Mutex
	left  int64
	times int
}

func (r *room) Take(n int64) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if n > r.left {
		return false
	}
	r.left -= n
	r.times++
	return true
}

// TestRoomIsTakenInPieces: room is reserved as bytes arrive, never much ahead of them, in few pieces,
// and in the end exactly the blob's length.
func TestRoomIsTakenInPieces(t *testing.T) {
	const all, piece = int64(64 << 20), 256 << 10
	r := &room{left: 1 << 40}
	e, err := Open(folder.OS(), t.TempDir(), r)
	if err != nil {
		t.Fatal(err)
	}
	defer e.Close()
	w, err := e.Create(strings.Repeat("0", 32), all)
	if err != nil {
		t.Fatal(err)
	}
	b := make([]byte, piece)
	for n := int64(0); n < all; n += piece {
		if taken := 1<<40 - r.left; taken > n+min(max(2*n, minAhead), maxAhead)+minAhead/4 {
			t.Fatalf("%d bytes came, %d are taken", n, taken)
		}
		if _, err := w.Write(b); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Commit(); err != nil {
		t.Fatal(err)
	}
	if taken := 1<<40 - r.left; taken != all || r.times > 10 {
		t.Errorf("%d bytes taken in %d pieces", taken, r.times)
	}
	r.left = 1 << 20
	w, err = e.Create(strings.Repeat("1", 32), all)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.Write(make([]byte, 1<<20+1)); !errors.Is(err, unix.ENOSPC) {
		t.Errorf("a blob larger than the room: %v", err)
	}
	w.Abort()
}
