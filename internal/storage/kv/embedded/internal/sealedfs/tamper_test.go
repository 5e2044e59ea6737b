package sealedfs_test

import (
	"bytes"
	"errors"
	"strings"
	"testing"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"

	"watertight/internal/storage/kv/embedded/internal/sealedfs"
)

// readOnly opens the store in dir, reads everything, and changes nothing.
func readOnly(inner vfs.FS, dir string, n int) error {
	o := options(sealed(inner))
	o.ReadOnly = true
	db, err := pebble.Open(dir, o)
	if err != nil {
		return err
	}
	return errors.Join(check(db, n), db.Close())
}

// begin makes a store that has tables, a manifest and a log with records, and returns the
// number of records.
func begin(t *testing.T, inner vfs.FS, dir string) (*pebble.DB, int) {
	t.Helper()
	db := open(t, inner, testKey(), dir)
	fill(t, db, 0, 20)
	must(0, db.Flush())
	fill(t, db, 20, 30)
	must(0, db.Flush())
	fill(t, db, 30, 36)
	return db, 36
}

func smallStore(t *testing.T, inner vfs.FS, dir string) int {
	t.Helper()
	db, n := begin(t, inner, dir)
	must(0, db.Close())
	return n
}

// changes changes bytes of all files of a store, one after the other, and calls look each time.
func changes(t *testing.T, inner *vfs.MemFS, dir string, look func(name string, at int)) {
	t.Helper()
	step := 13
	if testing.Short() {
		step = 101
	}
	for _, name := range must(inner.List(dir)) {
		b := must(inner.UnsafeGetFileDataBuffer(dir + "/" + name))
		end := len(bytes.TrimRight(b, "\x00")) // a log ends with zeros
		for i := 0; i < len(b); i++ {
			if i >= 128 && i < len(b)-128 && (i%step != 0 || i >= end+128 && i%(100*step) != 0) {
				continue
			}
			b[i] ^= 1 << (i % 8)
			look(name, i)
			b[i] ^= 1 << (i % 8)
		}
	}
}

// TestEveryByte: whichever byte of a store that was closed is changed, the store is refused,
// or gives the right answers.
func TestEveryByte(t *testing.T) {
	inner := newMem()
	n := smallStore(t, inner, "d/store")
	must(0, readOnly(inner, "d/store", n))
	refused := 0
	changes(t, inner, "d/store", func(name string, at int) {
		err := readOnly(inner, "d/store", n)
		if err != nil && !errors.Is(err, sealedfs.ErrDamaged) {
			t.Fatalf("byte %d of %s: %v", at, name, err)
		}
		if err != nil {
			refused++
		}
	})
	if refused < 100 {
		t.Fatalf("only %d changes were noticed", refused)
	}
	must(0, readOnly(inner, "d/store", n))
}

// TestEveryByteAfterAPowerCut: in a store that was not closed, a change in what was synced last
// is the end of the log, and the store has all commits before it. The caller compares the
// newest one.
func TestEveryByteAfterAPowerCut(t *testing.T) {
	running := newMem()
	db, n := begin(t, running, "d/store")
	inner := running.CrashClone(vfs.CrashCloneCfg{})
	must(0, db.Close())
	must(0, readOnly(inner, "d/store", n))
	shorter := 0
	changes(t, inner, "d/store", func(name string, at int) {
		err := readOnly(inner, "d/store", n)
		if err == nil || errors.Is(err, sealedfs.ErrDamaged) {
			return
		}
		if err := readOnly(inner, "d/store", n-1); err != nil || !strings.HasSuffix(name, ".log") {
			t.Fatalf("byte %d of %s: %v", at, name, err)
		}
		shorter++
	})
	if shorter == 0 {
		t.Fatal("no change in the last frame")
	}
}

// TestNoPlaintext: neither keys nor values nor what the engine calls its things are in any
// file.
func TestNoPlaintext(t *testing.T) {
	inner := newMem()
	smallStore(t, inner, "d/store")
	db := open(t, inner, testKey(), "d/store")
	must(0, db.Checkpoint("d/copy", pebble.WithFlushedWAL()))
	must(0, db.Close())
	for _, dir := range []string{"d/store", "d/copy"} {
		for _, name := range must(inner.List(dir)) {
			b := must(inner.UnsafeGetFileDataBuffer(dir + "/" + name))
			for _, word := range []string{"secret", "key-0", "value-0", "vvvvvv", "Comparator", "pebble", "rocksdb"} {
				if bytes.Contains(b, []byte(word)) {
					t.Errorf("%s/%s contains %q", dir, name, word)
				}
			}
		}
	}
}

// copyFile copies a file as it is on the disk.
func copyFile(from vfs.FS, a string, to vfs.FS, b string) {
	must(0, vfs.CopyAcrossFS(from, a, to, b))
}

func tables(fs vfs.FS, dir string) (all []string) {
	for _, name := range must(fs.List(dir)) {
		if strings.HasSuffix(name, ".sst") {
			all = append(all, name)
		}
	}
	return all
}

// TestExchangedTables: a table is refused if it is not the one that the manifest names: a
// table with another number, one of the same number from another history of the same store,
// and one with another id that this store wrote.
func TestExchangedTables(t *testing.T) {
	inner := newMem()
	n := smallStore(t, inner, "d/store")
	fork := inner.CrashClone(vfs.CrashCloneCfg{})
	fork = grow(t, inner, fork, n)
	n += 40
	for _, dir := range []string{"d/store", "d/copy"} {
		must(0, readOnly(inner, dir, n))
		all := tables(inner, dir)
		if len(all) < 2 {
			t.Fatal("too few tables:", all)
		}
		for i, name := range all {
			path := dir + "/" + name
			copyFile(inner, path, inner, "e/kept")
			exchanged := map[string]func(){
				"another number": func() { copyFile(inner, dir+"/"+all[(i+1)%len(all)], inner, path) },
			}
			if _, err := fork.Stat(path); err == nil && !same(inner, fork, path) {
				exchanged["another history"] = func() { copyFile(fork, path, inner, path) }
			}
			for what, exchange := range exchanged {
				exchange()
				err := readOnly(inner, dir, n)
				if err == nil || what == "another history" && !errors.Is(err, sealedfs.ErrDamaged) {
					t.Errorf("%s is a table of %s: %v", path, what, err)
				}
				copyFile(inner, "e/kept", inner, path)
			}
		}
		must(0, readOnly(inner, dir, n))
	}
}

func same(a, b vfs.FS, path string) bool {
	return bytes.Equal(must(read(a, path)), must(read(b, path)))
}

// grow continues a store in the same way on two disks, which gives files with the same
// numbers and different ids. It writes manifests anew, and copies the stores.
func grow(t *testing.T, a, b *vfs.MemFS, n int) *vfs.MemFS {
	t.Helper()
	for _, disk := range []vfs.FS{a, b} {
		o := options(sealed(disk))
		o.MaxManifestFileSize = 1
		db := must(pebble.Open("d/store", o))
		for i := range 4 {
			fill(t, db, n+10*i, n+10*i+10)
			must(0, db.Flush())
		}
		must(0, db.Checkpoint("d/copy", pebble.WithFlushedWAL()))
		must(0, db.Close())
	}
	return b
}

// TestOtherFiles: a file under the name of another kind or number is refused.
func TestOtherFiles(t *testing.T) {
	inner := newMem()
	content := pattern(5000)
	names := []string{
		"000004.sst", "000005.sst", "000004.blob", "000004.log", "000003.log", "MANIFEST-000004", "OPTIONS-000004",
	}
	for _, name := range names {
		write(sealed(inner), "d/"+name, content, 1000)
	}
	for _, from := range names {
		for _, to := range names {
			t.Run(from+" as "+to, func(t *testing.T) {
				copyFile(inner, "d/"+from, inner, "e/"+to)
				got, err := read(sealed(inner), "e/"+to)
				switch {
				case from == to && !strings.HasPrefix(to, "00000") || from == to && strings.HasSuffix(to, ".log"):
					if err != nil || !bytes.Equal(got, content) {
						t.Fatal(len(got), err)
					}
				case from == "000004.log" && to == "000003.log": // as if it were being reused
					if err != nil || len(got) > 0 {
						t.Fatal(len(got), err)
					}
				case !errors.Is(err, sealedfs.ErrDamaged): // a table is in no catalogue
					t.Fatal(len(got), err)
				}
			})
		}
	}
}
