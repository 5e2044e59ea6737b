package e2e

import (
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"

	"watertight/internal/gateway/dialect"
	"watertight/test/harness"
)

// TestExpectedOwner: every operation on a bucket is refused if the client expects another owner.
func TestExpectedOwner(t *testing.T) {
	s := harness.Start(t)
	newBucket(t, s, "owned")
	if a := send(t, s, raw{method: "PUT", target: "/owned/object", body: "x"}); a.status != 200 {
		t.Fatal(a.status)
	}
	for _, row := range s.Operations("s3") {
		at := row.Route()
		if !strings.Contains(at.String(), "{Bucket}") || row.Name() == "CreateBucket" ||
			at.Sender() == dialect.Preflight {
			continue // no bucket, not yet a bucket, or no caller who could expect an owner
		}
		for owner, want := range map[string]string{
			"000000000000": "AccessDenied", "abc": "InvalidBucketOwnerAWSAccountID",
		} {
			t.Run(owner, func(t *testing.T) {
				r := request(row, "owned")
				r.header.Set("X-Amz-Expected-Bucket-Owner", owner)
				if at.Sender() == dialect.SignedForm {
					r = post{bucket: "owned", fields: map[string]string{"x-amz-expected-bucket-owner": owner}}.build(t,
						s)
				}
				a := send(t, s, r)
				// An operation may first report missing parameters.
				if a.status/100 != 4 || !strings.Contains(at.String(), "?") && at.Method() != "HEAD" && a.code != want {
					t.Errorf("%s expects %s: %d %s, want %s", row.Name(), owner, a.status, a.code, want)
				}
			})
		}
	}
	if a := send(t, s, raw{method: "GET", target: "/owned/object"}); a.status != 200 || a.body != "x" {
		t.Errorf("the object is now %d %q", a.status, a.body)
	}
}

func TestRequestPayment(t *testing.T) {
	s := harness.Start(t)
	bucket := newBucket(t, s, "payment")
	put := func(bucket *string, payer types.Payer) error {
		_, err := s.S3.PutBucketRequestPayment(t.Context(), &s3.PutBucketRequestPaymentInput{
			Bucket: bucket, RequestPaymentConfiguration: &types.RequestPaymentConfiguration{Payer: payer},
		})
		return err
	}
	if err := put(bucket, types.PayerBucketOwner); err != nil {
		t.Error(err)
	}
	wantCode(t, put(bucket, types.PayerRequester), 501, "NotImplemented")
	wantCode(t, put(bucket, "Nobody"), 400, "MalformedXML")
	wantCode(t, put(aws.String("absent"), types.PayerBucketOwner), 404, "NoSuchBucket")
	out, err := s.S3.GetBucketRequestPayment(t.Context(), &s3.GetBucketRequestPaymentInput{Bucket: bucket})
	if err != nil || out.Payer != types.PayerBucketOwner {
		t.Errorf("%+v, %v", out, err)
	}
	list, err := s.S3.ListObjectsV2(t.Context(), &s3.ListObjectsV2Input{
		Bucket: bucket, RequestPayer: types.RequestPayerRequester,
	})
	if err != nil || list.RequestCharged != "" {
		t.Errorf("a client that would pay: %+v, %v", list, err)
	}
}
