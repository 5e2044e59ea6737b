package server

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"io"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"
)

// BenchmarkRequest is what requests for small objects cost in the server alone:
// no connection, no client. ns/op has the disk in it; allocs/op has not.
func BenchmarkRequest(b *testing.B) {
	dir := b.TempDir()
	s, err := Build(b.Context(), Config{
		Data: filepath.Join(dir, "data"), Listen: []string{"127.0.0.1:0"}, Region: "us-east-1", RootKey: "file:" + filepath.Join(dir, "root.key"),
		Root: RootCredentials{AccessKeyID: "AKIATESTTESTTESTTEST", SecretAccessKey: "test-secret-of-a-server-that-is-thrown-away"},
	})
	if err != nil {
		b.Fatal(err)
	}
	defer s.Close(context.WithoutCancel(b.Context()))
	content := bytes.Repeat([]byte("x"), 1024)
	send := func(method, target string, body []byte) func() int {
		sum := sha256.Sum256(body)
		hash := hex.EncodeToString(sum[:])
		signed := httptest.NewRequest(method, "http://127.0.0.1"+target, bytes.NewReader(body))
		signed.Header.Set("X-Amz-Content-Sha256", hash)
		cred := aws.Credentials{AccessKeyID: "AKIATESTTESTTESTTEST", SecretAccessKey: "test-secret-of-a-server-that-is-thrown-away"}
		if err := v4.NewSigner().SignHTTP(b.Context(), cred, signed, hash, "s3", "us-east-1", time.Now()); err != nil {
			b.Fatal(err)
		}
		return func() int {
			r := signed.Clone(signed.Context())
			r.Body = io.NopCloser(bytes.NewReader(body))
			w := httptest.NewRecorder()
			s.dispatcher.ServeHTTP(w, r)
			return w.Code
		}
	}
	if code := send(http.MethodPut, "/bench", nil)(); code != 200 {
		b.Fatal(code)
	}
	put, remove := send(http.MethodPut, "/bench/k", content), send(http.MethodDelete, "/bench/k", nil)
	if code := put(); code != 200 { // so that each line can run alone
		b.Fatal(code)
	}
	for _, c := range []struct {
		name   string
		before func() int
		do     func() int
		want   int
	}{
		{"PUT", nil, put, 200},
		{"GET", nil, send(http.MethodGet, "/bench/k", nil), 200},
		{"HEAD", nil, send(http.MethodHead, "/bench/k", nil), 200},
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
