// Package rootkey finds the root key, under which everything is sealed. It exists so that
// the key is never stored beside the data, and so that nothing starts without it: there is
// no fallback and no default key. It must never know what the key seals.
package rootkey

import (
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"time"

	"watertight/internal/storage/folder"
)

// Options say where the data is and whether a key may be made.
type Options struct {
	DataDir   string
	Files     folder.FS           // holds all files; nil is the machine's
	Copies    []string            // folders, each with a copy of the keyring
	MayCreate bool                // only at the very first start of a data directory
	Getenv    func(string) string // of the process
	Now       func() time.Time    // when generations are made; if nil, the time is left out

	write func(path string, text []byte) error // for tests
}

func (o Options) files() folder.FS { return folder.Or(o.Files) }

func (o Options) at() time.Time {
	if o.Now == nil {
		return time.UnixMicro(0).UTC()
	}
	return o.Now()
}

// replace replaces the contents of a file atomically.
func (o Options) replace(path string, text []byte) error {
	if o.write != nil {
		return o.write(path, text)
	}
	return folder.Replace(o.files(), path, text, 0o600)
}

// Default returns the source that is used if none is named: a file under the
// user's configuration folder, never under the data directory.
func Default(userConfigDir string) string {
	return "file:" + filepath.Join(userConfigDir, "watertight", "root.key")
}

// PassphraseVariable is the environment variable of the source "passphrase:".
const PassphraseVariable = "WATERTIGHT_ROOT_KEY_PASSPHRASE"

// outside refuses a path under the data directory: a thief of the data must not get
// the key as well.
func (o Options) outside(path string) error {
	fsys, dataDir := o.files(), o.DataDir
	p, err := resolve(fsys, path)
	if err != nil {
		return err
	}
	d, err := resolve(fsys, dataDir)
	if err != nil {
		return err
	}
	rel, err := filepath.Rel(d, p)
	if err == nil && rel != ".." && !strings.HasPrefix(rel, ".."+string(filepath.Separator)) {
		return fmt.Errorf(
			"the root key %s would lie in the data directory %s; it must lie elsewhere, or a copy of the data is a "+
				"copy of the key",
			path, dataDir,
		)
	}
	return nil
}

// resolve makes a path absolute and follows the links of the part that exists.
func resolve(fsys folder.FS, path string) (string, error) {
	abs, err := filepath.Abs(path)
	if err != nil {
		return "", err
	}
	rest := ""
	for p := abs; ; {
		real, err := fsys.EvalSymlinks(p)
		if err == nil {
			return filepath.Join(real, rest), nil
		}
		parent := filepath.Dir(p)
		if parent == p {
			return abs, nil
		}
		rest = filepath.Join(filepath.Base(p), rest)
		p = parent
	}
}

var errMissing = errors.New("the root key is missing; without it the data cannot be read, and no new key can replace " +
	"it")
