package e2e

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	s3types "github.com/aws/aws-sdk-go-v2/service/s3/types"
	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"

	"watertight/internal/certs"
	"watertight/internal/core/distribution"
	"watertight/internal/server"
	"watertight/test/harness"
)

// The tests of this file put distributions into the edge directly; those of the API make
// them by the SDK.

const (
	cdnID   = "E2EXAMPLE1"
	cdnHost = "d111111abcdef8.cloudfront.net"
)

// cdnServer is a server with its CDN on loopback, a private bucket with an index page, and
// the distribution in front of it.
func cdnServer(t *testing.T, change ...func(*server.Config)) (*harness.Server, *distribution.Site) {
	t.Helper()
	on := func(c *server.Config) { c.CDN.Listen = "127.0.0.1:0" }
	s := harness.Start(t, append([]func(*server.Config){on}, change...)...)
	if _, err := s.S3.CreateBucket(t.Context(), &s3.CreateBucketInput{Bucket: aws.String("site")}); err != nil {
		t.Fatal(err)
	}
	cdnPut(t, s, "index.html", "<h1>hello</h1>")
	account := accountOf(t, s, rootOf(s))
	site := &distribution.Site{
		ID: cdnID, Account: account, DomainName: cdnHost,
		Config: distribution.Config{
			Aliases: distribution.Aliases{Quantity: 1, Items: []string{"www.example.com"}},
			Origins: distribution.Origins{Quantity: 1, Items: []distribution.Origin{{
				Id: "o", DomainName: "site.s3.amazonaws.com", S3OriginConfig: &distribution.S3OriginConfig{},
				OriginAccessControlId: "O1",
			}}},
			DefaultCacheBehavior: distribution.CacheBehavior{
				TargetOriginId: "o", ViewerProtocolPolicy: "allow-all", CachePolicyId: "p", Compress: true,
			},
			DefaultRootObject: "index.html", Enabled: true,
		},
		CachePolicies: map[string]distribution.CachePolicyConfig{"p": {
			MinTTL: 1, ParametersInCacheKeyAndForwardedToOrigin: distribution.CacheKeyParameters{
				EnableAcceptEncodingGzip: true, EnableAcceptEncodingBrotli: true,
			},
		}},
		OriginAccessControls: map[string]distribution.OriginAccessControlConfig{"O1": {
			SigningProtocol: "sigv4", SigningBehavior: "always", OriginAccessControlOriginType: "s3",
		}},
	}
	cdnPolicy(t, s, site.ARN(), "s3:GetObject", "s3:PutObject")
	s.ApplyCDN(t, &distribution.Snapshot{Generation: 1, Sites: []distribution.Site{*site}})
	return s, site
}

func cdnPut(t *testing.T, s *harness.Server, key, body string) {
	t.Helper()
	_, err := s.S3.PutObject(t.Context(), &s3.PutObjectInput{
		Bucket: aws.String("site"), Key: &key, Body: strings.NewReader(body), ContentType: aws.String("text/html"),
	})
	if err != nil {
		t.Fatal(err)
	}
}

// cdnPolicy lets the service principal of a distribution do some actions.
func cdnPolicy(t *testing.T, s *harness.Server, arn string, actions ...string) {
	t.Helper()
	policy := fmt.Sprintf(`{"Version":"2012-10-17","Statement":[{"Effect":"Allow",
		"Principal":{"Service":"cloudfront.amazonaws.com"},"Action":["%s"],"Resource":"arn:aws:s3:::site/*",
		"Condition":{"StringEquals":{"aws:SourceArn":"%s"}}}]}`, strings.Join(actions, `","`), arn)
	if _, err := s.S3.PutBucketPolicy(t.Context(), &s3.PutBucketPolicyInput{
		Bucket: aws.String("site"), Policy: &policy,
	}); err != nil {
		t.Fatal(err)
	}
}

// cdnDo sends a request to the CDN.
func cdnDo(
	t *testing.T, s *harness.Server, method, host, path string, body io.Reader, headers ...string,
) (*http.Response, string) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), method, s.CDN()+path, body)
	if err != nil {
		t.Fatal(err)
	}
	r.Host = host
	for i := 0; i < len(headers); i += 2 {
		r.Header.Set(headers[i], headers[i+1])
	}
	resp, err := s.HTTP.RoundTrip(r)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	got, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp, string(got)
}

func cdnGet(t *testing.T, s *harness.Server, host, path string, headers ...string) (*http.Response, string) {
	t.Helper()
	return cdnDo(t, s, http.MethodGet, host, path, nil, headers...)
}

func TestCDNServesAPrivateBucket(t *testing.T) {
	s, site := cdnServer(t)
	expect := func(name string, status int, xCache string, got *http.Response) {
		t.Helper()
		if got.StatusCode != status || xCache != "" && got.Header.Get("X-Cache") != xCache+" from cloudfront" {
			t.Errorf("%s: %d, %q", name, got.StatusCode, got.Header)
		}
	}
	direct, err := http.Get(s.Endpoint + "/site/index.html")
	if err != nil {
		t.Fatal(err)
	}
	direct.Body.Close()
	expect("the bucket itself", http.StatusForbidden, "", direct)

	resp, body := cdnGet(t, s, cdnHost, "/")
	if expect("the default root object", http.StatusOK, "Miss", resp); body != "<h1>hello</h1>" {
		t.Errorf("%q", body)
	}
	resp, _ = cdnGet(t, s, "www.example.com", "/index.html")
	expect("again, by an alias", http.StatusOK, "Hit", resp)
	resp, body = cdnGet(t, s, "127.0.0.1", "/_/"+cdnID+"/")
	if expect("by its path on loopback", http.StatusOK, "Hit", resp); body != "<h1>hello</h1>" {
		t.Errorf("%q", body)
	}
	resp, _ = cdnGet(t, s, "127.0.0.1", "/_/"+cdnID+"/", "X-Forwarded-For", "203.0.113.9")
	expect("by its path through a proxy", http.StatusForbidden, "Error", resp)
	resp, _ = cdnGet(t, s, "evil.example", "/index.html")
	expect("another host", http.StatusForbidden, "Error", resp)
	resp, _ = cdnGet(t, s, cdnHost, "/none")
	expect("an object that does not exist", http.StatusForbidden, "Error", resp)

	cdnPut(t, s, "index.html", "<h1>new</h1>")
	if _, body = cdnGet(t, s, cdnHost, "/"); body != "<h1>hello</h1>" {
		t.Errorf("%q before the invalidation", body)
	}
	invalidation := distribution.Invalidation{Number: 1, Distribution: cdnID, ID: "I1", Paths: []string{"/"}}
	s.ApplyCDN(t, &distribution.Snapshot{
		Generation: 2, Sites: []distribution.Site{*site}, Invalidations: []distribution.Invalidation{invalidation},
	})
	if _, body = cdnGet(t, s, cdnHost, "/"); body != "<h1>new</h1>" {
		t.Errorf("%q after the invalidation", body)
	}

	cdnPolicy(t, s, site.ARN()+"X", "s3:GetObject")
	cdnPut(t, s, "other.html", "x")
	resp, _ = cdnGet(t, s, cdnHost, "/other.html")
	expect("with another distribution in the policy", http.StatusForbidden, "Error", resp)

	s.ApplyCDN(t, &distribution.Snapshot{Generation: 3})
	resp, _ = cdnGet(t, s, cdnHost, "/")
	expect("disabled", http.StatusForbidden, "Error", resp)
}

func TestCDNPassesWritesOn(t *testing.T) {
	s, site := cdnServer(t)
	methods := []string{"GET", "HEAD", "OPTIONS", "PUT", "POST", "PATCH", "DELETE"}
	site.Config.DefaultCacheBehavior.AllowedMethods.Items = methods
	s.ApplyCDN(t, &distribution.Snapshot{Generation: 2, Sites: []distribution.Site{*site}})
	body := strings.Repeat("0123456789", 100_000)
	const path = "/upload.txt"
	resp, got := cdnDo(t, s, http.MethodPut, cdnHost, path, strings.NewReader(body), "Content-Type", "text/plain")
	if resp.StatusCode != http.StatusOK {
		t.Fatalf("PUT: %d %s", resp.StatusCode, got)
	}
	resp, got = cdnGet(t, s, cdnHost, path)
	if got != body || resp.Header.Get("Content-Type") != "text/plain" {
		t.Errorf("GET: %d %q, %d bytes", resp.StatusCode, resp.Header, len(got))
	}
	if resp, _ = cdnDo(t, s, http.MethodDelete, cdnHost, path, nil); resp.StatusCode != http.StatusForbidden {
		t.Errorf("DELETE, which the policy does not allow: %d", resp.StatusCode)
	}
}

func TestCDNOverTLS(t *testing.T) {
	var ca string
	s, _ := cdnServer(t, func(c *server.Config) {
		c.CDN.TLSListen = "127.0.0.1:0"
		c.CDN.TLS = certs.SiteSource{SelfSigned: true}
		ca = filepath.Join(c.Data, "tls", "cdn-ca.pem")
	})
	pem, err := os.ReadFile(ca)
	if err != nil {
		t.Fatal(err)
	}
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(pem)
	get := func(name, host string) (*http.Response, error) {
		tr := &http.Transport{
			TLSClientConfig: &tls.Config{RootCAs: pool, ServerName: name}, ForceAttemptHTTP2: true,
		}
		defer tr.CloseIdleConnections()
		r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "https://"+s.CDNTLS()+"/", nil)
		if err != nil {
			return nil, err
		}
		r.Host = host
		resp, err := tr.RoundTrip(r)
		if err == nil {
			io.Copy(io.Discard, resp.Body)
			resp.Body.Close()
		}
		return resp, err
	}
	resp, err := get("www.example.com", "www.example.com")
	if err != nil || resp.StatusCode != http.StatusOK || resp.ProtoMajor != 2 {
		t.Fatalf("%v, %v", resp, err)
	}
	if resp, err = get("www.example.com", "evil.example"); err != nil || resp.StatusCode != http.StatusForbidden {
		t.Errorf("another host on the connection: %v, %v", resp, err)
	}
	if _, err = get("evil.example", cdnHost); err == nil {
		t.Error("a name that is not served got a certificate")
	}
}

// TestCDNChannel: a distribution that demands TLS 1.3 or HTTP/1.1 gets it: in a handshake with
// its name, and also on connections without a server name or from before the change. All other
// distributions get at least TLS 1.2, whatever they accept.
func TestCDNChannel(t *testing.T) {
	s, site := cdnServer(t, func(c *server.Config) {
		c.CDN.TLSListen = "127.0.0.1:0"
		c.CDN.TLS = certs.SiteSource{SelfSigned: true}
	})
	generation := uint64(1)
	apply := func(least, version string) {
		generation++
		site.Config.ViewerCertificate.MinimumProtocolVersion, site.Config.HttpVersion = least, version
		s.ApplyCDN(t, &distribution.Snapshot{Generation: generation, Sites: []distribution.Site{*site}})
	}
	client := func(name string, newest uint16) *http.Transport {
		return &http.Transport{
			TLSClientConfig: &tls.Config{
				InsecureSkipVerify: true, ServerName: name, MinVersion: tls.VersionTLS10, MaxVersion: newest,
			},
			ForceAttemptHTTP2: true,
		}
	}
	get := func(tr *http.Transport) (status, major int) {
		r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "https://"+s.CDNTLS()+"/", nil)
		if err != nil {
			t.Fatal(err)
		}
		r.Host = "www.example.com"
		resp, err := tr.RoundTrip(r)
		if err != nil {
			return 0, 0
		}
		io.Copy(io.Discard, resp.Body)
		resp.Body.Close()
		return resp.StatusCode, resp.ProtoMajor
	}
	for _, c := range []struct {
		least, version, name string
		newest               uint16
		status, major        int // 0: there is no connection
	}{
		{"TLSv1", "http2", "www.example.com", tls.VersionTLS11, 0, 0},
		{"TLSv1.1_2016", "http2", "www.example.com", tls.VersionTLS12, 200, 2},
		{"TLSv1.2_2021", "HTTP2", "www.example.com", tls.VersionTLS12, 200, 2},
		{"TLSv1.3_2025", "http2", "www.example.com", tls.VersionTLS12, 0, 0},
		{"TLSv1.3_2025", "http2", "WWW.example.com", tls.VersionTLS12, 0, 0},
		{"TLSv1.3_2025", "http2", "www.example.com", tls.VersionTLS13, 200, 2},
		{"TLSv1.3_2025", "http1.1", "www.example.com", tls.VersionTLS13, 200, 1},
		{"TLSv1.2_2021", "http1.1", "www.example.com", tls.VersionTLS12, 200, 1},
		{"TLSv1.2_2021", "HTTP1.1", "www.example.com", tls.VersionTLS12, 200, 1},
		{"TLSv1.2_2021", "http3", "www.example.com", tls.VersionTLS13, 200, 1},
		{"TLSv1.2_2021", "http2and3", "www.example.com", tls.VersionTLS13, 200, 2},
		{"TLSv1.3_2025", "http2", "127.0.0.1", tls.VersionTLS12, 421, 2}, // no name is asked for
		{"TLSv1.2_2021", "http1.1", "127.0.0.1", tls.VersionTLS12, 421, 2},
	} {
		t.Run(fmt.Sprint(c.least, " ", c.version, " ", c.name, " ", tls.VersionName(c.newest)), func(t *testing.T) {
			apply(c.least, c.version)
			tr := client(c.name, c.newest)
			defer tr.CloseIdleConnections()
			if status, major := get(tr); status != c.status || major != c.major {
				t.Errorf("status %d by HTTP/%d, want %d by %d", status, major, c.status, c.major)
			}
		})
	}
	for _, c := range []struct{ least, version string }{{"TLSv1.3_2025", "http2"}, {"TLSv1.2_2021", "http1.1"}} {
		t.Run("an older connection "+c.least+" "+c.version, func(t *testing.T) {
			apply("TLSv1.2_2021", "http2")
			tr := client("www.example.com", tls.VersionTLS12)
			defer tr.CloseIdleConnections()
			if status, _ := get(tr); status != http.StatusOK {
				t.Fatal(status)
			}
			apply(c.least, c.version)
			if status, _ := get(tr); status != http.StatusMisdirectedRequest && status != 0 {
				t.Errorf("a connection from before: %d", status)
			}
		})
	}
}

// Headers of a proxy count only if the operator trusts the proxy.
func TestCDNBehindAProxy(t *testing.T) {
	for _, c := range []struct {
		name, network string
		status        int
	}{
		{"trusted", "127.0.0.0/8", http.StatusOK}, {"not trusted", "10.0.0.0/8", http.StatusForbidden},
	} {
		t.Run(c.name, func(t *testing.T) {
			s, site := cdnServer(t, func(o *server.Config) {
				o.TrustedProxies = []netip.Prefix{netip.MustParsePrefix(c.network)}
			})
			site.Config.DefaultCacheBehavior.ViewerProtocolPolicy = "https-only"
			s.ApplyCDN(t, &distribution.Snapshot{Generation: 2, Sites: []distribution.Site{*site}})
			resp, _ := cdnGet(t, s, cdnHost, "/", "X-Forwarded-Proto", "https", "X-Forwarded-For", "203.0.113.9")
			if resp.StatusCode != c.status {
				t.Errorf("%d", resp.StatusCode)
			}
			if resp, _ = cdnGet(t, s, cdnHost, "/"); resp.StatusCode != http.StatusForbidden {
				t.Errorf("without the proxy's word: %d", resp.StatusCode)
			}
		})
	}
}

// Requests that only HTTP/2 can make ambiguous.
func TestCDNSmugglingHTTP2(t *testing.T) {
	s, _ := cdnServer(t, func(c *server.Config) {
		c.CDN.TLSListen = "127.0.0.1:0"
		c.CDN.TLS = certs.SiteSource{SelfSigned: true}
	})
	usual := []string{":method", "GET", ":scheme", "https", ":authority", cdnHost, ":path", "/"}
	for _, c := range []struct {
		name   string
		fields []string
		ok     bool
	}{
		{"usual", usual, true},
		{"another Host", append(usual[:8:8], "host", "evil.example"), false},
		{"the same Host", append(usual[:8:8], "host", cdnHost), true},
		{"no authority", []string{":method", "GET", ":scheme", "https", ":path", "/"}, false},
		{"two authorities", append([]string{":authority", "evil.example"}, usual...), false},
		{"two paths", append([]string{":path", "/other"}, usual...), false},
		{"connection header", append(usual[:8:8], "connection", "x-a"), false},
		{"chunks", append(usual[:8:8], "transfer-encoding", "chunked"), false},
		{"a new line in a value", append(usual[:8:8], "x-a", "a\r\nhost: evil.example"), false},
		{"a path with a new line", append(usual[:6:6], ":path", "/\r\nHost: evil.example"), false},
		{"a path with a blank", append(usual[:6:6], ":path", "/ HTTP/1.1"), false},
		{"another scheme's path", append(usual[:6:6], ":path", "https://evil.example/"), false},
		{"a late pseudo-header", append([]string{"x-a", "1"}, usual...), false},
		{"CONNECT", []string{":method", "CONNECT", ":authority", cdnHost}, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			if status := http2Status(t, s.CDNTLS(), c.fields); (status == "200") != c.ok {
				t.Errorf("status %q", status)
			}
		})
	}
}

// http2Status sends the fields of one request, and returns the status of its answer; "" is
// none.
func http2Status(t *testing.T, addr string, fields []string) string {
	t.Helper()
	conn, err := tls.Dial("tcp", addr, &tls.Config{
		InsecureSkipVerify: true, ServerName: cdnHost, NextProtos: []string{"h2"},
	})
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if _, err := io.WriteString(conn, http2.ClientPreface); err != nil {
		t.Fatal(err)
	}
	framer := http2.NewFramer(conn, conn)
	framer.ReadMetaHeaders = hpack.NewDecoder(4096, nil)
	var block bytes.Buffer
	encoder := hpack.NewEncoder(&block)
	for i := 0; i < len(fields); i += 2 {
		if err := encoder.WriteField(hpack.HeaderField{Name: fields[i], Value: fields[i+1]}); err != nil {
			t.Fatal(err)
		}
	}
	if err := errors.Join(framer.WriteSettings(), framer.WriteHeaders(http2.HeadersFrameParam{
		StreamID: 1, BlockFragment: block.Bytes(), EndStream: true, EndHeaders: true,
	})); err != nil {
		t.Fatal(err)
	}
	for {
		frame, err := framer.ReadFrame()
		if err != nil {
			return ""
		}
		switch f := frame.(type) {
		case *http2.MetaHeadersFrame:
			return f.PseudoValue("status")
		case *http2.RSTStreamFrame, *http2.GoAwayFrame:
			return ""
		}
	}
}

func TestCDNAccessLogs(t *testing.T) {
	s, site := cdnServer(t)
	if _, err := s.S3.CreateBucket(t.Context(), &s3.CreateBucketInput{Bucket: aws.String("logs")}); err != nil {
		t.Fatal(err)
	}
	site.Config.Logging = distribution.Logging{Enabled: true, Bucket: "logs.s3.amazonaws.com", Prefix: "cdn/"}
	s.ApplyCDN(t, &distribution.Snapshot{Generation: 2, Sites: []distribution.Site{*site}})
	request := func() {
		t.Helper()
		resp, _ := cdnGet(t, s, "www.example.com", "/index.html?a=b", "User-Agent", "test (1)", "Cookie", "secret=1")
		if resp.StatusCode != http.StatusOK {
			t.Fatal(resp.StatusCode)
		}
		s.DeliverAccessLogs(t)
	}
	list := func() []s3types.Object {
		t.Helper()
		out, err := s.S3.ListObjectsV2(t.Context(), &s3.ListObjectsV2Input{Bucket: aws.String("logs")})
		if err != nil {
			t.Fatal(err)
		}
		return out.Contents
	}
	request()
	if n := len(list()); n != 0 {
		t.Fatalf("%d files without a policy that allows it", n)
	}
	if !strings.Contains(s.Logs.String(), "an access log could not be delivered") {
		t.Error("nothing is said about it")
	}
	policy := fmt.Sprintf(`{"Version":"2012-10-17","Statement":[{"Effect":"Allow",
		"Principal":{"Service":"delivery.logs.amazonaws.com"},"Action":"s3:PutObject","Resource":"arn:aws:s3:::logs/cdn/*",
		"Condition":{"StringEquals":{"aws:SourceAccount":"%s"},"ArnLike":{"aws:SourceArn":"%s"}}}]}`,
		site.Account, site.ARN())
	if _, err := s.S3.PutBucketPolicy(t.Context(), &s3.PutBucketPolicyInput{
		Bucket: aws.String("logs"), Policy: &policy,
	}); err != nil {
		t.Fatal(err)
	}
	request()
	files := list()
	if len(files) != 1 || !strings.HasPrefix(*files[0].Key, "cdn/"+cdnID+".") {
		t.Fatalf("%v", files)
	}
	out, err := s.S3.GetObject(t.Context(), &s3.GetObjectInput{Bucket: aws.String("logs"), Key: files[0].Key})
	if err != nil {
		t.Fatal(err)
	}
	defer out.Body.Close()
	z, err := gzip.NewReader(out.Body)
	if err != nil {
		t.Fatal(err)
	}
	text, err := io.ReadAll(z)
	if err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(strings.TrimSuffix(string(text), "\n"), "\n")
	fields := strings.Split(lines[len(lines)-1], "\t")
	if len(lines) != 3 || len(fields) != 33 || fields[7] != "/index.html" || fields[8] != "200" ||
		fields[10] != "test%20(1)" || fields[11] != "a=b" || fields[12] != "-" || fields[13] != "Hit" ||
		fields[15] != "www.example.com" {
		t.Errorf("%q", lines)
	}
}

func TestCDNMetrics(t *testing.T) {
	s, _ := cdnServer(t, func(c *server.Config) { c.MetricsListen = "127.0.0.1:0" })
	cdnGet(t, s, cdnHost, "/")
	cdnGet(t, s, cdnHost, "/")
	resp, err := http.Get("http://" + s.MetricsAddr() + "/metrics")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	for _, line := range []string{
		`watertight_cdn_requests_total{result="Hit"} 1`, `watertight_cdn_requests_total{result="Miss"} 1`,
		"watertight_cdn_origin_requests_total 1", "watertight_cdn_origin_failures_total 0",
		"watertight_cdn_sent_bytes_total 28", "watertight_cdn_distributions 1", "watertight_cdn_cache_entries 1",
	} {
		if !strings.Contains(string(text), "\n"+line+"\n") {
			t.Errorf("no %s", line)
		}
	}
}

// Requests that two servers could read differently.
func TestCDNSmuggling(t *testing.T) {
	s, _ := cdnServer(t)
	const end = "\r\n\r\n"
	const after = "GET /other HTTP/1.1\r\nHost: " + cdnHost + end
	for _, c := range []struct{ name, request string }{
		{"two lengths", "GET / HTTP/1.1\r\nHost: HOST\r\nContent-Length: 0\r\nContent-Length: 44\r\n\r\n" + after},
		{
			"length and chunks",
			"POST / HTTP/1.1\r\nHost: HOST\r\nContent-Length: 6\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\nG",
		},
		{"two hosts", "GET / HTTP/1.1\r\nHost: HOST\r\nHost: evil.example\r\n\r\n"},
		{"no host", "GET / HTTP/1.1\r\n\r\n"},
		{"space before a colon", "GET / HTTP/1.1\r\nHost: HOST\r\nContent-Length : 5\r\n\r\nhello"},
		{"bare line feeds in a value", "GET / HTTP/1.1\r\nHost: HOST\r\nX: a\rY: b\r\n\r\n"},
		{"NUL in a value", "GET / HTTP/1.1\r\nHost: HOST\r\nX: a\x00b\r\n\r\n"},
		{"other encoding", "POST / HTTP/1.1\r\nHost: HOST\r\nTransfer-Encoding: xchunked\r\n\r\n0\r\n\r\n"},
		{"two encodings", "POST / HTTP/1.1\r\nHost: HOST\r\nTransfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n"},
		{"negative length", "GET / HTTP/1.1\r\nHost: HOST\r\nContent-Length: -1\r\n\r\n"},
		{"fat GET", "GET / HTTP/1.1\r\nHost: HOST\r\nContent-Length: 5\r\n\r\nhello"},
		{"chunked GET", "GET / HTTP/1.1\r\nHost: HOST\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n"},
		{"control character in the target", "GET /\x01 HTTP/1.1\r\nHost: HOST\r\n\r\n"},
		{"another host in the target", "GET http://evil.example/ HTTP/1.1\r\nHost: HOST\r\n\r\n"},
		{"no target", "GET HTTP/1.1\r\nHost: HOST\r\n\r\n"},
		{"a header that is too large", "GET / HTTP/1.1\r\nHost: HOST\r\nX: " + strings.Repeat("a", 40_000) + end},
		{"a target that is too large", "GET /" + strings.Repeat("a", 9000) + " HTTP/1.1\r\nHost: HOST\r\n\r\n"},
		{"many headers", "GET / HTTP/1.1\r\nHost: HOST\r\n" + strings.Repeat("X: y\r\n", 4000) + "\r\n"},
		{"HTTP/2 without TLS", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"},
	} {
		t.Run(c.name, func(t *testing.T) {
			conn, err := net.Dial("tcp", strings.TrimPrefix(s.CDN(), "http://"))
			if err != nil {
				t.Fatal(err)
			}
			defer conn.Close()
			if _, err := io.WriteString(conn, strings.ReplaceAll(c.request, "HOST", cdnHost)); err != nil {
				return // refused before all was sent
			}
			conn.(*net.TCPConn).CloseWrite()
			r := bufio.NewReader(conn)
			resp, err := http.ReadResponse(r, nil)
			if err != nil {
				return // the connection was closed
			}
			io.Copy(io.Discard, resp.Body)
			if resp.StatusCode < 400 {
				t.Errorf("%d", resp.StatusCode)
			}
			if more, err := http.ReadResponse(r, nil); err == nil {
				t.Errorf("a second answer: %d", more.StatusCode)
			}
		})
	}
}

// TestCDNValidators: the edge knows the ETag of a bucket's object. It answers conditions by it, does not take an
// object that was replaced within a second for the stored one, and weakens it where it compresses.
func TestCDNValidators(t *testing.T) {
	s, _ := cdnServer(t)
	put := func(body string) {
		t.Helper()
		if _, err := s.S3.PutObject(t.Context(), &s3.PutObjectInput{
			Bucket: aws.String("site"), Key: aws.String("app.js"), Body: strings.NewReader(body),
			ContentType: aws.String("application/javascript"), CacheControl: aws.String("max-age=1"),
		}); err != nil {
			t.Fatal(err)
		}
	}
	first, second := strings.Repeat("a", 4000), strings.Repeat("b", 4000)
	put(first)
	plain := func(headers ...string) (*http.Response, string) {
		return cdnGet(t, s, cdnHost, "/app.js", append(headers, "Accept-Encoding", "identity")...)
	}
	res, body := plain()
	tag := res.Header.Get("ETag")
	if body != first || tag == "" {
		t.Fatalf("%.20q, ETag %q", body, tag)
	}
	for _, c := range []struct {
		header, value string
		status        int
	}{
		{"If-None-Match", tag, http.StatusNotModified},
		{"If-None-Match", `"other"`, http.StatusOK},
		{"If-Match", tag, http.StatusOK},
		{"If-Match", `"other"`, http.StatusPreconditionFailed},
	} {
		t.Run(c.header+" "+c.value, func(t *testing.T) {
			if res, _ := plain(c.header, c.value); res.StatusCode != c.status {
				t.Errorf("%d, want %d", res.StatusCode, c.status)
			}
		})
	}
	res, _ = plain("Range", "bytes=0-1", "If-Range", tag)
	if res.StatusCode != http.StatusPartialContent {
		t.Errorf("a range if the ETag is the same: %d", res.StatusCode)
	}
	res, _ = cdnGet(t, s, cdnHost, "/app.js", "Accept-Encoding", "gzip")
	if weak := res.Header.Get("ETag"); res.Header.Get("Content-Encoding") != "gzip" || weak != "W/"+tag {
		t.Errorf("compressed: %v", res.Header)
	}
	put(second)
	time.Sleep(2100 * time.Millisecond)
	if _, body := plain(); body != second {
		t.Errorf("a replaced object: %.20q", body)
	}
}
