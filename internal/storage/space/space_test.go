package space

import (
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"testing"
)

func TestSpace(t *testing.T) {
	var free int64
	var err error
	s := &Disk{minimum: 100, look: func() (room, error) { return room{bytes: free}, err }}
	for _, step := range []struct {
		free int64
		err  error
		want State
	}{
		{100, nil, Ample}, {99, nil, DeletesOnly}, {25, nil, DeletesOnly}, {24, nil, Full}, {0, nil, Full},
		{math.MaxInt64, errors.New("unknown"), Full}, {math.MaxInt64, nil, Ample}, {0, errors.New("unknown"), Ample},
	} {
		free, err = step.free, step.err
		if s.measure(); s.Room(0) != step.want {
			t.Errorf("%d bytes free, %v: %v, want %v", step.free, step.err, s.Room(0), step.want)
		}
	}
	if r, err := freeRoom(t.TempDir()); err != nil || r.bytes <= 0 || r.bytes > r.allBytes || r.files > r.allFiles {
		t.Errorf("the disk: %+v, %v", r, err)
	}
	if _, err := freeRoom("/no/such/place"); err == nil {
		t.Error("a folder that does not exist has room")
	}
}

// TestSpaceCountsWhatIsTaken: between two measurements, uploads can't take the room that must stay free.
func TestSpaceCountsWhatIsTaken(t *testing.T) {
	free := int64(1000)
	s := &Disk{minimum: 100, look: func() (room, error) { return room{bytes: free}, nil }}
	s.measure()
	if !s.Fits(900) || s.Fits(901) {
		t.Error("the usable room is not the free room above the minimum")
	}
	taken := 0
	for s.Take(90) {
		taken++
	}
	if taken != 10 || s.Fits(1) || !s.Fits(0) {
		t.Errorf("%d pieces were taken", taken)
	}
	free = 500 // they were written, and some dropped
	if s.measure(); !s.Take(400) || s.Take(1) {
		t.Error("the next measurement is not used")
	}
}

// TestFilesRunOut: a file system without room for more files is as full as one
// without bytes.
func TestFilesRunOut(t *testing.T) {
	for _, c := range []struct {
		files, all int64
		want       State
	}{
		{0, 0, Ample}, // not counted there
		{1 << 20, 1 << 22, Ample}, {1023, 1 << 22, DeletesOnly}, {0, 1 << 22, DeletesOnly},
		{100, 600, Ample}, {36, 600, DeletesOnly},
	} {
		t.Run(fmt.Sprintf("%d of %d", c.files, c.all), func(t *testing.T) {
			s := &Disk{
				minimum: 100,
				look:    func() (room, error) { return room{bytes: 1 << 40, files: c.files, allFiles: c.all}, nil },
			}
			if s.measure(); s.Room(0) != c.want {
				t.Errorf("%d of %d files: %v", c.files, c.all, s.Room(0))
			}
		})
	}
}

// TestCommitsCount: commits between two measurements count against the minimum.
func TestCommitsCount(t *testing.T) {
	s := &Disk{minimum: 100, look: func() (room, error) { return room{bytes: 1000}, nil }}
	s.measure()
	n := 0
	for s.Room(90) == Ample {
		n++
	}
	if n != 10 {
		t.Errorf("%d commits of 90 bytes went into 900", n)
	}
	if s.measure(); s.Room(90) != Ample {
		t.Error("another look changes nothing")
	}
}

// TestSpareRoom: what can do without room leaves the minimum twice over, also between two
// measurements, so that writes still have room.
func TestSpareRoom(t *testing.T) {
	s := &Disk{minimum: 100, look: func() (room, error) { return room{bytes: 1000}, nil }}
	s.measure()
	n := 0
	for s.Spare(90) {
		n++
	}
	if n != 8 || !s.Fits(90) || s.Room(90) != Ample {
		t.Errorf("90 bytes were taken %d times of 800, and writes have room: %v", n, s.Fits(90))
	}
}

// TestReserve: the reserve is made while there is plenty of room. Half of it is
// released when the disk is nearly full, and the rest when the engine or a deletion
// needs it. It does not change before the data directory is known to be the store's.
func TestReserve(t *testing.T) {
	dir := t.TempDir()
	disk := room{bytes: 1 << 40, files: 1 << 20, allBytes: 1 << 41, allFiles: 1 << 21}
	s := &Disk{
		minimum: 4 << 20, look: func() (room, error) { return disk, nil }, reserve: newReserve(dir, 4<<20, 1<<41),
	}
	names := func() int {
		all, err := filepath.Glob(filepath.Join(dir, "reserve", "*"))
		if err != nil {
			t.Fatal(err)
		}
		return len(all)
	}
	step := func(what string, bytes, files int64, want int) {
		t.Helper()
		disk.bytes, disk.files = bytes, files
		if s.measure(); names() != want {
			t.Errorf("%s: %d names are held, not %d", what, names(), want)
		}
	}
	step("not known yet", 1<<40, 1<<20, 0)
	s.Arm()
	step("plenty", 1<<40, 1<<20, reserveNames)
	for _, name := range []string{"00", "16"} {
		if info, err := os.Stat(filepath.Join(dir, "reserve", name)); err != nil || info.Size() != reserveLeast/2 {
			t.Error(info, err)
		}
	}
	step("short", 3<<20, 1<<20, reserveNames)
	step("nearly full", 1<<19, 1<<20, reserveNames/2)
	step("full: only half of the reserve is released", 0, 1<<20, reserveNames/2)
	step("short again", 5<<20, 1<<20, reserveNames/2)
	step("plenty again", 1<<40, 1<<20, reserveNames)
	step("no files", 1<<40, 3, reserveNames/2)
	step("files", 1<<40, 1<<20, reserveNames)
	if !s.Enough(1<<20) || names() != reserveNames {
		t.Error("there was room, but the reserve was released")
	}
	if s.Enough(1 << 41); names() != 0 {
		t.Error("the engine got nothing of the reserve")
	}
	if again := newReserve(dir, 4<<20, 100<<20); again.held != 0 || again.size != 100<<20/16 {
		t.Errorf("the reserve of a small disk: %+v", again)
	}
	if (&Disk{minimum: 100, look: s.look}).CheckFirst() != nil {
		t.Error("a first start has no room")
	}
	for i, small := range []room{{bytes: 1 << 20}, {bytes: 1 << 40, files: 100, allFiles: 200}} {
		t.Run(fmt.Sprint(i), func(t *testing.T) {
			if (&Disk{minimum: 100, look: func() (room, error) { return small, nil }}).CheckFirst() == nil {
				t.Errorf("a first start on %+v", small)
			}
		})
	}
}
