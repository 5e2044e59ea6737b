package e2e

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"

	"watertight/test/harness"
)

func putCORS(t *testing.T, s *harness.Server, bucket *string, rules ...types.CORSRule) error {
	t.Helper()
	_, err := s.S3.PutBucketCors(t.Context(), &s3.PutBucketCorsInput{
		Bucket: bucket, CORSConfiguration: &types.CORSConfiguration{CORSRules: rules},
	})
	return err
}

func TestBucketCors(t *testing.T) {
	s := harness.Start(t)
	bucket := newBucket(t, s, "cors")
	_, err := s.S3.GetBucketCors(t.Context(), &s3.GetBucketCorsInput{Bucket: bucket})
	wantCode(t, err, 404, "NoSuchCORSConfiguration")
	rule := types.CORSRule{
		ID: aws.String("one"), AllowedOrigins: []string{"https://a.example", "http://*.b.example"},
		AllowedMethods: []string{"GET", "PUT"},
		AllowedHeaders: []string{"x-amz-*", "Content-Type"}, ExposeHeaders: []string{"ETag"},
		MaxAgeSeconds: aws.Int32(0),
	}
	if err := putCORS(t, s, bucket, rule, types.CORSRule{
		AllowedOrigins: []string{"*"}, AllowedMethods: []string{"HEAD"},
	}); err != nil {
		t.Fatal(err)
	}
	got, err := s.S3.GetBucketCors(t.Context(), &s3.GetBucketCorsInput{Bucket: bucket})
	if err != nil || len(got.CORSRules) != 2 {
		t.Fatalf("%+v, %v", got, err)
	}
	r := got.CORSRules[0]
	if *r.ID != "one" || strings.Join(r.AllowedOrigins, " ") != "https://a.example http://*.b.example" ||
		strings.Join(r.AllowedMethods, " ") != "GET PUT" ||
		strings.Join(r.AllowedHeaders,
			" ") != "x-amz-* Content-Type" ||
		r.ExposeHeaders[0] != "ETag" ||
		r.MaxAgeSeconds == nil || *r.MaxAgeSeconds != 0 || got.CORSRules[1].MaxAgeSeconds != nil {
		t.Errorf("the rules are read as %+v", got.CORSRules)
	}
	wantCode(t,
		putCORS(t, s, bucket, types.CORSRule{
			AllowedOrigins: []string{"http://*.*"}, AllowedMethods: []string{"GET"},
		}), 400, "InvalidRequest")
	wantCode(t, putCORS(t, s, bucket, types.CORSRule{AllowedOrigins: []string{"*"}, AllowedMethods: []string{"PATCH"}}),
		400, "InvalidRequest")
	wantCode(t, putCORS(t, s, bucket, []types.CORSRule{}...), 400, "MalformedXML")
	wantCode(t, putCORS(t, s, aws.String("absent"), rule), 404, "NoSuchBucket")
	if _, err := s.S3.DeleteBucketCors(t.Context(), &s3.DeleteBucketCorsInput{Bucket: bucket}); err != nil {
		t.Fatal(err)
	}
	_, err = s.S3.GetBucketCors(t.Context(), &s3.GetBucketCorsInput{Bucket: bucket})
	wantCode(t, err, 404, "NoSuchCORSConfiguration")

	// A new bucket with the same name has none of the old rules.
	if err := putCORS(t, s, bucket, rule); err != nil {
		t.Fatal(err)
	}
	if _, err := s.S3.DeleteBucket(t.Context(), &s3.DeleteBucketInput{Bucket: bucket}); err != nil {
		t.Fatal(err)
	}
	newBucket(t, s, "cors")
	_, err = s.S3.GetBucketCors(t.Context(), &s3.GetBucketCorsInput{Bucket: bucket})
	wantCode(t, err, 404, "NoSuchCORSConfiguration")
}

// sharing returns the headers that an answer has only if a rule matches.
func sharing(h http.Header) string {
	var all []string
	for _, name := range []string{
		"Allow-Origin", "Allow-Methods", "Allow-Headers", "Expose-Headers", "Max-Age", "Allow-Credentials",
	} {
		if v := h.Values("Access-Control-" + name); len(v) > 0 {
			all = append(all, name+"="+strings.Join(v, "|"))
		}
	}
	if strings.Contains(h.Get("Vary"), "Origin") != (len(all) > 0) {
		all = append(all, "Vary="+h.Get("Vary"))
	}
	return strings.Join(all, "; ")
}

func TestPreflight(t *testing.T) {
	s := harness.Start(t)
	bucket := newBucket(t, s, "preflight")
	newBucket(t, s, "without")
	if err := putCORS(t, s, bucket,
		types.CORSRule{
			AllowedOrigins: []string{"https://a.example"}, AllowedMethods: []string{"GET", "PUT"},
			AllowedHeaders: []string{"x-amz-*"}, ExposeHeaders: []string{"ETag", "x-amz-id-2"},
			MaxAgeSeconds: aws.Int32(60),
		},
		types.CORSRule{AllowedOrigins: []string{"*"}, AllowedMethods: []string{"HEAD"}},
	); err != nil {
		t.Fatal(err)
	}
	yes := "Allow-Origin=https://a.example; Allow-Methods=GET, PUT; %sExpose-Headers=ETag, x-amz-id-2; Max-Age=60; " +
		"Allow-Credentials=true"
	plain := fmt.Sprintf(yes, "")
	for _, c := range []struct {
		name, target, origin, method, headers string
		want                                  int
		code, sharing                         string
	}{
		{"a yes", "/preflight/key", "https://a.example", "PUT", "", 200, "", plain},
		{"a key that does not exist", "/preflight/no/such/key", "https://a.example", "GET", "", 200, "", plain},
		{"the bucket itself", "/preflight", "https://a.example", "GET", "", 200, "", plain},
		{"a sub-resource", "/preflight/key?tagging", "https://a.example", "PUT", "", 200, "", plain},
		{
			"a presigned URL", "/preflight/key?X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=x&X-Amz-Signature=00",
			"https://a.example", "PUT", "", 200, "", plain,
		},
		{
			"headers", "/preflight/key", "https://a.example", "PUT", "X-Amz-Date,  x-amz-Meta-a", 200, "",
			fmt.Sprintf(yes, "Allow-Headers=x-amz-date, x-amz-meta-a; "),
		},
		{
			"any origin", "/preflight/key", "https://b.example", "HEAD", "", 200, "",
			"Allow-Origin=*; Allow-Methods=HEAD",
		},
		{
			"a header too many", "/preflight/key", "https://a.example", "PUT", "x-amz-date,authorization", 403,
			"AccessForbidden", "",
		},
		{"another origin", "/preflight/key", "https://b.example", "PUT", "", 403, "AccessForbidden", ""},
		{"another case", "/preflight/key", "https://A.example", "PUT", "", 403, "AccessForbidden", ""},
		{"another method", "/preflight/key", "https://a.example", "DELETE", "", 403, "AccessForbidden", ""},
		{"no method of S3", "/preflight/key", "https://a.example", "BREW", "", 400, "BadRequest", ""},
		{"no method", "/preflight/key", "https://a.example", "", "", 400, "BadRequest", ""},
		{"no origin", "/preflight/key", "", "PUT", "", 400, "BadRequest", ""},
		{"no rules", "/without/key", "https://a.example", "PUT", "", 403, "AccessForbidden", ""},
		{"no rules, no method", "/without/key", "https://a.example", "", "", 403, "AccessForbidden", ""},
		{"no bucket", "/absent/key", "https://a.example", "PUT", "", 403, "AccessForbidden", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			h := http.Header{}
			for name, v := range map[string]string{
				"Origin": c.origin, "Access-Control-Request-Method": c.method,
				"Access-Control-Request-Headers": c.headers,
			} {
				if v != "" {
					h.Set(name, v)
				}
			}
			a := send(t, s, raw{method: "OPTIONS", target: c.target, header: h, unsigned: true})
			if a.status != c.want || a.code != c.code || sharing(a.header) != c.sharing {
				t.Errorf("%s: %d %s %q, want %d %s %q\n%s", c.name, a.status, a.code, sharing(a.header), c.want, c.code,
					c.sharing, a.body)
			}
			if c.code == "AccessForbidden" && !strings.Contains(a.body, "<Message>CORSResponse: ") {
				t.Errorf("%s: %s", c.name, a.body)
			}
		})
	}
	a := send(t, s, raw{
		method: "OPTIONS", target: "/without", header: http.Header{"Origin": {"https://a.example"}}, unsigned: true,
	})
	if !strings.Contains(a.body, "<Method>OPTIONS</Method><ResourceType>BUCKET</ResourceType>") {
		t.Errorf("the members are wrong: %s", a.body)
	}
}

// TestCrossOriginAnswers: a match adds headers to an answer, errors included,
// and never allows a request.
func TestCrossOriginAnswers(t *testing.T) {
	s := harness.Start(t)
	bucket := newBucket(t, s, "answers")
	if _, err := s.S3.PutObject(t.Context(), &s3.PutObjectInput{
		Bucket: bucket, Key: aws.String("k"), Body: strings.NewReader("x"),
	}); err != nil {
		t.Fatal(err)
	}
	if err := putCORS(t, s, bucket, types.CORSRule{
		AllowedOrigins: []string{"https://*.example"}, AllowedMethods: []string{"GET"}, AllowedHeaders: []string{"*"},
	}); err != nil {
		t.Fatal(err)
	}
	match := "Allow-Origin=https://a.example; Allow-Methods=GET; Allow-Credentials=true"
	for _, c := range []struct {
		name    string
		r       raw
		origin  []string
		want    int
		sharing string
	}{
		{"a match", raw{method: "GET", target: "/answers/k"}, []string{"https://a.example"}, 200, match},
		{"a listing", raw{method: "GET", target: "/answers"}, []string{"https://a.example"}, 200, match},
		{"an error", raw{method: "GET", target: "/answers/absent"}, []string{"https://a.example"}, 404, match},
		{
			"a refusal", raw{method: "GET", target: "/answers/k", unsigned: true}, []string{"https://a.example"}, 403,
			match,
		},
		{
			"a wrong signature", raw{method: "GET", target: "/answers/k", breakSignature: true},
			[]string{"https://a.example"}, 403, match,
		},
		{
			"304", raw{method: "GET", target: "/answers/k", header: http.Header{"If-None-Match": {"*"}}},
			[]string{"https://a.example"}, 304, match,
		},
		{"no origin", raw{method: "GET", target: "/answers/k"}, nil, 200, ""},
		{"another origin", raw{method: "GET", target: "/answers/k"}, []string{"http://a.example"}, 200, ""},
		{"another method", raw{method: "HEAD", target: "/answers/k"}, []string{"https://a.example"}, 200, ""},
		{
			"two origins", raw{method: "GET", target: "/answers/k"}, []string{"https://a.example", "https://b.example"},
			200, "",
		},
		{"no bucket", raw{method: "GET", target: "/absent/k"}, []string{"https://a.example"}, 404, ""},
		{"the service", raw{method: "GET", target: "/"}, []string{"https://a.example"}, 200, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			if c.r.header == nil {
				c.r.header = http.Header{}
			}
			if c.origin != nil {
				c.r.header["Origin"] = c.origin
			}
			if a := send(t, s, c.r); a.status != c.want || sharing(a.header) != c.sharing {
				t.Errorf("%s: %d %q, want %d %q", c.name, a.status, sharing(a.header), c.want, c.sharing)
			}
		})
	}
}
