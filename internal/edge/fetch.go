package edge

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/netip"
	"slices"
	"strings"
	"time"

	"golang.org/x/net/http/httpguts"

	"watertight/internal/edge/origin"
)

// fetch gets the answer for a path from the cache, or from the origin.
func (x *exchange) fetch(b *behavior, path, query string) (*reply, error) {
	r := x.r
	caches := b.caches && slices.Contains(b.cached, r.Method) && r.ContentLength == 0
	v := &viewed{
		method: r.Method, target: target{path, query}, host: x.host, header: r.Header, about: x.about,
		pass: !caches, content: hasContent(r.Method),
	}
	q := x.question(b)
	q.asked = b.forward(v)
	if caches && !q.asked.shared {
		v.pass, caches = true, false
		q.asked = b.forward(v)
	}
	if caches {
		return x.cached(q, x.r.Header)
	}
	return x.pass(q)
}

// errRestricted means that an error page is under signed access. The viewer's signature covers
// only the path that it asked for.
var errRestricted = errors.New("edge: the error page is under signed access")

// page gets a page of the distribution itself for a viewer's request: without its body, its
// conditions and its ranges.
func (x *exchange) page(path string) (*reply, error) {
	path, ok := normalizePath(path)
	b := x.site.behavior(path)
	if !ok || b == nil {
		return nil, badRequest("The path of the page for errors can't be read.")
	}
	if b.restricted {
		return nil, errRestricted
	}
	q := x.question(b)
	q.asked = b.forward(&viewed{
		method: x.r.Method, target: target{path: path}, host: x.host, header: x.r.Header, about: x.about,
	})
	q.body, q.length = nil, 0
	if b.caches && q.asked.shared {
		return x.cached(q, nil)
	}
	return x.pass(q)
}

// question is a request to the origin, with everything that decides how its answer is handled.
// It outlives the viewer's request if the cache asks in the background.
type question struct {
	e      *Edge
	b      *behavior
	asked  asked
	id     string     // of the viewer's request
	viewer netip.Addr // who sent it
	secure bool
	body   io.ReadCloser // or nil
	length int64
}

func (x *exchange) question(b *behavior) *question {
	q := &question{e: x.e, b: b, id: x.id, viewer: x.viewer, secure: x.secure || x.local}
	if x.r.ContentLength != 0 && x.r.Body != nil {
		q.body, q.length = x.r.Body, x.r.ContentLength
	}
	return q
}

// header is what is sent to the origin: what was asked, what the edge adds, and more.
func (q *question) header(more http.Header) http.Header {
	h := make(http.Header, len(q.asked.header)+len(more)+4)
	for name, values := range q.asked.header {
		h[name] = values
	}
	if _, ok := h["User-Agent"]; !ok {
		h["User-Agent"] = []string{"Amazon CloudFront"}
	}
	h["Via"] = []string{"1.1 " + q.e.via}
	h["X-Amz-Cf-Id"] = []string{q.id}
	if !q.b.s3 && q.viewer.IsValid() {
		// The viewer's own value is not in the cache key, so only the address is sent.
		h["X-Forwarded-For"] = []string{q.viewer.String()}
	}
	for name, values := range more {
		h[name] = values
	}
	return h
}

// about returns the values of CloudFront's headers about the viewer.
func (x *exchange) about(name string) string {
	switch name {
	case "cloudfront-forwarded-proto":
		return scheme(x.secure)
	case "cloudfront-viewer-http-version":
		return strings.TrimPrefix(x.r.Proto, "HTTP/")
	case "cloudfront-viewer-address":
		return x.viewer.String()
	}
	return ""
}

func scheme(secure bool) string {
	if secure {
		return "https"
	}
	return "http"
}

// pass sends the viewer's request to the origin, and the answer back, without the cache.
func (x *exchange) pass(q *question) (*reply, error) {
	resp, err := q.ask(x.r.Context(), nil)
	if err != nil {
		return nil, unreached(err)
	}
	q.b.withhold(resp.Header)
	out := &reply{
		status: resp.StatusCode, header: resp.Header, body: resp.Body, size: resp.ContentLength, result: resultMiss,
		final: true,
	}
	if out.status >= http.StatusBadRequest {
		out.result = resultError
	}
	return out, nil
}

// fetch is the cache's way to the origin: header has what the cache adds.
func (q *question) fetch(ctx context.Context, header http.Header) (*http.Response, error) {
	if !q.b.config.Compress || !q.b.gzip && !q.b.brotli {
		return q.tried(ctx, header)
	}
	tag, weak := strings.CutPrefix(header.Get("If-None-Match"), "W/")
	if weak { // the origin's own tag may be strong
		header["If-None-Match"] = []string{tag}
	}
	resp, err := q.tried(ctx, header)
	if err != nil {
		return nil, err
	}
	if resp.StatusCode == http.StatusNotModified {
		if weak {
			weaken(resp.Header)
		}
		if len(resp.Header["Vary"]) > 0 { // it replaces the stored one
			addVary(resp.Header, "Accept-Encoding")
		}
		return resp, nil
	}
	if !mayCompress(resp.StatusCode, resp.Header) {
		return resp, nil
	}
	addVary(resp.Header, "Accept-Encoding")
	encoding := preferred(q.asked.header["Accept-Encoding"])
	if encoding == "" {
		return resp, nil
	}
	if body := q.e.presses.take(resp.Body, encoding); body != nil {
		compressed(resp.Header, encoding)
		resp.ContentLength, resp.Body = -1, body
	}
	return resp, nil
}

// failedHeader marks a response that stands for an origin that did not answer. It is cached
// like the error that viewers get. An origin can't send this header; see isConnections.
const failedHeader = "X-Edge-Failed"

// tried is like ask, but after an origin gave no answer, it is not asked again for a while, as
// after an error.
func (q *question) tried(ctx context.Context, more http.Header) (*http.Response, error) {
	resp, err := q.ask(ctx, more)
	f := (*origin.Failure)(nil)
	if err == nil || !errors.As(err, &f) {
		return resp, err
	}
	return &http.Response{
		StatusCode: f.Status, Header: http.Header{failedHeader: {"1"}}, Body: http.NoBody, ContentLength: 0,
	}, nil
}

// ask sends the request to the origin, and cleans the answer.
func (q *question) ask(ctx context.Context, more http.Header) (*http.Response, error) {
	r := &origin.Request{
		Site: q.b.site, Origin: q.b.origin, Method: q.asked.method, Path: q.asked.target.path,
		Query: q.asked.target.query, Header: q.header(more), Secure: q.secure, Body: q.body, Length: q.length,
	}
	q.e.counts.OriginAsked.Add(1)
	resp, err := q.e.options.Origins.RoundTrip(ctx, r)
	if errors.Is(err, origin.ErrBody) {
		return nil, err
	}
	if err != nil {
		q.e.counts.OriginFailed.Add(1)
		return nil, err
	}
	if err = fits(resp, r.Header); err == nil {
		err = q.b.clean(resp, q.e.options.Now())
	}
	if err != nil {
		resp.Body.Close()
		q.e.counts.OriginFailed.Add(1)
		return nil, err
	}
	return resp, nil
}

// fits refuses an answer to a question that was not asked: a part without a range, or a 304 without
// a condition. A viewer who asked for the whole would take it for that.
func fits(resp *http.Response, asked http.Header) error {
	var by []string
	switch resp.StatusCode {
	case http.StatusPartialContent:
		by = []string{"Range"}
	case http.StatusNotModified:
		by = []string{"If-None-Match", "If-Modified-Since"}
	default:
		return nil
	}
	for _, name := range by {
		if len(asked[name]) > 0 {
			return nil
		}
	}
	return &origin.Failure{
		Status: http.StatusBadGateway, Reason: fmt.Sprintf("the origin answers %d unasked", resp.StatusCode),
	}
}

// maxAnswerHeader bounds the headers of an origin's answer, in bytes.
const maxAnswerHeader = 32 << 10

// clean removes from an origin's answer what belongs to its connection, what only the edge
// says, and what the edge can't pass on unchanged. An answer without a date gets the time at which
// it was received (RFC 9110, section 6.6.1).
func (b *behavior) clean(resp *http.Response, received time.Time) error {
	if resp.StatusCode < 200 || resp.StatusCode > 599 {
		return &origin.Failure{Status: http.StatusBadGateway, Reason: "the origin's status is not valid"}
	}
	h := resp.Header
	for _, list := range h["Connection"] {
		for name := range strings.SplitSeq(list, ",") {
			h.Del(strings.TrimSpace(name))
		}
	}
	size := 0
	for name, values := range h {
		if isConnections(name) || !httpguts.ValidHeaderFieldName(name) {
			delete(h, name)
			continue
		}
		for _, v := range values {
			if size += len(name) + len(v) + 4; !httpguts.ValidHeaderFieldValue(v) {
				delete(h, name)
				break
			}
		}
	}
	if size > maxAnswerHeader {
		return &origin.Failure{
			Status: http.StatusBadGateway, Reason: "the headers of the origin's answer are too large",
		}
	}
	if !dated(h) {
		h["Date"] = []string{received.UTC().Format(http.TimeFormat)}
	}
	b.vary(h)
	return nil
}

// dated reports whether an answer has one date that can be read.
func dated(h http.Header) bool {
	_, err := http.ParseTime(h.Get("Date"))
	return err == nil && len(h["Date"]) == 1
}

// withhold removes Set-Cookie where viewers' cookies are not forwarded. It runs after the
// cache, which must see the header because it does not store such a response.
func (b *behavior) withhold(h http.Header) {
	if !b.cookied {
		delete(h, "Set-Cookie")
	}
}

// isConnections reports whether a header of an origin's answer is not passed on. Alt-Svc
// would lead viewers past the edge.
func isConnections(name string) bool {
	switch name {
	case "Connection", "Keep-Alive", "Proxy-Authenticate", "Proxy-Connection", "Proxy-Authorization", "Te", "Trailer",
		"Transfer-Encoding", "Upgrade", "Http2-Settings", "Alt-Svc", "X-Cache", "X-Amz-Cf-Id", "X-Amz-Cf-Pop":
		return true
	}
	return strings.HasPrefix(name, "X-Watertight-") || strings.HasPrefix(name, "X-Edge-")
}

// vary removes from Vary the names of headers that were not sent to the origin, because its
// answer can't depend on them.
func (b *behavior) vary(h http.Header) {
	if len(h["Vary"]) == 0 {
		return
	}
	var kept []string
	for _, list := range h["Vary"] {
		for name := range strings.SplitSeq(list, ",") {
			name = strings.TrimSpace(name)
			lower := strings.ToLower(name)
			by, _ := b.forwards(lower)
			switch {
			case name == "":
			case by, lower == "accept-encoding", lower == "*", lower == "cookie" && b.cookied:
				kept = append(kept, name)
			}
		}
	}
	if len(kept) == 0 {
		delete(h, "Vary")
		return
	}
	h["Vary"] = []string{strings.Join(kept, ", ")}
}
