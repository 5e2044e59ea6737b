package e2e

import (
	"fmt"
	"net/http"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/iam"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
	"github.com/aws/aws-sdk-go-v2/service/sts"

	"watertight/internal/server"
	"watertight/test/harness"
)

func has(name, value string) http.Header { return http.Header{name: {value}} }

// TestConditionKeys puts, for each condition key, a bucket policy that denies a
// value of the key. The request with this value is refused, and the one without
// it is served. The requests are the root user's, who may do everything that no policy denies.
func TestConditionKeys(t *testing.T) {
	s := harness.Start(t)
	root := accountOf(t, s, rootOf(s))
	v := newVersioned(t, s, "keyed")
	v.turn(types.BucketVersioningStatusEnabled)
	bucket := aws.String("keyed")
	id := v.put("object", "text")
	old := time.Now().Add(-200 * time.Second)
	if a := send(t, s, raw{
		method: "PUT", target: "/keyed/tagged", body: "x", header: has("X-Amz-Tagging", "Level=secret"),
	}); a.status != 200 {
		t.Fatal(a.body)
	}
	if a := send(t, s, raw{method: "PUT", target: "/keyed/plain", body: "x"}); a.status != 200 {
		t.Fatal(a.body)
	}
	get, list := raw{method: "GET", target: "/keyed/object"}, raw{method: "GET", target: "/keyed?list-type=2"}
	put := raw{method: "PUT", target: "/keyed/put", body: "x"}
	with := func(r raw, name, value string) raw { r.header = has(name, value); return r }
	at := func(r raw, target string) raw { r.target = target; return r }
	presigned := func(at time.Time) raw { return raw{method: "GET", target: "/keyed/object", presign: true, at: at} }
	tokens, err := stsClient(s, s.AccessKeyID, s.SecretAccessKey, "").
		GetSessionToken(t.Context(), &sts.GetSessionTokenInput{})
	if err != nil {
		t.Fatal(err)
	}
	session := with(get, "X-Amz-Security-Token", *tokens.Credentials.SessionToken)
	session.key, session.secret = *tokens.Credentials.AccessKeyId, *tokens.Credentials.SecretAccessKey
	const objects, itself = "/*", ""
	for i, c := range []struct {
		key, operator, value string
		action, resource     string
		meant, not           raw
	}{
		{"aws:UserAgent", "StringLike", "curl/*", "GetObject", objects, with(get, "User-Agent", "curl/8"), get},
		{"aws:Referer", "StringEquals", "https://a/", "GetObject", objects, with(get, "Referer", "https://a/"), get},
		{"s3:authType", "StringEquals", "REST-QUERY-STRING", "GetObject", objects, presigned(time.Now()), get},
		{"s3:authType", "StringEquals", "REST-HEADER", "GetObject", objects, get, presigned(time.Now())},
		{"s3:authType", "StringEquals", "POST", "PutObject", objects, post{bucket: "keyed"}.build(t, s), put},
		{"s3:signatureversion", "StringEquals", "AWS4-HMAC-SHA256", "GetObject", objects, get, list},
		{
			"s3:signatureAge", "NumericGreaterThan", "100000", "GetObject", objects, presigned(old),
			presigned(time.Now()),
		},
		{
			"s3:x-amz-content-sha256", "StringEquals", "UNSIGNED-PAYLOAD", "PutObject", objects,
			raw{method: "PUT", target: "/keyed/put", body: "x", hash: "UNSIGNED-PAYLOAD"}, put,
		},
		{"s3:prefix", "StringNotLike", "a/*", "ListBucket", itself, list, at(list, "/keyed?list-type=2&prefix=a/b")},
		{
			"s3:prefix", "StringEquals", "a", "ListBucketVersions", itself, at(list, "/keyed?versions&prefix=a"),
			at(list, "/keyed?versions"),
		},
		{"s3:delimiter", "StringEquals", "/", "ListBucket", itself, at(list, "/keyed?delimiter=/"), at(list, "/keyed")},
		{
			"s3:max-keys", "NumericGreaterThan", "10", "ListBucket", itself, at(list, "/keyed?max-keys=11"),
			at(list, "/keyed?max-keys=10"),
		},
		{"s3:versionid", "StringEquals", id, "GetObjectVersion", objects, at(get, "/keyed/object?versionId="+id), get},
		{
			"s3:ExistingObjectTag/Level", "StringEquals", "secret", "GetObject", objects, at(get, "/keyed/tagged"),
			at(get, "/keyed/plain"),
		},
		{
			"s3:RequestObjectTag/Level", "StringEquals", "secret", "PutObject", objects,
			with(put, "X-Amz-Tagging", "Level=secret"), with(put, "X-Amz-Tagging", "Level=none"),
		},
		{
			"s3:RequestObjectTagKeys", "ForAnyValue:StringEquals", "Level", "PutObject", objects,
			with(put, "X-Amz-Tagging", "A=1&Level=2"), with(put, "X-Amz-Tagging", "A=1"),
		},
		{
			"s3:x-amz-acl", "StringEquals", "bucket-owner-full-control", "PutObject", objects,
			with(put, "X-Amz-Acl", "bucket-owner-full-control"), put,
		},
		{
			"s3:object-lock-mode", "StringEquals", "GOVERNANCE", "PutObject", objects,
			with(put, "X-Amz-Object-Lock-Mode", "GOVERNANCE"), put,
		},
		{
			"s3:object-lock-legal-hold", "StringEquals", "OFF", "PutObject", objects,
			with(put, "X-Amz-Object-Lock-Legal-Hold", "OFF"), put,
		},
		{
			"s3:object-lock-retain-until-date", "DateGreaterThan", "2098-01-01T00:00:00Z", "PutObject", objects,
			with(put, "X-Amz-Object-Lock-Retain-Until-Date", "2099-01-01T00:00:00Z"), put,
		},
		{
			"s3:object-lock-remaining-retention-days", "NumericGreaterThan", "30", "PutObject", objects,
			with(put, "X-Amz-Object-Lock-Retain-Until-Date", inDays(31)), put,
		},
		{
			"s3:x-amz-storage-class", "StringEquals", "STANDARD_IA", "PutObject", objects,
			with(put, "X-Amz-Storage-Class", "STANDARD_IA"), put,
		},
		{
			"s3:x-amz-server-side-encryption", "Null", "true", "PutObject", objects, put,
			with(put, "X-Amz-Server-Side-Encryption", "AES256"),
		},
		{
			"s3:x-amz-website-redirect-location", "StringLike", "*", "PutObject", objects,
			with(put, "X-Amz-Website-Redirect-Location", "/a"), put,
		},
		{
			"s3:x-amz-copy-source", "StringEquals", "keyed/plain", "PutObject", objects,
			with(raw{method: "PUT", target: "/keyed/c"}, "X-Amz-Copy-Source", "/keyed/plain"),
			with(raw{method: "PUT", target: "/keyed/c"}, "X-Amz-Copy-Source", "/keyed/object"),
		},
		{
			"s3:if-none-match", "Null", "true", "PutObject", objects, put,
			with(at(put, "/keyed/once"), "If-None-Match", "*"),
		},
		{
			"s3:if-match", "StringEquals", `\"x\"`, "DeleteObject", objects,
			raw{method: "DELETE", target: "/keyed/gone", header: has("If-Match", `"x"`)},
			raw{method: "DELETE", target: "/keyed/gone"},
		},
		{"aws:SecureTransport", "Bool", "false", "GetObject", objects, get, list},
		{"aws:SourceIp", "IpAddress", "127.0.0.0/8", "GetObject", objects, get, list},
		{
			"aws:SourceIp", "NotIpAddress", "203.0.113.0/24", "GetObject", objects,
			with(get, "X-Forwarded-For", "203.0.113.7"), list,
		},
		{"aws:PrincipalArn", "ArnEquals", "arn:aws:iam::" + root + ":root", "GetObject", objects, get, list},
		{"aws:PrincipalAccount", "StringEquals", root, "GetObject", objects, get, list},
		{"aws:PrincipalType", "StringEquals", "Account", "GetObject", objects, get, list},
		{"aws:userid", "StringEquals", root, "GetObject", objects, get, list},
		{"aws:PrincipalIsAWSService", "Bool", "false", "GetObject", objects, get, list},
		{"aws:RequestedRegion", "StringEquals", s.Region, "GetObject", objects, get, list},
		{"aws:ResourceAccount", "StringEquals", root, "GetObject", objects, get, list},
		{"s3:ResourceAccount", "StringEquals", root, "GetObject", objects, get, list},
		{"aws:ViaAWSService", "Bool", "false", "GetObject", objects, get, list},
		{"aws:CurrentTime", "DateGreaterThan", "2020-01-01T00:00:00Z", "GetObject", objects, get, list},
		{"aws:EpochTime", "NumericGreaterThan", "1600000000", "GetObject", objects, get, list},
		{"aws:TokenIssueTime", "Null", "false", "GetObject", objects, session, get},
		{"aws:MultiFactorAuthPresent", "Bool", "false", "GetObject", objects, session, get},
		{"aws:MultiFactorAuthPresent", "BoolIfExists", "false", "GetObject", objects, get, list},
	} {
		t.Run(fmt.Sprint(i), func(t *testing.T) {
			if err := putPolicy(t, s.S3, bucket,
				`{"Effect":"Deny","Principal":"*","Action":"s3:%s","Resource":"arn:aws:s3:::keyed%s",`+
					`"Condition":{"%s":{"%s":"%s"}}}`,
				c.action, c.resource, c.operator, c.key, c.value); err != nil {
				t.Errorf("%s: %v", c.key, err)
				return
			}
			if a := send(t, s, c.meant); a.status != 403 {
				t.Errorf("%s %s %s: with the value: %d %s", c.key, c.operator, c.value, a.status, a.body)
			}
			if a := send(t, s, c.not); a.status/100 != 2 {
				t.Errorf("%s %s %s: without the value: %d %s", c.key, c.operator, c.value, a.status,
					a.body)
			}
		})
	}
}

// TestConditionsOfTLS: the condition keys for TLS describe the actual connection.
func TestConditionsOfTLS(t *testing.T) {
	s := harness.Start(t, func(c *server.Config) { c.TLS.SelfSigned = true })
	bucket := newBucket(t, s, "secure")
	list := raw{method: "GET", target: "/secure"}
	for condition, want := range map[string]int{
		`"Bool":{"aws:SecureTransport":"false"}`: 200, `"Bool":{"aws:SecureTransport":"true"}`: 403,
		`"NumericLessThan":{"s3:TlsVersion":"1.3"}`: 200, `"NumericGreaterThanEquals":{"s3:TlsVersion":"1.3"}`: 403,
	} {
		t.Run(condition, func(t *testing.T) {
			if err := putPolicy(t, s.S3,
				bucket, `{"Effect":"Deny","Principal":"*","Action":"s3:ListBucket","Resource":"arn:aws:s3:::secure",`+
					`"Condition":{%s}}`, condition); err != nil {
				t.Fatal(err)
			}
			if a := send(t, s, list); a.status != want {
				t.Errorf("%s: %d", condition, a.status)
			}
		})
	}
}

// TestSourceAddress: X-Forwarded-For counts only if a trusted proxy sends it,
// and only the part that trusted proxies wrote.
func TestSourceAddress(t *testing.T) {
	for trusted, want := range map[bool]map[string]int{
		false: {"": 403, "203.0.113.7": 403, "203.0.113.7, 127.0.0.1": 403},
		true: {
			"": 403, "203.0.113.7": 200, "203.0.113.7, 127.0.0.1": 200, "203.0.113.7, 198.51.100.1": 403,
			"rubbish": 403,
		},
	} {
		t.Run(fmt.Sprint(trusted), func(t *testing.T) {
			s := harness.Start(t, func(c *server.Config) {
				if trusted {
					c.TrustedProxies = []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}
				}
			})
			bucket := newBucket(t, s, "placed")
			if err := putPolicy(t, s.S3,
				bucket, `{"Effect":"Allow","Principal":"*","Action":"s3:ListBucket","Resource":"arn:aws:s3:::placed",`+
					`"Condition":{"IpAddress":{"aws:SourceIp":"203.0.113.0/24"}}}`); err != nil {
				t.Fatal(err)
			}
			for sent, status := range want {
				r := raw{method: "GET", target: "/placed", unsigned: true, header: http.Header{}}
				if sent != "" {
					r.header.Set("X-Forwarded-For", sent)
				}
				if a := send(t, s, r); a.status != status {
					t.Errorf("trusted: %v, %q: %d", trusted, sent, a.status)
				}
			}
		})
	}
}

// TestSecureTransportBehindAProxy: the usual policy that denies plain HTTP uses
// what a trusted proxy reports about its client, and ignores the same headers
// from other peers.
func TestSecureTransportBehindAProxy(t *testing.T) {
	for trusted, want := range map[bool]map[string]int{
		false: {"": 403, "https": 403},
		true:  {"": 403, "https": 200, "http": 403, "https, http": 403},
	} {
		t.Run(fmt.Sprint(trusted), func(t *testing.T) {
			s := harness.Start(t, func(c *server.Config) {
				if trusted {
					c.TrustedProxies = []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}
				}
			})
			bucket := newBucket(t, s, "proxied")
			if err := putPolicy(t, s.S3,
				bucket, `{"Effect":"Deny","Principal":"*","Action":"s3:ListBucket","Resource":"arn:aws:s3:::proxied",`+
					`"Condition":{"Bool":{"aws:SecureTransport":"false"}}}`); err != nil {
				t.Fatal(err)
			}
			for sent, status := range want {
				for name, value := range map[string]string{
					"X-Forwarded-Proto": sent, "Forwarded": "for=203.0.113.7;proto=" + sent,
				} {
					r := raw{method: "GET", target: "/proxied", header: http.Header{}}
					if sent != "" {
						r.header.Set(name, value)
					}
					if name == "Forwarded" && strings.Contains(sent, ",") {
						continue // Forwarded uses another element
					}
					if a := send(t, s, r); a.status != status {
						t.Errorf("trusted: %v, %s: %q: %d", trusted, name, value, a.status)
					}
				}
			}
		})
	}
}

// TestPolicyPrincipals: a bucket policy applies to the principals that had the
// names when it was written, and cannot name a missing principal.
func TestPolicyPrincipals(t *testing.T) {
	s := harness.Start(t)
	bucket, root, ctx := newBucket(t, s, "named"), rootIAM(s), t.Context()
	_, alice, name := newUser(t, s, "alice")
	statement := func(principal string) string {
		return fmt.Sprintf(
			`{"Effect":"Allow","Principal":{"AWS":"%s"},"Action":"s3:ListBucket","Resource":"arn:aws:s3:::named"}`,
			principal,
		)
	}
	for _, nobody := range []string{
		name + "x", "arn:aws:iam::" + accountOf(t, s, rootOf(s)) + ":role/none", "000000000000",
		"arn:aws:iam::000000000000:root", "AIDANOBODYNOBODYNOBOD",
	} {
		wantCode(t, putPolicy(t, s.S3, bucket, "%s", statement(nobody)), 400, "MalformedPolicy")
	}
	if err := putPolicy(t, s.S3, bucket, "%s", statement(name)); err != nil {
		t.Fatal(err)
	}
	can := func() bool { return statusOf(headBucket(t, alice, bucket)) == 200 }
	if !can() {
		t.Error("the named user is denied")
	}
	if _, err := root.UpdateUser(ctx, &iam.UpdateUserInput{
		UserName: aws.String("alice"), NewUserName: aws.String("alicia"),
	}); err != nil {
		t.Fatal(err)
	}
	if !can() {
		t.Error("the renamed user is denied")
	}
	if text := policyOf(t, s, bucket); text != `{"Version":"2012-10-17","Statement":[`+
		statement("arn:aws:iam::"+accountOf(t, s, rootOf(s))+":user/team/alicia")+`]}` {
		t.Error(text)
	}
	u, err := root.GetUser(ctx, &iam.GetUserInput{UserName: aws.String("alicia")})
	if err != nil {
		t.Fatal(err)
	}
	keys, err := root.ListAccessKeys(ctx, &iam.ListAccessKeysInput{UserName: aws.String("alicia")})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := root.DeleteAccessKey(ctx, &iam.DeleteAccessKeyInput{
		UserName: aws.String("alicia"), AccessKeyId: keys.AccessKeyMetadata[0].AccessKeyId,
	}); err != nil {
		t.Fatal(err)
	}
	if _, err := root.DeleteUser(ctx, &iam.DeleteUserInput{UserName: aws.String("alicia")}); err != nil {
		t.Fatal(err)
	}
	_, alice, _ = newUser(t, s, "alice")
	if can() {
		t.Error("a new user with her name is allowed")
	}
	_, alice, _ = newUser(t, s, "alicia")
	if can() {
		t.Error("a new user with her last name is allowed")
	}
	if text := policyOf(t, s, bucket); text != `{"Version":"2012-10-17","Statement":[`+statement(*u.User.UserId)+`]}` {
		t.Error(text)
	}
}

func headBucket(t testing.TB, c *s3.Client, bucket *string) error {
	t.Helper()
	_, err := c.HeadBucket(t.Context(), &s3.HeadBucketInput{Bucket: bucket})
	return err
}

func policyOf(t testing.TB, s *harness.Server, bucket *string) string {
	t.Helper()
	out, err := s.S3.GetBucketPolicy(t.Context(), &s3.GetBucketPolicyInput{Bucket: bucket})
	if err != nil {
		t.Fatal(err)
	}
	return *out.Policy
}

// inDays returns a date in the form of a retention header.
func inDays(n int) string { return time.Now().UTC().AddDate(0, 0, n).Format(time.RFC3339) }
