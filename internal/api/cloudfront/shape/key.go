package shape

import (
	"time"

	"watertight/internal/core/distribution"
)

// CreatePublicKeyInput is the input of CreatePublicKey.
type CreatePublicKeyInput struct {
	PublicKeyConfig distribution.PublicKeyConfig `loc:"body,PublicKeyConfig"`
}

// UpdatePublicKeyInput is the input of UpdatePublicKey.
type UpdatePublicKeyInput struct {
	Id              string                       `loc:"uri,Id"`
	IfMatch         string                       `loc:"header,If-Match"`
	PublicKeyConfig distribution.PublicKeyConfig `loc:"body,PublicKeyConfig"`
}

// ID implements Target.
func (in *UpdatePublicKeyInput) ID() string { return in.Id }

// PublicKey is a public key.
type PublicKey struct {
	Id              string
	CreatedTime     time.Time
	PublicKeyConfig distribution.PublicKeyConfig
}

// PublicKeyOutput is the answer of operations on a public key.
type PublicKeyOutput struct {
	New       string    `loc:"location"`
	ETag      string    `loc:"header,ETag"`
	PublicKey PublicKey `loc:"body,PublicKey"`
}

// PublicKeyConfigOutput is the answer of GetPublicKeyConfig.
type PublicKeyConfigOutput struct {
	ETag            string                       `loc:"header,ETag"`
	PublicKeyConfig distribution.PublicKeyConfig `loc:"body,PublicKeyConfig"`
}

// PublicKeySummary is an entry of a listing.
type PublicKeySummary struct {
	Id          string
	Name        string
	CreatedTime time.Time
	EncodedKey  string
	Comment     string
}

// PublicKeyList is a page of a listing.
type PublicKeyList struct {
	NextMarker string
	MaxItems   int                `emit:"always"`
	Quantity   int                `emit:"always"`
	Items      []PublicKeySummary `xml:"Items>PublicKeySummary"`
}

// ListPublicKeysOutput is the answer of ListPublicKeys.
type ListPublicKeysOutput struct {
	PublicKeyList PublicKeyList `loc:"body,PublicKeyList"`
}

// CreateKeyGroupInput is the input of CreateKeyGroup.
type CreateKeyGroupInput struct {
	KeyGroupConfig distribution.KeyGroupConfig `loc:"body,KeyGroupConfig"`
}

// UpdateKeyGroupInput is the input of UpdateKeyGroup.
type UpdateKeyGroupInput struct {
	Id             string                      `loc:"uri,Id"`
	IfMatch        string                      `loc:"header,If-Match"`
	KeyGroupConfig distribution.KeyGroupConfig `loc:"body,KeyGroupConfig"`
}

// ID implements Target.
func (in *UpdateKeyGroupInput) ID() string { return in.Id }

// KeyGroup is a key group.
type KeyGroup struct {
	Id               string
	LastModifiedTime time.Time
	KeyGroupConfig   distribution.KeyGroupConfig
}

// KeyGroupOutput is the answer of operations on a key group.
type KeyGroupOutput struct {
	New      string   `loc:"location"`
	ETag     string   `loc:"header,ETag"`
	KeyGroup KeyGroup `loc:"body,KeyGroup"`
}

// KeyGroupConfigOutput is the answer of GetKeyGroupConfig.
type KeyGroupConfigOutput struct {
	ETag           string                      `loc:"header,ETag"`
	KeyGroupConfig distribution.KeyGroupConfig `loc:"body,KeyGroupConfig"`
}

// KeyGroupSummary is an entry of a listing.
type KeyGroupSummary struct {
	KeyGroup KeyGroup
}

// KeyGroupList is a page of a listing.
type KeyGroupList struct {
	NextMarker string
	MaxItems   int               `emit:"always"`
	Quantity   int               `emit:"always"`
	Items      []KeyGroupSummary `xml:"Items>KeyGroupSummary"`
}

// ListKeyGroupsOutput is the answer of ListKeyGroups.
type ListKeyGroupsOutput struct {
	KeyGroupList KeyGroupList `loc:"body,KeyGroupList"`
}
