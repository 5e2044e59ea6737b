package sigv4

import (
	"bytes"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/hex"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"watertight/internal/fault"
	"watertight/internal/mac"
)

// Key is a signing key, valid for one day, region and service. It is never printed.
type Key [sha256.Size]byte

// Format keeps the key out of logs.
func (Key) Format(f fmt.State, _ rune) { fmt.Fprint(f, "[signing key]") }

// DeriveKey derives a signing key from a secret access key (IAM user guide,
// "Signing AWS API requests").
func DeriveKey(secret, date, region, service string) Key {
	k := mac.SHA256([]byte("AWS4"+secret), date)
	k = mac.SHA256(k[:], region)
	k = mac.SHA256(k[:], service)
	return mac.SHA256(k[:], terminator)
}

// appendScope appends the credential scope, without the access key id.
func (c *Claim) appendScope(b []byte) []byte {
	for _, part := range [...]string{c.Date, c.Region, c.Service} {
		b = append(append(b, part...), '/')
	}
	return append(b, terminator...)
}

// Verify returns nil if the claim was signed with the key, and otherwise
// SignatureDoesNotMatch with what the server computed. The members contain no secret. If
// the path can't be decoded, the error is InvalidURI.
func (c *Claim) Verify(key Key) error {
	if c.Mode == Form {
		return c.verifyPolicy(key)
	}
	var room [1024]byte
	if c.host = withoutDefaultPort(c.request.Host); c.host != c.request.Host { // most clients sign it so
		if _, ok := c.stringFor(room[:0]); ok && c.matches(key) && !c.lacks {
			return nil
		}
		c.host = c.request.Host
	}
	canonical, ok := c.stringFor(room[:0])
	if !ok {
		return invalidURI()
	}
	switch {
	case c.matches(key) && !c.lacks:
		return nil
	case c.rules != S3Rules:
		return wrongSignature(fault.KindDenied,
			"The request signature we calculated does not match the signature you provided. Check your AWS Secret "+
				"Access Key and signing method. Consult the service documentation for details.")
	}
	if bytes.Contains(canonical, []byte("encryption-customer-key")) { // no response may contain the key of SSE-C
		return c.mismatch()
	}
	return c.mismatch().With("CanonicalRequest", string(canonical)).With("CanonicalRequestBytes", spaced(canonical))
}

// stringFor appends the canonical request to b, and sets the string to sign for it. It returns false if the target
// can't be decoded.
func (c *Claim) stringFor(b []byte) ([]byte, bool) {
	canonical, ok := c.appendCanonical(b)
	if !ok {
		return canonical, false
	}
	sum := sha256.Sum256(canonical)
	s := append(append(c.room[:0], algorithm+"\n"...), c.stamp...)
	s = append(c.appendScope(append(s, '\n')), '\n')
	c.stringToSign = hex.AppendEncode(s, sum[:])
	return canonical, true
}

// withoutDefaultPort removes a port that is the default of HTTP or HTTPS. It may have been added after the request was
// signed: HTTP libraries and proxies differ in whether they send it, and behind a proxy the server does not know which
// of the two the client used. The port selects nothing here.
func withoutDefaultPort(host string) string {
	for _, port := range [...]string{":443", ":80"} {
		if name, ok := strings.CutSuffix(host, port); ok {
			return name
		}
	}
	return host
}

// matches compares the signature with that of the string to sign, and the day of the scope
// with that of the request.
func (c *Claim) matches(key Key) bool {
	want := mac.SHA256(key[:], c.stringToSign)
	var text [2 * sha256.Size]byte
	hex.Encode(text[:], want[:])
	return c.sameDay() && subtle.ConstantTimeCompare(text[:], []byte(c.Signature)) == 1
}

func (c *Claim) mismatch() *fault.Error {
	return &fault.Error{Kind: fault.KindDenied, Code: "SignatureDoesNotMatch",
		Message: "The request signature we calculated does not match the signature you provided. Check your key and " +
			"signing method.",
		Members: map[string]string{
			"AWSAccessKeyId":    c.AccessKeyID,
			"StringToSign":      string(c.stringToSign),
			"SignatureProvided": c.Signature,
			"StringToSignBytes": spaced(c.stringToSign),
		}}
}

// spaced formats bytes as S3 does in its errors, "47 45 54".
func spaced(b []byte) string {
	s := make([]byte, 0, 3*len(b))
	for i := range b {
		if i > 0 {
			s = append(s, ' ')
		}
		s = hex.AppendEncode(s, b[i:i+1])
	}
	return string(s)
}

// appendCanonical appends the canonical request. It returns false if the target can't be decoded.
func (c *Claim) appendCanonical(b []byte) ([]byte, bool) {
	b = append(append(b, c.request.Method...), '\n')
	start := len(b)
	b, ok := c.appendPath(b)
	if !ok {
		return b, false
	}
	if len(b) == start {
		b = append(b, '/')
	}
	if b, ok = c.appendQuery(append(b, '\n')); !ok {
		return b, false
	}
	b = append(b, '\n')
	c.lacks = false
	for _, name := range c.signed {
		b = append(append(b, name...), ':')
		b = append(c.appendHeader(b, name), '\n')
	}
	b = append(append(append(b, '\n'), c.signedList...), '\n')
	return append(b, c.Payload...), true
}

// span is one encoded parameter in a buffer.
type span struct{ from, equals, to int }

// appendQuery appends the parameters, decoded and encoded again, sorted by name and value,
// without the signature. A plus sign is a space, as where the query is decoded, so that one
// signature can't stand for two meanings.
func (c *Claim) appendQuery(b []byte) ([]byte, bool) {
	if c.query == "" {
		return b, true
	}
	start := len(b)
	var params []span
	for raw := c.query; raw != ""; {
		var part string
		if part, raw, _ = strings.Cut(raw, "&"); part == "" {
			continue
		}
		name, value, _ := strings.Cut(part, "=")
		p := span{from: len(b)}
		var ok bool
		if b, ok = appendEncoded(b, name, false); !ok {
			return b, false
		}
		if c.Mode == Query && string(b[p.from:]) == "X-Amz-Signature" {
			b = b[:p.from]
			continue
		}
		p.equals = len(b)
		if b, ok = appendEncoded(append(b, '='), value, false); !ok {
			return b, false
		}
		p.to = len(b)
		params = append(params, p)
	}
	end := len(b)
	slices.SortFunc(params, func(x, y span) int {
		if d := bytes.Compare(b[x.from:x.equals], b[y.from:y.equals]); d != 0 {
			return d
		}
		return bytes.Compare(b[x.equals:x.to], b[y.equals:y.to])
	})
	for i, p := range params {
		if i > 0 {
			b = append(b, '&')
		}
		b = append(b, b[p.from:p.to]...)
	}
	return b[:start+copy(b[start:], b[end:])], true
}

// appendPath appends the path as it is signed. S3's is in one encoding; for other services,
// the path as it was sent is encoded again (IAM user guide, "Create a signed AWS API
// request"). AWS removes "." and ".." and empty elements before; here, dialects with paths
// refuse them.
func (c *Claim) appendPath(b []byte) ([]byte, bool) {
	if c.rules == S3Rules {
		return appendEncoded(b, c.path, true)
	}
	for i := range len(c.path) {
		b = appendEscaped(b, c.path[i], true)
	}
	return b, true
}

// appendEscaped appends a character, escaped unless it is unreserved (RFC 3986, 2.3), with
// upper-case digits. In a path, a slash stays as it is.
func appendEscaped(b []byte, ch byte, inPath bool) []byte {
	const upper = "0123456789ABCDEF"
	if ch >= 'a' && ch <= 'z' || ch >= 'A' && ch <= 'Z' || ch >= '0' && ch <= '9' ||
		ch == '-' || ch == '.' || ch == '_' || ch == '~' || ch == '/' && inPath {
		return append(b, ch)
	}
	return append(b, '%', upper[ch>>4], upper[ch&15])
}

// appendEncoded appends s, percent-decoded and encoded again by appendEscaped. A plus sign is
// a space. Nothing is normalised.
func appendEncoded(b []byte, s string, inPath bool) ([]byte, bool) {
	for i := 0; i < len(s); i++ {
		ch := s[i]
		switch {
		case ch == '%':
			if i+2 >= len(s) {
				return b, false
			}
			var n [1]byte
			if _, err := hex.Decode(n[:], []byte(s[i+1:i+3])); err != nil {
				return b, false
			}
			ch = n[0]
			i += 2
		case ch == '+':
			ch = ' '
		}
		b = appendEscaped(b, ch, inPath)
	}
	return b, true
}

// appendHeader appends a header's value as it is signed: values joined by commas in the
// order in which they were received, trimmed, with runs of spaces collapsed. net/http
// removes some headers from the map, so they are read from elsewhere.
func (c *Claim) appendHeader(b []byte, name string) []byte {
	r := c.request
	switch name {
	case "host":
		return append(b, strings.TrimSpace(c.host)...)
	case "transfer-encoding":
		return append(b, strings.Join(r.TransferEncoding, ",")...)
	}
	values := valuesOf(r.Header, name)
	if len(values) == 0 && name == "content-length" && r.ContentLength >= 0 {
		return strconv.AppendInt(b, r.ContentLength, 10)
	}
	if len(values) == 0 && asks(name) {
		value, ok := c.hoisted(name)
		c.lacks = c.lacks || !ok
		return appendTrimmed(b, value)
	}
	for i, v := range values {
		if i > 0 {
			b = append(b, ',')
		}
		b = appendTrimmed(b, v)
	}
	return b
}

// valuesOf is Header.Values, but allocates no string if the map has the usual form of the name.
func valuesOf(h http.Header, name string) []string {
	var room [64]byte
	b := append(room[:0], name...)
	start := true // at the beginning of a word
	for i, ch := range b {
		switch {
		case ch >= 'a' && ch <= 'z':
			if start {
				b[i] = ch - 'a' + 'A'
			}
		case ch >= '0' && ch <= '9' || ch == '-':
		default:
			return h.Values(name)
		}
		start = ch == '-'
	}
	return h[string(b)]
}

// asks reports whether a header asks for something, or promises it. If such a header was
// signed empty and then removed, the canonical request would be the same.
func asks(name string) bool {
	return strings.HasPrefix(name, "x-amz-") || IsExtension(name) || name == "content-md5" ||
		strings.HasPrefix(name, "if-")
}

// hoisted returns a signed header of S3's own that a presigned URL has as a parameter (the
// JavaScript SDK v2 nevertheless names it among the signed headers).
func (c *Claim) hoisted(name string) (string, bool) {
	if c.Mode != Query || !strings.HasPrefix(name, "x-amz-") {
		return "", false
	}
	for part := range strings.SplitSeq(c.query, "&") {
		rawName, rawValue, _ := strings.Cut(part, "=")
		if n, err := url.QueryUnescape(rawName); err != nil || !strings.EqualFold(n, name) {
			continue
		}
		value, err := url.QueryUnescape(rawValue)
		return value, err == nil
	}
	return "", false
}

// Canonical returns a header's value as it is signed: trimmed, with runs of spaces
// collapsed. Headers are read in this form.
func Canonical(s string) string {
	if isCanonical(s) {
		return s
	}
	return string(appendTrimmed(make([]byte, 0, len(s)), s))
}

// isCanonical reports whether s has no tab, and no space at an end or after another. It looks
// at eight bytes at once, because every header of a request is checked.
func isCanonical(s string) bool {
	blank := s != "" // the character before is a space, or there is none
	for i := 0; i < len(s); i++ {
		for i+8 <= len(s) && !hasBlank(s[i:]) {
			i, blank = i+8, false
		}
		if i == len(s) {
			break
		}
		if s[i] == '\t' || s[i] == ' ' && blank {
			return false
		}
		blank = s[i] == ' '
	}
	return !blank
}

// hasBlank reports whether one of the first 8 bytes of s is a space or a tab.
func hasBlank(s string) bool {
	_ = s[7]
	x := uint64(s[0]) | uint64(s[1])<<8 | uint64(s[2])<<16 | uint64(s[3])<<24 |
		uint64(s[4])<<32 | uint64(s[5])<<40 | uint64(s[6])<<48 | uint64(s[7])<<56
	const each, high = 0x0101010101010101, 0x8080808080808080
	space, tab := x^' '*each, x^'\t'*each
	return ((space-each)&^space|(tab-each)&^tab)&high != 0
}

func appendTrimmed(b []byte, s string) []byte {
	if isCanonical(s) {
		return append(b, s...)
	}
	s = strings.Trim(s, " \t")
	blank := false
	for i := range len(s) {
		if s[i] == ' ' || s[i] == '\t' {
			blank = true
			continue
		}
		if blank {
			b = append(b, ' ')
			blank = false
		}
		b = append(b, s[i])
	}
	return b
}
