package server_test

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"

	"watertight/internal/operator"
	"watertight/internal/server"
	"watertight/test/harness"
)

// probe sends an unsigned request and returns status and body.
func probe(t *testing.T, method, url string, header ...string) (int, string) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), method, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	for n := 0; n+1 < len(header); n += 2 {
		if header[n] == "Host" {
			r.Host = header[n+1]
		}
		r.Header.Set(header[n], header[n+1])
	}
	res, err := (&http.Transport{DisableKeepAlives: true}).RoundTrip(r)
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

// TestHealth: unsigned probes are answered only on the listeners that the operator
// chose. They reveal nothing else, and give access to nothing else.
func TestHealth(t *testing.T) {
	const ready = "reads: yes\nwrites: yes\n"
	for _, on := range []bool{false, true} {
		t.Run(fmt.Sprint(on), func(t *testing.T) {
			s := harness.Start(t, func(c *server.Config) {
				c.HealthListen, c.HealthOnMain, c.Domains = "127.0.0.1:0", on, []string{"s3.example"}
			})
			own := "http://" + s.HealthAddr()
			main := map[bool]int{false: 403, true: 200}[on]
			for _, test := range []struct {
				method, url string
				status      int
				body        string
				header      []string
			}{
				{"GET", own + "/health/live", 200, "live\n", nil},
				{"GET", own + "/health/ready", 200, ready, nil},
				{"HEAD", own + "/health/live", 200, "", nil},
				{"HEAD", own + "/health/ready", 200, "", nil},
				{"POST", own + "/health/live", 405, "-", nil},
				{"GET", own + "/", 404, "-", nil},
				{"GET", own + "/health/live/", 404, "-", nil},
				{"GET", own + "/health", 404, "-", nil},
				{"GET", own + "/bucket/key", 404, "-", []string{"Authorization", "AWS4-HMAC-SHA256 x"}},
				{"GET", s.Endpoint + "/health/live", main, "-", nil},
				{"GET", s.Endpoint + "/health/ready", main, "-", nil},
				{"HEAD", s.Endpoint + "/health/ready", main, "", nil},
				{"GET", s.Endpoint + "/health/ready?versionId=null", 403, "-", nil},
				{"GET", s.Endpoint + "/health/ready?X-Amz-Signature=00", 403, "-", nil},
				{"GET", s.Endpoint + "/health/other", 403, "-", nil},
				{"PUT", s.Endpoint + "/health/ready", 403, "-", nil},
				{"DELETE", s.Endpoint + "/health/live", 403, "-", nil},
				{"GET", s.Endpoint + "/health/live", 403, "-", []string{"Host", "bucket.S3.example:9000"}},
			} {
				status, body := probe(t, test.method, test.url, test.header...)
				refused := test.status == 403 && status/100 == 4
				if status != test.status && !refused || test.body != "-" && body != test.body {
					t.Errorf("on main %v: %s %s: %d %q", on, test.method, test.url, status, body)
				}
			}
			if status, _ := probe(t, "GET", s.Endpoint+"/health/live", "Authorization",
				"AWS4-HMAC-SHA256 x"); status/100 != 4 {
				t.Errorf("a signed request was answered as a probe: %d", status)
			}
			// Signed requests reach the bucket of this name.
			_, err := s.S3.CreateBucket(t.Context(), &s3.CreateBucketInput{Bucket: aws.String("health")})
			_, perr := s.S3.PutObject(t.Context(), &s3.PutObjectInput{
				Bucket: aws.String("health"), Key: aws.String("live"), Body: strings.NewReader("object"),
			})
			out, gerr := s.S3.GetObject(t.Context(), &s3.GetObjectInput{
				Bucket: aws.String("health"), Key: aws.String("live"),
			})
			if err := errors.Join(err, perr, gerr); err != nil {
				t.Fatal(err)
			}
			if b, err := io.ReadAll(out.Body); err != nil || string(b) != "object" {
				t.Errorf("%q, %v", b, err)
			}
			s.Stop()
		})
	}
}

// TestHealthOfAFullDisk: reads continue, and the body says that writes are refused.
func TestHealthOfAFullDisk(t *testing.T) {
	var free atomic.Int64
	free.Store(1 << 40)
	s := harness.Start(t, func(c *server.Config) {
		c.HealthListen, c.MinFree, c.Free = "127.0.0.1:0", 1<<30, func(string) (int64, error) {
			return free.Load(), nil
		}
	})
	url := "http://" + s.HealthAddr() + "/health/ready"
	if status, body := probe(t, "GET", url); status != 200 || body != "reads: yes\nwrites: yes\n" {
		t.Errorf("%d %q", status, body)
	}
	free.Store(0)
	for n := 0; ; n++ {
		status, body := probe(t, "GET", url)
		if status != 200 {
			t.Fatalf("%d %q", status, body)
		}
		if body == "reads: yes\nwrites: no\n" {
			break
		}
		if n == 100_000 {
			t.Fatal("the full disk was never reported")
		}
	}
	if h, err := operator.Dial(filepath.Clean(s.Data)).Health(t.Context()); err != nil || !h.Reads || h.Writes {
		t.Errorf("%+v, %v", h, err)
	}
}
