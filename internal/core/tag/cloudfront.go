package tag

import (
	"slices"
	"strings"

	"watertight/internal/fault"
)

// MaxCloudFront is the maximum number of tags of a distribution (CloudFront developer guide,
// "Tag a distribution").
const MaxCloudFront = 50

// AddCloudFront returns the old tags of a distribution with tags added or, if their keys exist,
// with their values replaced. Keys that differ only by case are refused: condition keys, whose
// case does not count, could not tell them apart. Error: InvalidTagging.
func AddCloudFront(old, tags []Tag) ([]Tag, error) {
	all := slices.Clone(old)
	for i, t := range tags {
		switch {
		case t.Key == "" || !isText(t.Key, MaxKey) || !isText(t.Value, MaxValue):
			return nil, invalidTagging("A tag's key has 1 to 128 characters and its value at most 256: letters, " +
				"digits, spaces and _.:/=+-@.")
		case strings.HasPrefix(strings.ToLower(t.Key), "aws:"):
			return nil, invalidTagging("Tags beginning with aws: are reserved.")
		case slices.ContainsFunc(tags[:i], func(u Tag) bool { return u.Key == t.Key }):
			return nil, invalidTagging("Two tags have the same key.")
		case slices.ContainsFunc(all, func(u Tag) bool {
			return u.Key != t.Key && strings.EqualFold(u.Key, t.Key)
		}):
			return nil, invalidTagging("The keys of two tags differ only by case.")
		}
		if i := slices.IndexFunc(all, func(u Tag) bool { return u.Key == t.Key }); i >= 0 {
			all[i] = t
		} else {
			all = append(all, t)
		}
		if len(all) > MaxCloudFront {
			return nil, invalidTagging("A distribution has at most 50 tags.")
		}
	}
	return all, nil
}

func invalidTagging(message string) error { return fault.New(fault.InvalidTagging, message) }
