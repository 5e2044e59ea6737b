package object

import (
	"crypto/md5"
	"encoding/hex"
	"fmt"
	"strings"
	"testing"

	"watertight/internal/access/arn"
	"watertight/internal/fault"
	"watertight/internal/storage/digest"
	"watertight/internal/storage/kv"
)

// TestMostParts: an object of 10,000 parts is completed, read by number and by
// range, listed and deleted. Its parts are smaller than clients may upload.
func TestMostParts(t *testing.T) {
	e := newEnv(t)
	e.objects.minPart = 0
	u := e.begin(UploadInput{Key: "k"})
	text := func(number int) string { return fmt.Sprintf("%06d", number) }
	const size = 6
	var parts []CompletePart
	var whole strings.Builder
	h := md5.New()
	for number := 1; number <= MaxParts; number++ {
		parts = append(parts, e.mustPart(u, number, text(number)))
		sum := md5.Sum([]byte(text(number)))
		h.Write(sum[:])
		whole.WriteString(text(number))
	}
	_, err := e.putPart(u, MaxParts+1, "more")
	wants(t, err, fault.KindInvalid, "InvalidArgument", "ArgumentName", "partNumber")
	_, err = e.complete(u, CompleteInput{
		Parts: append(parts[:MaxParts:MaxParts], CompletePart{Number: MaxParts + 1, ETag: parts[0].ETag}),
	})
	wants(t, err, fault.KindInvalid, "MalformedXML")

	listed, next := 0, 0
	for more := true; more; {
		l, err := e.objects.ListParts(t.Context(), e.grant(arn.Object("bkt", "k"), "s3:ListMultipartUploadParts"),
			ListPartsInput{Bucket: "bkt", Key: "k", UploadID: u.ID, After: next})
		if err != nil {
			t.Fatal(err)
		}
		listed, next, more = listed+len(l.Parts), l.Next, l.Truncated
	}
	if listed != MaxParts || next != MaxParts {
		t.Errorf("%d parts are listed, the last is %d", listed, next)
	}
	v, err := e.complete(u, CompleteInput{Parts: parts, Size: ptr(int64(MaxParts * size))})
	if err != nil || v.ETag.String() != hex.EncodeToString(h.Sum(nil))+"-10000" || v.Size != MaxParts*size {
		t.Fatalf("%+v, %v", v, err)
	}
	e.tidy(MaxParts, 0)

	if _, got, err := e.get(GetInput{Key: "k"}); err != nil || got != whole.String() {
		t.Errorf("%d bytes of %d, %v", len(got), whole.Len(), err)
	}
	for _, number := range []int{1, 2, 4999, MaxParts - 1, MaxParts} {
		t.Run(fmt.Sprint(number), func(t *testing.T) {
			r, got, err := e.get(GetInput{Key: "k", PartNumber: &number})
			if err != nil || got != text(number) || r.Start != int64(number-1)*size || r.ETag.Parts != MaxParts {
				t.Errorf("part %d: %q, %v", number, got, err)
			}
		})
	}
	for _, rng := range []string{"bytes=0-0", "bytes=5-6", "bytes=29999-30011", "bytes=59990-", "bytes=-7"} {
		t.Run(rng, func(t *testing.T) {
			r, got, err := e.get(GetInput{Key: "k", Range: rng})
			if err != nil || got != whole.String()[r.Start:r.Start+r.Length] {
				t.Errorf("%s: %q, %v", rng, got, err)
			}
		})
	}
	if _, err := e.delete(DeleteInput{Key: "k"}); err != nil {
		t.Fatal(err)
	}
	e.tidy(0, 0)
	if n := e.refs("g/") + e.refs("q/") + e.refs("p/") + e.refs("m/"); n != 0 {
		t.Errorf("%d records are left", n)
	}
}

// recordParts writes parts of an upload without their bytes, all of one size.
func (e *env) recordParts(u Upload, n int, size int64) (parts []CompletePart) {
	e.tb.Helper()
	b, err := e.buckets.Head(e.tb.Context(), e.grant(arn.Bucket("bkt"), "s3:ListBucket"), "bkt")
	if err != nil {
		e.tb.Fatal(err)
	}
	err = e.store.Update(e.tb.Context(), func(tx kv.Tx) error {
		up, err := slot{&b, u.Key}.findUpload(tx, u.ID)
		if err != nil {
			return err
		}
		parts = nil
		for number := 1; number <= n; number++ {
			p := part{
				number: number, unique: unique{1}, size: size, md5: md5.Sum([]byte{1}), modified: day(1),
				checksum: Checksum{Algorithm: digest.CRC64NVME, Type: FullObject, Sum: make([]byte, 8)},
			}
			tx.Set(partKey(up.unique, number), p.encode(nil))
			parts = append(parts, CompletePart{Number: number, ETag: p.etag().String()})
		}
		return nil
	})
	if err != nil {
		e.tb.Fatal(err)
	}
	return parts
}

// TestLargestObject: 5 TiB, and not a byte more. No byte is moved.
func TestLargestObject(t *testing.T) {
	e := newEnv(t)
	const gib = int64(1) << 30
	for i, c := range []struct {
		parts int
		size  int64
	}{{1025, 5 * gib}, {1024, 5*gib + 1}, {MaxParts, MaxObject/MaxParts + 1}, {MaxParts, MaxPartSize}} {
		t.Run(fmt.Sprint(i), func(t *testing.T) {
			u := e.begin(UploadInput{Key: "larger"})
			_, err := e.complete(u, CompleteInput{Parts: e.recordParts(u, c.parts, c.size)})
			wants(t, err, fault.KindInvalid, "EntityTooLarge", "MaxSizeAllowed", "5497558138880")
			if _, err := e.objects.Head(t.Context(), e.grant(arn.Object("bkt", "larger"), "s3:GetObject"),
				GetInput{Bucket: "bkt", Key: "larger"}); !fault.Is(err, "NoSuchKey") {
				t.Errorf("%d parts of %d bytes: %v", c.parts, c.size, err)
			}
			if n := e.refs("p/"); n != c.parts {
				t.Errorf("after a refusal %d parts are left, want %d", n, c.parts)
			}
			if err := e.abort(u); err != nil {
				t.Fatal(err)
			}
		})
	}
	wants(t, (&PartInput{Key: "k", Number: 1, Size: MaxPartSize + 1}).check(), fault.KindInvalid, "EntityTooLarge")
	if err := (&PartInput{Key: "k", Number: MaxParts, Size: MaxPartSize}).check(); err != nil {
		t.Error(err)
	}
	u := e.begin(UploadInput{Key: "of many"})
	if v, err := e.complete(u, CompleteInput{
		Parts: e.recordParts(u, MaxParts, MaxObject/MaxParts),
	}); err != nil || v.Size != MaxObject/MaxParts*MaxParts {
		t.Errorf("%+v, %v", v, err)
	}
	u = e.begin(UploadInput{Key: "largest"})
	v, err := e.complete(u, CompleteInput{Parts: e.recordParts(u, 1024, 5*gib), Size: ptr(int64(MaxObject))})
	if err != nil || v.Size != MaxObject {
		t.Fatalf("%+v, %v", v, err)
	}
	head := func(in GetInput) *Reading {
		t.Helper()
		in.Bucket, in.Key = "bkt", "largest"
		r, err := e.objects.Head(t.Context(), e.grant(arn.Object("bkt", "largest"), "s3:GetObject"), in)
		if err != nil {
			t.Fatal(err)
		}
		return r
	}
	for i, c := range []struct {
		in            GetInput
		start, length int64
	}{
		{GetInput{}, 0, MaxObject},
		{GetInput{PartNumber: ptr(1024)}, MaxObject - 5*gib, 5 * gib},
		{GetInput{PartNumber: ptr(2)}, 5 * gib, 5 * gib},
		{GetInput{Range: "bytes=-1"}, MaxObject - 1, 1},
		{GetInput{Range: "bytes=5497558138879-"}, MaxObject - 1, 1},
		{GetInput{Range: fmt.Sprintf("bytes=%d-%d", 3*gib, 7*gib)}, 3 * gib, 4*gib + 1},
		{GetInput{Range: "bytes=1-9223372036854775807"}, 1, MaxObject - 1},
	} {
		t.Run(fmt.Sprint(i), func(t *testing.T) {
			if r := head(c.in); r.Start != c.start || r.Length != c.length || r.Size != MaxObject {
				t.Errorf("%+v: %d bytes from %d of %d", c.in, r.Length, r.Start, r.Size)
			}
		})
	}
	_, err = e.objects.Head(t.Context(), e.grant(arn.Object("bkt", "largest"), "s3:GetObject"), GetInput{
		Bucket: "bkt", Key: "largest", Range: "bytes=5497558138880-",
	})
	wants(t, err, fault.KindRangeNotSatisfied, "InvalidRange")
	if l, err := e.list(ListInput{Prefix: "l"}); err != nil || len(l.Entries) != 1 || l.Entries[0].Size != MaxObject {
		t.Errorf("%+v, %v", l, err)
	}
}
