package segment

import (
	"bytes"
	"errors"
	"io"
	"os"
	"testing"

	"watertight/internal/core/payload/internal/blob"
	"watertight/internal/storage/folder"
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
		if err := e.Free(p, int64(len(content))); err != nil {
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
