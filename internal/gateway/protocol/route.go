package protocol

import (
	"fmt"
	"net/http"
	"slices"
	"strings"

	"watertight/internal/fault"
)

// Route is where an operation of a REST service is found: method, level
// (service, bucket, object), query parameters and headers that must be there.
type Route struct {
	pattern       string
	method        string
	level         int
	params        []Param // with an empty value: any value
	headers       []string
	status        int
	needsChecksum bool
	malformed     fault.Code
	action        string // of the Query dialect
	preflight     bool
	form          bool
	unsigned      bool
	may           []string // sub-resources that may be there
	ofObject      bool
	control       string // of S3 Control: the path
}

// levelControl is the level of operations on accounts.
const levelControl = 3

// Controls reads "GET /v20180820/configuration/publicAccessBlock", an operation
// of S3 Control. It panics on a pattern of another form.
func Controls(pattern string) Route {
	method, path, ok := strings.Cut(pattern, " ")
	if !ok || !strings.HasPrefix(path, controlPath) {
		panic("protocol: not a route: " + pattern)
	}
	return Route{pattern: pattern, method: method, level: levelControl, status: http.StatusOK, control: path}
}

// REST reads "GET /{Bucket}/{Key+}?uploadId&list-type=2". It panics on a
// pattern of another form: patterns are constants.
func REST(pattern string) Route {
	method, target, ok := strings.Cut(pattern, " ")
	path, query, _ := strings.Cut(target, "?")
	level := map[string]int{"/": 0, "/{Bucket}": 1, "/{Bucket}/{Key+}": 2}
	l, known := level[path]
	if !ok || !known {
		panic("protocol: not a route: " + pattern)
	}
	r := Route{pattern: pattern, method: method, level: l, status: http.StatusOK}
	for part := range strings.SplitSeq(query, "&") {
		if part != "" {
			name, value, _ := strings.Cut(part, "=")
			r.params = append(r.params, Param{name, value})
		}
	}
	return r
}

// WithHeader matches only requests that carry the header.
func (r Route) WithHeader(name string) Route {
	r.headers = append(r.headers[:len(r.headers):len(r.headers)], http.CanonicalHeaderKey(name))
	return r
}

// Status is the answer's status when the operation succeeds; 200 otherwise.
func (r Route) Status(code int) Route { r.status = code; return r }

// NeedChecksum refuses requests without Content-MD5 or x-amz-checksum-*.
func (r Route) NeedChecksum() Route { r.needsChecksum = true; return r }

// Malformed is the code of a document that can't be read; MalformedXML otherwise.
func (r Route) Malformed(code fault.Code) Route { r.malformed = code; return r }

// Action is the operation's name on the wire in the Query dialect, else "".
func (r Route) Action() string { return r.action }

// Preflight marks an operation that answers what a browser asks before it
// sends a request: it comes without credentials, but with the sub-resources and
// even the signature of the request it asks about, so that it takes any
// sub-resource and nobody is identified.
func (r Route) Preflight() Route { r.preflight = true; return r }

// IsPreflight reports what Preflight marked.
func (r Route) IsPreflight() bool { return r.preflight }

// Form marks an operation that takes a POST form: whoever calls is found in its
// fields.
func (r Route) Form() Route { r.form = true; return r }

// IsForm reports what Form marked.
func (r Route) IsForm() bool { return r.form }

// Unsigned marks an operation whose caller shows something in its input instead
// of signing: nobody is identified, and a signature that is there counts for
// nothing.
func (r Route) Unsigned() Route { r.unsigned = true; return r }

// IsUnsigned reports what Unsigned marked.
func (r Route) IsUnsigned() bool { return r.unsigned }

// May takes requests with a sub-resource, too.
func (r Route) May(param string) Route {
	r.may = append(r.may[:len(r.may):len(r.may)], param)
	return r
}

// ObjectChecksums marks an operation whose x-amz-checksum-* headers are those
// of an object, not of its document.
func (r Route) ObjectChecksums() Route { r.ofObject = true; return r }

// Method is the HTTP method.
func (r Route) Method() string { return r.method }

// String is the pattern.
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

// accepts reports whether a request has all the route asks for, and nothing
// that makes it another operation.
func (r Route) accepts(q *Request, special []string, copies bool) bool {
	if r.control != "" && r.control != q.RawPath {
		return false
	}
	for _, p := range r.params {
		v, ok := q.Param(p.Name)
		if !ok || p.Value != "" && p.Value != v {
			return false
		}
	}
	for _, h := range r.headers {
		if !q.carries(h) {
			return false
		}
	}
	for _, s := range special {
		if !r.preflight && !r.names(s) {
			return false
		}
	}
	return !copies || r.needs(copySource)
}

const copySource = "X-Amz-Copy-Source"

// carries reports a header that is there, be it empty, or hoisted into a
// presigned URL.
func (r *Request) carries(header string) bool {
	if len(r.HTTP.Header[header]) > 0 {
		return true
	}
	_, ok := r.hoisted(header)
	return ok
}

// excludes reports that r needs a sub-resource which o does not accept.
func (r Route) excludes(o Route) bool {
	for _, p := range r.params {
		if isSubresource(p.Name) && !o.names(p.Name) {
			return true
		}
	}
	return r.needs(copySource) && !o.needs(copySource)
}

// Router finds the route of a request.
type Router struct {
	routes  map[string][]int // by method and level
	all     []Route
	actions map[string]int // of the Query dialect
}

// NewRouter refuses routes that could match the same request equally well.
func NewRouter(routes []Route) (*Router, error) {
	rt := &Router{routes: map[string][]int{}, all: routes, actions: map[string]int{}}
	for i, r := range routes {
		if r.action != "" {
			if _, twice := rt.actions[r.action]; twice {
				return nil, fmt.Errorf("two operations are named %s", r.action)
			}
			rt.actions[r.action] = i
			continue
		}
		at := bin(r.method, r.level)
		for _, j := range rt.routes[at] {
			if tie(r, routes[j]) {
				return nil, fmt.Errorf("routes %q and %q tie", r, routes[j])
			}
		}
		rt.routes[at] = append(rt.routes[at], i)
	}
	return rt, nil
}

func bin(method string, level int) string { return method + string(rune('0'+level)) }

// tie reports that two routes with equally many constraints can both match.
func tie(a, b Route) bool {
	if a.constraints() != b.constraints() || a.control != b.control || a.excludes(b) || b.excludes(a) {
		return false
	}
	for _, p := range a.params {
		for _, q := range b.params {
			if p.Name == q.Name && p.Value != q.Value && p.Value != "" && q.Value != "" {
				return false
			}
		}
	}
	return true
}

// Match returns the index of the most specific route. What S3 knows and no
// route names is NotImplemented; it never falls through to a plain operation.
func (rt *Router) Match(q *Request) (int, error) {
	if api, ok := queryService(q.Service); ok {
		return rt.matchQuery(q, api)
	}
	special, err := subresources(q)
	if err != nil {
		return 0, err
	}
	level := 0
	switch {
	case q.Service == Control:
		level = levelControl
	case q.Key != "":
		level = 2
	case q.Bucket != "":
		level = 1
	}
	copies := q.carries(copySource)
	best := -1
	for _, i := range rt.routes[bin(q.HTTP.Method, level)] {
		if rt.all[i].accepts(q, special, copies && !rt.all[i].preflight) && (best < 0 || rt.all[i].constraints() > rt.all[best].constraints()) {
			best = i
		}
	}
	switch {
	case best >= 0:
		return best, nil
	case copies:
		return 0, fault.New(fault.InvalidArgument, "You can only specify a copy source header for copy requests.").
			With("ArgumentName", "x-amz-copy-source").With("ArgumentValue", q.HTTP.Header.Get(copySource))
	case level == levelControl:
		return 0, notThere()
	case level == 2 && len(special) > 0:
		return 0, notOfKeys(q, special)
	case len(special) > 0 && knownMethod(q.HTTP.Method):
		return 0, notThere()
	}
	resource := [...]string{"SERVICE", "BUCKET", "OBJECT"}[level]
	return 0, notAllowed(q.HTTP.Method, resource)
}

// notOfKeys tells what AWS tells of sub-resources that a key doesn't have.
func notOfKeys(q *Request, special []string) error {
	switch q.HTTP.Method + " " + special[0] {
	case "GET uploads":
		return fault.New(fault.InvalidRequest, "Key is not expected for the GET method ?uploads subresource")
	case "GET versions":
		return fault.New(fault.InvalidRequest, "There is no such thing as the ?versions sub-resource for a key")
	case "PUT partNumber":
		return fault.New(fault.InvalidArgument, "This operation does not accept partNumber without uploadId").
			With("ArgumentName", "partNumber").With("ArgumentValue", "partNumber")
	case "PUT uploadId":
		return notAllowed(q.HTTP.Method, "UPLOAD")
	}
	if !knownMethod(q.HTTP.Method) {
		return notAllowed(q.HTTP.Method, "OBJECT")
	}
	return notThere()
}

func notThere() error {
	return fault.New(fault.NotImplemented, "A header or query you provided implies functionality that is not implemented.")
}

func notAllowed(method, resource string) error {
	return fault.Of(fault.MethodNotAllowed).
		With("Method", method).With("ResourceType", resource)
}

func knownMethod(m string) bool {
	switch m {
	case http.MethodGet, http.MethodHead, http.MethodPut, http.MethodPost, http.MethodDelete:
		return true
	}
	return false
}

// subresources returns the parameters that make a request another operation.
func subresources(q *Request) ([]string, error) {
	var found []string
	for i, p := range q.Query {
		if !singular(p.Name) {
			continue
		}
		for _, earlier := range q.Query[:i] {
			if earlier.Name == p.Name || isHeader(p.Name) && strings.EqualFold(earlier.Name, p.Name) {
				return nil, fault.New(fault.InvalidArgument, "A query parameter is repeated.").
					With("ArgumentName", p.Name).With("ArgumentValue", p.Value)
			}
		}
		if isSubresource(p.Name) {
			found = append(found, p.Name)
		}
		if p.Name == "list-type" && p.Value != "2" {
			return nil, fault.New(fault.InvalidArgument, "Invalid List Type specified in Request").
				With("ArgumentName", "list-type").With("ArgumentValue", p.Value)
		}
	}
	return found, nil
}

// singular names every parameter this endpoint gives a meaning to: repeated,
// it could mean one thing to a check and another to a handler.
func singular(name string) bool {
	switch name {
	case "list-type", "prefix", "delimiter", "marker", "max-keys", "continuation-token", "start-after", "fetch-owner", "encoding-type",
		"id", "maxResults", "nextToken", "key-marker", "version-id-marker", "upload-id-marker", "part-number-marker", "max-parts", "max-uploads", "max-buckets", "bucket-region":
		return true
	}
	return isSubresource(name) || name == "versionId" || strings.HasPrefix(name, "response-") || isHeader(name)
}

// isHeader reports a parameter that may stand for a header, in any case.
func isHeader(name string) bool { return len(name) >= 6 && strings.EqualFold(name[:6], "x-amz-") }

// isSubresource reports a parameter that names a sub-resource or another
// operation of S3 (S3 API reference, all operations).
func isSubresource(name string) bool {
	switch name {
	case "abac", "accelerate", "acl", "analytics", "annotation", "annotations", "append", "attributes", "cors", "delete", "encryption",
		"intelligent-tiering", "inventory", "legal-hold", "lifecycle", "location", "logging", "metadataConfiguration", "metadataTable",
		"metadataInventoryTable", "metadataJournalTable", "metrics", "notification", "object-lock", "ownershipControls", "partNumber",
		"policy", "policyStatus", "publicAccessBlock", "renameObject", "replication", "requestPayment", "restore", "retention", "select",
		"select-type", "session", "tagging", "torrent", "uploadId", "uploads", "versioning", "versions", "website":
		return true
	}
	return false
}
