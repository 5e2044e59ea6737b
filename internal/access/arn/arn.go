// Package arn implements Amazon Resource Names. It is pure: it uses only the standard
// library, and must never know a policy or a request.
package arn

import (
	"errors"
	"strings"
)

// ARN is arn:partition:service:region:account:resource. For an object in a bucket,
// arn:aws:s3:::bucket/key, Resource is the bucket and Key is the key, so that other code
// does not have to split them; Section joins them.
type ARN struct {
	Partition, Service, Region, Account string

	Resource string
	Key      string // as decoded, never normalised; empty in ARNs other than those of objects
}

// Any returns "*", the resource of operations that have no specific resource.
func Any() ARN { return ARN{Resource: "*"} }

// Parse parses an ARN; for "*" it returns Any.
func Parse(s string) (ARN, error) {
	if s == "*" {
		return Any(), nil
	}
	var p [5]string // before the resource
	resource, ok := s, true
	for i := range p {
		if p[i], resource, ok = strings.Cut(resource, ":"); !ok {
			break
		}
	}
	if !ok || p[0] != "arn" || p[1] == "" || p[2] == "" || resource == "" {
		return ARN{}, errors.New("arn: not an ARN")
	}
	a := ARN{Partition: p[1], Service: p[2], Region: p[3], Account: p[4], Resource: resource}
	if bucket, key, ok := strings.Cut(resource, "/"); ok && key != "" && a.inS3() {
		a.Resource, a.Key = bucket, key
	}
	return a, nil
}

// inS3 reports whether the ARN is that of a bucket or of an object: access points and other
// resources of S3 have a region and an account.
func (a *ARN) inS3() bool { return a.Service == "s3" && a.Account == "" && a.Region == "" }

// String returns the written form.
func (a ARN) String() string {
	switch {
	case a.inS3() && a.Partition == "aws" && a.Key == "":
		return "arn:aws:s3:::" + a.Resource
	case a == Any():
		return "*"
	}
	return "arn:" + a.Partition + ":" + a.Service + ":" + a.Region + ":" + a.Account + ":" + a.Section()
}

// IsAccountID reports whether id has the format of an account id: 12 digits.
func IsAccountID(id string) bool { return len(id) == 12 && strings.Trim(id, "0123456789") == "" }

// IsZero reports whether the ARN is the zero ARN.
func (a ARN) IsZero() bool { return a == ARN{} }

// AllBuckets returns the resource of s3:ListAllMyBuckets, as AWS's policies write it.
func AllBuckets() ARN { return Bucket("*") }

// Bucket returns the ARN of a bucket.
func Bucket(name string) ARN { return ARN{Partition: "aws", Service: "s3", Resource: name} }

// Object returns the ARN of an object. key is as decoded, never normalised.
func Object(bucket, key string) ARN {
	if key == "" {
		bucket += "/" // so that the ARN is not that of the bucket
	}
	return ARN{Partition: "aws", Service: "s3", Resource: bucket, Key: key}
}

// Root returns the ARN of an account's root user.
func Root(account string) ARN {
	return IAM(account, "root")
}

// IAM returns the ARN of a resource of IAM, such as "user/path/name".
func IAM(account, resource string) ARN {
	return ARN{Partition: "aws", Service: "iam", Account: account, Resource: resource}
}

// STS returns the ARN of a session, such as "assumed-role/role/session".
func STS(account, resource string) ARN {
	return ARN{Partition: "aws", Service: "sts", Account: account, Resource: resource}
}

// CloudFront returns the ARN of a resource of CloudFront, such as "distribution/id".
func CloudFront(account, resource string) ARN {
	return ARN{Partition: "aws", Service: "cloudfront", Account: account, Resource: resource}
}

// Section returns the last section in its written form: "bucket/key" for an object.
func (a *ARN) Section() string {
	if a.Key == "" {
		return a.Resource
	}
	return a.Resource + "/" + a.Key
}

// Begins reports whether the last section begins with prefix.
func (a *ARN) Begins(prefix string) bool {
	if a.Key == "" || len(prefix) <= len(a.Resource) {
		return strings.HasPrefix(a.Resource, prefix)
	}
	key, ok := strings.CutPrefix(prefix, a.Resource)
	return ok && key[0] == '/' && strings.HasPrefix(a.Key, key[1:])
}

// BucketOf returns the bucket of an ARN in S3, and false for other ARNs.
func (a ARN) BucketOf() (string, bool) {
	if !a.inS3() {
		return "", false
	}
	if a.Key != "" {
		return a.Resource, a.Resource != ""
	}
	name, _, _ := strings.Cut(a.Resource, "/")
	return name, name != ""
}

// IsObject reports whether the ARN is that of an object in a bucket.
func (a ARN) IsObject() bool {
	_, ok := a.BucketOf()
	return ok && (a.Key != "" || strings.Contains(a.Resource, "/"))
}
