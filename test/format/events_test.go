package format

import (
	"bytes"
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/klauspost/compress/zstd"
)

// packed reads the packed events of a frame, as the page describes them.
type packed struct {
	d *directory
	b []byte
}

// events returns the events of a frame as version 2 writes them: commit number, length, record.
func (d *directory) events(version byte, content []byte) (out []byte) {
	d.t.Helper()
	r := packed{d, content[76:]}
	if version < 3 {
		return r.b
	}
	if way := r.take(1)[0]; way == 0 {
		return r.b
	} else if way != 1 {
		d.t.Fatalf("events are packed in way %d", way)
	}
	written := time.UnixMicro(int64(binary.BigEndian.Uint64(content[32:]))).Unix()
	size, commit := r.number(), uint64(0)
	var shapes [][]byte
	for len(r.b) > 0 {
		commit += uint64(r.signed())
		var record []byte
		switch n := r.number(); n {
		case 0:
			record = r.text()
		case 1:
			shapes = append(shapes, r.text())
			record = d.record(shapes[len(shapes)-1], r.text(), written)
		default:
			record = d.record(shapes[n-2], r.text(), written)
		}
		out = binary.BigEndian.AppendUint32(binary.BigEndian.AppendUint64(out, commit), uint32(len(record)))
		out = append(out, record...)
	}
	if uint64(len(out)) != size {
		d.t.Fatalf("a frame has %d bytes of events, and says %d", len(out), size)
	}
	return out
}

// record puts fields into a shape.
func (d *directory) record(shape, fields []byte, written int64) []byte {
	d.t.Helper()
	r := packed{d, fields}
	var id, key string
	var parts []any
	var format strings.Builder
	for _, c := range shape {
		var part any
		switch c {
		case 1:
			part = string(r.take(r.number()))
		case 2:
			part = time.Unix(written+r.signed(), 0).UTC().Format("2006-01-02T15:04:05Z")
		case 3:
			u := r.take(16)
			part = fmt.Sprintf("%x-%x-%x-%x-%x", u[:4], u[4:6], u[6:8], u[8:10], u[10:])
		case 4:
			part = &id
		case 5:
			id = string(r.take(r.number()))
			part = id
		case 6:
			part = key
		case 7:
			key = string(r.take(r.number()))
			part = key
		case 8:
			part = strconv.FormatUint(r.number(), 10)
		default:
			if c == '%' {
				format.WriteByte('%')
			}
			format.WriteByte(c)
			continue
		}
		format.WriteString("%s")
		parts = append(parts, part)
	}
	for i, part := range parts {
		if part == any(&id) {
			parts[i] = base64.StdEncoding.EncodeToString([]byte(id + id))
		}
	}
	if len(r.b) > 0 {
		d.t.Fatalf("the fields of an event continue with %x", r.b)
	}
	return fmt.Appendf(nil, format.String(), parts...)
}

func (r *packed) take(n uint64) []byte {
	r.d.t.Helper()
	if n > uint64(len(r.b)) {
		r.d.t.Fatal("packed events end too early")
	}
	b := r.b[:n]
	r.b = r.b[n:]
	return b
}

func (r *packed) number() uint64 {
	n, size := binary.Uvarint(r.b)
	r.take(uint64(size))
	return n
}

func (r *packed) signed() int64 {
	n, size := binary.Varint(r.b)
	r.take(uint64(size))
	return n
}

// text reads a text, compressed or not.
func (r *packed) text() []byte {
	r.d.t.Helper()
	n, m := r.number(), r.number()
	if m == 0 {
		return r.take(n)
	}
	z, err := zstd.NewReader(nil, zstd.WithDecoderDictRaw(1, r.d.dictionary()))
	if err != nil {
		r.d.t.Fatal(err)
	}
	defer z.Close()
	text, err := z.DecodeAll(r.take(m), nil)
	if err != nil || uint64(len(text)) != n {
		r.d.t.Fatalf("a text of %d bytes has %d: %v", n, len(text), err)
	}
	return text
}

// dictionary returns the dictionary that the page has.
func (d *directory) dictionary() []byte {
	d.t.Helper()
	page, err := os.ReadFile("../../docs/FORMAT.md")
	if err != nil {
		d.t.Fatal(err)
	}
	_, after, ok := bytes.Cut(page, []byte("<!-- the dictionary -->\n```"))
	text, _, end := bytes.Cut(after, []byte("```"))
	if !ok || !end {
		d.t.Fatal("the page has no dictionary")
	}
	return text
}
