package audit

import (
	"errors"
	"io/fs"
	"path/filepath"

	"watertight/internal/storage/folder"
	"watertight/internal/storage/seal"
)

// Generations counts the files of the logs in dirs by the generation of the root key that
// wraps their keys. A file whose header does not open counts for every generation. A folder
// that does not exist has no files.
func Generations(root *seal.Ring, fsys folder.FS, dirs ...string) (map[uint32]uint64, error) {
	n, wrap := map[uint32]uint64{}, root.For(filePurpose)
	for _, dir := range dirs {
		entries, err := folder.ReadDir(fsys, dir)
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return nil, err
		}
		for _, e := range entries {
			if filepath.Ext(e.Name()) != suffix {
				continue
			}
			h, err := readHeader(fsys, filepath.Join(dir, e.Name()), wrap)
			if err == nil {
				n[h.under]++
				continue
			}
			for _, g := range root.Generations() {
				n[g.Number]++
			}
		}
	}
	return n, nil
}
