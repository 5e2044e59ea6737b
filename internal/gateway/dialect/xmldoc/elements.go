package xmldoc

import (
	"io"
	"sync"
	"time"
)

// Elements are elements of a document that were encoded one by one, as a list was read. They
// are for lists of a thousand lines, because shapes of these take several times as long. A
// document may have one member of this type, directly below its root. A nil Elements is empty.
type Elements struct {
	chunks *Chunks
	full   [][]byte
	last   []byte
	size   int // of full
}

// Chunks is a pool of memory for Elements. The zero Chunks is ready.
type Chunks struct{ pool sync.Pool }

// chunkSize is the size of a chunk, in bytes.
const chunkSize = 64 << 10

// Elements returns empty Elements.
func (c *Chunks) Elements() *Elements { return &Elements{chunks: c} }

func (c *Chunks) take() []byte {
	if p, ok := c.pool.Get().(*[chunkSize]byte); ok {
		return p[:0]
	}
	return new([chunkSize]byte)[:0]
}

// Room returns memory that ends with the last elements, and has room for n more bytes. The
// caller appends to it and gives it back with Keep.
func (e *Elements) Room(n int) []byte {
	if cap(e.last)-len(e.last) >= n {
		return e.last
	}
	if len(e.last) > 0 {
		e.full, e.size = append(e.full, e.last), e.size+len(e.last)
	}
	if e.last = e.chunks.take(); n > chunkSize {
		e.last = make([]byte, 0, n)
	}
	return e.last
}

// Keep takes back the memory of Room.
func (e *Elements) Keep(b []byte) { e.last = b }

// Len returns the number of bytes.
func (e *Elements) Len() int {
	if e == nil {
		return 0
	}
	return e.size + len(e.last)
}

// WriteTo implements io.WriterTo.
func (e *Elements) WriteTo(w io.Writer) (written int64, err error) {
	if e == nil {
		return 0, nil
	}
	for _, b := range e.full {
		n, err := w.Write(b)
		if written += int64(n); err != nil {
			return written, err
		}
	}
	if len(e.last) == 0 {
		return written, nil
	}
	n, err := w.Write(e.last)
	return written + int64(n), err
}

// Release gives the memory back. The elements must not be used afterwards.
func (e *Elements) Release() {
	if e == nil {
		return
	}
	for _, b := range append(e.full, e.last) {
		if cap(b) == chunkSize {
			e.chunks.pool.Put((*[chunkSize]byte)(b[:chunkSize]))
		}
	}
	e.full, e.last, e.size = nil, nil, 0
}

// Stamps appends times as elements have them. Much of the text is that of the time before, if
// both are of one day or even of one second, as in a list of what was written together.
type Stamps struct {
	second, day int64 // of text; since 1970
	text        [len(stampFormat)]byte
	any         bool
}

// stampFormat is ISO 8601 with milliseconds, in UTC.
const stampFormat = "2006-01-02T15:04:05.000Z"

// Append appends a time to b.
func (s *Stamps) Append(b []byte, t time.Time) []byte {
	const perDay = 24 * 60 * 60
	second := t.Unix()
	switch {
	case s.any && second == s.second:
	case s.any && second >= s.day*perDay && second < (s.day+1)*perDay:
		of := second - s.day*perDay
		put2(s.text[11:], of/3600)
		put2(s.text[14:], of/60%60)
		put2(s.text[17:], of%60)
		s.second = second
	default:
		whole := appendTime(b, t)
		s.any = second >= 0 && len(whole) == len(b)+len(s.text)
		if s.any {
			copy(s.text[:], whole[len(b):])
			s.second, s.day = second, second/perDay
		}
		return whole
	}
	ms := int64(t.Nanosecond() / 1e6)
	s.text[20] = '0' + byte(ms/100)
	put2(s.text[21:], ms%100)
	return append(b, s.text[:]...)
}

// put2 writes a number below 100 in two digits.
func put2(b []byte, n int64) { b[0], b[1] = '0'+byte(n/10), '0'+byte(n%10) }
