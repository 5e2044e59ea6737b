package bucket

import (
	"context"

	"watertight/internal/access/arn"
	"watertight/internal/access/authz"
	"watertight/internal/access/policy"
	"watertight/internal/core/acl"
	"watertight/internal/core/change"
	"watertight/internal/fault"
	"watertight/internal/storage/kv"
)

// setFirstACL sets the ACL that the request for a new bucket asks for. A new bucket has all
// four Block Public Access settings, so a public ACL is refused.
func (b *Bucket) setFirstACL(asked *acl.Request) (err error) {
	if b.ACL, err = asked.Make(b.Owner, b.Owner); err != nil {
		return err
	}
	switch {
	case !b.Ownership.ACLs() && len(b.ACL.Foreign(b.Owner)) > 0:
		return aclWithOwnership()
	case b.ACL.Public():
		return fault.Of(fault.InvalidBucketAclWithBlockPublicAccessError)
	}
	return nil
}

// MayStore refuses a public ACL of the bucket, or of an object in it, while BlockPublicAcls
// is on. A caller of the bucket's account is told why. An anonymous caller can't grant
// anything to a named account: the grant would outlast the policy that allowed the request.
func (b *Bucket) MayStore(r kv.Reader, g authz.Grant, l acl.List, action policy.Action, on arn.ARN) error {
	if g.Caller().Anonymous() && len(l.Private().Foreign(b.Owner)) > 0 {
		return fault.Of(fault.AccessDenied)
	}
	if !l.Public() {
		return nil
	}
	public, err := Public(r, b, g.Caller().At())
	if err != nil || !public.BlockPublicACLs {
		return err
	}
	if g.Caller().Account() != b.Owner {
		return fault.Of(fault.AccessDenied)
	}
	return preventedBy(g, action, on, "public ACLs", "BlockPublicAcls")
}

// PutACL replaces the ACL of a bucket. It needs s3:PutBucketAcl. Errors: NoSuchBucket,
// AccessControlListNotSupported if ACLs are disabled, MalformedACLError, AccessDenied for a
// public ACL under BlockPublicAcls and for an ACL that names another owner.
func (s *Store) PutACL(ctx context.Context, g authz.Grant, name string, asked *acl.Request) error {
	const action = "s3:PutBucketAcl"
	return s.modify(ctx, g, action, name, func(tx kv.Tx, b *Bucket) error {
		if !b.Ownership.ACLs() {
			if err := asked.Enforced(b.Owner, false); err != nil {
				return err
			}
			return change.ErrUnchanged
		}
		l, err := asked.Make(b.Owner, b.Owner)
		if err != nil {
			return err
		}
		if err := b.MayStore(tx, g, l, action, arn.Bucket(name)); err != nil {
			return err
		}
		b.ACL = l
		return nil
	})
}

// GetACL returns a bucket's owner and the ACL in effect: only the owner's grant while ACLs
// are disabled, and no public grants while IgnorePublicAcls is on. It needs
// s3:GetBucketAcl. Errors: NoSuchBucket.
func (s *Store) GetACL(ctx context.Context, g authz.Grant, name string) (owner string, l acl.List, err error) {
	if err := g.Demand("s3:GetBucketAcl", arn.Bucket(name)); err != nil {
		return "", nil, err
	}
	err = s.store.View(ctx, func(r kv.Reader) error {
		b, err := Read(r, name)
		if err != nil {
			return err
		}
		owner = b.Owner
		l, err = b.Effective(r, g, b.ACL, b.Owner)
		return err
	})
	return owner, l, err
}

// Effective returns the part of an ACL that is in effect, as GetBucketAcl and GetObjectAcl
// show it. The ACL is that of the bucket, or of an object in it; owner is the owner of
// either.
func (b *Bucket) Effective(r kv.Reader, g authz.Grant, l acl.List, owner string) (acl.List, error) {
	if !b.Ownership.ACLs() {
		return acl.List(nil).Shown(b.Owner), nil
	}
	l = l.Shown(owner)
	public, err := Public(r, b, g.Caller().At())
	if err != nil {
		return nil, err
	}
	if public.IgnorePublicACLs {
		l = l.Private()
	}
	return l, nil
}

// ACLsEnabled reports whether ACLs are enabled in a bucket. It asks for no grant, because
// the needs of a request depend on it. Errors: NoSuchBucket.
func (s *Store) ACLsEnabled(ctx context.Context, name string) (bool, error) {
	b, err := s.read(ctx, name)
	return b.Ownership.ACLs(), err
}
