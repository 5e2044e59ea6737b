package object

import (
	"bytes"
	"context"
	"errors"
	"io"
	"maps"
	"strings"
	"testing"

	"watertight/internal/access/arn"
	"watertight/internal/access/authz"
	"watertight/internal/access/policy"
	"watertight/internal/core/bucket"
	"watertight/internal/core/change/coretest"
	"watertight/internal/fault"
	"watertight/internal/storage/digest"
	"watertight/internal/storage/kv"
)

// world is an env with objects and uploads, some of them under KMS keys.
type world struct {
	*env
	key, other string // ARNs
	upload     Upload // of "multi"
	part       Part   // its first
}

func newWorld(t *testing.T) *world {
	t.Helper()
	w := &world{env: newEnv(t)}
	w.objects.minPart = 1
	w.key, w.other = w.newKey(), w.newKey()
	g := w.all(coretest.Root(coretest.Account, nil))
	put := func(key string, how Encryption) {
		if _, err := w.objects.Put(t.Context(), g, PutInput{
			Bucket: "bkt", Key: key, Body: strings.NewReader("text"), Size: 4, Encryption: how,
		}); err != nil {
			t.Fatal(err)
		}
	}
	put("k", w.sealed())
	put("copy", Encryption{})
	var err error
	w.upload, err = w.objects.CreateUpload(t.Context(), g, UploadInput{
		Bucket: "bkt", Key: "multi", Encryption: w.sealed(),
	})
	if err != nil {
		t.Fatal(err)
	}
	if w.part, err = w.putAPart(t.Context(), g); err != nil {
		t.Fatal(err)
	}
	return w
}

func (w *world) sealed() Encryption { return Encryption{Algorithm: "aws:kms", KeyID: w.key} }

func (w *world) putAPart(ctx context.Context, g authz.Grant) (Part, error) {
	return w.objects.PutPart(ctx, g, PartInput{
		Bucket: "bkt", Key: "multi", UploadID: w.upload.ID, Number: 1, Body: strings.NewReader("part"), Size: 4,
	})
}

func (w *world) state() map[string]string {
	w.tb.Helper()
	all := map[string]string{}
	err := w.store.View(w.tb.Context(), func(r kv.Reader) error {
		for p, err := range r.Scan(nil, nil) {
			if err != nil {
				return err
			}
			all[string(p.Key)] = string(p.Value)
		}
		return nil
	})
	if err != nil {
		w.tb.Fatal(err)
	}
	return all
}

// uses are all operations, and what each needs of a key: G is kms:GenerateDataKey, D is
// kms:Decrypt.
func (w *world) uses() map[string]struct {
	needs string
	do    func(ctx context.Context, g authz.Grant) error
} {
	type use = struct {
		needs string
		do    func(ctx context.Context, g authz.Grant) error
	}
	o := w.objects
	put := func(how Encryption) func(context.Context, authz.Grant) error {
		return func(ctx context.Context, g authz.Grant) error {
			_, err := o.Put(ctx, g, PutInput{
				Bucket: "bkt", Key: "k", Body: strings.NewReader("new"), Size: 3, Encryption: how,
			})
			return err
		}
	}
	get := func(key, span string) func(context.Context, authz.Grant) error {
		return func(ctx context.Context, g authz.Grant) error {
			r, err := o.Get(ctx, g, GetInput{Bucket: "bkt", Key: key, Range: span})
			if err == nil {
				_, err = io.Copy(io.Discard, r.Body)
				err = errors.Join(err, r.Body.Close())
			}
			return err
		}
	}
	head := func(sums bool) func(context.Context, authz.Grant) error {
		return func(ctx context.Context, g authz.Grant) error {
			_, err := o.Head(ctx, g, GetInput{Bucket: "bkt", Key: "k", Checksums: sums})
			return err
		}
	}
	attributes := func(sums bool) func(context.Context, authz.Grant) error {
		return func(ctx context.Context, g authz.Grant) error {
			_, err := o.Attributes(ctx, g, GetInput{Bucket: "bkt", Key: "k", Checksums: sums}, 0, nil)
			return err
		}
	}
	cp := func(from, to string, how Encryption) func(context.Context, authz.Grant) error {
		return func(ctx context.Context, g authz.Grant) error {
			_, _, err := o.Copy(ctx, g, CopyInput{
				Source: CopySource{Bucket: "bkt", Key: from}, Bucket: "bkt", Key: to, Encryption: how,
			})
			return err
		}
	}
	update := func(key string) func(context.Context, authz.Grant) error {
		return func(ctx context.Context, g authz.Grant) error {
			_, err := o.UpdateEncryption(ctx, g, UpdateEncryptionInput{
				VersionInput: VersionInput{Bucket: "bkt", Key: key}, KeyARN: w.other,
			})
			return err
		}
	}
	return map[string]use{
		"put":                       {"G", put(w.sealed())},
		"put, DSSE-KMS":             {"G", put(Encryption{Algorithm: "aws:kms:dsse", KeyID: w.key})},
		"put, SSE-S3":               {"", put(Encryption{})},
		"get":                       {"D", get("k", "")},
		"get, a range":              {"D", get("k", "bytes=0-0")},
		"get, SSE-S3":               {"", get("copy", "")},
		"head":                      {"", head(false)},
		"head with checksums":       {"D", head(true)},
		"attributes":                {"", attributes(false)},
		"attributes with checksums": {"D", attributes(true)},
		"copy to a key":             {"G", cp("copy", "k", w.sealed())},
		"copy from a key":           {"D", cp("k", "copy", Encryption{})},
		"copy from and to":          {"GD", cp("k", "copy", w.sealed())},
		"create an upload": {"G", func(ctx context.Context, g authz.Grant) error {
			_, err := o.CreateUpload(ctx, g, UploadInput{Bucket: "bkt", Key: "multi", Encryption: w.sealed()})
			return err
		}},
		"part": {"GD", func(ctx context.Context, g authz.Grant) error {
			_, err := w.putAPart(ctx, g)
			return err
		}},
		"part copy": {"GD", func(ctx context.Context, g authz.Grant) error {
			_, _, err := o.CopyPart(ctx, g, CopyPartInput{
				Source: CopySource{Bucket: "bkt", Key: "copy"}, Bucket: "bkt", Key: "multi", UploadID: w.upload.ID,
				Number: 2,
			})
			return err
		}},
		"list parts": {"D", func(ctx context.Context, g authz.Grant) error {
			_, err := o.ListParts(ctx, g, ListPartsInput{Bucket: "bkt", Key: "multi", UploadID: w.upload.ID})
			return err
		}},
		"complete": {"D", func(ctx context.Context, g authz.Grant) error {
			_, err := o.CompleteUpload(ctx, g, CompleteInput{
				Bucket: "bkt", Key: "multi", UploadID: w.upload.ID,
				Parts: []CompletePart{{Number: 1, ETag: w.part.ETag.String()}},
			})
			return err
		}},
		"move to a key":   {"G", update("copy")},
		"move to another": {"GD", update("k")},
	}
}

// needs returns the needs of all operations in these tests.
func (w *world) needs() (needs []authz.Need) {
	for _, key := range []string{"k", "copy", "multi"} {
		for _, a := range []policy.Action{
			"s3:PutObject", "s3:GetObject", "s3:GetObjectAttributes", "s3:ListMultipartUploadParts",
			"s3:UpdateObjectEncryption",
		} {
			needs = append(needs, authz.Need{Action: a, Resource: arn.Object("bkt", key)})
		}
	}
	return needs
}

// TestPermissionsOnKeys: each operation needs exactly the permissions on the key that
// it should, and a refusal stores nothing.
func TestPermissionsOnKeys(t *testing.T) {
	names := newWorld(t).uses()
	for name := range names {
		t.Run(name, func(t *testing.T) {
			for without, letter := range map[policy.Action]string{
				"kms:GenerateDataKey": "G", "kms:Decrypt": "D", "none:None": "-",
			} {
				w := newWorld(t)
				use := w.uses()[name]
				before := w.state()
				g := coretest.GrantWithout(t, coretest.Root(coretest.Account, nil), without, w.needs()...)
				err := use.do(t.Context(), g)
				if !strings.Contains(use.needs, letter) {
					if err != nil {
						t.Errorf("without %s: %v", without, err)
					}
					continue
				}
				wants(t, err, fault.KindDenied, "AccessDenied")
				if !maps.Equal(before, w.state()) {
					t.Errorf("without %s the operation changed something", without)
				}
				w.payloads.settled(t)
			}
		})
	}
}

// TestKeysInPlain: nothing is sealed or opened under a KMS key for a request over plain HTTP.
func TestKeysInPlain(t *testing.T) {
	names := newWorld(t).uses()
	for name := range names {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			use := w.uses()[name]
			err := use.do(t.Context(), coretest.GrantAll(t, coretest.RootInPlain(coretest.Account), w.needs()...))
			if use.needs == "" {
				if err != nil {
					t.Error(err)
				}
				return
			}
			wants(t, err, fault.KindInvalid, "InvalidRequest")
		})
	}
}

// TestDisabledKeys: no operation that uses a key does so once it is disabled.
func TestDisabledKeys(t *testing.T) {
	names := newWorld(t).uses()
	for name := range names {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			use := w.uses()[name]
			w.disable(w.key)
			w.disable(w.other)
			before := w.state()
			err := use.do(t.Context(), w.all(coretest.Root(coretest.Account, nil)))
			if use.needs == "" {
				if err != nil {
					t.Error(err)
				}
				return
			}
			wants(t, err, fault.KindInvalid, "DisabledException")
			if !maps.Equal(before, w.state()) {
				t.Error("the operation changed something")
			}
		})
	}
}

func (e *env) disable(key string) {
	e.tb.Helper()
	at, err := arn.Parse(key)
	if err == nil {
		err = e.kms.DisableKey(e.tb.Context(), e.grant(at, "kms:DisableKey"), key)
	}
	if err != nil {
		e.tb.Fatal(err)
	}
}

// meanwhile is a body during which something happens.
type meanwhile struct {
	io.Reader
	do func()
}

func (m *meanwhile) Read(p []byte) (int, error) {
	if m.do != nil {
		m.do()
		m.do = nil
	}
	return m.Reader.Read(p)
}

// TestChangesWhileABodyComesIn: if a key is disabled or a setting replaced before the commit, the
// commit is refused, and no bytes stay.
func TestChangesWhileABodyComesIn(t *testing.T) {
	for name, c := range map[string]struct {
		setting bucket.DefaultEncryption
		ask     func(*world) Encryption
		change  func(*world)
		want    fault.Code
	}{
		"the key is disabled": {
			ask: (*world).sealed, change: func(w *world) { w.disable(w.key) }, want: fault.DisabledException,
		},
		"a default under a key": {
			ask:    func(*world) Encryption { return Encryption{} },
			change: func(w *world) { w.defaults(bucket.DefaultEncryption{Algorithm: bucket.KMS, KeyID: w.key}) },
			want:   fault.OperationAborted,
		},
		"no default any longer": {
			setting: bucket.DefaultEncryption{Algorithm: bucket.DSSE},
			ask:     func(*world) Encryption { return Encryption{} },
			change:  func(w *world) { w.defaults(bucket.DefaultEncryption{}) }, want: fault.OperationAborted,
		},
		"another default beside a key by name": {
			setting: bucket.DefaultEncryption{Algorithm: bucket.KMS, BucketKey: true}, ask: (*world).sealed,
			change: func(w *world) { w.defaults(bucket.DefaultEncryption{Algorithm: bucket.DSSE, KeyID: w.other}) },
		},
		"another default beside KMS by name": {
			ask:    func(*world) Encryption { return Encryption{Algorithm: "aws:kms"} },
			change: func(w *world) { w.defaults(bucket.DefaultEncryption{Algorithm: bucket.KMS, KeyID: w.key}) },
		},
		"no default any longer beside DSSE-KMS by name": {
			setting: bucket.DefaultEncryption{Algorithm: bucket.DSSE},
			ask:     func(*world) Encryption { return Encryption{Algorithm: "aws:kms:dsse"} },
			change:  func(w *world) { w.defaults(bucket.DefaultEncryption{}) },
		},
		"a default beside SSE-S3 by name": {
			ask:    func(*world) Encryption { return Encryption{Algorithm: "AES256"} },
			change: func(w *world) { w.defaults(bucket.DefaultEncryption{Algorithm: bucket.KMS, KeyID: w.key}) },
		},
	} {
		t.Run(name, func(t *testing.T) {
			for _, text := range []string{"short", long()} {
				w := newWorld(t)
				w.defaults(c.setting)
				_, err := w.objects.Put(t.Context(), w.all(coretest.Root(coretest.Account, nil)), PutInput{
					Bucket: "bkt", Key: "k", Body: &meanwhile{strings.NewReader(text), func() { c.change(w) }},
					Size: int64(len(text)), Encryption: c.ask(w),
				})
				if c.want == "" && err != nil || c.want != "" && !fault.Is(err, c.want) {
					t.Errorf("%v, want %s", err, c.want)
				}
				w.payloads.settled(t)
			}
		})
	}
}

// TestBadEncryption: a request that contradicts itself is refused before its body is read.
func TestBadEncryption(t *testing.T) {
	on := true
	for name, c := range map[string]struct {
		ask  Encryption
		code string
	}{
		"unknown":                      {Encryption{Algorithm: "ROT13"}, "InvalidEncryptionAlgorithmError"},
		"a key with AES256":            {Encryption{Algorithm: "AES256", KeyID: "k"}, "InvalidArgument"},
		"a key alone":                  {Encryption{KeyID: "k"}, "InvalidArgument"},
		"a context alone":              {Encryption{Context: pairs(`{}`)}, "InvalidArgument"},
		"a bucket key with two layers": {Encryption{Algorithm: "aws:kms:dsse", BucketKey: &on}, "InvalidArgument"},
		"a long key": {
			Encryption{Algorithm: "aws:kms", KeyID: strings.Repeat("k", 2049)}, "InvalidArgument",
		},
		"a customer's key beside it":     {Encryption{Algorithm: "aws:kms", Customer: ownKey(1)}, "InvalidArgument"},
		"a customer's key beside a key":  {Encryption{KeyID: "k", Customer: ownKey(1)}, "InvalidArgument"},
		"a bucket key, a customer's key": {Encryption{BucketKey: &on, Customer: ownKey(1)}, "InvalidArgument"},
		"no base64":                      {Encryption{Algorithm: "aws:kms", Context: "{}"}, "InvalidArgument"},
		"no object":                      {Encryption{Algorithm: "aws:kms", Context: pairs(`[]`)}, "InvalidArgument"},
		"no strings": {
			Encryption{Algorithm: "aws:kms", Context: pairs(`{"a":1}`)}, "InvalidArgument",
		},
		"a name twice": {
			Encryption{Algorithm: "aws:kms", Context: pairs(`{"a":"1","a":"2"}`)}, "InvalidArgument",
		},
		"a name in two cases": {
			Encryption{Algorithm: "aws:kms", Context: pairs(`{"a":"1","A":"2"}`)}, "InvalidArgument",
		},
		"an empty name": {
			Encryption{Algorithm: "aws:kms", Context: pairs(`{"":"1"}`)}, "InvalidArgument",
		},
		"S3's own pair": {
			Encryption{Algorithm: "aws:kms", Context: pairs(`{"aws:s3:arn":"x"}`)}, "InvalidArgument",
		},
		"S3's own pair in another case": {
			Encryption{Algorithm: "aws:kms", Context: pairs(`{"AWS:S3:arn":"x"}`)}, "InvalidArgument",
		},
		"a long context": {
			Encryption{Algorithm: "aws:kms", Context: pairs(`{"a":"` + strings.Repeat("x", 4096) + `"}`)},
			"InvalidArgument",
		},
		"an unknown key": {
			Encryption{Algorithm: "aws:kms", KeyID: "00000000-0000-4000-8000-000000000000"}, "NotFoundException",
		},
	} {
		t.Run(name, func(t *testing.T) {
			e := newEnv(t)
			_, err := e.put(PutInput{Key: "k", Body: strings.NewReader("x"), Size: 1, Encryption: c.ask})
			wants(t, err, fault.KindInvalid, c.code)
			if e.refs("v/") != 0 {
				t.Error("something is stored")
			}
		})
	}
}

// TestUpdateEncryption: the bytes, ETag, date, checksum and tags of a version stay, and only its new
// key opens it.
func TestUpdateEncryption(t *testing.T) {
	e := newEnv(t)
	e.objects.minPart = 1
	key, other := e.newKey(), e.newKey()
	g := e.all(coretest.Root(coretest.Account, nil))
	for _, text := range []string{"short text", long()} {
		from := way{want: Encrypted{Encryption: bucket.AES256}}
		e.putAndCopy(t, g, &from, text, CustomerKey{})
		e.uploadInParts(t, g, &from, text, CustomerKey{})
		for name, whole := range map[string]string{"k": text, "multi": text + text} {
			t.Run(name, func(t *testing.T) {
				for _, step := range []UpdateEncryptionInput{{KeyARN: key, BucketKey: true}, {KeyARN: other}} {
					in := GetInput{Bucket: "bkt", Key: name, Checksums: true}
					before, err := e.objects.Head(t.Context(), g, in)
					if err != nil {
						t.Fatal(err)
					}
					step.VersionInput = VersionInput{Bucket: "bkt", Key: name}
					v, err := e.objects.UpdateEncryption(t.Context(), g, step)
					if err != nil || v.Encrypted != (Encrypted{bucket.KMS, false, step.KeyARN, step.BucketKey}) {
						t.Fatalf("%+v, %v", v.Encrypted, err)
					}
					after, err := e.objects.Head(t.Context(), g, in)
					if err != nil || after.ETag != before.ETag || !after.Modified.Equal(before.Modified) ||
						!bytes.Equal(after.Checksum.Sum, before.Checksum.Sum) || after.ID != before.ID {
						t.Errorf("%+v became %+v, %v", before, after, err)
					}
					e.everyRead(t, g, &way{want: v.Encrypted}, name, whole, CustomerKey{})
				}
			})
		}
		e.disable(other)
		_, err := e.objects.Get(t.Context(), g, GetInput{Bucket: "bkt", Key: "k"})
		wants(t, err, fault.KindInvalid, "DisabledException")
		other = e.newKey()
	}
}

// TestUpdateEncryptionRefuses: versions that can't be moved under another key are refused.
func TestUpdateEncryptionRefuses(t *testing.T) {
	e := newEnv(t)
	key := e.newKey()
	for name, how := range map[string]Encryption{
		"k": {Customer: ownKey(7)}, "copy": {Algorithm: "aws:kms:dsse", KeyID: key}, "multi": {},
	} {
		if _, err := e.put(PutInput{Key: name, Body: strings.NewReader("x"), Size: 1, Encryption: how}); err != nil {
			t.Fatal(err)
		}
	}
	foreign := strings.Replace(key, coretest.Account, "444455556666", 1)
	for name, c := range map[string]struct{ object, key, code string }{
		"SSE-C":           {"k", key, "InvalidRequest"},
		"DSSE-KMS":        {"copy", key, "InvalidRequest"},
		"an id":           {"multi", key[len(key)-36:], "InvalidRequest"},
		"an alias":        {"multi", strings.Replace(key, "key/", "alias/", 1), "InvalidRequest"},
		"another account": {"multi", foreign, "AccessDenied"},
		"an unknown key":  {"multi", key[:len(key)-4] + "0000", "NotFoundException"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := e.objects.UpdateEncryption(t.Context(), e.all(coretest.Root(coretest.Account, nil)),
				UpdateEncryptionInput{VersionInput: VersionInput{Bucket: "bkt", Key: c.object}, KeyARN: c.key})
			kind := fault.KindInvalid
			if c.code == "AccessDenied" {
				kind = fault.KindDenied
			}
			wants(t, err, kind, c.code)
		})
	}
}

// TestReplacedWhileMoved: if a version is replaced, or moved by another request, while its keys are
// opened, the operation starts again, and neither change is lost.
func TestReplacedWhileMoved(t *testing.T) {
	for name, text := range map[string]string{"replaced": "new text", "moved": "old text"} {
		t.Run(name, func(t *testing.T) {
			e, k := newSlowEnv(t)
			key, other := e.newKey(), e.newKey()
			e.mustPut("k", "old text")
			move := func(to string) error {
				_, err := e.objects.UpdateEncryption(t.Context(), e.all(coretest.Root(coretest.Account, nil)),
					UpdateEncryptionInput{VersionInput: VersionInput{Bucket: "bkt", Key: "k"}, KeyARN: to})
				return err
			}
			k.opened = func() {
				if name == "replaced" {
					e.mustPut("k", text)
				} else if err := move(other); err != nil {
					t.Error(err)
				}
			}
			if err := move(key); err != nil {
				t.Fatal(err)
			}
			r, got, err := e.get(GetInput{Key: "k"})
			if err != nil || got != text || r.Encrypted.Key != key {
				t.Errorf("%q under %s, %v", got, r.Encrypted.Key, err)
			}
		})
	}
}

// TestCustomerKeyForKMS: requests on an object or an upload under a KMS key are refused if they have
// a customer's key.
func TestCustomerKeyForKMS(t *testing.T) {
	w := newWorld(t)
	g := w.all(coretest.Root(coretest.Account, nil))
	for name, do := range map[string]func() error{
		"get": func() error {
			_, err := w.objects.Get(t.Context(), g, GetInput{Bucket: "bkt", Key: "k", Customer: ownKey(7)})
			return err
		},
		"head": func() error {
			_, err := w.objects.Head(t.Context(), g, GetInput{Bucket: "bkt", Key: "k", Customer: ownKey(7)})
			return err
		},
		"part": func() error {
			_, err := w.objects.PutPart(t.Context(), g, PartInput{
				Bucket: "bkt", Key: "multi", UploadID: w.upload.ID, Number: 1, Body: strings.NewReader("x"), Size: 1,
				Algorithm: digest.None, Customer: ownKey(7),
			})
			return err
		},
	} {
		t.Run(name, func(t *testing.T) {
			wants(t, do(), fault.KindInvalid, "InvalidRequest")
		})
	}
}
