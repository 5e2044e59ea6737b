package shape

import (
	"time"

	"watertight/internal/core/distribution"
)

// CreateCachePolicyInput is the input of CreateCachePolicy.
type CreateCachePolicyInput struct {
	CachePolicyConfig distribution.CachePolicyConfig `loc:"body,CachePolicyConfig"`
}

// UpdateCachePolicyInput is the input of UpdateCachePolicy.
type UpdateCachePolicyInput struct {
	Id                string                         `loc:"uri,Id"`
	IfMatch           string                         `loc:"header,If-Match"`
	CachePolicyConfig distribution.CachePolicyConfig `loc:"body,CachePolicyConfig"`
}

// ID implements Target.
func (in *UpdateCachePolicyInput) ID() string { return in.Id }

// CachePolicy is a cache policy.
type CachePolicy struct {
	Id                string
	LastModifiedTime  time.Time
	CachePolicyConfig distribution.CachePolicyConfig
}

// CachePolicyOutput is the answer of operations on a cache policy.
type CachePolicyOutput struct {
	New         string      `loc:"location"`
	ETag        string      `loc:"header,ETag"`
	CachePolicy CachePolicy `loc:"body,CachePolicy"`
}

// CachePolicyConfigOutput is the answer of GetCachePolicyConfig.
type CachePolicyConfigOutput struct {
	ETag              string                         `loc:"header,ETag"`
	CachePolicyConfig distribution.CachePolicyConfig `loc:"body,CachePolicyConfig"`
}

// CachePolicySummary is an entry of a listing.
type CachePolicySummary struct {
	Type        string // managed or custom
	CachePolicy CachePolicy
}

// CachePolicyList is a page of a listing.
type CachePolicyList struct {
	NextMarker string
	MaxItems   int                  `emit:"always"`
	Quantity   int                  `emit:"always"`
	Items      []CachePolicySummary `xml:"Items>CachePolicySummary"`
}

// ListCachePoliciesOutput is the answer of ListCachePolicies.
type ListCachePoliciesOutput struct {
	CachePolicyList CachePolicyList `loc:"body,CachePolicyList"`
}

// CreateOriginRequestPolicyInput is the input of CreateOriginRequestPolicy.
type CreateOriginRequestPolicyInput struct {
	OriginRequestPolicyConfig distribution.OriginRequestPolicyConfig `loc:"body,OriginRequestPolicyConfig"`
}

// UpdateOriginRequestPolicyInput is the input of UpdateOriginRequestPolicy.
type UpdateOriginRequestPolicyInput struct {
	Id                        string                                 `loc:"uri,Id"`
	IfMatch                   string                                 `loc:"header,If-Match"`
	OriginRequestPolicyConfig distribution.OriginRequestPolicyConfig `loc:"body,OriginRequestPolicyConfig"`
}

// ID implements Target.
func (in *UpdateOriginRequestPolicyInput) ID() string { return in.Id }

// OriginRequestPolicy is an origin request policy.
type OriginRequestPolicy struct {
	Id                        string
	LastModifiedTime          time.Time
	OriginRequestPolicyConfig distribution.OriginRequestPolicyConfig
}

// OriginRequestPolicyOutput is the answer of operations on an origin request policy.
type OriginRequestPolicyOutput struct {
	New                 string              `loc:"location"`
	ETag                string              `loc:"header,ETag"`
	OriginRequestPolicy OriginRequestPolicy `loc:"body,OriginRequestPolicy"`
}

// OriginRequestPolicyConfigOutput is the answer of GetOriginRequestPolicyConfig.
type OriginRequestPolicyConfigOutput struct {
	ETag                      string                                 `loc:"header,ETag"`
	OriginRequestPolicyConfig distribution.OriginRequestPolicyConfig `loc:"body,OriginRequestPolicyConfig"`
}

// OriginRequestPolicySummary is an entry of a listing.
type OriginRequestPolicySummary struct {
	Type                string // managed or custom
	OriginRequestPolicy OriginRequestPolicy
}

// OriginRequestPolicyList is a page of a listing.
type OriginRequestPolicyList struct {
	NextMarker string
	MaxItems   int                          `emit:"always"`
	Quantity   int                          `emit:"always"`
	Items      []OriginRequestPolicySummary `xml:"Items>OriginRequestPolicySummary"`
}

// ListOriginRequestPoliciesOutput is the answer of ListOriginRequestPolicies.
type ListOriginRequestPoliciesOutput struct {
	OriginRequestPolicyList OriginRequestPolicyList `loc:"body,OriginRequestPolicyList"`
}

// CreateResponseHeadersPolicyInput is the input of CreateResponseHeadersPolicy.
type CreateResponseHeadersPolicyInput struct {
	ResponseHeadersPolicyConfig distribution.ResponseHeadersPolicyConfig `loc:"body,ResponseHeadersPolicyConfig"`
}

// UpdateResponseHeadersPolicyInput is the input of UpdateResponseHeadersPolicy.
type UpdateResponseHeadersPolicyInput struct {
	Id                          string                                   `loc:"uri,Id"`
	IfMatch                     string                                   `loc:"header,If-Match"`
	ResponseHeadersPolicyConfig distribution.ResponseHeadersPolicyConfig `loc:"body,ResponseHeadersPolicyConfig"`
}

// ID implements Target.
func (in *UpdateResponseHeadersPolicyInput) ID() string { return in.Id }

// ResponseHeadersPolicy is a response headers policy.
type ResponseHeadersPolicy struct {
	Id                          string
	LastModifiedTime            time.Time
	ResponseHeadersPolicyConfig distribution.ResponseHeadersPolicyConfig
}

// ResponseHeadersPolicyOutput is the answer of operations on a response headers policy.
type ResponseHeadersPolicyOutput struct {
	New                   string                `loc:"location"`
	ETag                  string                `loc:"header,ETag"`
	ResponseHeadersPolicy ResponseHeadersPolicy `loc:"body,ResponseHeadersPolicy"`
}

// ResponseHeadersPolicyConfigOutput is the answer of GetResponseHeadersPolicyConfig.
type ResponseHeadersPolicyConfigOutput struct {
	ETag                        string                                   `loc:"header,ETag"`
	ResponseHeadersPolicyConfig distribution.ResponseHeadersPolicyConfig `loc:"body,ResponseHeadersPolicyConfig"`
}

// ResponseHeadersPolicySummary is an entry of a listing.
type ResponseHeadersPolicySummary struct {
	Type                  string // managed or custom
	ResponseHeadersPolicy ResponseHeadersPolicy
}

// ResponseHeadersPolicyList is a page of a listing.
type ResponseHeadersPolicyList struct {
	NextMarker string
	MaxItems   int                            `emit:"always"`
	Quantity   int                            `emit:"always"`
	Items      []ResponseHeadersPolicySummary `xml:"Items>ResponseHeadersPolicySummary"`
}

// ListResponseHeadersPoliciesOutput is the answer of ListResponseHeadersPolicies.
type ListResponseHeadersPoliciesOutput struct {
	ResponseHeadersPolicyList ResponseHeadersPolicyList `loc:"body,ResponseHeadersPolicyList"`
}
