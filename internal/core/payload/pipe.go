package payload

import (
	"context"
	"runtime"

	"watertight/internal/core/payload/internal/blob"
	"watertight/internal/limit"
	"watertight/internal/storage/folder"
	"watertight/internal/storage/seal"
)

// chunkSize is the size of a buffer for a chunk, sealed or not, behind bytes that were not written yet.
const chunkSize = seal.MaxSealedChunk + folder.DirectUnit

// Sizes of the pieces of a large body. One goroutine reads and seals them, another hashes them.
const (
	pieceSize  = 4 * seal.ChunkSize
	pieceCount = 4
	sealedSize = 4*seal.MaxSealedChunk + folder.DirectUnit
	largeSize  = pieceCount*pieceSize + sealedSize
)

// large has the buffers of a large write.
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

// pipe has the buffers of one write. It begins with one chunk and gets more as bytes
// arrive; after some have arrived, it gets large pieces if there is memory for them. So a
// stalled body holds little memory. The memory counts for the request's account.
type pipe struct {
	store  *Store
	ctx    context.Context
	held   *limit.Account
	taken  int64
	chunks [pieceCount + 1]*[]byte // those in use; the last one is for sealed bytes
	large  *large
	kept   int // sealed bytes that are not written yet
}

func (s *Store) newPipe(ctx context.Context) *pipe {
	return &pipe{store: s, ctx: ctx, held: limit.From(ctx)}
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
	if p.store.larges.Add(1) > maxLarges() || !p.held.Try(largeSize) {
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
	if p.chunks[at] == nil {
		if err := p.held.Take(p.ctx, chunkSize); err != nil {
			return nil, err
		}
		p.taken += chunkSize
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

// close returns all buffers.
func (p *pipe) close() {
	for at := range p.chunks {
		p.drop(at)
	}
	if p.large != nil {
		p.store.pipes.Put(p.large)
		p.store.larges.Add(-1)
	}
	p.held.Give(p.taken)
}

// flush seals a piece and writes whole units of what is sealed, and at the end all of it: only
// whole units can go past the system's cache.
func (p *pipe) flush(w blob.Writer, sealer *seal.Sealer, piece []byte, last bool) error {
	sealed, err := p.sealed()
	if err != nil {
		return err
	}
	sealed = sealer.Append(sealed[:p.kept], piece, last)
	n := len(sealed)
	if !last {
		n -= n % folder.DirectUnit
	}
	if _, err := w.Write(sealed[:n]); err != nil {
		return refused(err)
	}
	p.kept = copy(sealed, sealed[n:])
	return nil
}

// sealed returns the buffer for sealed bytes, which begins with those that are kept.
func (p *pipe) sealed() ([]byte, error) {
	if p.large == nil {
		return p.chunk(pieceCount)
	}
	if small := p.chunks[pieceCount]; small != nil {
		copy(p.large.sealed[:p.kept], *small)
		p.drop(pieceCount)
	}
	return p.large.sealed, nil
}
