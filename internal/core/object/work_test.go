package object

import (
	"context"
	"flag"
	"fmt"
	"iter"
	"strings"
	"testing"

	"watertight/internal/access/arn"
	"watertight/internal/core/bucket"
	"watertight/internal/storage/kv"
)

var deep = flag.Int("deep", 10_000, "objects under the listings whose work is counted")

// work counts what a request asks of the store: seeks, and records that it reads.
type work struct {
	kv.Store
	seeks, records int
}

func (w *work) View(ctx context.Context, fn func(kv.Reader) error) error {
	return w.Store.View(ctx, func(r kv.Reader) error { return fn(&workReader{r, w}) })
}

func (w *work) Update(ctx context.Context, fn func(kv.Tx) error) error {
	return w.Store.Update(ctx, func(tx kv.Tx) error { return fn(&workTx{tx, &workReader{tx, w}}) })
}

type workReader struct {
	kv.Reader
	w *work
}

func (r *workReader) Get(key []byte) ([]byte, error) {
	r.w.seeks++
	v, err := r.Reader.Get(key)
	if v != nil {
		r.w.records++
	}
	return v, err
}

func (r *workReader) Scan(from, to []byte) iter.Seq2[kv.Pair, error] {
	r.w.seeks++
	return func(yield func(kv.Pair, error) bool) {
		for p, err := range r.Reader.Scan(from, to) {
			r.w.records++
			if !yield(p, err) {
				return
			}
		}
	}
}

type workTx struct {
	kv.Tx
	r *workReader
}

func (t *workTx) Get(key []byte) ([]byte, error)                 { return t.r.Get(key) }
func (t *workTx) Scan(from, to []byte) iter.Seq2[kv.Pair, error] { return t.r.Scan(from, to) }

// counted returns an env that counts the work of requests after fill has written.
func counted(t *testing.T, fill func(*env, *bucket.Bucket)) (*env, *work) {
	t.Helper()
	e := newEnv(t)
	e.versioning(bucket.Enabled)
	b, err := e.buckets.Head(t.Context(), e.grant(arn.Bucket("bkt"), "s3:ListBucket"), "bkt")
	if err != nil {
		t.Fatal(err)
	}
	fill(e, &b)
	w := &work{Store: e.store}
	e.buckets = bucket.New(w, "us-east-1", nil)
	e.objects = New(w, e.payloads, e.buckets, nil)
	return e, w
}

// most fails the test if fn does more work than this, or none.
func (w *work) most(t *testing.T, what string, seeks, records int, fn func() error) {
	t.Helper()
	w.seeks, w.records = 0, 0
	if err := fn(); err != nil {
		t.Fatalf("%s: %v", what, err)
	}
	if w.seeks > seeks || w.records > records || w.seeks == 0 {
		t.Errorf("%s: %d seeks and %d records, want at most %d and %d", what, w.seeks, w.records, seeks, records)
	}
}

// bucketRecord is the work that every request has in addition: reading the bucket's record.
const bucketRecord = 1

// pageWork is a page and its maximal work. Pages of objects and of versions differ if there are
// delete markers.
type pageWork struct {
	name     string
	in       ListInput
	objects  [2]int // entries and common prefixes
	versions [2]int
	seeks    int // of the page of objects
}

// TestListingWork: for any number of keys, versions and delete markers, a page reads at most one
// record more than it has lines, and seeks at most once more than it has common prefixes.
func TestListingWork(t *testing.T) {
	spread := func(i int) string { return fmt.Sprintf("%03d/%06d", i%1000, i) }
	middle := numbered(*deep / 2)
	for name, c := range map[string]struct {
		fill  func(*env, *bucket.Bucket)
		pages []pageWork
	}{
		"all keys in one prefix": {objects(*deep, numbered), []pageWork{
			{"delimiter", ListInput{Delimiter: "/"}, [2]int{0, 1}, [2]int{0, 1}, 2},
			{"deeper", ListInput{Prefix: "folder/", Delimiter: "/"}, [2]int{0, 1}, [2]int{0, 1}, 2},
			{"after it", ListInput{Delimiter: "/", After: "folder/"}, [2]int{}, [2]int{}, 1},
			{"inside it", ListInput{Delimiter: "/", After: middle}, [2]int{}, [2]int{}, 1},
			{"a page", ListInput{}, [2]int{1000, 0}, [2]int{1000, 0}, 1},
			{"from the middle", ListInput{After: middle}, [2]int{1000, 0}, [2]int{1000, 0}, 1},
			{"the last one", ListInput{Prefix: numbered(*deep - 1)}, [2]int{1, 0}, [2]int{1, 0}, 1},
			{"ten", ListInput{Max: ptr(10)}, [2]int{10, 0}, [2]int{10, 0}, 1},
		}},
		"a thousand prefixes": {objects(*deep, spread), []pageWork{
			{"delimiter", ListInput{Delimiter: "/"}, [2]int{0, 1000}, [2]int{0, 1000}, 1001},
			{"ten", ListInput{Delimiter: "/", Max: ptr(10)}, [2]int{0, 10}, [2]int{0, 10}, 11},
		}},
		"delete markers": {markers(*deep), []pageWork{
			{"a page", ListInput{}, [2]int{}, [2]int{1000, 0}, 1},
			{"delimiter", ListInput{Delimiter: "/"}, [2]int{}, [2]int{0, 1}, 1},
		}},
		"versions of one key": {versions(*deep), []pageWork{
			{"a page", ListInput{}, [2]int{1, 0}, [2]int{1000, 0}, 1},
			{"after it", ListInput{After: "k"}, [2]int{}, [2]int{}, 1},
		}},
	} {
		e, w := counted(t, c.fill)
		for _, p := range c.pages {
			t.Run(name+"/"+p.name, func(t *testing.T) {
				w.most(t, "objects", bucketRecord+p.seeks, bucketRecord+p.objects[0]+p.objects[1]+1, func() error {
					l, err := e.list(p.in)
					if got := [2]int{len(l.Entries), len(l.CommonPrefixes)}; got != p.objects {
						t.Errorf("objects and common prefixes: %d, want %d", got, p.objects)
					}
					return err
				})
				w.most(t, "versions", bucketRecord+p.versions[1]+1, bucketRecord+p.versions[0]+p.versions[1]+1,
					func() error {
						l, err := e.listVersions(ListVersionsInput{
							Prefix: p.in.Prefix, Delimiter: p.in.Delimiter, KeyMarker: p.in.After, Max: p.in.Max,
						})
						if got := [2]int{len(l.Entries), len(l.CommonPrefixes)}; got != p.versions {
							t.Errorf("versions and common prefixes: %d, want %d", got, p.versions)
						}
						return err
					})
			})
		}
	}
}

// versions writes n versions of one key.
func versions(n int) func(*env, *bucket.Bucket) {
	return func(e *env, b *bucket.Bucket) {
		k := slot{b, "k"}
		e.write(n, func(tx kv.Tx, i int) {
			v := sample()
			v.blob, v.inline, v.etag.Parts, v.seq = "", false, 0, uint64(i+1)
			tx.Set(k.version(v.seq), v.encode())
			tx.Set(k.pointer(), v.pointer())
		})
	}
}

// TestKeyWork: the cost of an operation on one key does not grow with the number of
// its versions.
func TestKeyWork(t *testing.T) {
	e, w := counted(t, versions(*deep))
	const few = 12
	middle := (&version{seq: uint64(*deep / 2), unique: sample().unique}).id()
	for _, c := range []struct {
		what string
		do   func() error
	}{
		{"head", func() error {
			_, err := e.objects.Head(t.Context(), e.grant(arn.Object("bkt", "k"), "s3:GetObject"), GetInput{
				Bucket: "bkt", Key: "k",
			})
			return err
		}},
		{"head of a version", func() error {
			_, err := e.objects.Head(t.Context(), e.grant(arn.Object("bkt", "k"), "s3:GetObjectVersion"),
				GetInput{Bucket: "bkt", Key: "k", VersionID: &middle})
			return err
		}},
		{"put", func() error {
			_, err := e.put(PutInput{
				Key: "k", Body: strings.NewReader("x"), Size: 1, IfMatch: ptr(sample().plainETag()),
			})
			return err
		}},
		{"a delete marker", func() error { _, err := e.delete(DeleteInput{Key: "k"}); return err }},
		{"put over it", func() error {
			_, err := e.put(PutInput{Key: "k", Body: strings.NewReader("x"), Size: 1, IfNoneMatch: ptr("*")})
			return err
		}},
		{"deletion of a version", func() error {
			_, err := e.delete(DeleteInput{
				Key: "k", VersionID: &middle,
			})
			return err
		}},
		{"deletion of the newest", func() error {
			l, err := e.listVersions(ListVersionsInput{Max: ptr(1)})
			if err != nil {
				return err
			}
			_, err = e.delete(DeleteInput{Key: "k", VersionID: &l.Entries[0].ID})
			return err
		}},
		{"a page that begins behind a version", func() error {
			_, err := e.listVersions(ListVersionsInput{
				KeyMarker: "k", VersionIDMarker: ptr((&version{seq: uint64(*deep / 3), unique: sample().unique}).id()),
				Max: ptr(1),
			})
			return err
		}},
	} {
		w.most(t, c.what, few, few, c.do)
	}
}

// plainETag is the ETag of a version that was put in one piece.
func (v *version) plainETag() string { v.etag.Parts = 0; return v.etag.String() }
