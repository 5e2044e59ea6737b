package distribution

import (
	"slices"
	"strings"

	"watertight/internal/fault"
)

// Complete checks a cache policy and fills in AWS's defaults. Errors: InvalidArgument,
// InconsistentQuantities, TooManyHeadersInCachePolicy, TooManyCookiesInCachePolicy,
// TooManyQueryStringsInCachePolicy.
func (p *CachePolicyConfig) Complete() error {
	k := &p.ParametersInCacheKeyAndForwardedToOrigin
	err := first(
		consistent(p), named(p.Name, p.Comment),
		completeTTLs(fault.InvalidArgument, p.MinTTL, &p.DefaultTTL, &p.MaxTTL),
		k.HeadersConfig.check(),
		k.CookiesConfig.check(fault.TooManyCookiesInCachePolicy),
		k.QueryStringsConfig.check(fault.TooManyQueryStringsInCachePolicy),
	)
	if err != nil {
		return err
	}
	encoding := k.EnableAcceptEncodingGzip || k.EnableAcceptEncodingBrotli
	keyed := k.HeadersConfig.HeaderBehavior != none || k.CookiesConfig.CookieBehavior != none ||
		k.QueryStringsConfig.QueryStringBehavior != none
	switch {
	case encoding && k.HeadersConfig.Headers != nil && slices.ContainsFunc(k.HeadersConfig.Headers.Items,
		func(name string) bool { return strings.EqualFold(name, "Accept-Encoding") }):
		return invalid("Accept-Encoding can't be whitelisted if EnableAcceptEncodingGzip or " +
			"EnableAcceptEncodingBrotli is set.")
	case *p.MaxTTL == 0 && (encoding || keyed):
		return invalid("A policy that disables caching, with a MaxTTL of 0, has nothing in the cache key.")
	}
	return nil
}

// The behaviours of policies.
const (
	none      = "none"
	whitelist = "whitelist"
	allExcept = "allExcept"
	all       = "all"
)

func (h *CachePolicyHeaders) check() error {
	if err := oneOf("HeaderBehavior", h.HeaderBehavior, none, whitelist); err != nil {
		return err
	}
	given := h.Headers != nil && h.Headers.Quantity > 0
	if err := withList("Headers", h.HeaderBehavior == whitelist, given); err != nil {
		return err
	}
	if h.HeaderBehavior == none {
		h.Headers = nil
		return nil
	}
	if h.Headers.Quantity > maxForwarded {
		return fault.Of(fault.TooManyHeadersInCachePolicy)
	}
	return checkHeaders(h.Headers.Items)
}

// withList refuses a list if the behaviour takes none, and a missing list if it needs one.
func withList(member string, wanted, given bool) error {
	switch {
	case wanted && !given:
		return invalid("%s are needed with this behavior.", member)
	case given && !wanted:
		return invalid("%s can't be given with this behavior.", member)
	}
	return nil
}

func (c *PolicyCookies) check(tooMany fault.Code) error {
	if err := oneOf("CookieBehavior", c.CookieBehavior, none, whitelist, allExcept, all); err != nil {
		return err
	}
	listed := c.CookieBehavior == whitelist || c.CookieBehavior == allExcept
	if err := withList("Cookies", listed, c.Cookies != nil && c.Cookies.Quantity > 0); err != nil {
		return err
	}
	if !listed {
		c.Cookies = nil
		return nil
	}
	if c.Cookies.Quantity > maxForwarded {
		return fault.Of(tooMany)
	}
	return checkCookies(c.Cookies.Items)
}

func (q *PolicyQueryStrings) check(tooMany fault.Code) error {
	if err := oneOf("QueryStringBehavior", q.QueryStringBehavior, none, whitelist, allExcept, all); err != nil {
		return err
	}
	listed := q.QueryStringBehavior == whitelist || q.QueryStringBehavior == allExcept
	if err := withList("QueryStrings", listed, q.QueryStrings != nil && q.QueryStrings.Quantity > 0); err != nil {
		return err
	}
	if !listed {
		q.QueryStrings = nil
		return nil
	}
	if q.QueryStrings.Quantity > maxForwarded {
		return fault.Of(tooMany)
	}
	return checkParameters(q.QueryStrings.Items)
}

// checkHeaders refuses headers of viewers that can't be forwarded by name ("HTTP request
// headers and CloudFront behavior" in the developer guide).
func checkHeaders(names []string) error {
	for _, name := range names {
		if !isToken(name) || len(name) > 128 {
			return invalid("%.64q is not a header name.", name)
		}
		lower := strings.ToLower(name)
		if strings.HasPrefix(lower, "x-edge-") || strings.HasPrefix(lower, "x-amz-cf-") ||
			strings.HasPrefix(lower, "x-watertight-") || strings.HasPrefix(lower, "proxy-") ||
			slices.Contains([]string{
				"connection", "content-length", "cookie", "expect", "keep-alive", "max-forwards", "te", "trailer",
				"transfer-encoding", "upgrade", "via", "x-real-ip",
			}, lower) {
			return invalid("The header %.64q can't be forwarded.", name)
		}
	}
	if name, twice := repeated(names, true); twice {
		return invalid("The header %.64q is named twice.", name)
	}
	return nil
}

// checkCookies refuses names that can't be cookie names (RFC 6265, section 4.1.1).
func checkCookies(names []string) error {
	for _, name := range names {
		if !isToken(name) || len(name) > 128 {
			return invalid("%.64q is not a cookie name.", name)
		}
	}
	if name, twice := repeated(names, false); twice {
		return invalid("The cookie %.64q is named twice.", name)
	}
	return nil
}

func checkParameters(names []string) error {
	for _, name := range names {
		if name == "" || len(name) > 128 || !isHeaderValue(name) || strings.ContainsAny(name, "&=#?") {
			return invalid("%.64q is not a parameter name.", name)
		}
	}
	if name, twice := repeated(names, false); twice {
		return invalid("The parameter %.64q is named twice.", name)
	}
	return nil
}

// Complete checks an origin request policy. Errors: InvalidArgument, InconsistentQuantities,
// TooManyHeadersInOriginRequestPolicy, TooManyCookiesInOriginRequestPolicy,
// TooManyQueryStringsInOriginRequestPolicy.
func (p *OriginRequestPolicyConfig) Complete() error {
	return first(
		consistent(p), named(p.Name, p.Comment), p.HeadersConfig.check(),
		p.CookiesConfig.check(fault.TooManyCookiesInOriginRequestPolicy),
		p.QueryStringsConfig.check(fault.TooManyQueryStringsInOriginRequestPolicy),
	)
}

func (h *OriginRequestHeaders) check() error {
	err := oneOf("HeaderBehavior", h.HeaderBehavior, none, whitelist, "allViewer", "allViewerAndWhitelistCloudFront",
		allExcept)
	if err != nil {
		return err
	}
	listed := h.HeaderBehavior != none && h.HeaderBehavior != "allViewer"
	if err := withList("Headers", listed, h.Headers != nil && h.Headers.Quantity > 0); err != nil {
		return err
	}
	if !listed {
		h.Headers = nil
		return nil
	}
	for _, name := range h.Headers.Items {
		lower := strings.ToLower(name)
		switch {
		case h.HeaderBehavior == whitelist && (lower == "authorization" || lower == "accept-encoding"):
			return invalid("The header %s can't be in an origin request policy: put it into a cache policy.", name)
		case h.HeaderBehavior == "allViewerAndWhitelistCloudFront" && !strings.HasPrefix(lower, "cloudfront-"):
			return invalid("allViewerAndWhitelistCloudFront names only headers that begin with CloudFront-.")
		}
	}
	if h.Headers.Quantity > maxForwarded {
		return fault.Of(fault.TooManyHeadersInOriginRequestPolicy)
	}
	return checkHeaders(h.Headers.Items)
}

// Complete checks an origin access control. Only origins of type s3 are supported here. Error:
// InvalidArgument.
func (c *OriginAccessControlConfig) Complete() error {
	switch {
	case c.Name == "" || len(c.Name) > 64 || !isHeaderValue(c.Name):
		return invalid("Name has 1 to 64 characters.")
	case len(c.Description) > 256:
		return invalid("Description has at most 256 characters.")
	case slices.Contains([]string{"mediastore", "mediapackagev2", "lambda"}, c.OriginAccessControlOriginType):
		return unsupported("Origins of type " + c.OriginAccessControlOriginType + " are")
	}
	return first(
		oneOf("SigningProtocol", c.SigningProtocol, "sigv4"),
		oneOf("SigningBehavior", c.SigningBehavior, "never", "always", "no-override"),
		oneOf("OriginAccessControlOriginType", c.OriginAccessControlOriginType, "s3"),
	)
}
