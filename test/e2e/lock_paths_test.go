package e2e

import (
	"maps"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
)

// TestLockOnEveryPath: every operation that writes an object accepts the headers of Object Lock, and a
// write without a retention gets the bucket's default one.
func TestLockOnEveryPath(t *testing.T) {
	v := newVault(t)
	v.put("source", v.retained(compliance, day))
	ctx, until := t.Context(), v.in(5*day)
	const held = types.ObjectLockLegalHoldStatusOn
	upload := func(key string, locked bool) {
		t.Helper()
		in := &s3.CreateMultipartUploadInput{Bucket: v.bucket, Key: &key}
		if locked {
			in.ObjectLockMode, in.ObjectLockRetainUntilDate, in.ObjectLockLegalHoldStatus = governance, until, held
		}
		up, err := v.c.CreateMultipartUpload(ctx, in)
		v.ok(err)
		part, err := v.c.UploadPart(ctx, &s3.UploadPartInput{
			Bucket: v.bucket, Key: &key, UploadId: up.UploadId, PartNumber: aws.Int32(1), Body: strings.NewReader("x"),
		})
		v.ok(err)
		_, err = v.c.CompleteMultipartUpload(ctx, &s3.CompleteMultipartUploadInput{
			Bucket: v.bucket, Key: &key, UploadId: up.UploadId, MultipartUpload: &types.CompletedMultipartUpload{
				Parts: []types.CompletedPart{{
					PartNumber: aws.Int32(1), ETag: part.ETag, ChecksumCRC32: part.ChecksumCRC32,
				}},
			},
		})
		v.ok(err)
	}
	paths := map[string]func(key string, locked bool){
		"put": func(key string, locked bool) {
			v.put(key, func(in *s3.PutObjectInput) {
				if locked {
					in.ObjectLockMode, in.ObjectLockRetainUntilDate = governance, until
					in.ObjectLockLegalHoldStatus = held
				}
			})
		},
		"copy": func(key string, locked bool) {
			in := &s3.CopyObjectInput{Bucket: v.bucket, Key: &key, CopySource: aws.String("vault/source")}
			if locked {
				in.ObjectLockMode, in.ObjectLockRetainUntilDate, in.ObjectLockLegalHoldStatus = governance, until, held
			}
			_, err := v.c.CopyObject(ctx, in)
			v.ok(err)
		},
		"multipart": upload,
	}
	head := func(key string) *s3.HeadObjectOutput {
		t.Helper()
		out, err := v.c.HeadObject(ctx, &s3.HeadObjectInput{Bucket: v.bucket, Key: &key})
		v.ok(err)
		return out
	}
	for _, name := range slices.Sorted(maps.Keys(paths)) {
		paths[name](name+"-free", false)
		if out := head(name + "-free"); out.ObjectLockMode != "" || out.ObjectLockLegalHoldStatus != "" {
			t.Errorf("%s without headers: %s %s", name, out.ObjectLockMode, out.ObjectLockLegalHoldStatus)
		}
		paths[name](name, true)
		out := head(name)
		if out.ObjectLockMode != governance || out.ObjectLockLegalHoldStatus != held ||
			out.ObjectLockRetainUntilDate.Sub(*until).Abs().Milliseconds() > 1 {
			t.Errorf("%s: %s until %v, %s", name, out.ObjectLockMode, out.ObjectLockRetainUntilDate,
				out.ObjectLockLegalHoldStatus)
		}
		v.kept(v.destroy(v.c, name, out.VersionId, true), name, out.VersionId)
	}
	v.byDefault(types.ObjectLockRetentionModeCompliance, 3)
	for _, name := range slices.Sorted(maps.Keys(paths)) {
		paths[name](name+"-default", false)
		out := head(name + "-default")
		if out.ObjectLockMode != compliance || out.ObjectLockRetainUntilDate.Before(*v.in(3*day - 1e11)) {
			t.Errorf("%s by default: %s until %v", name, out.ObjectLockMode, out.ObjectLockRetainUntilDate)
		}
	}
}

// TestLockIsShown: reads show a lock only to callers who may read it.
func TestLockIsShown(t *testing.T) {
	v := newVault(t)
	v.put("k", v.retained(governance, day), func(in *s3.PutObjectInput) {
		in.ObjectLockLegalHoldStatus = types.ObjectLockLegalHoldStatusOn
	})
	for name, c := range map[string]struct {
		also            string
		retention, hold bool
	}{
		"neither": {"", false, false}, "retention": {`,"s3:GetObjectRetention"`, true, false},
		"hold": {`,"s3:GetObjectLegalHold"`, false, true},
		"both": {`,"s3:GetObjectRetention","s3:GetObjectLegalHold"`, true, true},
	} {
		t.Run(name, func(t *testing.T) {
			document := strings.Replace(remover(c.also), "s3:DeleteObjectVersion", "s3:GetObject", 1)
			who := v.as(v.user("reader-"+name, document).key)
			out, err := who.HeadObject(t.Context(), &s3.HeadObjectInput{Bucket: v.bucket, Key: aws.String("k")})
			if err != nil {
				t.Fatal(err)
			}
			if (out.ObjectLockMode != "") != c.retention || (out.ObjectLockRetainUntilDate != nil) != c.retention ||
				(out.ObjectLockLegalHoldStatus != "") != c.hold {
				t.Errorf("%s %v %s", out.ObjectLockMode, out.ObjectLockRetainUntilDate, out.ObjectLockLegalHoldStatus)
			}
			got, err := who.GetObject(t.Context(), &s3.GetObjectInput{Bucket: v.bucket, Key: aws.String("k")})
			if err != nil {
				t.Fatal(err)
			}
			got.Body.Close()
			if (got.ObjectLockMode != "") != c.retention || (got.ObjectLockLegalHoldStatus != "") != c.hold {
				t.Errorf("GET: %s %s", got.ObjectLockMode, got.ObjectLockLegalHoldStatus)
			}
		})
	}
}

// TestLockNeedsADigest: an upload under a retention needs a digest of its bytes.
func TestLockNeedsADigest(t *testing.T) {
	v := newVault(t)
	lock := http.Header{
		"X-Amz-Object-Lock-Mode": {"GOVERNANCE"}, "X-Amz-Object-Lock-Retain-Until-Date": {"2099-01-01T00:00:00Z"},
	}
	put := func(header http.Header) answer {
		return send(t, v.Server, raw{method: "PUT", target: "/vault/k", body: "x", header: header})
	}
	if a := put(lock); a.status != 400 || a.code != "InvalidRequest" {
		t.Errorf("without a digest: %d %s", a.status, a.body)
	}
	v.byDefault(types.ObjectLockRetentionModeGovernance, 1)
	if a := put(nil); a.status != 400 || a.code != "InvalidRequest" {
		t.Errorf("by default, without a digest: %d %s", a.status, a.body)
	}
	form := post{bucket: "vault", key: rootOf(v.Server)}
	if a := send(t, v.Server, form.build(t, v.Server)); a.status != 400 || a.code != "InvalidRequest" {
		t.Errorf("a form without a digest: %d %s", a.status, a.body)
	}
}
