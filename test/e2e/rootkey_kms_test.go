package e2e

import (
	"crypto/tls"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/kms"
	"github.com/aws/aws-sdk-go-v2/service/s3"

	"watertight/internal/operator"
	"watertight/internal/server"
	"watertight/internal/storage/rootkey"
	"watertight/internal/storage/rootkey/rootkeytest"
	"watertight/test/harness"
)

// vault is a Watertight whose KMS keeps the root keys of other servers. A proxy before it can be shut
// down.
type vault struct {
	*harness.Server
	url  string
	shut atomic.Bool
}

func newKMSVault(t *testing.T) *vault {
	t.Helper()
	v := &vault{Server: harness.Start(t)}
	to, err := url.Parse(v.Endpoint)
	if err != nil {
		t.Fatal(err)
	}
	proxy := &httputil.ReverseProxy{
		Rewrite:   func(r *httputil.ProxyRequest) { r.SetURL(to); r.Out.Host = r.In.Host },
		Transport: &http.Transport{TLSClientConfig: &tls.Config{MinVersion: tls.VersionTLS12}},
	}
	door := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if v.shut.Load() {
			w.WriteHeader(http.StatusServiceUnavailable)
			return
		}
		proxy.ServeHTTP(w, r)
	}))
	t.Cleanup(door.Close)
	v.url = door.URL
	return v
}

func (v *vault) getenv(name string) string {
	return map[string]string{
		"AWS_ACCESS_KEY_ID": v.AccessKeyID, "AWS_SECRET_ACCESS_KEY": v.SecretAccessKey,
	}[name]
}

// source makes a KMS key and returns it as a source.
func (v *vault) source(t *testing.T) string {
	t.Helper()
	c := kms.New(kms.Options{
		Region: v.Region, BaseEndpoint: &v.Endpoint, HTTPClient: harness.SDK(v.HTTP),
		Credentials: credentials.NewStaticCredentialsProvider(v.AccessKeyID, v.SecretAccessKey, ""),
	})
	key, err := c.CreateKey(t.Context(), &kms.CreateKeyInput{})
	if err != nil {
		t.Fatal(err)
	}
	return "awskms:" + *key.KeyMetadata.Arn + "@" + v.url
}

// TestKMSSource: another Watertight's KMS is a source of root keys like any other.
func TestKMSSource(t *testing.T) {
	v := newKMSVault(t)
	open := func(t *testing.T, text string) rootkey.Source {
		s, err := rootkey.NewSource(text, rootkey.Options{DataDir: t.TempDir(), Getenv: v.getenv})
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	rootkeytest.Run(t, func(t *testing.T) rootkeytest.Case {
		return rootkeytest.Case{
			Source: open(t, v.source(t)), Other: open(t, v.source(t)),
			Lose: func() { v.shut.Store(true) }, Return: func() { v.shut.Store(false) }, Secret: v.SecretAccessKey,
		}
	})
}

// TestLostSource: a server whose source is another Watertight continues to serve without it. The next
// start is refused and changes no byte. When the source is back, all data is readable. A rotation moves
// the root key to a key file.
func TestLostSource(t *testing.T) {
	v := newKMSVault(t)
	source, dir := v.source(t), t.TempDir()
	data := filepath.Join(dir, "data")
	configure := func(source string) func(*server.Config) {
		return func(c *server.Config) { c.Data, c.RootKey, c.Getenv = data, source, v.getenv }
	}
	s := harness.Start(t, configure(source))
	if !strings.Contains(s.Logs.String(), source) {
		t.Error("the log does not say which source is in use")
	}
	get := func(s *harness.Server) {
		t.Helper()
		out, err := s.S3.GetObject(t.Context(), &s3.GetObjectInput{Bucket: aws.String("box"), Key: aws.String("k")})
		if err != nil {
			t.Fatal(err)
		}
		out.Body.Close()
	}
	put := func() {
		t.Helper()
		if _, err := s.S3.PutObject(t.Context(), &s3.PutObjectInput{
			Bucket: aws.String("box"), Key: aws.String("k"), Body: strings.NewReader("text"),
		}); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := s.S3.CreateBucket(t.Context(), &s3.CreateBucketInput{Bucket: aws.String("box")}); err != nil {
		t.Fatal(err)
	}
	put()
	v.shut.Store(true)
	put()
	get(s)
	if _, err := operator.Dial(data).RotateRootKey(t.Context(), ""); err == nil {
		t.Error("the root key is rotated without its source")
	}
	put()
	s.Stop()
	before := harness.Contents(t, data)
	if s, err := harness.Try(t, configure(source)); err == nil {
		s.Stop()
		t.Error("the server starts without its source")
	} else if !strings.Contains(err.Error(), source) || strings.Contains(err.Error(), v.SecretAccessKey) {
		t.Errorf("the operator reads %v", err)
	}
	if !maps.Equal(before, harness.Contents(t, data)) {
		t.Error("the refused start changed something")
	}
	v.shut.Store(false)
	s = harness.Start(t, configure(source))
	get(s)
	to := "file:" + filepath.Join(dir, "new.key")
	o := operator.Dial(data)
	if k, err := o.RotateRootKey(t.Context(), to); err != nil || k.Source != to {
		t.Fatal(k.Source, err)
	}
	for n := 0; ; n++ {
		r, err := o.RotationReport(t.Context())
		if err != nil || r.Error != "" || n == 600 {
			t.Fatal(err, r)
		}
		if !r.Ended.IsZero() {
			break
		}
		time.Sleep(50 * time.Millisecond)
	}
	s.Stop()
	v.shut.Store(true)
	s = harness.Start(t, configure(to))
	get(s)
}
