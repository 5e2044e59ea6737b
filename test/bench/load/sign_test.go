package load

import (
	"bufio"
	"bytes"
	"net/http"
	"strings"
	"testing"
	"time"

	"watertight/internal/gateway/sigv4"
)

// TestSignature: what the generator sends passes the server's own verifier.
func TestSignature(t *testing.T) {
	c := Credentials{"AKIAEXAMPLE", "a secret", "us-east-1"}
	now := time.Date(2026, 11, 30, 23, 59, 59, 0, time.UTC)
	for _, test := range []struct {
		name string
		r    Request
		now  time.Time
	}{
		{"get", Request{Method: "GET", Path: "/bench/get-1-kib-8/1024/1"}, now},
		{"put", Request{Method: "PUT", Path: "/bench/a", Payload: NewPayload([]byte("body"))}, now},
		{"query", Request{Method: "GET", Path: "/bench", Query: "list-type=2&prefix=a%2Fb%2F"}, now},
		{"empty value", Request{Method: "POST", Path: "/bench/a", Query: "uploads="}, now},
		{"more headers", Request{Method: "PUT", Path: "/bench/a", Payload: NewPayload(nil), Headers: []Header{
			{"x-amz-server-side-encryption", "aws:kms"}, {"x-amz-server-side-encryption-bucket-key-enabled", "true"},
		}}, now},
		{"next day", Request{Method: "HEAD", Path: "/bench/a"}, now.Add(time.Second)},
	} {
		t.Run(test.name, func(t *testing.T) {
			s := newSigner(c, "127.0.0.1:9000")
			p := test.r.Payload
			if p == nil {
				p = NewPayload(nil)
			}
			s.head(nil, &Request{Method: "GET", Path: "/"}, NewPayload(nil), now) // nothing of it is left
			head := s.head(nil, &test.r, p, test.now)
			sent, err := http.ReadRequest(bufio.NewReader(bytes.NewReader(append(head, p.Body...))))
			if err != nil {
				t.Fatal(err)
			}
			path, query, _ := strings.Cut(sent.RequestURI, "?")
			claim, err := sigv4.Parse(sent, sigv4.Target{
				Path: path, Query: query, Service: "s3", Region: c.Region,
			}, test.now)
			if err != nil {
				t.Fatal(err)
			}
			key := sigv4.DeriveKey(c.SecretAccessKey, claim.Date, claim.Region, claim.Service)
			if err := claim.Verify(key); err != nil {
				t.Errorf("%v\n%s", err, head)
			}
			if claim.Payload != p.Hash {
				t.Errorf("the hash of the payload is %s, want %s", claim.Payload, p.Hash)
			}
		})
	}
}

// TestCheck: what would be signed wrongly is refused.
func TestCheck(t *testing.T) {
	for _, test := range []struct {
		name string
		r    Request
	}{
		{"upper case", Request{Path: "/a", Headers: []Header{{"X-Amz-Meta-A", "b"}}}},
		{"before the date", Request{Path: "/a", Headers: []Header{{"content-type", "b"}}}},
		{"out of order", Request{Path: "/a", Headers: []Header{{"x-amz-meta-b", "1"}, {"x-amz-meta-a", "1"}}}},
		{"spaces", Request{Path: "/a", Headers: []Header{{"x-amz-meta-a", " b"}}}},
		{"no path", Request{}},
	} {
		t.Run(test.name, func(t *testing.T) {
			if test.r.check() == nil {
				t.Error("it is accepted")
			}
		})
	}
}

func BenchmarkHead(b *testing.B) {
	s := newSigner(Credentials{"AKIAEXAMPLE", "a secret", "us-east-1"}, "127.0.0.1:9000")
	r, p, now := Request{Method: "PUT", Path: "/bench/put-1-kib-8/1024/1"}, NewPayload(make([]byte, 1024)), time.Now()
	buf := make([]byte, 0, 4096)
	b.ReportAllocs()
	for b.Loop() {
		buf = s.head(buf[:0], &r, p, now)
	}
}
