package distribution

import (
	"fmt"
	"slices"
	"strings"

	"watertight/internal/fault"
)

// Limits and defaults of TTLs, in seconds (API reference, CacheBehavior and CachePolicyConfig).
const (
	dayTTL  = 86_400
	yearTTL = 31_536_000
	maxTTL  = 100 * yearTTL
)

// completeBehaviors checks the cache behaviours and fills in what was left out.
func (c *Config) completeBehaviors() error {
	if c.CacheBehaviors.Quantity > maxBehaviors {
		return fault.Of(fault.TooManyCacheBehaviors)
	}
	if c.DefaultCacheBehavior.PathPattern != "" {
		return invalid("The default cache behavior has no PathPattern.")
	}
	if err := c.completeBehavior(&c.DefaultCacheBehavior); err != nil {
		return err
	}
	patterns := make([]string, 0, len(c.CacheBehaviors.Items))
	for i := range c.CacheBehaviors.Items {
		b := &c.CacheBehaviors.Items[i]
		if err := first(checkPattern(b.PathPattern), c.completeBehavior(b)); err != nil {
			return err
		}
		patterns = append(patterns, strings.TrimPrefix(b.PathPattern, "/"))
	}
	if pattern, twice := repeated(patterns, false); twice {
		return invalid("Two cache behaviors have the PathPattern %.255q.", pattern)
	}
	return nil
}

// checkPattern refuses path patterns with characters that are not allowed ("Path pattern" in
// the developer guide).
func checkPattern(pattern string) error {
	if pattern == "" || len(pattern) > 255 {
		return invalid("PathPattern has 1 to 255 characters.")
	}
	for i := range len(pattern) {
		c := pattern[i]
		if (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') && (c < '0' || c > '9') &&
			strings.IndexByte("_-.*?$/~\"'@:+&", c) < 0 {
			return invalid("PathPattern %.255q has a character that no pattern may have.", pattern)
		}
	}
	return nil
}

func (c *Config) completeBehavior(b *CacheBehavior) error {
	origin := c.origin(b.TargetOriginId)
	if origin == nil {
		return fault.New(fault.NoSuchOrigin, fmt.Sprintf("No origin has the Id %.128q.", b.TargetOriginId))
	}
	err := first(
		b.refuseAbsent(),
		oneOf("ViewerProtocolPolicy", b.ViewerProtocolPolicy, "allow-all", "https-only", "redirect-to-https"),
		b.TrustedKeyGroups.check(), b.AllowedMethods.complete(), b.completeCaching(),
	)
	if err != nil {
		return err
	}
	if f := b.ForwardedValues; f != nil {
		if origin.S3OriginConfig != nil && slices.Contains(f.Headers.Items, "*") {
			return fault.New(fault.InvalidHeadersForS3Origin, "All headers can't be forwarded to an S3 origin.")
		}
		return f.complete()
	}
	return nil
}

// refuseAbsent refuses settings that are not supported here and would change what viewers get.
func (b *CacheBehavior) refuseAbsent() error {
	switch {
	case b.LambdaFunctionAssociations.Quantity > 0:
		return fault.New(fault.InvalidLambdaFunctionAssociation, "Lambda@Edge is not supported here.")
	case b.FunctionAssociations.Quantity > 0:
		return fault.New(fault.InvalidFunctionAssociation, "CloudFront functions are not supported here.")
	case b.FieldLevelEncryptionId != "":
		return fault.New(fault.NoSuchFieldLevelEncryptionConfig, "Field-level encryption is not supported here.")
	case b.RealtimeLogConfigArn != "":
		return fault.New(fault.NoSuchRealtimeLogConfig, "Real-time logs are not supported here.")
	case b.TrustedSigners.Enabled || b.TrustedSigners.Quantity > 0:
		return fault.New(fault.TrustedSignerDoesNotExist,
			"Trusted signers are not supported here. Use trusted key groups.")
	case b.SmoothStreaming:
		return unsupported("Smooth Streaming is")
	case b.GrpcConfig.Enabled:
		return unsupported("gRPC is")
	}
	return nil
}

func (t *TrustedKeyGroups) check() error {
	if t.Quantity > maxKeyGroups {
		return fault.Of(fault.TooManyKeyGroupsAssociatedToDistribution)
	}
	if t.Enabled != (t.Quantity > 0) {
		return invalid("TrustedKeyGroups are enabled if there are any.")
	}
	if id, twice := repeated(t.Items, false); twice {
		return invalid("The key group %.64q is named twice.", id)
	}
	return nil
}

// complete checks the methods: GET and HEAD, OPTIONS as well, or all.
func (m *AllowedMethods) complete() error {
	read := []string{"HEAD", "GET"}
	if m.Quantity == 0 {
		if m.CachedMethods.Quantity > 0 {
			return invalid("CachedMethods need AllowedMethods.")
		}
		m.Quantity, m.Items = len(read), read
	}
	if m.CachedMethods.Quantity == 0 {
		m.CachedMethods = CachedMethods{Quantity: len(read), Items: read}
	}
	all := append([]string{"OPTIONS", "PUT", "POST", "PATCH", "DELETE"}, read...)
	options := append([]string{"OPTIONS"}, read...)
	switch {
	case !sameSet(m.Items, read) && !sameSet(m.Items, options) && !sameSet(m.Items, all):
		return invalid("AllowedMethods are GET and HEAD; GET, HEAD and OPTIONS; or all seven methods.")
	case !sameSet(m.CachedMethods.Items, read) &&
		!(sameSet(m.CachedMethods.Items, options) && slices.Contains(m.Items, "OPTIONS")):
		return invalid("CachedMethods are GET and HEAD, and OPTIONS if it is allowed.")
	}
	return nil
}

func sameSet(a, b []string) bool {
	a, b = slices.Clone(a), slices.Clone(b)
	slices.Sort(a)
	slices.Sort(b)
	return slices.Equal(a, b)
}

// completeCaching checks that a behaviour has a cache policy, or all the settings that replace
// one.
func (b *CacheBehavior) completeCaching() error {
	if b.CachePolicyId != "" {
		for _, ttl := range []*int64{b.MinTTL, b.DefaultTTL, b.MaxTTL} {
			if ttl != nil && *ttl != 0 {
				return invalid("A cache behavior with a cache policy has no TTLs of its own.")
			}
		}
		b.MinTTL, b.DefaultTTL, b.MaxTTL = nil, nil, nil
		if b.ForwardedValues != nil {
			return invalid("The parameter ForwardedValues cannot be used when a cache policy is associated to the " +
				"cache behavior.")
		}
		return nil
	}
	switch {
	case b.ForwardedValues == nil:
		return invalid("A cache behavior has either CachePolicyId or ForwardedValues.")
	case b.OriginRequestPolicyId != "":
		return invalid("A cache behavior with an origin request policy needs a cache policy.")
	}
	if b.MinTTL == nil {
		b.MinTTL = new(int64)
	}
	return completeTTLs(fault.InvalidTTLOrder, *b.MinTTL, &b.DefaultTTL, &b.MaxTTL)
}

// completeTTLs fills in and checks TTLs: from zero, in ascending order.
func completeTTLs(code fault.Code, minimum int64, usual, maximum **int64) error {
	if *usual == nil {
		*usual = new(max(dayTTL, minimum))
		if *maximum != nil {
			**usual = min(**usual, max(**maximum, minimum))
		}
	}
	if *maximum == nil {
		*maximum = new(max(yearTTL, **usual))
	}
	if minimum < 0 || minimum > **usual || **usual > **maximum || **maximum > maxTTL {
		return fault.New(code, fmt.Sprintf(
			"The TTLs are %d, %d and %d, but must be from 0 to %d seconds, with MinTTL <= DefaultTTL <= MaxTTL.",
			minimum, **usual, **maximum, int64(maxTTL)))
	}
	return nil
}

// maxForwarded is how many headers, cookies or parameters a behaviour or policy may name.
const maxForwarded = 10

// complete checks what a behaviour without a cache policy forwards.
func (f *ForwardedValues) complete() error {
	names := &f.Cookies.WhitelistedNames
	switch {
	case oneOf("Forward", f.Cookies.Forward, "none", "whitelist", "all") != nil:
		return fault.New(fault.InvalidForwardCookies, "The Forward of Cookies is none, whitelist or all.")
	case (f.Cookies.Forward == "whitelist") != (names.Quantity > 0):
		return fault.New(fault.InvalidForwardCookies, "WhitelistedNames are given if Forward is whitelist.")
	case names.Quantity > maxForwarded:
		return fault.Of(fault.TooManyCookieNamesInWhiteList)
	case f.Headers.Quantity > maxForwarded:
		return fault.Of(fault.TooManyHeadersInForwardedValues)
	case f.QueryStringCacheKeys.Quantity > maxForwarded:
		return fault.Of(fault.TooManyQueryStringParameters)
	case !f.QueryString && f.QueryStringCacheKeys.Quantity > 0:
		return invalid("QueryStringCacheKeys need QueryString.")
	}
	if len(f.Headers.Items) == 1 && f.Headers.Items[0] == "*" {
		return nil
	}
	return first(
		checkHeaders(f.Headers.Items), checkCookies(names.Items), checkParameters(f.QueryStringCacheKeys.Items),
	)
}
