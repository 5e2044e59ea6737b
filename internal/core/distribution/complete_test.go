package distribution

import (
	"reflect"
	"strings"
	"testing"

	"watertight/internal/fault"
)

// sample returns a valid configuration: a bucket and a custom origin, a default behaviour with
// a cache policy, and one without.
func sample() *Config {
	return &Config{
		CallerReference: "ref", Enabled: true,
		Origins: Origins{Quantity: 2, Items: []Origin{
			{
				Id: "s3", DomainName: "bkt.s3.us-east-1.amazonaws.com", OriginAccessControlId: "E1",
				S3OriginConfig: &S3OriginConfig{},
			},
			{Id: "http", DomainName: "origin.example.com", CustomOriginConfig: &CustomOriginConfig{
				HTTPPort: 80, HTTPSPort: 443, OriginProtocolPolicy: "https-only",
			}},
		}},
		DefaultCacheBehavior: CacheBehavior{
			TargetOriginId: "s3", ViewerProtocolPolicy: "redirect-to-https", CachePolicyId: CachingOptimized,
		},
		CacheBehaviors: CacheBehaviors{Quantity: 1, Items: []CacheBehavior{{
			PathPattern: "/api/*", TargetOriginId: "http", ViewerProtocolPolicy: "https-only",
			ForwardedValues: &ForwardedValues{Cookies: CookiePreference{Forward: "none"}},
		}}},
	}
}

// TestDefaults: omitted members get the values that AWS returns, and completing a
// configuration again does not change it.
func TestDefaults(t *testing.T) {
	c := sample()
	if err := c.Complete(nil); err != nil {
		t.Fatal(err)
	}
	b := &c.DefaultCacheBehavior
	if b.AllowedMethods.Quantity != 2 || b.AllowedMethods.CachedMethods.Quantity != 2 || b.MinTTL != nil {
		t.Errorf("the default behaviour is %+v", b)
	}
	o := &c.CacheBehaviors.Items[0]
	if *o.MinTTL != 0 || *o.DefaultTTL != 86400 || *o.MaxTTL != 31536000 {
		t.Errorf("TTLs %d %d %d", *o.MinTTL, *o.DefaultTTL, *o.MaxTTL)
	}
	if v := c.ViewerCertificate; !v.CloudFrontDefaultCertificate || v.CertificateSource != "cloudfront" {
		t.Errorf("the certificate is %+v", v)
	}
	if c.PriceClass != "PriceClass_All" || c.HttpVersion != "http2" ||
		c.Restrictions.GeoRestriction.RestrictionType != "none" ||
		*c.Origins.Items[0].ConnectionAttempts != 3 || *c.Origins.Items[1].CustomOriginConfig.OriginReadTimeout != 30 {
		t.Errorf("got %+v", c)
	}
	again := sample()
	for range 2 {
		if err := again.Complete(nil); err != nil {
			t.Fatal(err)
		}
	}
	if !reflect.DeepEqual(c, again) {
		t.Error("completing twice changes something")
	}
}

func oneResponse(code int, page, response string) CustomErrorResponses {
	return CustomErrorResponses{1, []CustomErrorResponse{{code, page, response, nil}}}
}

// parts are a sample, its behaviours, and its origins: a bucket and another server.
type parts struct {
	*Config
	d, b *CacheBehavior
	s, h *Origin
}

// TestRefused: each change makes the valid configuration one that AWS, or this server, refuses
// with this code.
func TestRefused(t *testing.T) {
	long := strings.Repeat("x", 300)
	for _, c := range []struct {
		name   string
		code   fault.Code
		change func(p parts)
	}{
		{"no reference", fault.InvalidArgument, func(p parts) { p.CallerReference = "" }},
		{"quantity", fault.InconsistentQuantities, func(p parts) { p.Aliases.Quantity = 1 }},
		{"quantity inside", fault.InconsistentQuantities, func(p parts) {
			p.b.ForwardedValues.Cookies.WhitelistedNames.Items = []string{"a"}
		}},
		{"root object", fault.InvalidDefaultRootObject, func(p parts) { p.DefaultRootObject = "/x" }},
		{"root object, characters", fault.InvalidDefaultRootObject, func(p parts) { p.DefaultRootObject = "a b" }},
		{"no origins", fault.InvalidArgument, func(p parts) { p.Origins = Origins{} }},
		{"many origins", fault.TooManyOrigins, func(p parts) {
			p.Origins = Origins{Quantity: 26, Items: make([]Origin, 26)}
		}},
		{"origins alike", fault.InvalidArgument, func(p parts) { p.h.Id, p.b.TargetOriginId = "s3", "s3" }},
		{"no such origin", fault.NoSuchOrigin, func(p parts) { p.d.TargetOriginId = "x" }},
		{"origin with a port", fault.InvalidOrigin, func(p parts) { p.h.DomainName = "a.example:80" }},
		{"origin of no kind", fault.InvalidOrigin, func(p parts) { p.s.S3OriginConfig = nil }},
		{"root object, dots", fault.InvalidDefaultRootObject, func(p parts) { p.DefaultRootObject = "a/.%2E" }},
		{"origin path, dots", fault.InvalidRelativePath, func(p parts) { p.s.OriginPath = "/a/%2e%2E" }},
		{"origin path", fault.InvalidRelativePath, func(p parts) { p.s.OriginPath = "a" }},
		{"origin path's end", fault.InvalidRelativePath, func(p parts) { p.s.OriginPath = "/a/" }},
		{"OAC and OAI", fault.IllegalOriginAccessConfiguration, func(p parts) {
			p.s.S3OriginConfig.OriginAccessIdentity = "origin-access-identity/cloudfront/E2"
		}},
		{"OAI", fault.InvalidOriginAccessIdentity, func(p parts) {
			p.s.OriginAccessControlId = ""
			p.s.S3OriginConfig.OriginAccessIdentity = "origin-access-identity/cloudfront/E2"
		}},
		{"OAC of a website", fault.InvalidDomainNameForOriginAccessControl, func(p parts) {
			p.s.DomainName = "bkt.s3-website-us-east-1.amazonaws.com"
		}},
		{"OAC of another server", fault.InvalidDomainNameForOriginAccessControl, func(p parts) {
			p.h.OriginAccessControlId = "E1"
		}},
		{"bucket elsewhere", fault.InvalidOrigin, func(p parts) {
			p.s.DomainName, p.s.OriginAccessControlId = "bkt.elsewhere.example", ""
		}},
		{"VPC", fault.InvalidArgument, func(p parts) { p.s.VpcOriginConfig = &VpcOriginConfig{} }},
		{"attempts", fault.InvalidArgument, func(p parts) { p.s.ConnectionAttempts = new(4) }},
		{"read timeout", fault.InvalidOriginReadTimeout, func(p parts) {
			p.h.CustomOriginConfig.OriginReadTimeout = new(0)
		}},
		{"keepalive", fault.InvalidOriginKeepaliveTimeout, func(p parts) {
			p.h.CustomOriginConfig.OriginKeepaliveTimeout = new(121)
		}},
		{"protocols", fault.InvalidProtocolSettings, func(p parts) {
			p.h.CustomOriginConfig.OriginSslProtocols = OriginSslProtocols{1, []string{"TLSv9"}}
		}},
		{"port", fault.InvalidArgument, func(p parts) { p.h.CustomOriginConfig.HTTPPort = 22 }},
		{"reserved header", fault.InvalidArgument, func(p parts) {
			p.s.CustomHeaders = CustomHeaders{1, []OriginCustomHeader{{"X-Amz-Security-Token", "x"}}}
		}},
		{"header that ends a line", fault.InvalidArgument, func(p parts) {
			p.s.CustomHeaders = CustomHeaders{1, []OriginCustomHeader{{"X-Secret", "x\r\nHost: y"}}}
		}},
		{"many headers", fault.TooManyOriginCustomHeaders, func(p parts) {
			p.s.CustomHeaders = CustomHeaders{11, make([]OriginCustomHeader, 11)}
		}},
		{"alias", fault.InvalidArgument, func(p parts) { p.Aliases = Aliases{1, []string{"a.*.example"}} }},
		{"alias with a port", fault.InvalidArgument, func(p parts) {
			p.Aliases = Aliases{1, []string{"a.example:443"}}
		}},
		{"alias of AWS", fault.InvalidArgument, func(p parts) {
			p.Aliases = Aliases{1, []string{"d1.CloudFront.net"}}
		}},
		{"alias of an address", fault.InvalidArgument, func(p parts) {
			p.Aliases = Aliases{1, []string{"127.0.0.1"}}
		}},
		{"alias of addresses", fault.InvalidArgument, func(p parts) {
			p.Aliases = Aliases{1, []string{"*.0.0.1"}}
		}},
		{"alias of a short address", fault.InvalidArgument, func(p parts) {
			p.Aliases = Aliases{1, []string{"127.0x1"}}
		}},
		{"alias of this machine", fault.InvalidArgument, func(p parts) {
			p.Aliases = Aliases{1, []string{"a.localhost"}}
		}},
		{"alias of a bucket at AWS", fault.InvalidArgument, func(p parts) {
			p.Aliases = Aliases{1, []string{"site.s3.Amazonaws.com"}}
		}},
		{"alias of this server", fault.InvalidArgument, func(p parts) {
			p.Aliases = Aliases{1, []string{"Store.example"}}
		}},
		{"alias of a bucket here", fault.InvalidArgument, func(p parts) {
			p.Aliases = Aliases{1, []string{"*.store.example"}}
		}},
		{"alias above this server", fault.InvalidArgument, func(p parts) {
			p.Aliases = Aliases{1, []string{"*.Corp.example"}}
		}},
		{"aliases alike", fault.InvalidArgument, func(p parts) {
			p.Aliases = Aliases{2, []string{"a.example", "A.example"}}
		}},
		{"many aliases", fault.TooManyDistributionCNAMEs, func(p parts) {
			p.Aliases = Aliases{101, make([]string, 101)}
		}},
		{"pattern", fault.InvalidArgument, func(p parts) { p.b.PathPattern = "/a b" }},
		{"no pattern", fault.InvalidArgument, func(p parts) { p.b.PathPattern = "" }},
		{"long pattern", fault.InvalidArgument, func(p parts) { p.b.PathPattern = long }},
		{"default with a pattern", fault.InvalidArgument, func(p parts) { p.d.PathPattern = "*" }},
		{"patterns alike", fault.InvalidArgument, func(p parts) {
			twin := *p.b
			twin.PathPattern = "api/*"
			p.CacheBehaviors = CacheBehaviors{2, []CacheBehavior{*p.b, twin}}
		}},
		{"many behaviours", fault.TooManyCacheBehaviors, func(p parts) {
			p.CacheBehaviors = CacheBehaviors{26, make([]CacheBehavior, 26)}
		}},
		{"protocol policy", fault.InvalidArgument, func(p parts) { p.d.ViewerProtocolPolicy = "" }},
		{"methods", fault.InvalidArgument, func(p parts) {
			p.d.AllowedMethods = AllowedMethods{Quantity: 1, Items: []string{"GET"}}
		}},
		{"cached OPTIONS", fault.InvalidArgument, func(p parts) {
			p.d.AllowedMethods = AllowedMethods{
				2, []string{"GET", "HEAD"}, CachedMethods{3, []string{"GET", "HEAD", "OPTIONS"}},
			}
		}},
		{"TTL order", fault.InvalidTTLOrder, func(p parts) { p.b.MinTTL, p.b.MaxTTL = new(int64(9)), new(int64(8)) }},
		{"negative TTL", fault.InvalidTTLOrder, func(p parts) { p.b.MinTTL = new(int64(-1)) }},
		{"TTL beside a policy", fault.InvalidArgument, func(p parts) { p.d.MaxTTL = new(int64(8)) }},
		{"values beside a policy", fault.InvalidArgument, func(p parts) { p.b.CachePolicyId = CachingOptimized }},
		{"neither", fault.InvalidArgument, func(p parts) { p.d.CachePolicyId = "" }},
		{"cookies", fault.InvalidForwardCookies, func(p parts) {
			p.b.ForwardedValues.Cookies.Forward = "whitelist"
		}},
		{"all headers to S3", fault.InvalidHeadersForS3Origin, func(p parts) {
			p.b.TargetOriginId, p.b.ForwardedValues.Headers = "s3", Headers{1, []string{"*"}}
		}},
		{"error code", fault.InvalidErrorCode, func(p parts) {
			p.CustomErrorResponses = oneResponse(402, "", "")
		}},
		{"response code", fault.InvalidResponseCode, func(p parts) {
			p.CustomErrorResponses = oneResponse(404, "/a", "302")
		}},
		{"page alone", fault.InvalidArgument, func(p parts) {
			p.CustomErrorResponses = oneResponse(404, "/a", "")
		}},
		{"page path", fault.InvalidRelativePath, func(p parts) {
			p.CustomErrorResponses = oneResponse(404, "a", "200")
		}},
		{"error codes alike", fault.InvalidArgument, func(p parts) {
			p.CustomErrorResponses = CustomErrorResponses{2, []CustomErrorResponse{{ErrorCode: 404}, {ErrorCode: 404}}}
		}},
		{"key groups", fault.InvalidArgument, func(p parts) { p.d.TrustedKeyGroups.Enabled = true }},
		{"key groups that are off", fault.InvalidArgument, func(p parts) {
			p.d.TrustedKeyGroups = TrustedKeyGroups{false, 1, []string{"g"}}
		}},
		{"certificates", fault.InvalidViewerCertificate, func(p parts) {
			p.ViewerCertificate = ViewerCertificate{CloudFrontDefaultCertificate: true, ACMCertificateArn: "arn"}
		}},
		{"no SNI", fault.InvalidViewerCertificate, func(p parts) {
			p.ViewerCertificate = ViewerCertificate{ACMCertificateArn: "arn"}
		}},
		{"TLS version", fault.InvalidMinimumProtocolVersion, func(p parts) {
			p.ViewerCertificate.MinimumProtocolVersion = "TLSv9"
		}},
		{"logging", fault.InvalidArgument, func(p parts) { p.Logging.Enabled = true }},
		{"newline in logging", fault.InvalidArgument, func(p parts) { p.Logging.Prefix = "a\nb" }},
		{"NUL in logging", fault.InvalidArgument, func(p parts) { p.Logging.Prefix = "a\x00" }},
		{"Lambda", fault.InvalidLambdaFunctionAssociation, func(p parts) {
			p.d.LambdaFunctionAssociations = LambdaFunctionAssociations{1, make([]LambdaFunctionAssociation, 1)}
		}},
		{"function", fault.InvalidFunctionAssociation, func(p parts) {
			p.d.FunctionAssociations = FunctionAssociations{1, make([]FunctionAssociation, 1)}
		}},
		{"field-level encryption", fault.NoSuchFieldLevelEncryptionConfig, func(p parts) {
			p.d.FieldLevelEncryptionId = "x"
		}},
		{"real-time logs", fault.NoSuchRealtimeLogConfig, func(p parts) { p.d.RealtimeLogConfigArn = "x" }},
		{"trusted signers", fault.TrustedSignerDoesNotExist, func(p parts) { p.d.TrustedSigners.Enabled = true }},
		{"smooth streaming", fault.InvalidArgument, func(p parts) { p.d.SmoothStreaming = true }},
		{"gRPC", fault.InvalidArgument, func(p parts) { p.d.GrpcConfig.Enabled = true }},
		{"geo restriction", fault.InvalidGeoRestrictionParameter, func(p parts) {
			p.Restrictions.GeoRestriction = GeoRestriction{"whitelist", 1, []string{"DE"}}
		}},
		{"origin groups", fault.InvalidArgument, func(p parts) {
			p.OriginGroups = OriginGroups{1, make([]OriginGroup, 1)}
		}},
		{"web ACL", fault.InvalidWebACLId, func(p parts) { p.WebACLId = "x" }},
		{"staging", fault.InvalidArgument, func(p parts) { p.Staging = true }},
		{"continuous deployment", fault.NoSuchContinuousDeploymentPolicy, func(p parts) {
			p.ContinuousDeploymentPolicyId = "x"
		}},
		{"tenants", fault.InvalidArgument, func(p parts) { p.ConnectionMode = "tenant-only" }},
		{"cache tags", fault.InvalidArgument, func(p parts) { p.CacheTagConfig = &CacheTagConfig{} }},
	} {
		t.Run(c.name, func(t *testing.T) {
			in := sample()
			c.change(parts{
				in, &in.DefaultCacheBehavior, &in.CacheBehaviors.Items[0], &in.Origins.Items[0], &in.Origins.Items[1],
			})
			if err := in.Complete([]string{"store.example", "s3.corp.example"}); !fault.Is(err, c.code) {
				t.Errorf("got %v, want %s", err, c.code)
			}
		})
	}
}

// TestBucketOf: which domain names are this store's buckets.
func TestBucketOf(t *testing.T) {
	for host, want := range map[string]string{
		"bkt.s3.amazonaws.com":                       "bkt",
		"a.b.s3.amazonaws.com":                       "a.b",
		"bkt.s3.eu-west-1.amazonaws.com":             "bkt",
		"bkt.s3-eu-west-1.amazonaws.com":             "bkt",
		"BKT.S3.amazonaws.com":                       "bkt",
		"bkt.store.example":                          "bkt",
		"a.b.Store.Example":                          "a.b",
		"bkt.s3.us-gov-west-1.amazonaws.com":         "bkt",
		"store.example":                              "",
		"s3.amazonaws.com":                           "",
		"s3.eu-west-1.amazonaws.com":                 "",
		"bkt.s3-website-eu-west-1.amazonaws.com":     "",
		"bkt.s3-website.eu-west-1.amazonaws.com":     "",
		"bkt.s3.amazonaws.com.evil.example":          "",
		"evilstore.example":                          "",
		"bkt.execute-api.eu-west-1.amazonaws.com":    "",
		"bkt.s3-accelerate.amazonaws.com":            "",
		"x.s3-control.eu-west-1.amazonaws.com":       "",
		"x.lambda-url.eu-west-1.on.aws.example":      "",
		"bkt.s3.dualstack.eu-west-1.amazonaws.com":   "",
		"bkt.s3express-use1-az4.us-east-1.amazonaws": "",
	} {
		t.Run(host, func(t *testing.T) {
			if got, ok := BucketOf(host, []string{"store.example"}); got != want || ok != (want != "") {
				t.Errorf("got %q, %v", got, ok)
			}
		})
	}
}

// TestReferences: every id is found once.
func TestReferences(t *testing.T) {
	c := sample()
	c.CacheBehaviors.Items[0].OriginRequestPolicyId = "o"
	c.CacheBehaviors.Items[0].CachePolicyId = CachingOptimized
	c.DefaultCacheBehavior.ResponseHeadersPolicyId = "h"
	c.DefaultCacheBehavior.TrustedKeyGroups.Items = []string{"g2", "g1", "g2"}
	want := References{[]string{"E1"}, []string{CachingOptimized}, []string{"o"}, []string{"h"}, []string{"g1", "g2"}}
	if got := c.References(); !reflect.DeepEqual(got, want) {
		t.Errorf("got %+v", got)
	}
}

func TestIsAddress(t *testing.T) {
	for host, want := range map[string]bool{
		"127.0.0.1": true, "127.0.0.1.": true, "0.0.1": true, "127.1": true, "2130706433": true, "0x7f.1": true,
		"127.0x1": true, "127.0X": true, "[::1]": true, "::1": true, "[::ffff:127.0.0.1]": true, "a.1": true,
		"1.a": false, "example.com": false, "example.0xg": false, "example.c0": false, "127.0.0.1.example.com": false,
		"": false,
	} {
		t.Run(host, func(t *testing.T) {
			if IsAddress(host) != want {
				t.Error(!want)
			}
		})
	}
}
