// Package origin sends an edge's requests to the origins of distributions. It exists so that
// one place decides which origin a name means, and who sends a request to a bucket: the
// service principal, the viewer, or nobody. It must never know what is cached, or what a
// viewer may ask for.
package origin

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"watertight/internal/core/distribution"
	"watertight/internal/outbound"
)

// Request is one request to an origin.
type Request struct {
	Site   *distribution.Site
	Origin *distribution.Origin // one of the site's
	Method string
	Path   string // escaped, without OriginPath, as the viewer sent it
	Query  string // escaped; may be empty
	// Header is what is sent. It has the viewer's Authorization, or Host, only if a policy
	// forwards it. RoundTrip does not change it.
	Header http.Header
	Body   io.ReadCloser
	Length int64 // of Body; -1 if it is not known
	Secure bool  // the viewer sent its request over TLS
}

// Origins sends requests to origins. Errors are a *Failure, ErrBody or that of the context. The
// caller closes the response's body. No redirect is followed.
type Origins interface {
	RoundTrip(ctx context.Context, r *Request) (*http.Response, error)
}

// Sender says who sends a request to a bucket.
type Sender struct {
	// Signs means that the service principal signs the request. Otherwise the viewer signed it,
	// or nobody did.
	Signs         bool
	SourceARN     string // ARN of the distribution
	SourceAccount string // the account that owns the distribution
	Secure        bool   // a request without Signs counts as sent over TLS
}

// Buckets sends requests to buckets of this store. The URL's path has the object's key, and
// Host the name by which the origin is configured.
type Buckets interface {
	RoundTrip(ctx context.Context, bucket string, r *http.Request, from Sender) (*http.Response, error)
}

// Failure is why an origin gave no response.
type Failure struct {
	Status int    // what the viewer gets: 502 or 504
	Reason string // a plain sentence for the operator
	Err    error  // the cause; may be nil
}

// Error implements error.
func (f *Failure) Error() string {
	if f.Err == nil {
		return f.Reason
	}
	return f.Reason + ": " + f.Err.Error()
}

// Unwrap returns the cause.
func (f *Failure) Unwrap() error { return f.Err }

// Options are what origins need.
type Options struct {
	Domains []string // base domains of this store's buckets
	Buckets Buckets
	Servers *outbound.Named  // servers that the operator allowed as origins; nil means none
	Logger  *slog.Logger     // nil means none
	Now     func() time.Time // for the times of failures
}

// Known sends requests to the origins that this server knows. It implements Origins.
type Known struct {
	options  Options
	troubles troubles
}

// New returns the origins.
func New(o Options) *Known {
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	if o.Now == nil {
		o.Now = func() time.Time { return time.Time{} }
	}
	return &Known{options: o}
}

// ErrBody says that the viewer's body could not be read to its end. The origin did not fail.
var ErrBody = errors.New("origin: the body of the request can't be read")

// body notes that reading failed.
type body struct {
	io.ReadCloser
	broken atomic.Bool
}

func (b *body) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	if err != nil && err != io.EOF {
		b.broken.Store(true)
	}
	return n, err
}

// RoundTrip implements Origins.
func (k *Known) RoundTrip(ctx context.Context, r *Request) (*http.Response, error) {
	var sent *body
	if r.Body != nil {
		own := *r
		sent = &body{ReadCloser: r.Body}
		own.Body, r = sent, &own
	}
	res, err := k.send(ctx, r)
	if err != nil && ctx.Err() == nil && sent != nil && sent.broken.Load() {
		sent.Close()
		return nil, ErrBody
	}
	if f, ok := errors.AsType[*Failure](err); ok {
		if r.Body != nil {
			r.Body.Close()
		}
		if k.troubles.note(r, f, k.options.Now()) {
			k.options.Logger.WarnContext(ctx, "an origin gives no answers", "distribution", r.Site.ID,
				"origin", r.Origin.Id, "reason", f.Reason, "cause", f.Err)
		}
	}
	return res, err
}

func (k *Known) send(ctx context.Context, r *Request) (*http.Response, error) {
	hr, err := build(ctx, r)
	if err != nil {
		return nil, err
	}
	if bucket, ok := distribution.BucketOf(r.Origin.DomainName, k.options.Domains); ok {
		return k.toBucket(ctx, bucket, hr, r)
	}
	return k.toServer(hr, r)
}

// toBucket sends a request to a bucket of this store, as the origin access control says
// (developer guide, "Restrict access to an Amazon S3 origin", "Advanced settings").
func (k *Known) toBucket(ctx context.Context, bucket string, hr *http.Request, r *Request) (*http.Response, error) {
	signs, ok := signs(r.Site, r.Origin, hr.Header)
	if !ok {
		return nil, &Failure{
			Status: http.StatusBadGateway,
			Reason: "origin " + r.Origin.Id + " names an origin access control that the edge does not have",
		}
	}
	forBucket(hr.Header, signs)
	hr.Host = r.Origin.DomainName
	res, err := k.options.Buckets.RoundTrip(ctx, bucket, hr, Sender{
		Signs: signs, SourceARN: r.Site.ARN(), SourceAccount: r.Site.Account, Secure: r.Secure,
	})
	if err == nil || ctx.Err() != nil {
		return res, err
	}
	if f, ok := errors.AsType[*Failure](err); ok {
		return nil, f
	}
	return nil, &Failure{Status: http.StatusBadGateway, Reason: "bucket " + bucket + " gave no answer", Err: err}
}

// signs reports whether the edge signs a request to a bucket. ok is false if the access
// control is missing or unknown.
func signs(s *distribution.Site, o *distribution.Origin, h http.Header) (signs, ok bool) {
	if o.OriginAccessControlId == "" {
		return false, true
	}
	c, ok := s.OriginAccessControls[o.OriginAccessControlId]
	if !ok {
		return false, false
	}
	switch c.SigningBehavior {
	case "always":
		return true, true
	case "no-override":
		return len(h["Authorization"]) == 0, true
	case "never":
		return false, true
	}
	return false, false
}

// forBucket removes what must not reach a bucket: headers of this server's own, what the
// edge tells other origins about the viewer and, if the edge signs, every trace of another
// signature.
func forBucket(h http.Header, signs bool) {
	for name := range h {
		lower := strings.ToLower(name)
		switch {
		case strings.HasPrefix(lower, "x-watertight-"), strings.HasPrefix(lower, "x-amz-cf-"),
			strings.HasPrefix(lower, "x-forwarded-"), strings.HasPrefix(lower, "cloudfront-"),
			strings.HasPrefix(lower, "x-amz-source-"), lower == "forwarded", lower == "via", lower == "host":
			delete(h, name)
		case signs && (lower == "authorization" || lower == "x-amz-security-token" || lower == "x-amz-date"),
			len(h["Authorization"]) == 0 && lower == "x-amz-security-token":
			delete(h, name)
		}
	}
}

// build returns the request as it is sent, with its own headers.
func build(ctx context.Context, r *Request) (*http.Request, error) {
	path := r.Origin.OriginPath + r.Path
	if !strings.HasPrefix(path, "/") {
		path = "/" + path
	}
	plain, err := url.PathUnescape(path)
	if err != nil {
		return nil, &Failure{Status: http.StatusBadGateway, Reason: "the path of the request can't be read", Err: err}
	}
	hr := (&http.Request{
		Method: r.Method, Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1, Header: r.Header.Clone(),
		URL:  &url.URL{Scheme: "https", Host: r.Origin.DomainName, Path: plain, RawPath: path, RawQuery: r.Query},
		Body: r.Body, ContentLength: r.Length,
	}).WithContext(ctx)
	if hr.Header == nil {
		hr.Header = http.Header{}
	}
	switch {
	case r.Body == nil:
		hr.Body, hr.ContentLength = http.NoBody, 0
	case r.Length >= 0: // a bucket distinguishes an empty body from no body
		hr.Header["Content-Length"] = []string{strconv.FormatInt(r.Length, 10)}
	}
	return hr, nil
}
