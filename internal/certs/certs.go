// Package certs provides the certificates for TLS: from files that are read again
// when they change, from an ACME authority, or from a local authority. It exists so
// that private keys that the server makes are only stored sealed. It must never know
// what is served with them.
package certs

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"path/filepath"
	"sync"
	"time"

	"github.com/caddyserver/certmagic"

	"watertight/internal/storage/seal"
)

// Source says where certificates come from. At most one way is used; none is plain
// HTTP.
type Source struct {
	CertFile, KeyFile string
	SelfSigned        bool
	ACME              []string // domains
	ACMEEmail         string
	ACMEDirectory     string // URL of the authority; empty is Let's Encrypt
}

// On reports whether the source provides certificates.
func (s Source) On() bool {
	return s.CertFile != "" || s.KeyFile != "" || s.SelfSigned || len(s.ACME) > 0
}

// Check refuses a source that contradicts itself.
func (s Source) Check() error {
	if (s.CertFile == "") != (s.KeyFile == "") {
		return errors.New("--tls-cert and --tls-key go together")
	}
	ways := 0
	for _, used := range []bool{s.CertFile != "", s.SelfSigned, len(s.ACME) > 0} {
		if used {
			ways++
		}
	}
	if ways > 1 {
		return errors.New("--tls-cert, --acme and --tls-self-signed exclude each other; use one of them")
	}
	return nil
}

// Options say which certificates are served.
type Options struct {
	Source
	Data    string      // data directory, which holds the sealed keys that are made here
	Root    *seal.Ring  // the key that seals them
	Files   sync.Locker // held while a sealed file is replaced, see Rewrap; nil is a lock of its own
	Listen  []string    // addresses of the listeners
	Domains []string    // base domains of virtual-hosted buckets
	Logger  *slog.Logger
}

// Certificates are the certificates that a server serves.
type Certificates struct {
	Options
	tls   *tls.Config
	cache *certmagic.Cache // for ACME; or nil
	pair  *pairFile        // the files of the operator; or nil
}

// Open finds the certificates, or makes them if the source says so. The source
// must be On. After an error nothing is left open.
func Open(ctx context.Context, o Options) (*Certificates, error) {
	if o.Files == nil {
		o.Files = &sync.Mutex{}
	}
	c := &Certificates{Options: o, tls: &tls.Config{MinVersion: tls.VersionTLS12, NextProtos: []string{"http/1.1"}}}
	switch {
	case o.CertFile != "":
		c.pair = &pairFile{cert: o.CertFile, key: o.KeyFile, log: o.Logger, judge: c.judgeGiven}
		if err := c.pair.open(); err != nil {
			return nil, fmt.Errorf("the TLS certificate: %w", err)
		}
		c.tls.GetCertificate = c.pair.get
		return c, nil
	case len(o.ACME) > 0:
		if err := c.acme(ctx); err != nil {
			c.Close()
			return nil, err
		}
		return c, nil
	}
	pair, err := c.selfSigned()
	if err != nil {
		return nil, fmt.Errorf("the self-signed certificate: %w", err)
	}
	c.judgeSelfSigned(pair.Leaf)
	c.tls.Certificates = []tls.Certificate{*pair}
	return c, nil
}

// TLS returns the configuration for the listeners.
func (c *Certificates) TLS() *tls.Config { return c.tls }

// Close stops the renewal of certificates.
func (c *Certificates) Close() {
	if c.cache != nil {
		c.cache.Stop()
	}
}

// renewBefore is how long before a certificate ends there is a warning: by then
// the operator should have renewed a given one, and a self-signed one has to be
// made anew by hand.
const (
	renewBefore       = 30 * 24 * time.Hour
	renewedByThatTime = 14 * 24 * time.Hour
)

// judgeGiven warns about what makes clients refuse a certificate.
func (c *Certificates) judgeGiven(leaf *x509.Certificate) {
	switch left := time.Until(leaf.NotAfter); {
	case ended(leaf, time.Now()):
		c.Logger.Warn("the TLS certificate is not good now: clients refuse it", "begins", leaf.NotBefore, "ends",
			leaf.NotAfter)
	case left < renewedByThatTime:
		c.Logger.Warn("the TLS certificate ends soon: renew it", "ends", leaf.NotAfter)
	}
	// Only the operator knows the names by which clients reach the server. But it is a
	// mistake if the certificate names neither its domains nor, without domains, any address.
	missing := unnamed(leaf, nil, c.Domains)
	if names := listenNames(c.Listen); len(c.Domains) == 0 && c.listensOnOne() {
		if missing = unnamed(leaf, names, nil); len(missing) < len(names) {
			missing = nil
		}
	}
	if len(missing) > 0 {
		c.Logger.Warn("the TLS certificate does not name the names that clients use for this server", "missing",
			missing)
	}
	if len(leaf.DNSNames)+len(leaf.IPAddresses) == 0 {
		c.Logger.Warn("the TLS certificate names nothing: clients refuse it")
	}
}

// listensOnOne reports whether each listener listens on one specific address.
func (c *Certificates) listensOnOne() bool {
	for _, addr := range c.Listen {
		host, _, _ := net.SplitHostPort(addr)
		if ip := net.ParseIP(host); host == "" || ip != nil && ip.IsUnspecified() {
			return false
		}
	}
	return true
}

// judgeSelfSigned warns if the certificate, which is made once, no longer fits.
func (c *Certificates) judgeSelfSigned(leaf *x509.Certificate) {
	const remedy = "remove its directory, start again and let clients trust the new authority"
	dir := filepath.Dir(c.CAFile())
	if time.Until(leaf.NotAfter) < renewBefore {
		c.Logger.Warn("the self-signed certificate ends soon: "+remedy, "ends", leaf.NotAfter, "directory", dir)
	}
	if missing := unnamed(leaf, listenNames(c.Listen), c.Domains); len(missing) > 0 {
		c.Logger.Warn("the self-signed certificate does not name all addresses it is served on: "+remedy, "missing",
			missing, "directory", dir)
	}
}

// acme gets certificates from an authority and keeps them fresh.
func (c *Certificates) acme(ctx context.Context) error {
	dir := filepath.Join(c.Data, "acme")
	if err := discardPlain(dir, c.Logger); err != nil {
		return fmt.Errorf("the certificates of %s: %w", dir, err)
	}
	var magic *certmagic.Config
	c.cache = certmagic.NewCache(certmagic.CacheOptions{
		GetConfigForCert: func(certmagic.Certificate) (*certmagic.Config, error) { return magic, nil },
	})
	magic = certmagic.New(c.cache, certmagic.Config{Storage: sealedStorage{
		&certmagic.FileStorage{Path: dir}, c.Root, c.Files,
	}})
	issuer := certmagic.ACMEIssuer{Email: c.ACMEEmail, Agreed: true, DisableHTTPChallenge: true, CA: c.ACMEDirectory}
	if issuer.CA == "" {
		issuer.CA = certmagic.LetsEncryptProductionCA
	}
	magic.Issuers = []certmagic.Issuer{certmagic.NewACMEIssuer(magic, issuer)}
	if err := magic.ManageAsync(ctx, c.ACME); err != nil {
		return fmt.Errorf("certificates for %q: %w", c.ACME, err)
	}
	c.tls.GetCertificate = magic.GetCertificate
	c.tls.NextProtos = append(c.tls.NextProtos, "acme-tls/1")
	return nil
}

// Reload reads the certificate's files again. Connections and requests go on.
func (c *Certificates) Reload() {
	if c.pair != nil {
		c.pair.reload()
	}
}

// Watch checks the certificate's files even without handshakes, until ctx ends.
func (c *Certificates) Watch(ctx context.Context) {
	if c.pair == nil {
		return
	}
	tick := time.NewTicker(watchAgain)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			c.pair.watch()
		}
	}
}
