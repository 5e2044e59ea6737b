package shape

import (
	"time"

	"watertight/internal/core/distribution"
)

// CreateInvalidationInput is the input of CreateInvalidation.
type CreateInvalidationInput struct {
	DistributionId    string                         `loc:"uri,DistributionId"`
	InvalidationBatch distribution.InvalidationBatch `loc:"body,InvalidationBatch"`
}

// ID implements Target.
func (in *CreateInvalidationInput) ID() string { return in.DistributionId }

// GetInvalidationInput is the input of GetInvalidation.
type GetInvalidationInput struct {
	DistributionId string `loc:"uri,DistributionId"`
	Id             string `loc:"uri,Id"`
}

// ID implements Target.
func (in *GetInvalidationInput) ID() string { return in.DistributionId }

// ListInvalidationsInput is the input of ListInvalidations.
type ListInvalidationsInput struct {
	DistributionId string `loc:"uri,DistributionId"`
	Marker         string `loc:"query,Marker"`
	MaxItems       string `loc:"query,MaxItems"`
}

// ID implements Target.
func (in *ListInvalidationsInput) ID() string { return in.DistributionId }

// Invalidation is an invalidation.
type Invalidation struct {
	Id                string
	Status            string // InProgress or Completed
	CreateTime        time.Time
	InvalidationBatch distribution.InvalidationBatch
}

// InvalidationOutput is the answer of operations on an invalidation.
type InvalidationOutput struct {
	New          string       `loc:"location"`
	Invalidation Invalidation `loc:"body,Invalidation"`
}

// InvalidationSummary is an entry of a listing.
type InvalidationSummary struct {
	Id         string
	CreateTime time.Time
	Status     string
}

// InvalidationList is a page of a listing.
type InvalidationList struct {
	Marker      string `emit:"always"`
	NextMarker  string
	MaxItems    int                   `emit:"always"`
	IsTruncated bool                  `emit:"always"`
	Quantity    int                   `emit:"always"`
	Items       []InvalidationSummary `xml:"Items>InvalidationSummary"`
}

// ListInvalidationsOutput is the answer of ListInvalidations.
type ListInvalidationsOutput struct {
	InvalidationList InvalidationList `loc:"body,InvalidationList"`
}
