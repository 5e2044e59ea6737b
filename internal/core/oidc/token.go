// Package oidc verifies the tokens of OpenID Connect identity providers: their format,
// their signature and that they are valid now. It must never know HTTP, accounts, roles or
// policies.
package oidc

import (
	"bytes"
	"encoding/base64"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"watertight/internal/fault"
	"watertight/internal/strictjson"
)

// MaxToken is the maximum length of a token in bytes; longer ones are refused unread (STS
// API reference, AssumeRoleWithWebIdentity).
const MaxToken = 20_000

const (
	maxKeyID  = 1024
	maxValues = 200 // values of one claim
	maxDepth  = 16  // nesting depth of a token's header and claims, and of what issuers answer
	// skew is how far the issuer's clock may be ahead.
	skew = time.Minute
)

// Token is a token as it was presented. Until Verify has accepted it, nothing in it may be trusted.
type Token struct {
	Issuer, Subject string
	// Audience is the party that the token is for: the authorized party if there is one.
	// Original is then the audience that the token also names.
	Audience, Original string
	// Claims are the top-level claims that are text, numbers, booleans or lists of these,
	// by name, in the form of text.
	Claims map[string][]string
	// Tags, Transitive and SourceIdentity are the properties of the session that AWS's own
	// claims ask for (IAM user guide, "Passing session tags using
	// AssumeRoleWithWebIdentity").
	Tags           map[string]string
	Transitive     []string
	SourceIdentity string

	signed                     string // header and claims as they were sent
	signature                  []byte
	algorithm, keyID           string
	expires, notBefore, issued time.Time
}

func malformed(err error) error {
	return fault.New(fault.InvalidIdentityToken,
		"The ID Token provided is not a valid JWT. (You may see this error if you sent an Access Token)").Because(err)
}

// Rejected is the error for an invalid token; it does not say what is wrong.
func Rejected() *fault.Error {
	return fault.New(fault.InvalidIdentityToken,
		"The web identity token provided could not be validated. See the AssumeRoleWithWebIdentity documentation for "+
			"requirements.")
}

// Parse decodes a token and verifies nothing. Errors: InvalidIdentityToken.
func Parse(raw string) (*Token, error) {
	if len(raw) > MaxToken || strings.Count(raw, ".") != 2 {
		return nil, malformed(nil)
	}
	var parts [3][]byte
	for i, text := range strings.Split(raw, ".") {
		var err error
		if parts[i], err = base64.RawURLEncoding.Strict().DecodeString(
			text,
		); err != nil || strings.ContainsAny(text, "\r\n") {
			return nil, malformed(err)
		}
	}
	t := &Token{signed: raw[:strings.LastIndexByte(raw, '.')], signature: parts[2]}
	if err := t.readHeader(parts[0]); err != nil {
		return nil, malformed(err)
	}
	claims, err := strictjson.Read(parts[1], maxDepth)
	if err != nil {
		return nil, malformed(err)
	}
	return t, t.read(claims)
}

// readHeader decodes the token's header. It ignores keys and certificates in the token:
// only the issuer's keys count. It supports no critical header parameters, and refuses
// tokens that have any (RFC 7515, 4.1.11).
func (t *Token) readHeader(raw []byte) error {
	h, err := strictjson.Read(raw, maxDepth)
	if err != nil {
		return err
	}
	if _, critical := h["crit"]; critical {
		return errors.New("oidc: a critical header")
	}
	if t.algorithm, err = h.Text("alg"); err != nil {
		return err
	}
	if !known(t.algorithm) {
		return fmt.Errorf("oidc: tokens are not signed by %.32q here", t.algorithm)
	}
	if t.keyID, err = h.Text("kid"); err == nil && len(t.keyID) > maxKeyID {
		err = fmt.Errorf("oidc: a key id of %d bytes", len(t.keyID))
	}
	return err
}

// read decodes the claims of a token.
func (t *Token) read(claims strictjson.Object) error {
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
	for name, to := range map[string]*string{
		"iss": &t.Issuer, "sub": &t.Subject, "azp": &t.Audience,
		"https://aws.amazon.com/source_identity": &t.SourceIdentity,
	} {
		var err error
		if *to, err = claims.Text(name); err != nil {
			return malformed(err)
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
		return fault.New(fault.InvalidIdentityToken,
			"Token audience contains more than one audience while authorized party is not present")
	default:
		t.Audience = aud[0]
	}
	return t.readTags(claims["https://aws.amazon.com/tags"])
}

// readTags decodes AWS's claim with session tags.
func (t *Token) readTags(raw strictjson.Value) error {
	if raw == nil {
		return nil
	}
	in, err := strictjson.Members(raw)
	if err != nil {
		return malformed(err)
	}
	if keys, ok := in["transitive_tag_keys"]; ok {
		if t.Transitive, err = texts(keys); err != nil {
			return malformed(err)
		}
	}
	t.Tags = map[string]string{}
	if in["principal_tags"] == nil {
		return nil
	}
	tags, err := strictjson.Members(in["principal_tags"])
	if err != nil {
		return malformed(err)
	}
	for key, raw := range tags {
		v, err := texts(raw)
		if err != nil {
			return malformed(err)
		}
		if len(v) != 1 {
			return malformed(fmt.Errorf("oidc: a tag with %d values", len(v)))
		}
		t.Tags[key] = v[0]
	}
	return nil
}

func texts(raw strictjson.Value) ([]string, error) {
	items, err := strictjson.Items(raw)
	if err != nil {
		return nil, err
	}
	out := make([]string, len(items))
	for i := range items {
		if out[i], err = strictjson.Text(items[i]); err != nil {
			return nil, err
		}
	}
	return out, nil
}

func missing(claim string) error {
	return fault.New(fault.InvalidIdentityToken, "Missing a required claim: "+claim+".")
}

// values returns a claim's values as text; ok is false if the claim is not text, a number,
// a boolean or a list of these.
func values(raw strictjson.Value) ([]string, bool) {
	if !bytes.HasPrefix(raw, []byte("[")) {
		v, ok := value(raw)
		return []string{v}, ok
	}
	items, err := strictjson.Items(raw)
	if err != nil || len(items) > maxValues {
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

func value(raw strictjson.Value) (string, bool) {
	switch {
	case len(raw) == 0 || raw[0] == '{' || raw[0] == '[' || raw[0] == 'n':
		return "", false
	case raw[0] == '"':
		s, err := strictjson.Text(raw)
		return s, err == nil
	}
	return string(raw), true
}

// date decodes a NumericDate (RFC 7519, section 2) between the years 1970 and 9999.
func date(raw strictjson.Value) (time.Time, error) {
	f, err := strconv.ParseFloat(string(bytes.TrimSpace(raw)), 64)
	if err != nil || !(f >= 0 && f < 253402300800) {
		return time.Time{}, fmt.Errorf("oidc: %.32q is no date", raw)
	}
	return time.Unix(int64(f), 0), nil
}

// checkTimes checks that a token is valid at a time. Its signature must have been verified before.
func (t *Token) checkTimes(at time.Time) error {
	for _, name := range [...]string{"exp", "iat"} {
		if _, ok := t.Claims[name]; !ok {
			return missing(name)
		}
	}
	if !at.Before(t.expires) {
		return fault.New(fault.ExpiredTokenException,
			fmt.Sprintf("Token expired: current date/time %d must be before the expiration date/time %d", at.Unix(),
				t.expires.Unix()))
	}
	if latest := at.Add(skew); t.issued.After(latest) || t.notBefore.After(latest) {
		return fault.Of(fault.IDPRejectedClaim)
	}
	return nil
}

// fits reports whether a key can have made the token's signature: whether its kind and size
// belong to the algorithm (RFC 7518, 3.3 and 3.4).
func (t *Token) fits(k *key) bool {
	return k.id == t.keyID && (k.algorithm == "" || k.algorithm == t.algorithm) &&
		slices.Contains(algorithmsOf(k.public), t.algorithm)
}
