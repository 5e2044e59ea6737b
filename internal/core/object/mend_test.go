package object

import (
	"bytes"
	"maps"
	"slices"
	"strings"
	"testing"

	"watertight/internal/core/bucket"
	"watertight/internal/storage/kv"
)

// stored returns all records of a store.
func stored(t *testing.T, s kv.Store) map[string][]byte {
	t.Helper()
	out := map[string][]byte{}
	err := s.View(t.Context(), func(r kv.Reader) error {
		for p, err := range r.Scan([]byte{1}, nil) {
			if err != nil {
				return err
			}
			out[string(p.Key)] = bytes.Clone(p.Value)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// TestMend: Mend makes missing pointers and references from versions and parts as the
// store does; whole records stay unchanged.
func TestMend(t *testing.T) {
	e := newEnv(t)
	e.versioning(bucket.Suspended)
	for _, k := range []string{"a", "b", "gone"} {
		e.mustPut(k, "first "+k)
	}
	e.versioning(bucket.Enabled)
	e.mustPut("a", "second")
	e.mustPut("large", long())
	if _, err := e.delete(DeleteInput{Key: "gone"}); err != nil {
		t.Fatal(err)
	}
	u := e.begin(UploadInput{Key: "parts"})
	e.mustPart(u, 1, long())
	e.again("large", e.mustPut("large", long()).ID)
	e.objects.minPart = 0
	shared := e.begin(UploadInput{Key: "shared"})
	parts, err := e.complete(shared, CompleteInput{Parts: []CompletePart{e.mustPart(shared, 1, long())}})
	if err != nil {
		t.Fatal(err)
	}
	e.again("shared", parts.ID)
	whole := stored(t, e.store)
	mended := maps.Clone(whole)
	if m := Mend(mended); m.Pointers+m.References+len(m.Broken)+len(m.Lost) != 0 ||
		!maps.EqualFunc(mended, whole, bytes.Equal) {
		t.Errorf("a whole store is mended: %+v", m)
	}
	if blobs := Mend(maps.Clone(whole)).Blobs; len(blobs) != 4 {
		t.Errorf("blobs: %v", blobs)
	}
	for _, kind := range []string{"c/", "r/", "u/", "e/"} {
		t.Run(kind, func(t *testing.T) {
			some := maps.Clone(whole)
			maps.DeleteFunc(some, func(k string, _ []byte) bool { return strings.HasPrefix(k, kind) })
			if len(some) == len(whole) {
				t.Fatal("no records of kind", kind)
			}
			m := Mend(some)
			if !maps.EqualFunc(some, whole, bytes.Equal) || m.Pointers+m.References != countOf(whole, kind) {
				t.Errorf("%s are not made again: %+v", kind, m)
			}
		})
	}
	for _, kind := range []string{"v/", "d/"} {
		t.Run(kind, func(t *testing.T) {
			some := maps.Clone(whole)
			maps.DeleteFunc(some, func(k string, _ []byte) bool { return strings.HasPrefix(k, kind) })
			m := Mend(some)
			if !slices.Contains(m.Lost, "bkt/a") || !slices.Contains(m.Lost, "bkt/b") {
				t.Errorf("without %s the lost ones are %q", kind, m.Lost)
			}
		})
	}
	some := maps.Clone(whole)
	for k, b := range some { // as earlier programs wrote them
		if v, err := decodeVersion(b); err == nil && strings.HasPrefix(k, "c/") {
			some[k] = v.appendPointer(nil)
		}
	}
	if m := Mend(some); m.Pointers != 0 {
		t.Errorf("%d pointers that are not whole count as damaged", m.Pointers)
	}
	some = maps.Clone(whole)
	for k, b := range some {
		if v, err := decodeVersion(b); err == nil && strings.HasPrefix(k, "c/") && v.whole {
			v.metadata.ContentType = "another"
			some[k] = v.pointer()
		}
	}
	if m := Mend(some); m.Pointers == 0 || !maps.EqualFunc(some, whole, bytes.Equal) {
		t.Errorf("pointers that say something else stay: %+v", m)
	}
	some = maps.Clone(whole)
	for k, b := range some { // the versions' records from before they shared a payload
		if v, err := decodeVersion(b); err == nil && strings.HasPrefix(k, "v/") && v.payload == (unique{}) {
			v.shared = false
			some[k] = v.encode()
		}
	}
	if Mend(some); !maps.EqualFunc(some, whole, bytes.Equal) {
		t.Error("versions that lost their mark are not marked again")
	}
	some = maps.Clone(whole)
	for k := range some {
		if strings.HasPrefix(k, "v/") {
			some[k] = []byte("no record")
		}
	}
	if m := Mend(some); len(m.Broken) < 5 || countOf(some, "v/") != 0 || countOf(some, "e/") != 0 {
		t.Errorf("records that can't be read: %+v", m)
	}
}

// TestMendKeepsLaterRecords: Mend does not drop a record that a later program may have protected,
// although it drops other unreadable ones.
func TestMendKeepsLaterRecords(t *testing.T) {
	e := newEnv(t)
	e.mustPut("a", long())
	all := stored(t, e.store)
	var protected []string
	for k, b := range all {
		if strings.HasPrefix(k, "v/") {
			all[k] = append(b, later(true)...)
			protected = append(protected, k)
		}
	}
	before := maps.Clone(all)
	m := Mend(all)
	if !slices.Equal(m.Later, protected) || len(m.Broken) > 0 || !bytes.Equal(all[protected[0]], before[protected[0]]) {
		t.Errorf("%+v", m)
	}
}

// countOf counts the records of a kind.
func countOf(all map[string][]byte, kind string) (n int) {
	for k := range all {
		if strings.HasPrefix(k, kind) {
			n++
		}
	}
	return n
}
