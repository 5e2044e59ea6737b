package tag

import (
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"

	"watertight/internal/core/page"
	"watertight/internal/fault"
)

// MaxIAM is the maximum number of tags of an IAM resource or a session (IAM user guide,
// "Rules for tagging in IAM and AWS STS").
const MaxIAM = 50

// IAM has the rules for the tags of one kind of IAM resource. Keys that differ only by case
// are duplicates, except for OIDC providers.
type IAM struct{ CaseSensitive bool }

func tooMany() error {
	return fault.New(fault.LimitExceeded, "The number of tags has reached the maximum limit.")
}

// CheckIAM checks the tags of one request, for every kind of resource except OIDC
// providers. Errors: LimitExceeded, ValidationError, InvalidInput.
func CheckIAM(tags []Tag) error { return IAM{}.Check(tags) }

// Check checks the tags of one request.
// Errors: LimitExceeded, ValidationError, InvalidInput.
func (r IAM) Check(tags []Tag) error {
	if len(tags) > MaxIAM {
		return tooMany()
	}
	for i, t := range tags {
		if t.Key == "" || utf8.RuneCountInString(t.Key) > MaxKey || utf8.RuneCountInString(t.Value) > MaxValue {
			return fault.New(fault.ValidationError,
				fmt.Sprintf("A tag's key has 1 to %d characters and its value at most %d.", MaxKey, MaxValue))
		}
		if strings.HasPrefix(strings.ToLower(t.Key), "aws:") {
			return invalidInput("Tag keys beginning with 'aws:' are reserved.")
		}
		if r.find(tags[:i], t.Key) < 0 {
			continue
		}
		if r.CaseSensitive {
			return invalidInput("Duplicate tag keys found.")
		}
		return invalidInput("Duplicate tag keys found. Please note that Tag keys are case insensitive.")
	}
	return nil
}

func invalidInput(message string) error { return fault.New(fault.InvalidInput, message) }

func (r IAM) equal(a, b string) bool { return a == b || !r.CaseSensitive && strings.EqualFold(a, b) }

func (r IAM) find(tags []Tag, key string) int {
	return slices.IndexFunc(tags, func(t Tag) bool { return r.equal(t.Key, key) })
}

// Add returns old with tags added or, if their keys exist, with their values replaced.
// Errors: those of Check.
func (r IAM) Add(old, tags []Tag) ([]Tag, error) {
	if err := r.Check(tags); err != nil {
		return nil, err
	}
	all := slices.Clone(old)
	for _, t := range tags {
		if i := r.find(all, t.Key); i >= 0 {
			all[i] = t
		} else {
			all = append(all, t)
		}
	}
	if len(all) > MaxIAM {
		return nil, tooMany()
	}
	return all, nil
}

// Remove returns old without the tags that have these keys.
func (r IAM) Remove(old []Tag, keys []string) []Tag {
	return slices.DeleteFunc(slices.Clone(old), func(t Tag) bool {
		return slices.ContainsFunc(keys, func(k string) bool { return r.equal(k, t.Key) })
	})
}

// Page returns a page of tags in the order of their keys, and the marker of the next page.
// Errors: ValidationError.
func Page(tags []Tag, p page.Request, scope string) ([]Tag, string, error) {
	key := func(t *Tag) string { return strings.ToLower(t.Key) + "\x00" + t.Key }
	all := slices.SortedFunc(slices.Values(tags), func(a, b Tag) int { return strings.Compare(key(&a), key(&b)) })
	return page.Cut(all, key, p, "tags\x00"+scope)
}
