package distribution

// CachePolicyConfig says what is in the cache key, and how long responses are kept. The TTLs
// are in seconds.
type CachePolicyConfig struct {
	Comment    string `json:",omitzero"`
	Name       string `json:",omitzero"`
	DefaultTTL *int64 `json:",omitzero"`
	MaxTTL     *int64 `json:",omitzero"`
	MinTTL     int64  `emit:"always" json:",omitzero"`

	ParametersInCacheKeyAndForwardedToOrigin CacheKeyParameters `json:",omitzero"`
}

// CacheKeyParameters is ParametersInCacheKeyAndForwardedToOrigin.
type CacheKeyParameters struct {
	EnableAcceptEncodingGzip   bool               `emit:"always" json:",omitzero"`
	EnableAcceptEncodingBrotli bool               `emit:"always" json:",omitzero"`
	HeadersConfig              CachePolicyHeaders `json:",omitzero"`
	CookiesConfig              PolicyCookies      `json:",omitzero"`
	QueryStringsConfig         PolicyQueryStrings `json:",omitzero"`
}

// CachePolicyHeaders says which headers are in the cache key: none or whitelist.
type CachePolicyHeaders struct {
	HeaderBehavior string   `json:",omitzero"`
	Headers        *Headers `json:",omitzero"`
}

// PolicyCookies says which cookies a policy is about: none, whitelist, allExcept or all.
type PolicyCookies struct {
	CookieBehavior string       `json:",omitzero"`
	Cookies        *CookieNames `json:",omitzero"`
}

// PolicyQueryStrings says which parameters of the query a policy is about: none, whitelist,
// allExcept or all.
type PolicyQueryStrings struct {
	QueryStringBehavior string            `json:",omitzero"`
	QueryStrings        *QueryStringNames `json:",omitzero"`
}

// OriginRequestPolicyConfig says what is sent to the origin besides what is in the cache key.
type OriginRequestPolicyConfig struct {
	Comment            string               `json:",omitzero"`
	Name               string               `json:",omitzero"`
	HeadersConfig      OriginRequestHeaders `json:",omitzero"`
	CookiesConfig      PolicyCookies        `json:",omitzero"`
	QueryStringsConfig PolicyQueryStrings   `json:",omitzero"`
}

// OriginRequestHeaders says which headers are sent: none, whitelist, allViewer,
// allViewerAndWhitelistCloudFront or allExcept.
type OriginRequestHeaders struct {
	HeaderBehavior string   `json:",omitzero"`
	Headers        *Headers `json:",omitzero"`
}

// OriginAccessControlConfig says how requests to an origin are signed.
type OriginAccessControlConfig struct {
	Name                          string `json:",omitzero"`
	Description                   string `emit:"always" json:",omitzero"`
	SigningProtocol               string `json:",omitzero"` // sigv4
	SigningBehavior               string `json:",omitzero"` // never, always or no-override
	OriginAccessControlOriginType string `json:",omitzero"` // s3
}

// PublicKeyConfig is a key that verifies signed URLs and cookies.
type PublicKeyConfig struct {
	CallerReference string `emit:"always" json:",omitzero"`
	Name            string `json:",omitzero"`
	EncodedKey      string `json:",omitzero"` // PEM
	Comment         string `json:",omitzero"`
}

// KeyGroupConfig is a list of keys that a behaviour trusts together.
type KeyGroupConfig struct {
	Name    string   `json:",omitzero"`
	Items   []string `xml:"Items>PublicKey" json:",omitzero"` // ids
	Comment string   `json:",omitzero"`
}

// InvalidationBatch is paths to remove from the caches.
type InvalidationBatch struct {
	Paths           InvalidationPaths `json:",omitzero"`
	CallerReference string            `emit:"always" json:",omitzero"`
}

// InvalidationPaths are the paths of a batch.
type InvalidationPaths struct {
	Quantity int      `emit:"always" json:",omitzero"`
	Items    []string `xml:"Items>Path" json:",omitzero"`
}
