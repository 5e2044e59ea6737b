package certs

import (
	"bytes"
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
	"path/filepath"
	"sync"
	"time"

	"watertight/internal/storage/folder"
)

// authorityName is the sealed file of the authority that signs the certificates of sites:
// its certificate and its key. It is kept, because sites come and go.
const authorityName = "tls/cdn-authority"

// authorityFile is where clients find the authority's certificate.
func authorityFile(data string) string { return filepath.Join(data, "tls", "cdn-ca.pem") }

// authority signs certificates for sites. They live in memory.
type authority struct {
	certificate *x509.Certificate
	key         *ecdsa.PrivateKey

	mu     sync.Mutex
	issued map[string]*tls.Certificate
}

const (
	maxIssued   = 1024
	issuedFor   = 30 * 24 * time.Hour
	issuedAgain = 24 * time.Hour // before the end
)

// openAuthority opens the authority, or makes it.
func openAuthority(o SiteOptions) (*authority, error) {
	path := filepath.Join(o.Data, filepath.FromSlash(authorityName))
	if err := folder.Make(folder.OS(), filepath.Dir(path), 0o700); err != nil {
		return nil, err
	}
	var text []byte
	sealed, err := folder.ReadFile(folder.OS(), path)
	switch {
	case err == nil:
		if text, err = openFile(o.Root, authorityName, sealed); err != nil {
			return nil, fmt.Errorf("%s is damaged, or of another root key; remove it, and a new one is made: %w", path,
				err)
		}
	case !errors.Is(err, fs.ErrNotExist):
		return nil, err
	default:
		if text, err = makeAuthority(time.Now()); err != nil {
			return nil, err
		}
		o.Files.Lock()
		err = folder.Replace(folder.OS(), path, sealFile(o.Root, authorityName, text), 0o600)
		o.Files.Unlock()
		if err != nil {
			return nil, err
		}
	}
	pair, err := tls.X509KeyPair(text, text)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	key, ok := pair.PrivateKey.(*ecdsa.PrivateKey)
	if !ok {
		return nil, fmt.Errorf("%s: not a key of ECDSA", path)
	}
	if time.Until(pair.Leaf.NotAfter) < renewBefore {
		o.Logger.Warn("the CDN's certificate authority ends soon: remove it, start again and let clients trust the "+
			"new one", "ends", pair.Leaf.NotAfter, "file", path)
	}
	ca := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: pair.Leaf.Raw})
	if there, err := folder.ReadFile(folder.OS(), authorityFile(o.Data)); err != nil || !bytes.Equal(there, ca) {
		if err := folder.Replace(folder.OS(), authorityFile(o.Data), ca, 0o644); err != nil {
			return nil, err
		}
	}
	return &authority{certificate: pair.Leaf, key: key, issued: map[string]*tls.Certificate{}}, nil
}

// makeAuthority returns the certificate and the key of a new authority in PEM.
func makeAuthority(now time.Time) ([]byte, error) {
	ca := &x509.Certificate{
		SerialNumber: big.NewInt(now.UnixNano()), Subject: pkix.Name{CommonName: "Watertight CDN authority"},
		NotBefore: now.Add(-time.Hour), NotAfter: now.AddDate(10, 0, 0), IsCA: true, BasicConstraintsValid: true,
		KeyUsage: x509.KeyUsageCertSign, MaxPathLenZero: true,
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	der, err := x509.CreateCertificate(rand.Reader, ca, ca, &key.PublicKey, key)
	if err != nil {
		return nil, err
	}
	keyDER, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return nil, err
	}
	text := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
	return append(text, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: keyDER})...), nil
}

// issue returns a certificate for a name; "" is this machine's loopback addresses.
func (a *authority) issue(name string, now time.Time) (*tls.Certificate, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if c := a.issued[name]; c != nil && now.Before(c.Leaf.NotAfter.Add(-issuedAgain)) {
		return c, nil
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	leaf := &x509.Certificate{
		SerialNumber: big.NewInt(now.UnixNano()), Subject: pkix.Name{CommonName: "Watertight CDN"},
		NotBefore: now.Add(-time.Hour), NotAfter: now.Add(issuedFor),
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
	if name != "" {
		leaf.DNSNames = []string{name}
	} else {
		leaf.IPAddresses = []net.IP{net.IPv4(127, 0, 0, 1), net.IPv6loopback}
	}
	der, err := x509.CreateCertificate(rand.Reader, leaf, a.certificate, &key.PublicKey, a.key)
	if err != nil {
		return nil, err
	}
	parsed, err := x509.ParseCertificate(der)
	if err != nil {
		return nil, err
	}
	if len(a.issued) >= maxIssued {
		clear(a.issued)
	}
	c := &tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key, Leaf: parsed}
	a.issued[name] = c
	return c, nil
}
