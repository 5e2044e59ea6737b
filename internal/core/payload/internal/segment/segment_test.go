package segment

import (
	"bytes"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"
	"pgregory.net/rapid"

	"watertight/internal/core/payload/internal/blob"
	"watertight/internal/storage/folder"
	"watertight/internal/storage/folder/foldertest"
)

// room is a disk with so many bytes left.
type room struct {
	mu   sync.Mutex
	left int64
}

func (r *room) Take(n int64) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if n > r.left {
		return false
	}
	r.left -= n
	return true
}

// openIn opens an engine whose segments have 64 units.
func openIn(t testing.TB, dir string, files folder.FS, r blob.Room) *Engine {
	t.Helper()
	next := uint32(0)
	e, err := Open(Options{
		FS: files, Dir: filepath.Join(dir, "segments"), Aside: filepath.Join(dir, "aside"), Room: r,
		Number: func(used uint32) (uint32, error) {
			next = max(next, used) + 1
			return next, nil
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	e.limit = 64
	t.Cleanup(func() { e.Close() })
	return e
}

func open(t testing.TB) (*Engine, string) {
	dir := t.TempDir()
	return openIn(t, dir, folder.OS(), &room{left: 1 << 40}), dir
}

func put(t testing.TB, e *Engine, content []byte) (string, Place) {
	t.Helper()
	w, err := e.Create(int64(len(content)))
	if err != nil {
		t.Fatal(err)
	}
	if len(content)%2 == 0 {
		content = append(append(make([]byte, 0, 256<<10), w.Front()...), content...)
	}
	if _, err := w.Write(content); err != nil {
		t.Fatal(err)
	}
	if err := w.Commit(); err != nil {
		t.Fatal(err)
	}
	p, size, ok := Parse(w.Name())
	if !ok || size != w.size || p != w.Place() {
		t.Fatalf("the name %q says %v, %d", w.Name(), p, size)
	}
	e.Settle(p, size)
	return w.Name(), p
}

func get(t testing.TB, e *Engine, name string, p Place) []byte {
	t.Helper()
	r, err := e.Open(p, name, true)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	b, err := io.ReadAll(io.NewSectionReader(r, 0, 1<<30))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func random(n int) []byte {
	b := make([]byte, n)
	rand.Read(b)
	return b
}

func TestNames(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		p := Place{rapid.Uint32().Draw(t, "segment"), rapid.Uint32Range(0, 1<<20-1).Draw(t, "unit")}
		size := rapid.Int64Range(0, MaxSize).Draw(t, "size")
		name := makeName(p, size)
		if err := blob.CheckName(name); err != nil {
			t.Fatal(name, err)
		}
		if q, n, ok := Parse(name); !ok || q != p || n != size {
			t.Fatalf("%q is %v, %d, %v", name, q, n, ok)
		}
		if q, ok := ParsePlace(p.String()); !ok || q != p {
			t.Fatalf("%q is %v", p.String(), q)
		}
	})
	good := makeName(Place{1, 2}, 3)
	for _, bad := range []string{
		"", "s", good[1:], good + "0", "t" + good[1:], "s" + good[2:] + "g", "S" + good[1:], good[:31] + "F",
		"s+" + good[2:], good[:9] + "_" + good[10:],
	} {
		if _, _, ok := Parse(bad); ok {
			t.Errorf("%q is a name", bad)
		}
	}
}

// TestModel: what was written is read, also after the engine was opened again, whether it was
// closed or not; what was aborted, or freed and removed, is not; and no two blobs overlap.
func TestModel(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		dir, err := os.MkdirTemp(t.TempDir(), "")
		if err != nil {
			rt.Fatal(err)
		}
		files := &foldertest.DirectFS{FS: foldertest.Unsynced(folder.OS())}
		e := openIn(t, dir, files, &room{left: 1 << 40})
		type stored struct {
			at      Place
			content []byte
		}
		all := map[string]stored{}
		var pending []*Writer
		pick := func() string {
			names := make([]string, 0, len(all))
			for n := range all {
				names = append(names, n)
			}
			slices.Sort(names)
			return rapid.SampledFrom(names).Draw(rt, "name")
		}
		size := rapid.OneOf(rapid.IntRange(0, 200), rapid.IntRange(4000, 4200), rapid.IntRange(8000, 60_000))
		rt.Repeat(map[string]func(*rapid.T){
			"put": func(rt *rapid.T) {
				content := random(size.Draw(rt, "size"))
				name, at := put(t, e, content)
				all[name] = stored{at, content}
			},
			"begin": func(rt *rapid.T) {
				w, err := e.Create(int64(size.Draw(rt, "size")))
				if err != nil {
					rt.Fatal(err)
				}
				pending = append(pending, w)
			},
			"abort": func(rt *rapid.T) {
				if len(pending) == 0 {
					rt.Skip()
				}
				w := pending[0]
				pending = pending[1:]
				content := make([]byte, 0, 256<<10)
				if rapid.Bool().Draw(rt, "with its front") {
					content = append(content, w.Front()...)
				}
				w.Write(append(content, random(int(w.size/2))...))
				w.Abort()
			},
			"end": func(rt *rapid.T) {
				if len(pending) == 0 {
					rt.Skip()
				}
				w := pending[0]
				pending = pending[1:]
				content := random(int(w.size))
				w.Write(content)
				if err := w.Commit(); err != nil {
					rt.Fatal(err)
				}
				e.Settle(w.Place(), w.size)
				all[w.Name()] = stored{w.Place(), content}
			},
			"free": func(rt *rapid.T) {
				if len(all) == 0 {
					rt.Skip()
				}
				name := pick()
				if err := e.Free(all[name].at, name); err != nil {
					rt.Fatal(err)
				}
				delete(all, name)
			},
			"open again": func(rt *rapid.T) {
				if rapid.Bool().Draw(rt, "closed") {
					for _, w := range pending {
						w.Abort()
					}
					if err := e.Close(); err != nil {
						rt.Fatal(err)
					}
				}
				pending = nil
				e = openIn(t, dir, files, &room{left: 1 << 40})
				live := map[uint32]int64{}
				for name, s := range all {
					p, size, _ := Parse(name)
					live[p.Segment] += Units(size)
					if !bytes.Equal(get(t, e, name, s.at), s.content) {
						rt.Fatal("other bytes")
					}
				}
				e.Surveyed(live)
			},
			"": func(rt *rapid.T) {
				live := map[uint32]int64{}
				for name, s := range all {
					if !bytes.Equal(get(t, e, name, s.at), s.content) {
						rt.Fatalf("%s has other bytes", name)
					}
					live[s.at.Segment] += Units(int64(len(s.content)))
				}
				for n, s := range e.segments {
					if s.known && s.live != live[n] {
						rt.Fatalf("segment %d has %d units, not %d", n, s.live, live[n])
					}
				}
				found := map[string]bool{}
				for _, n := range e.Numbers() {
					for x, err := range e.Extents(n) {
						if err != nil {
							rt.Fatal(err)
						}
						found[x.Name] = true
						if _, ok := all[x.Name]; ok && (x.Freed || x.Place != all[x.Name].at) {
							rt.Fatalf("%s is found as %+v", x.Name, x)
						}
					}
				}
				for name := range all {
					if !found[name] {
						rt.Fatalf("%s is not found by its header", name)
					}
				}
			},
		})
	})
}

// slow is a file system whose syncs wait for a turn.
type slow struct {
	folder.FS
	turn chan error
}

type slowFile struct {
	folder.File
	turn chan error
}

func (s slow) OpenFile(path string, flag int, mode os.FileMode) (folder.File, error) {
	f, err := s.FS.OpenFile(path, flag, mode)
	if err != nil {
		return nil, err
	}
	return slowFile{f, s.turn}, nil
}

func (f slowFile) SyncData() error {
	if err := <-f.turn; err != nil {
		return err
	}
	return f.File.SyncData()
}

// TestCommitsShareSyncs: eight commits that come while a sync runs share the next one.
func TestCommitsShareSyncs(t *testing.T) {
	turn := make(chan error)
	e := openIn(t, t.TempDir(), slow{folder.OS(), turn}, &room{left: 1 << 40})
	e.limit = maxUnits
	var wg sync.WaitGroup
	commit := func() {
		w, err := e.Create(100)
		if err != nil {
			t.Error(err)
			return
		}
		w.Write(random(100))
		wg.Go(func() {
			if err := w.Commit(); err != nil {
				t.Error(err)
			}
		})
	}
	commit()
	s := e.current
	await(func() bool { return !s.syncing.TryLock() || unlock(&s.syncing) })
	for range 8 {
		commit()
	}
	await(func() bool {
		s.group.Lock()
		defer s.group.Unlock()
		return s.next != nil && s.next.size >= 8
	})
	before := e.Syncs()
	turn <- nil
	turn <- nil
	wg.Wait()
	if n := e.Syncs() - before; n != 1 {
		t.Errorf("%d syncs for eight commits", n)
	}
}

func unlock(m *sync.Mutex) bool { m.Unlock(); return false }

// await waits until something is so.
func await(so func() bool) {
	for !so() {
		runtime.Gosched()
		time.Sleep(time.Millisecond)
	}
}

// TestFailedSync: a commit whose sync fails is refused, and nothing more goes into that segment.
func TestFailedSync(t *testing.T) {
	turn := make(chan error, 1)
	e := openIn(t, t.TempDir(), slow{folder.OS(), turn}, &room{left: 1 << 40})
	turn <- nil
	_, first := put(t, e, random(5000))
	turn <- unix.EIO
	w, err := e.Create(100)
	if err != nil {
		t.Fatal(err)
	}
	w.Write(random(100))
	if err := w.Commit(); !errors.Is(err, unix.EIO) {
		t.Errorf("the commit: %v", err)
	}
	turn <- nil
	if _, p := put(t, e, random(100)); p.Segment == first.Segment {
		t.Error("it goes on in the segment that failed")
	}
}

// TestAborted: what is aborted is given again, in pieces or as a whole.
func TestAborted(t *testing.T) {
	e, _ := open(t)
	var all []*Writer
	for range 6 {
		w, err := e.Create(2 * Unit)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, w)
	}
	end := e.current.end
	for _, i := range []int{1, 4, 3, 5} { // 5 is the last: it takes 3 and 4 with it
		all[i].Abort()
	}
	if got := e.current.end; got != all[3].Place().Unit || got >= end {
		t.Errorf("the segment ends at %d", got)
	}
	if _, p := put(t, e, random(100)); p != all[1].Place() {
		t.Errorf("a small blob is at %v, not at %v", p, all[1].Place())
	}
	if e.current.pending != 2*Units(2*Unit) {
		t.Errorf("%d are pending", e.current.pending)
	}
}

// TestFull: without room nothing is written, and nothing stays behind.
func TestFull(t *testing.T) {
	r := &room{left: 20 * Unit}
	e := openIn(t, t.TempDir(), folder.OS(), r)
	put(t, e, random(10*Unit))
	if _, err := e.Create(10 * Unit); !errors.Is(err, unix.ENOSPC) {
		t.Errorf("a blob that has no room: %v", err)
	}
	put(t, e, random(5*Unit))
	if e.current.pending != 0 || e.current.refs != 0 {
		t.Errorf("%d are pending, %d uses", e.current.pending, e.current.refs)
	}
}

// TestDamagedHeader: a damaged header hides only its own extent, which opens by its place.
func TestDamagedHeader(t *testing.T) {
	e, dir := open(t)
	var names []string
	content := random(3 * Unit)
	for range 5 {
		name, _ := put(t, e, content)
		names = append(names, name)
	}
	p, _, _ := Parse(names[2])
	f, err := os.OpenFile(Path(filepath.Join(dir, "segments"), p.Segment), os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	f.WriteAt([]byte{0xff}, int64(p.Unit)*Unit+20)
	var found []string
	for x, err := range e.Extents(p.Segment) {
		if err != nil {
			t.Fatal(err)
		}
		found = append(found, x.Name)
	}
	if !slices.Equal(found, slices.Delete(slices.Clone(names), 2, 3)) {
		t.Errorf("found %q of %q", found, names)
	}
	if _, err := e.Open(p, names[2], true); !errors.Is(err, blob.ErrNotExist) {
		t.Errorf("with a damaged header: %v", err)
	}
	r, err := e.Open(p, names[2], false)
	if err != nil {
		t.Fatal(err)
	}
	b := make([]byte, len(content))
	if _, err := r.ReadAt(b, 0); err != nil || !bytes.Equal(b, content) {
		t.Errorf("its bytes: %v", err)
	}
	if err := e.Repair(p, names[2], r); err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(get(t, e, names[2], p), content) {
		t.Error("it is not repaired")
	}
	r.Close()
}

// TestRemoved: a reader reads on in a segment that is removed or set aside, and a segment
// that takes extents is neither.
func TestRemoved(t *testing.T) {
	e, _ := open(t)
	content := random(50 * Unit)
	name, p := put(t, e, content)
	if err := e.Remove(p.Segment); !errors.Is(err, errBusy) {
		t.Errorf("a segment in use is removed: %v", err)
	}
	put(t, e, content) // it goes into the next one
	r, err := e.Open(p, name, true)
	if err != nil {
		t.Fatal(err)
	}
	stray := []Extent{{Place: p, Name: name, Size: int64(len(content))}}
	if err := e.SetAside(p.Segment, time.Unix(1_700_000_000, 0), stray); err != nil {
		t.Fatal(err)
	}
	if _, err := e.Open(p, name, true); !errors.Is(err, blob.ErrNotExist) {
		t.Errorf("it opens: %v", err)
	}
	aside, err := e.Aside()
	if err != nil || len(aside) != 1 || aside[0].Number != p.Segment || aside[0].Since.Unix() != 1_700_000_000 {
		t.Errorf("aside are %v, %v", aside, err)
	}
	if err := e.PutBack(p.Segment); err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(get(t, e, name, p), content) {
		t.Error("it is not back")
	}
	if err := e.Remove(p.Segment); err != nil {
		t.Fatal(err)
	}
	b := make([]byte, len(content))
	if _, err := r.ReadAt(b, 0); err != nil || !bytes.Equal(b, content) {
		t.Errorf("an open reader does not read on: %v", err)
	}
	if err := r.Close(); err != nil {
		t.Error(err)
	}
}

// TestFewFilesAreOpen: segments that nothing uses are closed.
func TestFewFilesAreOpen(t *testing.T) {
	e := openIn(t, t.TempDir(), foldertest.Unsynced(folder.OS()), &room{left: 1 << 40})
	names := map[string]Place{}
	for range maxIdle + 20 {
		name, p := put(t, e, random(60*Unit))
		names[name] = p
	}
	for name, p := range names {
		get(t, e, name, p)
	}
	n := 0
	for _, s := range e.segments {
		if s.file != nil {
			n++
		}
	}
	if n > maxIdle+1 {
		t.Errorf("%d files are open", n)
	}
}

func BenchmarkCommit(b *testing.B) {
	for _, size := range []int{32 << 10, 128 << 10, 1 << 20} {
		b.Run(fmt.Sprint(size>>10), func(b *testing.B) {
			e, _ := open(b)
			e.limit = maxUnits
			content := random(size)
			b.SetBytes(int64(size))
			b.SetParallelism(4)
			b.RunParallel(func(pb *testing.PB) {
				for pb.Next() {
					put(b, e, content)
				}
			})
		})
	}
}
