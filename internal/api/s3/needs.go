package s3

import (
	"watertight/internal/access/arn"
	"watertight/internal/access/authz"
	"watertight/internal/access/policy"
	"watertight/internal/api/s3/shape"
)

// What each operation asks for (IAM service authorization reference, "Actions,
// resources, and condition keys for Amazon S3").

// onBucket asks for one action on the bucket.
func onBucket(action policy.Action) authz.Access[shape.BucketInput] {
	return authz.Ask1(func(in *shape.BucketInput) authz.Need {
		return authz.Need{Action: action, Resource: arn.Bucket(in.Bucket)}
	})
}

// onObject asks for one action on the object. Whether the caller may list the
// bucket decides between 403 and 404.
func onObject(action, versioned policy.Action) authz.Access[shape.ObjectInput] {
	return authz.Ask(func(in *shape.ObjectInput) ([]authz.Need, error) {
		return []authz.Need{versionNeed(action, versioned, in.Bucket, in.Key, in.VersionId), mayList(in.Bucket)}, nil
	})
}

func mayList(bucket string) authz.Need {
	return authz.Need{Action: "s3:ListBucket", Resource: arn.Bucket(bucket), Soft: true}
}

// versionNeed is another action where a version is named, "null" included.
func versionNeed(plain, versioned policy.Action, bucket, key string, version *string) authz.Need {
	n := authz.Need{Action: plain, Resource: arn.Object(bucket, key)}
	if version != nil {
		n.Action = versioned
		n.Keys = map[string][]string{"s3:versionid": {*version}}
	}
	return n
}

func mayListBuckets(*shape.ListBucketsInput) authz.Need {
	return authz.Need{Action: "s3:ListAllMyBuckets", Resource: arn.Any()}
}

func mayCreateBucket(in *shape.CreateBucketInput) authz.Need {
	return authz.Need{Action: "s3:CreateBucket", Resource: arn.Bucket(in.Bucket), New: true}
}

func mayListObjects(in *shape.ListObjectsInput) authz.Need {
	return listNeed(in.Bucket, in.Prefix, in.Delimiter)
}

func mayListObjectsV2(in *shape.ListObjectsV2Input) authz.Need {
	return listNeed(in.Bucket, in.Prefix, in.Delimiter)
}

func listNeed(bucket, prefix, delimiter string) authz.Need {
	return authz.Need{Action: "s3:ListBucket", Resource: arn.Bucket(bucket), Keys: map[string][]string{
		"s3:prefix": {prefix}, "s3:delimiter": {delimiter},
	}}
}

func mayPutObject(in *shape.PutObjectInput) ([]authz.Need, error) {
	needs := []authz.Need{{Action: "s3:PutObject", Resource: arn.Object(in.Bucket, in.Key)}, mayList(in.Bucket)}
	if in.IfMatch != nil {
		needs = append(needs, authz.Need{Action: "s3:GetObject", Resource: arn.Object(in.Bucket, in.Key)})
	}
	return needs, nil
}

func mayGetObject(in *shape.GetObjectInput) ([]authz.Need, error) {
	return []authz.Need{versionNeed("s3:GetObject", "s3:GetObjectVersion", in.Bucket, in.Key, in.VersionId), mayList(in.Bucket)}, nil
}

func mayDeleteObject(in *shape.DeleteObjectInput) ([]authz.Need, error) {
	return []authz.Need{versionNeed("s3:DeleteObject", "s3:DeleteObjectVersion", in.Bucket, in.Key, in.VersionId), mayList(in.Bucket)}, nil
}

// mayDeleteObjects asks for each key by itself: what is refused comes back as
// an error of that key.
func mayDeleteObjects(in *shape.DeleteObjectsInput) ([]authz.Need, error) {
	if err := checkDelete(&in.Delete); err != nil {
		return nil, err
	}
	needs := make([]authz.Need, 0, len(in.Delete.Objects)+1)
	for _, o := range in.Delete.Objects {
		n := versionNeed("s3:DeleteObject", "s3:DeleteObjectVersion", in.Bucket, o.Key, o.VersionId)
		n.Soft = true
		needs = append(needs, n)
	}
	return needs, nil
}
