package e2e

import (
	"bytes"
	"crypto/md5"
	"encoding/hex"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"

	"watertight/internal/storage/digest"
	"watertight/test/harness"
)

// noise is n bytes that don't repeat, the same in every run.
func noise(n int) []byte {
	b := make([]byte, n)
	r := rand.NewChaCha8([32]byte{1})
	r.Read(b)
	return b
}

// uploading is a multipart upload as a client sees it.
type uploading struct {
	t           *testing.T
	s           *harness.Server
	bucket, key *string
	id          *string
	done        []types.CompletedPart
}

func startUpload(t *testing.T, s *harness.Server, bucket, key string, change ...func(*s3.CreateMultipartUploadInput)) *uploading {
	t.Helper()
	in := &s3.CreateMultipartUploadInput{Bucket: &bucket, Key: &key}
	for _, f := range change {
		f(in)
	}
	out, err := s.S3.CreateMultipartUpload(t.Context(), in)
	if err != nil {
		t.Fatal(err)
	}
	return &uploading{t: t, s: s, bucket: &bucket, key: &key, id: out.UploadId}
}

func (u *uploading) put(number int32, b []byte, change ...func(*s3.UploadPartInput)) {
	u.t.Helper()
	in := &s3.UploadPartInput{Bucket: u.bucket, Key: u.key, UploadId: u.id, PartNumber: &number, Body: bytes.NewReader(b)}
	for _, f := range change {
		f(in)
	}
	out, err := u.s.S3.UploadPart(u.t.Context(), in)
	if err != nil {
		u.t.Fatal(err)
	}
	u.done = append(u.done, types.CompletedPart{
		PartNumber: &number, ETag: out.ETag, ChecksumCRC32: out.ChecksumCRC32, ChecksumCRC32C: out.ChecksumCRC32C,
		ChecksumCRC64NVME: out.ChecksumCRC64NVME, ChecksumSHA1: out.ChecksumSHA1, ChecksumSHA256: out.ChecksumSHA256,
	})
}

func (u *uploading) complete(change ...func(*s3.CompleteMultipartUploadInput)) (*s3.CompleteMultipartUploadOutput, error) {
	in := &s3.CompleteMultipartUploadInput{Bucket: u.bucket, Key: u.key, UploadId: u.id, MultipartUpload: &types.CompletedMultipartUpload{Parts: u.done}}
	for _, f := range change {
		f(in)
	}
	return u.s.S3.CompleteMultipartUpload(u.t.Context(), in)
}

func makeBucket(t *testing.T, s *harness.Server, name string) {
	t.Helper()
	if _, err := s.S3.CreateBucket(t.Context(), &s3.CreateBucketInput{Bucket: &name}); err != nil {
		t.Fatal(err)
	}
}

const part = 5 << 20

// TestMultipart uploads, reads in every way, lists and deletes.
func TestMultipart(t *testing.T) {
	s := harness.Start(t)
	makeBucket(t, s, "parts")
	content := noise(2*part + 12345)
	u := startUpload(t, s, "parts", "dir/large", func(in *s3.CreateMultipartUploadInput) {
		in.ContentType, in.Metadata, in.StorageClass = aws.String("text/x-large"), map[string]string{"colour": "blue"}, types.StorageClassStandardIa
		in.Tagging = aws.String("a=b")
	})
	u.put(3, content[2*part:])
	u.put(1, noise(part+1)) // replaced below
	u.put(9, []byte("never listed"))
	u.done = nil
	u.put(1, content[:part])
	u.put(2, content[part:2*part])
	u.put(3, content[2*part:])

	parts, err := s.S3.ListParts(t.Context(), &s3.ListPartsInput{Bucket: u.bucket, Key: u.key, UploadId: u.id, MaxParts: aws.Int32(2)})
	if err != nil || len(parts.Parts) != 2 || !*parts.IsTruncated || *parts.NextPartNumberMarker != "2" || *parts.Parts[1].Size != part {
		t.Errorf("%+v, %v", parts, err)
	}
	all, err := s.S3.ListMultipartUploads(t.Context(), &s3.ListMultipartUploadsInput{Bucket: u.bucket, Delimiter: aws.String("/")})
	if err != nil || len(all.CommonPrefixes) != 1 || *all.CommonPrefixes[0].Prefix != "dir/" || len(all.Uploads) != 0 {
		t.Errorf("%+v, %v", all, err)
	}
	all, err = s.S3.ListMultipartUploads(t.Context(), &s3.ListMultipartUploadsInput{Bucket: u.bucket})
	if err != nil || len(all.Uploads) != 1 || *all.Uploads[0].UploadId != *u.id || all.Uploads[0].StorageClass != "STANDARD_IA" {
		t.Errorf("%+v, %v", all, err)
	}

	done, err := u.complete()
	if err != nil {
		t.Fatal(err)
	}
	sums := md5.New()
	for _, p := range [][]byte{content[:part], content[part : 2*part], content[2*part:]} {
		sum := md5.Sum(p)
		sums.Write(sum[:])
	}
	if want := `"` + hex.EncodeToString(sums.Sum(nil)) + `-3"`; *done.ETag != want {
		t.Errorf("ETag %s, want %s", *done.ETag, want)
	}
	if again, err := u.complete(); err != nil || *again.ETag != *done.ETag {
		t.Errorf("completing once more: %v", err)
	}
	if _, err := s.S3.ListParts(t.Context(), &s3.ListPartsInput{Bucket: u.bucket, Key: u.key, UploadId: u.id}); code(err) != "NoSuchUpload" {
		t.Errorf("parts after the completion: %v", err)
	}
	for _, r := range [][2]int{{0, 0}, {part - 1, part}, {part, 2*part - 1}, {10, 2*part + 10}, {2*part + 12344, 2*part + 12344}, {0, len(content) - 1}} {
		out, err := s.S3.GetObject(t.Context(), &s3.GetObjectInput{Bucket: u.bucket, Key: u.key, Range: aws.String(fmt.Sprintf("bytes=%d-%d", r[0], r[1]))})
		if err != nil {
			t.Fatal(err)
		}
		b, err := io.ReadAll(out.Body)
		out.Body.Close()
		if err != nil || !bytes.Equal(b, content[r[0]:r[1]+1]) {
			t.Errorf("range %v: %d bytes, %v", r, len(b), err)
		}
	}
	out, err := s.S3.GetObject(t.Context(), &s3.GetObjectInput{Bucket: u.bucket, Key: u.key, PartNumber: aws.Int32(2)})
	if err != nil {
		t.Fatal(err)
	}
	b, err := io.ReadAll(out.Body)
	out.Body.Close()
	if err != nil || !bytes.Equal(b, content[part:2*part]) || *out.PartsCount != 3 || *out.ContentRange != fmt.Sprintf("bytes %d-%d/%d", part, 2*part-1, len(content)) {
		t.Errorf("part 2: %d bytes, %v, %s, %v", len(b), out.PartsCount, aws.ToString(out.ContentRange), err)
	}
	if _, err := s.S3.HeadObject(t.Context(), &s3.HeadObjectInput{Bucket: u.bucket, Key: u.key, PartNumber: aws.Int32(4)}); err == nil {
		t.Error("part 4 of 3")
	}
	head, err := s.S3.HeadObject(t.Context(), &s3.HeadObjectInput{Bucket: u.bucket, Key: u.key})
	if err != nil || *head.ContentLength != int64(len(content)) || *head.ContentType != "text/x-large" || head.Metadata["colour"] != "blue" || *head.TagCount != 1 || head.StorageClass != "STANDARD_IA" {
		t.Errorf("%+v, %v", head, err)
	}
	if _, err := s.S3.DeleteObject(t.Context(), &s3.DeleteObjectInput{Bucket: u.bucket, Key: u.key}); err != nil {
		t.Error(err)
	}
	if _, err := s.S3.DeleteBucket(t.Context(), &s3.DeleteBucketInput{Bucket: u.bucket}); err != nil {
		t.Error(err)
	}
}

// TestMultipartChecksums: of every algorithm and type, in every combination
// that is one.
func TestMultipartChecksums(t *testing.T) {
	s := harness.Start(t)
	makeBucket(t, s, "sums")
	content := noise(part + 7)
	for _, alg := range digest.All() {
		for _, kind := range []types.ChecksumType{"", types.ChecksumTypeFullObject, types.ChecksumTypeComposite} {
			t.Run(fmt.Sprint(alg, kind), func(t *testing.T) {
				in := &s3.CreateMultipartUploadInput{Bucket: aws.String("sums"), Key: aws.String("k"), ChecksumAlgorithm: types.ChecksumAlgorithm(alg), ChecksumType: kind}
				refused := alg == digest.CRC64NVME && kind == "COMPOSITE" || (alg == digest.SHA1 || alg == digest.SHA256) && kind == "FULL_OBJECT"
				if _, err := s.S3.CreateMultipartUpload(t.Context(), in); refused != (code(err) == "InvalidRequest") || !refused && err != nil {
					t.Fatal(err)
				}
				if refused {
					return
				}
				u := startUpload(t, s, "sums", "k", func(in *s3.CreateMultipartUploadInput) {
					in.ChecksumAlgorithm, in.ChecksumType = types.ChecksumAlgorithm(alg), kind
				})
				with := func(in *s3.UploadPartInput) { in.ChecksumAlgorithm = types.ChecksumAlgorithm(alg) }
				u.put(1, content[:part], with)
				u.put(2, content[part:], with)
				if _, err := u.complete(); err != nil {
					t.Fatal(err)
				}
				head, err := s.S3.HeadObject(t.Context(), &s3.HeadObjectInput{Bucket: u.bucket, Key: u.key, ChecksumMode: types.ChecksumModeEnabled})
				if err != nil {
					t.Fatal(err)
				}
				got := aws.ToString(map[digest.Algorithm]*string{digest.CRC32: head.ChecksumCRC32, digest.CRC32C: head.ChecksumCRC32C, digest.CRC64NVME: head.ChecksumCRC64NVME, digest.SHA1: head.ChecksumSHA1, digest.SHA256: head.ChecksumSHA256}[alg])
				if want := wholeSum(alg, kind, content); got != want {
					t.Errorf("%s, want %s", got, want)
				}
				attr, err := s.S3.GetObjectAttributes(t.Context(), &s3.GetObjectAttributesInput{Bucket: u.bucket, Key: u.key, ObjectAttributes: []types.ObjectAttributes{"ETag", "Checksum", "ObjectParts", "ObjectSize", "StorageClass"}})
				if err != nil || *attr.ObjectSize != int64(len(content)) || *attr.ObjectParts.TotalPartsCount != 2 || attr.Checksum == nil || strings.Contains(*attr.ETag, `"`) {
					t.Errorf("%+v, %v", attr, err)
				}
			})
		}
	}
}

// wholeSum is the checksum of content, uploaded in two parts.
func wholeSum(alg digest.Algorithm, kind types.ChecksumType, content []byte) string {
	sum := func(parts ...[]byte) []byte {
		h := alg.New()
		for _, p := range parts {
			h.Write(p)
		}
		return h.Sum(nil)
	}
	if kind == "FULL_OBJECT" || alg == digest.CRC64NVME {
		return base64Of(sum(content))
	}
	return base64Of(sum(sum(content[:part]), sum(content[part:]))) + "-2"
}

// TestBadMultipart: each mistake has its error, and leaves nothing behind.
func TestBadMultipart(t *testing.T) {
	s := harness.Start(t)
	makeBucket(t, s, "bad")
	u := startUpload(t, s, "bad", "k")
	u.put(1, noise(part))
	u.put(2, []byte("small"))
	u.put(3, []byte("last"))
	number := func(i int, n int32) types.CompletedPart { p := u.done[i]; p.PartNumber = &n; return p }
	wrong := u.done[0]
	wrong.ETag = aws.String(`"00000000000000000000000000000000"`)
	for name, c := range map[string]struct {
		parts []types.CompletedPart
		want  string
	}{
		"too small":       {u.done, "EntityTooSmall"},
		"another order":   {[]types.CompletedPart{u.done[1], u.done[0]}, "InvalidPartOrder"},
		"twice":           {[]types.CompletedPart{u.done[0], u.done[0]}, "InvalidPartOrder"},
		"never uploaded":  {[]types.CompletedPart{u.done[0], number(1, 5)}, "InvalidPart"},
		"another ETag":    {[]types.CompletedPart{wrong}, "InvalidPart"},
		"number 0":        {[]types.CompletedPart{number(0, 0)}, "InvalidArgument"},
		"number 10,001":   {[]types.CompletedPart{number(0, 10001)}, "InvalidArgument"},
		"none":            {nil, "InvalidRequest"},
		"without an ETag": {[]types.CompletedPart{{PartNumber: aws.Int32(1)}}, "MalformedXML"},
	} {
		if _, err := u.complete(func(in *s3.CompleteMultipartUploadInput) { in.MultipartUpload.Parts = c.parts }); code(err) != c.want {
			t.Errorf("%s: %v, want %s", name, err, c.want)
		}
	}
	u.done = u.done[:1]
	for name, c := range map[string]struct {
		change func(*s3.CompleteMultipartUploadInput)
		want   string
	}{
		"wrong size":     {func(in *s3.CompleteMultipartUploadInput) { in.MpuObjectSize = aws.Int64(5) }, "InvalidRequest"},
		"wrong sum":      {func(in *s3.CompleteMultipartUploadInput) { in.ChecksumCRC64NVME = aws.String("AAAAAAAAAAA=") }, "BadDigest"},
		"another type":   {func(in *s3.CompleteMultipartUploadInput) { in.ChecksumType = types.ChecksumTypeComposite }, "InvalidRequest"},
		"another key":    {func(in *s3.CompleteMultipartUploadInput) { in.Key = aws.String("other") }, "NoSuchUpload"},
		"unknown upload": {func(in *s3.CompleteMultipartUploadInput) { in.UploadId = aws.String("nonsense") }, "NoSuchUpload"},
		"must exist":     {func(in *s3.CompleteMultipartUploadInput) { in.IfMatch = aws.String(`"x"`) }, "NoSuchKey"},
	} {
		if _, err := u.complete(c.change); code(err) != c.want {
			t.Errorf("%s: %v, want %s", name, err, c.want)
		}
	}
	for name, c := range map[string]struct {
		number int32
		id     *string
		want   string
	}{"part 0": {0, u.id, "InvalidArgument"}, "part 10,001": {10001, u.id, "InvalidArgument"}, "no upload": {1, aws.String("nonsense"), "NoSuchUpload"}} {
		if _, err := s.S3.UploadPart(t.Context(), &s3.UploadPartInput{Bucket: u.bucket, Key: u.key, UploadId: c.id, PartNumber: &c.number, Body: strings.NewReader("x")}); code(err) != c.want {
			t.Errorf("%s: %v, want %s", name, err, c.want)
		}
	}
	var list strings.Builder
	for i := range 10_001 {
		fmt.Fprintf(&list, "<Part><PartNumber>%d</PartNumber><ETag>x</ETag></Part>", i+1)
	}
	a := send(t, s, raw{method: "POST", target: "/bad/k?uploadId=" + *u.id, body: "<CompleteMultipartUpload>" + list.String() + "</CompleteMultipartUpload>"})
	if a.status != http.StatusBadRequest || a.code != "MalformedXML" {
		t.Errorf("10,001 parts: %d %s", a.status, a.code)
	}
	if _, err := s.S3.AbortMultipartUpload(t.Context(), &s3.AbortMultipartUploadInput{Bucket: u.bucket, Key: u.key, UploadId: u.id}); err != nil {
		t.Error(err)
	}
	if _, err := s.S3.AbortMultipartUpload(t.Context(), &s3.AbortMultipartUploadInput{Bucket: u.bucket, Key: u.key, UploadId: u.id}); code(err) != "NoSuchUpload" {
		t.Errorf("aborting twice: %v", err)
	}
	if l, err := s.S3.ListObjectVersions(t.Context(), &s3.ListObjectVersionsInput{Bucket: u.bucket}); err != nil || len(l.Versions) != 0 {
		t.Errorf("%d versions, %v", len(l.Versions), err)
	}
}

// TestConditionalCompletion: what changes the key during an upload is a
// conflict, even where the condition would hold.
func TestConditionalCompletion(t *testing.T) {
	s := harness.Start(t)
	makeBucket(t, s, "cond")
	put := func() *string {
		t.Helper()
		out, err := s.S3.PutObject(t.Context(), &s3.PutObjectInput{Bucket: aws.String("cond"), Key: aws.String("k"), Body: strings.NewReader("x")})
		if err != nil {
			t.Fatal(err)
		}
		return out.ETag
	}
	remove := func() {
		t.Helper()
		if _, err := s.S3.DeleteObject(t.Context(), &s3.DeleteObjectInput{Bucket: aws.String("cond"), Key: aws.String("k")}); err != nil {
			t.Fatal(err)
		}
	}
	ifMatch := func(etag *string) func(*s3.CompleteMultipartUploadInput) {
		return func(in *s3.CompleteMultipartUploadInput) { in.IfMatch = etag }
	}
	ifNone := func(in *s3.CompleteMultipartUploadInput) { in.IfNoneMatch = aws.String("*") }
	for name, c := range map[string]struct {
		before, during func()
		condition      func(*s3.CompleteMultipartUploadInput)
		want           string
	}{
		"new":                        {remove, nil, ifNone, ""},
		"there already":              {func() { put() }, nil, ifNone, "PreconditionFailed"},
		"deleted during the upload":  {func() { put() }, remove, ifNone, "ConditionalRequestConflict"},
		"the same":                   {func() { put() }, nil, ifMatch(aws.String(`"9dd4e461268c8034f5c8564e155c67a6"`)), ""},
		"another":                    {func() { put() }, nil, ifMatch(aws.String(`"0"`)), "PreconditionFailed"},
		"replaced during the upload": {func() { put() }, func() { put() }, ifMatch(aws.String(`"9dd4e461268c8034f5c8564e155c67a6"`)), "ConditionalRequestConflict"},
		"gone":                       {func() { put() }, remove, ifMatch(aws.String(`"9dd4e461268c8034f5c8564e155c67a6"`)), "NoSuchKey"},
	} {
		c.before()
		u := startUpload(t, s, "cond", "k")
		u.put(1, []byte("small"))
		if c.during != nil {
			c.during()
		}
		if _, err := u.complete(c.condition); code(err) != c.want {
			t.Errorf("%s: %v, want %q", name, err, c.want)
		}
	}
}
