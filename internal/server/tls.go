package server

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"sync"
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
		p := &pairFile{cert: t.CertFile, key: t.KeyFile}
		if _, err := p.get(nil); err != nil {
			return nil, fmt.Errorf("the TLS certificate: %w", err)
		}
		base.GetCertificate = p.get
		return base, nil
	case len(t.ACME) > 0:
		return s.acme(ctx, base)
	}
	cert, key, err := selfSigned(filepath.Join(s.config.Data, "tls"), s.config.Listen, s.config.Domains)
	if err != nil {
		return nil, fmt.Errorf("the self-signed certificate: %w", err)
	}
	p := &pairFile{cert: cert, key: key}
	c, err := p.get(nil)
	if err != nil {
		return nil, fmt.Errorf("the self-signed certificate: %w", err)
	}
	if time.Until(c.Leaf.NotAfter) < renewBefore {
		s.log.Warn("the self-signed certificate ends soon: remove its directory, start again and let clients trust the new authority",
			"ends", c.Leaf.NotAfter, "directory", filepath.Dir(cert))
	}
	base.GetCertificate = p.get
	return base, nil
}

// renewBefore is how long before its end a self-signed certificate is warned of.
const renewBefore = 30 * 24 * time.Hour

// CAFile is where the local certificate authority of --tls-self-signed lies.
func (s *Server) CAFile() string {
	if !s.config.TLS.SelfSigned {
		return ""
	}
	return filepath.Join(s.config.Data, "tls", "ca.pem")
}

// acme gets certificates from an authority and keeps them fresh.
func (s *Server) acme(ctx context.Context, base *tls.Config) (*tls.Config, error) {
	t := s.config.TLS
	var magic *certmagic.Config
	cache := certmagic.NewCache(certmagic.CacheOptions{
		GetConfigForCert: func(certmagic.Certificate) (*certmagic.Config, error) { return magic, nil },
	})
	s.certs = cache
	magic = certmagic.New(cache, certmagic.Config{Storage: &certmagic.FileStorage{Path: filepath.Join(s.config.Data, "acme")}})
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

// pairFile is a certificate that is read again when its files change.
type pairFile struct {
	cert, key string
	mu        sync.Mutex
	loaded    *tls.Certificate
	stamp     [2]time.Time
	looked    time.Time
}

// lookAgain is how often the files' times are looked at.
const lookAgain = time.Second

func (p *pairFile) get(*tls.ClientHelloInfo) (*tls.Certificate, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.loaded != nil && time.Since(p.looked) < lookAgain {
		return p.loaded, nil
	}
	p.looked = time.Now()
	var stamp [2]time.Time
	for i, path := range []string{p.cert, p.key} {
		info, err := os.Stat(path)
		if err != nil {
			return p.orLoaded(err)
		}
		stamp[i] = info.ModTime()
	}
	if p.loaded != nil && stamp == p.stamp {
		return p.loaded, nil
	}
	c, err := tls.LoadX509KeyPair(p.cert, p.key)
	if err != nil {
		return p.orLoaded(err) // half of a pair that is being replaced
	}
	p.loaded, p.stamp = &c, stamp
	return p.loaded, nil
}

// orLoaded prefers the certificate there was over none.
func (p *pairFile) orLoaded(err error) (*tls.Certificate, error) {
	if p.loaded != nil {
		return p.loaded, nil
	}
	return nil, err
}

// selfSigned makes a local authority and a certificate under dir, once, and
// returns their files.
func selfSigned(dir string, listen, domains []string) (cert, key string, err error) {
	cert, key = filepath.Join(dir, "server.pem"), filepath.Join(dir, "server.key")
	if _, err := os.Stat(cert); err == nil {
		return cert, key, nil
	} else if !errors.Is(err, fs.ErrNotExist) {
		return "", "", err
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return "", "", err
	}
	now := time.Now()
	ca := &x509.Certificate{
		SerialNumber: big.NewInt(now.UnixNano()), Subject: pkix.Name{CommonName: "Watertight local authority"},
		NotBefore: now.Add(-time.Hour), NotAfter: now.AddDate(10, 0, 0), IsCA: true, BasicConstraintsValid: true,
		KeyUsage: x509.KeyUsageCertSign, MaxPathLenZero: true,
	}
	caKey, err := writePair(filepath.Join(dir, "ca.pem"), "", ca, ca, nil)
	if err != nil {
		return "", "", err
	}
	leaf := &x509.Certificate{
		SerialNumber: big.NewInt(now.UnixNano() + 1), Subject: pkix.Name{CommonName: "Watertight"},
		NotBefore: now.Add(-time.Hour), NotAfter: now.AddDate(2, 0, 0),
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
		DNSNames: []string{"localhost"}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1), net.IPv6loopback},
	}
	for _, addr := range listen {
		if host, _, err := net.SplitHostPort(addr); err == nil {
			nameHost(leaf, host)
		}
	}
	for _, d := range domains {
		leaf.DNSNames = append(leaf.DNSNames, d, "*."+d)
	}
	// The authority's key is thrown away: it signs this one certificate.
	_, err = writePair(cert, key, leaf, ca, caKey)
	return cert, key, err
}

// nameHost adds a listener's host to a certificate: all names and addresses of
// this machine where it listens on all of them.
func nameHost(leaf *x509.Certificate, host string) {
	ip := net.ParseIP(host)
	switch {
	case host != "" && ip == nil:
		leaf.DNSNames = append(leaf.DNSNames, host)
	case ip != nil && !ip.IsUnspecified():
		leaf.IPAddresses = append(leaf.IPAddresses, ip)
	default:
		if name, err := os.Hostname(); err == nil {
			leaf.DNSNames = append(leaf.DNSNames, name)
		}
		addrs, err := net.InterfaceAddrs()
		if err != nil {
			return // the loopback addresses are there
		}
		for _, a := range addrs {
			if n, ok := a.(*net.IPNet); ok && !n.IP.IsLoopback() {
				leaf.IPAddresses = append(leaf.IPAddresses, n.IP)
			}
		}
	}
}

// writePair makes a key and a certificate for it, signed by parent, and writes
// both; keyPath "" keeps the key in memory. signer nil signs itself.
func writePair(certPath, keyPath string, template, parent *x509.Certificate, signer *ecdsa.PrivateKey) (*ecdsa.PrivateKey, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	if signer == nil {
		signer = key
	}
	der, err := x509.CreateCertificate(rand.Reader, template, parent, &key.PublicKey, signer)
	if err != nil {
		return nil, err
	}
	if keyPath != "" {
		b, err := x509.MarshalPKCS8PrivateKey(key)
		if err != nil {
			return nil, err
		}
		if err := os.WriteFile(keyPath, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: b}), 0o600); err != nil {
			return nil, err
		}
	}
	return key, os.WriteFile(certPath, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), 0o644)
}
