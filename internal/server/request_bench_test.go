package server

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"path/filepath"
	"regexp"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"
)

// inHouse returns a server that a test calls without a connection or a client.
type inHouse struct {
	*Server
	tb     testing.TB
	signer aws.Credentials
}

func newInHouse(tb testing.TB) *inHouse {
	tb.Helper()
	s := serverIn(tb, tb.TempDir())
	tb.Cleanup(func() { s.Close(context.WithoutCancel(tb.Context())) })
	return s
}

const (
	inHouseKey    = "AKIATESTTESTTESTTEST"
	inHouseSecret = "test-secret-of-a-server-that-is-thrown-away"
)

// serverIn builds a server in a directory.
func serverIn(tb testing.TB, dir string) *inHouse {
	tb.Helper()
	s, err := Build(tb.Context(), Config{
		Data: filepath.Join(dir, "data"), Listen: []string{"127.0.0.1:0"}, Region: "us-east-1",
		RootKey: "file:" + filepath.Join(dir, "root.key"),
		Root:    RootCredentials{AccessKeyID: inHouseKey, SecretAccessKey: inHouseSecret},
	})
	if err != nil {
		tb.Fatal(err)
	}
	return &inHouse{s, tb, aws.Credentials{AccessKeyID: inHouseKey, SecretAccessKey: inHouseSecret}}
}

// newUser makes a user with an inline policy and an access key.
func (s *inHouse) newUser(name, policy string) (key, secret string) {
	s.tb.Helper()
	call := func(action string, params ...string) string {
		form := url.Values{"Action": {action}, "Version": {"2010-05-08"}, "UserName": {name}}
		for i := 0; i+1 < len(params); i += 2 {
			form.Set(params[i], params[i+1])
		}
		body := []byte(form.Encode())
		sum := sha256.Sum256(body)
		r := httptest.NewRequest(http.MethodPost, "http://127.0.0.1/", bytes.NewReader(body))
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		hash := hex.EncodeToString(sum[:])
		err := v4.NewSigner().SignHTTP(s.tb.Context(), s.signer, r, hash, "iam", "us-east-1", time.Now())
		if err != nil {
			s.tb.Fatal(err)
		}
		w := httptest.NewRecorder()
		s.dispatcher.ServeHTTP(w, r)
		if w.Code != http.StatusOK {
			s.tb.Fatal(w.Code, w.Body)
		}
		return w.Body.String()
	}
	call("CreateUser")
	call("PutUserPolicy", "PolicyName", "all", "PolicyDocument", policy)
	answer := call("CreateAccessKey")
	within := func(element string) string {
		m := regexp.MustCompile("<" + element + ">([^<]*)</").FindStringSubmatch(answer)
		if m == nil {
			s.tb.Fatal(answer)
		}
		return m[1]
	}
	return within("AccessKeyId"), within("SecretAccessKey")
}

// send returns a function that sends a signed request and returns the status of its answer. headers are
// names and values.
func (s *inHouse) send(method, target string, body []byte, headers ...string) func() int {
	s.tb.Helper()
	sum := sha256.Sum256(body)
	hash := hex.EncodeToString(sum[:])
	signed := httptest.NewRequest(method, "http://127.0.0.1"+target, bytes.NewReader(body))
	signed.Header.Set("X-Amz-Content-Sha256", hash)
	for i := 0; i+1 < len(headers); i += 2 {
		signed.Header.Set(headers[i], headers[i+1])
	}
	err := v4.NewSigner().SignHTTP(s.tb.Context(), s.signer, signed, hash, "s3", "us-east-1", time.Now())
	if err != nil {
		s.tb.Fatal(err)
	}
	signed.RemoteAddr = "127.0.0.1:40000" // keys of KMS are used over a secure channel only
	local := context.WithValue(signed.Context(), http.LocalAddrContextKey,
		&net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: 9000})
	return func() int {
		r := signed.Clone(local)
		r.Body = io.NopCloser(bytes.NewReader(body))
		w := lined{httptest.NewRecorder()}
		s.dispatcher.ServeHTTP(w, r)
		return w.Code
	}
}

// lined takes header lines, as responses over a plain connection do, and forgets them.
type lined struct{ *httptest.ResponseRecorder }

func (lined) AddLines(_, _ []byte) bool { return true }

const benchPolicy = `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":["s3:*",` +
	`"kms:GenerateDataKey","kms:Decrypt"],"Resource":"*"}]}`

// BenchmarkRequest measures what requests for small objects cost in the server
// only: no connection, no client. ns/op includes the disk; allocs/op does not.
func BenchmarkRequest(b *testing.B) {
	s := newInHouse(b)
	s.signer.AccessKeyID, s.signer.SecretAccessKey = s.newUser("bench", benchPolicy)
	content := bytes.Repeat([]byte("x"), 1024)
	if code := s.send(http.MethodPut, "/bench", nil)(); code != 200 {
		b.Fatal(code)
	}
	put, remove := s.send(http.MethodPut, "/bench/k", content), s.send(http.MethodDelete, "/bench/k", nil)
	if code := put(); code != 200 { // so that each benchmark can run alone
		b.Fatal(code)
	}
	for _, c := range []struct {
		name   string
		before func() int
		do     func() int
		want   int
	}{
		{"PUT", nil, put, 200},
		{"GET", nil, s.send(http.MethodGet, "/bench/k", nil), 200},
		{"HEAD", nil, s.send(http.MethodHead, "/bench/k", nil), 200},
		{"PUT and DELETE", put, remove, 204},
	} {
		b.Run(c.name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if c.before != nil {
					c.before()
				}
				if code := c.do(); code != c.want {
					b.Fatal(code)
				}
			}
		})
	}
}
