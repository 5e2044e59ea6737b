// Package lifecycle holds the rules of S3 Lifecycle: what a configuration may say, and
// which action is due for a version at an instant. It exists so that the background work,
// the headers of answers and the operator's preview use one evaluation. It must never know
// how versions are stored, who asks, or what time it is.
package lifecycle

import (
	"time"

	"watertight/internal/core/tag"
)

// Service is the principal that executes the rules, as audit events and the history of
// versions name it.
const Service = "lifecycle.s3.amazonaws.com"

// Configuration is a bucket's lifecycle configuration. Its parts are those of the S3
// API reference (LifecycleRule); nil is an element that is missing.
type Configuration struct {
	Rules       []Rule
	MinimumSize MinimumSize
}

// MinimumSize says which small objects stay in their storage class if the rule's filter
// names no size. The numbers are stored.
type MinimumSize uint8

// The values of x-amz-transition-default-minimum-object-size. The classes to which
// small objects move under VariesByClass, GLACIER and DEEP_ARCHIVE, do not exist here,
// so both have the same effect.
const (
	All128K       MinimumSize = 0
	VariesByClass MinimumSize = 1
)

// String is the header's value.
func (m MinimumSize) String() string {
	if m == VariesByClass {
		return "varies_by_storage_class"
	}
	return "all_storage_classes_128K"
}

// Status of a rule.
const (
	Enabled  = "Enabled"
	Disabled = "Disabled"
)

// Rule is one rule. Prefix is the older form of Filter, and a rule has one of them.
type Rule struct {
	ID                    string
	Status                string
	Prefix                *string
	Filter                *Filter
	Expiration            *Expiration
	Transitions           []Transition
	NoncurrentExpiration  *NoncurrentExpiration
	NoncurrentTransitions []NoncurrentTransition
	Abort                 *Abort
}

// Filter says which objects a rule is for: one predicate, or several in And. An empty
// one is for all objects.
type Filter struct {
	Predicates
	And *Predicates
}

// Predicates are conditions that must all hold. Sizes are in bytes, and exclusive.
type Predicates struct {
	Prefix        *string
	Tags          []tag.Tag
	Greater, Less *int64
}

// Expiration says when current versions expire. Exactly one member is set.
type Expiration struct {
	Days                      *int32
	Date                      *time.Time
	ExpiredObjectDeleteMarker *bool
}

// Transition moves current versions to a storage class.
type Transition struct {
	Days  *int32
	Date  *time.Time
	Class string
}

// NoncurrentExpiration removes noncurrent versions for good.
type NoncurrentExpiration struct {
	Days  *int32
	Newer *int32 // noncurrent versions to keep; nil keeps none
}

// NoncurrentTransition moves noncurrent versions to a storage class.
type NoncurrentTransition struct {
	Days  *int32
	Newer *int32
	Class string
}

// Abort ends multipart uploads that were not completed.
type Abort struct{ Days *int32 }
