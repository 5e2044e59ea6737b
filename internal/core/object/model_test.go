package object

import (
	"bytes"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"watertight/internal/access/arn"
	"watertight/internal/core/bucket"
	"watertight/internal/core/change/record"
	"watertight/internal/core/payload"
	"watertight/internal/core/tag"
	"watertight/internal/fault"
	"watertight/internal/storage/kv"
	"watertight/test/s3model"
)

// allVersions reads the records of a key's versions, newest first.
func allVersions(e *env, k slot) (all []*version) {
	e.tb.Helper()
	err := e.store.View(e.tb.Context(), func(r kv.Reader) error {
		for p, err := range r.Scan(k.versions(), record.After(k.versions())) {
			if err != nil {
				return err
			}
			v, err := decodeVersion(bytes.Clone(p.Value))
			if err != nil {
				return err
			}
			all = append(all, v)
		}
		return nil
	})
	if err != nil {
		e.tb.Fatal(err)
	}
	return all
}

// model is the expected content of the bucket.
type model struct {
	*env
	*s3model.Bucket
	key string // of KMS
	off bool   // the key is disabled
}

// encryptions returns some ways to write, in the order in which they are drawn.
func (m *model) encryptions() []Encryption {
	on := true
	return []Encryption{
		{}, {Customer: ownKey(7)}, {Algorithm: "aws:kms", KeyID: m.key}, {Algorithm: "aws:kms:dsse", KeyID: m.key},
		{Algorithm: "aws:kms", KeyID: m.key, BucketKey: &on},
	}
}

// encrypted returns an encryption in the form that the model keeps.
func encrypted(e Encrypted) string { return fmt.Sprintf("%+v", e) }

// want returns the expected result of a write with an encryption.
func (m *model) want(e Encryption) Encrypted {
	switch {
	case e.Customer.Given():
		return Encrypted{CustomerKey: true}
	case e.Algorithm == "":
		return Encrypted{Encryption: bucket.AES256}
	case e.Algorithm == "aws:kms":
		return Encrypted{Encryption: bucket.KMS, Key: m.key, BucketKey: e.BucketKey != nil}
	default:
		return Encrypted{Encryption: bucket.DSSE, Key: m.key}
	}
}

// locked reports whether a version is under a key that can't be used now.
func (m *model) locked(encryption string) bool { return m.off && strings.Contains(encryption, m.key) }

// turnKey disables or enables the key.
func (m *model) turnKey(t *rapid.T) {
	a, err := arn.Parse(m.key)
	if err == nil && m.off {
		err = m.kms.EnableKey(m.tb.Context(), m.grant(a, "kms:EnableKey"), m.key)
	} else if err == nil {
		err = m.kms.DisableKey(m.tb.Context(), m.grant(a, "kms:DisableKey"), m.key)
	}
	if err != nil {
		t.Fatal(err)
	}
	m.off = !m.off
}

func drawKey(t *rapid.T) string {
	return rapid.StringOfN(rapid.SampledFrom([]rune{'a', 'b', '/', '\x01', 'é', '\U0010FFFF'}), 1, 4, -1).Draw(t, "key")
}

func (m *model) put(t *rapid.T) {
	key, text := drawKey(t), rapid.SampledFrom([]string{"", "tiny", long()}).Draw(t, "text")
	tags, how := drawTags(t), rapid.SampledFrom(m.encryptions()).Draw(t, "encryption")
	want := m.want(how)
	v, err := m.env.put(PutInput{
		Key: key, Body: strings.NewReader(text), Size: int64(len(text)), Tags: tags, Encryption: how,
	})
	if m.locked(encrypted(want)) {
		if !fault.Is(err, fault.DisabledException) {
			t.Fatal(err)
		}
		return
	}
	if err != nil || v.Encrypted != want {
		t.Fatal(v.Encrypted, err)
	}
	if (v.ID == NullVersion) == (m.State == bucket.Enabled) {
		t.Fatalf("id %q in state %d", v.ID, m.State)
	}
	m.Put(key, s3model.Version{ID: v.ID, Text: text, Tags: fmt.Sprint(tags), Encryption: encrypted(want)})
}

func drawTags(t *rapid.T) (tags tag.Set) {
	for i := range rapid.IntRange(0, 2).Draw(t, "tags") {
		tags = append(tags, tag.Tag{
			Key: fmt.Sprint("k", i), Value: rapid.SampledFrom([]string{"", "v"}).Draw(t, "value"),
		})
	}
	return tags
}

// any draws a key, most often one with versions, and the index of one of them, -1 for the current
// one.
func (m *model) any(t *rapid.T) (key string, i int) {
	key, i = drawKey(t), -1
	if all := slices.Sorted(maps.Keys(m.Keys)); len(all) > 0 && rapid.IntRange(0, 9).Draw(t, "existing") > 0 {
		key = rapid.SampledFrom(all).Draw(t, "of")
	}
	if n := len(m.Keys[key]); n > 0 {
		i = rapid.IntRange(-1, n-1).Draw(t, "version")
	}
	return key, i
}

// tag puts or deletes the tags of a version.
func (m *model) tag(t *rapid.T) {
	key, i := m.any(t)
	in := VersionInput{Bucket: "bkt", Key: key}
	if i >= 0 {
		in.VersionID = &m.Keys[key][i].ID
	}
	tags := drawTags(t)
	g := m.grant(arn.Object("bkt", key), "s3:PutObjectTagging", "s3:PutObjectVersionTagging", "s3:DeleteObjectTagging",
		"s3:DeleteObjectVersionTagging")
	var v Version
	var err error
	if len(tags) > 0 {
		v, err = m.objects.PutTags(m.tb.Context(), g, in, tags)
	} else {
		v, err = m.objects.DeleteTags(m.tb.Context(), g, in)
	}
	i = max(i, 0)
	switch {
	case len(m.Keys[key]) == 0:
		if !fault.Is(err, "NoSuchKey") {
			t.Fatal(err)
		}
	case m.Keys[key][i].Marker:
		if !fault.Is(err, "MethodNotAllowed") {
			t.Fatal(err)
		}
	default:
		if err != nil || v.ID != m.Keys[key][i].ID || fmt.Sprint(v.Tags) != fmt.Sprint(tags) {
			t.Fatal(v, err)
		}
		m.Keys[key][i].Tags = fmt.Sprint(tags)
	}
}

// lines returns rows to compare: key, id and kind.
func lines(rows []s3model.Row) (out []string) {
	for _, r := range rows {
		if r.Version == nil {
			out = append(out, r.Key)
			continue
		}
		out = append(out, fmt.Sprint(r.Key, " ", r.Version.ID, " ", r.Version.Marker, " ", r.Latest))
	}
	return out
}

// versionListing compares all pages of a listing of versions with the model.
func (m *model) versionListing(t *rapid.T) {
	part := rapid.StringOfN(rapid.SampledFrom([]rune{'a', 'b', '/', 'é'}), 0, 2, -1)
	in := ListVersionsInput{
		Prefix:    part.Draw(t, "prefix"),
		Delimiter: rapid.SampledFrom([]string{"", "/", "a", "/a", "é", "\xc3"}).Draw(t, "delimiter"),
		KeyMarker: part.Draw(t, "after"),
		Max:       ptr(rapid.IntRange(1, 4).Draw(t, "max")),
	}
	if key, i := m.any(t); i >= 0 {
		in.KeyMarker, in.VersionIDMarker = key, &m.Keys[key][i].ID
	}
	want := lines(m.Versions(s3model.List{
		Prefix: in.Prefix, Delimiter: in.Delimiter, After: in.KeyMarker, VersionID: in.VersionIDMarker,
	}))
	var got []string
	for {
		l, err := m.listVersions(in)
		if err != nil || l.Truncated != (l.NextKey != "") || len(l.Entries)+len(l.CommonPrefixes) > *in.Max {
			t.Fatalf("%+v %v", l, err)
		}
		var page []string
		entries, common := l.Entries, l.CommonPrefixes
		for len(entries)+len(common) > 0 { // sorted by key, versions of one key in the listing's order
			if len(common) == 0 || len(entries) > 0 && entries[0].Key < common[0] {
				e := entries[0]
				page, entries = append(page,
					fmt.Sprint(e.Key, " ", e.ID, " ", e.DeleteMarker, " ", e.Latest)), entries[1:]
			} else {
				page, common = append(page, common[0]), common[1:]
			}
		}
		got = append(got, page...)
		if !l.Truncated {
			break
		}
		if len(got) >= len(want) {
			t.Fatalf("%+v: more than %q: %q", in, want, got)
		}
		in.KeyMarker, in.VersionIDMarker = l.NextKey, nil
		if l.NextVersionID != "" {
			in.VersionIDMarker = &l.NextVersionID
		}
	}
	if !slices.Equal(got, want) {
		t.Fatalf("%+v: %q, want %q", in, got, want)
	}
}

func (m *model) remove(t *rapid.T) {
	key := drawKey(t)
	d, err := m.delete(DeleteInput{Key: key})
	if err != nil || d.DeleteMarker != (m.State != bucket.Off) {
		t.Fatal(d, err)
	}
	m.Delete(key, d.MarkerID)
}

func (m *model) removeVersion(t *rapid.T) {
	key := drawKey(t)
	if all := slices.Sorted(maps.Keys(m.Keys)); len(all) > 0 && rapid.Bool().Draw(t, "existing") {
		key = rapid.SampledFrom(all).Draw(t, "of")
	}
	id := NullVersion
	if n := len(m.Keys[key]); n > 0 {
		id = m.Keys[key][rapid.IntRange(0, n-1).Draw(t, "version")].ID
	}
	if d, err := m.delete(DeleteInput{Key: key, VersionID: &id}); err != nil || d.VersionID != id {
		t.Fatal(d, err)
	}
	m.DeleteVersion(key, id)
}

func (m *model) turn(t *rapid.T) {
	m.State = rapid.SampledFrom([]bucket.Versioning{bucket.Enabled, bucket.Suspended}).Draw(t, "state")
	m.versioning(m.State)
}

// listing compares all pages of a listing with the model.
func (m *model) listing(t *rapid.T) {
	part := rapid.StringOfN(rapid.SampledFrom([]rune{'a', 'b', '/', 'é'}), 0, 2, -1)
	in := ListInput{
		Prefix:    part.Draw(t, "prefix"),
		Delimiter: rapid.SampledFrom([]string{"", "/", "a", "/a", "é", "\xc3"}).Draw(t, "delimiter"),
		After:     part.Draw(t, "after"),
		Max:       ptr(rapid.IntRange(1, 4).Draw(t, "max")),
	}
	var want []string
	for _, r := range m.Objects(s3model.List{Prefix: in.Prefix, Delimiter: in.Delimiter, After: in.After}) {
		want = append(want, r.Key)
	}
	byToken := rapid.Bool().Draw(t, "by token")
	var got []string
	for {
		l, err := m.list(in)
		if err != nil || l.Truncated != (l.Next != "") || l.Truncated != (l.Token != "") ||
			len(l.Entries)+len(l.CommonPrefixes) > *in.Max {
			t.Fatalf("%+v %v", l, err)
		}
		var page []string
		for _, e := range l.Entries {
			page = append(page, e.Key)
		}
		page = append(page, l.CommonPrefixes...)
		slices.Sort(page)
		got = append(got, page...)
		if !l.Truncated {
			break
		}
		if len(got) >= len(want) {
			t.Fatalf("%+v: more than %q: %q", in, want, got)
		}
		if in.After = l.Next; byToken {
			in.Token, in.After = &l.Token, ""
		}
	}
	if !slices.Equal(got, want) {
		t.Fatalf("%+v: %q, want %q", in, got, want)
	}
}

// reads reads a version.
func (m *model) reads(t *rapid.T, key string, want *s3model.Version) {
	in := GetInput{Key: key, VersionID: &want.ID}
	if want.Encryption == encrypted(Encrypted{CustomerKey: true}) {
		in.Customer = ownKey(7)
	}
	r, text, err := m.get(in)
	if m.locked(want.Encryption) {
		if !fault.Is(err, fault.DisabledException) {
			t.Fatalf("%q version %s under a disabled key: %q %v", key, want.ID, text, err)
		}
		return
	}
	if err != nil || text != want.Text || r.ID != want.ID || fmt.Sprint(r.Tags) != want.Tags ||
		encrypted(r.Encrypted) != want.Encryption {
		t.Fatalf("%q version %s: %q %v", key, want.ID, text, err)
	}
}

// check compares every version, and checks that records and blobs match.
func (m *model) check(t *rapid.T) {
	b, err := m.buckets.Head(m.tb.Context(), m.grant(arn.Bucket("bkt"), "s3:ListBucket"), "bkt")
	if err != nil {
		t.Fatal(err)
	}
	inline, blobs, total := 0, 0, 0
	for key, want := range m.Keys {
		all := allVersions(m.env, slot{&b, key})
		if len(all) != len(want) {
			t.Fatalf("%q has %d versions, want %d", key, len(all), len(want))
		}
		for i, v := range all {
			total++
			if v.id() != want[i].ID || v.deleteMarker != want[i].Marker || i > 0 && v.seq >= all[i-1].seq {
				t.Fatalf("%q version %d is %s, want %+v", key, i, v.id(), want[i])
			}
			if v.deleteMarker {
				continue
			}
			m.reads(t, key, &want[i])
			if len(want[i].Text) > payload.InlineMax {
				blobs++
			} else {
				inline++
			}
		}
	}
	names := m.payloads.settled(m.tb)
	counts := []int{m.refs("v/"), m.refs("d/"), m.refs("r/"), len(names), m.refs("c/")}
	if !slices.Equal(counts, []int{total, inline, blobs, blobs, len(m.Objects(s3model.List{}))}) {
		t.Fatalf("records and blobs %v, want %v", counts, []int{
			total, inline, blobs, blobs, len(m.Objects(s3model.List{})),
		})
	}
	live, err := m.objects.Referenced(m.tb.Context(), append(names, "unknown"))
	if err != nil || slices.Contains(live[:len(names)], false) || live[len(names)] {
		t.Fatal(live, err)
	}
}

func TestModel(t *testing.T) {
	rapid.Check(t, func(r *rapid.T) {
		m := &model{env: newEnv(t), Bucket: s3model.New()}
		m.key = m.newKey()
		actions := map[string]func(*rapid.T){
			"put": m.put, "put again": m.put, "delete": m.remove, "delete version": m.removeVersion, "list": m.listing,
			"list versions": m.versionListing, "tag": m.tag, "key": m.turnKey, "": m.check,
		}
		if rapid.Bool().Draw(r, "versions") {
			actions["turn"] = m.turn
		}
		r.Repeat(actions)
	})
}
