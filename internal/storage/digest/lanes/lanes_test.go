package lanes

import (
	"bytes"
	"crypto/md5"
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"

	"pgregory.net/rapid"
)

// TestSums adds the pieces of several streams in any order, ends some of them early, and
// compares each sum with that of crypto/md5.
func TestSums(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		g := newGroup(rapid.SampledFrom([]int{1, width()}).Draw(t, "width"))
		type body struct {
			*Stream
			free  chan struct{}
			whole []byte
		}
		var open []*body
		end := func(i int, check bool) {
			b := open[i]
			if check && b.Sum() != md5.Sum(b.whole) {
				t.Fatalf("the sum of %d bytes is wrong", len(b.whole))
			}
			b.Drop()
			open = append(open[:i], open[i+1:]...)
		}
		t.Repeat(map[string]func(*rapid.T){
			"open": func(t *rapid.T) {
				if len(open) == 12 {
					t.Skip("enough")
				}
				free := make(chan struct{}, enough+1)
				open = append(open, &body{Stream: g.NewStream(free), free: free})
			},
			"add": func(t *rapid.T) {
				if len(open) == 0 {
					t.Skip("none")
				}
				b := open[rapid.IntRange(0, len(open)-1).Draw(t, "stream")]
				sizes := rapid.OneOf(rapid.IntRange(0, 200), rapid.SampledFrom([]int{0, 64, 4096, 64 << 10}))
				n := sizes.Draw(t, "size")
				piece := make([]byte, n)
				fill(piece, rapid.Uint64().Draw(t, "seed"))
				b.whole = append(b.whole, piece...)
				b.Add(piece)
				for len(b.free) > 0 {
					<-b.free
				}
			},
			"sum": func(t *rapid.T) {
				if len(open) == 0 {
					t.Skip("none")
				}
				end(rapid.IntRange(0, len(open)-1).Draw(t, "stream"), rapid.Bool().Draw(t, "check"))
			},
			"": func(t *rapid.T) {
				if g.open != len(open) || len(g.waiting) > len(open) {
					t.Fatalf("%d open, %d waiting, want %d", g.open, len(g.waiting), len(open))
				}
			},
		})
		for len(open) > 0 {
			end(0, true)
		}
	})
}

func fill(b []byte, seed uint64) {
	var key [32]byte
	binary.LittleEndian.PutUint64(key[:], seed)
	rand.NewChaCha8(key).Read(b)
}

// TestTogether hashes streams from goroutines that reuse their pieces as soon as they may, and
// of which some give up.
func TestTogether(t *testing.T) {
	g := NewGroup()
	var all sync.WaitGroup
	for n := range 20 {
		all.Go(func() {
			const pieces = enough + 2
			free := make(chan struct{}, pieces-1)
			for range pieces - 1 {
				free <- struct{}{}
			}
			s, want := g.NewStream(free), md5.New()
			defer s.Drop()
			var buffers [pieces][8 << 10]byte
			for i := range 50 + n {
				<-free
				piece := buffers[i%pieces][:]
				if i == 50+n-1 {
					piece = piece[:n*31]
				}
				fill(piece, uint64(n<<16+i))
				want.Write(piece)
				s.Add(piece)
				if n%5 == 4 && i == 20+n {
					s.Drop()
					fill(buffers[(i-1)%pieces][:], 1) // nobody reads it: the race detector sees it
					return
				}
			}
			if got := s.Sum(); !bytes.Equal(got[:], want.Sum(nil)) {
				t.Errorf("stream %d has another sum", n)
			}
		})
	}
	all.Wait()
	if g.open != 0 || len(g.waiting) != 0 {
		t.Errorf("%d streams are left, %d wait", g.open, len(g.waiting))
	}
}

// FuzzBatch hashes pieces of one input in lanes, from any offset and of any length.
func FuzzBatch(f *testing.F) {
	f.Add([]byte("abc"), uint16(1), uint16(0))
	f.Add(bytes.Repeat([]byte{0xff}, 1000), uint16(64), uint16(17))
	f.Fuzz(func(t *testing.T, data []byte, step, before uint16) {
		if width() == 1 {
			t.Skip("this machine hashes one stream at a time")
		}
		var all []*Stream
		var want [][]byte
		for i := range most {
			h := md5.New()
			first := data[:min(int(before)*64, len(data))]
			h.Write(first)
			piece := data[min(i*int(step), len(data)):]
			all = append(all, &Stream{state: h, piece: piece})
			sum := md5.Sum(append(bytes.Clone(first), piece...))
			want = append(want, sum[:])
		}
		write(all)
		for i, s := range all {
			if got := s.state.Sum(nil); !bytes.Equal(got, want[i]) {
				t.Errorf("lane %d: %x, want %x", i, got, want[i])
			}
		}
	})
}

// TestLanesAreUsed: a state of crypto/md5 is saved in the form that batch knows.
func TestLanesAreUsed(t *testing.T) {
	var b batch
	h := md5.New()
	if b.add(h, make([]byte, md5.BlockSize-1)) {
		t.Error("a piece without a whole block is taken")
	}
	if !b.add(h, make([]byte, md5.BlockSize)) {
		t.Error("a state at the beginning of a block is not taken")
	}
	h.Write([]byte("x"))
	if b.add(h, make([]byte, md5.BlockSize)) {
		t.Error("a state inside a block is taken")
	}
}

func BenchmarkLanes(b *testing.B) {
	for n := 1; n <= most; n++ {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			const size = 256 << 10
			b.SetBytes(int64(n) * size)
			var all []*Stream
			for range n {
				all = append(all, &Stream{state: md5.New(), piece: make([]byte, size)})
			}
			for b.Loop() {
				write(all)
			}
		})
	}
}
