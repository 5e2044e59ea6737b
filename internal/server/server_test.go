package server_test

import (
	"bufio"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	"github.com/aws/aws-sdk-go-v2/service/s3"

	"watertight/internal/server"
	"watertight/test/harness"
)

func TestPlainHTTPStaysOnLoopback(t *testing.T) {
	for _, addr := range []string{"0.0.0.0:0", ":0", "[::]:0", "192.0.2.1:0"} {
		t.Run(addr, func(t *testing.T) {
			_, err := harness.Try(t, func(c *server.Config) { c.Listen = []string{"127.0.0.1:0", addr} })
			if err == nil {
				t.Errorf("%s serves plain HTTP", addr)
				return
			}
			for _, flag := range []string{"--tls-cert", "--acme", "--tls-self-signed", "--allow-plain-http"} {
				if !strings.Contains(err.Error(), flag) {
					t.Errorf("%s: the refusal does not name %s: %v", addr, flag, err)
				}
			}
		})
	}
	if s, err := harness.Try(t, func(c *server.Config) {
		c.Listen, c.AllowPlainHTTP = []string{"0.0.0.0:0"}, true
	}); err != nil {
		t.Errorf("with the explicit flag: %v", err)
	} else {
		s.Stop()
	}
}

func TestOneServerForADirectory(t *testing.T) {
	s := harness.Start(t)
	_, err := harness.Try(t, func(c *server.Config) { c.Data = s.Data })
	if err == nil || !strings.Contains(err.Error(), "in use by another server") {
		t.Errorf("a second server: %v", err)
	}
}

func TestRootKeyIsNeeded(t *testing.T) {
	s := harness.Start(t)
	s.Stop()
	other := filepath.Join(t.TempDir(), "other.key")
	_, err := harness.Try(t, func(c *server.Config) { c.Data, c.RootKey = s.Data, "file:"+other })
	if err == nil || !strings.Contains(err.Error(), "root key is missing") {
		t.Errorf("without the key: %v", err)
	}
	if _, err := os.Stat(other); err == nil {
		t.Error("a new key was made for existing data")
	}
	// A key of another store does not open this one.
	foreign := harness.Start(t)
	foreign.Stop()
	key := filepath.Join(filepath.Dir(foreign.Data), "root.key")
	if _, err := harness.Try(t, func(c *server.Config) { c.Data, c.RootKey = s.Data, "file:"+key }); err == nil {
		t.Error("opened with another store's root key")
	}
}

func TestLaterStartsIgnoreCredentials(t *testing.T) {
	s := harness.Start(t)
	s.Stop()
	again := harness.Start(t, func(c *server.Config) {
		c.Data, c.RootKey = s.Data, "file:"+filepath.Join(filepath.Dir(s.Data), "root.key")
		c.Root = server.RootCredentials{
			AccountID: "999999999999", AccessKeyID: "AKIAOTHEROTHEROTHER1",
			SecretAccessKey: "another-secret-that-must-not-be-logged",
		}
	})
	if logs := again.Logs.String(); !strings.Contains(logs, "differs") || strings.Contains(logs, "another-secret") {
		t.Errorf("the log: %s", logs)
	}
	if _, err := harness.Client(again.Endpoint, harness.Credentials{
		AccessKeyID: "AKIAOTHEROTHEROTHER1", SecretAccessKey: "another-secret-that-must-not-be-logged",
	}).
		ListBuckets(t.Context(), &s3.ListBucketsInput{}); err == nil {
		t.Error("the new credentials work")
	}
	if _, err := harness.Client(again.Endpoint, harness.Credentials{
		AccessKeyID: s.AccessKeyID, SecretAccessKey: s.SecretAccessKey,
	}).
		ListBuckets(t.Context(), &s3.ListBucketsInput{}); err != nil {
		t.Errorf("the first credentials: %v", err)
	}
}

func TestFullDiskRefusesWritesAndRecovers(t *testing.T) {
	var free atomic.Int64
	free.Store(1 << 40)
	s := harness.Start(t, func(c *server.Config) {
		c.MinFree = 1 << 30
		c.Free = func(string) (int64, error) { return free.Load(), nil }
	})
	bucket := aws.String("full")
	if _, err := s.S3.CreateBucket(t.Context(), &s3.CreateBucketInput{Bucket: bucket}); err != nil {
		t.Fatal(err)
	}
	put := func(key string) error {
		_, err := s.S3.PutObject(t.Context(), &s3.PutObjectInput{
			Bucket: bucket, Key: &key, Body: strings.NewReader("content"),
		})
		return err
	}
	const spare = 300 // keys to try deletions on
	for i := range spare {
		if err := put(fmt.Sprint("b", i)); err != nil {
			t.Fatal(err)
		}
	}
	if err := put("a"); err != nil {
		t.Fatal(err)
	}
	// until repeats a check while the server measures its disk.
	until := func(what string, ok func() bool) {
		t.Helper()
		for end := time.Now().Add(time.Minute); !ok(); time.Sleep(10 * time.Millisecond) {
			if time.Now().After(end) {
				t.Fatalf("this did not happen in time: %s", what)
			}
		}
	}
	refused := func(err error) bool {
		var re *awshttp.ResponseError
		return errors.As(err, &re) && re.HTTPStatusCode() == http.StatusInsufficientStorage
	}
	free.Store(1 << 29)
	until("writes are refused", func() bool { return refused(put("c")) })
	if _, err := s.S3.CreateBucket(t.Context(), &s3.CreateBucketInput{Bucket: aws.String("full-2")}); !refused(err) {
		t.Errorf("a bucket: %v", err)
	}
	if out, err := s.S3.GetObject(t.Context(), &s3.GetObjectInput{Bucket: bucket, Key: aws.String("a")}); err != nil {
		t.Errorf("a read: %v", err)
	} else if b, err := io.ReadAll(out.Body); string(b) != "content" {
		t.Errorf("a read: %q, %v", b, err)
	}
	if _, err := s.S3.DeleteObject(t.Context(), &s3.DeleteObjectInput{
		Bucket: bucket, Key: aws.String("a"),
	}); err != nil {
		t.Errorf("a deletion makes room: %v", err)
	}
	free.Store(1 << 20)
	next := 0
	until("deletions are refused", func() bool {
		next++
		_, err := s.S3.DeleteObject(t.Context(), &s3.DeleteObjectInput{
			Bucket: bucket, Key: aws.String(fmt.Sprint("b", next%spare)),
		})
		return refused(err)
	})
	if _, err := s.S3.HeadObject(t.Context(), &s3.HeadObjectInput{Bucket: bucket, Key: aws.String("b0")}); err != nil {
		t.Errorf("a read on a full disk: %v", err)
	}
	free.Store(1 << 40)
	until("writes go on", func() bool { return put("d") == nil })
}

func TestSelfSigned(t *testing.T) {
	s := harness.Start(t, func(c *server.Config) { c.TLS.SelfSigned, c.Listen = true, []string{"0.0.0.0:0"} })
	pem, err := os.ReadFile(filepath.Join(s.Data, "tls", "ca.pem"))
	if err != nil {
		t.Fatal(err)
	}
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(pem)
	client := &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: pool}}}
	_, port, _ := net.SplitHostPort(strings.TrimPrefix(s.Endpoint, "https://"))
	res, err := client.Get("https://127.0.0.1:" + port + "/")
	if err != nil {
		t.Fatal(err)
	}
	res.Body.Close()
	if res.StatusCode != 403 {
		t.Errorf("anonymous: %d", res.StatusCode)
	}
	if _, err := (&http.Client{Transport: &http.Transport{}}).Get("https://127.0.0.1:" + port + "/"); err == nil {
		t.Error("a client without the authority trusts it")
	}
	if info, err := os.Stat(filepath.Join(s.Data, "tls", "self-signed")); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("%v, %v", info, err)
	}
}

// TestStopFinishesRequests: when the server is told to stop, a request under way
// is finished, and no new one begins.
func TestStopFinishesRequests(t *testing.T) {
	s := harness.Start(t)
	bucket, body := aws.String("drain"), strings.Repeat("x", 200_000)
	if _, err := s.S3.CreateBucket(t.Context(), &s3.CreateBucketInput{Bucket: bucket}); err != nil {
		t.Fatal(err)
	}
	read, write := io.Pipe()
	began := make(chan struct{})
	answer := make(chan error, 1)
	go func() {
		presign := s3.NewPresignClient(s.S3)
		req, err := presign.PresignPutObject(context.Background(), &s3.PutObjectInput{
			Bucket: bucket, Key: aws.String("k"), ContentLength: aws.Int64(int64(len(body))),
		})
		if err != nil {
			answer <- err
			return
		}
		hr, _ := http.NewRequest(http.MethodPut, req.URL, read)
		hr.Header = req.SignedHeader
		hr.ContentLength = int64(len(body))
		hr.Header.Del("Content-Length")
		hr.Header.Set("Expect", "100-continue") // the body goes once the handler reads it
		res, err := (&http.Transport{ExpectContinueTimeout: time.Minute}).RoundTrip(hr)
		if err == nil && res.StatusCode != 200 {
			b, _ := io.ReadAll(res.Body)
			err = fmt.Errorf("%s: %s", res.Status, b)
		}
		answer <- err
	}()
	go func() {
		io.WriteString(write, body[:150_000])
		close(began)
	}()
	<-began
	stopped := make(chan struct{})
	go func() { s.Stop(); close(stopped) }()
	// The listener closes first; only then does the rest of the body come.
	for end := time.Now().Add(time.Minute); ; time.Sleep(5 * time.Millisecond) {
		c, err := net.Dial("tcp", strings.TrimPrefix(s.Endpoint, "http://"))
		if err != nil {
			break
		}
		c.Close()
		if time.Now().After(end) {
			t.Fatal("the server still listens")
		}
	}
	io.WriteString(write, body[150_000:])
	write.Close()
	if err := <-answer; err != nil {
		t.Errorf("the request under way: %v", err)
	}
	<-stopped
}

// TestProxyForm: the endpoint accepts absolute-form requests for its own names, and never forwards a
// request.
func TestProxyForm(t *testing.T) {
	s := harness.Start(t)
	for line, want := range map[string]string{
		"GET http://111122223333.127.0.0.1/bucket/key HTTP/1.1\r\nHost: 111122223333.127.0.0.1": "403",
		"GET http://" + strings.TrimPrefix(s.Endpoint, "http://") + "/ HTTP/1.1\r\nHost: x":     "403",
		"CONNECT example.com:443 HTTP/1.1\r\nHost: example.com:443":                             "400",
	} {
		t.Run(fmt.Sprintf("%.60s", line), func(t *testing.T) {
			c, err := net.Dial("tcp", strings.TrimPrefix(s.Endpoint, "http://"))
			if err != nil {
				t.Fatal(err)
			}
			fmt.Fprintf(c, "%s\r\nConnection: close\r\n\r\n", line)
			status, err := bufio.NewReader(c).ReadString('\n')
			c.Close()
			if err != nil || !strings.HasPrefix(status, "HTTP/1.1 "+want) {
				t.Errorf("%.40s: %q, %v", line, status, err)
			}
		})
	}
}

// TestNoSecretInLogs: even at debug level, the log contains no secret.
func TestNoSecretInLogs(t *testing.T) {
	s := harness.Start(t)
	if _, err := s.S3.CreateBucket(t.Context(), &s3.CreateBucketInput{Bucket: aws.String("logs")}); err != nil {
		t.Fatal(err)
	}
	req, err := s3.NewPresignClient(s.S3).PresignGetObject(t.Context(), &s3.GetObjectInput{
		Bucket: aws.String("logs"), Key: aws.String("k"),
	})
	if err != nil {
		t.Fatal(err)
	}
	if res, err := http.Get(req.URL); err == nil {
		res.Body.Close()
	}
	_, signature, _ := strings.Cut(req.URL, "X-Amz-Signature=")
	s.Stop()
	logs := s.Logs.String()
	if !strings.Contains(logs, "operation=CreateBucket") {
		t.Fatal("nothing was logged")
	}
	for _, secret := range []string{s.SecretAccessKey, signature, "X-Amz-Signature", "watertight-root-key"} {
		if strings.Contains(logs, secret) {
			t.Errorf("the log contains %.12s...", secret)
		}
	}
}
