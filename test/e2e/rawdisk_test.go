package e2e

import (
	"bytes"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"

	"watertight/test/harness"
)

// marker is searched for in every file. Its two halves are separate here, so that the test's own binary
// does not contain it.
var marker = strings.Join([]string{"MARKER", "9f3a51c07be2"}, "-")

// TestRawDisk writes a marker wherever a client can put bytes, in every way of
// encryption, and looks for it in every file of the data directory, while
// the server runs and after it stopped. The bucket's name isn't there either.
func TestRawDisk(t *testing.T) {
	s := harness.Start(t, allowingSSEC)
	bucket := newBucket(t, s, "raw-disk")
	writeMarked(t, s, bucket, "", ownKey{}, "")
	writeMarked(t, s, bucket, "own-", newOwnKey("mine"), "")
	writeMarked(t, s, bucket, "kms-", ownKey{}, types.ServerSideEncryptionAwsKms)
	writeMarked(t, s, bucket, "dsse-", ownKey{}, types.ServerSideEncryptionAwsKmsDsse)
	tagging := &types.Tagging{TagSet: tags("secret", marker, marker, "name")}
	for _, key := range []string{"inline", "own-inline", "kms-inline", "dsse-inline"} {
		if _, err := s.S3.PutObjectTagging(t.Context(), &s3.PutObjectTaggingInput{
			Bucket: bucket, Key: &key, Tagging: tagging,
		}); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := s.S3.PutBucketTagging(t.Context(), &s3.PutBucketTaggingInput{
		Bucket: bucket, Tagging: tagging,
	}); err != nil {
		t.Fatal(err)
	}
	if err := putCORS(t, s, bucket, types.CORSRule{
		ID: aws.String(marker), AllowedOrigins: []string{"https://" + marker}, AllowedMethods: []string{"GET"},
		AllowedHeaders: []string{marker},
	}); err != nil {
		t.Fatal(err)
	}
	if files := filesWith(t, s.Data, marker); len(files) > 0 {
		t.Errorf("the marker is in plain text in %q while the server runs", files)
	}
	s.Stop()
	if files := filesWith(t, s.Data, marker); len(files) > 0 {
		t.Errorf("the marker is in plain text in %q", files)
	}
	if files := filesWith(t, s.Data, "raw-disk"); len(files) > 0 {
		t.Errorf("the bucket's name is in plain text in %q", files)
	}
	if files := filesWith(t, filepath.Join(s.Data, "meta"), "WTFILE1"); len(files) < 3 {
		t.Errorf("the scan finds headers of the metadata's files in %q only: it looks in the wrong place", files)
	}
}

// writeMarked writes objects full of the marker in every possible way: put, copied,
// posted and uploaded, inline and in blobs. Their keys begin with a prefix for each kind of encryption.
func writeMarked(
	t *testing.T, s *harness.Server, bucket *string, prefix string, k ownKey, sse types.ServerSideEncryption,
) {
	t.Helper()
	metadata := map[string]string{"secret": marker, strings.ToLower(marker): "name"}
	for name, size := range map[string]int{"inline": 200, "blob": 300_000} {
		key, body := prefix+name, []byte(strings.Repeat(marker+" ", size/len(marker)))
		_, err := s.S3.PutObject(t.Context(), &s3.PutObjectInput{
			Bucket: bucket, Key: &key, Body: bytes.NewReader(body), Tagging: aws.String(marker + "=" + marker),
			Metadata:    metadata,
			ContentType: aws.String("application/" + marker), ContentDisposition: aws.String(marker),
			SSECustomerAlgorithm: k.algorithm, SSECustomerKey: k.key, SSECustomerKeyMD5: k.md5,
			ServerSideEncryption: sse,
		})
		if err != nil {
			t.Fatal(err)
		}
		for what, change := range map[string]func(*s3.CopyObjectInput){
			"copied": func(*s3.CopyObjectInput) {},
			"changed": func(in *s3.CopyObjectInput) {
				in.MetadataDirective, in.Metadata = types.MetadataDirectiveReplace, metadata
				in.ContentType = aws.String("text/" + marker)
				in.TaggingDirective, in.Tagging = types.TaggingDirectiveReplace, aws.String("x="+marker)
			},
		} {
			in := &s3.CopyObjectInput{
				Bucket: bucket, Key: aws.String(key + "-" + what), CopySource: aws.String(*bucket + "/" + key),
				CopySourceSSECustomerAlgorithm: k.algorithm, CopySourceSSECustomerKey: k.key,
				CopySourceSSECustomerKeyMD5: k.md5,
				SSECustomerAlgorithm:        k.algorithm, SSECustomerKey: k.key, SSECustomerKeyMD5: k.md5,
				ServerSideEncryption: sse,
			}
			change(in)
			if _, err := s.S3.CopyObject(t.Context(), in); err != nil {
				t.Fatal(err)
			}
		}
		fields := map[string]string{
			"key": key + "-posted", "x-amz-meta-secret": marker, "Content-Type": "application/" + marker,
			"success_action_redirect": "http://" + marker,
		}
		if sse != "" {
			fields["x-amz-server-side-encryption"] = string(sse)
		}
		for name, v := range k.header("x-amz-") {
			fields[strings.ToLower(name)] = v[0]
		}
		if a := send(t, s,
			post{bucket: *bucket, file: string(body), filename: marker, fields: fields}.build(t, s)); a.status != 303 {
			t.Fatalf("%s: %d %s", key, a.status, a.body)
		}
		for _, written := range []string{key, key + "-copied", key + "-changed", key + "-posted"} {
			got, out, err := getOwn(t, s, s3.GetObjectInput{Bucket: bucket, Key: &written}, k)
			if err != nil || !bytes.Equal(got, body) || sse != "" && out.ServerSideEncryption != sse {
				t.Fatalf("%s: read back %d bytes, %v", written, len(got), err)
			}
		}
	}
	uploadMarked(t, s, bucket, prefix, k, sse)
}

// filesWith returns the files under dir that contain text in upper or lower case.
func filesWith(t *testing.T, dir, text string) []string {
	t.Helper()
	return filesWithAny(t, dir, map[string]string{"": text})[""]
}

// filesWithAny is filesWith for several texts with names.
func filesWithAny(t *testing.T, dir string, texts map[string]string) map[string][]string {
	t.Helper()
	found := map[string][]string{}
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() {
			return err
		}
		b, err := os.ReadFile(path)
		b = bytes.ToLower(b)
		for name, text := range texts {
			if bytes.Contains(b, []byte(strings.ToLower(text))) {
				found[name] = append(found[name], path)
			}
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return found
}

// uploadMarked makes an upload that stays in progress and one that is completed, with parts inline and
// in blobs, and a part that is a copy.
func uploadMarked(
	t *testing.T, s *harness.Server, bucket *string, prefix string, k ownKey, sse types.ServerSideEncryption,
) {
	t.Helper()
	for _, name := range []string{"uploading", "uploaded"} {
		key := prefix + name
		u := &ownUpload{t, s, bucket, &key, begin(t, s, s3.CreateMultipartUploadInput{
			Bucket: bucket, Key: &key, ContentType: aws.String("application/" + marker),
			Tagging: aws.String(marker + "=" + marker), Metadata: map[string]string{"secret": marker},
			SSECustomerAlgorithm: k.algorithm, SSECustomerKey: k.key, SSECustomerKeyMD5: k.md5,
			ServerSideEncryption: sse,
		}), sse}
		one, err := u.part(1, []byte(strings.Repeat(marker+" ", 5*mib/len(marker))), k, "")
		if err != nil {
			t.Fatal(err)
		}
		two, err := u.copied(2, prefix+"blob", k, k)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := u.part(3, []byte(marker), k, ""); err != nil {
			t.Fatal(err)
		}
		if name == "uploading" {
			continue
		}
		if _, err := u.complete(k, one, two); err != nil {
			t.Fatal(err)
		}
	}
}
