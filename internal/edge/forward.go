package edge

import (
	"crypto/sha256"
	"encoding/binary"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"watertight/internal/edge/signed"
)

// asked is the part of a viewer's request that reaches the origin. The cache key is computed
// from this alone, so that an answer can't depend on anything that is not in its key.
type asked struct {
	method     string
	target     target
	header     http.Header // by canonical names
	authorized bool        // header has the viewer's own Authorization
	// shared is false if the viewer's Authorization is forwarded although the cache policy does
	// not name it, or if a bucket gets a presigned URL, whose signature ends while its answer is
	// fresh. The answer is then for this viewer alone.
	shared bool
}

// viewed is what a viewer sent, as far as it may be forwarded.
type viewed struct {
	method  string
	target  target
	host    string
	header  http.Header
	about   func(name string) string // values of CloudFront's headers about the viewer; "" is none
	pass    bool                     // the answer is not cached: conditions and ranges are forwarded
	content bool                     // the request may have a body
}

// forward selects the parts of a viewer's request that are sent to the origin.
func (b *behavior) forward(v *viewed) asked {
	a := asked{method: v.method, header: http.Header{}}
	a.target = target{path: v.target.path, query: b.query(v.target.query)}
	if !b.keyed.headers.none() || !b.more.headers.none() || v.pass || v.content { // else takes is always false
		for name, values := range v.header {
			if b.takes(strings.ToLower(name), v) {
				a.header[name] = values
			}
		}
	}
	if b.gzip || b.brotli {
		if e := b.encodings(v.header["Accept-Encoding"]); e != "" {
			a.header["Accept-Encoding"] = []string{e}
		}
	}
	if c := b.cookies(v.header["Cookie"]); c != "" {
		a.header["Cookie"] = []string{c}
	}
	if by, _ := b.forwards("host"); by && !b.s3 {
		a.header["Host"] = []string{v.host}
	}
	for _, name := range b.cloudFront {
		if value := v.about(name); value != "" {
			a.header[http.CanonicalHeaderKey(name)] = []string{value}
		}
	}
	_, a.authorized = a.header["Authorization"]
	a.shared = (!a.authorized || b.keyed.headers.has("authorization")) && !(b.s3 && presigned(a.target.query))
	for _, h := range b.origin.CustomHeaders.Items {
		name := http.CanonicalHeaderKey(h.HeaderName)
		a.header[name] = []string{h.HeaderValue}
		a.authorized = a.authorized && name != "Authorization"
	}
	return a
}

// takes reports whether a header of the viewer is forwarded. The name is in lower case.
func (b *behavior) takes(name string, v *viewed) bool {
	by, byName := b.forwards(name)
	switch {
	case isEdges(name):
		return false
	case name == "authorization":
		// A viewer's signature reaches a bucket only if origin access control does not override
		// it.
		return (by || v.content) && !(b.s3 && b.overrides)
	case strings.HasPrefix(name, "x-amz-"):
		return byName && !(b.s3 && b.overrides && name == "x-amz-security-token")
	case isCondition(name):
		return v.pass
	case v.content && isContent(name):
		return true
	case name == "accept-encoding" && (b.gzip || b.brotli):
		return false
	}
	return by
}

// isEdges reports whether a header is never taken from a viewer: it belongs to the connection,
// the edge sets it, or it could make an origin see a different request from the one that the
// edge checked. Sources: RFC 9110, section 7.6.1; "HTTP request headers and CloudFront
// behavior" in the developer guide.
func isEdges(name string) bool {
	for _, prefix := range []string{"proxy-", "x-amz-cf-", "x-edge-", "x-watertight-", "cloudfront-", "x-forwarded-"} {
		if strings.HasPrefix(name, prefix) {
			return true
		}
	}
	switch name {
	case "connection", "keep-alive", "te", "trailer", "transfer-encoding", "upgrade", "http2-settings",
		"host", "cookie", "expect", "content-length", "via", "max-forwards", "forwarded", "x-real-ip",
		"x-http-method-override", "x-http-method", "x-method-override":
		return true
	}
	return false
}

// isCondition reports whether a header makes a request conditional, or one for a part.
func isCondition(name string) bool {
	switch name {
	case "if-match", "if-none-match", "if-modified-since", "if-unmodified-since", "if-range", "range":
		return true
	}
	return false
}

// isContent reports whether a header describes the body of a request.
func isContent(name string) bool {
	switch name {
	case "content-type", "content-md5", "content-encoding", "content-language", "content-disposition":
		return true
	}
	return false
}

// query returns the parameters that are forwarded, unchanged and in the viewer's order. Names
// are compared after they are unescaped, because an origin unescapes them.
func (b *behavior) query(query string) string {
	keyed, more := &b.keyed.queries, &b.more.queries
	if query == "" || keyed.none() && more.none() {
		return ""
	}
	if keyed.others && len(keyed.listed) == 0 || more.others && len(more.listed) == 0 {
		return query
	}
	var kept []string
	for part := range strings.SplitSeq(query, "&") {
		name, _, _ := strings.Cut(part, "=")
		if n, err := url.QueryUnescape(name); err == nil {
			name = n
		}
		if name != "" && (keyed.has(name) || more.has(name)) {
			kept = append(kept, part)
		}
	}
	return strings.Join(kept, "&")
}

// presigned reports whether a query has a signature of S3.
func presigned(query string) bool {
	if query == "" {
		return false
	}
	for part := range strings.SplitSeq(query, "&") {
		name, _, _ := strings.Cut(part, "=")
		if n, err := url.QueryUnescape(name); err == nil {
			name = n
		}
		switch strings.ToLower(name) {
		case "x-amz-signature", "x-amz-algorithm", "x-amz-credential", "awsaccesskeyid":
			return true
		}
	}
	return false
}

// cookies returns the cookies that are forwarded, in the order in which they were sent.
func (b *behavior) cookies(headers []string) string {
	keyed, more := &b.keyed.cookies, &b.more.cookies
	if len(headers) == 0 || keyed.none() && more.none() {
		return ""
	}
	var kept []string
	for _, header := range headers {
		for part := range strings.SplitSeq(header, ";") {
			part = strings.Trim(part, " \t")
			name, _, _ := strings.Cut(part, "=")
			name = strings.TrimRight(name, " \t")
			if name == "" || b.restricted && signed.ReservedCookie(name) {
				continue
			}
			if keyed.has(name) || more.has(name) {
				kept = append(kept, part)
			}
		}
	}
	return strings.Join(kept, "; ")
}

// encodings normalizes Accept-Encoding to what CloudFront sends: "br,gzip", "br", "gzip" or
// nothing.
func (b *behavior) encodings(headers []string) string {
	var gzip, brotli bool
	for _, header := range headers {
		for part := range strings.SplitSeq(header, ",") {
			name, parameters, _ := strings.Cut(part, ";")
			switch strings.ToLower(strings.TrimSpace(name)) {
			case "gzip":
				gzip = b.gzip && !isZero(parameters)
			case "br":
				brotli = b.brotli && !isZero(parameters)
			}
		}
	}
	switch {
	case brotli && gzip:
		return "br,gzip"
	case brotli:
		return "br"
	case gzip:
		return "gzip"
	}
	return ""
}

// isZero reports whether the parameters of an encoding have a weight of zero.
func isZero(parameters string) bool {
	for p := range strings.SplitSeq(parameters, ";") {
		name, value, _ := strings.Cut(strings.TrimSpace(p), "=")
		if strings.EqualFold(strings.TrimSpace(name), "q") {
			value = strings.TrimSpace(value)
			return value != "" && strings.Trim(value, "0.") == ""
		}
	}
	return false
}

// key returns the cache key: a hash of everything that the origin is asked, and of the
// behaviour's configuration. GET and HEAD have one key.
func (b *behavior) key(a *asked) [sha256.Size]byte {
	method := a.method
	if method == http.MethodHead {
		method = http.MethodGet
	}
	text := make([]byte, 0, 512)
	text = append(text, b.print[:]...)
	for _, s := range []string{b.site.ID, method, a.target.path, a.target.query} {
		text = appendText(text, s)
	}
	names := make([]string, 0, len(a.header))
	for name := range a.header {
		names = append(names, name)
	}
	slices.Sort(names)
	for _, name := range names {
		text = appendText(text, name)
		text = binary.AppendUvarint(text, uint64(len(a.header[name])))
		for _, value := range a.header[name] {
			text = appendText(text, value)
		}
	}
	return sha256.Sum256(text)
}

// appendText appends a string so that no two lists of strings have the same bytes.
func appendText(to []byte, s string) []byte {
	return append(binary.AppendUvarint(to, uint64(len(s))), s...)
}
