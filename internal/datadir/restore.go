package datadir

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"watertight/internal/core/payload"
	"watertight/internal/gateway/audit"
	"watertight/internal/storage/folder"
	"watertight/internal/storage/kv/embedded"
	"watertight/internal/storage/rootkey"
)

// RestoreInput says what to restore, and where.
type RestoreInput struct {
	Options        // Data is the new data directory
	From    string // folder of backups
	Backup  string // name of one; empty is the newest
	// Progress is told of bytes that were read; it may be nil.
	Progress func(BackupCount) error
}

// Restored says what was restored or verified.
type Restored struct {
	BackupCount
	Taken  time.Time
	Commit uint64
}

// VerifyBackup reads a whole backup, and compares every file with the manifest. The
// keyring and its copies must be whole and the same. It needs no root key.
func VerifyBackup(ctx context.Context, in RestoreInput) (Restored, error) {
	var found keyrings
	r, err := in.read(ctx, found.take)
	if err == nil {
		err = found.check(r.Backup)
	}
	return r, err
}

// Restore makes a data directory of a backup. Every file is compared with the manifest
// as it is copied. Then the new store is opened as at a start, which proves that its
// parts belong together and to the root key, and the restoring is recorded in its
// audit log. Until then it has no metadata under its final name, and no server starts
// on it. The root key is tried before anything else is copied, and after an error what
// was copied is removed, so that the same target can be tried again.
func Restore(ctx context.Context, in RestoreInput) (done Restored, err error) {
	if err := apart(in.From, in.Data); err != nil {
		return done, err
	}
	if err := in.whole(); err != nil {
		return done, err
	}
	_, missing := os.Lstat(in.Data)
	if err := checkTarget(in.From, in.Data); err != nil {
		return done, err
	}
	lock, err := Lock(in.Data)
	if err != nil {
		return done, err
	}
	defer func() { err = errors.Join(err, lock.Close()) }()
	if err := checkLocked(in.Data); err != nil {
		return done, err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, in.clear(errors.Is(missing, fs.ErrNotExist)))
		}
	}()
	if err := in.tryKey(ctx); err != nil {
		return done, err
	}
	return in.copy(ctx)
}

// checkLocked refuses a target that another process filled before this one locked it.
func checkLocked(data string) error {
	found, err := os.ReadDir(data)
	if err == nil && len(found) != 1 { // the lock
		err = fmt.Errorf("%s is not empty", data)
	}
	return err
}

// clear removes what a failed restoring made in the target, and the target if it made
// that, too.
func (in *RestoreInput) clear(whole bool) error {
	if whole {
		return os.RemoveAll(in.Data)
	}
	found, err := os.ReadDir(in.Data)
	for _, f := range found {
		err = errors.Join(err, os.RemoveAll(filepath.Join(in.Data, f.Name())))
	}
	return err
}

// tryKey copies the keyring alone and opens it with the root key: a key that does not
// open it is refused before everything else is copied.
func (in *RestoreInput) tryKey(ctx context.Context) error {
	name, err := in.name()
	if err != nil {
		return err
	}
	from, err := os.Open(filepath.Join(in.From, backupsFolder, name, rootkey.KeyringFile))
	if err != nil {
		return fmt.Errorf("backup %s is damaged: %w", name, err)
	}
	_, err = writeFile(filepath.Join(in.Data, rootkey.KeyringFile), from)
	if err = errors.Join(err, from.Close()); err == nil {
		_, err = in.keyring(ctx)
	}
	return err
}

// copy copies the backup to the target, and proves it.
func (in *RestoreInput) copy(ctx context.Context) (done Restored, err error) {
	if err := payload.Prepare(in.Data); err != nil {
		return done, err
	}
	done, err = in.read(ctx, func(e entry, from io.Reader) (entry, error) {
		to, err := in.target(e)
		if err != nil {
			return e, err
		}
		return writeFile(to, from)
	})
	if err != nil {
		return done, err
	}
	if err := payload.Settle(in.Data); err != nil {
		return done, err
	}
	if err := os.Rename(metaDir(in.Data)+restoring, metaDir(in.Data)); err != nil {
		return done, err
	}
	if err := in.settle(); err != nil {
		return done, err
	}
	err = in.prove(ctx, fmt.Sprintf("backup %s of %s", done.Backup, done.Taken.UTC().Format(time.RFC3339)))
	if err != nil { // what does not belong together must not be served, even if it can't be removed
		err = errors.Join(err, os.Rename(metaDir(in.Data), metaDir(in.Data)+restoring))
	}
	return done, err
}

// restoring is the suffix of the metadata's name until everything is there.
const restoring = ".restoring"

// target is where an entry of the manifest goes.
func (in *RestoreInput) target(e entry) (string, error) {
	if e.kind == "blob" {
		return payload.FilePath(in.Data, e.name)
	}
	rel := e.name
	if first, rest, ok := cutFolder(rel); ok && first == "meta" {
		rel = filepath.Join("meta"+restoring, rest)
	}
	to := filepath.Join(in.Data, rel)
	return to, folder.Make(filepath.Dir(to), 0o700)
}

// cutFolder cuts the first folder off a path.
func cutFolder(path string) (first, rest string, ok bool) {
	for i := range len(path) {
		if os.IsPathSeparator(path[i]) {
			return path[:i], path[i+1:], true
		}
	}
	return path, "", false
}

// settle makes the names of all files last.
func (in *RestoreInput) settle() error {
	return filepath.WalkDir(in.Data, func(path string, d os.DirEntry, err error) error {
		if err == nil && d.IsDir() {
			err = folder.Sync(path)
		}
		return err
	})
}

// read calls take with the bytes of each file and blob of the backup, and compares
// what take read with the manifest.
func (in *RestoreInput) read(ctx context.Context, take func(entry, io.Reader) (entry, error)) (r Restored, err error) {
	name, err := in.name()
	if err != nil {
		return r, err
	}
	r.Backup = name
	dir := filepath.Join(in.From, backupsFolder, name)
	m, err := openManifest(filepath.Join(dir, manifestFile))
	if err != nil {
		return r, err
	}
	defer func() { err = errors.Join(err, m.Close()) }()
	r.Taken, r.Commit = m.taken, m.commit
	return r, m.each(func(e entry) error {
		if err := ctx.Err(); err != nil {
			return err
		}
		switch e.kind {
		case "missing":
			r.Missing++
			return nil
		case "blob":
			r.Blobs++
		default:
			r.Files++
		}
		from, err := in.open(dir, e)
		if err != nil {
			return fmt.Errorf("backup %s is damaged: %w", name, err)
		}
		got, err := take(e, from)
		if err = errors.Join(err, from.Close()); err != nil {
			return err
		}
		if got.size != e.size || got.sum != e.sum {
			return fmt.Errorf("backup %s is damaged: %s %s is not what was copied", name, e.kind, e.name)
		}
		r.Bytes += e.size
		if in.Progress == nil {
			return nil
		}
		return in.Progress(r.BackupCount)
	})
}

// whole proves that the manifest is whole, before anything is made.
func (in *RestoreInput) whole() error {
	name, err := in.name()
	if err != nil {
		return err
	}
	m, err := openManifest(filepath.Join(in.From, backupsFolder, name, manifestFile))
	if err != nil {
		return err
	}
	return errors.Join(m.each(func(entry) error { return nil }), m.Close())
}

// name is that of the backup that is meant.
func (in *RestoreInput) name() (string, error) {
	all, err := backupsIn(in.From)
	if err != nil {
		return "", err
	}
	if in.Backup == "" && len(all) > 0 {
		return backupName(all[len(all)-1]), nil
	}
	for _, n := range all {
		if backupName(n) == in.Backup {
			return in.Backup, nil
		}
	}
	if in.Backup == "" {
		return "", fmt.Errorf("there is no finished backup in %s", in.From)
	}
	return "", fmt.Errorf("there is no backup %s in %s", in.Backup, in.From)
}

func (in *RestoreInput) open(dir string, e entry) (*os.File, error) {
	if e.kind == "blob" {
		return payload.OpenFile(in.From, e.name)
	}
	return os.Open(filepath.Join(dir, e.name))
}

// prove opens the restored store as a start does, and records that it was restored.
func (in *RestoreInput) prove(ctx context.Context, of string) (err error) {
	key, err := in.keyring(ctx)
	if err != nil {
		return err
	}
	trail, err := audit.Open(audit.Options{
		Dir: AuditDir(in.Data), Root: key.Ring, Region: in.Region, Logger: in.Logger,
	})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, trail.Close(ctx)) }()
	parts, err := Survey(in.Data)
	if err != nil {
		return err
	}
	return parts.restored(ctx, key, trail, in.Options, of)
}

func (p *Parts) restored(
	ctx context.Context, key *rootkey.Keyring, trail *audit.Log, o Options, of string,
) (err error) {
	p.Keyring, p.Agree = key, trail.Check
	store, err := p.Open(ctx, embedded.Options{Root: key.Ring, AtLeast: trail.Anchor(), Logger: o.Logger})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, store.Close()) }()
	if err := trail.Restored(ctx, store, fmt.Sprintf("uid %d", os.Getuid()), of); err != nil {
		return err
	}
	return p.Mark(store)
}
