package authz

import (
	"context"
	"slices"

	"watertight/internal/access/arn"
	"watertight/internal/access/policy"
)

// ObjectLaws are the owner and the ACL of one version of an object.
type ObjectLaws struct {
	Version string // names the version; empty where there is no object
	Owner   string // account id
	ACL     *policy.Document
}

// lookups are the laws of the resources of one request. Each is looked up once.
type lookups struct {
	laws    []lawsOf // few: needs are about one or two resources
	room    [1]lawsOf
	objects []judged
	tagged  bool         // tags of objects were looked up
	work    *policy.Work // of all decisions on the request
}

// lawsOf are the laws of a resource; those of a bucket hold for its objects.
type lawsOf struct {
	at arn.ARN
	ResourceLaws
}

// of returns the laws of a resource, nil where they were not looked up.
func (s *lookups) of(at arn.ARN) *ResourceLaws {
	if b, ok := at.BucketOf(); ok {
		at = arn.Bucket(b)
	}
	for i := range s.laws {
		if s.laws[i].at == at {
			return &s.laws[i].ResourceLaws
		}
	}
	return nil
}

// judged is a version whose owner and ACL a decision used.
type judged struct {
	object  arn.ARN
	version string // its id as the need names it; empty is the current one
	laws    ObjectLaws
}

// resource looks up the laws of a resource for a caller.
func (s *lookups) resource(ctx context.Context, facts Facts, at arn.ARN, c *Caller) (ResourceLaws, error) {
	if res := s.of(at); res != nil {
		return *res, nil
	}
	if b, ok := at.BucketOf(); ok {
		at = arn.Bucket(b)
	}
	res, err := facts.Resource(ctx, at, c.situation.At)
	if err == nil && res.HasGrants {
		var grants []*policy.Document
		if grants, err = facts.Grants(ctx, at, c.principal); len(grants) > 0 {
			res.Documents = slices.Concat(res.Documents, grants)
		}
	}
	if err == nil {
		s.laws = append(s.laws, lawsOf{at, res})
	}
	return res, err
}

// object returns the laws of the version a need is about.
func (s *lookups) object(ctx context.Context, facts Facts, n *Need) (ObjectLaws, error) {
	id := ""
	if n.Version != nil {
		id = *n.Version
	}
	for i := range s.objects {
		if j := &s.objects[i]; j.version == id && j.object == n.Resource {
			return j.laws, nil
		}
	}
	laws, err := facts.Object(ctx, n.Resource, n.Version)
	if err == nil {
		s.objects = append(s.objects, judged{n.Resource, id, laws})
	}
	return laws, err
}

// lists adds the owner of the object and the ACLs to the laws of a need, where ACLs
// are active; it reports whether the object was looked up. Where another account than
// the bucket's owns the object, only the denies of the bucket's policy bind.
func (a *Authority) lists(
	ctx context.Context, who *policy.Principal, l *policy.Laws, res *ResourceLaws, on *lookups, n *Need,
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
	o, err := on.object(ctx, a.facts, n)
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
// counts for the object that a key has now: other accounts than the bucket's owner
// make objects, and overwrite and delete their own, but not those of others (S3 user
// guide, "Access control list overview", WRITE).
func (o *ObjectLaws) bucketACLCounts(action policy.Action, account string) bool {
	if o.Version == "" {
		return action == "s3:PutObject"
	}
	return o.Owner == account
}

// setOwner makes another account than the bucket's the owner.
func setOwner(l *policy.Laws, owner, bucketOwner string) {
	if owner == bucketOwner || bucketOwner == "" {
		return
	}
	l.Guard, l.Resource = l.Resource, nil
	l.ResourceOwner, l.BucketOwner = owner, bucketOwner
}

// appendDocument never writes into the laws of the bucket, which other needs share.
func appendDocument(docs []*policy.Document, d *policy.Document) []*policy.Document {
	return append(slices.Clip(docs), d)
}
