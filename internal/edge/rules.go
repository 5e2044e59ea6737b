package edge

import (
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"watertight/internal/core/distribution"
	"watertight/internal/edge/cache"
	"watertight/internal/edge/cache/fresh"
	"watertight/internal/edge/signed"
)

// names says which of the names of a request count: those that are listed, or all others.
type names struct {
	others bool // those that are not listed count
	listed []string
}

// has reports whether a name counts. Header names must be given in lower case.
func (n *names) has(name string) bool { return slices.Contains(n.listed, name) != n.others }

// none reports whether no name counts.
func (n *names) none() bool { return !n.others && len(n.listed) == 0 }

// choose returns the names that one of the behaviours of CloudFront's policies means.
func choose(behavior string, items []string) names {
	switch behavior {
	case "all", "allViewer", "allViewerAndWhitelistCloudFront":
		return names{others: true}
	case "allExcept":
		return names{others: true, listed: items}
	case "whitelist":
		return names{listed: items}
	}
	return names{}
}

// selection is which parts of a viewer's request a policy means.
type selection struct{ headers, cookies, queries names }

// behavior is a cache behaviour with all that it refers to.
type behavior struct {
	config *distribution.CacheBehavior
	site   *distribution.Site
	origin *distribution.Origin
	// print is a hash of all configuration that responses depend on. Responses that were cached
	// under another configuration are not found.
	print [sha256.Size]byte
	// keyed is what the cache policy forwards and puts into the key; more is what the origin
	// request policy forwards in addition. This edge puts both into the key.
	keyed, more selection
	cloudFront  []string // headers about the viewer that are made, in lower case
	gzip        bool     // Accept-Encoding is normalized
	brotli      bool
	s3          bool // the origin is a bucket
	overrides   bool // origin access control replaces viewers' signatures
	caches      bool // some response may be cached
	cookied     bool // some of the viewer's cookies are forwarded
	rules       *cache.Rules
	allowed     []string
	cached      []string
	restricted  bool
	keys        signed.Keys
	headers     *headersPolicy // or nil
}

// newBehavior resolves what a cache behaviour refers to. If something is missing, it returns
// an error, and the distribution is not served.
func newBehavior(s *distribution.Site, c *distribution.CacheBehavior) (*behavior, error) {
	b := &behavior{config: c, site: s, origin: s.Origin(c.TargetOriginId)}
	if b.origin == nil {
		return nil, fmt.Errorf("distribution %s: no origin %s", s.ID, c.TargetOriginId)
	}
	b.s3 = b.origin.CustomOriginConfig == nil
	var access distribution.OriginAccessControlConfig
	if id := b.origin.OriginAccessControlId; id != "" {
		var ok bool
		if access, ok = s.OriginAccessControls[id]; !ok {
			return nil, fmt.Errorf("distribution %s: no origin access control %s", s.ID, id)
		}
		b.overrides = access.SigningBehavior == "always"
	}
	b.allowed, b.cached = []string{"GET", "HEAD"}, []string{"GET", "HEAD"}
	if m := c.AllowedMethods; len(m.Items) > 0 {
		b.allowed = m.Items
		if len(m.CachedMethods.Items) > 0 {
			b.cached = m.CachedMethods.Items
		}
	}
	for _, resolve := range []func() error{b.resolveCache, b.resolveMore, b.resolveHeaders, b.resolveKeys} {
		if err := resolve(); err != nil {
			return nil, err
		}
	}
	print, err := json.Marshal(struct {
		Origin   *distribution.Origin
		Access   distribution.OriginAccessControlConfig
		Compress bool
	}{b.origin, access, c.Compress})
	if err != nil {
		return nil, err
	}
	b.print = sha256.Sum256(print)
	return b, nil
}

// resolveCache reads the cache policy, or the older settings of a behaviour without one.
func (b *behavior) resolveCache() error {
	errors := map[int]time.Duration{}
	for _, r := range b.site.Config.CustomErrorResponses.Items {
		if r.ErrorCachingMinTTL != nil {
			errors[r.ErrorCode] = seconds(*r.ErrorCachingMinTTL)
		}
	}
	var minimum, usual, maximum int64
	if id := b.config.CachePolicyId; id != "" {
		p, ok := b.site.CachePolicies[id]
		if !ok {
			return fmt.Errorf("distribution %s: no cache policy %s", b.site.ID, id)
		}
		k := p.ParametersInCacheKeyAndForwardedToOrigin
		b.gzip, b.brotli = k.EnableAcceptEncodingGzip, k.EnableAcceptEncodingBrotli
		b.keyed.headers = choose(k.HeadersConfig.HeaderBehavior, headerItems(k.HeadersConfig.Headers))
		b.keyed.cookies = choose(k.CookiesConfig.CookieBehavior, cookieItems(k.CookiesConfig.Cookies))
		q := &k.QueryStringsConfig
		b.keyed.queries = choose(q.QueryStringBehavior, queryItems(q.QueryStrings))
		minimum = p.MinTTL
		usual = or(p.DefaultTTL, max(86400, minimum))
		maximum = or(p.MaxTTL, max(31536000, usual))
	} else if f := b.config.ForwardedValues; f != nil {
		b.gzip = true
		b.keyed.headers = choose("whitelist", headerItems(&f.Headers))
		if slices.Contains(f.Headers.Items, "*") { // all, and then nothing is cached
			b.keyed.headers = choose("allViewer", nil)
		}
		b.keyed.cookies = choose(f.Cookies.Forward, f.Cookies.WhitelistedNames.Items)
		if f.QueryString {
			b.keyed.queries = choose("all", nil)
		}
		minimum = or(b.config.MinTTL, 0)
		usual = or(b.config.DefaultTTL, max(86400, minimum))
		maximum = or(b.config.MaxTTL, max(31536000, usual))
	} else {
		return fmt.Errorf("distribution %s: a behaviour has neither a cache policy nor ForwardedValues", b.site.ID)
	}
	all := b.config.CachePolicyId == "" && b.keyed.headers.others
	b.caches = maximum > 0 && !all
	b.rules = &cache.Rules{Rules: fresh.Rules{
		MinTTL: seconds(minimum), DefaultTTL: seconds(usual), MaxTTL: seconds(maximum), ErrorTTL: errors,
	}}
	return nil
}

// resolveMore takes the origin request policy.
func (b *behavior) resolveMore() error {
	if id := b.config.OriginRequestPolicyId; id != "" {
		p, ok := b.site.OriginRequestPolicies[id]
		if !ok {
			return fmt.Errorf("distribution %s: no origin request policy %s", b.site.ID, id)
		}
		listed := headerItems(p.HeadersConfig.Headers)
		b.more.headers = choose(p.HeadersConfig.HeaderBehavior, listed)
		b.more.cookies = choose(p.CookiesConfig.CookieBehavior, cookieItems(p.CookiesConfig.Cookies))
		b.more.queries = choose(p.QueryStringsConfig.QueryStringBehavior, queryItems(p.QueryStringsConfig.QueryStrings))
		if p.HeadersConfig.HeaderBehavior == "allViewerAndWhitelistCloudFront" {
			b.more.headers.listed = nil
			b.cloudFront = about(listed)
		}
	}
	for _, n := range []*names{&b.keyed.headers, &b.more.headers} {
		if !n.others {
			b.cloudFront = append(b.cloudFront, about(n.listed)...)
		}
	}
	b.cookied = !b.keyed.cookies.none() || !b.more.cookies.none()
	b.rules.Collapse = !b.cookied
	return nil
}

// about returns the headers about the viewer among the names of headers.
func about(headers []string) []string {
	var out []string
	for _, h := range headers {
		if strings.HasPrefix(h, "cloudfront-") {
			out = append(out, h)
		}
	}
	return out
}

func (b *behavior) resolveHeaders() error {
	id := b.config.ResponseHeadersPolicyId
	if id == "" {
		return nil
	}
	p, ok := b.site.ResponseHeadersPolicies[id]
	if !ok {
		return fmt.Errorf("distribution %s: no response headers policy %s", b.site.ID, id)
	}
	b.headers = newHeadersPolicy(&p)
	return nil
}

// resolveKeys takes the keys of the trusted key groups. A group that is missing trusts
// nobody.
func (b *behavior) resolveKeys() error {
	g := b.config.TrustedKeyGroups
	b.restricted = g.Enabled || b.config.TrustedSigners.Enabled
	for _, id := range g.Items {
		for _, k := range b.site.KeyGroups[id] {
			if err := b.keys.Add(k.ID, k.PEM); err != nil {
				return fmt.Errorf("distribution %s: public key %s: %w", b.site.ID, k.ID, err)
			}
		}
	}
	return nil
}

// forwards reports whether a header of the viewer is sent to the origin because a policy
// names it or means all. The name is in lower case.
func (b *behavior) forwards(name string) (by, byName bool) {
	for _, n := range []*names{&b.keyed.headers, &b.more.headers} {
		if n.has(name) {
			by = true
			byName = byName || !n.others
		}
	}
	return by, byName
}

func headerItems(h *distribution.Headers) []string {
	if h == nil {
		return nil
	}
	lower := make([]string, len(h.Items))
	for i, name := range h.Items {
		lower[i] = strings.ToLower(name)
	}
	return lower
}

func cookieItems(c *distribution.CookieNames) []string {
	if c == nil {
		return nil
	}
	return c.Items
}

func queryItems(q *distribution.QueryStringNames) []string {
	if q == nil {
		return nil
	}
	return q.Items
}

func or(p *int64, usual int64) int64 {
	if p == nil {
		return usual
	}
	return *p
}

// seconds turns a number of a configuration into a duration. Numbers that are too large for a
// duration become the largest.
func seconds(n int64) time.Duration {
	return time.Duration(min(max(n, 0), 100*365*86400)) * time.Second
}
