package harness

import (
	"io"
	"net/http"
)

// SDK returns an HTTP client for the AWS SDKs on top of next.
//
// The SDK closes a request's body as soon as the response's headers are there. If net/http then still asks the
// body for what is left, the SDK's WriteTo answers io.EOF as an error, and net/http closes a connection whose
// response was not read yet. Bodies without WriteTo are read with Read, which has no such race.
func SDK(next http.RoundTripper) *http.Client { return &http.Client{Transport: readOnly{next}} }

type readOnly struct{ next http.RoundTripper }

// RoundTrip sends the request with a body that has no WriteTo.
func (t readOnly) RoundTrip(r *http.Request) (*http.Response, error) {
	if r.Body == nil || r.Body == http.NoBody {
		return t.next.RoundTrip(r)
	}
	r = r.Clone(r.Context())
	r.Body = struct{ io.ReadCloser }{r.Body}
	return t.next.RoundTrip(r)
}

// CloseIdleConnections is called by http.Client.CloseIdleConnections.
func (t readOnly) CloseIdleConnections() {
	if c, ok := t.next.(interface{ CloseIdleConnections() }); ok {
		c.CloseIdleConnections()
	}
}
