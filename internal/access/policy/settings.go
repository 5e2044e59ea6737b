package policy

import (
	"cmp"
	"slices"

	"watertight/internal/access/action"
)

// ownersAlone reports whether the action is reserved for the bucket's own account, whatever
// a policy allows to others: no other account may change its settings. There is one
// exception: an account to which the bucket's ACL gives WRITE_ACP by name may change the
// ACL, because the permission has no other meaning. For bucket policies AWS has a different
// error for other accounts (405, S3 API reference, PutBucketPolicy), which core returns.
func (in *situation) ownersAlone(l *Laws) bool {
	r := &in.request
	account, owner := r.Principal.Account, cmp.Or(l.BucketOwner, l.ResourceOwner)
	if account != "" && (owner == "" || account == owner) {
		return false
	}
	switch of := r.Action.Facts(); {
	case of.Changes != action.ChangesBucket:
		return false
	case account == "":
		return true
	case of.BucketPolicy:
		return false
	}
	return !in.listed(l)
}

// givesAccessAway reports whether another account would change the ACL of an object that it
// does not own, and only a statement or a grant for everyone allows it: the access that it
// could give itself would outlast that statement. A policy that names the account, or
// restricts the caller by a condition, is enough to allow it, and so is an ACL that names
// the account.
func (in *situation) givesAccessAway(l *Laws) bool {
	p := &in.request.Principal
	if p.Account == "" || l.ResourceOwner == "" || p.Account == l.ResourceOwner || p.Account == l.BucketOwner {
		return false // core refuses requests without a signature
	}
	if !in.request.Action.Facts().GivesAccess {
		return false
	}
	for _, d := range l.Resource {
		for i := range d.statements {
			s := &d.statements[i]
			if _, ok := s.applies(ResourceLayer, in); ok && s.allow && s.namesCaller(p) {
				return false
			}
		}
	}
	return true
}

// namesCaller reports whether a matching statement names the caller and not everyone.
func (s *statement) namesCaller(c *Principal) bool {
	if s.group || slices.ContainsFunc(s.conditions, condition.limits) {
		return !s.group
	}
	return slices.ContainsFunc(s.principals, func(p principal) bool {
		return p.kind != everybody && p.kind != everyAccount && p.grants(c) != noGrant
	})
}

// listed reports whether an ACL allows the request to the caller's account by name.
func (in *situation) listed(l *Laws) bool {
	for _, d := range l.Resource {
		if d == nil || d.kind != AccessList {
			continue
		}
		for i := range d.statements {
			s := &d.statements[i]
			if _, ok := s.applies(ResourceLayer, in); ok && !s.group {
				return true
			}
		}
	}
	return false
}
