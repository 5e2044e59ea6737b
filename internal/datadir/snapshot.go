package datadir

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"

	"watertight/internal/core/object"
	"watertight/internal/core/payload"
	"watertight/internal/fault"
	"watertight/internal/gateway/audit"
	"watertight/internal/storage/folder"
	"watertight/internal/storage/kv"
	"watertight/internal/storage/kv/embedded"
	"watertight/internal/storage/rootkey"
)

// SnapshotFolder is the folder of a snapshot, in the data directory.
const SnapshotFolder = "snapshot"

// Snapshots takes snapshots of the data directory of a running server.
type Snapshots struct {
	Data    string
	Store   kv.Store
	Keyring *rootkey.Keyring
	Blobs   *payload.Operator
	Logger  *slog.Logger
}

// Snapshot is one state of a data directory, as a folder with everything but the blobs,
// which stay where they are. Its files are links if that is possible.
type Snapshot struct {
	Commit uint64 // newest commit that is in it
	store  kv.Store
}

// EachBlob calls fn with the names of the blobs that the snapshot refers to, in order, in batches.
func (s *Snapshot) EachBlob(ctx context.Context, fn func(names []string) error) error {
	return object.NewOperator(s.store, nil).EachBlob(ctx, fn)
}

// Take takes a snapshot in SnapshotFolder and calls fn. Until fn returns, no blob is
// removed; then the snapshot is. A snapshot that an earlier process left is removed first.
// Error: OperationAborted if another one exists.
func (s Snapshots) Take(ctx context.Context, fn func(*Snapshot) error) (err error) {
	release, ok := s.Blobs.Hold()
	if !ok {
		return fault.New(fault.OperationAborted, "Another backup is under way.")
	}
	dir := filepath.Join(s.Data, SnapshotFolder)
	defer func() { err = errors.Join(err, os.RemoveAll(dir), release()) }()
	if err := errors.Join(os.RemoveAll(dir), folder.Make(folder.OS(), dir, 0o700)); err != nil {
		return err
	}
	if err := s.copyStore(ctx, dir); err != nil {
		return err
	}
	return embedded.Check(ctx, embedded.Options{
		Dir: metaDir(dir), Root: s.Keyring.Ring, Logger: s.Logger,
		Verified: func(f embedded.Found) error {
			if err := s.copyRest(ctx, dir, f); err != nil {
				return err
			}
			return fn(&Snapshot{f.Commit, f.Store})
		},
	})
}

// maxCopies bounds how often the store is copied again because its keyring has changed.
const maxCopies = 4

// copyStore copies the metadata, and the keyring that opens it: an older keyring might lack
// the newest key, and a newer one the oldest. It copies the keyring that the server holds,
// because the file may be damaged.
func (s Snapshots) copyStore(ctx context.Context, dir string) error {
	c, ok := s.Store.(embedded.Copied)
	if !ok {
		return errors.New("this store can't be copied")
	}
	for range maxCopies {
		before := s.Keyring.Text()
		if err := os.RemoveAll(metaDir(dir)); err != nil {
			return err
		}
		if err := c.Copy(ctx, metaDir(dir)); err != nil {
			return err
		}
		after := s.Keyring.Text()
		if !bytes.Equal(before, after) {
			continue
		}
		if err := rootkey.Whole(after); err != nil {
			return err
		}
		return folder.Replace(folder.OS(), filepath.Join(dir, rootkey.KeyringFile), after, 0o600)
	}
	return errors.New("the keyring changes again and again; try again later")
}

// copyRest copies the audit log up to what the store remembers, writes the markers, and
// copies the files beside them.
func (s Snapshots) copyRest(ctx context.Context, dir string, f embedded.Found) error {
	for _, part := range marked(dir) {
		if err := folder.Make(folder.OS(), part, 0o700); err != nil {
			return err
		}
		if err := embedded.WriteMarker(folder.OS(), part, f.Marker); err != nil {
			return err
		}
		keyring := filepath.Join(dir, rootkey.KeyringFile)
		if err := linkFile(keyring, filepath.Join(part, rootkey.KeyringFile), -1); err != nil {
			return err
		}
	}
	log, err := audit.ExtentOf(ctx, f.Store, folder.OS(), AuditDir(s.Data))
	if err != nil {
		return err
	}
	if log.Last == 0 {
		return errors.New("the audit log is not written yet; try again in a second")
	}
	for n := log.First; n <= log.Last; n++ {
		size := int64(-1)
		if n == log.Last {
			size = log.Bytes
		}
		err := linkFile(filepath.Join(AuditDir(s.Data), audit.FileName(n)),
			filepath.Join(AuditDir(dir), audit.FileName(n)), size)
		if err != nil && (n == log.Last || !errors.Is(err, fs.ErrNotExist)) { // the oldest may be archived
			return err
		}
	}
	return s.copyBeside(dir)
}

// copyBeside copies the parameters of a passphrase and the sealed files of TLS.
func (s Snapshots) copyBeside(dir string) error {
	for _, name := range []string{"rootkey.json", "tls", "acme"} {
		err := filepath.WalkDir(filepath.Join(s.Data, name), func(path string, d fs.DirEntry, err error) error {
			if errors.Is(err, fs.ErrNotExist) {
				return nil
			}
			if err != nil {
				return err
			}
			rel, err := filepath.Rel(s.Data, path)
			if err != nil {
				return err
			}
			if d.IsDir() {
				return folder.Make(folder.OS(), filepath.Join(dir, rel), 0o700)
			}
			if !d.Type().IsRegular() {
				return nil
			}
			err = linkFile(path, filepath.Join(dir, rel), -1)
			if errors.Is(err, fs.ErrNotExist) { // just replaced: the file with its next name follows
				err = nil
			}
			return err
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// linkFile links a file, or copies so many bytes of it from its beginning; -1 is all.
func linkFile(from, to string, size int64) (err error) {
	if size < 0 && os.Link(from, to) == nil {
		return nil
	}
	in, err := os.Open(from)
	if err != nil {
		return err
	}
	defer in.Close()
	out, err := os.OpenFile(to, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	if size < 0 {
		_, err = io.Copy(out, in)
	} else if n, cerr := io.CopyN(out, in, size); cerr != nil {
		err = fmt.Errorf("%s has %d bytes, not %d: %w", from, n, size, cerr)
	}
	return errors.Join(err, out.Close())
}
