package rest

import (
	"maps"
	"net/http"
	"slices"

	"watertight/internal/fault"
	"watertight/internal/gateway/dialect/xmldoc"
	"watertight/internal/gateway/protocol"
)

// WriteError implements dialect.Dialect.
func (s *service) WriteError(w http.ResponseWriter, r *protocol.Request, f *fault.Error) {
	writeError(w, r, f, s.accounts)
}

// WriteError writes an error page of S3 (S3 API reference, "Error responses"). Responses to
// HEAD and 304 have no body.
func WriteError(w http.ResponseWriter, r *protocol.Request, f *fault.Error) {
	writeError(w, r, f, false)
}

func writeError(w http.ResponseWriter, r *protocol.Request, f *fault.Error, accounts bool) {
	h := w.Header()
	for name, value := range f.Headers {
		if protocol.Printable(value) {
			h[name] = []string{value}
		}
	}
	unshared(h, r)
	if r.Bucket != "" && r.Region != "" && f.Code != fault.NoSuchBucket {
		// The response to a failed HEAD has nothing else for a client that signed for
		// another region. All buckets of this server are in one region, so the header does
		// not disclose which exist.
		h["x-amz-bucket-region"] = []string{r.Region}
	}
	status := f.Kind.Status()
	if r.HTTP.Method == http.MethodHead || status == http.StatusNotModified {
		h.Del("Content-Length")
		w.WriteHeader(status)
		return
	}
	b := make([]byte, 0, 512)
	b = append(b, xmldoc.Declaration...)
	end := "</Error>"
	if accounts {
		b, end = append(b, "<ErrorResponse>"...), end+"<RequestId>"+r.ID+"</RequestId></ErrorResponse>"
	}
	b = append(b, "<Error>"...)
	b = xmldoc.AppendMember(b, "Code", string(f.Code))
	b = xmldoc.AppendMember(b, "Message", f.Message)
	if f.Resource != "" {
		b = xmldoc.AppendMember(b, "Resource", f.Resource)
	}
	for _, name := range slices.Sorted(maps.Keys(f.Members)) {
		b = xmldoc.AppendMember(b, name, f.Members[name])
	}
	b = xmldoc.AppendMember(b, "RequestId", r.ID)
	b = xmldoc.AppendMember(b, "HostId", r.HostID)
	b = append(b, end...)
	protocol.WritePage(w, status, "application/xml", b)
}
