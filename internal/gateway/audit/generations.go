package audit

import (
	"path/filepath"

	"watertight/internal/storage/seal"
)

// Generations counts the files of the logs in dirs by the generation of the root key that
// wraps their keys. A file whose header does not open counts for every generation. A folder
// that does not exist has no files.
func Generations(root *seal.Ring, dirs ...string) (map[uint32]uint64, error) {
	n, wrap := map[uint32]uint64{}, root.For(filePurpose)
	for _, dir := range dirs {
		files, err := filepath.Glob(filepath.Join(dir, "*"+suffix))
		if err != nil {
			return nil, err
		}
		for _, path := range files {
			h, err := readHeader(path, wrap)
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
