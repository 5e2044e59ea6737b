package payload

import (
	"math/rand/v2"
	"testing"
	"time"

	"watertight/internal/core/payload/internal/segment"
	"watertight/internal/storage/folder"
	"watertight/test/crashdisk"
)

// TestTidySyncsMarks: what was freed before a tidy does not look as if its record were missing
// after a power cut.
func TestTidySyncsMarks(t *testing.T) {
	w := newWorld(t)
	disk := crashdisk.New()
	if err := folder.Make(disk, "/data", 0o700); err != nil {
		t.Fatal(err)
	}
	w.Store.Close()
	w.dir, w.files = "/data", disk
	w.open(t)
	freed := map[string]bool{}
	for i := range 20 {
		if name := w.put(t, 20_000); i < 10 {
			freed[name] = true
		}
	}
	for name := range freed {
		w.delete(t, name)
	}
	w.tidy(t, time.Now())
	w.Store.Close()
	w.files = disk.Crash(rand.New(rand.NewPCG(1, 2)), crashdisk.Loss{Names: 1, Pages: 1})
	w.open(t)
	w.check(t)
	marked := 0
	for x := range segment.All(w.files, segmentsDir(w.dir)) {
		if x.Freed != freed[x.Name] {
			t.Errorf("%s: freed %v", x.Name, x.Freed)
		}
		if x.Freed {
			marked++
		}
	}
	if marked != len(freed) {
		t.Errorf("%d extents are marked", marked)
	}
}
