package segment

import (
	"math/rand/v2"
	"testing"

	"watertight/internal/storage/folder"
	"watertight/test/crashdisk"
)

// TestMarksSurvivePowerCuts: after a power cut, few extents that were freed look as if their record
// were missing, however many were freed, and none after SyncMarks.
func TestMarksSurvivePowerCuts(t *testing.T) {
	disk := crashdisk.New()
	if err := folder.Make(disk, "/d", 0o700); err != nil {
		t.Fatal(err)
	}
	e := openIn(t, "/d", disk, &room{left: 1 << 40})
	all := map[string]Place{}
	for range 300 {
		name, p := put(t, e, random(100))
		all[name] = p
	}
	freed := map[string]bool{}
	for name, p := range all {
		if len(freed) == 250 {
			break
		}
		if err := e.Free(p, name); err != nil {
			t.Fatal(err)
		}
		freed[name] = true
	}
	if n := unmarked(t, disk, freed); n > fewMarks {
		t.Errorf("%d marks are lost", n)
	}
	if err := e.SyncMarks(); err != nil {
		t.Fatal(err)
	}
	if n := unmarked(t, disk, freed); n > 0 {
		t.Errorf("%d marks are lost after they were synced", n)
	}
	before := e.Syncs()
	if err := e.SyncMarks(); err != nil || e.Syncs() != before {
		t.Errorf("%d syncs for no mark, %v", e.Syncs()-before, err)
	}
}

// unmarked counts the freed extents without a mark on a disk that lost everything unsynced.
func unmarked(t *testing.T, disk *crashdisk.Disk, freed map[string]bool) (n int) {
	t.Helper()
	lost := disk.Crash(rand.New(rand.NewPCG(1, 2)), crashdisk.Loss{Names: 1, Pages: 1})
	e := openIn(t, "/d", lost, &room{left: 1 << 40})
	found := 0
	for _, number := range e.Numbers() {
		for x, err := range e.Extents(number) {
			if err != nil {
				t.Fatal(err)
			}
			found++
			if freed[x.Name] != x.Freed {
				n++
			}
		}
	}
	if found != 300 {
		t.Fatalf("%d extents are found", found)
	}
	return n
}
