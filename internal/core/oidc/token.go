// Package oidc verifies the tokens of OpenID Connect identity providers: what
// they say, who signed them and that they hold now. It must never know HTTP,
// accounts, roles or policies.
package oidc

import (
	"bytes"
	stdjson "encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/json" // refuses names that come twice, and minds their case

	"watertight/internal/fault"
)

// MaxToken is the longest token that is looked at, in bytes (STS API reference,
// AssumeRoleWithWebIdentity).
const MaxToken = 20_000

const (
	maxKeyID  = 1024
	maxValues = 200 // of one claim
	// skew is how far the issuer's clock may be ahead.
	skew = time.Minute
)

// Token is a token as it was presented: until Verify has said yes, all of it is
// only what somebody claims.
type Token struct {
	Issuer, Subject string
	// Audience is whom the token is for: the authorized party where there is
	// one, and then Original is the audience it names besides.
	Audience, Original string
	// Claims are the top-level claims that are text, numbers, booleans or lists
	// of them, by name, as text.
	Claims map[string][]string
	// Tags, Transitive and SourceIdentity are those of the session that AWS's
	// own claims ask for (IAM user guide, "Passing session tags using
	// AssumeRoleWithWebIdentity").
	Tags           map[string]string
	Transitive     []string
	SourceIdentity string

	signed                     *jose.JSONWebSignature
	algorithm, keyID           string
	expires, notBefore, issued time.Time
}

// algorithms are those a token may be signed with (RFC 7518, 3.1): public keys
// alone. A secret that both sides know, or no signature, proves nothing here.
func algorithms() []jose.SignatureAlgorithm {
	return []jose.SignatureAlgorithm{jose.RS256, jose.RS384, jose.RS512, jose.ES256, jose.ES384, jose.ES512}
}

func malformed(err error) error {
	return fault.New(fault.Invalid, "InvalidIdentityToken", "The ID Token provided is not a valid JWT. (You may see this error if you sent an Access Token)").Because(err)
}

// Rejected is the refusal of a token that does not fit; it does not say in what.
func Rejected() *fault.Error {
	return fault.New(fault.Invalid, "InvalidIdentityToken", "The web identity token provided could not be validated. See the AssumeRoleWithWebIdentity documentation for requirements.")
}

// Parse reads a token and verifies nothing. Errors: InvalidIdentityToken.
func Parse(raw string) (*Token, error) {
	const letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_."
	if len(raw) > MaxToken || strings.Count(raw, ".") != 2 || strings.Trim(raw, letters) != "" {
		return nil, malformed(nil)
	}
	signed, err := jose.ParseSignedCompact(raw, algorithms())
	if err != nil {
		return nil, malformed(err)
	}
	h := signed.Signatures[0].Protected
	t := &Token{signed: signed, algorithm: h.Algorithm, keyID: h.KeyID}
	if len(t.keyID) > maxKeyID {
		return nil, malformed(fmt.Errorf("oidc: a key id of %d bytes", len(t.keyID)))
	}
	payload := signed.UnsafePayloadWithoutVerification()
	if !utf8.Valid(payload) {
		return nil, malformed(nil)
	}
	var claims map[string]stdjson.RawMessage
	if err := json.Unmarshal(payload, &claims); err != nil || claims == nil {
		return nil, malformed(err)
	}
	return t, t.read(claims)
}

// read fills in what a token says.
func (t *Token) read(claims map[string]stdjson.RawMessage) error {
	t.Claims = make(map[string][]string, len(claims))
	for name, raw := range claims {
		if v, ok := values(raw); ok {
			t.Claims[name] = v
		}
	}
	for name, to := range map[string]*time.Time{"exp": &t.expires, "nbf": &t.notBefore, "iat": &t.issued} {
		if raw, ok := claims[name]; ok {
			var err error
			if *to, err = date(raw); err != nil {
				return malformed(err)
			}
		}
	}
	for name, to := range map[string]*string{"iss": &t.Issuer, "sub": &t.Subject, "azp": &t.Audience, "https://aws.amazon.com/source_identity": &t.SourceIdentity} {
		if raw, ok := claims[name]; ok {
			if err := json.Unmarshal(raw, to); err != nil {
				return malformed(err)
			}
		}
	}
	for _, name := range [...]string{"iss", "sub", "aud"} {
		if len(t.Claims[name]) == 0 || t.Claims[name][0] == "" {
			return missing(name)
		}
	}
	aud := t.Claims["aud"]
	switch {
	case t.Audience != "":
		t.Original = aud[0]
	case len(aud) > 1:
		return fault.New(fault.Invalid, "InvalidIdentityToken", "Token audience contains more than one audience while authorized party is not present")
	default:
		t.Audience = aud[0]
	}
	return t.readTags(claims["https://aws.amazon.com/tags"])
}

func (t *Token) readTags(raw stdjson.RawMessage) error {
	if raw == nil {
		return nil
	}
	var in struct {
		Principal  map[string][]string `json:"principal_tags"`
		Transitive []string            `json:"transitive_tag_keys"`
	}
	if err := json.Unmarshal(raw, &in); err != nil {
		return malformed(err)
	}
	t.Tags, t.Transitive = make(map[string]string, len(in.Principal)), in.Transitive
	for key, v := range in.Principal {
		if len(v) != 1 {
			return malformed(fmt.Errorf("oidc: a tag with %d values", len(v)))
		}
		t.Tags[key] = v[0]
	}
	return nil
}

func missing(claim string) error {
	return fault.New(fault.Invalid, "InvalidIdentityToken", "Missing a required claim: "+claim+".")
}

// values are a claim's values as text; false where it is no text, number,
// boolean or list of such.
func values(raw stdjson.RawMessage) ([]string, bool) {
	raw = bytes.TrimSpace(raw)
	if len(raw) > 0 && raw[0] == '[' {
		var items []stdjson.RawMessage
		if json.Unmarshal(raw, &items) != nil || len(items) > maxValues {
			return nil, false
		}
		out := make([]string, 0, len(items))
		for _, item := range items {
			v, ok := value(item)
			if !ok {
				return nil, false
			}
			out = append(out, v)
		}
		return out, len(out) > 0
	}
	v, ok := value(raw)
	return []string{v}, ok
}

func value(raw stdjson.RawMessage) (string, bool) {
	raw = bytes.TrimSpace(raw)
	switch {
	case len(raw) == 0 || raw[0] == '{' || raw[0] == '[' || raw[0] == 'n':
		return "", false
	case raw[0] == '"':
		var s string
		err := json.Unmarshal(raw, &s)
		return s, err == nil
	}
	return string(raw), true
}

// date is a NumericDate (RFC 7519, section 2), within the years 1970 to 9999.
func date(raw stdjson.RawMessage) (time.Time, error) {
	f, err := strconv.ParseFloat(string(bytes.TrimSpace(raw)), 64)
	if err != nil || !(f >= 0 && f < 253402300800) {
		return time.Time{}, fmt.Errorf("oidc: %.32q is no date", raw)
	}
	return time.Unix(int64(f), 0), nil
}

// checkTimes checks that a token whose signature was right holds at an instant.
func (t *Token) checkTimes(at time.Time) error {
	for _, name := range [...]string{"exp", "iat"} {
		if _, ok := t.Claims[name]; !ok {
			return missing(name)
		}
	}
	if !at.Before(t.expires) {
		return fault.New(fault.Invalid, "ExpiredTokenException",
			fmt.Sprintf("Token expired: current date/time %d must be before the expiration date/time %d", at.Unix(), t.expires.Unix()))
	}
	if latest := at.Add(skew); t.issued.After(latest) || t.notBefore.After(latest) {
		return fault.New(fault.Denied, "IDPRejectedClaim", "The token is not valid yet: its iat or nbf claim lies in the future.")
	}
	return nil
}

// fits reports whether a key can have made the token's signature: its kind and
// size belong to the algorithm (RFC 7518, 3.3 and 3.4).
func (t *Token) fits(k *jose.JSONWebKey) bool {
	if k.KeyID != t.keyID || k.Use != "" && k.Use != "sig" || k.Algorithm != "" && k.Algorithm != t.algorithm {
		return false
	}
	return slices.Contains(algorithmsOf(k.Key), t.algorithm)
}
