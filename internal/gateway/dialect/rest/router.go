package rest

import (
	"fmt"
	"net/http"
	"strings"

	"watertight/internal/fault"
	"watertight/internal/gateway/dialect"
	"watertight/internal/gateway/protocol"
)

// router finds the route of a request.
type router struct {
	byLevel map[string][]int // by method and level
	all     []Route
}

// newRouter refuses routes that could match the same request equally well.
func newRouter(routes []Route) (*router, error) {
	rt := &router{byLevel: map[string][]int{}, all: routes}
	for i, r := range routes {
		at := bin(r.method, r.level)
		for _, j := range rt.byLevel[at] {
			if tie(r, routes[j]) {
				return nil, fmt.Errorf("routes %q and %q tie", r, routes[j])
			}
		}
		rt.byLevel[at] = append(rt.byLevel[at], i)
	}
	return rt, nil
}

func bin(method string, level int) string { return method + string(rune('0'+level)) }

// tie reports whether two routes with equally many constraints can both match a request.
func tie(a, b Route) bool {
	if a.constraints() != b.constraints() || a.path != b.path || a.excludes(b) || b.excludes(a) {
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

// Match implements dialect.Dialect. It returns the most specific route. A sub-resource or
// header that S3 or this server defines and no route names is NotImplemented; such a
// request is never treated as a plain operation.
func (s *service) Match(q *protocol.Request) (int, error) {
	special, err := subresources(q)
	if err != nil {
		return 0, err
	}
	level := 0
	switch {
	case s.accounts:
		level = accountLevel
	case q.Key != "":
		level = 2
	case q.Bucket != "":
		level = 1
	}
	copies := carries(q, copySource)
	own := extensions(q)
	best := s.routes.best(q.HTTP.Method, q, level, special, own, copies)
	switch {
	case best >= 0:
		return best, nil
	case copies:
		return 0, fault.New(fault.InvalidArgument, "You can only specify a copy source header for copy requests.").
			With("ArgumentName", "x-amz-copy-source").With("ArgumentValue", q.HTTP.Header.Get(copySource))
	case level == accountLevel, len(own) > 0:
		return 0, notThere()
	case level == 2 && len(special) > 0:
		if f := notOfKeys(q, special); f != nil {
			return 0, f
		}
	}
	return 0, s.otherMethod(q, level, special)
}

// otherMethod returns the error for a target that has only other methods, with their names (RFC 9110, 15.5.6) in S3's
// order, and for a sub-resource that is not there.
func (s *service) otherMethod(q *protocol.Request, level int, special []string) error {
	var methods []string
	for _, m := range [...]string{
		http.MethodDelete, http.MethodPost, http.MethodGet, http.MethodHead, http.MethodPut,
	} {
		if s.routes.best(m, q, level, special, nil, false) >= 0 {
			methods = append(methods, m)
		}
	}
	if len(methods) == 0 && len(special) > 0 && knownMethod(q.HTTP.Method) {
		return notThere()
	}
	resource := [...]string{"SERVICE", "BUCKET", "OBJECT"}[level]
	if level == 2 && len(special) > 0 && special[0] == "uploadId" {
		resource = "UPLOAD"
	}
	return fault.Of(fault.MethodNotAllowed).With("Method", q.HTTP.Method).With("ResourceType", resource).
		WithHeader("Allow", strings.Join(methods, ", "))
}

// best returns the most specific route that accepts a request with the method, or -1.
func (rt *router) best(method string, q *protocol.Request, level int, special, own []string, copies bool) int {
	best := -1
	for _, i := range rt.byLevel[bin(method, level)] {
		r := &rt.all[i]
		if r.accepts(q, special, own, copies && r.sender != dialect.Preflight) &&
			(best < 0 || r.constraints() > rt.all[best].constraints()) {
			best = i
		}
	}
	return best
}

// notOfKeys returns AWS's errors for sub-resources that keys don't have, or nil.
func notOfKeys(q *protocol.Request, special []string) *fault.Error {
	switch q.HTTP.Method + " " + special[0] {
	case "GET uploads":
		return fault.New(fault.InvalidRequest, "Key is not expected for the GET method ?uploads subresource")
	case "GET versions":
		return fault.New(fault.InvalidRequest, "There is no such thing as the ?versions sub-resource for a key")
	case "PUT partNumber":
		return fault.New(fault.InvalidArgument, "This operation does not accept partNumber without uploadId").
			With("ArgumentName", "partNumber").With("ArgumentValue", "partNumber")
	}
	return nil
}

func notThere() error {
	return fault.New(fault.NotImplemented,
		"A header or query you provided implies functionality that is not implemented.")
}

func knownMethod(m string) bool {
	switch m {
	case http.MethodGet, http.MethodHead, http.MethodPut, http.MethodPost, http.MethodDelete:
		return true
	}
	return false
}

// extensions returns the headers of this server's own, by their canonical names.
func extensions(q *protocol.Request) (found []string) {
	if !q.May(protocol.InitialOf("X-Watertight-")) {
		return nil
	}
	for name := range q.HTTP.Header {
		if name[0] == 'X' && protocol.IsExtension(name) {
			found = append(found, name)
		}
	}
	return found
}

// subresources returns the parameters that make a request another operation.
func subresources(q *protocol.Request) ([]string, error) {
	var found []string
	for i, p := range q.Query {
		if !singular(p.Name) {
			continue
		}
		for _, earlier := range q.Query[:i] {
			if earlier.Name == p.Name || protocol.IsAmzHeader(p.Name) && strings.EqualFold(earlier.Name, p.Name) {
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

// singular reports whether a parameter has a meaning at this endpoint. Such a parameter
// must not be repeated, because a check and a handler could use different values.
func singular(name string) bool {
	switch name {
	case "list-type", "prefix", "delimiter", "marker", "max-keys", "continuation-token", "start-after", "fetch-owner",
		"encoding-type",
		"id", "maxResults", "nextToken", "key-marker", "version-id-marker", "upload-id-marker", "part-number-marker",
		"max-parts", "max-uploads", "max-buckets", "bucket-region":
		return true
	}
	return isSubresource(name) || name == "versionId" || strings.HasPrefix(name, "response-") ||
		protocol.IsAmzHeader(name)
}

// isSubresource reports whether a parameter names a sub-resource or another operation of S3
// (S3 API reference, all operations).
func isSubresource(name string) bool {
	switch name {
	case "abac", "accelerate", "acl", "analytics", "annotation", "annotations", "append", "attributes", "cors",
		"delete", "encryption",
		"intelligent-tiering", "inventory", "legal-hold", "lifecycle", "location", "logging", "metadataConfiguration",
		"metadataTable",
		"metadataInventoryTable", "metadataJournalTable", "metrics", "notification", "object-lock",
		"ownershipControls", "partNumber",
		"policy", "policyStatus", "publicAccessBlock", "renameObject", "replication", "requestPayment", "restore",
		"retention", "select",
		"select-type", "session", "tagging", "torrent", "uploadId", "uploads", "versioning", "versions", "website":
		return true
	}
	return protocol.IsExtension(name) // a header: in the query it must not be passed over
}
