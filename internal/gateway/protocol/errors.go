package protocol

import (
	"net/http"
	"strconv"

	"watertight/internal/gateway/sigv4"
)

// CommonHeaders sets what every answer carries.
func CommonHeaders(w http.ResponseWriter, r *Request) {
	h := w.Header()
	h["x-amz-request-id"] = []string{r.ID}
	h["x-amz-id-2"] = []string{r.HostID}
	if r.Service != nil && r.Service.Rules != sigv4.S3Rules {
		h["x-amzn-RequestId"] = []string{r.ID} // where SDKs of all services but S3 look for it
	}
	h["Server"] = []string{"Watertight"}
}

// WritePage writes an error page.
func WritePage(w http.ResponseWriter, status int, contentType string, page []byte) {
	h := w.Header()
	h.Set("Content-Type", contentType)
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Content-Length", strconv.Itoa(len(page)))
	w.WriteHeader(status)
	w.Write(page) // a client that is gone needs no answer
}
