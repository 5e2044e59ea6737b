package object

import (
	"bytes"
	"errors"
	"io"
	"strings"
	"testing"

	"watertight/internal/access/arn"
	"watertight/internal/core/bucket"
	"watertight/internal/core/payload"
	"watertight/internal/fault"
	"watertight/internal/storage/kv"
)

func TestGetRange(t *testing.T) {
	e := newEnv(t)
	const text = "0123456789"
	e.mustPut("k", text)
	for header, want := range map[string]string{
		"bytes=2-4": "234", "bytes=-3": "789", "bytes=8-20": "89", "bytes=1-0": text, "": text,
	} {
		t.Run(header, func(t *testing.T) {
			r, got, err := e.get(GetInput{Key: "k", Range: header})
			if err != nil || got != want || r.Partial != (want != text) || r.Length != int64(len(want)) ||
				r.Size != 10 || r.Start != int64(strings.Index(text, want)) {
				t.Errorf("%q: %q %+v %v", header, got, r, err)
			}
		})
	}
	_, _, err := e.get(GetInput{Key: "k", Range: "bytes=10-"})
	wants(t, err, fault.KindRangeNotSatisfied, "InvalidRange", "ActualObjectSize", "10", "RangeRequested", "bytes=10-")
}

func TestPartNumber(t *testing.T) {
	e := newEnv(t)
	e.mustPut("k", "0123456789")
	e.mustPut("empty", "")
	if r, text, err := e.get(GetInput{Key: "k", PartNumber: ptr(1)}); err != nil || !r.Partial || text != "0123456789" {
		t.Error(r, text, err)
	}
	if r, _, err := e.get(GetInput{Key: "empty", PartNumber: ptr(1)}); err != nil || r.Partial {
		t.Error(r, err)
	}
	_, _, err := e.get(GetInput{Key: "k", PartNumber: ptr(2)})
	wants(t, err, fault.KindRangeNotSatisfied, "InvalidPartNumber", "ActualPartCount", "1", "PartNumberRequested", "2")
	for _, n := range []int{-1, 0, 10_001} {
		_, _, err = e.get(GetInput{Key: "k", PartNumber: &n})
		wants(t, err, fault.KindInvalid, "InvalidArgument", "ArgumentName", "partNumber")
	}
	_, _, err = e.get(GetInput{Key: "k", PartNumber: ptr(1), Range: "bytes=0-1"})
	wants(t, err, fault.KindInvalid, "InvalidRequest")
}

func TestGetMissing(t *testing.T) {
	e := newEnv(t)
	v := e.mustPut("k", "text")
	_, _, err := e.get(GetInput{Key: "missing"})
	wants(t, err, fault.KindNotFound, "NoSuchKey", "Key", "missing")
	_, _, err = e.get(GetInput{Bucket: "nowhere", Key: "k"})
	wants(t, err, fault.KindNotFound, "NoSuchBucket", "BucketName", "nowhere")
	_, _, err = e.get(GetInput{Key: "k", VersionID: ptr(sample().id())})
	wants(t, err, fault.KindNotFound, "NoSuchVersion", "Key", "k", "VersionId", sample().id())
	_, _, err = e.get(GetInput{Key: "missing", VersionID: ptr(NullVersion)})
	wants(t, err, fault.KindNotFound, "NoSuchVersion", "VersionId", NullVersion)
	for _, id := range []string{"", "x", v.ID + "x"} {
		_, _, err = e.get(GetInput{Key: "k", VersionID: &id})
		wants(t, err, fault.KindInvalid, "InvalidArgument", "ArgumentName", "versionId", "ArgumentValue", id)
	}
	if _, text, err := e.get(GetInput{Key: "k", VersionID: ptr(NullVersion)}); err != nil || text != "text" {
		t.Error(text, err)
	}
}

func TestConditionsBeforeRange(t *testing.T) {
	e := newEnv(t)
	v := e.mustPut("k", "text")
	_, _, err := e.get(GetInput{Key: "k", IfNoneMatch: ptr(v.ETag.String()), Range: "bytes=9-"})
	wants(t, err, fault.KindNotModified, "NotModified")
	_, _, err = e.get(GetInput{Key: "k", IfMatch: ptr("x"), Range: "bytes=9-"})
	wants(t, err, fault.KindPreconditionFailed, "PreconditionFailed", "Condition", "If-Match")
}

func TestReadStartsAgainWhenTheBlobIsGone(t *testing.T) {
	e := newEnv(t)
	e.mustPut("k", long())
	e.payloads.vanish = maxRereads - 1
	if _, text, err := e.get(GetInput{Key: "k"}); err != nil || text != long() {
		t.Error(text, err)
	}
	e.payloads.vanish = maxRereads
	if _, _, err := e.get(GetInput{Key: "k"}); !errors.Is(err, payload.ErrGone) {
		t.Error(err)
	}
}

func TestBodyWritesItself(t *testing.T) {
	e := newEnv(t)
	e.mustPut("k", "0123456789")
	r, err := e.objects.Get(t.Context(), e.grant(arn.Object("bkt", "k"), "s3:GetObject"), GetInput{
		Bucket: "bkt", Key: "k", Range: "bytes=1-3",
	})
	if err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	n, err := r.Body.(io.WriterTo).WriteTo(&out)
	if err := errors.Join(err, r.Body.Close()); err != nil || n != 3 || out.String() != "123" {
		t.Error(n, out.String(), err)
	}
}

// TestDataKeyIsBoundToItsVersion: a value that was moved to another key, bucket or version does not
// open.
func TestDataKeyIsBoundToItsVersion(t *testing.T) {
	id, u := bucket.ID{1}, unique{1}
	own := binding(id, u, "key")
	for _, other := range [][]byte{
		binding(bucket.ID{2}, u, "key"), binding(id, unique{2}, "key"), binding(id, u, "kex"), binding(id, u, ""),
	} {
		if bytes.Equal(own, other) {
			t.Errorf("%q", other)
		}
	}
}

func TestDeleteMarkerReads(t *testing.T) {
	e := newEnv(t)
	e.versioning(bucket.Enabled)
	e.mustPut("k", "text")
	d, err := e.delete(DeleteInput{Key: "k"})
	if err != nil || !d.DeleteMarker || d.MarkerID == "" || d.VersionID != "" {
		t.Fatal(d, err)
	}
	_, _, err = e.get(GetInput{Key: "k"})
	wants(t, err, fault.KindNotFound, "NoSuchKey", "Key", "k")
	if h := fault.From(err).Headers; h["x-amz-delete-marker"] != "true" || h["x-amz-version-id"] != d.MarkerID {
		t.Error(h)
	}
	_, err = e.objects.Head(t.Context(), e.grant(arn.Object("bkt", "k"), "s3:GetObjectVersion"), GetInput{
		Bucket: "bkt", Key: "k", VersionID: &d.MarkerID,
	})
	wants(t, err, fault.KindNotAllowed, "MethodNotAllowed", "Method", "HEAD", "ResourceType", "DeleteMarker")
	if h := fault.From(err).Headers; h["x-amz-delete-marker"] != "true" || h["Allow"] != "DELETE" ||
		h["Last-Modified"] == "" {
		t.Error(h)
	}
}

// TestPointersOfEarlierPrograms: the current version is read although its pointer has only the
// fields that a listing shows.
func TestPointersOfEarlierPrograms(t *testing.T) {
	e := newEnv(t)
	e.mustPut("k", "text")
	b, err := e.buckets.Head(t.Context(), e.grant(arn.Bucket("bkt"), "s3:ListBucket"), "bkt")
	if err != nil {
		t.Fatal(err)
	}
	k := slot{&b, "k"}
	err = e.store.Update(t.Context(), func(tx kv.Tx) error {
		v, _, err := k.current(tx)
		if err == nil && !v.whole {
			t.Error("the pointer of a new version is not whole")
		}
		if err == nil {
			tx.Set(k.pointer(), v.appendPointer(nil))
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	if _, got, err := e.get(GetInput{Key: "k"}); err != nil || got != "text" {
		t.Errorf("%q, %v", got, err)
	}
}
