package e2e

import (
	"compress/gzip"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/cloudfront/types"
	"github.com/aws/aws-sdk-go-v2/service/s3"

	"watertight/internal/operator"
	"watertight/test/harness"
)

// logged makes the site's distribution write its access log into the bucket logs, below cdn/.
// The policies of the buckets let the log delivery do everything.
func (s *oacSite) logged(buckets ...string) {
	s.t.Helper()
	for _, bucket := range append(buckets, "logs") {
		newBucket(s.t, s.Server, bucket)
		_, err := s.S3.PutBucketPolicy(s.t.Context(), &s3.PutBucketPolicyInput{
			Bucket: &bucket, Policy: aws.String(statements(`{"Effect":"Allow","Principal":{"Service":` +
				`"delivery.logs.amazonaws.com"},"Action":"s3:*","Resource":["arn:aws:s3:::` + bucket +
				`","arn:aws:s3:::` + bucket + `/*"],"Condition":{"StringEquals":{"aws:SourceAccount":"` + s.account +
				`"}}}`)),
		})
		s.ok(err)
	}
	s.changed(func(d *types.DistributionConfig) {
		d.Logging = &types.LoggingConfig{
			Enabled: aws.Bool(true), IncludeCookies: aws.Bool(false), Bucket: aws.String("logs.s3.amazonaws.com"),
			Prefix: aws.String("cdn/"),
		}
	})
}

// TestFarEdgeAccessLogs: what viewers ask an edge on another machine reaches the logging bucket.
func TestFarEdgeAccessLogs(t *testing.T) {
	s := newOACSite(t)
	s.policy("AWS:SourceArn", *s.own.Distribution.ARN, "s3:GetObject")
	s.logged()
	e := s.newFarEdge("berlin")
	e.get(t, s.own.Distribution, "/page", 200)
	e.stop() // which delivers what it has
	list, err := s.S3.ListObjectsV2(t.Context(), &s3.ListObjectsV2Input{Bucket: aws.String("logs")})
	s.ok(err)
	if len(list.Contents) != 1 || !strings.HasPrefix(*list.Contents[0].Key, "cdn/"+*s.own.Distribution.Id+".") {
		t.Fatalf("%v", list.Contents)
	}
	out, err := s.S3.GetObject(t.Context(), &s3.GetObjectInput{
		Bucket: aws.String("logs"), Key: list.Contents[0].Key,
	})
	s.ok(err)
	defer out.Body.Close()
	z, err := gzip.NewReader(out.Body)
	s.ok(err)
	text, err := io.ReadAll(z)
	s.ok(err)
	if !strings.Contains(string(text), "\t/page\t200\t") {
		t.Errorf("%s", text)
	}
}

// TestStolenEdgeCredentialDeliversLogs: the credential of an edge can add log files of its
// distributions, and is refused everything else as the log delivery, although the bucket
// policies allow that service everything.
func TestStolenEdgeCredentialDeliversLogs(t *testing.T) {
	s := newOACSite(t)
	own := *s.own.Distribution.Id
	s.logged("second")
	other := *s.newDistribution(with(s.control), func(d *types.DistributionConfig) {
		d.Logging = &types.LoggingConfig{
			Enabled: aws.Bool(true), IncludeCookies: aws.Bool(false), Bucket: aws.String("logs.s3.amazonaws.com"),
			Prefix: aws.String("cdn/"),
		}
	}).Distribution.Id
	silent := *s.newDistribution(with(s.control)).Distribution.Id
	made, err := operator.Dial(s.Data).EnrollEdge(t.Context(), operator.EdgeCommand{
		Name: "stolen", AccountID: s.account, Distributions: []string{own, silent},
	})
	s.ok(err)
	key := harness.Credentials{AccessKeyID: made.AccessKeyID, SecretAccessKey: made.SecretAccessKey}
	file := func(id, unique string) string { return "cdn/" + id + ".2026-05-01-12." + unique + ".gz" }
	for _, c := range []struct {
		name, id, method, target string
		header                   http.Header
		want                     int
	}{
		{"a file of its own", own, "PUT", "/logs/" + file(own, "00000001"), nil, 200},
		{"the same again", own, "PUT", "/logs/" + file(own, "00000001"), nil, 412},
		{"without the condition", own, "PUT", "/logs/" + file(own, "00000001"), http.Header{"If-None-Match": {}}, 403},
		{"another bucket", own, "PUT", "/second/" + file(own, "00000002"), nil, 403},
		{"the origin's bucket", own, "PUT", "/bkt/" + file(own, "00000002"), nil, 403},
		{"another prefix", own, "PUT", "/logs/x" + file(own, "00000002"), nil, 403},
		{"no prefix", own, "PUT", "/logs/" + strings.TrimPrefix(file(own, "00000002"), "cdn/"), nil, 403},
		{"another name", own, "PUT", "/logs/cdn/" + own + ".html", nil, 403},
		{"a name of another distribution", own, "PUT", "/logs/" + file(other, "00000002"), nil, 403},
		{"another distribution", other, "PUT", "/logs/" + file(other, "00000002"), nil, 403},
		{"a distribution without logs", silent, "PUT", "/logs/" + file(silent, "00000002"), nil, 403},
		{"no distribution", "", "PUT", "/logs/" + file(own, "00000002"), nil, 403},
		{"GET", own, "GET", "/logs/" + file(own, "00000001"), nil, 403},
		{"HEAD", own, "HEAD", "/logs/" + file(own, "00000001"), nil, 403},
		{"DELETE", own, "DELETE", "/logs/" + file(own, "00000001"), nil, 403},
		{"POST", own, "POST", "/logs/" + file(own, "00000001") + "?uploads", nil, 403},
		{"a list", own, "GET", "/logs?list-type=2", nil, 403},
		{"an ACL", own, "PUT", "/logs/" + file(own, "00000001") + "?acl", nil, 403},
		{"tags", own, "PUT", "/logs/" + file(own, "00000002"), http.Header{"X-Amz-Tagging": {"a=b"}}, 403},
		{"a copy", own, "PUT", "/logs/" + file(own, "00000002"), http.Header{"X-Amz-Copy-Source": {"bkt/page"}}, 403},
		{"a lock", own, "PUT", "/logs/" + file(own, "00000002"), http.Header{
			"X-Amz-Object-Lock-Legal-Hold": {"ON"},
		}, 403},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := raw{method: c.method, target: c.target, header: http.Header{
				"If-None-Match": {"*"}, "X-Amz-Security-Token": {"logs/" + c.id},
			}}
			for name, values := range c.header {
				r.header[name] = values
			}
			if c.method == "PUT" {
				r.body = "lines"
			}
			by(key)(&r)
			if a := send(t, s.Server, r); a.status != c.want {
				t.Errorf("%d %s, want %d", a.status, a.body, c.want)
			}
		})
	}
}
