package distribution

// Config is DistributionConfig. One that the store returns is valid, and complete: what a
// caller left out has AWS's default.
type Config struct {
	CallerReference      string  `emit:"always"`
	Aliases              Aliases `emit:"always"`
	DefaultRootObject    string  `emit:"always"`
	Origins              Origins
	OriginGroups         OriginGroups `emit:"always"`
	DefaultCacheBehavior CacheBehavior
	CacheBehaviors       CacheBehaviors       `emit:"always"`
	CustomErrorResponses CustomErrorResponses `emit:"always"`
	Comment              string               `emit:"always"`
	Logging              Logging              `emit:"always"`
	PriceClass           string
	Enabled              bool `emit:"always"`
	ViewerCertificate    ViewerCertificate
	Restrictions         Restrictions
	WebACLId             string `emit:"always"`
	HttpVersion          string
	IsIPV6Enabled        *bool

	ContinuousDeploymentPolicyId  string `emit:"always"`
	Staging                       bool   `emit:"always"`
	AnycastIpListId               string
	TenantConfig                  *TenantConfig
	ConnectionMode                string
	ViewerMtlsConfig              *ViewerMtlsConfig
	ConnectionFunctionAssociation *ConnectionFunctionAssociation
	CacheTagConfig                *CacheTagConfig
}

// Aliases are alternate domain names.
type Aliases struct {
	Quantity int      `emit:"always"`
	Items    []string `xml:"Items>CNAME"`
}

// Origins are the servers that content comes from.
type Origins struct {
	Quantity int      `emit:"always"`
	Items    []Origin `xml:"Items>Origin"`
}

// Origin is a server that content comes from.
type Origin struct {
	Id                 string
	DomainName         string
	OriginPath         string        `emit:"always"`
	CustomHeaders      CustomHeaders `emit:"always"`
	S3OriginConfig     *S3OriginConfig
	CustomOriginConfig *CustomOriginConfig
	VpcOriginConfig    *VpcOriginConfig
	ConnectionAttempts *int // 1 to 3
	ConnectionTimeout  *int // seconds, 1 to 10
	// ResponseCompletionTimeout is how long the whole response may take, in seconds.
	ResponseCompletionTimeout *int
	OriginShield              OriginShield `emit:"always"`
	OriginAccessControlId     string       `emit:"always"`
}

// CustomHeaders are headers that are added to the requests to an origin.
type CustomHeaders struct {
	Quantity int                  `emit:"always"`
	Items    []OriginCustomHeader `xml:"Items>OriginCustomHeader"`
}

// OriginCustomHeader is a header that is added to the requests to an origin. Its value is
// often a shared secret.
type OriginCustomHeader struct {
	HeaderName  string
	HeaderValue string `emit:"always"`
}

// S3OriginConfig says that an origin is a bucket.
type S3OriginConfig struct {
	OriginAccessIdentity string `emit:"always"`
	OriginReadTimeout    *int   // seconds
}

// CustomOriginConfig says how an origin that is no bucket is reached.
type CustomOriginConfig struct {
	HTTPPort               int
	HTTPSPort              int
	OriginProtocolPolicy   string // http-only, match-viewer or https-only
	OriginSslProtocols     OriginSslProtocols
	OriginReadTimeout      *int // seconds
	OriginKeepaliveTimeout *int // seconds
	IpAddressType          string
	OriginMtlsConfig       *OriginMtlsConfig
}

// OriginSslProtocols are the versions of TLS that an origin is reached with.
type OriginSslProtocols struct {
	Quantity int      `emit:"always"`
	Items    []string `xml:"Items>SslProtocol"`
}

// OriginMtlsConfig is the certificate that the edge shows an origin.
type OriginMtlsConfig struct {
	ClientCertificateArn string
}

// VpcOriginConfig says that an origin lies in a private network.
type VpcOriginConfig struct {
	VpcOriginId            string
	OwnerAccountId         string
	OriginReadTimeout      *int
	OriginKeepaliveTimeout *int
}

// OriginShield is another layer of caches before an origin.
type OriginShield struct {
	Enabled            bool `emit:"always"`
	OriginShieldRegion string
}

// OriginGroups are origins that stand in for each other.
type OriginGroups struct {
	Quantity int           `emit:"always"`
	Items    []OriginGroup `xml:"Items>OriginGroup"`
}

// OriginGroup is origins that stand in for each other.
type OriginGroup struct {
	Id                string
	FailoverCriteria  FailoverCriteria
	Members           OriginGroupMembers
	SelectionCriteria string
}

// FailoverCriteria says when the second origin of a group is asked.
type FailoverCriteria struct {
	StatusCodes StatusCodes
}

// StatusCodes are statuses, in decimal.
type StatusCodes struct {
	Quantity int      `emit:"always"`
	Items    []string `xml:"Items>StatusCode"`
}

// OriginGroupMembers are the origins of a group.
type OriginGroupMembers struct {
	Quantity int                 `emit:"always"`
	Items    []OriginGroupMember `xml:"Items>OriginGroupMember"`
}

// OriginGroupMember is an origin of a group.
type OriginGroupMember struct {
	OriginId string
}

// CustomErrorResponses says what is answered instead of errors.
type CustomErrorResponses struct {
	Quantity int                   `emit:"always"`
	Items    []CustomErrorResponse `xml:"Items>CustomErrorResponse"`
}

// CustomErrorResponse says what is answered instead of an error.
type CustomErrorResponse struct {
	ErrorCode          int
	ResponsePagePath   string `emit:"always"`
	ResponseCode       string `emit:"always"`
	ErrorCachingMinTTL *int64 // seconds
}

// Logging says where access logs go.
type Logging struct {
	Enabled        bool   `emit:"always"`
	IncludeCookies bool   `emit:"always"`
	Bucket         string `emit:"always"`
	Prefix         string `emit:"always"`
}

// ViewerCertificate says which certificate viewers see.
type ViewerCertificate struct {
	CloudFrontDefaultCertificate bool `emit:"always"`
	IAMCertificateId             string
	ACMCertificateArn            string
	SSLSupportMethod             string
	MinimumProtocolVersion       string
	Certificate                  string
	CertificateSource            string
}

// Restrictions says where content may go.
type Restrictions struct {
	GeoRestriction GeoRestriction
}

// GeoRestriction is a list of countries.
type GeoRestriction struct {
	RestrictionType string
	Quantity        int      `emit:"always"`
	Items           []string `xml:"Items>Location"`
}

// TenantConfig is what the tenants of a distribution may set.
type TenantConfig struct {
	ParameterDefinitions []ParameterDefinition `xml:"ParameterDefinitions>member"`
}

// ParameterDefinition is a parameter that a tenant may set.
type ParameterDefinition struct {
	Name       string
	Definition struct {
		StringSchema *struct {
			Comment      string
			DefaultValue string
			Required     bool `emit:"always"`
		}
	}
}

// ViewerMtlsConfig says which certificates viewers must show.
type ViewerMtlsConfig struct {
	Mode             string
	TrustStoreConfig *struct {
		TrustStoreId               string
		AdvertiseTrustStoreCaNames bool
		IgnoreCertificateExpiry    bool
	}
}

// ConnectionFunctionAssociation names a function that judges connections.
type ConnectionFunctionAssociation struct {
	Id string
}

// CacheTagConfig names the header with the tags of a response, by which it is invalidated.
type CacheTagConfig struct {
	HeaderName string
}
