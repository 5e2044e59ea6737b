package edge

import (
	"crypto/rand"
	"encoding/base64"
	"errors"
	"net"
	"net/http"
	"net/netip"
	"slices"
	"strings"
	"time"

	"watertight/internal/edge/origin"
	"watertight/internal/edge/signed"
)

// Limits of requests, in bytes. Source: "Quotas" in the developer guide.
const (
	maxURL     = 8192
	maxRequest = 20480
)

// exchange is one request of a viewer, while it is answered.
type exchange struct {
	e     *Edge
	r     *http.Request
	sent  http.Header // of the answer
	id    string      // X-Amz-Cf-Id
	began time.Time
	out   meter
	lines [3]string // values of headers that only this answer has
	text  [112]byte // or the lines of them

	viewer netip.Addr
	secure bool   // the viewer's request came over TLS
	bare   bool   // the listener only redirects
	host   string // name, in lower case
	local  bool   // by the path /_/ID/ on loopback
	target target // what the viewer sent, normalized; without the prefix if local

	site     *site
	behavior *behavior
	path     string // the path that is served: the default root object instead of the root
	query    string // without the parameters of a signature
}

// ServeHTTP implements http.Handler.
func (e *Edge) ServeHTTP(w http.ResponseWriter, r *http.Request) { e.serve(w, r, false) }

// OnlyRedirects returns the handler of a listener on which anybody on the way can read
// everything: it redirects to HTTPS what a distribution would serve, and refuses the rest.
func (e *Edge) OnlyRedirects() http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { e.serve(w, r, true) })
}

func (e *Edge) serve(w http.ResponseWriter, r *http.Request, bare bool) {
	x := &exchange{e: e, r: r, sent: w.Header(), bare: bare, id: newID(), began: e.options.Now()}
	x.viewer, x.secure = e.options.Viewer(r)
	x.out.ResponseWriter = w
	out := &x.out
	answer := x.answer()
	cut := x.send(out, answer)
	answer.close()
	x.count(out, answer, cut)
	if cut {
		panic(http.ErrAbortHandler) // so that the viewer notices that the body is incomplete
	}
}

// answer runs the steps in order. Each step may refuse the request.
func (x *exchange) answer() *reply {
	for _, step := range [...]func(*exchange) error{
		(*exchange).parse,    // one target, one host
		(*exchange).locate,   // the distribution
		(*exchange).channel,  // the version of TLS that it demands
		(*exchange).limit,    // sizes, and no body where it means nothing
		(*exchange).match,    // the behaviour
		(*exchange).protocol, // HTTPS where it is demanded
		(*exchange).method,
		(*exchange).verify, // signed access
	} {
		if err := step(x); err != nil {
			return x.instead(err)
		}
	}
	answer, err := x.fetch(x.behavior, x.path, x.query)
	if err != nil {
		return x.instead(err)
	}
	return x.custom(answer)
}

// instead returns the answer to an error: the distribution's own error page, or else the
// edge's.
func (x *exchange) instead(err error) *reply {
	r := (*refusal)(nil)
	if !errors.As(err, &r) {
		r = unreached(err)
	}
	if r.err != nil && x.r.Context().Err() == nil {
		// Package origin logs failures at a limited rate. This line is only for debugging,
		// because viewers could fill the log with it.
		x.e.options.Logger.Debug("an origin gave no answer", "distribution", x.site.ID, "err", r.err)
	}
	answer := x.refused(r)
	if r.mapped {
		return x.custom(answer)
	}
	return answer
}

// parse reads and normalizes the target and the host.
func (x *exchange) parse() error {
	raw, host := x.r.RequestURI, x.r.Host
	if len(raw) > 0 && raw[0] != '/' {
		// The absolute-form (RFC 9112, section 3.2.2): net/http took the host from it.
		scheme, rest, ok := strings.Cut(raw, "://")
		if secure := strings.EqualFold(scheme, "https"); !ok || !secure && !strings.EqualFold(scheme, "http") ||
			secure != (x.r.TLS != nil) {
			return badRequest("The target of the request is not one that can be served.")
		}
		end := strings.IndexAny(rest, "/?#")
		if end < 0 {
			end = len(rest)
		}
		if rest[:end] != host {
			return badRequest("The target of the request names another host.")
		}
		raw = rest[end:]
		if raw != "" && raw[0] == '?' {
			raw = "/" + raw
		}
	}
	if h, ok := x.r.Header["Host"]; ok && (len(h) != 1 || h[0] != host) {
		return badRequest("The request names two hosts.")
	}
	if origin.Loops(x.r.Header) {
		return refuse(http.StatusLoopDetected, "ClientRequestInvalid", "The request came through this network already.")
	}
	var ok bool
	if x.target, ok = parseTarget(raw); !ok {
		return badRequest("The path of the request can't be read.")
	}
	if x.host, ok = hostName(host); !ok {
		return badRequest("The host of the request can't be read.")
	}
	return nil
}

// localPrefix begins the paths by which a distribution can be tried on the machine itself.
const localPrefix = "/_/"

// locate finds the distribution by the local path on loopback, or by the host. On loopback,
// local paths come first, so that no distribution can answer those of another.
func (x *exchange) locate() error {
	served := x.e.served.Load()
	if rest, ok := strings.CutPrefix(x.target.path, localPrefix); ok && x.onLoopback() {
		id, path, _ := strings.Cut(rest, "/")
		if x.site = served.byID[id]; x.site != nil {
			x.local, x.target.path = true, "/"+path
			return nil
		}
	} else if x.site = served.find(x.host); x.site != nil {
		if t := x.r.TLS; t != nil && t.ServerName != "" && served.find(strings.ToLower(t.ServerName)) != x.site {
			return refuse(http.StatusMisdirectedRequest, "Error", "The connection is for another host.")
		}
		return nil
	}
	return refuse(http.StatusForbidden, "Error", "No distribution is configured for this host.")
}

// channel refuses a connection that the distribution does not accept. The handshake checks the
// server name, but the client may have sent none, or the connection may be older than the
// distribution's configuration.
func (x *exchange) channel() error {
	t := x.r.TLS
	if t == nil {
		return nil
	}
	if least, http2 := x.site.channel(); t.Version < least || x.r.ProtoMajor > 1 && !http2 {
		return refuse(http.StatusMisdirectedRequest, "Error", "The version of TLS or HTTP is not served.")
	}
	return nil
}

// onLoopback reports whether both ends of the connection are on this machine, the host is
// too, and no proxy passed the request on.
func (x *exchange) onLoopback() bool {
	local, _ := x.r.Context().Value(http.LocalAddrContextKey).(net.Addr)
	if local == nil || !isLoopback(local.String()) || !isLoopback(x.r.RemoteAddr) {
		return false
	}
	for _, name := range []string{"X-Forwarded-For", "X-Forwarded-Host", "Forwarded", "Via"} {
		if _, ok := x.r.Header[name]; ok {
			return false
		}
	}
	a, err := netip.ParseAddr(strings.Trim(x.host, "[]"))
	return x.host == "localhost" || err == nil && a.Unmap().IsLoopback()
}

func isLoopback(addr string) bool {
	p, err := netip.ParseAddrPort(addr)
	return err == nil && p.Addr().Unmap().IsLoopback()
}

// limit refuses a request that is too large, a body where the method has none, and a request
// that already came through this edge.
func (x *exchange) limit() error {
	r := x.r
	size := len(r.Method) + len(r.RequestURI) + len(r.Host)
	for name, values := range r.Header {
		for _, v := range values {
			size += len(name) + len(v) + 4
		}
	}
	if len(r.RequestURI) > maxURL || size > maxRequest {
		refused := refuse(http.StatusRequestEntityTooLarge, "LimitExceeded", "The request is too large.")
		refused.close = true
		return refused
	}
	if r.ContentLength != 0 && !hasContent(r.Method) && r.Method != http.MethodOptions {
		refused := refuse(http.StatusForbidden, "ClientRequestInvalid", "This method takes no body.")
		refused.close = true
		return refused
	}
	for _, v := range r.Header["Via"] {
		if strings.Contains(v, x.e.via) {
			return refuse(http.StatusForbidden, "Error", "The origin of this content is this server itself.")
		}
	}
	return nil
}

// hasContent reports whether a request of a method may have a body that the origin gets.
func hasContent(method string) bool {
	switch method {
	case http.MethodPut, http.MethodPost, http.MethodPatch, http.MethodDelete:
		return true
	}
	return false
}

// match finds the behaviour of the path that is served, so that the default root object has
// the behaviour of its own path.
func (x *exchange) match() error {
	x.path, x.query = x.site.root(x.target.path), x.target.query
	if x.behavior = x.site.behavior(x.path); x.behavior == nil {
		return badRequest("The path of the request may be read in two ways.")
	}
	return nil
}

// protocol applies the viewer protocol policy. The local path on loopback needs no TLS.
func (x *exchange) protocol() error {
	if x.secure && !x.bare || x.local {
		return nil
	}
	switch p := x.behavior.config.ViewerProtocolPolicy; {
	case p == "allow-all" && !x.bare:
		return nil
	case p == "redirect-to-https", p == "allow-all":
		return x.toHTTPS()
	}
	return refuse(http.StatusForbidden, "AccessDenied", "This content is served over HTTPS only.")
}

// toHTTPS redirects to the same URL over HTTPS.
func (x *exchange) toHTTPS() error {
	status := http.StatusTemporaryRedirect
	switch {
	case x.r.Method == http.MethodGet || x.r.Method == http.MethodHead:
		status = http.StatusMovedPermanently
	case !x.r.ProtoAtLeast(1, 1) || x.bare:
		return refuse(http.StatusForbidden, "AccessDenied", "This content is served over HTTPS only.")
	}
	r := refuse(status, "Redirect", "This content is served over HTTPS.")
	r.location = x.url("https")
	return r
}

// url is the URL of the request. Its host is one of the distribution's.
func (x *exchange) url(scheme string) string {
	u := scheme + "://" + x.host + x.target.path
	if x.target.query != "" {
		u += "?" + x.target.query
	}
	return u
}

// method refuses methods that the behaviour does not allow.
func (x *exchange) method() error {
	if slices.Contains(x.behavior.allowed, x.r.Method) {
		return nil
	}
	refused := refuse(http.StatusForbidden, "AccessDenied",
		"This distribution does not allow the method of the request.")
	refused.close = x.r.ContentLength != 0
	return refused
}

// verify demands a signature where the behaviour is restricted. It checks the normalized URL,
// because that is the one that is served.
func (x *exchange) verify() error {
	if !x.behavior.restricted {
		return nil
	}
	if !x.behavior.s3 && strings.Contains(x.path, "%5C") {
		// Some servers read a backslash as a slash, and so another path than the one that is signed.
		return badRequest("The path of the request may be read in two ways.")
	}
	scheme := "http"
	if x.secure {
		scheme = "https"
	}
	base := scheme + "://" + strings.ToLower(x.r.Host) + x.target.path
	if x.local {
		base = scheme + "://" + strings.ToLower(x.site.DomainName) + x.target.path
	}
	own, err := signed.Verify(signed.Request{
		Base: base, Query: x.target.query, Cookies: x.r.Header["Cookie"], Viewer: x.viewer, Now: x.began,
	}, x.behavior.keys)
	if err != nil {
		return unsigned(err)
	}
	x.query = own
	return nil
}

// newID returns an id in the form of CloudFront's.
func newID() string {
	var b [42]byte
	rand.Read(b[:])
	var text [56]byte
	base64.URLEncoding.Encode(text[:], b[:])
	return string(text[:])
}
