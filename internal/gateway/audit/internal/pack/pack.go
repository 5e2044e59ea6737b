package pack

import (
	"encoding/binary"
	"fmt"
	"time"

	"github.com/klauspost/compress/zstd"
)

// Ways in which the events of a frame are written. The numbers are stored.
const (
	plain = 0 // as they are
	cuts  = 1 // as shapes and fields
)

const (
	eventHeader  = 12 // commit number (8), length (4)
	dictionaryID = 1
	leastText    = 256 // shorter texts are not compressed, because few of them would become shorter
)

// Packer packs events. It must not be used concurrently.
type Packer struct {
	zstd   *zstd.Encoder
	cutter cutter
	shapes map[string]uint64
	small  []byte
	usual  []*usual // the last one first
}

// NewPacker returns a packer.
func NewPacker() (*Packer, error) {
	e, err := zstd.NewWriter(nil, zstd.WithEncoderDictRaw(dictionaryID, []byte(dictionary)),
		zstd.WithEncoderConcurrency(1), zstd.WithEncoderLevel(zstd.SpeedDefault), zstd.WithEncoderCRC(false),
		zstd.WithSingleSegment(true), zstd.WithLowerEncoderMem(true), zstd.WithWindowSize(128<<10))
	if err != nil {
		return nil, fmt.Errorf("pack: %w", err)
	}
	return &Packer{zstd: e, shapes: map[string]uint64{}}, nil
}

// Append appends events, each a commit number (8 bytes, big-endian), a length (4 bytes) and
// that many bytes of a record. It appends at most one byte more than it is given. written is
// the frame's instant.
func (p *Packer) Append(dst, events []byte, written time.Time) []byte {
	start := len(dst)
	clear(p.shapes)
	for _, u := range p.usual {
		u.number = 0
	}
	dst = binary.AppendUvarint(append(dst, cuts), uint64(len(events)))
	previous := uint64(0)
	most := start + 1 + len(events)
	for rest := events; len(rest) > 0 && len(dst) <= most; {
		commit, n := binary.BigEndian.Uint64(rest), binary.BigEndian.Uint32(rest[8:])
		record := rest[eventHeader : eventHeader+n]
		rest = rest[eventHeader+n:]
		dst = binary.AppendVarint(dst, int64(commit-previous))
		dst = p.event(dst, record, written.Unix())
		previous = commit
	}
	if len(dst) > most {
		return append(append(dst[:start], plain), events...)
	}
	return dst
}

func (p *Packer) event(dst, record []byte, seconds int64) []byte {
	c := &p.cutter
	if u := p.find(record, seconds); u != nil {
		if u.number == 0 {
			u.number = p.shapes[u.shape]
		}
		if u.number > 0 {
			return p.text(binary.AppendUvarint(dst, u.number+1), c.fields)
		}
		u.number = uint64(len(p.shapes) + 1)
		p.shapes[u.shape] = u.number
		return p.text(p.text(append(dst, 1), []byte(u.shape)), c.fields)
	}
	if !c.cut(record, seconds) {
		// A record that cannot be cut, such as one with control characters, is a text of its own.
		return p.text(append(dst, 0), record)
	}
	if n, ok := p.shapes[string(c.shape)]; ok {
		p.learn(string(c.shape), n)
		return p.text(binary.AppendUvarint(dst, n+1), c.fields)
	}
	p.shapes[string(c.shape)] = uint64(len(p.shapes) + 1)
	return p.text(p.text(append(dst, 1), c.shape), c.fields)
}

// text appends its length, the length of what follows or 0 if that is the text as it is, and the text.
func (p *Packer) text(dst, text []byte) []byte {
	dst = binary.AppendUvarint(dst, uint64(len(text)))
	if len(text) < leastText {
		return append(append(dst, 0), text...)
	}
	p.small = p.zstd.EncodeAll(text, p.small[:0])
	if len(p.small) >= len(text) {
		return append(append(dst, 0), text...)
	}
	return append(binary.AppendUvarint(dst, uint64(len(p.small))), p.small...)
}
