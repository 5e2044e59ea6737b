package audit

import (
	"fmt"
	"slices"
	"sync"
	"testing"

	"watertight/internal/storage/kv"
	"watertight/internal/storage/kv/embedded"
)

// TestWithTheStoreItself moves events of concurrent changes out of a real
// store, over several starts of the log.
func TestWithTheStoreItself(t *testing.T) {
	s, err := embedded.OpenMemory(t.Context(), embedded.Options{Root: testRoot()})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	dir := t.TempDir()
	const starts, workers, each = 3, 4, 50
	for start := range starts {
		l := openLog(t, dir)
		attach(t, l, s)
		var wg sync.WaitGroup
		for w := range workers {
			wg.Go(func() {
				for i := range each {
					change(t, s, begin(l, "PutObject", fmt.Sprint(start, "-", w, "-", i)))
				}
			})
		}
		wg.Wait()
		closeLog(t, l)
	}
	events, _ := readAll(t, dir)
	seen := map[string]bool{}
	for _, e := range events {
		seen[e.RequestID] = true
	}
	inOrder := slices.IsSortedFunc(events, func(a, b logged) int { return int(a.Commit) - int(b.Commit) })
	if len(events) != starts*workers*each || len(seen) != len(events) || !inOrder {
		t.Errorf("%d events of %d requests, in order of commit: %v", len(events), len(seen), inOrder)
	}
	if err := s.View(t.Context(), func(r kv.Reader) error {
		for p, err := range r.Scan([]byte(prefix), []byte(after)) {
			if err != nil {
				return err
			}
			t.Errorf("%x is left", p.Key)
		}
		return nil
	}); err != nil {
		t.Error(err)
	}
}
