package authz

import (
	"context"
	"slices"
	"time"

	"watertight/internal/access/arn"
	"watertight/internal/access/policy"
)

// ObjectLaws are what stands on one version of an object by itself.
type ObjectLaws struct {
	Version string // names the version; empty where no object is there
	Owner   string // account id
	ACL     *policy.Document
}

// standing is what stands on the resources of one request: each is asked for
// once.
type standing struct {
	laws    []lawsOf // few: needs are about one or two resources
	room    [1]lawsOf
	objects []judged
	tagged  bool         // tags of objects were looked at
	work    *policy.Work // of all decisions on the request
}

// lawsOf is the laws of a resource; a bucket's are those of its objects.
type lawsOf struct {
	at arn.ARN
	ResourceLaws
}

// of returns the laws of a resource, nil where they were not asked for.
func (s *standing) of(at arn.ARN) *ResourceLaws {
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

// judged is a version that a decision rested on.
type judged struct {
	object  arn.ARN
	version string // its id as the need names it; empty is the current one
	laws    ObjectLaws
}

func (s *standing) resource(ctx context.Context, facts Facts, at arn.ARN, now time.Time) (ResourceLaws, error) {
	if res := s.of(at); res != nil {
		return *res, nil
	}
	if b, ok := at.BucketOf(); ok {
		at = arn.Bucket(b)
	}
	res, err := facts.Resource(ctx, at, now)
	if err == nil {
		s.laws = append(s.laws, lawsOf{at, res})
	}
	return res, err
}

// object returns the laws of the version a need is about.
func (s *standing) object(ctx context.Context, facts Facts, n *Need) (ObjectLaws, error) {
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

// lists adds to the laws of a need what ACLs say, and who owns the object, where
// ACLs are active; it reports whether the object itself was looked at. An object
// that another account owns is that account's: of the bucket's policy only the
// denies bind there.
func (a *Authority) lists(ctx context.Context, who *policy.Principal, l *policy.Laws, res *ResourceLaws, on *standing, n *Need) (saw bool, err error) {
	switch {
	case !n.Resource.IsObject():
		if res.ACL != nil {
			l.Resource = with(l.Resource, res.ACL)
		}
		return false, nil
	case n.New:
		if own := who.Account; own != "" {
			ownedBy(l, own, res.Owner)
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
		if o.lets(n.Action, who.Account) {
			l.Resource = with(l.Resource, res.ACL)
		}
	case o.Version != "":
		ownedBy(l, o.Owner, res.Owner)
		if o.ACL != nil {
			l.Resource = with(l.Resource, o.ACL)
		}
	}
	return true, nil
}

// lets reports whether the bucket's ACL, which lets an account write, counts for
// what stands under a key: others than the bucket's owner make objects, and
// overwrite and delete their own, never those of somebody else (S3 user guide,
// "Access control list overview", WRITE).
func (o *ObjectLaws) lets(action policy.Action, account string) bool {
	if o.Version == "" {
		return action == "s3:PutObject"
	}
	return o.Owner == account
}

// ownedBy makes another account than the bucket's the owner.
func ownedBy(l *policy.Laws, owner, bucketOwner string) {
	if owner == bucketOwner || bucketOwner == "" {
		return
	}
	l.Guard, l.Resource = l.Resource, nil
	l.ResourceOwner, l.BucketOwner = owner, bucketOwner
}

// with never writes into the laws of the bucket, which other needs share.
func with(docs []*policy.Document, d *policy.Document) []*policy.Document {
	return append(slices.Clip(docs), d)
}
