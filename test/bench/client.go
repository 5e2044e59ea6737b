package main

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"
)

// The child process is started with these; it runs as long as the benchmark.
const (
	benchKey    = "AKIABENCHMARKEXAMPLE"
	benchSecret = "benchmark-secret-of-a-server-that-is-thrown-away"
)

// payload is a body with its hash. Both are computed once, because the benchmark must not
// measure the client's hashing.
type payload struct {
	body []byte
	hash string
}

func newPayload(size int) *payload {
	p := &payload{body: make([]byte, size)}
	rand.Read(p.body)
	sum := sha256.Sum256(p.body)
	p.hash = hex.EncodeToString(sum[:])
	return p
}

type client struct {
	endpoint string
	http     *http.Client
	signer   *v4.Signer
	empty    *payload
}

func newClient(endpoint string, conns int) *client {
	return &client{
		endpoint: endpoint,
		http: &http.Client{Transport: &http.Transport{
			MaxIdleConnsPerHost: conns, MaxIdleConns: conns, DisableCompression: true, WriteBufferSize: 64 << 10,
			ReadBufferSize: 64 << 10,
		}},
		signer: v4.NewSigner(func(o *v4.SignerOptions) { o.DisableURIPathEscaping = true }),
		empty:  newPayload(0),
	}
}

// do is send without headers.
func (c *client) do(method, path string, query []string, body, want *payload) error {
	return c.send(method, path, query, nil, body, want)
}

// send sends one signed request and reads the whole response. If want is set, the response
// must have its length.
func (c *client) send(method, path string, query []string, headers map[string]string, body, want *payload) error {
	url := c.endpoint + path
	if len(query) > 0 {
		url += "?" + strings.Join(query, "&")
	}
	p := c.empty
	if body != nil {
		p = body
	}
	req, err := http.NewRequest(method, url, bytes.NewReader(p.body))
	if err != nil {
		return err
	}
	req.Header.Set("X-Amz-Content-Sha256", p.hash)
	for name, value := range headers {
		req.Header.Set(name, value)
	}
	cred := aws.Credentials{AccessKeyID: benchKey, SecretAccessKey: benchSecret}
	if err := c.signer.SignHTTP(context.Background(), cred, req, p.hash, "s3", "us-east-1", time.Now()); err != nil {
		return err
	}
	res, err := c.http.Do(req)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	n, err := io.Copy(io.Discard, res.Body)
	switch {
	case err != nil:
		return err
	case res.StatusCode >= 300:
		return fmt.Errorf("%s %s: %s", method, path, res.Status)
	case want != nil && n != int64(len(want.body)):
		return fmt.Errorf("%s %s: %d bytes, want %d", method, path, n, len(want.body))
	}
	return nil
}
