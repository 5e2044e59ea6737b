package distribution

// ResponseHeadersPolicyConfig says which headers are added to responses, and removed from
// them.
type ResponseHeadersPolicyConfig struct {
	Comment                   string
	Name                      string
	CorsConfig                *CorsConfig
	SecurityHeadersConfig     *SecurityHeadersConfig
	ServerTimingHeadersConfig *ServerTimingHeadersConfig
	CustomHeadersConfig       *CustomHeadersConfig
	RemoveHeadersConfig       *RemoveHeadersConfig
}

// CorsConfig is the headers of cross-origin resource sharing.
type CorsConfig struct {
	AccessControlAllowOrigins     AllowOrigins
	AccessControlAllowHeaders     AllowHeaders
	AccessControlAllowMethods     AllowMethods
	AccessControlAllowCredentials bool `emit:"always"`
	AccessControlExposeHeaders    *AllowHeaders
	AccessControlMaxAgeSec        *int
	OriginOverride                bool `emit:"always"`
}

// AllowOrigins are the origins that scripts may come from.
type AllowOrigins struct {
	Quantity int      `emit:"always"`
	Items    []string `xml:"Items>Origin"`
}

// AllowHeaders are names of headers.
type AllowHeaders struct {
	Quantity int      `emit:"always"`
	Items    []string `xml:"Items>Header"`
}

// AllowMethods are methods, or ALL.
type AllowMethods struct {
	Quantity int      `emit:"always"`
	Items    []string `xml:"Items>Method"`
}

// SecurityHeadersConfig is headers that browsers protect users by. With Override a header
// replaces that of the origin, else it is added if the origin sent none.
type SecurityHeadersConfig struct {
	XSSProtection           *XSSProtection
	FrameOptions            *FrameOptions
	ReferrerPolicy          *ReferrerPolicy
	ContentSecurityPolicy   *ContentSecurityPolicy
	ContentTypeOptions      *ContentTypeOptions
	StrictTransportSecurity *StrictTransportSecurity
}

// XSSProtection is the header X-XSS-Protection.
type XSSProtection struct {
	Override   bool `emit:"always"`
	Protection bool `emit:"always"`
	ModeBlock  *bool
	ReportUri  string
}

// FrameOptions is the header X-Frame-Options.
type FrameOptions struct {
	Override    bool   `emit:"always"`
	FrameOption string // DENY or SAMEORIGIN
}

// ReferrerPolicy is the header Referrer-Policy.
type ReferrerPolicy struct {
	Override       bool `emit:"always"`
	ReferrerPolicy string
}

// ContentSecurityPolicy is the header Content-Security-Policy.
type ContentSecurityPolicy struct {
	Override              bool `emit:"always"`
	ContentSecurityPolicy string
}

// ContentTypeOptions is the header X-Content-Type-Options: nosniff.
type ContentTypeOptions struct {
	Override bool `emit:"always"`
}

// StrictTransportSecurity is the header Strict-Transport-Security.
type StrictTransportSecurity struct {
	Override               bool `emit:"always"`
	IncludeSubdomains      *bool
	Preload                *bool
	AccessControlMaxAgeSec int `emit:"always"`
}

// ServerTimingHeadersConfig says how many responses have the header Server-Timing.
type ServerTimingHeadersConfig struct {
	Enabled      bool   `emit:"always"`
	SamplingRate string // percent, 0 to 100, with up to four decimals
}

// CustomHeadersConfig is other headers that are added.
type CustomHeadersConfig struct {
	Quantity int            `emit:"always"`
	Items    []CustomHeader `xml:"Items>ResponseHeadersPolicyCustomHeader"`
}

// CustomHeader is a header that is added.
type CustomHeader struct {
	Header   string
	Value    string `emit:"always"`
	Override bool   `emit:"always"`
}

// RemoveHeadersConfig is headers of the origin that are removed.
type RemoveHeadersConfig struct {
	Quantity int            `emit:"always"`
	Items    []RemoveHeader `xml:"Items>ResponseHeadersPolicyRemoveHeader"`
}

// RemoveHeader is a header of the origin that is removed.
type RemoveHeader struct {
	Header string
}
