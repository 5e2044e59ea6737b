package bucket

import (
	"strings"
	"testing"

	"watertight/internal/core/change/coretest"
	"watertight/internal/fault"
	"watertight/internal/storage/kv"
)

// defaultOf returns a bucket's default encryption as a write reads it.
func defaultOf(t *testing.T, s *Store, name string) (e DefaultEncryption) {
	t.Helper()
	err := s.store.View(t.Context(), func(r kv.Reader) error {
		b, err := Read(r, name)
		if err == nil {
			e, err = EncryptionIn(r, &b)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	e.kept = ""
	return e
}

// TestDefaultEncryption: reads return the configuration that was put, and writes use it. A later
// configuration replaces all of it but the setting for customers' keys.
func TestDefaultEncryption(t *testing.T) {
	s := open(t)
	s.make(t, coretest.Account, "box")
	g := grant(t, coretest.Account, "box", "s3:PutEncryptionConfiguration", "s3:GetEncryptionConfiguration")
	for _, c := range []struct {
		name              string
		put, shown, write DefaultEncryption
	}{
		{
			"new", DefaultEncryption{},
			DefaultEncryption{Algorithm: AES256, Customer: CustomerKeysBlocked}, DefaultEncryption{Algorithm: AES256},
		},
		{
			"a key", DefaultEncryption{Algorithm: KMS, KeyID: "alias/a", BucketKey: true},
			DefaultEncryption{Algorithm: KMS, KeyID: "alias/a", BucketKey: true, Customer: CustomerKeysBlocked},
			DefaultEncryption{Algorithm: KMS, KeyID: "alias/a", BucketKey: true},
		},
		{
			"two layers", DefaultEncryption{Algorithm: DSSE, Customer: CustomerKeysAllowed},
			DefaultEncryption{Algorithm: DSSE, Customer: CustomerKeysAllowed}, DefaultEncryption{Algorithm: DSSE},
		},
		{
			"reset", DefaultEncryption{},
			DefaultEncryption{Algorithm: AES256, Customer: CustomerKeysAllowed}, DefaultEncryption{Algorithm: AES256},
		},
		{
			"SSE-S3 with a bucket key", DefaultEncryption{Algorithm: AES256, BucketKey: true},
			DefaultEncryption{Algorithm: AES256, BucketKey: true, Customer: CustomerKeysAllowed},
			DefaultEncryption{Algorithm: AES256},
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			if err := s.PutEncryption(t.Context(), g, "box", c.put); err != nil {
				t.Fatal(err)
			}
			if got, err := s.GetEncryption(t.Context(), g, "box"); err != nil || got != c.shown {
				t.Errorf("read: %+v %v", got, err)
			}
			if got := defaultOf(t, s, "box"); got != c.write {
				t.Errorf("writes use: %+v", got)
			}
		})
	}
}

// TestDefaultEncryptionRefuses: a configuration that contradicts itself changes nothing.
func TestDefaultEncryptionRefuses(t *testing.T) {
	s := open(t)
	s.make(t, coretest.Account, "box")
	g := grant(t, coretest.Account, "box", "s3:PutEncryptionConfiguration")
	want := DefaultEncryption{Algorithm: KMS, KeyID: "alias/a"}
	if err := s.PutEncryption(t.Context(), g, "box", want); err != nil {
		t.Fatal(err)
	}
	for name, e := range map[string]DefaultEncryption{
		"a key under SSE-S3":     {Algorithm: AES256, KeyID: "alias/a"},
		"a key under no name":    {KeyID: "alias/a"},
		"a bucket key and DSSE":  {Algorithm: DSSE, BucketKey: true},
		"a name that is no name": {Algorithm: KMS, KeyID: strings.Repeat("a", maxKeyID+1)},
	} {
		t.Run(name, func(t *testing.T) {
			wants(t, s.PutEncryption(t.Context(), g, "box", e), fault.KindInvalid, "InvalidArgument")
			if got := defaultOf(t, s, "box"); got != want {
				t.Errorf("%+v", got)
			}
		})
	}
}

// TestCustomerKeysInNewBuckets: new buckets block customers' keys unless the operator
// chose otherwise, and existing buckets keep their setting.
func TestCustomerKeysInNewBuckets(t *testing.T) {
	s := open(t)
	before := s.make(t, coretest.Account, "before")
	s.AllowCustomerKeys()
	after := s.make(t, coretest.Account, "after")
	for name, c := range map[string]struct {
		b    Bucket
		want CustomerKeys
	}{"before": {before, CustomerKeysBlocked}, "after": {after, CustomerKeysUnset}} {
		t.Run(name, func(t *testing.T) {
			err := s.store.View(t.Context(), func(r kv.Reader) error {
				got, err := CustomerKeysIn(r, &c.b)
				if got != c.want {
					t.Errorf("%d", got)
				}
				return err
			})
			if err != nil {
				t.Fatal(err)
			}
		})
	}
}
