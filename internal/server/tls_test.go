package server_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"watertight/internal/server"
	"watertight/test/harness"
)

// pair is a certificate and its key in PEM.
func pair(t *testing.T, serial int64) (cert, key []byte) {
	t.Helper()
	k, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	c := &x509.Certificate{
		SerialNumber: big.NewInt(serial), NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
	}
	der, err := x509.CreateCertificate(rand.Reader, c, c, &k.PublicKey, k)
	if err != nil {
		t.Fatal(err)
	}
	raw, err := x509.MarshalPKCS8PrivateKey(k)
	if err != nil {
		t.Fatal(err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: raw})
}

// served is the serial of the certificate that a new connection gets.
func served(t *testing.T, s *harness.Server) int64 {
	t.Helper()
	c, err := tls.Dial("tcp", strings.TrimPrefix(s.Endpoint, "https://"), &tls.Config{InsecureSkipVerify: true})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	return c.ConnectionState().PeerCertificates[0].SerialNumber.Int64()
}

// TestCertificateIsReadAgain: a new pair is served without a restart, and half
// of one, or none at all, leaves the old pair in place.
func TestCertificateIsReadAgain(t *testing.T) {
	dir := t.TempDir()
	certFile, keyFile := filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")
	write := func(path string, b []byte) {
		t.Helper()
		if err := os.WriteFile(path, b, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	cert, key := pair(t, 1)
	write(certFile, cert)
	write(keyFile, key)
	s := harness.Start(t, func(c *server.Config) { c.TLS.CertFile, c.TLS.KeyFile = certFile, keyFile })
	if got := served(t, s); got != 1 {
		t.Fatalf("serial %d", got)
	}
	cert, key = pair(t, 2)
	write(certFile, cert)
	if got := served(t, s); got != 1 {
		t.Errorf("serial %d is served with the key of another certificate", got)
	}
	write(keyFile, key)
	for end := time.Now().Add(time.Minute); served(t, s) != 2; time.Sleep(50 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("the new pair is never served")
		}
	}
	if err := os.Remove(certFile); err != nil {
		t.Fatal(err)
	}
	if got := served(t, s); got != 2 {
		t.Errorf("serial %d after the file has gone", got)
	}
}

// TestBadPairs: a pair that can't be used refuses the start.
func TestBadPairs(t *testing.T) {
	dir := t.TempDir()
	certFile, keyFile := filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")
	cert, _ := pair(t, 1)
	_, otherKey := pair(t, 2)
	os.WriteFile(certFile, cert, 0o600)
	os.WriteFile(keyFile, otherKey, 0o600)
	for name, change := range map[string]func(*server.Config){
		"another pair's key": func(c *server.Config) { c.TLS.CertFile, c.TLS.KeyFile = certFile, keyFile },
		"no such file":       func(c *server.Config) { c.TLS.CertFile, c.TLS.KeyFile = certFile+".none", keyFile },
		"no key":             func(c *server.Config) { c.TLS.CertFile = certFile },
		"no certificate":     func(c *server.Config) { c.TLS.KeyFile = keyFile },
		"two ways":           func(c *server.Config) { c.TLS.SelfSigned, c.TLS.ACME = true, []string{"example.com"} },
	} {
		if s, err := harness.Try(t, change); err == nil {
			t.Errorf("%s: the server starts", name)
			s.Stop()
		}
	}
}

// TestOldTLS: nothing below TLS 1.2 is spoken, and HTTP/2 is not offered.
func TestOldTLS(t *testing.T) {
	s := harness.Start(t, func(c *server.Config) { c.TLS.SelfSigned = true })
	addr := strings.TrimPrefix(s.Endpoint, "https://")
	if c, err := tls.Dial("tcp", addr, &tls.Config{InsecureSkipVerify: true, MaxVersion: tls.VersionTLS11}); err == nil {
		c.Close()
		t.Error("TLS 1.1 is spoken")
	}
	c, err := tls.Dial("tcp", addr, &tls.Config{InsecureSkipVerify: true, NextProtos: []string{"h2", "http/1.1"}})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if got := c.ConnectionState().NegotiatedProtocol; got != "http/1.1" {
		t.Errorf("negotiated %q", got)
	}
}
