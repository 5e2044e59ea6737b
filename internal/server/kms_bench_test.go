package server

import (
	"bytes"
	"net/http"
	"testing"
)

// BenchmarkKMSRequest is BenchmarkRequest for objects under a key of KMS with a bucket
// key, beside the same requests under SSE-S3.
func BenchmarkKMSRequest(b *testing.B) {
	s := newInHouse(b)
	s.signer.AccessKeyID, s.signer.SecretAccessKey = s.newUser("bench", benchPolicy)
	content := bytes.Repeat([]byte("x"), 1024)
	if code := s.send(http.MethodPut, "/bench", nil)(); code != http.StatusOK {
		b.Fatal(code)
	}
	for _, c := range []struct {
		name, key string
		headers   []string
	}{
		{"SSE-S3", "/bench/plain", nil},
		{"SSE-KMS", "/bench/kms", []string{
			"X-Amz-Server-Side-Encryption", "aws:kms",
			"X-Amz-Server-Side-Encryption-Bucket-Key-Enabled", "true",
		}},
	} {
		put := s.send(http.MethodPut, c.key, content, c.headers...)
		if code := put(); code != http.StatusOK {
			b.Fatal(code)
		}
		b.Run("PUT/"+c.name, func(b *testing.B) { repeat(b, put) })
		b.Run("GET/"+c.name, func(b *testing.B) { repeat(b, s.send(http.MethodGet, c.key, nil)) })
	}
}

func repeat(b *testing.B, do func() int) {
	b.ReportAllocs()
	for b.Loop() {
		if code := do(); code != http.StatusOK {
			b.Fatal(code)
		}
	}
}
