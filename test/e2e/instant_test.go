package e2e

import (
	"encoding/base64"
	"fmt"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/iam"
	iamtypes "github.com/aws/aws-sdk-go-v2/service/iam/types"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/sts"

	"watertight/internal/gateway/dialect"
	"watertight/internal/gateway/dispatch"
	"watertight/internal/operator"
	"watertight/internal/server"
	"watertight/test/harness"
)

// clock is the server's clock, which a test can move.
type clock struct{ ahead atomic.Int64 }

func (c *clock) now() time.Time { return time.Now().Add(time.Duration(c.ahead.Load())) }

// changing is a server with a user whose permissions change.
type changing struct {
	*testing.T
	s      *harness.Server
	clock  *clock
	root   *iam.Client
	key    harness.Credentials
	token  string
	n      int
	upload string // in the present bucket
}

const anything = `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"*","Resource":"*"}]}`

func newChanging(t *testing.T) *changing {
	c := &changing{T: t, clock: &clock{}}
	c.s = harness.Start(t, func(o *server.Config) { o.Now = c.clock.now })
	c.root = rootIAM(c.s)
	return c
}

// user makes a user with every permission and an access key.
func (c *changing) user() string {
	c.Helper()
	c.n++
	name := fmt.Sprintf("user-%d", c.n)
	newUser(c, c.s, name)
	if _, err := c.root.PutUserPolicy(c.Context(), &iam.PutUserPolicyInput{
		UserName: &name, PolicyName: aws.String("p"), PolicyDocument: aws.String(anything),
	}); err != nil {
		c.Fatal(err)
	}
	k, err := c.root.CreateAccessKey(c.Context(), &iam.CreateAccessKeyInput{UserName: &name})
	if err != nil {
		c.Fatal(err)
	}
	c.key, c.token = harness.Credentials{
		AccessKeyID: *k.AccessKey.AccessKeyId, SecretAccessKey: *k.AccessKey.SecretAccessKey,
	}, ""
	return name
}

// session returns a session of the user's key.
func (c *changing) session() {
	c.Helper()
	client := stsClient(c.s, c.key.AccessKeyID, c.key.SecretAccessKey, "")
	out, err := client.GetSessionToken(c.Context(), &sts.GetSessionTokenInput{DurationSeconds: aws.Int32(900)})
	if err != nil {
		c.Fatal(err)
	}
	c.key, c.token = harness.Credentials{
		AccessKeyID: *out.Credentials.AccessKeyId, SecretAccessKey: *out.Credentials.SecretAccessKey,
	}, *out.Credentials.SessionToken
}

func (c *changing) must(_ any, err error) {
	c.Helper()
	if err != nil {
		c.Error(err)
	}
}

// revocations returns ways to take permissions from a user, which also restore what later ones need.
// Each is prepared before the request begins.
func (c *changing) revocations() map[string]func(bucket string) (take, after func()) {
	nothing := func() {}
	return map[string]func(string) (func(), func()){
		"the key is deleted": func(string) (func(), func()) {
			name := c.user()
			return func() {
				c.must(c.root.DeleteAccessKey(c.Context(), &iam.DeleteAccessKeyInput{
					UserName: &name, AccessKeyId: &c.key.AccessKeyID,
				}))
			}, nothing
		},
		"the key is turned off": func(string) (func(), func()) {
			name := c.user()
			return func() {
				c.must(c.root.UpdateAccessKey(c.Context(), &iam.UpdateAccessKeyInput{
					UserName: &name, AccessKeyId: &c.key.AccessKeyID, Status: iamtypes.StatusTypeInactive,
				}))
			}, nothing
		},
		"the policy is removed": func(string) (func(), func()) {
			name := c.user()
			return func() {
				c.must(c.root.DeleteUserPolicy(c.Context(), &iam.DeleteUserPolicyInput{
					UserName: &name, PolicyName: aws.String("p"),
				}))
			}, nothing
		},
		"the bucket denies": func(bucket string) (func(), func()) {
			c.user()
			return func() {
				if err := putPolicy(c, c.s.S3,
					&bucket, `{"Effect":"Deny","Principal":"*","Action":"s3:*","Resource":["arn:aws:s3:::%s",`+
						`"arn:aws:s3:::%[1]s/*"],"Condition":{"Bool":{"aws:SecureTransport":"false"},`+
						`"StringLike":{"aws:userid":"AIDA*"}}}`, bucket); err != nil {
					c.Error(err)
				}
			}, func() { c.must(c.s.S3.DeleteBucketPolicy(c.Context(), &s3.DeleteBucketPolicyInput{Bucket: &bucket})) }
		},
		"the session ends": func(string) (func(), func()) {
			c.user()
			c.session()
			return func() { c.clock.ahead.Store(int64(time.Hour)) }, func() { c.clock.ahead.Store(0) }
		},
		"the policy ends by the clock": func(string) (func(), func()) {
			name := c.user()
			until := time.Now().Add(30 * time.Minute).UTC().Format(time.RFC3339)
			c.must(c.root.PutUserPolicy(c.Context(), &iam.PutUserPolicyInput{UserName: &name,
				PolicyName: aws.String("p"), PolicyDocument: aws.String(
					`{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"*","Resource":"*",` +
						`"Condition":{"DateLessThan":{"aws:CurrentTime":"` + until + `"}}}]}`)}))
			return func() { c.clock.ahead.Store(int64(time.Hour)) }, func() { c.clock.ahead.Store(0) }
		},
	}
}

// fingerprint returns the state of a bucket that a request could have changed.
func (c *changing) fingerprint(bucket string) string {
	c.Helper()
	var b strings.Builder
	for _, target := range []string{"?versioning", "?tagging", "?cors", "?encryption", "?ownershipControls",
		"?publicAccessBlock", "?acl", "?requestPayment", "?policy",
		"?versions", "?uploads", "/object", "/object?tagging", "/object?acl", "/object?uploadId=" + c.upload} {
		a := send(c.T, c.s, raw{method: "GET", target: "/" + bucket + target})
		if a.status >= 300 {
			a.body = a.code
		}
		fmt.Fprintf(&b, "%s: %d %s\n", target, a.status, a.body)
	}
	return b.String()
}

// request returns a request of a row, and false unless it has a document or a stream.
func (c *changing) request(row dispatch.Row, bucket string) (raw, bool) {
	c.Helper()
	r := request(row, bucket)
	switch name := row.Name(); {
	case row.Route().Sender() == dialect.SignedForm:
		if c.token != "" {
			return post{
				bucket: bucket, key: c.key, file: "new",
				fields: map[string]string{"key": "object", "x-amz-security-token": c.token},
			}.build(c.T, c.s), true
		}
		return post{bucket: bucket, key: c.key, file: "new", fields: map[string]string{"key": "object"}}.build(c.T,
			c.s), true
	case name == "PutObject", name == "UploadPart":
		r.body = "new"
	case name == "PutObjectAcl", name == "PutBucketAcl", name == "CreateBucket", r.body == "":
		return raw{}, false
	}
	if strings.Contains(r.target, "uploadId") {
		up, err := c.s.S3.CreateMultipartUpload(c.Context(), &s3.CreateMultipartUploadInput{
			Bucket: &bucket, Key: aws.String("object"),
		})
		if err != nil {
			c.Fatal(err)
		}
		part, err := c.s.S3.UploadPart(c.Context(), &s3.UploadPartInput{
			Bucket: &bucket, Key: aws.String("object"), UploadId: up.UploadId, PartNumber: aws.Int32(1),
			Body: strings.NewReader("part"),
		})
		if err != nil {
			c.Fatal(err)
		}
		r.target = strings.Replace(r.target, "uploadId", "uploadId="+*up.UploadId, 1)
		if c.upload = *up.UploadId; r.body != "new" {
			r.body = strings.Replace(r.body, `"e"`, *part.ETag, 1)
			r.header.Set("Content-Md5", base64.StdEncoding.EncodeToString(md5Of(r.body)))
		}
	}
	r.key, r.secret = c.key.AccessKeyID, c.key.SecretAccessKey
	if c.token != "" {
		r.header.Set("X-Amz-Security-Token", c.token)
	}
	return r, true
}

// TestAtTheEndOfARequest calls every operation of S3 with a document or a stream. The caller loses its
// permission after the request began and before it ends: the request is refused, and changes nothing.
func TestAtTheEndOfARequest(t *testing.T) {
	c := newChanging(t)
	n := 0
	for what, prepare := range c.revocations() {
		n++
		walked := 0
		for i, row := range c.s.Operations("s3") {
			bucket := fmt.Sprintf("end-%d-%d", n, i)
			if r := request(row, bucket); r.body == "" && row.Route().Sender() != dialect.SignedForm &&
				row.Name() != "PutObject" && row.Name() != "UploadPart" {
				continue
			}
			newBucket(t, c.s, bucket)
			if a := send(t, c.s, raw{method: "PUT", target: "/" + bucket + "/object", body: "old"}); a.status != 200 {
				t.Fatal(a.body)
			}
			c.upload = ""
			take, after := prepare(bucket)
			r, ok := c.request(row, bucket)
			if !ok {
				after()
				continue
			}
			walked++
			before := c.fingerprint(bucket)
			a := slow(t, c.s, r, take)
			after()
			if !refused(a) && a.code != "ExpiredToken" {
				t.Errorf("%s, %s: %d %s", what, row.Name(), a.status, a.body)
			}
			if now := c.fingerprint(bucket); now != before {
				t.Errorf("%s, %s: it has changed\n%s\nbefore\n%s", what, row.Name(), now, before)
			}
		}
		if walked < 12 {
			t.Errorf("%s: only %d operations were called", what, walked)
		}
	}
}

// TestAtTheEndOfAForm: the caller of IAM and STS is not known before the whole
// form has arrived.
func TestAtTheEndOfAForm(t *testing.T) {
	c := newChanging(t)
	for what, prepare := range c.revocations() {
		if what == "the bucket denies" {
			continue
		}
		take, after := prepare("")
		c.n++
		name := fmt.Sprintf("made-%d", c.n)
		r := raw{method: "POST", target: "/", body: "Action=CreateUser&Version=2010-05-08&UserName=" + name,
			service: "iam", key: c.key.AccessKeyID, secret: c.key.SecretAccessKey,
			header: http.Header{"Content-Type": {"application/x-www-form-urlencoded"}}}
		if c.token != "" {
			r.header.Set("X-Amz-Security-Token", c.token)
		}
		a := slow(t, c.s, r, take)
		after()
		if a.status != 403 {
			t.Errorf("%s: %d %s", what, a.status, a.body)
		}
		if _, err := c.root.GetUser(t.Context(), &iam.GetUserInput{UserName: &name}); err == nil {
			t.Errorf("%s: the user was created", what)
		}
	}
}

// TestAtTheEndOfAnException: a stranger's request that began while public access was allowed is
// refused if it ends after the exception, which can end by time or by a command.
func TestAtTheEndOfAnException(t *testing.T) {
	c := newChanging(t)
	account := accountOf(t, c.s, rootOf(c.s))
	commands := operator.Dial(c.s.Data)
	n := 0
	for what, take := range map[string]func(){
		"by the clock": func() { c.clock.ahead.Store(int64(2 * time.Hour)) },
		"by a command": func() {
			c.must(nil, commands.SetPublic(t.Context(), operator.PublicCommand{AccountID: account, Block: true}))
		},
		"by the setting": func() { blockAccount(t, c.s, blocks{true, true, true, true}) },
	} {
		t.Run(what, func(t *testing.T) {
			n++
			for i, row := range c.s.Operations("s3") {
				name := row.Name()
				if name != "DeleteObjects" && name != "PutObject" && name != "PutObjectTagging" &&
					row.Route().Sender() != dialect.SignedForm {
					continue
				}
				c.clock.ahead.Store(0)
				bucket := fmt.Sprintf("exception-%d-%d", n, i)
				newBucket(t, c.s, bucket)
				if a := send(t, c.s, raw{
					method: "PUT", target: "/" + bucket + "/object", body: "old",
				}); a.status != 200 {
					t.Fatal(a.body)
				}
				c.must(nil,
					commands.SetPublic(t.Context(), operator.PublicCommand{
						AccountID: account, For: time.Hour, Reason: "a test",
					}))
				blockBucket(t, c.s, &bucket, blocks{})
				if err := putPolicy(t, c.s.S3,
					&bucket, `{"Effect":"Allow","Principal":"*","Action":["s3:PutObject","s3:DeleteObject",`+
						`"s3:PutObjectTagging"],"Resource":"arn:aws:s3:::%s/*"}`, bucket); err != nil {
					t.Fatal(err)
				}
				c.key, c.token = harness.Credentials{}, ""
				r, _ := c.request(row, bucket)
				r.unsigned = true
				if row.Route().Sender() == dialect.SignedForm {
					r = post{
						bucket: bucket, unsigned: true, file: "new", fields: map[string]string{"key": "object"},
					}.build(t, c.s)
				}
				before := c.fingerprint(bucket)
				a := slow(t, c.s, r, take)
				if c.clock.ahead.Store(0); !refused(a) {
					t.Errorf("%s, %s: %d %s", what, name, a.status, a.body)
				}
				if now := c.fingerprint(bucket); now != before {
					t.Errorf("%s, %s: it has changed\n%s\nbefore\n%s", what, name, now, before)
				}
			}
		})
	}
}

// TestUploadsEndInPeace: time alone does not end a request. A presigned upload that began in time may
// end after its URL expires. If one key of a batch is denied meanwhile, the others are deleted.
func TestUploadsEndInPeace(t *testing.T) {
	c := newChanging(t)
	newBucket(t, c.s, "peace")
	c.user()
	a := slow(t,
		c.s, raw{
			method: "PUT", target: "/peace/k", body: "late", key: c.key.AccessKeyID, secret: c.key.SecretAccessKey,
			hash: "UNSIGNED-PAYLOAD",
		}, func() { c.clock.ahead.Store(int64(time.Hour)) })
	if a.status != 200 {
		t.Errorf("a late end: %d %s", a.status, a.body)
	}
	c.clock.ahead.Store(0)
	for _, key := range []string{"a", "b"} {
		send(t, c.s, raw{method: "PUT", target: "/peace/" + key, body: key})
	}
	r := raw{
		method: "POST", target: "/peace?delete",
		body: `<Delete><Object><Key>a</Key></Object><Object><Key>b</Key></Object></Delete>`, key: c.key.AccessKeyID,
		secret: c.key.SecretAccessKey, header: http.Header{},
	}
	r.header.Set("Content-Md5", base64.StdEncoding.EncodeToString(md5Of(r.body)))
	bucket := "peace"
	a = slow(t, c.s, r, func() {
		if err := putPolicy(t, c.s.S3, &bucket,
			`{"Effect":"Deny","Principal":"*","Action":"s3:DeleteObject",`+
				`"Resource":"arn:aws:s3:::peace/a"}`); err != nil {
			t.Error(err)
		}
	})
	if a.status != 200 || !strings.Contains(a.body, "<Deleted><Key>b</Key>") ||
		!strings.Contains(a.body, "<Error><Key>a</Key><Code>AccessDenied") {
		t.Errorf("%d %s", a.status, a.body)
	}
	if a := send(t, c.s, raw{method: "GET", target: "/peace/a"}); a.body != "a" {
		t.Errorf("%d %s", a.status, a.body)
	}
}

// TestADocumentHasATime: a document has a time limit as a whole, however steadily it
// arrives; a stream has none.
func TestADocumentHasATime(t *testing.T) {
	s := harness.Start(t, func(c *server.Config) { c.Document = 300 * time.Millisecond })
	newBucket(t, s, "timely")
	wait := func() { time.Sleep(600 * time.Millisecond) }
	document := `<VersioningConfiguration><Status>Enabled</Status></VersioningConfiguration>`
	for name, c := range map[string]struct {
		r    raw
		want int
	}{
		"a document": {raw{method: "PUT", target: "/timely?versioning", body: document}, 400},
		"a form": {
			raw{
				method: "POST", target: "/", body: "Action=ListUsers&Version=2010-05-08", service: "iam",
				header: http.Header{"Content-Type": {"application/x-www-form-urlencoded"}},
			},
			400,
		},
		"a stranger": {
			raw{
				method: "POST", target: "/", body: "Action=ListUsers&Version=2010-05-08", unsigned: true,
				header: http.Header{"Content-Type": {"application/x-www-form-urlencoded"}},
			},
			400,
		},
		"a POST form": {post{bucket: "timely", file: "new"}.build(t, s), 400},
		"a stream":    {raw{method: "PUT", target: "/timely/k", body: "slow"}, 200},
	} {
		t.Run(name, func(t *testing.T) {
			if a := slow(t, s, c.r, wait); a.status != c.want ||
				c.want == 400 && !strings.Contains(a.body, "RequestTimeout") {
				t.Errorf("%s: %d %s", name, a.status, a.body)
			}
		})
	}
}
