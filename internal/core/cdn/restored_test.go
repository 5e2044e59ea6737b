package cdn

import (
	"fmt"
	"testing"
	"time"

	"watertight/internal/core/distribution"
	"watertight/internal/storage/kv"
)

// TestRestored: after a restore, no generation and no invalidation has a number that an edge may
// have from the state that was given up, also if that one was restored from the same backup.
func TestRestored(t *testing.T) {
	backup := time.UnixMicro(1_700_000_000_000_000)
	// lived is what an edge has of a store that was restored at some time, or never, and changed.
	lived := func(t *testing.T, restored time.Time, changes int) (has *distribution.Snapshot) {
		e := newEnv(t)
		d := e.made(configOf("a"))
		_, err := e.invalidate(d.ID, "before", "/a")
		e.ok(err)
		if !restored.IsZero() {
			e.ok(e.kv.Update(t.Context(), func(tx kv.Tx) error { return Restored(tx, restored) }))
			e.ok(e.s.Publish(t.Context()))
			if len(e.edge.Invalidations) > 0 || e.site(d.ID) == nil {
				t.Errorf("%+v", e.edge)
			}
		}
		for n := range changes {
			_, err := e.invalidate(d.ID, fmt.Sprint("after", n), "/a")
			e.ok(err)
		}
		return e.edge
	}
	numbers := func(s *distribution.Snapshot) (newest uint64) {
		newest = max(s.Oldest, 1) - 1
		for _, n := range s.Invalidations {
			newest = max(newest, n.Number)
		}
		return newest
	}
	lost := []*distribution.Snapshot{lived(t, time.Time{}, 0), lived(t, time.Time{}, 9)}
	for i := range 3 {
		at := backup.Add(time.Duration(i) * time.Minute)
		for _, changes := range []int{0, 1, 9} {
			now := lived(t, at, changes)
			for _, old := range lost {
				if now.Generation <= old.Generation || now.Oldest <= numbers(old)+1 || numbers(now) <= numbers(old) {
					t.Errorf("restore %d and %d changes: generation %d after %d, invalidations %d from %d after %d", i,
						changes, now.Generation, old.Generation, numbers(now), now.Oldest, numbers(old))
				}
			}
		}
		lost = append(lost, lived(t, at, 0), lived(t, at, 9))
	}
	// An edge may have been enrolled before anything was configured.
	t.Run("nothing configured", func(t *testing.T) {
		e := newEnv(t)
		e.ok(e.kv.Update(t.Context(), func(tx kv.Tx) error { return Restored(tx, backup) }))
		for i := range 2 {
			e.made(configOf(fmt.Sprint(i)))
		}
		if e.edge.Generation <= 2 {
			t.Errorf("generation %d", e.edge.Generation)
		}
	})
}
