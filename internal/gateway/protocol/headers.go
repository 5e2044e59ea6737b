package protocol

import (
	"net/http"
	"strconv"
	"strings"

	"watertight/internal/fault"
	"watertight/internal/gateway/sigv4"
)

// readHeaders bounds the header section (S3 user guide, "Common request
// headers": 8 KB), keeps control characters out, and leaves every header as its
// signature covers it: once, and in canonical form. A signature joins what is
// repeated and takes runs of blanks for one, so that anything read as it came
// could be another thing than what was signed.
func readHeaders(hr *http.Request) error {
	total := 0
	for name, values := range hr.Header {
		if len(values) > 1 && single(name) {
			return repeatedHeader(name)
		}
		for i, v := range values {
			total += len(name) + len(v) + 4
			if !printable(v) {
				return fault.New(fault.InvalidArgument, "A header holds a control character.").With("ArgumentName", name)
			}
			if name == "Access-Control-Request-Headers" {
				continue // of preflights, which nobody signs
			}
			c := sigv4.Canonical(v)
			if c != v && name == copySource {
				// Blanks that nobody escaped may be part of the key that was meant.
				return fault.New(fault.InvalidArgument, "Blanks in a copy source must be URL-encoded.").With("ArgumentName", "x-amz-copy-source")
			}
			values[i] = c
		}
	}
	if total > maxHeaders {
		return fault.Of(fault.RequestHeaderSectionTooLarge).
			With("MaxSizeAllowed", strconv.Itoa(maxHeaders))
	}
	return nil
}

// single names, by canonical names, every header this endpoint gives a meaning
// to, but for lists whose members SDKs send one by one, and Authorization, which
// authn counts. Decode refuses whatever it finds repeated besides.
func single(name string) bool {
	switch name {
	case "X-Amz-Object-Attributes", "X-Amz-Optional-Object-Attributes":
		return false
	case "Content-Md5", "Content-Type", "Content-Length", "Content-Encoding", "Content-Disposition", "Content-Language", "Cache-Control", "Expires",
		"Range", "If-Match", "If-None-Match", "If-Modified-Since", "If-Unmodified-Since", "If-Range", "Date", "Host", "Expect",
		"Access-Control-Request-Method", "Referer", "User-Agent":
		return true
	}
	return strings.HasPrefix(name, "X-Amz-")
}

func repeatedHeader(name string) error {
	return fault.New(fault.InvalidArgument, "A header is repeated.").With("ArgumentName", strings.ToLower(name))
}

func printable(s string) bool {
	for i := range len(s) {
		if c := s[i]; c < ' ' && c != '\t' || c == 0x7f {
			return false
		}
	}
	return true
}

// hoisted finds an x-amz-* header that a presigned URL carries as a parameter.
// Such a checksum is of the body that the SDK knew when it signed, which is
// none; S3 ignores it, unless the URL binds whoever uses it to that header.
func (r *Request) hoisted(name string) (string, bool) {
	if !isHeader(name) || !r.presigned() {
		return "", false
	}
	for _, p := range r.Query {
		if strings.EqualFold(p.Name, name) {
			return p.Value, !isSum(p.Name) || r.binds(p.Name)
		}
	}
	return "", false
}

// isSum names the headers that say what a body is hashed to, and how.
func isSum(name string) bool {
	switch name = strings.ToLower(name); name {
	case "x-amz-sdk-checksum-algorithm":
		return true
	case "x-amz-checksum-algorithm", "x-amz-checksum-type", "x-amz-checksum-mode":
		return false
	}
	return strings.HasPrefix(name, "x-amz-checksum-")
}

// binds reports that a presigned URL names a header among those that it signs.
func (r *Request) binds(name string) bool {
	list, _ := r.Param("X-Amz-SignedHeaders")
	for signed := range strings.SplitSeq(list, ";") {
		if strings.EqualFold(signed, name) {
			return true
		}
	}
	return false
}

func (r *Request) presigned() bool {
	_, ok := r.Param("X-Amz-Signature")
	return ok && r.Fields == nil
}

// checkHoisted refuses a presigned URL that says one thing of a header whose
// value is another.
func (r *Request) checkHoisted() error {
	if !r.presigned() {
		return nil
	}
	for _, p := range r.Query {
		if !isHeader(p.Name) {
			continue
		}
		sent := r.HTTP.Header[http.CanonicalHeaderKey(p.Name)]
		if len(sent) > 0 && !isSum(p.Name) && sent[0] != sigv4.Canonical(p.Value) {
			return fault.New(fault.InvalidArgument, "A header and a query parameter of its name differ.").With("ArgumentName", strings.ToLower(p.Name))
		}
	}
	return nil
}
