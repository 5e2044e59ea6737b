package certs

import (
	"net"
	"os"
	"slices"
	"strings"
	"testing"
	"time"
)

// TestSelfSignedNamesThisMachine: a certificate for all addresses names them, so
// that clients on other machines can verify it; unnamed addresses are found.
func TestSelfSignedNamesThisMachine(t *testing.T) {
	host, err := os.Hostname()
	if err != nil {
		t.Fatal(err)
	}
	for _, listen := range []string{":9000", "0.0.0.0:9000", "[::]:9000"} {
		t.Run(listen, func(t *testing.T) {
			text, err := makeSelfSigned([]string{listen}, nil, time.Now())
			if err != nil {
				t.Fatal(err)
			}
			c, _, err := splitSelfSigned(text)
			if err != nil {
				t.Fatal(err)
			}
			if !slices.Contains(c.Leaf.DNSNames, host) {
				t.Errorf("%q: the names are %q", listen, c.Leaf.DNSNames)
			}
			for _, ip := range c.Leaf.IPAddresses {
				if ip.IsUnspecified() {
					t.Errorf("%q: the certificate names %s", listen, ip)
				}
			}
			if missing := unnamed(c.Leaf, listenNames([]string{listen}), nil); len(missing) > 0 {
				t.Errorf("%q: the certificate does not name %q", listen, missing)
			}
		})
	}
	text, err := makeSelfSigned([]string{"192.0.2.1:9000", "s3.example.com:9000"}, []string{"buckets.example"},
		time.Now())
	if err != nil {
		t.Fatal(err)
	}
	c, ca, err := splitSelfSigned(text)
	if err != nil || strings.Count(string(ca), "BEGIN") != 1 || !strings.Contains(string(ca), "BEGIN CERTIFICATE") {
		t.Fatalf("%v, authority %s", err, ca)
	}
	for _, test := range []struct {
		listen, domain string
		missing        []string
	}{
		{"192.0.2.1:1", "", nil}, {"s3.example.com:1", "buckets.example", nil}, {"127.0.0.1:1", "", nil},
		{"[::1]:1", "", nil}, {"localhost:1", "", nil},
		{"192.0.2.2:1", "", []string{"192.0.2.2"}}, {"other.example:1", "", []string{"other.example"}},
		{"[2001:db8::1]:1", "", []string{"2001:db8::1"}},
		{"127.0.0.1:1", "other.example", []string{"other.example", "*.other.example"}},
		{"127.0.0.1:1", "example.com", []string{"example.com", "*.example.com"}},
	} {
		t.Run(test.listen+" "+test.domain, func(t *testing.T) {
			var domains []string
			if test.domain != "" {
				domains = []string{test.domain}
			}
			if got := unnamed(c.Leaf, listenNames([]string{test.listen}), domains); !slices.Equal(got, test.missing) {
				t.Errorf("%s %s: missing %q", test.listen, test.domain, got)
			}
		})
	}
	if !slices.ContainsFunc(c.Leaf.IPAddresses, func(ip net.IP) bool { return ip.Equal(net.IPv4(192, 0, 2, 1)) }) {
		t.Error(c.Leaf.IPAddresses)
	}
}
