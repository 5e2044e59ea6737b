package object

import (
	"bytes"
	"crypto/md5"
	"errors"
	"fmt"
	"testing"

	"watertight/internal/access/arn"
	"watertight/internal/core/acl"
	"watertight/internal/core/bucket"
	"watertight/internal/core/change/coretest"
	"watertight/internal/core/change/record"
	"watertight/internal/core/tag"
	"watertight/internal/fault"
	"watertight/internal/storage/digest"
	"watertight/internal/storage/kv"
)

// samplePart is a part whose record has every field.
func samplePart() *part {
	return &part{
		number: 3, unique: unique{9, 8}, inline: true, size: 5, md5: md5.Sum([]byte("part")), modified: day(2),
		checksum: Checksum{Algorithm: digest.CRC64NVME, Sum: []byte("sum")}, dataKey: []byte("key"), blob: "blob",
	}
}

// TestStoredForm: every record of this package is written as docs/FORMAT.md says,
// with each stored number.
func TestStoredForm(t *testing.T) {
	var all []coretest.Record
	add := func(name string, b []byte) { all = append(all, coretest.Record{Name: name, Bytes: b}) }
	versions := func(name string, change func(*version)) {
		v := sample()
		v.metadata.User = map[string]string{"one": "1"}
		change(v)
		add(name, v.encode())
	}
	versions("version", func(*version) {})
	versions("version, null", func(v *version) { v.null = true })
	versions("delete marker", func(v *version) { *v = *newMarker(day(1), writer{}); v.seq, v.unique = 7, unique{7} })
	versions("version, SSE-C", func(v *version) {
		v.encryption, v.sealedSum, v.checksum.Sum = customerKey, []byte("sealed"), nil
	})
	versions("version, SSE-KMS", func(v *version) {
		v.encryption, v.sealedSum, v.checksum.Sum = bucket.KMS, []byte("sealed"), nil
		v.kms = &underKMS{key: "arn:aws:kms:us-east-1:111122223333:key/k", pairs: map[string]string{"b": "2", "a": ""}}
	})
	versions("version, DSSE-KMS", func(v *version) {
		v.encryption, v.sealedSum, v.checksum.Sum = bucket.DSSE, []byte("sealed"), nil
		v.kms = &underKMS{key: "arn:aws:kms:us-east-1:111122223333:key/k", bucketKey: true}
	})
	versions("version, shared", func(v *version) { v.shared = true })
	versions("version, of another one's payload", func(v *version) { v.shared, v.payload = true, unique{8, 9} })
	add("share", (&share{count: 2, id: bucket.ID{1, 2}, key: "k"}).encode())
	for name, l := range map[string]Lock{
		"GOVERNANCE": {Retention: Retention{bucket.Governance, day(9)}},
		"COMPLIANCE": {Retention: Retention{bucket.Compliance, day(9)}},
		"hold":       {Hold: HoldOn},
		"hold ended": {Hold: HoldOff},
	} {
		versions("version, lock "+name, func(v *version) { v.lock = l })
	}
	for n := uint64(0); className(n) != ""; n++ {
		versions("version, class "+className(n), func(v *version) { v.storageClass = className(n) })
	}
	for n := uint64(1); algorithmName(n) != digest.None; n++ {
		versions(fmt.Sprint("version, checksum ", algorithmName(n)), func(v *version) {
			v.checksum.Algorithm = algorithmName(n)
		})
	}
	versions("version, full object checksum", func(v *version) { v.checksum.Type = FullObject })
	versions("version, writer", func(v *version) {
		v.writer = writer{[]byte("arn:aws:iam::111122223333:user/u"), []byte{192, 0, 2, 7}, []byte("AKIAEXAMPLE")}
	})
	v := sample()
	add("pointer", v.appendPointer(nil)) // to a version whose record is long
	user := v.metadata.User
	v.metadata.User = map[string]string{"colour": "blue"}
	add("pointer, whole", v.pointer())
	v.metadata.User = user
	v.metadata.User = nil
	u := &upload{
		version: *v, initiator: "arn:aws:iam::111122223333:user/u", bucket: "bkt", before: unique{5},
		initID:            "AIDAEXAMPLE",
		requestEncryption: "AES256",
	}
	add("upload", u.encode())
	u.requestEncryption, u.requestKey = "aws:kms", true
	add("upload, a key of KMS that the request named", u.encode())
	p, sealed := samplePart(), samplePart()
	sealed.checksum.Sum, sealed.sealedSum = nil, []byte("sealed")
	add("part", p.encode(nil))
	add("part, SSE-C", sealed.encode(nil))
	add("list of parts", encodeParts([]*part{p, sealed}))
	coretest.Golden(t, "testdata/records.golden", all)
	if n := uint64(len(digest.All())); algorithmName(n) == digest.None || algorithmName(n+1) != digest.None {
		t.Errorf("of %d checksum algorithms, not all have a stored number", n)
	}
}

// later returns a field of this number, which only a later program knows.
func later(protects bool) []byte {
	if protects {
		return record.Uint(nil, record.Ancillary-1, 1)
	}
	return record.String(nil, record.Ancillary+500, "later")
}

// TestUnknownFields: a field of a later program is kept if its number permits that. Otherwise the
// record is refused, because the field could protect it.
func TestUnknownFields(t *testing.T) {
	full := &version{seq: 1, unique: unique{1}, storageClass: "STANDARD"}
	up := &upload{version: *full, bucket: "bkt"}
	p := &part{number: 1, unique: unique{1}}
	for name, c := range map[string]struct {
		record []byte
		again  func([]byte) ([]byte, error) // reads the record and writes it
	}{
		"version": {full.encode(), func(b []byte) ([]byte, error) {
			v, err := decodeVersion(b)
			if err != nil {
				return nil, err
			}
			return v.encode(), nil
		}},
		"upload": {up.encode(), func(b []byte) ([]byte, error) {
			u, err := decodeUpload(b)
			if err != nil {
				return nil, err
			}
			return u.encode(), nil
		}},
		"part": {p.encode(nil), func(b []byte) ([]byte, error) {
			p, err := decodePart(b)
			if err != nil {
				return nil, err
			}
			return p.encode(nil), nil
		}},
	} {
		t.Run(name, func(t *testing.T) {
			b := append(bytes.Clone(c.record), later(false)...)
			if got, err := c.again(b); err != nil || !bytes.Contains(got, later(false)) || len(got) != len(b) {
				t.Errorf("%x becomes %x: %v", b, got, err)
			}
			if got, err := c.again(append(bytes.Clone(c.record), later(true)...)); err == nil {
				t.Errorf("a field that may protect the version is ignored: %x", got)
			}
		})
	}
	if _, err := decodeVersion(up.encode()); err == nil {
		t.Error("a version with the field of an upload is read")
	}
	if _, err := decodeVersion(append(full.pointer(), later(true)...)); err == nil {
		t.Error("a pointer with a field that may protect the version is read")
	}
}

// TestUnknownFieldsInListings: reads that need only a part of a record also refuse unknown fields
// that may protect it, and ignore others.
func TestUnknownFieldsInListings(t *testing.T) {
	v := sample()
	v.acl = acl.List{{Account: "111122223333", Permission: acl.Read}}
	for name, read := range map[string]struct {
		record []byte
		read   func([]byte) error
	}{
		"listing": {v.pointer(), func(b []byte) error { return new(Entry).decode(b, new(bucket.Bucket)) }},
		"version listing": {v.encode(), func(b []byte) error {
			return new(VersionEntry).decode(b, new(bucket.Bucket))
		}},
		"number of pointer": {v.pointer(), func(b []byte) error { _, err := pointerSeq(b); return err }},
	} {
		t.Run(name, func(t *testing.T) {
			for what, b := range map[string][]byte{"nothing": nil, "a note": later(false)} {
				if err := read.read(append(bytes.Clone(read.record), b...)); err != nil {
					t.Errorf("with %s: %v", what, err)
				}
			}
			if err := read.read(append(bytes.Clone(read.record), later(true)...)); !errors.Is(err, record.ErrUnknown) {
				t.Errorf("a field that may protect the version is ignored: %v", err)
			}
		})
	}
}

// TestLaterFieldsOfVersions: tagging a version keeps a later program's fields; a version
// that such a field protects is not tagged, deleted or replaced.
func TestLaterFieldsOfVersions(t *testing.T) {
	e := newEnv(t)
	e.mustPut("k", "text")
	b, err := e.buckets.Head(t.Context(), e.grant(arn.Bucket("bkt"), "s3:ListBucket"), "bkt")
	if err != nil {
		t.Fatal(err)
	}
	k := slot{&b, "k"}
	e.edited = true
	edit := func(change func([]byte) []byte) (now []byte) {
		t.Helper()
		err := e.store.Update(t.Context(), func(tx kv.Tx) error {
			head, err := k.head(tx)
			if err != nil {
				return err
			}
			now, err = tx.Get(k.version(head.seq))
			if err == nil && change != nil {
				now = change(now)
				tx.Set(k.version(head.seq), now)
			}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
		return now
	}
	tagIt := func() error {
		g := e.grant(arn.Object("bkt", "k"), "s3:PutObjectTagging")
		_, err := e.objects.PutTags(t.Context(), g, VersionInput{Bucket: "bkt", Key: "k"}, tag.Set{{
			Key: "a", Value: "b",
		}})
		return err
	}
	edit(func(b []byte) []byte { return append(b, later(false)...) })
	if err := tagIt(); err != nil || !bytes.HasSuffix(edit(nil), later(false)) {
		t.Errorf("tagged: %x, %v", edit(nil), err)
	}
	locked := edit(func(b []byte) []byte { return append(b, later(true)...) })
	for name, do := range map[string]func() error{
		"tags":    tagIt,
		"delete":  func() error { _, err := e.delete(DeleteInput{Key: "k"}); return err },
		"replace": func() error { _, err := e.put(PutInput{Key: "k", Size: -1}); return err },
	} {
		t.Run(name, func(t *testing.T) {
			if err := do(); err == nil || fault.From(err).Kind != fault.KindInternal ||
				!errors.Is(err, record.ErrUnknown) {
				t.Errorf("%s of a version that a later program may protect: %v", name, err)
			}
			if now := edit(nil); !bytes.Equal(now, locked) {
				t.Errorf("%s: %x becomes %x", name, locked, now)
			}
		})
	}
}
