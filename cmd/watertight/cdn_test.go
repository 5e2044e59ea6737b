package main

import (
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"

	"watertight/internal/operator"
	"watertight/internal/server"
	"watertight/test/harness"
)

// cdnConsole is a console of a server with a CDN, and buckets with an index page.
func cdnConsole(t *testing.T, buckets ...string) console {
	t.Helper()
	o := console{t, harness.Start(t, func(c *server.Config) { c.CDN.Listen = "127.0.0.1:0" })}
	for _, name := range buckets {
		if _, err := o.s.S3.CreateBucket(t.Context(), &s3.CreateBucketInput{Bucket: &name}); err != nil {
			t.Fatal(err)
		}
		o.page(name, "hello from "+name)
	}
	return o
}

func (o console) page(bucket, text string) {
	o.t.Helper()
	_, err := o.s.S3.PutObject(o.t.Context(), &s3.PutObjectInput{
		Bucket: &bucket, Key: aws.String("index.html"), Body: strings.NewReader(text),
	})
	if err != nil {
		o.t.Fatal(err)
	}
}

func (o console) policyOf(bucket string) string {
	o.t.Helper()
	p, err := o.s.S3.GetBucketPolicy(o.t.Context(), &s3.GetBucketPolicyInput{Bucket: &bucket})
	if err != nil {
		o.t.Fatal(err)
	}
	return *p.Policy
}

// view returns what a viewer gets for a path of the CDN, by a host name.
func (o console) view(host, path string) (int, string) {
	o.t.Helper()
	r, err := http.NewRequestWithContext(o.t.Context(), http.MethodGet, o.s.CDN()+path, nil)
	if err != nil {
		o.t.Fatal(err)
	}
	r.Host = host
	resp, err := o.s.HTTP.RoundTrip(r)
	if err != nil {
		o.t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		o.t.Fatal(err)
	}
	return resp.StatusCode, string(body)
}

// TestCDN: one command serves a private bucket, a purge shows a new page, and cdn status shows
// the distribution.
func TestCDN(t *testing.T) {
	o := cdnConsole(t, "site")
	before := `{"Version":"2012-10-17","Id":"mine",
		"Statement":{"Effect":"Deny","Principal":"*","Action":"s3:DeleteObject","Resource":"arn:aws:s3:::site/*"}}`
	_, err := o.s.S3.PutBucketPolicy(t.Context(), &s3.PutBucketPolicyInput{Bucket: aws.String("site"), Policy: &before})
	if err != nil {
		t.Fatal(err)
	}
	o.says(exitOK, "there are no distributions|edge listens on 127.0.0.1:", "cdn", "status")
	out := o.run(exitOK, "cdn", "create", "--bucket", "s3://site", "--alias", "www.example.com")
	for _, words := range []string{
		"serves the bucket site\n", "http://www.example.com:", ".cloudfront.net:", "http://127.0.0.1:",
		"without DNS", "added to the bucket's policy", "let the DNS records of www.example.com point",
	} {
		if !strings.Contains(out, words) {
			t.Errorf("it does not say %q:\n%s", words, out)
		}
	}
	var s operator.CDNStatus
	if err := json.Unmarshal([]byte(o.run(exitOK, "cdn", "status", "--json")), &s); err != nil {
		t.Fatal(err)
	}
	d := s.Distributions[0]
	if len(s.Distributions) != 1 || d.AccountID != o.account() || d.Status != "Deployed" || d.Protocol != "allow-all" {
		t.Errorf("the status is %+v", s)
	}
	if p := o.policyOf("site"); !strings.Contains(p, `"Id":"mine"`) || !strings.Contains(p, "s3:DeleteObject") ||
		!strings.Contains(p, d.ID) {
		t.Errorf("the policy is %s", p)
	}
	if o.stranger("site") != http.StatusForbidden {
		t.Error("the bucket is open")
	}
	shows := func(host, path, want string) {
		t.Helper()
		if status, body := o.view(host, path); status != http.StatusOK || body != want {
			t.Errorf("%s%s: %d %s", host, path, status, body)
		}
	}
	shows("www.example.com", "/", "hello from site")
	shows(d.DomainName, "/index.html", "hello from site")
	shows("127.0.0.1", "/_/"+d.ID+"/", "hello from site")
	o.page("site", "anew")
	shows("www.example.com", "/", "hello from site")
	o.says(exitOK, "invalidation I|is complete", "cdn", "purge", d.ID)
	shows("www.example.com", "/", "anew")
	o.page("site", "again")
	o.says(exitOK, "is complete", "cdn", "purge", d.ID, "/other", "/index.html", "/")
	shows("www.example.com", "/", "again")
	o.says(exitOK, d.ID+"|Deployed|www.example.com,"+d.DomainName+"|site.s3.amazonaws.com|serves 1 distributions",
		"cdn", "status", d.ID)
	after := o.policyOf("site")
	o.says(exitOK, d.ID+"|already; nothing was changed", "cdn", "create", "--bucket", "site")
	if o.policyOf("site") != after {
		t.Error("the policy was changed")
	}
	o.says(exitFailure, "NoSuchBucket", "cdn", "create", "--bucket", "nothing")
	o.says(exitFailure, "NoSuchEntity", "cdn", "create", "--bucket", "site", "--account", "999999999999")
	o.says(exitFailure, "NoSuchDistribution", "cdn", "purge", "E0000000000000")
	o.says(exitFailure, "NoSuchDistribution", "cdn", "status", "E0000000000000")
	o.says(exitFailure, "InvalidArgument", "cdn", "purge", d.ID, "no-slash")
}

// TestCDNRefusals: a refused command stores nothing.
func TestCDNRefusals(t *testing.T) {
	o := cdnConsole(t, "site", "other")
	o.run(exitOK, "cdn", "create", "--bucket", "other", "--alias", "www.example.com")
	o.says(exitFailure, "CNAMEAlreadyExists", "cdn", "create", "--bucket", "site", "--alias", "www.example.com")
	o.says(exitFailure, "InvalidArgument", "cdn", "create", "--bucket", "site", "--alias", "no name")
	o.says(exitFailure, "InvalidDefaultRootObject", "cdn", "create", "--bucket", "site", "--root-object", "/x")
	if _, err := o.s.S3.GetBucketPolicy(t.Context(), &s3.GetBucketPolicyInput{Bucket: aws.String("site")}); err == nil {
		t.Error("the bucket has a policy")
	}
	if out := o.run(exitOK, "cdn", "status"); strings.Count(out, "site.s3") > 0 {
		t.Errorf("there is\n%s", out)
	}
}

// TestCDNFullPolicy: a policy that has no room for the statement stays as it is. The
// distribution is created without access, and the command prints the statement that it needs.
func TestCDNFullPolicy(t *testing.T) {
	o := cdnConsole(t, "site")
	full := `{"Version":"2012-10-17","Statement":[{"Sid":"` + strings.Repeat("x", 20_250) +
		`","Effect":"Deny","Principal":"*","Action":"s3:DeleteObject","Resource":"arn:aws:s3:::site/*"}]}`
	_, err := o.s.S3.PutBucketPolicy(t.Context(), &s3.PutBucketPolicyInput{Bucket: aws.String("site"), Policy: &full})
	if err != nil {
		t.Fatal(err)
	}
	words := `maximum allowed document size|Put this statement into it|"AWS:SourceArn":"arn:aws:cloudfront::|403`
	o.says(exitFailure, words, "cdn", "create", "--bucket", "site")
	if o.policyOf("site") != full {
		t.Error("the policy was changed")
	}
	var s operator.CDNStatus
	if err := json.Unmarshal([]byte(o.run(exitOK, "cdn", "status", "--json")), &s); err != nil {
		t.Fatal(err)
	}
	if status, _ := o.view(s.Distributions[0].DomainName, "/"); status != http.StatusForbidden {
		t.Errorf("the CDN answers %d", status)
	}
}

// TestCDNUnderKMS: objects under a customer's own key are served once the key's policy has its
// statement.
func TestCDNUnderKMS(t *testing.T) {
	for _, c := range []struct {
		name   string
		flags  []string
		says   string
		status int
	}{
		{"without a statement", nil, "needs this statement", http.StatusForbidden},
		{"with --key-policy", []string{"--key-policy"}, "added to the policy of the key", http.StatusOK},
	} {
		t.Run(c.name, func(t *testing.T) {
			o := cdnConsole(t, "site")
			key := newKey(t, o.s)
			_, err := o.s.S3.PutBucketEncryption(t.Context(), &s3.PutBucketEncryptionInput{
				Bucket: aws.String("site"), ServerSideEncryptionConfiguration: &types.ServerSideEncryptionConfiguration{
					Rules: []types.ServerSideEncryptionRule{{
						ApplyServerSideEncryptionByDefault: &types.ServerSideEncryptionByDefault{
							SSEAlgorithm: types.ServerSideEncryptionAwsKms, KMSMasterKeyID: &key,
						},
					}},
				},
			})
			if err != nil {
				t.Fatal(err)
			}
			o.page("site", "sealed")
			create := append([]string{"cdn", "create", "--bucket", "site"}, c.flags...)
			o.says(exitOK, key+"|kms:Decrypt|"+c.says, create...)
			var s operator.CDNStatus
			if err := json.Unmarshal([]byte(o.run(exitOK, "cdn", "status", "--json")), &s); err != nil {
				t.Fatal(err)
			}
			if status, body := o.view(s.Distributions[0].DomainName, "/"); status != c.status {
				t.Errorf("the CDN answers %d %s", status, body)
			}
		})
	}
}
