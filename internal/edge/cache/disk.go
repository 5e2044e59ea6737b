package cache

import (
	"crypto/rand"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"errors"
	"io"
	"math"
	"net/http"
	"os"
	"path/filepath"
	"sync/atomic"
	"time"

	"watertight/internal/edge/cache/fresh"
	"watertight/internal/storage/seal"
)

// disk keeps one sealed file for each entry: the body as a stream of seal, then the sealed
// record of the response, and the record's length. Both keys are derived from the cache's key
// and the file's random name, so that no two files share a key, and no file can replace
// another.
type disk struct {
	dir  string // of the folders with files
	key  seal.Key
	room func(int64) bool // takes so many bytes of the file system's room, if there is enough
	now  func() time.Time
	rest atomic.Int64 // Unix nanoseconds: after a failure, nothing is written before this time
	open *openFiles
}

// name is a file's name. It is random, so that it discloses nothing.
type name [16]byte

// record is what is stored of a response beside its body.
type record struct {
	Key          Key
	Distribution string
	Seq          uint64
	Status       int
	Size         int64
	Life         fresh.Life
	Header       http.Header
}

const (
	maxRecord = 64 << 10 // bytes of a sealed record
	trailer   = 4        // bytes of its length
	nonceSize = 12
	// pause is how long nothing is written after writing failed.
	pause = 10 * time.Second
	// block is what a file takes at least, in bytes.
	block = 4 << 10
)

var (
	errNoRoom   = errors.New("cache: no room on the disk")
	errTooLarge = errors.New("cache: too many headers")
)

func (d *disk) path(n name) string {
	text := hex.EncodeToString(n[:])
	return filepath.Join(d.dir, text[:2], text[2:])
}

func (d *disk) bodyKey(n name) seal.StreamKey {
	return seal.StreamKey{Key: d.key.Expand("cdn cache body", n[:])}
}

func (d *disk) recordKey(n name) seal.Key { return d.key.Expand("cdn cache record", n[:]) }

// able reports whether n bytes may be written, and takes the room for them.
func (d *disk) able(n int64) error {
	if d.now().UnixNano() < d.rest.Load() || d.room != nil && !d.room(n) {
		return errNoRoom
	}
	return nil
}

// failed notes that writing failed, so that a full disk is not tried for every response.
func (d *disk) failed() { d.rest.Store(d.now().Add(pause).UnixNano()) }

// create makes the file of a new entry.
func (d *disk) create(n name) (*os.File, error) {
	path := d.path(n)
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o600)
	if errors.Is(err, os.ErrNotExist) {
		if err = os.Mkdir(filepath.Dir(path), 0o700); err == nil || errors.Is(err, os.ErrExist) {
			f, err = os.OpenFile(path, os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o600)
		}
	}
	return f, err
}

// remove removes a file. Readers that have it open may continue while openFiles has room.
func (d *disk) remove(n name) {
	os.Remove(d.path(n))
	d.open.removed(n)
}

// seal returns a sealed record and its length. The nonce is random: a file's record is
// written again each time that the origin says that it is current.
func (d *disk) seal(n name, r *record) ([]byte, error) {
	plain, err := json.Marshal(r)
	if err != nil {
		return nil, err
	}
	out := make([]byte, nonceSize, nonceSize+len(plain)+seal.Overhead+trailer)
	rand.Read(out)
	out = d.recordKey(n).AEAD().Seal(out, out[:nonceSize], plain, nil)
	if len(out) > maxRecord {
		return nil, errTooLarge
	}
	return binary.BigEndian.AppendUint32(out, uint32(len(out))), nil
}

// write makes the file of a response whose body is in memory.
func (d *disk) write(n name, chunks [][]byte, r *record) (size int64, err error) {
	if err := d.able(r.Size); err != nil {
		return 0, err
	}
	end, err := d.seal(n, r)
	if err != nil {
		return 0, err
	}
	b := make([]byte, 0, seal.SealedSize(r.Size)+int64(len(end)))
	s := seal.NewSealer(d.bodyKey(n))
	for i, c := range chunks {
		b = s.Append(b, c, i == len(chunks)-1)
	}
	if len(chunks) == 0 {
		b = s.Append(b, nil, true)
	}
	b = append(b, end...)
	f, err := d.create(n)
	if err == nil {
		_, err = f.Write(b)
		err = errors.Join(err, f.Close())
	}
	if err != nil {
		d.failed()
		d.remove(n)
		return 0, err
	}
	return int64(len(b)), nil
}

// rewrite replaces the record of a file. Whoever reads the old one meanwhile finds it
// damaged, which is a miss.
func (d *disk) rewrite(n name, r *record) (size int64, err error) {
	end, err := d.seal(n, r)
	if err != nil {
		return 0, err
	}
	f, err := os.OpenFile(d.path(n), os.O_WRONLY, 0)
	if err != nil {
		return 0, err
	}
	at := seal.SealedSize(r.Size)
	_, err = f.WriteAt(end, at)
	if err == nil {
		err = f.Truncate(at + int64(len(end)))
	}
	return at + int64(len(end)), errors.Join(err, f.Close())
}

// record reads the record of a file of a length.
func (d *disk) record(n name, f io.ReaderAt, length int64) (*record, error) {
	var tail [trailer]byte
	if _, err := f.ReadAt(tail[:], length-trailer); length < trailer || err != nil {
		return nil, seal.ErrCorrupt
	}
	size := int64(binary.BigEndian.Uint32(tail[:]))
	if size > maxRecord || size < nonceSize || size > length-trailer {
		return nil, seal.ErrCorrupt
	}
	sealed := make([]byte, size)
	if _, err := f.ReadAt(sealed, length-trailer-size); err != nil {
		return nil, err
	}
	plain, err := d.recordKey(n).AEAD().Open(sealed[nonceSize:nonceSize], sealed[:nonceSize], sealed[nonceSize:], nil)
	if err != nil {
		return nil, seal.ErrCorrupt
	}
	var r record
	if err := json.Unmarshal(plain, &r); err != nil {
		return nil, err
	}
	if r.Size < 0 || seal.SealedSize(r.Size)+size+trailer != length {
		return nil, seal.ErrCorrupt
	}
	canonical(r.Header)
	return &r, nil
}

// canonical gives headers the spelling by which they are looked up. An earlier release stored
// ETag as it was sent.
func canonical(h http.Header) {
	for name, values := range h {
		if usual := http.CanonicalHeaderKey(name); usual != name {
			delete(h, name)
			h[usual] = append(h[usual], values...)
		}
	}
}

// read reads an entry: its headers, and its body if that is small.
func (d *disk) read(e *entry) (*hot, error) {
	f, err := os.Open(d.path(e.file))
	if err != nil {
		return nil, err
	}
	defer f.Close()
	r, err := d.record(e.file, f, e.length)
	if err != nil {
		return nil, err
	}
	if r.Key != e.key || r.Size != e.size {
		return nil, seal.ErrCorrupt
	}
	h := newHot(e, r.Header, nil, e.size)
	if e.size > maxHot {
		return h, nil
	}
	body := d.reader(e.file, f, e.size)
	for off := int64(0); off < max(e.size, 1); off += seal.ChunkSize {
		n := min(seal.ChunkSize, e.size-off)
		b, err := body.Chunk(uint64(off/seal.ChunkSize), make([]byte, n+seal.Overhead))
		if err != nil {
			return nil, err
		}
		h.chunks = append(h.chunks, b)
	}
	return h, nil
}

// reader opens the stream of a file.
func (d *disk) reader(n name, f io.ReaderAt, size int64) *seal.Reader {
	return seal.NewReader(io.NewSectionReader(f, 0, seal.SealedSize(size)), d.bodyKey(n), size)
}

// stream opens the body of an entry that is too large to be held in memory. damaged is called
// when a chunk can't be read.
func (d *disk) stream(e *entry, buffers *buffers, damaged func(error)) (source, error) {
	handle, err := d.open.read(e.file, e.length, func() (io.Closer, error) { return os.Open(d.path(e.file)) })
	if err != nil {
		return nil, err
	}
	f := handle.(*os.File)
	return &stream{
		end: func() { d.open.close(e.file, f) }, size: e.size, damaged: damaged,
		chunks: chunks{from: d.reader(e.file, f, e.size), buffers: buffers},
	}, nil
}

// stream reads the body of a file chunk by chunk.
type stream struct {
	end     func()
	size    int64
	chunks  chunks
	damaged func(error)
}

// chunks opens one chunk after the other in the same buffer.
type chunks struct {
	from    *seal.Reader
	buffers *buffers
	buf     *[seal.MaxSealedChunk]byte
	number  uint64
	plain   []byte
}

func (c *chunks) at(off int64) ([]byte, error) {
	n := uint64(off / seal.ChunkSize)
	if c.buf == nil {
		c.buf = c.buffers.get()
	}
	if c.plain == nil || n != c.number {
		p, err := c.from.Chunk(n, c.buf[:])
		if err != nil {
			c.plain = nil
			return nil, err
		}
		c.plain, c.number = p, n
	}
	return c.plain[off%seal.ChunkSize:], nil
}

func (c *chunks) close() {
	if c.buf != nil {
		c.buffers.put(c.buf)
		c.buf, c.plain = nil, nil
	}
}

// sink takes the chunks of a body to the disk while it arrives.
type sink struct {
	disk   *disk
	name   name
	file   *os.File
	sealer *seal.Sealer
	opener *seal.Reader // of chunks that aren't the last one
	buf    []byte
	size   int64
}

func (d *disk) sink() (*sink, error) {
	if err := d.able(0); err != nil {
		return nil, err
	}
	s := &sink{disk: d, name: newName()}
	f, err := d.create(s.name)
	if err != nil {
		d.failed()
		return nil, err
	}
	s.file, s.sealer = f, seal.NewSealer(d.bodyKey(s.name))
	d.open.write(s.name, f)
	s.opener = seal.NewReader(f, d.bodyKey(s.name), math.MaxInt64/2)
	return s, nil
}

// write appends chunks.
func (s *sink) write(chunks [][]byte, last bool) error {
	for i, c := range chunks {
		s.buf = s.sealer.Append(s.buf[:0], c, last && i == len(chunks)-1)
		if err := s.append(s.buf); err != nil {
			return err
		}
	}
	return nil
}

func (s *sink) append(b []byte) error {
	if s.disk.room != nil && !s.disk.room(int64(len(b))) || !s.disk.open.grow(s.name, int64(len(b))) {
		return errNoRoom
	}
	n, err := s.file.Write(b)
	s.size += int64(n)
	if err != nil {
		s.disk.failed()
	}
	return err
}

// finish writes the record.
func (s *sink) finish(r *record) (size int64, err error) {
	end, err := s.disk.seal(s.name, r)
	if err == nil {
		err = s.append(end)
	}
	return s.size, err
}

func newName() (n name) {
	rand.Read(n[:])
	return n
}
