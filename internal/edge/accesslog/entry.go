// Package accesslog makes CloudFront's standard access logs: what a distribution's viewers
// asked for, and what they got. It exists so that all lines have one form and are held in
// bounded memory until they are delivered. It must never know how a file is put into its
// bucket, and must never write one to a disk.
package accesslog

import (
	"net/netip"
	"time"

	"watertight/internal/core/distribution"
)

// Entry is one request of a viewer and its answer.
type Entry struct {
	Site     *distribution.Site
	Began    time.Time
	Location string // code of the edge
	ID       string // X-Amz-Cf-Id of the answer

	Viewer    netip.AddrPort
	Forwarded string // X-Forwarded-For of the viewer
	Host      string // of the request
	Method    string
	Path      string // escaped
	Query     string // escaped
	Referer   string
	UserAgent string
	Cookies   string
	Protocol  string // http or https
	Version   string // HTTP/1.1
	TLS       string // version, or ""
	Cipher    string
	Received  int64 // bytes of header and body

	Status    int
	Sent      int64 // bytes of header and body
	Result    string
	Answered  string // the result before the answer was sent
	Detail    string
	First     time.Duration // to the first byte
	Taken     time.Duration
	Type      string // Content-Type
	Length    string // Content-Length, or ""
	RangeFrom string
	RangeTo   string
}
