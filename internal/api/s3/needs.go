package s3

import (
	"context"
	"maps"
	"strconv"

	"watertight/internal/access/arn"
	"watertight/internal/access/authz"
	"watertight/internal/access/policy"
	"watertight/internal/api/s3/shape"
	"watertight/internal/core/tag"
)

// What each operation needs (IAM service authorization reference, "Actions, resources, and
// condition keys for Amazon S3").

// onBucket needs one action on the bucket.
func onBucket(action policy.Action) authz.Access[shape.BucketInput] {
	return authz.Ask1(func(in *shape.BucketInput) authz.Need {
		return authz.Need{Action: action, Resource: arn.Bucket(in.Bucket)}
	})
}

// onAccount needs one action on the caller's account. Its resource is "*", because no ARN
// names an account here.
func onAccount[In any](action policy.Action) authz.Access[In] {
	return authz.Ask1(func(*In) authz.Need { return authz.Need{Action: action, Resource: arn.Any()} })
}

// onObject needs one action on the object. Whether the caller may list the bucket decides
// between 403 and 404.
func onObject(action, versioned policy.Action) authz.Access[shape.ObjectInput] {
	return authz.Ask(func(in *shape.ObjectInput) ([]authz.Need, error) {
		return []authz.Need{versionNeed(action, versioned, in.Bucket, in.Key, in.VersionId), mayList(in.Bucket)}, nil
	})
}

func mayList(bucket string) authz.Need {
	return authz.Need{Action: "s3:ListBucket", Resource: arn.Bucket(bucket), Soft: true}
}

func versionAction(plain, versioned policy.Action, version *string) policy.Action {
	if version != nil {
		return versioned
	}
	return plain
}

// versionNeed is the need for an object or, if the request names a version id, even "null",
// for that version.
func versionNeed(plain, versioned policy.Action, bucket, key string, version *string) authz.Need {
	return authz.Need{
		Action: versionAction(plain, versioned, version), Resource: arn.Object(bucket, key), Version: version,
	}
}

func mayListBuckets(*shape.ListBucketsInput) authz.Need {
	// The caller's account owns all buckets of the listing.
	return authz.Need{Action: "s3:ListAllMyBuckets", Resource: arn.AllBuckets(), New: true}
}

func mayCreateBucket(in *shape.CreateBucketInput) ([]authz.Need, error) {
	at := arn.Bucket(in.Bucket)
	n := authz.Need{Action: "s3:CreateBucket", Resource: at, New: true, Keys: aclKeys(&in.ACLHeaders, in.GrantWrite)}
	needs := []authz.Need{n}
	if in.ObjectOwnership != nil {
		n.Keys["s3:x-amz-object-ownership"] = []string{*in.ObjectOwnership}
		needs = append(needs, authz.Need{Action: "s3:PutBucketOwnershipControls", Resource: at, New: true})
	}
	if in.ObjectLockEnabledForBucket {
		needs = append(needs, authz.Need{Action: "s3:PutBucketObjectLockConfiguration", Resource: at, New: true},
			authz.Need{Action: "s3:PutBucketVersioning", Resource: at, New: true})
	}
	if in.ACL != "" && in.ACL != "private" || in.GrantWrite != "" || in.ACLHeaders != (shape.ACLHeaders{ACL: in.ACL}) {
		needs = append(needs, authz.Need{
			Action: "s3:PutBucketAcl", Resource: at, New: true, Keys: aclKeys(&in.ACLHeaders, in.GrantWrite),
		})
	}
	if c := in.Configuration; c != nil {
		if c.LocationConstraint != "" {
			n.Keys["s3:locationconstraint"] = []string{c.LocationConstraint}
		}
		tags := map[string][]string{}
		for _, t := range c.Tags {
			name := policy.KeyName("aws:requesttag/" + text(t.Key))
			tags["aws:tagkeys"] = append(tags["aws:tagkeys"], text(t.Key))
			tags[name] = append(tags[name], text(t.Value)) // tag keys may differ only by case
		}
		maps.Copy(n.Keys, tags)
		if len(tags) > 0 {
			needs = append(needs, authz.Need{Action: "s3:TagResource", Resource: at, New: true, Keys: tags})
		}
	}
	return needs, nil
}

// listNeed has the parameters of a listing as condition keys, with the values as they were
// sent. A parameter that was not sent has no key.
func listNeed(action policy.Action, bucket string, prefix, delimiter *string, most *int) authz.Need {
	n := authz.Need{Action: action, Resource: arn.Bucket(bucket), Keys: map[string][]string{}}
	if prefix != nil {
		n.Keys["s3:prefix"] = []string{*prefix}
	}
	if delimiter != nil {
		n.Keys["s3:delimiter"] = []string{*delimiter}
	}
	if most != nil {
		n.Keys["s3:max-keys"] = []string{strconv.Itoa(*most)}
	}
	return n
}

func mayPutObject(in *shape.PutObjectInput) ([]authz.Need, error) {
	tags, err := tag.Header(in.Tagging)
	if err != nil {
		return nil, err
	}
	return putNeeds(in, tags)
}

// putNeeds returns the needs of storing an object with tags.
func putNeeds(in *shape.PutObjectInput, tags tag.Set) ([]authz.Need, error) {
	at := arn.Object(in.Bucket, in.Key)
	put := authz.Need{Action: "s3:PutObject", Resource: at, Keys: withTags(putKeys(in), tags)}
	needs := []authz.Need{put, mayList(in.Bucket)}
	if len(tags) > 0 {
		needs = append(needs, mayTag(at, tags))
	}
	needs, err := withLock(withACL(needs, at, &in.ACLHeaders), at, &in.LockHeaders)
	if in.IfMatch != nil && err == nil {
		needs = append(needs, authz.Need{Action: "s3:GetObject", Resource: at})
	}
	return needs, err
}

// putKeys returns the condition keys for the headers of a write except those of Object Lock,
// with the values as they were sent: policies compare all of them as text (S3 service
// authorization reference, PutObject).
func putKeys(in *shape.PutObjectInput) map[string][]string {
	keys := aclKeys(&in.ACLHeaders, "")
	keys["s3:objectcreationoperation"] = []string{"true"}
	e := &in.EncryptionHeaders
	for _, h := range [...]struct{ name, value string }{
		{"s3:x-amz-server-side-encryption", e.ServerSideEncryption},
		{keyIDKey, e.SSEKMSKeyId},
		{"s3:x-amz-server-side-encryption-customer-algorithm", in.SSECustomerAlgorithm},
		{"s3:x-amz-storage-class", in.StorageClass}, {"s3:x-amz-website-redirect-location", in.WebsiteRedirect},
		{"s3:if-match", text(in.IfMatch)}, {"s3:if-none-match", text(in.IfNoneMatch)},
	} {
		if h.value != "" {
			keys[h.name] = []string{h.value}
		}
	}
	return keys
}

// readNeeds appends the needs of reading an object, or a version.
func readNeeds(in *shape.GetObjectInput, version *string, into []authz.Need) []authz.Need {
	count := versionNeed("s3:GetObjectTagging", "s3:GetObjectVersionTagging", in.Bucket, in.Key, version)
	count.Soft = true // a refusal only hides x-amz-tagging-count
	return append(into,
		versionNeed("s3:GetObject", "s3:GetObjectVersion", in.Bucket, in.Key, version), mayList(in.Bucket), count)
}

func mayDeleteObject(
	_ context.Context, _ authz.Caller, in *shape.DeleteObjectInput, needs []authz.Need,
) ([]authz.Need, error) {
	n := versionNeed("s3:DeleteObject", "s3:DeleteObjectVersion", in.Bucket, in.Key, in.VersionId)
	needs = append(needs, withMatch(n, in.IfMatch), mayList(in.Bucket))
	if in.VersionId == nil {
		needs = append(needs, mayDestroy(in.Bucket, in.Key))
	}
	if isTrue(in.Bypass) {
		needs = append(needs, mayBypass(in.Bucket, in.Key))
	}
	return needs, nil
}

// mayDestroy is the need of a deletion that may be permanent: s3:DeleteObjectVersion must
// not be denied. Who denies that action means to keep the object.
func mayDestroy(bucket, key string) authz.Need {
	return authz.Need{Action: "s3:DeleteObjectVersion", Resource: arn.Object(bucket, key), Soft: true, Denial: true}
}

// mayDeleteObjects returns a need for each key. Each refusal becomes the error of its key.
func mayDeleteObjects(in *shape.DeleteObjectsInput) ([]authz.Need, error) {
	if err := checkDelete(&in.Delete); err != nil {
		return nil, err
	}
	needs := make([]authz.Need, 0, 2*len(in.Delete.Objects))
	for _, o := range in.Delete.Objects {
		n := versionNeed("s3:DeleteObject", "s3:DeleteObjectVersion", in.Bucket, o.Key, o.VersionId)
		n.Soft = true
		needs = append(needs, withMatch(n, o.ETag))
		if o.VersionId == nil {
			needs = append(needs, mayDestroy(in.Bucket, o.Key))
		}
		if isTrue(in.Bypass) {
			needs = append(needs, mayBypass(in.Bucket, o.Key))
		}
	}
	return append(needs, mayList(in.Bucket)), nil
}

// withMatch adds the condition key of If-Match, which only the deletion of a key has (S3
// service authorization reference, DeleteObject).
func withMatch(n authz.Need, match *string) authz.Need {
	if match != nil && n.Action == "s3:DeleteObject" {
		n.Keys = map[string][]string{"s3:if-match": {*match}}
	}
	return n
}
