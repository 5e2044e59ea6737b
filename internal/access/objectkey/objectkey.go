// Package objectkey defines which keys an object can have. It exists so that routing,
// authorization and storage agree, wherever a key occurs: in a path, a header, a form or a
// document. It must never know which bucket a key belongs to, nor what is stored under it.
package objectkey

import (
	"strconv"
	"strings"
	"unicode/utf8"

	"watertight/internal/fault"
)

// Max is the maximum length of a key in bytes (S3 user guide, "Naming Amazon S3 objects").
const Max = 1024

// Check refuses texts that can't be a key: more than Max bytes, invalid UTF-8, a NUL, or
// ".." segments that lead above the bucket (S3 user guide, "Object key naming guidelines").
// It accepts the empty key, which names the bucket itself. Errors: KeyTooLongError,
// InvalidURI.
func Check(key string) error {
	switch {
	case len(key) > Max:
		return fault.Of(fault.KeyTooLongError).
			With("Size", strconv.Itoa(len(key))).With("MaxSizeAllowed", strconv.Itoa(Max))
	case !utf8.ValidString(key), strings.IndexByte(key, 0) >= 0, climbs(key):
		return fault.Of(fault.InvalidURI)
	default:
		return nil
	}
}

func climbs(key string) bool {
	if !strings.Contains(key, "..") {
		return false
	}
	depth := 0
	for segment := range strings.SplitSeq(key, "/") {
		switch segment {
		case "", ".":
		case "..":
			if depth--; depth < 0 {
				return true
			}
		default:
			depth++
		}
	}
	return false
}
