package audit

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"watertight/internal/storage/folder"
	"watertight/internal/storage/seal"
)

// writeJournal writes n frames of one small event each into files of two.
func writeJournal(t testing.TB, dir string, n int) {
	t.Helper()
	j, err := openJournal(folder.OS(), dir, testRoot())
	if err != nil {
		t.Fatal(err)
	}
	j.limit, j.reserve = headerSize+200, 64<<10
	appendTo(t, j, n)
	if err := j.close(); err != nil {
		t.Fatal(err)
	}
}

func appendTo(t testing.TB, j *journal, n int) {
	t.Helper()
	for range n {
		next := j.state.sequence + 1
		f := frame{
			written: testTime, anchor: 10 * next, count: 1, direct: appendEvent(nil, 0, []byte{'{', byte(next), '}'}),
		}
		f.moved = []entry{{position{commit: next}, []byte("{}")}}
		if err := j.append(f); err != nil {
			t.Fatal(err)
		}
	}
}

// sequences reads the log and returns the frames' numbers.
func sequences(dir string) (all []uint64, err error) {
	err = Read(folder.OS(), dir, testRoot(), func(g Group) error {
		if g.Anchor != 10*g.Sequence || len(g.Events) != 2 || g.Events[0].Commit != g.Sequence ||
			g.Events[1].JSON[1] != byte(g.Sequence) || !g.Written.Equal(testTime) {
			return errors.New("not what was written")
		}
		all = append(all, g.Sequence)
		return nil
	})
	return all, err
}

// reopen opens the log as a start does and closes it.
func reopen(dir string) error {
	j, err := openJournal(folder.OS(), dir, testRoot())
	if err == nil {
		err = errors.Join(j.damage, j.close())
	}
	return err
}

func TestJournalRoundTrip(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "audit")
	for range 3 {
		writeJournal(t, dir, 3)
	}
	got, err := sequences(dir)
	if err != nil || !slices.Equal(got, []uint64{1, 2, 3, 4, 5, 6, 7, 8, 9}) {
		t.Fatal(got, err)
	}
	if names, _ := list(folder.OS(), dir); len(names) < 4 {
		t.Fatalf("files %v: the log does not rotate", names)
	}
	j, err := openJournal(folder.OS(), dir, testRoot())
	if err != nil {
		t.Fatal(err)
	}
	defer j.close()
	if j.state.anchor != 90 || j.state.moved.commit != 9 {
		t.Errorf("state %+v", j.state)
	}
	if _, err := openJournal(folder.OS(), dir, testRoot()); err == nil {
		t.Error("the log was opened twice")
	}
}

func TestJournalNeedsItsKey(t *testing.T) {
	dir := t.TempDir()
	writeJournal(t, dir, 1)
	other := seal.RingOf(seal.NewKey())
	if _, err := openJournal(folder.OS(), dir, other); !errors.Is(err, ErrDamaged) {
		t.Error(err)
	}
	if err := Read(folder.OS(), dir, other, func(Group) error { return nil }); !errors.Is(err, ErrDamaged) {
		t.Error(err)
	}
}

func TestNothingIsPlainOnDisk(t *testing.T) {
	dir := t.TempDir()
	j, err := openJournal(folder.OS(), dir, testRoot())
	if err != nil {
		t.Fatal(err)
	}
	defer j.close()
	if err := j.append(frame{
		written: testTime, count: 1, direct: appendEvent(nil, 0, []byte(`{"key":"CANARY"}`)),
	}); err != nil {
		t.Fatal(err)
	}
	root := testRoot().Current().Key
	b, err := os.ReadFile(filepath.Join(dir, fileName(1)))
	if err != nil || bytes.Contains(b, []byte("CANARY")) || bytes.Contains(b, root[:]) {
		t.Error("the file is not sealed", err)
	}
}

func TestEveryFlippedByteIsNoticed(t *testing.T) {
	dir := t.TempDir()
	writeJournal(t, dir, 3)
	names, err := list(folder.OS(), dir)
	if err != nil || len(names) != 2 {
		t.Fatal(names, err)
	}
	for i, name := range names {
		path := filepath.Join(dir, fileName(name))
		b, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		for at := range b {
			b[at] ^= 0x10
			if err := os.WriteFile(path, b, 0o600); err != nil {
				t.Fatal(err)
			}
			if _, err := sequences(dir); !errors.Is(err, ErrDamaged) {
				t.Fatalf("%d: byte %d flipped: Read says %v", name, at, err)
			}
			if err := reopen(dir); !errors.Is(err, ErrDamaged) && (i == len(names)-1 || at < headerSize) {
				t.Fatalf("%d: byte %d flipped: Open says %v", name, at, err)
			}
			b[at] ^= 0x10
		}
		if err := os.WriteFile(path, b, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := sequences(dir); err != nil {
		t.Fatal(err)
	}
}

func TestEveryCutIsNoticedOrTorn(t *testing.T) {
	whole := t.TempDir()
	writeJournal(t, whole, 4) // two files of two frames
	first, _ := os.ReadFile(filepath.Join(whole, fileName(1)))
	second, err := os.ReadFile(filepath.Join(whole, fileName(2)))
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	write := func(n uint64, b []byte) {
		if err := os.WriteFile(filepath.Join(dir, fileName(n)), b, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for n := range first {
		write(1, first[:n])
		write(2, second)
		if _, err := sequences(dir); !errors.Is(err, ErrDamaged) {
			t.Fatalf("older file cut to %d: Read says %v", n, err)
		}
		if err := reopen(dir); !errors.Is(err, ErrDamaged) {
			t.Fatalf("older file cut to %d: Open says %v", n, err)
		}
	}
	write(1, first)
	for n := range second {
		write(2, second[:n])
		got, err := sequences(dir)
		if n < headerSize {
			if !errors.Is(err, ErrDamaged) || !errors.Is(reopen(dir), ErrDamaged) {
				t.Fatalf("newest file cut to %d: %v", n, err)
			}
			continue
		}
		if err != nil || len(got) < 2 || len(got) > 3 {
			t.Fatalf("newest file cut to %d: %v %v", n, got, err)
		}
		kept := len(got)
		writeJournal(t, dir, 2) // opens, cuts the torn frame, and continues
		if got, err := sequences(dir); err != nil || len(got) != kept+2 {
			t.Fatalf("newest file cut to %d, then continued: %v %v", n, got, err)
		}
		os.Remove(filepath.Join(dir, fileName(3)))
	}
	write(1, append(slices.Clone(first), 0))
	write(2, second)
	if err := reopen(dir); !errors.Is(err, ErrDamaged) {
		t.Errorf("older file extended: Open says %v", err)
	}
	if _, err := sequences(dir); !errors.Is(err, ErrDamaged) {
		t.Errorf("older file extended: Read says %v", err)
	}
}

func TestMissingAndSwappedFilesAreNoticed(t *testing.T) {
	other := t.TempDir()
	j, err := openJournal(folder.OS(), other, testRoot())
	if err != nil {
		t.Fatal(err)
	}
	j.limit, j.reserve = headerSize+200, 64<<10
	if err := j.append(frame{
		written: testTime, anchor: 10, count: 2,
		direct: appendEvent(appendEvent(nil, 0, []byte("{}")), 0, []byte("{X}")),
	}); err != nil {
		t.Fatal(err)
	}
	appendTo(t, j, 5)
	if err := j.close(); err != nil {
		t.Fatal(err)
	}
	for name, harm := range map[string]func(dir string) error{
		"middle missing": func(d string) error { return os.Remove(filepath.Join(d, fileName(2))) },
		"middle closed up": func(d string) error {
			return os.Rename(filepath.Join(d, fileName(3)), filepath.Join(d, fileName(2)))
		},
		"swapped": func(d string) error {
			a, b, c := filepath.Join(d, fileName(1)), filepath.Join(d, fileName(2)), filepath.Join(d, "c")
			return errors.Join(os.Rename(a, c), os.Rename(b, a), os.Rename(c, b))
		},
		"of another log": func(d string) error {
			b, err := os.ReadFile(filepath.Join(other, fileName(2)))
			return errors.Join(err, os.WriteFile(filepath.Join(d, fileName(2)), b, 0o600))
		},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			writeJournal(t, dir, 6)
			if err := harm(dir); err != nil {
				t.Fatal(err)
			}
			if _, err := sequences(dir); !errors.Is(err, ErrDamaged) {
				t.Errorf("%s: Read says %v", name, err)
			}
			if name == "of another log" {
				return // files of equal size: only reading everything can notice it
			}
			if err := reopen(dir); !errors.Is(err, ErrDamaged) {
				t.Errorf("%s: Open says %v", name, err)
			}
		})
	}
}

// TestFramesAreBoundToTheirPlace moves whole, valid frames within a file.
func TestFramesAreBoundToTheirPlace(t *testing.T) {
	dir := t.TempDir()
	j, err := openJournal(folder.OS(), dir, testRoot())
	if err != nil {
		t.Fatal(err)
	}
	ends := []int64{headerSize}
	for range 3 {
		appendTo(t, j, 1)
		if j.size == headerSize {
			t.Fatal("rotated")
		}
		ends = append(ends, j.size)
	}
	j.close()
	path := filepath.Join(dir, fileName(1))
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for name, order := range map[string][]int{
		"dropped": {0, 2}, "swapped": {0, 2, 1}, "repeated": {0, 0, 1, 2}, "first dropped": {1, 2},
	} {
		t.Run(name, func(t *testing.T) {
			c := slices.Clone(b[:headerSize])
			for _, i := range order {
				c = append(c, b[ends[i]:ends[i+1]]...)
			}
			if err := os.WriteFile(path, c, 0o600); err != nil {
				t.Fatal(err)
			}
			if _, err := sequences(dir); !errors.Is(err, ErrDamaged) || !errors.Is(reopen(dir), ErrDamaged) {
				t.Errorf("%s: %v", name, err)
			}
		})
	}
}

// badFile is a file whose operations fail when a test wants it.
type badFile struct {
	file
	fail func(op string) error
}

func (f *badFile) WriteAt(b []byte, at int64) (int, error) {
	if err := f.fail("write"); err != nil {
		n, _ := f.file.WriteAt(b[:len(b)/2], at) // the part that fits
		return n, err
	}
	return f.file.WriteAt(b, at)
}

func (f *badFile) Sync() error {
	if err := f.fail("sync"); err != nil {
		return err
	}
	return f.file.Sync()
}

func (f *badFile) Allocate(at, n int64) error {
	if err := f.fail("allocate"); err != nil {
		return err
	}
	return f.file.Allocate(at, n)
}

func (f *badFile) Truncate(n int64) error {
	if err := f.fail("truncate"); err != nil {
		return err
	}
	return f.file.Truncate(n)
}

// failing makes every file of the journal fail.
func (j *journal) failing(fail func(op string) error) {
	create := j.create
	j.create = func(path string) (file, error) {
		if err := fail("create"); err != nil {
			return nil, err
		}
		f, err := create(path)
		return &badFile{f, fail}, err
	}
	if j.file != nil {
		j.file = &badFile{j.file, fail}
	}
}

// TestJournalSurvivesFailures: operations fail and the process ends at random. Acknowledged frames stay,
// in order and once.
func TestJournalSurvivesFailures(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		dir, err := os.MkdirTemp(t.TempDir(), "")
		if err != nil {
			rt.Fatal(err)
		}
		var acknowledged []byte
		open := func() *journal {
			j, err := openJournal(folder.OS(), dir, testRoot())
			if err != nil {
				rt.Fatal(err)
			}
			j.limit, j.reserve = headerSize+400, 64<<10
			j.failing(func(string) error {
				if rapid.IntRange(0, 4).Draw(rt, "fail") == 0 {
					return errors.New("injected")
				}
				return nil
			})
			return j
		}
		j := open()
		for i := range byte(rapid.IntRange(1, 30).Draw(rt, "frames")) {
			f := frame{written: testTime, count: 1, direct: appendEvent(nil, 0, []byte{i})}
			if j.append(f) == nil {
				acknowledged = append(acknowledged, i)
			}
			if rapid.IntRange(0, 5).Draw(rt, "restart") == 0 {
				j.folder.Close() // as the end of a process
				j.file = nil
				j = open()
			}
		}
		j.folder.Close()
		var found []byte
		if err := Read(folder.OS(), dir, testRoot(), func(g Group) error {
			found = append(found, g.Events[0].JSON...)
			return nil
		}); err != nil {
			rt.Fatal(err)
		}
		// A frame whose sync failed may still be there, but no frame twice.
		if !slices.IsSorted(found) || len(slices.Compact(slices.Clone(found))) != len(found) {
			rt.Fatalf("found %v", found)
		}
		for _, i := range acknowledged {
			if !slices.Contains(found, i) {
				rt.Fatalf("frame %d was acknowledged and is lost: %v", i, found)
			}
		}
	})
}

func FuzzGroup(f *testing.F) {
	var s state
	s.chain[0] = 7
	next := s
	next.anchor, next.moved.commit = 9, 8
	f.Add(append(appendGroupHeader(nil, &next, testTime, 1), appendEvent(nil, 3, []byte("{}"))...))
	f.Add(appendGroupHeader(nil, &next, testTime, 1<<31))
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, b []byte) {
		g, count, after, err := decodeGroup(slices.Clone(b), s)
		if err != nil {
			return
		}
		events, err := decodeEvents(b[groupHeader:], count, nil)
		if err != nil {
			return
		}
		before := after
		before.chain = s.chain
		again := appendGroupHeader(nil, &before, g.Written, len(events))
		for _, e := range events {
			again = appendEvent(again, e.Commit, e.JSON)
		}
		if !bytes.Equal(again, b) {
			t.Errorf("%x is decoded as %x", b, again)
		}
	})
}
