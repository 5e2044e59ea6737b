package rest

import (
	"net/http"
	"slices"
	"strings"

	"watertight/internal/fault"
	"watertight/internal/gateway/dialect"
	"watertight/internal/gateway/protocol"
)

// Route says which requests are for an operation of S3 or S3 Control: method, level
// (service, bucket, object), and the query parameters and headers that must be present.
type Route struct {
	pattern       string
	method        string
	level         int
	path          string           // for S3 Control, else ""
	params        []protocol.Param // an empty value accepts any value
	headers       []string
	may           []string // sub-resources that may be there
	extensions    []string // headers of this server's own that may be there
	status        int
	sender        dialect.Sender
	needsChecksum bool
	ofObject      bool       // x-amz-checksum-* are the checksums of an object, not of the document
	tellsRegion   bool       // a successful response has x-amz-bucket-region
	malformed     fault.Code // code of a document that can't be read
}

// accountLevel is the level of operations on accounts.
const accountLevel = 3

// At parses "GET /{Bucket}/{Key+}?uploadId&list-type=2", or a path of S3 Control, "GET
// /v20180820/configuration/publicAccessBlock". It panics on an invalid pattern, because
// patterns are constants.
func At(pattern string) Route {
	method, target, ok := strings.Cut(pattern, " ")
	path, query, _ := strings.Cut(target, "?")
	r := Route{pattern: pattern, method: method, status: http.StatusOK}
	switch {
	case path == "/" && ok:
	case path == "/{Bucket}" && ok:
		r.level = 1
	case path == "/{Bucket}/{Key+}" && ok:
		r.level = 2
	case strings.HasPrefix(path, accountPath) && ok:
		r.level, r.path = accountLevel, path
	default:
		panic("rest: not a route: " + pattern)
	}
	for part := range strings.SplitSeq(query, "&") {
		if part != "" {
			name, value, _ := strings.Cut(part, "=")
			r.params = append(r.params, protocol.Param{Name: name, Value: value})
		}
	}
	return r
}

// WithHeader makes the route match only requests with the header.
func (r Route) WithHeader(name string) Route {
	r.headers = append(r.headers[:len(r.headers):len(r.headers)], http.CanonicalHeaderKey(name))
	return r
}

// Status sets the status of a successful response; otherwise it is 200.
func (r Route) Status(code int) Route { r.status = code; return r }

// NeedChecksum makes the route refuse requests without Content-MD5 or x-amz-checksum-*.
func (r Route) NeedChecksum() Route { r.needsChecksum = true; return r }

// TellRegion adds x-amz-bucket-region to successful responses. Errors about a bucket always have it.
func (r Route) TellRegion() Route { r.tellsRegion = true; return r }

// Malformed sets the code for a document that can't be decoded; otherwise it is MalformedXML.
func (r Route) Malformed(code fault.Code) Route { r.malformed = code; return r }

// Preflight marks an operation that answers preflight requests of browsers. A preflight has
// no credentials, but it has the sub-resources and even the signature of the actual
// request, so the operation accepts any sub-resource.
func (r Route) Preflight() Route { r.sender = dialect.Preflight; return r }

// Form marks an operation whose input is a POST form: the fields identify the caller.
func (r Route) Form() Route { r.sender = dialect.SignedForm; return r }

// Sender implements dialect.Route.
func (r Route) Sender() dialect.Sender { return r.sender }

// May makes the route also accept requests with a sub-resource.
func (r Route) May(param string) Route {
	r.may = append(r.may[:len(r.may):len(r.may)], param)
	return r
}

// Extension also takes requests with a header of this server's own, see protocol.IsExtension.
func (r Route) Extension(name string) Route {
	r.extensions = append(r.extensions[:len(r.extensions):len(r.extensions)], http.CanonicalHeaderKey(name))
	return r
}

// ObjectChecksums marks an operation whose x-amz-checksum-* headers are those
// of an object, not of its document.
func (r Route) ObjectChecksums() Route { r.ofObject = true; return r }

// Method implements dialect.Route.
func (r Route) Method() string { return r.method }

// String implements dialect.Route.
func (r Route) String() string { return r.pattern }

func (r Route) constraints() int { return len(r.params) + len(r.headers) }

func (r Route) names(param string) bool {
	for _, p := range r.params {
		if p.Name == param {
			return true
		}
	}
	return slices.Contains(r.may, param)
}

func (r Route) needs(header string) bool {
	for _, h := range r.headers {
		if h == header {
			return true
		}
	}
	return false
}

// accepts reports whether a request has everything that the route requires, and nothing
// that makes it another operation. special are its sub-resources, and own its headers that
// only this server defines.
func (r Route) accepts(q *protocol.Request, special, own []string, copies bool) bool {
	if r.path != "" && r.path != q.RawPath {
		return false
	}
	for _, p := range r.params {
		v, ok := q.Param(p.Name)
		if !ok || p.Value != "" && p.Value != v {
			return false
		}
	}
	for _, h := range r.headers {
		if !carries(q, h) {
			return false
		}
	}
	for _, s := range special {
		if r.sender != dialect.Preflight && !r.names(s) {
			return false
		}
	}
	for _, name := range own {
		if r.sender != dialect.Preflight && !r.needs(name) && !slices.Contains(r.extensions, name) {
			return false // it must not be passed over
		}
	}
	return !copies || r.needs(copySource)
}

const copySource = "X-Amz-Copy-Source"

// carries reports whether a request has a header, even an empty one, or has it hoisted into
// a presigned URL.
func carries(r *protocol.Request, header string) bool {
	if len(r.HTTP.Header[header]) > 0 {
		return true
	}
	_, ok := hoisted(r, header)
	return ok
}

// excludes reports whether r needs a sub-resource that o does not accept.
func (r Route) excludes(o Route) bool {
	for _, p := range r.params {
		if isSubresource(p.Name) && !o.names(p.Name) {
			return true
		}
	}
	return r.needs(copySource) && !o.needs(copySource)
}
