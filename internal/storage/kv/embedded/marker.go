package embedded

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"path/filepath"

	"watertight/internal/storage/folder"
	"watertight/internal/storage/seal"
)

// A marker ties a folder to a store: it holds the store's id and a commit that the
// store has reached. It also holds a second copy of the keys that open the records,
// in case STORE is damaged. Everything in it is wrapped or authenticated under the root
// key.
//
//	"WTSTORE" 2 | public id 16 | commit 8 | version 1 | wrapped id 60 | n 4 | n wrapped keys, 60 each | HMAC-SHA256
//
// The one key is that of the store's files. Up to format 3, each epoch had one.
const (
	markerMagic   = "WTSTORE\x02"
	wrappedSize   = 60
	markerFixed   = len(markerMagic) + 16 + 8 + 1 + wrappedSize + 4
	markerSum     = sha256.Size
	markerLimit   = 64 << 20
	MarkerFile    = "store.id" // its name in every folder that has one
	markerPurpose = "watertight kv marker"
)

// Marked is implemented by every store of this package. Marker returns the marker of
// the store as it is now.
type Marked interface{ Marker() []byte }

// Mark is the contents of a marker.
type Mark struct {
	ID     [16]byte
	Commit uint64 // a commit that the store has reached

	record []byte   // format of the store, and its wrapped id
	keys   [][]byte // wrapped: the key of its files, or those of the epochs up to format 3
}

// Marker implements Marked.
func (s *store) Marker() []byte { return s.marker(s.Durable()) }

func (s *store) marker(commit uint64) []byte {
	if s.legacy != nil {
		return s.legacy.marker(s.root, commit)
	}
	return s.id.marker(commit)
}

func markerMAC(generation seal.Key, b []byte) []byte {
	k := generation.Derive(markerPurpose)
	m := hmac.New(sha256.New, k[:])
	m.Write(b)
	return m.Sum(nil)
}

// authentic reports whether some generation of the root key made the sum of a marker.
func authentic(root *seal.Ring, body, sum []byte) bool {
	for _, g := range root.Generations() {
		if hmac.Equal(sum, markerMAC(g.Key, body)) {
			return true
		}
	}
	return false
}

// ErrMarker is in the error for a marker that is damaged or was made under
// another root key.
var ErrMarker = errors.New("is damaged, or another root key made it")

// ReadMarker reads the marker of dir. If there is none, the error is
// fs.ErrNotExist.
func ReadMarker(fsys folder.FS, dir string, root *seal.Ring) (Mark, error) {
	path := filepath.Join(dir, MarkerFile)
	info, err := fsys.Stat(path)
	if err != nil {
		return Mark{}, err
	}
	if info.Size() > markerLimit {
		return Mark{}, fmt.Errorf("%s %w", path, ErrMarker)
	}
	b, err := folder.ReadFile(fsys, path)
	if err != nil {
		return Mark{}, err
	}
	m, ok := parseMarker(b, root)
	if !ok {
		return Mark{}, fmt.Errorf("%s %w", path, ErrMarker)
	}
	return m, nil
}

// MarkerKeyed reports whether the marker of dir says that a program with a keyring wrote
// it. It needs no key, and proves nothing.
func MarkerKeyed(fsys folder.FS, dir string) (bool, error) {
	f, err := folder.Open(fsys, filepath.Join(dir, MarkerFile))
	if err != nil {
		return false, err
	}
	b := make([]byte, len(markerMagic)+16+8+1)
	_, err = io.ReadFull(f, b)
	if err = errors.Join(err, f.Close()); err != nil {
		return false, err
	}
	return string(b[:len(markerMagic)]) == markerMagic && b[len(b)-1] >= firstKeyed, nil
}

func parseMarker(b []byte, root *seal.Ring) (m Mark, ok bool) {
	if len(b) < markerFixed+markerSum || string(b[:len(markerMagic)]) != markerMagic {
		return m, false
	}
	body, sum := b[:len(b)-markerSum], b[len(b)-markerSum:]
	if !authentic(root, body, sum) {
		return m, false
	}
	body = body[len(markerMagic):]
	m.ID, body = [16]byte(body), body[16:]
	m.Commit, body = binary.BigEndian.Uint64(body), body[8:]
	m.record, body = body[:1+wrappedSize], body[1+wrappedSize:]
	n := binary.BigEndian.Uint32(body)
	body = body[4:]
	if uint64(len(body)) != uint64(n)*wrappedSize {
		return m, false
	}
	for ; len(body) > 0; body = body[wrappedSize:] {
		m.keys = append(m.keys, body[:wrappedSize])
	}
	return m, true
}

// WriteMarker writes a marker into dir completely and durably, or leaves the old one unchanged.
func WriteMarker(fsys folder.FS, dir string, marker []byte) error {
	return folder.Replace(fsys, filepath.Join(dir, MarkerFile), marker, 0o600)
}
