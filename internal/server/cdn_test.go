package server

import (
	"bytes"
	"log/slog"
	"net"
	"path/filepath"
	"strings"
	"testing"

	"watertight/internal/certs"
)

// The server starts if the CDN's default address is taken, and does not if an address that the
// operator chose is taken.
func TestCDNAddresses(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	for _, c := range []struct {
		name   string
		config CDNConfig
		refuse string // part of the error, or "" if the server starts
		listen bool
	}{
		{"off", CDNConfig{}, "", false},
		{"free", CDNConfig{Listen: "127.0.0.1:0"}, "", true},
		{"the usual one is taken", CDNConfig{Listen: taken.Addr().String(), Optional: true}, "", false},
		{"a chosen one is taken", CDNConfig{Listen: taken.Addr().String()}, "another server", false},
		{"no address", CDNConfig{Listen: "here"}, "--cdn-listen", false},
		{"TLS without certificates", CDNConfig{TLSListen: "127.0.0.1:0"}, "--cdn-tls-listen", false},
		{"certificates without TLS", CDNConfig{TLS: certs.SiteSource{SelfSigned: true}}, "--cdn-tls-listen", false},
		{"two ways", CDNConfig{
			TLSListen: "127.0.0.1:0", TLS: certs.SiteSource{SelfSigned: true, ACME: true},
		}, "exclude each other", false},
		{"an origin without a port", CDNConfig{
			Listen: "127.0.0.1:0", AllowOrigins: []string{"origin.example"},
		}, "--cdn-allow-origin", false},
	} {
		t.Run(c.name, func(t *testing.T) {
			var log bytes.Buffer
			dir := t.TempDir()
			s, err := Build(t.Context(), Config{
				Data: filepath.Join(dir, "data"), Listen: []string{"127.0.0.1:0"}, Region: "us-east-1",
				RootKey: "file:" + filepath.Join(dir, "root.key"), CDN: c.config,
				Logger: slog.New(slog.NewTextHandler(&log, nil)),
			})
			if c.refuse != "" {
				if err == nil || !strings.Contains(err.Error(), c.refuse) {
					t.Fatal(err)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if (s.CDNAddr() != "") != c.listen {
				t.Errorf("it listens on %q", s.CDNAddr())
			}
			if c.config.Optional && !strings.Contains(log.String(), "usual address is taken") {
				t.Errorf("the log says nothing: %s", &log)
			}
			if err := s.Close(t.Context()); err != nil {
				t.Error(err)
			}
		})
	}
}
