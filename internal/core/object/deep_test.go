package object

import (
	"fmt"
	"testing"

	"watertight/internal/access/arn"
	"watertight/internal/core/bucket"
	"watertight/internal/core/change/coretest"
	"watertight/internal/storage/kv"
	"watertight/internal/storage/kv/embedded"
	"watertight/internal/storage/seal"
)

// million is the number of keys or versions that the listings of this file pass.
const million = 1_000_000

// write runs fn for the numbers below n, in transactions of bounded size.
func (e *env) write(n int, fn func(tx kv.Tx, i int)) {
	e.tb.Helper()
	const batch = 20_000
	for from := 0; from < n; from += batch {
		err := e.store.Update(e.tb.Context(), func(tx kv.Tx) error {
			for i := from; i < min(n, from+batch); i++ {
				fn(tx, i)
			}
			return nil
		})
		if err != nil {
			e.tb.Fatal(err)
		}
	}
}

// each runs a benchmark on every engine, after fill has written its records.
func each(b *testing.B, fill func(*env, *bucket.Bucket), run func(b *testing.B, e *env)) {
	for name, open := range map[string]func() kv.Store{
		"memory": func() kv.Store { return coretest.Store(b) },
		"pebble": func() kv.Store {
			s, err := embedded.OpenPebble(b.Context(), embedded.Options{
				Dir: b.TempDir(), Root: seal.RingOf(seal.NewKey()), Create: true,
			})
			if err != nil {
				b.Fatal(err)
			}
			b.Cleanup(func() { s.Close() })
			return s
		},
	} {
		b.Run(name, func(b *testing.B) {
			e := &env{tb: b, store: open()}
			e.buckets = bucket.New(e.store, "us-east-1", nil)
			e.objects = New(e.store, nil, e.buckets, nil)
			made := e.makeBucket("bkt")
			e.versioning(bucket.Enabled)
			made.Versioning = bucket.Enabled
			fill(e, &made)
			b.ResetTimer()
			run(b, e)
		})
	}
}

// objects writes current objects, a version and a pointer each.
func objects(n int, key func(int) string) func(*env, *bucket.Bucket) {
	return func(e *env, b *bucket.Bucket) {
		e.write(n, func(tx kv.Tx, i int) {
			v := sample()
			v.owner = ""
			k := slot{b, key(i)}
			tx.Set(k.version(v.seq), v.encode())
			tx.Set(k.pointer(), v.pointer())
		})
	}
}

// markers writes keys whose newest version is a delete marker. Their objects existed before, so the
// engine holds as many tombstones.
func markers(n int) func(*env, *bucket.Bucket) {
	return func(e *env, b *bucket.Bucket) {
		objects(n, numbered)(e, b)
		e.write(n, func(tx kv.Tx, i int) {
			v := newMarker(day(2), writer{})
			v.seq = 1<<50 + 1
			k := slot{b, numbered(i)}
			tx.Set(k.version(v.seq), v.encode())
			tx.Delete(k.pointer())
		})
	}
}

func benchList(in ListInput, entries, common int) func(*testing.B, *env) {
	return func(b *testing.B, e *env) {
		g := e.grant(arn.Bucket("bkt"), "s3:ListBucket")
		in.Bucket = "bkt"
		for b.Loop() {
			if l, err := e.objects.List(b.Context(), g, in, unread); err != nil || l.Count != entries ||
				len(l.CommonPrefixes) != common {
				b.Fatal(l.Count, len(l.CommonPrefixes), err)
			}
		}
	}
}

func benchVersions(in ListVersionsInput, entries, common int) func(*testing.B, *env) {
	return func(b *testing.B, e *env) {
		g := e.grant(arn.Bucket("bkt"), "s3:ListBucketVersions")
		in.Bucket = "bkt"
		unread := func([]byte, *VersionEntry) error { return nil }
		for b.Loop() {
			if l, err := e.objects.ListVersions(b.Context(), g, in, unread); err != nil || l.Count != entries ||
				len(l.CommonPrefixes) != common {
				b.Fatal(l.Count, len(l.CommonPrefixes), err)
			}
		}
	}
}

// BenchmarkDeepPrefix: a million keys under one common prefix.
func BenchmarkDeepPrefix(b *testing.B) {
	each(b, objects(million, numbered), func(b *testing.B, e *env) {
		b.Run("objects", func(b *testing.B) { benchList(ListInput{Delimiter: "/"}, 0, 1)(b, e) })
		b.Run("versions", func(b *testing.B) { benchVersions(ListVersionsInput{Delimiter: "/"}, 0, 1)(b, e) })
		b.Run("page", func(b *testing.B) { benchList(ListInput{}, 1000, 0)(b, e) })
		b.Run("versions page", func(b *testing.B) { benchVersions(ListVersionsInput{}, 1000, 0)(b, e) })
	})
}

// BenchmarkDeepPrefixes: a thousand common prefixes, a thousand keys each.
func BenchmarkDeepPrefixes(b *testing.B) {
	each(b, objects(million, func(i int) string { return fmt.Sprintf("%03d/%06d", i%1000, i) }),
		func(b *testing.B, e *env) {
			b.Run("objects", func(b *testing.B) { benchList(ListInput{Delimiter: "/"}, 0, 1000)(b, e) })
			b.Run("versions", func(b *testing.B) { benchVersions(ListVersionsInput{Delimiter: "/"}, 0, 1000)(b, e) })
		})
}

// BenchmarkDeleteMarkers: a bucket of a million delete markers and nothing else.
func BenchmarkDeleteMarkers(b *testing.B) {
	each(b, markers(million), func(b *testing.B, e *env) {
		b.Run("objects", func(b *testing.B) { benchList(ListInput{}, 0, 0)(b, e) })
		b.Run("versions", func(b *testing.B) { benchVersions(ListVersionsInput{}, 1000, 0)(b, e) })
	})
}
