package object

import (
	"context"
	"errors"
	"strings"
	"testing"

	"watertight/internal/access/arn"
	"watertight/internal/access/authz"
	"watertight/internal/core/bucket"
	"watertight/internal/core/keys"
	"watertight/internal/core/payload"
	"watertight/internal/fault"
	"watertight/internal/storage/digest"
	"watertight/internal/storage/kv"
	"watertight/internal/storage/seal"
)

// slowKeys simulates keys on another server: it fails the test if one is made or opened while a
// view or a transaction is open.
type slowKeys struct {
	*keys.Ring
	tb     testing.TB
	open   int    // views and transactions
	opened func() // called once a key was opened; may be nil
	calls  int
}

func (s *slowKeys) call() {
	s.tb.Helper()
	s.calls++
	if s.open > 0 {
		s.tb.Errorf("a data key is made or opened inside a transaction or a view")
	}
}

func (s *slowKeys) Generate(
	ctx context.Context, g authz.Grant, c keys.Choice, binding []byte,
) (seal.StreamKey, []byte, error) {
	s.call()
	return s.Ring.Generate(ctx, g, c, binding)
}

func (s *slowKeys) Wrap(
	ctx context.Context, g authz.Grant, c keys.Choice, plain seal.StreamKey, binding []byte,
) ([]byte, error) {
	s.call()
	return s.Ring.Wrap(ctx, g, c, plain, binding)
}

func (s *slowKeys) Open(
	ctx context.Context, g authz.Grant, c keys.Choice, wrapped, binding []byte,
) (seal.StreamKey, error) {
	s.call()
	if do := s.opened; do != nil {
		s.opened = nil
		defer do()
	}
	return s.Ring.Open(ctx, g, c, wrapped, binding)
}

// openStore counts the views and transactions that are open.
type openStore struct {
	kv.Store
	keys *slowKeys
}

func (s *openStore) View(ctx context.Context, fn func(kv.Reader) error) error {
	return s.Store.View(ctx, func(r kv.Reader) error {
		s.keys.open++
		defer func() { s.keys.open-- }()
		return fn(r)
	})
}

func (s *openStore) Update(ctx context.Context, fn func(kv.Tx) error) error {
	return s.Store.Update(ctx, func(tx kv.Tx) error {
		s.keys.open++
		defer func() { s.keys.open-- }()
		return fn(tx)
	})
}

func newSlowEnv(t *testing.T) (*env, *slowKeys) {
	t.Helper()
	e := newEnv(t)
	k := &slowKeys{Ring: keys.New(seal.RingOf(seal.NewKey()), e.kms), tb: t}
	p, err := payload.Open(payload.Options{Keys: k})
	if err != nil {
		t.Fatal(err)
	}
	store := &openStore{e.store, k}
	e.payloads.Store, e.buckets = p, bucket.New(store, "us-east-1", nil)
	e.objects = New(store, e.payloads, e.buckets, e.kms)
	return e, k
}

// TestKeysAreOpenedOutsideTransactions: opening a key may need a request to another server, and no
// commit may wait for that.
func TestKeysAreOpenedOutsideTransactions(t *testing.T) {
	for name, how := range map[string]Encryption{
		"SSE-S3": {}, "SSE-C": {Customer: ownKey(7)}, "SSE-KMS": {Algorithm: "aws:kms"},
		"DSSE-KMS": {Algorithm: "aws:kms:dsse"},
	} {
		t.Run(name, func(t *testing.T) {
			e, k := newSlowEnv(t)
			mine := how.Customer
			ctx, at := t.Context(), arn.Object("bkt", "k")
			g := e.grant(at, "s3:PutObject", "s3:GetObject", "s3:GetObjectAttributes", "s3:ListMultipartUploadParts",
				"s3:DeleteObject", "s3:UpdateObjectEncryption")
			put := func() (err error) {
				_, err = e.objects.Put(ctx, g, PutInput{
					Bucket: "bkt", Key: "k", Body: strings.NewReader("text"), Size: 4, Algorithm: digest.SHA256,
					Encryption: how,
				})
				return err
			}
			get := GetInput{Bucket: "bkt", Key: "k", Customer: mine, Checksums: true}
			read := func(in GetInput) error {
				r, err := e.objects.Get(ctx, g, in)
				if err == nil {
					err = r.Body.Close()
				}
				return err
			}
			var u Upload
			var done CompleteInput
			part := func(n int) func() error {
				return func() error {
					p, err := e.objects.PutPart(ctx, g, PartInput{
						Bucket: "bkt", Key: "k", UploadID: u.ID, Number: n, Body: strings.NewReader(long()), Size: -1,
						Algorithm: digest.SHA256, Customer: mine,
					})
					done.Parts = append(done.Parts, CompletePart{
						Number: n, ETag: p.ETag.String(), Algorithm: digest.SHA256, Sum: p.Checksum.Sum,
					})
					return err
				}
			}
			complete := func() error {
				done.Bucket, done.Key, done.UploadID, done.Customer = "bkt", "k", u.ID, mine
				v, err := e.objects.CompleteUpload(ctx, g, done)
				if err == nil && v.Checksum.Sum == nil {
					err = errors.New("a completed upload without its checksum")
				}
				return err
			}
			e.objects.minPart = 1
			for _, step := range []struct {
				what string
				do   func() error
			}{
				{"put", put},
				{"get", func() error { return read(get) }},
				{"head", func() error { _, err := e.objects.Head(ctx, g, get); return err }},
				{"attributes", func() error { _, err := e.objects.Attributes(ctx, g, get, 0, nil); return err }},
				{"copy", func() error {
					_, _, err := e.objects.Copy(ctx, g, CopyInput{
						Source: CopySource{Bucket: "bkt", Key: "k", Customer: mine}, Bucket: "bkt", Key: "k",
						Encryption: how, Replace: true,
					})
					return err
				}},
				{"create", func() (err error) {
					u, err = e.objects.CreateUpload(ctx, g, UploadInput{
						Bucket: "bkt", Key: "k", Algorithm: digest.SHA256, Encryption: how,
					})
					return err
				}},
				{"part 1", part(1)},
				{"part 2", part(2)},
				{"list parts", func() error {
					_, err := e.objects.ListParts(ctx, g, ListPartsInput{
						Bucket: "bkt", Key: "k", UploadID: u.ID, Customer: mine,
					})
					return err
				}},
				{"complete", complete},
				{"complete again", complete},
				{"attributes of parts", func() error {
					_, err := e.objects.Attributes(ctx, g, get, 0,
						nil)
					return err
				}},
				{"get a part", func() error { in := get; in.PartNumber = ptr(2); return read(in) }},
				{"get all", func() error { return read(get) }},
				{"update the encryption", func() error {
					if how.Customer.Given() || how.Algorithm == "aws:kms:dsse" {
						return nil // they can't be moved
					}
					_, err := e.objects.UpdateEncryption(ctx, g, UpdateEncryptionInput{
						VersionInput: VersionInput{Bucket: "bkt", Key: "k"}, KeyARN: e.newKey(),
					})
					return err
				}},
				{"get all again", func() error { return read(get) }},
				{"delete", func() error {
					_, err := e.objects.Delete(ctx, g, "bkt", DeleteInput{
						Key: "k",
					})
					return err
				}},
			} {
				if err := step.do(); err != nil {
					t.Fatalf("%s: %v", step.what, err)
				}
			}
			if k.calls == 0 {
				t.Error("no key was opened at all")
			}
		})
	}
}

// TestPartReplacedWhileKeysAreOpened: a completion whose part is replaced after
// its checksum was opened starts again, and finds that the part is another one.
func TestPartReplacedWhileKeysAreOpened(t *testing.T) {
	e, k := newSlowEnv(t)
	mine := ownKey(7)
	u := e.begin(UploadInput{Key: "k", Encryption: Encryption{Customer: mine}})
	put := func(text string) CompletePart {
		p, err := e.objects.PutPart(t.Context(), e.grant(arn.Object("bkt", "k"), "s3:PutObject"), PartInput{
			Bucket: "bkt", Key: "k", UploadID: u.ID, Number: 1, Body: strings.NewReader(text), Size: int64(len(text)),
			Customer: mine,
		})
		if err != nil {
			t.Fatal(err)
		}
		return CompletePart{Number: 1, ETag: p.ETag.String()}
	}
	old := put("old")
	var now CompletePart
	k.opened = func() { now = put("new") }
	_, err := e.complete(u, CompleteInput{Parts: []CompletePart{old}, Customer: mine})
	if now.Number != 1 {
		t.Fatal("nothing was opened")
	}
	wants(t, err, fault.KindInvalid, "InvalidPart")
	if _, err := e.complete(u, CompleteInput{Parts: []CompletePart{now}, Customer: mine}); err != nil {
		t.Fatal(err)
	}
	if _, text, err := e.get(GetInput{Key: "k", Customer: mine}); text != "new" || err != nil {
		t.Errorf("%q, %v", text, err)
	}
}
