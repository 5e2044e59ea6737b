package sealedfs

import (
	"slices"
	"sync"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// corrections corrects single wrong bits in salvage: an ageing disk or memory changes single
// bits most often, and the tag shows which one it is. A chunk that is wrong in
// other ways costs one attempt for each of its bits, so there is a limit.
type corrections struct {
	mu    sync.Mutex
	known map[place][]byte // plaintexts; nil could not be corrected
	tried int
}

type place struct {
	path   string
	number int64
}

// mostTried bounds the chunks that could not be corrected: each takes about 0.1 s.
const mostTried = 500

// eachBit calls ok with b after the change of each of its bits in turn, until ok returns true.
func eachBit(b []byte, ok func() bool) bool {
	for i := range b {
		for bit := range 8 {
			b[i] ^= 1 << bit
			if ok() {
				return true
			}
			b[i] ^= 1 << bit
		}
	}
	return false
}

// corrected returns the plaintext of a chunk that does not authenticate, or nil.
func (r *chunkReader) corrected(number int64) []byte {
	c := &r.fs.corrections
	c.mu.Lock()
	defer c.mu.Unlock()
	at := place{r.path, number}
	if plain, ok := c.known[at]; ok || c.tried >= mostTried {
		return plain
	}
	size := int64(sealedChunk)
	if number == r.count-1 {
		size = r.last
	}
	sealed, room := make([]byte, size), make([]byte, 0, chunkSize)
	if n, _ := r.inner.ReadAt(sealed, headerSize+number*sealedChunk); int64(n) < size {
		return nil
	}
	var b buffer
	nonce := slices.Clone(b.chunkNonce(number, number == r.count-1))
	var plain []byte
	if !eachBit(sealed, func() bool {
		opened, err := r.aead.Open(room, nonce, sealed, nil)
		plain = opened
		return err == nil
	}) {
		plain = nil
		c.tried++
	}
	if c.known == nil {
		c.known = map[place][]byte{}
	}
	c.known[at] = plain
	return plain
}

// correctHeader returns a header of which one bit is wrong.
func (fs *FS) correctHeader(inner vfs.File, path string) (h header, ok bool) {
	var b [headerSize]byte
	if n, _ := inner.ReadAt(b[:], 0); n < headerSize {
		return h, false
	}
	ok = eachBit(b[:], func() bool {
		var right bool
		h, right = fs.keys.open(b[:])
		return right
	})
	if ok {
		fs.report(Damage{path, 0, headerSize, "a bit of the header, which its sum puts right"})
	}
	return h, ok
}
