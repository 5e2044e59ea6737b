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

	"watertight/internal/gateway/audit/internal/pack"
	"watertight/internal/storage/folder"
	"watertight/internal/storage/seal"
)

// file has the methods of the newest file that a journal needs.
type file interface {
	io.WriterAt
	io.Closer
	Truncate(size int64) error
	Sync() error
	// Allocate reserves space on the disk for the bytes from at to at+n. It does not change
	// the size of the file.
	Allocate(at, n int64) error
}

// journal appends frames to the newest file. It must not be used concurrently.
type journal struct {
	fsys   folder.FS
	dir    string
	folder folder.File // locked while the journal is open; nil if it does not exist
	wrap   seal.Purpose
	limit  int64
	create func(path string) (file, error)

	state    state
	first    uint64 // number of the oldest file; 0 if there is none yet
	from     uint64 // sequence of the oldest frame
	number   uint64 // of the newest file
	file     file   // nil before the first file
	keys     keys
	under    uint32       // generation of the root key that the file's key is wrapped under
	size     int64        // size of the valid part
	torn     bool         // the file may hold bytes past size
	reserve  int64        // space to reserve for the next frames, if the disk has it
	reserved int64        // the disk has space for the file up to this offset
	packer   *pack.Packer // nil before the first frame
	buf      []byte
	packed   []byte
	sealed   []byte

	// What opening found, until ready.
	ready  bool // may write: the store has confirmed that this is its log
	tail   int64
	damage error               // in what follows the valid part, unless that is an incomplete frame
	format byte                // format of the newest file
	chains [][sha256.Size]byte // chain of the newest file: before its first frame, and after each frame
	broken error               // nothing could be opened; set only if that is going to be accepted
}

func newJournal(fsys folder.FS, dir string, root *seal.Ring) *journal {
	j := &journal{fsys: fsys, dir: dir, wrap: root.For(filePurpose), limit: fileLimit}
	j.create = j.createFile
	return j
}

// openJournal verifies the newest file completely, and the header and the size of every
// other file. It changes nothing; prepare does, after the store has confirmed the log.
func openJournal(fsys folder.FS, dir string, root *seal.Ring) (_ *journal, err error) {
	j := newJournal(fsys, dir, root)
	j.folder, err = folder.Open(fsys, dir)
	if errors.Is(err, fs.ErrNotExist) {
		return j, nil
	}
	if err != nil {
		return nil, fmt.Errorf("audit: %w", err)
	}
	defer func() {
		if err != nil {
			j.folder.Close()
		}
	}()
	if err := j.folder.Lock(); err != nil {
		return nil, fmt.Errorf("audit: %s: %w", dir, err)
	}
	files, err := list(fsys, dir)
	if err != nil || len(files) == 0 {
		return j, err
	}
	w := walker{fsys: fsys, wrap: j.wrap, opening: true}
	for i, n := range files {
		if err := w.file(dir, n, i == len(files)-1); err != nil {
			return nil, err
		}
	}
	j.state, j.first, j.from, j.number, j.size, j.keys = w.state, w.first, w.from, w.number, w.size, newKeys(w.head.key)
	j.damage, j.format, j.chains, j.under = w.damage, w.head.format, w.chains, w.head.under
	f, err := fsys.OpenFile(filepath.Join(dir, fileName(j.number)), os.O_RDWR, 0)
	if err != nil {
		return nil, fmt.Errorf("audit: %w", err)
	}
	info, err := f.Stat()
	if err != nil {
		f.Close()
		return nil, fmt.Errorf("audit: %w", err)
	}
	j.file, j.tail = f, info.Size()-j.size
	return j, nil
}

// openBroken opens the folder of a log that cannot be opened, because of cause.
func openBroken(fsys folder.FS, dir string, root *seal.Ring, cause error) (*journal, error) {
	j := newJournal(fsys, dir, root)
	j.broken = cause
	var err error
	if j.folder, err = folder.Open(fsys, dir); err == nil {
		if err = j.folder.Lock(); err != nil {
			j.folder.Close()
		}
	}
	if err != nil {
		return nil, fmt.Errorf("audit: %s: %w", dir, err)
	}
	return j, nil
}

// prepare opens the journal for writing. It creates the folder and the first file if they
// are missing, arranges for a torn tail to be cut before the next frame, and reserves
// space.
func (j *journal) prepare() error {
	if j.ready {
		return nil
	}
	if j.folder == nil {
		err := folder.Make(j.fsys, j.dir, 0o700)
		if err == nil {
			j.folder, err = folder.Open(j.fsys, j.dir)
		}
		if err != nil {
			return fmt.Errorf("audit: %w", err)
		}
		if err := j.folder.Lock(); err != nil {
			return fmt.Errorf("audit: %s: %w", j.dir, err)
		}
	}
	j.ready, j.torn, j.reserved, j.chains = true, j.tail > 0, j.size, nil
	if j.reserve == 0 {
		j.reserve = reserveOf(j.fsys, j.dir)
	}
	if j.file == nil {
		if err := j.rotate(); err != nil {
			return fmt.Errorf("audit: a new file: %w", err)
		}
		return nil
	}
	if j.torn {
		if err := j.cut(); err != nil {
			return fmt.Errorf("audit: cutting a torn tail: %w", err)
		}
	}
	j.hold()
	return nil
}

// cut removes durably what follows the valid part.
func (j *journal) cut() error {
	if err := j.file.Truncate(j.size); err != nil {
		return err
	}
	j.reserved = j.size
	if err := j.file.Sync(); err != nil {
		return err
	}
	j.torn = false
	return nil
}

func (j *journal) createFile(path string) (file, error) {
	return j.fsys.OpenFile(path, os.O_RDWR|os.O_CREATE|os.O_TRUNC, 0o600)
}

// entry is the event of a change, copied from the store.
type entry struct {
	at   position
	json []byte
}

// frame is the content of one frame.
type frame struct {
	written time.Time
	anchor  uint64
	moved   []entry // in order
	direct  []byte  // events as appendEvent writes them
	count   int     // number of events in direct
}

// append writes f durably as the next frame. After an error nothing has changed, and the
// same frame may be tried again.
func (j *journal) append(f frame) error {
	if err := j.prepare(); err != nil {
		return err
	}
	// What is written from now on must not need an older generation of the root key, and a
	// file has frames of one format.
	if j.file == nil || j.size >= j.limit || j.under != j.wrap.Current() || j.format != headerFormat {
		// A disk without space for another file may have space in this one.
		if err := j.rotate(); err != nil && (j.file == nil || j.room() < int64(len(f.direct))+movedBytes) {
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
	if len(j.buf)+1+frameTag > frameLimit {
		return errors.New("audit: more events than a frame holds")
	}
	content, err := j.pack(f.written)
	if err != nil {
		return fmt.Errorf("audit: %w", err)
	}
	j.sealed = j.keys.appendFrame(j.sealed[:0], next.sequence, content)
	if err := j.write(); err != nil {
		return fmt.Errorf("audit: %w", err)
	}
	next.chain = sha256.Sum256(content)
	j.state = next
	j.size += int64(len(j.sealed))
	j.hold()
	j.trim()
	return nil
}

// pack returns the content of the frame in buf, as the newest file has it: without room for
// another file, an older one goes on in its own format.
func (j *journal) pack(written time.Time) (_ []byte, err error) {
	if j.format < packedFormat {
		return j.buf, nil
	}
	if j.packer == nil {
		if j.packer, err = pack.NewPacker(); err != nil {
			return nil, err
		}
	}
	j.packed = append(j.packed[:0], j.buf[:groupHeader]...)
	j.packed = j.packer.Append(j.packed, j.buf[groupHeader:], written)
	return j.packed, nil
}

// write writes the sealed frame after the valid part. It first cuts the bytes that an
// earlier failure left there: after a failed sync it is unknown which of them are on the
// disk.
func (j *journal) write() error {
	if j.torn {
		if err := j.cut(); err != nil {
			return err
		}
		j.hold()
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

// trim releases buffers that one large frame has made large.
func (j *journal) trim() {
	const keep = 4 << 20
	if cap(j.buf) > keep {
		j.buf, j.packed, j.sealed = nil, nil, nil
	}
}

// rotate starts the next file. The file gets its name only after its header is durable and
// space for its frames is reserved.
func (j *journal) rotate() (err error) {
	if j.file != nil && j.torn {
		if err := j.cut(); err != nil {
			return err
		}
	}
	under := j.wrap.Current()
	h := header{
		format: headerFormat, number: j.number + 1, before: j.state, previous: uint64(j.size), key: seal.NewKey(),
	}
	path := filepath.Join(j.dir, fileName(h.number))
	f, err := j.create(path + newSuffix)
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			f.Close()
			j.fsys.Remove(path + newSuffix) // if this fails, the file is written over the next time
		}
	}()
	if _, err := f.WriteAt(h.encode(j.wrap), 0); err != nil {
		return err
	}
	reserved := int64(headerSize)
	if err := f.Allocate(0, headerSize+j.reserve); err == nil || errors.Is(err, errors.ErrUnsupported) {
		reserved += j.reserve
	} else if j.file != nil {
		return err
	}
	if err := f.Sync(); err != nil {
		return err
	}
	if err := j.fsys.Rename(path+newSuffix, path); err != nil {
		return err
	}
	if err := j.folder.Sync(); err != nil {
		return err
	}
	if j.file == nil {
		j.first, j.from = h.number, h.before.sequence+1
	} else {
		j.file.Truncate(j.size) // releases reserved space; a failure only wastes that space
		j.file.Close()
	}
	j.file, j.keys, j.number, j.size, j.torn = f, newKeys(h.key), h.number, headerSize, false
	j.reserved, j.format, j.under = reserved, headerFormat, under
	j.hold()
	return nil
}

// newSuffix ends the name of a file whose header may not be durable.
const newSuffix = ".new"

// close closes the files. If a frame failed, the next open cuts it.
func (j *journal) close() error {
	var errs []error
	if j.file != nil {
		if j.ready && j.torn {
			errs = append(errs, j.file.Truncate(j.size))
		}
		errs = append(errs, j.file.Close())
	}
	if j.folder != nil {
		errs = append(errs, j.folder.Close())
	}
	return errors.Join(errs...)
}
