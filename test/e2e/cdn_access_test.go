package e2e

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/cloudfront"
	"github.com/aws/aws-sdk-go-v2/service/cloudfront/types"
	"github.com/aws/aws-sdk-go-v2/service/kms"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	s3types "github.com/aws/aws-sdk-go-v2/service/s3/types"
)

const cachingDisabled = "4135ea2d-6df8-44a3-9df3-4b5a84be39ad"

// The bucket's policy decides which distribution reads it, and nobody else can read it.
func TestCDNAccess(t *testing.T) {
	s := newOACSite(t)
	d, sibling, foreign := s.own.Distribution, s.newDistribution(with(s.control)).Distribution, s.foreign()
	s.through("no policy", d, http.StatusForbidden)

	s.policy("AWS:SourceArn", *d.ARN, "s3:GetObject")
	s.through("its own ARN", d, http.StatusOK)
	s.through("another distribution of the account", sibling, http.StatusForbidden)
	s.through("another account's distribution", foreign, http.StatusForbidden)
	s.direct("with the policy")

	s.policy("aws:SourceAccount", s.account, "s3:GetObject")
	s.through("its account", d, http.StatusOK)
	s.through("another distribution, by the account", sibling, http.StatusOK)
	s.through("another account's distribution, by the account", foreign, http.StatusForbidden)
	s.direct("with the account's policy")

	s.changed(func(o *types.DistributionConfig) { o.Origins.Items[0].OriginAccessControlId = aws.String("") })
	s.through("without access control", d, http.StatusForbidden)
	never := s.accessControl()
	never.SigningBehavior = types.OriginAccessControlSigningBehaviorsNever
	oac, err := s.cdn.CreateOriginAccessControl(t.Context(), &cloudfront.CreateOriginAccessControlInput{
		OriginAccessControlConfig: never,
	})
	s.ok(err)
	s.changed(func(o *types.DistributionConfig) {
		o.Origins.Items[0].OriginAccessControlId = oac.OriginAccessControl.Id
	})
	s.through("never signed", d, http.StatusForbidden)
	always := s.newAccessControl().OriginAccessControl
	s.changed(func(o *types.DistributionConfig) { o.Origins.Items[0].OriginAccessControlId = always.Id })
	s.through("signed again", d, http.StatusOK)

	s.changed(func(o *types.DistributionConfig) { o.Enabled = aws.Bool(false) })
	s.through("disabled", d, http.StatusForbidden)
	s.changed(func(o *types.DistributionConfig) { o.Enabled = aws.Bool(true) })
	s.through("enabled", d, http.StatusOK)

	_, err = s.S3.DeleteBucketPolicy(t.Context(), &s3.DeleteBucketPolicyInput{Bucket: aws.String("bkt")})
	s.ok(err)
	s.through("the statement removed", d, http.StatusForbidden)
	s.direct("at the end")
}

// An object under a key of KMS needs the key's policy as well.
func TestCDNReadsUnderKMS(t *testing.T) {
	s := newOACSite(t)
	d := s.own.Distribution
	s.policy("AWS:SourceArn", *d.ARN, "s3:GetObject")
	client := kmsCast{cast: s.cast, t: t, clock: &clock{}}.kmsOf(rootOf(s.Server), "")
	key, err := client.CreateKey(t.Context(), &kms.CreateKeyInput{})
	s.ok(err)
	_, err = s.S3.PutObject(t.Context(), &s3.PutObjectInput{
		Bucket: aws.String("bkt"), Key: aws.String("page"), Body: strings.NewReader("private"),
		ServerSideEncryption: s3types.ServerSideEncryptionAwsKms, SSEKMSKeyId: key.KeyMetadata.Arn,
	})
	s.ok(err)
	s.through("without a statement", d, http.StatusForbidden)
	account := fmt.Sprintf(`{"Effect":"Allow","Principal":{"AWS":"%s"},"Action":"kms:*","Resource":"*"}`, s.account)
	const lets = `{"Effect":"Allow","Principal":{"Service":"cloudfront.amazonaws.com"},"Action":"kms:Decrypt",` +
		`"Resource":"*","Condition":{"StringEquals":{"AWS:SourceArn":"%s"}}}`
	for _, step := range []struct {
		name, arn string
		want      int
	}{
		{"another distribution's statement", *d.ARN + "X", http.StatusForbidden},
		{"its own statement", *d.ARN, http.StatusOK},
		{"the statement removed", "none", http.StatusForbidden},
	} {
		_, err := client.PutKeyPolicy(t.Context(), &kms.PutKeyPolicyInput{
			KeyId: key.KeyMetadata.KeyId, Policy: aws.String(statements(account, fmt.Sprintf(lets, step.arn))),
		})
		s.ok(err)
		s.through(step.name, d, step.want)
	}
}

// An invalidation is effective when its call returns.
func TestCDNInvalidation(t *testing.T) {
	s := newOACSite(t)
	d := s.newCached()
	s.policy("AWS:SourceArn", *d.ARN, "s3:GetObject")
	read := func() string {
		t.Helper()
		return s.get(d, "/page", http.StatusOK)
	}
	for n, path := range []string{"/page", "/*", "/p*"} {
		before := read()
		s.ok(s.putPage(fmt.Sprint("version ", n)))
		if got := read(); got != before {
			t.Errorf("%s: %q before the invalidation", path, got)
		}
		out, err := s.cdn.CreateInvalidation(t.Context(), &cloudfront.CreateInvalidationInput{
			DistributionId: d.Id, InvalidationBatch: batch(path, path),
		})
		s.ok(err)
		if got := read(); got != fmt.Sprint("version ", n) || *out.Invalidation.Status != "Completed" {
			t.Errorf("%s: %q after the invalidation, which is %s", path, got, *out.Invalidation.Status)
		}
	}
}
