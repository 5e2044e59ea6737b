package protocol

import (
	"bytes"
	"errors"
	"io"
	"strconv"

	"watertight/internal/fault"
	"watertight/internal/limit"
)

// Limits of a document.
const (
	maxDocument  = 4 << 20 // bytes: enough for 1,000 keys of 1,024 bytes, escaped, and for 10,000 parts with checksums
	maxStrangers = 1 << 20 // bytes, for a caller that is not known: enough for 1,000 keys
)

// ReadDocument reads a body that is decoded as a whole. Its memory counts for the request.
// Error: MaxMessageLengthExceeded.
func (r *Request) ReadDocument(body io.Reader) ([]byte, error) {
	ctx := r.HTTP.Context()
	held, size := limit.From(ctx), int64(maxDocument)
	if held.Class() == limit.Stranger {
		size = maxStrangers
	}
	if r.HTTP.ContentLength == 0 { // an end that verifies itself must be read, but needs no memory
		n, err := body.Read(r.first[:])
		switch {
		case n == 0 && err == io.EOF:
			return nil, nil
		case err != nil && err != io.EOF:
			return nil, err
		}
		body = io.MultiReader(bytes.NewReader(r.first[:n]), body)
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

// ReadAhead reads the body before anything is verified, for dialects whose documents name
// the operation. It reserves the memory that expand returns for decoding it; size and
// memory are in bytes. The body stays readable, so that its hash can be verified. Errors:
// RequestEntityTooLarge, IncompleteBody, SlowDown.
func (r *Request) ReadAhead(size int64, expand func(b []byte) int64) error {
	ctx := r.HTTP.Context()
	held := limit.From(ctx)
	b, err := held.Read(ctx, r.HTTP.Body, r.HTTP.ContentLength, size)
	if err != nil {
		return broken(err)
	}
	if int64(len(b)) > size {
		return fault.Of(fault.RequestEntityTooLarge)
	}
	if err := held.Take(ctx, expand(b)); err != nil {
		return err
	}
	r.Arrive() // the request is decided by the state from now on
	r.Document = b
	r.HTTP.Body = io.NopCloser(bytes.NewReader(b))
	return nil
}

// broken returns the error for a body or a connection that ended too early.
func broken(err error) error {
	if errors.As(err, new(*fault.Error)) {
		return err
	}
	return fault.Of(fault.IncompleteBody).Because(err)
}
