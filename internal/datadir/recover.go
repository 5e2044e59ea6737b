package datadir

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"syscall"

	"watertight/internal/core/change"
	"watertight/internal/core/payload"
	"watertight/internal/storage/folder"
	"watertight/internal/storage/kv"
	"watertight/internal/storage/kv/embedded"
)

// Recover copies everything that authenticates from a damaged data directory to a new one,
// under the same root key. It does not change the old one. The findings say what was lost.
// It refuses a store with records of a later program. Until everything is there, the metadata does not have its
// final name, and no server starts on it. After an error, such as that of a full disk, it removes what it copied.
func Recover(ctx context.Context, in Options, to string) (_ Inspection, err error) {
	_, missing := os.Lstat(to)
	if err := checkTarget(in.Data, to); err != nil {
		return Inspection{}, err
	}
	lock, err := Lock(folder.OS(), to)
	if err != nil {
		return Inspection{}, err
	}
	defer func() { err = errors.Join(err, lock.Close()) }()
	if err := checkLocked(to); err != nil {
		return Inspection{}, err
	}
	defer func() {
		if err != nil {
			err = errors.Join(withoutRoom(err, to), clearTarget(to, errors.Is(missing, fs.ErrNotExist)))
			err = fmt.Errorf("nothing was recovered, and %s was not changed: %w", in.Data, err)
		}
	}()
	o, err := inspect(ctx, in)
	if err != nil {
		return Inspection{}, err
	}
	defer func() { err = errors.Join(err, o.close(ctx)) }()
	if n := len(o.mended.Later); n > 0 {
		return o.Inspection, fmt.Errorf("%d records were written by a later version of Watertight, and may be "+
			"protected by what this one does not know; use that version", n)
	}
	if err := o.blobs(ctx, false); err != nil {
		return o.Inspection, err
	}
	if err := o.copyBlobs(ctx, to); err != nil {
		return o.Inspection, err
	}
	payload.Alone(o.saved.Records)
	if err := o.copyFiles(to); err != nil {
		return o.Inspection, err
	}
	return o.Inspection, o.writeStore(ctx, in, to)
}

// withoutRoom says in plain words that the disk became full.
func withoutRoom(err error, to string) error {
	if full(err) || errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT) {
		return fmt.Errorf("there is not enough space for %s, and what was copied there was removed", to)
	}
	return err
}

// checkTarget refuses a target that is not empty, or lies within the source.
func checkTarget(data, to string) error {
	if to == "" {
		return errors.New("no new data directory; use --to DIR")
	}
	from, err := filepath.Abs(data)
	if err != nil {
		return err
	}
	abs, err := filepath.Abs(to)
	if err != nil {
		return err
	}
	if rel, err := filepath.Rel(from, abs); err == nil && filepath.IsLocal(rel) {
		return fmt.Errorf("%s lies in %s, in which nothing is changed", to, data)
	}
	found, err := os.ReadDir(to)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if len(found) > 0 {
		return fmt.Errorf("%s is not empty", to)
	}
	return folder.Make(folder.OS(), to, 0o700)
}

// copyBlobs copies the blobs that records refer to. Damaged ones are
// copied, too: every chunk of them that authenticates can be read.
func (o *offline) copyBlobs(ctx context.Context, to string) error {
	if err := payload.Prepare(folder.OS(), to); err != nil {
		return err
	}
	for name := range o.mended.Blobs {
		if err := ctx.Err(); err != nil {
			return err
		}
		err := payload.CopyFile(folder.OS(), o.data, to, o.placed(name))
		if errors.Is(err, payload.ErrNotWritten) {
			return err
		}
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			o.find("the bytes of %s were not copied: %v", o.mended.Blobs[name].Of, err)
		}
	}
	return payload.Settle(folder.OS(), to)
}

// copyFiles copies the audit log and the parameters of a passphrase.
func (o *offline) copyFiles(to string) error {
	if err := folder.Make(folder.OS(), AuditDir(to), 0o700); err != nil {
		return err
	}
	logs, err := filepath.Glob(filepath.Join(AuditDir(o.data), "*.wtl"))
	if err != nil {
		return err
	}
	for _, path := range append(logs, filepath.Join(o.data, "rootkey.json")) {
		rel, err := filepath.Rel(o.data, path)
		if err != nil {
			return err
		}
		text, err := readAll(path)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			o.find("%s was not copied: %v", rel, err)
			continue
		}
		if err := folder.Replace(folder.OS(), filepath.Join(to, rel), text, 0o600); err != nil {
			return err
		}
	}
	return nil
}

// readAll reads a file of the audit log, or one that is smaller.
func readAll(path string) ([]byte, error) {
	f, err := folder.Open(folder.OS(), path)
	if err != nil {
		return nil, err
	}
	text, err := io.ReadAll(f)
	return text, errors.Join(err, f.Close())
}

// recoverBatch bounds a transaction, in records and bytes.
const (
	recoverRecords = 1000
	recoverBytes   = 8 << 20
)

// writeStore writes the new metadata. Its commits continue after the newest one of the old
// store, so that the audit log fits.
func (o *offline) writeStore(ctx context.Context, in Options, to string) error {
	parts := &Parts{
		files: folder.OS(), data: to, meta: metaDir(to) + restoring, Fresh: true, marks: map[string]embedded.Mark{},
		Keyring: o.key.At(to, marked(to)),
	}
	if err := o.writeRecords(ctx, in, parts); err != nil {
		return err
	}
	if err := os.Rename(parts.meta, metaDir(to)); err != nil {
		return err
	}
	return folder.Sync(folder.OS(), to)
}

func (o *offline) writeRecords(ctx context.Context, in Options, parts *Parts) (err error) {
	s, err := parts.Open(ctx, embedded.Options{
		Root: o.key.Ring, From: max(o.saved.Commit, o.anchor) + 1, Logger: in.Logger,
	})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.Close()) }()
	keys := slices.Sorted(maps.Keys(o.saved.Records))
	for len(keys) > 0 {
		n, size := 0, 0
		for n < len(keys) && n < recoverRecords && size < recoverBytes {
			size += len(keys[n]) + len(o.saved.Records[keys[n]])
			n++
		}
		batch := keys[:n]
		err := change.Background(ctx, s, "records are brought out of a damaged store", func(tx kv.Tx) error {
			for _, k := range batch {
				tx.Set([]byte(k), o.saved.Records[k])
			}
			return nil
		})
		if err != nil {
			return err
		}
		keys = keys[n:]
	}
	return parts.Mark(s)
}
