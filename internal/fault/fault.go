// Package fault is the one error type of the house. It exists so that every
// room can say what AWS would say, without knowing how it is written on the
// wire. It must never know HTTP, XML or any dialect.
package fault

import (
	"errors"
	"maps"
)

// Kind is the class of a fault; the dialects map it to a status.
type Kind uint8

// The kinds. Internal is the zero value and tells a stranger nothing.
const (
	Internal           Kind = iota // 500
	Invalid                        // 400
	Denied                         // 403
	NotFound                       // 404
	NotAllowed                     // 405
	Conflict                       // 409
	LengthRequired                 // 411
	PreconditionFailed             // 412
	RangeNotSatisfied              // 416
	NotModified                    // 304, has no body
	NotImplemented                 // 501
	Unavailable                    // 503, the client may try again
	Full                           // 507, the disk has no room for writes
	Moved                          // 301
	Gone                           // 410
)

// Error is a failure with the code AWS gives it. Code and Message reach the
// caller; Err goes to the log only.
type Error struct {
	Kind     Kind
	Code     string
	Message  string
	Resource string
	Members  map[string]string // further elements of the error document
	Headers  map[string]string // further headers of the answer
	Err      error
	// Tells: the fault says whether something is there. Who may not list its place
	// is given AccessDenied instead.
	Tells bool
}

// New returns a fault.
func New(kind Kind, code, message string) *Error {
	return &Error{Kind: kind, Code: code, Message: message}
}

// Error is for the log: it holds the wrapped cause.
func (e *Error) Error() string {
	s := e.Code + ": " + e.Message
	if e.Err != nil {
		s += ": " + e.Err.Error()
	}
	return s
}

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Err }

// With returns a copy of e with one more member.
func (e *Error) With(name, value string) *Error {
	c := *e
	c.Members = maps.Clone(e.Members)
	if c.Members == nil {
		c.Members = map[string]string{}
	}
	c.Members[name] = value
	return &c
}

// WithHeader returns a copy of e with one more header.
func (e *Error) WithHeader(name, value string) *Error {
	c := *e
	c.Headers = maps.Clone(e.Headers)
	if c.Headers == nil {
		c.Headers = map[string]string{}
	}
	c.Headers[name] = value
	return &c
}

// Because returns a copy of e with its cause.
func (e *Error) Because(err error) *Error {
	c := *e
	c.Err = err
	return &c
}

// Telling returns a copy of e that tells whether something is there.
func (e *Error) Telling() *Error {
	c := *e
	c.Tells = true
	return &c
}

// From finds the fault in err. Any other error becomes an Internal one that
// tells nothing and keeps err as its cause; nil stays nil.
func From(err error) *Error {
	if err == nil {
		return nil
	}
	if f, ok := errors.AsType[*Error](err); ok {
		return f
	}
	return InternalError(err)
}

// InternalError wraps a cause that no stranger may read.
func InternalError(err error) *Error {
	return &Error{Kind: Internal, Code: "InternalError", Message: "We encountered an internal error. Please try again.", Err: err}
}

// Is reports whether err is a fault with this code.
func Is(err error, code string) bool {
	f, ok := errors.AsType[*Error](err)
	return ok && f.Code == code
}

// AccessDenied is the plain refusal.
func AccessDenied() *Error { return New(Denied, "AccessDenied", "Access Denied") }
