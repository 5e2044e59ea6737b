package payload

import (
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"golang.org/x/sys/unix"
	"pgregory.net/rapid"

	"watertight/internal/access/authz"
	"watertight/internal/core/change"
	"watertight/internal/core/change/coretest"
	"watertight/internal/core/keys"
	"watertight/internal/core/payload/internal/disk"
	"watertight/internal/core/payload/internal/segment"
	"watertight/internal/storage/folder"
	"watertight/internal/storage/folder/foldertest"
	"watertight/internal/storage/kv"
	"watertight/internal/storage/seal"
)

// world is a data directory with segments, and records that name blobs.
type world struct {
	*Store
	dir     string
	keys    testKeys
	records kv.Store
	files   folder.FS
	blobs   map[string]held // those that have a record
}

type held struct {
	at      Location
	content []byte
}

func newWorld(t testing.TB) *world {
	t.Helper()
	w := &world{
		dir: t.TempDir(), keys: testKeys{{}: seal.NewKey()}, records: coretest.Store(t), blobs: map[string]held{},
		files: foldertest.Unsynced(folder.OS()),
	}
	w.open(t)
	t.Cleanup(func() { w.Store.Close() })
	return w
}

func (w *world) open(t testing.TB) {
	t.Helper()
	s, err := Open(Options{
		Dir: w.dir, Keys: w.keys, Records: w.records, Files: w.files, SegmentUnits: 512,
	})
	if err != nil {
		t.Fatal(err)
	}
	w.Store, s.tidying.rate = s, 1<<40
}

func (w *world) write(t testing.TB, n int) held {
	t.Helper()
	content := random(n)
	at, _, err := w.Write(t.Context(), authz.Grant{}, Source{
		Body: bytes.NewReader(content), Size: int64(n), Binding: []byte("b"),
	})
	if err != nil {
		t.Fatal(err)
	}
	return held{at, content}
}

// commit writes or deletes records that name blobs.
func (w *world) commit(t testing.TB, alive bool, names ...string) {
	t.Helper()
	err := change.Background(t.Context(), w.records, "test", func(tx kv.Tx) error {
		for _, n := range names {
			if alive {
				tx.Set(referenceKey(n), []byte("v"))
			} else {
				tx.Delete(referenceKey(n))
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

func (w *world) put(t testing.TB, n int) string {
	t.Helper()
	h := w.write(t, n)
	w.commit(t, true, h.at.Blob)
	w.Settle(h.at)
	w.blobs[h.at.Blob] = h
	return h.at.Blob
}

func (w *world) delete(t testing.TB, names ...string) {
	t.Helper()
	w.commit(t, false, names...)
	for _, n := range names {
		w.Remove(t.Context(), w.blobs[n].at)
		delete(w.blobs, n)
	}
}

func (w *world) check(t testing.TB) {
	t.Helper()
	for name, h := range w.blobs {
		w.read(t, name, h)
	}
}

func (w *world) read(t testing.TB, name string, h held) {
	t.Helper()
	o, err := w.get(h.at, keys.Choice{}, nil, "b")
	if err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	defer o.Close()
	r, err := o.Range(0, o.Size())
	if err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	defer r.Close()
	if b, err := io.ReadAll(r); err != nil || !bytes.Equal(b, h.content) {
		t.Fatalf("%s has other bytes, %v", name, err)
	}
}

func (w *world) tidy(t testing.TB, now time.Time) Tidied {
	t.Helper()
	done, err := w.Tidy(t.Context(), now)
	if err != nil {
		t.Fatal(err)
	}
	return done
}

func (w *world) names() []string {
	all := make([]string, 0, len(w.blobs))
	for n := range w.blobs {
		all = append(all, n)
	}
	slices.Sort(all)
	return all
}

func (w *world) segmentFiles(t testing.TB) []string {
	t.Helper()
	return files(t, segmentsDir(w.dir))
}

// TestWhereBlobsLie: the announced size decides whether a blob lies in a segment.
func TestWhereBlobsLie(t *testing.T) {
	w := newWorld(t)
	for _, c := range []struct {
		name    string
		n       int
		segment bool
	}{
		{"small", InlineMax + 1, true},
		{"largest", SegmentMax, true},
		{"larger", SegmentMax + 1, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			name := w.put(t, c.n)
			if _, _, ok := segment.Parse(name); ok != c.segment {
				t.Errorf("it is %q", name)
			}
		})
	}
	at, _, err := w.Write(t.Context(), authz.Grant{}, Source{
		Body: bytes.NewReader(random(InlineMax + 1)), Size: -1, Binding: []byte("b"),
	})
	if _, _, ok := segment.Parse(at.Blob); ok || err != nil {
		t.Errorf("a body of unknown size is %q, %v", at.Blob, err)
	}
	w.check(t)
}

// fill puts blobs until there are n segments that take no more.
func (w *world) fill(t testing.TB, n int) {
	t.Helper()
	w.put(t, 20_000)
	for len(w.segmentFiles(t)) <= n {
		w.put(t, 20_000)
	}
}

// TestCompaction: what is needed is moved, the rest goes, and everything reads on.
func TestCompaction(t *testing.T) {
	w := newWorld(t)
	w.fill(t, 1)
	if done := w.tidy(t, time.Now()); done != (Tidied{}) {
		t.Errorf("full segments: %+v", done)
	}
	first := segment.Prefix(1)
	names := w.names()
	open, err := w.get(w.blobs[names[0]].at, keys.Choice{}, nil, "b")
	if err != nil {
		t.Fatal(err)
	}
	defer open.Close()
	content := w.blobs[names[0]].content
	var kept int
	for i, n := range names {
		if n[:len(first)] == first && i%4 != 0 {
			w.delete(t, n)
		} else if n[:len(first)] == first {
			kept++
		}
	}
	release, ok := w.operator().Hold()
	if !ok {
		t.Fatal("no hold")
	}
	if done := w.tidy(t, time.Now()); done.Removed > 0 {
		t.Errorf("during a backup: %+v", done)
	}
	if err := release(); err != nil {
		t.Fatal(err)
	}
	if done := w.tidy(t, time.Now()); done.Removed != 1 || done.Moved != kept || done.SetAside != 0 {
		t.Errorf("%+v, want %d moved", done, kept)
	}
	if all := w.segmentFiles(t); len(all) != 1 {
		t.Errorf("there are %v", all)
	}
	w.check(t)
	r, err := open.Range(0, open.Size())
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	if b, err := io.ReadAll(r); err != nil || !bytes.Equal(b, content) {
		t.Errorf("a reader that was open: %v", err)
	}
	w.Close()
	w.open(t)
	w.check(t)
	w.tidy(t, time.Now())
	w.check(t)
	for _, n := range w.names() { // also of moved blobs
		w.delete(t, n)
	}
	if u := w.Segments(); u.Dead < u.Bytes*9/10 {
		t.Errorf("all was deleted: %+v", u)
	}
}

func (w *world) operator() *Operator { return NewOperator(w.Store, nil) }

// TestUnexplained: a segment with extents that no record explains is set aside, comes back if
// a record needs it, and is removed after a day, unless there are many of them.
func TestUnexplained(t *testing.T) {
	w := newWorld(t)
	now := time.Now()
	w.fill(t, 1)
	first := segment.Prefix(1)
	var lost []string
	for _, n := range w.names() {
		if n[:len(first)] == first {
			lost = append(lost, n)
		}
	}
	saved := map[string]held{}
	for _, n := range lost {
		saved[n] = w.blobs[n]
		delete(w.blobs, n)
	}
	w.commit(t, false, lost...) // older records: nobody removed these blobs
	w.Close()
	w.open(t)
	if done := w.tidy(t, now); done.SetAside != 1 || done.Removed != 0 {
		t.Fatalf("%+v", done)
	}
	w.commit(t, true, lost[0]) // the right records are back
	w.read(t, lost[0], saved[lost[0]])
	w.commit(t, false, lost[0])
	w.Close()
	w.open(t)
	if done := w.tidy(t, now); done.SetAside != 1 {
		t.Fatalf("%+v", done)
	}
	w.commit(t, true, lost[1])
	w.Close()
	w.open(t)
	if done := w.tidy(t, now); done.PutBack != 1 {
		t.Fatalf("%+v", done)
	}
	w.read(t, lost[1], saved[lost[1]])
	w.commit(t, false, lost[1])
	w.Close()
	w.open(t)
	w.tidy(t, now)
	if done := w.tidy(t, now.Add(Grace+time.Hour)); done.Kept < fewOrphans || done.Removed != 0 {
		t.Errorf("many blobs: %+v", done)
	}
	w.check(t)
}

// TestLostSegments: a store that had segments is not opened without their folder.
func TestLostSegments(t *testing.T) {
	w := newWorld(t)
	w.put(t, 100_000)
	w.Close()
	if err := os.Rename(segmentsDir(w.dir), filepath.Join(w.dir, "elsewhere")); err != nil {
		t.Fatal(err)
	}
	if s, err := Open(Options{Dir: w.dir, Keys: w.keys, Records: w.records}); err == nil {
		s.Close()
		t.Error("it opens")
	}
	if _, err := os.Stat(segmentsDir(w.dir)); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("something was made: %v", err)
	}
	os.Rename(filepath.Join(w.dir, "elsewhere"), segmentsDir(w.dir))
	w.open(t)
	w.check(t)
}

// TestSegmentsModel: whatever is put, deleted and moved, with crashes in between, each blob
// that has a record reads, and everything else goes in the end.
func TestSegmentsModel(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		w := newWorld(t)
		if rapid.Bool().Draw(rt, "punching") {
			w.Close()
			w.files = foldertest.Punching(folder.OS())
			w.open(t)
		}
		for range rapid.IntRange(1, 5).Draw(rt, "steps") {
			switch rapid.IntRange(0, 5).Draw(rt, "step") {
			case 0, 1:
				for range 12 {
					w.put(t, rapid.IntRange(InlineMax+1, 150<<10).Draw(rt, "size"))
				}
			case 2:
				for _, n := range w.names() {
					if rapid.IntRange(0, 9).Draw(rt, "delete") < 7 {
						w.delete(t, n)
					}
				}
			case 3:
				h := w.write(t, 50_000)
				if rapid.Bool().Draw(rt, "dropped") {
					w.Drop(t.Context(), h.at)
				} // or its end is not known
			case 4:
				w.tidy(t, time.Now())
			case 5:
				if rapid.Bool().Draw(rt, "closed") {
					w.Close()
				}
				w.engine.Close()
				w.open(t)
			}
		}
		w.check(t)
		w.Close()
	})
}

// TestTornMove: after a crash between the copy and its record, or between the record and the
// removal of the segment, moving begins again.
func TestTornMove(t *testing.T) {
	w := newWorld(t)
	w.fill(t, 1)
	for range 30 { // more than a quarter of the newest segment is needed, so that it is not compacted, too
		w.put(t, 20_000)
	}
	first := segment.Prefix(1)
	var left []string
	for i, n := range w.names() {
		switch {
		case n[:len(first)] != first:
		case i%8 != 0:
			w.delete(t, n)
		default:
			left = append(left, n)
		}
	}
	needed, err := w.needed(t.Context(), 1)
	if err != nil || len(needed) != len(left) {
		t.Fatalf("%d are needed, not %d: %v", len(needed), len(left), err)
	}
	if _, err := w.copyExtent(needed[0]); err != nil { // copied, and no more
		t.Fatal(err)
	}
	if err := w.move(t.Context(), needed[1:3], &Tidied{}); err != nil {
		t.Fatal(err)
	}
	w.open(t) // a crash
	w.check(t)
	w.delete(t, needed[1].name) // it was moved
	if done := w.tidy(t, time.Now()); done.Moved != len(left)-3 && done.Moved != len(left)-2 || done.Removed != 1 {
		t.Errorf("%+v of %d", done, len(left))
	}
	w.check(t)
	var places int
	err = w.Store.names(context.Background(), placedPrefix, func(_ kv.Reader, rest string, value []byte) error {
		places++
		p, ok := segment.ParsePlace(rest)
		name, err := decodeName(value)
		if at, _, err := w.moved(name); !ok || err != nil || at != p {
			t.Errorf("%s is at %v, not at %v: %v", name, at, p, err)
		}
		return err
	})
	if err != nil || places != len(left) && places != len(left)-1 {
		t.Errorf("%d places, %v", places, err)
	}
}

// TestRemovedBeforeSurvey: the mark of a removed blob is at the place where it was moved to, although since the start
// nobody has looked yet what was moved.
func TestRemovedBeforeSurvey(t *testing.T) {
	w := newWorld(t)
	w.fill(t, 1)
	needed, err := w.needed(t.Context(), 1)
	if err != nil {
		t.Fatal(err)
	}
	if err := w.move(t.Context(), needed[:2], &Tidied{}); err != nil {
		t.Fatal(err)
	}
	w.open(t) // a crash
	at, moved, err := w.moved(needed[0].name)
	if err != nil || !moved {
		t.Fatal(moved, err)
	}
	w.delete(t, needed[0].name)
	found := false
	for x, err := range w.segments.Extents(at.Segment) {
		if err != nil {
			t.Fatal(err)
		}
		if x.Place == at {
			if found = true; !x.Freed {
				t.Error("it counts as left by a crash")
			}
		}
	}
	if !found {
		t.Error("nothing is where it was moved to")
	}
	w.check(t)
}

// TestHalfOfAPunch: room of a moved blob that was given back in part before a power failure, with its header still in
// place, hides nothing.
func TestHalfOfAPunch(t *testing.T) {
	w := newWorld(t)
	w.fill(t, 1)
	needed, err := w.needed(t.Context(), 1)
	if err != nil {
		t.Fatal(err)
	}
	needed = needed[:4]
	if err := w.move(t.Context(), needed, &Tidied{}); err != nil {
		t.Fatal(err)
	}
	path := segment.Path(segmentsDir(w.dir), 1)
	file := readFile(t, path)
	for _, x := range needed {
		clear(file[x.at.Offset():][1000:x.size])
	}
	writeFile(t, path, file)
	w.open(t)  // a crash
	w.check(t) // nobody knows yet that it was moved
	w.tidy(t, time.Now())
	w.check(t)
	for _, x := range needed {
		w.delete(t, x.name)
	}
	w.check(t)
}

// TestExchangedSegments: a file that is another segment's is not compacted away: put back
// under its own name, everything is there.
func TestExchangedSegments(t *testing.T) {
	w := newWorld(t)
	w.put(t, 20_000)
	for size := 21_300; len(w.segmentFiles(t)) <= 2; size += 1_300 { // so that places differ
		w.put(t, size)
	}
	for i, n := range w.names() {
		if i%8 != 0 {
			w.delete(t, n)
		}
	}
	w.Close()
	one, two := segment.Path(segmentsDir(w.dir), 1), segment.Path(segmentsDir(w.dir), 2)
	exchange := func() {
		err := errors.Join(os.Rename(one, one+"x"), os.Rename(two, one), os.Rename(one+"x", two))
		if err != nil {
			t.Fatal(err)
		}
	}
	exchange()
	w.open(t)
	if done, err := w.Tidy(t.Context(), time.Now()); err == nil || done.Moved > 0 || done.Removed > 0 {
		t.Errorf("exchanged files: %+v, %v", done, err)
	}
	w.Close()
	exchange()
	w.open(t)
	w.check(t)
	if done := w.tidy(t, time.Now()); done.Removed != 2 {
		t.Errorf("put back: %+v", done)
	}
	w.check(t)
}

// TestMixedSegments: segments with parts that are another one's, or older, stay as they are:
// with the right files, everything is there.
func TestMixedSegments(t *testing.T) {
	const half = 256 * segment.Unit
	for _, c := range []struct {
		name string
		mix  func(one, two, old []byte)
	}{
		{"exchanged halves", func(one, two, _ []byte) {
			first := bytes.Clone(one[half:])
			copy(one[half:], two[half:])
			copy(two[half:], first)
		}},
		{"second half of another", func(one, two, _ []byte) { copy(one[half:], two[half:]) }},
		{"first half of another", func(one, two, _ []byte) { copy(one[segment.Unit:half], two[segment.Unit:]) }},
		{"older second half", func(one, _, old []byte) { copy(one[half:], old[half:]) }},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := newWorld(t)
			paths := []string{segment.Path(segmentsDir(w.dir), 1), segment.Path(segmentsDir(w.dir), 2)}
			w.put(t, 20_000)
			old := readFile(t, paths[0])
			for size := 21_300; len(w.segmentFiles(t)) <= 2; size += 1_300 { // so that places differ
				w.put(t, size)
			}
			for i, n := range w.names() {
				if i%4 != 3 {
					w.delete(t, n)
				}
			}
			w.Close()
			rights := [][]byte{readFile(t, paths[0]), readFile(t, paths[1])}
			mixed := [][]byte{bytes.Clone(rights[0]), bytes.Clone(rights[1])}
			c.mix(mixed[0], mixed[1], old)
			for i := range paths {
				writeFile(t, paths[i], mixed[i])
			}
			w.open(t)
			if _, err := w.Tidy(t.Context(), time.Now()); err == nil {
				t.Error("no error")
			}
			w.Close()
			for i := range paths { // the one that is right may have been compacted
				if !bytes.Equal(mixed[i], rights[i]) {
					if !bytes.Equal(readFile(t, paths[i]), mixed[i]) {
						t.Errorf("%s was changed", paths[i])
					}
					writeFile(t, paths[i], rights[i])
				}
			}
			w.open(t)
			w.check(t)
			if done := w.tidy(t, time.Now()); done.Removed == 0 {
				t.Errorf("with the right files: %+v", done)
			}
			w.check(t)
		})
	}
}

func readFile(t testing.TB, path string) []byte {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func writeFile(t testing.TB, path string, b []byte) {
	t.Helper()
	if err := os.WriteFile(path, b, 0o600); err != nil {
		t.Fatal(err)
	}
}

// TestForeignHalf: a segment of which records need nothing stays if another one's extents,
// which are not where records say, lie in it.
func TestForeignHalf(t *testing.T) {
	w := newWorld(t)
	w.fill(t, 2)
	one, two := segment.Prefix(1), segment.Prefix(2)
	for i, n := range w.names() {
		if n[:len(one)] == one || n[:len(two)] == two && i%4 != 0 {
			w.delete(t, n)
		}
	}
	w.Close()
	paths := []string{segment.Path(segmentsDir(w.dir), 1), segment.Path(segmentsDir(w.dir), 2)}
	contents := [][]byte{readFile(t, paths[0]), readFile(t, paths[1])}
	writeFile(t, paths[0], append(bytes.Clone(contents[0][:segment.Unit]), contents[1][segment.Unit:]...))
	writeFile(t, paths[1], append(bytes.Clone(contents[1][:segment.Unit]), contents[0][segment.Unit:]...))
	w.open(t)
	if done, err := w.Tidy(t.Context(), time.Now()); err == nil || done != (Tidied{}) {
		t.Errorf("%+v, %v", done, err)
	}
	w.Close()
	writeFile(t, paths[0], contents[0])
	writeFile(t, paths[1], contents[1])
	w.open(t)
	w.check(t)
	if done := w.tidy(t, time.Now()); done.Removed != 2 {
		t.Errorf("with the right files: %+v", done)
	}
	w.check(t)
}

// TestCrashesTakeLittleRoom: after crashes with uploads under way, the disk holds what is
// needed, and of segments that were set aside what no record explains.
func TestCrashesTakeLittleRoom(t *testing.T) {
	needPunch(t)
	w := newWorld(t)
	w.files = foldertest.Punching(folder.OS())
	w.Close()
	w.open(t)
	const crashes, size = 12, 50_000
	aside, strays := 0, int64(0)
	for range crashes {
		w.put(t, 30_000)
		w.write(t, size) // its record never commits
		strays += segment.Units(size) * segment.Unit
		w.fill(t, len(w.segmentFiles(t)))
		for i, n := range w.names() {
			if i%8 != 0 {
				w.delete(t, n)
			}
		}
		w.engine.Close()
		w.open(t) // a crash
		aside += w.tidy(t, time.Now()).SetAside
		w.check(t)
	}
	if aside < crashes/2 {
		t.Fatalf("only %d segments were set aside", aside)
	}
	// A segment has two units before its extents. Up to three quarters of one that is not
	// set aside may be dead, and the newest one is not compacted.
	live := int64(0)
	for _, h := range w.blobs {
		live += segment.Units(int64(len(h.content))) * segment.Unit
	}
	most := int64(aside)*3*segment.Unit + strays
	if got := room(t, filepath.Join(Folder(w.dir), disk.AsideFolder)); got > most {
		t.Errorf("segments set aside take %d bytes of at most %d", got, most)
	}
	if got, most := room(t, segmentsDir(w.dir)), 4*live+strays+2*512*segment.Unit; got > most {
		t.Errorf("segments take %d bytes of at most %d", got, most)
	}
}

// needPunch skips the test where temporary files can't get holes.
func needPunch(t *testing.T) {
	t.Helper()
	f, err := folder.OS().OpenFile(filepath.Join(t.TempDir(), "probe"), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if _, err := f.Write(make([]byte, 2*segment.Unit)); err != nil {
		t.Fatal(err)
	}
	if err := f.(folder.Puncher).Punch(0, segment.Unit); errors.Is(err, errors.ErrUnsupported) {
		t.Skip("the file system of temporary files can't punch holes")
	}
}

// room returns how many bytes the files in a folder take on the disk.
func room(t testing.TB, dir string) (n int64) {
	t.Helper()
	for _, path := range files(t, dir) {
		var s unix.Stat_t
		if err := unix.Stat(path, &s); err != nil {
			t.Fatal(err)
		}
		n += s.Blocks * 512
	}
	return n
}
