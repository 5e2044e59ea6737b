package payload

import (
	"context"

	"watertight/internal/core/payload/internal/blob"
	"watertight/internal/limit"
	"watertight/internal/storage/seal"
)

// Pieces of a large body: read and sealed on one goroutine, hashed on another.
const (
	pieceSize  = 4 * seal.ChunkSize
	pieceCount = 4
	sealedSize = 4 * seal.MaxSealedChunk
	largeSize  = pieceCount*pieceSize + sealedSize
)

// large is the buffers of a write that goes on for long.
type large struct {
	pieces [pieceCount][]byte
	sealed []byte
}

func newLarge() *large {
	l := &large{sealed: make([]byte, 0, sealedSize)}
	for i := range l.pieces {
		l.pieces[i] = make([]byte, pieceSize)
	}
	return l
}

// pipe is the buffers of one write. It begins with one chunk, has more as bytes
// come, and large pieces once some have come, where there is memory for them:
// a stalled body holds little. What it holds counts as held by the
// request.
type pipe struct {
	store  *Store
	ctx    context.Context
	held   *limit.Account
	taken  int64
	chunks [pieceCount + 1]*[]byte // those in use; the last one takes what is sealed
	large  *large
}

func (s *Store) newPipe(ctx context.Context) *pipe {
	return &pipe{store: s, ctx: ctx, held: limit.From(ctx)}
}

// piece is the buffer of the piece with a number, which nothing else uses.
// Error: SlowDown.
func (p *pipe) piece(n int) ([]byte, error) {
	at := n % pieceCount
	if n >= pieceCount && p.large == nil && at == 0 && p.held.Try(largeSize) {
		p.taken += largeSize
		p.large = p.store.pipes.Get().(*large)
	}
	if p.large != nil {
		p.drop(at)
		return p.large.pieces[at], nil
	}
	return p.chunk(at)
}

// chunk is a buffer of one chunk, with room for its seal.
func (p *pipe) chunk(at int) ([]byte, error) {
	if p.chunks[at] == nil {
		const size = seal.MaxSealedChunk
		if err := p.held.Take(p.ctx, size); err != nil {
			return nil, err
		}
		p.taken += size
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

// close gives everything back.
func (p *pipe) close() {
	for at := range p.chunks {
		p.drop(at)
	}
	if p.large != nil {
		p.store.pipes.Put(p.large)
	}
	p.held.Give(p.taken)
}

func (p *pipe) flush(w blob.Writer, sealer *seal.Sealer, piece []byte, last bool) error {
	var to []byte
	if p.large != nil {
		to = p.large.sealed[:0]
	} else {
		b, err := p.chunk(pieceCount)
		if err != nil {
			return err
		}
		to = b[:0]
	}
	if _, err := w.Write(sealer.Append(to, piece, last)); err != nil {
		return refused(err)
	}
	return nil
}
