package protocol

import (
	"crypto/rand"
	"encoding/base64"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"time"
	"unicode/utf8"

	"watertight/internal/fault"
)

// Parse parses a request: its headers, its target and its query. The service is not known
// yet; its dialect parses the rest. The errors of Parse are sent to the client; Unparsed
// returns the request for such a response.
func Parse(hr *http.Request, o Options, id string, at time.Time) (*Request, error) {
	r := Unparsed(hr, id, at)
	r.Region, r.Now = o.Region, o.Now
	if err := readHeaders(hr); err != nil {
		return nil, err
	}
	var ok bool
	if r.RawPath, r.RawQuery, ok = splitTarget(hr); !ok {
		return nil, InvalidURI()
	}
	var err error
	if r.Query, err = parseQuery(r.RawQuery); err != nil {
		return nil, err
	}
	r.Subdomain = subdomain(hr.Host, o.Domains)
	return r, nil
}

// Unparsed returns a request of which only the connection is known.
func Unparsed(hr *http.Request, id string, at time.Time) *Request {
	r := &Request{HTTP: hr, ID: id, HostID: hostID(id), At: at}
	if host, _, err := net.SplitHostPort(hr.RemoteAddr); err == nil {
		if a, err := netip.ParseAddr(host); err == nil {
			r.Peer = a.Unmap()
		}
	}
	if local, ok := hr.Context().Value(http.LocalAddrContextKey).(*net.TCPAddr); ok {
		r.Loopback = local.IP.IsLoopback() && r.Peer.IsLoopback()
	}
	return r
}

// NewRequestID returns 16 upper-case letters and digits.
func NewRequestID() string {
	const alphabet = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
	var b [16]byte
	rand.Read(b[:])
	for i := range b {
		b[i] = alphabet[b[i]&31]
	}
	return string(b[:])
}

// hostID returns the opaque second id of a request.
func hostID(id string) string {
	var twice [32]byte
	var text [44]byte
	return string(base64.StdEncoding.AppendEncode(text[:0], append(append(twice[:0], id...), id...)))
}

// InvalidURI is the error for a target that can't be decoded.
func InvalidURI() *fault.Error {
	return fault.Of(fault.InvalidURI)
}

// splitTarget splits the request target into path and query. The target may be in absolute
// form (RFC 9112, 3.2.2): some clients use this endpoint as a proxy for its own names.
func splitTarget(hr *http.Request) (path, query string, ok bool) {
	target := hr.RequestURI
	if target == "" { // the request did not come from the network
		target = hr.URL.RequestURI()
	}
	if !strings.HasPrefix(target, "/") {
		_, rest, found := strings.Cut(target, "://")
		if !found {
			return "", "", false
		}
		i := strings.IndexAny(rest, "/?")
		if i < 0 {
			return "/", "", true
		}
		target = rest[i:]
	}
	path, query, _ = strings.Cut(target, "?")
	if path == "" {
		path = "/"
	}
	return path, query, true
}

// subdomain returns the part of a Host of the form name.domain[:port] before one of the
// domains, or "".
func subdomain(host string, domains []string) string {
	if len(domains) == 0 {
		return ""
	}
	if h, _, err := net.SplitHostPort(host); err == nil {
		host = h
	}
	host = strings.ToLower(strings.TrimSuffix(host, ".")) // the name may end with the root of DNS
	for _, d := range domains {
		if name, ok := strings.CutSuffix(host, "."+strings.ToLower(d)); ok && name != "" {
			return name
		}
	}
	return ""
}

// Unescape decodes percent escapes, and + as a space, both in paths and in queries, as S3
// does when it reads and signs them.
func Unescape(s string) (string, bool) {
	if strings.IndexByte(s, '%') < 0 && strings.IndexByte(s, '+') < 0 {
		return s, true
	}
	b := make([]byte, 0, len(s))
	for i := 0; i < len(s); i++ {
		if s[i] != '%' {
			c := s[i]
			if c == '+' {
				c = ' '
			}
			b = append(b, c)
			continue
		}
		if i+2 >= len(s) {
			return "", false
		}
		hi, lo := unhex(s[i+1]), unhex(s[i+2])
		if hi < 0 || lo < 0 {
			return "", false
		}
		b = append(b, byte(hi<<4|lo))
		i += 2
	}
	return string(b), true
}

func unhex(c byte) int {
	switch {
	case c >= '0' && c <= '9':
		return int(c - '0')
	case c >= 'a' && c <= 'f':
		return int(c-'a') + 10
	case c >= 'A' && c <= 'F':
		return int(c-'A') + 10
	}
	return -1
}

func parseQuery(raw string) ([]Param, error) {
	if raw == "" {
		return nil, nil
	}
	return ParseParams(raw, maxParams)
}

// ParseParams decodes a query or a form with at most limit parameters. Errors:
// InvalidArgument, InvalidURI.
func ParseParams(raw string, limit int) ([]Param, error) {
	n := strings.Count(raw, "&") + 1
	if n > limit {
		return nil, fault.New(fault.InvalidArgument, "Too many query parameters.")
	}
	params := make([]Param, 0, n)
	for part := range strings.SplitSeq(raw, "&") {
		if part == "" {
			continue
		}
		name, value, _ := strings.Cut(part, "=")
		var p Param
		var ok, ok2 bool
		p.Name, ok = Unescape(name)
		p.Value, ok2 = Unescape(value)
		if !ok || !ok2 || !utf8.ValidString(p.Name) || !utf8.ValidString(p.Value) {
			return nil, InvalidURI()
		}
		params = append(params, p)
	}
	return params, nil
}

// Param returns the first value of a parameter.
func (r *Request) Param(name string) (string, bool) {
	for i := range r.Query {
		if r.Query[i].Name == name {
			return r.Query[i].Value, true
		}
	}
	return "", false
}

// Scope returns the service that the credential scope names, or "". The scope is not verified yet.
func (r *Request) Scope() string {
	credential, _ := r.Param("X-Amz-Credential")
	if a := r.HTTP.Header.Get("Authorization"); a != "" {
		_, rest, _ := strings.Cut(a, "Credential=")
		credential, _, _ = strings.Cut(rest, ",")
	}
	credential = strings.TrimSpace(credential)
	if strings.Count(credential, "/") < 4 {
		return ""
	}
	credential = credential[:strings.LastIndexByte(credential, '/')]
	return credential[strings.LastIndexByte(credential, '/')+1:]
}

// HasSignature reports whether a request has a signature. The signature is not verified yet.
func (r *Request) HasSignature() bool {
	_, query := r.Param("X-Amz-Signature")
	return query || r.HTTP.Header.Get("Authorization") != ""
}
