package authz

import (
	"context"
	"slices"

	"watertight/internal/access/policy"
)

const existingTag = "s3:existingobjecttag/" // as policy.KeyName has it

// mentionTags reports whether any policy asks for the tags of an object.
func mentionTags(l *policy.Laws) bool {
	return slices.ContainsFunc([][]*policy.Document{l.Identity, l.Boundary, l.Session, l.Resource, l.Guard},
		func(docs []*policy.Document) bool {
			return slices.ContainsFunc(docs, func(d *policy.Document) bool {
				return d != nil && d.Mentions(existingTag)
			})
		})
}

// tagKeys returns the condition keys for the tags of a need's object, which cost a
// lookup. It returns nil only where no policy asks for them.
func (a *Authority) tagKeys(ctx context.Context, l *policy.Laws, on *lookups, n *Need) (map[string][]string, error) {
	if n.New || !mentionTags(l) || !n.Action.Facts().SeesTags {
		return nil, nil
	}
	on.tagged = true
	tags, err := a.facts.ObjectTags(ctx, n.Resource, n.Version)
	if err != nil {
		return nil, err
	}
	keys := make(map[string][]string, len(tags))
	for name, value := range tags {
		keys[policy.KeyName(existingTag+name)] = []string{value}
	}
	return keys, nil
}
