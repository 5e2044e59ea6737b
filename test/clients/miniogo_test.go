package clients

import (
	"bytes"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/minio/minio-go/v7"
	"github.com/minio/minio-go/v7/pkg/credentials"

	"watertight/internal/server"
	"watertight/test/harness"
)

// TestMinIOGo is a session of MinIO's client library for Go: streams of unknown
// length with the options it has by default, and checksums in trailers, signed
// without TLS and unsigned with it.
func TestMinIOGo(t *testing.T) {
	for name, c := range map[string]struct{ tls, trailers bool }{
		"default": {}, "trailers": {trailers: true}, "TLS": {tls: true}, "TLS, trailers": {tls: true, trailers: true},
	} {
		t.Run(name, func(t *testing.T) {
			s := harness.Start(t, func(o *server.Config) { o.TLS.SelfSigned = c.tls })
			minIOGo(t, s, &minio.Options{Transport: s.HTTP, Secure: c.tls, TrailingHeaders: c.trailers})
		})
	}
}

func minIOGo(t *testing.T, s *harness.Server, options *minio.Options) {
	const bucket = "minio-go"
	ctx := t.Context()
	client := func(secret string) *minio.Client {
		t.Helper()
		o := *options
		o.Creds = credentials.NewStaticV4(s.AccessKeyID, secret, "")
		_, host, _ := strings.Cut(s.Endpoint, "://")
		c, err := minio.New(host, &o)
		if err != nil {
			t.Fatal(err)
		}
		return c
	}
	c := client(s.SecretAccessKey)
	if err := c.MakeBucket(ctx, bucket, minio.MakeBucketOptions{}); err != nil {
		t.Fatal(err)
	}
	big := random(large)
	puts := map[string]minio.PutObjectOptions{
		odd:     {UserMetadata: map[string]string{"colour": "blue"}, UserTags: map[string]string{"a": "b c"}},
		"parts": {PartSize: 5 << 20}, "md5": {SendContentMd5: true, PartSize: 5 << 20},
	}
	if options.TrailingHeaders {
		puts["crc32c"] = minio.PutObjectOptions{Checksum: minio.ChecksumCRC32C, PartSize: 5 << 20}
		puts["sha256"] = minio.PutObjectOptions{Checksum: minio.ChecksumSHA256, PartSize: 5 << 20}
		puts["crc64"] = minio.PutObjectOptions{Checksum: minio.ChecksumCRC64NVME, PartSize: 5 << 20}
	}
	for key, o := range puts {
		for size, body := range map[string][]byte{"large": big, "small": big[:100], "empty": nil} {
			for length, n := range map[string]int64{"known": int64(len(body)), "unknown": -1} {
				name := key + "/" + size + "/" + length
				if _, err := c.PutObject(ctx, bucket, name, io.MultiReader(bytes.NewReader(body)), n, o); err != nil {
					t.Errorf("%s: %v", name, err)
					continue
				}
				got, err := c.GetObject(ctx, bucket, name, minio.GetObjectOptions{Checksum: true})
				if err != nil {
					t.Fatal(err)
				}
				if b, err := io.ReadAll(got); err != nil || !bytes.Equal(b, body) {
					t.Errorf("%s: %d bytes of %d, %v", name, len(b), len(body), err)
				}
			}
		}
	}
	if info, err := c.StatObject(ctx, bucket, odd+"/small/known", minio.StatObjectOptions{}); err != nil ||
		info.UserMetadata["Colour"] != "blue" || info.UserTagCount != 1 {
		t.Errorf("%+v, %v", info, err)
	}
	if _, err := c.ComposeObject(ctx, minio.CopyDestOptions{Bucket: bucket, Object: "composed"},
		minio.CopySrcOptions{
			Bucket: bucket, Object: odd + "/large/known",
		}, minio.CopySrcOptions{Bucket: bucket, Object: odd + "/small/known"}); err != nil {
		t.Errorf("compose: %v", err)
	}
	if _, err := client(s.SecretAccessKey+"x").StatObject(ctx, bucket, "composed",
		minio.StatObjectOptions{}); minio.ToErrorResponse(err).StatusCode != http.StatusForbidden {
		t.Errorf("with a wrong secret: %v", err)
	}
	listed := 0
	for o := range c.ListObjects(ctx, bucket, minio.ListObjectsOptions{Recursive: true}) {
		if o.Err != nil {
			t.Fatal(o.Err)
		}
		listed++
		if err := c.RemoveObject(ctx, bucket, o.Key, minio.RemoveObjectOptions{}); err != nil {
			t.Errorf("%s: %v", o.Key, err)
		}
	}
	if want := 6*len(puts) + 1; listed != want {
		t.Errorf("%d objects are listed, want %d", listed, want)
	}
	if err := c.RemoveBucket(ctx, bucket); err != nil {
		t.Error(err)
	}
}
