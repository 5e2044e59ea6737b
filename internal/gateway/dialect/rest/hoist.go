package rest

import (
	"net/http"
	"strings"

	"watertight/internal/fault"
	"watertight/internal/gateway/protocol"
	"watertight/internal/gateway/sigv4"
)

// hoisted returns an x-amz-* header that a presigned URL has as a parameter. A checksum in
// a URL is that of the body that the SDK knew when it signed, which was empty. S3 ignores
// it, unless the URL names that header among the signed ones.
func hoisted(r *protocol.Request, name string) (string, bool) {
	if !protocol.IsAmzHeader(name) || !presigned(r) {
		return "", false
	}
	for _, p := range r.Query {
		if strings.EqualFold(p.Name, name) {
			return p.Value, !isSum(p.Name) || binds(r, p.Name)
		}
	}
	return "", false
}

// isSum reports whether a header is a checksum of the body, or its algorithm.
func isSum(name string) bool {
	switch name = strings.ToLower(name); name {
	case "x-amz-sdk-checksum-algorithm":
		return true
	case "x-amz-checksum-algorithm", "x-amz-checksum-type", "x-amz-checksum-mode":
		return false
	}
	return strings.HasPrefix(name, "x-amz-checksum-")
}

// binds reports whether a presigned URL names a header among the signed ones.
func binds(r *protocol.Request, name string) bool {
	list, _ := r.Param("X-Amz-SignedHeaders")
	for signed := range strings.SplitSeq(list, ";") {
		if strings.EqualFold(signed, name) {
			return true
		}
	}
	return false
}

func presigned(r *protocol.Request) bool {
	_, ok := r.Param("X-Amz-Signature")
	return ok && r.Fields == nil
}

// checkHoisted refuses a presigned URL with a parameter that differs from the header of the
// same name.
func checkHoisted(r *protocol.Request) error {
	if !presigned(r) {
		return nil
	}
	for _, p := range r.Query {
		if !protocol.IsAmzHeader(p.Name) {
			continue
		}
		sent := r.HTTP.Header[http.CanonicalHeaderKey(p.Name)]
		if len(sent) > 0 && !isSum(p.Name) && sent[0] != sigv4.Canonical(p.Value) {
			return fault.New(fault.InvalidArgument, "A header and a query parameter of its name differ.").
				With("ArgumentName", strings.ToLower(p.Name))
		}
	}
	return nil
}
