package sigv4

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"

	"watertight/internal/fault"
)

// serviceRequest returns a request to IAM that is correctly signed without an SDK, in its header or in its
// query; change changes it afterwards.
func serviceRequest(
	t *testing.T, presigned bool, change func(h http.Header, q map[string]string),
) (*http.Request, string) {
	t.Helper()
	const scope = "20130524/us-east-1/iam/aws4_request"
	sign := func(canonical string) string {
		key := DeriveKey(testSecret, "20130524", testRegion, "iam")
		return hmacHex(key[:], "AWS4-HMAC-SHA256\n"+testTime+"\n"+scope+"\n"+sha(canonical))
	}
	r := request(t, "GET", "/", "Host: h")
	q := map[string]string{"Action": "ListUsers", "Version": "2010-05-08"}
	if presigned {
		q = map[string]string{
			"Action": "ListUsers", "Version": "2010-05-08", "X-Amz-Algorithm": "AWS4-HMAC-SHA256",
			"X-Amz-Credential": testID + "%2F" + strings.ReplaceAll(scope, "/", "%2F"), "X-Amz-Date": testTime,
			"X-Amz-SignedHeaders": "host",
		}
		q["X-Amz-Signature"] = sign("GET\n/\n" + queryText(q) + "\nhost:h\n\nhost\n" + emptySum)
	} else {
		r.Header.Set("X-Amz-Date", testTime)
		r.Header.Set("Authorization",
			"AWS4-HMAC-SHA256 Credential="+testID+"/"+scope+", SignedHeaders=host;x-amz-date, Signature="+
				sign("GET\n/\n"+queryText(q)+"\nhost:h\nx-amz-date:"+testTime+"\n\nhost;x-amz-date\n"+emptySum))
	}
	if change != nil {
		change(r.Header, q)
	}
	return r, queryText(q)
}

// queryText returns a query in the order of its names.
func queryText(q map[string]string) string {
	var parts []string
	for _, name := range []string{
		"Action", "Extra", "Version", "X-Amz-Algorithm", "X-Amz-Credential", "X-Amz-Date", "X-Amz-Expires",
		"X-Amz-Security-Token", "X-Amz-Signature", "X-Amz-SignedHeaders",
	} {
		if v, ok := q[name]; ok {
			parts = append(parts, name+"="+v)
		}
	}
	return strings.Join(parts, "&")
}

// TestServices: correct signatures for services other than S3 are accepted, and others are refused with
// AWS's messages.
func TestServices(t *testing.T) {
	auth := func(old, with string) func(http.Header, map[string]string) {
		return func(h http.Header, _ map[string]string) {
			h.Set("Authorization", strings.Replace(h.Get("Authorization"), old, with, 1))
		}
	}
	header := func(name, value string) func(http.Header, map[string]string) {
		return func(h http.Header, _ map[string]string) { h.Set(name, value) }
	}
	param := func(name, value string) func(http.Header, map[string]string) {
		return func(_ http.Header, q map[string]string) {
			if q[name] = value; value == "" {
				delete(q, name)
			}
		}
	}
	const wrong, half = "SignatureDoesNotMatch: ", "IncompleteSignature: "
	for name, c := range map[string]struct {
		presigned bool
		change    func(http.Header, map[string]string)
		after     time.Duration
		kind      fault.Kind
		want      string // the beginning of code and message
	}{
		"right":                     {},
		"headers that mean nothing": {change: header("X-Amz-Copy-Source", "a/b")},
		"almost old":                {after: MaxSkew},
		"almost early":              {after: -MaxSkew},
		"presigned":                 {presigned: true},
		// it was not signed
		"presigned, an expiry": {
			presigned: true, change: param("X-Amz-Expires", "60"), after: time.Second, kind: fault.KindDenied,
			want: wrong + "The request",
		},

		"no scheme": {
			change: auth("AWS4-HMAC-SHA256 ", ""), kind: fault.KindDenied,
			want: "MissingAuthenticationToken: Request is missing",
		},
		"another scheme": {
			change: auth("AWS4-HMAC-SHA256", "Bearer"), kind: fault.KindDenied,
			want: "MissingAuthenticationToken: Request is missing",
		},
		"version 2": {
			change: auth("AWS4-HMAC-SHA256", "AWS"), kind: fault.KindInvalid,
			want: half + "AWS Signature Version 2 is not supported.",
		},
		"malformed": {
			change: auth("SignedHeaders=", "SignedHeaders-"), kind: fault.KindInvalid,
			want: half + `Authorization component "SignedHeaders-host;x-amz-date" is malformed.`,
		},
		"a component twice": {
			change: auth(", SignedHeaders=", ", Signature=a, SignedHeaders="), kind: fault.KindInvalid,
			want: half + "Authorization component \"Signature=",
		},
		"no credential": {
			change: auth("Credential=", "X="), kind: fault.KindInvalid,
			want: half +
				"Authorization header requires 'Credential' parameter. (Hashed with SHA-256 and encoded with Base64) " +
				"Authorization=",
		},
		"no date": {
			change: header("X-Amz-Date", ""), kind: fault.KindInvalid,
			want: half + "Authorization header requires existence of either",
		},
		"odd date": {
			change: header("X-Amz-Date", "03032006"), kind: fault.KindInvalid,
			want: half + "Date must be in ISO-8601 'basic format'. Got '03032006'.",
		},
		"six parts": {
			change: auth("/iam/", "/iam/x/"), kind: fault.KindInvalid,
			want: half + "Credential must have exactly 5 slash-delimited elements",
		},
		"terminator": {
			change: auth("aws4_request", "aws_request"), kind: fault.KindDenied,
			want: wrong + "Credential should be scoped with a valid terminator",
		},
		"service": {
			change: auth("/iam/", "/s3/"), kind: fault.KindInvalid,
			want: wrong + "Credential should be scoped to correct service: 'iam'.",
		},
		"region": {
			change: auth("us-east-1", "eu-west-1"), kind: fault.KindDenied,
			want: wrong + "Credential should be scoped to a valid region.",
		},
		"another day": {
			change: auth("/20130524/", "/20130523/"), kind: fault.KindInvalid, want: wrong + "Date in Credential scope",
		},
		"unsigned host": {
			change: auth("host;", ""), kind: fault.KindDenied, want: wrong + "'Host' or ':authority'",
		},
		"old": {
			after: MaxSkew + time.Second, kind: fault.KindDenied,
			want: wrong +
				"Signature expired: 20130524T000000Z is now earlier than 20130524T000001Z (20130524T001501Z - 15 min.)",
		},
		"early": {
			after: -MaxSkew - time.Second, kind: fault.KindDenied,
			want: wrong +
				"Signature not yet current: 20130524T000000Z is still later than 20130523T235959Z (20130523T234459Z " +
				"+ 15 min.)",
		},
		"garbage": {
			change: auth("Signature=", "Signature=0"), kind: fault.KindDenied,
			want: wrong + "The request signature we calculated",
		},
		"an added parameter": {
			change: param("Extra", "1"), kind: fault.KindDenied, want: wrong + "The request signature we calculated",
		},

		"presigned, no algorithm": {
			presigned: true, change: param("X-Amz-Algorithm", ""), kind: fault.KindDenied,
			want: "MissingAuthenticationToken: Request is missing",
		},
		"presigned, another": {
			presigned: true, change: param("X-Amz-Algorithm", "AWS4-ECDSA-P256-SHA256"), kind: fault.KindDenied,
			want: "MissingAuthenticationToken: Missing Authentication Token",
		},
		"presigned, no signature": {
			presigned: true, change: param("X-Amz-Signature", ""), kind: fault.KindInvalid,
			want: half + "AWS query-string parameters must include 'X-Amz-Signature'.",
		},
		"presigned, odd date": {
			presigned: true, change: param("X-Amz-Date", "03032006"), kind: fault.KindInvalid,
			want: half + "Date must be in ISO-8601",
		},
		"presigned, odd expiry": {
			presigned: true, change: param("X-Amz-Expires", "x"), kind: fault.KindInvalid,
			want: "AuthorizationQueryParametersError: ",
		},
		"presigned, short": {
			presigned: true, change: param("X-Amz-Expires", "5"), after: 6 * time.Second, kind: fault.KindDenied,
			want: wrong +
				"Signature expired: 20130524T000000Z is now earlier than 20130524T000001Z (20130524T000006Z - 5 sec.)",
		},
		"presigned for a week is not": {
			presigned: true, change: param("X-Amz-Expires", "604800"), after: MaxSkew + time.Second,
			kind: fault.KindDenied, want: wrong + "Signature expired",
		},
		"presigned, another parameter": {
			presigned: true, change: param("Extra", "1"), kind: fault.KindDenied,
			want: wrong + "The request signature we calculated",
		},
	} {
		t.Run(name, func(t *testing.T) {
			r, query := serviceRequest(t, c.presigned, c.change)
			claim, err := Parse(r,
				Target{
					Path: "/", Query: query, Service: "iam", Rules: FormRules, Region: "eu-north-1",
					Elsewhere: testRegion,
				}, testNow().Add(c.after))
			if err == nil {
				err = claim.Verify(DeriveKey(testSecret, "20130524", testRegion, "iam"))
			}
			got := ""
			if err != nil {
				f := fault.From(err)
				if got = string(f.Code) + ": " + f.Message; f.Kind != c.kind {
					t.Errorf("%s: kind %d", name, f.Kind)
				}
			}
			if !strings.HasPrefix(got, c.want) || c.want == "" && got != "" {
				t.Errorf("%s:\ngot  %s\nwant %s", name, got, c.want)
			}
			if strings.Contains(got, testSecret) ||
				claim != nil && claim.Signature != "" && strings.Contains(got, claim.Signature) &&
					name != "a component twice" {
				t.Errorf("%s reveals too much: %s", name, got)
			}
		})
	}
}

// TestHeadersOfServicesThatReadThem: a header that selects the operation must be
// signed.
func TestHeadersOfServicesThatReadThem(t *testing.T) {
	for _, service := range []string{"kms", "cloudfront"} {
		t.Run(service, func(t *testing.T) {
			r := request(t, "POST", "/", "Host: h", "X-Amz-Date: "+testTime, "X-Amz-Target: TrentService.Decrypt",
				"Authorization: AWS4-HMAC-SHA256 Credential="+testID+"/20130524/us-east-1/"+service+
					"/aws4_request, SignedHeaders=host;x-amz-date, Signature="+strings.Repeat("a", 64))
			_, err := Parse(r, Target{Path: "/", Service: service, Rules: APIRules, Region: testRegion}, testNow())
			if code(err) != "AccessDenied" {
				t.Errorf("%s accepts an unsigned header: %v", service, err)
			}
		})
	}
}

// TestPathsOfServices: services other than S3 sign the path as it was sent, encoded again.
// The signer is AWS's own.
func TestPathsOfServices(t *testing.T) {
	for _, path := range []string{
		"/", "/2020-05-31/distribution", "/2020-05-31/a%2Fb/arn%3Aaws%3Ax", "/2020-05-31/a+b", "/2020-05-31/a:b@c",
		"/2020-05-31/%C3%A4",
	} {
		t.Run(path, func(t *testing.T) {
			r, err := http.NewRequest("GET", "http://h:9000"+path+"?WithTags", nil)
			if err != nil {
				t.Fatal(err)
			}
			cred := aws.Credentials{AccessKeyID: testID, SecretAccessKey: testSecret}
			err = v4.NewSigner().SignHTTP(t.Context(), cred, r, emptySum, "cloudfront", "us-east-1", testNow())
			if err != nil {
				t.Fatal(err)
			}
			target := Target{
				Path: path, Query: "WithTags", Service: "cloudfront", Rules: APIRules, Region: "eu-west-1",
				Elsewhere: "us-east-1",
			}
			r.Header.Del("X-Amz-Content-Sha256")
			c, err := Parse(r, target, testNow())
			if err != nil {
				t.Fatal(err)
			}
			if err := c.Verify(DeriveKey(testSecret, c.Date, c.Region, c.Service)); err != nil {
				t.Error(err)
			}
		})
	}
}
