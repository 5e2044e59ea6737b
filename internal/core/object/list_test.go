package object

import (
	"context"
	"fmt"
	"iter"
	"slices"
	"strings"
	"testing"
	"testing/synctest"

	"watertight/internal/access/arn"
	"watertight/internal/access/objectkey"
	"watertight/internal/core/bucket"
	"watertight/internal/core/change/coretest"
	"watertight/internal/fault"
	"watertight/internal/storage/digest"
	"watertight/internal/storage/kv"
)

// fill writes current pointers only, because a listing reads nothing else.
func (e *env) fill(n int, key func(int) string) {
	e.tb.Helper()
	e.edited = true
	b, err := e.buckets.Head(e.tb.Context(), e.grant(arn.Bucket("bkt"), "s3:ListBucket"), "bkt")
	if err != nil {
		e.tb.Fatal(err)
	}
	err = e.store.Update(e.tb.Context(), func(tx kv.Tx) error {
		for i := range n {
			v := sample()
			v.owner = ""
			tx.Set(slot{&b, key(i)}.pointer(), v.pointer())
		}
		return nil
	})
	if err != nil {
		e.tb.Fatal(err)
	}
}

func numbered(i int) string { return fmt.Sprintf("folder/sub/object-%06d", i) }

func TestListShowsEveryField(t *testing.T) {
	e := newEnv(t)
	v, err := e.put(PutInput{
		Key: "k", Body: strings.NewReader("text"), Size: 4, StorageClass: "ONEZONE_IA", Algorithm: digest.SHA1,
	})
	if err != nil {
		t.Fatal(err)
	}
	l, err := e.list(ListInput{})
	want := listed{"k", Entry{4, v.Modified, v.ETag, "ONEZONE_IA", coretest.Account, digest.SHA1, FullObject}}
	if err != nil || len(l.Entries) != 1 || l.Entries[0] != want || l.Truncated || l.Next != "" || l.Token != "" ||
		l.CommonPrefixes != nil {
		t.Errorf("%+v %v", l, err)
	}
}

func TestListPageSize(t *testing.T) {
	e := newEnv(t)
	e.fill(1001, numbered)
	for _, c := range []struct {
		max  *int
		want int
	}{
		{nil, 1000}, {ptr(0), 0}, {ptr(1), 1}, {ptr(100), 100}, {ptr(1000), 1000}, {ptr(1001), 1000},
		{ptr(1 << 40), 1000},
	} {
		t.Run(fmt.Sprint(c.want), func(t *testing.T) {
			l, err := e.list(ListInput{Max: c.max})
			if err != nil || len(l.Entries) != c.want || l.Truncated != (c.want > 0) ||
				(l.Token != "") != (c.want > 0) {
				t.Errorf("%d: %d, %v %v", c.want, len(l.Entries), l.Truncated, err)
			}
			for i, entry := range l.Entries {
				if entry.Key != numbered(i) {
					t.Fatalf("%d: %q", i, entry.Key)
				}
			}
			if c.want > 0 && l.Next != numbered(c.want-1) {
				t.Error(l.Next)
			}
		})
	}
	_, err := e.list(ListInput{Max: ptr(-1)})
	wants(t, err, fault.KindInvalid, "InvalidArgument", "ArgumentName", "max-keys")
	_, err = e.list(ListInput{Bucket: "missing", Max: ptr(0)})
	wants(t, err, fault.KindNotFound, "NoSuchBucket", "BucketName", "missing")
}

func TestListPageBorders(t *testing.T) {
	e := newEnv(t)
	for _, key := range []string{"a", "b/1", "b/2", "b0", "c/1", "c/2", "d"} {
		e.mustPut(key, "")
	}
	for name, c := range map[string]struct {
		in       ListInput
		keys     string
		prefixes string
		next     string
	}{
		"all":                       {ListInput{Delimiter: "/"}, "a b0 d", "b/ c/", ""},
		"border after a prefix":     {ListInput{Delimiter: "/", Max: ptr(2)}, "a", "b/", "b/"},
		"on from a prefix":          {ListInput{Delimiter: "/", Max: ptr(2), After: "b/"}, "b0", "c/", "c/"},
		"last of the keys":          {ListInput{Delimiter: "/", Max: ptr(1), After: "c/"}, "d", "", ""},
		"exactly full":              {ListInput{Delimiter: "/", Max: ptr(5)}, "a b0 d", "b/ c/", ""},
		"ends with a prefix, full":  {ListInput{Delimiter: "/", Prefix: "b", Max: ptr(2)}, "b0", "b/", ""},
		"marker in a prefix":        {ListInput{Delimiter: "/", After: "b/1"}, "b0 d", "c/", ""},
		"marker in a prefix, plain": {ListInput{After: "b/1"}, "b/2 b0 c/1 c/2 d", "", ""},
		"inside the prefix":         {ListInput{Delimiter: "/", Prefix: "b/"}, "b/1 b/2", "", ""},
		"marker before the prefix":  {ListInput{Prefix: "c", After: "a"}, "c/1 c/2", "", ""},
		"marker behind the prefix":  {ListInput{Prefix: "c", After: "d"}, "", "", ""},
		"long delimiter":            {ListInput{Delimiter: "/2"}, "a b/1 b0 c/1 d", "b/2 c/2", ""},
		"delimiter that never is": {
			ListInput{Delimiter: strings.Repeat("x", 2000)}, "a b/1 b/2 b0 c/1 c/2 d", "", "",
		},
		"no such prefix":           {ListInput{Prefix: "x"}, "", "", ""},
		"prefix longer than a key": {ListInput{Prefix: strings.Repeat("a", 5000)}, "", "", ""},
		"prefix that is no text":   {ListInput{Prefix: "\xff\xff"}, "", "", ""},
		"marker that is no text":   {ListInput{After: "\xff\xff", Delimiter: "\xff"}, "", "", ""},
		"long marker":              {ListInput{After: "c" + strings.Repeat("\xff", 5000)}, "d", "", ""},
	} {
		t.Run(name, func(t *testing.T) {
			l, err := e.list(c.in)
			var keys []string
			for _, entry := range l.Entries {
				keys = append(keys, entry.Key)
			}
			if err != nil || strings.Join(keys, " ") != c.keys || strings.Join(l.CommonPrefixes, " ") != c.prefixes ||
				l.Next != c.next || l.Truncated != (c.next != "") {
				t.Errorf("%s: %q %q %q %v", name, keys, l.CommonPrefixes, l.Next, err)
			}
		})
	}
}

func TestListFromALongMarker(t *testing.T) {
	e := newEnv(t)
	key := strings.Repeat("x", objectkey.Max)
	e.mustPut(key, "")
	for after, n := range map[string]int{
		key[1:]: 1, key: 0, key + "x": 0, key + "\x00": 0, key[1:] + "yy": 0, key[1:] + "ww": 1,
	} {
		t.Run(fmt.Sprintf("%.60s", after), func(t *testing.T) {
			if l, err := e.list(ListInput{After: after}); err != nil || len(l.Entries) != n {
				t.Errorf("after %d bytes ending in %q: %d %v", len(after), after[len(after)-2:], len(l.Entries), err)
			}
		})
	}
}

func TestListTokens(t *testing.T) {
	e := newEnv(t)
	e.makeBucket("other")
	e.fill(3, numbered)
	l, err := e.list(ListInput{Max: ptr(1)})
	if err != nil {
		t.Fatal(err)
	}
	next, err := e.list(ListInput{Token: &l.Token, After: "zzz"}) // the token wins
	if err != nil || len(next.Entries) != 2 || next.Entries[0].Key != numbered(1) {
		t.Errorf("%+v %v", next, err)
	}
	for _, c := range []ListInput{
		{Token: ptr("")}, {Token: ptr("garbage")}, {Token: ptr(l.Token[1:])}, {Token: ptr(l.Token + "A")},
		{Bucket: "other", Token: &l.Token},
	} {
		_, err := e.list(c)
		wants(t, err, fault.KindInvalid, "InvalidArgument", "ArgumentName", "continuation-token")
	}
}

// counting counts the records a listing looks at.
type counting struct {
	kv.Store
	seen int
}

func (c *counting) View(ctx context.Context, fn func(kv.Reader) error) error {
	return c.Store.View(ctx, func(r kv.Reader) error { return fn(&countingReader{r, c}) })
}

type countingReader struct {
	kv.Reader
	c *counting
}

func (r *countingReader) Scan(from, to []byte) iter.Seq2[kv.Pair, error] {
	return func(yield func(kv.Pair, error) bool) {
		for p, err := range r.Reader.Scan(from, to) {
			r.c.seen++
			if !yield(p, err) {
				return
			}
		}
	}
}

func TestListSkipsWhatACommonPrefixHolds(t *testing.T) {
	e := newEnv(t)
	e.fill(3000, func(i int) string { return fmt.Sprintf("%d/%04d", i%3, i) })
	c := &counting{Store: e.store}
	e.objects.store = c
	l, err := e.list(ListInput{Delimiter: "/"})
	if err != nil || !slices.Equal(l.CommonPrefixes, []string{"0/", "1/", "2/"}) || c.seen != 3 {
		t.Errorf("%q after %d records: %v", l.CommonPrefixes, c.seen, err)
	}
}

// TestVersionsOfOneInstant: versions of the same instant keep the order of their commits. (In a
// synctest bubble the clock stands still.)
func TestVersionsOfOneInstant(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := newEnv(t)
		e.versioning(bucket.Enabled)
		names := map[string]string{}
		for _, text := range []string{"a", "b", "c"} {
			names[e.mustPut("k", text).ID] = text
		}
		if got := e.versions(names, "k"); got != "c=c, b=b, a=a" {
			t.Error(got)
		}
	})
}

func TestNullVersionHasNoOtherName(t *testing.T) {
	e := newEnv(t)
	e.mustPut("k", "text")
	b, err := e.buckets.Head(t.Context(), e.grant(arn.Bucket("bkt"), "s3:ListBucket"), "bkt")
	if err != nil {
		t.Fatal(err)
	}
	v := allVersions(e, slot{&b, "k"})[0]
	v.null = false
	_, _, err = e.get(GetInput{Key: "k", VersionID: ptr(v.id())})
	wants(t, err, fault.KindNotFound, "NoSuchVersion")
}

func unread([]byte, *Entry) error { return nil }

func BenchmarkList(b *testing.B) {
	e := newEnv(b)
	e.fill(1001, numbered)
	g := e.grant(arn.Bucket("bkt"), "s3:ListBucket")
	b.ReportAllocs()
	for b.Loop() {
		if l, err := e.objects.List(b.Context(), g, ListInput{Bucket: "bkt"}, unread); err != nil || l.Count != 1000 {
			b.Fatal(err)
		}
	}
}

// BenchmarkScan measures the store's part of a listing.
func BenchmarkScan(b *testing.B) {
	e := newEnv(b)
	e.fill(1001, numbered)
	b.ReportAllocs()
	for b.Loop() {
		e.refs("c/")
	}
}

func BenchmarkPut(b *testing.B) {
	e := newEnv(b)
	g := e.grant(arn.Object("bkt", "k"), "s3:PutObject")
	text := strings.Repeat("x", 1024)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := e.objects.Put(b.Context(), g, PutInput{
			Bucket: "bkt", Key: "k", Body: strings.NewReader(text), Size: 1024,
		}); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkGet(b *testing.B) {
	e := newEnv(b)
	e.mustPut("k", strings.Repeat("x", 1024))
	g := e.grant(arn.Object("bkt", "k"), "s3:GetObject")
	b.ReportAllocs()
	for b.Loop() {
		r, err := e.objects.Get(b.Context(), g, GetInput{Bucket: "bkt", Key: "k"})
		if err != nil {
			b.Fatal(err)
		}
		r.Body.Close()
	}
}

func BenchmarkHead(b *testing.B) {
	e := newEnv(b)
	e.mustPut("k", strings.Repeat("x", 1024))
	g := e.grant(arn.Object("bkt", "k"), "s3:GetObject")
	b.ReportAllocs()
	for b.Loop() {
		if _, err := e.objects.Head(b.Context(), g, GetInput{Bucket: "bkt", Key: "k"}); err != nil {
			b.Fatal(err)
		}
	}
}
