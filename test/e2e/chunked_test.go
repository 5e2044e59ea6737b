package e2e

import (
	"io"
	"strings"
	"testing"
)

// TestChunkedEndsTheConnection: a connection ends with a request whose body is chunked, accepted or not, because a
// proxy in front may have gone by a Content-Length that the request also has (RFC 9112, section 6.1).
func TestChunkedEndsTheConnection(t *testing.T) {
	s, _ := cdnServer(t)
	newBucket(t, s, "bkt")
	put(t, s, "bkt", "k", "content")
	chunked := func(r raw) string {
		return strings.Replace(onWire(t, s, r, "Content-Length"), "\r\n\r\n",
			"\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 1)
	}
	viewer := " / HTTP/1.1\r\nHost: " + cdnHost + "\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"
	for _, c := range []struct{ name, server, request, status string }{
		{"upload", s.Endpoint, chunked(raw{method: "PUT", target: "/bkt/new"}), "501"},
		{"presigned upload", s.Endpoint, chunked(raw{method: "PUT", target: "/bkt/new", presign: true}), "501"},
		{"read", s.Endpoint, chunked(raw{method: "GET", target: "/bkt/k"}), "200"},
		{"stranger", s.Endpoint, "DELETE /bkt/k" + viewer[2:], "403"},
		{"form", s.Endpoint, "POST / HTTP/1.1\r\nHost: h\r\nContent-Type: application/x-www-form-urlencoded\r\n" +
			"Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n", "4"},
		{"viewer", s.CDN(), "GET" + viewer, "4"},
		{"viewer's HEAD", s.CDN(), "HEAD" + viewer, "4"},
	} {
		t.Run(c.name, func(t *testing.T) {
			conn := connect(t, c.server, c.request+"GET /smuggled HTTP/1.1\r\nHost: h\r\n\r\n")
			got, err := io.ReadAll(conn) // ends when the server closes the connection
			if text := string(got); err != nil || !strings.HasPrefix(text, "HTTP/1.1 "+c.status) ||
				strings.Count(text, "HTTP/1.1 ") != 1 || !strings.Contains(text, "\r\nConnection: close\r\n") {
				t.Errorf("%v\n%s", err, got)
			}
		})
	}
}
