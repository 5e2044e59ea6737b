package server_test

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"

	"watertight/internal/server"
	"watertight/test/harness"
)

// dial opens a connection that is closed, and whose reads end, with the test.
func dial(t *testing.T, s *harness.Server) net.Conn {
	t.Helper()
	c, err := net.Dial("tcp", strings.TrimPrefix(s.Endpoint, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	c.SetDeadline(time.Now().Add(20 * time.Second))
	t.Cleanup(func() { c.Close() })
	return c
}

// TestRefusalsDoNotWaitForTheBody: a client that is refused and does not send the
// declared body gets the answer, and its connection is closed.
func TestRefusalsDoNotWaitForTheBody(t *testing.T) {
	s := harness.Start(t, func(c *server.Config) { c.Stall = 200 * time.Millisecond })
	for head, want := range map[string]int{
		"PUT /b/k HTTP/1.1\r\nHost: h\r\nContent-Length: 10\r\n\r\n":                         http.StatusForbidden,
		"PUT /b/k HTTP/1.1\r\nHost: h\r\nContent-Length: 10\r\nExpect: 100-continue\r\n\r\n": http.StatusForbidden,
		"PUT /b/k HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n":                 http.StatusNotImplemented,
		"PUT /b/k HTTP/1.1\r\nHost: h\r\nContent-Length: 1000000\r\n\r\nhalf":                http.StatusForbidden,
	} {
		t.Run(head, func(t *testing.T) {
			c := dial(t, s)
			io.WriteString(c, head)
			res, err := http.ReadResponse(bufio.NewReader(c), nil)
			if err != nil {
				t.Errorf("%q: %v", head, err)
				return
			}
			if res.StatusCode != want {
				t.Errorf("%q: %s", head, res.Status)
			}
			if _, err := io.Copy(io.Discard, c); err != nil {
				t.Errorf("%q: the connection stays open: %v", head, err)
			}
		})
	}
}

// TestHalfABody: a client that stops in the middle of a body gets an error, and its
// connection is closed.
func TestHalfABody(t *testing.T) {
	s := harness.Start(t, func(c *server.Config) { c.Stall = 200 * time.Millisecond })
	if _, err := s.S3.CreateBucket(t.Context(), &s3.CreateBucketInput{Bucket: aws.String("half")}); err != nil {
		t.Fatal(err)
	}
	req, err := s3.NewPresignClient(s.S3).PresignPutObject(t.Context(), &s3.PutObjectInput{
		Bucket: aws.String("half"), Key: aws.String("k"), ContentLength: aws.Int64(10),
	})
	if err != nil {
		t.Fatal(err)
	}
	c := dial(t, s)
	fmt.Fprintf(c, "PUT %s HTTP/1.1\r\nHost: %s\r\nContent-Length: 10\r\n\r\nhalf",
		strings.TrimPrefix(req.URL, s.Endpoint), strings.TrimPrefix(s.Endpoint, "http://"))
	b, err := io.ReadAll(c)
	if err != nil || !bytes.Contains(b, []byte("400 Bad Request")) ||
		!bytes.Contains(b, []byte("<Code>RequestTimeout</Code>")) {
		t.Errorf("%s, %v", b, err)
	}
}
