package audit

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/sys/unix"

	"watertight/internal/storage/folder"
	"watertight/internal/storage/kv"
	"watertight/internal/storage/seal"
)

// Limits bound the size and age of the log. With the zero Limits, all files are kept.
type Limits struct {
	MaxBytes int64         // of all files; if they have more, the oldest closed files are removed. 0 means no limit
	Keep     time.Duration // closed files that were last written longer ago are removed; 0 means no limit
	Archive  string        // folder to which files are copied before they are removed; "" means none
}

const (
	retireInterval = time.Minute
	smallestFile   = 1 << 20
	warnShare      = 10 // share of the disk above which a log without a limit causes a warning: one part in ten
)

// fileLimit returns the size at which files are closed. It is small enough for the limit of
// all files to have an effect.
func (l *Limits) fileLimit() int64 {
	if l.MaxBytes == 0 {
		return fileLimit
	}
	return min(max(l.MaxBytes/4, smallestFile), fileLimit)
}

// retire removes the oldest closed files as long as a limit requires it. Each is first
// verified, and copied if there is an archive. Then an event names it, the store remembers
// that the log begins after it, and only then is it removed. After a failure it stays.
func (w *writer) retire(ctx context.Context, now time.Time) error {
	j, l := w.journal, &w.log.limits
	for {
		total := int64(0)
		var oldest os.FileInfo
		for n := j.first; n <= j.number; n++ {
			info, err := j.fsys.Stat(filepath.Join(j.dir, fileName(n)))
			if err != nil {
				return err
			}
			if total += info.Size(); n == j.first {
				oldest = info
			}
		}
		over := l.MaxBytes > 0 && total > l.MaxBytes || l.Keep > 0 && now.Sub(oldest.ModTime()) > l.Keep
		if !over || j.first == j.number {
			w.warn(total, now)
			return nil
		}
		if err := w.remove(ctx, j.first); err != nil {
			return fmt.Errorf("audit: %s stays: %w", fileName(j.first), err)
		}
	}
}

// warn logs a warning, once a day, if no limit bounds a large log.
func (w *writer) warn(total int64, now time.Time) {
	var st unix.Statfs_t
	if w.log.limits.MaxBytes > 0 || now.Sub(w.warned) < 24*time.Hour || unix.Statfs(w.journal.dir, &st) != nil {
		return
	}
	if disk := int64(min(st.Blocks*uint64(st.Bsize), math.MaxInt64)); total > disk/warnShare {
		w.warned = now
		w.log.logger.Warn(
			"the audit log takes more than a tenth of the disk, and nothing bounds it; see --audit-max-bytes, "+
				"--audit-retention and --audit-archive",
			"bytes", total,
		)
	}
}

// remove removes the oldest file.
func (w *writer) remove(ctx context.Context, n uint64) error {
	j, to := w.journal, w.log.limits.Archive
	end, err := j.verify(j.dir, n)
	if err != nil {
		return err
	}
	next, err := readHeader(j.fsys, filepath.Join(j.dir, fileName(n+1)), j.wrap)
	if err != nil {
		return err
	}
	if next.before != end.state || int64(next.previous) != end.size {
		return damaged(filepath.Join(j.dir, fileName(n)), -1, "is not what the file behind it continues")
	}
	name := "AuditFileRemoved"
	if to != "" {
		name = "AuditFileArchived"
		if err := j.archive(to, n, end.state); err != nil {
			return err
		}
	}
	d := &object{b: []byte{'{'}, text: textLimit}
	d.with("file", fileName(n))
	d.number("bytes", end.size)
	d.number("firstFrame", int64(end.from))
	d.number("lastFrame", int64(end.state.sequence))
	d.with("chain", fmt.Sprintf("%x", end.state.chain)).optional("archive", to)
	w.service(name, append(d.b, '}'))
	if err := j.append(frame{
		written: time.Now(), anchor: j.state.anchor, direct: w.batch, count: w.count,
	}); err != nil {
		return err // it is written with the next frame
	}
	w.count, w.batch = 0, nil
	m := j.mark()
	m.first, m.from = n+1, end.state.sequence+1
	if err := w.store.Update(ctx, func(tx kv.Tx) error {
		tx.Set(markKey(), m.encode())
		return nil
	}); err != nil {
		return err
	}
	w.own++
	j.first, j.from = m.first, m.from
	w.remembered(m)
	if err := j.fsys.Remove(filepath.Join(j.dir, fileName(n))); err != nil {
		return err
	}
	w.log.logger.Info("audit log: a closed file was taken away", "file", fileName(n), "archive", to)
	return j.folder.Sync()
}

// verify verifies one closed file completely.
func (j *journal) verify(dir string, n uint64) (*walker, error) {
	v := &walker{fsys: j.fsys, wrap: j.wrap, whole: true}
	return v, v.file(dir, n, false)
}

// archive copies a closed file durably, and verifies the copy. If the archive has a file
// with that name, it must be equal.
func (j *journal) archive(to string, n uint64, want state) error {
	if err := folder.Make(j.fsys, to, 0o700); err != nil {
		return err
	}
	path := filepath.Join(to, fileName(n))
	if _, err := j.fsys.Stat(path); errors.Is(err, os.ErrNotExist) {
		if err := copyFile(j.fsys, filepath.Join(j.dir, fileName(n)), path); err != nil {
			return err
		}
	}
	v, err := j.verify(to, n)
	if err == nil && v.state != want {
		err = damaged(path, -1, "is another file than the one to be archived")
	}
	return err
}

// copyFile makes a durable copy, which gets its name only when it is complete.
func copyFile(fsys folder.FS, from, to string) (err error) {
	in, err := folder.Open(fsys, from)
	if err != nil {
		return err
	}
	defer in.Close()
	out, err := fsys.OpenFile(to+newSuffix, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	_, err = io.Copy(out, in)
	if err = errors.Join(err, out.Sync(), out.Close()); err != nil {
		return errors.Join(err, fsys.Remove(to+newSuffix))
	}
	if err := fsys.Rename(to+newSuffix, to); err != nil {
		return err
	}
	return folder.Sync(fsys, filepath.Dir(to))
}

// readHeader reads the header of a file.
func readHeader(fsys folder.FS, path string, wrap seal.Purpose) (header, error) {
	f, err := folder.Open(fsys, path)
	if err != nil {
		return header{}, err
	}
	defer f.Close()
	b := make([]byte, headerSize)
	if _, err := io.ReadFull(f, b); err != nil {
		return header{}, readError(path, 0, "the file is shorter than its header", err)
	}
	h, err := decodeHeader(b, wrap)
	if err != nil {
		return header{}, headerError(path, err)
	}
	return h, nil
}
