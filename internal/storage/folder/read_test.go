package folder

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"
)

// TestReadAtMost: a file that is too long is not read whole, and a pipe in its place holds nobody up.
func TestReadAtMost(t *testing.T) {
	const most = 1000
	path := filepath.Join(t.TempDir(), "file")
	for _, c := range []struct {
		name string
		size int
		want error
	}{{"empty", 0, nil}, {"as long as it may be", most, nil}, {"longer", most + 1, ErrTooLong}} {
		t.Run(c.name, func(t *testing.T) {
			text := bytes.Repeat([]byte("x"), c.size)
			if err := os.WriteFile(path, text, 0o600); err != nil {
				t.Fatal(err)
			}
			b, err := ReadAtMost(OS(), path, most)
			if !errors.Is(err, c.want) || err == nil && !bytes.Equal(b, text) || err != nil && b != nil {
				t.Errorf("%d bytes, %v", len(b), err)
			}
		})
	}
	t.Run("a pipe", func(t *testing.T) {
		pipe := path + "-pipe"
		if err := unix.Mkfifo(pipe, 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := ReadAtMost(OS(), pipe, most); !errors.Is(err, errNotRegular) {
			t.Errorf("%v", err)
		}
	})
}
