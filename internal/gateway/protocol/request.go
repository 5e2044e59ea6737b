// Package protocol holds a request that was read once, the limits of what is read
// of it, and what the answers of all dialects share. It exists so that routing,
// authorization and storage see the same request. It must never know what an
// operation does or who may do it.
package protocol

import (
	"net/http"
	"net/netip"
	"time"

	"watertight/internal/gateway/sigv4"
)

// Request is one HTTP request, parsed once: routing, authorization and storage
// all see the same bucket and key.
type Request struct {
	HTTP       *http.Request
	ID, HostID string
	// when its headers had arrived or, where the sender is found in the document, that
	At                time.Time
	Now               func() time.Time // the clock
	Bound             Bound            // of the body; nil where there is none
	Peer              netip.Addr
	Loopback          bool // the listener and the peer are both loopback
	Service           *Service
	Region            string // of this endpoint; "" where it is not known
	HomeRegion        string // another region that it may be signed for, or ""
	RawPath, RawQuery string // the request target, split once, as received
	Subdomain         string // what the Host has before a domain of this endpoint; "" for none
	Bucket, Key       string // decoded once, never normalised; empty in requests to services without buckets
	Query             []Param
	Form              []Param // of a request in the Query dialect
	Document          []byte  // its body, where that was read already

	// Claimed is the sender that the request claims, unverified. Only the audit log
	// may use it.
	Claimed struct{ AccessKeyID, Method string }

	// Fields of a POST form replace the headers of the request, which are then
	// ignored; nil without a form.
	Fields http.Header
}

// Bound ends the reading of a request's body at an instant; the zero time ends
// nothing. The server's bodies implement it: a document must come within a time as a
// whole, so that no client keeps a decision waiting for its end.
type Bound interface{ EndBy(time.Time) }

// Arrive sets the request's instant to now.
func (r *Request) Arrive() {
	if r.Now != nil {
		r.At = r.Now()
	}
}

// Service is what a table says of its service. It is shared and must not be
// changed.
type Service struct {
	Name        string // of the table: "s3", "s3control"
	SigningName string // in the credential scope, and in the audit log: "s3" of both
	// HomeRegion is the region that requests to a global service are signed for,
	// wherever its endpoint is (AWS General Reference, "Global endpoints"); "" for
	// a regional service.
	HomeRegion string
	Rules      sigv4.Rules // of its signatures
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
	maxHeaders = 8 << 10 // bytes
	maxParams  = 200
)
