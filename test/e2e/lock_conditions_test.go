package e2e

import (
	"encoding/base64"
	"net/http"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"

	"watertight/test/harness"
)

// TestConditionsOfRetention: a policy that limits retentions limits them in every form of the date
// that S3 accepts, wherever the request has it. An invalid date gets 400.
func TestConditionsOfRetention(t *testing.T) {
	s := harness.Start(t)
	bucket := aws.String("bound")
	if _, err := s.S3.CreateBucket(t.Context(), &s3.CreateBucketInput{
		Bucket: bucket, ObjectLockEnabledForBucket: aws.Bool(true),
	}); err != nil {
		t.Fatal(err)
	}
	if a := send(t, s, raw{method: "PUT", target: "/bound/k", body: "x"}); a.status != 200 {
		t.Fatal(a.body)
	}
	now := time.Now().UTC()
	limit := now.AddDate(1, 0, 0).Format(time.RFC3339)
	if err := putPolicy(t, s.S3, bucket, `{"Effect":"Deny","Principal":"*","Action":"s3:PutObjectRetention",`+
		`"Resource":"arn:aws:s3:::bound/*",`+
		`"Condition":{"DateGreaterThan":{"s3:object-lock-retain-until-date":"%s"}}}`, limit); err != nil {
		t.Fatal(err)
	}
	const local = "2006-01-02T15:04:05"
	soon, late := now.AddDate(0, 0, 1), now.AddDate(2, 0, 0)
	for name, c := range map[string]struct {
		date   string
		status int
	}{
		"extended, late":       {late.Format(local) + "Z", 403},
		"basic, late":          {late.Format("20060102T150405Z"), 403},
		"comma, late":          {late.Format(local) + ",5Z", 403},
		"offset, late":         {late.Format(local) + "+23:59", 403},
		"nanoseconds, late":    {late.Format(local) + ".123456789Z", 403},
		"extended":             {soon.Format(local) + "Z", 200},
		"basic":                {soon.Format("20060102T150405Z"), 200},
		"no date":              {"tomorrow", 400},
		"seconds since 1970":   {"4102444800", 400},
		"a day":                {late.Format(time.DateOnly), 400},
		"beyond the year 9999": {"9999-12-31T23:59:59-23:59", 400},
		"before the year 0":    {"0000-01-01T00:00:00+23:59", 400},
	} {
		t.Run(name, func(t *testing.T) {
			for where, r := range retaining(t, s, c.date) {
				a := send(t, s, r)
				if a.status/100 == 2 {
					a.status = 200
				}
				if a.status != c.status {
					t.Errorf("%s: %s: %d %s", where, c.date, a.status, a.body)
				}
			}
		})
	}
}

// retaining returns every kind of request that can ask for a retention.
func retaining(t *testing.T, s *harness.Server, date string) map[string]raw {
	t.Helper()
	header := func(more ...string) http.Header {
		h := http.Header{
			"X-Amz-Object-Lock-Mode": {"GOVERNANCE"}, "X-Amz-Object-Lock-Retain-Until-Date": {date},
		}
		for i := 0; i < len(more); i += 2 {
			h.Set(more[i], more[i+1])
		}
		return h
	}
	sum := func(body string) string { return base64.StdEncoding.EncodeToString(md5Of(body)) }
	document := "<Retention><Mode>GOVERNANCE</Mode><RetainUntilDate>" + date + "</RetainUntilDate></Retention>"
	return map[string]raw{
		"PutObject": {
			method: "PUT", target: "/bound/put", body: "x", header: header("Content-Md5", sum("x")),
		},
		"CopyObject": {
			method: "PUT", target: "/bound/copy", header: header("X-Amz-Copy-Source", "/bound/k"),
		},
		"CreateMultipartUpload": {method: "POST", target: "/bound/parts?uploads", header: header()},
		"PutObjectRetention": {
			method: "PUT", target: "/bound/k?retention", body: document, header: http.Header{
				"Content-Md5": {sum(document)}, "X-Amz-Bypass-Governance-Retention": {"true"},
			},
		},
		"POST form": post{bucket: "bound", file: "x", fields: map[string]string{
			"x-amz-object-lock-mode": "GOVERNANCE", "x-amz-object-lock-retain-until-date": date,
			"Content-MD5": sum("x"),
		}}.build(t, s),
	}
}
