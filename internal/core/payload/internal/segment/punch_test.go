package segment

import (
	"bytes"
	"errors"
	"io"
	"os"
	"testing"
	"time"

	"watertight/internal/core/payload/internal/blob"
	"watertight/internal/storage/folder"
	"watertight/internal/storage/folder/foldertest"
)

// holey is a file system that can give back room, and writes zeros for it.
type holey struct{ folder.FS }

type holeyFile struct{ folder.File }

func (h holey) OpenFile(path string, flag int, mode os.FileMode) (folder.File, error) {
	f, err := h.FS.OpenFile(path, flag, mode)
	if err != nil {
		return nil, err
	}
	return holeyFile{f}, nil
}

func (f holeyFile) Punch(at, n int64) error {
	_, err := f.WriteAt(make([]byte, n), at)
	return err
}

// TestPunch: the room of freed extents is given back, of those that are being read later;
// the others keep their bytes.
func TestPunch(t *testing.T) {
	e := openIn(t, t.TempDir(), holey{folder.OS()}, &room{left: 1 << 40})
	content := random(3 * Unit)
	kept, keptAt := put(t, e, content)
	freed, freedAt := put(t, e, content)
	read, readAt := put(t, e, content)
	r, err := e.Open(readAt, read, true)
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range []Place{freedAt, readAt} {
		if err := e.Free(p, map[Place]string{freedAt: freed, readAt: read}[p]); err != nil {
			t.Fatal(err)
		}
	}
	if err := e.Punch(e.Freed()); err != nil {
		t.Fatal(err)
	}
	for _, certain := range []bool{true, false} {
		if _, err := e.Open(freedAt, freed, certain); !errors.Is(err, blob.ErrNotExist) {
			t.Errorf("a freed blob opens: %v", err)
		}
	}
	b, err := io.ReadAll(io.NewSectionReader(r, 0, r.Size()))
	if err != nil || !bytes.Equal(b, content) {
		t.Errorf("an open reader does not read on: %v", err)
	}
	if err := r.Close(); err != nil {
		t.Error(err)
	}
	if err := e.Punch(e.Freed()); err != nil {
		t.Fatal(err)
	}
	if _, err := e.Open(readAt, read, false); !errors.Is(err, blob.ErrNotExist) {
		t.Errorf("it opens after its reader: %v", err)
	}
	if !bytes.Equal(get(t, e, kept, keptAt), content) {
		t.Error("a blob that is needed has other bytes")
	}
	if u := e.Usage(); u.Punched != 2*int64(units(int64(len(content))))*Unit {
		t.Errorf("%+v", u)
	}
	if len(e.reading)+len(e.punching)+len(e.freed) != 0 {
		t.Errorf("left are %v, %v, %v", e.reading, e.punching, e.freed)
	}
}

// TestSetAsidePunches: a segment that is set aside keeps the extents that are asked for, and
// those that are being read, and takes no room for others.
func TestSetAsidePunches(t *testing.T) {
	e := openIn(t, t.TempDir(), holey{folder.OS()}, &room{left: 1 << 40})
	names, places, contents := [5]string{}, [5]Place{}, [5][]byte{}
	for i := range names {
		contents[i] = random((i + 1) * 2 * Unit)
		names[i], places[i] = put(t, e, contents[i])
	}
	put(t, e, random(40*Unit)) // it goes into the next one
	r, err := e.Open(places[3], names[3], true)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	number := places[0].Segment
	err = e.SetAside(number, time.Now(), []Extent{{Place: places[1], Name: names[1], Size: int64(len(contents[1]))}})
	if err != nil {
		t.Fatal(err)
	}
	if b, err := io.ReadAll(io.NewSectionReader(r, 0, r.Size())); err != nil || !bytes.Equal(b, contents[3]) {
		t.Errorf("an open reader does not read on: %v", err)
	}
	b, err := os.ReadFile(e.asidePath(number))
	if err != nil || !bytes.Equal(b[:Unit], segmentHeader(number)) {
		t.Errorf("it does not begin with its header: %v", err)
	}
	for i, p := range places {
		kept := i == 1 || i == 3
		begin, size := int(p.Unit)*Unit, int(units(int64(len(contents[i]))))*Unit
		if zero := bytes.Equal(b[begin:begin+size], make([]byte, size)); zero == kept {
			t.Errorf("extent %d: kept %v, zeros %v", i, kept, zero)
		}
		if kept && !bytes.Equal(b[begin+headerSize:][:len(contents[i])], contents[i]) {
			t.Errorf("extent %d has other bytes", i)
		}
	}
	if err := e.PutBack(number); err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(get(t, e, names[1], places[1]), contents[1]) {
		t.Error("what was kept is not back")
	}
}

// TestPunchLeavesOthers: no room is given back at a place where another blob's extent is.
func TestPunchLeavesOthers(t *testing.T) {
	e := openIn(t, t.TempDir(), holey{folder.OS()}, &room{left: 1 << 40})
	content := random(3 * Unit)
	name, p := put(t, e, content)
	if err := e.Free(p, makeName(p, int64(len(content)))); err != nil {
		t.Fatal(err)
	}
	if err := e.Punch(e.Freed()); err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(get(t, e, name, p), content) {
		t.Error("it has other bytes")
	}
}

// TestHolesAreNotLeft: a segment whose dead room is given back takes more extents; one of which three
// quarters stay dead is left, but not what is being written.
func TestHolesAreNotLeft(t *testing.T) {
	for _, c := range []struct {
		name                string
		files               folder.FS
		freed, kept, writes int // extents of 4 units
		leaves              bool
	}{
		{"holes", holey{folder.OS()}, 8, 1, 0, false},
		{"no holes", foldertest.Unsynced(folder.OS()), 8, 1, 0, true},
		{"little dead", folder.OS(), 1, 0, 0, false},
		{"half needed", folder.OS(), 4, 4, 0, false},
		{"being written", folder.OS(), 1, 0, 8, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			e := openIn(t, t.TempDir(), c.files, &room{left: 1 << 40})
			content := random(3 * Unit)
			for range c.kept {
				put(t, e, content)
			}
			for range c.writes {
				w, err := e.Create(int64(len(content)))
				if err != nil {
					t.Fatal(err)
				}
				defer w.Abort()
			}
			for range c.freed {
				name, p := put(t, e, content)
				if err := e.Free(p, name); err != nil {
					t.Fatal(err)
				}
			}
			if err := e.Punch(e.Freed()); err != nil {
				t.Fatal(err)
			}
			e.LeaveDead()
			if left := e.current == nil; left != c.leaves || (len(e.Worst()) == 1) != c.leaves {
				t.Errorf("left %v, to compact %v", left, e.Worst())
			}
		})
	}
}

// TestGiveBack: of what was there at the start, only what is to be kept and what is being read stays. What was
// written since stays as it is.
func TestGiveBack(t *testing.T) {
	dir := t.TempDir()
	files := holey{folder.OS()}
	old := openIn(t, dir, files, &room{left: 1 << 40})
	content := random(3 * Unit)
	names, places := [4]string{}, [4]Place{}
	for i := range names {
		names[i], places[i] = put(t, old, content)
	}
	e := openIn(t, dir, files, &room{left: 1 << 40}) // a crash
	e.Surveyed(map[uint32]int64{1: Units(int64(len(content)))})
	number, ok := e.LeftDead()
	if !ok || number != 1 {
		t.Fatalf("%d, %v", number, ok)
	}
	r, err := e.Open(places[1], names[1], true)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	name, place := put(t, e, content)
	if place.Segment != number {
		t.Fatalf("the new blob is at %v", place)
	}
	end := e.ToGive(number)
	if err := e.GiveBack(number, end, []Extent{{Place: places[2], Size: int64(len(content))}}); err != nil {
		t.Fatal(err)
	}
	for i := range names {
		found, err := NameAt(files, e.o.Dir, places[i])
		if kept := i == 1 || i == 2; err != nil || (found == names[i]) != kept {
			t.Errorf("extent %d: %q, %v", i, found, err)
		}
	}
	for _, b := range [][]byte{get(t, e, names[1], places[1]), get(t, e, names[2], places[2]), get(t, e, name, place)} {
		if !bytes.Equal(b, content) {
			t.Error("what was kept has other bytes")
		}
	}
	if _, ok := e.LeftDead(); ok || e.ToGive(number) != 0 {
		t.Error("it is looked at again")
	}
}

// TestGiveBackWhatWasAskedAbout: a segment that is left meanwhile gives back nothing that lies behind what ToGive said.
func TestGiveBackWhatWasAskedAbout(t *testing.T) {
	dir := t.TempDir()
	files := holey{folder.OS()}
	content := random(3 * Unit)
	dead, at := put(t, openIn(t, dir, files, &room{left: 1 << 40}), content)
	e := openIn(t, dir, files, &room{left: 1 << 40}) // a crash
	number := at.Segment
	end := e.ToGive(number)
	names := map[string]Place{}
	for {
		name, place := put(t, e, content)
		if place.Segment != number {
			break
		}
		names[name] = place
	}
	if err := e.GiveBack(number, end, nil); err != nil {
		t.Fatal(err)
	}
	if found, err := NameAt(files, e.o.Dir, at); found == dead || err != nil {
		t.Errorf("the dead blob is still there, %v", err)
	}
	for name, place := range names {
		if !bytes.Equal(get(t, e, name, place), content) {
			t.Errorf("the blob at %v has other bytes", place)
		}
	}
	if later := e.ToGive(number); len(names) == 0 || later <= end {
		t.Errorf("%d blobs came; the rest up to %d is never looked at", len(names), later)
	}
}
