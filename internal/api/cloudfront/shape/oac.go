package shape

import "watertight/internal/core/distribution"

// CreateOriginAccessControlInput is the input of CreateOriginAccessControl.
type CreateOriginAccessControlInput struct {
	OriginAccessControlConfig distribution.OriginAccessControlConfig `loc:"body,OriginAccessControlConfig"`
}

// UpdateOriginAccessControlInput is the input of UpdateOriginAccessControl.
type UpdateOriginAccessControlInput struct {
	Id                        string                                 `loc:"uri,Id"`
	IfMatch                   string                                 `loc:"header,If-Match"`
	OriginAccessControlConfig distribution.OriginAccessControlConfig `loc:"body,OriginAccessControlConfig"`
}

// ID implements Target.
func (in *UpdateOriginAccessControlInput) ID() string { return in.Id }

// OriginAccessControl is an origin access control.
type OriginAccessControl struct {
	Id                        string
	OriginAccessControlConfig distribution.OriginAccessControlConfig
}

// OriginAccessControlOutput is the answer of operations on an origin access control.
type OriginAccessControlOutput struct {
	New                 string              `loc:"location"`
	ETag                string              `loc:"header,ETag"`
	OriginAccessControl OriginAccessControl `loc:"body,OriginAccessControl"`
}

// OriginAccessControlConfigOutput is the answer of GetOriginAccessControlConfig.
type OriginAccessControlConfigOutput struct {
	ETag                      string                                 `loc:"header,ETag"`
	OriginAccessControlConfig distribution.OriginAccessControlConfig `loc:"body,OriginAccessControlConfig"`
}

// OriginAccessControlSummary is an entry of a listing.
type OriginAccessControlSummary struct {
	Id string
	distribution.OriginAccessControlConfig
}

// OriginAccessControlList is a page of a listing.
type OriginAccessControlList struct {
	Marker      string `emit:"always"`
	NextMarker  string
	MaxItems    int                          `emit:"always"`
	IsTruncated bool                         `emit:"always"`
	Quantity    int                          `emit:"always"`
	Items       []OriginAccessControlSummary `xml:"Items>OriginAccessControlSummary"`
}

// ListOriginAccessControlsOutput is the answer of ListOriginAccessControls.
type ListOriginAccessControlsOutput struct {
	OriginAccessControlList OriginAccessControlList `loc:"body,OriginAccessControlList"`
}
