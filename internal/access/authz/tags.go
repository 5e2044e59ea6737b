package authz

import (
	"context"

	"watertight/internal/access/policy"
)

const existingTag = "s3:existingobjecttag/" // as policy.KeyName has it

// mention reports whether any policy mentions a condition key with this prefix, as
// policy.KeyName returns it.
func mention(l *policy.Laws, prefix string) bool {
	for _, docs := range [...][]*policy.Document{l.Identity, l.Boundary, l.Session, l.Resource, l.Guard} {
		for _, d := range docs {
			if d != nil && d.MentionsName(prefix) {
				return true
			}
		}
	}
	return false
}

// tagKeys returns the condition keys for the tags of a need's object. This costs a lookup,
// so it returns nil if no policy refers to them.
func (d *decision) tagKeys(ctx context.Context, l *policy.Laws, n *Need) (map[string][]string, error) {
	if n.New || !n.Resource.IsObject() || !mention(l, existingTag) || !n.Action.Facts().SeesTags {
		return nil, nil
	}
	d.on.tagged = true
	tags, err := d.authority.facts.ObjectTags(ctx, n.Resource, n.Version)
	if err != nil {
		return nil, err
	}
	keys := make(map[string][]string, len(tags))
	for name, value := range tags {
		keys[policy.KeyName(existingTag+name)] = []string{value}
	}
	return keys, nil
}
