package e2e

import (
	"bytes"
	"crypto/md5"
	"encoding/base64"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/feature/s3/transfermanager"
	tmtypes "github.com/aws/aws-sdk-go-v2/feature/s3/transfermanager/types"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"

	"watertight/internal/storage/digest"
	"watertight/test/harness"
)

const mib = 1 << 20

// begin starts an upload and returns its id.
func begin(t *testing.T, s *harness.Server, in s3.CreateMultipartUploadInput) *string {
	t.Helper()
	out, err := s.S3.CreateMultipartUpload(t.Context(), &in)
	if err != nil {
		t.Fatal(err)
	}
	return out.UploadId
}

// putPart uploads a part and returns its entry for the list of parts.
func putPart(
	t *testing.T, s *harness.Server, bucket, key, id *string, n int32, body []byte, alg types.ChecksumAlgorithm,
) types.CompletedPart {
	t.Helper()
	out, err := s.S3.UploadPart(t.Context(), &s3.UploadPartInput{
		Bucket: bucket, Key: key, UploadId: id, PartNumber: &n, Body: bytes.NewReader(body), ChecksumAlgorithm: alg,
	})
	if err != nil {
		t.Fatal(err)
	}
	if want := fmt.Sprintf(`"%x"`, md5.Sum(body)); *out.ETag != want {
		t.Errorf("part %d: ETag %s, want %s", n, *out.ETag, want)
	}
	return types.CompletedPart{
		PartNumber: &n, ETag: out.ETag, ChecksumCRC32: out.ChecksumCRC32, ChecksumCRC32C: out.ChecksumCRC32C,
		ChecksumCRC64NVME: out.ChecksumCRC64NVME, ChecksumSHA1: out.ChecksumSHA1, ChecksumSHA256: out.ChecksumSHA256,
	}
}

func complete(
	t *testing.T, s *harness.Server, bucket, key, id *string, parts ...types.CompletedPart,
) (*s3.CompleteMultipartUploadOutput, error) {
	t.Helper()
	return s.S3.CompleteMultipartUpload(t.Context(), &s3.CompleteMultipartUploadInput{
		Bucket: bucket, Key: key, UploadId: id, MultipartUpload: &types.CompletedMultipartUpload{Parts: parts},
	})
}

// sumIn returns the checksum of an algorithm in an answer.
func sumIn(a digest.Algorithm, crc32, crc32c, crc64, sha1, sha256 *string) string {
	all := map[digest.Algorithm]*string{
		digest.CRC32: crc32, digest.CRC32C: crc32c, digest.CRC64NVME: crc64, digest.SHA1: sha1, digest.SHA256: sha256,
	}
	for other, s := range all {
		if other != a && s != nil {
			return "a checksum of " + string(other)
		}
	}
	return aws.ToString(all[a])
}

func sumOf(a digest.Algorithm, pieces ...[]byte) []byte {
	h := a.New()
	for _, p := range pieces {
		h.Write(p)
	}
	return h.Sum(nil)
}

// TestCompositeChecksumOfAll: the checksum of an upload is accepted with and without the number of
// parts, and verified in both forms.
func TestCompositeChecksumOfAll(t *testing.T) {
	s := harness.Start(t)
	bucket, key := newBucket(t, s, "composite"), aws.String("k")
	sum := sumOf(digest.CRC32C, sumOf(digest.CRC32C, []byte("part")))
	plain := base64.StdEncoding.EncodeToString(sum)
	sum[0] ^= 1
	for value, ok := range map[string]bool{
		plain: true, plain + "-1": true, plain + "-2": false, base64.StdEncoding.EncodeToString(sum): false,
	} {
		t.Run(value, func(t *testing.T) {
			id := begin(t, s, s3.CreateMultipartUploadInput{
				Bucket: bucket, Key: key, ChecksumAlgorithm: types.ChecksumAlgorithmCrc32c,
			})
			part := putPart(t, s, bucket, key, id, 1, []byte("part"), types.ChecksumAlgorithmCrc32c)
			_, err := s.S3.CompleteMultipartUpload(t.Context(), &s3.CompleteMultipartUploadInput{
				Bucket: bucket, Key: key, UploadId: id,
				MultipartUpload: &types.CompletedMultipartUpload{Parts: []types.CompletedPart{part}},
				ChecksumCRC32C:  &value,
			})
			if (err == nil) != ok || err != nil && code(err) != "BadDigest" {
				t.Errorf("%s: %v", value, err)
			}
		})
	}
}

// TestUploader: the SDK's own uploader sends 20 MiB with every checksum that it knows.
func TestUploader(t *testing.T) {
	s := harness.Start(t)
	bucket := newBucket(t, s, "uploader")
	body := randomBody(20 * mib)
	for _, alg := range []digest.Algorithm{digest.CRC32, digest.CRC32C, digest.CRC64NVME, digest.SHA1, digest.SHA256} {
		key := aws.String(string(alg))
		up := transfermanager.New(s.S3, func(o *transfermanager.Options) { o.PartSizeBytes = 6 * mib })
		out, err := up.UploadObject(t.Context(), &transfermanager.UploadObjectInput{
			Bucket: bucket, Key: key, Body: bytes.NewReader(body), ChecksumAlgorithm: tmtypes.ChecksumAlgorithm(alg),
			ContentType: aws.String("x/y"),
			Metadata:    map[string]string{"colour": "blue"}, Tagging: aws.String("a=b"),
		})
		if err != nil {
			t.Fatalf("%s: %v", alg, err)
		}
		if !strings.HasSuffix(*out.ETag, `-4"`) {
			t.Errorf("%s: ETag %s", alg, *out.ETag)
		}
		got, err := s.S3.GetObject(t.Context(), &s3.GetObjectInput{
			Bucket: bucket, Key: key, ChecksumMode: types.ChecksumModeEnabled,
		})
		if err != nil {
			t.Fatal(err)
		}
		read, err := io.ReadAll(got.Body) // the SDK compares whole checksums
		if err != nil || !bytes.Equal(read, body) || *got.ContentType != "x/y" || got.Metadata["colour"] != "blue" ||
			aws.ToInt32(got.TagCount) != 1 {
			t.Errorf("%s: %d bytes, %v, %+v", alg, len(read), err, got)
		}
		want := base64.StdEncoding.EncodeToString(sumOf(alg, body))
		if alg != digest.CRC64NVME {
			parts := slices.Collect(slices.Chunk(body, 6*mib))
			sums := make([][]byte, len(parts))
			for i, p := range parts {
				sums[i] = sumOf(alg, p)
			}
			want = base64.StdEncoding.EncodeToString(sumOf(alg, sums...)) + "-4"
		}
		if sum := sumIn(alg, got.ChecksumCRC32, got.ChecksumCRC32C, got.ChecksumCRC64NVME, got.ChecksumSHA1,
			got.ChecksumSHA256); sum != want {
			t.Errorf("%s: checksum %s, want %s", alg, sum, want)
		}
	}
}

// TestMultipartReads reads ranges across parts, parts by number, and attributes.
func TestMultipartReads(t *testing.T) {
	s := harness.Start(t)
	bucket, key := newBucket(t, s, "reads"), aws.String("dir/k")
	id := begin(t, s, s3.CreateMultipartUploadInput{
		Bucket: bucket, Key: key, ChecksumAlgorithm: types.ChecksumAlgorithmCrc32,
		ChecksumType: types.ChecksumTypeFullObject, StorageClass: types.StorageClassStandardIa,
	})
	bodies := [][]byte{randomBody(5*mib + 3), randomBody(5 * mib), randomBody(100)}
	numbers := []int32{2, 7, 9999}
	var parts []types.CompletedPart
	for i, n := range numbers {
		putPart(t, s, bucket, key, id, n, []byte("to be replaced"), types.ChecksumAlgorithmCrc32)
		parts = append(parts, putPart(t, s, bucket, key, id, n, bodies[i], types.ChecksumAlgorithmCrc32))
	}
	putPart(t, s, bucket, key, id, 8, randomBody(mib), types.ChecksumAlgorithmCrc32) // not listed
	whole := slices.Concat(bodies...)
	sum := base64.StdEncoding.EncodeToString(sumOf(digest.CRC32, whole))
	size := int64(len(whole))
	done, err := s.S3.CompleteMultipartUpload(t.Context(), &s3.CompleteMultipartUploadInput{
		Bucket: bucket, Key: key, UploadId: id, MultipartUpload: &types.CompletedMultipartUpload{Parts: parts},
		ChecksumCRC32: &sum, ChecksumType: types.ChecksumTypeFullObject, MpuObjectSize: &size,
	})
	if err != nil {
		t.Fatal(err)
	}
	if *done.ChecksumCRC32 != sum || done.ChecksumType != types.ChecksumTypeFullObject || *done.Key != *key ||
		*done.Location != s.Endpoint+"/reads/dir/k" {
		t.Errorf("%+v", done)
	}
	for i, n := range numbers {
		t.Run(fmt.Sprint(n), func(t *testing.T) {
			at := len(slices.Concat(bodies[:i]...))
			got, err := s.S3.GetObject(t.Context(), &s3.GetObjectInput{
				Bucket: bucket, Key: key, PartNumber: aws.Int32(n), ChecksumMode: types.ChecksumModeEnabled,
			})
			if err != nil {
				t.Fatal(err)
			}
			read, err := io.ReadAll(got.Body)
			want := fmt.Sprintf("bytes %d-%d/%d", at, at+len(bodies[i])-1, size)
			if err != nil || !bytes.Equal(read, bodies[i]) || *got.PartsCount != 3 || *got.ContentRange != want ||
				aws.ToString(got.ChecksumCRC32) != *parts[i].ChecksumCRC32 {
				t.Errorf("part %d: %d bytes, %v, %d parts, %s, checksum %v", n, len(read), err, *got.PartsCount,
					*got.ContentRange, aws.ToString(got.ChecksumCRC32))
			}
			head, err := s.S3.HeadObject(t.Context(), &s3.HeadObjectInput{
				Bucket: bucket, Key: key, PartNumber: aws.Int32(n),
			})
			if err != nil || *head.ContentLength != int64(len(bodies[i])) || *head.PartsCount != 3 {
				t.Errorf("head of part %d: %+v, %v", n, head, err)
			}
		})
	}
	first, second := len(bodies[0]), len(bodies[1])
	for i, r := range [][2]int{
		{0, 1}, {first - 1, first + 1}, {first, first + second}, {first + second - 70_000, first + second + 50},
		{first - 5, len(whole)}, {len(whole) - 1, len(whole)},
	} {
		t.Run(fmt.Sprint(i), func(t *testing.T) {
			a := send(t, s, raw{
				method: "GET", target: "/reads/dir/k",
				header: http.Header{"Range": {fmt.Sprintf("bytes=%d-%d", r[0], r[1]-1)}},
			})
			if a.status != 206 || a.body != string(whole[r[0]:r[1]]) {
				t.Errorf("range %v: %d, %d bytes", r, a.status, len(a.body))
			}
		})
	}
	_, err = s.S3.GetObject(t.Context(), &s3.GetObjectInput{Bucket: bucket, Key: key, PartNumber: aws.Int32(8)})
	wantCode(t, err, 416, "InvalidPartNumber")
	attributes(t, s, bucket, key, done, numbers, bodies)
}

func attributes(
	t *testing.T, s *harness.Server, bucket, key *string, done *s3.CompleteMultipartUploadOutput, numbers []int32,
	bodies [][]byte,
) {
	in := s3.GetObjectAttributesInput{
		Bucket: bucket, Key: key, MaxParts: aws.Int32(2), ObjectAttributes: types.ObjectAttributesObjectParts.Values(),
	}
	var seen []int32
	for {
		out, err := s.S3.GetObjectAttributes(t.Context(), &in)
		if err != nil {
			t.Fatal(err)
		}
		if *out.ETag != strings.Trim(*done.ETag, `"`) || *out.Checksum.ChecksumCRC32 != *done.ChecksumCRC32 ||
			out.StorageClass != types.StorageClassStandardIa ||
			*out.ObjectSize != int64(len(slices.Concat(
				bodies...,
			))) || *out.ObjectParts.TotalPartsCount != 3 || out.LastModified == nil {
			t.Errorf("%+v", out)
		}
		for _, p := range out.ObjectParts.Parts {
			if want := base64.StdEncoding.EncodeToString(sumOf(digest.CRC32,
				bodies[len(seen)])); *p.ChecksumCRC32 != want || *p.Size != int64(len(bodies[len(seen)])) {
				t.Errorf("part %d: %+v", *p.PartNumber, p)
			}
			seen = append(seen, *p.PartNumber)
		}
		if !*out.ObjectParts.IsTruncated {
			break
		}
		in.PartNumberMarker = out.ObjectParts.NextPartNumberMarker
	}
	if !slices.Equal(seen, numbers) {
		t.Errorf("parts %v, want %v", seen, numbers)
	}
	in.ObjectAttributes = []types.ObjectAttributes{"Colour"}
	_, err := s.S3.GetObjectAttributes(t.Context(), &in)
	wantCode(t, err, 400, "InvalidArgument")
	if a := send(t, s, raw{
		method: "GET", target: "/reads/dir/k?attributes",
	}); a.status != 400 || a.code != "InvalidRequest" {
		t.Errorf("no attributes: %d %s", a.status, a.code)
	}
}

// TestMultipartErrors: each refusal has the right code, and stores nothing.
func TestMultipartErrors(t *testing.T) {
	s := harness.Start(t, allowingSSEC)
	bucket, key := newBucket(t, s, "errors"), aws.String("k")
	id := begin(t, s, s3.CreateMultipartUploadInput{
		Bucket: bucket, Key: key, ChecksumAlgorithm: types.ChecksumAlgorithmSha256,
	})
	small := putPart(t, s, bucket, key, id, 1, []byte("small"), types.ChecksumAlgorithmSha256)
	next := putPart(t, s, bucket, key, id, 2, []byte("next"), types.ChecksumAlgorithmSha256)
	wrong, unsummed, missing := small, small, small
	wrong.ETag = aws.String(`"00000000000000000000000000000000"`)
	unsummed.ChecksumSHA256 = nil
	missing.PartNumber = aws.Int32(3)
	badSum := small
	badSum.ChecksumSHA256 = next.ChecksumSHA256
	for name, c := range map[string]struct {
		parts []types.CompletedPart
		code  string
	}{
		"none":             {nil, "MalformedXML"},
		"wrong order":      {[]types.CompletedPart{next, small}, "InvalidPartOrder"},
		"twice":            {[]types.CompletedPart{small, small}, "InvalidPartOrder"},
		"too small":        {[]types.CompletedPart{small, next}, "EntityTooSmall"},
		"wrong ETag":       {[]types.CompletedPart{wrong}, "InvalidPart"},
		"not uploaded":     {[]types.CompletedPart{missing}, "InvalidPart"},
		"another checksum": {[]types.CompletedPart{badSum}, "InvalidPart"},
		"no checksum":      {[]types.CompletedPart{unsummed}, "InvalidRequest"},
		"not from 1":       {[]types.CompletedPart{next}, "InvalidRequest"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := complete(t, s, bucket, key, id, c.parts...)
			wantCode(t, err, 400, c.code)
		})
	}
	target := "/errors/k?uploadId=" + *id
	for _, c := range []struct {
		name string
		r    raw
		want int
		code string
	}{
		{"part 0", raw{method: "PUT", target: target + "&partNumber=0", body: "x"}, 400, "InvalidArgument"},
		{"part 10001", raw{method: "PUT", target: target + "&partNumber=10001", body: "x"}, 400, "InvalidArgument"},
		{"part -1", raw{method: "PUT", target: target + "&partNumber=-1", body: "x"}, 400, "InvalidArgument"},
		{"part x", raw{method: "PUT", target: target + "&partNumber=x", body: "x"}, 400, "InvalidArgument"},
		{
			"another algorithm",
			raw{
				method: "PUT", target: target + "&partNumber=1", body: "x",
				header: http.Header{"X-Amz-Checksum-Crc32": {"jNxJug=="}},
			},
			400, "InvalidRequest",
		},
		{
			"wrong checksum",
			raw{
				method: "PUT", target: target + "&partNumber=1", body: "x",
				header: http.Header{"X-Amz-Checksum-Sha256": {strings.Repeat("A", 43) + "="}},
			},
			400, "BadDigest",
		},
		{
			"wrong MD5",
			raw{
				method: "PUT", target: target + "&partNumber=1", body: "x",
				header: http.Header{
					"Content-Md5":           {"1B2M2Y8AsgTpgAmY7PhCfg=="},
					"X-Amz-Checksum-Sha256": {"LXEWQrcmsEQBYnyp+6wy9chTD7GQPMTbAiWHF5IaSIE="},
				},
			},
			400, "BadDigest",
		},
		{"no checksum", raw{method: "PUT", target: target + "&partNumber=1", body: "x"}, 400, "InvalidRequest"},
		{
			"customer key",
			raw{method: "PUT", target: target + "&partNumber=1", body: "x", header: newOwnKey("mine").header("x-amz-")},
			400, "InvalidRequest",
		},
		{
			"encryption of a part",
			raw{
				method: "PUT", target: target + "&partNumber=1", body: "x",
				header: http.Header{"X-Amz-Server-Side-Encryption": {"AES256"}},
			},
			400, "InvalidArgument",
		},
		{
			"key of a part",
			raw{
				method: "PUT", target: target + "&partNumber=1",
				header: http.Header{
					"X-Amz-Server-Side-Encryption-Aws-Kms-Key-Id": {"alias/aws/s3"},
					"X-Amz-Copy-Source":                           {"/errors/k"},
				},
			},
			400, "InvalidArgument",
		},
		{
			"no such upload", raw{method: "PUT", target: "/errors/k?partNumber=1&uploadId=none", body: "x"}, 404,
			"NoSuchUpload",
		},
		{
			"upload of another key",
			raw{method: "PUT", target: "/errors/other?partNumber=1&uploadId=" + *id, body: "x"}, 404, "NoSuchUpload",
		},
		{"no XML", raw{method: "POST", target: target, body: "<Complete"}, 400, "MalformedXML"},
		{
			"a part without a number",
			raw{
				method: "POST", target: target,
				body: "<CompleteMultipartUpload><Part><ETag>x</ETag></Part></CompleteMultipartUpload>",
			},
			400, "MalformedXML",
		},
		{
			"10,001 parts",
			raw{
				method: "POST", target: target,
				body: "<CompleteMultipartUpload>" +
					strings.Repeat("<Part><PartNumber>1</PartNumber><ETag>x</ETag></Part>",
						10_001) + "</CompleteMultipartUpload>",
			},
			400, "MalformedXML",
		},
		{
			"wrong type",
			raw{
				method: "POST", target: "/errors/k?uploads",
				header: http.Header{"X-Amz-Checksum-Algorithm": {"SHA1"}, "X-Amz-Checksum-Type": {"FULL_OBJECT"}},
			},
			400, "InvalidRequest",
		},
		{
			"only the type",
			raw{method: "POST", target: "/errors/k?uploads", header: http.Header{"X-Amz-Checksum-Type": {"COMPOSITE"}}},
			400, "InvalidRequest",
		},
		{
			"encryption of Amazon FSx",
			raw{
				method: "POST", target: "/errors/k?uploads",
				header: http.Header{"X-Amz-Server-Side-Encryption": {"aws:fsx"}},
			},
			501, "NotImplemented",
		},
		{
			"storage class",
			raw{method: "POST", target: "/errors/k?uploads", header: http.Header{"X-Amz-Storage-Class": {"OUTPOSTS"}}},
			400, "InvalidStorageClass",
		},
		{"max-parts", raw{method: "GET", target: target + "&max-parts=-1"}, 400, "InvalidArgument"},
		{
			"uploads marker", raw{method: "GET", target: "/errors?uploads&key-marker=k&upload-id-marker=x"}, 400,
			"InvalidArgument",
		},
		{
			"range and part",
			raw{method: "GET", target: "/errors/k?partNumber=1", header: http.Header{"Range": {"bytes=0-1"}}}, 400,
			"InvalidRequest",
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			if a := send(t, s, c.r); a.status != c.want || a.code != c.code {
				t.Errorf("%s: %d %s, want %d %s", c.name, a.status, a.code, c.want, c.code)
			}
		})
	}
	done, err := complete(t, s, bucket, key, id, small)
	if err != nil {
		t.Fatal(err)
	}
	again, err := complete(t, s, bucket, key, id, small) // as a client does if it lost the answer
	if err != nil || *again.ETag != *done.ETag {
		t.Errorf("the second time: %+v, %v", again, err)
	}
	_, err = complete(t, s, bucket, key, id, next)
	wantCode(t, err, 404, "NoSuchUpload")
	_, err = s.S3.ListParts(t.Context(), &s3.ListPartsInput{Bucket: bucket, Key: key, UploadId: id})
	wantCode(t, err, 404, "NoSuchUpload")
	_, err = s.S3.AbortMultipartUpload(t.Context(), &s3.AbortMultipartUploadInput{
		Bucket: bucket, Key: key, UploadId: id,
	})
	wantCode(t, err, 404, "NoSuchUpload")
}

// TestUploadPartCopy copies parts from other objects, by range and with conditions.
func TestUploadPartCopy(t *testing.T) {
	s := harness.Start(t)
	bucket, key, from := newBucket(t, s, "part-copy"), aws.String("k"), newBucket(t, s, "part-source")
	body := randomBody(6 * mib)
	put, err := s.S3.PutObject(t.Context(), &s3.PutObjectInput{
		Bucket: from, Key: aws.String("a b+ä?"), Body: bytes.NewReader(body),
	})
	if err != nil {
		t.Fatal(err)
	}
	const source = "part-source/a%20b%2B%C3%A4%3F"
	id := begin(t, s, s3.CreateMultipartUploadInput{Bucket: bucket, Key: key})
	var parts []types.CompletedPart
	for i, rng := range []string{"bytes=1-5242880", "bytes=5242881-6291455", ""} {
		in := &s3.UploadPartCopyInput{
			Bucket: bucket, Key: key, UploadId: id, PartNumber: aws.Int32(int32(i + 1)), CopySource: aws.String(source),
			CopySourceIfMatch: put.ETag,
		}
		if rng != "" {
			in.CopySourceRange = &rng
		}
		out, err := s.S3.UploadPartCopy(t.Context(), in)
		if err != nil {
			t.Fatal(err)
		}
		parts = append(parts, types.CompletedPart{PartNumber: in.PartNumber, ETag: out.CopyPartResult.ETag})
	}
	parts = append(parts[:1], types.CompletedPart{PartNumber: parts[2].PartNumber, ETag: parts[2].ETag})
	if _, err := complete(t, s, bucket, key, id, parts...); err != nil {
		t.Fatal(err)
	}
	if got, err := readObject(t.Context(), s.S3, bucket, "k"); err != nil ||
		!bytes.Equal(got, slices.Concat(body[1:5*mib+1], body)) {
		t.Errorf("%d bytes, %v", len(got), err)
	}
	id = begin(t, s, s3.CreateMultipartUploadInput{Bucket: bucket, Key: key})
	for i, c := range []struct {
		header []string
		want   int
		code   string
	}{
		{[]string{"X-Amz-Copy-Source-Range", "bytes=0-6291456"}, 400, "InvalidArgument"},
		{[]string{"X-Amz-Copy-Source-Range", "bytes=7000000-7000001"}, 400, "InvalidArgument"},
		{[]string{"X-Amz-Copy-Source-Range", "bytes=0-"}, 400, "InvalidArgument"},
		{[]string{"X-Amz-Copy-Source-Range", "0-1"}, 400, "InvalidArgument"},
		{[]string{"X-Amz-Copy-Source-If-Match", `"x"`}, 412, "PreconditionFailed"},
		{[]string{"X-Amz-Copy-Source-If-None-Match", *put.ETag}, 412, "PreconditionFailed"},
		{[]string{"X-Amz-Copy-Source", "part-source/none"}, 404, "NoSuchKey"},
		{[]string{"X-Amz-Copy-Source", "part-source"}, 400, "InvalidArgument"},
		{[]string{"X-Amz-Copy-Source", "part-source/../x"}, 400, "InvalidURI"},
		{
			[]string{"X-Amz-Copy-Source", "arn:aws:s3:us-east-1:111122223333:accesspoint/x/object/y"}, 501,
			"NotImplemented",
		},
		{[]string{"X-Amz-Copy-Source", source + "?versionId=x"}, 400, "InvalidArgument"},
		{[]string{"X-Amz-Source-Expected-Bucket-Owner", "999999999999"}, 403, "AccessDenied"},
	} {
		t.Run(fmt.Sprint(i), func(t *testing.T) {
			r := raw{
				method: "PUT", target: "/part-copy/k?partNumber=1&uploadId=" + *id,
				header: http.Header{"X-Amz-Copy-Source": {source}},
			}
			r.header.Set(c.header[0], c.header[1])
			if a := send(t, s, r); a.status != c.want || a.code != c.code {
				t.Errorf("%v: %d %s, want %d %s", c.header, a.status, a.code, c.want, c.code)
			}
		})
	}
	other := s.CreateAccount(t, "foreign")
	r := raw{
		method: "PUT", target: "/part-copy/k?partNumber=1&uploadId=" + *id,
		header: http.Header{"X-Amz-Copy-Source": {source}}, key: other.AccessKeyID, secret: other.SecretAccessKey,
	}
	if a := send(t, s, r); a.status != 403 {
		t.Errorf("a stranger can copy: %d", a.status)
	}
}

// TestUploadListings lists uploads and parts in pages.
func TestUploadListings(t *testing.T) {
	s := harness.Start(t)
	bucket := newBucket(t, s, "uploads")
	var ids []string
	for _, key := range []string{"a", "a", "d/x", "d/y", "z z"} {
		ids = append(ids, *begin(t, s, s3.CreateMultipartUploadInput{Bucket: bucket, Key: &key}))
	}
	var seen []string
	p := s3.ListMultipartUploadsInput{
		Bucket: bucket, MaxUploads: aws.Int32(1), Delimiter: aws.String("/"), EncodingType: types.EncodingTypeUrl,
	}
	for {
		out, err := s.S3.ListMultipartUploads(t.Context(), &p)
		if err != nil {
			t.Fatal(err)
		}
		for _, u := range out.Uploads {
			seen = append(seen, *u.Key+" "+*u.UploadId)
			if u.Owner == nil || *u.Initiator.ID != *u.Owner.ID || u.Initiated == nil ||
				u.StorageClass != types.StorageClassStandard {
				t.Errorf("%+v", u)
			}
		}
		for _, c := range out.CommonPrefixes {
			seen = append(seen, *c.Prefix)
		}
		if !*out.IsTruncated {
			break
		}
		p.KeyMarker, p.UploadIdMarker = out.NextKeyMarker, out.NextUploadIdMarker
	}
	if want := []string{"a " + ids[0], "a " + ids[1], "d/", "z+z " + ids[4]}; !slices.Equal(seen, want) {
		t.Errorf("uploads %q, want %q", seen, want)
	}
	for n := int32(1); n <= 3; n++ {
		putPart(t, s, bucket, aws.String("a"), &ids[0], n*10, []byte("x"), "")
	}
	pager := s3.NewListPartsPaginator(s.S3, &s3.ListPartsInput{
		Bucket: bucket, Key: aws.String("a"), UploadId: &ids[0], MaxParts: aws.Int32(2),
	})
	var numbers []int32
	for pager.HasMorePages() {
		out, err := pager.NextPage(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		for _, p := range out.Parts {
			numbers = append(numbers, *p.PartNumber)
			if *p.Size != 1 || p.LastModified == nil || *p.ETag == "" {
				t.Errorf("%+v", p)
			}
		}
	}
	if !slices.Equal(numbers, []int32{10, 20, 30}) {
		t.Errorf("parts %v", numbers)
	}
	for i, key := range []string{"a", "a", "d/x", "d/y", "z z"}[:4] {
		if _, err := s.S3.AbortMultipartUpload(t.Context(), &s3.AbortMultipartUploadInput{
			Bucket: bucket, Key: &key, UploadId: &ids[i],
		}); err != nil {
			t.Error(err)
		}
	}
	// An upload in progress does not prevent the deletion of its bucket.
	if _, err := s.S3.DeleteBucket(t.Context(), &s3.DeleteBucketInput{Bucket: bucket}); err != nil {
		t.Error(err)
	}
}

// TestConditionalComplete: if the key changes during an upload, a conditional completion gets 409.
func TestConditionalComplete(t *testing.T) {
	s := harness.Start(t)
	for _, status := range []types.BucketVersioningStatus{"", "Enabled", "Suspended"} {
		t.Run(string(status), func(t *testing.T) { conditionalComplete(t, s, status) })
	}
}

func conditionalComplete(t *testing.T, s *harness.Server, status types.BucketVersioningStatus) {
	bucket, key := newBucket(t, s, "conditional"+strings.ToLower(string(status))), aws.String("k")
	if status != "" {
		if _, err := s.S3.PutBucketVersioning(t.Context(), &s3.PutBucketVersioningInput{
			Bucket: bucket, VersioningConfiguration: &types.VersioningConfiguration{Status: status},
		}); err != nil {
			t.Fatal(err)
		}
	}
	put := func() *string {
		out, err := s.S3.PutObject(t.Context(), &s3.PutObjectInput{
			Bucket: bucket, Key: key, Body: strings.NewReader("x"),
		})
		if err != nil {
			t.Fatal(err)
		}
		return out.ETag
	}
	remove := func() {
		if _, err := s.S3.DeleteObject(t.Context(), &s3.DeleteObjectInput{Bucket: bucket, Key: key}); err != nil {
			t.Fatal(err)
		}
	}
	tag := put()
	star, other := aws.String("*"), aws.String(`"other"`)
	for _, c := range []struct {
		name           string
		before, during func()
		match, none    *string
		status         int
		code           string
	}{
		{"exists", func() { put() }, nil, nil, star, 412, "PreconditionFailed"},
		{"put during", nil, func() { put() }, nil, star, 412, "PreconditionFailed"},
		{"deleted during", func() { put() }, remove, nil, star, 409, "ConditionalRequestConflict"},
		{"nothing", nil, nil, nil, star, 0, ""},
		{"match", func() { put() }, nil, tag, nil, 0, ""},
		{"other before", func() { put() }, nil, other, nil, 412, "PreconditionFailed"},
		{"identical during", func() { put() }, func() { put() }, tag, nil, 409, "ConditionalRequestConflict"},
		{"missing", nil, nil, tag, nil, 404, "NoSuchKey"},
		{"deleted, match", func() { put() }, remove, tag, nil, 404, "NoSuchKey"},
		{"deleted and put", func() { put() }, func() { remove(); put() }, tag, nil, 409, "ConditionalRequestConflict"},
		{"both", nil, nil, tag, star, 501, "NotImplemented"},
	} {
		t.Run(c.name, func(t *testing.T) {
			remove()
			if c.before != nil {
				c.before()
			}
			id := begin(t, s, s3.CreateMultipartUploadInput{Bucket: bucket, Key: key})
			p := putPart(t, s, bucket, key, id, 1, []byte("part"), "")
			if c.during != nil {
				c.during()
			}
			_, err := s.S3.CompleteMultipartUpload(t.Context(), &s3.CompleteMultipartUploadInput{
				Bucket: bucket, Key: key, UploadId: id, IfMatch: c.match, IfNoneMatch: c.none,
				MultipartUpload: &types.CompletedMultipartUpload{Parts: []types.CompletedPart{{
					PartNumber: p.PartNumber, ETag: p.ETag,
				}}},
			})
			if c.status == 0 {
				if err != nil {
					t.Error(err)
				}
				return
			}
			wantCode(t, err, c.status, c.code)
			if _, err := s.S3.AbortMultipartUpload(t.Context(), &s3.AbortMultipartUploadInput{
				Bucket: bucket, Key: key, UploadId: id,
			}); err != nil {
				t.Errorf("the upload is no longer open: %v", err)
			}
		})
	}
}
