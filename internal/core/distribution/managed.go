package distribution

// Ids of managed policies that this server itself chooses.
const (
	CachingOptimized = "658327ea-f89d-4fab-a63d-7e88639e58f6"
	CachingDisabled  = "4135ea2d-6df8-44a3-9df3-4b5a84be39ad"
)

// The managed policies, by id ("Use managed cache policies", "Use managed origin request
// policies" and "Use managed response headers policies" in the developer guide). AWS's other
// managed policies are for services that are not supported here.

// ManagedCachePolicies returns the managed cache policies, by id.
func ManagedCachePolicies() map[string]CachePolicyConfig {
	return map[string]CachePolicyConfig{
		CachingOptimized: managedCaching("CachingOptimized",
			"Policy with caching enabled. Supports Gzip and Brotli compression.", 1, dayTTL, yearTTL, true),
		"b2884449-e4de-46a7-ac36-70bc7f1ddd6d": managedCaching("CachingOptimizedForUncompressedObjects",
			"Policy with caching enabled. Does not support compression.", 1, dayTTL, yearTTL, false),
		CachingDisabled: managedCaching("CachingDisabled", "Policy with caching disabled", 0, 0, 0, false),
		"83da9c7e-98b4-4e11-a168-04f0df8e2c65": underOriginHeaders("UseOriginCacheControlHeaders",
			"Policy for origins that return Cache-Control headers. Query strings are not in the cache key.", none),
		"4cc15a8a-d715-48a4-82b8-cc0b614638fe": underOriginHeaders("UseOriginCacheControlHeaders-QueryStrings",
			"Policy for origins that return Cache-Control headers. Query strings are in the cache key.", all),
	}
}

func managedCaching(name, comment string, minimum, usual, maximum int64, compress bool) CachePolicyConfig {
	return CachePolicyConfig{
		Name: "Managed-" + name, Comment: comment, MinTTL: minimum, DefaultTTL: &usual, MaxTTL: &maximum,
		ParametersInCacheKeyAndForwardedToOrigin: CacheKeyParameters{
			EnableAcceptEncodingGzip: compress, EnableAcceptEncodingBrotli: compress,
			HeadersConfig:      CachePolicyHeaders{HeaderBehavior: none},
			CookiesConfig:      PolicyCookies{CookieBehavior: none},
			QueryStringsConfig: PolicyQueryStrings{QueryStringBehavior: none},
		},
	}
}

func underOriginHeaders(name, comment, query string) CachePolicyConfig {
	p := managedCaching(name, comment, 0, 0, yearTTL, true)
	k := &p.ParametersInCacheKeyAndForwardedToOrigin
	k.HeadersConfig = CachePolicyHeaders{HeaderBehavior: whitelist, Headers: &Headers{Quantity: 5, Items: []string{
		"host", "origin", "x-http-method", "x-http-method-override", "x-method-override",
	}}}
	k.CookiesConfig.CookieBehavior = all
	k.QueryStringsConfig.QueryStringBehavior = query
	return p
}

// ManagedOriginRequestPolicies returns the managed origin request policies, by id.
func ManagedOriginRequestPolicies() map[string]OriginRequestPolicyConfig {
	return map[string]OriginRequestPolicyConfig{
		"216adef6-5c7f-47e4-b989-5492eafa07d3": managedForwarding("AllViewer",
			"Policy to forward all parameters in viewer requests", all, "allViewer"),
		"b689b0a8-53d0-40ab-baf2-68738e2966ac": managedForwarding("AllViewerExceptHostHeader",
			"Policy to forward all parameters in viewer requests except for the Host header", all, allExcept, "host"),
		"88a5eaf4-2fd4-4709-b370-b4c650ea3fcf": managedForwarding("CORS-S3Origin",
			"Policy for S3 origin with CORS", none, whitelist, "origin", "access-control-request-headers",
			"access-control-request-method"),
		"59781a5b-3903-41f3-afcb-af62929ccde1": managedForwarding("CORS-CustomOrigin",
			"Policy for custom origin with CORS", none, whitelist, "origin"),
		"acba4595-bd28-49b8-b9fe-13317c0390fa": managedForwarding("UserAgentRefererHeaders",
			"Policy to forward user-agent and referer headers to origin", none, whitelist, "user-agent", "referer"),
	}
}

// managedForwarding returns a policy; rest is the behaviour of cookies and query strings.
func managedForwarding(name, comment, rest, headers string, names ...string) OriginRequestPolicyConfig {
	p := OriginRequestPolicyConfig{
		Name: "Managed-" + name, Comment: comment, HeadersConfig: OriginRequestHeaders{HeaderBehavior: headers},
		CookiesConfig:      PolicyCookies{CookieBehavior: rest},
		QueryStringsConfig: PolicyQueryStrings{QueryStringBehavior: rest},
	}
	if len(names) > 0 {
		p.HeadersConfig.Headers = &Headers{Quantity: len(names), Items: names}
	}
	return p
}

// ManagedResponseHeadersPolicies returns the managed response headers policies, by id.
func ManagedResponseHeadersPolicies() map[string]ResponseHeadersPolicyConfig {
	return map[string]ResponseHeadersPolicyConfig{
		"60669652-455b-4ae9-85a4-c4c02393f86c": {
			Name: "Managed-SimpleCORS", Comment: "Allows all origins for simple CORS requests",
			CorsConfig: simpleCORS(),
		},
		"5cc3b908-e619-4b99-88e5-2cf7f45965bd": {
			Name:       "Managed-CORS-With-Preflight",
			Comment:    "Allows all origins for CORS requests, including preflight requests",
			CorsConfig: preflightCORS(),
		},
		"67f7725c-6f97-4210-82d7-5512b31e9d03": {
			Name: "Managed-SecurityHeadersPolicy", Comment: "Adds a set of security headers to every response",
			SecurityHeadersConfig: managedSecurity(),
		},
		"e61eb60c-9c35-4d20-a928-2b84e02af89c": {
			Name:       "Managed-CORS-and-SecurityHeadersPolicy",
			Comment:    "Allows all origins for simple CORS requests and adds security headers",
			CorsConfig: simpleCORS(), SecurityHeadersConfig: managedSecurity(),
		},
		"eaab4381-ed33-4a86-88ca-d9558dc6cd63": {
			Name:       "Managed-CORS-with-preflight-and-SecurityHeadersPolicy",
			Comment:    "Allows all origins for CORS requests, including preflight requests, and adds security headers",
			CorsConfig: preflightCORS(), SecurityHeadersConfig: managedSecurity(),
		},
	}
}

func simpleCORS() *CorsConfig {
	return &CorsConfig{
		AccessControlAllowOrigins: AllowOrigins{Quantity: 1, Items: []string{"*"}},
		AccessControlAllowHeaders: AllowHeaders{Quantity: 1, Items: []string{"*"}},
		AccessControlAllowMethods: AllowMethods{Quantity: 2, Items: []string{"GET", "HEAD"}},
	}
}

func preflightCORS() *CorsConfig {
	c := simpleCORS()
	c.AccessControlAllowMethods = AllowMethods{
		Quantity: 7, Items: []string{"GET", "HEAD", "PUT", "POST", "PATCH", "DELETE", "OPTIONS"},
	}
	c.AccessControlExposeHeaders = &AllowHeaders{Quantity: 1, Items: []string{"*"}}
	return c
}

func managedSecurity() *SecurityHeadersConfig {
	return &SecurityHeadersConfig{
		XSSProtection:           &XSSProtection{Protection: true, ModeBlock: new(true)},
		FrameOptions:            &FrameOptions{FrameOption: "SAMEORIGIN"},
		ReferrerPolicy:          &ReferrerPolicy{ReferrerPolicy: "strict-origin-when-cross-origin"},
		ContentTypeOptions:      &ContentTypeOptions{Override: true},
		StrictTransportSecurity: &StrictTransportSecurity{AccessControlMaxAgeSec: yearTTL},
	}
}
