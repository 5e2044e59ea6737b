package lanes

import (
	"crypto/md5"
	"encoding"
	"encoding/binary"
	"hash"
)

// write hashes the piece of each stream.
func write(all []*Stream) {
	var b batch
	for _, s := range all {
		if len(all) < least || !b.add(s.state, s.piece) {
			s.state.Write(s.piece)
		}
	}
	b.run()
}

// A saved state of crypto/md5 has these fields, the integers in big-endian order.
const (
	magic     = "md5\x01"
	abcdAt    = len(magic)
	partialAt = abcdAt + md5.Size
	lengthAt  = partialAt + md5.BlockSize
	savedSize = lengthAt + 8
)

// lane is one stream of a batch.
type lane struct {
	hash  hash.Hash
	saved [savedSize]byte
	rest  []byte // not hashed yet
}

// batch hashes one piece of each of several streams.
type batch struct {
	lanes [most]lane
	n     int
	abcd  [4][most]uint32
}

// add adds a stream. It returns false if the stream is not at the beginning of a block, or if
// its state is not saved as expected: then the stream must be hashed by itself.
func (b *batch) add(h hash.Hash, piece []byte) bool {
	l := &b.lanes[b.n]
	a, ok := h.(encoding.BinaryAppender)
	if !ok || len(piece) < md5.BlockSize {
		return false
	}
	saved, err := a.AppendBinary(l.saved[:0])
	if err != nil || len(saved) != savedSize || string(saved[:len(magic)]) != magic ||
		binary.BigEndian.Uint64(saved[lengthAt:])%md5.BlockSize != 0 {
		return false
	}
	for i := range b.abcd {
		b.abcd[i][b.n] = binary.BigEndian.Uint32(saved[abcdAt+4*i:])
	}
	l.hash, l.rest = h, piece
	b.n++
	return true
}

// run hashes the streams together as long as there are enough of them.
func (b *batch) run() {
	for b.n >= least {
		blocks := len(b.lanes[0].rest) / md5.BlockSize
		for i := range b.n {
			blocks = min(blocks, len(b.lanes[i].rest)/md5.BlockSize)
		}
		b.hash(blocks)
		for i := b.n - 1; i >= 0; i-- {
			if len(b.lanes[i].rest) < md5.BlockSize {
				b.end(i)
			}
		}
	}
	for b.n > 0 {
		b.end(b.n - 1)
	}
}

// hash hashes so many blocks of each stream. Lanes without a stream repeat the first one.
func (b *batch) hash(blocks int) {
	var data [most]*byte
	for i := range data {
		data[i] = &b.lanes[0].rest[0]
		if i < b.n {
			data[i] = &b.lanes[i].rest[0]
		}
	}
	block8(&b.abcd, &data, blocks)
	n := blocks * md5.BlockSize
	for i := range b.n {
		l := &b.lanes[i]
		length := l.saved[lengthAt:]
		binary.BigEndian.PutUint64(length, binary.BigEndian.Uint64(length)+uint64(n))
		l.rest = l.rest[n:]
	}
}

// end takes a stream out of the batch and hashes what is left of its piece.
func (b *batch) end(i int) {
	l := &b.lanes[i]
	for j := range b.abcd {
		binary.BigEndian.PutUint32(l.saved[abcdAt+4*j:], b.abcd[j][i])
	}
	if err := l.hash.(encoding.BinaryUnmarshaler).UnmarshalBinary(l.saved[:]); err != nil {
		panic(err) // it was saved by the same hash
	}
	l.hash.Write(l.rest)
	b.n--
	*l = b.lanes[b.n]
	for j := range b.abcd {
		b.abcd[j][i] = b.abcd[j][b.n]
	}
}
