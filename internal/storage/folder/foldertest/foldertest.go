// Package foldertest has file systems for tests of packages that keep files. Only tests may
// import it.
package foldertest

import (
	"os"

	"watertight/internal/storage/folder"
)

// Unsynced returns a file system that syncs no file, which is faster.
func Unsynced(files folder.FS) folder.FS { return unsynced{files} }

type unsynced struct{ folder.FS }

type unsyncedFile struct{ folder.File }

func (u unsynced) OpenFile(path string, flag int, mode os.FileMode) (folder.File, error) {
	f, err := u.FS.OpenFile(path, flag, mode)
	if err != nil {
		return nil, err
	}
	return unsyncedFile{f}, nil
}

func (unsyncedFile) Sync() error     { return nil }
func (unsyncedFile) SyncData() error { return nil }

// Punching is Unsynced with files that can give back room in their middle. Files of the file
// system below must be folder.Punchers.
func Punching(files folder.FS) folder.FS { return punching{files} }

type punching struct{ folder.FS }

type punchingFile struct{ unsyncedFile }

func (p punching) OpenFile(path string, flag int, mode os.FileMode) (folder.File, error) {
	f, err := p.FS.OpenFile(path, flag, mode)
	if err != nil {
		return nil, err
	}
	return punchingFile{unsyncedFile{f}}, nil
}

func (f punchingFile) Punch(at, n int64) error { return f.File.(folder.Puncher).Punch(at, n) }
