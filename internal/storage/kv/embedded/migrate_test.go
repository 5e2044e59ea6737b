package embedded

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"math/rand/v2"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/vfs/errorfs"

	"watertight/internal/storage/folder"
	"watertight/internal/storage/kv"
	"watertight/internal/storage/kv/embedded/internal/engine"
	"watertight/internal/storage/seal"
)

// written is a store of an older format and what is in it.
type written struct {
	o       Options
	records map[string]string // value and commit
	id      [16]byte
	commit  uint64
	mark    Mark
}

// older writes a store of an older format, with records in tables and in the log.
func older(t testing.TB, files vfs.FS, format byte) written {
	t.Helper()
	l := &legacyStore{files: files, dir: "data/db", root: seal.RingOf(seal.NewKey()), id: seal.NewKey(), format: format}
	if err := files.MkdirAll("data", 0o700); err != nil {
		t.Fatal(err)
	}
	w := written{records: map[string]string{}, id: publicID(l.id)}
	for round := range 3 {
		l.open(t)
		for i := range 30 {
			key := fmt.Sprintf("name-of-a-key-%d.%02d", i%3, round*10+i)
			value := []byte(strings.Repeat(fmt.Sprint(round), i*30))
			l.commit(t, key, value)
			w.records[key] = fmt.Sprintf("%s@%d", value, l.chain.commit)
		}
		l.commit(t, "name-of-a-key-0.03", nil)
		delete(w.records, "name-of-a-key-0.03")
		l.close(t)
	}
	w.commit = l.chain.commit
	w.o = Options{Dir: l.dir, Root: l.root, AtLeast: w.commit, fs: files}
	w.o.Verified = func(f Found) error {
		m, ok := parseMarker(f.Marker, l.root)
		if !ok || m.ID != w.id || m.Commit != w.commit {
			return errors.New("the marker of the older store is wrong")
		}
		w.mark = m
		return nil
	}
	if err := Check(t.Context(), w.o); err != nil {
		t.Fatal(err)
	}
	w.o.Verified = nil
	return w
}

// contentsOf returns all records of a store.
func contentsOf(t testing.TB, s kv.Store) map[string]string {
	t.Helper()
	out := map[string]string{}
	if err := s.View(context.Background(), func(r kv.Reader) error {
		for p, err := range r.Scan(nil, nil) {
			if err != nil {
				return err
			}
			out[string(p.Key)] = fmt.Sprintf("%s@%d", p.Value, p.Commit)
			if v, err := r.Get(p.Key); !bytes.Equal(v, p.Value) || err != nil {
				return fmt.Errorf("%s: got %q, %w", p.Key, v, err)
			}
		}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	return out
}

// opens opens a store, migrated or not, and compares it with what was written.
func (w written) opens(t testing.TB, files vfs.FS) {
	t.Helper()
	o := w.o
	o.fs = files
	s, err := OpenPebble(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	if got := contentsOf(t, s); !maps.Equal(got, w.records) {
		t.Errorf("%d records, want %d", len(got), len(w.records))
	}
	if m, ok := parseMarker(s.(Marked).Marker(), o.Root); !ok || m.ID != w.id || m.Commit != w.commit {
		t.Errorf("the marker is of commit %d, want %d", m.Commit, w.commit)
	}
	names, err := files.List("data")
	if err != nil || len(names) != 1 {
		t.Errorf("there is %q, %v", names, err)
	}
}

// TestMigration: a store of each older format becomes one of the present format, with its id, its records
// and the numbers of their commits.
func TestMigration(t *testing.T) {
	for format := byte(oldest); format <= newestLegacy; format++ {
		t.Run(fmt.Sprint(format), func(t *testing.T) {
			files := vfs.NewMem()
			w := older(t, files, format)
			w.o.Verified = func(f Found) error {
				if f.Format != format || f.ID != w.id || f.Commit != w.commit ||
					!maps.Equal(contentsOf(t, f.Store), w.records) {
					t.Errorf("before the migration: %+v", f)
				}
				return nil
			}
			w.opens(t, files)
			w.o.Verified = func(f Found) error {
				if f.Format != version || f.ID != w.id || f.Commit != w.commit {
					t.Errorf("after the migration: %+v", f)
				}
				return nil
			}
			w.opens(t, files)
			nothingPlain(t, files, w.o.Dir, "name-of-a-key")
			w.o.fs, w.o.Verified = files, nil
			s, err := OpenPebble(t.Context(), w.o)
			if err != nil {
				t.Fatal(err)
			}
			if err := update(t, s, "after", "1"); err != nil || s.Durable() != w.commit+1 {
				t.Errorf("the next commit is %d, %v", s.Durable(), err)
			}
			if err := s.Close(); err != nil {
				t.Fatal(err)
			}
		})
	}
}

func nothingPlain(t *testing.T, files vfs.FS, dir, text string) {
	t.Helper()
	names, err := files.List(dir)
	if err != nil || len(names) < 5 {
		t.Fatal(names, err)
	}
	for _, name := range names {
		b, err := readFile(files, files.PathJoin(dir, name), 1<<30)
		if err != nil || bytes.Contains(b, []byte(text)) {
			t.Errorf("%s contains plain text, %v", name, err)
		}
	}
}

// steps clones a disk before each change of a file, as a power cut would leave it.
type steps struct {
	mu     sync.Mutex
	mem    *vfs.MemFS
	rng    *rand.Rand
	clones []*vfs.MemFS
	ops    []string
}

func (s *steps) inject(op errorfs.Op) error {
	switch op.Kind {
	case errorfs.OpFileRead, errorfs.OpFileReadAt, errorfs.OpOpen, errorfs.OpOpenDir, errorfs.OpList, errorfs.OpStat,
		errorfs.OpFileStat, errorfs.OpGetDiskUsage, errorfs.OpFileClose:
		return nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, percent := range []int{0, 50} {
		s.clones = append(s.clones, s.mem.CrashClone(vfs.CrashCloneCfg{UnsyncedDataPercent: percent, RNG: s.rng}))
		s.ops = append(s.ops, fmt.Sprint(op, " ", percent))
	}
	return nil
}

// TestMigrationSurvivesPowerCuts: wherever the power goes, the next start finds every record.
func TestMigrationSurvivesPowerCuts(t *testing.T) {
	mem := vfs.NewCrashableMem()
	w := older(t, mem, newestLegacy)
	syncAll(t, mem)
	all := &steps{mem: mem, rng: rand.New(rand.NewPCG(1, 2))}
	w.opens(t, errorfs.Wrap(mem, errorfs.InjectorFunc(all.inject)))
	if len(all.clones) < 100 {
		t.Fatalf("only %d power cuts", len(all.clones))
	}
	for i, clone := range all.clones {
		t.Run(fmt.Sprint(i, " ", all.ops[i]), func(t *testing.T) { w.opens(t, clone) })
	}
}

// syncAll makes the folders above the store durable, as the server does.
func syncAll(t *testing.T, files vfs.FS) {
	t.Helper()
	for _, dir := range []string{"", "data", "data/db"} {
		if err := syncFolder(files, dir); err != nil {
			t.Fatal(err)
		}
	}
}

// TestMigrationIsRefused: without room, and with damaged records, the store stays as it is.
func TestMigrationIsRefused(t *testing.T) {
	list := func(t *testing.T, files vfs.FS) map[string]string {
		out := map[string]string{}
		for _, dir := range []string{"data", "data/db"} {
			names, err := files.List(dir)
			if err != nil {
				t.Fatal(err)
			}
			for _, name := range names {
				b, err := readFile(files, files.PathJoin(dir, name), 1<<30)
				if err == nil {
					out[name] = string(b)
				} else {
					out[name] = "a folder"
				}
			}
		}
		return out
	}
	for _, c := range []struct {
		name   string
		change func(*testing.T, *Options)
		says   string
	}{
		{
			"no room", func(_ *testing.T, o *Options) { o.Enough = func(int64) bool { return false } },
			"MiB of free space",
		},
		{"the disk is full meanwhile", func(_ *testing.T, o *Options) {
			o.fs = errorfs.Wrap(o.fs, errorfs.InjectorFunc(func(op errorfs.Op) error {
				if op.Kind == errorfs.OpFileWrite && strings.HasSuffix(op.Path, ".sst") {
					return syscall.ENOSPC
				}
				return nil
			}))
		}, syscall.ENOSPC.Error()},
		{"not mine", func(_ *testing.T, o *Options) {
			o.Verified = func(Found) error { return errors.New("not mine") }
		}, "not mine"},
		{"another root key", func(_ *testing.T, o *Options) { o.Root = seal.RingOf(seal.NewKey()) }, "root key"},
		{"a lost tail", func(_ *testing.T, o *Options) { o.AtLeast++ }, "newest commits"},
		{"a dropped context", func(t *testing.T, o *Options) {}, "canceled"},
	} {
		t.Run(c.name, func(t *testing.T) {
			files := vfs.NewMem()
			w := older(t, files, newestLegacy)
			before := list(t, files)
			o := w.o
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			if c.says == "canceled" {
				cancel()
			}
			c.change(t, &o)
			s, err := OpenPebble(ctx, o)
			if err == nil {
				s.Close()
				t.Fatal("opened")
			}
			if !strings.Contains(err.Error(), c.says) {
				t.Errorf("%v does not say %q", err, c.says)
			}
			if after := list(t, files); !maps.Equal(before, after) {
				t.Error("something was changed")
			}
			w.opens(t, files)
		})
	}
}

// TestOlderProgramsRefuse: a program that knows only plain files finds the advice to use a newer one, and
// changes nothing.
func TestOlderProgramsRefuse(t *testing.T) {
	files := vfs.NewMem()
	older(t, files, newestLegacy).opens(t, files)
	for _, readOnly := range []bool{true, false} {
		db, err := pebble.Open("data/db", &pebble.Options{FS: files, ReadOnly: readOnly, Logger: quietLog{}})
		if err == nil {
			db.Close()
			t.Fatal("opened")
		}
		if !strings.Contains(err.Error(), "a-newer-program-made-this-store") {
			t.Error(err)
		}
	}
}

type quietLog struct{}

func (quietLog) Infof(string, ...any)  {}
func (quietLog) Errorf(string, ...any) {}
func (quietLog) Fatalf(format string, args ...any) {
	panic(fmt.Sprintf(format, args...))
}

// TestStoreFile: the file with the store's keys is mended from a marker, and refused if nothing has its
// keys.
func TestStoreFile(t *testing.T) {
	rewrite := func(change func([]byte) []byte) func(*testing.T, string) {
		return func(t *testing.T, path string) {
			b, err := readFile(vfs.Default, path, 1<<20)
			if err != nil {
				t.Fatal(err)
			}
			if err := replaceFile(vfs.Default, path, change(b)); err != nil {
				t.Fatal(err)
			}
		}
	}
	others := newIdentity(seal.RingOf(seal.NewKey()), seal.NewKey()).current()
	for _, c := range []struct {
		name   string
		damage func(*testing.T, string)
		says   string // without a marker
	}{
		{"missing", func(t *testing.T, path string) {
			if err := vfs.Default.Remove(path); err != nil {
				t.Fatal(err)
			}
		}, "STORE is missing"},
		{"empty", rewrite(func([]byte) []byte { return nil }), "damaged"},
		{"a bit", rewrite(func(b []byte) []byte { b[40] ^= 1; return b }), "damaged"},
		{"cut", rewrite(func(b []byte) []byte { return b[:len(b)-1] }), "damaged"},
		{"longer", rewrite(func(b []byte) []byte { return append(b, 0) }), "damaged"},
		{"of another store", rewrite(func([]byte) []byte { return others.text() }), "root key is not this store's"},
	} {
		t.Run(c.name, func(t *testing.T) {
			o, want := used(t)
			m := mark(t, o)
			c.damage(t, o.Dir+"/"+storeFile)
			if path, err := CheckKeys(folder.OS(), o.Dir, o.Root); err == nil || path != o.Dir+"/"+storeFile {
				t.Error(path, err)
			}
			before := everything(t, o.Dir)
			if s, err := OpenPebble(t.Context(), o); err == nil {
				s.Close()
				t.Fatal("opened without its keys")
			} else if !strings.Contains(err.Error(), c.says) {
				t.Errorf("%v does not say %q", err, c.says)
			}
			if after := everything(t, o.Dir); !maps.Equal(before, after) {
				t.Error("something was changed")
			}
			o.Marks = []Mark{m}
			if s := salvagedFrom(t, o, m); len(s.Records) != len(want) || len(s.Damage) != 1 {
				t.Errorf("salvaged %d of %d, %v", len(s.Records), len(want), s.Damage)
			}
			o.Logger = slog.New(slog.DiscardHandler)
			s, err := OpenPebble(t.Context(), o)
			if err != nil {
				t.Fatal(err)
			}
			if err := s.Close(); err != nil {
				t.Fatal(err)
			}
			o.Marks = nil
			if err := Check(t.Context(), o); err != nil {
				t.Error("it was not mended:", err)
			}
		})
	}
	o, _ := used(t)
	rewrite(func([]byte) []byte {
		b := others.text()
		b[len(storeMagic)]++
		return summed(b[:storeBody])
	})(t, o.Dir+"/"+storeFile)
	if _, err := OpenPebble(t.Context(), o); err == nil || !strings.Contains(err.Error(), "a newer program made it") {
		t.Error("a newer format:", err)
	}
}

// BenchmarkMigration migrates a store with the records of many objects, on the disk: two for each, together as long as
// those of an object of one byte are.
func BenchmarkMigration(b *testing.B) {
	const objects = 200_000
	for range b.N {
		b.StopTimer()
		dir := b.TempDir()
		l := &legacyStore{
			files: vfs.Default, dir: filepath.Join(dir, "db"), root: seal.RingOf(seal.NewKey()), id: seal.NewKey(),
			format: newestLegacy,
		}
		l.open(b)
		random := rand.NewChaCha8([32]byte{})
		value := make([]byte, 200)
		for from := 0; from < objects; from += 1000 {
			l.chain.commit++
			l.write(b, func(batch engine.Batch) {
				for i := from; i < from+1000; i++ {
					random.Read(value)
					name := fmt.Sprintf("bucket/folder-%03d/object-%08d", i%1000, i)
					for key, v := range map[string][]byte{"name/" + name: value, "bytes/" + name: value[:100]} {
						l.chain.legacyAdd([]byte(key), l.set(batch, []byte(key), v))
					}
				}
			})
		}
		l.close(b)
		o := Options{Dir: l.dir, Root: l.root, AtLeast: l.chain.commit, fs: vfs.Default}
		size, err := folderBytes(o)
		if err != nil {
			b.Fatal(err)
		}
		before := processorTime(b)
		b.StartTimer()
		s, err := OpenPebble(b.Context(), o)
		if err != nil {
			b.Fatal(err)
		}
		b.StopTimer()
		b.SetBytes(size)
		b.ReportMetric(float64((processorTime(b)-before).Microseconds())/objects, "cpu-µs/object")
		b.ReportMetric(objects*float64(b.N)/b.Elapsed().Seconds(), "objects/s")
		if err := s.Close(); err != nil {
			b.Fatal(err)
		}
	}
}

func processorTime(b *testing.B) time.Duration {
	b.Helper()
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
