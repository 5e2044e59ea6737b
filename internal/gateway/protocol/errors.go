package protocol

import (
	"net/http"
	"strconv"

	"watertight/internal/gateway/sigv4"
)

// CommonHeaders sets the headers that every response has.
func CommonHeaders(w http.ResponseWriter, r *Request) {
	h := w.Header()
	values := []string{r.ID, r.HostID, "Watertight"} // one allocation
	h["x-amz-request-id"] = values[0:1:1]
	h["x-amz-id-2"] = values[1:2:2]
	h["Server"] = values[2:3:3]
	if r.Service != nil && r.Service.Rules != sigv4.S3Rules {
		h["x-amzn-RequestId"] = []string{r.ID} // SDKs of all services but S3 expect the id in this header
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
