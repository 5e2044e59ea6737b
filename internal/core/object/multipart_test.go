package object

import (
	"bytes"
	"context"
	"crypto/md5"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"pgregory.net/rapid"

	"watertight/internal/access/arn"
	"watertight/internal/access/authz"
	"watertight/internal/core/change/record"
	"watertight/internal/core/payload"
	"watertight/internal/fault"
	"watertight/internal/storage/digest"
	"watertight/internal/storage/kv"
)

func (e *env) begin(in UploadInput) Upload {
	e.tb.Helper()
	in.Bucket = "bkt"
	u, err := e.objects.CreateUpload(e.tb.Context(), e.grant(arn.Object("bkt", in.Key), "s3:PutObject"), in)
	if err != nil {
		e.tb.Fatal(err)
	}
	return u
}

func (e *env) putPart(u Upload, number int, body string) (Part, error) {
	e.tb.Helper()
	return e.objects.PutPart(e.tb.Context(), e.grant(arn.Object("bkt", u.Key), "s3:PutObject"), PartInput{
		Bucket: "bkt", Key: u.Key, UploadID: u.ID, Number: number, Body: strings.NewReader(body),
		Size: int64(len(body)),
	})
}

func (e *env) mustPart(u Upload, number int, body string) CompletePart {
	e.tb.Helper()
	p, err := e.putPart(u, number, body)
	if err != nil {
		e.tb.Fatal(err)
	}
	return CompletePart{Number: number, ETag: p.ETag.String()}
}

func (e *env) complete(u Upload, in CompleteInput) (Version, error) {
	e.tb.Helper()
	in.Bucket, in.Key, in.UploadID = "bkt", u.Key, u.ID
	return e.objects.CompleteUpload(e.tb.Context(), e.grant(arn.Object("bkt", u.Key), "s3:PutObject", "s3:GetObject"),
		in)
}

func (e *env) abort(u Upload) error {
	e.tb.Helper()
	return e.objects.AbortUpload(e.tb.Context(), e.grant(arn.Object("bkt", u.Key), "s3:AbortMultipartUpload"), "bkt",
		u.Key, u.ID)
}

// tidy fails the test unless every blob has its reference, every reference its record, and nothing
// else is stored.
func (e *env) tidy(inline, blobs int) {
	e.tb.Helper()
	if got := e.refs("d/"); got != inline {
		e.tb.Errorf("%d inline values, want %d", got, inline)
	}
	if got := len(e.payloads.settled(e.tb)); got != blobs || e.refs("r/") != blobs {
		e.tb.Errorf("%d blobs and %d references, want %d", got, e.refs("r/"), blobs)
	}
}

// sizes returns sizes around the limit for inline bytes and around that of a chunk.
func sizes() []int {
	return []int{0, 1, 1000, payload.InlineMax, payload.InlineMax + 1, 70_000, 200_000}
}

// TestMultipartModel: parts of any size are uploaded in any order, replaced, and listed or not. The
// object is read whole, by range and by part number, and deleted without leftovers.
func TestMultipartModel(t *testing.T) {
	seed := []byte(strings.Repeat("0123456789abcdefghijklmnopqrstuvwxyz!", 6000))
	rapid.Check(t, func(rt *rapid.T) {
		e := newEnv(t)
		e.objects.minPart = 0
		u := e.begin(UploadInput{
			Key: "k", Algorithm: rapid.SampledFrom([]digest.Algorithm{digest.None, digest.CRC32}).Draw(rt, "algorithm"),
		})
		if u.ChecksumType == Composite {
			if e.abort(u) != nil {
				rt.Fatal("abort")
			}
			u = e.begin(UploadInput{Key: "k", Algorithm: digest.CRC32, ChecksumType: FullObject})
		}
		bodies := map[int]string{}
		for range rapid.IntRange(1, 8).Draw(rt, "puts") {
			n := rapid.SampledFrom([]int{1, 2, 3, 7, 257, 10_000}).Draw(rt, "number")
			from := rapid.IntRange(0, 1000).Draw(rt, "from")
			bodies[n] = string(seed[from : from+rapid.SampledFrom(sizes()).Draw(rt, "size")])
			e.mustPart(u, n, bodies[n])
		}
		var parts []CompletePart
		var listed []string
		h := md5.New()
		for _, n := range slices.Sorted(maps.Keys(bodies)) {
			if len(parts) > 0 && rapid.Bool().Draw(rt, "left out") {
				continue
			}
			sum := md5.Sum([]byte(bodies[n]))
			h.Write(sum[:])
			parts = append(parts, CompletePart{Number: n, ETag: `"` + hex.EncodeToString(sum[:]) + `"`})
			listed = append(listed, bodies[n])
		}
		whole := strings.Join(listed, "")
		v, err := e.complete(u, CompleteInput{Parts: parts})
		if err != nil {
			rt.Fatal(err)
		}
		sum := v.Checksum.Algorithm.New()
		sum.Write([]byte(whole))
		if v.Size != int64(len(whole)) || v.ETag.String() != fmt.Sprintf("%x-%d", h.Sum(nil), len(parts)) ||
			!bytes.Equal(v.Checksum.Sum, sum.Sum(nil)) || v.Checksum.Type != FullObject {
			rt.Fatalf("%+v", v)
		}
		inline, blobs := 0, 0
		for _, b := range listed {
			if len(b) <= payload.InlineMax {
				inline++
			} else {
				blobs++
			}
		}
		e.tidy(inline, blobs)
		e.readsAs(rt, parts, listed, whole)
		if l, err := e.list(ListInput{}); err != nil || len(l.Entries) != 1 || l.Entries[0].ETag != v.ETag ||
			l.Entries[0].Size != v.Size {
			rt.Fatalf("%+v, %v", l, err)
		}
		if _, err := e.delete(DeleteInput{Key: "k"}); err != nil {
			rt.Fatal(err)
		}
		e.tidy(0, 0)
		if n := e.refs("p/") + e.refs("q/") + e.refs("m/") + e.refs("v/") + e.refs("c/"); n != 0 {
			rt.Fatalf("%d records are left", n)
		}
	})
}

func (e *env) readsAs(rt *rapid.T, parts []CompletePart, listed []string, whole string) {
	if _, got, err := e.get(GetInput{Key: "k"}); err != nil || got != whole {
		rt.Fatalf("%d bytes of %d, %v", len(got), len(whole), err)
	}
	for i, p := range parts {
		r, got, err := e.get(GetInput{Key: "k", PartNumber: &p.Number})
		if err != nil || got != listed[i] || r.Part.Number != p.Number || r.Part.ETag.String() != trimETag(p.ETag) {
			rt.Fatalf("part %d: %d bytes, %v", p.Number, len(got), err)
		}
	}
	if whole == "" {
		return
	}
	for range 4 {
		from := rapid.IntRange(0, len(whole)-1).Draw(rt, "first")
		to := rapid.IntRange(from, len(whole)-1).Draw(rt, "last")
		r, got, err := e.get(GetInput{Key: "k", Range: fmt.Sprintf("bytes=%d-%d", from, to)})
		if err != nil || got != whole[from:to+1] || !r.Partial || r.Start != int64(from) {
			rt.Fatalf("range %d-%d: %d bytes, %v", from, to, len(got), err)
		}
	}
}

func TestUploadEnds(t *testing.T) {
	e := newEnv(t)
	u := e.begin(UploadInput{Key: "k"})
	e.mustPart(u, 1, long())
	e.mustPart(u, 2, "small")
	e.mustPart(u, 1, long()+"again")
	e.tidy(1, 1)
	if err := e.abort(u); err != nil {
		t.Fatal(err)
	}
	e.tidy(0, 0)
	wants(t, e.abort(u), fault.KindNotFound, "NoSuchUpload", "UploadId", u.ID)
	_, err := e.putPart(u, 1, long())
	wants(t, err, fault.KindNotFound, "NoSuchUpload")
	e.tidy(0, 0)

	// A part that arrives while the upload ends is dropped.
	u = e.begin(UploadInput{Key: "k"})
	e.payloads.written = func() {
		e.payloads.written = nil
		if err := e.abort(u); err != nil {
			t.Error(err)
		}
	}
	_, err = e.putPart(u, 1, long())
	wants(t, err, fault.KindNotFound, "NoSuchUpload")
	e.tidy(0, 0)
}

func TestCompletedTwice(t *testing.T) {
	e := newEnv(t)
	u := e.begin(UploadInput{Key: "k"})
	parts := []CompletePart{e.mustPart(u, 3, "one")}
	first, err := e.complete(u, CompleteInput{Parts: parts})
	if err != nil {
		t.Fatal(err)
	}
	again, err := e.complete(u, CompleteInput{Parts: parts})
	if err != nil || again.ETag != first.ETag || again.ID != first.ID || !again.Modified.Equal(first.Modified) {
		t.Errorf("%+v, %v, want %+v", again, err, first)
	}
	_, err = e.complete(u, CompleteInput{Parts: []CompletePart{{Number: 4, ETag: parts[0].ETag}}})
	wants(t, err, fault.KindNotFound, "NoSuchUpload")
	e.mustPut("k", "newer")
	_, err = e.complete(u, CompleteInput{Parts: parts})
	wants(t, err, fault.KindNotFound, "NoSuchUpload")
	e.tidy(1, 0)
}

// TestUploadRaces: whichever request wins, an upload ends exactly once, and no bytes stay without a
// record.
func TestUploadRaces(t *testing.T) {
	for range 20 {
		e := newEnv(t)
		e.objects.minPart = 0
		u := e.begin(UploadInput{Key: "k"})
		one := e.mustPart(u, 1, long())
		complete := e.grant(arn.Object("bkt", "k"), "s3:PutObject")
		abort := e.grant(arn.Object("bkt", "k"), "s3:AbortMultipartUpload")
		var wg sync.WaitGroup
		var completed, aborted error
		wg.Go(func() {
			_, completed = e.objects.CompleteUpload(t.Context(), complete, CompleteInput{
				Bucket: "bkt", Key: "k", UploadID: u.ID, Parts: []CompletePart{one},
			})
		})
		wg.Go(func() { aborted = e.objects.AbortUpload(t.Context(), abort, "bkt", "k", u.ID) })
		for n := 2; n < 6; n++ {
			wg.Go(func() {
				_, err := e.objects.PutPart(t.Context(), complete, PartInput{
					Bucket: "bkt", Key: "k", UploadID: u.ID, Number: n, Body: strings.NewReader(long()),
					Size: int64(len(long())),
				})
				if err != nil && !fault.Is(err, "NoSuchUpload") {
					t.Error(err)
				}
			})
		}
		wg.Wait()
		if (completed == nil) == (aborted == nil) {
			t.Fatalf("complete: %v, abort: %v", completed, aborted)
		}
		blobs := 0
		if completed == nil {
			blobs = 1
		}
		e.tidy(0, blobs)
		if n := e.refs("p/") + e.refs("m/"); n != 0 {
			t.Errorf("%d records of an upload that ended", n)
		}
	}
}

// TestPartsStayInPlace: a part's data key opens only that part of that upload.
func TestPartsStayInPlace(t *testing.T) {
	e := newEnv(t)
	e.objects.minPart = 0
	u := e.begin(UploadInput{Key: "k"})
	parts := []CompletePart{e.mustPart(u, 1, long()), e.mustPart(u, 2, long())}
	if _, err := e.complete(u, CompleteInput{Parts: parts}); err != nil {
		t.Fatal(err)
	}
	err := e.store.Update(t.Context(), func(tx kv.Tx) error {
		for p, err := range tx.Scan([]byte("q/"), record.After([]byte("q/"))) {
			if err != nil {
				return err
			}
			var all []*part
			if _, err := partsOf(p.Value, nil, func(one *part) bool {
				all = append(all, one)
				return true
			}); err != nil {
				return err
			}
			all[0].dataKey, all[1].dataKey = all[1].dataKey, all[0].dataKey
			all[0].blob, all[1].blob = all[1].blob, all[0].blob
			tx.Set(bytes.Clone(p.Key), encodeParts(all))
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if _, _, err := e.get(GetInput{Key: "k"}); !fault.Is(err, "InternalError") {
		t.Errorf("swapped parts are read: %v", err)
	}
}

// TestPartOrphan: the sweeper removes the bytes of a part whose record was never
// written, but not those of uploads and objects.
func TestPartOrphan(t *testing.T) {
	e := newEnv(t)
	u := e.begin(UploadInput{Key: "k"})
	e.mustPart(u, 1, long())
	g := e.grant(arn.Object("bkt", "k"), "s3:PutObject")
	at, _, err := e.payloads.Store.Write(t.Context(), g, payload.Source{
		Body: strings.NewReader(long()), Size: -1, Binding: []byte("x"),
	})
	if err != nil {
		t.Fatal(err)
	}
	e.payloads.Store.Settle(at) // as after a crash, blobs in flight are forgotten
	if n, err := e.payloads.Sweep(t.Context(), time.Now(), e.objects.Referenced); n.SetAside != 1 || err != nil {
		t.Errorf("%+v swept, %v", n, err)
	}
	if _, err := e.complete(u, CompleteInput{Parts: []CompletePart{{
		Number: 1, ETag: fmt.Sprintf("%x", md5.Sum([]byte(long()))),
	}}}); err != nil {
		t.Fatal(err)
	}
	if n, err := e.payloads.Sweep(t.Context(), time.Now(), e.objects.Referenced); n.SetAside != 0 || err != nil {
		t.Errorf("%+v swept, %v", n, err)
	}
}

// TestPurgeUploads: uploads are removed after their bucket is deleted.
func TestPurgeUploads(t *testing.T) {
	e := newEnv(t)
	u := e.begin(UploadInput{Key: "k"})
	e.mustPart(u, 1, long())
	if n, err := e.objects.PurgeUploads(t.Context()); n != 0 || err != nil {
		t.Errorf("%d purged, %v", n, err)
	}
	if err := e.buckets.Delete(t.Context(), e.grant(arn.Bucket("bkt"), "s3:DeleteBucket"), "bkt"); err != nil {
		t.Fatal(err)
	}
	e.makeBucket("bkt") // another bucket with the same name
	if n, err := e.objects.PurgeUploads(t.Context()); n != 1 || err != nil {
		t.Errorf("%d purged, %v", n, err)
	}
	e.tidy(0, 0)
}

// TestMultipartGrants: every method refuses a grant for another action or resource.
func TestMultipartGrants(t *testing.T) {
	e := newEnv(t)
	u := e.begin(UploadInput{Key: "k"})
	ctx, none := context.Background(), authz.Grant{}
	other := e.grant(arn.Object("bkt", "other"), "s3:PutObject", "s3:AbortMultipartUpload",
		"s3:ListMultipartUploadParts", "s3:GetObject", "s3:GetObjectAttributes")
	read := e.grant(arn.Object("bkt", "k"), "s3:GetObject")
	for i, g := range []authz.Grant{none, other, read} {
		t.Run(fmt.Sprint(i), func(t *testing.T) {
			_, create := e.objects.CreateUpload(ctx, g, UploadInput{Bucket: "bkt", Key: "k"})
			_, put := e.objects.PutPart(ctx, g, PartInput{
				Bucket: "bkt", Key: "k", UploadID: u.ID, Number: 1, Body: strings.NewReader("x"), Size: 1,
			})
			_, complete := e.objects.CompleteUpload(ctx, g, CompleteInput{Bucket: "bkt", Key: "k", UploadID: u.ID})
			_, list := e.objects.ListParts(ctx, g, ListPartsInput{Bucket: "bkt", Key: "k", UploadID: u.ID})
			_, uploads := e.objects.ListUploads(ctx, g, ListUploadsInput{Bucket: "bkt"})
			_, attributes := e.objects.Attributes(ctx, g, GetInput{Bucket: "bkt", Key: "k"}, 0, nil)
			_, _, copied := e.objects.CopyPart(ctx, g, CopyPartInput{
				Bucket: "bkt", Key: "k", Source: CopySource{Bucket: "bkt", Key: "k"},
			})
			for j, err := range []error{
				create, put, complete, list, uploads, attributes, copied,
				e.objects.AbortUpload(ctx, g, "bkt", "k", u.ID),
			} {
				if !fault.Is(err, "AccessDenied") {
					t.Errorf("grant %d, call %d: %v", i, j, err)
				}
			}
		})
	}
}

// TestReadOver: a reader of an object with parts can read to the end even if the object is deleted
// or replaced. Only then are the parts removed.
func TestReadOver(t *testing.T) {
	for _, name := range []string{"overwritten", "deleted", "crashed"} {
		t.Run(name, func(t *testing.T) {
			e := newEnv(t)
			e.objects.minPart = 0
			u := e.begin(UploadInput{Key: "k"})
			parts := []CompletePart{e.mustPart(u, 1, long()), e.mustPart(u, 2, long()), e.mustPart(u, 3, "end")}
			if _, err := e.complete(u, CompleteInput{Parts: parts}); err != nil {
				t.Fatal(err)
			}
			r, err := e.objects.Get(t.Context(), e.grant(arn.Object("bkt", "k"), "s3:GetObject"), GetInput{
				Bucket: "bkt", Key: "k",
			})
			if err != nil {
				t.Fatal(err)
			}
			inline := 0
			if name == "overwritten" {
				e.mustPut("k", "newer")
				inline = 1
			} else if _, err := e.delete(DeleteInput{Key: "k"}); err != nil {
				t.Fatal(err)
			}
			e.tidy(inline+1, 2)
			if name == "crashed" {
				again := New(e.store, e.payloads, e.buckets, nil) // knows no reader
				if n, err := again.PurgeParts(t.Context()); n != 1 || err != nil {
					t.Errorf("%d purged, %v", n, err)
				}
				if err := r.Body.Close(); err != nil {
					t.Error(err)
				}
			} else {
				got, err := io.ReadAll(r.Body)
				if err := errors.Join(err, r.Body.Close(),
					r.Body.Close()); err != nil || string(got) != long()+long()+"end" {
					t.Errorf("%d bytes, %v", len(got), err)
				}
			}
			e.tidy(inline, 0)
			if n := e.refs("g/") + e.refs("q/"); n != 0 {
				t.Errorf("%d records are left", n)
			}
		})
	}
}

// TestManyParts: an object with more than one record of parts is deleted in more than
// one step.
func TestManyParts(t *testing.T) {
	e := newEnv(t)
	e.objects.minPart = 0
	u := e.begin(UploadInput{Key: "k"})
	const n = 2*partsPerRecord + 3
	var parts []CompletePart
	for i := range n {
		parts = append(parts, e.mustPart(u, i+1, fmt.Sprintf("%04d", i)))
	}
	if _, err := e.complete(u, CompleteInput{Parts: parts}); err != nil {
		t.Fatal(err)
	}
	e.tidy(n, 0)
	if _, got, err := e.get(GetInput{Key: "k", Range: "bytes=1020-1031"}); err != nil || got != "025502560257" {
		t.Errorf("%q, %v", got, err)
	}
	for _, number := range []int{1, partsPerRecord, partsPerRecord + 1, n} {
		if r, got, err := e.get(GetInput{Key: "k", PartNumber: &number}); err != nil ||
			got != fmt.Sprintf("%04d", number-1) || r.Start != int64(4*(number-1)) {
			t.Errorf("part %d: %q, %v", number, got, err)
		}
	}
	_, _, err := e.get(GetInput{Key: "k", PartNumber: ptr(n + 1)})
	wants(t, err, fault.KindRangeNotSatisfied, "InvalidPartNumber", "ActualPartCount", fmt.Sprint(n))
	a, err := e.objects.Attributes(t.Context(),
		e.grant(arn.Object("bkt", "k"), "s3:GetObject",
			"s3:GetObjectAttributes"), GetInput{Bucket: "bkt", Key: "k"}, 300, ptr(2))
	if err != nil || len(a.Parts) != 2 || a.Parts[0].Number != 301 || a.Next != 302 || !a.Truncated {
		t.Errorf("%+v, %v", a, err)
	}
	if _, err := e.delete(DeleteInput{Key: "k"}); err != nil {
		t.Fatal(err)
	}
	e.tidy(0, 0)
	if n := e.refs("g/") + e.refs("q/"); n != 0 {
		t.Errorf("%d records are left", n)
	}
}
