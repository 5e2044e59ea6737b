package rootkey

import (
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"

	"watertight/internal/storage/folder"
	"watertight/internal/storage/seal"
)

// prefix begins a key file: version 1, then base64 of the key and the first
// four bytes of its SHA-256, so that a typing error is noticed.
const prefix = "watertight-root-key-v1:"

const sumSize = 4

// wrapPurpose is the purpose for which keys of sources wrap the key of a keyring.
const wrapPurpose = "watertight keyring"

// file is a key in its own file.
type file struct {
	fsys folder.FS
	path string
}

func newFile(path string, o Options) (Source, error) {
	if path == "" {
		return nil, errors.New("the root key source file: needs a path")
	}
	if err := o.outside(path); err != nil {
		return nil, err
	}
	return file{o.files(), path}, nil
}

// Describe implements Source.
func (f file) Describe() string { return "file:" + f.path }

// Wrap implements Source.
func (f file) Wrap(ctx context.Context, key seal.Key, bound []byte) ([]byte, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	root, err := f.rootKey()
	if err != nil {
		return nil, err
	}
	return root.Derive(wrapPurpose).Wrap(key, bound), nil
}

// Unwrap implements Source.
func (f file) Unwrap(ctx context.Context, wrapped, bound []byte) (seal.Key, error) {
	if err := ctx.Err(); err != nil {
		return seal.Key{}, err
	}
	root, err := f.rootKey()
	if err != nil {
		return seal.Key{}, err
	}
	key, err := root.Derive(wrapPurpose).Unwrap(wrapped, bound)
	if err != nil {
		return seal.Key{}, fmt.Errorf("%s: %w", f.path, ErrOtherKey)
	}
	return key, nil
}

func (f file) rootKey() (seal.Key, error) {
	key, err := readFile(f.fsys, f.path)
	if errors.Is(err, fs.ErrNotExist) {
		err = fmt.Errorf("%s: %w", f.path, errMissing)
	}
	return key, err
}

func (f file) make() (bool, error) {
	_, err := readFile(f.fsys, f.path)
	if !errors.Is(err, fs.ErrNotExist) {
		return false, err
	}
	if err := createFile(f.fsys, f.path, encode(seal.NewKey())); err != nil {
		return false, fmt.Errorf("making the root key: %w", err)
	}
	return true, nil
}

// readFile reads a key file, and refuses one that other users can read.
func readFile(fsys folder.FS, path string) (seal.Key, error) {
	text, err := readPrivate(fsys, path, 4<<10)
	if err != nil {
		return seal.Key{}, err
	}
	key, ok := decode(strings.TrimSpace(string(text)))
	if !ok {
		return seal.Key{}, fmt.Errorf("%s is not a root key of this program, or was changed", path)
	}
	return key, nil
}

func encode(key seal.Key) string {
	sum := sha256.Sum256(key[:])
	return prefix + base64.StdEncoding.EncodeToString(append(key[:], sum[:sumSize]...)) + "\n"
}

func decode(text string) (seal.Key, bool) {
	rest, ok := strings.CutPrefix(text, prefix)
	b, err := base64.StdEncoding.DecodeString(rest)
	if !ok || err != nil || len(b) != seal.KeySize+sumSize {
		return seal.Key{}, false
	}
	sum := sha256.Sum256(b[:seal.KeySize])
	if subtle.ConstantTimeCompare(sum[:sumSize], b[seal.KeySize:]) != 1 {
		return seal.Key{}, false
	}
	return seal.Key(b[:seal.KeySize]), true
}

// readPrivate reads a small regular file. It refuses a file that other users can read, and
// a file in a folder in which they can create files.
func readPrivate(fsys folder.FS, path string, limit int64) ([]byte, error) {
	return readJudged(fsys, path, limit, folder.Self().Secret)
}

// readJudged opens a file once, and checks the opened file.
func readJudged(
	fsys folder.FS, path string, limit int64, judge func(string, fs.FileInfo) error,
) ([]byte, error) {
	f, err := fsys.OpenFile(path, os.O_RDONLY|syscall.O_NONBLOCK, 0) // so that opening a pipe does not block
	if err != nil {
		return nil, err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	if err := judge(path, info); err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() {
		return nil, fmt.Errorf("%s is not a regular file", path)
	}
	if err := checkFolders(fsys, path); err != nil {
		return nil, err
	}
	return io.ReadAll(io.LimitReader(f, limit))
}

// checkFolders checks the folder in a path, and the folder that its links lead to.
func checkFolders(fsys folder.FS, path string) error {
	real, err := fsys.EvalSymlinks(path)
	if err != nil {
		return err
	}
	for _, dir := range []string{filepath.Dir(path), filepath.Dir(real)} {
		info, err := fsys.Stat(dir)
		if err != nil {
			return err
		}
		if err := folder.Self().Holds(dir, info); err != nil {
			return err
		}
	}
	return nil
}

// createFile creates a file: afterwards it is complete and durable, or does not exist.
func createFile(fsys folder.FS, path, text string) error {
	dir := filepath.Dir(path)
	if err := folder.Make(fsys, dir, 0o700); err != nil {
		return err
	}
	info, err := fsys.Stat(dir)
	if err != nil {
		return err
	}
	if err := folder.Self().Holds(dir, info); err != nil {
		return err
	}
	return folder.Create(fsys, path, []byte(text), 0o600)
}
