// Package datadir knows the contents of a data directory: whether its parts
// belong to one store, and the commands on a directory that no server runs on
// (check, recover, read the audit log). It exists so that a start and these
// commands apply the same checks. It must never know requests or listeners.
package datadir

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"sync"

	"golang.org/x/sys/unix"

	"watertight/internal/core/payload"
	"watertight/internal/gateway/audit"
	"watertight/internal/storage/folder"
	"watertight/internal/storage/kv"
	"watertight/internal/storage/kv/embedded"
	"watertight/internal/storage/rootkey"
	"watertight/internal/storage/seal"
)

// Parts are the parts of a data directory, which are examined before anything in it is
// changed: the metadata, the objects' bytes and the audit log must belong to one store. A
// folder that is empty because a volume isn't mounted, or that was restored from an older
// copy, is refused without changing a byte.
type Parts struct {
	// Fresh means that there is no store yet, and nothing is left of one.
	Fresh bool
	// Agree asks the audit log about the store that was found; if it is nil, this check is skipped.
	Agree func(context.Context, kv.Store) error
	// Anchored compares the store that was found with what is known of it elsewhere; nil skips this.
	Anchored func(context.Context, embedded.Found) error
	// LogLost means that the audit log's folder may have been lost, with the marker in it: the operator accepts that.
	LogLost bool
	// Keyring is the root key. Its file and copies are written after the store was verified.
	Keyring *rootkey.Keyring

	files   folder.FS
	data    string
	meta    string                   // folder of metadata that does not have its final name yet
	marks   map[string]embedded.Mark // by folder
	marking sync.Mutex               // held while markers are written: a rotation writes them, too
}

func metaDir(data string) string { return filepath.Join(data, "meta") }

// AuditDir is the folder of the audit log.
func AuditDir(data string) string { return filepath.Join(data, "audit") }

// Lock locks the data directory for this process, until the file is closed.
func Lock(files folder.FS, dir string) (folder.File, error) {
	f, err := files.OpenFile(filepath.Join(dir, "lock"), os.O_RDWR|os.O_CREATE|unix.O_NOFOLLOW, 0o600)
	if err != nil {
		return nil, err
	}
	if err := f.Lock(); err != nil {
		f.Close()
		return nil, fmt.Errorf("the data directory %s is in use by another server; stop it, or use another --data", dir)
	}
	return f, nil
}

// marked returns the folders with the store's marker, in the order in which they are
// marked. The marker in the audit log's folder only shows the age of the marker beside the
// blobs: the store itself remembers its log.
func (p *Parts) marked() []string { return marked(p.data) }

func marked(data string) []string { return []string{payload.Folder(data), AuditDir(data)} }

// OpenKeyring finds the root key of a data directory, see rootkey.Open. There is a copy of
// its keyring beside each marker. If the store shows that there was a keyring, but none is
// found, it is refused, because everything in the store would seem to be damaged.
func OpenKeyring(ctx context.Context, data, source string, o rootkey.Options) (*rootkey.Keyring, error) {
	o.DataDir, o.Copies = data, marked(data)
	files := folder.Or(o.Files)
	k, err := rootkey.Open(ctx, source, o)
	if err == nil && !k.Migrates() {
		return k, nil
	}
	for _, dir := range append(marked(data), data) {
		if _, lerr := files.Lstat(filepath.Join(dir, rootkey.KeyringFile)); !errors.Is(lerr, fs.ErrNotExist) {
			return k, err
		}
	}
	for _, dir := range marked(data) {
		if err == nil { // the keys of migrated stores are their first generation
			if _, err := embedded.ReadMarker(files, dir, k.Ring); !errors.Is(err, embedded.ErrMarker) {
				continue
			}
		}
		if keyed, merr := embedded.MarkerKeyed(files, dir); merr == nil && keyed {
			return nil, errNoKeyring(data)
		}
	}
	return k, err
}

func errNoKeyring(data string) error {
	return fmt.Errorf(
		"the keyring is missing: neither %s nor one of its copies, beside %s in blobs and audit, is there. Put back a "+
			"copy from a backup (keyring, in the backup's folder). The root key alone does not replace it. Nothing was changed",
		filepath.Join(data, rootkey.KeyringFile), embedded.MarkerFile,
	)
}

// advice is the end of the error for a refused data directory.
const advice = "Nothing was changed. Check that every volume is mounted and that no folder was restored without the " +
	"others; " + damageAdvice

// damageAdvice is advice for damage that was found when files had been changed already.
const damageAdvice = "\"watertight check\" reports what is damaged, \"watertight restore\" brings back a backup, " +
	"\"watertight recover\" copies what can be read"

// errAdvised is the refusal of a start, with advice on what to do.
type errAdvised struct{ error }

func (e errAdvised) Unwrap() error { return e.error }

// Refused adds advice to an error that refuses a start, unless err already has some, like
// the errors of the audit log.
func Refused(err error) error {
	if errors.As(err, new(errAdvised)) || errors.Is(err, audit.ErrLost) || errors.Is(err, audit.ErrDamaged) {
		return err
	}
	if embedded.Changed(err) {
		return errAdvised{fmt.Errorf("%w. %s", err, damageAdvice)}
	}
	return errAdvised{fmt.Errorf("%w. %s", err, advice)}
}

// Damaged adds advice to the error of a start that found damage when the store was open
// already. It returns every other error as it is.
func Damaged(log *slog.Logger, err error) error {
	if !embedded.Damaged(err) || errors.As(err, new(errAdvised)) {
		return err
	}
	return errAdvised{fmt.Errorf("%w. %s", embedded.Explain(log, err), damageAdvice)}
}

// Survey finds out which parts exist.
func Survey(files folder.FS, data string) (*Parts, error) {
	p := &Parts{files: files, data: data, marks: map[string]embedded.Mark{}}
	exists, err := embedded.Exists(files, metaDir(data))
	if err != nil {
		return nil, err
	}
	whole, blobs, err := payload.Look(files, data)
	if err != nil {
		return nil, err
	}
	logs, err := audit.Exists(files, AuditDir(data))
	if err != nil {
		return nil, err
	}
	p.Fresh = !exists
	marked, err := p.orphanMarker()
	if err != nil {
		return nil, err
	}
	switch {
	case marked != "":
		return nil, Refused(fmt.Errorf("the metadata %s is missing or empty, but %s tells of a store", metaDir(data),
			marked))
	case p.Fresh && blobs:
		return nil, Refused(fmt.Errorf("the metadata %s is missing or empty, but %s holds objects", metaDir(data),
			payload.Folder(data)))
	case p.Fresh && logs:
		return nil, Refused(fmt.Errorf("the metadata %s is missing or empty, but %s holds an audit log", metaDir(data),
			AuditDir(data)))
	case !p.Fresh && !whole:
		return nil, Refused(fmt.Errorf("%s or a folder in it is missing, but there is metadata", payload.Folder(data)))
	}
	return p, nil
}

// orphanMarker returns the marker of a store whose metadata is missing. It ignores markers
// that an unfinished first start left.
func (p *Parts) orphanMarker() (string, error) {
	begun, err := embedded.Begun(p.files, metaDir(p.data))
	if err != nil || begun || !p.Fresh {
		return "", err
	}
	for _, dir := range p.marked() {
		path := filepath.Join(dir, embedded.MarkerFile)
		if _, err := p.files.Lstat(path); err == nil {
			return path, nil
		} else if !errors.Is(err, fs.ErrNotExist) {
			return "", err
		}
	}
	return "", nil
}

// Open opens the store after it has verified that the store is complete and that the other
// parts belong to it.
func (p *Parts) Open(ctx context.Context, o embedded.Options) (kv.Store, error) {
	if !p.Fresh {
		commit, err := p.readMarks(o.Root)
		if err != nil {
			return nil, err
		}
		o.AtLeast, o.Marks = max(o.AtLeast, commit), slices.Collect(maps.Values(p.marks))
	}
	if p.Fresh {
		if err := p.unmark(); err != nil {
			return nil, err
		}
	}
	o.Files = p.files
	o.Dir, o.Create, o.Verified = metaDir(p.data), p.Fresh, func(f embedded.Found) error { return p.verified(ctx, f) }
	if p.meta != "" {
		o.Dir = p.meta
	}
	s, err := embedded.OpenPebble(ctx, o)
	if err != nil {
		return nil, Refused(err)
	}
	if err := p.files.RemoveAll(filepath.Join(p.data, SnapshotFolder)); err != nil { // of a backup that was interrupted
		return nil, errors.Join(err, s.Close())
	}
	// The first commits of a store are those that the audit log begins with. A store without
	// any may be that of a first start that a crash ended before it had a log.
	if p.Fresh || s.Durable() == 0 {
		return s, nil
	}
	if err := p.rememberKeyring(ctx, s); err != nil && !full(err) {
		return nil, errors.Join(err, s.Close())
	}
	return s, nil
}

// readMarks reads the markers, and returns the newest commit that they know of.
func (p *Parts) readMarks(root *seal.Ring) (commit uint64, err error) {
	for _, dir := range p.marked() {
		m, err := embedded.ReadMarker(p.files, dir, root)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return 0, Refused(err)
		}
		p.marks[dir] = m
		commit = max(commit, m.Commit)
	}
	return commit, nil
}

// belongs refuses a store if the other parts do not belong to it.
func (p *Parts) belongs(ctx context.Context, f embedded.Found) error {
	blobs := payload.Folder(p.data)
	for dir, m := range p.marks {
		if m.ID != f.ID {
			return fmt.Errorf("%s belongs to another store than %s", dir, metaDir(p.data))
		}
	}
	if _, ok := p.marks[blobs]; !ok && !f.New && !f.OldFormat() {
		return fmt.Errorf("%s does not belong to this store: %s is missing in it", blobs, embedded.MarkerFile)
	}
	if err := p.logMarked(f); err != nil {
		return err
	}
	// The marker beside the blobs is written first, so it is never behind.
	if m, log := p.marks[blobs], p.marks[AuditDir(p.data)]; m.Commit < log.Commit && !f.New && !f.OldFormat() {
		return fmt.Errorf(
			"%s is older than the rest of the store: it was put back from a copy of commit %d, and the store went on "+
				"to %d",
			blobs, m.Commit, log.Commit,
		)
	}
	if p.Keyring != nil && p.Keyring.Migrates() && f.Keyed() {
		return errNoKeyring(p.data)
	}
	if !f.New {
		if err := p.checkKeyring(ctx, f.Store); err != nil {
			return err
		}
		if p.Agree != nil {
			if err := p.Agree(ctx, f.Store); err != nil {
				return err
			}
		}
	}
	if p.Anchored != nil {
		return p.Anchored(ctx, f)
	}
	return nil
}

// logMarked refuses a store whose audit log has no marker: then nobody knows whether the blobs are as old as the rest.
// Both markers of a store are written before it has its name.
func (p *Parts) logMarked(f embedded.Found) error {
	if _, ok := p.marks[AuditDir(p.data)]; ok || p.LogLost || f.New || f.OldFormat() {
		return nil
	}
	path := filepath.Join(AuditDir(p.data), embedded.MarkerFile)
	if _, err := p.files.Lstat(AuditDir(p.data)); errors.Is(err, fs.ErrNotExist) {
		return nil // the audit log is missing as a whole, which Agree refuses
	}
	return errAdvised{fmt.Errorf("%s is missing, which tells how old %s must be. Nothing was changed. Put it back "+
		"from a backup; if nobody changed the folder, copy %s to it", path, payload.Folder(p.data),
		filepath.Join(payload.Folder(p.data), embedded.MarkerFile))}
}

// verified checks the store that was found, before anything is changed. Parts without a
// marker get one: those of a new store, and those of a store that an older program wrote
// without markers.
func (p *Parts) verified(ctx context.Context, f embedded.Found) error {
	if err := p.belongs(ctx, f); err != nil {
		return err
	}
	if _, ok := p.marks[payload.Folder(p.data)]; ok {
		return p.saveKeyring(ctx)
	}
	if err := payload.Prepare(p.files, p.data); err != nil {
		return err
	}
	if err := folder.Make(p.files, AuditDir(p.data), 0o700); err != nil {
		return err
	}
	err := p.mark(f.Marker)
	if err != nil && f.New {
		err = errors.Join(err, p.unmark())
	}
	return errors.Join(err, p.saveKeyring(ctx))
}

// saveKeyring writes the keyring and its copies if they are missing, damaged or older. It
// must run before the store gets the version that needs it.
func (p *Parts) saveKeyring(ctx context.Context) error {
	if p.Keyring == nil {
		return nil
	}
	return p.Keyring.Save(ctx)
}
