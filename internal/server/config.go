// Package server connects all packages: it builds the server, opens the listeners and shuts
// everything down in order. It exists so that no other package knows how the packages are
// connected. It contains no access rules.
package server

import (
	"cmp"
	"errors"
	"log/slog"
	"net"
	"net/netip"
	"slices"
	"time"

	"watertight/internal/access/policy"
	"watertight/internal/certs"
	"watertight/internal/limit"
	"watertight/internal/storage/folder"
)

// RootCredentials are the credentials of the first account. They are used only at the first
// start. Empty fields become random values.
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
	// Anchor is where the newest state of the store is kept, see anchor.Open; "" is nowhere, and
	// "none" gives up the anchor that the store had.
	Anchor         string
	AnchorOptional bool          // start without an anchor that can't be read or written
	AnchorInterval time.Duration // how often it is written at most; 0 is the default of the place

	CDN CDNConfig

	AllowPlainHTTP bool
	HealthListen   string // address of a plain HTTP listener that answers only probes; "" for none
	HealthOnMain   bool   // the main listeners answer unsigned probes, too
	MetricsListen  string // address of a plain HTTP listener that answers only scrapes of metrics; "" for none
	TrustedProxies []netip.Prefix
	AuditMaxBytes  int64         // size of the audit log above which its oldest closed files are deleted; 0 keeps all
	AuditRetention time.Duration // age at which closed files of the audit log are deleted; 0 keeps all
	AuditArchive   string        // folder to which they are copied before they are deleted; "" is none
	// LifecycleInterval is how often lifecycle configurations are applied; 0 is once a day, after midnight UTC.
	LifecycleInterval time.Duration

	MinFree        int64 // bytes of the disk that writes leave free; 0 is none
	MaxConnections int   // 0 is DefaultMaxConnections
	// MaxDocumentMemory is how many bytes all requests together hold while their
	// documents are read; 0 is DefaultMaxDocumentMemory.
	MaxDocumentMemory int64
	// The limits of the ransom alarm: how many objects one principal may overwrite, delete
	// and move under another key in one bucket within the window; 0 means no limit.
	AlarmWindow                                    time.Duration
	AlarmOverwrites, AlarmDeletes, AlarmKeyChanges int
	FreezeOnAlarm                                  bool // an alarm refuses the principal's writes

	AllowCustomerKeys bool // new buckets accept SSE-C
	MaxSessions       int  // unexpired sessions of one user; 0 means session.DefaultQuota
	Logger            *slog.Logger
	Getenv            func(string) string // environment with the passphrase; nil if there is none
	// Show, if it is set, is called at every start, when everything else is ready
	// and before the first account is durable: First and the addresses are known
	// then. If it returns an error, the start fails, and no account is made.
	Show func(*Server) error

	// IssuerNetworks are private networks in which the identity providers of web
	// identities may be reached.
	IssuerNetworks []netip.Prefix
	// IssuerHosts has addresses of providers ("issuer.example:443"), which are used instead
	// of DNS. It is for tests, which can't use port 443.
	IssuerHosts map[string]string

	// ProfileListen is the address of a plain HTTP listener that serves pprof's profiles; "" for
	// none. Other addresses than loopback need AllowRemoteProfiles.
	ProfileListen       string
	AllowRemoteProfiles bool

	// Stall is how long a client may make no progress during a request; 0 means 30 s.
	Stall time.Duration

	// Document is how long a request may take to send its document; 0 means one minute.
	Document time.Duration
	// Now is the clock by which requests are decided; nil means the system's clock. Tests set it.
	Now func() time.Time
	// Elapsed is the time since the start by a clock that nobody can set; nil is the
	// system's, or follows Now where a test sets that.
	Elapsed func() time.Duration

	// Files holds the data directory and the root key; nil is the machine's file system. A
	// test sets one that loses what was not synced. The server then has no listener, see
	// Simulate.
	Files folder.FS
	// SegmentUnits is the size of segments in units of 4 KiB; 0 is 128 MiB. Tests set it.
	SegmentUnits uint32

	// Free measures the free bytes of the data directory's file system; nil
	// asks the operating system. Tests use it to simulate a full disk.
	Free func(dir string) (int64, error)
}

// peers returns what is known about the addresses of requests. Behind a named proxy,
// callers have the addresses that the proxy reports, and the proxy's own address may be any
// caller's. Without a named proxy, requests from this machine may come from any caller, for
// example through a tunnel. Plain HTTP on addresses other than loopback is for use behind a
// proxy, which may be in any private network.
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

// Collector returns when the garbage collector of a process with this server alone should run.
func (c Config) Collector() limit.Collector {
	documents := cmp.Or(c.MaxDocumentMemory, DefaultMaxDocumentMemory)
	return limit.Collector{Garbage: garbage, Limit: documents + besideDocuments}
}

const (
	// garbage is how many bytes are allocated at most between two collections.
	garbage = 48 << 20
	// besideDocuments is approximately how many bytes caches, connections and the engine take. Above this plus the
	// limit for documents, the garbage collector runs more often.
	besideDocuments = 256 << 20
)

// minDocumentMemory is the memory that the requests of one client need, in bytes.
const minDocumentMemory = 1 << 20

// checkLimits refuses limits that are too low to serve anything.
func (c *Config) checkLimits() error {
	switch {
	case c.MaxConnections < 0:
		return errors.New("--max-connections must be a positive number")
	case c.MaxDocumentMemory < minDocumentMemory:
		return errors.New("--max-document-memory must be at least 1048576 bytes")
	}
	return nil
}

// doors is how many doors there are, which have a share of the open files each: viewers of
// the CDN never displace callers of the API.
func (c *Config) doors() int {
	if c.CDN.On() {
		return 2
	}
	return 1
}

// Defaults of limits.
const (
	DefaultMaxConnections    = 4096
	DefaultMaxDocumentMemory = 192 << 20
	DefaultMinFree           = 256 << 20
)
