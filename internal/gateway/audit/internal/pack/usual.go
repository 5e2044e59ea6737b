package pack

import (
	"bytes"
	"encoding/binary"
	"slices"
)

// maxUsual is how many shapes are tried before a record is read byte by byte.
const (
	maxUsual  = 4
	longUsual = 8 << 10 // a longer one is not kept
)

// usual is a shape that several records had: most of them have one that was there a moment ago. A
// record is compared with its pieces, which is five times as fast as finding the shape anew.
type usual struct {
	shape  string
	pieces []piece
	number uint64 // of the shape in this frame, or 0
}

// piece is text without a field, and the mark that follows it, or 0 at the end.
type piece struct {
	text string
	mark byte
}

// newUsual returns a shape with its pieces. It reports false if cut could find another shape for a
// record with the same pieces: one with the ARN of an object that ends like the key of another.
func newUsual(shape string, number uint64) (*usual, bool) {
	u := &usual{shape: shape, number: number}
	from := 0
	add := func(to int, mark byte) bool {
		text := shape[from:to]
		u.pieces = append(u.pieces, piece{text, mark})
		from = to + 1
		return !namesObject([]byte(text))
	}
	for i := range len(shape) {
		if shape[i] < marksEnd && !add(i, shape[i]) {
			return nil, false
		}
	}
	return u, add(len(shape), 0)
}

// namesObject reports whether the ARN of an object ends within a text.
func namesObject(text []byte) bool {
	for {
		_, after, found := bytes.Cut(text, []byte(bucketARN))
		if !found {
			return false
		}
		if end := bytes.IndexByte(after, '"'); end >= 0 && bytes.IndexByte(after[:end], '/') >= 0 {
			return true
		}
		text = after
	}
}

// like divides a record that has a usual shape, and reports whether it has it. The fields are those
// that cut finds.
func (c *cutter) like(u *usual, json []byte, seconds int64) bool {
	c.begin(json, seconds)
	i := 0
	for _, p := range u.pieces {
		if len(json)-i < len(p.text) || string(json[i:i+len(p.text)]) != p.text {
			return false
		}
		i += len(p.text)
		if p.mark == 0 {
			return i == len(json) && (c.host == nil || bytes.Equal(c.host, c.id))
		}
		end := c.field(p.mark, i)
		if end < 0 {
			return false
		}
		i = end
	}
	return false
}

// field reads the field of a mark at i. It returns its end, or -1 if there is none.
func (c *cutter) field(mark byte, i int) int {
	switch mark {
	case markAgain:
		if !bytes.HasPrefix(c.json[i:], c.key) {
			return -1
		}
		return i + len(c.key)
	case markNumber:
		if end := c.decimal(i); end > i {
			return end
		}
		return -1
	}
	end := closing(c.json, i)
	if end <= i {
		return -1
	}
	text, ok := c.json[i:end], true
	switch mark {
	case markInstant:
		ok = c.takeInstant(text)
	case markUUID:
		ok = c.takeUUID(text)
	case markHost:
		ok = c.takeHost(text)
	default:
		ok = !hasMarks(text)
		switch mark {
		case markID:
			c.id = text
		case markKey:
			c.key = text
		}
		c.fields = binary.AppendUvarint(c.fields, uint64(len(text)))
		c.fields = append(c.fields, text...)
	}
	if !ok {
		return -1
	}
	return end
}

// find returns the usual shape that a record has, with its fields in the cutter, or nil.
func (p *Packer) find(record []byte, seconds int64) *usual {
	for i, u := range p.usual {
		if p.cutter.like(u, record, seconds) {
			copy(p.usual[1:i+1], p.usual[:i])
			p.usual[0] = u
			return u
		}
	}
	return nil
}

// learn makes a shape a usual one.
func (p *Packer) learn(shape string, number uint64) {
	if len(shape) > longUsual {
		return
	}
	u, ok := newUsual(shape, number)
	if !ok {
		return
	}
	if len(p.usual) == maxUsual {
		p.usual = p.usual[:maxUsual-1]
	}
	p.usual = slices.Insert(p.usual, 0, u)
}
