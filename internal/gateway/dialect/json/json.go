// Package json is the dialect AWS JSON 1.1, which KMS uses: a header names the operation,
// and documents are JSON objects (Smithy, "AWS JSON 1.1 protocol"). It exists so that
// documents are bounded, unambiguous and strictly decoded. It must never know what an
// operation does or who may do it.
package json

import (
	"bytes"
	"errors"
	"fmt"
	"net/http"
	"reflect"
	"strconv"
	"strings"

	"watertight/internal/fault"
	"watertight/internal/gateway/dialect"
	"watertight/internal/gateway/protocol"
)

// contentType is the content type of documents.
const contentType = "application/x-amz-json-1.1"

// Limits of a document. Unsigned requests are always refused, so their limit is small.
const (
	maxDocument = 1 << 20  // bytes
	maxUnsigned = 64 << 10 // bytes
	maxDepth    = 16
)

// memberSize is approximately the memory for a member or an item while it is decoded and in
// the shape, in bytes.
const memberSize = 128

// Route says which requests are for an operation of this dialect.
type Route struct{ name string }

// Target returns the route of an operation by its name, without the service's prefix.
func Target(name string) Route { return Route{name} }

// String implements dialect.Route.
func (r Route) String() string { return "X-Amz-Target=" + r.name }

// Method implements dialect.Route.
func (r Route) Method() string { return http.MethodPost }

// Sender implements dialect.Route.
func (r Route) Sender() dialect.Sender { return dialect.Signed }

// service is the dialect of one table.
type service struct {
	prefix  string         // "TrentService."
	names   map[string]int // of operations
	buffers dialect.Buffers
}

// API returns the dialect of a service with a prefix of X-Amz-Target, for example
// "TrentService" for KMS.
func API(prefix string) dialect.Compile {
	return func(ops []dialect.Operation) (dialect.Dialect, error) {
		s := &service{prefix: prefix + ".", names: map[string]int{}}
		var culprits []error
		for i, op := range ops {
			r, ok := op.Route.(Route)
			if !ok {
				culprits = append(culprits, fmt.Errorf("%s: %v is a route of another dialect", op.Name, op.Route))
				continue
			}
			if _, twice := s.names[r.name]; twice {
				culprits = append(culprits, fmt.Errorf("two operations are named %s", r.name))
			}
			s.names[r.name] = i
			for _, t := range []reflect.Type{op.In, op.Out} {
				if err := check(t, map[reflect.Type]bool{}); err != nil {
					culprits = append(culprits, fmt.Errorf("%s: %v: %w", op.Name, t, err))
				}
			}
		}
		return s, errors.Join(culprits...)
	}
}

// target returns the name of the operation that a request is for; ok is false if it is not
// for this service.
func (s *service) target(r *protocol.Request) (string, bool) {
	h := r.HTTP.Header["X-Amz-Target"]
	if len(h) != 1 {
		return "", false
	}
	return strings.CutPrefix(h[0], s.prefix)
}

// Recognizes implements dialect.Dialect.
func (s *service) Recognizes(r *protocol.Request) bool {
	_, ok := s.target(r)
	return ok && r.RawPath == "/"
}

// Read implements dialect.Dialect: the signature covers the hash of the document.
func (s *service) Read(r *protocol.Request) error {
	if r.HTTP.Method != http.MethodPost || r.HTTP.Body == nil {
		return nil
	}
	size := int64(maxUnsigned)
	if r.HasSignature() {
		size = maxDocument
	}
	return r.ReadAhead(size, func(b []byte) int64 {
		members := 1 + bytes.Count(b, []byte(",")) + bytes.Count(b, []byte("{")) + bytes.Count(b, []byte("["))
		return int64(2*len(b) + members*memberSize)
	})
}

// Match implements dialect.Dialect. A document with another content type belongs to another
// dialect, so no operation matches.
func (s *service) Match(r *protocol.Request) (int, error) {
	kind, _, _ := strings.Cut(r.HTTP.Header.Get("Content-Type"), ";")
	name, ok := s.target(r)
	op, known := s.names[name]
	if !ok || !known || r.RawPath != "/" || r.HTTP.Method != http.MethodPost ||
		!strings.EqualFold(strings.TrimSpace(kind), contentType) {
		return 0, fault.New(fault.UnknownOperationException, "")
	}
	return op, nil
}

// Streams implements dialect.Dialect. No operation streams.
func (s *service) Streams(int) bool { return false }

// Encode implements dialect.Dialect.
func (s *service) Encode(_ int, w http.ResponseWriter, r *protocol.Request, out any) (int64, error) {
	protocol.CommonHeaders(w, r)
	p := s.buffers.Take()
	defer s.buffers.Give(p)
	b := *p
	if v := reflect.ValueOf(out); out != nil && !v.IsNil() {
		b = appendStruct(b, v.Elem())
	}
	*p = b
	h := w.Header()
	h["Content-Type"] = []string{contentType}
	h["Content-Length"] = []string{strconv.Itoa(len(b))}
	w.WriteHeader(http.StatusOK)
	n, err := w.Write(b)
	return int64(n), err
}

// WriteError implements dialect.Dialect. All client errors have status 400 (KMS API reference, the errors of each
// operation).
func (s *service) WriteError(w http.ResponseWriter, _ *protocol.Request, f *fault.Error) {
	WriteError(w, translate(f))
}

// WriteError writes an error page without translating its code.
func WriteError(w http.ResponseWriter, f *fault.Error) {
	b := appendText([]byte(`{"__type":`), string(f.Code))
	if f.Message != "" {
		b = appendText(append(b, `,"message":`...), f.Message)
	}
	protocol.WritePage(w, f.Kind.Status(), contentType, append(b, '}'))
}

// translate replaces the codes of other packages for authentication errors with those of
// services of this dialect (KMS API reference, "Common errors").
func translate(f *fault.Error) *fault.Error {
	switch f.Code {
	case fault.InvalidAccessKeyId, fault.InvalidToken:
		return fault.Of(fault.UnrecognizedClientException).Because(f.Err)
	case fault.ExpiredToken:
		return fault.New(fault.ExpiredTokenException, "The security token included in the request is expired")
	case fault.SignatureDoesNotMatch:
		return fault.New(fault.InvalidSignatureException, f.Message)
	case fault.IncompleteSignature, fault.AuthorizationQueryParametersError:
		return fault.New(fault.IncompleteSignatureException, f.Message)
	case fault.MissingAuthenticationToken:
		return fault.Of(fault.MissingAuthenticationTokenException)
	case fault.AccessDenied:
		return fault.New(fault.AccessDeniedException, f.Message).Because(f.Err)
	case fault.InternalError:
		return fault.Of(fault.InternalFailure).Because(f.Err)
	}
	if f.Kind.Status() < http.StatusInternalServerError {
		return f.WithKind(fault.KindInvalid)
	}
	return f
}
