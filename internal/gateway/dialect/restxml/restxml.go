// Package restxml is the dialect of CloudFront: an operation is a method and a path with
// labels, and documents are XML (Smithy, "AWS restXml protocol"). S3 and S3 Control have a
// separate dialect, because only they have buckets, keys and streams. This one exists so that
// unknown parameters and elements are refused, and never ignored. It must never know what an
// operation does or who may do it.
package restxml

import (
	"cmp"
	"errors"
	"fmt"
	"net/http"
	"strings"

	"watertight/internal/fault"
	"watertight/internal/gateway/dialect"
	"watertight/internal/gateway/dialect/query"
	"watertight/internal/gateway/protocol"
)

// Limits of a document. Unsigned requests are always refused, so their limit is small.
const (
	maxDocument = 1 << 20  // bytes
	maxUnsigned = 64 << 10 // bytes
)

// API is a service of this dialect.
type API struct {
	Version   string // first element of every path, "2020-05-31"
	Namespace string // of documents
	// Absent names the features that are not supported, such as "CloudFront functions", by the
	// second element of a path. It is used for requests that no route matches.
	Absent map[string]string
}

// service is the dialect of one table.
type service struct {
	API
	routes  map[string][]int // by method and number of elements
	plans   []*plan
	buffers dialect.Buffers
}

// Compile is a dialect.Compile for the service.
func (a API) Compile(ops []dialect.Operation) (dialect.Dialect, error) {
	s := &service{API: a, routes: map[string][]int{}}
	var culprits []error
	for _, op := range ops {
		r, ok := op.Route.(Route)
		if !ok || len(r.elements) < 2 || r.elements[0] != a.Version {
			culprits = append(culprits, fmt.Errorf("%s: %v is a route of another dialect", op.Name, op.Route))
			continue
		}
		p, err := compile(r, a.Namespace, op.In, op.Out)
		if err != nil {
			culprits = append(culprits, fmt.Errorf("%s: %w", op.Name, err))
			continue
		}
		at := bin(r.method, len(r.elements))
		for _, i := range s.routes[at] {
			if r.ties(s.plans[i].route) {
				culprits = append(culprits, fmt.Errorf("routes %q and %q tie", r, s.plans[i].route))
			}
		}
		s.routes[at] = append(s.routes[at], len(s.plans))
		s.plans = append(s.plans, p)
	}
	return s, errors.Join(culprits...)
}

func bin(method string, elements int) string { return fmt.Sprint(method, elements) }

// Recognizes implements dialect.Dialect. Only the credential scope says that a request is for
// this service, because a bucket could have the same name as the first element of its paths.
func (s *service) Recognizes(*protocol.Request) bool { return false }

// Read implements dialect.Dialect: the signature covers the hash of the document.
func (s *service) Read(r *protocol.Request) error {
	if r.HTTP.ContentLength == 0 || r.HTTP.Body == nil {
		return nil
	}
	size := int64(maxUnsigned)
	if r.HasSignature() {
		size = maxDocument
	}
	return r.ReadAhead(size, func([]byte) int64 { return 0 }) // decoding takes what it needs
}

// Match implements dialect.Dialect. It returns the most specific route.
func (s *service) Match(r *protocol.Request) (int, error) {
	elements, ok := split(r.RawPath)
	if !ok {
		return 0, fault.Of(fault.InvalidURI)
	}
	best := -1
	for _, i := range s.routes[bin(r.HTTP.Method, len(elements))] {
		route := &s.plans[i].route
		if route.accepts(elements, r) && (best < 0 || route.weight() > s.plans[best].route.weight()) {
			best = i
		}
	}
	if best < 0 {
		return 0, s.notHere(elements)
	}
	return best, s.plans[best].checkQuery(r)
}

// notHere is the error for an operation without a route. It names the feature, so that nobody
// takes the cause for a wrong path.
func (s *service) notHere(elements []string) error {
	what := ""
	if len(elements) > 1 && elements[0] == s.Version {
		what = s.Absent[elements[1]]
	}
	return fault.New(fault.NotImplemented, "Not implemented here: "+cmp.Or(what, "this operation")+".")
}

// Streams implements dialect.Dialect. No operation streams.
func (s *service) Streams(int) bool { return false }

// WriteError implements dialect.Dialect. The document has the form of the Query protocol.
func (s *service) WriteError(w http.ResponseWriter, r *protocol.Request, f *fault.Error) {
	query.WriteError(w, r, s.Namespace, f)
}

// split returns the elements of a path, unescaped. It refuses a path that a client or a
// proxy could have normalised to another one.
func split(raw string) (elements []string, ok bool) {
	for part := range strings.SplitSeq(strings.TrimPrefix(raw, "/"), "/") {
		element, ok := protocol.Unescape(part)
		if !ok || element == "" || element == "." || element == ".." {
			return nil, false
		}
		elements = append(elements, element)
	}
	return elements, true
}
