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
	maxDocument  = 4 << 20 // bytes: 1,000 keys of 1,024 bytes, escaped, fit, and 10,000 parts with checksums
	maxStrangers = 1 << 20 // bytes, of a caller who is not known: 1,000 keys fit
)

// ReadDocument reads a body that is decoded as a whole. What it holds counts as
// held by the request. Error: MaxMessageLengthExceeded.
func (r *Request) ReadDocument(body io.Reader) ([]byte, error) {
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

// ReadAhead reads the body before anything is verified, for dialects whose
// documents name the operation, and reserves the memory that expand
// returns for decoding it; both are in bytes. The body stays readable, so that its
// hash can be verified. Errors: RequestEntityTooLarge, IncompleteBody, SlowDown.
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
	r.Arrive() // the caller is judged by what is true now
	r.Document = b
	r.HTTP.Body = io.NopCloser(bytes.NewReader(b))
	return nil
}

// broken is a body that ended before its time, or a connection that did.
func broken(err error) error {
	if errors.As(err, new(*fault.Error)) {
		return err
	}
	return fault.Of(fault.IncompleteBody).Because(err)
}
