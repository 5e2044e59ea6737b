package oidc

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"

	"watertight/internal/fault"
)

// byHand makes a correctly signed token from the texts of a header and claims.
func byHand(t testing.TB, k *ecdsa.PrivateKey, header, claims string) string {
	t.Helper()
	text := enc(header) + "." + enc(claims)
	sum := sha256.Sum256([]byte(text))
	r, s, err := ecdsa.Sign(rand.Reader, k, sum[:])
	if err != nil {
		t.Fatal(err)
	}
	return text + "." + enc(string(slices.Concat(r.FillBytes(make([]byte, 32)), s.FillBytes(make([]byte, 32)))))
}

// TestTokensHaveOneReading: a signed token that two parsers could read differently is refused, and
// names are case-sensitive.
func TestTokensHaveOneReading(t *testing.T) {
	w, s := newWorld(t, "k")
	k := s[0].key.(*ecdsa.PrivateKey)
	const header = `{"alg":"ES256","kid":"k"}`
	claims := func(rest string) string {
		return fmt.Sprintf(`{"iss":%q,"aud":"a","sub":"s","iat":%d,"exp":%d%s}`, issuerURL, at(0).Unix(),
			at(time.Hour).Unix(), rest)
	}
	verify := func(header, claims string) (*Token, error) {
		x, err := Parse(byHand(t, k, header, claims))
		if err != nil {
			return nil, err
		}
		return x, New(w).Verify(t.Context(), x, nil, at(0))
	}
	for i, good := range []struct{ header, claims string }{
		{header, claims("")}, {header, claims(`,"SUB":"other","Iss":"other","AUD":["x","y"],"EXP":1`)},
		{header, claims(`,"a":{"sub":"x"},"b":[{"sub":"x"},{"sub":"y"}]`)},
		{`{"alg":"ES256","kid":"k","ALG":"none","Kid":"other","typ":"JWT"}`, claims("")},
		{
			`{"alg":"ES256","kid":"k","x5c":["!"],"x5t":"?","jwk":{"kty":"none"},"jku":"https://other.example",` +
				`"x5u":1}`,
			claims(""),
		},
	} {
		t.Run(fmt.Sprint(i), func(t *testing.T) {
			x, err := verify(good.header, good.claims)
			if err != nil || x.Subject != "s" || x.Issuer != issuerURL || x.Audience != "a" {
				t.Errorf("%s %s: %+v, %v", good.header, good.claims, x, err)
			}
		})
	}
	for name, bad := range map[string]struct{ header, claims string }{
		"sub twice":          {header, claims(`,"sub":"other"`)},
		"sub twice, escaped": {header, claims(`,"s\u0075b":"other"`)},
		"iss twice":          {header, claims(`,"iss":"` + issuerURL + `"`)},
		"aud twice":          {header, claims(`,"aud":"a"`)},
		"a name twice below": {header, claims(`,"x":[{"a":1,"a":2}]`)},
		"a tag twice": {
			header, claims(`,"https://aws.amazon.com/tags":{"principal_tags":{"t":["a"],"t":["b"]}}`),
		},
		"SUB alone":             {header, strings.Replace(claims(""), `"sub"`, `"SUB"`, 1)},
		"ISS alone":             {header, strings.Replace(claims(""), `"iss"`, `"ISS"`, 1)},
		"exp of another case":   {header, strings.Replace(claims(""), `"exp"`, `"Exp"`, 1)},
		"alg twice":             {`{"alg":"none","alg":"ES256","kid":"k"}`, claims("")},
		"kid twice":             {`{"alg":"ES256","kid":"other","kid":"k"}`, claims("")},
		"ALG alone":             {`{"ALG":"ES256","kid":"k"}`, claims("")},
		"KID alone":             {`{"alg":"ES256","KID":"k"}`, claims("")},
		"something critical":    {`{"alg":"ES256","kid":"k","crit":["b64"],"b64":false}`, claims("")},
		"nothing critical":      {`{"alg":"ES256","kid":"k","crit":[]}`, claims("")},
		"alg of another type":   {`{"alg":["ES256"],"kid":"k"}`, claims("")},
		"kid of another type":   {`{"alg":"ES256","kid":1}`, claims("")},
		"sub of another type":   {header, strings.Replace(claims(""), `"s"`, `1`, 1)},
		"sub of null":           {header, strings.Replace(claims(""), `"s"`, `null`, 1)},
		"more after the header": {header + "{}", claims("")},
		"more after the claims": {header, claims("") + "{}"},
		"no text":               {header, strings.Replace(claims(""), `"s"`, "\"\xff\"", 1)},
		"half a character":      {header, strings.Replace(claims(""), `"s"`, `"\ud800"`, 1)},
		"deep":                  {header, claims(`,"x":` + strings.Repeat("[", 40) + strings.Repeat("]", 40))},
	} {
		t.Run(name, func(t *testing.T) {
			if x, err := verify(bad.header, bad.claims); !fault.Is(err, "InvalidIdentityToken") {
				t.Errorf("%s: %+v, %v", name, x, err)
			}
		})
	}
	// Another last letter that decodes to the same bytes is refused: that text was not signed.
	good := byHand(t, k, header, claims(""))
	for _, c := range "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_" {
		other := good[:len(good)-1] + string(c)
		if x, err := Parse(other); other != good && err == nil && New(w).Verify(t.Context(), x, nil, at(0)) == nil {
			t.Errorf("%c in the place of %c", c, good[len(good)-1])
		}
	}
}

// TestKeySets: an error in one key, or beside it, does not affect the other keys.
func TestKeySets(t *testing.T) {
	w, s := newWorld(t, "k")
	k, err := json.Marshal(w.keys[0])
	if err != nil {
		t.Fatal(err)
	}
	with := func(more string) string { return strings.TrimSuffix(string(k), "}") + "," + more + "}" }
	for document, want := range map[string]int{
		`{"keys":[` + string(k) +
			`]}`: 1,
		`{"keys":[` + with(`"x5c":["AAAA"]`) +
			`]}`: 1,
		`{"keys":[` + with(`"x5c":"no list","x5t":1,"x5t#S256":null,"x5u":"::"`) +
			`]}`: 1,
		`{"keys":[` + with(`"use":"sig","key_ops":["verify"],"alg":"ES256"`) +
			`]}`: 1,
		`{"keys":[1,null,[],{},{"kty":"new"},{"kty":"OKP","crv":"Ed25519","x":"AA"},` + string(k) +
			`]}`: 1,
		`{"keys":[{"kty":"RSA","n":"AQ","e":"AQAB"},{"kty":"oct","k":"AA"},{"kty":"EC","crv":"P-256","x":"AA",` +
			`"y":"AA"},` + string(k) + `],"more":1}`: 1,
		`{"keys":[` + with(`"use":"enc"`) + `]}`:           0,
		`{"keys":[` + with(`"key_ops":["encrypt"]`) + `]}`: 0,
		`{"keys":[` + with(`"d":"AA"`) + `]}`:              0,
		`{"keys":[` + with(`"kid2":{"d":1}`) + `]}`:        1,
		`{"keys":[]}`:                  0,
		`{"KEYS":[` + string(k) + `]}`: -1, `{"keys":{}}`: -1, `{"keys":[` + with(`"kid":"again"`) + `]}`: -1,
		`{"keys":[],"keys":[` + string(k) + `]}`: -1, `[]`: -1, ``: -1,
	} {
		t.Run(fmt.Sprintf("%.60s", document), func(t *testing.T) {
			keys, err := parseKeys([]byte(document))
			if want < 0 && err == nil || want >= 0 && (err != nil || len(keys) != want) {
				t.Errorf("%.100s: %d keys, %v; want %d", document, len(keys), err, want)
			}
		})
	}
	x := s[0].token(nil)
	for _, about := range []string{
		`{"issuer":"https://issuer.example","issuer":"https://issuer.example","jwks_uri":"https://keys.example/all"}`,
		`{"ISSUER":"https://issuer.example","jwks_uri":"https://keys.example/all"}`,
		`{"issuer":"https://issuer.example","JWKS_URI":"https://keys.example/all"}`,
		`{"issuer":["https://issuer.example"],"jwks_uri":"https://keys.example/all"}`,
	} {
		w.about = about
		is(t, New(w).Verify(t.Context(), x, nil, at(0)), "InvalidIdentityToken")
	}
}

// TestAnotherReader compares with go-jose: both verify the same tokens, whichever bit of a signature
// is changed.
func TestAnotherReader(t *testing.T) {
	small, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	owners := map[jose.SignatureAlgorithm]crypto.Signer{jose.RS256: small, jose.RS384: small, jose.RS512: small}
	for alg, c := range map[jose.SignatureAlgorithm]elliptic.Curve{
		jose.ES256: elliptic.P256(), jose.ES384: elliptic.P384(), jose.ES512: elliptic.P521(),
	} {
		if owners[alg], err = ecdsa.GenerateKey(c, rand.Reader); err != nil {
			t.Fatal(err)
		}
	}
	algorithms := slices.Collect(maps.Keys(owners))
	for alg, owner := range owners {
		t.Run(fmt.Sprint(alg), func(t *testing.T) {
			jwk := jose.JSONWebKey{Key: owner.Public(), KeyID: "k"}
			text, err := json.Marshal(map[string]any{"keys": []any{jwk}})
			if err != nil {
				t.Fatal(err)
			}
			keys, err := parseKeys(text)
			if err != nil || len(keys) != 1 ||
				!owner.Public().(interface{ Equal(crypto.PublicKey) bool }).Equal(keys[0].public) {
				t.Fatalf("%s: %+v, %v", alg, keys, err)
			}
			raw := signer{t, alg, "k", owner}.raw(nil)
			head, last := raw[:strings.LastIndexByte(raw, '.')+1], raw[strings.LastIndexByte(raw, '.')+1:]
			for i := -1; i < len(last); i += 7 {
				tried := []byte(last)
				if i >= 0 {
					tried[i] ^= 3
				}
				there, err := jose.ParseSignedCompact(head+string(tried), algorithms)
				if err == nil {
					_, err = there.Verify(jwk)
				}
				here, errHere := Parse(head + string(tried))
				ok := errHere == nil && here.fits(&keys[0]) && here.signedBy(&keys[0])
				if ok != (err == nil) || ok != (i < 0) {
					t.Errorf("%s, letter %d: %v here, %v there", alg, i, ok, err)
				}
			}
		})
	}
}
