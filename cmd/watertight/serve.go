package main

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"net/netip"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"time"

	"watertight/internal/certs"
	"watertight/internal/server"
	"watertight/internal/storage/rootkey"
)

// serve holds the server's flags; each has an environment variable.
type serve struct {
	Data   string   `help:"Data directory." default:"${data}" env:"WATERTIGHT_DATA" placeholder:"DIR"`
	Listen []string `help:"Addresses to listen on." default:"127.0.0.1:9000" env:"WATERTIGHT_LISTEN" placeholder:"ADDR"`
	Region string   `help:"Region of all buckets." default:"us-east-1" env:"WATERTIGHT_REGION"`
	Domain []string `help:"Base domain of virtual-hosted buckets." env:"WATERTIGHT_DOMAIN" placeholder:"NAME"`

	TLSCert       string   `name:"tls-cert" help:"Certificate file; read again when it changes." env:"WATERTIGHT_TLS_CERT" placeholder:"FILE"`
	TLSKey        string   `name:"tls-key" help:"Key file of the certificate." env:"WATERTIGHT_TLS_KEY" placeholder:"FILE"`
	TLSSelfSigned bool     `name:"tls-self-signed" help:"Create a local certificate authority and a certificate, and print how to trust it." env:"WATERTIGHT_TLS_SELF_SIGNED"`
	ACME          []string `name:"acme" help:"Get a certificate for this domain from an ACME authority." env:"WATERTIGHT_ACME" placeholder:"DOMAIN"`
	ACMEEmail     string   `name:"acme-email" help:"Address for the authority's notices." env:"WATERTIGHT_ACME_EMAIL" placeholder:"ADDRESS"`
	ACMEDirectory string   `name:"acme-directory" help:"Directory URL of the authority; the default is Let's Encrypt." env:"WATERTIGHT_ACME_DIRECTORY" placeholder:"URL"`

	CDNListen        string   `name:"cdn-listen" help:"Address on which the CDN serves distributions over plain HTTP, or none. The default is 127.0.0.1:9080; if that is taken, the server starts without it. On an address that is not loopback it only redirects to HTTPS, except with --allow-plain-http." env:"WATERTIGHT_CDN_LISTEN" placeholder:"ADDR"`
	CDNTLSListen     string   `name:"cdn-tls-listen" help:"Address on which the CDN serves distributions over HTTPS." env:"WATERTIGHT_CDN_TLS_LISTEN" placeholder:"ADDR"`
	CDNTLSCert       []string `name:"cdn-tls-cert" help:"Certificate file of the CDN, chosen by the name that a viewer asks for; read again when it changes. May be given several times." env:"WATERTIGHT_CDN_TLS_CERT" placeholder:"FILE"`
	CDNTLSKey        []string `name:"cdn-tls-key" help:"Key file of each certificate, in the same order." env:"WATERTIGHT_CDN_TLS_KEY" placeholder:"FILE"`
	CDNTLSSelfSigned bool     `name:"cdn-tls-self-signed" help:"Create a local certificate authority for the CDN, which signs a certificate for each name of a distribution." env:"WATERTIGHT_CDN_TLS_SELF_SIGNED"`
	CDNACME          bool     `name:"cdn-acme" help:"Get a certificate from an ACME authority for each name of an enabled distribution, when a viewer first asks for it. Needs port 443. --acme-email and --acme-directory apply." env:"WATERTIGHT_CDN_ACME"`

	CDNCache       string   `name:"cdn-cache" help:"Folder of the CDN's cache, whose files are sealed; the default is cdn-cache in the data directory." env:"WATERTIGHT_CDN_CACHE" placeholder:"DIR"`
	CDNCacheSize   int64    `name:"cdn-cache-size" help:"Bytes of the CDN's cache on the disk; 0 keeps 64 MiB in memory." default:"1073741824" env:"WATERTIGHT_CDN_CACHE_SIZE" placeholder:"BYTES"`
	CDNCacheKey    string   `name:"cdn-cache-key" help:"What seals the CDN's cache: memory is a random key of this process, so that a restart empties the cache; kms:ARN is a key of this server's KMS whose policy lets cloudfront.amazonaws.com use it." default:"memory" env:"WATERTIGHT_CDN_CACHE_KEY" placeholder:"KEY"`
	CDNAllowOrigin []string `name:"cdn-allow-origin" help:"Server that distributions may have as a custom origin, besides this store's buckets. May be given several times." env:"WATERTIGHT_CDN_ALLOW_ORIGIN" placeholder:"HOST:PORT"`

	AllowPlainHTTP bool     `name:"allow-plain-http" help:"Serve plain HTTP on addresses that are not loopback, readable by anyone on the network. For use behind a TLS proxy." env:"WATERTIGHT_ALLOW_PLAIN_HTTP"`
	TrustedProxy   []string `help:"Network of proxies whose X-Forwarded-For, X-Forwarded-Proto and Forwarded headers are trusted. They must set or remove each of these." env:"WATERTIGHT_TRUSTED_PROXY" placeholder:"CIDR"`

	HealthListen string `help:"Address of a separate plain HTTP listener that answers only /health/live and /health/ready, without a signature." env:"WATERTIGHT_HEALTH_LISTEN" placeholder:"ADDR"`
	HealthOnMain bool   `help:"Answer unsigned requests for /health/live and /health/ready on the main addresses too. The objects live and ready of a bucket named health then need signed requests." env:"WATERTIGHT_HEALTH_ON_MAIN"`

	PprofListen      string        `name:"pprof-listen" help:"Address of a separate plain HTTP listener that serves profiles of this process at /debug/pprof/, without a signature; a loopback address, unless --allow-remote-pprof." env:"WATERTIGHT_PPROF_LISTEN" placeholder:"ADDR"`
	AllowRemotePprof bool          `name:"allow-remote-pprof" help:"Allow --pprof-listen on addresses that other machines can reach." env:"WATERTIGHT_ALLOW_REMOTE_PPROF"`
	MetricsListen    string        `help:"Address of a separate plain HTTP listener that answers only /metrics, in Prometheus's format, without a signature." env:"WATERTIGHT_METRICS_LISTEN" placeholder:"ADDR"`
	AlarmWindow      time.Duration `help:"Window of the ransom alarm." default:"5m" env:"WATERTIGHT_ALARM_WINDOW" placeholder:"DURATION"`
	AlarmOverwrites  int           `help:"Objects that one principal may overwrite in one bucket within the window before the alarm is raised; 0 is no limit." default:"1000" env:"WATERTIGHT_ALARM_OVERWRITES" placeholder:"N"`
	AlarmDeletes     int           `help:"The same for objects and versions that it deletes." default:"1000" env:"WATERTIGHT_ALARM_DELETES" placeholder:"N"`
	AlarmKeyChanges  int           `help:"The same for objects that it puts under another encryption key." default:"100" env:"WATERTIGHT_ALARM_KEY_CHANGES" placeholder:"N"`
	FreezeOnAlarm    bool          `help:"Refuse the principal's writes to the bucket after an alarm, until watertight freeze lift." env:"WATERTIGHT_FREEZE_ON_ALARM"`

	OIDCAllowPrivateNetwork []string `name:"oidc-allow-private-network" help:"Private network in which OIDC identity providers may be reached." env:"WATERTIGHT_OIDC_ALLOW_PRIVATE_NETWORK" placeholder:"CIDR"`

	RootKey        string        `help:"Where the root key comes from: file:PATH (created at the first start), passphrase: (from ${passvar}), passphrase:file:PATH, vault:URL/MOUNT/KEY (Vault's or OpenBao's transit engine) or awskms:KEYARN[@URL]." default:"${rootkey}" env:"WATERTIGHT_ROOT_KEY" placeholder:"SOURCE"`
	Anchor         string        `help:"Where the newest state of the store is kept, so that an older copy of the data is refused: the path of a file on another disk, or s3://BUCKET/PREFIX?endpoint=URL&region=NAME&mode=COMPLIANCE&retain=DURATION. none gives up the anchor that the store had." env:"WATERTIGHT_ANCHOR" placeholder:"PATH|URL"`
	AnchorOptional bool          `help:"Start although the anchor can't be read or written; recorded in the audit log." env:"WATERTIGHT_ANCHOR_OPTIONAL"`
	AnchorInterval time.Duration `help:"How often the anchor is written at most; 0 is once a second for a file, and once a minute for objects." env:"WATERTIGHT_ANCHOR_INTERVAL" placeholder:"DURATION"`
	AllowSSEC      bool          `name:"allow-sse-c-in-new-buckets" help:"Let new buckets accept SSE-C, which they block by default as AWS's do. PutBucketEncryption changes it for a bucket." env:"WATERTIGHT_ALLOW_SSE_C_IN_NEW_BUCKETS"`
	AuditMaxBytes  int64         `name:"audit-max-bytes" help:"Size in bytes above which the oldest closed files of the audit log are removed; 0 keeps all." env:"WATERTIGHT_AUDIT_MAX_BYTES" placeholder:"BYTES"`
	AuditRetention time.Duration `name:"audit-retention" help:"Age at which closed files of the audit log are removed, such as 2160h; 0 keeps all." env:"WATERTIGHT_AUDIT_RETENTION" placeholder:"DURATION"`
	AuditArchive   string        `name:"audit-archive" help:"Folder to which files of the audit log are copied, and verified, before they are removed." env:"WATERTIGHT_AUDIT_ARCHIVE" placeholder:"DIR"`

	LifecycleInterval time.Duration `name:"lifecycle-interval" help:"How often buckets' lifecycle configurations are applied, such as 1h; 0 is once a day, after midnight UTC." env:"WATERTIGHT_LIFECYCLE_INTERVAL" placeholder:"DURATION"`

	MinFree           int64  `help:"Bytes of the disk that writes leave free." default:"268435456" env:"WATERTIGHT_MIN_FREE" placeholder:"BYTES"`
	MaxDocumentMemory int64  `help:"Bytes of request documents held in memory by all requests together, and as many of listings until clients have taken them. Unauthenticated ones get an eighth." default:"201326592" env:"WATERTIGHT_MAX_DOCUMENT_MEMORY" placeholder:"BYTES"`
	MaxConnections    int    `help:"Connections served at once." default:"4096" env:"WATERTIGHT_MAX_CONNECTIONS" placeholder:"N"`
	MaxSessions       int    `help:"Sessions of one user, or of one bearer of an identity provider's tokens, that have not expired." default:"1000" env:"WATERTIGHT_MAX_SESSIONS" placeholder:"N"`
	LogLevel          string `help:"debug, info, warn or error." enum:"debug,info,warn,error" default:"info" env:"WATERTIGHT_LOG_LEVEL"`
	LogFormat         string `help:"text or json." enum:"text,json" default:"text" env:"WATERTIGHT_LOG_FORMAT"`
	LogFile           string `help:"File of the log, opened again on SIGHUP; the default is standard error." env:"WATERTIGHT_LOG_FILE" placeholder:"FILE"`
}

// Run builds the server and serves until it is told to stop.
func (s *serve) Run(p process) error {
	// If the reader of the output was closed, only that write fails; the process continues.
	signal.Ignore(syscall.SIGPIPE)
	out, err := startLogs(p.stderr, s.LogFile, s.LogFormat)
	if err != nil {
		return err
	}
	defer out.end()
	c, err := s.config(p, out)
	if err != nil {
		return err
	}
	reload := make(chan os.Signal, 1)
	signal.Notify(reload, syscall.SIGHUP)
	defer signal.Stop(reload)
	if p.getenv("GOGC") == "" && p.getenv("GOMEMLIMIT") == "" {
		defer c.Collector().Start()()
	}
	c.Show = func(srv *server.Server) error { return welcome(p.stdout, srv) }
	srv, err := server.Build(p.ctx, c)
	if err != nil {
		return err
	}
	if addr := srv.CDNAddr() + srv.CDNTLSAddr(); addr != "" {
		c.Logger.Info("the CDN serves distributions", "http", srv.CDNAddr(), "https", srv.CDNTLSAddr())
	}
	c.Logger.Info("serving", "address", srv.Addr(), "scheme", srv.Scheme(), "data", c.Data, "region", c.Region)
	ctx, end := context.WithCancel(p.ctx)
	var reloading sync.WaitGroup
	reloading.Go(func() {
		for {
			select {
			case <-ctx.Done():
				return
			case <-reload:
				if err := out.reopen(); err != nil {
					c.Logger.Warn("the log file can't be opened again, and the old one goes on", "err", err)
				}
				srv.Reload()
				c.Logger.Info("reloaded")
			}
		}
	})
	err = srv.Run(p.ctx)
	end()
	reloading.Wait()
	return err
}

// config turns the flags into the server's configuration.
func (s *serve) config(p process, logs io.Writer) (server.Config, error) {
	c := server.Config{
		Data: s.Data, Listen: s.Listen, Region: s.Region, Domains: s.Domain, RootKey: s.RootKey,
		Root: server.RootCredentials{
			AccountID:       line(p.getenv("WATERTIGHT_ACCOUNT_ID")),
			AccessKeyID:     line(p.getenv("WATERTIGHT_ROOT_ACCESS_KEY_ID")),
			SecretAccessKey: line(p.getenv("WATERTIGHT_ROOT_SECRET_ACCESS_KEY")),
		},
		TLS: certs.Source{
			CertFile: s.TLSCert, KeyFile: s.TLSKey, SelfSigned: s.TLSSelfSigned,
			ACME: s.ACME, ACMEEmail: s.ACMEEmail, ACMEDirectory: s.ACMEDirectory,
		},
		AllowPlainHTTP: s.AllowPlainHTTP, HealthListen: s.HealthListen, HealthOnMain: s.HealthOnMain,
		AuditMaxBytes: s.AuditMaxBytes, AuditRetention: s.AuditRetention, AuditArchive: s.AuditArchive,
		MinFree: s.MinFree, MaxConnections: s.MaxConnections, MaxDocumentMemory: s.MaxDocumentMemory,
		ProfileListen: s.PprofListen, AllowRemoteProfiles: s.AllowRemotePprof,
		MetricsListen: s.MetricsListen, AlarmWindow: s.AlarmWindow, AlarmOverwrites: s.AlarmOverwrites,
		AlarmDeletes: s.AlarmDeletes, AlarmKeyChanges: s.AlarmKeyChanges, FreezeOnAlarm: s.FreezeOnAlarm,
		LifecycleInterval: s.LifecycleInterval,
		MaxSessions:       s.MaxSessions, AllowCustomerKeys: s.AllowSSEC,
		Anchor: s.Anchor, AnchorOptional: s.AnchorOptional, AnchorInterval: s.AnchorInterval,
		Logger: newLogger(logs, s.LogLevel, s.LogFormat), Getenv: p.getenv,
	}
	var err error
	if c.CDN, err = s.cdn(); err != nil {
		return c, err
	}
	for _, flag := range []struct {
		name  string
		texts []string
		to    *[]netip.Prefix
	}{
		{"--trusted-proxy", s.TrustedProxy, &c.TrustedProxies},
		{"--oidc-allow-private-network", s.OIDCAllowPrivateNetwork, &c.IssuerNetworks},
	} {
		for _, text := range flag.texts {
			n, err := netip.ParsePrefix(text)
			if err != nil {
				return c, usageError{fmt.Errorf("%s %s: %w", flag.name, text, err)}
			}
			*flag.to = append(*flag.to, n)
		}
	}
	switch {
	case s.AuditMaxBytes < 0 || s.AuditRetention < 0:
		return c, usageError{fmt.Errorf("--audit-max-bytes and --audit-retention must not be negative")}
	case s.AnchorInterval < 0:
		return c, usageError{fmt.Errorf("--anchor-interval must not be negative")}
	case s.LifecycleInterval < 0:
		return c, usageError{fmt.Errorf("--lifecycle-interval must not be negative")}
	case s.AuditArchive != "" && s.AuditMaxBytes == 0 && s.AuditRetention == 0:
		return c, usageError{fmt.Errorf("--audit-archive needs --audit-max-bytes or --audit-retention")}
	}
	if s.Data == "" || s.RootKey == "" {
		return c, usageError{fmt.Errorf("no home directory; set --data and --root-key")}
	}
	return c, nil
}

// cdn turns the flags of the CDN into its configuration.
func (s *serve) cdn() (server.CDNConfig, error) {
	c := server.CDNConfig{
		Listen: s.CDNListen, TLSListen: s.CDNTLSListen, AllowOrigins: s.CDNAllowOrigin,
		Cache: server.CDNCache{Dir: s.CDNCache, Bytes: s.CDNCacheSize, Key: s.CDNCacheKey},
		TLS: certs.SiteSource{
			SelfSigned: s.CDNTLSSelfSigned, ACME: s.CDNACME, ACMEEmail: s.ACMEEmail, ACMEDirectory: s.ACMEDirectory,
		},
	}
	switch c.Listen {
	case "none":
		c.Listen = ""
	case "":
		c.Listen, c.Optional = server.DefaultCDNListen, true
	}
	if len(s.CDNTLSCert) != len(s.CDNTLSKey) {
		return c, usageError{fmt.Errorf("--cdn-tls-cert and --cdn-tls-key go together, one key for each certificate")}
	}
	for i, file := range s.CDNTLSCert {
		c.TLS.Pairs = append(c.TLS.Pairs, certs.Pair{CertFile: file, KeyFile: s.CDNTLSKey[i]})
	}
	return c, nil
}

// line returns a value without the newline that it has if it was read from a file.
func line(value string) string { return strings.TrimRight(value, "\r\n") }

// welcome prints what is known only at the first start. A secret that the
// operator supplied is not printed: the output of a service is its log.
func welcome(w io.Writer, srv *server.Server) error {
	f := srv.First()
	if ca := srv.CDNCAFile(); ca != "" {
		fmt.Fprintf(w, "Viewers of the CDN trust it with its certificate authority: %s\n\n", ca)
	}
	if ca := srv.CAFile(); ca != "" {
		fmt.Fprintf(w,
			"To trust this server, give your client its certificate authority:\n\n  export AWS_CA_BUNDLE=%s\n\n", ca)
	}
	if !f.Created {
		return nil
	}
	var text strings.Builder
	if f.Supplied {
		fmt.Fprintf(&text,
			"Account %s was made, with the access key of its root user that was given:\n\n  export "+
				"AWS_ACCESS_KEY_ID=%s\n", f.AccountID, f.AccessKeyID)
	} else {
		fmt.Fprintf(&text, "Account %s was made. This is the access key of its root user; it is shown only once:\n\n",
			f.AccountID)
		fmt.Fprintf(&text, "  export AWS_ACCESS_KEY_ID=%s\n  export AWS_SECRET_ACCESS_KEY='%s'\n", f.AccessKeyID,
			f.SecretAccessKey)
	}
	// The aws CLI reads one name of the region, the other SDKs the other.
	fmt.Fprintf(&text,
		"  export AWS_REGION=%[1]s AWS_DEFAULT_REGION=%[1]s\n  export "+
			"AWS_ENDPOINT_URL=%[2]s://%[3]s\n\n", srv.Region(), srv.Scheme(), reachable(srv.Addr()))
	fmt.Fprintf(&text,
		"Everything is encrypted under the root key: %s\nLosing it loses the data. Keep a copy somewhere else, and "+
			"never beside the data.\n\n", f.RootKey)
	if _, err := io.WriteString(w, text.String()); err != nil {
		return fmt.Errorf("the root access key could not be shown, so no account was made: %w", err)
	}
	return nil
}

// reachable returns an address that a client on this machine can use and that
// the self-signed certificate names.
func reachable(addr string) string {
	if a, err := netip.ParseAddrPort(addr); err == nil && a.Addr().IsUnspecified() {
		return fmt.Sprintf("127.0.0.1:%d", a.Port())
	}
	return addr
}

// newLogger returns a logger that writes to stderr. It blanks attributes whose
// names are those of secrets, in case one is logged by mistake.
func newLogger(w io.Writer, level, format string) *slog.Logger {
	var l slog.Level
	if err := l.UnmarshalText([]byte(level)); err != nil {
		l = slog.LevelInfo
	}
	o := &slog.HandlerOptions{Level: l, ReplaceAttr: func(_ []string, a slog.Attr) slog.Attr {
		name := strings.ToLower(a.Key)
		if name == "key" || strings.HasSuffix(name, "_key") {
			return slog.String(a.Key, "hidden")
		}
		for _, word := range []string{
			"secret", "password", "passphrase", "token", "signature", "authorization", "credential", "cookie",
		} {
			if strings.Contains(name, word) {
				return slog.String(a.Key, "hidden")
			}
		}
		return a
	}}
	if format == "json" {
		return slog.New(slog.NewJSONHandler(w, o))
	}
	return slog.New(slog.NewTextHandler(w, o))
}

// defaultData returns a folder in the user's home.
func defaultData(getenv func(string) string) string {
	if dir := getenv("XDG_DATA_HOME"); dir != "" {
		return filepath.Join(dir, "watertight")
	}
	home, err := os.UserHomeDir()
	if err != nil {
		return ""
	}
	return filepath.Join(home, ".local", "share", "watertight")
}

func defaultRootKey() string {
	dir, err := os.UserConfigDir()
	if err != nil {
		return ""
	}
	return rootkey.Default(dir)
}
