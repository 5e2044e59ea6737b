package e2e

import (
	"net"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"
	"github.com/aws/aws-sdk-go-v2/service/cloudfront"
	"github.com/aws/aws-sdk-go-v2/service/cloudfront/types"
	"github.com/aws/aws-sdk-go-v2/service/s3"

	"watertight/internal/operator"
	"watertight/internal/server"
	"watertight/test/harness"
)

// oacSite is a private bucket, bkt, behind a distribution that signs.
type oacSite struct {
	*cdnCast
	control string // id of the access control
	own     *cloudfront.CreateDistributionOutput
}

// with returns a change that makes a distribution sign by an access control and turns caching
// off.
func with(control string) func(*types.DistributionConfig) {
	return func(d *types.DistributionConfig) {
		d.Enabled = aws.Bool(true)
		d.DefaultCacheBehavior.CachePolicyId = aws.String(cachingDisabled)
		if control != "" {
			d.Origins.Items[0].OriginAccessControlId = &control
		}
	}
}

func newOACSite(t *testing.T) *oacSite {
	c := newCDNCast(t, func(c *server.Config) { c.CDN.Listen = "127.0.0.1:0" })
	s := &oacSite{cdnCast: c}
	s.control = *c.newAccessControl().OriginAccessControl.Id
	s.own = c.newDistribution(with(s.control))
	_, err := c.S3.CreateBucket(t.Context(), &s3.CreateBucketInput{Bucket: aws.String("bkt")})
	c.ok(err)
	c.ok(s.putPage("private"))
	return s
}

// putPage puts the object that the tests read.
func (s *oacSite) putPage(text string) error {
	_, err := s.S3.PutObject(s.t.Context(), &s3.PutObjectInput{
		Bucket: aws.String("bkt"), Key: aws.String("page"), Body: strings.NewReader(text),
	})
	return err
}

// policy puts a bucket policy that allows the service what it names, under a condition.
func (s *oacSite) policy(key, value string, actions ...string) {
	s.t.Helper()
	condition := ""
	if key != "" {
		condition = `,"Condition":{"StringEquals":{"` + key + `":"` + value + `"}}`
	}
	_, err := s.S3.PutBucketPolicy(s.t.Context(), &s3.PutBucketPolicyInput{
		Bucket: aws.String("bkt"), Policy: aws.String(`{"Version":"2012-10-17","Statement":[{"Effect":"Allow",` +
			`"Principal":{"Service":"cloudfront.amazonaws.com"},"Action":["` + strings.Join(actions, `","`) +
			`"],"Resource":["arn:aws:s3:::bkt/*","arn:aws:s3:::bkt"]` + condition + `}]}`),
	})
	s.ok(err)
}

// get asks a distribution for a path.
func (s *oacSite) get(d *types.Distribution, path string, want int, headers ...string) string {
	s.t.Helper()
	r, text := cdnDo(s.t, s.Server, http.MethodGet, *d.DomainName, path, nil, headers...)
	if r.StatusCode != want {
		s.t.Errorf("GET %s of %s: %d %s, want %d", path, *d.Id, r.StatusCode, text, want)
	}
	return text
}

// through expects a status for the page through a distribution.
func (s *oacSite) through(name string, d *types.Distribution, want int) {
	s.t.Helper()
	r, text := cdnGet(s.t, s.Server, *d.DomainName, "/page")
	if r.StatusCode != want || want == http.StatusOK && text != "private" {
		s.t.Errorf("%s: %d, not %d: %s", name, r.StatusCode, want, text)
	}
}

// direct expects that the bucket itself refuses a request without a key.
func (s *oacSite) direct(name string) {
	s.t.Helper()
	r, err := http.Get(s.Endpoint + "/bkt/page")
	s.ok(err)
	if r.Body.Close(); r.StatusCode != http.StatusForbidden {
		s.t.Errorf("%s: the bucket itself answered %d", name, r.StatusCode)
	}
}

// foreign makes a distribution of another account in front of the bucket.
func (s *oacSite) foreign() *types.Distribution {
	s.t.Helper()
	strange := &cdnCast{cast: s.cast, t: s.t, made: 100}
	strange.cdn = s.cdnOf(s.CreateAccount(s.t, "strangers"), "")
	return strange.newDistribution(with(*strange.newAccessControl().OriginAccessControl.Id)).Distribution
}

// newCached makes a distribution whose answers are cached.
func (s *oacSite) newCached() *types.Distribution {
	s.t.Helper()
	return s.newDistribution(with(s.control), func(d *types.DistributionConfig) {
		d.DefaultCacheBehavior.CachePolicyId = aws.String(cachingOptimized)
	}).Distribution
}

// changed updates the configuration of the site's distribution.
func (s *oacSite) changed(change func(*types.DistributionConfig)) {
	s.t.Helper()
	now, err := s.cdn.GetDistributionConfig(s.t.Context(), &cloudfront.GetDistributionConfigInput{
		Id: s.own.Distribution.Id,
	})
	s.ok(err)
	change(now.DistributionConfig)
	_, err = s.cdn.UpdateDistribution(s.t.Context(), &cloudfront.UpdateDistributionInput{
		Id: s.own.Distribution.Id, IfMatch: now.ETag, DistributionConfig: now.DistributionConfig,
	})
	s.ok(err)
}

// behaves changes how the access control signs.
func (s *oacSite) behaves(how types.OriginAccessControlSigningBehaviors) {
	s.t.Helper()
	now, err := s.cdn.GetOriginAccessControlConfig(s.t.Context(), &cloudfront.GetOriginAccessControlConfigInput{
		Id: &s.control,
	})
	s.ok(err)
	now.OriginAccessControlConfig.SigningBehavior = how
	_, err = s.cdn.UpdateOriginAccessControl(s.t.Context(), &cloudfront.UpdateOriginAccessControlInput{
		Id: &s.control, IfMatch: now.ETag, OriginAccessControlConfig: now.OriginAccessControlConfig,
	})
	s.ok(err)
}

// TestOriginAccessControl: with all of Block Public Access on, a private bucket can be read
// through its distribution only.
func TestOriginAccessControl(t *testing.T) {
	s := newOACSite(t)
	own := s.own.Distribution
	s.direct("without a policy")
	s.get(own, "/page", 403)
	s.policy("AWS:SourceArn", *own.ARN, "s3:GetObject")
	s.direct("with the policy")
	if text := s.get(own, "/page", 200); text != "private" {
		t.Errorf("got %q", text)
	}
	status, err := s.S3.GetBucketPolicyStatus(t.Context(), &s3.GetBucketPolicyStatusInput{Bucket: aws.String("bkt")})
	s.ok(err)
	if aws.ToBool(status.PolicyStatus.IsPublic) {
		t.Error("the policy counts as public")
	}
	_, err = s.S3.PutBucketPolicy(t.Context(), &s3.PutBucketPolicyInput{
		Bucket: aws.String("bkt"), Policy: aws.String(`{"Statement":{"Effect":"Allow","Principal":"*",` +
			`"Action":"s3:GetObject","Resource":"arn:aws:s3:::bkt/*"}}`),
	})
	if code(err) != "AccessDenied" {
		t.Errorf("a public policy: %v", err)
	}
	foreign := s.foreign()
	s.get(foreign, "/page", 403)
	s.policy("", "", "s3:GetObject")
	s.get(foreign, "/page", 200) // what the warning of watertight why-public is about
	s.policy("AWS:SourceArn", *own.ARN, "s3:GetObject")
	s.get(own, "/none", 403) // without s3:ListBucket, S3 does not reveal whether it exists
	s.policy("AWS:SourceArn", *own.ARN, "s3:GetObject", "s3:ListBucket")
	s.get(own, "/none", 404)
	if text := s.get(own, "/", 200); !strings.Contains(text, "<Key>page</Key>") {
		t.Errorf("without a root object, / lists the bucket if that is allowed: %s", text)
	}
}

// TestOriginAccessControlNoOverride: with a viewer's own signature, if a policy forwards it,
// the request is the viewer's. Without one, the edge signs.
func TestOriginAccessControlNoOverride(t *testing.T) {
	s := newOACSite(t)
	own := s.own.Distribution
	s.policy("AWS:SourceArn", *own.ARN, "s3:GetObject")
	s.behaves(types.OriginAccessControlSigningBehaviorsNoOverride)
	user := s.user("viewer", statements(
		`{"Effect":"Allow","Action":"s3:GetObject","Resource":"arn:aws:s3:::bkt/page"}`)).key
	nobody := s.user("nobody", "").key
	// Authorization is forwarded if it is in the cache key; the date and the hash by an origin
	// request policy.
	keyed := s.cachePolicy()
	keyed.ParametersInCacheKeyAndForwardedToOrigin.HeadersConfig = &types.CachePolicyHeadersConfig{
		HeaderBehavior: types.CachePolicyHeaderBehaviorWhitelist, Headers: &types.Headers{
			Quantity: aws.Int32(3), Items: []string{"Authorization", "X-Amz-Date", "X-Amz-Content-Sha256"},
		},
	}
	made, err := s.cdn.CreateCachePolicy(t.Context(), &cloudfront.CreateCachePolicyInput{CachePolicyConfig: keyed})
	s.ok(err)
	signed := func(key harness.Credentials) []string {
		r, err := http.NewRequest(http.MethodGet, "https://bkt.s3.amazonaws.com/page", nil)
		s.ok(err)
		r.Header.Set("X-Amz-Content-Sha256", "UNSIGNED-PAYLOAD")
		s.ok(v4.NewSigner().SignHTTP(t.Context(), aws.Credentials{
			AccessKeyID: key.AccessKeyID, SecretAccessKey: key.SecretAccessKey,
		}, r, "UNSIGNED-PAYLOAD", "s3", s.Region, time.Now()))
		return []string{
			"Authorization", r.Header.Get("Authorization"), "X-Amz-Date", r.Header.Get("X-Amz-Date"),
			"X-Amz-Content-Sha256", "UNSIGNED-PAYLOAD",
		}
	}
	s.get(own, "/page", 200, signed(nobody)...) // not forwarded: the edge signs
	s.changed(func(d *types.DistributionConfig) { d.DefaultCacheBehavior.CachePolicyId = made.CachePolicy.Id })
	s.get(own, "/page", 200, signed(user)...)
	s.get(own, "/page", 403, signed(nobody)...)
	s.get(own, "/page", 200)
	s.get(own, "/page", 400, "Authorization", "Bearer x")
	s.behaves(types.OriginAccessControlSigningBehaviorsAlways)
	s.get(own, "/page", 200, signed(nobody)...)
}

// TestOriginNotAllowed: a distribution may name any server as its origin. One that the operator
// did not allow is never called, and the operator is told.
func TestOriginNotAllowed(t *testing.T) {
	asked := 0
	custom := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { asked++ }))
	defer custom.Close()
	_, port, _ := net.SplitHostPort(custom.Listener.Addr().String())
	number, _ := strconv.Atoi(port)
	s := newOACSite(t)
	d := s.newDistribution(with(""), func(d *types.DistributionConfig) {
		d.Origins.Items[0].DomainName = aws.String("localhost.example.com")
		d.Origins.Items[0].S3OriginConfig = nil
		d.Origins.Items[0].CustomOriginConfig = &types.CustomOriginConfig{
			HTTPPort: aws.Int32(int32(number)), HTTPSPort: aws.Int32(443),
			OriginProtocolPolicy: types.OriginProtocolPolicyHttpOnly,
		}
	}).Distribution
	s.get(d, "/page", 502)
	status, err := operator.Dial(s.Data).CDNStatus(t.Context(), "")
	s.ok(err)
	if f := status.Edge.Failures; asked != 0 || len(f) != 1 || f[0].Distribution != *d.Id ||
		!strings.Contains(f[0].Reason, "--cdn-allow-origin") {
		t.Errorf("asked %d times, %+v", asked, f)
	}
}
