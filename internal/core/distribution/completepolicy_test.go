package distribution

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"strings"
	"testing"

	"watertight/internal/fault"
)

// TestManaged: every managed policy has a different id and satisfies the rules for customers'
// policies.
func TestManaged(t *testing.T) {
	seen := map[string]bool{}
	check := func(id string, err error) {
		t.Helper()
		if err != nil || len(id) != 36 || seen[id] {
			t.Errorf("%s: %v", id, err)
		}
		seen[id] = true
	}
	for id, p := range ManagedCachePolicies() {
		check(id, p.Complete())
	}
	for id, p := range ManagedOriginRequestPolicies() {
		check(id, p.Complete())
	}
	for id, p := range ManagedResponseHeadersPolicies() {
		check(id, p.Complete())
	}
	if len(seen) != 15 {
		t.Errorf("%d policies", len(seen))
	}
}

func TestCachePolicyRefused(t *testing.T) {
	type (
		policy     = CachePolicyConfig
		parameters = CacheKeyParameters
	)
	for _, c := range []struct {
		name   string
		code   fault.Code
		change func(p *policy, k *parameters)
	}{
		{"none", "", func(*policy, *parameters) {}},
		{"name", fault.InvalidArgument, func(p *policy, _ *parameters) { p.Name = "a b" }},
		{"TTLs", fault.InvalidArgument, func(p *policy, _ *parameters) { p.MinTTL, p.DefaultTTL = 2, new(int64(1)) }},
		{"behaviour", fault.InvalidArgument, func(_ *policy, k *parameters) { k.HeadersConfig.HeaderBehavior = "all" }},
		{"whitelist without names", fault.InvalidArgument, func(_ *policy, k *parameters) {
			k.CookiesConfig.CookieBehavior = whitelist
		}},
		{"names without a whitelist", fault.InvalidArgument, func(_ *policy, k *parameters) {
			k.QueryStringsConfig = PolicyQueryStrings{all, &QueryStringNames{1, []string{"a"}}}
		}},
		{"header of the connection", fault.InvalidArgument, func(_ *policy, k *parameters) {
			k.HeadersConfig = CachePolicyHeaders{whitelist, &Headers{1, []string{"Transfer-Encoding"}}}
		}},
		{"cookies as a header", fault.InvalidArgument, func(_ *policy, k *parameters) {
			k.HeadersConfig = CachePolicyHeaders{whitelist, &Headers{1, []string{"Cookie"}}}
		}},
		{"accept-encoding twice", fault.InvalidArgument, func(_ *policy, k *parameters) {
			k.HeadersConfig = CachePolicyHeaders{whitelist, &Headers{1, []string{"accept-encoding"}}}
		}},
		{"headers", fault.TooManyHeadersInCachePolicy, func(_ *policy, k *parameters) {
			k.HeadersConfig = CachePolicyHeaders{whitelist, &Headers{11, make([]string, 11)}}
		}},
		{"cookies", fault.TooManyCookiesInCachePolicy, func(_ *policy, k *parameters) {
			k.CookiesConfig = PolicyCookies{allExcept, &CookieNames{11, make([]string, 11)}}
		}},
		{"query strings", fault.TooManyQueryStringsInCachePolicy, func(_ *policy, k *parameters) {
			k.QueryStringsConfig = PolicyQueryStrings{whitelist, &QueryStringNames{11, make([]string, 11)}}
		}},
		{"quantity", fault.InconsistentQuantities, func(_ *policy, k *parameters) {
			k.QueryStringsConfig = PolicyQueryStrings{whitelist, &QueryStringNames{2, []string{"a"}}}
		}},
		{"key without a cache", fault.InvalidArgument, func(p *policy, _ *parameters) {
			p.MinTTL, p.DefaultTTL, p.MaxTTL = 0, new(int64), new(int64)
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			p := managedCaching("x", "", 1, 2, 3, true)
			c.change(&p, &p.ParametersInCacheKeyAndForwardedToOrigin)
			if err := p.Complete(); c.code == "" && err != nil || c.code != "" && !fault.Is(err, c.code) {
				t.Errorf("got %v, want %s", err, c.code)
			}
		})
	}
}

func forward(behavior string, names ...string) OriginRequestHeaders {
	return OriginRequestHeaders{behavior, &Headers{len(names), names}}
}

func TestOriginRequestPolicyRefused(t *testing.T) {
	for _, c := range []struct {
		name string
		code fault.Code
		h    OriginRequestHeaders
	}{
		{"authorization", fault.InvalidArgument, forward(whitelist, "Authorization")},
		{"not of CloudFront", fault.InvalidArgument, forward("allViewerAndWhitelistCloudFront", "x")},
		{"all and names", fault.InvalidArgument, forward("allViewer", "x")},
		{"many", fault.TooManyHeadersInOriginRequestPolicy, forward(allExcept, make([]string, 11)...)},
	} {
		t.Run(c.name, func(t *testing.T) {
			p := managedForwarding("x", "", none, none)
			p.HeadersConfig = c.h
			if err := p.Complete(); !fault.Is(err, c.code) {
				t.Errorf("got %v", err)
			}
		})
	}
}

func TestResponseHeadersPolicyRefused(t *testing.T) {
	type policy = ResponseHeadersPolicyConfig
	for _, c := range []struct {
		name   string
		code   fault.Code
		change func(p *policy)
	}{
		{"nothing", fault.InvalidArgument, func(p *policy) { *p = policy{Name: "x"} }},
		{"credentials for all", fault.InvalidArgument, func(p *policy) {
			p.CorsConfig.AccessControlAllowCredentials = true
		}},
		{"frame option", fault.InvalidArgument, func(p *policy) {
			p.SecurityHeadersConfig.FrameOptions.FrameOption = "ALLOW"
		}},
		{"long CSP", fault.TooLongCSPInResponseHeadersPolicy, func(p *policy) {
			p.SecurityHeadersConfig.ContentSecurityPolicy = &ContentSecurityPolicy{true, strings.Repeat("x", 1784)}
		}},
		{"CSP that ends a line", fault.InvalidArgument, func(p *policy) {
			p.SecurityHeadersConfig.ContentSecurityPolicy = &ContentSecurityPolicy{true, "x\nSet-Cookie: a=b"}
		}},
		{"report URI that ends a line", fault.InvalidArgument, func(p *policy) {
			p.SecurityHeadersConfig.XSSProtection = &XSSProtection{Protection: true, ReportUri: "/x\r\n"}
		}},
		{"custom header that ends a line", fault.InvalidArgument, func(p *policy) {
			p.CustomHeadersConfig = &CustomHeadersConfig{1, []CustomHeader{{"X-A", "b\r\nc", true}}}
		}},
		{"custom header of the connection", fault.InvalidArgument, func(p *policy) {
			p.CustomHeadersConfig = &CustomHeadersConfig{1, []CustomHeader{{"Content-Length", "1", true}}}
		}},
		{"custom headers", fault.TooManyCustomHeadersInResponseHeadersPolicy, func(p *policy) {
			p.CustomHeadersConfig = &CustomHeadersConfig{11, make([]CustomHeader, 11)}
		}},
		{"removed headers", fault.TooManyRemoveHeadersInResponseHeadersPolicy, func(p *policy) {
			p.RemoveHeadersConfig = &RemoveHeadersConfig{11, make([]RemoveHeader, 11)}
		}},
		{"removed header of the connection", fault.InvalidArgument, func(p *policy) {
			p.RemoveHeadersConfig = &RemoveHeadersConfig{1, []RemoveHeader{{"Transfer-Encoding"}}}
		}},
		{"sampling rate", fault.InvalidArgument, func(p *policy) {
			p.ServerTimingHeadersConfig = &ServerTimingHeadersConfig{true, "100.1"}
		}},
		{"sampling rate, form", fault.InvalidArgument, func(p *policy) {
			p.ServerTimingHeadersConfig = &ServerTimingHeadersConfig{true, "1e1"}
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			p := policy{Name: "x", CorsConfig: simpleCORS(), SecurityHeadersConfig: managedSecurity()}
			c.change(&p)
			if err := p.Complete(); !fault.Is(err, c.code) {
				t.Errorf("got %v, want %s", err, c.code)
			}
		})
	}
}

// TestParseKey: only the two kinds of keys that CloudFront verifies with are accepted.
func TestParseKey(t *testing.T) {
	encode := func(kind string, public any) string {
		b, err := x509.MarshalPKIXPublicKey(public)
		if err != nil {
			t.Fatal(err)
		}
		return string(pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: b}))
	}
	r, _ := rsa.GenerateKey(rand.Reader, 2048)
	short, _ := rsa.GenerateKey(rand.Reader, 1024)
	e, _ := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	other, _ := ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	good := encode("PUBLIC KEY", &e.PublicKey)
	for _, c := range []struct {
		name, encoded string
		ok            bool
	}{
		{"RSA", encode("PUBLIC KEY", &r.PublicKey), true},
		{"ECDSA", good, true},
		{"with spaces", good + "\n \n", true},
		{"RSA, 1024 bits", encode("PUBLIC KEY", &short.PublicKey), false},
		{"P-384", encode("PUBLIC KEY", &other.PublicKey), false},
		{"another kind", encode("CERTIFICATE", &e.PublicKey), false},
		{"two", good + good, false},
		{"nothing", "", false},
		{"long", good + strings.Repeat(" ", 4096), false},
	} {
		t.Run(c.name, func(t *testing.T) {
			in := PublicKeyConfig{CallerReference: "r", Name: "n", EncodedKey: c.encoded}
			if err := in.Complete(); (err == nil) != c.ok || err != nil && !fault.Is(err, fault.InvalidArgument) {
				t.Error(err)
			}
		})
	}
}

func TestInvalidationBatch(t *testing.T) {
	wild := make([]string, 16)
	for i := range wild {
		wild[i] = "/a/*"
	}
	many := make([]string, 3001)
	for i := range many {
		many[i] = "/a"
	}
	for _, c := range []struct {
		name  string
		paths []string
		code  fault.Code
	}{
		{"paths", []string{"/a", "/b/*", "/c?d=e"}, ""},
		{"none", nil, fault.InvalidArgument},
		{"no slash", []string{"a"}, fault.InvalidArgument},
		{"a space", []string{"/a b"}, fault.InvalidArgument},
		{"long", []string{"/" + strings.Repeat("x", 4000)}, fault.InvalidArgument},
		{"wildcards", wild, fault.TooManyInvalidationsInProgress},
		{"many", many, fault.BatchTooLarge},
	} {
		t.Run(c.name, func(t *testing.T) {
			b := InvalidationBatch{InvalidationPaths{len(c.paths), c.paths}, "r"}
			if err := b.Complete(); c.code == "" && err != nil || c.code != "" && !fault.Is(err, c.code) {
				t.Errorf("got %v", err)
			}
		})
	}
}
