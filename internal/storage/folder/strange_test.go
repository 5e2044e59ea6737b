package folder

import (
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// TestOnlyFilesAreRead: what is no file is refused at once, and never waited for; and a file
// that somebody made very long does not fill the memory.
func TestOnlyFilesAreRead(t *testing.T) {
	dir := t.TempDir()
	for name, c := range map[string]struct {
		make func(path string) error
		says string
	}{
		"a pipe": {func(path string) error { return unix.Mkfifo(path, 0o600) }, "not a regular file"},
		"a socket": {func(path string) error {
			l, err := net.Listen("unix", path)
			if err == nil {
				t.Cleanup(func() { l.Close() })
			}
			return err
		}, "open"},
		"a link to a device": {func(path string) error { return os.Symlink("/dev/zero", path) }, "not a regular file"},
		"a folder":           {func(path string) error { return os.Mkdir(path, 0o700) }, "is a directory"},
		"a very long file": {func(path string) error {
			f, err := os.Create(path)
			if err != nil {
				return err
			}
			defer f.Close()
			return f.Truncate(1 << 40)
		}, "longer than"},
		"a file": {func(path string) error { return os.WriteFile(path, []byte("x"), 0o600) }, ""},
	} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(dir, strings.ReplaceAll(name, " ", "-"))
			if err := c.make(path); err != nil {
				t.Fatal(err)
			}
			b, err := ReadFile(OS(), path)
			if c.says == "" && (err != nil || string(b) != "x") {
				t.Errorf("%q, %v", b, err)
			}
			if c.says != "" && (err == nil || !strings.Contains(err.Error(), c.says)) {
				t.Errorf("%v, want %q", err, c.says)
			}
		})
	}
}
