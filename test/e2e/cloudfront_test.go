package e2e

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/cloudfront"
	"github.com/aws/aws-sdk-go-v2/service/cloudfront/types"

	"watertight/internal/server"
	"watertight/test/harness"
)

// cachingOptimized is the id of a managed cache policy.
const cachingOptimized = "658327ea-f89d-4fab-a63d-7e88639e58f6"

// cdnCast is a server, and CloudFront as its root user.
type cdnCast struct {
	cast
	t    *testing.T
	cdn  *cloudfront.Client
	made int // resources, for names and caller references
}

func newCDNCast(t *testing.T, change ...func(*server.Config)) *cdnCast {
	c := &cdnCast{cast: newCast(t, change...), t: t}
	c.cdn = c.cdnOf(rootOf(c.Server), "")
	return c
}

func (c *cdnCast) cdnOf(key harness.Credentials, token string) *cloudfront.Client {
	return cloudfront.New(cloudfront.Options{
		Region: "us-east-1", BaseEndpoint: &c.Endpoint, HTTPClient: harness.SDK(c.HTTP), RetryMaxAttempts: 1,
		Credentials: credentials.NewStaticCredentialsProvider(key.AccessKeyID, key.SecretAccessKey, token),
	})
}

func (c *cdnCast) as(who someone) *cloudfront.Client { return c.cdnOf(who.key, who.token) }

// name returns a name that no other call returned.
func (c *cdnCast) name() *string {
	c.made++
	return aws.String(fmt.Sprint("n", c.made))
}

// site is the smallest configuration of a distribution: a bucket and a managed cache policy.
func (c *cdnCast) site(change ...func(*types.DistributionConfig)) *types.DistributionConfig {
	d := &types.DistributionConfig{
		CallerReference: c.name(), Comment: aws.String(""), Enabled: aws.Bool(false),
		Origins: &types.Origins{Quantity: aws.Int32(1), Items: []types.Origin{{
			Id: aws.String("o"), DomainName: aws.String("bkt.s3.amazonaws.com"),
			S3OriginConfig: &types.S3OriginConfig{OriginAccessIdentity: aws.String("")},
		}}},
		DefaultCacheBehavior: &types.DefaultCacheBehavior{
			TargetOriginId: aws.String("o"), ViewerProtocolPolicy: types.ViewerProtocolPolicyAllowAll,
			CachePolicyId: aws.String(cachingOptimized),
		},
	}
	for _, f := range change {
		f(d)
	}
	return d
}

func (c *cdnCast) newDistribution(change ...func(*types.DistributionConfig)) *cloudfront.CreateDistributionOutput {
	c.Helper()
	out, err := c.cdn.CreateDistribution(c.Context(), &cloudfront.CreateDistributionInput{
		DistributionConfig: c.site(change...),
	})
	c.ok(err)
	return out
}

func (c *cdnCast) accessControl() *types.OriginAccessControlConfig {
	return &types.OriginAccessControlConfig{
		Name: c.name(), SigningProtocol: types.OriginAccessControlSigningProtocolsSigv4,
		SigningBehavior:               types.OriginAccessControlSigningBehaviorsAlways,
		OriginAccessControlOriginType: types.OriginAccessControlOriginTypesS3,
	}
}

func (c *cdnCast) newAccessControl() *cloudfront.CreateOriginAccessControlOutput {
	c.Helper()
	out, err := c.cdn.CreateOriginAccessControl(c.Context(), &cloudfront.CreateOriginAccessControlInput{
		OriginAccessControlConfig: c.accessControl(),
	})
	c.ok(err)
	return out
}

func (c *cdnCast) publicKey() *types.PublicKeyConfig {
	c.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	c.ok(err)
	der, err := x509.MarshalPKIXPublicKey(key.Public())
	c.ok(err)
	return &types.PublicKeyConfig{
		CallerReference: c.name(), Name: c.name(),
		EncodedKey: aws.String(string(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der}))),
	}
}

func (c *cdnCast) newPublicKey() *cloudfront.CreatePublicKeyOutput {
	c.Helper()
	out, err := c.cdn.CreatePublicKey(c.Context(), &cloudfront.CreatePublicKeyInput{PublicKeyConfig: c.publicKey()})
	c.ok(err)
	return out
}

func (c *cdnCast) newKeyGroup(keys ...string) *cloudfront.CreateKeyGroupOutput {
	c.Helper()
	out, err := c.cdn.CreateKeyGroup(c.Context(), &cloudfront.CreateKeyGroupInput{
		KeyGroupConfig: &types.KeyGroupConfig{Name: c.name(), Items: keys},
	})
	c.ok(err)
	return out
}

func (c *cdnCast) cachePolicy() *types.CachePolicyConfig {
	return &types.CachePolicyConfig{
		Name: c.name(), MinTTL: aws.Int64(1), DefaultTTL: aws.Int64(60), MaxTTL: aws.Int64(3600),
		ParametersInCacheKeyAndForwardedToOrigin: &types.ParametersInCacheKeyAndForwardedToOrigin{
			EnableAcceptEncodingGzip: aws.Bool(true),
			HeadersConfig: &types.CachePolicyHeadersConfig{
				HeaderBehavior: types.CachePolicyHeaderBehaviorNone,
			},
			CookiesConfig: &types.CachePolicyCookiesConfig{
				CookieBehavior: types.CachePolicyCookieBehaviorNone,
			},
			QueryStringsConfig: &types.CachePolicyQueryStringsConfig{
				QueryStringBehavior: types.CachePolicyQueryStringBehaviorWhitelist,
				QueryStrings:        &types.QueryStringNames{Quantity: aws.Int32(2), Items: []string{"v", "w"}},
			},
		},
	}
}

func (c *cdnCast) newCachePolicy() *cloudfront.CreateCachePolicyOutput {
	c.Helper()
	out, err := c.cdn.CreateCachePolicy(c.Context(), &cloudfront.CreateCachePolicyInput{
		CachePolicyConfig: c.cachePolicy(),
	})
	c.ok(err)
	return out
}

func (c *cdnCast) originRequestPolicy() *types.OriginRequestPolicyConfig {
	return &types.OriginRequestPolicyConfig{
		Name: c.name(),
		HeadersConfig: &types.OriginRequestPolicyHeadersConfig{
			HeaderBehavior: types.OriginRequestPolicyHeaderBehaviorWhitelist,
			Headers:        &types.Headers{Quantity: aws.Int32(1), Items: []string{"Origin"}},
		},
		CookiesConfig: &types.OriginRequestPolicyCookiesConfig{
			CookieBehavior: types.OriginRequestPolicyCookieBehaviorNone,
		},
		QueryStringsConfig: &types.OriginRequestPolicyQueryStringsConfig{
			QueryStringBehavior: types.OriginRequestPolicyQueryStringBehaviorAll,
		},
	}
}

func (c *cdnCast) newOriginRequestPolicy() *cloudfront.CreateOriginRequestPolicyOutput {
	c.Helper()
	out, err := c.cdn.CreateOriginRequestPolicy(c.Context(), &cloudfront.CreateOriginRequestPolicyInput{
		OriginRequestPolicyConfig: c.originRequestPolicy(),
	})
	c.ok(err)
	return out
}

func (c *cdnCast) headersPolicy() *types.ResponseHeadersPolicyConfig {
	return &types.ResponseHeadersPolicyConfig{
		Name: c.name(),
		SecurityHeadersConfig: &types.ResponseHeadersPolicySecurityHeadersConfig{
			ContentTypeOptions: &types.ResponseHeadersPolicyContentTypeOptions{Override: aws.Bool(true)},
		},
		RemoveHeadersConfig: &types.ResponseHeadersPolicyRemoveHeadersConfig{
			Quantity: aws.Int32(1),
			Items:    []types.ResponseHeadersPolicyRemoveHeader{{Header: aws.String("x-amz-meta-secret")}},
		},
	}
}

func (c *cdnCast) newHeadersPolicy() *cloudfront.CreateResponseHeadersPolicyOutput {
	c.Helper()
	out, err := c.cdn.CreateResponseHeadersPolicy(c.Context(), &cloudfront.CreateResponseHeadersPolicyInput{
		ResponseHeadersPolicyConfig: c.headersPolicy(),
	})
	c.ok(err)
	return out
}

func batch(reference string, paths ...string) *types.InvalidationBatch {
	return &types.InvalidationBatch{
		CallerReference: &reference, Paths: &types.Paths{Quantity: aws.Int32(int32(len(paths))), Items: paths},
	}
}

// TestCloudFrontDistributions makes a distribution, reads it in every way, changes and
// deletes it.
func TestCloudFrontDistributions(t *testing.T) {
	c := newCDNCast(t)
	ctx := t.Context()
	oac := c.newAccessControl()
	made := c.newDistribution(func(d *types.DistributionConfig) {
		d.Origins.Items[0].OriginAccessControlId = oac.OriginAccessControl.Id
		d.DefaultRootObject, d.Enabled = aws.String("index.html"), aws.Bool(true)
		d.Comment = aws.String("a <b> & \"c\"")
		d.Aliases = &types.Aliases{Quantity: aws.Int32(1), Items: []string{"www.example.com"}}
	})
	d := made.Distribution
	if len(*d.Id) != 14 || (*d.Id)[0] != 'E' || *d.ARN != "arn:aws:cloudfront::"+c.account+":distribution/"+*d.Id ||
		!strings.HasSuffix(*d.DomainName, ".cloudfront.net") || *d.Status != "Deployed" ||
		*made.Location != c.Endpoint+"/2020-05-31/distribution/"+*d.Id || time.Since(*d.LastModifiedTime) > time.Hour ||
		*d.DistributionConfig.Comment != `a <b> & "c"` || *d.DistributionConfig.DefaultRootObject != "index.html" ||
		d.DistributionConfig.PriceClass != types.PriceClassPriceClassAll {
		t.Errorf("%+v", d)
	}
	got, err := c.cdn.GetDistribution(ctx, &cloudfront.GetDistributionInput{Id: d.Id})
	c.ok(err)
	if *got.ETag != *made.ETag || *got.Distribution.DomainName != *d.DomainName {
		t.Errorf("%+v", got)
	}
	config, err := c.cdn.GetDistributionConfig(ctx, &cloudfront.GetDistributionConfigInput{Id: d.Id})
	c.ok(err)
	if *config.ETag != *made.ETag || *config.DistributionConfig.Origins.Items[0].OriginAccessControlId !=
		*oac.OriginAccessControl.Id {
		t.Errorf("%+v", config)
	}
	// What was read can be sent back as it is.
	config.DistributionConfig.Enabled = aws.Bool(false)
	changed, err := c.cdn.UpdateDistribution(ctx, &cloudfront.UpdateDistributionInput{
		Id: d.Id, IfMatch: config.ETag, DistributionConfig: config.DistributionConfig,
	})
	c.ok(err)
	if *changed.ETag == *made.ETag || *changed.Distribution.DistributionConfig.Enabled {
		t.Errorf("%+v", changed)
	}
	_, err = c.cdn.UpdateDistribution(ctx, &cloudfront.UpdateDistributionInput{
		Id: d.Id, IfMatch: config.ETag, DistributionConfig: config.DistributionConfig,
	})
	expect(t, err, "PreconditionFailed")
	_, err = c.cdn.DeleteDistribution(ctx, &cloudfront.DeleteDistributionInput{Id: d.Id, IfMatch: made.ETag})
	expect(t, err, "PreconditionFailed")
	_, err = c.cdn.DeleteDistribution(ctx, &cloudfront.DeleteDistributionInput{Id: d.Id, IfMatch: changed.ETag})
	c.ok(err)
	_, err = c.cdn.GetDistribution(ctx, &cloudfront.GetDistributionInput{Id: d.Id})
	expect(t, err, "NoSuchDistribution")
	_, err = c.cdn.DeleteOriginAccessControl(ctx, &cloudfront.DeleteOriginAccessControlInput{
		Id: oac.OriginAccessControl.Id, IfMatch: oac.ETag,
	})
	c.ok(err)
}

// TestCloudFrontListings pages through listings of every kind.
func TestCloudFrontListings(t *testing.T) {
	c := newCDNCast(t)
	ctx := t.Context()
	two := aws.Int32(2)
	key := *c.newPublicKey().PublicKey.Id
	var want, got []string
	for range 3 {
		want = append(want, *c.newDistribution().Distribution.Id)
		c.newAccessControl()
		c.newPublicKey()
		c.newKeyGroup(key)
		c.newCachePolicy()
	}
	slices.Sort(want)
	pages := cloudfront.NewListDistributionsPaginator(c.cdn, &cloudfront.ListDistributionsInput{MaxItems: two})
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		c.ok(err)
		l := page.DistributionList
		if int(*l.Quantity) != len(l.Items) || *l.MaxItems != 2 || *l.IsTruncated != (len(got) == 0) {
			t.Errorf("%+v", l)
		}
		for _, d := range l.Items {
			got = append(got, *d.Id)
			if *d.Status != "Deployed" || *d.Origins.Items[0].Id != "o" || *d.ETag == "" {
				t.Errorf("%+v", d)
			}
		}
	}
	if !slices.Equal(got, want) {
		t.Errorf("%v\nwant %v", got, want)
	}
	controls, err := c.cdn.ListOriginAccessControls(ctx, &cloudfront.ListOriginAccessControlsInput{MaxItems: two})
	c.ok(err)
	keys, err := c.cdn.ListPublicKeys(ctx, &cloudfront.ListPublicKeysInput{MaxItems: two})
	c.ok(err)
	groups, err := c.cdn.ListKeyGroups(ctx, &cloudfront.ListKeyGroupsInput{MaxItems: two})
	c.ok(err)
	custom, err := c.cdn.ListCachePolicies(ctx, &cloudfront.ListCachePoliciesInput{
		MaxItems: two, Type: types.CachePolicyTypeCustom,
	})
	c.ok(err)
	managed, err := c.cdn.ListCachePolicies(ctx, &cloudfront.ListCachePoliciesInput{
		Type: types.CachePolicyTypeManaged,
	})
	c.ok(err)
	forwarding, err := c.cdn.ListOriginRequestPolicies(ctx, &cloudfront.ListOriginRequestPoliciesInput{})
	c.ok(err)
	headers, err := c.cdn.ListResponseHeadersPolicies(ctx, &cloudfront.ListResponseHeadersPoliciesInput{})
	c.ok(err)
	if len(controls.OriginAccessControlList.Items) != 2 || controls.OriginAccessControlList.NextMarker == nil ||
		len(keys.PublicKeyList.Items) != 2 || keys.PublicKeyList.NextMarker == nil ||
		len(groups.KeyGroupList.Items) != 2 || groups.KeyGroupList.NextMarker == nil ||
		len(custom.CachePolicyList.Items) != 2 || custom.CachePolicyList.NextMarker == nil ||
		custom.CachePolicyList.Items[0].Type != types.CachePolicyTypeCustom ||
		len(managed.CachePolicyList.Items) < 3 || len(forwarding.OriginRequestPolicyList.Items) < 3 ||
		len(headers.ResponseHeadersPolicyList.Items) < 5 {
		t.Errorf("%+v\n%+v\n%+v\n%+v\n%+v", controls, keys, groups, custom, managed)
	}
}

// TestCloudFrontUsers lists the distributions that use a policy or a key group.
func TestCloudFrontUsers(t *testing.T) {
	c := newCDNCast(t)
	ctx := t.Context()
	policy, forwarding := c.newCachePolicy().CachePolicy.Id, c.newOriginRequestPolicy().OriginRequestPolicy.Id
	headers := c.newHeadersPolicy().ResponseHeadersPolicy.Id
	group := c.newKeyGroup(*c.newPublicKey().PublicKey.Id).KeyGroup.Id
	managed := c.newDistribution().Distribution.Id
	own := *c.newDistribution(func(d *types.DistributionConfig) {
		b := d.DefaultCacheBehavior
		b.CachePolicyId, b.OriginRequestPolicyId, b.ResponseHeadersPolicyId = policy, forwarding, headers
		b.TrustedKeyGroups = &types.TrustedKeyGroups{
			Enabled: aws.Bool(true), Quantity: aws.Int32(1), Items: []string{*group},
		}
	}).Distribution.Id
	check := func(got *types.DistributionIdList, err error, want string) {
		t.Helper()
		c.ok(err)
		if len(got.Items) != 1 || got.Items[0] != want || *got.Quantity != 1 || *got.IsTruncated {
			t.Errorf("%+v, not %s", got, want)
		}
	}
	p, err := c.cdn.ListDistributionsByCachePolicyId(ctx, &cloudfront.ListDistributionsByCachePolicyIdInput{
		CachePolicyId: policy,
	})
	check(p.DistributionIdList, err, own)
	p, err = c.cdn.ListDistributionsByCachePolicyId(ctx, &cloudfront.ListDistributionsByCachePolicyIdInput{
		CachePolicyId: aws.String(cachingOptimized),
	})
	check(p.DistributionIdList, err, *managed)
	o, err := c.cdn.ListDistributionsByOriginRequestPolicyId(ctx,
		&cloudfront.ListDistributionsByOriginRequestPolicyIdInput{OriginRequestPolicyId: forwarding})
	check(o.DistributionIdList, err, own)
	h, err := c.cdn.ListDistributionsByResponseHeadersPolicyId(ctx,
		&cloudfront.ListDistributionsByResponseHeadersPolicyIdInput{ResponseHeadersPolicyId: headers})
	check(h.DistributionIdList, err, own)
	k, err := c.cdn.ListDistributionsByKeyGroup(ctx, &cloudfront.ListDistributionsByKeyGroupInput{KeyGroupId: group})
	check(k.DistributionIdList, err, own)
	_, err = c.cdn.ListDistributionsByKeyGroup(ctx, &cloudfront.ListDistributionsByKeyGroupInput{KeyGroupId: policy})
	status(t, err, "NoSuchResource", 404)
}

// TestCloudFrontPolicies makes, reads, changes and deletes each kind of policy and key.
func TestCloudFrontPolicies(t *testing.T) {
	c := newCDNCast(t)
	ctx := t.Context()
	t.Run("cache policy", func(t *testing.T) {
		made := c.newCachePolicy()
		id := made.CachePolicy.Id
		config, err := c.cdn.GetCachePolicyConfig(ctx, &cloudfront.GetCachePolicyConfigInput{Id: id})
		c.ok(err)
		config.CachePolicyConfig.MinTTL = aws.Int64(0)
		changed, err := c.cdn.UpdateCachePolicy(ctx, &cloudfront.UpdateCachePolicyInput{
			Id: id, IfMatch: config.ETag, CachePolicyConfig: config.CachePolicyConfig,
		})
		c.ok(err)
		got, err := c.cdn.GetCachePolicy(ctx, &cloudfront.GetCachePolicyInput{Id: id})
		c.ok(err)
		p := got.CachePolicy.CachePolicyConfig
		if *got.ETag != *changed.ETag || *p.MinTTL != 0 || *p.DefaultTTL != 60 ||
			!slices.Equal(p.ParametersInCacheKeyAndForwardedToOrigin.QueryStringsConfig.QueryStrings.Items,
				[]string{"v", "w"}) {
			t.Errorf("%+v", p)
		}
		_, err = c.cdn.DeleteCachePolicy(ctx, &cloudfront.DeleteCachePolicyInput{Id: id, IfMatch: got.ETag})
		c.ok(err)
		_, err = c.cdn.GetCachePolicy(ctx, &cloudfront.GetCachePolicyInput{Id: id})
		expect(t, err, "NoSuchCachePolicy")
	})
	t.Run("origin request policy", func(t *testing.T) {
		made := c.newOriginRequestPolicy()
		id := made.OriginRequestPolicy.Id
		config, err := c.cdn.GetOriginRequestPolicyConfig(ctx, &cloudfront.GetOriginRequestPolicyConfigInput{Id: id})
		c.ok(err)
		config.OriginRequestPolicyConfig.Comment = aws.String("c")
		changed, err := c.cdn.UpdateOriginRequestPolicy(ctx, &cloudfront.UpdateOriginRequestPolicyInput{
			Id: id, IfMatch: config.ETag, OriginRequestPolicyConfig: config.OriginRequestPolicyConfig,
		})
		c.ok(err)
		got, err := c.cdn.GetOriginRequestPolicy(ctx, &cloudfront.GetOriginRequestPolicyInput{Id: id})
		c.ok(err)
		if *got.ETag != *changed.ETag || *got.OriginRequestPolicy.OriginRequestPolicyConfig.Comment != "c" {
			t.Errorf("%+v", got)
		}
		_, err = c.cdn.DeleteOriginRequestPolicy(ctx, &cloudfront.DeleteOriginRequestPolicyInput{
			Id: id, IfMatch: got.ETag,
		})
		c.ok(err)
	})
	t.Run("response headers policy", func(t *testing.T) {
		made := c.newHeadersPolicy()
		id := made.ResponseHeadersPolicy.Id
		config, err := c.cdn.GetResponseHeadersPolicyConfig(ctx, &cloudfront.GetResponseHeadersPolicyConfigInput{
			Id: id,
		})
		c.ok(err)
		config.ResponseHeadersPolicyConfig.Comment = aws.String("c")
		changed, err := c.cdn.UpdateResponseHeadersPolicy(ctx, &cloudfront.UpdateResponseHeadersPolicyInput{
			Id: id, IfMatch: config.ETag, ResponseHeadersPolicyConfig: config.ResponseHeadersPolicyConfig,
		})
		c.ok(err)
		got, err := c.cdn.GetResponseHeadersPolicy(ctx, &cloudfront.GetResponseHeadersPolicyInput{Id: id})
		c.ok(err)
		p := got.ResponseHeadersPolicy.ResponseHeadersPolicyConfig
		if *got.ETag != *changed.ETag || !*p.SecurityHeadersConfig.ContentTypeOptions.Override ||
			*p.RemoveHeadersConfig.Items[0].Header != "x-amz-meta-secret" {
			t.Errorf("%+v", p)
		}
		_, err = c.cdn.DeleteResponseHeadersPolicy(ctx, &cloudfront.DeleteResponseHeadersPolicyInput{
			Id: id, IfMatch: got.ETag,
		})
		c.ok(err)
	})
	t.Run("origin access control", func(t *testing.T) {
		made := c.newAccessControl()
		id := made.OriginAccessControl.Id
		config, err := c.cdn.GetOriginAccessControlConfig(ctx, &cloudfront.GetOriginAccessControlConfigInput{Id: id})
		c.ok(err)
		config.OriginAccessControlConfig.SigningBehavior = types.OriginAccessControlSigningBehaviorsNever
		changed, err := c.cdn.UpdateOriginAccessControl(ctx, &cloudfront.UpdateOriginAccessControlInput{
			Id: id, IfMatch: config.ETag, OriginAccessControlConfig: config.OriginAccessControlConfig,
		})
		c.ok(err)
		got, err := c.cdn.GetOriginAccessControl(ctx, &cloudfront.GetOriginAccessControlInput{Id: id})
		c.ok(err)
		if *got.ETag != *changed.ETag || got.OriginAccessControl.OriginAccessControlConfig.SigningBehavior !=
			types.OriginAccessControlSigningBehaviorsNever {
			t.Errorf("%+v", got)
		}
		_, err = c.cdn.DeleteOriginAccessControl(ctx, &cloudfront.DeleteOriginAccessControlInput{
			Id: id, IfMatch: got.ETag,
		})
		c.ok(err)
	})
	t.Run("keys", func(t *testing.T) { c.keys(t, ctx) })
}

func (c *cdnCast) keys(t *testing.T, ctx context.Context) {
	key := c.newPublicKey()
	id := *key.PublicKey.Id
	config, err := c.cdn.GetPublicKeyConfig(ctx, &cloudfront.GetPublicKeyConfigInput{Id: &id})
	c.ok(err)
	config.PublicKeyConfig.Comment = aws.String("c")
	changed, err := c.cdn.UpdatePublicKey(ctx, &cloudfront.UpdatePublicKeyInput{
		Id: &id, IfMatch: config.ETag, PublicKeyConfig: config.PublicKeyConfig,
	})
	c.ok(err)
	group := c.newKeyGroup(id)
	groupID := group.KeyGroup.Id
	groupConfig, err := c.cdn.GetKeyGroupConfig(ctx, &cloudfront.GetKeyGroupConfigInput{Id: groupID})
	c.ok(err)
	groupConfig.KeyGroupConfig.Comment = aws.String("c")
	_, err = c.cdn.UpdateKeyGroup(ctx, &cloudfront.UpdateKeyGroupInput{
		Id: groupID, IfMatch: groupConfig.ETag, KeyGroupConfig: groupConfig.KeyGroupConfig,
	})
	c.ok(err)
	d := c.newDistribution(func(d *types.DistributionConfig) {
		d.DefaultCacheBehavior.TrustedKeyGroups = &types.TrustedKeyGroups{
			Enabled: aws.Bool(true), Quantity: aws.Int32(1), Items: []string{*groupID},
		}
	})
	active := d.Distribution.ActiveTrustedKeyGroups
	if !*active.Enabled || len(active.Items) != 1 || *active.Items[0].KeyGroupId != *groupID ||
		!slices.Equal(active.Items[0].KeyPairIds.Items, []string{id}) {
		t.Errorf("%+v", active)
	}
	got, err := c.cdn.GetKeyGroup(ctx, &cloudfront.GetKeyGroupInput{Id: groupID})
	c.ok(err)
	_, err = c.cdn.DeleteKeyGroup(ctx, &cloudfront.DeleteKeyGroupInput{Id: groupID, IfMatch: got.ETag})
	expect(t, err, "ResourceInUse")
	_, err = c.cdn.DeletePublicKey(ctx, &cloudfront.DeletePublicKeyInput{Id: &id, IfMatch: changed.ETag})
	expect(t, err, "PublicKeyInUse")
	_, err = c.cdn.DeleteDistribution(ctx, &cloudfront.DeleteDistributionInput{
		Id: d.Distribution.Id, IfMatch: d.ETag,
	})
	c.ok(err)
	_, err = c.cdn.DeleteKeyGroup(ctx, &cloudfront.DeleteKeyGroupInput{Id: groupID, IfMatch: got.ETag})
	c.ok(err)
	_, err = c.cdn.DeletePublicKey(ctx, &cloudfront.DeletePublicKeyInput{Id: &id, IfMatch: changed.ETag})
	c.ok(err)
	_, err = c.cdn.GetPublicKey(ctx, &cloudfront.GetPublicKeyInput{Id: &id})
	expect(t, err, "NoSuchPublicKey")
}

// TestCloudFrontInvalidations makes invalidations and reads them.
func TestCloudFrontInvalidations(t *testing.T) {
	c := newCDNCast(t)
	ctx := t.Context()
	id := c.newDistribution().Distribution.Id
	made, err := c.cdn.CreateInvalidation(ctx, &cloudfront.CreateInvalidationInput{
		DistributionId: id, InvalidationBatch: batch("r1", "/index.html", "/img/*"),
	})
	c.ok(err)
	if i := made.Invalidation; (*i.Id)[0] != 'I' || *i.Status != "Completed" ||
		*made.Location != c.Endpoint+"/2020-05-31/distribution/"+*id+"/invalidation/"+*i.Id ||
		!slices.Equal(i.InvalidationBatch.Paths.Items, []string{"/index.html", "/img/*"}) {
		t.Errorf("%+v", i)
	}
	again, err := c.cdn.CreateInvalidation(ctx, &cloudfront.CreateInvalidationInput{
		DistributionId: id, InvalidationBatch: batch("r1", "/index.html", "/img/*"),
	})
	c.ok(err)
	if *again.Invalidation.Id != *made.Invalidation.Id {
		t.Errorf("the same batch is %s and %s", *made.Invalidation.Id, *again.Invalidation.Id)
	}
	_, err = c.cdn.CreateInvalidation(ctx, &cloudfront.CreateInvalidationInput{
		DistributionId: id, InvalidationBatch: batch("r1", "/"),
	})
	expect(t, err, "InvalidationBatchAlreadyExists")
	got, err := c.cdn.GetInvalidation(ctx, &cloudfront.GetInvalidationInput{
		DistributionId: id, Id: made.Invalidation.Id,
	})
	c.ok(err)
	if *got.Invalidation.InvalidationBatch.CallerReference != "r1" {
		t.Errorf("%+v", got.Invalidation)
	}
	_, err = c.cdn.CreateInvalidation(ctx, &cloudfront.CreateInvalidationInput{
		DistributionId: id, InvalidationBatch: batch("r2", "/*"),
	})
	c.ok(err)
	all, err := c.cdn.ListInvalidations(ctx, &cloudfront.ListInvalidationsInput{
		DistributionId: id, MaxItems: aws.Int32(1),
	})
	c.ok(err)
	if l := all.InvalidationList; len(l.Items) != 1 || !*l.IsTruncated || *l.Items[0].Id == *made.Invalidation.Id {
		t.Errorf("the newest comes first: %+v", l)
	}
	w := cloudfront.NewInvalidationCompletedWaiter(c.cdn)
	c.ok(w.Wait(ctx, &cloudfront.GetInvalidationInput{DistributionId: id, Id: made.Invalidation.Id}, time.Minute))
}

// TestCloudFrontTags tags a distribution, and decides by its tags.
func TestCloudFrontTags(t *testing.T) {
	c := newCDNCast(t)
	ctx := t.Context()
	tags := func(of ...string) *types.Tags {
		all := &types.Tags{}
		for i := 0; i < len(of); i += 2 {
			all.Items = append(all.Items, types.Tag{Key: &of[i], Value: &of[i+1]})
		}
		return all
	}
	made, err := c.cdn.CreateDistributionWithTags(ctx, &cloudfront.CreateDistributionWithTagsInput{
		DistributionConfigWithTags: &types.DistributionConfigWithTags{
			DistributionConfig: c.site(), Tags: tags("team", "web", "empty", ""),
		},
	})
	c.ok(err)
	at := made.Distribution.ARN
	_, err = c.cdn.TagResource(ctx, &cloudfront.TagResourceInput{Resource: at, Tags: tags("team", "shop", "x", "y")})
	c.ok(err)
	_, err = c.cdn.UntagResource(ctx, &cloudfront.UntagResourceInput{
		Resource: at, TagKeys: &types.TagKeys{Items: []string{"x"}},
	})
	c.ok(err)
	got, err := c.cdn.ListTagsForResource(ctx, &cloudfront.ListTagsForResourceInput{Resource: at})
	c.ok(err)
	var texts []string
	for _, one := range got.Tags.Items {
		texts = append(texts, *one.Key+"="+*one.Value)
	}
	slices.Sort(texts)
	if !slices.Equal(texts, []string{"empty=", "team=shop"}) {
		t.Errorf("%v", texts)
	}
	shop := c.as(c.user("shop", statements(
		`{"Effect":"Allow","Action":"cloudfront:*","Resource":"*","Condition":{"StringEquals":{"aws:ResourceTag/team":`+
			`"shop"}}}`,
		`{"Effect":"Allow","Action":["cloudfront:CreateDistribution","cloudfront:TagResource"],"Resource":"*",`+
			`"Condition":{"StringEquals":{"aws:RequestTag/team":"shop"},"ForAllValues:StringEquals":{"aws:TagKeys":`+
			`"team"}}}`)))
	other := c.newDistribution().Distribution
	create := func(with *types.Tags) error {
		_, err := shop.CreateDistributionWithTags(ctx, &cloudfront.CreateDistributionWithTagsInput{
			DistributionConfigWithTags: &types.DistributionConfigWithTags{DistributionConfig: c.site(), Tags: with},
		})
		return err
	}
	invalidate := func(id *string) error {
		_, err := shop.CreateInvalidation(ctx, &cloudfront.CreateInvalidationInput{
			DistributionId: id, InvalidationBatch: batch("r", "/"),
		})
		return err
	}
	retag := func(at *string) error {
		_, err := shop.UntagResource(ctx, &cloudfront.UntagResourceInput{
			Resource: at, TagKeys: &types.TagKeys{Items: []string{"a"}},
		})
		return err
	}
	for name, step := range map[string]struct {
		err  error
		want string
	}{
		"a tag that allows":           {invalidate(made.Distribution.Id), ""},
		"none":                        {invalidate(other.Id), "AccessDenied"},
		"untagging":                   {retag(at), ""},
		"untagging another":           {retag(other.ARN), "AccessDenied"},
		"creating with the tag":       {create(tags("team", "shop")), ""},
		"creating with another value": {create(tags("team", "web")), "AccessDenied"},
		"creating with another tag":   {create(tags("team", "shop", "more", "")), "AccessDenied"},
		"creating without tags":       {create(tags()), "AccessDenied"},
	} {
		t.Run(name, func(t *testing.T) { expect(t, step.err, step.want) })
	}
}

func statements(all ...string) string {
	return `{"Version":"2012-10-17","Statement":[` + strings.Join(all, ",") + `]}`
}
