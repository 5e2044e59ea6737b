package pack

import (
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/klauspost/compress/zstd"
)

// ErrMalformed is returned for bytes that no packer wrote.
var ErrMalformed = errors.New("the packed events are malformed")

// Unpacker unpacks events. It must not be used concurrently.
type Unpacker struct {
	zstd   *zstd.Decoder
	limit  int
	left   int // bytes that further shapes of the frame may have
	shapes []shape
	values [][]byte // what stands in place of the marks of one record
	made   []byte   // values that were computed
	buf    []byte
}

// shape is a record without its fields.
type shape struct {
	text  []byte
	marks []int // where marks are
}

// NewUnpacker returns an unpacker of frames with at most limit bytes of events. Its Close
// must be called.
func NewUnpacker(limit int) (*Unpacker, error) {
	d, err := zstd.NewReader(nil, zstd.WithDecoderDictRaw(dictionaryID, []byte(dictionary)),
		zstd.WithDecoderConcurrency(1), zstd.WithDecoderLowmem(true), zstd.WithDecodeAllCapLimit(true),
		zstd.WithDecoderMaxMemory(uint64(2*limit)))
	if err != nil {
		return nil, fmt.Errorf("pack: %w", err)
	}
	return &Unpacker{zstd: d, limit: limit}, nil
}

// Close releases what the unpacker holds.
func (u *Unpacker) Close() { u.zstd.Close() }

// Append appends the events that were packed in a frame that was written at that time. It
// appends exactly as many bytes as packed declares, and not more than the limit, or returns
// ErrMalformed.
func (u *Unpacker) Append(dst, packed []byte, written time.Time) ([]byte, error) {
	if len(packed) == 0 {
		return nil, ErrMalformed
	}
	if packed[0] == plain && len(packed)-1 <= u.limit {
		return append(dst, packed[1:]...), nil
	}
	r := reader{b: packed[1:]}
	size := r.length(u.limit)
	if packed[0] != cuts || r.bad {
		return nil, ErrMalformed
	}
	// A shape is at most as long as the record that it came with.
	u.shapes, u.left = u.shapes[:0], size
	end, commit := len(dst)+size, uint64(0)
	for len(r.b) > 0 {
		commit += uint64(r.varint())
		at := len(dst)
		if r.bad || end-at < eventHeader {
			return nil, ErrMalformed
		}
		dst = append(binary.BigEndian.AppendUint64(dst, commit), 0, 0, 0, 0)
		var err error
		if dst, err = u.record(dst, &r, end, written.Unix()); err != nil {
			return nil, err
		}
		binary.BigEndian.PutUint32(dst[at+8:], uint32(len(dst)-at-eventHeader))
	}
	if len(dst) != end {
		return nil, ErrMalformed
	}
	return dst, nil
}

// record appends the next record, up to the offset end.
func (u *Unpacker) record(dst []byte, r *reader, end int, seconds int64) (_ []byte, err error) {
	n := r.length(len(u.shapes) + 1)
	if r.bad {
		return nil, ErrMalformed
	}
	if n == 0 {
		if u.buf, err = u.text(u.buf, r, end-len(dst)); err != nil {
			return nil, err
		}
		return append(dst, u.buf...), nil
	}
	if n == 1 {
		text, err := u.text(nil, r, u.left)
		if err != nil {
			return nil, err
		}
		u.left -= len(text)
		at, ok := marks(text)
		if !ok {
			return nil, ErrMalformed
		}
		u.shapes = append(u.shapes, shape{text, at})
		n = len(u.shapes) + 1
	}
	if u.buf, err = u.text(u.buf, r, 2*u.limit); err != nil {
		return nil, err
	}
	return u.render(dst, u.shapes[n-2], end, seconds)
}

// text reads a text of at most limit bytes into dst.
func (u *Unpacker) text(dst []byte, r *reader, limit int) ([]byte, error) {
	n := r.length(limit)
	m := r.length(len(r.b))
	if r.bad {
		return nil, ErrMalformed
	}
	if m == 0 {
		b := r.take(n)
		if r.bad {
			return nil, ErrMalformed
		}
		return append(dst[:0], b...), nil
	}
	b := r.take(m)
	if r.bad {
		return nil, ErrMalformed
	}
	if cap(dst) < n {
		dst = make([]byte, 0, n)
	}
	out, err := u.zstd.DecodeAll(b, dst[:0:n])
	if err != nil || len(out) != n {
		return nil, ErrMalformed
	}
	return out, nil
}

// marks returns where marks are, or nil, false if there are more than a packer makes.
func marks(text []byte) (at []int, ok bool) {
	for i, c := range text {
		if c < marksEnd {
			at = append(at, i)
		}
	}
	return at, len(at) <= marksMost
}

// render appends a record, made of its shape and the fields in buf, up to the offset end.
func (u *Unpacker) render(dst []byte, s shape, end int, seconds int64) ([]byte, error) {
	if !u.read(s, seconds) {
		return nil, ErrMalformed
	}
	from := 0
	for i, at := range s.marks {
		if end-len(dst) < at-from+len(u.values[i]) {
			return nil, ErrMalformed
		}
		dst = append(append(dst, s.text[from:at]...), u.values[i]...)
		from = at + 1
	}
	if end-len(dst) < len(s.text)-from {
		return nil, ErrMalformed
	}
	return append(dst, s.text[from:]...), nil
}

// read sets values to what stands in place of the marks of a shape.
func (u *Unpacker) read(s shape, seconds int64) bool {
	r := reader{b: u.buf}
	var id, key []byte
	u.values, u.made = u.values[:0], u.made[:0]
	for _, at := range s.marks {
		made := len(u.made)
		switch mark := s.text[at]; mark {
		case markText, markID, markKey:
			v := r.take(r.length(len(r.b)))
			u.values = append(u.values, v)
			if mark == markID {
				id = v
			} else if mark == markKey {
				key = v
			}
			continue
		case markInstant:
			u.made = appendInstant(u.made, seconds+r.varint())
		case markUUID:
			u.made = appendUUID(u.made, r.uuid())
		case markNumber:
			u.made = strconv.AppendUint(u.made, r.uvarint(), 10)
		case markHost, markAgain: // below, because the id comes later
		default:
			return false
		}
		u.values = append(u.values, u.made[made:len(u.made):len(u.made)])
	}
	for i, at := range s.marks {
		switch s.text[at] {
		case markHost:
			made := len(u.made)
			u.made = base64.StdEncoding.AppendEncode(u.made, append(id[:len(id):len(id)], id...))
			u.values[i] = u.made[made:len(u.made):len(u.made)]
		case markAgain:
			u.values[i] = key
		}
	}
	return !r.bad && len(r.b) == 0
}

// reader reads numbers and bytes. After the first that is not there it returns zeros.
type reader struct {
	b   []byte
	bad bool
}

func (r *reader) varint() int64 {
	n, size := binary.Varint(r.b)
	return int64(r.advance(uint64(n), size))
}

func (r *reader) uvarint() uint64 {
	n, size := binary.Uvarint(r.b)
	return r.advance(n, size)
}

func (r *reader) advance(n uint64, size int) uint64 {
	if size <= 0 {
		r.bad = true
		return 0
	}
	r.b = r.b[size:]
	return n
}

// length reads a number up to a limit.
func (r *reader) length(limit int) int {
	n := r.uvarint()
	if n > uint64(max(limit, 0)) {
		r.bad = true
		return 0
	}
	return int(n)
}

func (r *reader) take(n int) []byte {
	if n > len(r.b) {
		r.bad = true
		return nil
	}
	b := r.b[:n:n]
	r.b = r.b[n:]
	return b
}

func (r *reader) uuid() []byte {
	if b := r.take(16); b != nil {
		return b
	}
	return make([]byte, 16)
}
