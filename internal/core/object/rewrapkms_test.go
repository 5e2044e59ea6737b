package object

import (
	"encoding/binary"
	"fmt"
	"slices"
	"strings"
	"testing"

	"watertight/internal/access/arn"
	"watertight/internal/core/keys"
	"watertight/internal/core/kms"
	"watertight/internal/fault"
	"watertight/internal/storage/kv"
)

// underKey stores one object or upload of each kind under a KMS key.
func (s *scrubbing) underKey(algorithm, key string) {
	s.tb.Helper()
	how := Encryption{Algorithm: algorithm, KeyID: key, Context: pairs(`{"a":"b"}`)}
	for name, text := range map[string]string{"kms/small": "small", "kms/large": long()} {
		if _, err := s.put(PutInput{
			Key: name, Body: strings.NewReader(text), Size: int64(len(text)), Encryption: how,
		}); err != nil {
			s.tb.Fatal(err)
		}
	}
	u := s.begin(UploadInput{Key: "kms/parts", Encryption: how})
	done := []CompletePart{s.mustPart(u, 1, long()), s.mustPart(u, 2, "inline")}
	s.mustPart(s.begin(UploadInput{Key: "kms/parts", Encryption: how}), 1, long())
	if _, err := s.complete(u, CompleteInput{Parts: done}); err != nil {
		s.tb.Fatal(err)
	}
}

// materials counts the data keys under a KMS key by material.
func (s *scrubbing) materials() map[[32]byte]int {
	s.tb.Helper()
	all := map[[32]byte]int{}
	look := looker(func(wrapped, _ []byte) {
		piece := wrapped[1:]
		if keys.Layers(wrapped) {
			piece = wrapped[3 : 3+binary.BigEndian.Uint16(wrapped[1:])]
		}
		if _, material, ok := kms.KeyOf(piece); ok {
			all[material]++
		}
	})
	n := Rewrapped{Needs: map[uint32]uint64{}}
	err := s.operator().eachUnderKMS(s.tb.Context(), "", true, func(w *kmsOwner) error {
		for _, e := range w.records {
			if _, err := w.rewrap(look, e, &n); err != nil {
				return err
			}
		}
		return nil
	}, nil)
	if err != nil {
		s.tb.Fatal(err)
	}
	return all
}

// TestRewrapUnderKMS: a run wraps all data keys, also those of parts, under the newest material, and
// changes nothing else. A second run has nothing to do.
func TestRewrapUnderKMS(t *testing.T) {
	for _, algorithm := range []string{"aws:kms", "aws:kms:dsse"} {
		t.Run(algorithm, func(t *testing.T) {
			s := newScrubbing(t)
			key := s.newKey()
			s.underKey(algorithm, key)
			of, err := arn.Parse(key)
			if err != nil {
				t.Fatal(err)
			}
			if n := len(s.materials()); n != 1 {
				t.Fatalf("%d materials", n)
			}
			if _, err := s.kms.RotateKeyOnDemand(t.Context(), s.grant(of, "kms:RotateKeyOnDemand"), key); err != nil {
				t.Fatal(err)
			}
			before, files := s.materials(), s.files()
			rewrap := func(in RewrapInput) RewrappedUnderKMS {
				t.Helper()
				in.Tell = func(RewrappedUnderKMS) error { return nil }
				n, err := s.operator().RewrapUnderKMS(t.Context(), in, kms.NewOperator(s.kms))
				if err != nil {
					t.Fatal(err)
				}
				return n
			}
			if n := rewrap(RewrapInput{Bucket: "bkt", Prefix: "other"}); n != (RewrappedUnderKMS{}) {
				t.Errorf("another prefix: %+v", n)
			}
			n := rewrap(RewrapInput{Bucket: "bkt", Prefix: "kms/"})
			if n.Versions != 3 || n.Uploads != 1 || n.Changed != n.DataKeys || n.Changed < 5 || n.Failed+n.Left != 0 {
				t.Errorf("%+v", n)
			}
			after := s.materials()
			for material := range before {
				if len(after) != 1 || after[material] != 0 {
					t.Errorf("materials %d, %d of the old one", len(after), after[material])
				}
			}
			if !slices.Equal(files, s.files()) {
				t.Error("files changed")
			}
			if again := rewrap(RewrapInput{Bucket: "bkt"}); again.Changed != 0 || again.Versions != 3 {
				t.Errorf("the second run: %+v", again)
			}
			if found, _ := s.scrub(ScrubInput{}); len(found) > 0 {
				t.Error(found)
			}
			_, err = s.operator().RewrapUnderKMS(t.Context(), RewrapInput{Bucket: "none"}, kms.NewOperator(s.kms))
			if !fault.Is(err, fault.NoSuchBucket) {
				t.Error(err)
			}
		})
	}
}

// TestKeyUsageAndShreds: the reports name the versions that need a key, and those that are
// unreadable without it.
func TestKeyUsageAndShreds(t *testing.T) {
	s := newScrubbing(t)
	key, other := s.newKey(), s.newKey()
	s.underKey("aws:kms", key)
	usage := func(key string) string {
		t.Helper()
		all, err := s.operator().KeyUsage(t.Context(), key, func(int) error { return nil })
		if err != nil {
			t.Fatal(err)
		}
		return fmt.Sprint(all)
	}
	want := fmt.Sprintf("[{bkt 3 1 %d}]", 2*len(long())+len("small")+len("inline"))
	if got := usage(key); got != want {
		t.Errorf("%s, want %s", got, want)
	}
	if got := usage(key[len(key)-36:]); got != want {
		t.Errorf("by id: %s", got)
	}
	if got := usage(other); got != "[]" {
		t.Errorf("of another key: %s", got)
	}
	shreds := func(key string) (names []string) {
		t.Helper()
		err := s.operator().Shredded(t.Context(), key, func(u UnderKey) error {
			if u.Bucket != "bkt" || (u.VersionID == "") == (u.UploadID == "") {
				t.Errorf("%+v", u)
			}
			names = append(names, u.Key)
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		return names
	}
	if got := shreds(key); len(got) > 0 {
		t.Errorf("under a good key: %v", got)
	}
	ops := kms.NewOperator(s.kms)
	if m, err := ops.ScheduleDeletion(t.Context(), nil, key, 7); err != nil || m.State != kms.PendingDeletion ||
		m.PendingWindow != 7 {
		t.Errorf("%+v, %v", m, err)
	}
	if _, err := ops.ScheduleDeletion(t.Context(), nil, key, 7); !fault.Is(err, fault.KMSInvalidStateException) {
		t.Error("again:", err)
	}
	if _, err := ops.ScheduleDeletion(t.Context(), nil, other, 1); !fault.Is(err, fault.ValidationException) {
		t.Error("a day:", err)
	}
	s.records("k/k/", func(tx kv.Tx, k, _ []byte) {
		if strings.HasSuffix(key, string(k[4:])) {
			tx.Delete(k)
		}
	})
	if got := shreds(key); !slices.Equal(got, []string{"kms/parts", "kms/large", "kms/parts", "kms/small"}) {
		t.Errorf("under a destroyed key: %v", got)
	}
	if got := usage(key); got != want {
		t.Errorf("of a destroyed key: %s", got)
	}
}
