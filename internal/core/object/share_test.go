package object

import (
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"watertight/internal/access/arn"
	"watertight/internal/core/bucket"
	"watertight/internal/core/payload"
	"watertight/internal/fault"
	"watertight/internal/storage/digest"
	"watertight/internal/storage/kv"
)

// sharing holds versions that may share payloads, with their expected content.
type sharing struct {
	*scrubbing
	rt       *rapid.T
	versions []shared
	moments  []time.Time
}

type shared struct {
	key, id, text string
	marker        bool
	customer      CustomerKey
	payload       int // versions with the same number have the same payload
	large         int // its blobs
	small         int // its inline values
}

// draw returns the content of a part, or of an object as a whole.
func (s *sharing) draw() string {
	return rapid.SampledFrom([]string{"", "tiny", long()}).Draw(s.rt, "text")
}

func (s *shared) count(text string) {
	s.text += text
	if len(text) > payload.InlineMax {
		s.large++
	} else {
		s.small++
	}
}

func (s *sharing) drawKey() string { return rapid.SampledFrom([]string{"a", "b"}).Draw(s.rt, "key") }

func (s *sharing) add(v shared) { s.versions = append(s.versions, v) }

func (s *sharing) put(*rapid.T) {
	v := shared{key: s.drawKey(), payload: s.written}
	s.written++
	if rapid.Bool().Draw(s.rt, "customer") {
		v.customer = ownKey(7)
	}
	v.count(s.draw())
	made, err := s.env.put(PutInput{
		Key: v.key, Body: strings.NewReader(v.text), Size: int64(len(v.text)),
		Encryption: Encryption{Customer: v.customer},
	})
	if err != nil {
		s.rt.Fatal(err)
	}
	v.id = made.ID
	s.add(v)
}

func (s *sharing) upload(*rapid.T) {
	v := shared{key: s.drawKey(), payload: s.written}
	s.written++
	u := s.begin(UploadInput{Key: v.key, Algorithm: digest.CRC32, ChecksumType: FullObject})
	var parts []CompletePart
	for n := range rapid.IntRange(1, 3).Draw(s.rt, "parts") {
		text := s.draw()
		v.count(text)
		parts = append(parts, s.mustPart(u, n+1, text))
	}
	made, err := s.complete(u, CompleteInput{Parts: parts})
	if err != nil {
		s.rt.Fatal(err)
	}
	v.id = made.ID
	s.add(v)
}

func (s *sharing) restore(*rapid.T) {
	if len(s.versions) == 0 {
		return
	}
	v := rapid.SampledFrom(s.versions).Draw(s.rt, "version")
	if v.marker {
		return
	}
	v.id = s.again(v.key, v.id)
	s.add(v)
}

func (e *env) slot(key string) slot {
	e.tb.Helper()
	b, err := e.buckets.Head(e.tb.Context(), e.grant(arn.Bucket("bkt"), "s3:ListBucket"), "bkt")
	if err != nil {
		e.tb.Fatal(err)
	}
	return slot{&b, key}
}

// again makes a version from an older one, as a rollback does.
func (e *env) again(key, id string) (made string) {
	e.tb.Helper()
	k := e.slot(key)
	err := e.store.Update(e.tb.Context(), func(tx kv.Tx) error {
		old, err := k.byID(tx, id)
		if err != nil {
			return err
		}
		head, err := k.newest(tx)
		if err != nil {
			return err
		}
		v := old.again(time.Now().UTC().Truncate(time.Microsecond), serviceWriter("test"))
		err = k.restore(tx, head, old, v)
		made = v.id()
		return err
	})
	if err != nil {
		e.tb.Fatal(err)
	}
	return made
}

func (s *sharing) marker(*rapid.T) {
	v := shared{key: s.drawKey(), marker: true}
	made, err := s.env.delete(DeleteInput{Key: v.key})
	if err != nil {
		s.rt.Fatal(err)
	}
	v.id = made.MarkerID
	s.add(v)
}

func (s *sharing) destroy(*rapid.T) {
	if len(s.versions) == 0 {
		return
	}
	i := rapid.IntRange(0, len(s.versions)-1).Draw(s.rt, "version")
	v := s.versions[i]
	if _, err := s.env.delete(DeleteInput{Key: v.key, VersionID: &v.id}); err != nil {
		s.rt.Fatal(err)
	}
	s.versions = append(s.versions[:i], s.versions[i+1:]...)
}

// note stores the present instant.
func (s *sharing) note(*rapid.T) {
	s.moments = append(s.moments, time.Now())
	time.Sleep(2 * time.Microsecond) // so that no later version has the same microsecond
}

// state returns the newest version of a key at an instant, nil if there was no object.
func (s *sharing) state(key string, to time.Time) (newest *shared) {
	for i := range s.versions {
		v := &s.versions[i]
		if v.key == key && v.seq() <= uint64(to.UnixMicro()) && (newest == nil || v.seq() > newest.seq()) {
			newest = v
		}
	}
	if newest != nil && newest.marker {
		return nil
	}
	return newest
}

func (s *shared) seq() uint64 {
	seq, _, _ := parseID(s.id)
	return seq
}

// rollback makes a dry run to an instant, and then the rollback.
func (s *sharing) rollback(*rapid.T) {
	if len(s.moments) == 0 {
		return
	}
	to := rapid.SampledFrom(s.moments).Draw(s.rt, "moment")
	var want RolledBack
	states := map[string]*shared{}
	for _, key := range []string{"a", "b"} {
		old, now := s.state(key, to), s.state(key, time.Now().Add(time.Hour))
		some := slices.ContainsFunc(s.versions, func(v shared) bool { return v.key == key })
		states[key] = old
		switch {
		case old == nil && now != nil:
			want.Hidden++
		case old != nil && now == nil:
			want.Restored++
			want.Bytes += int64(len(old.text))
		case old != nil && old.payload != now.payload:
			want.Changed++
			want.Bytes += int64(len(old.text))
		case some:
			want.Unchanged++
		}
	}
	in := RollbackInput{Bucket: "bkt", To: to, DryRun: true}
	for _, in.DryRun = range []bool{true, false} {
		got, err := s.objects.Rollback(s.rt.Context(), s.grant(arn.Bucket("bkt"), "watertight:RollbackBucket"), in)
		if n := want.Restored + want.Changed + want.Hidden; err != nil || in.DryRun && len(got.Entries) != n {
			s.rt.Fatal(got, err)
		}
		got.Entries, got.First, got.Last = nil, "", ""
		if !reflect.DeepEqual(got, want) {
			s.rt.Fatalf("dry run %t: %+v, want %+v", in.DryRun, got, want)
		}
	}
	for key, old := range states {
		for _, v := range allVersions(s.env, s.slot(key)) {
			if !slices.ContainsFunc(s.versions, func(known shared) bool { return known.id == v.id() }) {
				made := shared{key: key, marker: true}
				if old != nil {
					made = *old
				}
				made.id = v.id()
				s.add(made)
			}
		}
	}
	for key, old := range states {
		now := s.state(key, time.Now().Add(time.Hour))
		if (old == nil) != (now == nil) || old != nil && old.payload != now.payload {
			s.rt.Fatalf("%s is %+v, want %+v", key, now, old)
		}
	}
}

// check reads every version, and counts what is stored: each payload once.
func (s *sharing) check(*rapid.T) {
	inline, blobs, shares := 0, 0, map[int]int{}
	for _, v := range s.versions {
		if v.marker {
			continue
		}
		if shares[v.payload]++; shares[v.payload] == 1 {
			inline, blobs = inline+v.small, blobs+v.large
		}
		in := GetInput{Key: v.key, VersionID: &v.id, Customer: v.customer}
		if _, text, err := s.get(in); err != nil || text != v.text {
			s.rt.Fatalf("%s %s: %d bytes, want %d: %v", v.key, v.id, len(text), len(v.text), err)
		}
	}
	s.tidy(inline, blobs)
	if s.refs(trashPrefix) > 0 {
		s.rt.Fatal("parts that nothing needs are left")
	}
	if found, _ := s.scrub(ScrubInput{}); len(found) > 0 {
		s.rt.Fatal(found)
	}
	if s.tb.(*testing.T).Failed() {
		s.rt.FailNow()
	}
}

// TestSharedPayloads: after any sequence of writes, rollbacks and deletions, every payload that a
// version needs exists, and no other.
func TestSharedPayloads(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		s := &sharing{scrubbing: &scrubbing{env: newEnv(t)}, rt: rt}
		s.objects.minPart = 0
		s.versioning(bucket.Enabled)
		rt.Repeat(map[string]func(*rapid.T){
			"": s.check, "put": s.put, "upload": s.upload, "restore": s.restore, "marker": s.marker,
			"destroy": s.destroy, "note": s.note, "rollback": s.rollback,
		})
		for len(s.versions) > 0 {
			s.destroy(rt)
		}
		s.check(rt)
		if n := s.refs(sharePrefix) + s.refs(partListPrefix); n > 0 {
			rt.Fatal(n, "records are left")
		}
	})
}

// TestScrubOfSharedPayloads: a scrub proves the bytes of each version that shares them, and finds
// wrong and missing counts.
func TestScrubOfSharedPayloads(t *testing.T) {
	for name, c := range map[string]struct {
		harm func(s *scrubbing)
		want string
	}{
		"whole": {func(*scrubbing) {}, ""},
		"damaged": {func(s *scrubbing) {
			s.records("r/", func(_ kv.Tx, k, at []byte) {
				if strings.HasPrefix(string(at), sharePrefix) {
					s.harm(string(k[2:]), zeroes)
				}
			})
		}, "damaged large quarantined, damaged large quarantined, damaged parts part 1 quarantined, " +
			"damaged parts part 1 quarantined, damaged parts part 7 quarantined, damaged parts part 7 quarantined"},
		"count": {func(s *scrubbing) {
			s.records("e/", func(tx kv.Tx, k, v []byte) {
				h, _ := decodeShare(v)
				h.count++
				tx.Set(k, h.encode())
			})
		}, "record large, record parts"},
		"count gone": {dropRecords("e/", ""), "missing, missing, missing"},
		"reference to a version": {func(s *scrubbing) {
			s.records("v/", func(tx kv.Tx, k, b []byte) {
				if v, err := decodeVersion(b); err == nil && v.shared && v.blob != "" {
					tx.Set(blobKey(v.blob), k)
				}
			})
		}, "record large, record large"},
	} {
		t.Run(name, func(t *testing.T) {
			s := newScrubbing(t)
			s.again("large", s.large.ID)
			s.again("parts", s.parts.ID)
			c.harm(s)
			found, done := s.scrub(ScrubInput{Quarantine: true})
			if got := strings.Join(found, ", "); got != c.want || done.Versions != 12 {
				t.Errorf("found %s, want %s; %d versions", got, c.want, done.Versions)
			}
		})
	}
}

// TestSharedPartsStayUnderTheirKey: while versions share a list of parts, none of them is moved under
// another key; once only one is left, it can be. A version without parts is moved alone.
func TestSharedPartsStayUnderTheirKey(t *testing.T) {
	s := newScrubbing(t)
	key := s.newKey()
	small := s.again("large", s.large.ID)
	parts := s.again("parts", s.parts.ID)
	move := func(name, id string) error {
		g := s.grant(arn.Object("bkt", name), "s3:UpdateObjectEncryption")
		_, err := s.objects.UpdateEncryption(t.Context(), g, UpdateEncryptionInput{
			VersionInput: VersionInput{Bucket: "bkt", Key: name, VersionID: &id}, KeyARN: key,
		})
		return err
	}
	read := func(name, id, want string) {
		t.Helper()
		if _, text, err := s.get(GetInput{Key: name, VersionID: &id}); err != nil || text != want {
			t.Errorf("%s %s has %d bytes, want %d: %v", name, id, len(text), len(want), err)
		}
	}
	large, joined := strings.Repeat(long(), 12), long()+"inline"+long()
	if err := move("large", small); err != nil {
		t.Error(err)
	}
	wants(t, move("parts", parts), fault.KindInvalid, "InvalidRequest")
	for _, id := range []string{small, s.large.ID} {
		read("large", id, large)
	}
	read("parts", parts, joined)
	if _, err := s.delete(DeleteInput{Key: "parts", VersionID: &s.parts.ID}); err != nil {
		t.Fatal(err)
	}
	if err := move("parts", parts); err != nil {
		t.Error(err)
	}
	read("parts", parts, joined)
	if found, _ := s.scrub(ScrubInput{}); len(found) > 0 {
		t.Error(found)
	}
}
