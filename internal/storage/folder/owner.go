package folder

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"syscall"
)

// Process is the process whose access to files is checked: its effective user, and all its groups.
type Process struct {
	User   int
	Groups []int
}

// Self returns this process.
func Self() Process {
	p := Process{User: os.Geteuid(), Groups: []int{os.Getegid()}}
	if more, err := os.Getgroups(); err == nil {
		p.Groups = append(p.Groups, more...)
	}
	return p
}

const (
	othersAny   = fs.FileMode(0o007)
	othersWrite = fs.FileMode(0o002)
	groupAny    = fs.FileMode(0o070)
	groupWrite  = fs.FileMode(0o020)
	groupMore   = fs.FileMode(0o030) // the group may write or execute
	userRoot    = 0
)

// owned refuses a file that another user owns, whatever its mode, because an owner can
// change the mode. Files of root are accepted, because root has access to everything.
func (p Process) owned(path string, info fs.FileInfo) (user, group int, err error) {
	st, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return 0, 0, fmt.Errorf("%s: its owner is unknown", path)
	}
	if user = int(st.Uid); user != p.User && user != userRoot {
		return 0, 0, fmt.Errorf(
			"%s belongs to user %d, and this is user %d: its owner can change it; run as that user, or give it to "+
				"this one with chown",
			path, user, p.User,
		)
	}
	return user, int(st.Gid), nil
}

// Settled refuses a file or folder that another user may change: one that another user
// owns, or that everybody or a group without this process may write. A group of this
// process may write it: Kubernetes gives volumes to such a group (fsGroup).
func (p Process) Settled(path string, info fs.FileInfo) error {
	_, group, err := p.owned(path, info)
	switch mode := info.Mode(); {
	case err != nil:
		return err
	case mode.Type() == fs.ModeSymlink: // the mode of a link has no meaning
		return nil
	case mode&othersWrite != 0:
		return fmt.Errorf("everybody may write %s (mode %04o); run: chmod o-w %s", path, mode.Perm(), path)
	case mode&groupWrite != 0 && !slices.Contains(p.Groups, group):
		return fmt.Errorf("group %d may write %s (mode %04o), and this process is not in it; run: chmod g-w %s", group,
			path, mode.Perm(), path)
	}
	return nil
}

// Holds refuses a folder in which another user could replace a file. It is like
// Settled, but accepts a sticky folder, where only owners can replace files.
func (p Process) Holds(path string, info fs.FileInfo) error {
	if info.Mode()&fs.ModeSticky != 0 {
		_, _, err := p.owned(path, info)
		return err
	}
	return p.Settled(path, info)
}

// Secret refuses a file that another user may read or change. If root owns it, a
// group of this process may read it: that is the only way in which Kubernetes gives
// a Secret to a process that is not root.
func (p Process) Secret(path string, info fs.FileInfo) error {
	user, group, err := p.owned(path, info)
	mode := info.Mode().Perm()
	switch {
	case err != nil:
		return err
	case !info.Mode().IsRegular():
		return fmt.Errorf("%s is not a regular file", path)
	case mode&(othersAny|groupAny) == 0:
		return nil
	case mode&(othersAny|groupMore) == 0 && user == userRoot && slices.Contains(p.Groups, group):
		return nil
	}
	return fmt.Errorf("%s can be read by others (mode %04o); run: chmod 600 %s", path, mode, path)
}

// Take makes an empty folder of this process private, as if Make had created it: a new
// volume is often writable for everybody. It does not change a folder that has contents, or
// one that another user owns.
func Take(fsys FS, dir string) error {
	info, err := fsys.Stat(dir)
	if err != nil || info.Mode()&othersWrite == 0 {
		return err
	}
	if st, ok := info.Sys().(*syscall.Stat_t); !ok || int(st.Uid) != Self().User {
		return nil
	}
	entries, err := ReadDir(fsys, dir)
	if err != nil || len(entries) > 0 {
		return err
	}
	return fsys.Chmod(dir, 0o700)
}

// SettledFolder is Settled for a folder and for each of its entries. If an entry is a link,
// both the link itself and its target are checked.
func SettledFolder(fsys FS, dir string) error {
	p := Self()
	info, err := fsys.Stat(dir)
	if err != nil {
		return err
	}
	if err := p.Settled(dir, info); err != nil {
		return err
	}
	entries, err := ReadDir(fsys, dir)
	if err != nil {
		return err
	}
	for _, e := range entries {
		path := filepath.Join(dir, e.Name())
		info, err := e.Info()
		if err != nil {
			return err
		}
		if err := p.Settled(path, info); err != nil {
			return err
		}
		if e.Type() != fs.ModeSymlink {
			continue
		}
		if info, err := fsys.Stat(path); err == nil { // a dangling link is reported as missing later
			if err := p.Settled(path, info); err != nil {
				return err
			}
		}
	}
	return nil
}
