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
	if err := r.Parse(o); err != nil {
		return nil, err
	}
	return r, nil
}

// Parse is the package's Parse for a request that was opened.
func (r *Request) Parse(o Options) error {
	r.Region, r.Now = o.Region, o.Now
	if err := r.readHeaders(); err != nil {
		return err
	}
	var ok bool
	if r.RawPath, r.RawQuery, ok = splitTarget(r.HTTP); !ok {
		return InvalidURI()
	}
	var err error
	if r.Query, err = parseQuery(r.RawQuery); err != nil {
		return err
	}
	r.Subdomain = subdomain(r.HTTP.Host, o.Domains)
	return nil
}

// Unparsed returns a request of which only the connection is known.
func Unparsed(hr *http.Request, id string, at time.Time) *Request {
	r := &Request{}
	r.open(hr, at, id, string(appendHostID(nil, id)))
	return r
}

// Open sets what is known before a request is parsed: its connection, its time and its ids,
// which are new.
func (r *Request) Open(hr *http.Request, at time.Time) {
	var room [requestIDSize + hostIDSize]byte
	id := appendRequestID(room[:0])
	both := string(appendHostID(id, string(id))) // one allocation
	r.open(hr, at, both[:requestIDSize], both[requestIDSize:])
}

// Forget takes back whatever was found after Open, and sets the time.
func (r *Request) Forget(at time.Time) {
	*r = Request{
		HTTP: r.HTTP, At: at, ID: r.ID, HostID: r.HostID, Peer: r.Peer, Loopback: r.Loopback, initials: everyHeader,
	}
}

func (r *Request) open(hr *http.Request, at time.Time, id, hostID string) {
	r.HTTP, r.At, r.ID, r.HostID, r.initials = hr, at, id, hostID, everyHeader
	if host, _, err := net.SplitHostPort(hr.RemoteAddr); err == nil {
		if a, err := netip.ParseAddr(host); err == nil {
			r.Peer = a.Unmap()
		}
	}
	if local, ok := hr.Context().Value(http.LocalAddrContextKey).(*net.TCPAddr); ok {
		r.Loopback = local.IP.IsLoopback() && r.Peer.IsLoopback()
	}
}

// The sizes of the ids of a request, in bytes.
const (
	requestIDSize = 16
	hostIDSize    = 44
)

// NewRequestID returns 16 upper-case letters and digits.
func NewRequestID() string {
	var room [requestIDSize]byte
	return string(appendRequestID(room[:0]))
}

func appendRequestID(b []byte) []byte {
	const alphabet = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
	var id [requestIDSize]byte
	rand.Read(id[:])
	for _, n := range id {
		b = append(b, alphabet[n&31])
	}
	return b
}

// appendHostID appends the opaque second id of a request.
func appendHostID(b []byte, id string) []byte {
	var twice [2 * requestIDSize]byte
	return base64.StdEncoding.AppendEncode(b, append(append(twice[:0], id...), id...))
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
	if a := r.Header("Authorization"); a != "" {
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
	return query || r.Header("Authorization") != ""
}

// Header returns the first value of a header by its canonical name, or "".
func (r *Request) Header(name string) string {
	if v := r.HTTP.Header[name]; len(v) > 0 {
		return v[0]
	}
	return ""
}
