package audit

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"watertight/internal/access/action"
	"watertight/internal/storage/folder"
	"watertight/internal/storage/seal"
)

// writeHeader writes a log that is one file of a format, without frames.
func writeHeader(t testing.TB, dir string, format byte) {
	t.Helper()
	h := header{format: format, number: 1, key: seal.NewKey()}
	if err := os.WriteFile(filepath.Join(dir, fileName(1)), h.encode(testRoot().For(filePurpose)), 0o600); err != nil {
		t.Fatal(err)
	}
}

// TestOlderFileIsFollowed continues the log of an older program: in its own file and format
// as long as there is no room for another one, and then in a file of today's.
func TestOlderFileIsFollowed(t *testing.T) {
	for format := byte(oldestFormat); format < headerFormat; format++ {
		t.Run(fmt.Sprint(format), func(t *testing.T) {
			dir := t.TempDir()
			writeHeader(t, dir, format)
			j, err := openJournal(folder.OS(), dir, testRoot())
			if err != nil {
				t.Fatal(err)
			}
			full := true
			j.failing(func(op string) error {
				if full && op == "create" {
					return unix.ENOSPC
				}
				return nil
			})
			j.reserve, j.reserved = 8<<20, 16<<20
			appendTo(t, j, 2)
			if err := reopenCopy(t, dir); err != nil || j.number != 1 {
				t.Fatalf("file %d: %v", j.number, err)
			}
			full = false
			appendTo(t, j, 2)
			if j.number != 2 || j.format != headerFormat {
				t.Fatalf("file %d of format %d", j.number, j.format)
			}
			if err := j.close(); err != nil {
				t.Fatal(err)
			}
			if got, err := sequences(dir); err != nil || !slices.Equal(got, []uint64{1, 2, 3, 4}) {
				t.Fatal(got, err)
			}
			if err := reopen(dir); err != nil {
				t.Fatal(err)
			}
		})
	}
}

// reopenCopy opens a copy of a log that is in use.
func reopenCopy(t *testing.T, dir string) error {
	t.Helper()
	c := t.TempDir()
	copyFiles(t, dir, c)
	return reopen(c)
}

func TestNewerFileIsRefused(t *testing.T) {
	dir := t.TempDir()
	writeHeader(t, dir, headerFormat+1)
	_, err := Open(Options{Dir: dir, Root: testRoot()})
	if err == nil || errors.Is(err, ErrDamaged) || !strings.Contains(err.Error(), "a newer version of Watertight") {
		t.Errorf("Open says %v", err)
	}
	err = Read(folder.OS(), dir, testRoot(), func(Group) error { return nil })
	if err == nil || errors.Is(err, ErrDamaged) || !strings.Contains(err.Error(), "a newer version of Watertight") {
		t.Errorf("Read says %v", err)
	}
}

// TestRequestIsSmall logs puts and gets of small objects, a thousand in a frame, and states what each costs.
func TestRequestIsSmall(t *testing.T) {
	dir := t.TempDir()
	j, err := openJournal(folder.OS(), dir, testRoot())
	if err != nil {
		t.Fatal(err)
	}
	defer j.close()
	const frames, each = 4, 1000
	var want [][]byte
	for n := range frames {
		f := frame{written: testTime, anchor: uint64(n)}
		for i := range each {
			e := typicalEvent()
			id := newID(testTime)
			e.Key, e.RequestID = fmt.Sprintf("photos/2026/%x.jpg", id[10:]), strings.ToUpper(fmt.Sprintf("%x", id[8:]))
			if i%2 == 0 {
				e.Operation = action.OperationOf("s3", "PutObject")
				b := e.appendJSON(nil, randomID(), "us-east-1")
				at := position{uint64(n*each + i + 1), id}
				f.moved, want = append(f.moved, entry{at, b}), append(want, b)
			}
		}
		for range each / 2 {
			e := typicalEvent()
			id := newID(testTime)
			e.Key, e.RequestID = fmt.Sprintf("photos/2026/%x.jpg", id[10:]), strings.ToUpper(fmt.Sprintf("%x", id[8:]))
			b := e.appendJSON(nil, randomID(), "us-east-1")
			f.direct, f.count, want = appendEvent(f.direct, 0, b), f.count+1, append(want, b)
		}
		if err := j.append(f); err != nil {
			t.Fatal(err)
		}
	}
	if n := j.size / (frames * each); n >= 150 {
		t.Errorf("%d bytes a request", n)
	}
	err = Read(folder.OS(), dir, testRoot(), func(g Group) error {
		for _, e := range g.Events {
			if !json.Valid(e.JSON) || !bytes.Equal(e.JSON, want[0]) {
				return fmt.Errorf("got %s, want %s", e.JSON, want[0])
			}
			want = want[1:]
		}
		return nil
	})
	if err != nil || len(want) > 0 {
		t.Error(err, len(want))
	}
}
