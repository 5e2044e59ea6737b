package e2e

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/iam"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"

	"watertight/internal/operator"
	"watertight/test/harness"
)

// TestEveryEventNamesItsTarget: the event of every operation names its target, by the bucket and key
// of the path or by members of the input, unless the operation has no target. Reviewers read the
// golden file with the whole table.
func TestEveryEventNamesItsTarget(t *testing.T) {
	s := harness.Start(t)
	// The target of these is the caller, the caller's account, or everything.
	without := map[string]bool{"ListBuckets": true, "GetCallerIdentity": true, "GetSessionToken": true}
	var out strings.Builder
	for _, service := range []string{"s3", "s3control", "iam", "sts", "kms"} {
		for _, row := range s.Operations(service) {
			names := row.Recorded()
			path := ""
			for _, part := range []string{"{Bucket}", "{Key+}"} {
				if strings.Contains(row.Route().String(), part) {
					path += " " + part
				}
			}
			fmt.Fprintf(&out, "%s %s:%s %s\n", service, row.Name(), path, strings.Join(names, " "))
			if path == "" && len(names) == 0 && !without[row.Name()] && !strings.HasPrefix(row.Name(), "Get") &&
				!strings.HasPrefix(row.Name(),
					"List") && !strings.HasPrefix(row.Name(),
				"Generate") && !strings.HasPrefix(row.Name(), "DeleteAccount") {
				t.Errorf("%s %s: the event names no target", service, row.Name())
			}
			for _, name := range names {
				if lower := strings.ToLower(name); strings.Contains(lower, "customer-key") ||
					strings.Contains(lower,
						"signature") || strings.HasPrefix(lower,
					"x-amz-mfa") || strings.Contains(lower, "code") || strings.HasSuffix(lower, "token") {
					t.Errorf("%s %s: the event may contain the secret %s", service, row.Name(), name)
				}
			}
		}
	}
	golden := filepath.Join("testdata", "audit_names.txt")
	if os.Getenv("UPDATE") != "" {
		if err := os.WriteFile(golden, []byte(out.String()), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(golden)
	if err != nil || out.String() != string(want) {
		t.Errorf("the table has changed (UPDATE=1 writes it): %v\n%s", err, out.String())
	}
}

// told is the content of an event that the test looks at.
type told struct {
	EventName, ErrorCode, ErrorMessage  string
	RecipientAccountId                  string
	UserIdentity                        struct{ Type, AccessKeyId, UserName string }
	RequestParameters, ResponseElements map[string]any
	AdditionalEventData                 struct{ SignatureVersion, AuthenticationMethod, SSEApplied string }
	Resources                           []struct{ ARN, AccountId string }
}

// TestEventsSayWhat makes requests of every kind. The event of each must name its
// target, and no event may contain a secret.
func TestEventsSayWhat(t *testing.T) {
	c := newCast(t)
	s, ctx := c.Server, t.Context()
	root := s.S3
	ids := c.root
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	_, err := root.CreateBucket(ctx, &s3.CreateBucketInput{Bucket: aws.String("told")})
	must(err)
	_, err = root.PutBucketVersioning(ctx, &s3.PutBucketVersioningInput{
		Bucket:                  aws.String("told"),
		VersioningConfiguration: &types.VersioningConfiguration{Status: types.BucketVersioningStatusEnabled},
	})
	must(err)
	const policyText = `{"Version":"2012-10-17","Statement":[{"Sid":"told","Effect":"Deny","Principal":"*",` +
		`"Action":"s3:GetObject","Resource":"arn:aws:s3:::told/never"}]}`
	_, err = root.PutBucketPolicy(ctx, &s3.PutBucketPolicyInput{
		Bucket: aws.String("told"), Policy: aws.String(policyText),
	})
	must(err)
	put, err := root.PutObject(ctx, &s3.PutObjectInput{
		Bucket: aws.String("told"), Key: aws.String("a"), Body: strings.NewReader("x"),
	})
	must(err)
	got, err := root.GetObject(ctx, &s3.GetObjectInput{
		Bucket: aws.String("told"), Key: aws.String("a"), VersionId: put.VersionId,
	})
	must(err)
	got.Body.Close()
	_, err = root.CopyObject(ctx, &s3.CopyObjectInput{
		Bucket: aws.String("told"), Key: aws.String("b"), CopySource: aws.String("told/a?versionId=" + *put.VersionId),
	})
	must(err)
	var batch []types.ObjectIdentifier
	for i := range 120 {
		batch = append(batch, types.ObjectIdentifier{Key: aws.String(fmt.Sprint("batch", i))})
	}
	_, err = root.DeleteObjects(ctx, &s3.DeleteObjectsInput{
		Bucket: aws.String("told"), Delete: &types.Delete{Objects: batch},
	})
	must(err)
	_, err = ids.CreateUser(ctx, &iam.CreateUserInput{UserName: aws.String("dora")})
	must(err)
	_, err = ids.PutUserPolicy(ctx, &iam.PutUserPolicyInput{
		UserName: aws.String("dora"), PolicyName: aws.String("pp"),
		PolicyDocument: aws.String(may("s3:GetObject", "arn:aws:s3:::told/*")),
	})
	must(err)
	_, err = ids.AttachUserPolicy(ctx, &iam.AttachUserPolicyInput{
		UserName: aws.String("dora"), PolicyArn: aws.String("arn:aws:iam::aws:policy/ReadOnlyAccess"),
	})
	must(err)
	k, err := ids.CreateAccessKey(ctx, &iam.CreateAccessKeyInput{UserName: aws.String("dora")})
	must(err)
	_, err = ids.UpdateAccessKey(ctx, &iam.UpdateAccessKeyInput{
		UserName: aws.String("dora"), AccessKeyId: k.AccessKey.AccessKeyId, Status: "Inactive",
	})
	must(err)
	bad := s.Client(harness.Credentials{AccessKeyID: *k.AccessKey.AccessKeyId + "X", SecretAccessKey: "wrong"})
	if _, err := bad.ListBuckets(ctx, &s3.ListBucketsInput{}); err == nil {
		t.Error("a wrong key was accepted")
	}
	bad = s.Client(harness.Credentials{AccessKeyID: s.AccessKeyID, SecretAccessKey: "wrong"})
	if _, err := bad.ListBuckets(ctx, &s3.ListBucketsInput{}); err == nil {
		t.Error("a wrong secret was accepted")
	}
	o := operator.Dial(s.Data)
	made, err := o.CreateAccount(ctx, "another")
	must(err)
	reset, err := o.ResetRoot(ctx, made.AccountID)
	must(err)

	// Another account reads and copies an object.
	other := s.Client(harness.Credentials{AccessKeyID: reset.AccessKeyID, SecretAccessKey: reset.SecretAccessKey})
	_, err = other.CreateBucket(ctx, &s3.CreateBucketInput{Bucket: aws.String("elsewhere")})
	must(err)
	_, err = root.PutBucketPolicy(ctx, &s3.PutBucketPolicyInput{Bucket: aws.String("told"), Policy: aws.String(
		`{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"AWS":"` + made.AccountID +
			`"},"Action":["s3:GetObject","s3:GetObjectVersion"],"Resource":"arn:aws:s3:::told/*"}]}`)})
	must(err)
	_, err = other.CopyObject(ctx, &s3.CopyObjectInput{
		Bucket: aws.String("elsewhere"), Key: aws.String("taken"), CopySource: aws.String("told/a"),
	})
	must(err)

	all, text := c.told()
	find := func(what, name string, fits func(e *told) bool) {
		t.Run(name+" "+what, func(t *testing.T) {
			if !slices.ContainsFunc(all, func(e told) bool { return e.EventName == name && fits(&e) }) {
				t.Errorf("no %s event has this content", name)
			}
		})
	}
	says := func(name, member string, value any) {
		t.Helper()
		find(member, name, func(e *told) bool { return fmt.Sprint(e.RequestParameters[member]) == fmt.Sprint(value) })
	}
	says("PutBucketPolicy", "policy", policyText)
	says("PutBucketVersioning", "versioningConfiguration.status", "Enabled")
	says("GetObject", "versionId", *put.VersionId)
	says("CopyObject", "x-amz-copy-source", "told/a?versionId="+*put.VersionId)
	says("CreateUser", "userName", "dora")
	says("PutUserPolicy", "policyName", "pp")
	says("PutUserPolicy", "policyDocument", may("s3:GetObject", "arn:aws:s3:::told/*"))
	says("AttachUserPolicy", "policyArn", "arn:aws:iam::aws:policy/ReadOnlyAccess")
	says("UpdateAccessKey", "accessKeyId", *k.AccessKey.AccessKeyId)
	says("UpdateAccessKey", "status", "Inactive")
	says("CreateAccount", "name", "another")
	says("ResetRootKeys", "accountId", made.AccountID)
	says("DeleteObjects", "delete.objects.count", 120)
	find("the batch's keys", "DeleteObjects", func(e *told) bool {
		deleted, _ := e.ResponseElements["deleted"].([]any)
		return len(deleted) == 120 && deleted[119] == "batch119"
	})
	find("version and encryption", "PutObject", func(e *told) bool {
		return e.ResponseElements["x-amz-version-id"] == *put.VersionId &&
			strings.HasSuffix(e.AdditionalEventData.SSEApplied,
				"SSE_S3") && e.RecipientAccountId != "" && e.Resources[1].AccountId == e.RecipientAccountId
	})
	find("encryption", "GetObject", func(e *told) bool { return e.AdditionalEventData.SSEApplied == "SSE_S3" })
	find("the new key", "CreateAccessKey", func(e *told) bool {
		return e.ResponseElements["accessKey.accessKeyId"] == *k.AccessKey.AccessKeyId
	})
	find("the new account", "CreateAccount", func(e *told) bool {
		return e.ResponseElements["accountId"] == made.AccountID
	})
	for _, claimed := range []string{*k.AccessKey.AccessKeyId + "X", s.AccessKeyID} {
		find("the claimed key", "ListBuckets", func(e *told) bool {
			return e.ErrorCode != "" && e.UserIdentity.Type == "Unknown" && e.UserIdentity.AccessKeyId == claimed &&
				e.AdditionalEventData.AuthenticationMethod == "AuthHeader"
		})
	}
	find("the source's owner", "GetObject", func(e *told) bool {
		return e.RequestParameters["copiedTo"] == "elsewhere/taken" && e.RequestParameters["bucketName"] == "told" &&
			e.RequestParameters["key"] == "a" && e.RecipientAccountId != made.AccountID && e.RecipientAccountId != ""
	})
	for _, secret := range []string{
		*k.AccessKey.SecretAccessKey, made.SecretAccessKey, reset.SecretAccessKey, harness.SecretAccessKey,
	} {
		if strings.Contains(text, secret) {
			t.Error("a secret is in the log")
		}
	}
}

// told stops the server and reads its events.
func (c cast) told() (all []told, text string) {
	c.Helper()
	_, text = c.events()
	for line := range strings.Lines(text) {
		var e told
		c.ok(json.Unmarshal([]byte(line), &e))
		all = append(all, e)
	}
	return all, text
}
