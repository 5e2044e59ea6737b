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
	"os"
	"path/filepath"
	"time"

	"watertight/internal/storage/folder"
)

// selfSignedName is the sealed file of the certificate, its key and its
// authority, in this order.
const selfSignedName = "tls/self-signed"

// CAFile is the path of the local certificate authority of --tls-self-signed, or ""
// for another source.
func (c *Certificates) CAFile() string {
	if !c.SelfSigned {
		return ""
	}
	return filepath.Join(c.Data, "tls", "ca.pem")
}

// selfSigned returns the certificate of a local authority, which is made once, and
// writes the authority's own certificate to a file for clients. It never reads
// unsealed files.
func (c *Certificates) selfSigned() (*tls.Certificate, error) {
	path := filepath.Join(c.Data, filepath.FromSlash(selfSignedName))
	if err := folder.Make(folder.OS(), filepath.Dir(path), 0o700); err != nil {
		return nil, err
	}
	var text []byte
	sealed, err := folder.ReadFile(folder.OS(), path)
	switch {
	case err == nil:
		if text, err = openFile(c.Root, selfSignedName, sealed); err != nil {
			return nil, fmt.Errorf(
				"%s is damaged, or of another root key; remove it, and a new certificate is made: %w", path, err,
			)
		}
	case !errors.Is(err, fs.ErrNotExist):
		return nil, err
	default:
		if err := c.discardOldPair(); err != nil {
			return nil, err
		}
		if text, err = makeSelfSigned(c.Listen, c.Domains, time.Now()); err != nil {
			return nil, err
		}
		if err := folder.Replace(folder.OS(), path, sealFile(c.Root, selfSignedName, text), 0o600); err != nil {
			return nil, err
		}
	}
	pair, ca, err := splitSelfSigned(text)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	if there, err := folder.ReadFile(folder.OS(), c.CAFile()); err == nil && bytes.Equal(there, ca) {
		return pair, nil
	}
	return pair, folder.Replace(folder.OS(), c.CAFile(), ca, 0o644)
}

// discardOldPair removes the files of earlier versions, whose key was stored in
// plain text and is in every backup.
func (c *Certificates) discardOldPair() error {
	dir := filepath.Join(c.Data, "tls")
	found := false
	for _, name := range []string{"server.key", "server.pem"} {
		err := os.Remove(filepath.Join(dir, name))
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		found = found || err == nil
	}
	if found {
		c.Logger.Warn(
			"the self-signed certificate's key lay in the plain: a new certificate is made; clients have to trust "+
				"the new authority",
			"authority", c.CAFile(),
		)
	}
	return nil
}

// splitSelfSigned reads what makeSelfSigned made.
func splitSelfSigned(text []byte) (*tls.Certificate, []byte, error) {
	leaf, rest := pem.Decode(text)
	key, rest := pem.Decode(rest)
	if leaf == nil || key == nil {
		return nil, nil, errors.New("no certificate and key")
	}
	c, err := tls.X509KeyPair(pem.EncodeToMemory(leaf), pem.EncodeToMemory(key))
	return &c, rest, err
}

// makeSelfSigned makes a local authority and a certificate that names the
// listeners, and returns certificate, key and authority in PEM. The authority's
// key is thrown away: it signs this one certificate.
func makeSelfSigned(listen, domains []string, now time.Time) ([]byte, error) {
	ca := &x509.Certificate{
		SerialNumber: big.NewInt(now.UnixNano()), Subject: pkix.Name{CommonName: "Watertight local authority"},
		NotBefore: now.Add(-time.Hour), NotAfter: now.AddDate(10, 0, 0), IsCA: true, BasicConstraintsValid: true,
		KeyUsage: x509.KeyUsageCertSign, MaxPathLenZero: true,
	}
	leaf := &x509.Certificate{
		SerialNumber: big.NewInt(now.UnixNano() + 1), Subject: pkix.Name{CommonName: "Watertight"},
		NotBefore: now.Add(-time.Hour), NotAfter: now.AddDate(2, 0, 0),
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
	for _, name := range append(listenNames(listen), "localhost", "127.0.0.1", "::1") {
		if ip := net.ParseIP(name); ip != nil {
			leaf.IPAddresses = append(leaf.IPAddresses, ip)
		} else {
			leaf.DNSNames = append(leaf.DNSNames, name)
		}
	}
	for _, d := range domains {
		leaf.DNSNames = append(leaf.DNSNames, d, "*."+d)
	}
	caKey, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	leafKey, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	caDER, err := x509.CreateCertificate(rand.Reader, ca, ca, &caKey.PublicKey, caKey)
	if err != nil {
		return nil, err
	}
	leafDER, err := x509.CreateCertificate(rand.Reader, leaf, ca, &leafKey.PublicKey, caKey)
	if err != nil {
		return nil, err
	}
	keyDER, err := x509.MarshalPKCS8PrivateKey(leafKey)
	if err != nil {
		return nil, err
	}
	var text bytes.Buffer
	for _, b := range []*pem.Block{
		{Type: "CERTIFICATE", Bytes: leafDER}, {Type: "PRIVATE KEY", Bytes: keyDER},
		{Type: "CERTIFICATE", Bytes: caDER},
	} {
		if err := pem.Encode(&text, b); err != nil {
			return nil, err
		}
	}
	return text.Bytes(), nil
}

// listenNames returns the names and addresses by which clients reach the listeners:
// all of this machine's if a listener is on all addresses.
func listenNames(listen []string) []string {
	var names []string
	for _, addr := range listen {
		host, _, err := net.SplitHostPort(addr)
		if err != nil {
			continue // binding the listener reports the error
		}
		if ip := net.ParseIP(host); host != "" && (ip == nil || !ip.IsUnspecified()) {
			names = append(names, host)
			continue
		}
		if name, err := os.Hostname(); err == nil {
			names = append(names, name)
		}
		addrs, err := net.InterfaceAddrs()
		if err != nil {
			continue // the loopback addresses are named anyway
		}
		for _, a := range addrs {
			if n, ok := a.(*net.IPNet); ok && !n.IP.IsLoopback() && !n.IP.IsLinkLocalUnicast() {
				names = append(names, n.IP.String())
			}
		}
	}
	return names
}

// unnamed returns the names that a certificate does not name. A domain stands for
// the buckets below it, too.
func unnamed(leaf *x509.Certificate, names, domains []string) (missing []string) {
	for _, n := range names {
		if leaf.VerifyHostname(n) != nil {
			missing = append(missing, n)
		}
	}
	for _, d := range domains {
		if leaf.VerifyHostname(d) != nil {
			missing = append(missing, d)
		}
		if leaf.VerifyHostname("bucket."+d) != nil {
			missing = append(missing, "*."+d)
		}
	}
	return missing
}
