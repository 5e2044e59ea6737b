package payload

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"watertight/internal/core/payload/internal/segment"
	"watertight/internal/storage/folder"
	"watertight/internal/storage/folder/foldertest"
	"watertight/internal/storage/kv"
)

// TestDeletionsHelp: what was removed shortly before a crash, or was never committed, gives its room
// back, although the segment that takes extents is not full: as holes, or by compaction where the file
// system can't make any.
func TestDeletionsHelp(t *testing.T) {
	for _, c := range []struct {
		name  string
		files folder.FS
		moves bool
	}{
		{"holes", foldertest.Punching(folder.OS()), false},
		{"no holes", foldertest.Unsynced(folder.OS()), true},
	} {
		t.Run(c.name, func(t *testing.T) {
			if !c.moves { // these need a file system that can
				needPunch(t)
			}
			w := newWorld(t)
			w.Close()
			w.files = c.files
			w.open(t)
			w.tidy(t, time.Now())
			var all []string
			for range 60 {
				all = append(all, w.put(t, 20_000))
			}
			w.delete(t, all[4:]...)
			w.engine.Close()
			w.open(t) // a crash, before anybody looked for freed extents
			done := w.tidy(t, time.Now())
			if moved := map[bool]int{true: 4}[c.moves]; done.Moved != moved || done.SetAside != 0 {
				t.Errorf("%+v", done)
			}
			w.check(t)
			w.put(t, 20_000)
			w.check(t)
			w.Close() // which gives back what was reserved
			if got, most := room(t, segmentsDir(w.dir)), int64((2*2+5*6)*segment.Unit); got > most {
				t.Errorf("segments take %d bytes of at most %d", got, most)
			}
			w.open(t)
			w.check(t)
		})
	}
}

// newHolesWorld returns a world whose file system can make holes, with 60 blobs in one segment.
func newHolesWorld(t testing.TB) (w *world, all []string) {
	t.Helper()
	w = newWorld(t)
	w.Close()
	w.files = foldertest.Punching(folder.OS())
	w.open(t)
	for range 60 {
		all = append(all, w.put(t, 20_000))
	}
	return w, all
}

// TestLeftStrays: the room of what a record may still name is not given back: with the right records,
// everything is there.
func TestLeftStrays(t *testing.T) {
	needPunch(t)
	w, all := newHolesWorld(t)
	w.delete(t, all[20:]...)
	w.commit(t, false, all[:10]...) // the records are older ones, or their end is not durable
	w.engine.Close()
	w.open(t)
	if done := w.tidy(t, time.Now()); done != (Tidied{}) {
		t.Errorf("%+v", done)
	}
	if u := w.segments.Usage(); u.Punched < 40*6*segment.Unit {
		t.Errorf("of what was removed, no room came back: %+v", u)
	}
	w.commit(t, true, all[:10]...)
	w.check(t)
}

// busyRecords calls a function after so many views.
type busyRecords struct {
	kv.Store
	left int
	then func()
}

func (b *busyRecords) View(ctx context.Context, fn func(kv.Reader) error) error {
	err := b.Store.View(ctx, fn)
	if b.left--; b.left == 0 {
		b.then()
	}
	return err
}

// TestSegmentFillsMeanwhile: the segment whose dead room is given back takes its last blobs while somebody asks what is
// needed of it. They stay, wherever in the work that happens.
func TestSegmentFillsMeanwhile(t *testing.T) {
	needPunch(t)
	for views := 1; ; views++ {
		filled := false
		t.Run(fmt.Sprint("after view ", views), func(t *testing.T) {
			w, all := newHolesWorld(t)
			w.delete(t, all[4:]...)
			w.Close() // what it had reserved is room again
			busy := &busyRecords{Store: w.records, left: views, then: func() {
				filled = true
				for in := segment.Prefix(1); w.put(t, 20_000)[:len(in)] == in; {
				}
			}}
			w.records = busy
			w.open(t)
			w.tidy(t, time.Now())
			w.check(t)
			busy.left = 0 // nothing more happens meanwhile
			w.tidy(t, time.Now())
			w.check(t)
		})
		if !filled { // there are no more views
			if views < 5 {
				t.Errorf("it took %d views", views-1)
			}
			return
		}
	}
}

// TestLeftDamage: a segment that does not hold what records say stays whole.
func TestLeftDamage(t *testing.T) {
	needPunch(t)
	w, all := newHolesWorld(t)
	w.delete(t, all[4:]...)
	w.Close()
	path := segment.Path(segmentsDir(w.dir), 1)
	right := readFile(t, path)
	p, _, _ := segment.Parse(all[0])
	wrong := append([]byte(nil), right...)
	wrong[p.Offset()-1] ^= 1
	wrong[p.Offset()-40] ^= 1
	writeFile(t, path, wrong)
	w.open(t)
	if _, err := w.Tidy(t.Context(), time.Now()); err == nil {
		t.Error("no error")
	}
	if u := w.segments.Usage(); u.Punched != 0 {
		t.Errorf("room was given back: %+v", u)
	}
}

// fullDisk has no room while it is full.
type fullDisk struct{ full atomic.Bool }

func (f *fullDisk) Fits(int64) bool { return !f.full.Load() }
func (f *fullDisk) Take(int64) bool { return !f.full.Load() }

// TestCompactionOnFullDisk: a segment that is half dead gives room back where there is none for the copies.
func TestCompactionOnFullDisk(t *testing.T) {
	needPunch(t)
	w := newWorld(t)
	w.Close()
	w.files = foldertest.Punching(folder.OS())
	w.open(t)
	w.fill(t, 1)
	first := segment.Prefix(1)
	for i, n := range w.names() {
		if n[:len(first)] == first && i%4 != 0 {
			w.delete(t, n)
		}
	}
	w.engine.Close()
	w.open(t)
	disk := &fullDisk{}
	disk.full.Store(true)
	w.Close()
	s, err := Open(Options{
		Dir: w.dir, Keys: w.keys, Records: w.records, Files: w.files, SegmentUnits: 512, Room: disk,
	})
	if err != nil {
		t.Fatal(err)
	}
	w.Store, s.tidying.rate = s, 1<<40
	before := room(t, segmentsDir(w.dir))
	for range 2 { // the second time, nothing is left to give back
		if done, err := w.Tidy(t.Context(), time.Now()); !errors.Is(err, unix.ENOSPC) || done != (Tidied{}) {
			t.Fatalf("%+v, %v", done, err)
		}
	}
	if after := room(t, segmentsDir(w.dir)); after > before/2 {
		t.Errorf("the disk is full, and of %d bytes %d are left", before, after)
	}
	w.check(t)
	disk.full.Store(false)
	w.tidy(t, time.Now())
	w.check(t)
}
