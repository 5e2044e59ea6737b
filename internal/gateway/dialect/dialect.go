// Package dialect defines what the dispatcher needs of the wire formats of services: REST,
// Query and JSON. It exists so that a service chooses its dialect in its table, and so that
// no code outside a dialect asks which one it is. It must never know what an operation does
// or who may do it.
package dialect

import (
	"net/http"
	"reflect"
	"sync"

	"watertight/internal/fault"
	"watertight/internal/gateway/protocol"
	"watertight/internal/gateway/sigv4"
)

// Dialect decodes the requests of one service and encodes its responses. An operation is
// named by its index in the table from which the dialect was compiled.
type Dialect interface {
	// Recognizes reports whether a request is for this service although its credential
	// scope names no service of this endpoint.
	Recognizes(r *protocol.Request) bool
	// Read reads the parts of a request that matching and the signature need: the bucket
	// and the key, or a document that names the operation. Its errors are sent to the
	// client.
	Read(r *protocol.Request) error
	// Match returns the operation of a request.
	Match(r *protocol.Request) (op int, err error)
	// Streams reports whether an operation reads its body as a stream.
	Streams(op int) bool
	// Decode decodes a request into in, a pointer to the input shape of an operation. A
	// stream stays unread; every other body is read to its end, so that its signature is
	// verified.
	Decode(op int, r *protocol.Request, body sigv4.Body, in any) error
	// Encode writes the headers that every response has, and out, a pointer to the output
	// shape of an operation; nil means no content. It returns how many bytes of the body
	// were sent; after the first byte, an error can only be reported by closing the
	// connection. n < 0 means that only the header was sent.
	Encode(op int, w http.ResponseWriter, r *protocol.Request, out any) (n int64, err error)
	// WriteError writes an error page: code, message and members, never the
	// wrapped cause.
	WriteError(w http.ResponseWriter, r *protocol.Request, f *fault.Error)
}

// Compile returns the dialect of a table's operations. It fails on shapes that the dialect
// can't encode, on a route of another dialect, and on operations that could match the same
// request.
type Compile func([]Operation) (Dialect, error)

// Operation is an operation as a dialect sees it.
type Operation struct {
	Name    string
	Route   Route
	In, Out reflect.Type // structs
}

// Route says which requests are for an operation. Every dialect has its own kind.
type Route interface {
	// String returns the pattern as it is written in the table.
	String() string
	// Method returns the HTTP method.
	Method() string
	// Sender says how the caller is identified.
	Sender() Sender
}

// Sender is a way to identify the caller of an operation.
type Sender uint8

// The senders.
const (
	// Signed means that the caller signed the request, or is anonymous.
	Signed Sender = iota
	// SignedForm means that the caller signed the policy of a POST form.
	SignedForm
	// Bearer means that the caller presents a token in the input instead of signing. The
	// request stays unidentified, and a signature in it is ignored.
	Bearer
	// Preflight means that a browser asks before it sends the actual request. It sends no
	// credentials, so the operation must not need a permission.
	Preflight
)

// Fields returns the members of a shape, including those of embedded shapes.
func Fields(t reflect.Type) []reflect.StructField {
	var all []reflect.StructField
	for _, f := range reflect.VisibleFields(t) {
		if !f.Anonymous {
			all = append(all, f)
		}
	}
	return all
}

// Buffers is a pool of buffers for responses.
type Buffers struct{ pool sync.Pool }

// keepBuffer is the maximum size of a buffer that is returned to the pool, in bytes.
const keepBuffer = 1 << 20

// Take returns an empty buffer. Give returns it to the pool.
func (b *Buffers) Take() *[]byte {
	if p, ok := b.pool.Get().(*[]byte); ok {
		return p
	}
	p := make([]byte, 0, 4<<10)
	return &p
}

// Give returns a buffer to the pool.
func (b *Buffers) Give(p *[]byte) {
	if cap(*p) <= keepBuffer {
		*p = (*p)[:0]
		b.pool.Put(p)
	}
}
