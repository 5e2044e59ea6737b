// Package fault is the error type of the program. It exists so that every package can
// return AWS's errors without knowing their form on the wire. It must never know HTTP, XML
// or any dialect.
package fault

import (
	"errors"
	"maps"
)

// Kind is the class of a fault.
type Kind uint8

// The kinds. KindInternal is the zero value; errors of this kind disclose nothing to callers.
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
	KindTooLarge
)

// Status returns the HTTP status of AWS's APIs for a kind, or 500 for an unknown kind.
func (k Kind) Status() int {
	statuses := [...]int{500, 400, 403, 404, 405, 409, 411, 412, 416, 304, 501, 503, 507, 301, 410, 413}
	if int(k) >= len(statuses) {
		return statuses[KindInternal]
	}
	return statuses[k]
}

// Error is a failure with AWS's code. Code and Message are sent to the caller; Err is only logged.
type Error struct {
	Kind     Kind
	Code     Code
	Message  string
	Resource string
	Members  map[string]string // further elements of the error document
	Headers  map[string]string // further headers of the response
	Err      error
	// Tells means that the fault discloses whether something exists. A caller that may not
	// list the bucket gets AccessDenied instead.
	Tells bool
}

// Of returns a fault with the sentence in codes.txt for its code.
func Of(code Code) *Error {
	kind, sentence := code.entry()
	return &Error{Kind: kind, Code: code, Message: sentence}
}

// New returns a fault with its own sentence.
func New(code Code, message string) *Error {
	kind, _ := code.entry()
	return &Error{Kind: kind, Code: code, Message: message}
}

// WithKind returns a copy of e with another kind, for a code that two services answer with
// different statuses.
func (e *Error) WithKind(kind Kind) *Error {
	c := *e
	c.Kind = kind
	return &c
}

// Error returns a text for the log, which includes the wrapped cause.
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

// Telling returns a copy of e that is marked as disclosing whether something exists.
func (e *Error) Telling() *Error {
	c := *e
	c.Tells = true
	return &c
}

// From returns the fault in err. Any other error becomes an internal fault that discloses
// nothing and keeps err as its cause; nil stays nil.
func From(err error) *Error {
	if err == nil {
		return nil
	}
	if f, ok := errors.AsType[*Error](err); ok {
		return f
	}
	return Internal(err)
}

// Internal returns an internal fault with a cause that no caller may see.
func Internal(err error) *Error { return Of(InternalError).Because(err) }

// Is reports whether err is a fault with this code.
func Is(err error, code Code) bool {
	f, ok := errors.AsType[*Error](err)
	return ok && f.Code == code
}
