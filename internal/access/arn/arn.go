// Package arn holds Amazon Resource Names. It is pure: the standard library
// alone, no policy, no request.
package arn

import (
	"errors"
	"strings"
)

// ARN is arn:partition:service:region:account:resource.
type ARN struct {
	Partition, Service, Region, Account, Resource string
}

// Any is the resource of operations on no named resource, "*".
func Any() ARN { return ARN{Resource: "*"} }

// Parse reads an ARN; "*" is Any.
func Parse(s string) (ARN, error) {
	if s == "*" {
		return Any(), nil
	}
	p := strings.SplitN(s, ":", 6)
	if len(p) != 6 || p[0] != "arn" || p[1] == "" || p[2] == "" || p[5] == "" {
		return ARN{}, errors.New("arn: not an ARN")
	}
	return ARN{Partition: p[1], Service: p[2], Region: p[3], Account: p[4], Resource: p[5]}, nil
}

// String returns the written form.
func (a ARN) String() string {
	if a == Any() {
		return "*"
	}
	return "arn:" + a.Partition + ":" + a.Service + ":" + a.Region + ":" + a.Account + ":" + a.Resource
}

// IsAccountID reports whether an account can have this id: 12 digits.
func IsAccountID(id string) bool { return len(id) == 12 && strings.Trim(id, "0123456789") == "" }

// IsZero reports whether nothing was set.
func (a ARN) IsZero() bool { return a == ARN{} }

// AllBuckets is the resource of s3:ListAllMyBuckets, as AWS's policies write it.
func AllBuckets() ARN { return Bucket("*") }

// Bucket names a bucket.
func Bucket(name string) ARN { return ARN{Partition: "aws", Service: "s3", Resource: name} }

// Object names an object: the key as decoded, never normalised.
func Object(bucket, key string) ARN {
	return ARN{Partition: "aws", Service: "s3", Resource: bucket + "/" + key}
}

// Root names an account's root user.
func Root(account string) ARN {
	return IAM(account, "root")
}

// IAM names something of an account in IAM, such as "user/path/name".
func IAM(account, resource string) ARN {
	return ARN{Partition: "aws", Service: "iam", Account: account, Resource: resource}
}

// STS names a session, such as "assumed-role/role/session".
func STS(account, resource string) ARN {
	return ARN{Partition: "aws", Service: "sts", Account: account, Resource: resource}
}

// BucketOf returns the bucket an S3 ARN lies in, and false for other ARNs.
func (a ARN) BucketOf() (string, bool) {
	if a.Service != "s3" || a.Account != "" || a.Region != "" {
		return "", false
	}
	name, _, _ := strings.Cut(a.Resource, "/")
	return name, name != ""
}
