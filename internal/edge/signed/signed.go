// Package signed verifies CloudFront's signed URLs and signed cookies. It exists so that
// one place decides whether a viewer has access to restricted content. It must never know
// HTTP, distributions or where keys come from.
//
// The rules are those of the Amazon CloudFront Developer Guide, "Serve private content with
// signed URLs and signed cookies".
package signed

import (
	"errors"
	"net/netip"
	"strings"
	"time"

	"watertight/internal/fault"
)

// Request is what a viewer asked for, as the viewer sent it.
type Request struct {
	// Base is the URL without its query: scheme, host with port if the viewer sent one,
	// and the path in its escaped form.
	Base string
	// Query is the escaped query, without the question mark.
	Query   string
	Cookies []string // the values of the Cookie headers
	Viewer  netip.Addr
	Now     time.Time
}

// The names of the reserved parameters. Those of cookies have a prefix.
const (
	expires       = "Expires"
	policy        = "Policy"
	signature     = "Signature"
	keyPairID     = "Key-Pair-Id"
	hashAlgorithm = "Hash-Algorithm"
	cookiePrefix  = "CloudFront-"
)

// isReserved reports whether a parameter of a query is CloudFront's. Case is significant.
func isReserved(name string) bool {
	return name == expires || name == policy || name == signature || name == keyPairID || name == hashAlgorithm
}

// ReservedCookie reports whether a cookie is one of the signed cookies, which neither the
// origin nor the cache key may see.
func ReservedCookie(name string) bool {
	rest, ok := strings.CutPrefix(name, cookiePrefix)
	return ok && isReserved(rest)
}

// Verify returns the viewer's own query, without the reserved parameters and otherwise as
// it was sent, if the request is signed by one of the keys. The errors are faults with
// CloudFront's codes, all of them with status 403: MissingKey, InvalidKey,
// MalformedSignature, MalformedPolicy and AccessDenied.
//
// A query with any reserved parameter is that of a signed URL, and cookies are not looked
// at then.
func Verify(r Request, keys Keys) (string, error) {
	own, p, err := split(r.Query)
	if err != nil {
		return "", err
	}
	if p.empty() {
		if p, err = readCookies(r.Cookies); err != nil {
			return "", err
		}
	}
	url := r.Base
	if own != "" {
		url += "?" + own
	}
	if err := p.verify(url, r, keys); err != nil {
		return "", err
	}
	return own, nil
}

func (p *params) verify(url string, r Request, keys Keys) error {
	if p.values[keyPairID] == "" {
		return fault.Of(fault.MissingKey)
	}
	key, ok := keys.byID[p.values[keyPairID]]
	if !ok {
		return fault.Of(fault.InvalidKey)
	}
	sig, ok := decode(p.values[signature])
	if !ok || len(sig) == 0 {
		return fault.Of(fault.MalformedSignature)
	}
	document, custom, err := p.document(url)
	if err != nil {
		return err
	}
	if !key.verify(p.values[hashAlgorithm], document, sig) {
		return denied()
	}
	// Only what a key's owner signed is parsed.
	s, err := parsePolicy(document)
	if err != nil {
		return malformed(err)
	}
	if !custom { // the URL is what was signed, not a pattern
		s.anywhere = true
	}
	if !s.allows(url, r.Viewer, r.Now) {
		return denied()
	}
	return nil
}

// document returns the bytes that must be signed: the custom policy as it was sent, or the
// canned policy of the URL.
func (p *params) document(url string) (document []byte, custom bool, err error) {
	until, canned := p.values[expires]
	encoded, custom := p.values[policy]
	switch {
	case canned == custom: // none or both
		return nil, false, malformed(errors.New("signed: one of Expires and Policy is needed"))
	case custom:
		document, ok := decode(encoded)
		if !ok {
			return nil, false, malformed(errors.New("signed: the policy is not base64"))
		}
		return document, true, nil
	}
	if _, ok := epoch(until); !ok {
		return nil, false, malformed(errors.New("signed: Expires is not a number of seconds"))
	}
	if !plain(url) {
		return nil, false, denied()
	}
	return []byte(`{"Statement":[{"Resource":"` + url +
		`","Condition":{"DateLessThan":{"AWS:EpochTime":` + until + `}}}]}`), false, nil
}

// plain reports whether a URL needs no escapes inside a JSON string. Any other URL could end
// the string and write the rest of the policy.
func plain(url string) bool {
	for i := range len(url) {
		if c := url[i]; c <= ' ' || c >= 0x7f || c == '"' || c == '\\' {
			return false
		}
	}
	return true
}

// denied is CloudFront's error for a signature that is not valid and for a policy that does
// not allow the request. It does not tell the viewer which of the two it was.
func denied() error { return fault.New(fault.AccessDenied, "Access denied") }

func malformed(err error) error {
	return fault.New(fault.MalformedPolicy, "Malformed Policy").WithKind(fault.KindDenied).Because(err)
}
