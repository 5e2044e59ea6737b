package distribution

// CacheBehaviors are the behaviours of paths, in the order in which they are tried.
type CacheBehaviors struct {
	Quantity int             `emit:"always" json:",omitzero"`
	Items    []CacheBehavior `xml:"Items>CacheBehavior" json:",omitzero"`
}

// CacheBehavior says how requests are answered: those whose path the pattern matches or, for
// the default behaviour, which has no pattern, all others. It has either a CachePolicyId, or
// ForwardedValues and the three TTLs, which are in seconds.
type CacheBehavior struct {
	PathPattern      string           `json:",omitzero"`
	TargetOriginId   string           `json:",omitzero"`
	TrustedSigners   TrustedSigners   `emit:"always" json:",omitzero"`
	TrustedKeyGroups TrustedKeyGroups `emit:"always" json:",omitzero"`
	// ViewerProtocolPolicy is allow-all, https-only or redirect-to-https.
	ViewerProtocolPolicy       string                     `json:",omitzero"`
	AllowedMethods             AllowedMethods             `json:",omitzero"`
	SmoothStreaming            bool                       `emit:"always" json:",omitzero"`
	Compress                   bool                       `emit:"always" json:",omitzero"`
	LambdaFunctionAssociations LambdaFunctionAssociations `emit:"always" json:",omitzero"`
	FunctionAssociations       FunctionAssociations       `emit:"always" json:",omitzero"`
	FieldLevelEncryptionId     string                     `emit:"always" json:",omitzero"`
	RealtimeLogConfigArn       string                     `json:",omitzero"`
	CachePolicyId              string                     `json:",omitzero"`
	OriginRequestPolicyId      string                     `json:",omitzero"`
	ResponseHeadersPolicyId    string                     `json:",omitzero"`
	GrpcConfig                 GrpcConfig                 `emit:"always" json:",omitzero"`
	ForwardedValues            *ForwardedValues           `json:",omitzero"`
	MinTTL                     *int64                     `json:",omitzero"`
	DefaultTTL                 *int64                     `json:",omitzero"`
	MaxTTL                     *int64                     `json:",omitzero"`
}

// TrustedSigners are accounts whose keys sign URLs. They are not supported here.
type TrustedSigners struct {
	Enabled  bool     `emit:"always" json:",omitzero"`
	Quantity int      `emit:"always" json:",omitzero"`
	Items    []string `xml:"Items>AwsAccountNumber" json:",omitzero"`
}

// TrustedKeyGroups are the key groups whose keys sign URLs and cookies. If they are enabled,
// every request needs a signature.
type TrustedKeyGroups struct {
	Enabled  bool     `emit:"always" json:",omitzero"`
	Quantity int      `emit:"always" json:",omitzero"`
	Items    []string `xml:"Items>KeyGroup" json:",omitzero"`
}

// AllowedMethods are the methods that viewers may use.
type AllowedMethods struct {
	Quantity      int           `emit:"always" json:",omitzero"`
	Items         []string      `xml:"Items>Method" json:",omitzero"`
	CachedMethods CachedMethods `json:",omitzero"`
}

// CachedMethods are the methods whose responses are cached.
type CachedMethods struct {
	Quantity int      `emit:"always" json:",omitzero"`
	Items    []string `xml:"Items>Method" json:",omitzero"`
}

// LambdaFunctionAssociations are functions of Lambda@Edge. They are not supported here.
type LambdaFunctionAssociations struct {
	Quantity int                         `emit:"always" json:",omitzero"`
	Items    []LambdaFunctionAssociation `xml:"Items>LambdaFunctionAssociation" json:",omitzero"`
}

// LambdaFunctionAssociation is a function of Lambda@Edge.
type LambdaFunctionAssociation struct {
	LambdaFunctionARN string `json:",omitzero"`
	EventType         string `json:",omitzero"`
	IncludeBody       bool   `json:",omitzero"`
}

// FunctionAssociations are CloudFront functions. They are not supported here.
type FunctionAssociations struct {
	Quantity int                   `emit:"always" json:",omitzero"`
	Items    []FunctionAssociation `xml:"Items>FunctionAssociation" json:",omitzero"`
}

// FunctionAssociation is a CloudFront function.
type FunctionAssociation struct {
	FunctionARN string `json:",omitzero"`
	EventType   string `json:",omitzero"`
}

// GrpcConfig says whether gRPC may be used.
type GrpcConfig struct {
	Enabled bool `emit:"always" json:",omitzero"`
}

// ForwardedValues is what is in the cache key and sent to the origin, in a behaviour without a
// cache policy.
type ForwardedValues struct {
	QueryString          bool                 `emit:"always" json:",omitzero"`
	Cookies              CookiePreference     `json:",omitzero"`
	Headers              Headers              `emit:"always" json:",omitzero"`
	QueryStringCacheKeys QueryStringCacheKeys `emit:"always" json:",omitzero"`
}

// CookiePreference says which cookies are forwarded: none, whitelist or all.
type CookiePreference struct {
	Forward          string      `json:",omitzero"`
	WhitelistedNames CookieNames `json:",omitzero"`
}

// Headers are names of headers.
type Headers struct {
	Quantity int      `emit:"always" json:",omitzero"`
	Items    []string `xml:"Items>Name" json:",omitzero"`
}

// CookieNames are names of cookies.
type CookieNames struct {
	Quantity int      `emit:"always" json:",omitzero"`
	Items    []string `xml:"Items>Name" json:",omitzero"`
}

// QueryStringNames are names of parameters of the query.
type QueryStringNames struct {
	Quantity int      `emit:"always" json:",omitzero"`
	Items    []string `xml:"Items>Name" json:",omitzero"`
}

// QueryStringCacheKeys are the parameters of the query that are in the cache key. If none is
// listed, all are.
type QueryStringCacheKeys struct {
	Quantity int      `emit:"always" json:",omitzero"`
	Items    []string `xml:"Items>Name" json:",omitzero"`
}
