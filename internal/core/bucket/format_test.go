package bucket

import (
	"bytes"
	"errors"
	"reflect"
	"testing"
	"time"

	"watertight/internal/access/policy"
	"watertight/internal/core/acl"
	"watertight/internal/core/change/coretest"
	"watertight/internal/core/change/record"
	"watertight/internal/core/principal"
	"watertight/internal/core/tag"
	"watertight/internal/fault"
	"watertight/internal/storage/kv"
)

func sample() Bucket {
	return Bucket{
		Name: "sample", ID: ID{1, 2, 3, 4, 5, 6, 7, 8}, Owner: coretest.Account, Region: region,
		Created: time.UnixMicro(1_700_000_000_000_001).UTC(),
		Settings: Settings{
			Versioning: Suspended, Public: policy.PublicAccess{IgnorePublicACLs: true}, Ownership: ObjectWriter,
			Encryption: AES256,
		},
		Policy: PolicyID{8, 7, 6, 5, 4, 3, 2, 1},
		ACL:    acl.List{{Account: other, Permission: acl.Read}},
	}
}

// TestStoredForm: every record of this package is written as docs/FORMAT.md says,
// with each stored number.
func TestStoredForm(t *testing.T) {
	var all []coretest.Record
	add := func(name string, b []byte) { all = append(all, coretest.Record{Name: name, Bytes: b}) }
	buckets := map[string]func(*Bucket){
		"bucket":                      func(*Bucket) {},
		"bucket, versioning off":      func(b *Bucket) { b.Versioning = Off },
		"bucket, versioning enabled":  func(b *Bucket) { b.Versioning = Enabled },
		"bucket, MFA Delete enabled":  func(b *Bucket) { b.MFADelete = MFADeleteEnabled },
		"bucket, MFA Delete disabled": func(b *Bucket) { b.MFADelete = MFADeleteDisabled },
		"bucket, BlockPublicAcls":     func(b *Bucket) { b.Public = policy.PublicAccess{BlockPublicACLs: true} },
		"bucket, BlockPublicPolicy":   func(b *Bucket) { b.Public = policy.PublicAccess{BlockPublicPolicy: true} },
		"bucket, RestrictPublicBuckets": func(b *Bucket) {
			b.Public = policy.PublicAccess{
				RestrictPublicBuckets: true,
			}
		},
		"bucket, no public access":     func(b *Bucket) { b.Public, b.PublicNone = policy.PublicAccess{}, true },
		"bucket, lifecycle":            func(b *Bucket) { b.Lifecycle = LifecycleID{1, 2, 3, 4, 5, 6, 7, 8} },
		"bucket, default aws:kms":      func(b *Bucket) { b.Encryption = KMS },
		"bucket, default aws:kms:dsse": func(b *Bucket) { b.Encryption = DSSE },
		"bucket, Object Lock":          func(b *Bucket) { b.ObjectLock = ObjectLock{Enabled: true} },
		"bucket, default retention in days": func(b *Bucket) {
			b.ObjectLock = ObjectLock{Enabled: true, Mode: Governance, Days: 30}
		},
		"bucket, default retention in years": func(b *Bucket) {
			b.ObjectLock = ObjectLock{Enabled: true, Mode: Compliance, Years: 7}
		},
		"bucket, somebody is frozen": func(b *Bucket) { b.Frozen = true },
		"bucket, nothing optional":   func(b *Bucket) { *b = Bucket{Name: b.Name, ID: b.ID, Owner: b.Owner} },
	}
	for name, change := range buckets {
		t.Run(name, func(t *testing.T) {
			b := sample()
			change(&b)
			add(name, b.encode())
			got, err := decode(b.Name, b.encode())
			if got.Created = got.Created.UTC(); err != nil || !reflect.DeepEqual(got, b) {
				t.Errorf("%s is read as\n%+v, not\n%+v: %v", name, got, b, err)
			}
		})
	}
	at := time.UnixMicro(1_700_000_000_000_000)
	account := AccountPublic{Access: blockAll(), From: at, Until: at.Add(time.Hour), Reason: "maintenance"}
	add("account's public access", account.encode())
	freeze := Freeze{
		Bucket: "sample", Holder: "AIDAEXAMPLE", ARN: "arn:aws:iam::111122223333:user/u", Since: at,
		Reason: "2 deletes",
	}
	add("freeze", freeze.encode())
	if got, err := decodeFreeze(kv.Pair{
		Key: freezeKey(ID{1}, freeze.Holder), Value: freeze.encode(),
	}); err != nil || got.Holder != freeze.Holder || got.Reason != freeze.Reason || !got.Since.Equal(at) {
		t.Errorf("%+v %v", got, err)
	}
	age, negative := int32(0), int32(-5)
	add("CORS", encodeCORS(CORS{
		{
			ID: "one", Origins: []string{"https://a", "*"}, Methods: []string{"GET"}, Headers: []string{"x-*"},
			Expose: []string{"etag"}, MaxAge: &age,
		},
		{Origins: []string{"*"}, Methods: []string{"PUT"}, MaxAge: &negative},
	}))
	add("encryption, customers' keys blocked",
		encodeEncryption(DefaultEncryption{BucketKey: true, Customer: CustomerKeysBlocked}))
	add("encryption, customers' keys allowed", encodeEncryption(DefaultEncryption{Customer: CustomerKeysAllowed}))
	add("encryption, a key of KMS", encodeEncryption(DefaultEncryption{BucketKey: true, KeyID: "alias/a"}))
	add("lifecycle", encodeLifecycle(wholeLifecycle()))
	add("tags", encodeTags(tag.Set{{Key: "k", Value: "v"}, {Key: "l"}}))
	add("policy",
		(&storedPolicy{
			text: "{}", bound: principal.Bindings{{Name: "arn:aws:iam::111122223333:user/u", ID: "AIDAEXAMPLE"}},
		}).encode())
	coretest.Golden(t, "testdata/records.golden", all)
}

// later returns a field of this number, which only a later program knows.
func later(protects bool) []byte {
	if protects {
		return record.Uint(nil, record.Ancillary-1, 1)
	}
	return record.String(nil, record.Ancillary, "later")
}

// TestLaterFields: a change of a setting keeps a later program's fields if their numbers permit
// that; a field that may protect something is never ignored.
func TestLaterFields(t *testing.T) {
	s := open(t)
	ctx, name := t.Context(), "box"
	s.make(t, coretest.Account, name)
	b, err := s.read(ctx, name)
	if err != nil {
		t.Fatal(err)
	}
	edit := func(key []byte, change func([]byte) []byte) (now []byte) {
		err := s.store.Update(ctx, func(tx kv.Tx) error {
			old, err := tx.Get(key)
			if err == nil && change != nil {
				old = change(old)
				tx.Set(key, old)
			}
			now = old
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
		return now
	}
	for _, c := range []struct {
		name   string
		key    []byte
		record []byte // the record, if the test has none yet
		change func() error
		whole  bool // the record is replaced as a whole, so no field is kept
	}{
		{"the bucket", bucketKey(name), nil, func() error {
			return s.SetVersioning(ctx, grant(t, coretest.Account, name, "s3:PutBucketVersioning"), name,
				VersioningInput{State: Enabled})
		}, false},
		{"encryption", encryption().key(b.ID), record.Start(nil), func() error {
			return s.PutEncryption(ctx, grant(t, coretest.Account, name, "s3:PutEncryptionConfiguration"), name,
				DefaultEncryption{BucketKey: true})
		}, false},
		{"CORS", corsRules().key(b.ID), record.Start(nil), func() error {
			c := CORS{{Origins: []string{"*"}, Methods: []string{"GET"}}}
			return s.PutCORS(ctx, grant(t, coretest.Account, name, "s3:PutBucketCORS"), name, c)
		}, true},
		{"lifecycle", lifecycles().key(b.ID), encodeLifecycle(wholeLifecycle()), func() error {
			g := grant(t, coretest.Account, name, "s3:PutLifecycleConfiguration")
			return s.PutLifecycle(ctx, g, name, wholeLifecycle())
		}, true},
		{"tags", tagging().key(b.ID), record.Start(nil), func() error {
			return s.PutTags(ctx, grant(t, coretest.Account, name, "s3:PutBucketTagging"), name, tag.Set{{
				Key: "k", Value: "v",
			}})
		}, true},
		{"the account", publicKey(coretest.Account), record.Start(nil), func() error {
			return NewOperator(s).SetPublic(ctx, nil, Block{Account: coretest.Account, On: true, At: time.Now()})
		}, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			before := edit(c.key, func(old []byte) []byte {
				if old == nil {
					old = c.record
				}
				return append(bytes.Clone(old), later(false)...)
			})
			if err := c.change(); err != nil {
				t.Fatal(err)
			}
			now := edit(c.key, nil)
			if bytes.Equal(now, before) || bytes.HasSuffix(now, later(false)) == c.whole {
				t.Errorf("%x becomes %x", before, now)
			}
			locked := edit(c.key, func(old []byte) []byte { return append(bytes.Clone(old), later(true)...) })
			if err := c.change(); !errors.Is(err, record.ErrUnknown) || fault.From(err).Kind != fault.KindInternal {
				t.Errorf("the change is accepted: %v", err)
			}
			if got := edit(c.key, nil); !bytes.Equal(got, locked) {
				t.Errorf("%x becomes %x", locked, got)
			}
			edit(c.key, func([]byte) []byte { return now })
		})
	}
}

// TestALaterProgramsBucketIsNotDeleted: a program does not delete a bucket that has a protecting
// field of a later program.
func TestALaterProgramsBucketIsNotDeleted(t *testing.T) {
	s := open(t)
	b := s.make(t, coretest.Account, "box")
	set := func(value []byte) {
		err := s.store.Update(t.Context(), func(tx kv.Tx) error { tx.Set(bucketKey("box"), value); return nil })
		if err != nil {
			t.Fatal(err)
		}
	}
	remove := func() error {
		return s.Delete(t.Context(), grant(t, coretest.Account, "box", "s3:DeleteBucket"), "box")
	}
	set(append(b.encode(), later(true)...))
	if err := remove(); !errors.Is(err, record.ErrUnknown) {
		t.Errorf("the bucket is deleted: %v", err)
	}
	set(append(b.encode(), later(false)...))
	if err := remove(); err != nil {
		t.Error(err)
	}
}

// TestDeletionLeavesNoSetting: deleting a bucket deletes the records of all its settings,
// and none of another bucket.
func TestDeletionLeavesNoSetting(t *testing.T) {
	s := open(t)
	gone, stays := s.make(t, coretest.Account, "gone"), s.make(t, coretest.Account, "stays")
	err := s.store.Update(t.Context(), func(tx kv.Tx) error {
		for _, b := range []Bucket{gone, stays} {
			for _, name := range []string{"cors", "policy", "encryption", "tagging", "a-later-setting"} {
				tx.Set(setting[int]{name: name}.key(b.ID), []byte{1})
			}
		}
		return nil
	})
	if err == nil {
		err = s.Delete(t.Context(), grant(t, coretest.Account, "gone", "s3:DeleteBucket"), "gone")
	}
	if err != nil {
		t.Fatal(err)
	}
	left := map[ID]int{}
	err = s.store.View(t.Context(), func(r kv.Reader) error {
		for p, err := range r.Scan([]byte("s/"), []byte("s0")) {
			if err != nil {
				return err
			}
			left[ID(p.Key[2:])]++
		}
		return nil
	})
	if err != nil || left[gone.ID] != 0 || left[stays.ID] != 5 {
		t.Errorf("%v %v", left, err)
	}
}
