package cache

import (
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"watertight/internal/storage/folder"
)

// The file that marks a folder as a cache, under whatever key.
const (
	markerName = "format"
	marker     = "WTCDNC1\n"
)

// Claim makes a folder a cache's. It refuses one that holds something else: a cache removes
// files. A folder that is a cache stays as it is.
func Claim(dir string) error {
	if err := folder.Make(folder.OS(), dir, 0o700); err != nil {
		return err
	}
	path := filepath.Join(dir, markerName)
	info, err := os.Lstat(path)
	if err == nil && info.Mode().IsRegular() && info.Size() == int64(len(marker)) {
		text, err := os.ReadFile(path)
		if err == nil && string(text) == marker {
			return nil
		}
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	all, err := os.ReadDir(dir)
	if err != nil {
		return err
	}
	for _, e := range all {
		switch e.Name() {
		case markerName + ".new": // a start was interrupted
		case "lost+found": // of a file system of its own
		default:
			return fmt.Errorf("%s is not empty, and it is not a cache of watertight (it contains %s): name an empty "+
				"folder", dir, e.Name())
		}
	}
	return folder.Replace(folder.OS(), path, []byte(marker), 0o600)
}

// locked locks a folder until the file that it returns is closed, or the process ends.
func locked(dir string) (folder.File, error) {
	f, err := folder.Open(folder.OS(), dir)
	if err != nil {
		return nil, err
	}
	if err := f.Lock(); err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return f, nil
}

// each calls f for the files whose paths are those of entries. The cache touches no other
// file.
func (d *disk) each(f func(n name) error) error {
	folders, err := os.ReadDir(d.dir)
	if err != nil {
		return err
	}
	for _, fan := range folders {
		if !fan.IsDir() || len(fan.Name()) != 2 {
			continue
		}
		files, err := os.ReadDir(filepath.Join(d.dir, fan.Name()))
		if err != nil {
			return err
		}
		for _, file := range files {
			n, err := hex.DecodeString(fan.Name() + file.Name())
			if err != nil || len(n) != len(name{}) || !file.Type().IsRegular() {
				continue
			}
			if err := f(name(n)); err != nil {
				return err
			}
		}
	}
	return nil
}
