package rootkey

import (
	"bytes"
	"errors"
	"fmt"
	"watertight/internal/storage/folder"
)

// Text returns the sealed keyring as it is stored; nil if it was not written yet.
func (k *Keyring) Text() []byte {
	k.mu.Lock()
	defer k.mu.Unlock()
	return bytes.Clone(k.text)
}

// Version returns the keyring's id, and its serial number: one more with each writing.
func (k *Keyring) Version() (id [16]byte, serial uint64) {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.id, k.serial
}

// Whole refuses text that is not a complete keyring. It needs no key, so it can't tell
// whether a source opens it.
func Whole(text []byte) error {
	_, err := parseKeyring(text)
	return err
}

// Mend reads the keyring and its copies from the disk, and replaces files that are missing,
// damaged, older or unreadable at a start. It returns their paths. An error names those
// that can't be written.
func (k *Keyring) Mend() (mended []string, err error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.text == nil {
		return nil, nil
	}
	for _, path := range k.o.places() {
		bad := differs(k.o.files(), path, k.text)
		if bad == nil {
			continue
		}
		failed := k.o.replace(path, k.text)
		if failed == nil {
			failed = differs(k.o.files(), path, k.text)
		}
		if failed != nil {
			err = errors.Join(err, fmt.Errorf("%w; writing %s: %w", bad, path, failed))
			continue
		}
		mended = append(mended, path)
	}
	return mended, err
}

// differs returns why a start would not find this keyring at path, or nil.
func differs(fsys folder.FS, path string, text []byte) error {
	b, err := readJudged(fsys, path, KeyringLimit+1, judgeParameters)
	if err == nil && !bytes.Equal(b, text) {
		if err = Whole(b); err == nil {
			err = errors.New("it is another keyring than the one in use")
		}
		err = fmt.Errorf("%s: %w", path, err)
	}
	return err
}
