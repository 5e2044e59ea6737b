package distribution

// CachePolicyConfig says what is in the cache key, and how long responses are kept. The TTLs
// are in seconds.
type CachePolicyConfig struct {
	Comment    string
	Name       string
	DefaultTTL *int64
	MaxTTL     *int64
	MinTTL     int64 `emit:"always"`

	ParametersInCacheKeyAndForwardedToOrigin CacheKeyParameters
}

// CacheKeyParameters is ParametersInCacheKeyAndForwardedToOrigin.
type CacheKeyParameters struct {
	EnableAcceptEncodingGzip   bool `emit:"always"`
	EnableAcceptEncodingBrotli bool `emit:"always"`
	HeadersConfig              CachePolicyHeaders
	CookiesConfig              PolicyCookies
	QueryStringsConfig         PolicyQueryStrings
}

// CachePolicyHeaders says which headers are in the cache key: none or whitelist.
type CachePolicyHeaders struct {
	HeaderBehavior string
	Headers        *Headers
}

// PolicyCookies says which cookies a policy is about: none, whitelist, allExcept or all.
type PolicyCookies struct {
	CookieBehavior string
	Cookies        *CookieNames
}

// PolicyQueryStrings says which parameters of the query a policy is about: none, whitelist,
// allExcept or all.
type PolicyQueryStrings struct {
	QueryStringBehavior string
	QueryStrings        *QueryStringNames
}

// OriginRequestPolicyConfig says what is sent to the origin besides what is in the cache key.
type OriginRequestPolicyConfig struct {
	Comment            string
	Name               string
	HeadersConfig      OriginRequestHeaders
	CookiesConfig      PolicyCookies
	QueryStringsConfig PolicyQueryStrings
}

// OriginRequestHeaders says which headers are sent: none, whitelist, allViewer,
// allViewerAndWhitelistCloudFront or allExcept.
type OriginRequestHeaders struct {
	HeaderBehavior string
	Headers        *Headers
}

// OriginAccessControlConfig says how requests to an origin are signed.
type OriginAccessControlConfig struct {
	Name                          string
	Description                   string `emit:"always"`
	SigningProtocol               string // sigv4
	SigningBehavior               string // never, always or no-override
	OriginAccessControlOriginType string // s3
}

// PublicKeyConfig is a key that verifies signed URLs and cookies.
type PublicKeyConfig struct {
	CallerReference string `emit:"always"`
	Name            string
	EncodedKey      string // PEM
	Comment         string
}

// KeyGroupConfig is keys that one behaviour trusts alike.
type KeyGroupConfig struct {
	Name    string
	Items   []string `xml:"Items>PublicKey"` // ids
	Comment string
}

// InvalidationBatch is paths to remove from the caches.
type InvalidationBatch struct {
	Paths           InvalidationPaths
	CallerReference string `emit:"always"`
}

// InvalidationPaths are the paths of a batch.
type InvalidationPaths struct {
	Quantity int      `emit:"always"`
	Items    []string `xml:"Items>Path"`
}
