package payload

import (
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"watertight/internal/core/payload/internal/disk"
)

// OpenFile opens the sealed bytes of a blob below a data directory, set aside, in
// quarantine or neither. It changes nothing.
func OpenFile(dataDir, name string) (*os.File, error) {
	path, err := disk.Path(Folder(dataDir), name)
	if err != nil {
		return nil, err
	}
	f, err := os.Open(path)
	for _, apart := range []string{disk.AsideFolder, disk.QuarantineFolder} {
		if errors.Is(err, fs.ErrNotExist) {
			f, err = os.Open(filepath.Join(Folder(dataDir), apart, name))
		}
	}
	return f, err
}

// CopyFile copies the sealed bytes of a blob to another data directory. Its name
// lasts once Settle was called.
func CopyFile(from, to, name string) (err error) {
	in, err := OpenFile(from, name)
	if err != nil {
		return err
	}
	defer in.Close()
	path, err := disk.Path(Folder(to), name)
	if err != nil {
		return err
	}
	out, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	_, err = io.Copy(out, in)
	return errors.Join(err, out.Sync(), out.Close())
}

// Settle makes the names of copied blobs last.
func Settle(dataDir string) error { return disk.Settle(Folder(dataDir)) }
