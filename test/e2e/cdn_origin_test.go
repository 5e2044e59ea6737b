package e2e

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strconv"
	"strings"
	"testing"
	"time"

	"watertight/internal/core/distribution"
	"watertight/internal/server"
	"watertight/test/harness"
)

// originServer is a server with its CDN, and a distribution of a custom origin.
func originServer(t *testing.T, h http.Handler, allowed bool) (*harness.Server, *httptest.Server) {
	t.Helper()
	custom := httptest.NewServer(h)
	t.Cleanup(custom.Close)
	at, err := url.Parse(custom.URL)
	if err != nil {
		t.Fatal(err)
	}
	port, err := strconv.Atoi(at.Port())
	if err != nil {
		t.Fatal(err)
	}
	s := harness.Start(t, func(c *server.Config) {
		c.CDN.Listen = "127.0.0.1:0"
		if allowed {
			c.CDN.AllowOrigins = []string{at.Host}
		}
	})
	second := int64(60)
	s.ApplyCDN(t, &distribution.Snapshot{Generation: 1, Sites: []distribution.Site{{
		ID: cdnID, Account: "111122223333", DomainName: cdnHost,
		Config: distribution.Config{
			Origins: distribution.Origins{Items: []distribution.Origin{{
				Id: "o", DomainName: at.Hostname(), CustomOriginConfig: &distribution.CustomOriginConfig{
					HTTPPort: port, HTTPSPort: 443, OriginProtocolPolicy: "http-only",
				},
			}}},
			DefaultCacheBehavior: distribution.CacheBehavior{
				TargetOriginId: "o", ViewerProtocolPolicy: "allow-all", CachePolicyId: "p",
				AllowedMethods: distribution.AllowedMethods{Items: []string{"GET", "HEAD", "POST"}},
			},
			Enabled: true,
		},
		CachePolicies: map[string]distribution.CachePolicyConfig{"p": {DefaultTTL: &second, MaxTTL: &second}},
	}}})
	return s, custom
}

// An origin that echoes requests can't be used to show one viewer's input to another.
func TestCDNReflectingOrigin(t *testing.T) {
	s, custom := originServer(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprintf(w, "%s %s %s\n", r.Method, r.Host, r.RequestURI)
		for name, values := range r.Header {
			if name != "X-Amz-Cf-Id" && name != "Via" {
				fmt.Fprintf(w, "%s: %q\n", name, values)
			}
		}
	}), true)
	words := []string{
		"X-Forwarded-Host", "X-Forwarded-For", "X-Forwarded-Proto", "X-Forwarded-Port", "X-Forwarded-Prefix",
		"Forwarded",
		"X-Host", "X-Original-URL", "X-Rewrite-URL", "X-HTTP-Method-Override", "X-Real-IP", "True-Client-IP", "Referer",
		"Origin", "User-Agent", "Accept", "Accept-Language", "Cookie", "Authorization", "Proxy", "Proxy-Authorization",
		"Range", "If-None-Match", "If-Modified-Since", "X-Amz-Meta-A", "X-Watertight-A", "Cloudfront-Viewer-Country",
	}
	for _, word := range words {
		t.Run(word, func(t *testing.T) {
			path := "/" + word
			if _, body := cdnGet(t, s, cdnHost, path, word, "evil.example"); strings.Contains(body, "evil.example") {
				t.Errorf("the origin got it: %s", body)
			}
			if resp, body := cdnGet(t, s, cdnHost, path); strings.Contains(body, "evil.example") ||
				resp.Header.Get("X-Cache") != "Hit from cloudfront" {
				t.Errorf("%q: %s", resp.Header, body)
			}
		})
	}
	_, body := cdnGet(t, s, cdnHost, "/plain?q=evil")
	if want := "GET " + strings.TrimPrefix(custom.URL, "http://") + " /plain\n"; !strings.HasPrefix(body, want) {
		t.Errorf("%q is not asked: %q", want, body)
	}
}

// Servers that the operator did not allow are not called.
func TestCDNUnknownOrigin(t *testing.T) {
	called := false
	s, _ := originServer(t, http.HandlerFunc(func(http.ResponseWriter, *http.Request) { called = true }), false)
	if resp, _ := cdnGet(t, s, cdnHost, "/a"); resp.StatusCode != http.StatusBadGateway || called {
		t.Errorf("%d, called: %v", resp.StatusCode, called)
	}
}

// The edge passes on each piece of a response when it arrives. If the origin breaks off, the
// viewer notices.
func TestCDNStreams(t *testing.T) {
	next := make(chan struct{})
	s, _ := originServer(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/echo":
			io.Copy(w, r.Body)
		case "/pieces":
			for range 3 {
				fmt.Fprintln(w, "piece")
				http.NewResponseController(w).Flush()
				<-next
			}
		case "/broken":
			w.Header().Set("Content-Length", "100")
			fmt.Fprint(w, "short")
			panic(http.ErrAbortHandler)
		case "/away":
			http.Redirect(w, r, "http://127.0.0.1:1/", http.StatusFound)
		}
	}), true)

	resp, body := cdnDo(t, s, http.MethodPost, cdnHost, "/echo", strings.NewReader("hello"))
	if resp.StatusCode != http.StatusOK || body != "hello" {
		t.Errorf("an echo: %d %q", resp.StatusCode, body)
	}
	if resp, _ = cdnGet(t, s, cdnHost, "/away"); resp.StatusCode != http.StatusFound ||
		resp.Header.Get("Location") != "http://127.0.0.1:1/" {
		t.Errorf("a redirect: %d %q", resp.StatusCode, resp.Header)
	}

	conn, err := net.Dial("tcp", strings.TrimPrefix(s.CDN(), "http://"))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	fmt.Fprintf(conn, "GET /pieces HTTP/1.1\r\nHost: %s\r\n\r\n", cdnHost)
	resp, err = http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewReader(resp.Body)
	for range 3 { // the origin waits until the viewer has the piece before
		conn.SetReadDeadline(time.Now().Add(time.Minute))
		if line, err := lines.ReadString('\n'); line != "piece\n" {
			t.Fatalf("%q, %v", line, err)
		}
		next <- struct{}{}
	}
	if _, err := lines.ReadString('\n'); err != io.EOF {
		t.Errorf("after the last piece: %v", err)
	}

	for range 2 { // the second one does not come from the cache either
		r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, s.CDN()+"/broken", nil)
		if err != nil {
			t.Fatal(err)
		}
		r.Host = cdnHost
		if resp, err = s.HTTP.RoundTrip(r); err != nil {
			continue
		}
		if _, err := io.ReadAll(resp.Body); err == nil && resp.StatusCode == http.StatusOK {
			t.Error("a part was taken for the whole")
		}
		resp.Body.Close()
	}
}
