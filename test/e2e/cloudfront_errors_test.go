package e2e

import (
	"errors"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/cloudfront"
	"github.com/aws/aws-sdk-go-v2/service/cloudfront/types"
	"github.com/aws/smithy-go"
	smithyhttp "github.com/aws/smithy-go/transport/http"
)

// status checks code and HTTP status of a refusal.
func status(t testing.TB, err error, code string, status int) {
	t.Helper()
	expect(t, err, code)
	if r, ok := errors.AsType[*smithyhttp.ResponseError](err); ok && r.HTTPStatusCode() != status {
		t.Errorf("status %d, want %d", r.HTTPStatusCode(), status)
	}
}

// TestCloudFrontConfigErrors: each change makes the smallest configuration one that is
// refused, with AWS's code and status.
func TestCloudFrontConfigErrors(t *testing.T) {
	c := newCDNCast(t)
	one, yes := aws.Int32(1), aws.Bool(true)
	oac, group := *c.newAccessControl().OriginAccessControl.Id, aws.String("00000000-0000-4000-8000-000000000000")
	c.newDistribution(func(d *types.DistributionConfig) {
		d.CallerReference = aws.String("taken")
		d.Aliases = &types.Aliases{Quantity: one, Items: []string{"taken.example.com"}}
	})
	for _, step := range []struct {
		name, code string
		status     int
		change     func(d *types.DistributionConfig, b *types.DefaultCacheBehavior, o *types.Origin)
	}{
		{"the same reference", "DistributionAlreadyExists", 409, func(d *types.DistributionConfig,
			_ *types.DefaultCacheBehavior, _ *types.Origin) {
			d.CallerReference = aws.String("taken")
		}},
		{"the same alias", "CNAMEAlreadyExists", 409, func(d *types.DistributionConfig, _ *types.DefaultCacheBehavior,
			_ *types.Origin) {
			d.Aliases = &types.Aliases{Quantity: one, Items: []string{"taken.example.com"}}
		}},
		{"quantities", "InconsistentQuantities", 400, func(d *types.DistributionConfig, _ *types.DefaultCacheBehavior,
			_ *types.Origin) {
			d.Aliases = &types.Aliases{Quantity: one}
		}},
		{"a root object with a slash", "InvalidDefaultRootObject", 400, func(d *types.DistributionConfig,
			_ *types.DefaultCacheBehavior, _ *types.Origin) {
			d.DefaultRootObject = aws.String("/index.html")
		}},
		{"no such origin", "NoSuchOrigin", 404, func(_ *types.DistributionConfig, b *types.DefaultCacheBehavior,
			_ *types.Origin) {
			b.TargetOriginId = aws.String("x")
		}},
		{"an origin of no kind", "InvalidOrigin", 400, func(_ *types.DistributionConfig, _ *types.DefaultCacheBehavior,
			o *types.Origin) {
			o.S3OriginConfig = nil
		}},
		{"a path of an origin", "InvalidRelativePath", 400, func(_ *types.DistributionConfig,
			_ *types.DefaultCacheBehavior, o *types.Origin) {
			o.OriginPath = aws.String("a/")
		}},
		{"an unknown origin access control", "InvalidOriginAccessControl", 400, func(_ *types.DistributionConfig,
			_ *types.DefaultCacheBehavior, o *types.Origin) {
			o.OriginAccessControlId = aws.String("E0000000000000")
		}},
		{"two kinds of access", "IllegalOriginAccessConfiguration", 400, func(_ *types.DistributionConfig,
			_ *types.DefaultCacheBehavior, o *types.Origin) {
			o.OriginAccessControlId = &oac
			o.S3OriginConfig.OriginAccessIdentity = aws.String("origin-access-identity/cloudfront/E1")
		}},
		{"an origin access identity", "InvalidOriginAccessIdentity", 400, func(_ *types.DistributionConfig,
			_ *types.DefaultCacheBehavior, o *types.Origin) {
			o.S3OriginConfig.OriginAccessIdentity = aws.String("origin-access-identity/cloudfront/E1")
		}},
		{"an access control of a website", "InvalidDomainNameForOriginAccessControl", 400, func(
			_ *types.DistributionConfig, _ *types.DefaultCacheBehavior, o *types.Origin) {
			o.DomainName, o.OriginAccessControlId = aws.String("bkt.s3-website-us-east-1.amazonaws.com"), &oac
		}},
		{"no such cache policy", "NoSuchCachePolicy", 404, func(_ *types.DistributionConfig,
			b *types.DefaultCacheBehavior, _ *types.Origin) {
			b.CachePolicyId = group
		}},
		{"no such origin request policy", "NoSuchOriginRequestPolicy", 404, func(_ *types.DistributionConfig,
			b *types.DefaultCacheBehavior, _ *types.Origin) {
			b.OriginRequestPolicyId = group
		}},
		{"no such response headers policy", "NoSuchResponseHeadersPolicy", 404, func(_ *types.DistributionConfig,
			b *types.DefaultCacheBehavior, _ *types.Origin) {
			b.ResponseHeadersPolicyId = group
		}},
		{"no such key group", "TrustedKeyGroupDoesNotExist", 400, func(_ *types.DistributionConfig,
			b *types.DefaultCacheBehavior, _ *types.Origin) {
			b.TrustedKeyGroups = &types.TrustedKeyGroups{Enabled: yes, Quantity: one, Items: []string{*group}}
		}},
		{"no policy and no values", "InvalidArgument", 400, func(_ *types.DistributionConfig,
			b *types.DefaultCacheBehavior, _ *types.Origin) {
			b.CachePolicyId = nil
		}},
		{"times in disorder", "InvalidTTLOrder", 400, func(_ *types.DistributionConfig, b *types.DefaultCacheBehavior,
			_ *types.Origin) {
			b.CachePolicyId = nil
			//lint:ignore SA1019 older configurations have them
			b.MinTTL, b.DefaultTTL = aws.Int64(2), aws.Int64(1)
			//lint:ignore SA1019 older configurations have it
			b.ForwardedValues = &types.ForwardedValues{
				QueryString: yes, Cookies: &types.CookiePreference{Forward: types.ItemSelectionNone},
			}
		}},
		{"an error that no page is for", "InvalidErrorCode", 400, func(d *types.DistributionConfig,
			_ *types.DefaultCacheBehavior, _ *types.Origin) {
			d.CustomErrorResponses = &types.CustomErrorResponses{
				Quantity: one, Items: []types.CustomErrorResponse{{ErrorCode: aws.Int32(418)}},
			}
		}},
		{"a status that no page has", "InvalidResponseCode", 400, func(d *types.DistributionConfig,
			_ *types.DefaultCacheBehavior, _ *types.Origin) {
			d.CustomErrorResponses = &types.CustomErrorResponses{Quantity: one, Items: []types.CustomErrorResponse{{
				ErrorCode: aws.Int32(404), ResponsePagePath: aws.String("/e"), ResponseCode: aws.String("418"),
			}}}
		}},
		{"a certificate for an alias", "InvalidViewerCertificate", 400, func(d *types.DistributionConfig,
			_ *types.DefaultCacheBehavior, _ *types.Origin) {
			d.ViewerCertificate = &types.ViewerCertificate{CloudFrontDefaultCertificate: yes,
				IAMCertificateId: aws.String("ASCA")}
		}},
		{"countries", "InvalidGeoRestrictionParameter", 400, func(d *types.DistributionConfig,
			_ *types.DefaultCacheBehavior, _ *types.Origin) {
			d.Restrictions = &types.Restrictions{GeoRestriction: &types.GeoRestriction{
				RestrictionType: types.GeoRestrictionTypeBlacklist, Quantity: one, Items: []string{"DE"},
			}}
		}},
		{"a function", "InvalidFunctionAssociation", 400, func(_ *types.DistributionConfig,
			b *types.DefaultCacheBehavior, _ *types.Origin) {
			b.FunctionAssociations = &types.FunctionAssociations{Quantity: one, Items: []types.FunctionAssociation{{
				FunctionARN: aws.String("arn:aws:cloudfront::111122223333:function/f"),
				EventType:   types.EventTypeViewerRequest,
			}}}
		}},
		{"a function of Lambda", "InvalidLambdaFunctionAssociation", 400, func(_ *types.DistributionConfig,
			b *types.DefaultCacheBehavior, _ *types.Origin) {
			b.LambdaFunctionAssociations = &types.LambdaFunctionAssociations{
				Quantity: one, Items: []types.LambdaFunctionAssociation{{
					LambdaFunctionARN: aws.String("arn:aws:lambda:us-east-1:111122223333:function:f:1"),
					EventType:         types.EventTypeViewerRequest,
				}},
			}
		}},
		{"field-level encryption", "NoSuchFieldLevelEncryptionConfig", 404, func(_ *types.DistributionConfig,
			b *types.DefaultCacheBehavior, _ *types.Origin) {
			b.FieldLevelEncryptionId = aws.String("E1")
		}},
		{"an account as signer", "TrustedSignerDoesNotExist", 400, func(_ *types.DistributionConfig,
			b *types.DefaultCacheBehavior, _ *types.Origin) {
			b.TrustedSigners = &types.TrustedSigners{Enabled: yes, Quantity: one, Items: []string{"self"}}
		}},
		{"many origins", "TooManyOrigins", 400, func(d *types.DistributionConfig, _ *types.DefaultCacheBehavior,
			o *types.Origin) {
			d.Origins = &types.Origins{Quantity: aws.Int32(26)}
			for range 26 {
				d.Origins.Items = append(d.Origins.Items, *o)
			}
		}},
	} {
		t.Run(step.name, func(t *testing.T) {
			d := c.site()
			step.change(d, d.DefaultCacheBehavior, &d.Origins.Items[0])
			_, err := c.cdn.CreateDistribution(t.Context(), &cloudfront.CreateDistributionInput{DistributionConfig: d})
			status(t, err, step.code, step.status)
		})
	}
}

// TestCloudFrontErrors: what is refused besides configurations.
func TestCloudFrontErrors(t *testing.T) {
	c := newCDNCast(t)
	ctx := t.Context()
	oac, policy := c.newAccessControl(), c.newCachePolicy()
	d := c.newDistribution(func(d *types.DistributionConfig) {
		d.Enabled = aws.Bool(true)
		d.Origins.Items[0].OriginAccessControlId = oac.OriginAccessControl.Id
		d.DefaultCacheBehavior.CachePolicyId = policy.CachePolicy.Id
	})
	id, etag := d.Distribution.Id, d.ETag
	key := c.newPublicKey()
	none, uuid := aws.String("E0000000000000"), aws.String("00000000-0000-4000-8000-000000000000")
	managed := aws.String(cachingOptimized)
	update := func(ifMatch *string, change func(*types.DistributionConfig)) error {
		got, err := c.cdn.GetDistributionConfig(ctx, &cloudfront.GetDistributionConfigInput{Id: id})
		c.ok(err)
		config := got.DistributionConfig
		if change != nil {
			change(config)
		}
		_, err = c.cdn.UpdateDistribution(ctx, &cloudfront.UpdateDistributionInput{
			Id: id, IfMatch: ifMatch, DistributionConfig: config,
		})
		return err
	}
	for _, step := range []struct {
		name, code string
		status     int
		do         func() error
	}{
		{"no such distribution", "NoSuchDistribution", 404, func() error {
			_, err := c.cdn.GetDistribution(ctx, &cloudfront.GetDistributionInput{Id: none})
			return err
		}},
		{"an id of another kind", "NoSuchDistribution", 404, func() error {
			_, err := c.cdn.GetDistribution(ctx, &cloudfront.GetDistributionInput{Id: oac.OriginAccessControl.Id})
			return err
		}},
		{"a strange id", "NoSuchDistribution", 404, func() error {
			_, err := c.cdn.GetDistribution(ctx, &cloudfront.GetDistributionInput{Id: aws.String("a*/:ä")})
			return err
		}},
		{"no such origin access control", "NoSuchOriginAccessControl", 404, func() error {
			_, err := c.cdn.GetOriginAccessControl(ctx, &cloudfront.GetOriginAccessControlInput{Id: none})
			return err
		}},
		{"no such cache policy", "NoSuchCachePolicy", 404, func() error {
			_, err := c.cdn.GetCachePolicy(ctx, &cloudfront.GetCachePolicyInput{Id: uuid})
			return err
		}},
		{"no such origin request policy", "NoSuchOriginRequestPolicy", 404, func() error {
			_, err := c.cdn.GetOriginRequestPolicyConfig(ctx, &cloudfront.GetOriginRequestPolicyConfigInput{Id: uuid})
			return err
		}},
		{"no such response headers policy", "NoSuchResponseHeadersPolicy", 404, func() error {
			_, err := c.cdn.GetResponseHeadersPolicy(ctx, &cloudfront.GetResponseHeadersPolicyInput{Id: uuid})
			return err
		}},
		{"no such public key", "NoSuchPublicKey", 404, func() error {
			_, err := c.cdn.GetPublicKey(ctx, &cloudfront.GetPublicKeyInput{Id: none})
			return err
		}},
		{"no such key group", "NoSuchResource", 404, func() error {
			_, err := c.cdn.GetKeyGroup(ctx, &cloudfront.GetKeyGroupInput{Id: uuid})
			return err
		}},
		{"no such invalidation", "NoSuchInvalidation", 404, func() error {
			_, err := c.cdn.GetInvalidation(ctx, &cloudfront.GetInvalidationInput{
				DistributionId: id, Id: aws.String("I0000000000000"),
			})
			return err
		}},
		{"an invalidation of no distribution", "NoSuchDistribution", 404, func() error {
			_, err := c.cdn.CreateInvalidation(ctx, &cloudfront.CreateInvalidationInput{
				DistributionId: none, InvalidationBatch: batch("r", "/"),
			})
			return err
		}},
		{"an invalidation without a slash", "InvalidArgument", 400, func() error {
			_, err := c.cdn.CreateInvalidation(ctx, &cloudfront.CreateInvalidationInput{
				DistributionId: id, InvalidationBatch: batch("r", "a"),
			})
			return err
		}},
		{"a batch that is too large", "BatchTooLarge", 413, func() error {
			paths := strings.Split(strings.Repeat("/a ", 3001), " ")[:3001]
			_, err := c.cdn.CreateInvalidation(ctx, &cloudfront.CreateInvalidationInput{
				DistributionId: id, InvalidationBatch: batch("r", paths...),
			})
			return err
		}},
		{"no If-Match", "InvalidIfMatchVersion", 400, func() error { return update(nil, nil) }},
		{"an If-Match that is none", "InvalidIfMatchVersion", 400, func() error {
			return update(aws.String(`"a"`), nil)
		}},
		{"an old If-Match", "PreconditionFailed", 412, func() error { return update(none, nil) }},
		{"another caller reference", "IllegalUpdate", 400, func() error {
			return update(etag, func(d *types.DistributionConfig) { d.CallerReference = aws.String("new") })
		}},
		{"deleting what is enabled", "DistributionNotDisabled", 409, func() error {
			_, err := c.cdn.DeleteDistribution(ctx, &cloudfront.DeleteDistributionInput{Id: id, IfMatch: etag})
			return err
		}},
		{"an access control in use", "OriginAccessControlInUse", 409, func() error {
			_, err := c.cdn.DeleteOriginAccessControl(ctx, &cloudfront.DeleteOriginAccessControlInput{
				Id: oac.OriginAccessControl.Id, IfMatch: oac.ETag,
			})
			return err
		}},
		{"a cache policy in use", "CachePolicyInUse", 409, func() error {
			_, err := c.cdn.DeleteCachePolicy(ctx, &cloudfront.DeleteCachePolicyInput{
				Id: policy.CachePolicy.Id, IfMatch: policy.ETag,
			})
			return err
		}},
		{"the name of another access control", "OriginAccessControlAlreadyExists", 409, func() error {
			same := c.accessControl()
			same.Name = oac.OriginAccessControl.OriginAccessControlConfig.Name
			_, err := c.cdn.CreateOriginAccessControl(ctx, &cloudfront.CreateOriginAccessControlInput{
				OriginAccessControlConfig: same,
			})
			return err
		}},
		{"the name of another cache policy", "CachePolicyAlreadyExists", 409, func() error {
			same := c.cachePolicy()
			same.Name = policy.CachePolicy.CachePolicyConfig.Name
			_, err := c.cdn.CreateCachePolicy(ctx, &cloudfront.CreateCachePolicyInput{CachePolicyConfig: same})
			return err
		}},
		{"the name of another public key", "PublicKeyAlreadyExists", 409, func() error {
			same := c.publicKey()
			same.Name = key.PublicKey.PublicKeyConfig.Name
			_, err := c.cdn.CreatePublicKey(ctx, &cloudfront.CreatePublicKeyInput{PublicKeyConfig: same})
			return err
		}},
		{"another public key under the same id", "CannotChangeImmutablePublicKeyFields", 400, func() error {
			other := c.publicKey()
			other.CallerReference, other.Name = key.PublicKey.PublicKeyConfig.CallerReference,
				key.PublicKey.PublicKeyConfig.Name
			_, err := c.cdn.UpdatePublicKey(ctx, &cloudfront.UpdatePublicKeyInput{
				Id: key.PublicKey.Id, IfMatch: key.ETag, PublicKeyConfig: other,
			})
			return err
		}},
		{"a key that is none", "InvalidArgument", 400, func() error {
			bad := c.publicKey()
			bad.EncodedKey = aws.String("-----BEGIN PUBLIC KEY-----\nAA==\n-----END PUBLIC KEY-----\n")
			_, err := c.cdn.CreatePublicKey(ctx, &cloudfront.CreatePublicKeyInput{PublicKeyConfig: bad})
			return err
		}},
		{"a key group of an unknown key", "InvalidArgument", 400, func() error {
			_, err := c.cdn.CreateKeyGroup(ctx, &cloudfront.CreateKeyGroupInput{
				KeyGroupConfig: &types.KeyGroupConfig{Name: c.name(), Items: []string{"K0000000000000"}},
			})
			return err
		}},
		{"times in disorder", "InvalidArgument", 400, func() error {
			bad := c.cachePolicy()
			bad.MinTTL = aws.Int64(61)
			_, err := c.cdn.CreateCachePolicy(ctx, &cloudfront.CreateCachePolicyInput{CachePolicyConfig: bad})
			return err
		}},
		{"changing a managed policy", "IllegalUpdate", 400, func() error {
			_, err := c.cdn.UpdateCachePolicy(ctx, &cloudfront.UpdateCachePolicyInput{
				Id: managed, IfMatch: etag, CachePolicyConfig: c.cachePolicy(),
			})
			return err
		}},
		{"deleting a managed policy", "IllegalDelete", 400, func() error {
			_, err := c.cdn.DeleteCachePolicy(ctx, &cloudfront.DeleteCachePolicyInput{Id: managed, IfMatch: etag})
			return err
		}},
		{"tags of nothing", "InvalidArgument", 400, func() error {
			_, err := c.cdn.ListTagsForResource(ctx, &cloudfront.ListTagsForResourceInput{Resource: id})
			return err
		}},
		{"tags of no distribution", "NoSuchResource", 404, func() error {
			_, err := c.cdn.ListTagsForResource(ctx, &cloudfront.ListTagsForResourceInput{
				Resource: aws.String("arn:aws:cloudfront::" + c.account + ":distribution/" + *none),
			})
			return err
		}},
		{"tags of another account's", "AccessDenied", 403, func() error {
			_, err := c.cdn.ListTagsForResource(ctx, &cloudfront.ListTagsForResourceInput{
				Resource: aws.String("arn:aws:cloudfront::444455556666:distribution/" + *none),
			})
			return err
		}},
		{"a tag of AWS's", "InvalidTagging", 400, func() error {
			_, err := c.cdn.TagResource(ctx, &cloudfront.TagResourceInput{
				Resource: d.Distribution.ARN,
				Tags:     &types.Tags{Items: []types.Tag{{Key: aws.String("aws:x"), Value: aws.String("")}}},
			})
			return err
		}},
		{"tags that differ by case", "InvalidTagging", 400, func() error {
			_, err := c.cdn.TagResource(ctx, &cloudfront.TagResourceInput{
				Resource: d.Distribution.ARN, Tags: &types.Tags{Items: []types.Tag{
					{Key: aws.String("team"), Value: aws.String("a")},
					{Key: aws.String("Team"), Value: aws.String("b")},
				}},
			})
			return err
		}},
		{"functions", "NotImplemented", 501, func() error {
			_, err := c.cdn.ListFunctions(ctx, &cloudfront.ListFunctionsInput{})
			return err
		}},
		{"origin access identities", "NotImplemented", 501, func() error {
			_, err := c.cdn.ListCloudFrontOriginAccessIdentities(ctx,
				&cloudfront.ListCloudFrontOriginAccessIdentitiesInput{})
			return err
		}},
		{"a copy of a distribution", "NotImplemented", 501, func() error {
			_, err := c.cdn.CopyDistribution(ctx, &cloudfront.CopyDistributionInput{
				PrimaryDistributionId: id, CallerReference: c.name(),
			})
			return err
		}},
	} {
		t.Run(step.name, func(t *testing.T) { status(t, step.do(), step.code, step.status) })
	}
	_, err := c.cdn.ListFunctions(ctx, &cloudfront.ListFunctionsInput{})
	if e, ok := errors.AsType[smithy.APIError](err); !ok ||
		e.ErrorMessage() != "Not implemented here: CloudFront Functions and what belongs to them." {
		t.Error(err)
	}
}
