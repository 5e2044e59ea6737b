package oidc

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"

	"watertight/internal/fault"
)

const issuerURL = "https://issuer.example"

// world is a Fetcher that knows one issuer.
type world struct {
	keys  []jose.JSONWebKey
	extra []any
	name  string
	about string // replaces the issuer's discovery document
	asked map[string]int
	err   error
}

func (w *world) Get(_ context.Context, address string, pins []string) ([]byte, error) {
	w.asked[address+strings.Join(pins, "")]++
	if w.err != nil {
		return nil, w.err
	}
	if strings.HasSuffix(address, "/.well-known/openid-configuration") {
		if w.about != "" {
			return []byte(w.about), nil
		}
		return fmt.Appendf(nil, `{"issuer":%q,"jwks_uri":"https://keys.example/all","other":[1,{"a":null}]}`,
			w.name), nil
	}
	all := append([]any{}, w.extra...)
	for _, k := range w.keys {
		all = append(all, k)
	}
	return json.Marshal(map[string]any{"keys": all})
}

// signer makes tokens with one key.
type signer struct {
	t   testing.TB
	alg jose.SignatureAlgorithm
	id  string
	key any
}

func (s signer) token(claims map[string]any) *Token {
	s.t.Helper()
	t, err := Parse(s.raw(claims))
	if err != nil {
		s.t.Fatal(err)
	}
	return t
}

func (s signer) raw(claims map[string]any) string {
	s.t.Helper()
	o, err := jose.NewSigner(jose.SigningKey{Algorithm: s.alg, Key: jose.JSONWebKey{Key: s.key, KeyID: s.id}}, nil)
	if err != nil {
		s.t.Fatal(err)
	}
	all := map[string]any{
		"iss": issuerURL, "aud": "a", "sub": "s", "exp": at(100 * time.Hour).Unix(), "iat": at(0).Unix(),
	}
	for k, v := range claims {
		if all[k] = v; v == nil {
			delete(all, k)
		}
	}
	b, err := json.Marshal(all)
	if err != nil {
		s.t.Fatal(err)
	}
	signed, err := o.Sign(b)
	if err != nil {
		s.t.Fatal(err)
	}
	text, err := signed.CompactSerialize()
	if err != nil {
		s.t.Fatal(err)
	}
	return text
}

func at(d time.Duration) time.Time { return time.Unix(1_800_000_000, 0).Add(d) }

func enc(s string) string { return base64.RawURLEncoding.EncodeToString([]byte(s)) }

func newWorld(t testing.TB, ids ...string) (*world, []signer) {
	w := &world{name: issuerURL, asked: map[string]int{}}
	var all []signer
	for _, id := range ids {
		k, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
		if err != nil {
			t.Fatal(err)
		}
		w.keys = append(w.keys, jose.JSONWebKey{Key: &k.PublicKey, KeyID: id})
		all = append(all, signer{t, jose.ES256, id, k})
	}
	return w, all
}

func is(t testing.TB, err error, code string) {
	t.Helper()
	if code == "" && err != nil || code != "" && !fault.Is(err, fault.Code(code)) {
		t.Errorf("%v, want %q", err, code)
	}
}

// TestKeysAreKept: keys count for an hour, and are fetched at most once a minute.
func TestKeysAreKept(t *testing.T) {
	w, s := newWorld(t, "one", "two")
	both := w.keys
	w.keys = both[:1]
	v := New(w)
	verify := func(s signer, d time.Duration, code string, fetched int) {
		t.Helper()
		is(t, v.Verify(t.Context(), s.token(nil), nil, at(d)), code)
		if n := w.asked["https://keys.example/all"]; n != fetched {
			t.Errorf("after %v the keys were fetched %d times, want %d", d, n, fetched)
		}
	}
	verify(s[0], 0, "", 1)
	verify(s[0], time.Second, "", 1)
	verify(s[1], 2*time.Second, "InvalidIdentityToken", 1) // an unknown key causes no fetch
	w.keys = both
	verify(s[1], 59*time.Second, "InvalidIdentityToken", 1)
	verify(s[1], 60*time.Second, "", 2)
	w.keys = both[1:] // the issuer withdraws a key
	verify(s[0], 61*time.Second, "", 2)
	verify(s[0], 61*time.Minute, "InvalidIdentityToken", 3)
	verify(s[1], 61*time.Minute, "", 3)
	// Keys that are too old don't count while the issuer is away.
	w.err = fault.New("x", "x").WithKind(fault.KindUnavailable)
	verify(s[1], 120*time.Minute, "", 3)
	verify(s[1], 122*time.Minute, "IDPCommunicationError", 3)
	w.err = nil
	verify(s[1], 122*time.Minute+retry-1, "IDPCommunicationError", 3)
	verify(s[1], 122*time.Minute+retry, "", 4)
	// A caller that trusts another authority fetches the keys again.
	is(t, v.Verify(t.Context(), s[1].token(nil), []string{"bb", "AA"}, at(123*time.Minute)), "")
	is(t, v.Verify(t.Context(), s[1].token(nil), []string{"aa", "bb"}, at(123*time.Minute)), "")
	if w.asked["https://keys.example/allbbAA"] != 1 || len(w.asked) != 4 {
		t.Errorf("%v", w.asked)
	}
}

// TestIssuersAreBounded: the number of cached issuers is bounded.
func TestIssuersAreBounded(t *testing.T) {
	w, s := newWorld(t, "one")
	v := New(w)
	for i := range 2 * maxIssuers {
		w.name = fmt.Sprintf("https://%d.example", i)
		is(t, v.Verify(t.Context(), s[0].token(map[string]any{"iss": w.name}), nil, at(time.Duration(i))), "")
	}
	if len(v.issuers) != maxIssuers {
		t.Errorf("%d issuers", len(v.issuers))
	}
}

// TestKeysThatDontFit: a key verifies only algorithms of its kind and size.
func TestKeysThatDontFit(t *testing.T) {
	w, s := newWorld(t, "k")
	good := s[0]
	small, err := rsa.GenerateKey(rand.Reader, 1024)
	if err != nil {
		t.Fatal(err)
	}
	large, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	p384, err := ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		by   signer
		key  jose.JSONWebKey
		want string
	}{
		"P-256": {good, w.keys[0], ""},
		"P-384": {
			signer{t, jose.ES384, "k", p384}, jose.JSONWebKey{Key: &p384.PublicKey, KeyID: "k"}, "",
		},
		"RSA": {
			signer{t, jose.RS512, "k", large}, jose.JSONWebKey{Key: &large.PublicKey, KeyID: "k"}, "",
		},
		"its algorithm": {
			signer{t, jose.RS512, "k", large},
			jose.JSONWebKey{Key: &large.PublicKey, KeyID: "k", Algorithm: "RS512", Use: "sig"}, "",
		},
		"another algorithm": {
			signer{t, jose.RS512, "k", large}, jose.JSONWebKey{Key: &large.PublicKey, KeyID: "k", Algorithm: "RS256"},
			"InvalidIdentityToken",
		},
		"for encryption": {
			signer{t, jose.RS256, "k", large}, jose.JSONWebKey{Key: &large.PublicKey, KeyID: "k", Use: "enc"},
			"InvalidIdentityToken",
		},
		"RSA, too small": {
			signer{t, jose.RS256, "k", small}, jose.JSONWebKey{Key: &small.PublicKey, KeyID: "k"},
			"InvalidIdentityToken",
		},
		"another curve's": {good, jose.JSONWebKey{Key: &p384.PublicKey, KeyID: "k"}, "InvalidIdentityToken"},
		"another kind's":  {good, jose.JSONWebKey{Key: &large.PublicKey, KeyID: "k"}, "InvalidIdentityToken"},
		"a shared secret": {
			good, jose.JSONWebKey{Key: []byte("0123456789abcdef0123456789abcdef"), KeyID: "k"}, "InvalidIdentityToken",
		},
		"a private key":        {good, jose.JSONWebKey{Key: good.key, KeyID: "k"}, "InvalidIdentityToken"},
		"another id":           {good, jose.JSONWebKey{Key: w.keys[0].Key, KeyID: "K"}, "InvalidIdentityToken"},
		"no id, the token has": {good, jose.JSONWebKey{Key: w.keys[0].Key}, "InvalidIdentityToken"},
	} {
		t.Run(name, func(t *testing.T) {
			x := &world{name: issuerURL, asked: map[string]int{}, keys: []jose.JSONWebKey{c.key}, extra: []any{
				map[string]any{"kty": "unknown", "kid": "k"},
				map[string]any{"kty": "EC", "crv": "P-256", "kid": "k", "x": "AA", "y": "AA"}, map[string]any{}, 7, "k",
			}}
			if err := New(x).Verify(t.Context(), c.by.token(nil), nil, at(0)); c.want == "" && err != nil ||
				c.want != "" && !fault.Is(err, fault.Code(c.want)) {
				t.Errorf("%s: %v, want %q", name, err, c.want)
			}
		})
	}
	is(t, New(nil).Verify(t.Context(), good.token(nil), nil, at(0)), "InvalidIdentityToken")
	var none *Verifier
	is(t, none.Verify(t.Context(), good.token(nil), nil, at(0)), "InvalidIdentityToken")
	is(t,
		New(&world{name: issuerURL, asked: map[string]int{}, err: errors.New("x")}).Verify(t.Context(), good.token(nil),
			nil, at(0)), "InvalidIdentityToken")
}

// TestTimes: tokens at the bounds of their validity.
func TestTimes(t *testing.T) {
	w, s := newWorld(t, "k")
	for i, c := range []struct {
		claims map[string]any
		want   string
	}{
		{map[string]any{"exp": at(1).Unix() + 1}, ""},
		{map[string]any{"exp": at(0).Unix()}, "ExpiredTokenException"},
		{map[string]any{"exp": 0}, "ExpiredTokenException"},
		{map[string]any{"exp": float64(at(0).Unix()) + 0.9}, "ExpiredTokenException"},
		{map[string]any{"exp": nil}, "InvalidIdentityToken"},
		{map[string]any{"iat": nil}, "InvalidIdentityToken"},
		{map[string]any{"iat": at(time.Minute).Unix()}, ""},
		{map[string]any{"iat": at(time.Minute).Unix() + 1}, "IDPRejectedClaim"},
		{map[string]any{"nbf": at(time.Minute).Unix()}, ""},
		{map[string]any{"nbf": at(time.Minute).Unix() + 1}, "IDPRejectedClaim"},
	} {
		t.Run(fmt.Sprint(i), func(t *testing.T) {
			if err := New(w).Verify(t.Context(), s[0].token(c.claims), nil, at(0)); c.want == "" && err != nil ||
				c.want != "" && !fault.Is(err, fault.Code(c.want)) {
				t.Errorf("%v: %v, want %q", c.claims, err, c.want)
			}
		})
	}
}

// TestParse: which texts are tokens, and which are not.
func TestParse(t *testing.T) {
	_, s := newWorld(t, "k")
	x := s[0].token(map[string]any{
		"aud": []string{"a", "b"}, "azp": "p", "n": 1.5, "yes": true, "list": []any{"x", 2},
		"deep": map[string]any{"a": 1}, "mixed": []any{[]any{}}, "nothing": nil,
	})
	if x.Audience != "p" || x.Original != "a" || x.Subject != "s" || x.Issuer != issuerURL {
		t.Errorf("%+v", x)
	}
	if c := x.Claims; c["n"][0] != "1.5" || c["yes"][0] != "true" || strings.Join(c["list"], " ") != "x 2" ||
		c["deep"] != nil || c["mixed"] != nil {
		t.Errorf("%v", c)
	}
	for name, claims := range map[string]map[string]any{
		"a date too far":  {"exp": 1e18},
		"a negative date": {"exp": -1},
		"a date as text":  {"nbf": "1"},
		"no issuer":       {"iss": nil},
		"an empty issuer": {"iss": ""},
		"many issuers":    {"iss": []string{"a", "b"}},
		"no audience":     {"aud": []string{}},
		"two audiences":   {"aud": []string{"a", "b"}},
		"tags of two": {"https://aws.amazon.com/tags": map[string]any{"principal_tags": map[string]any{
			"k": []string{"a", "b"},
		}}},
		"tags as text": {"https://aws.amazon.com/tags": "k"},
	} {
		t.Run(name, func(t *testing.T) {
			if _, err := Parse(s[0].raw(claims)); !fault.Is(err, "InvalidIdentityToken") {
				t.Errorf("%s: %v", name, err)
			}
		})
	}
	good := s[0].raw(nil)
	for _, raw := range []string{"", ".", "..", "...", "a.b.c", good + "=", good + " ", " " + good, "\n" + good,
		strings.Repeat("a", MaxToken+1), `{"payload":"","signatures":[]}`,
		enc(`{"alg":"ES256"}`) + "." + enc(`[]`) + ".AA", enc(`{"alg":"ES256"}`) + "." + enc(`null`) + ".AA",
		enc(`{"alg":"ES256"}`) + "." + enc(`{"iss":"a","iss":"b","sub":"s","aud":"a"}`) + ".AA",
		enc(`{"alg":"none"}`) + "." + enc(`{"iss":"a","sub":"s","aud":"a"}`) + ".",
		enc(`{"alg":"HS256"}`) + "." + enc(`{"iss":"a","sub":"s","aud":"a"}`) + ".AA",
		enc(`{"alg":"ES256","ALG":"none"}`) + "." + enc(`{"ISS":"a","sub":"s","aud":"a"}`) + ".AA",
	} {
		if x, err := Parse(raw); !fault.Is(err, "InvalidIdentityToken") {
			t.Errorf("%.80q: %+v, %v", raw, x, err)
		}
	}
}

// FuzzParse: no text makes the parser panic, and a parsed token is complete.
func FuzzParse(f *testing.F) {
	_, s := newWorld(f, "k")
	f.Add(s[0].raw(nil))
	f.Add(s[0].raw(map[string]any{
		"aud": []string{"a", "b"}, "azp": "p",
		"https://aws.amazon.com/tags": map[string]any{
			"principal_tags": map[string]any{"k": []string{"v"}}, "transitive_tag_keys": []string{"k"},
		},
	}))
	f.Add(enc(`{"alg":"RS256","kid":"k"}`) + "." + enc(`{"iss":"a","sub":"s","aud":"a","exp":1e3}`) + ".AA")
	f.Fuzz(func(t *testing.T, raw string) {
		x, err := Parse(raw)
		if err != nil {
			if !fault.Is(err, "InvalidIdentityToken") {
				t.Fatal(err)
			}
			return
		}
		if x.Issuer == "" || x.Subject == "" || x.Audience == "" || x.algorithm == "none" ||
			strings.HasPrefix(x.algorithm, "HS") {
			t.Fatalf("%+v", x)
		}
	})
}

// FuzzKeys: no answer of an issuer makes the reader panic, and every key that it returns can verify.
func FuzzKeys(f *testing.F) {
	w, _ := newWorld(f, "k")
	b, err := w.Get(f.Context(), "keys", nil)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(b)
	f.Add([]byte(`{"keys":[{"kty":"EC","crv":"P-256","x":"AA","y":"AA","x5c":["!"]},1,null]}`))
	f.Add([]byte(`{"keys":[{"kty":"RSA","n":"AQ","e":"AQAB"},{"kty":"oct","k":"AA"}]}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		keys, _ := parseKeys(b)
		for _, k := range keys {
			if algorithmsOf(k.public) == nil {
				t.Fatalf("%+v", k)
			}
		}
	})
}
