package power

import (
	"bytes"
	"context"
	"io"
	"net/http"
	"path/filepath"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/iam"
	"github.com/aws/aws-sdk-go-v2/service/kms"
	"github.com/aws/aws-sdk-go-v2/service/s3"

	"watertight/internal/server"
	"watertight/test/crashdisk"
	"watertight/test/harness"
)

const (
	account = "111122223333"
	keyID   = harness.AccessKeyID
	secret  = harness.SecretAccessKey
	region  = "us-east-1"
)

// machine is a server that runs on a disk, without sockets.
type machine struct {
	disk     *crashdisk.Disk
	requests http.Handler
	commands http.Handler
	end      func() error

	s3  *s3.Client
	iam *iam.Client
	kms *kms.Client
}

// boot starts a server on a disk.
func boot(ctx context.Context, disk *crashdisk.Disk, source string) (*machine, error) {
	s, err := server.Build(ctx, server.Config{
		Data: "/srv/data", RootKey: source, Files: disk, Region: region,
		SegmentUnits: 300, // little more than the largest object in one
		Listen:       []string{"127.0.0.1:0"}, Free: func(string) (int64, error) { return 1 << 40, nil },
		Root: server.RootCredentials{AccountID: account, AccessKeyID: keyID, SecretAccessKey: secret},
	})
	if err != nil {
		return nil, err
	}
	m := &machine{disk: disk}
	m.requests, m.commands, m.end = s.Simulate(ctx)
	c := aws.Config{
		Region: region, Credentials: credentials.NewStaticCredentialsProvider(keyID, secret, ""),
		HTTPClient:   recording{harness.InProcess{Handler: m.requests}},
		BaseEndpoint: aws.String("https://127.0.0.1:9000"),
		Retryer:      func() aws.Retryer { return aws.NopRetryer{} },
	}
	m.s3 = s3.NewFromConfig(c, func(o *s3.Options) { o.UsePathStyle = true })
	m.iam, m.kms = iam.NewFromConfig(c), kms.NewFromConfig(c)
	return m, nil
}

// requestID is the key of a context under which a *string is set to the request's id.
type requestID struct{}

// answerBody is the key of a context under which a *string is set to the answer's body.
type answerBody struct{}

// recording tells what the contexts of its requests ask for.
type recording struct{ next harness.InProcess }

// Do implements aws.HTTPClient.
func (c recording) Do(r *http.Request) (*http.Response, error) {
	out, err := c.next.Do(r)
	if err != nil {
		return nil, err
	}
	if to, ok := r.Context().Value(requestID{}).(*string); ok {
		*to = out.Header.Get("X-Amz-Request-Id")
	}
	if to, ok := r.Context().Value(answerBody{}).(*string); ok {
		body, err := io.ReadAll(out.Body)
		if err != nil {
			return nil, err
		}
		*to, out.Body = string(body), io.NopCloser(bytes.NewReader(body))
	}
	return out, nil
}

func isBlob(path string) bool {
	return strings.Contains(path, "/blobs/") && len(filepath.Base(path)) == 32
}

// kindOf says what a file is for.
func kindOf(path string) string {
	base := filepath.Base(path)
	switch {
	case isBlob(path):
		return "a blob"
	case filepath.Base(filepath.Dir(path)) == "blobs":
		return "blobs/"
	case strings.HasPrefix(base, "marker."):
		return "marker"
	}
	if ext := filepath.Ext(base); ext != "" {
		return ext
	}
	return strings.TrimRight(base, "-0123456789")
}
