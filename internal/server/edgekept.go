package server

import (
	"bytes"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"

	"watertight/internal/core/distribution"
	"watertight/internal/edge/remote"
	"watertight/internal/storage/folder"
	"watertight/internal/storage/seal"
)

// keptSnapshot is the file of the newest snapshot of an edge on another machine: a salt, and the
// snapshot, sealed under a key of this salt, the store's address and the edge's credential. It
// implements remote.Keeper.
type keptSnapshot struct {
	path  string
	key   seal.Key
	owner string // address and credential
	log   *slog.Logger
}

const (
	keptSalt = 32
	maxKept  = 64 << 20 // bytes of the file
)

func (k *keptSnapshot) sealing(salt []byte) seal.Key {
	return k.key.DeriveSalted(salt, "watertight edge snapshot "+k.owner)
}

// Load implements remote.Keeper. A file that was changed, or that belongs to another edge or
// store, counts as none.
func (k *keptSnapshot) Load() *distribution.Snapshot {
	s, err := k.read()
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		k.log.Warn("the configuration that the edge kept can't be used: it serves nothing until the store answers",
			"file", k.path, "err", err)
	}
	return s
}

func (k *keptSnapshot) read() (*distribution.Snapshot, error) {
	b, err := folder.ReadAtMost(folder.OS(), k.path, maxKept)
	if err != nil {
		return nil, err
	}
	if len(b) < keptSalt {
		return nil, seal.ErrCorrupt
	}
	plain, err := seal.Open(k.sealing(b[:keptSalt]), nil, b[keptSalt:])
	if err != nil {
		return nil, err
	}
	return remote.DecodeSnapshot(bytes.NewReader(plain))
}

// Keep implements remote.Keeper. If the file can't be replaced, it is removed, because an older
// snapshot may name distributions that are no longer served.
func (k *keptSnapshot) Keep(s *distribution.Snapshot) error {
	if s == nil {
		return k.remove()
	}
	plain, err := json.Marshal(s)
	if err == nil {
		b := make([]byte, keptSalt, keptSalt+int(seal.SealedSize(int64(len(plain)))))
		rand.Read(b)
		b = seal.Seal(k.sealing(b[:keptSalt]), b, plain)
		if len(b) > maxKept {
			err = fmt.Errorf("it has %d bytes, more than %d", len(b), maxKept)
		} else {
			err = folder.Replace(folder.OS(), k.path, b, 0o600)
		}
	}
	if err == nil {
		return nil
	}
	if lost := k.remove(); lost != nil {
		return errors.Join(err, lost)
	}
	k.log.Warn("the edge can't keep its configuration: until it can, a start without the store serves nothing", "err",
		err)
	return nil
}

func (k *keptSnapshot) remove() error {
	err := os.Remove(k.path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return errors.Join(err, folder.Sync(folder.OS(), filepath.Dir(k.path)))
}
