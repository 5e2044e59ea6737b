package e2e

import (
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	cfsign "github.com/aws/aws-sdk-go-v2/feature/cloudfront/sign"
	"github.com/aws/aws-sdk-go-v2/service/cloudfront"
	"github.com/aws/aws-sdk-go-v2/service/cloudfront/types"
	"github.com/aws/aws-sdk-go-v2/service/s3"
)

// TestCDNSignedAccess: requests with signatures of AWS's signer are served, and all others are
// refused, whether or not the object is cached. A key that was removed from its group is no
// longer accepted.
func TestCDNSignedAccess(t *testing.T) {
	c := newOACSite(t)
	ctx := t.Context()
	private, err := rsa.GenerateKey(rand.Reader, 2048)
	c.ok(err)
	der, err := x509.MarshalPKIXPublicKey(private.Public())
	c.ok(err)
	config := c.publicKey()
	config.EncodedKey = aws.String(string(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der})))
	key, err := c.cdn.CreatePublicKey(ctx, &cloudfront.CreatePublicKeyInput{PublicKeyConfig: config})
	c.ok(err)
	id := *key.PublicKey.Id
	group := c.newKeyGroup(id)
	d := c.newDistribution(with(c.control), func(d *types.DistributionConfig) {
		d.DefaultCacheBehavior.CachePolicyId = aws.String(cachingOptimized)
		d.DefaultCacheBehavior.TrustedKeyGroups = &types.TrustedKeyGroups{
			Enabled: aws.Bool(true), Quantity: aws.Int32(1), Items: []string{*group.KeyGroup.Id},
		}
	}).Distribution
	c.policy("aws:SourceArn", *d.ARN, "s3:GetObject")
	_, err = c.S3.PutObject(ctx, &s3.PutObjectInput{ // it is refused for its signature, not for being missing
		Bucket: aws.String("bkt"), Key: aws.String("other"), Body: strings.NewReader("private"),
	})
	c.ok(err)
	site := "http://" + *d.DomainName
	get := func(name, url string, want int, headers ...string) {
		t.Helper()
		resp, body := cdnGet(t, c.Server, *d.DomainName, strings.TrimPrefix(url, site), headers...)
		if resp.StatusCode != want || want == http.StatusOK && body != "private" {
			t.Errorf("%s: %d, not %d: %s", name, resp.StatusCode, want, body)
		}
	}
	policy := func(resource, address string) *cfsign.Policy {
		p := cfsign.NewCannedPolicy(resource, time.Now().Add(time.Hour))
		p.Statements[0].Condition.IPAddress = &cfsign.IPAddress{SourceIP: address}
		return p
	}
	signer := cfsign.NewURLSigner(id, private)
	url, err := signer.Sign(site+"/page", time.Now().Add(time.Hour))
	c.ok(err)
	old, err := signer.Sign(site+"/page", time.Now().Add(-time.Minute))
	c.ok(err)
	here, err := signer.SignWithPolicy(site+"/page", policy(site+"/*", "127.0.0.0/8"))
	c.ok(err)
	elsewhere, err := signer.SignWithPolicy(site+"/page", policy(site+"/*", "192.0.2.0/24"))
	c.ok(err)
	others, err := signer.SignWithPolicy(site+"/page", policy(site+"/other/*", "127.0.0.0/8"))
	c.ok(err)
	stranger, err := cfsign.NewURLSigner("K0000000000000", private).Sign(site+"/page", time.Now().Add(time.Hour))
	c.ok(err)
	var cookies []string
	signed, err := cfsign.NewCookieSigner(id, private).SignWithPolicy(policy(site+"/*", "127.0.0.0/8"))
	c.ok(err)
	for _, one := range signed {
		cookies = append(cookies, one.Name+"="+one.Value)
	}
	get("unsigned", site+"/page", 403)
	get("signed", url, 200)
	get("unsigned, and in the cache", site+"/page", 403)
	get("of another object", strings.Replace(url, "/page?", "/other?", 1), 403)
	get("with a later end", strings.Replace(url, "Expires=1", "Expires=2", 1), 403)
	get("with a further parameter", url+"&a=b", 403)
	get("expired", old, 403)
	get("from here", here, 200)
	get("from elsewhere", elsewhere, 403)
	get("for other objects", others, 403)
	get("with a key of nobody", stranger, 403)
	get("with cookies", site+"/page", 200, "Cookie", strings.Join(cookies, "; "))
	get("with half of the cookies", site+"/page", 403, "Cookie", cookies[0])
	_, err = c.cdn.UpdateKeyGroup(ctx, &cloudfront.UpdateKeyGroupInput{
		Id: group.KeyGroup.Id, IfMatch: group.ETag, KeyGroupConfig: &types.KeyGroupConfig{
			Name: group.KeyGroup.KeyGroupConfig.Name, Items: []string{*c.newPublicKey().PublicKey.Id},
		},
	})
	c.ok(err)
	get("with a key that left the group", url, 403)
}
