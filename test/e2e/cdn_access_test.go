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

	"watertight/internal/server"
)

const cachingDisabled = "4135ea2d-6df8-44a3-9df3-4b5a84be39ad"

// edgeCast is a private bucket "site" with one object, and CloudFront's API.
type edgeCast struct{ *cdnCast }

func newEdgeCast(t *testing.T) edgeCast {
	c := edgeCast{newCDNCast(t, func(c *server.Config) { c.CDN.Listen = "127.0.0.1:0" })}
	_, err := c.S3.CreateBucket(t.Context(), &s3.CreateBucketInput{Bucket: aws.String("site")})
	c.ok(err)
	cdnPut(t, c.Server, "k", "hello")
	return c
}

// front makes an enabled distribution in front of the bucket, whose answers are not cached.
func (c edgeCast) front(cdn *cloudfront.Client, change ...func(*types.DistributionConfig)) *types.Distribution {
	c.Helper()
	oac, err := cdn.CreateOriginAccessControl(c.Context(), &cloudfront.CreateOriginAccessControlInput{
		OriginAccessControlConfig: c.accessControl(),
	})
	c.ok(err)
	usual := func(d *types.DistributionConfig) {
		d.Enabled = aws.Bool(true)
		d.Origins.Items[0].DomainName = aws.String("site.s3.amazonaws.com")
		d.Origins.Items[0].OriginAccessControlId = oac.OriginAccessControl.Id
		d.DefaultCacheBehavior.CachePolicyId = aws.String(cachingDisabled)
	}
	out, err := cdn.CreateDistribution(c.Context(), &cloudfront.CreateDistributionInput{
		DistributionConfig: c.site(append([]func(*types.DistributionConfig){usual}, change...)...),
	})
	c.ok(err)
	return out.Distribution
}

// change changes a distribution.
func (c edgeCast) change(d *types.Distribution, f func(*types.DistributionConfig)) {
	c.Helper()
	got, err := c.cdn.GetDistributionConfig(c.Context(), &cloudfront.GetDistributionConfigInput{Id: d.Id})
	c.ok(err)
	f(got.DistributionConfig)
	_, err = c.cdn.UpdateDistribution(c.Context(), &cloudfront.UpdateDistributionInput{
		Id: d.Id, IfMatch: got.ETag, DistributionConfig: got.DistributionConfig,
	})
	c.ok(err)
}

// lets replaces the bucket's policy by one that allows CloudFront to read under a condition.
func (c edgeCast) lets(condition string) {
	c.Helper()
	_, err := c.S3.PutBucketPolicy(c.Context(), &s3.PutBucketPolicyInput{
		Bucket: aws.String("site"), Policy: aws.String(statements(`{"Effect":"Allow",
			"Principal":{"Service":"cloudfront.amazonaws.com"},"Action":"s3:GetObject",
			"Resource":"arn:aws:s3:::site/*","Condition":{"StringEquals":{` + condition + `}}}`)),
	})
	c.ok(err)
}

// through expects a status for the object through a distribution.
func (c edgeCast) through(name string, d *types.Distribution, want int) {
	c.Helper()
	resp, body := cdnGet(c.t, c.Server, *d.DomainName, "/k")
	if resp.StatusCode != want || want == http.StatusOK && body != "hello" {
		c.Errorf("%s: %d, not %d: %s", name, resp.StatusCode, want, body)
	}
}

// direct expects that the bucket itself refuses a request without a key.
func (c edgeCast) direct(name string) {
	c.Helper()
	resp, err := http.Get(c.Endpoint + "/site/k")
	c.ok(err)
	if resp.Body.Close(); resp.StatusCode != http.StatusForbidden {
		c.Errorf("%s: the bucket itself answered %d", name, resp.StatusCode)
	}
}

// The bucket's policy decides which distribution reads it, and nobody else can read it.
func TestCDNAccess(t *testing.T) {
	c := newEdgeCast(t)
	guest := c.cdnOf(c.CreateAccount(t, "guest"), "")
	d, sibling, foreign := c.front(c.cdn), c.front(c.cdn), c.front(guest)
	c.through("no policy", d, http.StatusForbidden)

	c.lets(`"AWS:SourceArn":"` + *d.ARN + `"`)
	c.through("its own ARN", d, http.StatusOK)
	c.through("another distribution of the account", sibling, http.StatusForbidden)
	c.through("another account's distribution", foreign, http.StatusForbidden)
	c.direct("with the policy")

	c.lets(`"aws:SourceAccount":"` + c.account + `"`)
	c.through("its account", d, http.StatusOK)
	c.through("another distribution, by the account", sibling, http.StatusOK)
	c.through("another account's distribution, by the account", foreign, http.StatusForbidden)
	c.direct("with the account's policy")

	c.change(d, func(o *types.DistributionConfig) { o.Origins.Items[0].OriginAccessControlId = aws.String("") })
	c.through("without access control", d, http.StatusForbidden)
	never := c.accessControl()
	never.SigningBehavior = types.OriginAccessControlSigningBehaviorsNever
	oac, err := c.cdn.CreateOriginAccessControl(t.Context(), &cloudfront.CreateOriginAccessControlInput{
		OriginAccessControlConfig: never,
	})
	c.ok(err)
	c.change(d, func(o *types.DistributionConfig) {
		o.Origins.Items[0].OriginAccessControlId = oac.OriginAccessControl.Id
	})
	c.through("never signed", d, http.StatusForbidden)
	always := c.newAccessControl().OriginAccessControl
	c.change(d, func(o *types.DistributionConfig) { o.Origins.Items[0].OriginAccessControlId = always.Id })
	c.through("signed again", d, http.StatusOK)

	c.change(d, func(o *types.DistributionConfig) { o.Enabled = aws.Bool(false) })
	c.through("disabled", d, http.StatusForbidden)
	c.change(d, func(o *types.DistributionConfig) { o.Enabled = aws.Bool(true) })
	c.through("enabled", d, http.StatusOK)

	_, err = c.S3.DeleteBucketPolicy(t.Context(), &s3.DeleteBucketPolicyInput{Bucket: aws.String("site")})
	c.ok(err)
	c.through("the statement removed", d, http.StatusForbidden)
	c.direct("at the end")
}

// An object under a key of KMS needs the key's policy as well.
func TestCDNReadsUnderKMS(t *testing.T) {
	c := newEdgeCast(t)
	d := c.front(c.cdn)
	c.lets(`"AWS:SourceArn":"` + *d.ARN + `"`)
	client := kmsCast{cast: c.cast, t: t, clock: &clock{}}.kmsOf(rootOf(c.Server), "")
	key, err := client.CreateKey(t.Context(), &kms.CreateKeyInput{})
	c.ok(err)
	_, err = c.S3.PutObject(t.Context(), &s3.PutObjectInput{
		Bucket: aws.String("site"), Key: aws.String("k"), Body: strings.NewReader("hello"),
		ServerSideEncryption: s3types.ServerSideEncryptionAwsKms, SSEKMSKeyId: key.KeyMetadata.Arn,
	})
	c.ok(err)
	c.through("without a statement", d, http.StatusForbidden)
	account := fmt.Sprintf(`{"Effect":"Allow","Principal":{"AWS":"%s"},"Action":"kms:*","Resource":"*"}`, c.account)
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
		c.ok(err)
		c.through(step.name, d, step.want)
	}
}

// An invalidation is effective when its call returns.
func TestCDNInvalidation(t *testing.T) {
	c := newEdgeCast(t)
	d := c.front(c.cdn, func(o *types.DistributionConfig) {
		o.DefaultCacheBehavior.CachePolicyId = aws.String(cachingOptimized)
	})
	c.lets(`"AWS:SourceArn":"` + *d.ARN + `"`)
	read := func() string {
		t.Helper()
		_, body := cdnGet(t, c.Server, *d.DomainName, "/k")
		return body
	}
	for n, path := range []string{"/k", "/*", "/k*"} {
		before := read()
		cdnPut(t, c.Server, "k", fmt.Sprint("version ", n))
		if got := read(); got != before {
			t.Errorf("%s: %q before the invalidation", path, got)
		}
		out, err := c.cdn.CreateInvalidation(t.Context(), &cloudfront.CreateInvalidationInput{
			DistributionId: d.Id, InvalidationBatch: batch(path, path),
		})
		c.ok(err)
		if got := read(); got != fmt.Sprint("version ", n) || *out.Invalidation.Status != "Completed" {
			t.Errorf("%s: %q after the invalidation, which is %s", path, got, *out.Invalidation.Status)
		}
	}
}
