package policy

import (
	"cmp"
	"slices"
	"strings"
)

// Changes reports what an action of S3 changes.
type Changes uint8

// What an action changes.
const (
	NoChange      Changes = iota
	ChangesObject         // what is stored: objects, their tags, ACLs and locks
	ChangesBucket         // a bucket, its settings, or what is an account's: its own account's alone
)

// Changes is what an action of S3 changes, in any case of its letters. An action
// that is not known changes a bucket: what comes new is its owner's until somebody
// says otherwise.
func (a Action) Changes() Changes {
	service, name, _ := strings.Cut(strings.ToLower(string(a)), ":")
	if service != "s3" {
		return NoChange
	}
	for _, reading := range [...]string{"get", "list", "describe"} {
		if strings.HasPrefix(name, reading) {
			return NoChange
		}
	}
	for _, of := range [...]string{"putobject", "deleteobject", "replicate", "updateobject"} {
		if strings.HasPrefix(name, of) {
			return ChangesObject
		}
	}
	switch name {
	case "abortmultipartupload", "restoreobject", "bypassgovernanceretention", "initiatereplication", "objectowneroverridetobucketowner":
		return ChangesObject
	}
	return ChangesBucket
}

// ownersAlone reports whether what is asked is the bucket's own account's, whatever
// a policy allows to others: nobody else changes its settings. An account that the
// bucket's ACL gives WRITE_ACP by name may change the ACL: the permission means
// nothing else. For bucket policies AWS has an answer of its own to other accounts
// (405, S3 API reference, PutBucketPolicy), which core gives.
func (in *situation) ownersAlone(l *Laws) bool {
	r := in.request
	owner := cmp.Or(l.BucketOwner, l.ResourceOwner)
	if r.Action.Changes() != ChangesBucket || owner == "" && r.Principal.Account != "" || r.Principal.Account != "" && r.Principal.Account == owner {
		return false
	}
	switch {
	case r.Principal.Account == "":
		return true
	case strings.EqualFold(string(r.Action), "s3:PutBucketPolicy"), strings.EqualFold(string(r.Action), "s3:DeleteBucketPolicy"):
		return false
	}
	return !in.listed(l)
}

// givesAway reports whether another account would change the ACL of an object that
// is not its own, and only what is open to everybody lets it: what it gave itself
// would outlast the opening. A policy that names the account, or says by a
// condition who is meant, is enough, and so is an ACL that names it.
func (in *situation) givesAway(l *Laws) bool {
	p, action := &in.request.Principal, string(in.request.Action)
	if !strings.EqualFold(action, "s3:PutObjectAcl") && !strings.EqualFold(action, "s3:PutObjectVersionAcl") {
		return false
	}
	if p.Account == "" || l.ResourceOwner == "" || p.Account == l.ResourceOwner || p.Account == l.BucketOwner {
		return false // core refuses requests without a signature
	}
	for _, d := range l.Resource {
		for i := range d.statements {
			s := &d.statements[i]
			if _, ok := s.applies(ResourceLayer, in); ok && s.allow && s.means(p) {
				return false
			}
		}
	}
	return true
}

// means reports whether a statement that applies means the caller, not everybody.
func (s *statement) means(c *Principal) bool {
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
