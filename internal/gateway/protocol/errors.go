package protocol

import (
	"maps"
	"net/http"
	"slices"
	"strconv"

	"watertight/internal/fault"
)

// CommonHeaders sets what every answer carries.
func CommonHeaders(w http.ResponseWriter, r *Request) {
	h := w.Header()
	h["x-amz-request-id"] = []string{r.ID}
	h["x-amz-id-2"] = []string{r.HostID}
	if r.Service != "s3" && r.Service != Control {
		h["x-amzn-RequestId"] = []string{r.ID} // where SDKs look for it
	}
	h["Server"] = []string{"Watertight"}
}

// WriteError writes an error document: code, message and members, never the
// wrapped cause (S3 API reference, "Error responses"). HEAD and 304 have no body.
func WriteError(w http.ResponseWriter, r *Request, f *fault.Error) {
	if api, ok := queryService(r.Service); ok {
		writeQueryError(w, r, api, f)
		return
	}
	if !here(r.Service) {
		writeForeignError(w, r, f)
		return
	}
	h := w.Header()
	for name, value := range f.Headers {
		if printable(value) {
			h[name] = []string{value}
		}
	}
	if r.Bucket != "" && r.Region != "" && f.Code != fault.NoSuchBucket {
		// All that a failed HEAD can tell a client that signed for another region. Every
		// bucket here is of one region, so that it tells nothing of which exist.
		h["x-amz-bucket-region"] = []string{r.Region}
	}
	status := f.Kind.Status()
	if r.HTTP.Method == http.MethodHead || status == http.StatusNotModified {
		h.Del("Content-Length")
		w.WriteHeader(status)
		return
	}
	b := make([]byte, 0, 512)
	b = append(b, `<?xml version="1.0" encoding="UTF-8"?>`+"\n"...)
	end := "</Error>"
	if r.Service == Control {
		b, end = append(b, "<ErrorResponse>"...), end+"<RequestId>"+r.ID+"</RequestId></ErrorResponse>"
	}
	b = append(b, "<Error>"...)
	b = appendMember(b, "Code", string(f.Code))
	b = appendMember(b, "Message", f.Message)
	if f.Resource != "" {
		b = appendMember(b, "Resource", f.Resource)
	}
	for _, name := range slices.Sorted(maps.Keys(f.Members)) {
		b = appendMember(b, name, f.Members[name])
	}
	b = appendMember(b, "RequestId", r.ID)
	b = appendMember(b, "HostId", r.HostID)
	b = append(b, end...)
	h.Set("Content-Type", "application/xml")
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Content-Length", strconv.Itoa(len(b)))
	w.WriteHeader(status)
	w.Write(b) // a client that is gone needs no answer
}

func appendMember(b []byte, name, value string) []byte {
	b = append(append(append(b, '<'), name...), '>')
	b = appendText(b, value)
	return append(append(append(b, "</"...), name...), '>')
}
