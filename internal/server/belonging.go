package server

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"watertight/internal/core/payload"
	"watertight/internal/storage/folder"
	"watertight/internal/storage/kv"
)

// belonging is what lies in a data directory, looked at before anything in it
// is changed: the metadata, the objects' bytes and the audit log must be parts
// of one store. A folder that is empty because a volume isn't mounted, or that
// came back from an older copy, is a refusal that changes no byte.
type belonging struct {
	data  string
	fresh bool // there is no store yet, and nothing that one could have left
	marks map[string]kv.Mark
	agree func(context.Context, kv.Store) error // of the audit log, nil where it has no say
}

func metaDir(data string) string { return filepath.Join(data, "meta") }

// marked are the folders that carry the store's marker, in the order in which
// they are marked. That of the audit log is a copy only, which tells the age of
// the blobs': the store itself remembers its log.
func (b *belonging) marked() []string { return []string{payload.Folder(b.data), auditDir(b.data)} }

// advice ends what an operator is told of a data directory that is refused.
const advice = "Nothing was changed. Look whether a volume is not mounted or a folder was restored by itself; " +
	"\"watertight check\" tells what is damaged, \"watertight recover\" brings out what can be read"

// refused gives advice, unless it was given.
func refused(err error) error {
	if strings.Contains(err.Error(), "Nothing was changed") {
		return err
	}
	return fmt.Errorf("%w. %s", err, advice)
}

// survey looks at which parts are there.
func survey(data string) (*belonging, error) {
	b := &belonging{data: data, marks: map[string]kv.Mark{}}
	meta, err := os.ReadDir(metaDir(data))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	whole, blobs, err := payload.Look(data)
	if err != nil {
		return nil, err
	}
	logs, err := filepath.Glob(filepath.Join(auditDir(data), "*.wtl"))
	if err != nil {
		return nil, err
	}
	b.fresh = len(meta) == 0
	marked, err := b.strangeMarks()
	if err != nil {
		return nil, err
	}
	switch {
	case marked != "":
		return nil, refused(fmt.Errorf("the metadata %s is missing or empty, but %s tells of a store", metaDir(data), marked))
	case b.fresh && blobs:
		return nil, refused(fmt.Errorf("the metadata %s is missing or empty, but %s holds objects", metaDir(data), payload.Folder(data)))
	case b.fresh && len(logs) > 0:
		return nil, refused(fmt.Errorf("the metadata %s is missing or empty, but %s holds an audit log", metaDir(data), auditDir(data)))
	case !b.fresh && !whole:
		return nil, refused(fmt.Errorf("%s or a folder in it is missing, but there is metadata", payload.Folder(data)))
	}
	return b, nil
}

// strangeMarks returns a marker that no first start left which did not end: it
// tells of a store whose metadata is not there.
func (b *belonging) strangeMarks() (string, error) {
	begun, err := kv.Begun(metaDir(b.data))
	if err != nil || begun || !b.fresh {
		return "", err
	}
	for _, dir := range b.marked() {
		path := filepath.Join(dir, kv.MarkerFile)
		if _, err := os.Lstat(path); err == nil {
			return path, nil
		} else if !errors.Is(err, fs.ErrNotExist) {
			return "", err
		}
	}
	return "", nil
}

// open opens the store, once it is known to be whole and the one that the other
// parts belong to.
func (b *belonging) open(ctx context.Context, o kv.Options) (kv.Store, error) {
	if !b.fresh {
		for _, dir := range b.marked() {
			m, err := kv.ReadMarker(dir, o.Root)
			if errors.Is(err, fs.ErrNotExist) {
				continue
			}
			if err != nil {
				return nil, refused(err)
			}
			b.marks[dir] = m
			o.AtLeast = max(o.AtLeast, m.Commit)
		}
	}
	if b.fresh {
		if err := b.unmark(); err != nil {
			return nil, err
		}
	}
	o.Dir, o.Create, o.Verified = metaDir(b.data), b.fresh, func(f kv.Found) error { return b.verified(ctx, f) }
	s, err := kv.OpenPebble(ctx, o)
	if err != nil {
		return nil, refused(err)
	}
	return s, nil
}

// belongs refuses a store that the other parts are no parts of.
func (b *belonging) belongs(ctx context.Context, f kv.Found) error {
	blobs := payload.Folder(b.data)
	for dir, m := range b.marks {
		if m.ID != f.ID {
			return fmt.Errorf("%s belongs to another store than %s", dir, metaDir(b.data))
		}
	}
	if _, ok := b.marks[blobs]; !ok && !f.New && !f.OldFormat() {
		return fmt.Errorf("%s does not belong to this store: %s is missing in it", blobs, kv.MarkerFile)
	}
	// Markers are written to the blobs first, so theirs is never behind.
	if m, log := b.marks[blobs], b.marks[auditDir(b.data)]; m.Commit < log.Commit && !f.New && !f.OldFormat() {
		return fmt.Errorf("%s is older than the rest of the store: it was put back from a copy of commit %d, and the store went on to %d", blobs, m.Commit, log.Commit)
	}
	if b.agree != nil && !f.New {
		return b.agree(ctx, f.Store)
	}
	return nil
}

// verified is asked about the store that was found, before anything is changed.
// Parts that carry no marker get one: of a new store, and of one that a program
// made which knew none.
func (b *belonging) verified(ctx context.Context, f kv.Found) error {
	if err := b.belongs(ctx, f); err != nil {
		return err
	}
	if _, ok := b.marks[payload.Folder(b.data)]; ok {
		return nil
	}
	if err := payload.Prepare(b.data); err != nil {
		return err
	}
	if err := folder.Make(auditDir(b.data), 0o700); err != nil {
		return err
	}
	err := b.mark(f.Marker)
	if err != nil && f.New {
		err = errors.Join(err, b.unmark())
	}
	return err
}

// unmark removes the markers of a store that was never finished, before its
// metadata is removed: without that, a marker is a store's.
func (b *belonging) unmark() error {
	for _, dir := range b.marked() {
		err := os.Remove(filepath.Join(dir, kv.MarkerFile))
		if err == nil {
			err = folder.Sync(dir)
		}
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	return nil
}

// mark writes the marker into every part that is there.
func (b *belonging) mark(marker []byte) error {
	for _, dir := range b.marked() {
		if err := kv.WriteMarker(dir, marker); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("marking %s: %w", dir, err)
		}
	}
	return nil
}

// remark brings the markers up to date. One that can't be written is an older
// one, and as good.
func (s *Server) remark() {
	m, ok := s.store.(kv.Marked)
	if !ok || s.parts == nil {
		return
	}
	if err := s.parts.mark(m.Marker()); err != nil {
		s.log.Warn("the store's markers are not up to date", "err", err)
	}
}
