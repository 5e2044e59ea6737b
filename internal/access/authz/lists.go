package authz

import (
	"context"
	"slices"

	"watertight/internal/access/arn"
	"watertight/internal/access/policy"
)

// ObjectLaws are the owner and the ACL of one version of an object.
type ObjectLaws struct {
	Version string // names the version; empty if there is no object
	Owner   string // account id
	ACL     *policy.Document
}

// lookups caches the laws of the resources of one request.
type lookups struct {
	laws    []lawsOf // few: needs concern one or two resources
	objects []judged
	tagged  bool // tags of an object were looked up
}

// lawsOf are the laws of a resource; those of a bucket apply to its objects, too. They may be
// shared and must not be modified.
type lawsOf struct {
	at arn.ARN
	*ResourceLaws
}

// lawsOf returns the laws of a resource, nil if they were not looked up.
func (d *decision) lawsOf(at arn.ARN) *ResourceLaws {
	if b, ok := at.BucketOf(); ok {
		at = arn.Bucket(b)
	}
	for ; d != nil; d = d.before {
		for i := range d.on.laws {
			if d.on.laws[i].at == at {
				return d.on.laws[i].ResourceLaws
			}
		}
	}
	return nil
}

// judged is a version whose owner and ACL a decision used.
type judged struct {
	object  arn.ARN
	version string // id as the need names it; empty is the current version
	laws    ObjectLaws
}

// resource looks up the laws of a need's resource. They must not be modified.
func (d *decision) resource(ctx context.Context, n *Need) (*ResourceLaws, error) {
	at := n.Resource
	if res := d.lawsOf(at); res != nil {
		return res, nil
	}
	b, ofBucket := at.BucketOf()
	if ofBucket {
		at = arn.Bucket(b)
	}
	var res *ResourceLaws
	if n.Asked != nil && !ofBucket {
		res = n.Asked.Laws()
	} else {
		var err error
		if res, err = d.authority.facts.Resource(ctx, at, d.caller.situation.At); err != nil {
			return nil, err
		}
	}
	if res.HasGrants {
		grants, err := d.authority.facts.Grants(ctx, at, d.caller.principal)
		if err != nil {
			return nil, err
		}
		if len(grants) > 0 {
			with := *res
			with.Documents = slices.Concat(res.Documents, grants)
			res = &with
		}
	}
	d.on.laws = append(d.on.laws, lawsOf{at, res})
	return res, nil
}

// object returns the laws of the version that a need is about.
func (d *decision) object(ctx context.Context, n *Need) (ObjectLaws, error) {
	id := ""
	if n.Version != nil {
		id = *n.Version
	}
	for e := range d.all {
		for i := range e.on.objects {
			if j := &e.on.objects[i]; j.version == id && j.object == n.Resource {
				return j.laws, nil
			}
		}
	}
	laws, err := d.authority.facts.Object(ctx, n.Resource, n.Version)
	if err == nil {
		d.on.objects = append(d.on.objects, judged{n.Resource, id, laws})
	}
	return laws, err
}

// lists adds the owner of the object and the ACLs to the laws of a need if ACLs are
// enabled. It reports whether the object was looked up. If another account than the
// bucket's owns the object, only Deny statements of the bucket's policy apply.
func (d *decision) lists(
	ctx context.Context, who *policy.Principal, l *policy.Laws, res *ResourceLaws, n *Need,
) (saw bool, err error) {
	switch {
	case !n.Resource.IsObject():
		if res.ACL != nil {
			l.Resource = appendDocument(l.Resource, res.ACL)
		}
		return false, nil
	case n.New:
		if own := who.Account; own != "" {
			setOwner(l, own, res.Owner)
		}
		return false, nil
	case res.ACL == nil:
		return false, nil
	}
	ownerDecides := n.Action.Facts().OwnerDecides
	if !ownerDecides && (who.Account == res.Owner || !res.ACL.MentionsAction(n.Action)) {
		return false, nil
	}
	o, err := d.object(ctx, n)
	if err != nil {
		return true, err
	}
	switch {
	case !ownerDecides:
		if o.bucketACLCounts(n.Action, who.Account) {
			l.Resource = appendDocument(l.Resource, res.ACL)
		}
	case o.Version != "":
		setOwner(l, o.Owner, res.Owner)
		if o.ACL != nil {
			l.Resource = appendDocument(l.Resource, o.ACL)
		}
	}
	return true, nil
}

// bucketACLCounts reports whether the bucket's ACL, which allows an account to write,
// applies to the current object of a key. WRITE lets other accounts create objects, and
// overwrite and delete their own objects, but not those of others (S3 user guide, "Access
// control list overview", WRITE).
func (o *ObjectLaws) bucketACLCounts(action policy.Action, account string) bool {
	if o.Version == "" {
		return action == "s3:PutObject"
	}
	return o.Owner == account
}

// setOwner sets the owner of an object that the bucket's owner does not own.
func setOwner(l *policy.Laws, owner, bucketOwner string) {
	if owner == bucketOwner || bucketOwner == "" {
		return
	}
	l.Guard, l.Resource = l.Resource, nil
	l.ResourceOwner, l.BucketOwner = owner, bucketOwner
}

// appendDocument appends to a copy, because other needs share the laws of the bucket.
func appendDocument(docs []*policy.Document, d *policy.Document) []*policy.Document {
	return append(slices.Clip(docs), d)
}
