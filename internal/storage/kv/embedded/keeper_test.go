package embedded

import (
	"fmt"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/vfs/errorfs"

	"watertight/internal/fault"
	"watertight/internal/storage/kv"
	"watertight/internal/storage/seal"
	"watertight/internal/storage/space"
)

// fullDisk is a disk that accepts no writes, or none to some files, while it is on.
func fullDisk(cause error, only string) (vfs.FS, *errorfs.Toggle) {
	toggle := &errorfs.Toggle{Injector: errorfs.InjectorFunc(func(op errorfs.Op) error {
		switch op.Kind {
		case errorfs.OpCreate, errorfs.OpReuseForWrite, errorfs.OpFileWrite, errorfs.OpFilePreallocate, errorfs.OpLink,
			errorfs.OpMkdirAll:
			if strings.HasSuffix(op.Path, only) {
				return cause
			}
		}
		return nil
	})}
	return errorfs.Wrap(vfs.NewMem(), toggle), toggle
}

func update(t *testing.T, s kv.Store, k, v string) error {
	return s.Update(t.Context(), func(tx kv.Tx) error { tx.Set([]byte(k), []byte(v)); return nil })
}

// comes tries until the store accepts an update; the store itself pauses between attempts.
func comes(t *testing.T, s kv.Store, k, v string) {
	t.Helper()
	var err error
	for range 2000 {
		if err = update(t, s, k, v); err == nil {
			return
		}
		time.Sleep(5 * time.Millisecond)
	}
	t.Fatalf("writes do not come back: %v", err)
}

// TestWritesComeBack: whichever write of the disk failed, reads continue, nothing acknowledged is lost, and
// writes resume without a restart.
func TestWritesComeBack(t *testing.T) {
	for _, cause := range []error{syscall.ENOSPC, syscall.EDQUOT, syscall.EIO} {
		for _, only := range []string{"", ".log"} {
			t.Run(fmt.Sprint(cause, only), func(t *testing.T) {
				t.Parallel()
				fs, full := fullDisk(cause, only)
				o := Options{Dir: "db", Root: seal.RingOf(seal.NewKey()), Create: true, Pause: time.Millisecond, fs: fs}
				s, err := OpenPebble(t.Context(), o)
				if err != nil {
					t.Fatal(err)
				}
				want := map[string]string{}
				for round := range 3 {
					k := fmt.Sprint("kept", round)
					want[k] = strings.Repeat("x", 50<<10)
					comes(t, s, k, want[k])
					full.On()
					for err = nil; err == nil; {
						err = update(t, s, "lost", "")
					}
					if kind := fault.From(err).Kind; (kind == fault.KindFull) != (cause != syscall.EIO) {
						t.Errorf("a disk with %v: %v", cause, err)
					}
					for k, v := range want {
						if got, err := get(s, k); got != v || err != nil {
							t.Errorf("%s: %d bytes, %v", k, len(got), err)
						}
					}
					full.Off()
				}
				comes(t, s, "last", "1")
				durable := s.Durable()
				if err := s.Close(); err != nil {
					t.Error(err)
				}
				o.AtLeast = durable
				if s, err = OpenPebble(t.Context(), o); err != nil {
					t.Fatal(err)
				}
				defer s.Close()
				for k, v := range want {
					if got, err := get(s, k); got != v || err != nil {
						t.Errorf("%s after a restart: %d bytes, %v", k, len(got), err)
					}
				}
			})
		}
	}
}

// TestOpeningOnAFullDisk: opening ends soon. The store serves reads, and takes writes
// once there is room, whether Enough reports the missing room or a write fails.
func TestOpeningOnAFullDisk(t *testing.T) {
	for _, asked := range []bool{true, false} {
		t.Run(fmt.Sprint("asked=", asked), func(t *testing.T) {
			fs, full := fullDisk(syscall.ENOSPC, "")
			var room atomic.Bool
			room.Store(true)
			o := Options{Dir: "db", Root: seal.RingOf(seal.NewKey()), Create: true, Pause: time.Millisecond, fs: fs}
			s, err := OpenPebble(t.Context(), o)
			if err != nil {
				t.Fatal(err)
			}
			if err := update(t, s, "a", "1"); err != nil {
				t.Fatal(err)
			}
			o.AtLeast = s.Durable()
			if err := s.Close(); err != nil {
				t.Fatal(err)
			}
			full.On()
			if asked {
				room.Store(false)
				o.Enough = func(n int64) bool { return n >= startRoom && room.Load() }
			}
			if s, err = OpenPebble(t.Context(), o); err != nil {
				t.Fatal(err)
			}
			if v, err := get(s, "a"); v != "1" || err != nil {
				t.Errorf("%q, %v", v, err)
			}
			if err := update(t, s, "b", "2"); fault.From(err).Kind != fault.KindFull {
				t.Errorf("an update: %v", err)
			}
			full.Off()
			room.Store(true)
			comes(t, s, "b", "2")
			if v, err := get(s, "a"); v != "1" || err != nil {
				t.Errorf("%q, %v", v, err)
			}
			if err := s.Close(); err != nil {
				t.Error(err)
			}
			// A store that never gets room can still be closed.
			full.On()
			room.Store(false)
			if s, err = OpenPebble(t.Context(), o); err != nil {
				t.Fatal(err)
			}
			if err := s.Close(); err != nil {
				t.Error(err)
			}
			o.Dir = "new"
			if s, err := OpenPebble(t.Context(), o); err == nil {
				s.Close()
				t.Error("a store was made on a full disk")
			}
		})
	}
}

// TestDeletionsTakeTheLastRoom: on a full disk only deletions ask for the last room. Without it, a deletion
// is refused before it begins.
func TestDeletionsTakeTheLastRoom(t *testing.T) {
	var state space.State
	var last bool
	asked := 0
	o := Options{
		Dir: "db", Root: seal.RingOf(seal.NewKey()), Create: true, fs: vfs.NewMem(),
		Room: func(int64) space.State { return state },
	}
	o.Enough = func(n int64) bool {
		if n >= startRoom { // the engine's own
			return true
		}
		asked++
		return last && n > lastRoom
	}
	s, err := OpenPebble(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	for _, k := range []string{"a", "b"} {
		if err := update(t, s, k, "1"); err != nil {
			t.Fatal(err)
		}
	}
	remove := func(k string, event int) error {
		return s.Update(t.Context(), func(tx kv.Tx) error {
			tx.Delete([]byte(k))
			tx.Set([]byte("event"), make([]byte, event))
			return nil
		})
	}
	state = space.Full
	if err := remove("a", 100); fault.From(err).Kind != fault.KindFull || asked != 1 {
		t.Errorf("without room: %v, asked %d times", err, asked)
	}
	last = true
	if err := update(t, s, "c", "1"); fault.From(err).Kind != fault.KindFull || asked != 1 {
		t.Errorf("a write: %v, asked %d times", err, asked)
	}
	if err := remove("a", smallSets+1); fault.From(err).Kind != fault.KindFull || asked != 1 {
		t.Errorf("a large write: %v, asked %d times", err, asked)
	}
	if err := remove("a", 100); err != nil || asked != 2 {
		t.Errorf("a deletion: %v, asked %d times", err, asked)
	}
	if v, err := get(s, "b"); v != "1" || err != nil {
		t.Errorf("%q, %v", v, err)
	}
}
