package authn

import (
	"bufio"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"crypto/tls"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"

	"watertight/internal/access/arn"
	"watertight/internal/access/credential"
	"watertight/internal/access/policy"
	"watertight/internal/fault"
	"watertight/internal/gateway/dialect"
	"watertight/internal/gateway/protocol"
	"watertight/internal/gateway/sigv4"
)

const (
	id, secret       = "AKIAIOSFODNN7EXAMPLE", "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"
	tempID, token    = "ASIAIOSFODNN7EXAMPLE", "token of the session"
	region           = "us-east-1"
	basic            = "20130524T000000Z"
	scopeOfTheDay    = "20130524/us-east-1/s3/aws4_request"
	emptySum         = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
	account          = "111122223333"
	unsignedPayload  = "UNSIGNED-PAYLOAD"
	streamUnsigned   = "STREAMING-UNSIGNED-PAYLOAD-TRAILER"
	streamSigned     = "STREAMING-AWS4-HMAC-SHA256-PAYLOAD"
	streamSignedMore = "STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER"
)

func now() time.Time { return time.Date(2013, 5, 24, 0, 0, 0, 0, time.UTC) }

// book is credentials in a map.
type book map[string]credential.Credential

func (b book) Lookup(_ context.Context, id string) (*credential.Credential, error) {
	if c, ok := b[id]; ok {
		return &c, nil
	}
	return nil, nil
}

func user() policy.Principal {
	return policy.Principal{Kind: policy.User, Account: account, ID: "AIDAEXAMPLE", Name: "alice",
		ARN: arn.ARN{Partition: "aws", Service: "iam", Account: account, Resource: "user/alice"}}
}

func people() book {
	session := policy.Principal{Kind: policy.RoleSession, Account: account, ID: "AROAEXAMPLE:s",
		ARN:  arn.ARN{Partition: "aws", Service: "sts", Account: account, Resource: "assumed-role/r/s"},
		Role: arn.ARN{Partition: "aws", Service: "iam", Account: account, Resource: "role/path/r"}}
	return book{
		id: {AccessKeyID: id, Secret: secret, Active: true, Principal: user()},
		tempID: {
			AccessKeyID: tempID, Secret: secret, Active: true, Principal: session, Token: token,
			Expires: now().Add(time.Hour), Keys: map[string][]string{"aws:multifactorauthpresent": {"true"}},
		},
		"AKIAINACTIVEEXAMPLE0": {AccessKeyID: "AKIAINACTIVEEXAMPLE0", Secret: secret, Principal: user()},
		"AKIANOBODYEXAMPLE000": {AccessKeyID: "AKIANOBODYEXAMPLE000", Secret: secret, Active: true},
	}
}

func identifier(b book) *Identifier { return New(b, Options{Region: region}) }

// parsed parses the bytes of a request, as the server does.
func parsed(t testing.TB, text string) *protocol.Request {
	t.Helper()
	hr, err := http.ReadRequest(bufio.NewReader(strings.NewReader(text)))
	if err != nil {
		t.Fatalf("%q: %v", text, err)
	}
	r, err := read(hr, wire(t))
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// read reads a request to S3.
func read(hr *http.Request, s3 dialect.Dialect) (*protocol.Request, error) {
	hr.RemoteAddr = "192.0.2.1:1234"
	r, err := protocol.Parse(hr, protocol.Options{}, "0123456789ABCDEF", now())
	if err != nil {
		return nil, err
	}
	r.Service = &protocol.Service{Name: "s3", SigningName: "s3"}
	return r, s3.Read(r)
}

// sdk signs a request with the AWS SDK.
type sdk struct {
	key, secret, token, payload, method, target string
	presigned                                   bool
	at                                          time.Time
	headers                                     map[string]string
	body                                        string
}

func (s sdk) text(t testing.TB) string {
	t.Helper()
	if s.key == "" {
		s.key, s.secret = id, secret
	}
	if s.at.IsZero() {
		s.at = now()
	}
	if s.payload == "" {
		s.payload = emptySum
	}
	if s.method == "" {
		s.method = "GET"
	}
	if s.target == "" {
		s.target = "/b/k"
	}
	r, err := http.NewRequest(s.method, "http://h:9000"+s.target, nil)
	if err != nil {
		t.Fatal(err)
	}
	for name, value := range s.headers {
		r.Header.Set(name, value)
	}
	cred := aws.Credentials{AccessKeyID: s.key, SecretAccessKey: s.secret, SessionToken: s.token}
	plain := func(o *v4.SignerOptions) { o.DisableURIPathEscaping = true }
	target := s.target
	if s.presigned {
		r.URL.RawQuery = "X-Amz-Expires=60"
		u, _, err := v4.NewSigner().PresignHTTP(t.Context(), cred, r, unsignedPayload, "s3", region, s.at, plain)
		if err != nil {
			t.Fatal(err)
		}
		target = strings.TrimPrefix(u, "http://h:9000")
	} else {
		r.Header.Set("X-Amz-Content-Sha256", s.payload)
		if err := v4.NewSigner().SignHTTP(t.Context(), cred, r, s.payload, "s3", region, s.at, plain); err != nil {
			t.Fatal(err)
		}
	}
	text := s.method + " " + target + " HTTP/1.1\r\nHost: h:9000\r\n"
	for name, values := range r.Header {
		for _, v := range values {
			text += name + ": " + v + "\r\n"
		}
	}
	if s.body != "" {
		text += fmt.Sprintf("Content-Length: %d\r\n", len(s.body))
	}
	return text + "\r\n" + s.body
}

func code(err error) string {
	if err == nil {
		return ""
	}
	return string(fault.From(err).Code)
}

func TestIdentify(t *testing.T) {
	for _, test := range []struct {
		name string
		s    sdk
		want string
	}{
		{"header", sdk{}, ""},
		{"presigned", sdk{presigned: true}, ""},
		{"session", sdk{key: tempID, secret: secret, token: token}, ""},
		{"presigned session", sdk{key: tempID, secret: secret, token: token, presigned: true}, ""},
		{"unknown key", sdk{key: "AKIAUNKNOWNEXAMPLE00", secret: secret}, "InvalidAccessKeyId"},
		{
			"unknown key, presigned", sdk{key: "AKIAUNKNOWNEXAMPLE00", secret: secret, presigned: true},
			"InvalidAccessKeyId",
		},
		{"inactive key", sdk{key: "AKIAINACTIVEEXAMPLE0", secret: secret}, "InvalidAccessKeyId"},
		{"unknown key", sdk{key: "AKIANOBODYEXAMPLE000", secret: secret}, "InvalidAccessKeyId"},
		{"wrong secret", sdk{key: id, secret: secret + "x"}, "SignatureDoesNotMatch"},
		{"wrong secret, presigned", sdk{key: id, secret: secret + "x", presigned: true}, "SignatureDoesNotMatch"},
		{"token of a long-lived key", sdk{key: id, secret: secret, token: token}, "InvalidToken"},
		{"session without a token", sdk{key: tempID, secret: secret}, "InvalidAccessKeyId"},
		{"another token", sdk{key: tempID, secret: secret, token: token + "x"}, "InvalidToken"},
		{"another token, presigned", sdk{key: tempID, secret: secret, token: "x", presigned: true}, "InvalidToken"},
		{"old", sdk{at: now().Add(-15*time.Minute - time.Second)}, "RequestTimeTooSkewed"},
		{"of the future", sdk{at: now().Add(15*time.Minute + time.Second)}, "RequestTimeTooSkewed"},
	} {
		t.Run(test.name, func(t *testing.T) {
			c, body, err := identifier(people()).Identify(t.Context(), parsed(t, test.s.text(t)))
			if code(err) != test.want {
				t.Fatalf("got %v, want %q", err, test.want)
			}
			if err != nil {
				if c.Principal().Kind != policy.Nobody || body != nil {
					t.Fatal("a refusal with a caller or a body")
				}
				return
			}
			if c.Anonymous() || c.AccessKeyID() == "" || body == nil {
				t.Fatalf("%+v", c)
			}
		})
	}
}

func TestExpiredSession(t *testing.T) {
	for _, test := range []struct {
		expires time.Time
		want    string
	}{{now().Add(time.Second), ""}, {now(), "ExpiredToken"}, {now().Add(-time.Hour), "ExpiredToken"}} {
		t.Run(test.want, func(t *testing.T) {
			b := people()
			c := b[tempID]
			c.Expires = test.expires
			b[tempID] = c
			_, _, err := identifier(b).Identify(t.Context(),
				parsed(t, sdk{key: tempID, secret: secret, token: token}.text(t)))
			if code(err) != test.want {
				t.Errorf("%v: %v", test.expires, err)
			}
		})
	}
}

// TestGarbageSignatureInEveryMode: an invalid signature in every mode is refused before a byte of the
// body is read, and the caller is never anonymous.
func TestGarbageSignatureInEveryMode(t *testing.T) {
	payloads := []string{emptySum, unsignedPayload, streamUnsigned, streamSigned, streamSignedMore,
		"STREAMING-AWS4-ECDSA-P256-SHA256-PAYLOAD", "STREAMING-AWS4-ECDSA-P256-SHA256-PAYLOAD-TRAILER"}
	garbage := strings.Repeat("0", 64)
	credential := id + "/" + scopeOfTheDay
	for _, payload := range payloads {
		framing := "X-Amz-Content-Sha256: " + payload +
			"\r\nX-Amz-Decoded-Content-Length: 5\r\nX-Amz-Trailer: x-amz-checksum-crc32\r\nContent-Encoding: " +
			"aws-chunked\r\nContent-Length: 5\r\n"
		const signed = "host;x-amz-content-sha256;x-amz-date;x-amz-decoded-content-length;x-amz-trailer"
		query := "?X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=" + credential + "&X-Amz-Date=" + basic +
			"&X-Amz-Expires=60&X-Amz-SignedHeaders=" + signed + "&X-Amz-Signature=" + garbage
		header := "Authorization: AWS4-HMAC-SHA256 Credential=" + credential + ", SignedHeaders=" + signed +
			", Signature=" + garbage + "\r\nX-Amz-Date: " + basic + "\r\n"
		for name, text := range map[string]string{
			"header":           "PUT /b/k HTTP/1.1\r\nHost: h\r\n" + header + framing,
			"query":            "PUT /b/k" + query + " HTTP/1.1\r\nHost: h\r\nX-Amz-Date: " + basic + "\r\n" + framing,
			"header and query": "PUT /b/k" + query + " HTTP/1.1\r\nHost: h\r\n" + header + framing,
			"version 2":        "PUT /b/k HTTP/1.1\r\nHost: h\r\nAuthorization: AWS " + id + ":x\r\n" + framing,
			"version 2 query": "PUT /b/k?AWSAccessKeyId=" + id + "&Signature=x&Expires=9 HTTP/1.1\r\nHost: h\r\n" +
				framing,
			"bearer":       "PUT /b/k HTTP/1.1\r\nHost: h\r\nAuthorization: Bearer x\r\n" + framing,
			"empty header": "PUT /b/k HTTP/1.1\r\nHost: h\r\nAuthorization:\r\n" + framing,
			"ecdsa": "PUT /b/k HTTP/1.1\r\nHost: h\r\n" + strings.Replace(header, "HMAC", "ECDSA-P256", 1) +
				framing,
			"half a query": "PUT /b/k?X-Amz-Signature=" + garbage + " HTTP/1.1\r\nHost: h\r\n" + framing,
			"only a token": "PUT /b/k HTTP/1.1\r\nHost: h\r\nX-Amz-Security-Token: t\r\n" + framing,
		} {
			t.Run(payload+" "+name, func(t *testing.T) {
				c, body, err := identifier(people()).Identify(t.Context(), parsed(t, text+"\r\nhello"))
				f := fault.From(err)
				if f == nil || f.Kind != fault.KindDenied && f.Kind != fault.KindInvalid || body != nil ||
					c.Principal().Kind != policy.Nobody {
					t.Fatalf("%v, caller %v", f, c.Principal())
				}
			})
		}
	}
}

// TestAddedHeader: an unsigned header or parameter with a meaning is refused.
func TestAddedHeader(t *testing.T) {
	for _, header := range []string{"X-Amz-Copy-Source: a/b", "X-Amz-Acl: public-read", "X-Amz-Tagging: a=b",
		"x-amz-meta-a: b",
		"X-AMZ-GRANT-READ: id=x", "X-Amz-Mfa: x", "Content-MD5: x", "X-Amz-Security-Token: x",
		"X-Amz-Server-Side-Encryption: AES256"} {
		for _, presigned := range []bool{false, true} {
			text := strings.Replace(sdk{method: "PUT", presigned: presigned}.text(t), "\r\n", "\r\n"+header+"\r\n", 1)
			if _, _, err := identifier(people()).Identify(t.Context(), parsed(t, text)); code(err) != "AccessDenied" {
				t.Errorf("%s, presigned %v: %v", header, presigned, err)
			}
		}
	}
}

func TestAnonymous(t *testing.T) {
	c, body, err := identifier(people()).Identify(t.Context(), parsed(t, "GET /b/k HTTP/1.1\r\nHost: h\r\n\r\n"))
	if err != nil || !c.Anonymous() || c.AccessKeyID() != "" || body == nil {
		t.Fatalf("%v %v", c, err)
	}
	for _, mode := range []string{streamSigned, streamSignedMore} {
		text := "PUT /b/k HTTP/1.1\r\nHost: h\r\nX-Amz-Decoded-Content-Length: 0\r\nX-Amz-Content-Sha256: " + mode +
			"\r\n\r\n"
		if _, _, err := identifier(people()).Identify(t.Context(), parsed(t, text)); err == nil {
			t.Errorf("anonymous %s", mode)
		}
	}
	const framed = "5\r\nhello\r\n0\r\nx-amz-checksum-crc32:NhCmhg==\r\n\r\n"
	text := fmt.Sprintf(
		"PUT /b/k HTTP/1.1\r\nHost: h\r\nX-Amz-Decoded-Content-Length: 5\r\nX-Amz-Trailer: "+
			"x-amz-checksum-crc32\r\nX-Amz-Content-Sha256: %s\r\nContent-Length: %d\r\n\r\n%s",
		streamUnsigned, len(framed), framed,
	)
	_, body, err = identifier(people()).Identify(t.Context(), parsed(t, text))
	if err != nil {
		t.Fatal(err)
	}
	if got, err := io.ReadAll(body); err != nil || string(got) != "hello" || body.Size() != 5 ||
		body.Trailer("x-amz-checksum-crc32") != "NhCmhg==" {
		t.Fatalf("%q %v", got, err)
	}
}

// signText signs a text with the key of the day.
func signText(secret, text string) string {
	key := []byte("AWS4" + secret)
	for _, s := range append(strings.Split(scopeOfTheDay, "/"), text) {
		h := hmac.New(sha256.New, key)
		io.WriteString(h, s)
		key = h.Sum(nil)
	}
	return hex.EncodeToString(key)
}

// TestSignedStream: a signed streaming upload, with chunk signatures that follow the seed signature.
func TestSignedStream(t *testing.T) {
	derive := func(text string) string { return signText(secret, text) }
	s := sdk{
		method: "PUT", payload: streamSigned,
		headers: map[string]string{"X-Amz-Decoded-Content-Length": "5", "Content-Encoding": "aws-chunked"},
	}
	head := strings.TrimSuffix(s.text(t), "\r\n")
	_, rest, _ := strings.Cut(head, "Signature=")
	previous := rest[:64]
	body := ""
	for _, data := range []string{"hello", ""} {
		previous = derive("AWS4-HMAC-SHA256-PAYLOAD\n" + basic + "\n" + scopeOfTheDay + "\n" + previous + "\n" +
			emptySum + "\n" + fmt.Sprintf("%x", sha256.Sum256([]byte(data))))
		body += fmt.Sprintf("%x;chunk-signature=%s\r\n%s\r\n", len(data), previous, data)
	}
	for _, test := range []struct{ body, want string }{
		{body, ""}, {strings.Replace(body, "hello", "hellp", 1), "SignatureDoesNotMatch"},
		{body[:len(body)/2], "IncompleteBody"},
	} {
		t.Run(test.body+" "+test.want, func(t *testing.T) {
			_, stream, err := identifier(people()).
				Identify(t.Context(), parsed(t,
					head+fmt.Sprintf("Content-Length: %d\r\n\r\n", len(test.body))+test.body))
			if err != nil {
				t.Fatal(err)
			}
			if got, err := io.ReadAll(stream); code(err) != test.want || test.want == "" && string(got) != "hello" {
				t.Errorf("%q %v, want %q", got, err, test.want)
			}
		})
	}
}

func TestBodyOfAnotherHash(t *testing.T) {
	_, stream, err := identifier(people()).Identify(t.Context(), parsed(t, sdk{method: "PUT", body: "hello"}.text(t)))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.ReadAll(stream); code(err) != "XAmzContentSHA256Mismatch" {
		t.Fatal(err)
	}
}

// TestChangedSecret: a changed or revoked secret counts from the next request on.
func TestChangedSecret(t *testing.T) {
	b := people()
	i := identifier(b)
	identify := func(s string) string {
		_, _, err := i.Identify(t.Context(), parsed(t, sdk{key: id, secret: s}.text(t)))
		return code(err)
	}
	if got := identify(secret); got != "" {
		t.Fatal(got)
	}
	c := b[id]
	c.Secret = "another secret that was set since then"
	b[id] = c
	if got := identify(secret); got != "SignatureDoesNotMatch" {
		t.Fatalf("the old secret: %q", got)
	}
	if got := identify(c.Secret); got != "" {
		t.Fatalf("the new secret: %q", got)
	}
	c.Active = false
	b[id] = c
	if got := identify(c.Secret); got != "InvalidAccessKeyId" {
		t.Fatalf("a revoked key: %q", got)
	}
}

type brokenBook struct{}

func (brokenBook) Lookup(context.Context, string) (*credential.Credential, error) {
	return &credential.Credential{}, errors.New("no disk")
}

func TestLookupFailsClosed(t *testing.T) {
	c, body, err := New(brokenBook{}, Options{Region: region}).Identify(t.Context(), parsed(t, sdk{}.text(t)))
	if err == nil || body != nil || c.Principal().Kind != policy.Nobody {
		t.Fatalf("%v %v", c, err)
	}
}

func TestKeyCacheIsBounded(t *testing.T) {
	const many = 10_000
	b := people()
	for n := range many {
		id := fmt.Sprintf("AKIA%016d", n)
		b[id] = credential.Credential{AccessKeyID: id, Secret: secret, Active: true, Principal: user()}
	}
	i := identifier(b)
	text := sdk{}.text(t)
	for n := range many {
		// The access key id is not signed, so one signature is valid for every key
		// with this secret.
		if _, _, err := i.Identify(t.Context(),
			parsed(t, strings.Replace(text, id, fmt.Sprintf("AKIA%016d", n), 1))); err != nil {
			t.Fatal(err)
		}
	}
	if i.keys.entries.Bytes() > maxKeys || i.keys.entries.Len() < 1000 || i.keys.entries.Len() == many {
		t.Fatalf("%d entries, %d bytes", i.keys.entries.Len(), i.keys.entries.Bytes())
	}
}

// keysOf returns the condition keys of a request.
func keysOf(t *testing.T, o Options, r *protocol.Request) map[string][]string {
	t.Helper()
	i := New(people(), o)
	c, _, err := i.Identify(t.Context(), r)
	if err != nil {
		t.Fatal(err)
	}
	session := people()[c.AccessKeyID()].Keys
	claim := new(sigv4.Claim)
	if err := i.claim(r, claim); err != nil {
		t.Fatal(err)
	}
	return conditionKeys(r, i.origin(r), claim, region, session)
}

func TestConditionKeys(t *testing.T) {
	r := parsed(t, sdk{headers: map[string]string{"User-Agent": "agent/1", "Referer": "http://a/"}}.text(t))
	r.HTTP.TLS = &tls.ConnectionState{Version: tls.VersionTLS13}
	got := keysOf(t, Options{Region: region}, r)
	for name, want := range map[string]string{
		"aws:securetransport": "true", "s3:tlsversion": "1.3", "aws:useragent": "agent/1", "aws:referer": "http://a/",
		"s3:authtype": "REST-HEADER", "s3:signatureversion": "AWS4-HMAC-SHA256",
		"s3:x-amz-content-sha256": emptySum, "aws:requestedregion": region,
	} {
		t.Run(name, func(t *testing.T) {
			if !slices.Equal(got[name], []string{want}) {
				t.Errorf("%s is %q, want %q", name, got[name], want)
			}
		})
	}
	for _, name := range []string{
		"s3:signatureage", "aws:multifactorauthpresent", "aws:tokenissuetime", "aws:principalarn", "aws:username",
		"aws:userid",
	} {
		if v, ok := got[name]; ok {
			t.Errorf("%s is %q", name, v)
		}
	}
	r = parsed(t, sdk{key: tempID, secret: secret, token: token, presigned: true}.text(t))
	r.At = now().Add(1500 * time.Millisecond)
	got = keysOf(t, Options{Region: region}, r)
	for name, want := range map[string]string{
		"aws:securetransport": "false", "s3:authtype": "REST-QUERY-STRING", "s3:signatureage": "1500",
		"aws:multifactorauthpresent": "true",
	} {
		t.Run(name, func(t *testing.T) {
			if !slices.Equal(got[name], []string{want}) {
				t.Errorf("%s is %q, want %q", name, got[name], want)
			}
		})
	}
	for _, name := range []string{"aws:username", "s3:tlsversion", "s3:x-amz-content-sha256"} {
		if v, ok := got[name]; ok {
			t.Errorf("%s is %q", name, v)
		}
	}
}

// TestHeadersAreNoConditionKeys: no header becomes a condition key about the caller.
func TestHeadersAreNoConditionKeys(t *testing.T) {
	base := keysOf(t, Options{Region: region}, parsed(t, "GET /b HTTP/1.1\r\nHost: h\r\n\r\n"))
	forged := "userid: root\r\nusername: root\r\ngroups: admin\r\njwt-sub: x\r\naws-username: root\r\nprincipalarn: " +
		"x\r\nprincipaltype: Account\r\n" +
		"sourceip: 10.0.0.1\r\nsecuretransport: true\r\nX-Forwarded-Proto: https\r\nmultifactorauthpresent: " +
		"true\r\nX-Amz-Mfa: x\r\nX-Amz-Acl: private\r\n"
	got := keysOf(t, Options{Region: region}, parsed(t, "GET /b HTTP/1.1\r\nHost: h\r\n"+forged+"\r\n"))
	if len(got) != len(base) {
		t.Fatalf("%v\nbut without the headers\n%v", got, base)
	}
	for name := range base {
		if !slices.Equal(base[name], got[name]) {
			t.Errorf("%s became %q", name, got[name])
		}
	}
}

func BenchmarkIdentify(b *testing.B) {
	r := parsed(b, sdk{}.text(b))
	i := identifier(people())
	b.ReportAllocs()
	for b.Loop() {
		if _, _, err := i.Identify(b.Context(), r); err != nil {
			b.Fatal(err)
		}
	}
}
