package embedded

import (
	"context"
	"errors"
	"io/fs"

	"github.com/cockroachdb/pebble/v2/vfs"

	"watertight/internal/storage/folder"
	"watertight/internal/storage/kv/embedded/internal/foldervfs"
)

// place is where a store lies, and what identifies it.
type place struct {
	dir    string
	exists bool
	id     *identity // nil if the store has an older format
	whole  bool      // the file with its keys is whole
}

// Suffixes of a store's folder. A folder with the final name is always complete.
const (
	unfinished = ".new"      // a store that is being created
	following  = ".next"     // the new store while one of an older format is migrated
	migrated   = ".migrated" // the store of the older format, after the migration
)

// locate finds the store. If a migration was interrupted between its two renames, no store
// has the final name; both are complete then, and the new one is taken.
func locate(o Options) (at place, err error) {
	at.dir, at.exists, err = whereabouts(o.disk(), o.Dir)
	if err != nil || !at.exists {
		return at, err
	}
	at.id, at.whole, err = identify(o.disk(), at.dir, o.Root, o.Marks)
	return at, err
}

func whereabouts(files vfs.FS, dir string) (at string, exists bool, err error) {
	var filled [3]bool
	for i, suffix := range []string{"", following, migrated} {
		names, err := files.List(dir + suffix)
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return "", false, err
		}
		filled[i] = len(names) > 0
	}
	switch {
	case filled[0]:
		return dir, true, nil
	case filled[1] && filled[2]:
		return dir + following, true, nil
	}
	return dir, false, nil
}

// Exists reports whether there is a store in dir, or what an interrupted migration made of
// it. It reads no file.
func Exists(files folder.FS, dir string) (bool, error) {
	_, exists, err := whereabouts(foldervfs.Of(files), dir)
	return exists, err
}

// Begun reports whether the creation of a store in dir was started and not finished.
func Begun(files folder.FS, dir string) (bool, error) {
	_, err := files.Stat(dir + unfinished)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	return err == nil, err
}

// settle gives a store that was verified its format and its final name, and mends the file
// with its keys.
func settle(ctx context.Context, o Options, at *place) error {
	if at.id == nil {
		id, err := migrate(ctx, o)
		if err != nil {
			return err
		}
		at.id, at.whole, at.dir = id, true, o.Dir+following
		if err := replaceStore(o); err != nil {
			return err
		}
	} else if at.dir != o.Dir {
		if err := move(o.disk(), at.dir, o.Dir); err != nil {
			return err
		}
	}
	at.dir = o.Dir
	if at.whole {
		return nil
	}
	o.warn("kv: the file with the store's keys was missing or damaged, and was written anew; look at the disk",
		"file", o.disk().PathJoin(o.Dir, storeFile))
	return writeStore(o.disk(), o.Dir, at.id.current())
}

// replaceStore puts the migrated store in the place of the old one. After each step, locate
// finds one of them.
func replaceStore(o Options) error {
	files := o.disk()
	if err := discard(files, o.Dir+migrated); err != nil {
		return err
	}
	if err := move(files, o.Dir, o.Dir+migrated); err != nil {
		return err
	}
	return move(files, o.Dir+following, o.Dir)
}

// discardRest removes what a migration left.
func discardRest(o Options) error {
	return errors.Join(discard(o.disk(), o.Dir+following), discard(o.disk(), o.Dir+migrated))
}

// discard removes a folder and everything in it.
func discard(files vfs.FS, dir string) error {
	if _, err := files.Stat(dir); errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err := files.RemoveAll(dir); err != nil {
		return err
	}
	return syncFolder(files, parent(files, dir))
}

// move renames a folder to a name that must not exist or be an empty folder, and makes
// the new name durable.
func move(files vfs.FS, dir, to string) error {
	if err := files.Remove(to); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if err := files.Rename(dir, to); err != nil {
		return err
	}
	return syncFolder(files, parent(files, to))
}

func parent(files vfs.FS, path string) string {
	if p := files.PathDir(path); p != "" {
		return p
	}
	return "."
}
