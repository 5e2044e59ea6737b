package payload

import (
	"bytes"
	"crypto/md5"
	"fmt"
	"io"
	"slices"
	"sync"
	"testing"

	"watertight/internal/access/authz"
	"watertight/internal/storage/digest"
	"watertight/internal/storage/folder"
	"watertight/internal/storage/seal"
)

// TestManyWritesAtOnce: writes without large buffers use each other's chunks, and none of their bytes.
func TestManyWritesAtOnce(t *testing.T) {
	s, _ := open(t)
	s.wideUsed.Add(maxWides()) // as if so many other writes had them
	s.larges.Add(maxLarges())
	const writes, chunks = 24, 9
	var here [chunks]sync.WaitGroup // all writes have received so many chunks
	for i := range here {
		here[i].Add(writes)
	}
	var all sync.WaitGroup
	for n := range writes {
		all.Go(func() {
			content := random(chunks * seal.ChunkSize)
			step := 0
			rest := bytes.NewReader(content)
			at, d, err := s.Write(t.Context(), authz.Grant{}, Source{
				Body: readerFunc(func(b []byte) (int, error) {
					if got := len(content) - rest.Len(); step < chunks && got >= step*seal.ChunkSize {
						here[step].Done()
						here[step].Wait()
						step++
					}
					return rest.Read(b[:min(len(b), 10_000)])
				}),
				Size: int64(len(content)), Binding: []byte("b"), Checksum: digest.SHA256,
			})
			if err != nil {
				t.Error(err)
				for ; step < chunks; step++ {
					here[step].Done()
				}
				return
			}
			b, err := readAll(t, s, at, 0, at.Size)
			if sum := md5.Sum(content); err != nil || !bytes.Equal(b, content) || d.MD5 != sum {
				t.Errorf("write %d: it has other bytes or another MD5, %v", n, err)
			}
			s.Settle(at)
		})
	}
	all.Wait()
}

// TestLend: a write keeps the chunks of pieces that are not hashed or not sealed yet.
func TestLend(t *testing.T) {
	s, _ := open(t)
	s.larges.Add(maxLarges())
	for _, c := range []struct {
		done, next int
		keeps      []int // pieces
	}{
		{0, 1, []int{0}},
		{0, 3, []int{0, 1, 2}},
		{1, 3, []int{1, 2}},
		{2, 3, []int{2}},
		{2, 4, []int{2, 3}},
		{3, 4, []int{3}},
		{2, 5, []int{2, 3, 4}},
		{4, 5, []int{4}},
		{9, 11, []int{9, 10}},
	} {
		t.Run(fmt.Sprint(c.done, " of ", c.next), func(t *testing.T) {
			p := s.newPipe(t.Context(), nowhere{})
			defer p.close()
			of := map[*[]byte]int{}
			for n := range c.next {
				if _, err := p.piece(n); err != nil {
					t.Fatal(err)
				}
				of[p.chunks[n%pieceCount]] = n
			}
			p.lend(c.done, c.next)
			var kept []int
			for _, b := range p.chunks {
				if b != nil && of[b] > c.next-pieceCount {
					kept = append(kept, of[b])
				}
			}
			if slices.Sort(kept); !slices.Equal(kept, c.keeps) {
				t.Errorf("it keeps %v, not %v", kept, c.keeps)
			}
		})
	}
}

// TestSealedBeforeMoreIsRead: while a write without large buffers waits for a piece, at most the first of the others is
// not sealed. If the size is unknown, the piece that came last may be the last one.
func TestSealedBeforeMoreIsRead(t *testing.T) {
	s, _ := open(t)
	s.wideUsed.Add(maxWides())
	s.larges.Add(maxLarges())
	const pieces = 9
	for _, c := range []struct {
		name string
		size int64
		held int // pieces that are not sealed, of two or more
	}{{"known", pieces * seal.ChunkSize, 0}, {"unknown", -1, 1}} {
		t.Run(c.name, func(t *testing.T) {
			var out counter
			rest := bytes.NewReader(random(pieces * seal.ChunkSize))
			_, err := s.fill(t.Context(), &out, Source{
				Body: readerFunc(func(b []byte) (int, error) {
					came := pieces - rest.Len()/seal.ChunkSize
					least := (came - c.held) * seal.ChunkSize / folder.DirectUnit * folder.DirectUnit
					if rest.Len()%seal.ChunkSize == 0 && came > 1 && came < pieces && out.n < least {
						t.Errorf("%d pieces have come, %d bytes are written", came, out.n)
					}
					return rest.Read(b)
				}),
				Size: c.size, Checksum: digest.SHA256,
			}, nil, seal.StreamKey{Key: seal.NewKey()})
			if want := pieces * seal.MaxSealedChunk; err != nil || out.n < pieces*seal.ChunkSize || out.n > want {
				t.Errorf("%d bytes are written, %v", out.n, err)
			}
		})
	}
}

// TestSealedChunkIsLent: without a wide buffer, other writes may use the chunk for sealed bytes between two pieces, and
// what is written is the same.
func TestSealedChunkIsLent(t *testing.T) {
	s, _ := open(t)
	content, front := random(3*seal.ChunkSize+1), []byte("what a file begins with")
	key := seal.StreamKey{Key: seal.NewKey()}
	want := append(slices.Clone(front), key.Seal(nil, content)...)
	for _, mode := range []struct {
		name string
		used int64 // wide buffers
	}{{"chunks", maxWides()}, {"wide", 0}, {"chunk, then wide", maxWides()}} {
		t.Run(mode.name, func(t *testing.T) {
			s.wideUsed.Store(mode.used)
			out := &recorder{front: front}
			p := s.newPipe(t.Context(), out)
			defer p.close()
			sealer := seal.NewSealer(key)
			for n, piece := range slices.Collect(slices.Chunk(content, seal.ChunkSize)) {
				if mode.name == "chunk, then wide" && n == 2 {
					s.wideUsed.Store(0)
				}
				if err := p.flush(out, sealer, piece, len(piece) == 1); err != nil {
					t.Fatal(err)
				}
				if p.chunks[pieceCount] != nil && len(piece) > 1 {
					t.Errorf("piece %d: the chunk is kept", n)
				}
			}
			if !bytes.Equal(out.Bytes(), want) {
				t.Errorf("%d bytes are written, not the %d of one pass", out.Len(), len(want))
			}
		})
	}
}

// recorder is a blob in memory.
type recorder struct {
	bytes.Buffer
	nowhere
	front []byte
}

func (r *recorder) Front() []byte               { return r.front }
func (r *recorder) Write(p []byte) (int, error) { return r.Buffer.Write(p) }

// counter is a blob that counts what is written to it.
type counter struct {
	nowhere
	n int
}

func (c *counter) Write(p []byte) (int, error) { c.n += len(p); return len(p), nil }

// nowhere is a blob that nothing is written to.
type nowhere struct{ io.Writer }

func (nowhere) Front() []byte { return nil }
func (nowhere) Commit() error { return nil }
func (nowhere) Abort()        {}
