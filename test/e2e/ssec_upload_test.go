package e2e

import (
	"bytes"
	"crypto/md5"
	"fmt"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/feature/s3/transfermanager"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"

	"watertight/test/harness"
)

// ownUpload is an upload in progress.
type ownUpload struct {
	t           *testing.T
	s           *harness.Server
	bucket, key *string
	id          *string
	sse         types.ServerSideEncryption // in CreateMultipartUpload; "" for AES256
}

func beginOwn(
	t *testing.T, s *harness.Server, bucket *string, key string, k ownKey, alg types.ChecksumAlgorithm,
) *ownUpload {
	t.Helper()
	out, err := s.S3.CreateMultipartUpload(t.Context(), &s3.CreateMultipartUploadInput{
		Bucket: bucket, Key: &key, ChecksumAlgorithm: alg, SSECustomerAlgorithm: k.algorithm, SSECustomerKey: k.key,
		SSECustomerKeyMD5: k.md5,
	})
	if err != nil {
		t.Fatal(err)
	}
	if aws.ToString(out.SSECustomerKeyMD5) != aws.ToString(k.md5) ||
		(out.ServerSideEncryption == "AES256") != (k.key == nil) {
		t.Errorf("creating answers %q and %q", aws.ToString(out.SSECustomerKeyMD5), out.ServerSideEncryption)
	}
	return &ownUpload{t, s, bucket, &key, out.UploadId, ""}
}

// answer returns the encryption that the answer for a part must have.
func (u *ownUpload) answer(k ownKey) types.ServerSideEncryption {
	switch {
	case k.key != nil:
		return ""
	case u.sse == "":
		return types.ServerSideEncryptionAes256
	}
	return u.sse
}

func (u *ownUpload) part(n int32, body []byte, k ownKey, alg types.ChecksumAlgorithm) (types.CompletedPart, error) {
	u.t.Helper()
	out, err := u.s.S3.UploadPart(u.t.Context(), &s3.UploadPartInput{
		Bucket: u.bucket, Key: u.key, UploadId: u.id, PartNumber: &n, Body: bytes.NewReader(body),
		ChecksumAlgorithm:    alg,
		SSECustomerAlgorithm: k.algorithm, SSECustomerKey: k.key, SSECustomerKeyMD5: k.md5,
	})
	if err != nil {
		return types.CompletedPart{}, err
	}
	if aws.ToString(out.SSECustomerKeyMD5) != aws.ToString(k.md5) ||
		out.ServerSideEncryption != u.answer(k) {
		u.t.Errorf("part %d answers %q and %q", n, aws.ToString(out.SSECustomerKeyMD5), out.ServerSideEncryption)
	}
	if k.key != nil && *out.ETag == fmt.Sprintf(`"%x"`, md5.Sum(body)) {
		u.t.Errorf("part %d: the ETag is the MD5 of the plaintext", n)
	}
	return types.CompletedPart{
		PartNumber: &n, ETag: out.ETag, ChecksumCRC32: out.ChecksumCRC32, ChecksumSHA256: out.ChecksumSHA256,
	}, nil
}

func (u *ownUpload) copied(n int32, source string, from, k ownKey) (types.CompletedPart, error) {
	u.t.Helper()
	out, err := u.s.S3.UploadPartCopy(u.t.Context(), &s3.UploadPartCopyInput{
		Bucket: u.bucket, Key: u.key, UploadId: u.id, PartNumber: &n, CopySource: aws.String(*u.bucket + "/" + source),
		CopySourceSSECustomerAlgorithm: from.algorithm, CopySourceSSECustomerKey: from.key,
		CopySourceSSECustomerKeyMD5: from.md5,
		SSECustomerAlgorithm:        k.algorithm, SSECustomerKey: k.key, SSECustomerKeyMD5: k.md5,
	})
	if err != nil {
		return types.CompletedPart{}, err
	}
	if aws.ToString(out.SSECustomerKeyMD5) != aws.ToString(k.md5) ||
		out.ServerSideEncryption != u.answer(k) {
		u.t.Errorf("part %d answers %q and %q", n, aws.ToString(out.SSECustomerKeyMD5), out.ServerSideEncryption)
	}
	return types.CompletedPart{
		PartNumber: &n, ETag: out.CopyPartResult.ETag, ChecksumCRC32: out.CopyPartResult.ChecksumCRC32,
		ChecksumSHA256: out.CopyPartResult.ChecksumSHA256,
	}, nil
}

func (u *ownUpload) complete(k ownKey, parts ...types.CompletedPart) (*s3.CompleteMultipartUploadOutput, error) {
	u.t.Helper()
	return u.s.S3.CompleteMultipartUpload(u.t.Context(), &s3.CompleteMultipartUploadInput{
		Bucket: u.bucket, Key: u.key, UploadId: u.id, MultipartUpload: &types.CompletedMultipartUpload{Parts: parts},
		SSECustomerAlgorithm: k.algorithm, SSECustomerKey: k.key, SSECustomerKeyMD5: k.md5,
	})
}

// sums counts the parts that a listing shows with a checksum.
func (u *ownUpload) sums(k ownKey) (n int) {
	u.t.Helper()
	l, err := u.s.S3.ListParts(u.t.Context(), &s3.ListPartsInput{
		Bucket: u.bucket, Key: u.key, UploadId: u.id, SSECustomerAlgorithm: k.algorithm, SSECustomerKey: k.key,
		SSECustomerKeyMD5: k.md5,
	})
	if err != nil {
		u.t.Fatal(err)
	}
	for _, p := range l.Parts {
		if p.ChecksumCRC32 != nil || p.ChecksumSHA256 != nil || p.ChecksumCRC64NVME != nil {
			n++
		}
	}
	return n
}

// TestOwnKeyUpload: every part needs the upload's key, and so does reading the
// completed object. Checksums are only returned with it.
func TestOwnKeyUpload(t *testing.T) {
	s, bucket := secured(t, "own-upload")
	mine, other := newOwnKey("mine"), newOwnKey("other")
	first, second := randomBody(5*mib), randomBody(5*mib+1)
	putOwn(t, s, bucket, "source", second, other)
	for name, alg := range map[string]types.ChecksumAlgorithm{
		"none": "", "crc": types.ChecksumAlgorithmCrc32, "sha": types.ChecksumAlgorithmSha256,
	} {
		t.Run(name, func(t *testing.T) {
			u := beginOwn(t, s, bucket, name, mine, alg)
			one, err := u.part(1, first, mine, alg)
			if err != nil {
				t.Fatal(err)
			}
			two, err := u.copied(2, "source", other, mine)
			if err != nil {
				t.Fatal(err)
			}
			three, err := u.part(3, []byte("x"), mine, alg)
			if err != nil {
				t.Fatal(err)
			}
			_, err = u.part(1, []byte("x"), ownKey{}, alg)
			wantCode(t, err, 400, "InvalidRequest")
			_, err = u.part(1, []byte("x"), other, alg)
			wantCode(t, err, 400, "InvalidRequest")
			_, err = u.copied(2, "source", mine, mine)
			wantCode(t, err, 403, "AccessDenied")
			_, err = u.copied(2, "source", other, other)
			wantCode(t, err, 400, "InvalidRequest")
			_, err = u.copied(2, "source", ownKey{}, mine)
			wantCode(t, err, 400, "InvalidRequest")
			_, err = u.complete(other, one, two, three)
			wantCode(t, err, 400, "InvalidRequest")
			if with, without := u.sums(mine), u.sums(ownKey{}); with != 3 || without != 0 {
				t.Errorf("%s: %d checksums with the key, %d without", name, with, without)
			}
			k := mine
			if alg == "" {
				k = ownKey{} // completing needs no key without checksums
			} else {
				_, err = u.complete(ownKey{}, one, two, three)
				wantCode(t, err, 400, "InvalidRequest")
			}
			done, err := u.complete(k, one, two, three)
			if err != nil {
				t.Fatalf("%s: %v", name, err)
			}
			again, err := u.complete(k, one, two, three)
			if err != nil || *again.ETag != *done.ETag ||
				aws.ToString(
					again.ChecksumCRC32,
				) != aws.ToString(
					done.ChecksumCRC32,
				) || aws.ToString(again.ChecksumSHA256) != aws.ToString(done.ChecksumSHA256) {
				t.Errorf("%s, completed a second time: %v", name, err)
			}
			if !strings.HasSuffix(*done.ETag, `-3"`) || done.ServerSideEncryption != "" ||
				(alg == "") != (done.ChecksumCRC32 == nil && done.ChecksumSHA256 == nil &&
					done.ChecksumCRC64NVME == nil) {
				t.Errorf("%s: completing answers %s, %q", name, *done.ETag, done.ServerSideEncryption)
			}
			readUpload(t, s, bucket, name, done, [][]byte{first, second, []byte("x")}, mine, other)
		})
	}
}

// readUpload reads an object with parts: whole, by part, across parts, and its attributes.
func readUpload(
	t *testing.T, s *harness.Server, bucket *string, key string, done *s3.CompleteMultipartUploadOutput,
	bodies [][]byte, mine, other ownKey,
) {
	t.Helper()
	whole := bytes.Join(bodies, nil)
	got, out, err := getOwn(t, s, s3.GetObjectInput{Bucket: bucket, Key: &key, ChecksumMode: types.ChecksumModeEnabled},
		mine)
	if err != nil || !bytes.Equal(got, whole) || *out.ETag != *done.ETag ||
		aws.ToString(out.ChecksumCRC32) != aws.ToString(
			done.ChecksumCRC32,
		) || aws.ToString(out.ChecksumSHA256) != aws.ToString(done.ChecksumSHA256) {
		t.Errorf("%s: %d bytes, %v", key, len(got), err)
	}
	at := len(bodies[0]) - 5
	if got, _, err := getOwn(t, s,
		s3.GetObjectInput{
			Bucket: bucket, Key: &key, Range: aws.String(fmt.Sprintf("bytes=%d-%d", at, at+9)),
		}, mine); err != nil || !bytes.Equal(got, whole[at:at+10]) {
		t.Errorf("%s: across parts: %x, %v", key, got, err)
	}
	for n, body := range bodies {
		in := s3.GetObjectInput{
			Bucket: bucket, Key: &key, PartNumber: aws.Int32(int32(n + 1)), ChecksumMode: types.ChecksumModeEnabled,
		}
		got, out, err := getOwn(t, s, in, mine)
		if err != nil || !bytes.Equal(got, body) || aws.ToInt32(out.PartsCount) != 3 ||
			out.ChecksumCRC32 == nil && out.ChecksumSHA256 == nil && out.ChecksumCRC64NVME == nil {
			t.Errorf("%s: part %d: %d bytes, %v", key, n+1, len(got), err)
		}
		_, _, err = getOwn(t, s, in, other)
		wantCode(t, err, 403, "AccessDenied")
	}
	_, _, err = getOwn(t, s, s3.GetObjectInput{Bucket: bucket, Key: &key}, ownKey{})
	wantCode(t, err, 400, "InvalidRequest")
	_, err = headOwn(t, s, bucket, key, other)
	wantCode(t, err, 403, "")
	ask := func(k ownKey) (*s3.GetObjectAttributesOutput, error) {
		return s.S3.GetObjectAttributes(t.Context(), &s3.GetObjectAttributesInput{
			Bucket: bucket, Key: &key, ObjectAttributes: types.ObjectAttributes("").Values(),
			SSECustomerAlgorithm: k.algorithm, SSECustomerKey: k.key, SSECustomerKeyMD5: k.md5,
		})
	}
	a, err := ask(mine)
	if err != nil || a.ObjectParts == nil || len(a.ObjectParts.Parts) != 3 || *a.ObjectSize != int64(len(whole)) {
		t.Fatalf("%s: attributes: %v", key, err)
	}
	for _, p := range a.ObjectParts.Parts {
		if p.ChecksumCRC32 == nil && p.ChecksumSHA256 == nil && p.ChecksumCRC64NVME == nil {
			t.Errorf("%s: part %d has no checksum", key, *p.PartNumber)
		}
	}
	_, err = ask(ownKey{})
	wantCode(t, err, 400, "InvalidRequest")
	_, err = ask(other)
	wantCode(t, err, 403, "AccessDenied")
}

// TestOwnKeyForOtherUploads: a key for an upload without one is refused, and uploads of the SDK's
// transfer manager succeed.
func TestOwnKeyForOtherUploads(t *testing.T) {
	s, bucket := secured(t, "own-uploads")
	mine := newOwnKey("mine")
	u := beginOwn(t, s, bucket, "plain", ownKey{}, "")
	_, err := u.part(1, []byte("x"), mine, "")
	wantCode(t, err, 400, "InvalidRequest")
	one, err := u.part(1, []byte("x"), ownKey{}, "")
	if err != nil {
		t.Fatal(err)
	}
	_, err = u.complete(mine, one)
	wantCode(t, err, 400, "InvalidRequest")
	if done, err := u.complete(ownKey{}, one); err != nil || done.ServerSideEncryption != "AES256" {
		t.Errorf("completing: %v", err)
	}
	body := randomBody(20 * mib)
	_, err = transfermanager.New(s.S3).UploadObject(t.Context(), &transfermanager.UploadObjectInput{
		Bucket: bucket, Key: aws.String("managed"), Body: bytes.NewReader(body), SSECustomerAlgorithm: mine.algorithm,
		SSECustomerKey: mine.key, SSECustomerKeyMD5: mine.md5,
	})
	if err != nil {
		t.Fatal(err)
	}
	if got, _, err := getOwn(t, s, s3.GetObjectInput{Bucket: bucket, Key: aws.String("managed")},
		mine); err != nil || !bytes.Equal(got, body) {
		t.Errorf("managed: %d bytes, %v", len(got), err)
	}
}
