package protocol

import (
	"iter"
	"net/http"
	"net/textproto"

	"watertight/internal/gateway/sigv4"
)

// CommonHeaders sets the headers that every response has.
func CommonHeaders(w http.ResponseWriter, r *Request) {
	h := w.Header()
	for name, value := range r.common() {
		h[name] = r.Value(value)
	}
}

// common yields the headers that every response to r has.
func (r *Request) common() iter.Seq2[string, string] {
	return func(yield func(string, string) bool) {
		if !yield("x-amz-request-id", r.ID) || !yield("x-amz-id-2", r.HostID) || !yield("Server", "Watertight") {
			return
		}
		if r.Service != nil && r.Service.Rules != sigv4.S3Rules {
			yield("x-amzn-RequestId", r.ID) // SDKs of all services but S3 expect the id in this header
		}
	}
}

// LineWriter is a ResponseWriter that also sends header lines as they are, which spares net/http
// copying and sorting them. Each line ends with CRLF, and none is about the body or the connection.
// They are not changed any more. AddLines reports false if it can't for this response.
type LineWriter interface {
	http.ResponseWriter
	AddLines(shared, own []byte) bool
}

// Head is the header of a response while it is made: lines if the ResponseWriter takes them, and
// the http.Header otherwise.
type Head struct {
	w     http.ResponseWriter
	to    LineWriter // or nil
	r     *Request
	lines []byte
}

// usualLines is as many bytes as the lines of most responses have.
const usualLines = 512

// NewHead returns the header of a response with the headers that every response has.
func NewHead(w http.ResponseWriter, r *Request, lines bool) Head {
	if to, ok := w.(LineWriter); ok && lines && to.AddLines(nil, nil) {
		h := Head{w: w, to: to, r: r, lines: make([]byte, 0, usualLines)}
		for name, value := range r.common() {
			h.Add(name, value)
		}
		return h
	}
	CommonHeaders(w, r)
	return Head{w: w, r: r}
}

// Header returns the http.Header, for what can't be a line.
func (h *Head) Header() http.Header { return h.w.Header() }

// Add adds a header that is not about the body or the connection. Its value is printable.
func (h *Head) Add(name, value string) {
	if h.to == nil {
		h.w.Header()[name] = h.r.Value(value)
		return
	}
	h.lines = append(append(append(h.lines, name...), ": "...), textproto.TrimString(value)...)
	h.lines = append(h.lines, "\r\n"...)
}

// AddAboutBody adds a header for which AboutBody is true. A response to HEAD has no body, so net/http need not look
// at it.
func (h *Head) AddAboutBody(name, value string) {
	if h.to != nil && h.r.HTTP.Method == http.MethodHead {
		h.Add(name, value)
		return
	}
	h.w.Header()[name] = h.r.Value(value)
}

// Close hands the header over. It is called before the status is written.
func (h *Head) Close() {
	if h.to != nil {
		h.to.AddLines(nil, h.lines)
	}
}

// AboutBody reports whether net/http looks at a header, by its canonical name, to send the body.
func AboutBody(name string) bool {
	switch name {
	case "Content-Length", "Content-Type", "Content-Encoding", "Transfer-Encoding", "Trailer", "Connection", "Date":
		return true
	}
	return false
}
