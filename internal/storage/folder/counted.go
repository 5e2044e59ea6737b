package folder

import (
	"io/fs"
	"sync/atomic"
)

// Counted returns fsys with files that add each sync to a counter.
func Counted(fsys FS, syncs *atomic.Uint64) FS { return counted{fsys, syncs} }

type counted struct {
	FS
	syncs *atomic.Uint64
}

// OpenFile implements FS.
func (c counted) OpenFile(path string, flag int, mode fs.FileMode) (File, error) {
	f, err := c.FS.OpenFile(path, flag, mode)
	if err != nil {
		return nil, err
	}
	return countedFile{f, c.syncs}, nil
}

type countedFile struct {
	File
	syncs *atomic.Uint64
}

// Sync implements File.
func (f countedFile) Sync() error {
	f.syncs.Add(1)
	return f.File.Sync()
}

// SyncData implements File.
func (f countedFile) SyncData() error {
	f.syncs.Add(1)
	return f.File.SyncData()
}
