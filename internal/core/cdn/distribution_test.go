package cdn

import (
	"fmt"
	"reflect"
	"slices"
	"testing"

	"watertight/internal/core/change/coretest"
	"watertight/internal/core/distribution"
	"watertight/internal/core/tag"
	"watertight/internal/fault"
)

// TestLifeOfADistribution: every change gives another ETag and is in effect at the edge before
// the caller has the answer. No record of a deleted distribution remains.
func TestLifeOfADistribution(t *testing.T) {
	e := newEnv(t)
	d := e.made(configOf("a", "www.example.com"))
	if !isID(d.ID, 'E') || !isID(d.ETag, 'E') || d.Status() != "Deployed" || d.Managed || e.site(d.ID) == nil ||
		d.ARN != "arn:aws:cloudfront::"+coretest.Account+":distribution/"+d.ID || d.ARN != e.site(d.ID).ARN() {
		t.Errorf("created %+v", d)
	}
	got, err := e.get(coretest.Account, d.ID)
	e.ok(err)
	if !reflect.DeepEqual(got, d) {
		t.Errorf("got  %+v\nmade %+v", got, d)
	}
	e.is(e.delete(&d), fault.DistributionNotDisabled)
	off := configOf("a", "www.example.com")
	off.Enabled, off.Comment = false, "off"
	changed, err := e.update(&d, off)
	e.ok(err)
	if changed.ETag == d.ETag || changed.Config.Comment != "off" || e.site(d.ID) != nil ||
		changed.DomainName != d.DomainName || !changed.Created.Equal(d.Created) {
		t.Errorf("updated %+v", changed)
	}
	_, err = e.update(&d, off)
	e.is(err, fault.PreconditionFailed)
	e.is(e.delete(&d), fault.PreconditionFailed)
	for _, tag := range []string{"", "x", "*", `"` + d.ETag + `"`} {
		d.ETag = tag
		_, err = e.update(&d, off)
		e.is(err, fault.InvalidIfMatchVersion)
	}
	other := off
	other.CallerReference = "b"
	_, err = e.update(&changed, other)
	e.is(err, fault.IllegalUpdate)
	_, err = e.invalidate(changed.ID, "r", "/*")
	e.ok(err)
	e.ok(e.delete(&changed))
	_, err = e.get(coretest.Account, d.ID)
	e.is(err, fault.NoSuchDistribution)
	if left := e.dump(); len(left) > 0 {
		t.Errorf("left: %q", left)
	}
	e.made(configOf("a", "www.example.com")) // everything may be used again
}

// TestAccountsAreApart: no account can see, change or name a resource of another account.
func TestAccountsAreApart(t *testing.T) {
	e := newEnv(t)
	oac := e.accessControl("mine")
	c := configOf("a")
	c.Origins.Items[0].OriginAccessControlId = oac.ID
	d := e.made(c)
	_, err := e.get(other, d.ID)
	e.is(err, fault.NoSuchDistribution)
	g := e.grant(other, "UpdateDistribution", "distribution/"+d.ID)
	_, err = e.s.UpdateDistribution(t.Context(), g, d.ID, d.ETag, c)
	e.is(err, fault.NoSuchDistribution)
	_, err = e.s.CreateInvalidation(t.Context(), e.grant(other, "CreateInvalidation", "distribution/"+d.ID), d.ID,
		distribution.InvalidationBatch{
			CallerReference: "r", Paths: distribution.InvalidationPaths{Quantity: 1, Items: []string{"/*"}},
		})
	e.is(err, fault.NoSuchDistribution)
	_, err = e.create(other, c)
	e.is(err, fault.InvalidOriginAccessControl)
	_, err = e.create(other, configOf("a")) // each account has its own caller references
	e.ok(err)
	all, _, err := e.s.ListDistributions(t.Context(), e.grant(other, "ListDistributions", "*"), Page{})
	e.ok(err)
	if len(all) != 1 || all[0].ID == d.ID {
		t.Errorf("listed %+v", all)
	}
	g = e.grant(coretest.Account, "TagResource", "distribution/"+d.ID)
	e.is(e.s.TagResource(t.Context(), g, "arn:aws:cloudfront::"+other+":distribution/"+d.ID, nil), fault.AccessDenied)
}

// TestReferences: a distribution can name only existing resources, and they can't be deleted
// while it names them.
func TestReferences(t *testing.T) {
	e := newEnv(t)
	for _, c := range []struct {
		name   string
		code   fault.Code
		change func(c *distribution.Config)
	}{
		{"access control", fault.InvalidOriginAccessControl, func(c *distribution.Config) {
			c.Origins.Items[0].OriginAccessControlId = "E0000000000000"
		}},
		{"cache policy", fault.NoSuchCachePolicy, func(c *distribution.Config) {
			c.DefaultCacheBehavior.CachePolicyId = "x"
		}},
		{"origin request policy", fault.NoSuchOriginRequestPolicy, func(c *distribution.Config) {
			c.DefaultCacheBehavior.OriginRequestPolicyId = distribution.CachingOptimized
		}},
		{"response headers policy", fault.NoSuchResponseHeadersPolicy, func(c *distribution.Config) {
			c.DefaultCacheBehavior.ResponseHeadersPolicyId = "x"
		}},
		{"key group", fault.TrustedKeyGroupDoesNotExist, func(c *distribution.Config) {
			c.DefaultCacheBehavior.TrustedKeyGroups = distribution.TrustedKeyGroups{
				Enabled: true, Quantity: 1, Items: []string{"x"},
			}
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			in := configOf("a")
			c.change(&in)
			_, err := e.create(coretest.Account, in)
			e.is(err, c.code)
		})
	}
	oac := e.accessControl("oac")
	in := configOf("a")
	in.Origins.Items[0].OriginAccessControlId = oac.ID
	d := e.made(in)
	g := e.grant(coretest.Account, "DeleteOriginAccessControl", "origin-access-control/"+oac.ID)
	e.is(e.s.DeleteOriginAccessControl(t.Context(), g, oac.ID, oac.ETag), fault.OriginAccessControlInUse)
	if e.site(d.ID).OriginAccessControls[oac.ID].SigningBehavior != "always" {
		t.Errorf("the site has %+v", e.site(d.ID))
	}
	_, err := e.update(&d, configOf("a"))
	e.ok(err)
	e.ok(e.s.DeleteOriginAccessControl(t.Context(), g, oac.ID, oac.ETag))
}

// TestAliases: a domain name belongs to one distribution, and a wildcard's names to one account.
func TestAliases(t *testing.T) {
	for _, c := range []struct {
		name           string
		have, want     string
		mine, elsewere bool // whether the same account, and another one, may have it
	}{
		{"the same", "www.example.com", "WWW.example.com", false, false},
		{"the same wildcard", "*.example.com", "*.example.com", false, false},
		{"below a wildcard", "*.example.com", "www.example.com", true, false},
		{"two levels below a wildcard", "*.example.com", "a.b.example.com", true, false},
		{"a wildcard below one", "*.example.com", "*.b.example.com", true, false},
		{"a wildcard above", "www.example.com", "*.example.com", true, false},
		{"a wildcard far above", "a.b.example.com", "*.example.com", true, false},
		{"beside a wildcard", "*.example.com", "example.com", true, true},
		{"a name that ends alike", "*.example.com", "www.another-example.com", true, true},
		{"another one", "www.example.com", "web.example.com", true, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			for account, free := range map[string]bool{coretest.Account: c.mine, other: c.elsewere} {
				e := newEnv(t)
				e.made(configOf("a", c.have))
				if _, err := e.create(account, configOf("b", c.want)); free != (err == nil) ||
					err != nil && !fault.Is(err, fault.CNAMEAlreadyExists) {
					t.Errorf("account %s: %v", account, err)
				}
			}
		})
	}
	t.Run("moved", func(t *testing.T) {
		e := newEnv(t)
		d := e.made(configOf("a", "www.example.com", "*.example.com"))
		_, err := e.update(&d, configOf("a", "*.example.com"))
		e.ok(err)
		e.made(configOf("b", "www.example.com"))
	})
}

// TestReferenceIsUsedOnce: a caller reference creates only one distribution.
func TestReferenceIsUsedOnce(t *testing.T) {
	e := newEnv(t)
	e.made(configOf("a"))
	_, err := e.create(coretest.Account, configOf("a"))
	e.is(err, fault.DistributionAlreadyExists)
}

func TestQuota(t *testing.T) {
	e := newEnv(t)
	for n := range 200 {
		e.made(configOf(fmt.Sprint(n)))
	}
	_, err := e.create(coretest.Account, configOf("one more"))
	e.is(err, fault.TooManyDistributions)
	g := e.grant(coretest.Account, "ListDistributions", "*")
	var ids []string
	for p, more := (Page{Max: 90}), true; more; more = p.Marker != "" {
		all, next, err := e.s.ListDistributions(t.Context(), g, p)
		e.ok(err)
		for _, d := range all {
			ids = append(ids, d.ID)
		}
		p.Marker = next
	}
	if len(ids) != 200 || !slices.IsSorted(ids) || len(slices.Compact(ids)) != 200 {
		t.Errorf("%d are listed", len(ids))
	}
}

func TestTags(t *testing.T) {
	e := newEnv(t)
	d := e.made(configOf("a"))
	on := "distribution/" + d.ID
	add := func(tags ...tag.Tag) error {
		return e.s.TagResource(t.Context(), e.grant(coretest.Account, "TagResource", on), d.ARN, tags)
	}
	e.ok(add(tag.Tag{Key: "a", Value: "1"}, tag.Tag{Key: "b", Value: "2"}))
	e.ok(add(tag.Tag{Key: "b", Value: "3"}))
	e.is(add(tag.Tag{Key: "aws:x"}), fault.InvalidTagging)
	e.is(add(tag.Tag{Key: "c"}, tag.Tag{Key: "c"}), fault.InvalidTagging)
	e.ok(e.s.UntagResource(t.Context(), e.grant(coretest.Account, "UntagResource", on), d.ARN, []string{"a", "x"}))
	tags, err := e.s.ListTagsForResource(t.Context(), e.grant(coretest.Account, "ListTagsForResource", on), d.ARN)
	e.ok(err)
	laws, err := e.s.TagsOf(t.Context(), coretest.Account, d.ID)
	e.ok(err)
	if fmt.Sprint(tags) != "[{b 3}]" || fmt.Sprint(laws) != "map[b:3]" {
		t.Errorf("tags %v, for policies %v", tags, laws)
	}
	if again, _ := e.get(coretest.Account, d.ID); again.ETag != d.ETag {
		t.Error("tags change the ETag")
	}
	for resource, code := range map[string]fault.Code{
		"x": fault.InvalidArgument, "arn:aws:s3:::b": fault.InvalidArgument,
		"arn:aws:cloudfront::" + coretest.Account + ":cache-policy/x":                 fault.NoSuchResource,
		"arn:aws:cloudfront::" + coretest.Account + ":distribution/E0000000000000":    fault.AccessDenied,
		"arn:aws:cloudfront::" + coretest.Account + ":distribution/" + d.ID + "/more": fault.NoSuchResource,
	} {
		t.Run(resource, func(t *testing.T) {
			g := e.grant(coretest.Account, "TagResource", on)
			e.is(e.s.TagResource(t.Context(), g, resource, nil), code)
		})
	}
}
