package object

import (
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"

	"watertight/internal/access/arn"
	"watertight/internal/access/authz"
	"watertight/internal/core/bucket"
	"watertight/internal/core/change/coretest"
	"watertight/internal/fault"
	"watertight/internal/storage/digest"
)

// shown formats a page: key, content of the version, * for the latest.
func (e *env) shown(names map[string]string, in ListVersionsInput) string {
	e.tb.Helper()
	l, err := e.listVersions(in)
	if err != nil {
		return string(fault.From(err).Code)
	}
	var all []string
	for _, v := range l.Entries {
		text := v.Key + "=" + names[v.ID]
		if v.Latest {
			text += "*"
		}
		all = append(all, text)
	}
	return strings.Join(append(all, l.CommonPrefixes...), " ")
}

func TestListVersionsShowsEveryField(t *testing.T) {
	e := newEnv(t)
	e.versioning(bucket.Enabled)
	v, err := e.put(PutInput{
		Key: "k", Body: strings.NewReader("text"), Size: 4, StorageClass: "ONEZONE_IA", Algorithm: digest.SHA1,
	})
	if err != nil {
		t.Fatal(err)
	}
	d, err := e.delete(DeleteInput{Key: "k"})
	if err != nil {
		t.Fatal(err)
	}
	l, err := e.listVersions(ListVersionsInput{})
	if err != nil || len(l.Entries) != 2 || l.Truncated || l.NextKey != "" || l.NextVersionID != "" ||
		l.CommonPrefixes != nil {
		t.Fatalf("%+v %v", l, err)
	}
	marker := l.Entries[0]
	want := listedVersion{
		listed{"k", Entry{Modified: marker.Modified, StorageClass: "STANDARD", Owner: coretest.Account}},
		d.MarkerID, true, true,
	}
	if marker != want || marker.Modified.IsZero() {
		t.Errorf("%+v", marker)
	}
	want = listedVersion{
		listed{"k", Entry{4, v.Modified, v.ETag, "ONEZONE_IA", coretest.Account, digest.SHA1, FullObject}},
		v.ID, false, false,
	}
	if l.Entries[1] != want {
		t.Errorf("%+v", l.Entries[1])
	}
}

func TestListVersionsMarkers(t *testing.T) {
	e := newEnv(t)
	names := map[string]string{}
	e.mustPut("a", "null")
	e.versioning(bucket.Enabled)
	ids := map[string]string{}
	for _, s := range []string{"a 1", "a 2", "b/1 1", "b/2 1", "c 1", "c 2"} {
		key, text, _ := strings.Cut(s, " ")
		id := e.mustPut(key, text).ID
		ids[s], names[id] = id, text
	}
	names[NullVersion] = "null"
	for i, c := range []struct {
		in   ListVersionsInput
		want string
	}{
		{ListVersionsInput{}, "a=2* a=1 a=null b/1=1* b/2=1* c=2* c=1"},
		{ListVersionsInput{KeyMarker: "a"}, "b/1=1* b/2=1* c=2* c=1"},
		{ListVersionsInput{KeyMarker: "a", VersionIDMarker: ptr(ids["a 2"])}, "a=1 a=null b/1=1* b/2=1* c=2* c=1"},
		{ListVersionsInput{KeyMarker: "a", VersionIDMarker: ptr(NullVersion)}, "b/1=1* b/2=1* c=2* c=1"},
		{ListVersionsInput{KeyMarker: "c", VersionIDMarker: ptr(NullVersion)}, "c=2* c=1"}, // no such version
		{ListVersionsInput{KeyMarker: "c", VersionIDMarker: ptr(ids["c 1"])}, ""},
		// another key's
		{ListVersionsInput{KeyMarker: "b", VersionIDMarker: ptr(ids["a 1"])}, "b/1=1* b/2=1* c=2* c=1"},
		{ListVersionsInput{KeyMarker: "a\x00z"}, "b/1=1* b/2=1* c=2* c=1"},
		{ListVersionsInput{KeyMarker: "a\x00z", VersionIDMarker: ptr(ids["a 2"])}, "b/1=1* b/2=1* c=2* c=1"},
		{ListVersionsInput{KeyMarker: "\x00"}, "a=2* a=1 a=null b/1=1* b/2=1* c=2* c=1"},
		{ListVersionsInput{Delimiter: "/"}, "a=2* a=1 a=null c=2* c=1 b/"},
		{ListVersionsInput{Delimiter: "/", KeyMarker: "b/"}, "c=2* c=1"},
		{ListVersionsInput{Delimiter: "/", KeyMarker: "b/1", VersionIDMarker: ptr(ids["b/1 1"])}, "c=2* c=1"},
		{ListVersionsInput{Prefix: "b/", Delimiter: "/", KeyMarker: "b/1"}, "b/2=1*"},
		{ListVersionsInput{Prefix: "a\x00"}, ""},
		{ListVersionsInput{Delimiter: "\x00"}, "a=2* a=1 a=null b/1=1* b/2=1* c=2* c=1"},
		{ListVersionsInput{Prefix: "\xff"}, ""},
		{ListVersionsInput{Prefix: strings.Repeat("a", 5000)}, ""},
		{ListVersionsInput{KeyMarker: "b" + strings.Repeat("z", 5000)}, "c=2* c=1"},
		{ListVersionsInput{Prefix: "a", KeyMarker: "b"}, ""},
		{ListVersionsInput{Max: ptr(0)}, ""},
		{ListVersionsInput{Max: ptr(-1)}, "InvalidArgument"},
		{ListVersionsInput{VersionIDMarker: ptr(NullVersion)}, "InvalidArgument"},
		{ListVersionsInput{KeyMarker: "a", VersionIDMarker: ptr("")}, "InvalidArgument"},
		{ListVersionsInput{KeyMarker: "a", VersionIDMarker: ptr("nonsense")}, "InvalidArgument"},
	} {
		t.Run(fmt.Sprint(i), func(t *testing.T) {
			if got := e.shown(names, c.in); got != c.want {
				t.Errorf("%+v: %q, want %q", c.in, got, c.want)
			}
		})
	}
	// The marker's version may be removed between two pages.
	for _, id := range []string{ids["a 2"], ids["c 2"]} {
		if _, err := e.delete(DeleteInput{
			Key: map[string]string{ids["a 2"]: "a", ids["c 2"]: "c"}[id], VersionID: &id,
		}); err != nil {
			t.Fatal(err)
		}
	}
	if got := e.shown(names, ListVersionsInput{KeyMarker: "c", VersionIDMarker: ptr(ids["c 2"])}); got != "c=1*" {
		t.Error(got)
	}
	for _, g := range []authz.Grant{
		{}, e.grant(arn.Bucket("bkt"), "s3:ListBucket"), e.grant(arn.Bucket("other"), "s3:ListBucketVersions"),
	} {
		_, err := e.objects.ListVersions(t.Context(), g, ListVersionsInput{Bucket: "bkt"}, nil)
		wants(t, err, fault.KindDenied, "AccessDenied")
	}
}

func TestListVersionsReadsNoMoreThanAPage(t *testing.T) {
	e := newEnv(t)
	e.versioning(bucket.Enabled)
	for i := range 60 {
		e.mustPut(fmt.Sprintf("%d/%02d", i%3, i), "")
		e.mustPut(fmt.Sprintf("%d/%02d", i%3, i), "")
	}
	c := &counting{Store: e.store}
	e.objects.store = c
	l, err := e.listVersions(ListVersionsInput{Delimiter: "/"})
	if err != nil || !slices.Equal(l.CommonPrefixes, []string{"0/", "1/", "2/"}) || c.seen != 3 {
		t.Errorf("%q after %d records: %v", l.CommonPrefixes, c.seen, err)
	}
	c.seen = 0
	l, err = e.listVersions(ListVersionsInput{Max: ptr(5)})
	if err != nil || len(l.Entries) != 5 || !l.Truncated || c.seen != 6 {
		t.Errorf("%d entries after %d records: %v", len(l.Entries), c.seen, err)
	}
}

func TestListVersionsOfADamagedRecord(t *testing.T) {
	for name, b := range map[string][]byte{"torn": {1, 0x0a, 9}, "of another format": {9}, "empty": {}} {
		t.Run(name, func(t *testing.T) {
			if err := new(VersionEntry).decode(b, new(bucket.Bucket)); !fault.Is(err, "InternalError") {
				t.Errorf("%s: %v", name, err)
			}
		})
	}
}

// TestStateTurnsUnderWrites: each write is stored by the versioning state at its commit, and the
// invariants of versions hold.
func TestStateTurnsUnderWrites(t *testing.T) {
	e := newEnv(t)
	var group sync.WaitGroup
	ids := make([][]string, 4)
	for i := range ids {
		group.Go(func() {
			for range 25 {
				v, err := e.put(PutInput{Key: "k", Body: strings.NewReader("text"), Size: 4})
				if err != nil {
					t.Error(err)
					return
				}
				ids[i] = append(ids[i], v.ID)
			}
		})
	}
	group.Go(func() {
		for i := range 20 {
			e.versioning([]bucket.Versioning{bucket.Enabled, bucket.Suspended}[i%2])
		}
	})
	group.Wait()
	want := map[string]bool{}
	for _, id := range slices.Concat(ids...) {
		want[id] = true
	}
	l, err := e.listVersions(ListVersionsInput{})
	if err != nil || len(l.Entries) != len(want) {
		t.Fatalf("%d versions, want %d: %v", len(l.Entries), len(want), err)
	}
	for i, v := range l.Entries {
		if !want[v.ID] || v.Latest != (i == 0) {
			t.Errorf("version %d is %s, latest %v", i, v.ID, v.Latest)
		}
		delete(want, v.ID)
	}
	if r, _, err := e.get(GetInput{Key: "k"}); err != nil || r.ID != l.Entries[0].ID {
		t.Errorf("the current version is another one: %v", err)
	}
}
