package object

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"watertight/internal/access/arn"
	"watertight/internal/core/bucket"
	"watertight/internal/core/change/record"
	"watertight/internal/core/keys"
	"watertight/internal/core/kms"
	"watertight/internal/core/payload"
	"watertight/internal/fault"
	"watertight/internal/storage/kv"
	"watertight/internal/storage/seal"
)

// scrubbing is a store with objects of every kind: inline and in a blob, versions and a delete
// marker, parts of both kinds, an upload in progress, a customer's key.
type scrubbing struct {
	*env
	dir     string
	large   Version
	parts   Version
	upload  Upload
	written int // blobs
}

func newScrubbing(t *testing.T) *scrubbing {
	t.Helper()
	s := &scrubbing{dir: t.TempDir()}
	s.env = newEnvIn(t, s.dir)
	s.objects.minPart = 1
	s.mustPut("null", "small")
	s.versioning(bucket.Enabled)
	s.mustPut("empty", "")
	s.mustPut("small", "first")
	s.mustPut("small", "second")
	s.mustPut("null", "newer")
	s.mustPut("gone", "gone")
	if _, err := s.delete(DeleteInput{Key: "gone"}); err != nil {
		t.Fatal(err)
	}
	s.large = s.mustPut("large", strings.Repeat(long(), 12))
	s.mustPut("other", strings.Repeat(long(), 12))
	u := s.begin(UploadInput{Key: "parts"})
	var err error
	s.parts, err = s.complete(u, CompleteInput{Parts: []CompletePart{
		s.mustPart(u, 1, long()), s.mustPart(u, 3, "inline"), s.mustPart(u, 7, long()),
	}})
	if err != nil {
		t.Fatal(err)
	}
	s.upload = s.begin(UploadInput{Key: "parts"})
	s.mustPart(s.upload, 2, long())
	s.mustPart(s.upload, 5, "inline")
	if _, err := s.put(PutInput{
		Key: "customer", Body: strings.NewReader(long()), Size: int64(len(long())),
		Encryption: Encryption{Customer: ownKey(7)},
	}); err != nil {
		t.Fatal(err)
	}
	s.written = 6
	return s
}

// scrub returns the findings of a scrub, each as "problem key part".
func (s *scrubbing) scrub(in ScrubInput) ([]string, Scrubbed) {
	s.tb.Helper()
	var found []string
	in.Again = time.Microsecond
	in.Tell = func(f *Finding, _ Scrubbed) error {
		if f != nil {
			line := strings.TrimSpace(fmt.Sprintf("%s %s", f.Problem, f.Key))
			if f.Part > 0 {
				line += fmt.Sprintf(" part %d", f.Part)
			}
			if f.UploadID != "" {
				line += " of an upload"
			}
			if f.Quarantined {
				line += " quarantined"
			}
			if f.Key != "" && f.Bucket != "bkt" || f.Detail == "" {
				s.tb.Errorf("an incomplete finding: %+v", f)
			}
			found = append(found, line)
		}
		return nil
	}
	done, err := s.operator().Scrub(s.tb.Context(), in)
	if err != nil {
		s.tb.Fatal(err)
	}
	if done.Findings != len(found) {
		s.tb.Errorf("%d findings are counted, not %d", done.Findings, len(found))
	}
	slices.Sort(found)
	return found, done
}

func (s *scrubbing) operator() *Operator {
	return NewOperator(s.store, payload.NewOperator(s.payloads.Store, keys.NewOperator(s.ring, kms.NewOperator(s.kms))))
}

// records changes every record whose key begins with prefix.
func (s *scrubbing) records(prefix string, fn func(tx kv.Tx, k, v []byte)) {
	s.tb.Helper()
	err := s.store.Update(s.tb.Context(), func(tx kv.Tx) error {
		for p, err := range tx.Scan([]byte(prefix), record.After([]byte(prefix))) {
			if err != nil {
				return err
			}
			fn(tx, bytes.Clone(p.Key), bytes.Clone(p.Value))
		}
		return nil
	})
	if err != nil {
		s.tb.Fatal(err)
	}
}

// blobs returns the names of the blobs of a key's versions.
func (s *scrubbing) blobs(key string) (names []string) {
	s.tb.Helper()
	s.records("r/", func(_ kv.Tx, k, at []byte) {
		if _, of, _, ok := splitVersion(at); ok && of == key {
			names = append(names, string(k[2:]))
		}
	})
	if len(names) == 0 {
		s.tb.Fatal("no blobs of", key)
	}
	return names
}

func (s *scrubbing) path(name string) string {
	return filepath.Join(payload.Folder(s.dir), name[:2], name)
}

// harm changes the file of a blob.
func (s *scrubbing) harm(name string, change func([]byte) []byte) {
	s.tb.Helper()
	text, err := os.ReadFile(s.path(name))
	if err == nil {
		err = os.WriteFile(s.path(name), change(text), 0o600)
	}
	if err != nil {
		s.tb.Fatal(err)
	}
}

func TestScrubOfAWholeStore(t *testing.T) {
	s := newScrubbing(t)
	found, done := s.scrub(ScrubInput{Quarantine: true})
	if len(found) > 0 {
		t.Error(found)
	}
	want := Scrubbed{Versions: 10, DeleteMarkers: 1, Parts: 5, Blobs: s.written, CustomerKey: 1, Bytes: done.Bytes}
	if done != want {
		t.Errorf("%+v, want %+v", done, want)
	}
	if least := int64(2 * 12 * len(long())); done.Bytes < least {
		t.Errorf("%d bytes were read, less than the %d of two objects", done.Bytes, least)
	}
}

// TestScrubFindsDamage: every change of a file or a record is found and named.
func TestScrubFindsDamage(t *testing.T) {
	flip := func(at func(n int) int) func(*scrubbing) {
		return func(s *scrubbing) {
			s.harm(s.blobs("large")[0], func(b []byte) []byte { b[at(len(b))] ^= 1; return b })
		}
	}
	const chunk = seal.ChunkSize + seal.Overhead
	for name, c := range map[string]struct {
		harm func(*scrubbing)
		want string
	}{
		"first byte":          {flip(func(int) int { return 0 }), "damaged large quarantined"},
		"tag of the first":    {flip(func(int) int { return chunk - 1 }), "damaged large quarantined"},
		"second chunk":        {flip(func(int) int { return chunk }), "damaged large quarantined"},
		"middle":              {flip(func(n int) int { return n / 2 }), "damaged large quarantined"},
		"tag of the last":     {flip(func(n int) int { return n - 1 }), "damaged large quarantined"},
		"last byte":           {flip(func(n int) int { return n - 17 }), "damaged large quarantined"},
		"cut":                 {cutBlob(func(b []byte) []byte { return b[:len(b)-1] }), "damaged large quarantined"},
		"cut at a chunk":      {cutBlob(func(b []byte) []byte { return b[:chunk] }), "damaged large quarantined"},
		"cut to nothing":      {cutBlob(func([]byte) []byte { return nil }), "damaged large quarantined"},
		"a byte more":         {cutBlob(func(b []byte) []byte { return append(b, 0) }), "damaged large quarantined"},
		"chunks swapped":      {cutBlob(swapChunks), "damaged large quarantined"},
		"blobs swapped":       {swapBlobs, "damaged large quarantined, damaged other quarantined"},
		"plaintext":           {cutBlob(zeroes), "damaged large quarantined"},
		"missing blob":        {removeBlob, "missing large"},
		"orphan":              {addBlob, "orphan"},
		"part":                {harmPart, "damaged parts part 1 quarantined"},
		"part of an upload":   {harmUpload, "damaged parts part 2 of an upload quarantined"},
		"customer's, cut":     {harmCustomer, "damaged customer quarantined"},
		"inline bytes":        {harmInline, "damaged parts part 3, damaged parts part 5 of an upload"},
		"inline bytes gone":   {dropInline, "missing parts part 3, missing parts part 5 of an upload"},
		"version records":     {swapVersions, "record large, record other"},
		"data keys swapped":   {swapKeys, "record large, record other, wrong-key large, wrong-key other"},
		"reference gone":      {dropReference, "orphan, record large"},
		"reference elsewhere": {moveReference, "record large"},
		"version lost": {
			dropVersion, "missing large, missing large",
		},
		"pointer gone":       {dropRecords("c/", "large"), "record large"},
		"list of parts":      {dropRecords("q/", ""), "missing parts"},
		"list can't be read": {spoilList, "missing parts, record parts"},
		"null version":       {dropRecords("u/", "null"), "record null"},
	} {
		t.Run(name, func(t *testing.T) {
			s := newScrubbing(t)
			s.edited = true
			c.harm(s)
			before := len(s.files())
			found, done := s.scrub(ScrubInput{Quarantine: true})
			if got := strings.Join(found, ", "); got != c.want {
				t.Errorf("found %s, want %s", got, c.want)
			}
			if n := strings.Count(c.want, "quarantined"); done.Quarantined != n || done.Apart != n {
				t.Errorf("%d and %d in quarantine, want %d", done.Quarantined, done.Apart, n)
			}
			if len(s.files()) != before {
				t.Error("a scrub removed a file")
			}
			again, _ := s.scrub(ScrubInput{Quarantine: true})
			if !slices.Equal(again, found) {
				t.Errorf("a second scrub finds %v, the first %v", again, found)
			}
		})
	}
}

// files returns all files below blobs.
func (s *scrubbing) files() (names []string) {
	filepath.WalkDir(payload.Folder(s.dir), func(path string, d os.DirEntry, err error) error {
		if err == nil && !d.IsDir() {
			names = append(names, path)
		}
		return err
	})
	return names
}

func cutBlob(change func([]byte) []byte) func(*scrubbing) {
	return func(s *scrubbing) { s.harm(s.blobs("large")[0], change) }
}

func zeroes(b []byte) []byte { return make([]byte, len(b)) }

func harmCustomer(s *scrubbing) { s.harm(s.blobs("customer")[0], cutByte) }

func removeBlob(s *scrubbing) { os.Remove(s.path(s.blobs("large")[0])) }

func cutByte(b []byte) []byte { return b[:len(b)-1] }

func swapChunks(b []byte) []byte {
	const chunk = seal.ChunkSize + seal.Overhead
	return slices.Concat(b[chunk:2*chunk], b[:chunk], b[2*chunk:])
}

func swapBlobs(s *scrubbing) {
	a, b := s.path(s.blobs("large")[0]), s.path(s.blobs("other")[0])
	os.Rename(a, a+".x")
	os.Rename(b, a)
	os.Rename(a+".x", b)
}

func addBlob(s *scrubbing) {
	if err := os.WriteFile(s.path(strings.Repeat("ab", 16)), []byte("left over"), 0o600); err != nil {
		s.tb.Fatal(err)
	}
}

func harmPart(s *scrubbing) {
	s.records("q/", func(_ kv.Tx, _, v []byte) {
		partsOf(v, nil, func(p *part) bool {
			s.harm(p.blob, func(b []byte) []byte { b[100] ^= 0x80; return b })
			return false
		})
	})
}

func harmUpload(s *scrubbing) {
	s.records("p/", func(_ kv.Tx, _, v []byte) {
		if p, err := decodePart(v); err == nil && p.blob != "" {
			s.harm(p.blob, func(b []byte) []byte { b[0] ^= 1; return b })
		}
	})
}

func harmInline(s *scrubbing) {
	s.inlineOfParts(func(tx kv.Tx, k, v []byte) { v[0] ^= 1; tx.Set(k, v) })
}

func dropInline(s *scrubbing) { s.inlineOfParts(func(tx kv.Tx, k, _ []byte) { tx.Delete(k) }) }

// inlineOfParts calls fn with the inline bytes of parts.
func (s *scrubbing) inlineOfParts(fn func(tx kv.Tx, k, v []byte)) {
	var at [][]byte
	note := func(p *part) bool {
		if p.inline {
			at = append(at, inlineKey(p.unique))
		}
		return true
	}
	s.records("q/", func(_ kv.Tx, _, v []byte) { partsOf(v, nil, note) })
	s.records("p/", func(_ kv.Tx, _, v []byte) {
		if p, err := decodePart(v); err == nil {
			note(p)
		}
	})
	for _, k := range at {
		s.records(string(k), fn)
	}
}

// two calls fn with the records of the versions of large and other.
func (s *scrubbing) two(fn func(tx kv.Tx, ka, va, kb, vb []byte)) {
	var ka, va, kb, vb []byte
	s.records("v/", func(_ kv.Tx, k, v []byte) {
		switch _, key, _, _ := splitVersion(k); key {
		case "large":
			ka, va = k, v
		case "other":
			kb, vb = k, v
		}
	})
	if err := s.store.Update(s.tb.Context(), func(tx kv.Tx) error { fn(tx, ka, va, kb, vb); return nil }); err != nil {
		s.tb.Fatal(err)
	}
}

func swapVersions(s *scrubbing) {
	s.two(func(tx kv.Tx, ka, va, kb, vb []byte) { tx.Set(ka, vb); tx.Set(kb, va) })
}

func swapKeys(s *scrubbing) {
	s.two(func(tx kv.Tx, ka, va, kb, vb []byte) {
		a, _ := decodeVersion(va)
		b, _ := decodeVersion(vb)
		a.dataKey, b.dataKey = b.dataKey, a.dataKey
		tx.Set(ka, a.encode())
		tx.Set(kb, b.encode())
	})
}

func dropReference(s *scrubbing) {
	s.two(func(tx kv.Tx, _, va, _, _ []byte) {
		a, _ := decodeVersion(va)
		tx.Delete(blobKey(a.blob))
	})
}

func moveReference(s *scrubbing) {
	s.two(func(tx kv.Tx, _, va, kb, _ []byte) {
		a, _ := decodeVersion(va)
		tx.Set(blobKey(a.blob), kb)
	})
}

func dropVersion(s *scrubbing) { s.two(func(tx kv.Tx, ka, _, _, _ []byte) { tx.Delete(ka) }) }

func dropRecords(prefix, key string) func(*scrubbing) {
	return func(s *scrubbing) {
		n := 0
		s.records(prefix, func(tx kv.Tx, k, _ []byte) {
			if key == "" || bytes.HasSuffix(k, []byte("/"+key)) {
				tx.Delete(k)
				n++
			}
		})
		if n == 0 {
			s.tb.Fatal("nothing was dropped")
		}
	}
}

func spoilList(s *scrubbing) {
	s.records("q/", func(tx kv.Tx, k, v []byte) { tx.Set(k, v[:len(v)-1]) })
}

// TestQuarantine: a blob in quarantine is not served and not removed, not even with its version. A
// repaired one is moved back.
func TestQuarantine(t *testing.T) {
	s := newScrubbing(t)
	name := s.blobs("large")[0]
	damage := func(b []byte) []byte { b[0] ^= 1; return b }
	s.harm(name, damage)
	if found, done := s.scrub(ScrubInput{}); len(found) != 1 || done.Quarantined+done.Apart != 0 {
		t.Errorf("without quarantine: %v, %+v", found, done)
	}
	s.scrub(ScrubInput{Quarantine: true})
	if _, _, err := s.get(GetInput{Key: "large"}); !errors.Is(err, payload.ErrQuarantined) {
		t.Errorf("a blob in quarantine is served: %v", err)
	}
	apart := filepath.Join(payload.Folder(s.dir), "quarantine", name)
	text, err := os.ReadFile(apart)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(apart, damage(text), 0o600); err != nil {
		t.Fatal(err)
	}
	if found, done := s.scrub(ScrubInput{Quarantine: true}); len(found) != 0 || done.Apart != 0 {
		t.Errorf("a repaired blob: %v, %+v", found, done)
	}
	if _, _, err := s.get(GetInput{Key: "large"}); err != nil {
		t.Errorf("a repaired blob is not served: %v", err)
	}
	s.harm(name, damage)
	s.scrub(ScrubInput{Quarantine: true})
	if _, err := s.delete(DeleteInput{Key: "large", VersionID: &s.large.ID}); err != nil {
		t.Fatal(err)
	}
	if _, err := s.payloads.Sweep(t.Context(), time.Now().Add(9*payload.Grace), s.objects.Referenced); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(apart); err != nil {
		t.Errorf("deleting the version: %v", err)
	}
	if found, done := s.scrub(ScrubInput{Quarantine: true}); len(found) != 0 || done.Apart != 1 {
		t.Errorf("after the version was deleted: %v, %+v", found, done)
	}
}

// TestScrubStopsQuarantining: after many damaged blobs a scrub moves no more, because their number
// suggests another cause.
func TestScrubStopsQuarantining(t *testing.T) {
	s := newScrubbing(t)
	for n := range maxQuarantined + 1 {
		s.mustPut(fmt.Sprintf("many %03d", n), long())
	}
	for _, path := range s.files() {
		if err := os.Truncate(path, 7); err != nil {
			t.Fatal(err)
		}
	}
	found, done := s.scrub(ScrubInput{Quarantine: true})
	if done.Quarantined != maxQuarantined || done.Findings != s.written+maxQuarantined+1 {
		t.Errorf("%+v\n%v", done, found)
	}
}

// TestUnreadableIsNotDamage: a file that can't be read stays where it is.
func TestUnreadableIsNotDamage(t *testing.T) {
	s := newScrubbing(t)
	path := s.path(s.blobs("large")[0])
	if err := errors.Join(os.Remove(path), os.Symlink(path, path)); err != nil { // opening a loop is ELOOP
		t.Fatal(err)
	}
	found, done := s.scrub(ScrubInput{Quarantine: true})
	if done.Quarantined != 0 || !slices.Equal(found, []string{"unreadable large"}) {
		t.Errorf("%v, %+v", found, done)
	}
}

// TestScrubBesideWrites: a version that is deleted or replaced during a scrub is no finding.
func TestScrubBesideWrites(t *testing.T) {
	s := newScrubbing(t)
	for n := range 20 {
		s.mustPut(fmt.Sprintf("k%d", n), long())
	}
	n := 0
	in := ScrubInput{Quarantine: true, Again: time.Microsecond}
	in.Tell = func(f *Finding, _ Scrubbed) error {
		if f != nil {
			t.Errorf("%+v", f)
		}
		if n++; n%3 == 0 {
			s.mustPut(fmt.Sprintf("k%d", n%20), long())
			list, err := s.listVersions(ListVersionsInput{Bucket: "bkt", Prefix: "k"})
			if err != nil {
				t.Fatal(err)
			}
			v := list.Entries[len(list.Entries)-1]
			if _, err := s.delete(DeleteInput{Key: v.Key, VersionID: &v.ID}); err != nil {
				t.Fatal(err)
			}
			if n == 30 {
				if _, err := s.delete(DeleteInput{Key: "parts", VersionID: &s.parts.ID}); err != nil {
					t.Fatal(err)
				}
			}
		}
		return nil
	}
	if done, err := s.operator().Scrub(t.Context(), in); err != nil || done.Findings != 0 {
		t.Errorf("%+v, %v", done, err)
	}
}

// TestScrubEnds: a scrub ends with its context, or when its callback returns an error.
func TestScrubEnds(t *testing.T) {
	s := newScrubbing(t)
	ctx, cancel := context.WithCancel(t.Context())
	in := ScrubInput{Tell: func(*Finding, Scrubbed) error { cancel(); return nil }}
	if _, err := s.operator().Scrub(ctx, in); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
	gone := errors.New("gone")
	in.Tell = func(_ *Finding, done Scrubbed) error {
		if done.Bytes > 0 {
			return gone
		}
		return nil
	}
	if done, err := s.operator().Scrub(t.Context(), in); !errors.Is(err, gone) || done.Findings != 0 {
		t.Error(done, err)
	}
}

// TestScrubUnderKMS: versions under a KMS key are proven, whatever the key's state, and counted as
// unavailable once the key's material is gone.
func TestScrubUnderKMS(t *testing.T) {
	for _, encryption := range []string{"aws:kms", "aws:kms:dsse"} {
		t.Run(encryption, func(t *testing.T) {
			s := newScrubbing(t)
			key := s.newKey()
			how := Encryption{Algorithm: encryption, KeyID: key, Context: pairs(`{"a":"b"}`)}
			for name, text := range map[string]string{"kms small": "small", "kms large": strings.Repeat(long(), 8)} {
				if _, err := s.put(PutInput{
					Key: name, Body: strings.NewReader(text), Size: int64(len(text)), Encryption: how,
				}); err != nil {
					t.Fatal(err)
				}
			}
			u := s.begin(UploadInput{Key: "kms parts", Encryption: how})
			done := []CompletePart{s.mustPart(u, 1, long()), s.mustPart(u, 2, "inline")}
			s.mustPart(s.begin(UploadInput{Key: "kms parts", Encryption: how}), 1, long())
			if _, err := s.complete(u, CompleteInput{Parts: done}); err != nil {
				t.Fatal(err)
			}
			if found, n := s.scrub(ScrubInput{Quarantine: true}); len(found) > 0 || n.Unavailable > 0 {
				t.Errorf("%v, %+v", found, n)
			}
			of, err := arn.Parse(key)
			if err != nil {
				t.Fatal(err)
			}
			if err := s.kms.DisableKey(t.Context(), s.grant(of, "kms:DisableKey"), key); err != nil {
				t.Fatal(err)
			}
			s.harm(s.blobs("kms large")[0], func(b []byte) []byte { b[len(b)/2] ^= 1; return b })
			found, n := s.scrub(ScrubInput{Quarantine: true})
			if !slices.Equal(found, []string{"damaged kms large quarantined"}) || n.Unavailable > 0 {
				t.Errorf("under a disabled key: %v, %+v", found, n)
			}
			s.records("k/k/", func(tx kv.Tx, k, _ []byte) {
				if strings.HasSuffix(key, string(k[4:])) {
					tx.Delete(k)
				}
			})
			found, n = s.scrub(ScrubInput{Quarantine: true})
			if len(found) > 0 || n.Unavailable != 5 {
				t.Errorf("under a destroyed key: %v, %+v", found, n)
			}
		})
	}
}

// TestFindingsArePlain: a finding is one line, without the error message for S3 clients.
func TestFindingsArePlain(t *testing.T) {
	err := fault.Internal(errors.New("a block\ndoes not\n  authenticate"))
	if got := oneLine(err); got != "a block does not authenticate" {
		t.Errorf("%q", got)
	}
	if got := oneLine(errors.New("cut")); got != "cut" {
		t.Errorf("%q", got)
	}
}
