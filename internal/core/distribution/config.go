package distribution

// Config is DistributionConfig. A configuration that the store returns is valid and complete:
// members that a caller left out have AWS's defaults.
type Config struct {
	CallerReference      string               `emit:"always" json:",omitzero"`
	Aliases              Aliases              `emit:"always" json:",omitzero"`
	DefaultRootObject    string               `emit:"always" json:",omitzero"`
	Origins              Origins              `json:",omitzero"`
	OriginGroups         OriginGroups         `emit:"always" json:",omitzero"`
	DefaultCacheBehavior CacheBehavior        `json:",omitzero"`
	CacheBehaviors       CacheBehaviors       `emit:"always" json:",omitzero"`
	CustomErrorResponses CustomErrorResponses `emit:"always" json:",omitzero"`
	Comment              string               `emit:"always" json:",omitzero"`
	Logging              Logging              `emit:"always" json:",omitzero"`
	PriceClass           string               `json:",omitzero"`
	Enabled              bool                 `emit:"always" json:",omitzero"`
	ViewerCertificate    ViewerCertificate    `json:",omitzero"`
	Restrictions         Restrictions         `json:",omitzero"`
	WebACLId             string               `emit:"always" json:",omitzero"`
	HttpVersion          string               `json:",omitzero"`
	IsIPV6Enabled        *bool                `json:",omitzero"`

	ContinuousDeploymentPolicyId  string                         `emit:"always" json:",omitzero"`
	Staging                       bool                           `emit:"always" json:",omitzero"`
	AnycastIpListId               string                         `json:",omitzero"`
	TenantConfig                  *TenantConfig                  `json:",omitzero"`
	ConnectionMode                string                         `json:",omitzero"`
	ViewerMtlsConfig              *ViewerMtlsConfig              `json:",omitzero"`
	ConnectionFunctionAssociation *ConnectionFunctionAssociation `json:",omitzero"`
	CacheTagConfig                *CacheTagConfig                `json:",omitzero"`
}

// Aliases are alternate domain names.
type Aliases struct {
	Quantity int      `emit:"always" json:",omitzero"`
	Items    []string `xml:"Items>CNAME" json:",omitzero"`
}

// Origins are the servers that content comes from.
type Origins struct {
	Quantity int      `emit:"always" json:",omitzero"`
	Items    []Origin `xml:"Items>Origin" json:",omitzero"`
}

// Origin is a server that content comes from.
type Origin struct {
	Id                 string              `json:",omitzero"`
	DomainName         string              `json:",omitzero"`
	OriginPath         string              `emit:"always" json:",omitzero"`
	CustomHeaders      CustomHeaders       `emit:"always" json:",omitzero"`
	S3OriginConfig     *S3OriginConfig     `json:",omitzero"`
	CustomOriginConfig *CustomOriginConfig `json:",omitzero"`
	VpcOriginConfig    *VpcOriginConfig    `json:",omitzero"`
	ConnectionAttempts *int                `json:",omitzero"` // 1 to 3
	ConnectionTimeout  *int                `json:",omitzero"` // seconds, 1 to 10
	// ResponseCompletionTimeout is how long the whole response may take, in seconds.
	ResponseCompletionTimeout *int         `json:",omitzero"`
	OriginShield              OriginShield `emit:"always" json:",omitzero"`
	OriginAccessControlId     string       `emit:"always" json:",omitzero"`
}

// CustomHeaders are headers that are added to the requests to an origin.
type CustomHeaders struct {
	Quantity int                  `emit:"always" json:",omitzero"`
	Items    []OriginCustomHeader `xml:"Items>OriginCustomHeader" json:",omitzero"`
}

// OriginCustomHeader is a header that is added to the requests to an origin. Its value is
// often a shared secret.
type OriginCustomHeader struct {
	HeaderName  string `json:",omitzero"`
	HeaderValue string `emit:"always" json:",omitzero"`
}

// S3OriginConfig says that an origin is a bucket.
type S3OriginConfig struct {
	OriginAccessIdentity string `emit:"always" json:",omitzero"`
	OriginReadTimeout    *int   `json:",omitzero"` // seconds
}

// CustomOriginConfig says how an origin that is not a bucket is reached.
type CustomOriginConfig struct {
	HTTPPort               int                `json:",omitzero"`
	HTTPSPort              int                `json:",omitzero"`
	OriginProtocolPolicy   string             `json:",omitzero"` // http-only, match-viewer or https-only
	OriginSslProtocols     OriginSslProtocols `json:",omitzero"`
	OriginReadTimeout      *int               `json:",omitzero"` // seconds
	OriginKeepaliveTimeout *int               `json:",omitzero"` // seconds
	IpAddressType          string             `json:",omitzero"`
	OriginMtlsConfig       *OriginMtlsConfig  `json:",omitzero"`
}

// OriginSslProtocols are the versions of TLS that an origin is reached with.
type OriginSslProtocols struct {
	Quantity int      `emit:"always" json:",omitzero"`
	Items    []string `xml:"Items>SslProtocol" json:",omitzero"`
}

// OriginMtlsConfig is the certificate that the edge shows an origin.
type OriginMtlsConfig struct {
	ClientCertificateArn string `json:",omitzero"`
}

// VpcOriginConfig names an origin in a private network.
type VpcOriginConfig struct {
	VpcOriginId            string `json:",omitzero"`
	OwnerAccountId         string `json:",omitzero"`
	OriginReadTimeout      *int   `json:",omitzero"`
	OriginKeepaliveTimeout *int   `json:",omitzero"`
}

// OriginShield is another layer of caches before an origin.
type OriginShield struct {
	Enabled            bool   `emit:"always" json:",omitzero"`
	OriginShieldRegion string `json:",omitzero"`
}

// OriginGroups are groups of origins for failover.
type OriginGroups struct {
	Quantity int           `emit:"always" json:",omitzero"`
	Items    []OriginGroup `xml:"Items>OriginGroup" json:",omitzero"`
}

// OriginGroup is two origins, of which the second is asked if the first fails.
type OriginGroup struct {
	Id                string             `json:",omitzero"`
	FailoverCriteria  FailoverCriteria   `json:",omitzero"`
	Members           OriginGroupMembers `json:",omitzero"`
	SelectionCriteria string             `json:",omitzero"`
}

// FailoverCriteria says when the second origin of a group is asked.
type FailoverCriteria struct {
	StatusCodes StatusCodes `json:",omitzero"`
}

// StatusCodes are statuses, in decimal.
type StatusCodes struct {
	Quantity int      `emit:"always" json:",omitzero"`
	Items    []string `xml:"Items>StatusCode" json:",omitzero"`
}

// OriginGroupMembers are the origins of a group.
type OriginGroupMembers struct {
	Quantity int                 `emit:"always" json:",omitzero"`
	Items    []OriginGroupMember `xml:"Items>OriginGroupMember" json:",omitzero"`
}

// OriginGroupMember is an origin of a group.
type OriginGroupMember struct {
	OriginId string `json:",omitzero"`
}

// CustomErrorResponses are answers that replace errors.
type CustomErrorResponses struct {
	Quantity int                   `emit:"always" json:",omitzero"`
	Items    []CustomErrorResponse `xml:"Items>CustomErrorResponse" json:",omitzero"`
}

// CustomErrorResponse is an answer that replaces an error.
type CustomErrorResponse struct {
	ErrorCode          int    `json:",omitzero"`
	ResponsePagePath   string `emit:"always" json:",omitzero"`
	ResponseCode       string `emit:"always" json:",omitzero"`
	ErrorCachingMinTTL *int64 `json:",omitzero"` // seconds
}

// Logging says where access logs go.
type Logging struct {
	Enabled        bool   `emit:"always" json:",omitzero"`
	IncludeCookies bool   `emit:"always" json:",omitzero"`
	Bucket         string `emit:"always" json:",omitzero"`
	Prefix         string `emit:"always" json:",omitzero"`
}

// ViewerCertificate says which certificate viewers see.
type ViewerCertificate struct {
	CloudFrontDefaultCertificate bool   `emit:"always" json:",omitzero"`
	IAMCertificateId             string `json:",omitzero"`
	ACMCertificateArn            string `json:",omitzero"`
	SSLSupportMethod             string `json:",omitzero"`
	MinimumProtocolVersion       string `json:",omitzero"`
	Certificate                  string `json:",omitzero"`
	CertificateSource            string `json:",omitzero"`
}

// Restrictions says where content may go.
type Restrictions struct {
	GeoRestriction GeoRestriction `json:",omitzero"`
}

// GeoRestriction is a list of countries.
type GeoRestriction struct {
	RestrictionType string   `json:",omitzero"`
	Quantity        int      `emit:"always" json:",omitzero"`
	Items           []string `xml:"Items>Location" json:",omitzero"`
}

// TenantConfig is what the tenants of a distribution may set.
type TenantConfig struct {
	ParameterDefinitions []ParameterDefinition `xml:"ParameterDefinitions>member" json:",omitzero"`
}

// ParameterDefinition is a parameter that a tenant may set.
type ParameterDefinition struct {
	Name       string `json:",omitzero"`
	Definition struct {
		StringSchema *struct {
			Comment      string `json:",omitzero"`
			DefaultValue string `json:",omitzero"`
			Required     bool   `emit:"always" json:",omitzero"`
		}
	}
}

// ViewerMtlsConfig says which certificates viewers must show.
type ViewerMtlsConfig struct {
	Mode             string `json:",omitzero"`
	TrustStoreConfig *struct {
		TrustStoreId               string `json:",omitzero"`
		AdvertiseTrustStoreCaNames bool   `json:",omitzero"`
		IgnoreCertificateExpiry    bool   `json:",omitzero"`
	}
}

// ConnectionFunctionAssociation names a function that judges connections.
type ConnectionFunctionAssociation struct {
	Id string `json:",omitzero"`
}

// CacheTagConfig names the header with the tags of a response, by which it is invalidated.
type CacheTagConfig struct {
	HeaderName string `json:",omitzero"`
}
