// Package rest is the dialect of S3 and S3 Control: an operation is a method, a path,
// parameters and headers; documents are XML. It exists so that every parameter and header
// that selects another operation is examined before one is chosen. It must never know what
// an operation does or who may do it.
package rest

import (
	"errors"
	"fmt"
	"net/http"
	"strings"

	"watertight/internal/access/objectkey"
	"watertight/internal/fault"
	"watertight/internal/gateway/dialect"
	"watertight/internal/gateway/protocol"
)

// service is the dialect of one table.
type service struct {
	accounts bool // S3 Control: paths name operations, and there are no buckets
	routes   *router
	plans    []*plan
	buffers  dialect.Buffers
}

// S3 compiles the dialect of operations on buckets and objects.
func S3(ops []dialect.Operation) (dialect.Dialect, error) { return newService(ops, false) }

// Control compiles the dialect of S3 Control, the operations on accounts.
func Control(ops []dialect.Operation) (dialect.Dialect, error) { return newService(ops, true) }

func newService(ops []dialect.Operation, accounts bool) (*service, error) {
	s := &service{accounts: accounts}
	var routes []Route
	var culprits []error
	for _, op := range ops {
		r, ok := op.Route.(Route)
		if !ok || (r.level == accountLevel) != accounts {
			culprits = append(culprits, fmt.Errorf("%s: %v is a route of another dialect", op.Name, op.Route))
			continue
		}
		p, err := compile(&r, op.In, op.Out)
		if err != nil {
			culprits = append(culprits, fmt.Errorf("%s: %w", op.Name, err))
			continue
		}
		s.plans, routes = append(s.plans, p), append(routes, r)
	}
	var err error
	s.routes, err = newRouter(routes)
	return s, errors.Join(append(culprits, err)...)
}

// accountPath begins the paths of S3 Control. It does not hide a bucket with that name,
// because requests for a bucket do not have the header that names an account.
const accountPath = "/v20180820/"

// Recognizes implements dialect.Dialect. It recognizes a request for S3 Control by its path
// and by the header that names the account; clients also put the account into the host
// name, which is ignored here. Requests for S3 have no distinctive mark: S3 gets those that
// no other service recognizes.
func (s *service) Recognizes(r *protocol.Request) bool {
	return s.accounts && strings.HasPrefix(r.RawPath, accountPath) && len(r.HTTP.Header["X-Amz-Account-Id"]) > 0
}

// Read implements dialect.Dialect. It finds the bucket and the key.
func (s *service) Read(r *protocol.Request) error {
	if s.accounts {
		if strings.HasPrefix(r.RawPath, accountPath+"mrap/") {
			// region of multi-Region access points (S3 user guide, "Managing Multi-Region
			// Access Points")
			r.HomeRegion = "us-west-2"
		}
		return nil
	}
	rest := strings.TrimPrefix(r.RawPath, "/")
	ok := true
	if r.Bucket = r.Subdomain; r.Bucket == "" {
		var raw string
		raw, rest, _ = strings.Cut(rest, "/")
		if r.Bucket, ok = protocol.Unescape(raw); !ok {
			return protocol.InvalidURI()
		}
	}
	if strings.Contains(r.Bucket, "/") || r.Bucket == "." || r.Bucket == ".." || r.Bucket == "" && rest != "" {
		return fault.Of(fault.InvalidBucketName).With("BucketName", r.Bucket)
	}
	if r.Key, ok = protocol.Unescape(rest); !ok {
		return protocol.InvalidURI()
	}
	if r.Key != "" {
		return objectkey.Check(r.Key)
	}
	return nil
}

// headers returns the headers of a request or, for a POST form, its fields.
func headers(r *protocol.Request) http.Header {
	if r.Fields != nil {
		return r.Fields
	}
	return r.HTTP.Header
}

// bucketURL returns the address of the bucket as the client wrote it.
func bucketURL(r *protocol.Request) string {
	scheme := "http://"
	if r.HTTP.TLS != nil {
		scheme = "https://"
	}
	if first, _, _ := strings.Cut(strings.TrimPrefix(r.RawPath, "/"), "/"); first != "" {
		return scheme + r.HTTP.Host + "/" + first
	}
	return scheme + r.HTTP.Host
}
