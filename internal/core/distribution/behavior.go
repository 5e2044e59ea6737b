package distribution

// CacheBehaviors are the behaviours of paths, in the order in which they are tried.
type CacheBehaviors struct {
	Quantity int             `emit:"always"`
	Items    []CacheBehavior `xml:"Items>CacheBehavior"`
}

// CacheBehavior says how requests are answered: those whose path the pattern matches or, for
// the default behaviour, which has no pattern, all others. It has either a CachePolicyId, or
// ForwardedValues and the three TTLs, which are in seconds.
type CacheBehavior struct {
	PathPattern                string
	TargetOriginId             string
	TrustedSigners             TrustedSigners   `emit:"always"`
	TrustedKeyGroups           TrustedKeyGroups `emit:"always"`
	ViewerProtocolPolicy       string           // allow-all, https-only or redirect-to-https
	AllowedMethods             AllowedMethods
	SmoothStreaming            bool                       `emit:"always"`
	Compress                   bool                       `emit:"always"`
	LambdaFunctionAssociations LambdaFunctionAssociations `emit:"always"`
	FunctionAssociations       FunctionAssociations       `emit:"always"`
	FieldLevelEncryptionId     string                     `emit:"always"`
	RealtimeLogConfigArn       string
	CachePolicyId              string
	OriginRequestPolicyId      string
	ResponseHeadersPolicyId    string
	GrpcConfig                 GrpcConfig `emit:"always"`
	ForwardedValues            *ForwardedValues
	MinTTL                     *int64
	DefaultTTL                 *int64
	MaxTTL                     *int64
}

// TrustedSigners are accounts whose keys sign URLs. There are only key groups here.
type TrustedSigners struct {
	Enabled  bool     `emit:"always"`
	Quantity int      `emit:"always"`
	Items    []string `xml:"Items>AwsAccountNumber"`
}

// TrustedKeyGroups are the key groups whose keys sign URLs and cookies. If they are enabled,
// every request needs a signature.
type TrustedKeyGroups struct {
	Enabled  bool     `emit:"always"`
	Quantity int      `emit:"always"`
	Items    []string `xml:"Items>KeyGroup"`
}

// AllowedMethods are the methods that viewers may use.
type AllowedMethods struct {
	Quantity      int      `emit:"always"`
	Items         []string `xml:"Items>Method"`
	CachedMethods CachedMethods
}

// CachedMethods are the methods whose responses are cached.
type CachedMethods struct {
	Quantity int      `emit:"always"`
	Items    []string `xml:"Items>Method"`
}

// LambdaFunctionAssociations are functions of Lambda@Edge. There are none here.
type LambdaFunctionAssociations struct {
	Quantity int                         `emit:"always"`
	Items    []LambdaFunctionAssociation `xml:"Items>LambdaFunctionAssociation"`
}

// LambdaFunctionAssociation is a function of Lambda@Edge.
type LambdaFunctionAssociation struct {
	LambdaFunctionARN string
	EventType         string
	IncludeBody       bool
}

// FunctionAssociations are CloudFront functions. There are none here.
type FunctionAssociations struct {
	Quantity int                   `emit:"always"`
	Items    []FunctionAssociation `xml:"Items>FunctionAssociation"`
}

// FunctionAssociation is a CloudFront function.
type FunctionAssociation struct {
	FunctionARN string
	EventType   string
}

// GrpcConfig says whether gRPC may be used.
type GrpcConfig struct {
	Enabled bool `emit:"always"`
}

// ForwardedValues is what is in the cache key and sent to the origin, in a behaviour without a
// cache policy.
type ForwardedValues struct {
	QueryString          bool `emit:"always"`
	Cookies              CookiePreference
	Headers              Headers              `emit:"always"`
	QueryStringCacheKeys QueryStringCacheKeys `emit:"always"`
}

// CookiePreference says which cookies are forwarded: none, whitelist or all.
type CookiePreference struct {
	Forward          string
	WhitelistedNames CookieNames
}

// Headers are names of headers.
type Headers struct {
	Quantity int      `emit:"always"`
	Items    []string `xml:"Items>Name"`
}

// CookieNames are names of cookies.
type CookieNames struct {
	Quantity int      `emit:"always"`
	Items    []string `xml:"Items>Name"`
}

// QueryStringNames are names of parameters of the query.
type QueryStringNames struct {
	Quantity int      `emit:"always"`
	Items    []string `xml:"Items>Name"`
}

// QueryStringCacheKeys are the parameters of the query that are in the cache key; without
// any, all are.
type QueryStringCacheKeys struct {
	Quantity int      `emit:"always"`
	Items    []string `xml:"Items>Name"`
}
