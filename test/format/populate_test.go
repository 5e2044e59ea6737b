package format

import (
	"bytes"
	"context"
	"crypto/md5"
	"encoding/base64"
	"fmt"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/iam"
	iamtypes "github.com/aws/aws-sdk-go-v2/service/iam/types"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
	"github.com/aws/aws-sdk-go-v2/service/s3control"
	controltypes "github.com/aws/aws-sdk-go-v2/service/s3control/types"
	"github.com/aws/aws-sdk-go-v2/service/sts"

	"watertight/internal/operator"
	"watertight/test/harness"
)

// What populate writes into a data directory.
const (
	account = "111122223333"
	box     = "formats"
)

func inline() []byte { return []byte("a small object") }

func large() []byte { return bytes.Repeat([]byte("large "), 12_000) }

func customersKey() (key, sum string) {
	k := bytes.Repeat([]byte{7}, 32)
	h := md5.Sum(k)
	return string(k), base64.StdEncoding.EncodeToString(h[:])
}

// populator makes records of every kind.
type populator struct {
	t    *testing.T
	s    *harness.Server
	s3   *s3.Client
	iam  *iam.Client
	sts  func(key, secret string) *sts.Client
	keys harness.Credentials
}

func clients(t *testing.T, s *harness.Server) *populator {
	p := &populator{t: t, s: s, s3: s.S3}
	given := func(key, secret string) aws.CredentialsProvider {
		return credentials.NewStaticCredentialsProvider(key, secret, "")
	}
	p.iam = iam.New(iam.Options{
		Region: s.Region, BaseEndpoint: &s.Endpoint, RetryMaxAttempts: 1, HTTPClient: harness.SDK(s.HTTP),
		Credentials: given(s.AccessKeyID, s.SecretAccessKey),
	})
	p.sts = func(key, secret string) *sts.Client {
		return sts.New(sts.Options{
			Region: s.Region, BaseEndpoint: &s.Endpoint, RetryMaxAttempts: 1, HTTPClient: harness.SDK(s.HTTP),
			Credentials: given(key, secret),
		})
	}
	return p
}

func must[T any](t *testing.T) func(T, error) T {
	return func(v T, err error) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
}

func (p *populator) all() {
	p.identities()
	p.bucket()
	p.locked()
	p.objects()
	p.uploads()
	p.customersKeys()
	p.encryptedObjects()
	p.frozen()
	p.network()
}

// network makes a distribution for the bucket, purges it, and enrolls an edge for it.
func (p *populator) network() {
	o := operator.Dial(p.s.Data)
	d := must[operator.CDNBucket](p.t)(o.CreateCDN(p.t.Context(), operator.CDNCommand{
		Bucket: box, Aliases: []string{"www.example.com"}, RootObject: "index.html",
	}))
	must[operator.CDNPurged](p.t)(o.PurgeCDN(p.t.Context(), operator.CDNPurge{ID: d.ID, Paths: []string{"/*"}}))
	must[operator.NewEdge](p.t)(o.EnrollEdge(p.t.Context(), operator.EdgeCommand{
		Name: "edge", AccountID: account, Distributions: []string{d.ID},
	}))
}

// frozen makes a bucket in which a user is frozen.
func (p *populator) frozen() {
	t, name := p.t, aws.String("frozen")
	must[*s3.CreateBucketOutput](t)(p.s3.CreateBucket(t.Context(), &s3.CreateBucketInput{Bucket: name}))
	ada := p.s.Client(p.keys)
	for _, key := range strings.Split("a b c d a b c d", " ") { // the last ones overwrite
		must[*s3.PutObjectOutput](t)(ada.PutObject(t.Context(), &s3.PutObjectInput{
			Bucket: name, Key: &key, Body: strings.NewReader("x"),
		}))
	}
}

func (p *populator) identities() {
	t, ctx, c := p.t, p.t.Context(), p.iam
	user := must[*iam.CreateUserOutput](t)(c.CreateUser(ctx, &iam.CreateUserInput{
		UserName: aws.String("ada"), Path: aws.String("/staff/"),
		Tags: []iamtypes.Tag{{Key: aws.String("k"), Value: aws.String("v")}},
	})).User
	key := must[*iam.CreateAccessKeyOutput](t)(c.CreateAccessKey(ctx, &iam.CreateAccessKeyInput{
		UserName: user.UserName,
	})).AccessKey
	p.keys = harness.Credentials{AccessKeyID: *key.AccessKeyId, SecretAccessKey: *key.SecretAccessKey}
	const allow = `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"*","Resource":"*"}]}`
	managed := must[*iam.CreatePolicyOutput](t)(c.CreatePolicy(ctx, &iam.CreatePolicyInput{
		PolicyName: aws.String("everything"), Path: aws.String("/p/"), Description: aws.String("d"),
		PolicyDocument: aws.String(allow),
		Tags:           []iamtypes.Tag{{Key: aws.String("k"), Value: aws.String("v")}},
	})).Policy
	must[*iam.AttachUserPolicyOutput](t)(c.AttachUserPolicy(ctx, &iam.AttachUserPolicyInput{
		UserName: user.UserName, PolicyArn: managed.Arn,
	}))
	must[*iam.PutUserPermissionsBoundaryOutput](t)(c.PutUserPermissionsBoundary(ctx,
		&iam.PutUserPermissionsBoundaryInput{
			UserName: user.UserName, PermissionsBoundary: managed.Arn,
		}))
	must[*iam.PutUserPolicyOutput](t)(c.PutUserPolicy(ctx, &iam.PutUserPolicyInput{
		UserName: user.UserName, PolicyName: aws.String("inline"), PolicyDocument: aws.String(allow),
	}))
	must[*iam.CreateGroupOutput](t)(c.CreateGroup(ctx, &iam.CreateGroupInput{GroupName: aws.String("readers")}))
	must[*iam.AddUserToGroupOutput](t)(c.AddUserToGroup(ctx, &iam.AddUserToGroupInput{
		GroupName: aws.String("readers"), UserName: user.UserName,
	}))
	trust := fmt.Sprintf(
		`{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"AWS":%q},"Action":["sts:AssumeRole",`+
			`"sts:TagSession"]}]}`,
		*user.Arn,
	)
	role := must[*iam.CreateRoleOutput](t)(c.CreateRole(ctx, &iam.CreateRoleInput{
		RoleName: aws.String("worker"), AssumeRolePolicyDocument: &trust, Description: aws.String("d"),
		MaxSessionDuration: aws.Int32(7200),
	})).Role
	must[*iam.CreateOpenIDConnectProviderOutput](t)(c.CreateOpenIDConnectProvider(ctx,
		&iam.CreateOpenIDConnectProviderInput{
			Url: aws.String("https://issuer.example"), ClientIDList: []string{"client"},
			ThumbprintList: []string{strings.Repeat("0", 40)},
		}))
	must[*iam.CreateVirtualMFADeviceOutput](t)(c.CreateVirtualMFADevice(ctx, &iam.CreateVirtualMFADeviceInput{
		VirtualMFADeviceName: aws.String("phone"),
	}))
	must[operator.MFADevice](t)(operator.Dial(p.s.Data).AddMFADevice(ctx, operator.NewMFADevice{
		AccountID: account, SerialNumber: "GAHT12345678", Owner: "root", Seed: operator.Seed(strings.Repeat("a7", 20)),
		Step: 60, Algorithm: "SHA256",
	}))
	must[*iam.CreateAccountAliasOutput](t)(c.CreateAccountAlias(ctx, &iam.CreateAccountAliasInput{
		AccountAlias: aws.String("formats-alias"),
	}))
	must[*iam.UpdateAccountPasswordPolicyOutput](t)(c.UpdateAccountPasswordPolicy(ctx,
		&iam.UpdateAccountPasswordPolicyInput{
			MinimumPasswordLength: aws.Int32(10), RequireNumbers: true, MaxPasswordAge: aws.Int32(90),
			PasswordReusePrevention: aws.Int32(3),
		}))
	must[*iam.GenerateCredentialReportOutput](t)(c.GenerateCredentialReport(ctx, &iam.GenerateCredentialReportInput{}))
	st := p.sts(p.keys.AccessKeyID, p.keys.SecretAccessKey)
	must[*sts.AssumeRoleOutput](t)(st.AssumeRole(ctx, &sts.AssumeRoleInput{
		RoleArn: role.Arn, RoleSessionName: aws.String("session"), Policy: aws.String(allow),
	}))
	must[*sts.GetSessionTokenOutput](t)(st.GetSessionToken(ctx, &sts.GetSessionTokenInput{}))
}

func (p *populator) bucket() {
	t, ctx, c := p.t, p.t.Context(), p.s3
	name := aws.String(box)
	must[*s3.CreateBucketOutput](t)(c.CreateBucket(ctx, &s3.CreateBucketInput{
		Bucket: name, ObjectOwnership: types.ObjectOwnershipObjectWriter,
	}))
	must[*s3.PutBucketCorsOutput](t)(c.PutBucketCors(ctx, &s3.PutBucketCorsInput{Bucket: name,
		CORSConfiguration: &types.CORSConfiguration{CORSRules: []types.CORSRule{{
			ID: aws.String("one"), AllowedOrigins: []string{"*"}, AllowedMethods: []string{"GET"},
			AllowedHeaders: []string{"*"}, ExposeHeaders: []string{"etag"},
			MaxAgeSeconds: aws.Int32(60),
		}}}}))
	must[*s3.PutBucketTaggingOutput](t)(c.PutBucketTagging(ctx, &s3.PutBucketTaggingInput{
		Bucket: name, Tagging: &types.Tagging{TagSet: []types.Tag{{Key: aws.String("k"), Value: aws.String("v")}}},
	}))
	must[*s3.PutBucketLifecycleConfigurationOutput](t)(c.PutBucketLifecycleConfiguration(ctx,
		&s3.PutBucketLifecycleConfigurationInput{
			Bucket: name,
			LifecycleConfiguration: &types.BucketLifecycleConfiguration{Rules: []types.LifecycleRule{{
				Filter: &types.LifecycleRuleFilter{Prefix: aws.String("gone/")}, Status: types.ExpirationStatusEnabled,
				Expiration: &types.LifecycleExpiration{Days: aws.Int32(365)},
			}}},
		}))
	must[*s3.PutBucketEncryptionOutput](t)(c.PutBucketEncryption(ctx, &s3.PutBucketEncryptionInput{
		Bucket: name,
		ServerSideEncryptionConfiguration: &types.ServerSideEncryptionConfiguration{
			Rules: []types.ServerSideEncryptionRule{{
				ApplyServerSideEncryptionByDefault: &types.ServerSideEncryptionByDefault{
					SSEAlgorithm: types.ServerSideEncryptionAes256,
				},
				BucketKeyEnabled: aws.Bool(true),
			}},
		},
	}))
	policy := `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"AWS":"arn:aws:iam::` + account +
		`:user/staff/ada"},"Action":"s3:GetObject","Resource":"arn:aws:s3:::formats/*"}]}`
	must[*s3.PutBucketPolicyOutput](t)(c.PutBucketPolicy(ctx, &s3.PutBucketPolicyInput{Bucket: name, Policy: &policy}))
	endpoint := "https://localhost"
	tr := p.s.HTTP.Clone() // the SDK puts the account before the host
	tr.TLSClientConfig.InsecureSkipVerify = true
	tr.DialContext = func(ctx context.Context, network, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, network, strings.TrimPrefix(p.s.Endpoint, "https://"))
	}
	control := s3control.New(s3control.Options{
		Region: p.s.Region, BaseEndpoint: &endpoint, RetryMaxAttempts: 1, HTTPClient: harness.SDK(tr),
		Credentials: credentials.NewStaticCredentialsProvider(p.s.AccessKeyID, p.s.SecretAccessKey, ""),
	})
	must[*s3control.PutPublicAccessBlockOutput](t)(control.PutPublicAccessBlock(ctx,
		&s3control.PutPublicAccessBlockInput{
			AccountId: aws.String(account),
			PublicAccessBlockConfiguration: &controltypes.PublicAccessBlockConfiguration{
				BlockPublicPolicy: aws.Bool(true),
			},
		}))
}

func (p *populator) put(key string, body []byte, change func(*s3.PutObjectInput)) {
	p.t.Helper()
	in := &s3.PutObjectInput{Bucket: aws.String(box), Key: &key, Body: bytes.NewReader(body)}
	if change != nil {
		change(in)
	}
	must[*s3.PutObjectOutput](p.t)(p.s3.PutObject(p.t.Context(), in))
}

func (p *populator) objects() {
	t, ctx, c := p.t, p.t.Context(), p.s3
	p.put("null", inline(), nil)
	must[*s3.PutBucketVersioningOutput](t)(c.PutBucketVersioning(ctx, &s3.PutBucketVersioningInput{
		Bucket:                  aws.String(box),
		VersioningConfiguration: &types.VersioningConfiguration{Status: types.BucketVersioningStatusEnabled},
	}))
	p.put("null", []byte("a version over the null one"), nil)
	p.put("inline", inline(), func(in *s3.PutObjectInput) {
		in.ContentType, in.CacheControl, in.ContentDisposition = aws.String(
			"text/plain"), aws.String("no-store"), aws.String("inline")
		in.ContentLanguage, in.WebsiteRedirectLocation = aws.String("en"), aws.String("/other")
		in.Expires, in.Metadata, in.Tagging = aws.Time(time.Unix(1_900_000_000,
			0)), map[string]string{"k": "v"}, aws.String("k=v")
		in.StorageClass, in.ChecksumAlgorithm = types.StorageClassStandardIa, types.ChecksumAlgorithmSha256
		in.GrantRead = aws.String(`uri="http://acs.amazonaws.com/groups/s3/LogDelivery"`)
	})
	p.put("large", large(), nil)
	key, sum := customersKey()
	p.put("customer", inline(), func(in *s3.PutObjectInput) {
		in.SSECustomerAlgorithm, in.SSECustomerKey, in.SSECustomerKeyMD5 = aws.String("AES256"), aws.String(
			base64.StdEncoding.EncodeToString([]byte(key)),
		), &sum
	})
	p.put("marked", inline(), nil)
	must[*s3.DeleteObjectOutput](t)(c.DeleteObject(ctx, &s3.DeleteObjectInput{
		Bucket: aws.String(box), Key: aws.String("marked"),
	}))
}

func (p *populator) uploads() {
	t, ctx, c := p.t, p.t.Context(), p.s3
	for _, key := range []string{"parts", "pending"} {
		u := must[*s3.CreateMultipartUploadOutput](t)(c.CreateMultipartUpload(ctx, &s3.CreateMultipartUploadInput{
			Bucket: aws.String(box), Key: &key, ChecksumAlgorithm: types.ChecksumAlgorithmCrc32,
			ContentType: aws.String("text/plain"),
		}))
		part := must[*s3.UploadPartOutput](t)(c.UploadPart(ctx, &s3.UploadPartInput{
			Bucket: aws.String(box), Key: &key, UploadId: u.UploadId, PartNumber: aws.Int32(1),
			Body: bytes.NewReader(large()), ChecksumAlgorithm: types.ChecksumAlgorithmCrc32,
		}))
		if key == "pending" {
			continue
		}
		must[*s3.CompleteMultipartUploadOutput](t)(c.CompleteMultipartUpload(ctx, &s3.CompleteMultipartUploadInput{
			Bucket: aws.String(box), Key: &key, UploadId: u.UploadId,
			MultipartUpload: &types.CompletedMultipartUpload{Parts: []types.CompletedPart{{
				PartNumber: aws.Int32(1), ETag: part.ETag, ChecksumCRC32: part.ChecksumCRC32,
			}}},
		}))
	}
}
