package authz

import (
	"slices"

	"watertight/internal/access/policy"
)

// give adds what allows a caller an action by default: an identity's policy and,
// where somebody else owns the resource, one of the resource.
func give(l *policy.Laws, who *policy.Principal, action policy.Action) {
	l.Identity = with(l.Identity, policy.Given(action))
	if who.Account != "" {
		l.Resource = with(l.Resource, policy.List([]policy.ListGrant{{Name: "initiator", Account: who.Account, Actions: []policy.Action{action}}}))
	}
}

// speakOf reports whether a document speaks of an action, or cannot be read.
func speakOf(docs []*policy.Document, action policy.Action) bool {
	return slices.ContainsFunc(docs, func(d *policy.Document) bool { return d == nil || d.MentionsAction(action) })
}
