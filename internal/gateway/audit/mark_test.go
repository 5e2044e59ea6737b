package audit

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"watertight/internal/fault"
	"watertight/internal/storage/folder"
	"watertight/internal/storage/kv"
)

// tree returns every file below dir with its content.
func tree(t testing.TB, dir string) map[string]string {
	t.Helper()
	all := map[string]string{}
	err := filepath.WalkDir(dir, func(path string, d os.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		b, err := os.ReadFile(path)
		all[path] = string(b)
		return err
	})
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		t.Fatal(err)
	}
	return all
}

// serveSome logs n changes and n reads, and closes the log.
func serveSome(t testing.TB, dir string, s kv.Store, n int, name string) {
	t.Helper()
	l := openLog(t, dir)
	l.journal.limit = headerSize + 600
	attach(t, l, s)
	for i := range n {
		r := begin(l, "PutObject", fmt.Sprint(name, " put ", i))
		change(t, s, r)
		r.Finish(Outcome{})
		begin(l, "GetObject", fmt.Sprint(name, " get ", i)).Finish(Outcome{})
	}
	closeLog(t, l)
}

// refused opens and attaches as a start does, and returns the refusal.
func refused(dir string, s kv.Store) error {
	l, err := Open(Options{Dir: dir, Root: testRoot()})
	if err != nil {
		return err
	}
	return errors.Join(l.Attach(s), l.Close(context.Background()))
}

// TestLogThatIsNotWholeIsRefused removes parts of a log so that valid files remain, in every way. Such a
// log is refused and not changed. It can be used once an operator accepts the loss.
func TestLogThatIsNotWholeIsRefused(t *testing.T) {
	old := t.TempDir()
	dir, s := filepath.Join(t.TempDir(), "audit"), newStore()
	for n := range 3 {
		if n == 2 {
			copyFiles(t, dir, old)
		}
		serveSome(t, dir, s, 4, fmt.Sprint(n))
	}
	foreign, other := t.TempDir(), newStore()
	for n := range 4 {
		serveSome(t, foreign, other, 4, fmt.Sprint("foreign", n))
	}
	s.commit += 100 // so that the anchor of no log is ahead
	files, err := list(folder.OS(), dir)
	if err != nil || len(files) < 3 {
		t.Fatal(files, err)
	}
	newest := filepath.Join(dir, fileName(files[len(files)-1]))
	info, err := os.Stat(newest)
	if err != nil {
		t.Fatal(err)
	}
	harms := map[string]func(dir string) error{
		"newest deleted": func(dir string) error { return os.Remove(filepath.Join(dir, filepath.Base(newest))) },
		"all deleted":    func(dir string) error { return os.RemoveAll(dir) },
		"emptied":        func(dir string) error { return errors.Join(os.RemoveAll(dir), os.Mkdir(dir, 0o700)) },
		"older put back": func(dir string) error {
			if err := errors.Join(os.RemoveAll(dir), os.Mkdir(dir, 0o700)); err != nil {
				return err
			}
			copyFiles(t, old, dir)
			return nil
		},
		"another put there": func(dir string) error {
			if err := errors.Join(os.RemoveAll(dir), os.Mkdir(dir, 0o700)); err != nil {
				return err
			}
			copyFiles(t, foreign, dir)
			return nil
		},
		"a byte changed": func(dir string) error {
			path := filepath.Join(dir, filepath.Base(newest))
			b, err := os.ReadFile(path)
			b[len(b)-1] ^= 1
			return errors.Join(err, os.WriteFile(path, b, 0o600))
		},
	}
	for _, n := range []int64{
		0, headerSize - 1, headerSize, headerSize + 1, headerSize + frameHeader, info.Size() / 2,
		info.Size() - frameTag, info.Size() - 1,
	} {
		harms[fmt.Sprint("cut to ", n)] = func(dir string) error {
			return os.Truncate(filepath.Join(dir, filepath.Base(newest)), n)
		}
	}
	for name, harm := range harms {
		t.Run(name, func(t *testing.T) {
			at, store := filepath.Join(t.TempDir(), "audit"), s.clone()
			if err := os.Mkdir(at, 0o700); err != nil {
				t.Fatal(err)
			}
			copyFiles(t, dir, at)
			if err := harm(at); err != nil {
				t.Fatal(err)
			}
			before := tree(t, at)
			if err := refused(at, store); !errors.Is(err, ErrLost) && !errors.Is(err, ErrDamaged) {
				t.Errorf("%s: %v", name, err)
				return
			}
			if after := tree(t, at); len(after) != len(before) || store.commit != s.commit {
				t.Errorf("%s: the refusal changed something", name)
			} else {
				for path, b := range before {
					if after[path] != b {
						t.Errorf("%s: the refusal changed %s", name, path)
					}
				}
			}
			acceptAndGoOn(t, name, at, store)
		})
	}
}

func acceptAndGoOn(t *testing.T, name, dir string, s *fakeStore) {
	t.Helper()
	l, err := Open(Options{Dir: dir, Root: testRoot(), Salvage: true})
	if err != nil {
		t.Errorf("%s: %v", name, err)
		return
	}
	_, err = l.Accept(t.Context(), s, "uid 7", "the disk died")
	if err := errors.Join(err, l.Close(t.Context())); err != nil {
		t.Errorf("%s: accepting: %v", name, err)
		return
	}
	serveSome(t, dir, s, 1, "later")
	events, _ := readAll(t, dir)
	at := slices.IndexFunc(events, func(e logged) bool { return e.EventName == "AuditLossAccepted" })
	if at < 0 || events[at].Details["reason"] != "the disk died" || events[at].Details["acceptedBy"] != "uid 7" ||
		events[at].Details["lastFrame"] == nil {
		t.Errorf("%s: the loss is not recorded", name)
		return
	}
	if got := ids(events[at+1:]); !slices.Equal(got, []string{"later put 0", "later get 0"}) {
		t.Errorf("%s: the events after the accepted loss are %v", name, got)
	}
	l = openLog(t, dir)
	defer l.Close(t.Context())
	if _, err := l.Accept(t.Context(), s, "uid 7", "again"); err == nil {
		t.Errorf("%s: a whole log was accepted as lost", name)
	}
}

func copyFiles(t testing.TB, from, to string) {
	t.Helper()
	for path, b := range tree(t, from) {
		if err := os.WriteFile(filepath.Join(to, filepath.Base(path)), []byte(b), 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

// TestStoreThatForgotTheLogIsRefused: a store with commits but without its record of the log is refused.
func TestStoreThatForgotTheLogIsRefused(t *testing.T) {
	dir, s := t.TempDir(), newStore()
	serveSome(t, dir, s, 2, "x")
	delete(s.records, string(markKey()))
	if err := refused(dir, s); !errors.Is(err, ErrLost) {
		t.Error(err)
	}
	if err := refused(t.TempDir(), s); !errors.Is(err, ErrLost) {
		t.Errorf("an empty log beside a store with commits: %v", err)
	}
	s.set(func() { s.records[string(markKey())] = fakeRecord{value: []byte{9}} })
	if err := refused(dir, s); err == nil {
		t.Error("a mark of an unknown format is accepted")
	}
}

// TestTornTailBehindTheMarkIsNoDamage: bytes that a power cut may leave after the frames that the store
// knows to be durable are cut off.
func TestTornTailBehindTheMarkIsNoDamage(t *testing.T) {
	dir, s := t.TempDir(), newStore()
	serveSome(t, dir, s, 1, "kept")
	files, err := list(folder.OS(), dir)
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(dir, fileName(files[len(files)-1]))
	whole, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for i, tail := range [][]byte{make([]byte, 5), make([]byte, 4096), bytes.Repeat([]byte{0xff}, 900)} {
		t.Run(fmt.Sprint(i), func(t *testing.T) {
			if err := os.WriteFile(path, append(slices.Clone(whole), tail...), 0o600); err != nil {
				t.Fatal(err)
			}
			var said bytes.Buffer
			l, err := Open(Options{Dir: dir, Root: testRoot(), Logger: slog.New(slog.NewTextHandler(&said, nil))})
			if err != nil {
				t.Fatal(err)
			}
			attach(t, l, s)
			closeLog(t, l)
			if !bytes.Contains(said.Bytes(), []byte("not durable is cut off")) {
				t.Errorf("a tail of %d bytes was cut without a line in the log", len(tail))
			}
			if events, _ := readAll(t, dir); len(events) < 2 || events[0].RequestID != "kept put 0" {
				t.Errorf("%v", ids(events))
			}
			if whole, err = os.ReadFile(path); err != nil {
				t.Fatal(err)
			}
		})
	}
}

// TestMissingOldFilesAreRecorded removes the oldest files, as an operator that archives
// them does.
func TestMissingOldFilesAreRecorded(t *testing.T) {
	dir, s := t.TempDir(), newStore()
	for n := range 4 {
		serveSome(t, dir, s, 4, fmt.Sprint(n))
	}
	files, err := list(folder.OS(), dir)
	if err != nil || len(files) < 4 {
		t.Fatal(files, err)
	}
	for _, n := range files[:2] {
		if err := os.Remove(filepath.Join(dir, fileName(n))); err != nil {
			t.Fatal(err)
		}
	}
	for range 2 {
		serveSome(t, dir, s, 1, "later")
	}
	events, _ := readAll(t, dir)
	var told []logged
	for _, e := range events {
		if e.EventName == "AuditFilesMissing" {
			told = append(told, e)
		}
	}
	if len(told) != 1 || told[0].Details["firstFile"] != fileName(1) || told[0].Details["lastFile"] != fileName(2) ||
		told[0].Details["firstFrame"] != 1.0 {
		t.Errorf("recorded %+v", told)
	}
	if err := os.Remove(filepath.Join(dir, fileName(files[3]))); err != nil {
		t.Fatal(err)
	}
	if err := refused(dir, s); !errors.Is(err, ErrDamaged) {
		t.Errorf("a hole in the middle: %v", err)
	}
}

// TestMarkIsNeverAheadOfTheLog ends the log at random, with a store that sometimes fails: every later
// start finds a log that reaches the mark.
func TestMarkIsNeverAheadOfTheLog(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		dir, err := os.MkdirTemp(t.TempDir(), "")
		if err != nil {
			rt.Fatal(err)
		}
		s := newStore()
		for start := range 4 {
			l := openLog(t, dir)
			l.journal.reserve = 256 << 10
			if rapid.Bool().Draw(rt, "refuse") {
				s.refuse = fault.New("NoRoom", "").WithKind(fault.KindFull)
			}
			w, err := l.begin(t.Context(), s)
			if err != nil {
				rt.Fatal(err)
			}
			for i := range rapid.IntRange(0, 4).Draw(rt, "rounds") {
				s.refuse = nil
				if rapid.Bool().Draw(rt, "change") {
					change(t, s, begin(l, "PutObject", fmt.Sprint(start, i)))
				}
				begin(l, "GetObject", fmt.Sprint(start, i)).Finish(Outcome{})
				if rapid.Bool().Draw(rt, "full") {
					s.refuse = fault.New("NoRoom", "").WithKind(fault.KindFull)
				}
				w.round(t.Context(), rapid.Bool().Draw(rt, "end")) // may fail
			}
			l.journal.folder.Close() // as kill -9 does
		}
	})
}

func TestMarkIsReadAsItWasWritten(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		m := mark{
			first: rapid.Uint64().Draw(t, "first"), from: rapid.Uint64().Draw(t, "from"),
			number: rapid.Uint64().Draw(t, "number"),
		}
		m.state = state{
			sequence: rapid.Uint64().Draw(t, "sequence"), anchor: rapid.Uint64().Draw(t, "anchor"),
			chain: [32]byte{rapid.Byte().Draw(t, "chain")},
		}
		m.state.moved = position{rapid.Uint64().Draw(t, "commit"), [16]byte{15: rapid.Byte().Draw(t, "id")}}
		if got, err := decodeMark(m.encode()); err != nil || got != m {
			t.Fatalf("%+v, %v", got, err)
		}
	})
}
