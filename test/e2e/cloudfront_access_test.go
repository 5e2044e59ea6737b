package e2e

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/cloudfront"
	"github.com/aws/aws-sdk-go-v2/service/cloudfront/types"
	"github.com/aws/aws-sdk-go-v2/service/iam"

	"watertight/internal/gateway/dispatch"
	"watertight/test/harness"
)

// target is a resource that an operation works on.
type cdnTarget struct {
	id, etag, inner string // inner is the id of an invalidation
	name            string // a new one, for documents
	key             string // the id of a public key
	reference       string // that a document must keep
	encoded         string
}

// newTarget makes the resource that an operation's path names.
func (c *cdnCast) newTarget(path string) (r cdnTarget) {
	c.Helper()
	r.name = *c.name()
	r.reference = r.name
	kind, _, _ := strings.Cut(strings.TrimPrefix(path, "/2020-05-31/"), "/")
	kind, _, _ = strings.Cut(kind, "?")
	key := c.publicKey()
	r.encoded = *key.EncodedKey
	switch kind {
	case "distribution", "tagging":
		d := c.newDistribution()
		r.id, r.etag, r.reference = *d.Distribution.Id, *d.ETag, *d.Distribution.DistributionConfig.CallerReference
		if !strings.Contains(path, "{") {
			r.reference = r.name
		}
		i, err := c.cdn.CreateInvalidation(c.Context(), &cloudfront.CreateInvalidationInput{
			DistributionId: &r.id, InvalidationBatch: batch("matrix", "/"),
		})
		c.ok(err)
		r.inner = *i.Invalidation.Id
	case "origin-access-control":
		o := c.newAccessControl()
		r.id, r.etag = *o.OriginAccessControl.Id, *o.ETag
	case "cache-policy", "distributionsByCachePolicyId":
		o := c.newCachePolicy()
		r.id, r.etag = *o.CachePolicy.Id, *o.ETag
	case "origin-request-policy", "distributionsByOriginRequestPolicyId":
		o := c.newOriginRequestPolicy()
		r.id, r.etag = *o.OriginRequestPolicy.Id, *o.ETag
	case "response-headers-policy", "distributionsByResponseHeadersPolicyId":
		o := c.newHeadersPolicy()
		r.id, r.etag = *o.ResponseHeadersPolicy.Id, *o.ETag
	case "public-key":
		o := c.newPublicKey()
		r.id, r.etag = *o.PublicKey.Id, *o.ETag
		if strings.Contains(path, "{") { // what can't be changed
			p := o.PublicKey.PublicKeyConfig
			r.name, r.reference, r.encoded = *p.Name, *p.CallerReference, *p.EncodedKey
		}
	case "key-group", "distributionsByKeyGroupId":
		r.key = *c.newPublicKey().PublicKey.Id
		o := c.newKeyGroup(r.key)
		r.id, r.etag = *o.KeyGroup.Id, *o.ETag
	default:
		c.Fatalf("no resource for %s", path)
	}
	return r
}

// cdnRequest builds a request that matches a row.
func cdnRequest(row dispatch.Row, account string, r cdnTarget) raw {
	const site = `<DistributionConfig><CallerReference>REFERENCE</CallerReference><Origins>` +
		`<Quantity>1</Quantity><Items><Origin><Id>o</Id><DomainName>bkt.s3.amazonaws.com</DomainName><S3OriginConfig><OriginAccessIdentity/>` +
		`</S3OriginConfig></Origin></Items></Origins><DefaultCacheBehavior><TargetOriginId>o</TargetOriginId>` +
		`<ViewerProtocolPolicy>allow-all</ViewerProtocolPolicy><CachePolicyId>` + cachingOptimized +
		`</CachePolicyId></DefaultCacheBehavior><Comment/><Enabled>false</Enabled></DistributionConfig>`
	const rest = `<CookiesConfig><CookieBehavior>none</CookieBehavior></CookiesConfig><QueryStringsConfig>` +
		`<QueryStringBehavior>none</QueryStringBehavior></QueryStringsConfig>`
	const none = `<HeadersConfig><HeaderBehavior>none</HeaderBehavior></HeadersConfig>` + rest
	documents := map[string]string{
		"Distribution": site,
		"DistributionWithTags": `<DistributionConfigWithTags>` + site +
			`<Tags><Items><Tag><Key>k</Key><Value>v</Value></Tag></Items></Tags></DistributionConfigWithTags>`,
		"OriginAccessControl": `<OriginAccessControlConfig><Name>NAME</Name><SigningProtocol>sigv4</SigningProtocol>` +
			`<SigningBehavior>always</SigningBehavior><OriginAccessControlOriginType>s3` +
			`</OriginAccessControlOriginType></OriginAccessControlConfig>`,
		"CachePolicy": `<CachePolicyConfig><Name>NAME</Name><MinTTL>1</MinTTL>` +
			`<ParametersInCacheKeyAndForwardedToOrigin><EnableAcceptEncodingGzip>false` +
			`</EnableAcceptEncodingGzip>` + none + `</ParametersInCacheKeyAndForwardedToOrigin></CachePolicyConfig>`,
		"OriginRequestPolicy": `<OriginRequestPolicyConfig><Name>NAME</Name>` + none + `</OriginRequestPolicyConfig>`,
		"ResponseHeadersPolicy": `<ResponseHeadersPolicyConfig><Name>NAME</Name><CustomHeadersConfig><Quantity>1` +
			`</Quantity><Items><ResponseHeadersPolicyCustomHeader><Header>x-a</Header><Value>b</Value><Override>true` +
			`</Override></ResponseHeadersPolicyCustomHeader></Items></CustomHeadersConfig></ResponseHeadersPolicyConfig>`,
		"PublicKey": `<PublicKeyConfig><CallerReference>REFERENCE</CallerReference><Name>NAME</Name><EncodedKey>` +
			`ENCODED</EncodedKey></PublicKeyConfig>`,
		"KeyGroup": `<KeyGroupConfig><Name>NAME</Name><Items><PublicKey>KEY</PublicKey></Items></KeyGroupConfig>`,
		"Invalidation": `<InvalidationBatch><Paths><Quantity>1</Quantity><Items><Path>/a</Path></Items></Paths>` +
			`<CallerReference>REFERENCE</CallerReference></InvalidationBatch>`,
		"TagResource":   `<Tags><Items><Tag><Key>k</Key><Value>v</Value></Tag></Items></Tags>`,
		"UntagResource": `<TagKeys><Items><Key>k</Key></Items></TagKeys>`,
	}
	method, path, _ := strings.Cut(row.Route().String(), " ")
	q := raw{method: method, service: "cloudfront", header: http.Header{}}
	if method == "POST" || method == "PUT" {
		name := strings.TrimPrefix(strings.TrimPrefix(row.Name(), "Create"), "Update")
		q.body = strings.NewReplacer("REFERENCE", r.reference, "NAME", r.name, "ENCODED", r.encoded, "KEY", r.key).
			Replace(documents[name])
	}
	if method == "PUT" || method == "DELETE" {
		q.header["If-Match"] = []string{r.etag}
	}
	if strings.HasPrefix(path, "/2020-05-31/tagging") {
		path = strings.Replace(path+"?", "??", "?", 1)
		if strings.Count(path, "?") > 1 {
			path = strings.TrimSuffix(path, "?") + "&"
		}
		path += "Resource=arn%3Aaws%3Acloudfront%3A%3A" + account + "%3Adistribution%2F" + r.id
	}
	inner := r.id
	if strings.Contains(path, "{DistributionId}") {
		inner = r.inner
	}
	q.target = strings.NewReplacer("{DistributionId}", r.id, "{Id}", inner).Replace(path)
	return q
}

// cdnNeeds are the permissions of an operation, on exactly what it works on.
func cdnNeeds(row dispatch.Row, account string, r cdnTarget) []permission {
	name, route := row.Name(), row.Route().String()
	_, path, _ := strings.Cut(route, "/2020-05-31/")
	kind, _, _ := strings.Cut(strings.Split(path, "?")[0], "/")
	on := "arn:aws:cloudfront::" + account + ":" + kind + "/" + r.id
	switch {
	case name == "ListInvalidations":
	case kind == "public-key", kind == "key-group", strings.HasPrefix(name, "List") && kind != "tagging":
		on = "*"
	case kind == "tagging":
		on = "arn:aws:cloudfront::" + account + ":distribution/" + r.id
	case !strings.Contains(path, "{"):
		on = "arn:aws:cloudfront::" + account + ":" + kind + "/*"
	}
	if name == "CreateDistributionWithTags" {
		return []permission{{"cloudfront:CreateDistribution", on}, {"cloudfront:TagResource", on}}
	}
	return []permission{{"cloudfront:" + name, on}}
}

// TestCloudFrontMatrix walks every operation as every kind of caller, and as a user with
// exactly its permissions, with each of them denied, missing or on another resource, and
// with every other action. The golden file is what a reviewer reads. Unsigned requests are
// S3's.
func TestCloudFrontMatrix(t *testing.T) {
	c := newCDNCast(t)
	foreign := c.CreateAccount(t, "foreign")
	user := c.user("caller", "")
	allow := func(of ...string) {
		t.Helper()
		of = append(of, permission{"sts:Nothing", "*"}.statement("Allow"))
		_, err := c.root.PutUserPolicy(t.Context(), &iam.PutUserPolicyInput{
			UserName: aws.String("caller"), PolicyName: aws.String("p"), PolicyDocument: aws.String(statements(of...)),
		})
		c.ok(err)
	}
	var out bytes.Buffer
	fmt.Fprintf(&out, "%-44s %-20s %-26s %-32s %-24s %-28s %s\n", "operation", "anonymous", "unknown key",
		"another account's root", "a user without a policy", "one denied, missing or other", "exactly its policy")
	for _, row := range c.Operations("cloudfront") {
		r := c.newTarget(row.Route().String()[strings.Index(row.Route().String(), "/"):])
		cell := func(who func(*raw)) string {
			q := cdnRequest(row, c.account, r)
			who(&q)
			a := send(t, c.Server, q)
			_, code, _ := strings.Cut(a.body, "<Code>")
			code, _, _ = strings.Cut(code, "<")
			return strings.TrimSpace(fmt.Sprint(a.status, " ", code))
		}
		needs := cdnNeeds(row, c.account, r)
		var its, shut []string
		for _, p := range needs {
			its = append(its, p.statement("Allow"))
		}
		try := func(of ...string) {
			allow(of...)
			shut = append(shut, cell(by(user.key)))
		}
		for n, p := range needs {
			try(append(slices.Clone(its), p.statement("Deny"))...)
			try(slices.Delete(slices.Clone(its), n, n+1)...)
			try(`{"Effect":"Allow","NotAction":"` + p.action + `","Resource":"*"}`)
			if p.resource != "*" {
				other := strings.TrimSuffix(p.resource, "*") + "E0000000000000"
				try(append(slices.Delete(slices.Clone(its), n, n+1), permission{p.action, other}.statement("Allow"))...)
			}
		}
		slices.Sort(shut)
		allow()
		nothing := cell(by(user.key))
		strangers := []string{
			cell(func(r *raw) { r.unsigned = true }),
			cell(by(harness.Credentials{
				AccessKeyID: "AKIAUNKNOWNUNKNOWN12", SecretAccessKey: strings.Repeat("x", 40),
			})),
			cell(by(foreign)),
		}
		allow(its...)
		r.name += "b" // the stranger may have taken it
		if r.reference += "b"; strings.Contains(row.Route().String(), "{") {
			r.name, r.reference = strings.TrimSuffix(r.name, "b"), strings.TrimSuffix(r.reference, "b")
		}
		fmt.Fprintf(&out, "%-44s %-20s %-26s %-32s %-24s %-28s %s\n", row.Name(), strangers[0], strangers[1],
			strangers[2], nothing, strings.Join(slices.Compact(shut), ", "), cell(by(user.key)))
	}
	golden(t, "cloudfront-matrix.golden", out.Bytes())
}

// TestCloudFrontTellsStrangersNothing: what one account has, another one can't tell from
// what does not exist.
func TestCloudFrontTellsStrangersNothing(t *testing.T) {
	c := newCDNCast(t)
	ctx := t.Context()
	d := c.newDistribution().Distribution
	stranger := c.cdnOf(c.CreateAccount(t, "foreign"), "")
	for name, id := range map[string]*string{"another account's": d.Id, "none": aws.String("E0000000000000")} {
		t.Run(name, func(t *testing.T) {
			_, err := stranger.GetDistribution(ctx, &cloudfront.GetDistributionInput{Id: id})
			status(t, err, "NoSuchDistribution", 404)
			_, err = stranger.CreateInvalidation(ctx, &cloudfront.CreateInvalidationInput{
				DistributionId: id, InvalidationBatch: batch("r", "/"),
			})
			status(t, err, "NoSuchDistribution", 404)
			_, err = stranger.ListTagsForResource(ctx, &cloudfront.ListTagsForResourceInput{
				Resource: aws.String("arn:aws:cloudfront::" + c.account + ":distribution/" + *id),
			})
			status(t, err, "AccessDenied", 403)
		})
	}
	all, err := stranger.ListDistributions(ctx, &cloudfront.ListDistributionsInput{})
	c.ok(err)
	if len(all.DistributionList.Items) != 0 {
		t.Errorf("%+v", all.DistributionList.Items)
	}
}

// TestCloudFrontWire: what is not in AWS's SDK's power to get wrong.
func TestCloudFrontWire(t *testing.T) {
	c := newCDNCast(t)
	newBucket(t, c.Server, "2020-05-31")
	good := `<OriginAccessControlConfig xmlns="http://cloudfront.amazonaws.com/doc/2020-05-31/"><Name>%s</Name>` +
		`<SigningProtocol>sigv4</SigningProtocol><SigningBehavior>always</SigningBehavior>` +
		`<OriginAccessControlOriginType>s3</OriginAccessControlOriginType>%s</OriginAccessControlConfig>`
	const path = "/2020-05-31/origin-access-control"
	post := func(body string) raw { return raw{method: "POST", target: path, body: body, service: "cloudfront"} }
	for _, step := range []struct {
		name string
		r    raw
		want string
	}{
		{"a document", post(fmt.Sprintf(good, "a", "")), "201"},
		{"an unknown element", post(fmt.Sprintf(good, "b", "<Protected>true</Protected>")), "400 MalformedXML"},
		{"no document", post(""), "400 MissingBody"},
		{"not XML", post("{}"), "400 MalformedXML"},
		{"an unknown parameter", raw{method: "GET", target: path + "?marker=x", service: "cloudfront"},
			"400 InvalidArgument"},
		{"a size that is none", raw{method: "GET", target: path + "?MaxItems=x", service: "cloudfront"},
			"400 InvalidArgument"},
		{"an empty element", raw{method: "GET", target: path + "//config", service: "cloudfront"}, "400 InvalidURI"},
		{"another version", raw{method: "GET", target: "/2019-03-26/distribution", service: "cloudfront"},
			"501 NotImplemented"},
		{"signed for S3", raw{method: "GET", target: path}, "404 NoSuchKey"}, // a key of a bucket with this name
		{"unsigned", raw{method: "GET", target: path, unsigned: true}, "403 AccessDenied"},
		{"a signature that is wrong", raw{method: "GET", target: path, service: "cloudfront", breakSignature: true},
			"403 SignatureDoesNotMatch"},
	} {
		t.Run(step.name, func(t *testing.T) {
			a := send(t, c.Server, step.r)
			_, code, _ := strings.Cut(a.body, "<Code>")
			code, _, _ = strings.Cut(code, "<")
			if got := strings.TrimSpace(fmt.Sprint(a.status, " ", code)); got != step.want {
				t.Errorf("%s, not %s\n%s", got, step.want, a.body)
			}
			if step.r.service != "" && a.header.Get("X-Amzn-Requestid") == "" {
				t.Errorf("%v", a.header)
			}
		})
	}
}

// TestCloudFrontEvents: the audit log says who changed what, and no secret.
func TestCloudFrontEvents(t *testing.T) {
	c := newCDNCast(t)
	d := c.newDistribution(func(d *types.DistributionConfig) {
		d.Comment = aws.String("told")
		d.Origins.Items[0].CustomHeaders = &types.CustomHeaders{
			Quantity: aws.Int32(1), Items: []types.OriginCustomHeader{{
				HeaderName: aws.String("x-shared"), HeaderValue: aws.String("never-to-be-told"),
			}},
		}
	}).Distribution
	_, err := c.cdn.CreateInvalidation(t.Context(), &cloudfront.CreateInvalidationInput{
		DistributionId: d.Id, InvalidationBatch: batch("r", "/told"),
	})
	c.ok(err)
	_, err = c.cdn.GetDistribution(t.Context(), &cloudfront.GetDistributionInput{Id: aws.String("E0000000000000")})
	expect(t, err, "NoSuchDistribution")
	_, err = c.cdn.ListFunctions(t.Context(), &cloudfront.ListFunctionsInput{})
	expect(t, err, "NotImplemented")
	_, text := c.events()
	if strings.Contains(text, "never-to-be-told") {
		t.Error("the log has the value of an origin's header")
	}
	type event struct {
		EventSource, EventName, ErrorCode string
		ReadOnly                          bool
		RequestParameters                 map[string]any
		Resources                         []struct{ ARN string }
	}
	found := map[string]event{}
	for line := range strings.Lines(text) {
		var e event
		c.ok(json.Unmarshal([]byte(line), &e))
		if e.EventSource == "cloudfront.amazonaws.com" {
			found[e.EventName] = e
		}
	}
	if e := found["CreateDistribution"]; e.ReadOnly || !strings.Contains(fmt.Sprint(e.RequestParameters), "told") ||
		!strings.Contains(fmt.Sprint(e.RequestParameters), "x-shared") {
		t.Errorf("%+v", e)
	}
	if e := found["CreateInvalidation"]; e.ReadOnly || len(e.Resources) != 1 || e.Resources[0].ARN != *d.ARN ||
		!strings.Contains(fmt.Sprint(e.RequestParameters), "/told") {
		t.Errorf("%+v", e)
	}
	if e := found["GetDistribution"]; !e.ReadOnly || e.ErrorCode != "NoSuchDistribution" {
		t.Errorf("%+v", e)
	}
	if e := found["Unknown"]; e.ErrorCode != "NotImplemented" {
		t.Errorf("%+v", e)
	}
}
