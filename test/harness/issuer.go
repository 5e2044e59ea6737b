package harness

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/hmac"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha1"
	_ "crypto/sha256" // the hashes of signatures
	_ "crypto/sha512"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"maps"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"sync"
	"testing"
	"time"

	"watertight/internal/server"
)

// Issuer is an OpenID Connect identity provider with its own certificate
// authority.
type Issuer struct {
	Host, URL  string
	Thumbprint string // of its authority
	RSA        *rsa.PrivateKey
	EC         *ecdsa.PrivateKey

	t       testing.TB
	address string
	mu      sync.Mutex
	keys    []map[string]any
	fetched int
	about   map[string]any
	down    bool
}

// StartIssuer runs a provider until the test ends. It has an RSA key "rsa" and a
// P-256 key "ec".
func StartIssuer(t testing.TB, host string) *Issuer {
	t.Helper()
	i := &Issuer{Host: host, URL: "https://" + host, t: t}
	var err error
	if i.RSA, err = rsa.GenerateKey(rand.Reader, 2048); err != nil {
		t.Fatal(err)
	}
	if i.EC, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader); err != nil {
		t.Fatal(err)
	}
	i.keys = []map[string]any{RSAKey("rsa", &i.RSA.PublicKey), i.ecKey("ec", &i.EC.PublicKey)}
	i.about = map[string]any{"issuer": i.URL, "jwks_uri": i.URL + "/keys"}
	s := httptest.NewUnstartedServer(http.HandlerFunc(i.serve))
	s.TLS = &tls.Config{Certificates: []tls.Certificate{i.certificate()}}
	s.StartTLS()
	t.Cleanup(s.Close)
	i.address = s.Listener.Addr().String()
	return i
}

// Trusted allows a server to connect to the provider on this machine.
func (i *Issuer) Trusted(c *server.Config) {
	c.IssuerNetworks = append(c.IssuerNetworks, netip.MustParsePrefix("127.0.0.0/8"))
	i.Named(c)
}

// Named tells a server where the provider is, but does not allow its address.
func (i *Issuer) Named(c *server.Config) {
	hosts := map[string]string{i.Host + ":443": i.address}
	maps.Copy(hosts, c.IssuerHosts)
	c.IssuerHosts = hosts
}

func (i *Issuer) serve(w http.ResponseWriter, r *http.Request) {
	i.mu.Lock()
	defer i.mu.Unlock()
	var out any
	switch {
	case i.down:
		http.Error(w, "down", http.StatusServiceUnavailable)
		return
	case r.URL.Path == "/.well-known/openid-configuration":
		out = i.about
	case r.URL.Path == "/keys":
		i.fetched++
		out = map[string]any{"keys": i.keys}
	default:
		http.NotFound(w, r)
		return
	}
	json.NewEncoder(w).Encode(out)
}

// Change changes the provider's answers; nil values change nothing.
func (i *Issuer) Change(keys []map[string]any, about map[string]any, down bool) {
	i.mu.Lock()
	defer i.mu.Unlock()
	if keys != nil {
		i.keys = keys
	}
	if about != nil {
		i.about = about
	}
	i.down = down
}

// Fetched returns how often the keys were fetched.
func (i *Issuer) Fetched() int {
	i.mu.Lock()
	defer i.mu.Unlock()
	return i.fetched
}

// certificate returns the provider's certificate, and creates the authority that issues it.
func (i *Issuer) certificate() tls.Certificate {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		i.t.Fatal(err)
	}
	now := time.Now()
	ca := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "authority of " + i.Host},
		NotBefore: now.Add(-time.Hour), NotAfter: now.Add(time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	}
	top, err := x509.CreateCertificate(rand.Reader, ca, ca, &key.PublicKey, key)
	if err != nil {
		i.t.Fatal(err)
	}
	sum := sha1.Sum(top)
	i.Thumbprint = hex.EncodeToString(sum[:])
	leaf := &x509.Certificate{
		SerialNumber: big.NewInt(2), Subject: pkix.Name{CommonName: i.Host}, NotBefore: ca.NotBefore,
		NotAfter:    ca.NotAfter,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}, DNSNames: []string{i.Host},
	}
	if ip := net.ParseIP(i.Host); ip != nil {
		leaf.DNSNames, leaf.IPAddresses = nil, []net.IP{ip}
	}
	b, err := x509.CreateCertificate(rand.Reader, leaf, ca, &key.PublicKey, key)
	if err != nil {
		i.t.Fatal(err)
	}
	return tls.Certificate{Certificate: [][]byte{b, top}, PrivateKey: key}
}

func b64(b []byte) string { return base64.RawURLEncoding.EncodeToString(b) }

// RSAKey returns a public key in the format of key sets (RFC 7517).
func RSAKey(id string, k *rsa.PublicKey) map[string]any {
	return map[string]any{
		"kty": "RSA", "kid": id, "use": "sig", "n": b64(k.N.Bytes()), "e": b64(big.NewInt(int64(k.E)).Bytes()),
	}
}

func (i *Issuer) ecKey(id string, k *ecdsa.PublicKey) map[string]any {
	b, err := k.Bytes() // 4, x, y
	if err != nil {
		i.t.Fatal(err)
	}
	half := len(b) / 2
	return map[string]any{
		"kty": "EC", "crv": k.Curve.Params().Name, "kid": id, "x": b64(b[1 : 1+half]), "y": b64(b[1+half:]),
	}
}

// Claims returns the claims of a valid token with changes; nil removes a claim.
func (i *Issuer) Claims(change map[string]any) map[string]any {
	now := time.Now().Unix()
	c := map[string]any{"iss": i.URL, "aud": "watertight", "sub": "somebody", "iat": now, "exp": now + 600}
	for name, v := range change {
		if c[name] = v; v == nil {
			delete(c, name)
		}
	}
	return c
}

// Token returns a token that is signed with one of the provider's keys: algorithm RS256,
// ES256 and so on.
func (i *Issuer) Token(algorithm string, claims map[string]any) string {
	if algorithm[0] == 'E' {
		return i.Sign(map[string]any{"alg": algorithm, "kid": "ec"}, claims, i.EC)
	}
	return i.Sign(map[string]any{"alg": algorithm, "kid": "rsa"}, claims, i.RSA)
}

// Sign is SignToken for the provider's tests.
func (i *Issuer) Sign(header, claims map[string]any, key any) string {
	i.t.Helper()
	return SignToken(i.t, header, claims, key)
}

// SignToken returns a token of any kind: key is a private key, bytes for an HMAC, or nil
// for no signature.
func SignToken(t testing.TB, header, claims map[string]any, key any) string {
	t.Helper()
	h, err := json.Marshal(header)
	if err != nil {
		t.Fatal(err)
	}
	c, err := json.Marshal(claims)
	if err != nil {
		t.Fatal(err)
	}
	text := b64(h) + "." + b64(c)
	hash := crypto.SHA256
	switch alg := fmt.Sprint(header["alg"]); {
	case len(alg) > 3 && alg[2:] == "384":
		hash = crypto.SHA384
	case len(alg) > 3 && alg[2:] == "512":
		hash = crypto.SHA512
	}
	d := hash.New()
	d.Write([]byte(text))
	var signature []byte
	switch k := key.(type) {
	case nil:
	case []byte:
		m := hmac.New(hash.New, k)
		m.Write([]byte(text))
		signature = m.Sum(nil)
	case *rsa.PrivateKey:
		signature, err = rsa.SignPKCS1v15(rand.Reader, k, hash, d.Sum(nil))
	case *ecdsa.PrivateKey:
		var r, s *big.Int
		if r, s, err = ecdsa.Sign(rand.Reader, k, d.Sum(nil)); err == nil {
			size := (k.Curve.Params().BitSize + 7) / 8
			signature = append(r.FillBytes(make([]byte, size)), s.FillBytes(make([]byte, size))...)
		}
	}
	if err != nil {
		t.Fatal(err)
	}
	return text + "." + b64(signature)
}
