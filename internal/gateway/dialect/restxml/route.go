package restxml

import (
	"net/http"
	"strings"

	"watertight/internal/gateway/dialect"
	"watertight/internal/gateway/protocol"
)

// Route says which requests are for an operation: a method, the elements of a path, some of
// them labels, and parameters of the query.
type Route struct {
	pattern  string
	method   string
	elements []string // "{Id}" is a label
	params   []protocol.Param
	status   int
}

// At parses "POST /2020-05-31/tagging?Operation=Tag" or "GET
// /2020-05-31/distribution/{Id}/config". A parameter without a value matches any value.
func At(pattern string) Route {
	method, target, _ := strings.Cut(pattern, " ")
	path, query, _ := strings.Cut(target, "?")
	r := Route{pattern: pattern, method: method, status: http.StatusOK}
	r.elements = strings.Split(strings.TrimPrefix(path, "/"), "/")
	for part := range strings.SplitSeq(query, "&") {
		if part != "" {
			name, value, _ := strings.Cut(part, "=")
			r.params = append(r.params, protocol.Param{Name: name, Value: value})
		}
	}
	return r
}

// Status sets the status of a successful response; otherwise it is 200.
func (r Route) Status(code int) Route { r.status = code; return r }

// Method implements dialect.Route.
func (r Route) Method() string { return r.method }

// String implements dialect.Route.
func (r Route) String() string { return r.pattern }

// Sender implements dialect.Route.
func (r Route) Sender() dialect.Sender { return dialect.Signed }

func isLabel(element string) bool { return strings.HasPrefix(element, "{") }

// label returns the index of the element with a label, or -1.
func (r *Route) label(name string) int {
	for i, e := range r.elements {
		if e == "{"+name+"}" {
			return i
		}
	}
	return -1
}

// accepts reports whether the path and the query of a request are those of the route.
func (r *Route) accepts(elements []string, q *protocol.Request) bool {
	for i, e := range r.elements {
		if !isLabel(e) && e != elements[i] {
			return false
		}
	}
	for _, p := range r.params {
		if v, ok := q.Param(p.Name); !ok || p.Value != "" && p.Value != v {
			return false
		}
	}
	return true
}

// weight says how specific a route is.
func (r *Route) weight() int {
	n := len(r.params)
	for _, e := range r.elements {
		if !isLabel(e) {
			n++
		}
	}
	return n
}

// ties reports whether two routes with as many elements could match a request equally well.
func (r *Route) ties(o Route) bool {
	if r.weight() != o.weight() {
		return false
	}
	for i, e := range r.elements {
		if !isLabel(e) && !isLabel(o.elements[i]) && e != o.elements[i] {
			return false
		}
	}
	for _, p := range r.params {
		for _, q := range o.params {
			if p.Name == q.Name && p.Value != q.Value && p.Value != "" && q.Value != "" {
				return false
			}
		}
	}
	return true
}
