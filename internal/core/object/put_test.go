package object

import (
	"context"
	"crypto/md5"
	"encoding/base64"
	"errors"
	"io"
	"maps"
	"strings"
	"sync"
	"testing"
	"testing/iotest"

	"watertight/internal/access/arn"
	"watertight/internal/core/bucket"
	"watertight/internal/core/change/coretest"
	"watertight/internal/fault"
	"watertight/internal/storage/digest"
	"watertight/internal/storage/kv"
)

func TestPutAndGet(t *testing.T) {
	e := newEnv(t)
	m := Metadata{"text/plain", "no-cache", "inline", "gzip", "de", "0", "/there", map[string]string{"a": "1", "b": ""}}
	for _, text := range []string{"", "tiny", long()} {
		v, err := e.put(PutInput{
			Key: "k", Body: strings.NewReader(text), Size: int64(len(text)), Metadata: m, StorageClass: "STANDARD_IA",
		})
		if err != nil {
			t.Fatal(err)
		}
		r, got, err := e.get(GetInput{Key: "k"})
		if err != nil || got != text {
			t.Fatalf("%q: %q %v", text, got, err)
		}
		h := digest.CRC64NVME.New()
		io.WriteString(h, text)
		for _, v := range []Version{v, r.Version} {
			if v.Key != "k" || v.ID != NullVersion || v.Versioned || v.DeleteMarker || v.Size != int64(len(text)) ||
				v.ETag.Sum != md5.Sum([]byte(text)) ||
				v.StorageClass != "STANDARD_IA" || v.Owner != coretest.Account || v.Encryption != bucket.AES256 ||
				v.Checksum.Algorithm != digest.CRC64NVME || v.Checksum.Type != FullObject || string(
				v.Checksum.Sum,
			) != string(h.Sum(nil)) {
				t.Errorf("%+v", v)
			}
			if !maps.Equal(v.Metadata.User, m.User) || v.Metadata.ContentType != m.ContentType ||
				v.Metadata.WebsiteRedirect != m.WebsiteRedirect {
				t.Errorf("%+v", v.Metadata)
			}
		}
		if r.Partial || r.Start != 0 || r.Length != int64(len(text)) || !r.Modified.Equal(v.Modified) {
			t.Errorf("%+v", r)
		}
		head, err := e.objects.Head(t.Context(), e.grant(arn.Object("bkt", "k"), "s3:GetObject"), GetInput{
			Bucket: "bkt", Key: "k",
		})
		if err != nil || head.Body != nil || head.ETag != v.ETag || head.Length != v.Size {
			t.Errorf("%v %+v", err, head)
		}
	}
	if len(e.payloads.settled(t)) != 1 || e.refs("r/") != 1 || e.refs("d/") != 0 || e.refs("v/") != 1 {
		t.Error("records or blobs of an overwritten version are left")
	}
}

func TestPutRefuses(t *testing.T) {
	boom := errors.New("boom")
	body := long() + "!"
	sum := md5.Sum([]byte(body))
	crc := digest.CRC32.New()
	io.WriteString(crc, body)
	expect := func(x Expected, err error) func() (Expected, error) {
		return func() (Expected, error) { return x, err }
	}
	for name, c := range map[string]struct {
		in      PutInput
		code    string
		members []string
	}{
		"no bucket": {PutInput{Bucket: "missing", Key: "k"}, "NoSuchBucket", []string{"BucketName", "missing"}},
		"long key": {
			PutInput{Key: strings.Repeat("k", 1025)}, "KeyTooLongError",
			[]string{"Size", "1025", "MaxSizeAllowed", "1024"},
		},
		"too large": {
			PutInput{Key: "k", Size: MaxPut + 1}, "EntityTooLarge",
			[]string{"ProposedSize", "5368709121", "MaxSizeAllowed", "5368709120"},
		},
		"metadata": {
			PutInput{Key: "k", Metadata: Metadata{User: map[string]string{"a": strings.Repeat("b", 2048)}}},
			"MetadataTooLarge", []string{"Size", "2049", "MaxSizeAllowed", "2048"},
		},
		"storage class": {
			PutInput{Key: "k", StorageClass: "OUTPOSTS"}, "InvalidStorageClass",
			[]string{"StorageClassRequested", "OUTPOSTS"},
		},
		"archive":    {PutInput{Key: "k", StorageClass: "GLACIER"}, "InvalidStorageClass", nil},
		"short body": {PutInput{Key: "k", Size: 20}, "IncompleteBody", nil},
		"long body":  {PutInput{Key: "k", Size: 5}, "IncompleteBody", nil},
		"expectation fails": {
			PutInput{Key: "k", Expect: expect(Expected{}, fault.New(fault.MalformedTrailerError, ""))},
			"MalformedTrailerError", nil,
		},
		"wrong MD5": {
			PutInput{Key: "k", MD5: make([]byte, 16)}, "BadDigest",
			[]string{
				"ExpectedDigest", strings.Repeat("0", 32), "CalculatedDigest",
				base64.StdEncoding.EncodeToString(sum[:]),
			},
		},
		"short MD5": {PutInput{Key: "k", MD5: sum[:15]}, "InvalidDigest", nil},
		"empty MD5": {PutInput{Key: "k", MD5: []byte{}}, "InvalidDigest", nil},
		"wrong checksum": {
			PutInput{Key: "k", Algorithm: digest.CRC32, Expect: expect(Expected{Sum: []byte("abcd")}, nil)},
			"BadDigest", nil,
		},
		"short checksum": {
			PutInput{Key: "k", Algorithm: digest.CRC32, Expect: expect(Expected{Sum: crc.Sum(nil)[:3]}, nil)},
			"InvalidRequest", nil,
		},
		"nameless checksum": {
			PutInput{Key: "k", Expect: expect(Expected{Sum: crc.Sum(nil)}, nil)}, "InvalidRequest", nil,
		},
		"broken body": {PutInput{Key: "k", Body: iotest.ErrReader(fault.Internal(boom))}, "InternalError", nil},
		"both conditions": {
			PutInput{Key: "k", IfMatch: ptr(`"a"`), IfNoneMatch: ptr("*")}, "NotImplemented",
			[]string{"Header", "If-Match,If-None-Match"},
		},
		"if-match star": {PutInput{Key: "k", IfMatch: ptr("*")}, "NotImplemented", []string{"Header", "If-Match"}},
		"if-none-match tag": {
			PutInput{Key: "k", IfNoneMatch: ptr(`"a"`)}, "NotImplemented", []string{"Header", "If-None-Match"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			e := newEnv(t)
			before := e.mustPut("k", long())
			if c.in.Body == nil {
				c.in.Body = strings.NewReader(body)
			}
			if c.in.Size == 0 {
				c.in.Size = -1
			}
			_, err := e.put(c.in)
			f := fault.From(err)
			if f == nil || string(f.Code) != c.code {
				t.Fatalf("%v, want %s", err, c.code)
			}
			wants(t, err, f.Kind, c.code, c.members...)
			if _, text, err := e.get(GetInput{Key: "k"}); err != nil || text != long() {
				t.Error("the earlier version:", text, err)
			}
			if r, _, _ := e.get(GetInput{Key: "k"}); r.ETag != before.ETag || len(e.payloads.settled(t)) != 1 {
				t.Error("a refused write left records or blobs")
			}
		})
	}
}

func TestRightDigestsPass(t *testing.T) {
	e := newEnv(t)
	sum := md5.Sum([]byte("body"))
	for _, a := range digest.All() {
		h := a.New()
		io.WriteString(h, "body")
		asked := 0
		v, err := e.put(PutInput{Key: "k", Body: strings.NewReader("body"), Size: -1, Algorithm: a,
			MD5: sum[:],
			Expect: func() (Expected, error) {
				asked++
				return Expected{Sum: h.Sum(nil)}, nil
			}})
		if err != nil || asked != 1 || v.Checksum.Algorithm != a || string(v.Checksum.Sum) != string(h.Sum(nil)) {
			t.Error(a, asked, err)
		}
	}
}

func TestUnboundedBodyIsBounded(t *testing.T) {
	b := &bounded{strings.NewReader("12345"), 4}
	_, err := io.ReadAll(b)
	wants(t, err, fault.KindInvalid, "EntityTooLarge", "ProposedSize", "5368709121")
	if data, err := io.ReadAll(&bounded{strings.NewReader("1234"), 4}); err != nil || len(data) != 4 {
		t.Error(len(data), err)
	}
}

func TestWriteConditions(t *testing.T) {
	e := newEnv(t)
	try := func(in PutInput) error {
		in.Key, in.Body, in.Size = "k", strings.NewReader("new"), 3
		_, err := e.put(in)
		return err
	}
	wants(t, try(PutInput{IfMatch: ptr("nonsense")}), fault.KindNotFound, "NoSuchKey", "Key", "k")
	if err := try(PutInput{IfNoneMatch: ptr("*")}); err != nil {
		t.Fatal(err)
	}
	wants(t, try(PutInput{IfNoneMatch: ptr("*")}), fault.KindPreconditionFailed, "PreconditionFailed", "Condition",
		"If-None-Match")
	wants(t, try(PutInput{IfMatch: ptr(`"stale"`)}), fault.KindPreconditionFailed, "PreconditionFailed", "Condition",
		"If-Match")
	tag := e.mustPut("k", "new").ETag
	if err := try(PutInput{IfMatch: ptr(`"` + tag.String() + `"`)}); err != nil {
		t.Error(err)
	}
	e.versioning(bucket.Enabled)
	if _, err := e.delete(DeleteInput{Key: "k"}); err != nil {
		t.Fatal(err)
	}
	wants(t, try(PutInput{IfMatch: ptr(`"` + tag.String() + `"`)}), fault.KindNotFound, "NoSuchKey")
	if err := try(PutInput{IfNoneMatch: ptr("*")}); err != nil {
		t.Error("a delete marker counts as an object:", err)
	}
}

// TestConditionsAreCheckedAgain: a condition is checked again after the body was read.
func TestConditionsAreCheckedAgain(t *testing.T) {
	e := newEnv(t)
	meanwhile := func(do func()) {
		e.payloads.written = func() { e.payloads.written = nil; do() }
	}
	meanwhile(func() { e.mustPut("k", "another") })
	_, err := e.put(PutInput{Key: "k", Body: strings.NewReader("mine"), Size: 4, IfNoneMatch: ptr("*")})
	wants(t, err, fault.KindPreconditionFailed, "PreconditionFailed", "Condition", "If-None-Match")

	meanwhile(func() {
		if _, err := e.delete(DeleteInput{Key: "k"}); err != nil {
			t.Error(err)
		}
	})
	tag := ETag{Sum: md5.Sum([]byte("another"))}
	_, err = e.put(PutInput{Key: "k", Body: strings.NewReader("mine"), Size: 4, IfMatch: ptr(tag.String())})
	wants(t, err, fault.KindNotFound, "NoSuchKey")

	meanwhile(func() {
		if err := e.buckets.Delete(t.Context(), e.grant(arn.Bucket("bkt"), "s3:DeleteBucket"), "bkt"); err != nil {
			t.Error(err)
		}
		e.makeBucket("bkt")
	})
	_, err = e.put(PutInput{Key: "k", Body: strings.NewReader(long()), Size: -1})
	wants(t, err, fault.KindNotFound, "NoSuchBucket")
	if len(e.payloads.settled(t)) != 0 || e.refs("c/") != 0 {
		t.Error("bytes are left in a bucket that was deleted and created again")
	}
}

func TestOneConditionalWriterWins(t *testing.T) {
	e := newEnv(t)
	g := e.grant(arn.Object("bkt", "k"), "s3:PutObject")
	var group sync.WaitGroup
	won := make(chan string, 8)
	for range cap(won) {
		group.Go(func() {
			_, err := e.objects.Put(t.Context(), g, PutInput{
				Bucket: "bkt", Key: "k", Body: strings.NewReader(long()), Size: -1, IfNoneMatch: ptr("*"),
			})
			if err == nil {
				won <- "one"
			} else if !fault.Is(err, "PreconditionFailed") {
				t.Error(err)
			}
		})
	}
	group.Wait()
	if len(won) != 1 || len(e.payloads.settled(t)) != 1 {
		t.Errorf("%d writers succeeded", len(won))
	}
}

// failing is a store whose next commit ends with a given error.
type failing struct {
	kv.Store
	err error
}

func (f *failing) Update(ctx context.Context, fn func(kv.Tx) error) error {
	if err := f.Store.Update(ctx, fn); err != nil {
		return err
	}
	return f.err
}

func TestBytesOfAnUnknownCommitStay(t *testing.T) {
	e := newEnv(t)
	e.objects.store = &failing{e.store, kv.ErrUnknown}
	if _, err := e.put(PutInput{Key: "k", Body: strings.NewReader(long()), Size: -1}); !errors.Is(err, kv.ErrUnknown) {
		t.Fatal(err)
	}
	if _, text, err := e.get(GetInput{Key: "k"}); err != nil || text != long() {
		t.Error("the bytes of a durable commit are lost:", text, err)
	}
}
