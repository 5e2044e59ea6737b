package e2e

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"math/big"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/cloudfront/types"

	"watertight/internal/certs"
	"watertight/internal/server"
)

// acmeAuthority is an ACME authority (RFC 8555) that believes everyone: each authorization is valid
// from the beginning, and no signature is checked.
type acmeAuthority struct {
	*httptest.Server
	t    *testing.T
	root *x509.Certificate
	key  *ecdsa.PrivateKey

	mu     sync.Mutex
	orders []string // the names
	chain  []byte   // the newest certificate, in PEM
	nonces int
}

func newACMEAuthority(t *testing.T) *acmeAuthority {
	t.Helper()
	a := &acmeAuthority{t: t, root: &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "authority"}, NotBefore: time.Now().Add(-time.Hour),
		NotAfter: time.Now().AddDate(1, 0, 0), IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	}}
	var err error
	if a.key, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader); err != nil {
		t.Fatal(err)
	}
	der, err := x509.CreateCertificate(rand.Reader, a.root, a.root, &a.key.PublicKey, a.key)
	if err == nil {
		a.root, err = x509.ParseCertificate(der)
	}
	if err != nil {
		t.Fatal(err)
	}
	a.Server = httptest.NewServer(a)
	t.Cleanup(a.Close)
	return a
}

// ServeHTTP answers each of the protocol's requests with its one possible answer.
func (a *acmeAuthority) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.nonces++
	w.Header().Set("Replay-Nonce", fmt.Sprint("nonce", a.nonces))
	var sent struct{ Payload string }
	json.NewDecoder(r.Body).Decode(&sent)
	payload, _ := base64.RawURLEncoding.DecodeString(sent.Payload)
	say := func(status int, document map[string]any) {
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(status)
		json.NewEncoder(w).Encode(document)
	}
	switch r.URL.Path {
	case "/":
		say(200, map[string]any{
			"newNonce": a.URL + "/nonce", "newAccount": a.URL + "/account", "newOrder": a.URL + "/order",
		})
	case "/nonce":
	case "/account":
		w.Header().Set("Location", a.URL+"/account/1")
		say(201, map[string]any{"status": "valid"})
	case "/order":
		var order struct{ Identifiers []struct{ Value string } }
		json.Unmarshal(payload, &order)
		a.orders = append(a.orders, order.Identifiers[0].Value)
		w.Header().Set("Location", a.URL+"/order/1")
		say(201, a.order("ready"))
	case "/authorization":
		say(200, map[string]any{"status": "valid", "identifier": a.identifier(), "challenges": []any{
			map[string]any{"type": "tls-alpn-01", "url": a.URL + "/challenge", "token": "t", "status": "valid"},
		}})
	case "/finalize":
		var in struct{ CSR string }
		json.Unmarshal(payload, &in)
		a.sign(in.CSR)
		w.Header().Set("Location", a.URL+"/order/1")
		say(200, a.order("valid"))
	case "/order/1":
		say(200, a.order("valid"))
	case "/certificate":
		w.Header().Set("Content-Type", "application/pem-certificate-chain")
		w.Write(a.chain)
	default:
		w.WriteHeader(404)
	}
}

func (a *acmeAuthority) identifier() map[string]any {
	return map[string]any{"type": "dns", "value": a.orders[len(a.orders)-1]}
}

func (a *acmeAuthority) order(status string) map[string]any {
	o := map[string]any{
		"status": status, "identifiers": []any{a.identifier()}, "authorizations": []string{a.URL + "/authorization"},
		"finalize": a.URL + "/finalize",
	}
	if status == "valid" {
		o["certificate"] = a.URL + "/certificate"
	}
	return o
}

// sign issues a certificate.
func (a *acmeAuthority) sign(text string) {
	der, err := base64.RawURLEncoding.DecodeString(text)
	var csr *x509.CertificateRequest
	if err == nil {
		csr, err = x509.ParseCertificateRequest(der)
	}
	if err != nil {
		a.t.Errorf("the request for a certificate: %v", err)
		return
	}
	der, err = x509.CreateCertificate(rand.Reader, &x509.Certificate{
		SerialNumber: big.NewInt(int64(a.nonces) + 1), DNSNames: csr.DNSNames, NotBefore: time.Now().Add(-time.Hour),
		NotAfter: time.Now().AddDate(0, 0, 90), KeyUsage: x509.KeyUsageDigitalSignature,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}, a.root, csr.PublicKey, a.key)
	if err != nil {
		a.t.Error(err)
	}
	a.chain = pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
	a.chain = append(a.chain, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: a.root.Raw})...)
}

// ordered returns the names that certificates were ordered for.
func (a *acmeAuthority) ordered() string {
	a.mu.Lock()
	defer a.mu.Unlock()
	return fmt.Sprint(a.orders)
}

// TestEdgeACME: an edge on another machine gets a certificate for an alias of its distributions
// when a viewer asks for it, and for no other name. It has it again after a restart without its
// store and without the authority.
func TestEdgeACME(t *testing.T) {
	const alias = "www.example.com"
	s, authority := newOACSite(t), newACMEAuthority(t)
	d := s.newDistribution(with(s.control), func(d *types.DistributionConfig) {
		d.DefaultCacheBehavior.CachePolicyId = aws.String(cachingOptimized)
		d.Aliases = &types.Aliases{Quantity: aws.Int32(1), Items: []string{alias}}
	}).Distribution
	s.policy("aws:SourceAccount", s.account, "s3:GetObject")
	config, dir := s.enroll("berlin"), filepath.Join(t.TempDir(), "cache")
	config.CDN.TLSListen = "127.0.0.1:0"
	config.CDN.TLS = certs.SiteSource{ACME: true, ACMEDirectory: authority.URL}
	config.CDN.Cache = server.CDNCache{
		Dir: dir, Bytes: 64 << 20, Key: "file:" + filepath.Join(t.TempDir(), "edge", "key"),
	}
	roots := x509.NewCertPool()
	roots.AddCert(authority.root)
	shake := func(e *farEdge, name string) error {
		c, err := tls.Dial("tcp", e.secure, &tls.Config{ServerName: name, RootCAs: roots})
		if err == nil {
			c.Close()
		}
		return err
	}
	page := func(e *farEdge) {
		t.Helper()
		tr := &http.Transport{TLSClientConfig: &tls.Config{ServerName: alias, RootCAs: roots}}
		defer tr.CloseIdleConnections()
		r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "https://"+e.secure+"/page", nil)
		s.ok(err)
		r.Host = alias
		res, err := tr.RoundTrip(r)
		s.ok(err)
		defer res.Body.Close()
		if a := read(t, res); a.status != 200 || a.body != "private" {
			t.Errorf("%d %s", a.status, a.body)
		}
	}
	e := s.startEdge(config)
	e.says(t, d, "private") // it has its configuration
	for _, name := range []string{"evil.example", *d.DomainName} {
		if err := shake(e, name); err == nil || authority.ordered() != "[]" {
			t.Errorf("%s: %v, ordered %s", name, err, authority.ordered())
		}
	}
	page(e)
	e.stop()
	sealed(t, dir, "PRIVATE KEY", "BEGIN CERT", "private", *d.Id)
	authority.Close()
	s.Stop()
	e = s.startEdge(config)
	page(e)
	if err := shake(e, "evil.example"); err == nil || authority.ordered() != "["+alias+"]" {
		t.Errorf("%v, ordered %s", err, authority.ordered())
	}
	e.stop()

	config.CDN.Cache.Key = "memory"
	if err := server.RunEdge(t.Context(), config); err == nil {
		t.Error("certificates that end with the process were accepted")
	}
}
