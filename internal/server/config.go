// Package server is the only wiring room: it builds everything from the ground
// up, opens the listeners and ends everything in order. It exists so that no
// other room knows how the rooms fit together. No rule lives here.
package server

import (
	"errors"
	"log/slog"
	"net"
	"net/netip"
	"slices"
	"time"

	"watertight/internal/access/policy"
	"watertight/internal/certs"
)

// RootCredentials are those of the first account, used only at the first start.
// Empty fields are random.
type RootCredentials struct {
	AccountID, AccessKeyID, SecretAccessKey string
}

// Config is the operator's configuration. cmd fills it from flags.
type Config struct {
	Data    string   // data directory
	Listen  []string // addresses, "127.0.0.1:9000"
	Region  string
	Domains []string // base domains of virtual-hosted buckets
	RootKey string   // source of the root key, see rootkey.Open
	Root    RootCredentials
	TLS     certs.Source

	AllowPlainHTTP bool
	HealthListen   string // address that answers only probes, in plain HTTP; "" is none
	HealthOnMain   bool   // the main listeners answer unsigned probes, too
	TrustedProxies []netip.Prefix
	AuditMaxBytes  int64         // of the audit log, from which its oldest closed files go; 0 keeps all
	AuditRetention time.Duration // after which closed files of it go; 0 keeps all
	AuditArchive   string        // folder they are copied to before they go; "" is none
	MinFree        int64         // bytes of the disk that writes leave free; 0 is none
	MaxConnections int           // 0 is DefaultMaxConnections
	// MaxDocumentMemory is how many bytes all requests together hold while their
	// documents are read; 0 is DefaultMaxDocumentMemory.
	MaxDocumentMemory int64
	MaxSessions       int // of one user, that have not expired; 0 is session.DefaultQuota
	Logger            *slog.Logger
	Getenv            func(string) string // for the passphrase; nil is none
	// Show, where it is set, is called at every start, once all else is ready and
	// before the first account lasts: First and the addresses are known then. An
	// error of it ends the start, and no account was made.
	Show func(*Server) error

	// IssuerNetworks are private networks in which the identity providers of web
	// identities may be reached.
	IssuerNetworks []netip.Prefix
	// IssuerHosts has the addresses of providers ("issuer.example:443") that DNS
	// is not asked for. Tests have no port 443.
	IssuerHosts map[string]string

	// Stall is how long a client may make no progress within a request; 0 is 30 s.
	Stall time.Duration

	// Document is how long a request may take to bring its document; 0 is a minute.
	Document time.Duration
	// Now is the clock that requests are judged by; nil is the system's. Tests
	// move it.
	Now func() time.Time

	// Free measures the free bytes of the data directory's file system; nil
	// asks the operating system. Tests fill disks with it.
	Free func(dir string) (int64, error)
}

// peers is what is known about where requests come from. Behind a named proxy,
// callers have the addresses that it reports; its own address may be anyone. Without
// one, requests from this machine may be anyone's, such as those of a tunnel; and
// plain HTTP on other addresses than loopback is meant for a proxy, which may be in
// any private network.
func (c Config) peers() policy.Peers {
	local := !slices.ContainsFunc(c.Listen, func(addr string) bool {
		host, _, err := net.SplitHostPort(addr)
		return err != nil || !isLoopback(host)
	})
	switch {
	case len(c.TrustedProxies) > 0:
		return policy.ToldApart(c.TrustedProxies...)
	case local || c.TLS.On():
		return policy.ToldApart(policy.Loopback()...)
	}
	return policy.Peers{}
}

// minDocumentMemory is what the requests of one client come to, in bytes.
const minDocumentMemory = 1 << 20

// checkLimits refuses limits under which nothing could be served.
func (c *Config) checkLimits() error {
	switch {
	case c.MaxConnections < 0:
		return errors.New("--max-connections must be a positive number")
	case c.MaxDocumentMemory < minDocumentMemory:
		return errors.New("--max-document-memory must be at least 1048576 bytes")
	}
	return nil
}

// Defaults of limits.
const (
	DefaultMaxConnections    = 4096
	DefaultMaxDocumentMemory = 192 << 20
	DefaultMinFree           = 256 << 20
)
