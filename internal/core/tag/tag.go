// Package tag implements the rules of tags: which tag sets are valid, in which order they
// are stored, and how a header encodes them. It has the rules of S3 and, in iam.go and
// kms.go, those of IAM, STS and KMS. It exists so that objects, buckets, uploads and forms
// refuse the same tags for the same reasons, and so do users, roles, devices, sessions and
// keys. It must never know which resource has the tags, nor the caller.
package tag

import (
	"errors"
	"net/url"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"watertight/internal/fault"
)

// Limits of S3 (S3 user guide, "Categorizing your objects using tags" and
// "Using cost allocation S3 bucket tags").
const (
	MaxObject = 10  // tags of an object
	MaxBucket = 50  // tags of a bucket
	MaxKey    = 128 // characters
	MaxValue  = 256 // characters
)

// Tag is a name and its value.
type Tag struct{ Key, Value string }

// Set is tags with different keys, in the byte order of their keys. A set made by Object,
// Bucket, NewBucket or Header satisfies every rule.
type Set []Tag

// Object returns the tags of an object. The slice is sorted in place.
// Errors: BadRequest, InvalidTag (with TagKey, TagValue), MalformedXML.
func Object(tags []Tag) (Set, error) {
	if len(tags) > MaxObject {
		return nil, fault.New(fault.BadRequest, "Object tags cannot be greater than 10")
	}
	return check(tags, "Your TagKey cannot be prefixed with aws:", true)
}

// Bucket returns the tags of a bucket. The slice is sorted in place. Errors as
// with Object.
func Bucket(tags []Tag) (Set, error) {
	if len(tags) > MaxBucket {
		return nil, fault.New(fault.BadRequest, "Bucket tag count cannot be greater than 50")
	}
	return check(tags, "System tags cannot be added/updated by requester", true)
}

// NewBucket is Bucket for the tags of CreateBucket, which refuses the prefix aws: with
// a different message.
func NewBucket(tags []Tag) (Set, error) {
	if len(tags) > MaxBucket {
		return Bucket(tags)
	}
	return check(tags,
		`User-defined tag keys can't start with "aws:". This prefix is reserved for system tags. Remove "aws:" from `+
			`your tag keys and try again.`, false)
}

// Header returns the tags of an object from an x-amz-tagging header: URL query parameters
// (API reference, PutObject). A header without tags is the empty set. Errors:
// InvalidArgument if it is malformed or has a key twice, and those of Object.
func Header(value string) (Set, error) {
	if value == "" {
		return nil, nil
	}
	var tags []Tag
	for part := range strings.SplitSeq(value, "&") {
		if part == "" {
			continue
		}
		name, val, _ := strings.Cut(part, "=")
		key, err1 := url.QueryUnescape(name)
		val, err2 := url.QueryUnescape(val)
		if err := errors.Join(err1, err2); err != nil || key == "" || !utf8.ValidString(key) || !utf8.ValidString(val) {
			return nil, badHeader(value)
		}
		if slices.ContainsFunc(tags, func(t Tag) bool { return t.Key == key }) {
			return nil, badHeader(value)
		}
		if tags = append(tags, Tag{key, val}); len(tags) > MaxObject {
			break // too many tags are refused below; the loop stays bounded
		}
	}
	return Object(tags)
}

func badHeader(value string) error {
	return fault.New(fault.InvalidArgument,
		"The header 'x-amz-tagging' shall be encoded as UTF-8 then URLEncoded URL query parameters without tag name "+
			"duplicates.").
		With("ArgumentName", "x-amz-tagging").With("ArgumentValue", value)
}

// check checks each tag, in the order of the request.
func check(tags []Tag, reserved string, name bool) (Set, error) {
	for i, t := range tags {
		if err := t.check(reserved, name); err != nil {
			return nil, err
		}
		if slices.ContainsFunc(tags[:i], func(u Tag) bool { return u.Key == t.Key }) {
			return nil, invalid("Cannot provide multiple Tags with the same key").With("TagKey", t.Key)
		}
	}
	slices.SortFunc(tags, func(a, b Tag) int { return strings.Compare(a.Key, b.Key) })
	return tags, nil
}

func (t Tag) check(reserved string, name bool) error {
	if strings.HasPrefix(strings.ToLower(t.Key), "aws:") {
		err := invalid(reserved)
		if name {
			err = err.With("TagKey", t.Key)
		}
		return err
	}
	if t.Key == "" || !isText(t.Key, MaxKey) {
		return invalid("The TagKey you have provided is invalid").With("TagKey", t.Key)
	}
	if !isText(t.Value, MaxValue) {
		return invalid("The TagValue you have provided is invalid").With("TagKey", t.Key).With("TagValue", t.Value)
	}
	return nil
}

func invalid(message string) *fault.Error { return fault.New(fault.InvalidTag, message) }

// isText accepts letters, numbers, white space and _ . : / = + - @ in UTF-8, at
// most max characters (S3 user guide, "Tag naming limits and requirements").
func isText(s string, limit int) bool {
	if len(s) > limit*utf8.UTFMax || !utf8.ValidString(s) || utf8.RuneCountInString(s) > limit {
		return false
	}
	for _, r := range s {
		if !unicode.In(r, unicode.L, unicode.N, unicode.Z, unicode.M) && !strings.ContainsRune("_.:/=+-@", r) {
			return false
		}
	}
	return true
}
