package object

import (
	"context"

	"watertight/internal/access/arn"
	"watertight/internal/access/authz"
	"watertight/internal/access/policy"
	"watertight/internal/core/acl"
	"watertight/internal/core/bucket"
	"watertight/internal/core/change"
	"watertight/internal/fault"
	"watertight/internal/storage/kv"
)

// ownerIn returns the account that owns a version; stored is the owner in the version's
// record. While ACLs are disabled, the bucket owner owns every object.
func ownerIn(b *bucket.Bucket, stored string) string {
	if stored == "" || !b.Ownership.ACLs() {
		return b.Owner
	}
	return stored
}

// demandACL demands s3:PutObjectAcl if the request sends an ACL, even if that ACL equals
// the default (S3 API reference, PutObject).
func demandACL(g authz.Grant, request *acl.Request, bucketName, key string) error {
	if request.IsZero() {
		return nil
	}
	return g.Demand("s3:PutObjectAcl", arn.Object(bucketName, key))
}

// setOwner sets the owner and the ACL of a new version. Errors:
// AccessControlListNotSupported if ACLs are disabled, MalformedACLError, AccessDenied for a
// public ACL under BlockPublicAcls.
func (v *version) setOwner(r kv.Reader, k slot, g authz.Grant, request *acl.Request) error {
	v.owner, v.acl = "", nil
	if !k.b.Ownership.ACLs() {
		return request.Enforced(k.b.Owner, true)
	}
	owner := k.b.OwnerOfNew(g.Caller().Principal().Account, request)
	if owner != k.b.Owner {
		v.owner = owner
	}
	var err error
	if v.acl, err = request.Make(owner, k.b.Owner); err != nil {
		return err
	}
	return k.b.MayStore(r, g, v.acl, "s3:PutObject", arn.Object(k.b.Name, k.key))
}

// recheckACL checks the owner and the ACL of an upload again when it is
// completed: the bucket's settings may have changed since it began.
func (v *version) recheckACL(r kv.Reader, k slot, g authz.Grant) error {
	if !k.b.Ownership.ACLs() {
		v.owner, v.acl = "", nil
	}
	return k.b.MayStore(r, g, v.acl, "s3:PutObject", arn.Object(k.b.Name, k.key))
}

// name returns the version's unique bytes, by which authorization identifies it. It is
// empty for a delete marker.
func (v *version) name() string {
	if v == nil || v.deleteMarker {
		return ""
	}
	return string(v.unique[:])
}

// GetACL returns a version and its ACL in effect (see bucket.Effective). It
// needs s3:GetObjectAcl, or s3:GetObjectVersionAcl with VersionID. Errors:
// NoSuchBucket, NoSuchKey, NoSuchVersion, MethodNotAllowed for a delete marker.
func (s *Store) GetACL(ctx context.Context, g authz.Grant, in VersionInput) (out Version, l acl.List, err error) {
	if err := g.Demand(in.action("s3:GetObjectAcl", "s3:GetObjectVersionAcl"),
		arn.Object(in.Bucket, in.Key)); err != nil {
		return Version{}, nil, err
	}
	if err := checkKey(in.Key); err != nil {
		return Version{}, nil, err
	}
	err = change.View(ctx, s.store, g, func(r kv.Reader) error {
		b, err := bucket.For(r, g, in.Bucket)
		if err != nil {
			return err
		}
		v, err := slot{b, in.Key}.find(r, in.VersionID, "GET")
		if err != nil {
			return err
		}
		out = v.public(b, in.Key)
		l, err = b.Effective(r, g, v.acl, out.Owner)
		return err
	})
	return out, l, err
}

// PutACL replaces the ACL of a version; its bytes, ETag and date stay as they
// are. It needs s3:PutObjectAcl, or s3:PutObjectVersionAcl with VersionID.
// Errors: those of GetACL and of bucket.PutACL.
func (s *Store) PutACL(
	ctx context.Context, g authz.Grant, in VersionInput, request *acl.Request,
) (out Version, err error) {
	action := in.action("s3:PutObjectAcl", "s3:PutObjectVersionAcl")
	if err := g.Demand(action, arn.Object(in.Bucket, in.Key)); err != nil {
		return Version{}, err
	}
	if g.Caller().Anonymous() { // a grant of access to objects must not let strangers change ACLs
		return Version{}, fault.Of(fault.AccessDenied)
	}
	err = s.rewrite(ctx, g, &in, "PUT", func(tx kv.Tx, k slot, v *version) error {
		out = v.public(k.b, in.Key)
		return v.setACL(tx, k, g, request, action)
	})
	return out, err
}

// setACL replaces the ACL of a version.
func (v *version) setACL(tx kv.Tx, k slot, g authz.Grant, request *acl.Request, action policy.Action) error {
	if !k.b.Ownership.ACLs() {
		if err := request.Enforced(k.b.Owner, false); err != nil {
			return err
		}
		return change.ErrUnchanged
	}
	l, err := request.Make(ownerIn(k.b, v.owner), k.b.Owner)
	if err != nil {
		return err
	}
	if err := k.b.MayStore(tx, g, l, action, arn.Object(k.b.Name, k.key)); err != nil {
		return err
	}
	v.acl = l
	return nil
}

// Laws returns the owner and the ACL of a version if ACLs are enabled, for authorization.
// If no object is there, it returns the zero laws.
func (s *Store) Laws(ctx context.Context, in VersionInput) (laws authz.ObjectLaws, err error) {
	err = s.store.View(ctx, func(r kv.Reader) error {
		b, err := bucket.Read(r, in.Bucket)
		if err != nil {
			return err
		}
		if err := checkKey(in.Key); err != nil {
			return err
		}
		v, err := slot{&b, in.Key}.find(r, in.VersionID, "GET")
		if err != nil {
			return err
		}
		laws = authz.ObjectLaws{Version: v.name(), Owner: ownerIn(&b, v.owner)}
		if len(v.acl) > 0 && b.Ownership.ACLs() {
			laws.ACL = s.lists.Object(v.acl)
		}
		return nil
	})
	if f := fault.From(err); f != nil {
		switch f.Kind {
		case fault.KindNotFound, fault.KindNotAllowed, fault.KindInvalid:
			return authz.ObjectLaws{}, nil
		}
	}
	return laws, err
}
