package datadir

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"time"

	"golang.org/x/sys/unix"

	"watertight/internal/core/payload"
	"watertight/internal/storage/folder"
)

// A folder of backups:
//
//	lock               held while a backup is made
//	blobs/xx/NAME      the blobs of all backups: they never change
//	backups/000001/    one backup: everything else, as it lies in a data directory
//	backups/000001/manifest
//	backups/000002.new/ one that was not finished
//
// A backup exists once its folder has its name. Until then the ones before are not
// touched, except that blobs are added.
const (
	backupsFolder = "backups"
	unfinished    = ".new"
)

// BackupCount counts the contents of a backup.
type BackupCount struct {
	Backup           string // its name
	Blobs, Files     int
	Bytes            int64 // of files and blobs
	Copied           int64 // bytes that were not in an earlier backup
	Mended           int   // blobs that were damaged in the folder of backups, and were copied again
	Missing, Altered int   // blobs that do not exist, and those whose length differs from an earlier backup
}

// Backup is a running backup of a snapshot that a server holds.
type Backup struct {
	data, dir string // the data directory, and the folder of backups
	number    int
	lock      *os.File
	old       *manifest // of the previous backup, at its next blob; may be nil
	oldNext   entry
	oldFiles  map[string]entry
	out       *manifestWriter
	count     BackupCount
	verify    bool
	warn      func(string)
}

// BeginBackup starts a backup of data in dir, which is created if it is missing. It removes
// what an unfinished backup left. warn is called with problems of blobs, and of the
// previous backup.
func BeginBackup(data, dir string, warn func(string)) (_ *Backup, err error) {
	if err := apart(data, dir); err != nil {
		return nil, err
	}
	for _, d := range []string{dir, filepath.Join(dir, backupsFolder)} {
		if err := folder.Make(folder.OS(), d, 0o700); err != nil {
			return nil, err
		}
	}
	if err := payload.Prepare(folder.OS(), dir); err != nil {
		return nil, err
	}
	b := &Backup{data: data, dir: dir, oldFiles: map[string]entry{}, warn: warn}
	b.lock, err = os.OpenFile(filepath.Join(dir, "lock"), os.O_RDWR|os.O_CREATE|unix.O_NOFOLLOW, 0o600)
	if err != nil {
		return nil, err
	}
	if err := unix.Flock(int(b.lock.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		return nil, errors.Join(fmt.Errorf("another backup into %s is under way", dir), b.lock.Close())
	}
	all, err := backupsIn(dir)
	if err != nil {
		return nil, errors.Join(err, b.Close())
	}
	b.number = 1
	if len(all) > 0 {
		b.number = all[len(all)-1] + 1
		if err := b.remember(all[len(all)-1]); err != nil {
			return nil, errors.Join(err, b.Close())
		}
	}
	b.count.Backup = backupName(b.number)
	return b, b.discard()
}

func backupName(n int) string { return fmt.Sprintf("%06d", n) }

// folder returns the folder of the running backup.
func (b *Backup) folder() string {
	return filepath.Join(b.dir, backupsFolder, backupName(b.number)+unfinished)
}

// backupsIn returns the numbers of the backups in dir, in order.
func backupsIn(dir string) (all []int, err error) {
	found, err := os.ReadDir(filepath.Join(dir, backupsFolder)) // in the order of their names
	if err != nil {
		return nil, err
	}
	for _, f := range found {
		if n, err := strconv.Atoi(f.Name()); err == nil && f.IsDir() && backupName(n) == f.Name() {
			all = append(all, n)
		}
	}
	return all, nil
}

// apart refuses two folders if one is inside the other.
func apart(data, dir string) error {
	a, err := filepath.Abs(data)
	if err != nil {
		return err
	}
	b, err := filepath.Abs(dir)
	if err != nil {
		return err
	}
	for _, pair := range [][2]string{{a, b}, {b, a}} {
		if rel, err := filepath.Rel(pair[0], pair[1]); err == nil && filepath.IsLocal(rel) {
			return fmt.Errorf("%s lies in %s; use a folder elsewhere, best on another disk", pair[1], pair[0])
		}
	}
	return nil
}

// remember reads the manifest of the previous backup. If it is damaged, it is not used:
// everything is copied again.
func (b *Backup) remember(number int) error {
	path := filepath.Join(b.dir, backupsFolder, backupName(number), manifestFile)
	whole, err := openManifest(path)
	if err == nil {
		err = whole.each(func(entry) error { return nil })
		err = errors.Join(err, whole.Close())
	}
	if err != nil {
		b.warn(fmt.Sprintf("%v; everything is copied again", err))
		return nil
	}
	if b.old, err = openManifest(path); err != nil {
		return err
	}
	for {
		e, ok, err := b.old.next()
		if err != nil || !ok || e.kind != "file" {
			b.oldNext = e
			return err
		}
		b.oldFiles[e.name] = e
	}
}

// Verify makes the backup read what it would take from the previous one, and copy again
// what is damaged there.
func (b *Backup) Verify() { b.verify = true }

// before returns the entry of the previous backup for a blob. It must be called with names
// in ascending order.
func (b *Backup) before(name string) (e entry, ok bool, err error) {
	for b.old != nil && b.oldNext.kind != "" && b.oldNext.name < name {
		b.oldNext, _, err = b.old.next()
		if err != nil {
			return e, false, err
		}
	}
	return b.oldNext, b.oldNext.kind == "blob" && b.oldNext.name == name, nil
}

// discard removes what an unfinished backup left.
func (b *Backup) discard() error {
	left, err := filepath.Glob(filepath.Join(b.dir, backupsFolder, "*"+unfinished))
	for _, path := range left {
		err = errors.Join(err, os.RemoveAll(path))
	}
	return err
}

// Snapshot copies the files of a snapshot, which are in a folder of the data directory.
// Files that have not changed since the previous backup are linked to it.
func (b *Backup) Snapshot(ctx context.Context, from string, commit uint64, taken time.Time) (err error) {
	if !filepath.IsLocal(from) {
		return fmt.Errorf("%q is no folder of a data directory", from)
	}
	if err := folder.Make(folder.OS(), b.folder(), 0o700); err != nil {
		return err
	}
	if b.out, err = createManifest(filepath.Join(b.folder(), manifestFile), taken, commit); err != nil {
		return err
	}
	root := filepath.Join(b.data, from)
	return filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err = errors.Join(err, ctx.Err()); err != nil {
			return err
		}
		rel, err := filepath.Rel(root, path)
		switch {
		case err != nil:
			return err
		case d.IsDir():
			return folder.Make(folder.OS(), filepath.Join(b.folder(), rel), 0o700)
		case !d.Type().IsRegular():
			return nil
		}
		return b.file(path, rel)
	})
}

// file adds one file of the snapshot.
func (b *Backup) file(path, rel string) error {
	in, err := os.Open(path)
	if err != nil {
		return err
	}
	defer in.Close()
	to := filepath.Join(b.folder(), rel)
	if old, ok := b.oldFiles[rel]; ok {
		e, err := summed(io.Discard, in)
		if err != nil {
			return err
		}
		e.kind, e.name = "file", rel
		before := filepath.Join(b.dir, backupsFolder, backupName(b.number-1), rel)
		if e == old && (!b.verify || b.whole(old, openFile(before))) && os.Link(before, to) == nil {
			return b.add(e, false)
		}
		if _, err := in.Seek(0, io.SeekStart); err != nil {
			return err
		}
	}
	e, err := writeFile(to, in)
	if err != nil {
		return err
	}
	e.kind, e.name = "file", rel
	return b.add(e, true)
}

func (b *Backup) add(e entry, copied bool) error {
	switch e.kind {
	case "file":
		b.count.Files++
	case "blob":
		b.count.Blobs++
	case "missing":
		b.count.Missing++
	}
	b.count.Bytes += e.size
	if copied {
		b.count.Copied += e.size
	}
	return b.out.add(e)
}

// summed copies everything from in, and returns its length and hash.
func summed(to io.Writer, in io.Reader) (e entry, err error) {
	sum := sha256.New()
	e.size, err = io.Copy(io.MultiWriter(to, sum), in)
	sum.Sum(e.sum[:0])
	return e, err
}

// writeFile writes a durable file with the contents of in.
func writeFile(to string, in io.Reader) (e entry, err error) {
	out, err := os.OpenFile(to, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return e, err
	}
	e, err = summed(out, in)
	return e, errors.Join(err, out.Sync(), out.Close())
}

// Blobs adds blobs by their names, with the places of those that were moved (see
// payload.Placed). They must be in ascending order.
func (b *Backup) Blobs(ctx context.Context, names []string) error {
	for _, name := range names {
		if err := ctx.Err(); err != nil {
			return err
		}
		if err := b.blob(name); err != nil {
			return fmt.Errorf("blob %s: %w", name, err)
		}
	}
	return nil
}

func (b *Backup) blob(placed string) error {
	name := payload.Bare(placed)
	old, ok, err := b.before(name)
	if err != nil {
		return err
	}
	kept := int64(-1)
	if ok {
		if kept, err = payload.FileSize(folder.OS(), b.dir, name); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	ok = ok && err == nil && kept == old.size
	size, err := payload.FileSize(folder.OS(), b.data, placed)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	switch missing := err != nil; {
	case missing && !ok:
		b.warn(fmt.Sprintf("the blob %s is missing", name))
		return b.add(entry{kind: "missing", name: name}, false)
	case ok && b.verify && !b.whole(old, func() (io.ReadCloser, error) {
		return payload.OpenFile(folder.OS(), b.dir, name)
	}):
		return b.mend(old, placed)
	case ok && (missing || size != old.size): // blobs never change, so the older copy is right
		b.count.Altered++
		b.warn(fmt.Sprintf("the blob %s is missing or has another length; the copy of an earlier backup is kept", name))
		return b.add(old, false)
	case ok:
		return b.add(old, false)
	}
	e, err := b.copyBlob(placed, func(entry) error { return nil })
	if err != nil {
		return err
	}
	return b.add(e, true)
}

// openFile returns a function that opens a file.
func openFile(path string) func() (io.ReadCloser, error) {
	return func() (io.ReadCloser, error) { return folder.Open(folder.OS(), path) }
}

// whole reports whether an earlier copy agrees with its manifest.
func (b *Backup) whole(old entry, open func() (io.ReadCloser, error)) bool {
	in, err := open()
	if err == nil {
		var e entry
		e, err = summed(io.Discard, in)
		if err = errors.Join(err, in.Close()); err == nil && (e.size != old.size || e.sum != old.sum) {
			err = errNotCopied
		}
	}
	if err != nil {
		b.warn(fmt.Sprintf("damaged in an earlier backup: %s %s: %v", old.kind, old.name, err))
	}
	return err == nil
}

// mend copies a blob again that is damaged in the folder of backups. It accepts only the
// bytes that were copied first; otherwise the backup lists the blob as missing.
func (b *Backup) mend(old entry, placed string) error {
	e, err := b.copyBlob(placed, func(e entry) error {
		if e.size != old.size || e.sum != old.sum {
			return errNotCopied
		}
		return nil
	})
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, errNotCopied) {
		b.warn(fmt.Sprintf("the blob %s is not whole in the data either", old.name))
		return b.add(entry{kind: "missing", name: old.name}, false)
	}
	if err != nil {
		return err
	}
	b.count.Mended++
	return b.add(e, true)
}

// copyBlob copies a blob under a temporary name, and renames it if right accepts it.
func (b *Backup) copyBlob(placed string, right func(entry) error) (e entry, err error) {
	in, err := payload.OpenFile(folder.OS(), b.data, placed)
	if err != nil {
		return e, err
	}
	defer in.Close()
	to, err := payload.FilePath(b.dir, placed)
	if err != nil {
		return e, err
	}
	e, err = writeFile(to+unfinished, in)
	e.kind, e.name = "blob", payload.Bare(placed)
	if err == nil {
		err = right(e)
	}
	if err == nil {
		err = os.Rename(to+unfinished, to)
	}
	if err != nil {
		return e, errors.Join(err, os.RemoveAll(to+unfinished))
	}
	return e, nil
}

// Count returns what was added so far.
func (b *Backup) Count() BackupCount { return b.count }

// Finish gives the backup its name, from when on it exists.
func (b *Backup) Finish() error {
	if err := payload.Settle(folder.OS(), b.dir); err != nil {
		return err
	}
	if err := b.out.finish(); err != nil {
		return err
	}
	b.out = nil
	err := filepath.WalkDir(b.folder(), func(path string, d fs.DirEntry, err error) error {
		if err == nil && d.IsDir() {
			err = folder.Sync(folder.OS(), path)
		}
		return err
	})
	if err != nil {
		return err
	}
	final := filepath.Join(b.dir, backupsFolder, backupName(b.number))
	return errors.Join(os.Rename(b.folder(), final), folder.Sync(folder.OS(), filepath.Dir(final)))
}

// Close releases the folder. It removes a backup that was not finished.
func (b *Backup) Close() error {
	var errs []error
	if b.out != nil {
		errs = append(errs, b.out.file.Close(), b.discard())
		b.out = nil
	}
	if b.old != nil {
		errs = append(errs, b.old.Close())
	}
	return errors.Join(append(errs, b.lock.Close())...)
}
