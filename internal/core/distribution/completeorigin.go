package distribution

import (
	"slices"
	"strings"

	"watertight/internal/fault"
)

// completeOrigins checks the origins and fills in what was left out.
func (c *Config) completeOrigins(domains []string) error {
	if c.Origins.Quantity == 0 {
		return invalid("A distribution has at least one origin.")
	}
	if c.Origins.Quantity > maxOrigins {
		return fault.Of(fault.TooManyOrigins)
	}
	ids := make([]string, 0, c.Origins.Quantity)
	for i := range c.Origins.Items {
		o := &c.Origins.Items[i]
		if err := o.complete(domains); err != nil {
			return err
		}
		ids = append(ids, o.Id)
	}
	if id, twice := repeated(ids, false); twice {
		return invalid("Two origins have the Id %.128q.", id)
	}
	return nil
}

func (o *Origin) complete(domains []string) error {
	if o.Id == "" || len(o.Id) > 128 {
		return invalid("The Id of an origin has 1 to 128 characters.")
	}
	if !isHost(o.DomainName) || len(o.DomainName) > 128 {
		return fault.New(fault.InvalidOrigin,
			"The DomainName of an origin is a domain name of at most 128 characters, without scheme, port or path.")
	}
	if p := o.OriginPath; p != "" &&
		(!strings.HasPrefix(p, "/") || strings.HasSuffix(p, "/") || len(p) > 255 || !isPath(p) || climbs(p)) {
		return fault.New(fault.InvalidRelativePath,
			"OriginPath begins with a slash, does not end with one, is URL-encoded and has at most 255 characters.")
	}
	err := first(
		between(fault.InvalidArgument, "ConnectionAttempts", o.ConnectionAttempts, 1, 3),
		between(fault.InvalidArgument, "ConnectionTimeout", o.ConnectionTimeout, 1, 10),
		between(fault.InvalidArgument, "ResponseCompletionTimeout", o.ResponseCompletionTimeout, 0, 86_400),
		o.completeKind(domains), o.CustomHeaders.check(),
	)
	if o.ConnectionAttempts == nil {
		o.ConnectionAttempts = new(3)
	}
	if o.ConnectionTimeout == nil {
		o.ConnectionTimeout = new(10)
	}
	return err
}

// completeKind checks whether an origin is a bucket or another server.
func (o *Origin) completeKind(domains []string) error {
	switch s := o.S3OriginConfig; {
	case o.VpcOriginConfig != nil:
		return unsupported("Origins in a VPC are")
	case (s == nil) == (o.CustomOriginConfig == nil):
		return fault.New(fault.InvalidOrigin, "An origin has either S3OriginConfig or CustomOriginConfig.")
	case s == nil:
		if o.OriginAccessControlId != "" {
			return fault.New(fault.InvalidDomainNameForOriginAccessControl,
				"An origin access control of type s3 needs an origin with S3OriginConfig.")
		}
		return o.CustomOriginConfig.complete()
	case s.OriginAccessIdentity != "" && o.OriginAccessControlId != "":
		return fault.Of(fault.IllegalOriginAccessConfiguration)
	case s.OriginAccessIdentity != "":
		return fault.New(fault.InvalidOriginAccessIdentity,
			"Origin access identities are not supported here. Use an origin access control.")
	}
	if _, ok := BucketOf(o.DomainName, domains); !ok {
		code := fault.InvalidOrigin
		if o.OriginAccessControlId != "" {
			code = fault.InvalidDomainNameForOriginAccessControl
		}
		return fault.New(code, "The DomainName of an S3 origin is BUCKET.s3.amazonaws.com, "+
			"BUCKET.s3.REGION.amazonaws.com, or BUCKET and a domain of this server.")
	}
	err := between(fault.InvalidOriginReadTimeout, "OriginReadTimeout", o.S3OriginConfig.OriginReadTimeout, 1, 120)
	if o.S3OriginConfig.OriginReadTimeout == nil {
		o.S3OriginConfig.OriginReadTimeout = new(30)
	}
	return err
}

// BucketOf returns the bucket that an origin's domain name means: BUCKET.s3.amazonaws.com,
// BUCKET.s3.REGION.amazonaws.com, BUCKET.s3-REGION.amazonaws.com, or BUCKET.DOMAIN for one of
// domains, regardless of case. Website endpoints are not buckets.
func BucketOf(host string, domains []string) (bucket string, ok bool) {
	host = strings.ToLower(host)
	for _, d := range domains {
		if b, ok := strings.CutSuffix(host, "."+strings.ToLower(d)); ok && b != "" {
			return b, true
		}
	}
	rest, ok := strings.CutSuffix(host, ".amazonaws.com")
	if !ok {
		return "", false
	}
	if b, ok := strings.CutSuffix(rest, ".s3"); ok && b != "" {
		return b, true
	}
	i := strings.LastIndex(rest, ".")
	if i <= 0 {
		return "", false
	}
	before, last := rest[:i], rest[i+1:]
	if b, ok := strings.CutSuffix(before, ".s3"); ok && isRegion(last) && b != "" {
		return b, true
	}
	if region, ok := strings.CutPrefix(last, "s3-"); ok && isRegion(region) {
		return before, true
	}
	return "", false
}

// isRegion reports whether s has the form of a region: words and a number.
func isRegion(s string) bool {
	parts := strings.Split(s, "-")
	n := len(parts) - 1
	return n >= 2 && len(parts[n]) == 1 && parts[n] >= "0" && parts[n] <= "9" && parts[0] != "website"
}

// complete checks a custom origin. Old versions of TLS are returned to the caller, but never
// used.
func (o *CustomOriginConfig) complete() error {
	for _, port := range []int{o.HTTPPort, o.HTTPSPort} {
		if port != 80 && port != 443 && (port < 1024 || port > 65535) {
			return invalid("The ports of an origin are 80, 443, or from 1024 to 65535.")
		}
	}
	if o.OriginSslProtocols.Quantity == 0 {
		o.OriginSslProtocols = OriginSslProtocols{Quantity: 1, Items: []string{"TLSv1.2"}}
	}
	for _, p := range o.OriginSslProtocols.Items {
		if !slices.Contains([]string{"SSLv3", "TLSv1", "TLSv1.1", "TLSv1.2"}, p) {
			return fault.New(fault.InvalidProtocolSettings, "OriginSslProtocols are SSLv3, TLSv1, TLSv1.1 and TLSv1.2.")
		}
	}
	if o.IpAddressType != "" {
		if err := oneOf("IpAddressType", o.IpAddressType, "ipv4", "ipv6", "dualstack"); err != nil {
			return err
		}
	}
	if o.OriginMtlsConfig != nil {
		return unsupported("Client certificates for origins are")
	}
	err := first(
		oneOf("OriginProtocolPolicy", o.OriginProtocolPolicy, "http-only", "match-viewer", "https-only"),
		between(fault.InvalidOriginReadTimeout, "OriginReadTimeout", o.OriginReadTimeout, 1, 120),
		between(fault.InvalidOriginKeepaliveTimeout, "OriginKeepaliveTimeout", o.OriginKeepaliveTimeout, 1, 120),
	)
	if o.OriginReadTimeout == nil {
		o.OriginReadTimeout = new(30)
	}
	if o.OriginKeepaliveTimeout == nil {
		o.OriginKeepaliveTimeout = new(5)
	}
	return err
}

// check refuses headers that would change the meaning or the sender of a request to an origin
// ("Custom headers that CloudFront can't add to origin requests" in the developer guide).
func (h *CustomHeaders) check() error {
	if h.Quantity > maxOriginHeaders {
		return fault.Of(fault.TooManyOriginCustomHeaders)
	}
	names := make([]string, 0, len(h.Items))
	for _, header := range h.Items {
		switch name := header.HeaderName; {
		case !isToken(name) || len(name) > 256:
			return invalid("%.64q is not a header name.", name)
		case reservedToOrigin(strings.ToLower(name)):
			return invalid("The header %.64q can't be a custom header of an origin.", name)
		case !isHeaderValue(header.HeaderValue) || len(header.HeaderValue) > maxHeaderValue:
			return badValue(name)
		}
		names = append(names, header.HeaderName)
	}
	if name, twice := repeated(names, true); twice {
		return invalid("The header %.64q is named twice.", name)
	}
	return nil
}

// maxHeaderValue bounds the value of a header that a configuration adds, in bytes.
const maxHeaderValue = 1783

func badValue(header string) error {
	return invalid("The value of the header %.64q is longer than %d characters, or has characters that no header may "+
		"have.", header, maxHeaderValue)
}

func reservedToOrigin(name string) bool {
	for _, prefix := range []string{"x-amz-", "x-amzn-", "x-edge-", "x-watertight-", "proxy-"} {
		if strings.HasPrefix(name, prefix) {
			return true
		}
	}
	return slices.Contains([]string{
		"accept-encoding", "authorization", "cache-control", "connection", "content-length", "cookie", "expect", "host",
		"if-match", "if-modified-since", "if-none-match", "if-range", "if-unmodified-since", "keep-alive",
		"max-forwards", "pragma", "range", "request-range", "te", "trailer", "transfer-encoding", "upgrade", "via",
		"x-real-ip",
	}, name)
}
