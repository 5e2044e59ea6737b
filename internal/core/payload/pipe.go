package payload

import (
	"context"
	"math"
	"runtime"

	"watertight/internal/core/payload/internal/blob"
	"watertight/internal/limit"
	"watertight/internal/storage/folder"
	"watertight/internal/storage/seal"
)

// chunkSize is the size of a buffer for a chunk, sealed or not, behind bytes that were not
// written yet and before the end of a unit.
const chunkSize = seal.MaxSealedChunk + 2*folder.DirectUnit

// Sizes of the pieces of a large body. One goroutine reads and seals them, another hashes them.
const (
	pieceSize  = 4 * seal.ChunkSize
	pieceCount = 4
	largeSize  = pieceCount * pieceSize
)

// wideSize is the same for the sealed bytes of a large piece, or of several small ones.
const wideSize = 4*seal.MaxSealedChunk + 2*folder.DirectUnit

// large has the buffers of a large write.
type large struct {
	pieces [pieceCount][]byte
}

func newLarge() *large {
	l := new(large)
	for i := range l.pieces {
		l.pieces[i] = make([]byte, pieceSize)
	}
	return l
}

// pipe has the buffers of one write. It begins with one chunk and gets more as bytes
// arrive; after some have arrived, it gets large pieces if there is memory for them. So a
// stalled body holds little memory. The memory counts for the request's account.
type pipe struct {
	store  *Store
	ctx    context.Context
	held   *limit.Account
	taken  int64
	chunks [pieceCount + 1]*[]byte // those in use; the last one is for sealed bytes
	paid   [pieceCount + 1]bool    // taken has them, also while others use them
	large  *large
	wide   *[]byte // for sealed bytes; nil if a chunk is used
	front  []byte  // what a new buffer for sealed bytes begins with
	rest   []byte  // is the front after the first write; the pipe owns it
	kept   int     // sealed bytes that are not written yet
}

func (s *Store) newPipe(ctx context.Context, w blob.Writer) *pipe {
	front := w.Front()
	return &pipe{store: s, ctx: ctx, held: limit.From(ctx), front: front, kept: len(front)}
}

// piece returns the buffer for the piece with number n, which nothing else uses. Error: SlowDown.
func (p *pipe) piece(n int) ([]byte, error) {
	at := n % pieceCount
	if n >= pieceCount && p.large == nil && at == 0 {
		p.grow()
	}
	if p.large != nil {
		p.drop(at)
		return p.large.pieces[at], nil
	}
	return p.chunk(at)
}

// grow takes the buffers of a large write if there is memory for them, and few other writes have some.
func (p *pipe) grow() {
	if p.store.larges.Add(1) > maxLarges() || p.wide == nil && !p.widen(math.MaxInt64) || !p.held.Try(largeSize) {
		p.store.larges.Add(-1)
		return
	}
	p.taken += largeSize
	p.large = p.store.pipes.Get().(*large)
}

// maxLarges is how many writes have large buffers at once. More than a few for each processor save nothing.
func maxLarges() int64 { return 4 * int64(runtime.GOMAXPROCS(0)) }

// chunk returns the buffer for one chunk.
func (p *pipe) chunk(at int) ([]byte, error) {
	if !p.paid[at] {
		if err := p.held.Take(p.ctx, chunkSize); err != nil {
			return nil, err
		}
		p.taken += chunkSize
		p.paid[at] = true
	}
	if p.chunks[at] == nil {
		p.chunks[at] = p.store.chunks.Get().(*[]byte)
	}
	return (*p.chunks[at])[:seal.ChunkSize], nil
}

func (p *pipe) drop(at int) {
	if p.chunks[at] != nil {
		p.store.chunks.Put(p.chunks[at])
		p.chunks[at] = nil
	}
}

// lend lets other writes use chunks that nothing uses any more, if there are many writes: those of pieces before done,
// when piece number n is to be read. The write takes one again when it needs it.
func (p *pipe) lend(done, n int) {
	if p.large != nil || p.wide != nil {
		return
	}
	for i := max(0, n-pieceCount+1); i < done; i++ { // an earlier one's place is a later one's
		p.drop(i % pieceCount)
	}
}

// close returns all buffers.
func (p *pipe) close() {
	for at := range p.chunks {
		p.drop(at)
	}
	if p.large != nil {
		p.store.pipes.Put(p.large)
		p.store.larges.Add(-1)
	}
	if p.wide != nil {
		p.store.wides.Put(p.wide)
		p.store.wideUsed.Add(-1)
	}
	p.held.Give(p.taken)
}

// flush seals a piece. It writes what is sealed if there is no room for another piece like it,
// and at the end.
func (p *pipe) flush(w blob.Writer, sealer *seal.Sealer, piece []byte, last bool) error {
	buf, err := p.sealed()
	if err != nil {
		return err
	}
	if !p.fits(buf, piece) {
		if err := p.write(w, buf, false); err != nil {
			return err
		}
	}
	p.kept = len(sealer.Append(buf[:p.kept], piece, last))
	if last || !p.fits(buf, piece) {
		return p.write(w, buf, last)
	}
	return nil
}

// fits reports whether a buffer has room for a sealed piece, and for the end of a unit.
func (p *pipe) fits(buf, piece []byte) bool {
	return int64(p.kept)+seal.LayeredSize(int64(len(piece)), true)+folder.DirectUnit <= int64(cap(buf))
}

// write writes whole units of the sealed bytes, and at the end all of them: only whole units can
// go past the system's cache.
func (p *pipe) write(w blob.Writer, buf []byte, last bool) error {
	n := p.kept
	if !last {
		n -= n % folder.DirectUnit
	}
	if _, err := w.Write(buf[:n]); err != nil {
		return refused(err)
	}
	if p.wide != nil {
		p.kept = copy(buf, buf[n:p.kept])
		return nil
	}
	p.rest = append(p.rest[:0], buf[n:p.kept]...)
	p.front, p.kept = p.rest, len(p.rest)
	p.drop(pieceCount) // other writes use it while the next piece arrives
	return nil
}

// sealed returns the buffer for sealed bytes, which begins with those that are kept.
func (p *pipe) sealed() ([]byte, error) {
	if p.wide != nil || p.widen(maxWides()) {
		return *p.wide, nil
	}
	first := p.chunks[pieceCount] == nil
	buf, err := p.chunk(pieceCount)
	if first {
		copy(buf, p.front)
	}
	return buf, err
}

// maxWides is how many writes have wide buffers at once, beside those that can't do without.
func maxWides() int64 { return 4 * maxLarges() }

// widen takes a wide buffer if there is memory for it, and few other writes have one.
func (p *pipe) widen(few int64) bool {
	const others = pieceCount * chunkSize // a write can do without a wide buffer, not without these
	if p.store.wideUsed.Add(1) > few || !p.held.Try(wideSize+others) {
		p.store.wideUsed.Add(-1)
		return false
	}
	p.held.Give(others)
	p.taken += wideSize
	p.wide = p.store.wides.Get().(*[]byte)
	if small := p.chunks[pieceCount]; small != nil {
		copy(*p.wide, (*small)[:p.kept])
		p.drop(pieceCount)
	} else {
		copy(*p.wide, p.front)
	}
	return true
}
