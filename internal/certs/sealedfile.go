package certs

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"sync"

	"github.com/caddyserver/certmagic"

	"watertight/internal/storage/folder"
	"watertight/internal/storage/seal"
)

// Private keys that the server makes for TLS are sealed under the root key, so
// that no one can impersonate the server with a copy of the data directory. A file
// is sealedMark, a salt, and a stream under a key of this salt and the file's name.
const (
	sealedMark = "WTSEAL1\n"
	saltSize   = 32
)

func sealFile(root *seal.Ring, name string, plain []byte) []byte {
	b := make([]byte, len(sealedMark)+saltSize, len(sealedMark)+saltSize+int(seal.SealedSize(int64(len(plain)))))
	salt := b[copy(b, sealedMark):]
	rand.Read(salt)
	return seal.Seal(fileKey(root.Current().Key, name, salt), b, plain)
}

// errPlain is a file that was not sealed.
var errPlain = errors.New("the file is not sealed")

func openFile(root *seal.Ring, name string, b []byte) ([]byte, error) {
	rest, ok := bytes.CutPrefix(b, []byte(sealedMark))
	if !ok || len(rest) < saltSize {
		return nil, errPlain
	}
	salt, sealed := rest[:saltSize], rest[saltSize:]
	for _, g := range root.Generations() {
		if plain, err := seal.Open(fileKey(g.Key, name, salt), nil, sealed); err == nil {
			return plain, nil
		}
	}
	return nil, seal.ErrCorrupt
}

func fileKey(generation seal.Key, name string, salt []byte) seal.Key {
	return generation.DeriveSalted(salt, "watertight file "+name)
}

// sealedStorage seals the files that certmagic stores.
type sealedStorage struct {
	*certmagic.FileStorage
	root  *seal.Ring
	files sync.Locker
}

func (s sealedStorage) name(key string) string { return "acme/" + key }

// Store seals value.
func (s sealedStorage) Store(ctx context.Context, key string, value []byte) error {
	s.files.Lock()
	defer s.files.Unlock()
	return s.FileStorage.Store(ctx, key, sealFile(s.root, s.name(key), value))
}

// Load opens what Store sealed. A file that Store did not seal counts as missing.
func (s sealedStorage) Load(ctx context.Context, key string) ([]byte, error) {
	b, err := s.FileStorage.Load(ctx, key)
	if err != nil {
		return nil, err
	}
	plain, err := openFile(s.root, s.name(key), b)
	if errors.Is(err, errPlain) {
		return nil, fmt.Errorf("%s: %w: %w", key, fs.ErrNotExist, err)
	}
	return plain, err
}

// Stat returns the size of what Load returns.
func (s sealedStorage) Stat(ctx context.Context, key string) (certmagic.KeyInfo, error) {
	info, err := s.FileStorage.Stat(ctx, key)
	if err != nil || !info.IsTerminal {
		return info, err
	}
	b, err := s.Load(ctx, key)
	info.Size = int64(len(b))
	return info, err
}

// discardPlain removes unsealed files under dir, such as private keys of earlier
// versions. Locks stay, as they hold no secret.
func discardPlain(dir string, log *slog.Logger) error {
	removed := 0
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		switch {
		case errors.Is(err, fs.ErrNotExist):
			return nil
		case err != nil:
			return err
		case d.IsDir() && path == filepath.Join(dir, "locks"):
			return fs.SkipDir
		case !d.Type().IsRegular():
			return nil
		}
		b, err := folder.ReadFile(folder.OS(), path)
		if err != nil || bytes.HasPrefix(b, []byte(sealedMark)) {
			return err
		}
		removed++
		return os.Remove(path)
	})
	if removed > 0 {
		log.Warn("certificates and keys that lay in the plain were removed; new ones are made", "directory", dir,
			"files", removed)
	}
	return err
}
