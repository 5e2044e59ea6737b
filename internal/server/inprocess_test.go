package server

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strings"
	"testing"
	"time"

	"watertight/internal/core/distribution"
	"watertight/internal/edge/origin"
)

const (
	oacAccount = "111122223333"
	oacARN     = "arn:aws:cloudfront::111122223333:distribution/E1"
)

// oacPolicy is a bucket policy with statements of the service principal.
func oacPolicy(statements ...string) []byte {
	return []byte(`{"Version":"2012-10-17","Statement":[` + strings.Join(statements, ",") + `]}`)
}

// oacAllow allows the service principal actions under a condition.
func oacAllow(actions, resource, condition string) string {
	return `{"Effect":"Allow","Principal":{"Service":"cloudfront.amazonaws.com"},"Action":` + actions +
		`,"Resource":"arn:aws:s3:::box` + resource + `","Condition":` + condition + `}`
}

const (
	byARN     = `{"StringEquals":{"AWS:SourceArn":"` + oacARN + `"}}`
	byAccount = `{"StringEquals":{"aws:SourceAccount":"` + oacAccount + `"}}`
)

// newBox is a server with a bucket, box, and an object in it.
func newBox(t *testing.T) *inHouse {
	t.Helper()
	s := newInHouse(t)
	if code := s.send(http.MethodPut, "/box", nil)(); code != 200 {
		t.Fatal(code)
	}
	if code := s.send(http.MethodPut, "/box/page", []byte("content"))(); code != 200 {
		t.Fatal(code)
	}
	return s
}

// from asks a bucket of the store as an edge does.
func (s *inHouse) from(t *testing.T, sender origin.Sender, method, target, body string, headers ...string) (
	int, string) {
	t.Helper()
	r := httptest.NewRequest(method, "https://box.s3.amazonaws.com"+target, strings.NewReader(body))
	if body == "" {
		r.Body, r.ContentLength = http.NoBody, 0
	}
	for i := 0; i+1 < len(headers); i += 2 {
		r.Header.Set(headers[i], headers[i+1])
	}
	res, err := s.origins.RoundTrip(t.Context(), "box", r, sender)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	b, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return res.StatusCode, string(b)
}

// TestServicePrincipal: what the policies of a bucket allow the service principal, with all
// of Block Public Access on.
func TestServicePrincipal(t *testing.T) {
	s := newBox(t)
	own := origin.Sender{Signs: true, SourceARN: oacARN, SourceAccount: oacAccount}
	other := origin.Sender{
		Signs: true, SourceARN: distribution.ARN(oacAccount, "distribution", "E2"), SourceAccount: oacAccount,
	}
	foreign := origin.Sender{
		Signs: true, SourceARN: distribution.ARN("444455556666", "distribution", "E1"), SourceAccount: "444455556666",
	}
	anonymous := origin.Sender{SourceARN: oacARN, SourceAccount: oacAccount, Secure: true}
	const get, list, put = `"s3:GetObject"`, `"s3:ListBucket"`, `["s3:PutObject","s3:DeleteObject"]`
	deny := func(condition string) string {
		return `{"Effect":"Deny","Principal":"*","Action":"s3:GetObject","Resource":"arn:aws:s3:::box/*","Condition":` +
			condition + `}`
	}
	for name, c := range map[string]struct {
		policy  []string
		from    origin.Sender
		request [2]string
		want    int
	}{
		"no policy":              {nil, own, [2]string{"GET", "/page"}, 403},
		"by ARN":                 {[]string{oacAllow(get, "/*", byARN)}, own, [2]string{"GET", "/page"}, 200},
		"HEAD":                   {[]string{oacAllow(get, "/*", byARN)}, own, [2]string{"HEAD", "/page"}, 200},
		"another distribution":   {[]string{oacAllow(get, "/*", byARN)}, other, [2]string{"GET", "/page"}, 403},
		"by account":             {[]string{oacAllow(get, "/*", byAccount)}, other, [2]string{"GET", "/page"}, 200},
		"another account by ARN": {[]string{oacAllow(get, "/*", byARN)}, foreign, [2]string{"GET", "/page"}, 403},
		"another account":        {[]string{oacAllow(get, "/*", byAccount)}, foreign, [2]string{"GET", "/page"}, 403},
		"not signed":             {[]string{oacAllow(get, "/*", byARN)}, anonymous, [2]string{"GET", "/page"}, 403},
		"everyone with the ARN": {
			[]string{strings.Replace(oacAllow(get, "/*", byARN), `{"Service":"cloudfront.amazonaws.com"}`, `"*"`, 1)},
			anonymous, [2]string{"GET", "/page"}, 403,
		},
		"missing": {[]string{oacAllow(get, "/*", byARN)}, own, [2]string{"GET", "/none"}, 403},
		"missing, may list": {
			[]string{oacAllow(get, "/*", byARN), oacAllow(list, "", byARN)}, own, [2]string{"GET", "/none"}, 404,
		},
		"lists":                 {[]string{oacAllow(list, "", byARN)}, own, [2]string{"GET", "/?list-type=2"}, 200},
		"may not list":          {[]string{oacAllow(get, "/*", byARN)}, own, [2]string{"GET", "/?list-type=2"}, 403},
		"writes an escaped key": {[]string{oacAllow(put, "/a b", byARN)}, own, [2]string{"PUT", "/a%20b"}, 200},
		"writes":                {[]string{oacAllow(put, "/*", byARN)}, own, [2]string{"PUT", "/new"}, 200},
		"deletes":               {[]string{oacAllow(put, "/*", byARN)}, own, [2]string{"DELETE", "/new"}, 204},
		"may not write":         {[]string{oacAllow(get, "/*", byARN)}, own, [2]string{"PUT", "/new"}, 403},
		"settings are the owner's": {
			[]string{oacAllow(`"s3:*"`, "", byARN)}, own, [2]string{"PUT", "/?versioning"}, 403,
		},
		"no other bucket": {[]string{oacAllow(get, "/*", byARN)}, own, [2]string{"GET", "/../other/key"}, 400},
		"denied": {
			[]string{oacAllow(get, "/*", byARN), deny(`{"StringLike":{"aws:SourceArn":"*"}}`)}, own,
			[2]string{"GET", "/page"}, 403,
		},
		"denied without TLS": {
			[]string{oacAllow(get, "/*", byARN), deny(`{"Bool":{"aws:SecureTransport":"false"}}`)}, own,
			[2]string{"GET", "/page"}, 200,
		},
		"denied to all but services": {
			[]string{oacAllow(get, "/*", byARN), deny(`{"Bool":{"aws:PrincipalIsAWSService":"false"}}`)}, own,
			[2]string{"GET", "/page"}, 200,
		},
		"denied outside a network": { // like AWS: a service has no address, so this denies it
			[]string{oacAllow(get, "/*", byARN), deny(`{"NotIpAddress":{"aws:SourceIp":"192.0.2.0/24"}}`)}, own,
			[2]string{"GET", "/page"}, 403,
		},
		"another service": {
			[]string{strings.Replace(oacAllow(get, "/*", byARN), "cloudfront.", "logging.s3.", 1)}, own,
			[2]string{"GET", "/page"}, 403,
		},
	} {
		t.Run(name, func(t *testing.T) {
			if c.policy == nil {
				s.send(http.MethodDelete, "/box?policy=", nil)()
			} else if code := s.send(http.MethodPut, "/box?policy=", oacPolicy(c.policy...))(); code != 204 {
				t.Fatalf("the policy: %d", code)
			}
			body := ""
			if c.request[0] == "PUT" {
				body = `<VersioningConfiguration><Status>Enabled</Status></VersioningConfiguration>`
			}
			if got, text := s.from(t, c.from, c.request[0], c.request[1], body); got != c.want {
				t.Errorf("%d %s, want %d", got, text, c.want)
			}
		})
	}
}

// TestNobodyElseIsTheService: no request from the network, and no other signature on the
// edge's own, passes for the service principal.
func TestNobodyElseIsTheService(t *testing.T) {
	s := newBox(t)
	everyone := strings.Replace(oacAllow(`"s3:GetObject"`, "/*", byARN), `{"Service":"cloudfront.amazonaws.com"}`,
		`"*"`, 1)
	if code := s.send(http.MethodPut, "/box?policy=", oacPolicy(oacAllow(`"s3:GetObject"`, "/*", byARN),
		everyone))(); code != 204 {
		t.Fatal(code)
	}
	for _, name := range []string{
		"aws:SourceArn", "AWS-SourceArn", "x-amz-source-arn", "x-amz-source-account", "x-amz-sourcearn",
		"x-watertight-distribution", "x-watertight-source-arn", "x-amz-cf-id", "x-amz-principal-service-name",
	} {
		t.Run(name, func(t *testing.T) {
			r := httptest.NewRequest(http.MethodGet, "http://127.0.0.1/box/page", nil)
			r.Header[http.CanonicalHeaderKey(name)] = []string{oacARN}
			w := httptest.NewRecorder()
			if s.dispatcher.ServeHTTP(w, r); w.Code < 400 {
				t.Errorf("as a header: %d", w.Code)
			}
			r = httptest.NewRequest(http.MethodGet, "http://127.0.0.1/box/page?"+name+"="+oacARN, nil)
			w = httptest.NewRecorder()
			if s.dispatcher.ServeHTTP(w, r); w.Code < 400 {
				t.Errorf("as a parameter: %d", w.Code)
			}
		})
	}
	own := origin.Sender{Signs: true, SourceARN: oacARN, SourceAccount: oacAccount}
	for name, h := range map[string][2]string{
		"a signature": {"Authorization", "AWS4-HMAC-SHA256 Credential=AKIATESTTESTTESTTEST/20260101/us-east-1/s3/" +
			"aws4_request, SignedHeaders=host, Signature=" + strings.Repeat("0", 64)},
		"another scheme": {"Authorization", "Bearer token"},
		"a token":        {"X-Amz-Security-Token", "token"},
	} {
		t.Run(name, func(t *testing.T) {
			if code, _ := s.from(t, own, "GET", "/page", "", h[0], h[1]); code != 400 && code != 403 {
				t.Errorf("%s beside the service's own: %d", name, code)
			}
		})
	}
	if code, _ := s.from(t, own, "GET", "/page?X-Amz-Signature=0&X-Amz-Algorithm=AWS4-HMAC-SHA256", ""); code != 400 {
		t.Errorf("a presigned URL beside the service's own signature: %d", code)
	}
	if code, text := s.from(t, own, "GET", "/page", ""); code != 200 || text != "content" {
		t.Errorf("the service: %d %q", code, text)
	}
}

// TestInProcessStreams: a response is streamed, ends with its context, and leaves nothing
// that runs.
func TestInProcessStreams(t *testing.T) {
	s := newBox(t)
	if code := s.send(http.MethodPut, "/box?policy=", oacPolicy(oacAllow(`["s3:GetObject","s3:PutObject"]`, "/*",
		byARN)))(); code != 204 {
		t.Fatal(code)
	}
	large := bytes.Repeat([]byte("0123456789abcdef"), 1<<18)
	own := origin.Sender{Signs: true, SourceARN: oacARN, SourceAccount: oacAccount}
	if code, text := s.from(t, own, "PUT", "/large", string(large)); code != 200 {
		t.Fatal(code, text)
	}
	if code, text := s.from(t, own, "GET", "/large", "", "Range", "bytes=16-31"); code != 206 ||
		text != string(large[:16]) {
		t.Errorf("a range: %d %q", code, text)
	}
	s.origins.running.Wait()
	before := runtime.NumGoroutine()
	for range 20 {
		ctx, cancel := context.WithCancel(t.Context())
		r := httptest.NewRequest("GET", "https://box.s3.amazonaws.com/large", nil)
		res, err := s.origins.RoundTrip(ctx, "box", r, own)
		if err != nil {
			t.Fatal(err)
		}
		if res.ContentLength != int64(len(large)) {
			t.Errorf("length %d", res.ContentLength)
		}
		if _, err := io.ReadFull(res.Body, make([]byte, 100)); err != nil {
			t.Fatal(err)
		}
		cancel()
		if n, err := io.Copy(io.Discard, res.Body); !errors.Is(err, context.Canceled) && n+100 != int64(len(large)) {
			t.Errorf("after the context ended: %d bytes, %v", n, err)
		}
		r = httptest.NewRequest("GET", "https://box.s3.amazonaws.com/large", nil)
		if res, err = s.origins.RoundTrip(t.Context(), "box", r, own); err != nil {
			t.Fatal(err)
		}
		res.Body.Close()
	}
	s.origins.running.Wait()
	for wait := time.Millisecond; runtime.NumGoroutine() > before && wait < time.Second; wait *= 2 {
		time.Sleep(wait) // context.AfterFunc's goroutines end by themselves
	}
	if n := runtime.NumGoroutine(); n > before {
		t.Errorf("%d goroutines, %d before", n, before)
	}
}
