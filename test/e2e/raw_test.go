package e2e

import (
	"bytes"
	"cmp"
	"context"
	"crypto/md5"
	"crypto/sha256"
	"encoding/hex"
	"encoding/xml"
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"

	"watertight/test/harness"
)

// raw is a request that no SDK would send.
type raw struct {
	method, target string // target is path and query, sent unchanged
	header         http.Header
	body           string
	hash           string // x-amz-content-sha256; empty for the body's hash
	unsigned       bool   // not signed
	key, secret    string // empty for the server's root user
	at             time.Time
	breakSignature bool
	presign        bool
	expires        string // of a presigned URL; empty for 600 seconds
	host           string // empty for the endpoint's
	service        string // of the credential scope; empty for s3
}

type answer struct {
	status int
	header http.Header
	body   string
	code   string // of the error document
}

// send makes the request over a new connection.
func send(t *testing.T, s *harness.Server, r raw) answer {
	t.Helper()
	return roundTrip(t, s, signedRequest(t, s, r))
}

// roundTrip sends a request and reads the answer.
func roundTrip(t *testing.T, s *harness.Server, req *http.Request) answer {
	t.Helper()
	res, err := s.HTTP.RoundTrip(req)
	if err != nil {
		t.Fatalf("%s %s: %v", req.Method, req.URL, err)
	}
	defer res.Body.Close()
	return read(t, res)
}

// sendChanged signs a request, changes it and sends it.
func sendChanged(t *testing.T, s *harness.Server, r raw, change func(*http.Request)) answer {
	t.Helper()
	req := signedRequest(t, s, r)
	change(req)
	return roundTrip(t, s, req)
}

// signedRequest returns the request as it would be sent, for tests that change it after it was
// signed.
func signedRequest(t *testing.T, s *harness.Server, r raw) *http.Request {
	t.Helper()
	path, query, _ := strings.Cut(r.target, "?")
	req, err := http.NewRequestWithContext(t.Context(), r.method, s.Endpoint, bytes.NewReader([]byte(r.body)))
	if err != nil {
		t.Fatal(err)
	}
	req.Host = cmp.Or(r.host, req.Host)
	req.URL.Opaque = "//" + req.Host + path // as it is, not cleaned
	req.URL.RawQuery = query
	for k, v := range r.header {
		req.Header[k] = v
	}
	if !r.unsigned {
		sign(t, s, req, r)
	}
	return req
}

func read(t *testing.T, res *http.Response) answer {
	t.Helper()
	b, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	a := answer{status: res.StatusCode, header: res.Header, body: string(b)}
	var e struct {
		XMLName xml.Name `xml:"Error"`
		Code    string
		Message string
	}
	if len(b) > 0 && res.StatusCode >= 300 && xml.Unmarshal(inError(b), &e) == nil {
		a.code = e.Code
	}
	return a
}

// inError removes the element that S3 Control puts around an error.
func inError(b []byte) []byte {
	if i := bytes.Index(b, []byte("<ErrorResponse><Error>")); i >= 0 {
		b = b[i+len("<ErrorResponse>"):]
		b = b[:bytes.Index(b, []byte("</Error>"))+len("</Error>")]
	}
	return b
}

func sign(t *testing.T, s *harness.Server, req *http.Request, r raw) {
	t.Helper()
	hash := r.hash
	if hash == "" {
		sum := sha256.Sum256([]byte(r.body))
		hash = hex.EncodeToString(sum[:])
	}
	at := r.at
	if at.IsZero() {
		at = time.Now()
	}
	cred := aws.Credentials{AccessKeyID: s.AccessKeyID, SecretAccessKey: s.SecretAccessKey}
	if r.key != "" {
		cred = aws.Credentials{AccessKeyID: r.key, SecretAccessKey: r.secret}
	}
	signer := v4.NewSigner(func(o *v4.SignerOptions) { o.DisableURIPathEscaping = true })
	if r.presign {
		q := req.URL.Query()
		q.Set("X-Amz-Expires", cmp.Or(r.expires, "600"))
		req.URL.RawQuery = q.Encode()
		url, headers, err := signer.PresignHTTP(context.Background(), cred, req, "UNSIGNED-PAYLOAD", "s3", s.Region, at)
		if err != nil {
			t.Fatal(err)
		}
		_, req.URL.RawQuery, _ = strings.Cut(url, "?")
		for k := range req.Header { // headers that were hoisted into the query
			if strings.HasPrefix(k, "X-Amz-") {
				delete(req.Header, k)
			}
		}
		for k, v := range headers {
			req.Header[k] = v
		}
	} else {
		req.Header.Set("X-Amz-Content-Sha256", hash)
		if err := signer.SignHTTP(context.Background(), cred, req, hash, cmp.Or(r.service, "s3"), s.Region,
			at); err != nil {
			t.Fatal(err)
		}
	}
	if r.breakSignature {
		breakSignature(req)
	}
}

// breakSignature changes the last digit of the signature.
func breakSignature(req *http.Request) {
	other := func(s string) string {
		if s[len(s)-1] == '0' {
			return s[:len(s)-1] + "1"
		}
		return s[:len(s)-1] + "0"
	}
	if a := req.Header.Get("Authorization"); a != "" {
		req.Header.Set("Authorization", other(a))
	}
	if q := req.URL.Query(); q.Has("X-Amz-Signature") {
		q.Set("X-Amz-Signature", other(q.Get("X-Amz-Signature")))
		req.URL.RawQuery = q.Encode()
	}
}

func md5Of(s string) []byte {
	sum := md5.Sum([]byte(s))
	return sum[:]
}

// unescape undoes encoding-type=url.
func unescape(t *testing.T, s string) string {
	t.Helper()
	u, err := url.QueryUnescape(s)
	if err != nil {
		t.Fatal(err)
	}
	return u
}
