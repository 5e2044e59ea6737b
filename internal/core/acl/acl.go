// Package acl implements the rules of access control lists: which lists are valid, what a
// canned ACL means, what a grant allows, and how a list is stored. It exists so that
// buckets, objects, uploads and forms refuse the same lists for the same reasons. It must
// never know which resource has a list, nor the caller.
package acl

import (
	"slices"

	"watertight/internal/fault"
)

// MaxGrants is how many grants a list may have (S3 user guide, "Access control
// list overview").
const MaxGrants = 100

// Permission is a permission of a grant, by its AWS name.
type Permission string

// The permissions.
const (
	FullControl Permission = "FULL_CONTROL"
	Read        Permission = "READ"
	Write       Permission = "WRITE"
	ReadACP     Permission = "READ_ACP"
	WriteACP    Permission = "WRITE_ACP"
)

// known reports whether p is one of the permissions above.
func (p Permission) known() bool {
	switch p {
	case FullControl, Read, Write, ReadACP, WriteACP:
		return true
	}
	return false
}

// Group is a predefined group, by the last part of its URI.
type Group string

// The predefined groups. LogDelivery has no members here, because no service writes logs
// into buckets.
const (
	AllUsers           Group = "AllUsers"
	AuthenticatedUsers Group = "AuthenticatedUsers"
	LogDelivery        Group = "LogDelivery"
)

// URI returns the group's URI, as requests and responses have it.
func (g Group) URI() string {
	if g == LogDelivery {
		return "http://acs.amazonaws.com/groups/s3/LogDelivery"
	}
	return "http://acs.amazonaws.com/groups/global/" + string(g)
}

func groupOf(uri string) (Group, bool) {
	for _, g := range []Group{AllUsers, AuthenticatedUsers, LogDelivery} {
		if g.URI() == uri {
			return g, true
		}
	}
	return "", false
}

// Grant grants a permission to an account or to a group.
type Grant struct {
	Account    string // account id; empty with Group
	Group      Group
	Permission Permission
}

// Public reports whether the grant is to everyone or to every account, with any permission
// (S3 user guide, "The meaning of public").
func (g Grant) Public() bool { return g.Group == AllUsers || g.Group == AuthenticatedUsers }

// List is the grants of an ACL. An empty list is the default ACL: the owner has full
// control, and no other account has a permission.
type List []Grant

// Public reports whether a list is public.
func (l List) Public() bool { return slices.ContainsFunc(l, Grant.Public) }

// Private returns the list without its public grants, which is the part in effect while
// IgnorePublicAcls is on.
func (l List) Private() List {
	return slices.DeleteFunc(slices.Clone(l), Grant.Public)
}

// Foreign returns the grants to others than the owner, including those to groups.
func (l List) Foreign(owner string) List {
	return slices.DeleteFunc(slices.Clone(l), func(g Grant) bool { return g.Account == owner && g.Group == "" })
}

// Shown returns the list as responses show it: the default ACL has the owner's grant.
func (l List) Shown(owner string) List {
	if len(l) > 0 {
		return l
	}
	return List{{Account: owner, Permission: FullControl}}
}

// Request is the ACL that a request asks for: Canned or Grants, or neither for the default ACL.
type Request struct {
	Canned string
	Grants List
	Owner  string // account that the request names as the owner; empty if it names none
}

// IsZero reports whether the request has no ACL.
func (r *Request) IsZero() bool { return r.Canned == "" && r.Grants == nil && r.Owner == "" }

// IsDefault reports whether the request asks for the ACL that is also set without it.
func (r *Request) IsDefault() bool { return r.IsZero() || r.Canned == private }

// The canned ACLs that Object Ownership treats specially.
const (
	private          = "private"
	bucketOwnerFull  = "bucket-owner-full-control"
	logDeliveryWrite = "log-delivery-write"
)

// CheckCanned refuses a name that is not a canned ACL of a bucket or, if object is set, of
// an object (S3 user guide, "Canned ACL"). The error has no message, as AWS's has none.
func CheckCanned(name string, object bool) error {
	switch name {
	case "", private, "public-read", "public-read-write", "aws-exec-read", "authenticated-read", "bucket-owner-read",
		bucketOwnerFull:
		return nil
	case logDeliveryWrite:
		if !object {
			return nil
		}
	}
	return fault.New(fault.InvalidArgument, "").With("ArgumentName", "x-amz-acl").With("ArgumentValue", name)
}

// HandsOver reports whether the request has the canned ACL by which a writer gives an
// object to the bucket's owner.
func (r *Request) HandsOver() bool { return r.Canned == bucketOwnerFull }

// Make returns the list that a request asks for, for a resource of owner in a bucket
// of bucketOwner. Error: AccessDenied if the request names another owner, since an ACL
// cannot change the owner.
func (r *Request) Make(owner, bucketOwner string) (List, error) {
	if r.Owner != "" && r.Owner != owner {
		return nil, fault.Of(fault.AccessDenied)
	}
	l := r.Grants
	if r.Canned != "" {
		l = canned(r.Canned, owner, bucketOwner)
	}
	if len(l) > MaxGrants {
		return nil, malformed()
	}
	if len(l) == 1 && l[0] == (Grant{Account: owner, Permission: FullControl}) {
		return nil, nil
	}
	return l, nil
}

// canned returns the list that a canned ACL means. aws-exec-read is for a service that does
// not exist here, so it grants nothing.
func canned(name, owner, bucketOwner string) List {
	l := List{{Account: owner, Permission: FullControl}}
	all := func(g Group, ps ...Permission) {
		for _, p := range ps {
			l = append(l, Grant{Group: g, Permission: p})
		}
	}
	switch name {
	case "public-read":
		all(AllUsers, Read)
	case "public-read-write":
		all(AllUsers, Read, Write)
	case "authenticated-read":
		all(AuthenticatedUsers, Read)
	case logDeliveryWrite:
		all(LogDelivery, Write, ReadACP)
	case "bucket-owner-read":
		if owner != bucketOwner {
			l = append(l, Grant{Account: bucketOwner, Permission: Read})
		}
	case bucketOwnerFull:
		if owner != bucketOwner {
			l = append(l, Grant{Account: bucketOwner, Permission: FullControl})
		}
	}
	return l
}

// Enforced refuses an ACL for a bucket in which ACLs are disabled, unless it changes
// nothing (S3 user guide, "Controlling ownership of objects"). With an upload, private
// changes nothing, and clients send it by default. A request that only sets an ACL is
// refused even for private.
func (r *Request) Enforced(bucketOwner string, upload bool) error {
	l, err := r.Make(bucketOwner, bucketOwner)
	empty := r.Grants != nil && len(r.Grants) == 0 // an empty list would take the owner's permission away
	if err != nil || len(l) > 0 || empty ||
		r.Canned != "" && r.Canned != bucketOwnerFull && !(upload && r.Canned == private) {
		return NotSupported()
	}
	return nil
}

// NotSupported is the error for an ACL if ACLs are disabled.
func NotSupported() error {
	return fault.Of(fault.AccessControlListNotSupported)
}

func malformed() *fault.Error {
	return fault.Of(fault.MalformedACLError)
}
