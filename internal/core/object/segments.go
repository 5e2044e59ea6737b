package object

import (
	"bytes"
	"context"
	"errors"
	"io"
	"sync"

	"watertight/internal/core/payload"
	"watertight/internal/fault"
	"watertight/internal/storage/kv"
)

// segment is a part, and the range of its bytes that a response contains.
type segment struct {
	*part
	start, length int64
	bytes         []byte // the sealed bytes of a part that is stored inline
}

// partSpan returns the span of one part of v.
func partSpan(r kv.Reader, v *version, number int) (s span, err error) {
	found := false
	before := func(l partList) bool {
		if l.last >= number {
			return false
		}
		s.start += l.size
		return true
	}
	err = eachPart(r, v, before, func(p *part) bool {
		if found = p.number == number; found {
			s = span{partial: p.size > 0, start: s.start, length: p.size, part: p}
			return false
		}
		s.start += p.size
		return true
	})
	if err == nil && !found {
		err = noSuchPart(int(v.etag.Parts), number)
	}
	return s, err
}

// segments returns the segments that make up a span.
func segments(r kv.Reader, v *version, s span) ([]segment, error) {
	var out []segment
	var at int64 // offset of the part in the object
	end := s.start + s.length
	before := func(l partList) bool {
		if at+l.size > s.start {
			return false
		}
		at += l.size
		return true
	}
	err := eachPart(r, v, before, func(p *part) bool {
		from, to := max(at, s.start), min(at+p.size, end)
		if from < to {
			out = append(out, segment{part: p, start: from - at, length: to - from})
		}
		at += p.size
		return at < end
	})
	if err != nil {
		return nil, err
	}
	for i := range out {
		if !out[i].inline {
			continue
		}
		if out[i].bytes, err = r.Get(inlineKey(out[i].unique)); err != nil {
			return nil, err
		}
		if out[i].bytes == nil {
			return nil, fault.Internal(errors.New("object: the bytes of a part are missing"))
		}
	}
	return out, nil
}

// joined reads segments one after the other. It has only one part open at a time.
type joined struct {
	open    func(segment) (io.ReadCloser, error)
	rest    []segment
	current io.ReadCloser
	release func()
}

// join opens the first segment at once, so that a missing blob is an error before the
// response begins. The parts stay until the reader is closed, even if the version is
// deleted.
func (s *Store) join(ctx context.Context, f *readPlan, key string) (io.ReadCloser, error) {
	if !s.holds.take(f.v.payloadUnique()) {
		return nil, payload.ErrGone
	}
	j := &joined{rest: f.parts, current: io.NopCloser(bytes.NewReader(nil)),
		open: func(at segment) (io.ReadCloser, error) {
			k, err := s.payloads.OpenKey(ctx, f.grant, at.location(), f.choice,
				slot{f.b, key}.partBinding(f.v.payloadUnique(), at.number))
			if err != nil {
				return nil, err
			}
			return s.openRange(at.location(), k, at.bytes, at.start, at.length)
		}}
	j.release = sync.OnceFunc(func() {
		if s.holds.release(f.v.payloadUnique()) {
			s.removeAll(ctx, []garbage{{parts: f.v.payloadUnique()}})
		}
	})
	if err := j.next(); err != nil {
		return nil, errors.Join(err, j.Close())
	}
	return j, nil
}

func (j *joined) next() error {
	if err := j.current.Close(); err != nil {
		return err
	}
	j.current = io.NopCloser(bytes.NewReader(nil))
	c, err := j.open(j.rest[0])
	if err != nil {
		return err
	}
	j.current, j.rest = c, j.rest[1:]
	return nil
}

func (j *joined) Read(p []byte) (int, error) {
	for {
		n, err := j.current.Read(p)
		if err != io.EOF || len(j.rest) == 0 {
			return n, err
		}
		if n > 0 {
			return n, nil
		}
		if err := j.next(); err != nil {
			return 0, err
		}
	}
}

// WriteTo implements io.WriterTo: it copies each part without a buffer of its own.
func (j *joined) WriteTo(w io.Writer) (int64, error) {
	var total int64
	for {
		n, err := io.Copy(w, j.current)
		total += n
		if err != nil || len(j.rest) == 0 {
			return total, err
		}
		if err := j.next(); err != nil {
			return total, err
		}
	}
}

func (j *joined) Close() error {
	err := j.current.Close()
	j.release()
	return err
}

// openRange opens n bytes at off of the bytes at a location.
func (s *Store) openRange(at payload.Location, k payload.DataKey, inline []byte, off, n int64) (io.ReadCloser, error) {
	content, err := s.payloads.Open(at, k, inline)
	if err != nil {
		return nil, err
	}
	r, err := content.Range(off, n)
	if err != nil {
		return nil, errors.Join(err, content.Close())
	}
	return &body{r, content}, nil
}
