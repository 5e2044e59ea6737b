package sigv4

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"hash"
	"io"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"watertight/internal/fault"
)

// The payload modes that x-amz-content-sha256 can name.
const (
	UnsignedPayload       = "UNSIGNED-PAYLOAD"
	streamSigned          = "STREAMING-AWS4-HMAC-SHA256-PAYLOAD"
	streamSignedTrailer   = "STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER"
	streamUnsignedTrailer = "STREAMING-UNSIGNED-PAYLOAD-TRAILER"
)

// check checks the payload that was sent in headers, all of them.
func (c *Claim) check(all []string) error {
	c.hashed = isHash(c.Payload)
	if c.hashed && len(all) <= 1 {
		return nil
	}
	return checkPayload(c.Payload, all)
}

func checkPayload(value string, all []string) error {
	switch {
	case value == "" || len(all) > 1:
		return fault.New(fault.InvalidRequest, "Missing required header for this request: x-amz-content-sha256")
	case value == UnsignedPayload, value == streamSigned, value == streamSignedTrailer, value == streamUnsignedTrailer,
		isHash(value):
		return nil
	}
	return fault.New(fault.InvalidArgument,
		"x-amz-content-sha256 must be UNSIGNED-PAYLOAD, STREAMING-UNSIGNED-PAYLOAD-TRAILER, "+
			"STREAMING-AWS4-HMAC-SHA256-PAYLOAD, STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER, "+
			"STREAMING-AWS4-ECDSA-P256-SHA256-PAYLOAD, STREAMING-AWS4-ECDSA-P256-SHA256-PAYLOAD-TRAILER or a valid "+
			"sha256 value.").
		With("ArgumentName", "x-amz-content-sha256").With("ArgumentValue", value)
}

// payload returns the hash that is signed. Only S3 has a header for it, and modes in which
// it is not a hash: for other services it is always the hash of the document.
func (c *Claim) payload() error {
	all := c.request.Header["X-Amz-Content-Sha256"]
	if c.rules != S3Rules {
		sum := sha256.Sum256(c.document)
		c.Payload, c.hashed = hex.EncodeToString(sum[:]), true
		return nil
	}
	switch {
	case len(all) > 0:
		c.Payload = all[0]
	case c.Mode == Query:
		var ok bool
		if c.Payload, ok = c.hoisted("x-amz-content-sha256"); !ok {
			c.Payload = UnsignedPayload
		} else if c.Payload != UnsignedPayload && !isHash(c.Payload) { // the header announces the framing
			return checkPayload("?", nil)
		}
	}
	return c.check(all)
}

func isHash(s string) bool {
	if len(s) != 64 {
		return false
	}
	for i := range len(s) {
		if c := s[i]; (c < '0' || c > '9') && (c < 'a' || c > 'f') {
			return false
		}
	}
	return true
}

// Body is a request body that verifies itself: Read returns io.EOF only if the body is as
// declared, and an error otherwise. Read returns bytes before the end is verified, so a
// reader must keep nothing of a body that did not end with io.EOF.
type Body interface {
	io.Reader
	// Size returns the decoded length in bytes, or -1 if it is unknown.
	Size() int64
	// Trailer returns the value of a trailer after Read has returned io.EOF.
	Trailer(name string) string
}

// Body wraps the request's body for its payload mode. key is the signing key;
// an anonymous claim needs none and may not use the signed modes.
func (c *Claim) Body(key Key) (Body, error) {
	r := c.request
	switch c.Payload {
	case streamSigned, streamSignedTrailer:
		if c.Mode != Header {
			return nil, fault.New(fault.InvalidRequest, "Signed chunks need a signed Authorization header.")
		}
		return c.chunked(key)
	case streamUnsignedTrailer:
		return c.chunked(key)
	case "", UnsignedPayload:
		if c.Mode != Form && isFramed(r.Header) {
			return nil, fault.New(fault.InvalidArgument,
				"aws-chunked encoding is not supported when x-amz-content-sha256 UNSIGNED-PAYLOAD is supplied.").
				With("ArgumentName", "Content-Encoding").With("ArgumentValue", r.Header.Get("Content-Encoding"))
		}
		c.body = plain{r: r.Body, size: declaredLength(r)}
		return &c.body, nil
	}
	if !c.hashed && !isHash(c.Payload) {
		return nil, checkPayload(c.Payload, nil)
	}
	c.body = plain{r: r.Body, size: declaredLength(r), want: c.Payload}
	return &c.body, nil
}

// isFramed reports whether a request says that its body is in chunks. Without a payload mode that has them, and
// without a hash of the body as it is, the framing would silently become content.
func isFramed(h http.Header) bool {
	for _, value := range h["Content-Encoding"] {
		for coding := range strings.SplitSeq(value, ",") {
			if strings.EqualFold(strings.TrimSpace(coding), "aws-chunked") {
				return true
			}
		}
	}
	return false
}

// declaredLength returns the declared length of a body, or -1 for none, which net/http
// reports as an empty body.
func declaredLength(r *http.Request) int64 {
	if r.ContentLength == 0 && len(r.Header["Content-Length"]) == 0 {
		return -1
	}
	return r.ContentLength
}

// Unverified returns the body of a request that declares nothing about it.
func Unverified(r *http.Request) Body { return &plain{r: r.Body, size: declaredLength(r)} }

// plain is a body without chunks.
type plain struct {
	r    io.Reader
	size int64
	want string    // hex SHA-256; "" for none
	sum  hash.Hash // nil until there is a byte to hash
	room [sha256.Size]byte
	err  error
}

func (p *plain) Size() int64           { return p.size }
func (p *plain) Trailer(string) string { return "" }

func (p *plain) Read(b []byte) (int, error) {
	if p.err != nil {
		return 0, p.err
	}
	n, err := p.r.Read(b)
	if n > 0 && p.want != "" {
		if p.sum == nil {
			p.sum = sha256.New()
		}
		p.sum.Write(b[:n])
	}
	switch {
	case err == io.EOF && p.want != "":
		err = p.check()
	case err != nil && err != io.EOF:
		err = broken(err)
	}
	p.err = err
	return n, err
}

// check compares the hash of a whole body with the declared one, and returns io.EOF if they
// are equal.
func (p *plain) check() error {
	got := [2 * sha256.Size]byte([]byte(emptyHash))
	if p.sum != nil {
		hex.Encode(got[:], p.sum.Sum(p.room[:0]))
	}
	if string(got[:]) == p.want {
		return io.EOF
	}
	return fault.Of(fault.XAmzContentSHA256Mismatch).
		With("ClientComputedContentSHA256", p.want).With("S3ComputedContentSHA256", string(got[:]))
}

// emptyHash is the hash of an empty body.
const emptyHash = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"

// broken returns the error for a body or a connection that ended too early.
func broken(err error) error {
	if errors.As(err, new(*fault.Error)) {
		return err
	}
	if errors.As(err, new(*http.MaxBytesError)) {
		return fault.Of(fault.EntityTooLarge).Because(err)
	}
	return incomplete().Because(err)
}

func incomplete() *fault.Error {
	return fault.Of(fault.IncompleteBody)
}

// chunked returns the reader of an aws-chunked body.
func (c *Claim) chunked(key Key) (Body, error) {
	h := c.request.Header
	declared := h.Get("X-Amz-Decoded-Content-Length")
	if declared == "" {
		return nil, missingLength()
	}
	size, err := strconv.ParseInt(declared, 10, 64)
	if err != nil || size < 0 || declared[0] == '+' {
		return nil, missingLength()
	}
	d := newChunks(c.request.Body, size)
	if c.Payload != streamUnsignedTrailer {
		d.verify = newChain(c, key)
	}
	if c.Payload != streamSigned {
		d.announced = []string{}
		for name := range strings.SplitSeq(strings.Join(h["X-Amz-Trailer"], ","), ",") {
			if name = strings.ToLower(strings.TrimSpace(name)); name != "" && !slices.Contains(d.announced, name) {
				d.announced = append(d.announced, name)
			}
		}
		if len(d.announced) > maxTrailers {
			return nil, malformedTrailer()
		}
	}
	return d, nil
}

func missingLength() error {
	return fault.Of(fault.MissingContentLength)
}

func malformedTrailer() *fault.Error {
	return fault.Of(fault.MalformedTrailerError)
}
