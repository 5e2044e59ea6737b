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

	"watertight/internal/core/cdn"
	"watertight/internal/core/payload"
	"watertight/internal/gateway/audit"
	"watertight/internal/storage/folder"
	"watertight/internal/storage/kv"
	"watertight/internal/storage/kv/embedded"
	"watertight/internal/storage/rootkey"
)

// RestoreInput says what to restore, and where.
type RestoreInput struct {
	Options        // Data is the new data directory
	From    string // folder of backups
	Backup  string // name of a backup; empty means the newest
	// SkipDamaged continues without blobs that are damaged or missing in the backup.
	SkipDamaged bool
	// Bad is called with what is damaged in the backup; it may be nil.
	Bad func(what string)
	// Progress is called with the bytes that were read; it may be nil.
	Progress func(BackupCount) error
}

// Restored says what was restored or verified.
type Restored struct {
	BackupCount
	Taken   time.Time
	Commit  uint64
	Damaged int // files and blobs that are damaged or missing in the backup
}

// VerifyBackup reads a whole backup, and compares every file with the manifest. The keyring
// and its copies must be complete and equal. It needs no root key.
func VerifyBackup(ctx context.Context, in RestoreInput) (Restored, error) {
	var found keyrings
	done, err := in.read(ctx, found.take, func(e entry, why error) error { in.bad(e, why); return nil })
	switch {
	case err == nil && done.Damaged > 0:
		err = fmt.Errorf("backup %s is damaged: %d of its files and blobs are not what was copied", done.Backup,
			done.Damaged)
	case err == nil:
		err = found.check(done.Backup)
	}
	return done, err
}

// errNotCopied means that a file has other bytes than its manifest says.
var errNotCopied = errors.New("it is not what was copied")

// bad reports a damaged item.
func (in *RestoreInput) bad(e entry, why error) {
	if in.Bad != nil {
		in.Bad(fmt.Sprintf("damaged in the backup: %s %s: %v", e.kind, e.name, why))
	}
}

// skip returns nil if the restore may continue without a damaged blob. It never continues
// without a damaged file of the store.
func (in *RestoreInput) skip(e entry, why error) error {
	if e.kind != "blob" || !in.SkipDamaged {
		return why
	}
	to, err := in.target(e)
	if err == nil {
		err = os.RemoveAll(to)
	}
	in.bad(e, why)
	return err
}

// Restore makes a data directory from a backup. It compares every file with the manifest
// while it copies it. Then it opens the new store as a start does, which checks that its
// parts belong together and to the root key, and records the restore in its audit log.
// Until then the metadata does not have its final name, and no server starts on it. Restore
// tries the root key before it copies anything else. After an error it removes what it
// copied, so that the same target can be used again.
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
	lock, err := Lock(folder.OS(), in.Data)
	if err != nil {
		return done, err
	}
	defer func() { err = errors.Join(err, lock.Close()) }()
	if err := checkLocked(in.Data); err != nil {
		return done, err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, clearTarget(in.Data, errors.Is(missing, fs.ErrNotExist)))
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

// clearTarget removes what a command that failed wrote to its target, and the target if the command
// created it.
func clearTarget(dir string, whole bool) error {
	if whole {
		return os.RemoveAll(dir)
	}
	found, err := os.ReadDir(dir)
	for _, f := range found {
		err = errors.Join(err, os.RemoveAll(filepath.Join(dir, f.Name())))
	}
	return err
}

// tryKey copies only the keyring and opens it with the root key, so that a wrong key is
// refused before everything else is copied.
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

// copy copies the backup to the target, and checks it.
func (in *RestoreInput) copy(ctx context.Context) (done Restored, err error) {
	if err := payload.Prepare(folder.OS(), in.Data); err != nil {
		return done, err
	}
	done, err = in.read(ctx, func(e entry, from io.Reader) (entry, error) {
		to, err := in.target(e)
		if err != nil {
			return e, err
		}
		return writeFile(to, from)
	}, in.skip)
	if err != nil {
		return done, err
	}
	if err := payload.Settle(folder.OS(), in.Data); err != nil {
		return done, err
	}
	if err := os.Rename(metaDir(in.Data)+restoring, metaDir(in.Data)); err != nil {
		return done, err
	}
	if err := in.settle(); err != nil {
		return done, err
	}
	err = in.prove(ctx, fmt.Sprintf("backup %s of %s", done.Backup, done.Taken.UTC().Format(time.RFC3339)))
	if err != nil { // parts that do not belong together must not be served, even if they can't be removed
		err = errors.Join(err, os.Rename(metaDir(in.Data), metaDir(in.Data)+restoring))
	}
	return done, err
}

// restoring is the suffix of the metadata's name until everything is there.
const restoring = ".restoring"

// target returns the path to which an entry of the manifest is restored.
func (in *RestoreInput) target(e entry) (string, error) {
	if e.kind == "blob" {
		return payload.FilePath(in.Data, e.name)
	}
	rel := e.name
	if first, rest, ok := cutFolder(rel); ok && first == "meta" {
		rel = filepath.Join("meta"+restoring, rest)
	}
	to := filepath.Join(in.Data, rel)
	return to, folder.Make(folder.OS(), filepath.Dir(to), 0o700)
}

// cutFolder splits the first folder off a path.
func cutFolder(path string) (first, rest string, ok bool) {
	for i := range len(path) {
		if os.IsPathSeparator(path[i]) {
			return path[:i], path[i+1:], true
		}
	}
	return path, "", false
}

// settle makes the names of all files durable.
func (in *RestoreInput) settle() error {
	return filepath.WalkDir(in.Data, func(path string, d os.DirEntry, err error) error {
		if err == nil && d.IsDir() {
			err = folder.Sync(folder.OS(), path)
		}
		return err
	})
}

// read calls take with the bytes of each file and blob of the backup, and compares what
// take read with the manifest. bad is called with damaged items, and decides whether read
// continues.
func (in *RestoreInput) read(
	ctx context.Context, take func(entry, io.Reader) (entry, error), bad func(entry, error) error,
) (r Restored, err error) {
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
		if e.kind == "missing" {
			r.Missing++
			return nil
		}
		damage, err := in.item(dir, e, take)
		if damage != nil {
			r.Damaged++
			if err := bad(e, damage); err != nil {
				return fmt.Errorf("backup %s is damaged: %s %s: %w", name, e.kind, e.name, err)
			}
			return nil
		}
		if err != nil {
			return err
		}
		if e.kind == "blob" {
			r.Blobs++
		} else {
			r.Files++
		}
		r.Bytes += e.size
		if in.Progress == nil {
			return nil
		}
		return in.Progress(r.BackupCount)
	})
}

// item reads one file or blob. damage is what is wrong with it in the backup, and err
// any other reason why take failed.
func (in *RestoreInput) item(
	dir string, e entry, take func(entry, io.Reader) (entry, error),
) (damage, err error) {
	from, err := in.open(dir, e)
	if err != nil {
		return err, nil
	}
	source := &noted{from: from}
	got, err := take(e, source)
	err = errors.Join(err, from.Close())
	switch {
	case source.err != nil:
		return source.err, nil
	case err == nil && (got.size != e.size || got.sum != e.sum):
		return errNotCopied, nil
	}
	return nil, err
}

// noted is a reader that records its error, to distinguish it from an error of writing.
type noted struct {
	from io.Reader
	err  error
}

func (n *noted) Read(b []byte) (int, error) {
	read, err := n.from.Read(b)
	if err != nil && !errors.Is(err, io.EOF) {
		n.err = err
	}
	return read, err
}

// whole checks that the manifest is complete, before anything is created.
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

// name returns the name of the backup to restore.
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

func (in *RestoreInput) open(dir string, e entry) (io.ReadCloser, error) {
	if e.kind == "blob" {
		return payload.OpenFile(folder.OS(), in.From, e.name)
	}
	return folder.Open(folder.OS(), filepath.Join(dir, e.name))
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
	parts, err := Survey(folder.OS(), in.Data)
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
	if err := trail.Restored(ctx, store, fmt.Sprintf("uid %d", os.Getuid()), of, accepted); err != nil {
		return err
	}
	return p.Mark(store)
}

// accepted writes what an accepted state must not have in common with the one that was given up.
func accepted(tx kv.Tx) error { return cdn.Restored(tx, time.Now()) }
