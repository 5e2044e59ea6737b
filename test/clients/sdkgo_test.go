package clients

import (
	"bytes"
	"errors"
	"io"
	"slices"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/feature/s3/transfermanager"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
	"github.com/aws/smithy-go"

	"watertight/test/harness"
)

// TestSDKForGo is a session of the AWS SDK for Go with its transfer manager.
func TestSDKForGo(t *testing.T) {
	s := harness.Start(t)
	ctx, bucket, key := t.Context(), aws.String("go-client"), aws.String(odd)
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	read := func(key string) []byte {
		t.Helper()
		out, err := s.S3.GetObject(ctx, &s3.GetObjectInput{Bucket: bucket, Key: &key})
		must(err)
		b, err := io.ReadAll(out.Body)
		must(errors.Join(err, out.Body.Close()))
		return b
	}
	big := random(large)
	_, err := s.S3.CreateBucket(ctx, &s3.CreateBucketInput{Bucket: bucket})
	must(err)
	_, err = s.S3.PutObject(ctx, &s3.PutObjectInput{Bucket: bucket, Key: key, Body: bytes.NewReader(big[:100])})
	must(err)
	if !bytes.Equal(read(odd), big[:100]) {
		t.Error("not the same bytes")
	}

	// A stream of unknown length.
	tm := transfermanager.New(s.S3)
	up, err := tm.UploadObject(ctx, &transfermanager.UploadObjectInput{
		Bucket: bucket, Key: aws.String("large"), Body: io.MultiReader(bytes.NewReader(big)),
	})
	must(err)
	if !bytes.HasSuffix([]byte(aws.ToString(up.ETag)), []byte(`-3"`)) {
		t.Errorf("the ETag is %s", aws.ToString(up.ETag))
	}
	down := make([]byte, large)
	_, err = tm.DownloadObject(ctx, &transfermanager.DownloadObjectInput{
		Bucket: bucket, Key: aws.String("large"), WriterAt: into(down),
	})
	must(err)
	if !bytes.Equal(down, big) {
		t.Error("the transfer manager reads other bytes")
	}

	_, err = s.S3.CopyObject(ctx, &s3.CopyObjectInput{
		Bucket: bucket, Key: aws.String("copy"), CopySource: aws.String("go-client/large"),
	})
	must(err)
	if !bytes.Equal(read("copy"), big) {
		t.Error("the copy is not the same")
	}
	var keys []string
	for pages := s3.NewListObjectsV2Paginator(s.S3, &s3.ListObjectsV2Input{
		Bucket: bucket, MaxKeys: aws.Int32(2),
	}); pages.HasMorePages(); {
		page, err := pages.NextPage(ctx)
		must(err)
		for _, o := range page.Contents {
			keys = append(keys, *o.Key)
		}
	}
	if !slices.Equal(keys, []string{odd, "copy", "large"}) {
		t.Errorf("%q", keys)
	}
	wrong := s.Client(harness.Credentials{AccessKeyID: s.AccessKeyID, SecretAccessKey: s.SecretAccessKey + "x"})
	_, err = wrong.GetObject(ctx, &s3.GetObjectInput{Bucket: bucket, Key: key})
	if refusal := smithy.APIError(nil); !errors.As(err, &refusal) || refusal.ErrorCode() != "SignatureDoesNotMatch" {
		t.Errorf("with a wrong secret: %v", err)
	}

	var all []types.ObjectIdentifier
	for _, k := range keys {
		all = append(all, types.ObjectIdentifier{Key: aws.String(k)})
	}
	gone, err := s.S3.DeleteObjects(ctx, &s3.DeleteObjectsInput{Bucket: bucket, Delete: &types.Delete{Objects: all}})
	must(err)
	if len(gone.Deleted) != 3 || len(gone.Errors) != 0 {
		t.Errorf("%+v", gone)
	}
	_, err = s.S3.DeleteBucket(ctx, &s3.DeleteBucketInput{Bucket: bucket})
	must(err)
}

// into is a buffer that is written piece by piece.
type into []byte

func (b into) WriteAt(p []byte, at int64) (int, error) {
	if at+int64(len(p)) > int64(len(b)) {
		return 0, io.ErrShortWrite
	}
	return copy(b[at:], p), nil
}
