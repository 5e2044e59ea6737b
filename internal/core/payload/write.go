package payload

import (
	"bytes"
	"context"
	"crypto/md5"
	"crypto/rand"
	"encoding/hex"
	"hash"
	"io"

	"watertight/internal/access/authz"
	"watertight/internal/core/payload/internal/blob"
	"watertight/internal/fault"
	"watertight/internal/storage/digest/lanes"
	"watertight/internal/storage/seal"
)

// Write seals a body in one pass. Up to InlineMax bytes are returned inline; more go into a
// blob that is durable when Write returns. Settle keeps the blob; Drop or the sweeper
// removes it. If reading the body fails, Write returns that error unchanged and keeps
// nothing.
func (s *Store) Write(ctx context.Context, g authz.Grant, src Source) (Location, Digests, error) {
	if !s.room.Fits(max(src.Size, 0)) {
		return Location{}, Digests{}, noRoom()
	}
	buf := s.small.Get().(*[]byte)
	defer s.small.Put(buf)
	head, whole, err := readHead(src, *buf)
	if err != nil {
		return Location{}, Digests{}, err
	}
	key, wrapped, err := s.keys.Generate(ctx, g, src.Choice, src.Binding)
	if err != nil {
		return Location{}, Digests{}, err
	}
	at := Location{Key: wrapped}
	var d Digests
	if whole {
		at.Inline = key.Seal(make([]byte, 0, key.SealedSize(int64(len(head)))), head)
		d = Digests{Size: int64(len(head))}
		if src.wantsMD5() {
			d.MD5 = md5.Sum(head)
		}
		if h := src.Checksum.New(); h != nil {
			h.Write(head)
			d.Sum = h.Sum(nil)
		}
	} else {
		at.Blob, d, err = s.writeBlob(ctx, src, head, key)
	}
	at.Size = d.Size
	if err == nil && src.Size >= 0 && d.Size != src.Size { // an inline body
		err = incomplete()
	}
	if err != nil {
		return Location{}, Digests{}, err
	}
	if src.Choice.HidesDigests() {
		at = DataKey{key}.SealSum(at, d.Sum)
	}
	return at, d, nil
}

func incomplete() *fault.Error {
	return fault.Of(fault.IncompleteBody)
}

// readHead reads up to the size of an inline value, and reports whether that was the whole body.
func readHead(src Source, buf []byte) (head []byte, whole bool, err error) {
	n, end, err := readFull(src.Body, buf)
	switch {
	case err != nil:
		return nil, false, err
	case end:
		return buf[:n], true, nil
	case src.Size >= 0 && src.Size <= InlineMax: // the body is longer than declared
		return nil, false, incomplete()
	}
	return buf[:n], false, nil
}

// readFull fills buf and reports whether the body ended. Only io.EOF counts as the end,
// because a body that returns it has verified itself.
func readFull(r io.Reader, buf []byte) (n int, end bool, err error) {
	for n < len(buf) && err == nil {
		var m int
		m, err = r.Read(buf[n:])
		n += m
	}
	if err == io.EOF {
		return n, true, nil
	}
	return n, false, err
}

func randomName() string {
	var id [16]byte
	rand.Read(id[:])
	return hex.EncodeToString(id[:])
}

// writeBlob seals a body into a new blob.
func (s *Store) writeBlob(
	ctx context.Context, src Source, head []byte, key seal.StreamKey,
) (name string, d Digests, err error) {
	size := int64(-1)
	if src.Size >= 0 {
		size = key.SealedSize(src.Size)
	}
	w, name, err := s.create(src.Size, size)
	if err != nil {
		return "", d, refused(err)
	}
	d, err = s.fill(ctx, w, src, head, key)
	if err != nil {
		w.Abort()
		s.leave(name)
		return "", Digests{}, err
	}
	if err := w.Commit(); err != nil {
		s.leave(name)
		return "", Digests{}, refused(err)
	}
	return name, d, nil
}

// fill reads, hashes and seals the body in one pass.
func (s *Store) fill(
	ctx context.Context, w blob.Writer, src Source, head []byte, key seal.StreamKey,
) (d Digests, err error) {
	p := s.newPipe(ctx, w)
	defer p.close()
	side := s.newHasher(src)
	defer side.stop()
	body := io.MultiReader(bytes.NewReader(head), src.Body)
	sealer := seal.NewSealer(key)
	var held []byte // read but not sealed, because it may be the last piece
	sealed := 0     // pieces
	for i := 0; ; i++ {
		if err := ctx.Err(); err != nil {
			return d, err
		}
		p.lend(min(side.wait(), sealed), i)
		piece, err := p.piece(i)
		if err != nil {
			return d, err
		}
		n, end, err := readFull(body, piece)
		if err != nil {
			return d, err
		}
		d.Size += int64(n)
		if src.Size >= 0 && (d.Size > src.Size || end && d.Size < src.Size) {
			return d, incomplete()
		}
		side.add(piece[:n])
		if held != nil && n > 0 {
			if err := p.flush(w, sealer, held, false); err != nil {
				return d, err
			}
			held, sealed = nil, i
		}
		if held == nil {
			held = piece[:n]
		}
		if end || i > 0 && d.Size < src.Size { // with one piece there, it takes no wide buffer
			if err := p.flush(w, sealer, held, end); err != nil {
				return d, err
			}
			held, sealed = nil, i+1
		}
		if end {
			d.MD5, d.Sum = side.sums()
			return d, nil
		}
	}
}

// hasher computes the checksum and, if it is needed, the MD5, concurrently with the main
// pass. It is at most so far behind that a piece is hashed before its buffer is used again.
type hasher struct {
	md5    *lanes.Stream // may be nil, as sum
	sum    hash.Hash
	work   chan []byte
	free   chan struct{}
	freed  int // how often wait received from free
	done   chan struct{}
	closed bool
}

// lag is the number of pieces that may wait: of the four, one is being read.
const lag = pieceCount - 1

func (s *Store) newHasher(src Source) *hasher {
	h := &hasher{
		sum: src.Checksum.New(), work: make(chan []byte, lag), free: make(chan struct{}, lag),
		done: make(chan struct{}),
	}
	if src.wantsMD5() {
		h.md5 = s.lanes.NewStream(h.free)
	}
	for range lag {
		h.free <- struct{}{}
	}
	go h.run()
	return h
}

func (h *hasher) run() {
	defer close(h.done)
	for b := range h.work {
		if h.sum != nil {
			h.sum.Write(b)
		}
		if h.md5 != nil {
			h.md5.Add(b)
		} else {
			h.free <- struct{}{}
		}
	}
}

// wait waits until the hasher is done with the piece that is used again next. It returns how many pieces are hashed.
func (h *hasher) wait() int {
	<-h.free
	h.freed++
	return h.freed + len(h.free) - lag
}

func (h *hasher) add(b []byte) { h.work <- b }

// stop ends the goroutine and waits for it.
func (h *hasher) stop() {
	if !h.closed {
		h.closed = true
		close(h.work)
	}
	<-h.done
	if h.md5 != nil {
		h.md5.Drop()
	}
}

func (h *hasher) sums() (sum [16]byte, checksum []byte) {
	h.closed = true
	close(h.work)
	<-h.done
	if h.md5 != nil {
		sum = h.md5.Sum()
	}
	if h.sum != nil {
		checksum = h.sum.Sum(nil)
	}
	return sum, checksum
}
