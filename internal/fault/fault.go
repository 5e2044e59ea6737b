// Package fault is the one error type of the program. It exists so that every
// package can say what AWS would say, without knowing how it is written on the
// wire. It must never know HTTP, XML or any dialect.
package fault

import (
	"errors"
	"maps"
)

// Kind is the class of a fault.
type Kind uint8

// The kinds. KindInternal is the zero value; its errors reveal nothing to callers.
const (
	KindInternal Kind = iota
	KindInvalid
	KindDenied
	KindNotFound
	KindNotAllowed
	KindConflict
	KindLengthRequired
	KindPreconditionFailed
	KindRangeNotSatisfied
	KindNotModified // has no body
	KindNotImplemented
	KindUnavailable // the client may try again
	KindFull        // the disk has no room for writes
	KindMoved
	KindGone
)

// Status returns the HTTP status that AWS's APIs answer a kind with, or 500 for an
// unknown kind.
func (k Kind) Status() int {
	statuses := [...]int{500, 400, 403, 404, 405, 409, 411, 412, 416, 304, 501, 503, 507, 301, 410}
	if int(k) >= len(statuses) {
		return statuses[KindInternal]
	}
	return statuses[k]
}

// Error is a failure with the code AWS gives it. Code and Message reach the
// caller; Err goes to the log only.
type Error struct {
	Kind     Kind
	Code     Code
	Message  string
	Resource string
	Members  map[string]string // further elements of the error document
	Headers  map[string]string // further headers of the answer
	Err      error
	// Tells says that the fault reveals whether something exists. A caller that may
	// not list the place gets AccessDenied instead.
	Tells bool
}

// Of returns a fault with the sentence that codes.txt has for its code.
func Of(code Code) *Error {
	kind, sentence := code.entry()
	return &Error{Kind: kind, Code: code, Message: sentence}
}

// New returns a fault with its own sentence.
func New(code Code, message string) *Error {
	kind, _ := code.entry()
	return &Error{Kind: kind, Code: code, Message: message}
}

// WithKind returns a copy of e of another kind, for a code that two services answer
// with different statuses.
func (e *Error) WithKind(kind Kind) *Error {
	c := *e
	c.Kind = kind
	return &c
}

// Error is for the log: it holds the wrapped cause.
func (e *Error) Error() string {
	s := string(e.Code) + ": " + e.Message
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

// Telling returns a copy of e that is marked as revealing whether something exists.
func (e *Error) Telling() *Error {
	c := *e
	c.Tells = true
	return &c
}

// From finds the fault in err. Any other error becomes an internal one that
// reveals nothing and keeps err as its cause; nil stays nil.
func From(err error) *Error {
	if err == nil {
		return nil
	}
	if f, ok := errors.AsType[*Error](err); ok {
		return f
	}
	return Internal(err)
}

// Internal wraps a cause that no caller may read.
func Internal(err error) *Error { return Of(InternalError).Because(err) }

// Is reports whether err is a fault with this code.
func Is(err error, code Code) bool {
	f, ok := errors.AsType[*Error](err)
	return ok && f.Code == code
}
