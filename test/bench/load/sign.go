// Package load is a closed-loop generator of S3 requests. It exists so that a benchmark measures servers and not
// its client: requests are signed and written by hand into buffers that are used again, and answers are read
// without being kept. It must never know which server it drives.
package load

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"hash"
	"strconv"
	"strings"
	"time"
)

// Credentials sign requests.
type Credentials struct{ AccessKeyID, SecretAccessKey, Region string }

// Header is a header that is signed. Its name is lower case and sorts after "x-amz-date".
type Header struct{ Name, Value string }

// Payload is a body with the hash that its signature covers, in hexadecimal.
type Payload struct {
	Body []byte
	Hash string
}

// NewPayload hashes a body once: a client that hashes while it is measured takes CPU time from the server beside it.
func NewPayload(body []byte) *Payload {
	sum := sha256.Sum256(body)
	return &Payload{Body: body, Hash: hex.EncodeToString(sum[:])}
}

// Request is one request. Path and Query are sent and signed as they are, so they are in their canonical form
// already: escaped, and the query sorted, with "=" after each name.
type Request struct {
	Method, Path, Query string
	Headers             []Header
	Payload             *Payload // nil is empty
	Want                int64    // length that the answer's body must have, if it is positive
	Keep                *[]byte  // takes the answer's body, if it is set
}

// signer signs with AWS Signature Version 4 (S3 API reference, "Signature Calculations for the Authorization
// Header"). One goroutine uses it.
type signer struct {
	Credentials
	host  string
	day   string
	scope string
	mac   hash.Hash // keyed with the day's signing key
	sum   hash.Hash
	buf   []byte // of the canonical request and the string to sign
	raw   [sha256.Size]byte
}

const (
	instantFormat = "20060102T150405Z"
	algorithm     = "AWS4-HMAC-SHA256"
)

func newSigner(c Credentials, host string) *signer {
	return &signer{Credentials: c, host: host, sum: sha256.New(), buf: make([]byte, 0, 2<<10)}
}

// turn derives the signing key of a day.
func (s *signer) turn(day string) {
	key := []byte("AWS4" + s.SecretAccessKey)
	for _, part := range []string{day, s.Region, "s3", "aws4_request"} {
		m := hmac.New(sha256.New, key)
		m.Write([]byte(part))
		key = m.Sum(nil)
	}
	s.day, s.mac = day, hmac.New(sha256.New, key)
	s.scope = day + "/" + s.Region + "/s3/aws4_request"
}

// head appends the request line and all headers, signed at an instant.
func (s *signer) head(to []byte, r *Request, p *Payload, now time.Time) []byte {
	var room [len(instantFormat)]byte
	instant := now.UTC().AppendFormat(room[:0], instantFormat)
	if day := instant[:8]; s.day != string(day) {
		s.turn(string(day))
	}
	to = append(to, r.Method...)
	to = append(append(to, ' '), r.Path...)
	if r.Query != "" {
		to = append(append(to, '?'), r.Query...)
	}
	to = append(append(to, " HTTP/1.1\r\nHost: "...), s.host...)
	to = append(append(to, "\r\nx-amz-content-sha256: "...), p.Hash...)
	to = append(append(to, "\r\nx-amz-date: "...), instant...)
	for _, h := range r.Headers {
		to = append(append(append(append(to, "\r\n"...), h.Name...), ": "...), h.Value...)
	}
	to = append(append(to, "\r\nAuthorization: "+algorithm+" Credential="...), s.AccessKeyID...)
	to = append(append(to, '/'), s.scope...)
	to = append(to, ", SignedHeaders="...)
	to = appendNames(to, r.Headers)
	to = append(to, ", Signature="...)
	to = hex.AppendEncode(to, s.signature(r, p, instant))
	if len(p.Body) > 0 || r.Method == "PUT" || r.Method == "POST" {
		to = strconv.AppendInt(append(to, "\r\nContent-Length: "...), int64(len(p.Body)), 10)
	}
	return append(to, "\r\n\r\n"...)
}

// signature signs the canonical request. The result is valid until the next call.
func (s *signer) signature(r *Request, p *Payload, instant []byte) []byte {
	b := append(append(s.buf[:0], r.Method...), '\n')
	b = append(append(b, r.Path...), '\n')
	b = append(append(b, r.Query...), "\nhost:"...)
	b = append(append(b, s.host...), "\nx-amz-content-sha256:"...)
	b = append(append(b, p.Hash...), "\nx-amz-date:"...)
	b = append(append(b, instant...), '\n')
	for _, h := range r.Headers {
		b = append(append(append(append(b, h.Name...), ':'), h.Value...), '\n')
	}
	b = append(appendNames(append(b, '\n'), r.Headers), '\n')
	b = append(b, p.Hash...)
	s.sum.Reset()
	s.sum.Write(b)
	canonical := s.sum.Sum(s.raw[:0])
	b = append(append(b[:0], algorithm+"\n"...), instant...)
	b = append(append(append(b, '\n'), s.scope...), '\n')
	s.buf = hex.AppendEncode(b, canonical)
	s.mac.Reset()
	s.mac.Write(s.buf)
	return s.mac.Sum(s.raw[:0])
}

func appendNames(to []byte, headers []Header) []byte {
	to = append(to, "host;x-amz-content-sha256;x-amz-date"...)
	for _, h := range headers {
		to = append(append(to, ';'), h.Name...)
	}
	return to
}

// check refuses what the signer would sign wrongly.
func (r *Request) check() error {
	last := "x-amz-date"
	for _, h := range r.Headers {
		if h.Name <= last || h.Name != strings.ToLower(h.Name) || h.Value != strings.TrimSpace(h.Value) {
			return fmt.Errorf("header %q: want lower case names in order after x-amz-date, and a trimmed value", h.Name)
		}
		last = h.Name
	}
	if !strings.HasPrefix(r.Path, "/") {
		return fmt.Errorf("path %q begins with no slash", r.Path)
	}
	return nil
}
