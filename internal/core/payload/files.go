package payload

import (
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"watertight/internal/core/payload/internal/disk"
	"watertight/internal/storage/folder"
)

// OpenFile opens the sealed bytes of a blob in a data directory, even of a blob that was
// set aside or is in quarantine. It changes nothing.
func OpenFile(files folder.FS, dataDir, name string) (folder.File, error) {
	path, err := disk.Path(Folder(dataDir), name)
	if err != nil {
		return nil, err
	}
	f, err := folder.Open(files, path)
	for _, apart := range []string{disk.AsideFolder, disk.RetiredFolder, disk.QuarantineFolder} {
		if errors.Is(err, fs.ErrNotExist) {
			f, err = folder.Open(files, filepath.Join(Folder(dataDir), apart, name))
		}
	}
	return f, err
}

// CopyFile copies the sealed bytes of a blob to another data directory. The file's name is
// durable after Settle was called.
func CopyFile(files folder.FS, from, to, name string) (err error) {
	in, err := OpenFile(files, from, name)
	if err != nil {
		return err
	}
	defer in.Close()
	path, err := disk.Path(Folder(to), name)
	if err != nil {
		return err
	}
	out, err := files.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	_, err = io.Copy(out, in)
	return errors.Join(err, out.Sync(), out.Close())
}

// Settle makes the names of copied blobs durable.
func Settle(files folder.FS, dataDir string) error { return disk.Settle(files, Folder(dataDir)) }

// FilePath returns the path of a blob in a data directory, unless it was set aside or is in
// quarantine.
func FilePath(dataDir, name string) (string, error) { return disk.Path(Folder(dataDir), name) }

// FileSize returns the size in bytes of a blob that OpenFile would open.
func FileSize(files folder.FS, dataDir, name string) (int64, error) {
	f, err := OpenFile(files, dataDir, name)
	if err != nil {
		return 0, err
	}
	info, err := f.Stat()
	if err != nil {
		return 0, errors.Join(err, f.Close())
	}
	return info.Size(), f.Close()
}
