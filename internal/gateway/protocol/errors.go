package protocol

import (
	"net/http"
	"strconv"

	"watertight/internal/gateway/sigv4"
)

// CommonHeaders sets the headers that every response has.
func CommonHeaders(w http.ResponseWriter, r *Request) {
	h := w.Header()
	h["x-amz-request-id"] = r.Value(r.ID)
	h["x-amz-id-2"] = r.Value(r.HostID)
	h["Server"] = r.Value("Watertight")
	if r.Service != nil && r.Service.Rules != sigv4.S3Rules {
		h["x-amzn-RequestId"] = r.Value(r.ID) // SDKs of all services but S3 expect the id in this header
	}
}

// WritePage writes an error page.
func WritePage(w http.ResponseWriter, status int, contentType string, page []byte) {
	h := w.Header()
	h.Set("Content-Type", contentType)
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Content-Length", strconv.Itoa(len(page)))
	w.WriteHeader(status)
	w.Write(page) // a client that disconnected needs no answer
}
