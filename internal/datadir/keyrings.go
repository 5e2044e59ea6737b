package datadir

import (
	"bytes"
	"fmt"
	"io"
	"path/filepath"

	"watertight/internal/storage/rootkey"
)

// keyrings are the keyring and its copies in a backup, by their names.
type keyrings struct{ found map[string][]byte }

// take returns the length and hash of a file or blob of a backup, and keeps its contents if
// it is a keyring.
func (k *keyrings) take(e entry, from io.Reader) (entry, error) {
	for _, dir := range append([]string{""}, marked("")...) {
		if e.kind != "file" || e.name != filepath.Join(dir, rootkey.KeyringFile) {
			continue
		}
		var text bytes.Buffer
		got, err := summed(&text, io.LimitReader(from, rootkey.KeyringLimit+1))
		if k.found == nil {
			k.found = map[string][]byte{}
		}
		k.found[e.name] = text.Bytes()
		return got, err
	}
	return summed(io.Discard, from)
}

// check refuses a backup that no root key can open.
func (k *keyrings) check(backup string) error {
	first, ok := k.found[rootkey.KeyringFile]
	if !ok {
		return fmt.Errorf("backup %s is damaged: it has no keyring", backup)
	}
	for name, text := range k.found {
		if err := rootkey.Whole(text); err != nil {
			return fmt.Errorf("backup %s is damaged: %s: %w", backup, name, err)
		}
		if !bytes.Equal(text, first) {
			return fmt.Errorf("backup %s is damaged: %s is another keyring than %s", backup, name,
				rootkey.KeyringFile)
		}
	}
	return nil
}
