package server_test

import (
	"bufio"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"io"
	"io/fs"
	"math/big"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/s3"

	"watertight/internal/server"
	"watertight/test/harness"
)

// pair is a certificate and its key in PEM.
func pair(t *testing.T, serial int64) (cert, key []byte) {
	t.Helper()
	return pairOf(t, serial, time.Now().Add(-time.Hour), time.Now().AddDate(0, 3, 0))
}

func pairOf(t *testing.T, serial int64, from, to time.Time) (cert, key []byte) {
	t.Helper()
	k, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	c := &x509.Certificate{
		SerialNumber: big.NewInt(serial), NotBefore: from, NotAfter: to,
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
	return pem.EncodeToMemory(&pem.Block{
		Type: "CERTIFICATE", Bytes: der,
	}), pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: raw})
}

// served returns the serial number of the certificate that a new connection gets.
func served(t *testing.T, s *harness.Server) int64 {
	t.Helper()
	c, err := tls.Dial("tcp", strings.TrimPrefix(s.Endpoint, "https://"), &tls.Config{InsecureSkipVerify: true})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	return c.ConnectionState().PeerCertificates[0].SerialNumber.Int64()
}

// TestCertificateIsReadAgain: a new pair is served without a restart, whatever
// the files' times. If the pair is incomplete, invalid, expired or missing, the old pair stays in use, and
// the problem is logged once.
func TestCertificateIsReadAgain(t *testing.T) {
	dir := t.TempDir()
	certFile, keyFile := filepath.Join(dir, "tls.pem"), filepath.Join(dir, "tls.key")
	install := func(version string, cert, key []byte) { // as Kubernetes does: links that are changed at once
		t.Helper()
		for name, b := range map[string][]byte{"tls.pem": cert, "tls.key": key} {
			file := filepath.Join(dir, version+name)
			if b != nil {
				if err := os.WriteFile(file, b, 0o600); err != nil {
					t.Fatal(err)
				}
				os.Chtimes(file, time.Unix(1, 0), time.Unix(1, 0))
			}
			if err := errors.Join(os.Symlink(file, filepath.Join(dir, "next")),
				os.Rename(filepath.Join(dir, "next"), filepath.Join(dir, name))); err != nil {
				t.Fatal(err)
			}
		}
	}
	cert, key := pair(t, 1)
	install("1", cert, key)
	s := harness.Start(t, func(c *server.Config) { c.TLS.CertFile, c.TLS.KeyFile = certFile, keyFile })
	cut, err := tls.Dial("tcp", strings.TrimPrefix(s.Endpoint, "https://"), &tls.Config{InsecureSkipVerify: true})
	if err != nil {
		t.Fatal(err)
	}
	defer cut.Close()
	if got := served(t, s); got != 1 {
		t.Fatalf("serial %d", got)
	}
	warnings := func() int { return strings.Count(s.Logs.String(), "can't be used") }
	_, otherKey := pair(t, 3)
	ended, endedKey := pairOf(t, 4, time.Now().Add(-2*time.Hour), time.Now().Add(-time.Hour))
	for n, step := range []struct{ cert, key []byte }{
		{cert, otherKey}, {[]byte("rubbish"), key}, {nil, nil}, {[]byte{}, []byte{}}, {ended, endedKey},
	} {
		install("bad"+strconv.Itoa(n), step.cert, step.key)
		s.Reload()
		if got := served(t, s); got != 1 {
			t.Errorf("bad pair %d: serial %d", n, got)
		}
		if got := warnings(); got != n+1 {
			t.Errorf("bad pair %d: %d warnings", n, got)
		}
	}
	cert, key = pair(t, 2)
	install("2", cert, key)
	for end := time.Now().Add(time.Minute); served(t, s) != 2; time.Sleep(50 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("the new pair is not served")
		}
	}
	// If only one file of a pair was replaced, that is logged without a handshake.
	before := warnings()
	install("half", cert, otherKey)
	for end := time.Now().Add(time.Minute); warnings() == before; time.Sleep(50 * time.Millisecond) {
		if got := served(t, s); got != 2 || time.Now().After(end) {
			t.Fatalf("serial %d, and nothing was logged", got)
		}
	}
	io.WriteString(cut, anonymous)
	if res, err := http.ReadResponse(bufio.NewReader(cut), nil); err != nil || res.StatusCode != http.StatusForbidden {
		t.Errorf("a connection from before: %v", err)
	}
}

// TestCertificatesAreJudged: problems that clients will have with a certificate are
// logged at the start.
func TestCertificatesAreJudged(t *testing.T) {
	now := time.Now()
	for name, test := range map[string]struct {
		from, to time.Time
		listen   string
		domains  []string
		want     []string
	}{
		"good":      {now.Add(-time.Hour), now.AddDate(0, 3, 0), "127.0.0.1:0", nil, nil},
		"ends soon": {now.Add(-time.Hour), now.Add(72 * time.Hour), "127.0.0.1:0", nil, []string{"ends soon"}},
		"ended":     {now.Add(-2 * time.Hour), now.Add(-time.Hour), "127.0.0.1:0", nil, []string{"not good now"}},
		"another address": {
			now.Add(-time.Hour), now.AddDate(0, 3, 0), "127.0.0.2:0", nil, []string{"does not name", "127.0.0.2"},
		},
		"another domain": {
			now.Add(-time.Hour), now.AddDate(0, 3, 0), "127.0.0.1:0", []string{"s3.example"},
			[]string{"does not name", "s3.example"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			cert, key := pairOf(t, 1, test.from, test.to)
			certFile, keyFile := filepath.Join(dir, "tls.pem"), filepath.Join(dir, "tls.key")
			os.WriteFile(certFile, cert, 0o600)
			os.WriteFile(keyFile, key, 0o600)
			s := harness.Start(t, func(c *server.Config) {
				c.TLS.CertFile, c.TLS.KeyFile, c.Listen, c.Domains = certFile, keyFile, []string{
					test.listen,
				}, test.domains
			})
			logs := s.Logs.String()
			for _, want := range test.want {
				if !strings.Contains(logs, want) {
					t.Errorf("%s: %q was not logged", name, want)
				}
			}
			if warned := strings.Contains(logs, "level=WARN"); warned != (test.want != nil) {
				t.Errorf("%s: warned %v", name, warned)
			}
			s.Stop()
		})
	}
}

// TestKeysOfTLSAreSealed: no private key that the server makes is stored in plain text.
// The authority that clients are told to trust is the one that is served, even if
// its file was replaced. There is a warning for a certificate that no longer fits.
func TestKeysOfTLSAreSealed(t *testing.T) {
	dir := t.TempDir()
	data := filepath.Join(dir, "data")
	start := func(listen string) *harness.Server {
		t.Helper()
		return harness.Start(t, func(c *server.Config) {
			c.Data, c.RootKey, c.TLS.SelfSigned, c.Listen = data, "file:"+
				filepath.Join(dir, "root.key"), true, []string{listen}
		})
	}
	// The files of an earlier version.
	old, oldKey := pair(t, 77)
	if err := os.MkdirAll(filepath.Join(data, "tls"), 0o700); err != nil {
		t.Fatal(err)
	}
	for name, b := range map[string][]byte{"server.pem": old, "server.key": oldKey, "ca.pem": old} {
		if err := os.WriteFile(filepath.Join(data, "tls", name), b, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	s := start("127.0.0.1:0")
	first := served(t, s)
	if first == 77 || !strings.Contains(s.Logs.String(), "lay in the plain") {
		t.Errorf("serial %d is served", first)
	}
	s.Stop()
	err := filepath.WalkDir(data, func(path string, d fs.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() {
			return err
		}
		b, err := os.ReadFile(path)
		if strings.Contains(string(b), "PRIVATE KEY") {
			t.Errorf("%s contains a private key", path)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	elsewhere := filepath.Join(dir, "elsewhere")
	if err := errors.Join(os.WriteFile(elsewhere, []byte("mine"), 0o600),
		os.Remove(filepath.Join(data, "tls", "ca.pem")),
		os.Symlink(elsewhere, filepath.Join(data, "tls", "ca.pem"))); err != nil {
		t.Fatal(err)
	}
	s = start("127.0.0.1:0") // its transport trusts only ca.pem
	if _, err := s.S3.ListBuckets(t.Context(), &s3.ListBucketsInput{}); err != nil {
		t.Errorf("by the authority's file: %v", err)
	}
	if got := served(t, s); got != first || strings.Contains(s.Logs.String(), "does not name") {
		t.Errorf("serial %d, was %d", got, first)
	}
	s.Stop()
	if b, err := os.ReadFile(elsewhere); err != nil || string(b) != "mine" {
		t.Errorf("a link was followed: %q, %v", b, err)
	}
	s = start("127.0.0.2:0")
	if !strings.Contains(s.Logs.String(), "does not name") {
		t.Error("there is no warning for another address")
	}
	s.Stop()
}

// TestBadPairs: the server does not start with an invalid pair.
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
		t.Run(name, func(t *testing.T) {
			if s, err := harness.Try(t, change); err == nil {
				t.Errorf("%s: the server starts", name)
				s.Stop()
			}
		})
	}
}

// TestOldTLS: versions below TLS 1.2 are refused, and HTTP/2 is not offered.
func TestOldTLS(t *testing.T) {
	s := harness.Start(t, func(c *server.Config) { c.TLS.SelfSigned = true })
	addr := strings.TrimPrefix(s.Endpoint, "https://")
	if c, err := tls.Dial("tcp", addr, &tls.Config{
		InsecureSkipVerify: true, MaxVersion: tls.VersionTLS11,
	}); err == nil {
		c.Close()
		t.Error("TLS 1.1 is accepted")
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
