package demand

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"strings"

	"watertight/internal/access/arn"
	"watertight/internal/access/authz"
	"watertight/internal/access/policy"
	"watertight/internal/core/cdn"
	"watertight/internal/core/change/coretest"
	"watertight/internal/core/distribution"
	"watertight/internal/core/tag"
)

// cdnFixture is a configuration of the CDN: for each kind of resources one that may be deleted,
// by the names that methods have for the kinds.
type cdnFixture struct {
	ids, etags   map[string]string
	documents    map[string]any
	tagged       string // ARN of the distribution
	invalidation string
	all          []arn.ARN
}

func cdnKinds() []string {
	return []string{
		"distribution", "origin-access-control", "cache-policy", "origin-request-policy", "response-headers-policy",
	}
}

// cdnDocuments returns a configuration of each kind, with names of its own.
func cdnDocuments(reference string) map[string]any {
	key, _ := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	der, _ := x509.MarshalPKIXPublicKey(&key.PublicKey)
	caching := distribution.ManagedCachePolicies()[distribution.CachingOptimized]
	forwarding := distribution.ManagedOriginRequestPolicies()["216adef6-5c7f-47e4-b989-5492eafa07d3"]
	headers := distribution.ManagedResponseHeadersPolicies()["67f7725c-6f97-4210-82d7-5512b31e9d03"]
	caching.Name, forwarding.Name, headers.Name = reference, reference, reference
	return map[string]any{
		"Distribution": distribution.Config{
			CallerReference: reference,
			Origins: distribution.Origins{Quantity: 1, Items: []distribution.Origin{{
				Id: "o", DomainName: "bkt.s3.amazonaws.com", S3OriginConfig: &distribution.S3OriginConfig{},
			}}},
			DefaultCacheBehavior: distribution.CacheBehavior{
				TargetOriginId: "o", ViewerProtocolPolicy: "allow-all", CachePolicyId: distribution.CachingOptimized,
			},
		},
		"OriginAccessControl": distribution.OriginAccessControlConfig{
			Name: reference, SigningProtocol: "sigv4", SigningBehavior: "always", OriginAccessControlOriginType: "s3",
		},
		"CachePolicy": caching, "OriginRequestPolicy": forwarding, "ResponseHeadersPolicy": headers,
		"PublicKey": distribution.PublicKeyConfig{
			CallerReference: reference, Name: reference,
			EncodedKey: string(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der})),
		},
		"Invalidation": distribution.InvalidationBatch{
			CallerReference: reference, Paths: distribution.InvalidationPaths{Quantity: 1, Items: []string{"/*"}},
		},
	}
}

func made[C any](f *fixture, kind string, r cdn.Resource[C], err error) {
	f.T.Helper()
	f.OK(err)
	f.cdn.ids[kind], f.cdn.etags[kind] = r.ID, r.ETag
}

func (f *fixture) fillCDN() {
	f.T.Helper()
	s, ctx := f.stores["core/cdn.Store"].(*cdn.Store), f.T.Context()
	f.cdn = cdnFixture{ids: map[string]string{}, etags: map[string]string{}, documents: cdnDocuments("made")}
	every, docs := arn.Any(), f.cdn.documents
	grant := func(action policy.Action, resource string) authz.Grant {
		return f.Grant(action, arn.CloudFront(coretest.Account, resource))
	}
	d, err := s.CreateDistribution(ctx, grant("cloudfront:CreateDistribution", "distribution/*"),
		docs["Distribution"].(distribution.Config), nil)
	made(f, "Distribution", d.Resource, err)
	f.cdn.tagged = d.ARN
	oac, err := s.CreateOriginAccessControl(ctx,
		grant("cloudfront:CreateOriginAccessControl", "origin-access-control/*"),
		docs["OriginAccessControl"].(distribution.OriginAccessControlConfig))
	made(f, "OriginAccessControl", oac, err)
	caching, err := s.CreateCachePolicy(ctx, grant("cloudfront:CreateCachePolicy", "cache-policy/*"),
		docs["CachePolicy"].(distribution.CachePolicyConfig))
	made(f, "CachePolicy", caching, err)
	forwarding, err := s.CreateOriginRequestPolicy(ctx,
		grant("cloudfront:CreateOriginRequestPolicy", "origin-request-policy/*"),
		docs["OriginRequestPolicy"].(distribution.OriginRequestPolicyConfig))
	made(f, "OriginRequestPolicy", forwarding, err)
	headers, err := s.CreateResponseHeadersPolicy(ctx,
		grant("cloudfront:CreateResponseHeadersPolicy", "response-headers-policy/*"),
		docs["ResponseHeadersPolicy"].(distribution.ResponseHeadersPolicyConfig))
	made(f, "ResponseHeadersPolicy", headers, err)
	key, err := s.CreatePublicKey(ctx, f.Grant("cloudfront:CreatePublicKey", every),
		docs["PublicKey"].(distribution.PublicKeyConfig))
	made(f, "PublicKey", key, err)
	docs["KeyGroup"] = distribution.KeyGroupConfig{Name: "made", Items: []string{key.ID}}
	group, err := s.CreateKeyGroup(ctx, f.Grant("cloudfront:CreateKeyGroup", every),
		docs["KeyGroup"].(distribution.KeyGroupConfig))
	made(f, "KeyGroup", group, err)
	i, err := s.CreateInvalidation(ctx, grant("cloudfront:CreateInvalidation", "distribution/"+d.ID), d.ID,
		docs["Invalidation"].(distribution.InvalidationBatch))
	f.OK(err)
	f.cdn.invalidation = i.ID
	for _, kind := range cdnKinds() {
		f.cdn.all = append(f.cdn.all, arn.CloudFront(coretest.Account, kind+"/*"))
		for _, id := range f.cdn.ids {
			f.cdn.all = append(f.cdn.all, arn.CloudFront(coretest.Account, kind+"/"+id))
		}
	}
}

// inCDN are the arguments of a method by the kind that its name ends with.
func inCDN(f *fixture, m *method) []arguments {
	args := arguments{
		"resource": f.cdn.tagged, "keys": []string{"k"}, "tags": []tag.Tag(nil), "invalidation": f.cdn.invalidation,
	}
	kind := strings.TrimSuffix(m.name, "Config")
	for _, word := range []string{"Create", "Get", "Update", "Delete"} {
		kind = strings.TrimPrefix(kind, word)
	}
	args["id"], args["ifMatch"], args["in"] = f.cdn.ids[kind], f.cdn.etags[kind], f.cdn.documents[kind]
	if strings.HasPrefix(m.name, "Create") && kind != "KeyGroup" {
		args["in"] = cdnDocuments("new")[kind]
	}
	if kind == "Invalidation" || kind == "Invalidations" || m.name == "ListInvalidations" {
		args["id"] = f.cdn.ids["Distribution"]
	}
	if m.name == "CreateDistribution" {
		return []arguments{args, args.with(arguments{"tags": []tag.Tag{{Key: "k", Value: "v"}}})}
	}
	return []arguments{args}
}
