package e2e

import (
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/kms"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"

	"watertight/test/harness"
)

// Like vuln_wire_test.go, but about Object Lock.

// TestNoWayAroundALock (MinIO CVE-2023-25812; RustFS GHSA-j548; RHBZ 1989752): no request of the root
// user weakens COMPLIANCE, and a Deny of s3:BypassGovernanceRetention applies to users who may do
// everything else.
func TestNoWayAroundALock(t *testing.T) {
	v := newVault(t)
	id := v.put("k", v.retained(compliance, 2*day))
	made, err := kms.New(kms.Options{
		Region: v.Region, BaseEndpoint: &v.Endpoint, HTTPClient: harness.SDK(v.HTTP), RetryMaxAttempts: 1,
		Credentials: credentials.NewStaticCredentialsProvider(v.AccessKeyID, v.SecretAccessKey, ""),
	}).CreateKey(t.Context(), &kms.CreateKeyInput{})
	v.ok(err)
	key := *made.KeyMetadata.Arn
	for name, try := range map[string]func() error{
		"GOVERNANCE in its place": func() error {
			return v.retain(types.ObjectLockRetentionModeGovernance, v.in(9*day), "k", true)
		},
		"a shorter date": func() error {
			return v.retain(types.ObjectLockRetentionModeCompliance, v.in(day), "k", true)
		},
		"no retention": func() error { return v.retain("", nil, "k", true) },
		"a deletion":   func() error { return v.destroy(v.c, "k", id, true) },
		"another key": func() error {
			_, err := v.c.UpdateObjectEncryption(t.Context(), &s3.UpdateObjectEncryptionInput{
				Bucket: v.bucket, Key: aws.String("k"),
				ObjectEncryption: &types.ObjectEncryptionMemberSSEKMS{
					Value: types.SSEKMSEncryption{KMSKeyArn: &key},
				},
			})
			return err
		},
	} {
		t.Run(name, func(t *testing.T) { v.kept(try(), "k", id) })
	}
	governed := v.put("governed", v.retained(governance, day))
	v.ok(putPolicy(t, v.c, v.bucket,
		`{"Effect":"Deny","Principal":"*","Action":"s3:BypassGovernanceRetention","Resource":"arn:aws:s3:::%s/*"}`,
		*v.bucket))
	v.kept(v.destroy(v.c, "governed", governed, true), "governed", governed)
	v.kept(v.retain("", nil, "governed", true), "governed", governed)
	// A copy over the key, and an upload, do not change the version.
	_, err = v.c.CopyObject(t.Context(), &s3.CopyObjectInput{
		Bucket: v.bucket, Key: aws.String("k"), CopySource: aws.String("vault/governed"),
	})
	v.ok(err)
	v.kept(v.destroy(v.c, "k", id, true), "k", id)
}
