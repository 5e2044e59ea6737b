package tamper

import (
	"context"
	"errors"
	"io/fs"
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/iam"
	"github.com/aws/aws-sdk-go-v2/service/s3"

	"watertight/internal/server"
	"watertight/test/harness"
)

const (
	keyID  = "AKIATAMPERTAMPERTAMP"
	secret = "TamperTamperTamperTamperTamperTamperTamp"
	region = "us-east-1"
)

// image is a stopped data directory: the content of each file, by its path. A path that ends
// with a slash is a folder.
type image map[string]string

// read reads a data directory.
func read(t testing.TB, dir string) image {
	t.Helper()
	out := image{}
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(dir, path)
		if err != nil {
			return err
		}
		switch {
		case d.IsDir():
			out[rel+"/"] = ""
		case d.Type().IsRegular():
			b, err := os.ReadFile(path)
			out[rel] = string(b)
			return err
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// write makes a data directory into an image.
func (i image) write(t testing.TB, dir string) {
	t.Helper()
	there := image{}
	if _, err := os.Stat(dir); err == nil {
		there = read(t, dir)
	}
	for path := range there {
		if _, ok := i[path]; !ok {
			if err := os.RemoveAll(filepath.Join(dir, path)); err != nil {
				t.Fatal(err)
			}
		}
	}
	for _, path := range slices.Sorted(maps.Keys(i)) {
		if text, ok := there[path]; ok && text == i[path] {
			continue
		}
		at := filepath.Join(dir, path)
		err := os.MkdirAll(filepath.Dir(at), 0o700)
		if strings.HasSuffix(path, "/") {
			err = errors.Join(err, os.MkdirAll(at, 0o700))
		} else {
			err = errors.Join(err, os.WriteFile(at, []byte(i[path]), 0o600))
		}
		if err != nil {
			t.Fatal(err)
		}
	}
}

// machine is a server without sockets.
type machine struct {
	handler http.Handler
	end     func() error
}

// boot starts a server on a data directory.
func boot(ctx context.Context, data, anchor string) (*machine, error) {
	s, err := server.Build(ctx, server.Config{
		Data: data, RootKey: "file:" + filepath.Join(filepath.Dir(data), "root.key"), Region: region, Anchor: anchor,
		Listen: []string{"127.0.0.1:0"}, Free: func(string) (int64, error) { return 1 << 40, nil },
		MaxDocumentMemory: server.DefaultMaxDocumentMemory, MaxConnections: 16,
		Root: server.RootCredentials{AccountID: "111122223333", AccessKeyID: keyID, SecretAccessKey: secret},
	})
	if err != nil {
		return nil, err
	}
	m := &machine{}
	m.handler, _, m.end = s.Simulate(ctx)
	return m, nil
}

// config returns the configuration of a client with an access key.
func (m *machine) config(id, secret string) aws.Config {
	return aws.Config{
		Region: region, Credentials: credentials.NewStaticCredentialsProvider(id, secret, ""),
		HTTPClient: harness.InProcess{Handler: m.handler}, BaseEndpoint: aws.String("https://127.0.0.1:9000"),
		Retryer: func() aws.Retryer { return aws.NopRetryer{} },
	}
}

func (m *machine) s3(id, secret string) *s3.Client {
	return s3.NewFromConfig(m.config(id, secret), func(o *s3.Options) { o.UsePathStyle = true })
}

func (m *machine) iam() *iam.Client { return iam.NewFromConfig(m.config(keyID, secret)) }

func fileText(t testing.TB, path string) string {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}
