package audit

import (
	"bytes"
	"crypto/cipher"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"time"

	"watertight/internal/storage/seal"
)

// Sizes and names of the format; FORMAT.md describes them.
const (
	magic         = "WTAUDIT"
	headerFormat  = 3
	packedFormat  = 3 // from this format on, the events of a frame are packed
	markedFormat  = 2 // from this format on, the store remembers a log
	oldestFormat  = 1
	headerPlain   = 96
	headerSize    = headerPlain + seal.WrappedSize
	frameHeader   = 32
	frameTag      = 16
	frameLimit    = 32 << 20
	groupHeader   = 76
	eventHeader   = 12
	fileLimit     = 64 << 20
	filePurpose   = "watertight audit files"
	framePurpose  = "watertight audit frames"
	lengthPurpose = "watertight audit lengths"
)

// ErrDamaged is wrapped by every error for files that are not as they were written.
var ErrDamaged = errors.New("audit log is damaged")

// errNewer is wrapped by every error for files of a later format.
var errNewer = errors.New(
	"was written by a newer version of Watertight, which this one cannot read; nothing was changed",
)

// position says how far the events of changes were moved: all events up to it, in the order
// of commit and id, are in the files.
type position struct {
	commit uint64
	id     [16]byte
}

func (p position) compare(q position) int {
	switch {
	case p.commit < q.commit:
		return -1
	case p.commit > q.commit:
		return 1
	}
	return bytes.Compare(p.id[:], q.id[:])
}

// state is what a frame passes on to the next one, and a file to the next file.
type state struct {
	sequence uint64 // of the newest frame; the first is 1
	chain    [sha256.Size]byte
	anchor   uint64
	moved    position
}

// header is the first part of a file.
type header struct {
	format   byte
	number   uint64
	before   state
	previous uint64 // size of the previous file
	key      seal.Key
	under    uint32 // generation of the root key that wraps key; set only in a header that was read
}

func (h *header) encode(wrap seal.Purpose) []byte {
	b := make([]byte, 0, headerSize)
	b = append(append(b, magic...), h.format)
	b = binary.BigEndian.AppendUint64(b, h.number)
	b = binary.BigEndian.AppendUint64(b, h.before.sequence+1)
	b = binary.BigEndian.AppendUint64(b, h.before.anchor)
	b = binary.BigEndian.AppendUint64(b, h.before.moved.commit)
	b = append(b, h.before.moved.id[:]...)
	b = binary.BigEndian.AppendUint64(b, h.previous)
	b = append(b, h.before.chain[:]...)
	return append(b, wrap.Wrap(h.key, b)...)
}

func decodeHeader(b []byte, wrap seal.Purpose) (header, error) {
	if len(b) != headerSize || string(b[:len(magic)]) != magic || b[len(magic)] < oldestFormat {
		return header{}, errors.New("is no audit file")
	}
	key, under, err := wrap.Find(b[headerPlain:], b[:headerPlain])
	if err != nil {
		return header{}, errors.New("has a header that does not open: changed, or another root key")
	}
	if b[len(magic)] > headerFormat {
		return header{}, errNewer
	}
	h := header{
		format: b[len(magic)],
		number: binary.BigEndian.Uint64(b[8:]),
		before: state{
			sequence: binary.BigEndian.Uint64(b[16:]) - 1,
			chain:    [sha256.Size]byte(b[64:96]),
			anchor:   binary.BigEndian.Uint64(b[24:]),
			moved:    position{binary.BigEndian.Uint64(b[32:]), [16]byte(b[40:56])},
		},
		previous: binary.BigEndian.Uint64(b[56:]),
		key:      key,
		under:    under,
	}
	return h, nil
}

// keys seal the frames of one file.
type keys struct {
	frame  cipher.AEAD
	length seal.Key
}

func newKeys(file seal.Key) keys {
	return keys{file.Derive(framePurpose).AEAD(), file.Derive(lengthPurpose)}
}

// lengthTag returns 16 bytes that only a holder of the key can compute. Because of it, a
// changed length can't be taken for a torn tail.
func (k keys) lengthTag(sequence uint64, head []byte) []byte {
	m := hmac.New(sha256.New, k.length[:])
	var n [8]byte
	binary.BigEndian.PutUint64(n[:], sequence)
	m.Write(n[:])
	m.Write(head[:16])
	return m.Sum(nil)[:16]
}

// binding returns what a frame's seal is bound to.
func binding(sequence uint64, head []byte) []byte {
	return append(binary.BigEndian.AppendUint64(make([]byte, 0, 8+frameHeader), sequence), head[:frameHeader]...)
}

// appendFrame appends content, sealed as a frame. The nonce is random and not a counter,
// because after a torn or failed write the same sequence number is used again.
func (k keys) appendFrame(dst []byte, sequence uint64, content []byte) []byte {
	at := len(dst)
	dst = binary.BigEndian.AppendUint32(dst, uint32(len(content)+frameTag))
	dst = append(dst, make([]byte, 12)...)
	rand.Read(dst[at+4 : at+16])
	dst = append(dst, k.lengthTag(sequence, dst[at:])...)
	return k.frame.Seal(dst, dst[at+4:at+16], content, binding(sequence, dst[at:]))
}

// frameLength verifies a frame's header and returns the size of the rest of the frame.
func (k keys) frameLength(sequence uint64, head []byte) (int, error) {
	if !hmac.Equal(head[16:frameHeader], k.lengthTag(sequence, head)) {
		return 0, errors.New("the header does not verify")
	}
	n := binary.BigEndian.Uint32(head)
	if n < groupHeader+frameTag || n > frameLimit {
		return 0, errors.New("the length is out of bounds")
	}
	return int(n), nil
}

// openFrame opens a frame in place.
func (k keys) openFrame(sequence uint64, head, sealed []byte) ([]byte, error) {
	content, err := k.frame.Open(sealed[:0], head[4:16], sealed, binding(sequence, head))
	if err != nil {
		return nil, errors.New("the seal does not open")
	}
	return content, nil
}

// Entry is one event of a group. JSON is a CloudTrail record.
type Entry struct {
	Commit uint64 // of the change; 0 for an event that changed nothing
	JSON   []byte
}

// Group is the content of one frame. Its slices are valid until the function that got the
// group returns.
type Group struct {
	Sequence uint64
	Written  time.Time
	Anchor   uint64            // newest durable commit number of the store at that time
	Chain    [sha256.Size]byte // hash of the frame's content, which the next frame contains
	Events   []Entry
}

// appendEvent appends an event in the format of a group.
func appendEvent(dst []byte, commit uint64, json []byte) []byte {
	dst = binary.BigEndian.AppendUint64(dst, commit)
	dst = binary.BigEndian.AppendUint32(dst, uint32(len(json)))
	return append(dst, json...)
}

// appendGroupHeader appends the header that comes before the events.
func appendGroupHeader(dst []byte, s *state, written time.Time, count int) []byte {
	dst = append(dst, s.chain[:]...)
	dst = binary.BigEndian.AppendUint64(dst, uint64(written.UnixMicro()))
	dst = binary.BigEndian.AppendUint64(dst, s.anchor)
	dst = binary.BigEndian.AppendUint64(dst, s.moved.commit)
	dst = append(dst, s.moved.id[:]...)
	return binary.BigEndian.AppendUint32(dst, uint32(count))
}

// decodeGroup decodes what is before the events in the content of the frame after s. It
// returns the number of events, and the state that the frame passes on.
func decodeGroup(b []byte, s state) (g Group, count int, next state, err error) {
	broken := errors.New("the content is malformed")
	if len(b) < groupHeader {
		return Group{}, 0, s, broken
	}
	if [sha256.Size]byte(b[:sha256.Size]) != s.chain {
		return Group{}, 0, s, errors.New("the chain is broken: this is not the frame that was written here")
	}
	next = state{
		sequence: s.sequence + 1,
		chain:    sha256.Sum256(b),
		anchor:   binary.BigEndian.Uint64(b[40:]),
		moved:    position{binary.BigEndian.Uint64(b[48:]), [16]byte(b[56:72])},
	}
	if next.anchor < s.anchor || next.moved.compare(s.moved) < 0 {
		return Group{}, 0, s, broken
	}
	g = Group{
		Sequence: next.sequence, Anchor: next.anchor, Chain: next.chain,
		Written: time.UnixMicro(int64(binary.BigEndian.Uint64(b[32:]))).UTC(),
	}
	return g, int(binary.BigEndian.Uint32(b[72:])), next, nil
}

// decodeEvents decodes count events, which are all of b, into events.
func decodeEvents(b []byte, count int, events []Entry) ([]Entry, error) {
	broken := errors.New("the content is malformed")
	if count > len(b)/eventHeader {
		return nil, broken
	}
	events = events[:0]
	for range count {
		if len(b) < eventHeader {
			return nil, broken
		}
		commit, n := binary.BigEndian.Uint64(b), binary.BigEndian.Uint32(b[8:])
		b = b[eventHeader:]
		if uint64(n) > uint64(len(b)) {
			return nil, broken
		}
		events = append(events, Entry{commit, b[:n:n]})
		b = b[n:]
	}
	if len(b) != 0 {
		return nil, broken
	}
	return events, nil
}
