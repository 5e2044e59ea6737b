package tag

import (
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"

	"watertight/internal/fault"
)

// MaxKMS is the maximum number of tags of a KMS key (KMS developer guide, "Tags in AWS KMS").
const MaxKMS = 50

// CheckKMS checks the tags of one request of KMS. Keys that differ only by case are
// different. Errors: TagException, ValidationException.
func CheckKMS(tags []Tag) error {
	if len(tags) > MaxKMS {
		return tagException("Too many tags")
	}
	for i, t := range tags {
		if t.Key == "" || utf8.RuneCountInString(t.Key) > MaxKey || utf8.RuneCountInString(t.Value) > MaxValue {
			return fault.New(fault.ValidationException,
				fmt.Sprintf("A tag's key has 1 to %d characters and its value at most %d.", MaxKey, MaxValue))
		}
		if strings.HasPrefix(strings.ToLower(t.Key), "aws:") {
			return tagException("Tags beginning with aws: are reserved")
		}
		if slices.ContainsFunc(tags[:i], func(u Tag) bool { return u.Key == t.Key }) {
			return tagException("Duplicate tag keys")
		}
	}
	return nil
}

// AddKMS returns old with tags added or, if their keys exist, with their values replaced.
// Errors: those of CheckKMS.
func AddKMS(old, tags []Tag) ([]Tag, error) {
	if err := CheckKMS(tags); err != nil {
		return nil, err
	}
	all := slices.Clone(old)
	for _, t := range tags {
		if i := slices.IndexFunc(all, func(u Tag) bool { return u.Key == t.Key }); i >= 0 {
			all[i] = t
		} else {
			all = append(all, t)
		}
	}
	if len(all) > MaxKMS {
		return nil, tagException("Too many tags")
	}
	return all, nil
}

// RemoveKMS returns old without the tags that have these keys.
func RemoveKMS(old []Tag, keys []string) []Tag {
	return slices.DeleteFunc(slices.Clone(old), func(t Tag) bool { return slices.Contains(keys, t.Key) })
}

func tagException(message string) error { return fault.New(fault.TagException, message) }
