package e2e

import (
	"encoding/base64"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"

	"watertight/internal/storage/digest"
	"watertight/test/harness"
)

// sumWays are the ways to send a checksum with a body: in a header, or in a trailer
// of either kind.
func sumWays(
	t *testing.T, s *harness.Server, alg digest.Algorithm, body string,
) map[string]func(target, sum string) answer {
	framedSum := func(mode string) func(target, sum string) answer {
		return func(target, sum string) answer {
			return sendFramed(t, s, target, framed{
				mode: mode, data: []string{body[:50_000], body[50_000:]}, trailer: alg.Header(),
				line: alg.Header() + ":" + sum,
			})
		}
	}
	return map[string]func(target, sum string) answer{
		"header": func(target, sum string) answer {
			return send(t, s, raw{
				method: "PUT", target: target, body: body,
				header: http.Header{http.CanonicalHeaderKey(alg.Header()): {sum}},
			})
		},
		"signed trailer":   framedSum(signedTrailer),
		"unsigned trailer": framedSum(unsignedChunks),
	}
}

// TestChecksums sends a checksum of each algorithm, as a header and as a trailer, for an object and
// for a part. A wrong one stores nothing and does not change the object.
func TestChecksums(t *testing.T) {
	s := harness.Start(t)
	bucket := newBucket(t, s, "sums")
	body := string(randomBody(100_000))
	for _, alg := range digest.All() {
		t.Run(string(alg), func(t *testing.T) {
			key := string(alg)
			right := sumOf(alg, []byte(body))
			wrong := slices.Clone(right)
			wrong[len(wrong)-1] ^= 1
			encode := base64.StdEncoding.EncodeToString
			if a := send(t, s, raw{method: "PUT", target: "/sums/" + key, body: "the one before"}); a.status != 200 {
				t.Fatal(a.status)
			}
			id := begin(t, s, s3.CreateMultipartUploadInput{
				Bucket: bucket, Key: &key, ChecksumAlgorithm: types.ChecksumAlgorithm(alg),
			})
			targets := []string{"/sums/" + key, fmt.Sprintf("/sums/%s?partNumber=1&uploadId=%s", key, *id)}
			ways := sumWays(t, s, alg, body)
			for way, put := range ways {
				for _, target := range targets {
					for sum, want := range map[string]string{
						encode(wrong): "BadDigest", encode(right[1:]): "InvalidRequest", "?": "InvalidRequest",
					} {
						if a := put(target, sum); a.status != 400 || a.code != want {
							t.Errorf("%s %s: %s is answered with %d %s, want 400 %s", way, target, sum, a.status,
								a.code, want)
						}
					}
				}
			}
			parts, err := s.S3.ListParts(t.Context(), &s3.ListPartsInput{Bucket: bucket, Key: &key, UploadId: id})
			if left := blobs(t, s); err != nil || len(parts.Parts) != 0 || len(left) != 0 {
				t.Errorf("parts %v and files %q are left, %v", parts, left, err)
			}
			if got, err := readObject(t.Context(), s.S3, bucket, key); err != nil || string(got) != "the one before" {
				t.Errorf("the earlier object has %d bytes now, %v", len(got), err)
			}
			for way, put := range ways {
				for _, target := range targets {
					if a := put(target, encode(right)); a.status != 200 || a.header.Get(alg.Header()) != encode(right) {
						t.Errorf("%s %s: a right checksum is answered with %d %s and %q", way, target, a.status, a.code,
							a.header.Get(alg.Header()))
					}
				}
			}
			want := encode(right)
			checkSum(t, s, key, alg, want)
			if alg != digest.CRC64NVME { // CRC64NVME is always of the whole
				want = encode(sumOf(alg, right)) + "-1"
			}
			complete := func(sum []byte) answer {
				return send(t, s, raw{method: "POST", target: fmt.Sprintf("/sums/%s?uploadId=%s", key, *id),
					body: fmt.Sprintf(
						"<CompleteMultipartUpload><Part><PartNumber>1</PartNumber><ETag>%x</ETag>"+
							"<Checksum%[2]s>%s</Checksum%[2]s></Part></CompleteMultipartUpload>",
						md5Of(body), alg, encode(sum))})
			}
			if a := complete(wrong); a.status != 400 || a.code != "InvalidPart" {
				t.Errorf("a wrong checksum of a listed part: %d %s", a.status, a.code)
			}
			if a := complete(right); a.status != 200 ||
				!strings.Contains(a.body, "<Checksum"+string(alg)+">"+want+"<") {
				t.Errorf("%d %s", a.status, a.body)
			}
			checkSum(t, s, key, alg, want)
			if _, err := s.S3.DeleteObject(t.Context(), &s3.DeleteObjectInput{Bucket: bucket, Key: &key}); err != nil {
				t.Fatal(err)
			}
		})
	}
}

// checkSum reads the checksum of an object, which is only returned on request.
func checkSum(t *testing.T, s *harness.Server, key string, alg digest.Algorithm, want string) {
	t.Helper()
	for mode, want := range map[string]string{"ENABLED": want, "": ""} {
		a := send(t, s, raw{method: "HEAD", target: "/sums/" + key, header: http.Header{"X-Amz-Checksum-Mode": {mode}}})
		if a.status != 200 || a.header.Get(alg.Header()) != want {
			t.Errorf("mode %q: %d %q, want %q", mode, a.status, a.header.Get(alg.Header()), want)
		}
	}
}

// TestBatchOfOddKeys: a batch deletes exactly the keys that it names, and no similar ones.
func TestBatchOfOddKeys(t *testing.T) {
	s := harness.Start(t)
	bucket := newBucket(t, s, "batch")
	stay := []string{"b", "a/b", "x/y", "x y"}
	for _, k := range append([]string{"a/../b", "a//b", "x%2Fy", "x+y", "a/./b"}, stay...) {
		if _, err := s.S3.PutObject(t.Context(), &s3.PutObjectInput{
			Bucket: bucket, Key: &k, Body: strings.NewReader(k),
		}); err != nil {
			t.Fatal(err)
		}
	}
	var all []types.ObjectIdentifier
	for _, k := range []string{
		"a/../b", "a//b", "x%2Fy", "x+y", "a/./b", "../b", "a/../../b", "%2e%2e/b", strings.Repeat("k", 1025),
	} {
		all = append(all, types.ObjectIdentifier{Key: aws.String(k)})
	}
	out, err := s.S3.DeleteObjects(t.Context(), &s3.DeleteObjectsInput{
		Bucket: bucket, Delete: &types.Delete{Objects: all},
	})
	if err != nil {
		t.Fatal(err)
	}
	var refused []string
	for _, e := range out.Errors {
		refused = append(refused, *e.Code)
	}
	if len(out.Deleted) != 6 || !slices.Equal(refused, []string{"InvalidURI", "InvalidURI", "KeyTooLongError"}) {
		t.Errorf("%d deleted, refused %q", len(out.Deleted), refused)
	}
	list, err := s.S3.ListObjectsV2(t.Context(), &s3.ListObjectsV2Input{Bucket: bucket})
	if err != nil {
		t.Fatal(err)
	}
	var left []string
	for _, o := range list.Contents {
		left = append(left, *o.Key)
	}
	slices.Sort(stay)
	if !slices.Equal(left, stay) {
		t.Errorf("%q are left, want %q", left, stay)
	}
}
