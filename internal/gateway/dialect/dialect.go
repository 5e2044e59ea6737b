// Package dialect is what the dispatcher knows of the ways in which services
// speak: REST, Query and JSON. It exists so that a service chooses its dialect
// in its table, and so that nothing outside a dialect asks which one it is. It
// must never know what an operation does or who may do it.
package dialect

import (
	"net/http"
	"reflect"
	"sync"

	"watertight/internal/fault"
	"watertight/internal/gateway/protocol"
	"watertight/internal/gateway/sigv4"
)

// Dialect reads the requests of one service and writes its answers. Operations
// are named by their index in the table that the dialect was compiled from.
type Dialect interface {
	// Recognizes reports a request that is for this service although its
	// credential scope names none of this endpoint.
	Recognizes(r *protocol.Request) bool
	// Read takes from a request what matching and the signature need: the bucket
	// and the key, or a document that names the operation. Its errors are answers.
	Read(r *protocol.Request) error
	// Match returns the operation of a request.
	Match(r *protocol.Request) (op int, err error)
	// Streams reports that an operation takes its body as it comes.
	Streams(op int) bool
	// Decode fills in, a pointer to the input shape of an operation. A stream
	// stays unread; every other body is read to its end, so that its signature is
	// verified.
	Decode(op int, r *protocol.Request, body sigv4.Body, in any) error
	// Encode writes out, a pointer to the output shape of an operation; nil is no
	// content. It returns how many bytes of the body were sent; an error after the
	// first one can only be reported by closing the connection. n < 0 means that the
	// header was sent and nothing else.
	Encode(op int, w http.ResponseWriter, r *protocol.Request, out any) (n int64, err error)
	// WriteError writes an error page: code, message and members, never the
	// wrapped cause.
	WriteError(w http.ResponseWriter, r *protocol.Request, f *fault.Error)
}

// Compile makes the dialect of a table's operations. It fails on shapes that
// the dialect can't place, on a route of another dialect, and on operations that
// could match the same request.
type Compile func([]Operation) (Dialect, error)

// Operation is what a dialect needs to know of an operation.
type Operation struct {
	Name    string
	Route   Route
	In, Out reflect.Type // structs
}

// Route is where an operation is found. Every dialect has its own.
type Route interface {
	// String is the pattern, as it is written in the table.
	String() string
	// Method is the HTTP method.
	Method() string
	// Sender says where the caller is found.
	Sender() Sender
}

// Sender says how the caller of an operation is found.
type Sender uint8

// The senders.
const (
	// Signed: the caller signed the request, or is anonymous.
	Signed Sender = iota
	// SignedForm: the caller signed the policy of a POST form.
	SignedForm
	// Bearer: the caller presents a token in the input instead of signing. The
	// request stays unidentified, and a signature in it is ignored.
	Bearer
	// Preflight: a browser asks before it sends a request. It sends no credentials,
	// so that the operation must not need a permission.
	Preflight
)

// Fields are the members of a shape, those of embedded shapes included.
func Fields(t reflect.Type) []reflect.StructField {
	var all []reflect.StructField
	for _, f := range reflect.VisibleFields(t) {
		if !f.Anonymous {
			all = append(all, f)
		}
	}
	return all
}

// Buffers are the buffers of answers, used again.
type Buffers struct{ pool sync.Pool }

// keepBuffer is the largest buffer worth keeping, in bytes.
const keepBuffer = 1 << 20

// Take returns an empty buffer; Give takes it back.
func (b *Buffers) Take() *[]byte {
	if p, ok := b.pool.Get().(*[]byte); ok {
		return p
	}
	p := make([]byte, 0, 4<<10)
	return &p
}

// Give takes back a buffer that Take returned.
func (b *Buffers) Give(p *[]byte) {
	if cap(*p) <= keepBuffer {
		*p = (*p)[:0]
		b.pool.Put(p)
	}
}
