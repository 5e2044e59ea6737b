// Package protocol has the parsed form of a request, the limits of what is read of it, and
// what the responses of all dialects share. It exists so that routing, authorization and
// storage see the same request. It must never know what an operation does or who may do it.
package protocol

import (
	"net/http"
	"net/netip"
	"time"

	"watertight/internal/gateway/sigv4"
)

// Request is one HTTP request, which is parsed once, so that routing, authorization and
// storage all see the same bucket and key.
type Request struct {
	HTTP       *http.Request
	ID, HostID string
	// when its headers had arrived or, if the document identifies the sender, when the
	// document had arrived
	At                time.Time
	Now               func() time.Time // the clock
	Bound             Bound            // of the body; nil if there is none
	Peer              netip.Addr
	Loopback          bool // the listener and the peer are both on loopback
	InProcess         bool // a service of this server made it; it has no connection and no peer
	Secure            bool // of a request in process: it counts as sent over TLS
	Service           *Service
	Region            string // region of this endpoint; "" if it is not known
	HomeRegion        string // another region for which it may be signed, or ""
	RawPath, RawQuery string // the request target, split once, as received
	Subdomain         string // the part of the Host before a domain of this endpoint; "" if there is none
	Bucket, Key       string // decoded once, never normalised; empty in requests to services without buckets
	Query             []Param
	Form              []Param // parameters of a request in the Query dialect
	Document          []byte  // the body, if it was read already

	// Claimed is the sender according to the request, unverified. Only the audit log may use
	// it. SourceARN is the distribution for which an edge on another machine sends it.
	Claimed struct{ AccessKeyID, Method, SourceARN string }

	// Fields of a POST form replace the headers of the request, which are then ignored; nil
	// if there is no form.
	Fields http.Header

	initials Initials  // of its headers
	values   []string  // see Value
	few      [2]string // memory for the first of them
	first    [1]byte   // room for ReadDocument
}

// Value returns a value for the header of the response. Several of them share memory.
func (r *Request) Value(v string) []string {
	const many = 16
	switch {
	case r.values == nil: // responses whose header is in lines have hardly any
		r.values = r.few[:0]
	case len(r.values) == cap(r.values):
		r.values = make([]string, 0, many)
	}
	r.values = append(r.values, v)
	n := len(r.values)
	return r.values[n-1 : n : n]
}

// Bound stops the reading of a request's body at a time; the zero time means never. The
// server's bodies implement it: a document must arrive completely within a certain time, so
// that no client can delay a decision.
type Bound interface{ EndBy(time.Time) }

// Arrive sets the request's time to now.
func (r *Request) Arrive() {
	if r.Now != nil {
		r.At = r.Now()
	}
}

// Service has the properties of a service from its table. It is shared and must not be modified.
type Service struct {
	Name        string // name of the table: "s3", "s3control"
	SigningName string // name in the credential scope, and in the audit log: "s3" for both
	// HomeRegion is the region for which requests to a global service are signed, wherever
	// its endpoint is (AWS General Reference, "Global endpoints"); "" for a regional
	// service.
	HomeRegion string
	Rules      sigv4.Rules // rules of its signatures
}

// Param is one query parameter, decoded.
type Param struct{ Name, Value string }

// Options are what parsing depends on.
type Options struct {
	Domains []string // base domains of virtual-hosted buckets
	Region  string
	Now     func() time.Time // the clock; if it is nil, the time does not advance
}

// Limits of a request.
const (
	maxHeaders = 8 << 10 // bytes
	maxParams  = 200
)
