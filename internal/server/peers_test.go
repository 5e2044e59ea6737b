package server

import (
	"net/netip"
	"testing"

	"watertight/internal/access/policy"
	"watertight/internal/certs"
)

// TestPeers: an address of this machine or of a private network identifies a
// caller only if no proxy can be in between.
func TestPeers(t *testing.T) {
	const everybody = `{"Statement":[{"Effect":"Allow","Principal":"*","Action":"s3:GetObject","Resource":"*",` +
		`"Condition":{"IpAddress":{"aws:SourceIp":"`
	public := func(c Config, at string) bool {
		d, err := policy.Parse(policy.Resource, []byte(everybody+at+`"}}}]}`))
		if err != nil {
			t.Fatal(err)
		}
		return d.IsPublic(c.peers())
	}
	tls := certs.Source{SelfSigned: true}
	proxy := []netip.Prefix{netip.MustParsePrefix("10.0.0.5/32")}
	for name, c := range map[string]struct {
		config                          Config
		loopback, private, proxy, other bool
	}{
		"on this machine": {
			Config{Listen: []string{"127.0.0.1:0", "[::1]:0", "localhost:0"}}, true, false, false, false,
		},
		"on this machine, with TLS": {
			Config{Listen: []string{"127.0.0.1:0"}, TLS: tls}, true, false, false, false,
		},
		"on a network, with TLS": {
			Config{Listen: []string{"0.0.0.0:0"}, TLS: tls}, true, false, false, false,
		},
		"for a proxy that is not configured": {
			Config{Listen: []string{"0.0.0.0:0"}, AllowPlainHTTP: true}, true, true, true, false,
		},
		"of both kinds, without a configured proxy": {
			Config{Listen: []string{"127.0.0.1:0", "192.0.2.1:0"}, AllowPlainHTTP: true}, true, true, true, false,
		},
		"behind a proxy": {
			Config{Listen: []string{"0.0.0.0:0"}, AllowPlainHTTP: true, TrustedProxies: proxy}, false, false, true,
			false,
		},
		"behind a proxy on this machine": {
			Config{
				Listen: []string{"127.0.0.1:0"}, TrustedProxies: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")},
			},
			true, false, false, false,
		},
	} {
		t.Run(name, func(t *testing.T) {
			for at, want := range map[string]bool{
				"127.0.0.1": c.loopback, "192.168.1.0/24": c.private, "10.0.0.5": c.proxy, "203.0.113.0/24": c.other,
			} {
				if got := public(c.config, at); got != want {
					t.Errorf("%s, %s: %v", name, at, got)
				}
			}
		})
	}
}

func TestIsLoopback(t *testing.T) {
	for host, want := range map[string]bool{
		"127.0.0.1": true, "127.9.9.9": true, "::1": true, "localhost": true, "::ffff:127.0.0.1": true,
		"": false, "0.0.0.0": false, "::": false, "::ffff:10.0.0.1": false, "10.0.0.1": false,
		"127.0.0.1.example.com": false,
		"localhost.example.com": false, "0177.0.0.1": false, "128.0.0.1": false,
	} {
		t.Run(host, func(t *testing.T) {
			if isLoopback(host) != want {
				t.Errorf("isLoopback(%q) is %v", host, !want)
			}
		})
	}
}
