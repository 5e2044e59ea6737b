package pack

import (
	"bytes"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"time"
)

// Marks stand in a shape for what was cut out. They are control characters, which no record
// contains. The numbers are stored.
const (
	markText    = 1 // length and bytes, never empty
	markInstant = 2 // RFC 3339 in UTC with seconds: seconds after the frame was written, zigzag
	markUUID    = 3 // 16 bytes, written in lower case
	markHost    = 4 // base64 of the request's id, twice; no field
	markID      = 5 // the request's id: as markText
	markAgain   = 6 // the object's key again; no field
	markKey     = 7 // the object's key: as markText
	markNumber  = 8 // decimal number
	marksEnd    = ' '
)

const (
	marksMost   = 1 << 16 // in one shape
	instantSize = len("2006-01-02T15:04:05Z")
	uuidSize    = 36
	hostText    = 64 // longest second id that is cut out
	hostSize    = hostText / 4 * 3
	bucketARN   = "arn:aws:s3:::"
)

// cutter cuts one record after another.
type cutter struct {
	shape, fields []byte
	marks         int

	json      []byte
	from      int // what is before it is in the shape or in the fields
	depth     int
	top, name []byte // names of the outermost member, and of the newest one
	id, key   []byte // request's id and object's key
	host      []byte // the request's id, as its second id says it
	seconds   int64  // when the frame was written

	decoded [hostSize]byte // has host
	latest  [instantSize]byte
	at      int64 // latest, in seconds
}

// begin makes the cutter ready for a record.
func (c *cutter) begin(json []byte, seconds int64) {
	c.shape, c.fields, c.json, c.seconds = c.shape[:0], c.fields[:0], json, seconds
	c.marks, c.from, c.depth = 0, 0, 0
	c.top, c.name, c.id, c.key, c.host = nil, nil, nil, nil, nil
}

// cut divides a record, and reports whether that is possible. The record need not be
// well-formed.
func (c *cutter) cut(json []byte, seconds int64) bool {
	c.begin(json, seconds)
	if hasMarks(json) {
		return false
	}
	for i := 0; i < len(json); {
		switch json[i] {
		case '{', '[':
			c.depth++
		case '}', ']':
			c.depth--
		case '"':
			end := closing(json, i+1)
			if end < 0 {
				return false
			}
			if end+1 < len(json) && json[end+1] == ':' {
				c.name = json[i+1 : end]
				if c.depth == 1 {
					c.top = c.name
				}
				i = c.number(end + 2)
				continue
			}
			if end > i+1 {
				c.value(i+1, end)
			}
			i = end
		}
		i++
	}
	c.shape = append(c.shape, json[c.from:]...)
	return c.marks <= marksMost && (c.host == nil || bytes.Equal(c.host, c.id))
}

// replace puts a mark into the shape in place of the bytes up to end.
func (c *cutter) replace(start, end int, mark byte) {
	c.shape = append(append(c.shape, c.json[c.from:start]...), mark)
	c.from = end
	c.marks++
}

func (c *cutter) text(start, end int, mark byte) {
	c.replace(start, end, mark)
	c.fields = binary.AppendUvarint(c.fields, uint64(end-start))
	c.fields = append(c.fields, c.json[start:end]...)
}

// value cuts out the text of a string, if it differs from request to request.
func (c *cutter) value(start, end int) {
	switch string(c.top) {
	case "eventTime":
		c.instant(start, end)
	case "eventID":
		c.uuid(start, end)
	case "requestID":
		if c.depth == 1 && c.id == nil {
			c.id = c.json[start:end]
			c.text(start, end, markID)
		}
	case "errorMessage", "responseElements":
		c.text(start, end, markText)
	case "requestParameters":
		c.parameter(start, end)
	case "additionalEventData":
		if c.depth == 2 && string(c.name) == "x-amz-id-2" && c.host == nil {
			c.second(start, end)
		}
	case "resources":
		at := end - len(c.key)
		if len(c.key) > 0 && at > start && bytes.HasPrefix(c.json[start:at], []byte(bucketARN)) &&
			c.json[at-1] == '/' && bytes.Equal(c.json[at:end], c.key) {
			c.replace(at, end, markAgain)
		}
	}
}

// parameter leaves the bucket and the host in the shape.
func (c *cutter) parameter(start, end int) {
	if c.depth == 2 {
		switch string(c.name) {
		case "bucketName", "Host":
			return
		case "key":
			if c.key == nil {
				c.key = c.json[start:end]
				c.text(start, end, markKey)
				return
			}
		}
	}
	c.text(start, end, markText)
}

func (c *cutter) instant(start, end int) {
	if c.takeInstant(c.json[start:end]) {
		c.replace(start, end, markInstant)
	}
}

// takeInstant adds a time in its only form to the fields.
func (c *cutter) takeInstant(text []byte) bool {
	if len(text) != instantSize {
		return false
	}
	if string(text) != string(c.latest[:]) {
		t, err := time.Parse(time.RFC3339, string(text))
		var again [instantSize]byte
		if err != nil || string(appendInstant(again[:0], t.Unix())) != string(text) {
			return false
		}
		c.latest, c.at = again, t.Unix()
	}
	c.fields = binary.AppendVarint(c.fields, c.at-c.seconds)
	return true
}

func appendInstant(dst []byte, seconds int64) []byte {
	return time.Unix(seconds, 0).UTC().AppendFormat(dst, time.RFC3339)
}

func (c *cutter) uuid(start, end int) {
	if c.takeUUID(c.json[start:end]) {
		c.replace(start, end, markUUID)
	}
}

// takeUUID adds a UUID in its only form to the fields.
func (c *cutter) takeUUID(text []byte) bool {
	if len(text) != uuidSize {
		return false
	}
	var id [16]byte
	var digits [32]byte
	plain := append(append(append(append(append(digits[:0], text[:8]...), text[9:13]...), text[14:18]...),
		text[19:23]...), text[24:]...)
	var again [uuidSize]byte
	if _, err := hex.Decode(id[:], plain); err != nil || !bytes.Equal(appendUUID(again[:0], id[:]), text) {
		return false
	}
	c.fields = append(c.fields, id[:]...)
	return true
}

func appendUUID(dst, id []byte) []byte {
	dst = hex.AppendEncode(dst, id[:4])
	for _, part := range [...][]byte{id[4:6], id[6:8], id[8:10], id[10:]} {
		dst = hex.AppendEncode(append(dst, '-'), part)
	}
	return dst
}

// second cuts out the request's second id, if it is the first one twice.
func (c *cutter) second(start, end int) {
	if c.takeHost(c.json[start:end]) {
		c.replace(start, end, markHost)
	}
}

// takeHost notes the id of which a text is base64, twice.
func (c *cutter) takeHost(text []byte) bool {
	if len(text) > hostText {
		return false
	}
	n, err := base64.StdEncoding.Decode(c.decoded[:], text)
	id := c.decoded[:n]
	var again [hostText]byte
	if err != nil || n == 0 || n%2 != 0 || !bytes.Equal(id[:n/2], id[n/2:]) ||
		!bytes.Equal(base64.StdEncoding.AppendEncode(again[:0], id), text) {
		return false
	}
	c.host = id[:n/2]
	return true
}

// number cuts out a count of bytes that begins at i, and returns where it ends.
func (c *cutter) number(i int) int {
	if c.depth != 2 || string(c.top) != "additionalEventData" ||
		string(c.name) != "bytesTransferredIn" && string(c.name) != "bytesTransferredOut" {
		return i
	}
	end := c.decimal(i)
	if end > i {
		c.replace(i, end, markNumber)
	}
	return end
}

// decimal adds a number in its only form that begins at i to the fields, and returns where it ends.
func (c *cutter) decimal(i int) int {
	end, n := i, uint64(0)
	for end < len(c.json) && '0' <= c.json[end] && c.json[end] <= '9' && end-i < 18 {
		n = 10*n + uint64(c.json[end]-'0')
		end++
	}
	if end == i || end-i > 1 && c.json[i] == '0' {
		return i
	}
	c.fields = binary.AppendUvarint(c.fields, n)
	return end
}

// closing returns the index of the quote that ends the string, or -1.
func closing(json []byte, i int) int {
	for from := i; ; {
		n := bytes.IndexByte(json[from:], '"')
		if n < 0 {
			return -1
		}
		end := from + n
		slashes := 0
		for end-slashes > i && json[end-slashes-1] == '\\' {
			slashes++
		}
		if slashes%2 == 0 {
			return end
		}
		from = end + 1
	}
}

// hasMarks reports whether a byte is below ' '.
func hasMarks(b []byte) bool {
	const each, high = 0x2020202020202020, 0x8080808080808080
	for ; len(b) >= 8; b = b[8:] {
		x := binary.LittleEndian.Uint64(b)
		if (x-each)&^x&high != 0 {
			return true
		}
	}
	for _, c := range b {
		if c < marksEnd {
			return true
		}
	}
	return false
}
