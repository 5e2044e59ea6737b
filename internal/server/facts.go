package server

import (
	"context"
	"strings"
	"time"

	"watertight/internal/access/arn"
	"watertight/internal/access/authz"
	"watertight/internal/access/policy"
	"watertight/internal/core/bucket"
	"watertight/internal/core/identity"
	"watertight/internal/core/kms"
	"watertight/internal/core/object"
	"watertight/internal/storage/kv"
)

// facts implements authz.Facts with identity, bucket, object and kms.
type facts struct {
	identities *identity.Store
	keys       *kms.Store
	buckets    *bucket.Store
	objects    *object.Store
}

func (f facts) Principal(ctx context.Context, p *policy.Principal) (*authz.PrincipalLaws, error) {
	return f.identities.Laws(ctx, p)
}

func (f facts) Resource(ctx context.Context, r arn.ARN, at time.Time) (*authz.ResourceLaws, error) {
	if name, ok := r.BucketOf(); ok {
		return f.buckets.Laws(ctx, name, at)
	}
	if r.Service == "iam" && strings.HasPrefix(r.Resource, "role/") {
		trust, err := f.identities.TrustOf(ctx, r)
		return &authz.ResourceLaws{Owner: r.Account, Documents: trust, MustAllow: true, Service: "sts"}, err
	}
	if kms.IsKey(r) {
		return f.keys.Laws(ctx, r, at)
	}
	owner := r.Account
	if owner == "aws" { // AWS's own, such as its managed policies
		owner = ""
	}
	return &authz.ResourceLaws{Owner: owner}, nil
}

func (f facts) ObjectTags(ctx context.Context, at arn.ARN, version *string) (map[string]string, error) {
	name, _ := at.BucketOf()
	tags, err := f.objects.Tags(ctx, object.VersionInput{Bucket: name, Key: at.Key, VersionID: version})
	if err != nil || len(tags) == 0 {
		return nil, err
	}
	out := make(map[string]string, len(tags))
	for _, t := range tags {
		out[t.Key] = t.Value
	}
	return out, nil
}

func (f facts) Object(ctx context.Context, at arn.ARN, version *string) (authz.ObjectLaws, error) {
	name, _ := at.BucketOf()
	return f.objects.Laws(ctx, object.VersionInput{Bucket: name, Key: at.Key, VersionID: version})
}

// watch makes the store remember what is read under a context.
func watch(ctx context.Context, seen any) (context.Context, any) {
	w, ok := seen.(*kv.Witness)
	if !ok {
		w = kv.Witnessed(ctx)
	}
	return w, w
}

func (f facts) Grants(ctx context.Context, key arn.ARN, to *policy.Principal) ([]*policy.Document, error) {
	return f.keys.GrantsTo(ctx, key, to)
}
