package certs

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"sync"

	"watertight/internal/storage/folder"
	"watertight/internal/storage/seal"
)

// Rewrap seals the private keys that were made for TLS in a data directory under the
// current generation of the root key, and returns how many files it sealed anew. files
// is the lock of Options.Files. A file that no generation opens stays as it is.
func Rewrap(ctx context.Context, data string, root *seal.Ring, files sync.Locker) (n int, err error) {
	current := seal.NewRing(root.Current())
	for _, dir := range []string{"tls", "acme"} {
		err := filepath.WalkDir(filepath.Join(data, dir), func(path string, d fs.DirEntry, err error) error {
			switch {
			case errors.Is(err, fs.ErrNotExist):
				return nil
			case err != nil:
				return err
			case !d.Type().IsRegular():
				return ctx.Err()
			}
			name, err := filepath.Rel(data, path)
			if err != nil {
				return err
			}
			changed, err := rewrapFile(path, filepath.ToSlash(name), root, current, files)
			if changed {
				n++
			}
			return err
		})
		if err != nil {
			return n, fmt.Errorf("the private keys of TLS: %w", err)
		}
	}
	return n, nil
}

func rewrapFile(path, name string, root, current *seal.Ring, files sync.Locker) (bool, error) {
	files.Lock()
	defer files.Unlock()
	b, err := folder.ReadFile(folder.OS(), path)
	if errors.Is(err, fs.ErrNotExist) || err == nil && !bytes.HasPrefix(b, []byte(sealedMark)) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	if _, err := openFile(current, name, b); err == nil {
		return false, nil
	}
	plain, err := openFile(root, name, b)
	if err != nil { // damaged: a start makes it anew, or says so
		return false, nil
	}
	return true, folder.Replace(folder.OS(), path, sealFile(root, name, plain), 0o600)
}
