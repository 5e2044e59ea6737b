package edge

import (
	"crypto/tls"
	"net/http"
	"net/netip"
	"strings"

	"watertight/internal/edge/accesslog"
)

// count adds an exchange to the counters and, if its distribution is logged, to the access
// log.
func (x *exchange) count(w *meter, a *reply, cut bool) {
	c := &x.e.counts
	c.Results[a.result].Add(1)
	c.SentBytes.Add(uint64(w.body))
	if !x.logged() {
		return
	}
	c.LogLines.Add(1)
	x.e.options.Log(x.entry(w, a, cut))
}

// logged reports whether the exchange is written to an access log.
func (x *exchange) logged() bool {
	return x.site != nil && x.e.options.Log != nil && x.site.Config.Logging.Enabled
}

// entry describes an exchange for the access log.
func (x *exchange) entry(w *meter, a *reply, cut bool) accesslog.Entry {
	r := x.r
	e := accesslog.Entry{
		Site: x.site.Site, Began: x.began, Location: x.e.options.Pop, ID: x.id,
		Viewer: netip.AddrPortFrom(x.viewer, portOf(r.RemoteAddr)), Forwarded: joined(r, "X-Forwarded-For"),
		Host: r.Host, Method: r.Method, Path: x.target.path, Query: x.target.query,
		Referer: r.Referer(), UserAgent: r.UserAgent(), Protocol: scheme(x.secure), Version: r.Proto,
		Received: int64(len(r.RequestURI)) + max(r.ContentLength, 0), Status: w.status, Sent: w.header + w.body,
		Result: a.result.String(), Answered: a.result.String(), Detail: a.detail, First: w.first,
		Taken: x.e.options.Now().Sub(x.began), Type: a.header.Get("Content-Type"),
		Length: w.Header().Get("Content-Length"),
	}
	if cut {
		e.Result, e.Detail = resultError.String(), "ClientCommError"
	}
	if e.Detail == "" {
		e.Detail = e.Result
	}
	for name, values := range r.Header {
		for _, v := range values {
			e.Received += int64(len(name) + len(v) + 4)
		}
	}
	if x.site.Config.Logging.IncludeCookies {
		e.Cookies = strings.Join(r.Header["Cookie"], "; ")
	}
	if t := r.TLS; t != nil {
		e.TLS = strings.Replace(tls.VersionName(t.Version), "TLS 1", "TLSv1", 1)
		e.Cipher = tls.CipherSuiteName(t.CipherSuite)
	}
	if a.status == http.StatusPartialContent {
		if s, ok := parseRange(r.Header["Range"]); ok {
			e.RangeFrom, e.RangeTo = s.ends()
		}
	}
	return e
}

func joined(r *http.Request, name string) string { return strings.Join(r.Header[name], ", ") }

func portOf(addr string) uint16 {
	if p, err := netip.ParseAddrPort(addr); err == nil {
		return p.Port()
	}
	return 0
}
