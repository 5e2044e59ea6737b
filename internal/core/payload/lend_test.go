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

// nowhere is a blob that nothing is written to.
type nowhere struct{ io.Writer }

func (nowhere) Front() []byte { return nil }
func (nowhere) Commit() error { return nil }
func (nowhere) Abort()        {}
