package shape

import (
	"time"

	"watertight/internal/core/distribution"
)

// CreateDistributionInput is the input of CreateDistribution.
type CreateDistributionInput struct {
	DistributionConfig distribution.Config `loc:"body,DistributionConfig"`
}

// CreateDistributionWithTagsInput is the input of CreateDistributionWithTags.
type CreateDistributionWithTagsInput struct {
	DistributionConfigWithTags DistributionConfigWithTags `loc:"body,DistributionConfigWithTags"`
}

// DistributionConfigWithTags is a configuration and the tags of its distribution.
type DistributionConfigWithTags struct {
	DistributionConfig distribution.Config
	Tags               Tags
}

// UpdateDistributionInput is the input of UpdateDistribution.
type UpdateDistributionInput struct {
	Id                 string              `loc:"uri,Id"`
	IfMatch            string              `loc:"header,If-Match"`
	DistributionConfig distribution.Config `loc:"body,DistributionConfig"`
}

// ID implements Target.
func (in *UpdateDistributionInput) ID() string { return in.Id }

// Distribution is a distribution.
type Distribution struct {
	Id                            string
	ARN                           string
	Status                        string
	LastModifiedTime              time.Time
	InProgressInvalidationBatches int `emit:"always"`
	DomainName                    string
	ActiveTrustedSigners          ActiveTrustedSigners   `emit:"always"`
	ActiveTrustedKeyGroups        ActiveTrustedKeyGroups `emit:"always"`
	DistributionConfig            distribution.Config
}

// ActiveTrustedSigners are accounts whose keys sign URLs. There are only key groups here.
type ActiveTrustedSigners struct {
	Enabled  bool `emit:"always"`
	Quantity int  `emit:"always"`
}

// ActiveTrustedKeyGroups are key groups whose keys sign URLs and cookies.
type ActiveTrustedKeyGroups struct {
	Enabled  bool             `emit:"always"`
	Quantity int              `emit:"always"`
	Items    []ActiveKeyGroup `xml:"Items>KeyGroup"`
}

// ActiveKeyGroup is a key group and the ids of its keys.
type ActiveKeyGroup struct {
	KeyGroupId string
	KeyPairIds KeyPairIds
}

// KeyPairIds are ids of public keys.
type KeyPairIds struct {
	Quantity int      `emit:"always"`
	Items    []string `xml:"Items>KeyPairId"`
}

// DistributionOutput is the answer of operations on a distribution.
type DistributionOutput struct {
	New          string       `loc:"location"`
	ETag         string       `loc:"header,ETag"`
	Distribution Distribution `loc:"body,Distribution"`
}

// DistributionConfigOutput is the answer of GetDistributionConfig.
type DistributionConfigOutput struct {
	ETag               string              `loc:"header,ETag"`
	DistributionConfig distribution.Config `loc:"body,DistributionConfig"`
}

// DistributionSummary is an entry of a listing.
type DistributionSummary struct {
	Id                   string
	ARN                  string
	ETag                 string
	Status               string
	LastModifiedTime     time.Time
	DomainName           string
	Aliases              distribution.Aliases `emit:"always"`
	Origins              distribution.Origins
	OriginGroups         distribution.OriginGroups `emit:"always"`
	DefaultCacheBehavior distribution.CacheBehavior
	CacheBehaviors       distribution.CacheBehaviors       `emit:"always"`
	CustomErrorResponses distribution.CustomErrorResponses `emit:"always"`
	Comment              string                            `emit:"always"`
	PriceClass           string
	Enabled              bool `emit:"always"`
	ViewerCertificate    distribution.ViewerCertificate
	Restrictions         distribution.Restrictions
	WebACLId             string `emit:"always"`
	HttpVersion          string
	IsIPV6Enabled        bool `emit:"always"`
	Staging              bool `emit:"always"`
	ConnectionMode       string
}

// DistributionList is a page of a listing.
type DistributionList struct {
	Marker      string `emit:"always"`
	NextMarker  string
	MaxItems    int                   `emit:"always"`
	IsTruncated bool                  `emit:"always"`
	Quantity    int                   `emit:"always"`
	Items       []DistributionSummary `xml:"Items>DistributionSummary"`
}

// ListDistributionsOutput is the answer of ListDistributions.
type ListDistributionsOutput struct {
	DistributionList DistributionList `loc:"body,DistributionList"`
}

// UsersInput is the input of listings of the distributions that use something.
type UsersInput struct {
	Id       string `loc:"uri,Id"` // AWS's labels have the name of what is used
	Marker   string `loc:"query,Marker"`
	MaxItems string `loc:"query,MaxItems"`
}

// DistributionIDList is a page of the ids of distributions.
type DistributionIDList struct {
	Marker      string `emit:"always"`
	NextMarker  string
	MaxItems    int      `emit:"always"`
	IsTruncated bool     `emit:"always"`
	Quantity    int      `emit:"always"`
	Items       []string `xml:"Items>DistributionId"`
}

// UsersOutput is the answer of listings of the distributions that use something.
type UsersOutput struct {
	DistributionIdList DistributionIDList `loc:"body,DistributionIdList"`
}
