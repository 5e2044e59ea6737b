package audit

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"watertight/internal/storage/seal"
)

// file is what a journal asks of the newest file.
type file interface {
	io.WriterAt
	io.Closer
	Truncate(size int64) error
	Sync() error
}

// journal appends frames to the newest file. It has one user at a time.
type journal struct {
	dir    string
	folder *os.File // locked while the journal is open
	wrap   seal.Key
	limit  int64
	create func(path string) (file, error)

	state  state
	number uint64 // of the newest file; 0 before the first
	file   file   // nil before the first
	keys   keys
	size   int64 // of the sound part
	torn   bool  // the file may hold bytes past size
	buf    []byte
	sealed []byte
}

// openJournal verifies the newest file and cuts a torn tail.
func openJournal(dir string, root seal.Key) (_ *journal, err error) {
	folder, err := openFolder(dir)
	if err != nil {
		return nil, fmt.Errorf("audit: %w", err)
	}
	defer func() {
		if err != nil {
			folder.Close()
		}
	}()
	if err := lock(folder); err != nil {
		return nil, fmt.Errorf("audit: %s: %w", dir, err)
	}
	j := &journal{dir: dir, folder: folder, wrap: root.Derive(filePurpose), limit: fileLimit, create: createFile}
	names, err := list(dir)
	if err != nil {
		return nil, err
	}
	if len(names) == 0 {
		return j, nil
	}
	w := walker{wrap: j.wrap}
	for i, name := range names {
		if err := w.file(filepath.Join(dir, name), i == len(names)-1); err != nil {
			return nil, err
		}
	}
	j.state, j.number, j.size, j.keys = w.state, w.number, w.size, newKeys(w.head.key)
	f, err := os.OpenFile(filepath.Join(dir, names[len(names)-1]), os.O_RDWR, 0)
	if err != nil {
		return nil, fmt.Errorf("audit: %w", err)
	}
	if err := cut(f, j.size); err != nil {
		f.Close()
		return nil, err
	}
	j.file = f
	return j, nil
}

// openFolder opens dir and makes it, durably, where it is missing.
func openFolder(dir string) (*os.File, error) {
	folder, err := os.Open(dir)
	if !errors.Is(err, fs.ErrNotExist) {
		return folder, err
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	parent, err := os.Open(filepath.Dir(dir))
	if err != nil {
		return nil, err
	}
	defer parent.Close()
	if err := parent.Sync(); err != nil {
		return nil, err
	}
	return os.Open(dir)
}

// cut drops what stands past size.
func cut(f *os.File, size int64) error {
	info, err := f.Stat()
	if err == nil && info.Size() > size {
		if err = f.Truncate(size); err == nil {
			err = f.Sync()
		}
	}
	if err != nil {
		return fmt.Errorf("audit: cutting a torn tail: %w", err)
	}
	return nil
}

func createFile(path string) (file, error) {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return nil, err
	}
	return f, nil
}

// entry is the event of a change, copied from the store.
type entry struct {
	at   position
	json []byte
}

// frame is what goes into one frame.
type frame struct {
	written time.Time
	anchor  uint64
	moved   []entry // in order
	direct  []byte  // events as appendEvent writes them
	count   int     // of the direct ones
}

// append makes f durable as the next frame. After an error nothing has
// changed, and the same may be tried again.
func (j *journal) append(f frame) error {
	if j.file == nil || j.size >= j.limit {
		if err := j.rotate(); err != nil {
			return fmt.Errorf("audit: a new file: %w", err)
		}
	}
	next := j.state
	next.sequence++
	next.anchor = max(next.anchor, f.anchor)
	if n := len(f.moved); n > 0 {
		next.moved = f.moved[n-1].at
	}
	j.buf = appendGroupHeader(j.buf[:0], &next, f.written, len(f.moved)+f.count)
	for _, e := range f.moved {
		j.buf = appendEvent(j.buf, e.at.commit, e.json)
	}
	j.buf = append(j.buf, f.direct...)
	if len(j.buf)+frameTag > frameLimit {
		return errors.New("audit: more events than a frame holds")
	}
	j.sealed = j.keys.appendFrame(j.sealed[:0], next.sequence, j.buf)
	if err := j.write(); err != nil {
		return fmt.Errorf("audit: %w", err)
	}
	next.chain = sha256.Sum256(j.buf)
	j.state = next
	j.size += int64(len(j.sealed))
	j.trim()
	return nil
}

// write puts the sealed frame at the end of the sound part. What an earlier
// failure left there is cut first: after a failed sync nobody knows what of it
// is on the disk.
func (j *journal) write() error {
	if j.torn {
		if err := j.file.Truncate(j.size); err != nil {
			return err
		}
	}
	j.torn = true
	if _, err := j.file.WriteAt(j.sealed, j.size); err != nil {
		return err
	}
	if err := j.file.Sync(); err != nil {
		return err
	}
	j.torn = false
	return nil
}

// trim gives back buffers that one large frame has grown.
func (j *journal) trim() {
	const keep = 4 << 20
	if cap(j.buf) > keep {
		j.buf, j.sealed = nil, nil
	}
}

// rotate starts the next file. It appears under its name only once its header
// is durable.
func (j *journal) rotate() (err error) {
	h := header{number: j.number + 1, before: j.state, previous: uint64(j.size), key: seal.NewKey()}
	path := filepath.Join(j.dir, fileName(h.number))
	f, err := j.create(path + newSuffix)
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			f.Close()
		}
	}()
	if _, err := f.WriteAt(h.encode(j.wrap), 0); err != nil {
		return err
	}
	if err := f.Sync(); err != nil {
		return err
	}
	if err := os.Rename(path+newSuffix, path); err != nil {
		return err
	}
	if err := j.folder.Sync(); err != nil {
		return err
	}
	if j.file != nil {
		j.file.Close()
	}
	j.file, j.keys, j.number, j.size, j.torn = f, newKeys(h.key), h.number, headerSize, false
	return nil
}

// newSuffix ends the name of a file whose header may not be durable.
const newSuffix = ".new"

// close lets go of the files; a frame that failed stays cut at the next open.
func (j *journal) close() error {
	var errs []error
	if j.file != nil {
		if j.torn {
			errs = append(errs, j.file.Truncate(j.size))
		}
		errs = append(errs, j.file.Close())
	}
	return errors.Join(append(errs, j.folder.Close())...)
}
