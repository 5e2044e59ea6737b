package protocol

import (
	"bytes"
	"io"
	"strconv"

	"watertight/internal/fault"
	"watertight/internal/limit"
)

// Limits of a document.
const (
	maxDocument  = 4 << 20 // bytes: 1,000 keys of 1,024 bytes, escaped, fit, and 10,000 parts with checksums
	maxStrangers = 1 << 20 // bytes, of a caller whom nobody knows: 1,000 keys fit
	maxDepth     = 16
	maxTokens    = 250_000 // 10,000 parts with a checksum each, indented, fit
)

// Streams reports that the operation takes its body as it comes.
func (p *Plan) Streams() bool { return p.stream != nil }

// readDocument reads a body that is decoded as a whole. What it holds counts as
// held by the request.
func (r *Request) readDocument(body io.Reader) ([]byte, error) {
	ctx := r.HTTP.Context()
	held, size := limit.From(ctx), int64(maxDocument)
	if held.Class() == limit.Stranger {
		size = maxStrangers
	}
	b, err := held.Read(ctx, body, r.HTTP.ContentLength, size)
	if err != nil {
		return nil, err
	}
	if int64(len(b)) > size {
		return nil, fault.Of(fault.MaxMessageLengthExceeded).With("MaxMessageLengthBytes", strconv.FormatInt(size, 10))
	}
	return b, nil
}

// elementSize is about what an element or an attribute comes to while it is
// decoded and in the shape, in bytes.
const elementSize = 128

// expand takes what decoding a document will hold, before it is decoded.
func (r *Request) expand(b []byte) error {
	tags := bytes.Count(b, []byte("<"))
	attributes := (bytes.Count(b, []byte(`"`)) + bytes.Count(b, []byte("'"))) / 2
	if tags > maxTokens || attributes > maxTokens {
		return malformedXML(errXML)
	}
	ctx := r.HTTP.Context()
	return limit.From(ctx).Take(ctx, int64(tags+attributes)*elementSize)
}
