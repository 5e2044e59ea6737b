package server

import (
	"crypto/x509"
	"net"
	"os"
	"slices"
	"testing"
)

// TestSelfSignedNamesThisMachine: a certificate for all addresses names them,
// so that clients elsewhere can verify it.
func TestSelfSignedNamesThisMachine(t *testing.T) {
	host, err := os.Hostname()
	if err != nil {
		t.Fatal(err)
	}
	for _, listen := range []string{"", "0.0.0.0", "::"} {
		var leaf x509.Certificate
		nameHost(&leaf, listen)
		if !slices.Contains(leaf.DNSNames, host) {
			t.Errorf("%q: the names are %q", listen, leaf.DNSNames)
		}
		for _, ip := range leaf.IPAddresses {
			if ip.IsUnspecified() {
				t.Errorf("%q: it names %s", listen, ip)
			}
		}
	}
	var leaf x509.Certificate
	nameHost(&leaf, "192.0.2.1")
	nameHost(&leaf, "s3.example.com")
	if !slices.Equal(leaf.DNSNames, []string{"s3.example.com"}) || len(leaf.IPAddresses) != 1 || !leaf.IPAddresses[0].Equal(net.IPv4(192, 0, 2, 1)) {
		t.Errorf("%q, %v", leaf.DNSNames, leaf.IPAddresses)
	}
}
