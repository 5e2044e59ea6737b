package distribution

// ResponseHeadersPolicyConfig says which headers are added to responses, and removed from
// them.
type ResponseHeadersPolicyConfig struct {
	Comment                   string                     `json:",omitzero"`
	Name                      string                     `json:",omitzero"`
	CorsConfig                *CorsConfig                `json:",omitzero"`
	SecurityHeadersConfig     *SecurityHeadersConfig     `json:",omitzero"`
	ServerTimingHeadersConfig *ServerTimingHeadersConfig `json:",omitzero"`
	CustomHeadersConfig       *CustomHeadersConfig       `json:",omitzero"`
	RemoveHeadersConfig       *RemoveHeadersConfig       `json:",omitzero"`
}

// CorsConfig is the headers of cross-origin resource sharing.
type CorsConfig struct {
	AccessControlAllowOrigins     AllowOrigins  `json:",omitzero"`
	AccessControlAllowHeaders     AllowHeaders  `json:",omitzero"`
	AccessControlAllowMethods     AllowMethods  `json:",omitzero"`
	AccessControlAllowCredentials bool          `emit:"always" json:",omitzero"`
	AccessControlExposeHeaders    *AllowHeaders `json:",omitzero"`
	AccessControlMaxAgeSec        *int          `json:",omitzero"`
	OriginOverride                bool          `emit:"always" json:",omitzero"`
}

// AllowOrigins are the origins that scripts may come from.
type AllowOrigins struct {
	Quantity int      `emit:"always" json:",omitzero"`
	Items    []string `xml:"Items>Origin" json:",omitzero"`
}

// AllowHeaders are names of headers.
type AllowHeaders struct {
	Quantity int      `emit:"always" json:",omitzero"`
	Items    []string `xml:"Items>Header" json:",omitzero"`
}

// AllowMethods are methods, or ALL.
type AllowMethods struct {
	Quantity int      `emit:"always" json:",omitzero"`
	Items    []string `xml:"Items>Method" json:",omitzero"`
}

// SecurityHeadersConfig is headers that make browsers protect users. With Override, a header
// replaces the origin's. Without it, the header is added if the origin sent none.
type SecurityHeadersConfig struct {
	XSSProtection           *XSSProtection           `json:",omitzero"`
	FrameOptions            *FrameOptions            `json:",omitzero"`
	ReferrerPolicy          *ReferrerPolicy          `json:",omitzero"`
	ContentSecurityPolicy   *ContentSecurityPolicy   `json:",omitzero"`
	ContentTypeOptions      *ContentTypeOptions      `json:",omitzero"`
	StrictTransportSecurity *StrictTransportSecurity `json:",omitzero"`
}

// XSSProtection is the header X-XSS-Protection.
type XSSProtection struct {
	Override   bool   `emit:"always" json:",omitzero"`
	Protection bool   `emit:"always" json:",omitzero"`
	ModeBlock  *bool  `json:",omitzero"`
	ReportUri  string `json:",omitzero"`
}

// FrameOptions is the header X-Frame-Options.
type FrameOptions struct {
	Override    bool   `emit:"always" json:",omitzero"`
	FrameOption string `json:",omitzero"` // DENY or SAMEORIGIN
}

// ReferrerPolicy is the header Referrer-Policy.
type ReferrerPolicy struct {
	Override       bool   `emit:"always" json:",omitzero"`
	ReferrerPolicy string `json:",omitzero"`
}

// ContentSecurityPolicy is the header Content-Security-Policy.
type ContentSecurityPolicy struct {
	Override              bool   `emit:"always" json:",omitzero"`
	ContentSecurityPolicy string `json:",omitzero"`
}

// ContentTypeOptions is the header X-Content-Type-Options: nosniff.
type ContentTypeOptions struct {
	Override bool `emit:"always" json:",omitzero"`
}

// StrictTransportSecurity is the header Strict-Transport-Security.
type StrictTransportSecurity struct {
	Override               bool  `emit:"always" json:",omitzero"`
	IncludeSubdomains      *bool `json:",omitzero"`
	Preload                *bool `json:",omitzero"`
	AccessControlMaxAgeSec int   `emit:"always" json:",omitzero"`
}

// ServerTimingHeadersConfig says how many responses have the header Server-Timing.
type ServerTimingHeadersConfig struct {
	Enabled      bool   `emit:"always" json:",omitzero"`
	SamplingRate string `json:",omitzero"` // percent, 0 to 100, with up to four decimals
}

// CustomHeadersConfig is other headers that are added.
type CustomHeadersConfig struct {
	Quantity int            `emit:"always" json:",omitzero"`
	Items    []CustomHeader `xml:"Items>ResponseHeadersPolicyCustomHeader" json:",omitzero"`
}

// CustomHeader is a header that is added.
type CustomHeader struct {
	Header   string `json:",omitzero"`
	Value    string `emit:"always" json:",omitzero"`
	Override bool   `emit:"always" json:",omitzero"`
}

// RemoveHeadersConfig is headers of the origin that are removed.
type RemoveHeadersConfig struct {
	Quantity int            `emit:"always" json:",omitzero"`
	Items    []RemoveHeader `xml:"Items>ResponseHeadersPolicyRemoveHeader" json:",omitzero"`
}

// RemoveHeader is a header of the origin that is removed.
type RemoveHeader struct {
	Header string `json:",omitzero"`
}
