package object

import (
	"bytes"
	"context"
	"crypto/md5"
	"crypto/sha256"
	"encoding/base64"
	"io"
	"maps"
	"strings"
	"testing"
	"time"

	"watertight/internal/access/arn"
	"watertight/internal/access/authz"
	"watertight/internal/access/policy"
	"watertight/internal/core/bucket"
	"watertight/internal/core/change/coretest"
	"watertight/internal/core/kms"
	"watertight/internal/fault"
	"watertight/internal/storage/digest"
	"watertight/internal/storage/kv"
	"watertight/internal/storage/seal"
)

// nobody is a directory in which no user or role exists.
type nobody struct{}

func (nobody) ID(_ kv.Reader, e policy.PrincipalName) (string, bool, error) {
	a, err := arn.Parse(e.Value)
	return "", err == nil && a.Resource == "root" || e.Value == "*", nil
}
func (nobody) Name(kv.Reader, string) (string, error) { return "", nil }

// newKMS returns real keys of KMS in a store.
func newKMS(store kv.Store) *kms.Store {
	return kms.New(store, kms.Options{
		Region: "us-east-1", Root: seal.RingOf(seal.NewKey()), Principals: nobody{}, Now: time.Now,
	})
}

// newKey makes a key of the usual account and returns its ARN.
func (e *env) newKey() string {
	e.tb.Helper()
	m, err := e.kms.CreateKey(e.tb.Context(), e.grant(arn.Any(), "kms:CreateKey"), kms.CreateInput{})
	if err != nil {
		e.tb.Fatal(err)
	}
	return m.ARN.String()
}

// defaults sets the bucket's default encryption.
func (e *env) defaults(d bucket.DefaultEncryption) {
	e.tb.Helper()
	d.Customer = bucket.CustomerKeysAllowed
	g := e.grant(arn.Bucket("bkt"), "s3:PutEncryptionConfiguration")
	if err := e.buckets.PutEncryption(e.tb.Context(), g, "bkt", d); err != nil {
		e.tb.Fatal(err)
	}
}

// pairs is the header of an encryption context.
func pairs(document string) string { return base64.StdEncoding.EncodeToString([]byte(document)) }

// way is a way of encryption: what a write asks for, and what the answer says.
type way struct {
	ask     Encryption
	setting bucket.DefaultEncryption // of the bucket
	want    Encrypted
	context map[string]string // of KMS, for the object "bkt/k"
}

// ways are all ways of encryption; key is a customer's key of KMS.
func ways(key string) map[string]way {
	on, off := true, false
	object := map[string]string{"aws:s3:arn": "arn:aws:s3:::bkt/k"}
	whole := map[string]string{"aws:s3:arn": "arn:aws:s3:::bkt"}
	return map[string]way{
		"SSE-S3":         {want: Encrypted{Encryption: bucket.AES256}},
		"SSE-S3 by name": {ask: Encryption{Algorithm: "AES256"}, want: Encrypted{Encryption: bucket.AES256}},
		"SSE-C":          {ask: Encryption{Customer: ownKey(7)}, want: Encrypted{CustomerKey: true}},
		"SSE-KMS": {
			Encryption{Algorithm: "aws:kms", KeyID: key}, bucket.DefaultEncryption{},
			Encrypted{Encryption: bucket.KMS, Key: key}, object,
		},
		"SSE-KMS, by id": {
			Encryption{Algorithm: "aws:kms", KeyID: key[len(key)-36:]}, bucket.DefaultEncryption{},
			Encrypted{Encryption: bucket.KMS, Key: key}, object,
		},
		"SSE-KMS, managed": {
			Encryption{Algorithm: "aws:kms"}, bucket.DefaultEncryption{}, Encrypted{Encryption: bucket.KMS}, object,
		},
		"SSE-KMS, own pairs": {
			Encryption{Algorithm: "aws:kms", KeyID: key, Context: pairs(`{"Project":"x","b":"é"}`)},
			bucket.DefaultEncryption{}, Encrypted{Encryption: bucket.KMS, Key: key},
			map[string]string{"aws:s3:arn": "arn:aws:s3:::bkt/k", "Project": "x", "b": "é"},
		},
		"SSE-KMS, bucket key": {
			Encryption{Algorithm: "aws:kms", KeyID: key, BucketKey: &on}, bucket.DefaultEncryption{},
			Encrypted{Encryption: bucket.KMS, Key: key, BucketKey: true}, whole,
		},
		"SSE-KMS by default": {
			Encryption{}, bucket.DefaultEncryption{Algorithm: bucket.KMS, KeyID: key, BucketKey: true},
			Encrypted{Encryption: bucket.KMS, Key: key, BucketKey: true}, whole,
		},
		"SSE-KMS by default, by id": {
			Encryption{}, bucket.DefaultEncryption{Algorithm: bucket.KMS, KeyID: key[len(key)-36:]},
			Encrypted{Encryption: bucket.KMS, Key: key}, object,
		},
		"SSE-KMS by default, no bucket key": {
			Encryption{BucketKey: &off}, bucket.DefaultEncryption{Algorithm: bucket.KMS, KeyID: key, BucketKey: true},
			Encrypted{Encryption: bucket.KMS, Key: key}, object,
		},
		"SSE-KMS beside a default": { // the managed key, not the bucket's
			Encryption{Algorithm: "aws:kms"}, bucket.DefaultEncryption{Algorithm: bucket.KMS, KeyID: key},
			Encrypted{Encryption: bucket.KMS}, object,
		},
		"SSE-S3 beside a default": {
			Encryption{Algorithm: "AES256"}, bucket.DefaultEncryption{Algorithm: bucket.KMS, KeyID: key},
			Encrypted{Encryption: bucket.AES256}, nil,
		},
		"SSE-C beside a default": {
			Encryption{Customer: ownKey(7)}, bucket.DefaultEncryption{Algorithm: bucket.KMS, KeyID: key},
			Encrypted{CustomerKey: true}, nil,
		},
		"DSSE-KMS": {
			Encryption{Algorithm: "aws:kms:dsse", KeyID: key}, bucket.DefaultEncryption{},
			Encrypted{Encryption: bucket.DSSE, Key: key}, object,
		},
		"DSSE-KMS by default": {
			Encryption{}, bucket.DefaultEncryption{Algorithm: bucket.DSSE, KeyID: key},
			Encrypted{Encryption: bucket.DSSE, Key: key}, object,
		},
	}
}

// is reports whether an answer is of this way. Of a managed key the test knows only the account.
func (w *way) is(got Encrypted) bool {
	if want := w.want; want.Key == "" && want.Encryption.UsesKMS() {
		return strings.HasPrefix(got.Key, "arn:aws:kms:us-east-1:"+coretest.Account+":key/") &&
			got.Encryption == want.Encryption && got.BucketKey == want.BucketKey
	}
	return got == w.want
}

// hides reports whether records may contain nothing that is derived from the plaintext.
func (w *way) hides() bool { return w.want.CustomerKey || w.want.Encryption.UsesKMS() }

// secrets fails the test if a record contains a digest of the plaintext.
func (e *env) secrets(texts ...string) {
	e.tb.Helper()
	err := e.store.View(e.tb.Context(), func(r kv.Reader) error {
		for p, err := range r.Scan([]byte("a"), []byte("z")) {
			if err != nil {
				return err
			}
			for _, text := range texts {
				sum, crc := md5.Sum([]byte(text)), sha256.Sum256([]byte(text))
				for what, secret := range map[string][]byte{
					"text": []byte(text[:8]), "MD5": sum[:], "SHA-256": crc[:],
				} {
					if bytes.Contains(p.Value, secret) {
						e.tb.Errorf("%q holds the %s", p.Key, what)
					}
				}
			}
		}
		return nil
	})
	if err != nil {
		e.tb.Error(err)
	}
}

// all returns a grant for everything that the tests do with "bkt/k" and "bkt/copy".
func (e *env) all(c authz.Caller) authz.Grant {
	e.tb.Helper()
	var needs []authz.Need
	for _, key := range []string{"k", "copy", "multi"} {
		for _, a := range []policy.Action{
			"s3:PutObject", "s3:GetObject", "s3:GetObjectAttributes", "s3:ListMultipartUploadParts",
			"s3:UpdateObjectEncryption",
		} {
			needs = append(needs, authz.Need{Action: a, Resource: arn.Object("bkt", key)})
		}
	}
	return coretest.GrantAll(e.tb, c, needs...)
}

// TestEveryWayOfEncryption: each write path can seal in each way and says so, and each read path
// opens the result. Where digests are hidden, records contain none.
func TestEveryWayOfEncryption(t *testing.T) {
	for name := range ways(strings.Repeat("0", 36)) {
		t.Run(name, func(t *testing.T) {
			e := newEnv(t)
			e.objects.minPart = 1
			w := ways(e.newKey())[name]
			e.defaults(w.setting)
			g, mine := e.all(coretest.Root(coretest.Account, nil)), w.ask.Customer
			for _, text := range []string{"short text", long()} {
				e.putAndCopy(t, g, &w, text, mine)
				e.uploadInParts(t, g, &w, text, mine)
				if w.hides() {
					e.secrets(text)
				}
			}
		})
	}
}

// everyRead reads an object in every possible way.
func (e *env) everyRead(t *testing.T, g authz.Grant, w *way, key, text string, mine CustomerKey) {
	t.Helper()
	in := GetInput{Bucket: "bkt", Key: key, Customer: mine, Checksums: true}
	for _, header := range []string{"", "bytes=3-6"} {
		in := in
		in.Range = header
		r, err := e.objects.Get(t.Context(), g, in)
		if err != nil {
			t.Fatalf("get %q: %v", header, err)
		}
		got, err := io.ReadAll(r.Body)
		if want := text[r.Start : r.Start+r.Length]; err != nil || string(got) != want || !w.is(r.Encrypted) {
			t.Errorf("get %q: %d bytes, %+v, %v", header, len(got), r.Encrypted, err)
		}
		if err := r.Body.Close(); err != nil {
			t.Error(err)
		}
	}
	h, err := e.objects.Head(t.Context(), g, in)
	if err != nil || !w.is(h.Encrypted) || h.Checksum.Sum == nil || h.Size != int64(len(text)) {
		t.Errorf("head: %+v, %v", h, err)
	}
	a, err := e.objects.Attributes(t.Context(), g, in, 0, nil)
	if err != nil || !w.is(a.Encrypted) || a.Checksum.Sum == nil {
		t.Errorf("attributes: %+v, %v", a, err)
	}
	for _, p := range a.Parts {
		if p.Checksum.Sum == nil {
			t.Errorf("part %d has no checksum", p.Number)
		}
	}
	in.Checksums = false
	if h, err := e.objects.Head(t.Context(), g, in); err != nil || w.want.Key != "" && h.Checksum.Sum != nil {
		t.Errorf("head without checksums: %+v, %v", h, err)
	}
}

func (e *env) putAndCopy(t *testing.T, g authz.Grant, w *way, text string, mine CustomerKey) {
	t.Helper()
	sum := md5.Sum([]byte(text))
	v, err := e.objects.Put(t.Context(), g, PutInput{
		Bucket: "bkt", Key: "k", Body: strings.NewReader(text), Size: int64(len(text)), Algorithm: digest.SHA256,
		Encryption: w.ask, MD5: sum[:],
	})
	if err != nil || !w.is(v.Encrypted) || (v.ETag.Sum == sum) == w.hides() || v.ETag.Sum == [16]byte{} {
		t.Fatalf("put: %+v, %v", v, err)
	}
	_, err = e.objects.Put(t.Context(), g, PutInput{
		Bucket: "bkt", Key: "k", Body: strings.NewReader(text), Size: int64(len(text)), Encryption: w.ask,
		MD5: make([]byte, 16),
	})
	wants(t, err, fault.KindInvalid, "BadDigest")
	e.everyRead(t, g, w, "k", text, mine)
	c, source, err := e.objects.Copy(t.Context(), g, CopyInput{
		Source: CopySource{Bucket: "bkt", Key: "k", Customer: mine}, Bucket: "bkt", Key: "copy", Encryption: w.ask,
	})
	if err != nil || !w.is(c.Encrypted) || !w.is(source.Encrypted) {
		t.Fatalf("copy: %+v, %v", c, err)
	}
	e.everyRead(t, g, w, "copy", text, mine)
}

func (e *env) uploadInParts(t *testing.T, g authz.Grant, w *way, text string, mine CustomerKey) {
	t.Helper()
	u, err := e.objects.CreateUpload(t.Context(), g, UploadInput{
		Bucket: "bkt", Key: "multi", Algorithm: digest.SHA256, Encryption: w.ask,
	})
	if err != nil || !w.is(u.Encrypted) {
		t.Fatalf("create: %+v, %v", u, err)
	}
	one, err := e.objects.PutPart(t.Context(), g, PartInput{
		Bucket: "bkt", Key: "multi", UploadID: u.ID, Number: 1, Body: strings.NewReader(text), Size: -1,
		Algorithm: digest.SHA256, Customer: mine,
	})
	if err != nil || !w.is(one.Encrypted) || (one.ETag.Sum == md5.Sum([]byte(text))) == w.hides() {
		t.Fatalf("part: %+v, %v", one, err)
	}
	two, _, err := e.objects.CopyPart(t.Context(), g, CopyPartInput{
		Source: CopySource{Bucket: "bkt", Key: "k", Customer: mine}, Bucket: "bkt", Key: "multi", UploadID: u.ID,
		Number: 2, Customer: mine,
	})
	if err != nil || !w.is(two.Encrypted) {
		t.Fatalf("part copy: %+v, %v", two, err)
	}
	l, err := e.objects.ListParts(t.Context(), g, ListPartsInput{
		Bucket: "bkt", Key: "multi", UploadID: u.ID, Customer: mine,
	})
	if err != nil || len(l.Parts) != 2 || l.Parts[1].Checksum.Sum == nil || !w.is(l.Upload.Encrypted) {
		t.Fatalf("list parts: %+v, %v", l, err)
	}
	in := CompleteInput{Bucket: "bkt", Key: "multi", UploadID: u.ID, Customer: mine}
	for _, p := range l.Parts {
		in.Parts = append(in.Parts, CompletePart{
			Number: p.Number, ETag: p.ETag.String(), Algorithm: digest.SHA256, Sum: p.Checksum.Sum,
		})
	}
	for range 2 { // the answer may have been lost
		v, err := e.objects.CompleteUpload(t.Context(), g, in)
		if err != nil || !w.is(v.Encrypted) || v.Checksum.Sum == nil {
			t.Fatalf("complete: %+v, %v", v, err)
		}
	}
	e.everyRead(t, g, w, "multi", text+text, mine)
	r, err := e.objects.Get(t.Context(), g, GetInput{Bucket: "bkt", Key: "multi", PartNumber: ptr(2), Customer: mine})
	if err != nil {
		t.Fatal(err)
	}
	defer r.Body.Close()
	if got, err := io.ReadAll(r.Body); err != nil || string(got) != text || r.Part.Checksum.Sum == nil {
		t.Errorf("get a part: %d bytes, %v", len(got), err)
	}
}

// spiedKMS records the uses of keys that are decided on.
type spiedKMS struct {
	KMS
	uses []kms.Use
}

func (s *spiedKMS) ExtendToGenerate(
	ctx context.Context, g authz.Grant, u kms.Use,
) (authz.Grant, kms.Key, error) {
	s.uses = append(s.uses, u)
	return s.KMS.ExtendToGenerate(ctx, g, u)
}

func (s *spiedKMS) ExtendToDecrypt(
	ctx context.Context, g authz.Grant, u kms.Use,
) (authz.Grant, kms.Key, error) {
	s.uses = append(s.uses, u)
	return s.KMS.ExtendToDecrypt(ctx, g, u)
}

// TestEncryptionContext: each use of a key is decided with the context that the version
// was made with, for its service.
func TestEncryptionContext(t *testing.T) {
	for name := range ways(strings.Repeat("0", 36)) {
		t.Run(name, func(t *testing.T) {
			e := newEnv(t)
			w := ways(e.newKey())[name]
			e.defaults(w.setting)
			spy := &spiedKMS{KMS: e.kms}
			e.objects.kms = spy
			v, err := e.put(PutInput{Key: "k", Body: strings.NewReader("x"), Size: 1, Encryption: w.ask})
			if err != nil {
				t.Fatal(err)
			}
			if _, _, err := e.get(GetInput{Key: "k", Customer: w.ask.Customer}); err != nil {
				t.Fatal(err)
			}
			if (len(spy.uses) == 2) != w.want.Encryption.UsesKMS() {
				t.Fatalf("%d uses", len(spy.uses))
			}
			for i, u := range spy.uses {
				if !maps.Equal(u.Context.All(), w.context) || u.Via != "s3" {
					t.Errorf("use %d: %+v, not %v", i, u, w.context)
				}
			}
			if len(spy.uses) == 2 && spy.uses[1].Key != v.Encrypted.Key {
				t.Errorf("it is read with %s", spy.uses[1].Key)
			}
		})
	}
}
