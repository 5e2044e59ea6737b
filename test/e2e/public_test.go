package e2e

import (
	"bytes"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
	"github.com/aws/aws-sdk-go-v2/service/s3control"
	controltypes "github.com/aws/aws-sdk-go-v2/service/s3control/types"
	"github.com/aws/aws-sdk-go-v2/service/sts"
	"github.com/aws/smithy-go"
	smithyhttp "github.com/aws/smithy-go/transport/http"

	"watertight/test/harness"
)

// accountOf returns the account of a key.
func accountOf(t testing.TB, s *harness.Server, c harness.Credentials) string {
	t.Helper()
	me, err := stsClient(s, c.AccessKeyID, c.SecretAccessKey, "").
		GetCallerIdentity(t.Context(), &sts.GetCallerIdentityInput{})
	if err != nil {
		t.Fatal(err)
	}
	return *me.Account
}

func rootOf(s *harness.Server) harness.Credentials {
	return harness.Credentials{AccessKeyID: s.AccessKeyID, SecretAccessKey: s.SecretAccessKey}
}

// controlClient returns an S3 Control client that uses the endpoint as its proxy, so that the host
// name that it makes from the account id need not exist.
func controlClient(t testing.TB, s *harness.Server, c harness.Credentials) *s3control.Client {
	t.Helper()
	proxy, err := url.Parse(s.Endpoint)
	if err != nil {
		t.Fatal(err)
	}
	tr := s.HTTP.Clone()
	tr.Proxy = http.ProxyURL(proxy)
	t.Cleanup(tr.CloseIdleConnections)
	return s3control.New(s3control.Options{
		Region: s.Region, BaseEndpoint: &s.Endpoint, RetryMaxAttempts: 1, HTTPClient: harness.SDK(tr),
		Credentials: credentials.NewStaticCredentialsProvider(c.AccessKeyID, c.SecretAccessKey, ""),
	})
}

// blocks is a Block Public Access setting, for buckets and for accounts.
type blocks struct{ acls, ignore, policy, restrict bool }

func (b blocks) ofBucket() *types.PublicAccessBlockConfiguration {
	return &types.PublicAccessBlockConfiguration{
		BlockPublicAcls: &b.acls, IgnorePublicAcls: &b.ignore, BlockPublicPolicy: &b.policy,
		RestrictPublicBuckets: &b.restrict,
	}
}

func (b blocks) ofAccount() *controltypes.PublicAccessBlockConfiguration {
	return &controltypes.PublicAccessBlockConfiguration{
		BlockPublicAcls: &b.acls, IgnorePublicAcls: &b.ignore, BlockPublicPolicy: &b.policy,
		RestrictPublicBuckets: &b.restrict,
	}
}

// blockBucket and blockAccount set both levels of the server's first account.
func blockBucket(t testing.TB, s *harness.Server, bucket *string, b blocks) {
	t.Helper()
	if _, err := s.S3.PutPublicAccessBlock(t.Context(), &s3.PutPublicAccessBlockInput{
		Bucket: bucket, PublicAccessBlockConfiguration: b.ofBucket(),
	}); err != nil {
		t.Fatal(err)
	}
}

func blockAccount(t testing.TB, s *harness.Server, b blocks) {
	t.Helper()
	id := accountOf(t, s, rootOf(s))
	if _, err := controlClient(t, s, rootOf(s)).PutPublicAccessBlock(t.Context(),
		&s3control.PutPublicAccessBlockInput{
			AccountId: &id, PublicAccessBlockConfiguration: b.ofAccount(),
		}); err != nil {
		t.Fatal(err)
	}
}

func putPolicy(t testing.TB, c *s3.Client, bucket *string, format string, args ...any) error {
	t.Helper()
	text := fmt.Sprintf(`{"Version":"2012-10-17","Statement":[`+format+`]}`, args...)
	_, err := c.PutBucketPolicy(t.Context(), &s3.PutBucketPolicyInput{Bucket: bucket, Policy: &text})
	return err
}

// everybody returns a policy that allows everyone every action on a bucket.
func everybody(bucket *string) string {
	return fmt.Sprintf(
		`{"Sid":"Everybody","Effect":"Allow","Principal":"*","Action":"s3:*","Resource":["arn:aws:s3:::%s",`+
			`"arn:aws:s3:::%s/*"]}`,
		*bucket, *bucket,
	)
}

// anonymous returns a client that signs nothing.
func anonymous(s *harness.Server) *s3.Client {
	return s.Client(harness.Credentials{}, func(o *s3.Options) { o.Credentials = aws.AnonymousCredentials{} })
}

// statusOf returns the HTTP status of the answer to an SDK call.
func statusOf(err error) int {
	var e *smithyhttp.ResponseError
	switch {
	case err == nil:
		return 200
	case errors.As(err, &e):
		return e.HTTPStatusCode()
	}
	return -1
}

// room is a bucket with everything that the requests of ways need.
type room struct {
	t               *testing.T
	s               *harness.Server
	bucket          *string
	version, upload *string
}

func newRoom(t *testing.T, s *harness.Server, name string) *room {
	t.Helper()
	v := newVersioned(t, s, name)
	v.turn(types.BucketVersioningStatusEnabled)
	r := &room{t: t, s: s, bucket: &name}
	out, err := s.S3.PutObject(t.Context(), &s3.PutObjectInput{
		Bucket: r.bucket, Key: aws.String("object"), Body: strings.NewReader("secret"), Tagging: aws.String("a=b"),
	})
	if err != nil {
		t.Fatal(err)
	}
	r.version = out.VersionId
	r.upload = begin(t, s, s3.CreateMultipartUploadInput{Bucket: r.bucket, Key: aws.String("upload")})
	putPart(t, s, r.bucket, aws.String("upload"), r.upload, 1, []byte("part"), "")
	return r
}

// way is one kind of request that accesses a bucket.
type way struct {
	name string
	try  func(c *s3.Client) error
}

// ways returns all kinds of requests of an SDK client that access a bucket. None of them removes what
// another one needs.
func (r *room) ways() []way {
	ctx, bucket, key := r.t.Context(), r.bucket, aws.String("object")
	source := aws.String(*bucket + "/object")
	body := func() *bytes.Reader { return bytes.NewReader([]byte("x")) }
	set := &types.Tagging{TagSet: tags("c", "d")}
	one := &types.Delete{Objects: []types.ObjectIdentifier{{Key: aws.String("nothing")}}}
	return []way{
		{"GetObject", func(c *s3.Client) error {
			_, err := c.GetObject(ctx, &s3.GetObjectInput{Bucket: bucket, Key: key})
			return err
		}},
		{"GetObject, range", func(c *s3.Client) error {
			_, err := c.GetObject(ctx, &s3.GetObjectInput{Bucket: bucket, Key: key, Range: aws.String("bytes=1-2")})
			return err
		}},
		{"GetObject, version", func(c *s3.Client) error {
			_, err := c.GetObject(ctx, &s3.GetObjectInput{Bucket: bucket, Key: key, VersionId: r.version})
			return err
		}},
		{"HeadObject", func(c *s3.Client) error {
			_, err := c.HeadObject(ctx, &s3.HeadObjectInput{Bucket: bucket, Key: key})
			return err
		}},
		{"GetObjectAttributes", func(c *s3.Client) error {
			_, err := c.GetObjectAttributes(ctx, &s3.GetObjectAttributesInput{
				Bucket: bucket, Key: key, ObjectAttributes: []types.ObjectAttributes{"ETag"},
			})
			return err
		}},
		{"GetObjectTagging", func(c *s3.Client) error {
			_, err := c.GetObjectTagging(ctx, &s3.GetObjectTaggingInput{Bucket: bucket, Key: key})
			return err
		}},
		{"PutObjectTagging", func(c *s3.Client) error {
			_, err := c.PutObjectTagging(ctx, &s3.PutObjectTaggingInput{Bucket: bucket, Key: key, Tagging: set})
			return err
		}},
		{"DeleteObjectTagging", func(c *s3.Client) error {
			_, err := c.DeleteObjectTagging(ctx, &s3.DeleteObjectTaggingInput{Bucket: bucket, Key: key})
			return err
		}},
		{"HeadBucket", func(c *s3.Client) error {
			_, err := c.HeadBucket(ctx, &s3.HeadBucketInput{
				Bucket: bucket,
			})
			return err
		}},
		{"GetBucketLocation", func(c *s3.Client) error {
			_, err := c.GetBucketLocation(ctx, &s3.GetBucketLocationInput{Bucket: bucket})
			return err
		}},
		{"GetBucketVersioning", func(c *s3.Client) error {
			_, err := c.GetBucketVersioning(ctx, &s3.GetBucketVersioningInput{Bucket: bucket})
			return err
		}},
		{"ListObjects", func(c *s3.Client) error {
			_, err := c.ListObjects(ctx, &s3.ListObjectsInput{Bucket: bucket})
			return err
		}},
		{"ListObjectsV2", func(c *s3.Client) error {
			_, err := c.ListObjectsV2(ctx, &s3.ListObjectsV2Input{Bucket: bucket})
			return err
		}},
		{"ListObjectVersions", func(c *s3.Client) error {
			_, err := c.ListObjectVersions(ctx, &s3.ListObjectVersionsInput{Bucket: bucket})
			return err
		}},
		{"ListMultipartUploads", func(c *s3.Client) error {
			_, err := c.ListMultipartUploads(ctx, &s3.ListMultipartUploadsInput{Bucket: bucket})
			return err
		}},
		{"ListParts", func(c *s3.Client) error {
			_, err := c.ListParts(ctx, &s3.ListPartsInput{
				Bucket: bucket, Key: aws.String("upload"), UploadId: r.upload,
			})
			return err
		}},
		{"PutObject", func(c *s3.Client) error {
			_, err := c.PutObject(ctx, &s3.PutObjectInput{Bucket: bucket, Key: aws.String("put"), Body: body()})
			return err
		}},
		{"CopyObject", func(c *s3.Client) error {
			_, err := c.CopyObject(ctx, &s3.CopyObjectInput{
				Bucket: bucket, Key: aws.String("copy"), CopySource: source,
			})
			return err
		}},
		{"CreateMultipartUpload", func(c *s3.Client) error {
			_, err := c.CreateMultipartUpload(ctx, &s3.CreateMultipartUploadInput{
				Bucket: bucket, Key: aws.String("another"),
			})
			return err
		}},
		{"UploadPart", func(c *s3.Client) error {
			_, err := c.UploadPart(ctx, &s3.UploadPartInput{
				Bucket: bucket, Key: aws.String("upload"), UploadId: r.upload, PartNumber: aws.Int32(2), Body: body(),
			})
			return err
		}},
		{"UploadPartCopy", func(c *s3.Client) error {
			_, err := c.UploadPartCopy(ctx, &s3.UploadPartCopyInput{
				Bucket: bucket, Key: aws.String("upload"), UploadId: r.upload, PartNumber: aws.Int32(3),
				CopySource: source,
			})
			return err
		}},
		{"DeleteObjects", func(c *s3.Client) error {
			out, err := c.DeleteObjects(ctx, &s3.DeleteObjectsInput{Bucket: bucket, Delete: one})
			if err == nil && len(out.Errors) > 0 {
				return &smithyhttp.ResponseError{
					Response: &smithyhttp.Response{Response: &http.Response{StatusCode: 403}},
					Err:      &smithy.GenericAPIError{Code: *out.Errors[0].Code},
				}
			}
			return err
		}},
		{"DeleteObject", func(c *s3.Client) error {
			_, err := c.DeleteObject(ctx, &s3.DeleteObjectInput{Bucket: bucket, Key: aws.String("nothing")})
			return err
		}},
	}
}

// check sends every kind of request, and expects the same status for all.
func (r *room) check(who string, c *s3.Client, want int, state string) {
	r.t.Helper()
	for _, w := range r.ways() {
		want := want
		if who == "a stranger" && w.name == "CreateMultipartUpload" {
			want = 403 // as at AWS, in every state
		}
		if got := statusOf(w.try(c)); got != want {
			r.t.Errorf("%s, %s: %s is answered with %d, want %d", state, who, w.name, got, want)
		}
	}
}

// others sends POST forms and presigned URLs.
func (r *room) others(foreign harness.Credentials, own *string, want int, state string) {
	r.t.Helper()
	t, s := r.t, r.s
	get := raw{
		method: "GET", target: "/" + *r.bucket + "/object", key: foreign.AccessKeyID, secret: foreign.SecretAccessKey,
		presign: true,
	}
	put := raw{
		method: "PUT", target: "/" + *r.bucket + "/presigned", body: "x", key: foreign.AccessKeyID,
		secret: foreign.SecretAccessKey, presign: true,
	}
	for name, a := range map[string]answer{
		"a presigned GET":                 send(t, s, get),
		"a presigned PUT":                 send(t, s, put),
		"an unsigned form":                send(t, s, post{bucket: *r.bucket, unsigned: true}.build(t, s)),
		"a form the other account signed": send(t, s, post{bucket: *r.bucket, key: foreign}.build(t, s)),
	} {
		if got := a.status; got != want && !(want == 200 && got == 204) {
			t.Errorf("%s: %s is answered with %d %s, want %d", state, name, got, a.code, want)
		}
	}
	client := s.Client(foreign)
	_, err := client.CopyObject(t.Context(), &s3.CopyObjectInput{
		Bucket: own, Key: aws.String("stolen"), CopySource: aws.String(*r.bucket + "/object"),
	})
	if got := statusOf(err); got != want {
		t.Errorf("%s: a copy into the other account's bucket is answered with %d, want %d", state, got, want)
	}
}

// TestRestrictPublicBuckets: a public policy allows every kind of request. With the setting on at
// either level, all are refused for anonymous callers and other accounts, and none for the owner's
// account.
func TestRestrictPublicBuckets(t *testing.T) {
	s := harness.Start(t)
	foreign := s.CreateAccount(t, "foreign")
	other := s.Client(foreign)
	own := aws.String("of-the-other-account")
	if _, err := other.CreateBucket(t.Context(), &s3.CreateBucketInput{Bucket: own}); err != nil {
		t.Fatal(err)
	}
	blockAccount(t, s, blocks{})
	r := newRoom(t, s, "public-room")
	r.check("a stranger", anonymous(s), 403, "without a policy")
	blockBucket(t, s, r.bucket, blocks{})
	if err := putPolicy(t, s.S3, r.bucket, "%s", everybody(r.bucket)); err != nil {
		t.Fatal(err)
	}
	all := func(want int, state string) {
		t.Helper()
		r.check("a stranger", anonymous(s), want, state)
		r.check("another account", other, want, state)
		r.others(foreign, own, want, state)
		r.check("the owner", s.S3, 200, state)
	}
	all(200, "nothing is blocked")
	blockBucket(t, s, r.bucket, blocks{restrict: true})
	all(403, "the bucket restricts")
	blockBucket(t, s, r.bucket, blocks{acls: true, ignore: true, policy: true})
	all(200, "the bucket blocks everything else")
	blockAccount(t, s, blocks{restrict: true})
	all(403, "the account restricts")
	if _, err := s.S3.DeletePublicAccessBlock(t.Context(), &s3.DeletePublicAccessBlockInput{
		Bucket: r.bucket,
	}); err != nil {
		t.Fatal(err)
	}
	all(403, "the bucket's setting is removed")
	id := accountOf(t, s, rootOf(s))
	if _, err := controlClient(t, s, rootOf(s)).DeletePublicAccessBlock(t.Context(),
		&s3control.DeletePublicAccessBlockInput{AccountId: &id}); err != nil {
		t.Fatal(err)
	}
	all(200, "the account's setting is removed, too")
}

// TestRestrictedNames: one public statement takes access from the principals
// that other statements name. A policy that is not public takes nothing.
func TestRestrictedNames(t *testing.T) {
	s := harness.Start(t)
	foreign := s.CreateAccount(t, "foreign")
	id := accountOf(t, s, foreign)
	r := newRoom(t, s, "named-room")
	named := fmt.Sprintf(
		`{"Effect":"Allow","Principal":{"AWS":"%s"},"Action":"s3:GetObject","Resource":"arn:aws:s3:::%s/*"}`, id,
		*r.bucket,
	)
	get := func(c *s3.Client) int {
		_, err := c.GetObject(t.Context(), &s3.GetObjectInput{Bucket: r.bucket, Key: aws.String("object")})
		return statusOf(err)
	}
	if err := putPolicy(t, s.S3, r.bucket, "%s", named); err != nil {
		t.Fatal("a policy that is not public is refused while everything is blocked", err)
	}
	if got := get(s.Client(foreign)); got != 200 {
		t.Error("the named account", got)
	}
	if got := get(anonymous(s)); got != 403 {
		t.Error("a stranger", got)
	}
	blockAccount(t, s, blocks{restrict: true})
	blockBucket(t, s, r.bucket, blocks{})
	if err := putPolicy(t, s.S3, r.bucket, "%s,%s", named, everybody(r.bucket)); err != nil {
		t.Fatal(err)
	}
	if got := get(s.Client(foreign)); got != 403 {
		t.Error("the named account, beside a public statement", got)
	}
	blockAccount(t, s, blocks{})
	if got := get(s.Client(foreign)); got != 200 {
		t.Error("the named account, nothing restricted", got)
	}
}

// TestBlockPublicPolicy: a public policy is refused while either level blocks it; other policies are
// accepted.
func TestBlockPublicPolicy(t *testing.T) {
	s := harness.Start(t)
	bucket := newBucket(t, s, "blocked")
	wide := fmt.Sprintf(
		`{"Effect":"Allow","Principal":"*","Action":"s3:GetObject","Resource":"arn:aws:s3:::%s/*",`+
			`"Condition":{"IpAddress":{"aws:SourceIp":"0.0.0.0/1"}}}`,
		*bucket,
	)
	narrow := strings.Replace(wide, "0.0.0.0/1", "203.0.113.0/24", 1)
	for i, c := range []struct {
		account, bucket blocks
		refused         bool
	}{
		{blocks{}, blocks{}, false},
		{blocks{policy: true}, blocks{}, true},
		{blocks{}, blocks{policy: true}, true},
		{blocks{acls: true, ignore: true, restrict: true}, blocks{acls: true, ignore: true, restrict: true}, false},
	} {
		t.Run(fmt.Sprint(i), func(t *testing.T) {
			blockAccount(t, s, c.account)
			blockBucket(t, s, bucket, c.bucket)
			for _, statement := range []string{everybody(bucket), wide} {
				err := putPolicy(t, s.S3, bucket, "%s", statement)
				if !c.refused {
					if err != nil {
						t.Errorf("%+v: %v", c, err)
					}
					continue
				}
				wantCode(t, err, 403, "AccessDenied")
				var e smithy.APIError
				const because = "because public policies are prevented by the BlockPublicPolicy setting in S3 Block " +
					"Public Access."
				if errors.As(err, &e) && !strings.HasSuffix(e.ErrorMessage(), because) {
					t.Errorf("%q", e.ErrorMessage())
				}
			}
			if err := putPolicy(t, s.S3, bucket, "%s", narrow); err != nil {
				t.Errorf("%+v, a policy that is not public: %v", c, err)
			}
		})
	}
}

// TestAccountPublicAccessBlock: all four settings are on from the first start, for every account. Only
// the account itself can change them, at both addresses of S3 Control.
func TestAccountPublicAccessBlock(t *testing.T) {
	s := harness.Start(t)
	foreign := s.CreateAccount(t, "foreign")
	ctx := t.Context()
	for i, c := range []harness.Credentials{rootOf(s), foreign} {
		t.Run(fmt.Sprint(i), func(t *testing.T) {
			id := accountOf(t, s, c)
			out, err := controlClient(t, s, c).GetPublicAccessBlock(ctx, &s3control.GetPublicAccessBlockInput{
				AccountId: &id,
			})
			if err != nil {
				t.Fatal(err)
			}
			if p := out.PublicAccessBlockConfiguration; !*p.BlockPublicAcls || !*p.IgnorePublicAcls ||
				!*p.BlockPublicPolicy || !*p.RestrictPublicBuckets {
				t.Errorf("%+v", p)
			}
		})
	}
	id := accountOf(t, s, rootOf(s))
	other := controlClient(t, s, foreign)
	_, err := other.GetPublicAccessBlock(ctx, &s3control.GetPublicAccessBlockInput{AccountId: &id})
	expect(t, err, "AccessDenied")
	_, err = other.PutPublicAccessBlock(ctx, &s3control.PutPublicAccessBlockInput{
		AccountId: &id, PublicAccessBlockConfiguration: blocks{}.ofAccount(),
	})
	expect(t, err, "AccessDenied")
	_, err = other.DeletePublicAccessBlock(ctx, &s3control.DeletePublicAccessBlockInput{AccountId: &id})
	expect(t, err, "AccessDenied")

	own := controlClient(t, s, rootOf(s))
	_, err = own.PutPublicAccessBlock(ctx, &s3control.PutPublicAccessBlockInput{
		AccountId: &id, PublicAccessBlockConfiguration: &controltypes.PublicAccessBlockConfiguration{},
	})
	expect(t, err, "InvalidRequest")
	blockAccount(t, s, blocks{policy: true})
	out, err := own.GetPublicAccessBlock(ctx, &s3control.GetPublicAccessBlockInput{AccountId: &id})
	if err != nil || *out.PublicAccessBlockConfiguration.BlockPublicAcls ||
		!*out.PublicAccessBlockConfiguration.BlockPublicPolicy {
		t.Errorf("%+v, %v", out, err)
	}
	if _, err := own.DeletePublicAccessBlock(ctx, &s3control.DeletePublicAccessBlockInput{AccountId: &id}); err != nil {
		t.Fatal(err)
	}
	_, err = own.GetPublicAccessBlock(ctx, &s3control.GetPublicAccessBlockInput{AccountId: &id})
	expect(t, err, "NoSuchPublicAccessBlockConfiguration")

	const path = "/v20180820/configuration/publicAccessBlock"
	header := http.Header{"X-Amz-Account-Id": {id}}
	for name, c := range map[string]struct {
		r    raw
		want int
	}{
		"without the account in the host name": {raw{method: "GET", target: path, header: header}, 404},
		"with it": {
			raw{method: "GET", target: path, header: header, host: id + ".s3-control.us-east-1.amazonaws.com"}, 404,
		},
		"unsigned": {raw{method: "GET", target: path, header: header, unsigned: true}, 403},
		"unsigned PUT": {
			raw{
				method: "PUT", target: path, header: header, unsigned: true,
				body: `<PublicAccessBlockConfiguration><BlockPublicAcls>false</BlockPublicAcls>` +
					`</PublicAccessBlockConfiguration>`,
			},
			403,
		},
		"a wrong signature":     {raw{method: "DELETE", target: path, header: header, breakSignature: true}, 403},
		"what is not there":     {raw{method: "GET", target: "/v20180820/jobs", header: header}, 501},
		"a bucket of that name": {raw{method: "GET", target: path}, 404},
		"of no account":         {raw{method: "GET", target: path, header: http.Header{"X-Amz-Account-Id": {""}}}, 400},
	} {
		t.Run(name, func(t *testing.T) {
			if a := send(t, s, c.r); a.status != c.want {
				t.Errorf("%s: %d %s", name, a.status, a.body)
			}
		})
	}
}

// TestBucketPublicAccessBlock: GET returns the bucket's setting, not the
// account's, and only the owner's account can read or change it, whatever a
// policy allows.
func TestBucketPublicAccessBlock(t *testing.T) {
	s := harness.Start(t)
	bucket, ctx := newBucket(t, s, "settings"), t.Context()
	get := func(c *s3.Client) (*types.PublicAccessBlockConfiguration, error) {
		out, err := c.GetPublicAccessBlock(ctx, &s3.GetPublicAccessBlockInput{Bucket: bucket})
		if err != nil {
			return nil, err
		}
		return out.PublicAccessBlockConfiguration, nil
	}
	if p, err := get(s.S3); err != nil || !*p.BlockPublicAcls || !*p.RestrictPublicBuckets {
		t.Errorf("a new bucket: %+v, %v", p, err)
	}
	blockBucket(t, s, bucket, blocks{ignore: true})
	if p, err := get(s.S3); err != nil || *p.BlockPublicAcls || !*p.IgnorePublicAcls || *p.BlockPublicPolicy ||
		*p.RestrictPublicBuckets {
		t.Errorf("the bucket's own, not the merged one: %+v, %v", p, err)
	}
	for range 2 {
		if _, err := s.S3.DeletePublicAccessBlock(ctx, &s3.DeletePublicAccessBlockInput{Bucket: bucket}); err != nil {
			t.Error(err)
		}
	}
	_, err := get(s.S3)
	wantCode(t, err, 404, "NoSuchPublicAccessBlockConfiguration")
	put := func(c *s3.Client, p *types.PublicAccessBlockConfiguration) error {
		_, err := c.PutPublicAccessBlock(ctx, &s3.PutPublicAccessBlockInput{
			Bucket: bucket, PublicAccessBlockConfiguration: p,
		})
		return err
	}
	wantCode(t, put(s.S3, &types.PublicAccessBlockConfiguration{}), 400, "InvalidRequest")

	blockAccount(t, s, blocks{})
	if err := putPolicy(t, s.S3, bucket, "%s", everybody(bucket)); err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]*s3.Client{
		"a stranger": anonymous(s), "another account": s.Client(s.CreateAccount(t, "foreign")),
	} {
		t.Run(name, func(t *testing.T) {
			if _, err := c.ListObjectsV2(ctx, &s3.ListObjectsV2Input{Bucket: bucket}); err != nil {
				t.Errorf("%s may not even list: %v", name, err)
			}
			if err := put(c, blocks{true, true, true, true}.ofBucket()); statusOf(err) != 403 {
				t.Errorf("%s changes the setting: %v", name, err)
			}
			for what, err := range map[string]error{
				"PutBucketPolicy": putPolicy(t, c, bucket, "%s", everybody(bucket)),
				"GetBucketPolicy": func() error {
					_, err := c.GetBucketPolicy(ctx, &s3.GetBucketPolicyInput{
						Bucket: bucket,
					})
					return err
				}(),
				"DeleteBucketPolicy": func() error {
					_, err := c.DeleteBucketPolicy(ctx, &s3.DeleteBucketPolicyInput{Bucket: bucket})
					return err
				}(),
			} {
				want := 405 // AWS's answer to other accounts
				if name == "a stranger" && what != "GetBucketPolicy" {
					want = 403
				}
				if statusOf(err) != want {
					t.Errorf("%s, %s: %v", name, what, err)
				}
			}
		})
	}
}
