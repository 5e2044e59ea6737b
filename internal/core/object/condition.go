package object

import (
	"strings"
	"time"

	"watertight/internal/fault"
)

// matches reports whether list, the value of If-Match or If-None-Match, names tag. Tags
// without quotes are accepted, as S3 accepts them. Weak tags match only if weak is set (RFC
// 9110, section 8.8.3.2).
func matches(list string, tag ETag, weak bool) bool {
	var buf [64]byte
	text := tag.Append(buf[:0])
	for one := range strings.SplitSeq(list, ",") {
		one = strings.Trim(one, " \t")
		if one == "*" {
			return true
		}
		if strong, isWeak := strings.CutPrefix(one, "W/"); isWeak {
			if !weak {
				continue
			}
			one = strong
		}
		if len(one) >= 2 && one[0] == '"' && one[len(one)-1] == '"' {
			one = one[1 : len(one)-1]
		}
		if one == string(text) {
			return true
		}
	}
	return false
}

func preconditionFailed(condition string) *fault.Error {
	return fault.Of(fault.PreconditionFailed).
		With("Condition", condition)
}

// httpTime is the format of dates in headers (RFC 9110, section 5.6.7).
const httpTime = "Mon, 02 Jan 2006 15:04:05 GMT"

// conditions evaluates the conditions of a read. It returns nil, PreconditionFailed or
// NotModified (RFC 9110, section 13.2.2). Dates are compared in whole seconds, and a date
// in the future is ignored.
func (in *GetInput) conditions(tag ETag, modified, now time.Time) error {
	modified = modified.Truncate(time.Second)
	if in.IfMatch != nil {
		if !matches(*in.IfMatch, tag, false) {
			return preconditionFailed("If-Match")
		}
	} else if since := in.IfUnmodifiedSince; !since.IsZero() && modified.After(since) {
		return preconditionFailed("If-Unmodified-Since")
	}
	unchanged := false
	if in.IfNoneMatch != nil {
		unchanged = matches(*in.IfNoneMatch, tag, true)
	} else if since := in.IfModifiedSince; !since.IsZero() && !since.After(now) {
		unchanged = !modified.After(since)
	}
	if !unchanged {
		return nil
	}
	return fault.Of(fault.NotModified).
		WithHeader("ETag", `"`+tag.String()+`"`).WithHeader("Last-Modified", modified.UTC().Format(httpTime))
}

// checkWriteHeaders refuses conditions that S3 does not accept for writes (S3 user guide,
// "Conditional writes").
func checkWriteHeaders(ifMatch, ifNoneMatch *string) error {
	header, why := "", ""
	switch {
	case ifMatch != nil && ifNoneMatch != nil:
		header, why = "If-Match,If-None-Match", "Multiple conditional request headers present in the request"
	case ifNoneMatch != nil && *ifNoneMatch != "*":
		header = "If-None-Match"
	case ifMatch != nil && *ifMatch == "*":
		header = "If-Match"
	default:
		return nil
	}
	if why == "" {
		why = "We don't accept the provided value of " + header + " header for this API"
	}
	return fault.Of(fault.NotImplemented).
		With("Header", header).With("additionalMessage", why)
}

// mayWrite evaluates the conditions of a write against the newest version.
func (in *PutInput) mayWrite(head *version) error {
	exists := head != nil && !head.deleteMarker
	switch {
	case in.IfNoneMatch != nil && exists:
		return preconditionFailed("If-None-Match")
	case in.IfMatch != nil && !exists:
		return noSuchKey(in.Key)
	case in.IfMatch != nil && !matches(*in.IfMatch, head.etag, false):
		return preconditionFailed("If-Match")
	default:
		return nil
	}
}

// mayDelete evaluates the condition of a deletion against the version to delete: "*" asks
// for any object, an entity tag for that one.
func (in *DeleteInput) mayDelete(v *version) error {
	exists := v != nil && !v.deleteMarker
	switch {
	case in.IfMatch == nil:
		return nil
	case !exists && *in.IfMatch != "*":
		return noSuchKey(in.Key)
	case !exists || !matches(*in.IfMatch, v.etag, false):
		return preconditionFailed("If-Match").Telling() // a caller who may delete is not always allowed to read
	default:
		return nil
	}
}

func noSuchKey(key string) *fault.Error {
	return fault.Of(fault.NoSuchKey).With("Key", key).Telling()
}

func noSuchVersion(key, id string) error {
	return fault.Of(fault.NoSuchVersion).
		With("Key", key).With("VersionId", id).Telling()
}
