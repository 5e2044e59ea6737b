package distribution

import (
	"slices"
	"strconv"
	"strings"

	"watertight/internal/fault"
)

// Quotas of response headers policies ("Quotas" in the developer guide).
const (
	maxCustomHeaders = 10
	maxRemoved       = 10
	maxCSP           = 1783
)

// Complete checks a response headers policy. Errors: InvalidArgument, InconsistentQuantities,
// TooManyCustomHeadersInResponseHeadersPolicy, TooManyRemoveHeadersInResponseHeadersPolicy,
// TooLongCSPInResponseHeadersPolicy.
func (p *ResponseHeadersPolicyConfig) Complete() error {
	if err := first(consistent(p), named(p.Name, p.Comment)); err != nil {
		return err
	}
	if p.CorsConfig == nil && p.SecurityHeadersConfig == nil && p.ServerTimingHeadersConfig == nil &&
		p.CustomHeadersConfig == nil && p.RemoveHeadersConfig == nil {
		return invalid("A response headers policy has at least one configuration.")
	}
	if p.CorsConfig != nil {
		if err := p.CorsConfig.check(); err != nil {
			return err
		}
	}
	if p.SecurityHeadersConfig != nil {
		if err := p.SecurityHeadersConfig.check(); err != nil {
			return err
		}
	}
	if p.ServerTimingHeadersConfig != nil {
		if err := p.ServerTimingHeadersConfig.complete(); err != nil {
			return err
		}
	}
	return first(p.CustomHeadersConfig.check(), p.RemoveHeadersConfig.check())
}

func (c *CorsConfig) check() error {
	origins, headers, methods := c.AccessControlAllowOrigins.Items, c.AccessControlAllowHeaders.Items,
		c.AccessControlAllowMethods.Items
	if len(origins) == 0 || len(headers) == 0 || len(methods) == 0 {
		return invalid("CorsConfig needs allowed origins, headers and methods.")
	}
	var exposed []string
	if c.AccessControlExposeHeaders != nil {
		exposed = c.AccessControlExposeHeaders.Items
	}
	for _, m := range methods {
		if err := oneOf("Method", m, "GET", "POST", "OPTIONS", "PUT", "DELETE", "PATCH", "HEAD", "ALL"); err != nil {
			return err
		}
	}
	for _, name := range append(slices.Clone(headers), exposed...) {
		if !isToken(name) || len(name) > 128 {
			return invalid("%.64q is not a header name.", name)
		}
	}
	for _, o := range origins {
		if o == "" || len(o) > 256 || !isHeaderValue(o) || strings.ContainsAny(o, " ,") {
			return invalid("%.64q is not an origin.", o)
		}
	}
	if c.AccessControlAllowCredentials && (slices.Contains(origins, "*") || slices.Contains(headers, "*") ||
		slices.Contains(methods, "ALL") || slices.Contains(exposed, "*")) {
		return invalid("AccessControlAllowCredentials can't be true if origins, headers or methods are wildcards.")
	}
	return between(fault.InvalidArgument, "AccessControlMaxAgeSec", c.AccessControlMaxAgeSec, 0, maxTTL)
}

func (s *SecurityHeadersConfig) check() error {
	if x := s.XSSProtection; x != nil {
		block := x.ModeBlock != nil && *x.ModeBlock
		if (block || x.ReportUri != "") && !x.Protection || block && x.ReportUri != "" ||
			len(x.ReportUri) > maxHeaderValue || !isHeaderValue(x.ReportUri) {
			return invalid("XSSProtection has ModeBlock or ReportUri, and neither without Protection.")
		}
	}
	if f := s.FrameOptions; f != nil {
		if err := oneOf("FrameOption", f.FrameOption, "DENY", "SAMEORIGIN"); err != nil {
			return err
		}
	}
	if r := s.ReferrerPolicy; r != nil {
		if err := oneOf("ReferrerPolicy", r.ReferrerPolicy, "no-referrer", "no-referrer-when-downgrade", "origin",
			"origin-when-cross-origin", "same-origin", "strict-origin", "strict-origin-when-cross-origin",
			"unsafe-url"); err != nil {
			return err
		}
	}
	if p := s.ContentSecurityPolicy; p != nil {
		switch {
		case len(p.ContentSecurityPolicy) > maxCSP:
			return fault.Of(fault.TooLongCSPInResponseHeadersPolicy)
		case p.ContentSecurityPolicy == "" || !isHeaderValue(p.ContentSecurityPolicy):
			return invalid("ContentSecurityPolicy is empty, or has characters that no header may have.")
		}
	}
	if h := s.StrictTransportSecurity; h != nil {
		return between(fault.InvalidArgument, "AccessControlMaxAgeSec", &h.AccessControlMaxAgeSec, 0, maxTTL)
	}
	return nil
}

// complete checks the sampling rate, which is 0 if none is given.
func (s *ServerTimingHeadersConfig) complete() error {
	if s.SamplingRate == "" {
		s.SamplingRate = "0"
	}
	_, decimals, _ := strings.Cut(s.SamplingRate, ".")
	rate, err := strconv.ParseFloat(s.SamplingRate, 64)
	if err != nil || !(rate >= 0 && rate <= 100) || len(decimals) > 4 ||
		strings.Trim(s.SamplingRate, "0123456789.") != "" {
		return invalid("SamplingRate is from 0 to 100, with at most four decimals.")
	}
	return nil
}

func (c *CustomHeadersConfig) check() error {
	if c == nil {
		return nil
	}
	if c.Quantity > maxCustomHeaders {
		return fault.Of(fault.TooManyCustomHeadersInResponseHeadersPolicy)
	}
	names := make([]string, 0, len(c.Items))
	for _, h := range c.Items {
		switch {
		case !isToken(h.Header) || len(h.Header) > 256:
			return invalid("%.64q is not a header name.", h.Header)
		case ofConnection(strings.ToLower(h.Header)) || ofOtherConfig(strings.ToLower(h.Header)):
			return invalid("The header %.64q can't be a custom header.", h.Header)
		case len(h.Value) > maxHeaderValue || !isHeaderValue(h.Value):
			return badValue(h.Header)
		}
		names = append(names, h.Header)
	}
	if name, twice := repeated(names, true); twice {
		return invalid("The header %.64q is named twice.", name)
	}
	return nil
}

func (r *RemoveHeadersConfig) check() error {
	if r == nil {
		return nil
	}
	if r.Quantity > maxRemoved {
		return fault.Of(fault.TooManyRemoveHeadersInResponseHeadersPolicy)
	}
	names := make([]string, 0, len(r.Items))
	for _, h := range r.Items {
		if !isToken(h.Header) || len(h.Header) > 256 || ofConnection(strings.ToLower(h.Header)) {
			return invalid("The header %.64q can't be removed.", h.Header)
		}
		names = append(names, h.Header)
	}
	if name, twice := repeated(names, true); twice {
		return invalid("The header %.64q is named twice.", name)
	}
	return nil
}

// ofConnection reports whether a header belongs to the connection or to the edge, so that no
// policy may set or remove it ("Custom headers" in the developer guide, response headers
// policies).
func ofConnection(name string) bool {
	for _, prefix := range []string{"proxy-", "x-amz-cf-", "x-amzn-", "x-edge-", "x-watertight-"} {
		if strings.HasPrefix(name, prefix) {
			return true
		}
	}
	return slices.Contains([]string{
		"age", "connection", "content-encoding", "content-length", "content-range", "expect", "host", "keep-alive",
		"te", "trailer", "transfer-encoding", "upgrade", "via", "warning", "x-cache", "x-real-ip",
	}, name)
}

// ofOtherConfig reports whether another part of the policy sets a header.
func ofOtherConfig(name string) bool {
	return strings.HasPrefix(name, "access-control-") || slices.Contains([]string{
		"content-security-policy", "referrer-policy", "server-timing", "set-cookie", "strict-transport-security",
		"x-content-type-options", "x-frame-options", "x-xss-protection",
	}, name)
}
