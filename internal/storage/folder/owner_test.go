package folder

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"
)

// entry is a file as the operating system describes it.
type entry struct {
	mode     fs.FileMode
	uid, gid uint32
}

func (e entry) Name() string       { return "f" }
func (e entry) Size() int64        { return 0 }
func (e entry) Mode() fs.FileMode  { return e.mode }
func (e entry) ModTime() time.Time { return time.Time{} }
func (e entry) IsDir() bool        { return e.mode.IsDir() }
func (e entry) Sys() any           { return &syscall.Stat_t{Uid: e.uid, Gid: e.gid} }

// TestWhoMayChange asks Settled, Holds and Secret about each entry, for a user and for root.
func TestWhoMayChange(t *testing.T) {
	user, root := Process{User: 1000, Groups: []int{1000, 4242}}, Process{User: 0, Groups: []int{0, 4242}}
	const dir, link = fs.ModeDir, fs.ModeSymlink
	for i, test := range []struct {
		who                    Process
		what                   entry
		settled, holds, secret bool
	}{
		{user, entry{0o600, 1000, 1000}, true, true, true},
		{user, entry{0o400, 1000, 1000}, true, true, true},
		{user, entry{0o640, 1000, 1000}, true, true, false},
		{user, entry{0o660, 1000, 4242}, true, true, false},
		{user, entry{0o660, 1000, 7}, false, false, false},
		{user, entry{0o644, 1000, 1000}, true, true, false},
		{user, entry{0o602, 1000, 1000}, false, false, false},
		{user, entry{0o600, 1001, 1000}, false, false, false}, // another's
		{user, entry{0o400, 1001, 4242}, false, false, false},
		{user, entry{0o440, 0, 4242}, true, true, true}, // a Secret's volume
		{user, entry{0o640, 0, 4242}, true, true, true},
		{user, entry{0o444, 0, 4242}, true, true, false},
		{user, entry{0o660, 0, 4242}, true, true, false},
		{user, entry{0o440, 0, 7}, true, true, false},
		{root, entry{0o600, 0, 0}, true, true, true},
		{root, entry{0o440, 0, 0}, true, true, true},
		{root, entry{0o440, 0, 4242}, true, true, true},
		{root, entry{0o440, 0, 7}, true, true, false},
		{root, entry{0o600, 1000, 0}, false, false, false}, // another user could change a file that root uses
		{user, entry{dir | 0o700, 1000, 1000}, true, true, false},
		{user, entry{dir | 0o755, 0, 0}, true, true, false},
		{user, entry{dir | fs.ModeSetgid | 0o770, 0, 4242}, true, true, false}, // fsGroup
		{user, entry{dir | 0o770, 0, 7}, false, false, false},
		{user, entry{dir | 0o777, 1000, 1000}, false, false, false},
		{user, entry{dir | fs.ModeSticky | 0o777, 0, 0}, false, true, false},
		{user, entry{dir | fs.ModeSticky | 0o777, 1001, 0}, false, false, false},
		{user, entry{link | 0o777, 1000, 1000}, true, true, false},
		{user, entry{link | 0o777, 1001, 1001}, false, false, false},
		{user, entry{fs.ModeNamedPipe | 0o600, 1000, 1000}, true, true, false},
	} {
		t.Run(fmt.Sprint(i), func(t *testing.T) {
			settled, holds, secret := test.who.Settled("f",
				test.what), test.who.Holds("f", test.what), test.who.Secret("f", test.what)
			if (settled == nil) != test.settled || (holds == nil) != test.holds || (secret == nil) != test.secret {
				t.Errorf("user %d, %v of %d:%d: settled %v; holds %v; secret %v", test.who.User, test.what.mode,
					test.what.uid, test.what.gid, settled, holds, secret)
			}
		})
	}
}

// TestSettledFolder: an entry or a link's target that everybody may write is found.
func TestSettledFolder(t *testing.T) {
	dir, elsewhere := t.TempDir(), t.TempDir()
	inside := filepath.Join(dir, "blobs")
	if err := os.Mkdir(inside, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(elsewhere, filepath.Join(dir, "meta")); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(filepath.Join(elsewhere, "none"), filepath.Join(dir, "audit")); err != nil {
		t.Fatal(err)
	}
	if err := SettledFolder(OS(), dir); err != nil {
		t.Fatal(err)
	}
	for i, path := range []string{dir, inside, elsewhere} {
		t.Run(fmt.Sprint(i), func(t *testing.T) {
			os.Chmod(path, 0o777)
			if SettledFolder(OS(), dir) == nil {
				t.Errorf("everybody may write %s", path)
			}
			os.Chmod(path, 0o700)
		})
	}
	if err := SettledFolder(OS(), dir); err != nil {
		t.Error(err)
	}
}

// TestTake: an empty folder of our own becomes private; one with files does not change.
func TestTake(t *testing.T) {
	for _, test := range []struct {
		mode, want os.FileMode
		used       bool
	}{
		{os.ModeSticky | 0o777, 0o700, false}, {0o777, 0o700, false}, {0o702, 0o700, false},
		{0o755, 0o755, false}, {0o770, 0o770, false}, {0o777, 0o777, true},
	} {
		t.Run(fmt.Sprint(test), func(t *testing.T) {
			dir := t.TempDir()
			if test.used {
				if err := os.WriteFile(filepath.Join(dir, "found"), nil, 0o600); err != nil {
					t.Fatal(err)
				}
			}
			if err := os.Chmod(dir, test.mode); err != nil {
				t.Fatal(err)
			}
			err := Take(OS(), dir)
			info, statErr := os.Stat(dir)
			if err != nil || statErr != nil || info.Mode()&^os.ModeDir != test.want {
				t.Errorf("%v, used %v: now %v, %v, %v", test.mode, test.used, info.Mode(), err, statErr)
			}
			if settled := SettledFolder(OS(), dir) == nil; settled == test.used {
				t.Errorf("%v, used %v: settled %v", test.mode, test.used, settled)
			}
		})
	}
}
