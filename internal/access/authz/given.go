package authz

import "watertight/internal/access/policy"

// addGiven allows an action to a caller by default. It adds a policy of the identity and,
// if another account owns the resource, a policy of the resource.
func addGiven(l *policy.Laws, who *policy.Principal, action policy.Action) {
	l.Identity = appendDocument(l.Identity, policy.Given(action))
	if who.Account != "" {
		l.Resource = appendDocument(l.Resource,
			policy.List([]policy.ListGrant{{
				Name: "initiator", Account: who.Account, Actions: []policy.Action{action},
			}}))
	}
}

// mentionAction reports whether a document mentions an action, or cannot be read.
func mentionAction(docs []*policy.Document, action policy.Action) bool {
	for _, d := range docs {
		if d == nil || d.MentionsAction(action) {
			return true
		}
	}
	return false
}
