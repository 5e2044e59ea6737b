// Package protocol is the wire: routing, the dialects, bounded decoding and
// error pages. It must never know what an operation does or who may do it.
package protocol

import (
	"io"
	"net/http"
	"net/netip"
	"strings"
	"time"
)

// Stream is a request body as an operation sees it: decoded, and verified at
// its end, so that Read returns the refusal instead of io.EOF.
type Stream interface {
	io.Reader
	// Size is the decoded length in bytes, or -1 where it is unknown.
	Size() int64
	// Trailer returns a trailer's value once Read has returned io.EOF.
	Trailer(name string) string
}

// Request is one HTTP request, parsed once: routing, authorization and storage
// all see the same bucket and key.
type Request struct {
	HTTP              *http.Request
	ID, HostID        string
	At                time.Time        // when it was there: its headers or, where nobody is known before, its document
	Now               func() time.Time // the clock
	Bound             Bound            // of the body; nil where there is none
	Peer              netip.Addr
	Loopback          bool // the listener and the peer are both loopback
	Service           string
	Region            string // of this endpoint; "" where it is not known
	RawPath, RawQuery string // the request target, split once, as received
	Bucket, Key       string // decoded once, never normalised; empty in requests to Control
	Query             []Param
	Form              []Param // of a Query request (IAM, STS)
	Document          []byte  // its body, where that was read already

	// Claimed is what the request says of its sender, for the audit log alone:
	// nobody may take it for true.
	Claimed struct{ AccessKeyID, Method string }

	// Fields of a POST form stand for the headers of the request, none of which
	// mean anything then; nil where there is no form.
	Fields http.Header
}

// Bound ends the reading of a request's body at an instant; the zero time ends
// nothing. Bodies of the server have it: a document has a time as a whole, so
// that nobody keeps a decision waiting for its end.
type Bound interface{ EndBy(time.Time) }

// Arrive sets the request's instant to now.
func (r *Request) Arrive() {
	if r.Now != nil {
		r.At = r.Now()
	}
}

// Control is the service of operations on accounts. Its requests are signed as
// S3's.
const Control = "s3control"

// SigningName is the service in the credential scope, and in the audit log.
func (r *Request) SigningName() string {
	if r.Service == Control {
		return "s3"
	}
	return r.Service
}

// IsMultiRegion reports a request about multi-Region access points, which
// clients sign for the one region that manages them.
func (r *Request) IsMultiRegion() bool {
	return r.Service == Control && strings.HasPrefix(r.RawPath, controlPath+"mrap/")
}

// header is where the members of an operation stand that are named as headers.
func (r *Request) header() http.Header {
	if r.Fields != nil {
		return r.Fields
	}
	return r.HTTP.Header
}

// bucketURL is the address of the bucket, as the client wrote it.
func (r *Request) bucketURL() string {
	scheme := "http://"
	if r.HTTP.TLS != nil {
		scheme = "https://"
	}
	if first, _, _ := strings.Cut(strings.TrimPrefix(r.RawPath, "/"), "/"); first != "" {
		return scheme + r.HTTP.Host + "/" + first
	}
	return scheme + r.HTTP.Host
}

// Param is one query parameter, decoded.
type Param struct{ Name, Value string }

// Options are what parsing depends on.
type Options struct {
	Domains []string // base domains of virtual-hosted buckets
	Region  string
	Now     func() time.Time // the clock; nil stands still
}

// Limits of a request.
const (
	maxKey     = 1024
	maxHeaders = 8 << 10
	maxParams  = 200
)
