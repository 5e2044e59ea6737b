package distribution

import (
	"fmt"
	"slices"
	"strings"
	"unicode"

	"watertight/internal/fault"
)

// Quotas of a distribution ("Quotas" in the developer guide).
const (
	maxAliases       = 100
	maxOrigins       = 25
	maxBehaviors     = 25
	maxKeyGroups     = 4 // of a behaviour
	maxOriginHeaders = 10
	maxRootObject    = 255
	maxPath          = 4000
)

// Complete checks a configuration and fills in AWS's defaults for what was left out. domains
// are those below which this store's buckets have names. What a configuration refers to (origin
// access controls, policies, key groups) is not looked up. Errors: InvalidArgument,
// InconsistentQuantities and the codes of the single members.
func (c *Config) Complete(domains []string) error {
	if err := consistent(c); err != nil {
		return err
	}
	err := first(
		checkReference(c.CallerReference), c.refuseAbsent(), c.checkGeneral(), c.checkAliases(domains),
		c.checkRootObject(), c.completeOrigins(domains), c.completeBehaviors(), c.completeErrors(),
		c.ViewerCertificate.complete(),
	)
	if err != nil {
		return err
	}
	if c.PriceClass == "" {
		c.PriceClass = "PriceClass_All"
	}
	if c.HttpVersion == "" {
		c.HttpVersion = "http2"
	}
	if c.IsIPV6Enabled == nil {
		c.IsIPV6Enabled = new(bool)
	}
	c.Restrictions.GeoRestriction.RestrictionType = "none"
	return nil
}

// refuseAbsent refuses settings that are not supported here and would change what viewers get,
// or who gets it.
func (c *Config) refuseAbsent() error {
	geo := &c.Restrictions.GeoRestriction
	switch {
	case c.OriginGroups.Quantity > 0:
		return unsupported("Origin groups are")
	case geo.RestrictionType != "" && geo.RestrictionType != "none" || geo.Quantity > 0:
		return fault.New(fault.InvalidGeoRestrictionParameter,
			"Geographic restrictions are not supported here. RestrictionType must be none, without locations.")
	case c.WebACLId != "":
		return fault.New(fault.InvalidWebACLId, "Web ACLs are not supported here.")
	case c.ContinuousDeploymentPolicyId != "":
		return fault.New(fault.NoSuchContinuousDeploymentPolicy, "Continuous deployment is not supported here.")
	case c.Staging:
		return unsupported("Staging distributions are")
	case c.ConnectionMode != "" && c.ConnectionMode != "direct", c.TenantConfig != nil:
		return unsupported("Distributions for tenants are")
	case c.ViewerMtlsConfig != nil:
		return unsupported("Certificates of viewers are")
	case c.ConnectionFunctionAssociation != nil:
		return unsupported("Connection functions are")
	case c.CacheTagConfig != nil:
		return unsupported("Cache tags are")
	}
	return nil
}

func unsupported(what string) error { return invalid("%s not supported here.", what) }

// checkGeneral checks the members that are independent of others.
func (c *Config) checkGeneral() error {
	if len(c.Comment) > maxComment {
		return invalid("Comment has at most %d characters.", maxComment)
	}
	if c.PriceClass != "" {
		if err := oneOf("PriceClass", c.PriceClass, "PriceClass_100", "PriceClass_200", "PriceClass_All",
			"None"); err != nil {
			return err
		}
	}
	if c.HttpVersion != "" {
		if err := oneOf("HttpVersion", strings.ToLower(c.HttpVersion), "http1.1", "http2", "http3",
			"http2and3"); err != nil {
			return err
		}
	}
	switch l := &c.Logging; {
	case l.Enabled && l.Bucket == "":
		return invalid("Logging needs a Bucket if it is enabled.")
	case l.Bucket != "" && !isHost(l.Bucket):
		return invalid("The Bucket of Logging is a domain name, such as logs.s3.amazonaws.com.")
	case strings.ContainsFunc(l.Prefix, unicode.IsControl):
		return invalid("The Prefix of Logging has no control characters.")
	case len(l.Prefix) > 256 || strings.HasPrefix(l.Prefix, "/"):
		return invalid("The Prefix of Logging has at most 256 characters and does not begin with a slash.")
	}
	return nil
}

func (c *Config) checkRootObject() error {
	if o := c.DefaultRootObject; strings.HasPrefix(o, "/") || len(o) > maxRootObject || !isPath(o) || climbs(o) {
		return fault.New(fault.InvalidDefaultRootObject, fmt.Sprintf(
			"The default root object has at most %d characters, is URL-encoded and begins without a slash.",
			maxRootObject))
	}
	return nil
}

// defaultErrorTTL is how long errors are cached by default, in seconds.
const defaultErrorTTL = 10

// completeErrors checks the custom error responses.
func (c *Config) completeErrors() error {
	seen := map[int]bool{}
	for i := range c.CustomErrorResponses.Items {
		r := &c.CustomErrorResponses.Items[i]
		if err := r.complete(); err != nil {
			return err
		}
		if seen[r.ErrorCode] {
			return invalid("There are two custom error responses for the error code %d.", r.ErrorCode)
		}
		seen[r.ErrorCode] = true
	}
	return nil
}

func (r *CustomErrorResponse) complete() error {
	if !slices.Contains([]int{400, 403, 404, 405, 414, 416, 500, 501, 502, 503, 504}, r.ErrorCode) {
		return fault.New(fault.InvalidErrorCode, fmt.Sprintf("%d is not an error code that can have a custom response.",
			r.ErrorCode))
	}
	if (r.ResponsePagePath == "") != (r.ResponseCode == "") {
		return invalid("ResponsePagePath and ResponseCode are given both or neither.")
	}
	if r.ResponseCode != "" && !slices.Contains([]string{
		"200", "400", "403", "404", "405", "414", "416", "500", "501", "502", "503", "504",
	}, r.ResponseCode) {
		return fault.New(fault.InvalidResponseCode, fmt.Sprintf("%.64q is not a code that a custom response can have.",
			r.ResponseCode))
	}
	if p := r.ResponsePagePath; p != "" && (!strings.HasPrefix(p, "/") || len(p) > maxPath || !isPath(p)) {
		return fault.New(fault.InvalidRelativePath,
			"ResponsePagePath begins with a slash, is URL-encoded and has at most 4000 characters.")
	}
	if r.ErrorCachingMinTTL == nil {
		r.ErrorCachingMinTTL = new(int64(defaultErrorTTL))
	}
	if *r.ErrorCachingMinTTL < 0 || *r.ErrorCachingMinTTL > maxTTL {
		return invalid("ErrorCachingMinTTL is from 0 to %d seconds.", maxTTL)
	}
	return nil
}

// complete checks the requested certificate. The operator decides which certificate viewers
// see, by the server name.
func (v *ViewerCertificate) complete() error {
	if v.MinimumProtocolVersion != "" && !slices.Contains([]string{
		"SSLv3", "TLSv1", "TLSv1_2016", "TLSv1.1_2016", "TLSv1.2_2018", "TLSv1.2_2019", "TLSv1.2_2021", "TLSv1.3_2025",
		"TLSv1.2_2025",
	}, v.MinimumProtocolVersion) {
		return fault.New(fault.InvalidMinimumProtocolVersion, fmt.Sprintf("%.64q is not a minimum protocol version.",
			v.MinimumProtocolVersion))
	}
	own := v.IAMCertificateId != "" || v.ACMCertificateArn != ""
	switch {
	case v.IAMCertificateId != "" && v.ACMCertificateArn != "", v.CloudFrontDefaultCertificate && own:
		return fault.New(fault.InvalidViewerCertificate, "A distribution has one certificate.")
	case own && !slices.Contains([]string{"sni-only", "vip", "static-ip"}, v.SSLSupportMethod):
		return fault.New(fault.InvalidViewerCertificate, "SSLSupportMethod is sni-only, vip or static-ip.")
	case !own:
		*v = ViewerCertificate{
			CloudFrontDefaultCertificate: true, SSLSupportMethod: "vip", MinimumProtocolVersion: "TLSv1",
			CertificateSource: "cloudfront",
		}
		return nil
	}
	v.Certificate, v.CertificateSource = v.ACMCertificateArn, "acm"
	if v.IAMCertificateId != "" {
		v.Certificate, v.CertificateSource = v.IAMCertificateId, "iam"
	}
	if v.MinimumProtocolVersion == "" {
		v.MinimumProtocolVersion = "TLSv1"
	}
	return nil
}
