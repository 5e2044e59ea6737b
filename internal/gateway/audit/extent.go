package audit

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"io"
	"io/fs"
	"path/filepath"
	"slices"

	"watertight/internal/storage/folder"
	"watertight/internal/storage/kv"
)

// Extent is the part of the log that a store remembers, up to its mark.
type Extent struct {
	First, Last uint64 // numbers of the oldest and the newest file; both 0 for none
	Bytes       int64  // of the newest file
}

// ExtentOf returns the part of the log in dir that store remembers. A copy of the store and
// of that part belong together: the log reaches the mark, and it knows of no commit that
// the store does not have.
func ExtentOf(ctx context.Context, store kv.Store, fsys folder.FS, dir string) (Extent, error) {
	m, found, err := recall(ctx, store)
	if err != nil || !found || m.number == 0 {
		return Extent{}, err
	}
	f, err := folder.Open(fsys, filepath.Join(dir, FileName(m.number)))
	if err != nil {
		return Extent{}, err
	}
	defer f.Close()
	n, err := end(f, m.state.sequence)
	return Extent{m.first, m.number, n}, err
}

// Exists reports whether dir has any file of a log.
func Exists(fsys folder.FS, dir string) (bool, error) {
	entries, err := folder.ReadDir(fsys, dir)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return false, err
	}
	return slices.ContainsFunc(entries, func(e fs.DirEntry) bool { return filepath.Ext(e.Name()) == suffix }), nil
}

// FileName returns the name of a file of the log.
func FileName(number uint64) string { return fileName(number) }

// end returns the offset at which a frame ends.
func end(f io.ReaderAt, sequence uint64) (int64, error) {
	var head [headerSize]byte
	if _, err := f.ReadAt(head[:], 0); err != nil {
		return 0, err
	}
	if !bytes.HasPrefix(head[:], []byte(magic)) {
		return 0, ErrDamaged
	}
	at := int64(headerSize)
	for next := binary.BigEndian.Uint64(head[16:]); next <= sequence; next++ {
		var length [4]byte
		if _, err := f.ReadAt(length[:], at); err != nil {
			return 0, errors.Join(ErrLost, err)
		}
		at += frameHeader + int64(binary.BigEndian.Uint32(length[:]))
	}
	return at, nil
}
