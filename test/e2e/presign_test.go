package e2e

import (
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/sts"

	"watertight/test/harness"
)

// follow sends a request that the SDK presigned, like a browser or curl.
func follow(
	t *testing.T, s *harness.Server, p *v4.PresignedHTTPRequest, body string, change ...func(*http.Request),
) answer {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), p.Method, p.URL, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	for name, v := range p.SignedHeader {
		if name != "Host" && name != "Content-Length" {
			req.Header[name] = v
		}
	}
	for _, f := range change {
		f(req)
	}
	return roundTrip(t, s, req)
}

// query changes a parameter; an empty value removes it.
func query(name, value string) func(*http.Request) {
	return func(r *http.Request) {
		q := r.URL.Query()
		if q.Set(name, value); value == "" {
			q.Del(name)
		}
		r.URL.RawQuery = q.Encode()
	}
}

// mustPresign returns a function that takes the results of a presigning method and fails the test on an error.
func mustPresign(t *testing.T) func(*v4.PresignedHTTPRequest, error) *v4.PresignedHTTPRequest {
	return func(r *v4.PresignedHTTPRequest, err error) *v4.PresignedHTTPRequest {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return r
	}
}

func TestPresigned(t *testing.T) {
	s := harness.Start(t)
	bucket, key := newBucket(t, s, "presigned"), aws.String("a b/ü+%.txt")
	p := s3.NewPresignClient(s.S3)
	must := mustPresign(t)
	put := must(p.PresignPutObject(t.Context(), &s3.PutObjectInput{
		Bucket: bucket, Key: key, ContentType: aws.String("text/x-test"), Metadata: map[string]string{"colour": "blue"},
	}))
	if a := follow(t, s, put, "hello"); a.status != 200 {
		t.Fatalf("put: %d %s", a.status, a.body)
	}
	get := must(p.PresignGetObject(t.Context(), &s3.GetObjectInput{Bucket: bucket, Key: key}))
	if a := follow(t, s, get, ""); a.status != 200 || a.body != "hello" ||
		a.header.Get("Content-Type") != "text/x-test" || a.header.Get("X-Amz-Meta-Colour") != "blue" {
		t.Errorf("get: %d %q %v", a.status, a.body, a.header)
	}
	head := must(p.PresignHeadObject(t.Context(), &s3.HeadObjectInput{Bucket: bucket, Key: key}))
	if a := follow(t, s, head, ""); a.status != 200 || a.header.Get("Content-Length") != "5" {
		t.Errorf("head: %d %v", a.status, a.header)
	}
	override := must(p.PresignGetObject(t.Context(), &s3.GetObjectInput{
		Bucket: bucket, Key: key, ResponseContentType: aws.String("text/plain"),
		ResponseContentDisposition: aws.String("attachment"),
	}))
	if a := follow(t, s, override, ""); a.status != 200 || a.header.Get("Content-Type") != "text/plain" ||
		a.header.Get("Content-Disposition") != "attachment" {
		t.Errorf("overrides: %d %v", a.status, a.header)
	}
	longest := must(p.PresignGetObject(t.Context(), &s3.GetObjectInput{Bucket: bucket, Key: key},
		s3.WithPresignExpires(604800*time.Second)))
	if a := follow(t, s, longest, ""); a.status != 200 {
		t.Errorf("a week: %d %s", a.status, a.body)
	}
	gone := must(p.PresignDeleteObject(t.Context(), &s3.DeleteObjectInput{Bucket: bucket, Key: aws.String("gone")}))
	if a := follow(t, s, gone, ""); a.status != 204 {
		t.Errorf("delete: %d %s", a.status, a.body)
	}
	header := func(name, value string) func(*http.Request) {
		return func(r *http.Request) { r.Header.Set(name, value) }
	}
	method := func(m string) func(*http.Request) { return func(r *http.Request) { r.Method = m } }
	const mismatch, unsigned = "SignatureDoesNotMatch", "AccessDenied"
	for _, c := range []struct {
		name   string
		p      *v4.PresignedHTTPRequest
		change func(*http.Request)
		want   int
		code   string
	}{
		{"a GET sent as PUT", get, method("PUT"), 403, mismatch},
		{"a GET sent as DELETE", get, method("DELETE"), 403, mismatch},
		{"a GET sent as HEAD", get, method("HEAD"), 403, ""},
		{"a HEAD sent as GET", head, method("GET"), 403, mismatch},
		{"another key", get, func(r *http.Request) { r.URL.Path += "x" }, 403, mismatch},
		{"another bucket", get, func(r *http.Request) {
			r.URL.Path = strings.Replace(r.URL.Path, "presigned", "other",
				1)
		}, 403, mismatch},
		{"a version", get, query("versionId", "null"), 403, mismatch},
		{"a sub-resource", get, query("acl", "x"), 403, mismatch},
		{"an unsigned override", get, query("response-content-type", "text/html"), 403, mismatch},
		{"another override", override, query("response-content-type", "text/html"), 403, mismatch},
		{"an override left out", override, query("response-content-disposition", ""), 403, mismatch},
		{"a longer life", get, query("X-Amz-Expires", "604800"), 403, mismatch},
		{"a hoisted header", put, query("x-amz-acl", "public-read"), 403, mismatch},
		{
			"another key id", get,
			query("X-Amz-Credential",
				"AKIAUNKNOWNUNKNOWN12/"+time.Now().UTC().Format("20060102")+"/us-east-1/s3/aws4_request"),
			403, "InvalidAccessKeyId",
		},
		{
			"another region", get, query("X-Amz-Credential", harness.AccessKeyID+"/20300101/mars-1/s3/aws4_request"),
			400, "AuthorizationQueryParametersError",
		},
		{"a token that was never issued", get, query("X-Amz-Security-Token", "x"), 400, "InvalidToken"},
		{"host not signed", get, query("X-Amz-SignedHeaders", "x"), 403, unsigned},
		{"an ACL beside it", put, header("X-Amz-Acl", "public-read"), 403, unsigned},
		{"a copy beside it", put, header("X-Amz-Copy-Source", "/presigned/secret"), 403, unsigned},
		{"tags beside it", put, header("X-Amz-Tagging", "a=b"), 403, unsigned},
		{"other metadata", put, header("X-Amz-Meta-Colour", "red"), 403, mismatch},
		{"more metadata", put, header("X-Amz-Meta-Size", "1"), 403, unsigned},
		{
			"signed in a header, too", get, header("Authorization", "AWS4-HMAC-SHA256 Credential=x"), 400,
			"InvalidArgument",
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			a := follow(t, s, c.p, "hello", c.change)
			if a.status != c.want || a.code != c.code {
				t.Errorf("%s: %d %s, want %d %s\n%s", c.name, a.status, a.code, c.want, c.code, a.body)
			}
		})
	}
	if got, err := readObject(t.Context(), s.S3, bucket, *key); err != nil || string(got) != "hello" {
		t.Errorf("the object is now %q, %v", got, err)
	}
}

// TestPresignedLife: every bound of X-Amz-Expires, and both ends of a URL's validity.
func TestPresignedLife(t *testing.T) {
	s := harness.Start(t)
	newBucket(t, s, "life")
	const malformed = "AuthorizationQueryParametersError"
	for _, c := range []struct {
		name    string
		r       raw
		want    int
		code    string
		message string
	}{
		{"a second", raw{expires: "1", at: time.Now().Add(time.Minute)}, 200, "", ""},
		{"a week", raw{expires: "604800"}, 200, "", ""},
		{
			"a second more", raw{expires: "604801"}, 400, malformed,
			"X-Amz-Expires must be less than a week (in seconds); that is, the given X-Amz-Expires must be less than " +
				"604800 seconds",
		},
		{
			"more than any number", raw{expires: "99999999999999999999"}, 400, malformed,
			"X-Amz-Expires must be less than a week (in seconds); that is, the given X-Amz-Expires must be less than " +
				"604800 seconds",
		},
		{"none", raw{expires: "0"}, 400, malformed, "X-Amz-Expires must be at least 1 second"},
		{"negative", raw{expires: "-1"}, 400, malformed, "X-Amz-Expires must be non-negative"},
		{"no number", raw{expires: "ten"}, 400, malformed, "X-Amz-Expires should be a number"},
		{"a fraction", raw{expires: "1.5"}, 400, malformed, "X-Amz-Expires should be a number"},
		{"over", raw{expires: "60", at: time.Now().Add(-61 * time.Second)}, 403, "AccessDenied", "Request has expired"},
		{
			"a week over", raw{expires: "604800", at: time.Now().Add(-604801 * time.Second)}, 403, "AccessDenied",
			"Request has expired",
		},
		{"nearly a week old", raw{expires: "604800", at: time.Now().Add(-604700 * time.Second)}, 200, "", ""},
		{"14 minutes ahead", raw{at: time.Now().Add(14 * time.Minute)}, 200, "", ""},
		{
			"16 minutes ahead", raw{at: time.Now().Add(16 * time.Minute)}, 403, "AccessDenied",
			"Request is not yet valid",
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			c.r.method, c.r.target, c.r.presign = "GET", "/life", true
			a := send(t, s, c.r)
			if a.status != c.want || a.code != c.code || !strings.Contains(a.body, c.message) {
				t.Errorf("%s: %d %s, want %d %s %s\n%s", c.name, a.status, a.code, c.want, c.code, c.message, a.body)
			}
			if c.message == "Request has expired" &&
				!(strings.Contains(a.body, "<Expires>") && strings.Contains(a.body, "<ServerTime>") &&
					strings.Contains(a.body, "<X-Amz-Expires>"+c.r.expires+"</X-Amz-Expires>")) {
				t.Errorf("%s: members are missing: %s", c.name, a.body)
			}
		})
	}
	good := raw{method: "GET", target: "/life", presign: true}
	for _, name := range []string{
		"X-Amz-Algorithm", "X-Amz-Credential", "X-Amz-Date", "X-Amz-Expires", "X-Amz-SignedHeaders", "X-Amz-Signature",
	} {
		t.Run(name, func(t *testing.T) {
			req, err := http.NewRequestWithContext(t.Context(), "GET", s.Endpoint+"/life", nil)
			if err != nil {
				t.Fatal(err)
			}
			sign(t, s, req, good)
			for what, change := range map[string]func(url.Values){
				"missing":  func(q url.Values) { q.Del(name) },
				"empty":    func(q url.Values) { q.Set(name, "") },
				"repeated": func(q url.Values) { q.Add(name, q.Get(name)) },
			} {
				q := req.URL.Query()
				change(q)
				if a := send(t, s, raw{
					method: "GET", target: "/life?" + q.Encode(), unsigned: true,
				}); a.status != 400 || a.code != malformed {
					t.Errorf("%s %s: %d %s", name, what, a.status, a.code)
				}
			}
		})
	}
}

// TestPresignedBySession: a URL and a form that are signed with temporary credentials need the signed
// session token.
func TestPresignedBySession(t *testing.T) {
	s := harness.Start(t)
	bucket := newBucket(t, s, "session")
	out, err := stsClient(s, s.AccessKeyID, s.SecretAccessKey, "").
		GetSessionToken(t.Context(), &sts.GetSessionTokenInput{DurationSeconds: aws.Int32(900)})
	if err != nil {
		t.Fatal(err)
	}
	c := out.Credentials
	client := s.Client(harness.Credentials{}, func(o *s3.Options) {
		o.Credentials = credentials.NewStaticCredentialsProvider(*c.AccessKeyId, *c.SecretAccessKey, *c.SessionToken)
	})
	put, err := s3.NewPresignClient(client).PresignPutObject(t.Context(), &s3.PutObjectInput{
		Bucket: bucket, Key: aws.String("k"),
	})
	if err != nil {
		t.Fatal(err)
	}
	if a := follow(t, s, put, "x"); a.status != 200 || !strings.Contains(put.URL, "X-Amz-Security-Token=") {
		t.Errorf("put: %d %s", a.status, a.body)
	}
	for what, change := range map[string]struct {
		token, code string
	}{"no token": {"", "InvalidAccessKeyId"}, "another token": {"x", "InvalidToken"}} {
		t.Run(what, func(t *testing.T) {
			if a := follow(t, s, put, "x",
				query("X-Amz-Security-Token", change.token)); a.status/100 != 4 || a.code != change.code {
				t.Errorf("%s: %d %s", what, a.status, a.code)
			}
		})
	}
	key := harness.Credentials{AccessKeyID: *c.AccessKeyId, SecretAccessKey: *c.SecretAccessKey}
	for what, test := range map[string]struct {
		fields map[string]string
		more   [][2]string
		want   int
		code   string
	}{
		"good": {
			map[string]string{"x-amz-security-token": *c.SessionToken}, nil, 204, "",
		},
		"no token": {nil, nil, 403, "InvalidAccessKeyId"},
		"another token": {
			map[string]string{"x-amz-security-token": "x"}, nil, 400, "InvalidToken",
		},
		"a token that the policy does not cover": {
			nil, [][2]string{{"x-amz-security-token", *c.SessionToken}}, 403, "AccessDenied",
		},
	} {
		t.Run(what, func(t *testing.T) {
			if a := send(t, s,
				post{bucket: *bucket, key: key, fields: test.fields, more: test.more, file: "x"}.build(t,
					s)); a.status != test.want || a.code != test.code {
				t.Errorf("a form, %s: %d %s, want %d %s", what, a.status, a.code, test.want, test.code)
			}
		})
	}
}
