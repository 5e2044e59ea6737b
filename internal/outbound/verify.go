package outbound

import (
	"crypto/sha1" // AWS's thumbprints are SHA-1
	"crypto/tls"
	"crypto/x509"
	"encoding/hex"
	"errors"
	"strings"
)

// verify checks the chain that a server shows for a name. An authority that the
// system does not know is accepted if a thumbprint matches the last certificate of
// the chain. The chain is then verified as usual, names and dates included.
func verify(chain []*x509.Certificate, host string, thumbprints []string) error {
	if len(chain) == 0 {
		return &tls.CertificateVerificationError{Err: errors.New("outbound: no certificate")}
	}
	between := x509.NewCertPool()
	for _, c := range chain[1:] {
		between.AddCert(c)
	}
	_, err := chain[0].Verify(x509.VerifyOptions{DNSName: host, Intermediates: between})
	if err == nil {
		return nil
	}
	top := chain[len(chain)-1]
	if pinned(top, thumbprints) {
		roots := x509.NewCertPool()
		roots.AddCert(top)
		if _, err = chain[0].Verify(x509.VerifyOptions{
			DNSName: host, Intermediates: between, Roots: roots,
		}); err == nil {
			return nil
		}
	}
	return &tls.CertificateVerificationError{UnverifiedCertificates: chain, Err: err}
}

func pinned(c *x509.Certificate, thumbprints []string) bool {
	sum := sha1.Sum(c.Raw)
	for _, t := range thumbprints {
		if strings.EqualFold(t, hex.EncodeToString(sum[:])) {
			return true
		}
	}
	return false
}
