package server

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"net"
	"path/filepath"
	"time"

	"github.com/caddyserver/certmagic"
)

// tlsConfig is nil for plain HTTP.
func (s *Server) tlsConfig(ctx context.Context) (*tls.Config, error) {
	t := s.config.TLS
	base := &tls.Config{MinVersion: tls.VersionTLS12, NextProtos: []string{"http/1.1"}}
	switch {
	case !t.on():
		return nil, nil
	case t.CertFile != "":
		s.pair = &pairFile{cert: t.CertFile, key: t.KeyFile, log: s.log, judge: s.judgeGiven}
		if err := s.pair.open(); err != nil {
			return nil, fmt.Errorf("the TLS certificate: %w", err)
		}
		base.GetCertificate = s.pair.get
		return base, nil
	case len(t.ACME) > 0:
		return s.acme(ctx, base)
	}
	c, err := s.selfSigned()
	if err != nil {
		return nil, fmt.Errorf("the self-signed certificate: %w", err)
	}
	s.judgeSelfSigned(c.Leaf)
	base.Certificates = []tls.Certificate{*c}
	return base, nil
}

// renewBefore is how long before its end a certificate is warned of: renewal
// of one that was given is due by then, and a self-signed one has to be made
// anew by hand.
const (
	renewBefore       = 30 * 24 * time.Hour
	renewedByThatTime = 14 * 24 * time.Hour
)

// judgeGiven warns of what clients will not like about a certificate.
func (s *Server) judgeGiven(leaf *x509.Certificate) {
	switch left := time.Until(leaf.NotAfter); {
	case ended(leaf, time.Now()):
		s.log.Warn("the TLS certificate is not good now: clients refuse it", "begins", leaf.NotBefore, "ends", leaf.NotAfter)
	case left < renewedByThatTime:
		s.log.Warn("the TLS certificate ends soon: renew it", "ends", leaf.NotAfter)
	}
	// Clients reach it by names that only the operator knows; but one that names
	// neither its domains nor, where there are none, any address is a mistake.
	missing := unnamed(leaf, nil, s.config.Domains)
	if names := listenNames(s.config.Listen); len(s.config.Domains) == 0 && s.listensOnOne() {
		if missing = unnamed(leaf, names, nil); len(missing) < len(names) {
			missing = nil
		}
	}
	if len(missing) > 0 {
		s.log.Warn("the TLS certificate does not name the names that clients use for this server", "missing", missing)
	}
	if len(leaf.DNSNames)+len(leaf.IPAddresses) == 0 {
		s.log.Warn("the TLS certificate names nothing: clients refuse it")
	}
}

// listensOnOne reports whether each listener has an address of its own.
func (s *Server) listensOnOne() bool {
	for _, addr := range s.config.Listen {
		host, _, _ := net.SplitHostPort(addr)
		if ip := net.ParseIP(host); host == "" || ip != nil && ip.IsUnspecified() {
			return false
		}
	}
	return true
}

// judgeSelfSigned warns where the certificate that was made once does not fit
// any more.
func (s *Server) judgeSelfSigned(leaf *x509.Certificate) {
	const remedy = "remove its directory, start again and let clients trust the new authority"
	dir := filepath.Dir(s.CAFile())
	if time.Until(leaf.NotAfter) < renewBefore {
		s.log.Warn("the self-signed certificate ends soon: "+remedy, "ends", leaf.NotAfter, "directory", dir)
	}
	if missing := unnamed(leaf, listenNames(s.config.Listen), s.config.Domains); len(missing) > 0 {
		s.log.Warn("the self-signed certificate does not name all addresses it is served on: "+remedy, "missing", missing, "directory", dir)
	}
}

// acme gets certificates from an authority and keeps them fresh.
func (s *Server) acme(ctx context.Context, base *tls.Config) (*tls.Config, error) {
	t := s.config.TLS
	dir := filepath.Join(s.config.Data, "acme")
	if err := discardPlain(dir, s.log); err != nil {
		return nil, fmt.Errorf("the certificates of %s: %w", dir, err)
	}
	var magic *certmagic.Config
	cache := certmagic.NewCache(certmagic.CacheOptions{
		GetConfigForCert: func(certmagic.Certificate) (*certmagic.Config, error) { return magic, nil },
	})
	s.certs = cache
	magic = certmagic.New(cache, certmagic.Config{Storage: sealedStorage{&certmagic.FileStorage{Path: dir}, s.rootKey.Key}})
	issuer := certmagic.ACMEIssuer{Email: t.ACMEEmail, Agreed: true, DisableHTTPChallenge: true, CA: t.ACMEDirectory}
	if issuer.CA == "" {
		issuer.CA = certmagic.LetsEncryptProductionCA
	}
	magic.Issuers = []certmagic.Issuer{certmagic.NewACMEIssuer(magic, issuer)}
	if err := magic.ManageAsync(ctx, t.ACME); err != nil {
		return nil, fmt.Errorf("certificates for %q: %w", t.ACME, err)
	}
	base.GetCertificate = magic.GetCertificate
	base.NextProtos = append(base.NextProtos, "acme-tls/1")
	return base, nil
}

// Reload reads the certificate's files again. Connections and requests go on.
func (s *Server) Reload() {
	if s.pair != nil {
		s.pair.reload()
	}
}

// watchPair looks at the certificate's files without a handshake, too.
func (s *Server) watchPair(ctx context.Context) {
	if s.pair == nil {
		return
	}
	tick := time.NewTicker(watchAgain)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			s.pair.watch()
		}
	}
}
