package certs

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"watertight/internal/storage/seal"
)

func siteOptions(t *testing.T, served ...string) SiteOptions {
	t.Helper()
	serves := func(name string) bool {
		for _, s := range served {
			if s == name {
				return true
			}
		}
		return false
	}
	return SiteOptions{
		Data: t.TempDir(), Root: seal.NewRing(seal.Generation{Number: 1, Key: seal.NewKey()}), Files: &sync.Mutex{},
		Logger: slog.New(slog.NewTextHandler(io.Discard, nil)), Serves: serves, Orders: serves,
	}
}

// hello is the handshake of a client that asks for a name.
func hello(name string) *tls.ClientHelloInfo {
	return &tls.ClientHelloInfo{
		ServerName: name, SupportedVersions: []uint16{tls.VersionTLS13},
		SignatureSchemes: []tls.SignatureScheme{tls.ECDSAWithP256AndSHA256},
		SupportedCurves:  []tls.CurveID{tls.CurveP256},
	}
}

func TestAuthoritySignsForServedNames(t *testing.T) {
	o := siteOptions(t, "www.example.com")
	o.SelfSigned = true
	for range 2 { // made, and opened again
		s, err := OpenSites(o)
		if err != nil {
			t.Fatal(err)
		}
		for name, ok := range map[string]bool{
			"www.example.com": true, "WWW.Example.com.": true, "localhost": true, "": true, "evil.example": false,
		} {
			t.Run(name, func(t *testing.T) {
				c, err := s.get(hello(name))
				if err != nil || (c != nil) != ok {
					t.Error(err)
				}
				if c != nil && c.Leaf.CheckSignatureFrom(s.local.certificate) != nil {
					t.Error("not signed by the authority")
				}
			})
		}
		again, _ := s.get(hello("www.example.com"))
		if first, _ := s.get(hello("www.example.com")); again != first {
			t.Error("each handshake gets another certificate")
		}
	}
	sealed, err := os.ReadFile(filepath.Join(o.Data, "tls", "cdn-authority"))
	if err != nil || string(sealed[:8]) != sealedMark {
		t.Errorf("the authority lies in the plain: %v", err)
	}
}

func TestPairsAreChosenByName(t *testing.T) {
	maker := siteOptions(t, "a.example", "b.example")
	maker.SelfSigned = true
	local, err := OpenSites(maker)
	if err != nil {
		t.Fatal(err)
	}
	o := siteOptions(t)
	for _, name := range []string{"a.example", "b.example"} {
		c, err := local.get(hello(name))
		if err != nil {
			t.Fatal(err)
		}
		o.Pairs = append(o.Pairs, writePair(t, o.Data, name, c))
	}
	s, err := OpenSites(o)
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]string{"a.example": "a.example", "B.example": "b.example", "": "a.example"} {
		t.Run(name, func(t *testing.T) {
			if c, err := s.get(hello(name)); err != nil || c.Leaf.DNSNames[0] != want {
				t.Errorf("%v, %v", c, err)
			}
		})
	}
	if c, err := s.get(hello("evil.example")); c != nil || err != nil {
		t.Error("a name that no certificate has was answered", err)
	}
}

// An authority is asked for names that are served, and for no other, so that strangers
// can't use up its limits.
func TestACMEAsksForServedNamesAlone(t *testing.T) {
	var asked atomic.Int32
	authority := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		asked.Add(1)
		http.Error(w, "not now", http.StatusServiceUnavailable)
	}))
	defer authority.Close()
	o := siteOptions(t, "www.example.com")
	o.ACME, o.ACMEDirectory = true, authority.URL
	s, err := OpenSites(o)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	shake := func(name string) error {
		client, server := net.Pipe()
		ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
		defer cancel()
		go func() {
			for ctx.Err() == nil && (name == "evil.example" || asked.Load() == 0) {
				time.Sleep(time.Millisecond)
			}
			cancel() // it does not wait for the authority
		}()
		go tls.Client(client, &tls.Config{ServerName: name, InsecureSkipVerify: true}).HandshakeContext(ctx)
		return tls.Server(server, s.TLS()).HandshakeContext(ctx)
	}
	for _, name := range []string{"evil.example", ""} {
		if err := shake(name); err == nil || asked.Load() > 0 {
			t.Errorf("the authority was asked %d times for %q, which is not served: %v", asked.Load(), name, err)
		}
	}
	if shake("www.example.com"); asked.Load() == 0 {
		t.Error("the authority was not asked for a name that is served")
	}
}

// TestUnknownNames: a client that asks for a name that is not served gets the alert
// unrecognized_name, wherever the certificates come from.
func TestUnknownNames(t *testing.T) {
	maker := siteOptions(t, "a.example")
	maker.SelfSigned = true
	local, err := OpenSites(maker)
	if err != nil {
		t.Fatal(err)
	}
	c, err := local.get(hello("a.example"))
	if err != nil {
		t.Fatal(err)
	}
	given, ordered := siteOptions(t), siteOptions(t)
	given.Pairs = []Pair{writePair(t, given.Data, "a.example", c)}
	ordered.ACME, ordered.ACMEDirectory = true, "http://127.0.0.1:1" // nobody is there
	for name, o := range map[string]SiteOptions{"self-signed": maker, "given": given, "ordered": ordered} {
		o.Channel = func(string) (uint16, bool) { return tls.VersionTLS12, true }
		s, err := OpenSites(o)
		if err != nil {
			t.Fatal(err)
		}
		defer s.Close()
		for _, version := range []uint16{tls.VersionTLS12, tls.VersionTLS13} {
			t.Run(fmt.Sprint(name, " ", tls.VersionName(version)), func(t *testing.T) {
				client, server := net.Pipe()
				go func() {
					defer server.Close()
					tls.Server(server, s.TLS()).HandshakeContext(t.Context())
				}()
				err := tls.Client(client, &tls.Config{
					ServerName: "evil.example", InsecureSkipVerify: true, MaxVersion: version,
				}).HandshakeContext(t.Context())
				if err == nil || err.Error() != "remote error: tls: unrecognized name" {
					t.Errorf("the client gets %v", err)
				}
			})
		}
	}
}

// writePair writes a certificate and its key into files.
func writePair(t *testing.T, dir, name string, c *tls.Certificate) Pair {
	t.Helper()
	key, err := x509.MarshalPKCS8PrivateKey(c.PrivateKey)
	if err != nil {
		t.Fatal(err)
	}
	p := Pair{filepath.Join(dir, name+".pem"), filepath.Join(dir, name+".key")}
	for file, block := range map[string]*pem.Block{
		p.CertFile: {Type: "CERTIFICATE", Bytes: c.Certificate[0]}, p.KeyFile: {Type: "PRIVATE KEY", Bytes: key},
	} {
		if err := os.WriteFile(file, pem.EncodeToMemory(block), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return p
}
