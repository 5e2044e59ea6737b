package certs

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/caddyserver/certmagic"

	"watertight/internal/storage/seal"
)

// Pair is a certificate's file and that of its key.
type Pair struct{ CertFile, KeyFile string }

// SiteSource says where the certificates of many sites come from, which are chosen by the
// name that a client asks for (SNI). At most one way is used; none is plain HTTP.
type SiteSource struct {
	Pairs         []Pair
	SelfSigned    bool
	ACME          bool // for names that are served, when they are first asked for
	ACMEEmail     string
	ACMEDirectory string // URL of the authority; empty is Let's Encrypt
}

// On reports whether the source provides certificates.
func (s SiteSource) On() bool { return len(s.Pairs) > 0 || s.SelfSigned || s.ACME }

// Check refuses a source that contradicts itself.
func (s SiteSource) Check() error {
	ways := 0
	for _, used := range []bool{len(s.Pairs) > 0, s.SelfSigned, s.ACME} {
		if used {
			ways++
		}
	}
	if ways > 1 {
		return errors.New("--cdn-tls-cert, --cdn-acme and --cdn-tls-self-signed exclude each other; use one of them")
	}
	return nil
}

// SiteOptions say which certificates are served.
type SiteOptions struct {
	SiteSource
	Data   string      // data directory, which holds the sealed keys that are made here
	Root   *seal.Ring  // the key that seals them
	Files  sync.Locker // held while a sealed file is replaced, see Rewrap
	Logger *slog.Logger
	// Serves reports whether a name, in lower case, is that of a site, and Orders whether an
	// ACME authority may be asked for its certificate. None is made or asked for otherwise.
	Serves, Orders func(name string) bool
	// Channel returns the least version of TLS for the site with a name, in lower case, and
	// whether it may be HTTP/2. nil, and no name, are TLS 1.2 and HTTP/2.
	Channel func(name string) (least uint16, http2 bool)
}

// Sites are the certificates of many sites.
type Sites struct {
	SiteOptions
	tls   *tls.Config
	kinds map[kind]*tls.Config // what GetConfigForClient chooses from
	pairs []*pairFile
	cache *certmagic.Cache // for ACME; or nil
	local *authority       // of SelfSigned; or nil
}

// OpenSites opens the certificates. The source must be On. After an error nothing is left
// open. HTTP/2 is offered, unless a site does without.
func OpenSites(o SiteOptions) (*Sites, error) {
	s := &Sites{SiteOptions: o, tls: &tls.Config{
		MinVersion: tls.VersionTLS12, NextProtos: []string{"h2", "http/1.1"},
	}}
	s.tls.GetCertificate = s.get
	switch {
	case len(o.Pairs) > 0:
		judge := (&Certificates{Options: Options{Logger: o.Logger}}).judgeGiven
		for _, p := range o.Pairs {
			file := &pairFile{cert: p.CertFile, key: p.KeyFile, log: o.Logger, judge: judge}
			if err := file.open(); err != nil {
				return nil, fmt.Errorf("the TLS certificate %s: %w", p.CertFile, err)
			}
			s.pairs = append(s.pairs, file)
		}
	case o.ACME:
		if err := s.acme(); err != nil {
			return nil, err
		}
	default:
		var err error
		if s.local, err = openAuthority(o); err != nil {
			return nil, fmt.Errorf("the CDN's certificate authority: %w", err)
		}
	}
	if o.Channel != nil {
		s.kinds = kinds(s.tls)
		s.tls.GetConfigForClient = s.configure
	}
	return s, nil
}

// kind is what sites differ in during a handshake.
type kind struct {
	least uint16
	http2 bool
}

// kinds returns a configuration for each kind of site.
func kinds(c *tls.Config) map[kind]*tls.Config {
	all := map[kind]*tls.Config{}
	for _, least := range []uint16{tls.VersionTLS12, tls.VersionTLS13} {
		for _, http2 := range []bool{true, false} {
			k := c.Clone()
			k.MinVersion = least
			if !http2 {
				k.NextProtos = slices.DeleteFunc(slices.Clone(c.NextProtos), func(p string) bool { return p == "h2" })
			}
			all[kind{least, http2}] = k
		}
	}
	return all
}

// configure returns the configuration for a handshake, by the name that the client asks for.
func (s *Sites) configure(hello *tls.ClientHelloInfo) (*tls.Config, error) {
	k := kind{tls.VersionTLS12, true}
	if name := asked(hello); name != "" {
		k.least, k.http2 = s.Channel(name)
	}
	c := s.kinds[k]
	if c == nil {
		return nil, fmt.Errorf("TLS: no configuration for version %x", k.least)
	}
	return c, nil
}

// asked returns the name that a client asks for, in lower case.
func asked(hello *tls.ClientHelloInfo) string {
	return strings.TrimSuffix(strings.ToLower(hello.ServerName), ".")
}

// TLS returns the configuration for the listeners.
func (s *Sites) TLS() *tls.Config { return s.tls }

// CAFile is the path of the certificate authority of SelfSigned, or "".
func (s *Sites) CAFile() string {
	if s.local == nil {
		return ""
	}
	return authorityFile(s.Data)
}

// errUnserved refuses to order a certificate for a name that is not served.
var errUnserved = errors.New("no site has this name")

// get returns the certificate for a handshake, or nil if no site has the name: crypto/tls then
// answers with the alert unrecognized_name (RFC 6066, section 3). A client that asks for no name
// gets that of the first pair.
func (s *Sites) get(hello *tls.ClientHelloInfo) (*tls.Certificate, error) {
	name := asked(hello)
	for i, p := range s.pairs {
		c, err := p.get(hello)
		if err != nil {
			return nil, err
		}
		if name == "" && i == 0 || name != "" && c.Leaf.VerifyHostname(name) == nil {
			return c, nil
		}
	}
	if s.local != nil {
		if name != "" && name != "localhost" && !s.Serves(name) {
			return nil, nil
		}
		return s.local.issue(name, time.Now())
	}
	return nil, nil
}

// acme gets certificates from an authority when a name is first asked for. Only names that
// are served get one, so that strangers can't use up the authority's limits.
func (s *Sites) acme() error {
	dir := filepath.Join(s.Data, "acme")
	if err := discardPlain(dir, s.Logger); err != nil {
		return fmt.Errorf("the certificates of %s: %w", dir, err)
	}
	var magic *certmagic.Config
	s.cache = certmagic.NewCache(certmagic.CacheOptions{
		GetConfigForCert: func(certmagic.Certificate) (*certmagic.Config, error) { return magic, nil },
	})
	magic = certmagic.New(s.cache, certmagic.Config{
		Storage: sealedStorage{&certmagic.FileStorage{Path: dir}, s.Root, s.Files},
		OnDemand: &certmagic.OnDemandConfig{DecisionFunc: func(_ context.Context, name string) error {
			if !s.Orders(strings.ToLower(name)) {
				return errUnserved
			}
			return nil
		}},
	})
	issuer := certmagic.ACMEIssuer{Email: s.ACMEEmail, Agreed: true, DisableHTTPChallenge: true, CA: s.ACMEDirectory}
	if issuer.CA == "" {
		issuer.CA = certmagic.LetsEncryptProductionCA
	}
	magic.Issuers = []certmagic.Issuer{certmagic.NewACMEIssuer(magic, issuer)}
	s.tls.GetCertificate = func(hello *tls.ClientHelloInfo) (*tls.Certificate, error) {
		c, err := magic.GetCertificate(hello)
		if err != nil && !s.Orders(asked(hello)) {
			return nil, nil
		}
		return c, err
	}
	s.tls.NextProtos = append(s.tls.NextProtos, "acme-tls/1")
	return nil
}

// Reload reads the certificates' files again. Connections and requests go on.
func (s *Sites) Reload() {
	for _, p := range s.pairs {
		p.reload()
	}
}

// Watch checks the certificates' files even without handshakes, until ctx ends.
func (s *Sites) Watch(ctx context.Context) {
	tick := time.NewTicker(watchAgain)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			for _, p := range s.pairs {
				p.watch()
			}
		}
	}
}

// Close stops the renewal of certificates.
func (s *Sites) Close() {
	if s.cache != nil {
		s.cache.Stop()
	}
}
