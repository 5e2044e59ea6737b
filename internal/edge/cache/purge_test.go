package cache

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"watertight/internal/core/distribution"
	"watertight/internal/storage/seal"
)

// What is remembered of paths is bounded, however many distributions there are. Beyond the
// limit, the whole distribution with the most is purged, and one that has few is not affected.
// A response that an invalidation named never becomes current again, also not after a restart.
func TestRememberedPathsAreBounded(t *testing.T) {
	long := strings.Repeat("x", 4000)
	ids := []string{"E"}
	for n := range 40 {
		ids = append(ids, fmt.Sprint("E", n))
	}
	c := &Cache{purges: newPurges(), index: newIndex(1)}
	named := map[string][]string{"E": {"/kept"}}
	all := []distribution.Invalidation{{Number: 1, Distribution: "E", Paths: named["E"]}}
	for n := range uint64(200) {
		id := ids[1+n%40]
		var paths []string
		for i := range 100 {
			paths = append(paths, fmt.Sprint("/", n, "/", i, "/", long))
		}
		named[id] = append(named[id], paths...)
		all = append(all, distribution.Invalidation{Number: n + 2, Distribution: id, Paths: paths})
	}
	for i := range all {
		c.apply(&distribution.Snapshot{Sites: sites(ids...), Invalidations: all[i : i+1]})
	}
	restored := newPurges()
	restored.restore(c.purges.save())
	restored.told = true
	for name, p := range map[string]*purges{"at once": &c.purges, "after a restart": &restored} {
		t.Run(name, func(t *testing.T) {
			held := 0
			for _, s := range p.sites {
				own := 0
				for _, of := range []map[string]uint64{s.exact, s.prefixes} {
					for path := range of {
						own += len(path) + pathCost
					}
				}
				if own != s.bytes || own > maxSiteBytes {
					t.Errorf("%s remembers %d bytes, and counts %d", s.id, own, s.bytes)
				}
				held += own
			}
			if held != p.bytes || held > maxBytes {
				t.Errorf("%d bytes, %d counted", held, p.bytes)
			}
			for id, paths := range named {
				for _, path := range paths {
					if p.current(p.site(id), path, 0) {
						t.Fatalf("%s of %s is current", path[:9], id)
					}
				}
			}
			if !p.current(p.site("E"), "/other", 0) {
				t.Error("a distribution with one path was purged")
			}
		})
	}
	c.apply(&distribution.Snapshot{Sites: sites("E")})
	if c.purges.bytes != len("/kept")+pathCost {
		t.Errorf("%d bytes for what is gone", c.purges.bytes)
	}
}

// TestPurgeAfterLookup: an invalidation may come between the look-up of a stale entry and the
// request that revalidates it. Whatever the origin answers, the old bytes are not answered, and
// are not stored as new ones.
func TestPurgeAfterLookup(t *testing.T) {
	for _, c := range []struct {
		name   string
		again  func(http.Header) (*http.Response, error)
		status int // 0 is an error
	}{
		{"304", func(h http.Header) (*http.Response, error) {
			if len(h) > 0 {
				return reply(304, ""), nil
			}
			return reply(200, "new", "Cache-Control", "max-age=60", "Etag", `"1"`), nil
		}, 200},
		{"no answer", func(http.Header) (*http.Response, error) { return nil, errors.New("down") }, 0},
		{"503", func(http.Header) (*http.Response, error) { return reply(503, "down"), nil }, 503},
	} {
		for _, head := range []bool{false, true} {
			t.Run(fmt.Sprint(c.name, ", HEAD ", head), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					cache := open(t, Options{})
					o := &origin{respond: func(http.Header) (*http.Response, error) {
						return reply(200, "old", "Cache-Control", "max-age=1", "Etag", `"1"`), nil
					}}
					get(t, cache, request("/a"), o)
					time.Sleep(time.Minute)
					r := request("/a")
					r.Head = head
					e := cache.lookup(r)
					purge(cache, 1, "/a")
					o.respond = c.again
					a, err := cache.miss(t.Context(), r, nil, e, o.fetch)
					if (err != nil) != (c.status == 0) {
						t.Fatal(err)
					}
					if err == nil {
						body, err := io.ReadAll(a.Body)
						a.Body.Close()
						if a.Status != c.status || string(body) == "old" || a.Result != Miss || err != nil {
							t.Errorf("%d %q, %v, %v", a.Status, body, a.Result, err)
						}
					}
					if a, err := cache.Get(t.Context(), request("/a"), nil, o.fetch); err == nil {
						body, _ := io.ReadAll(a.Body)
						a.Body.Close()
						if string(body) == "old" {
							t.Error("the old bytes are answered afterwards")
						}
					}
				})
			})
		}
	}
}

// TestPurgeWhileOriginFails: the origin fails after an invalidation that came while it was asked.
func TestPurgeWhileOriginFails(t *testing.T) {
	for _, head := range []bool{false, true} {
		t.Run(fmt.Sprint("HEAD ", head), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				cache := open(t, Options{})
				o := &origin{respond: func(http.Header) (*http.Response, error) {
					return reply(200, "old", "Cache-Control", "max-age=1, stale-if-error=1000"), nil
				}}
				get(t, cache, request("/a"), o)
				time.Sleep(time.Minute)
				o.respond = func(http.Header) (*http.Response, error) {
					purge(cache, 1, "/a")
					return nil, errors.New("down")
				}
				r := request("/a")
				r.Head = head
				if a, err := cache.Get(t.Context(), r, nil, o.fetch); err == nil {
					t.Errorf("%v", a.Result)
				}
			})
		})
	}
}

// TestSpellings: an invalidation covers every way to write a path.
func TestSpellings(t *testing.T) {
	for _, c := range []struct {
		purged, asked string
		gone          bool
	}{
		{"/@a b", "/%40a%20b", true},
		{"/%40a+b", "/@a%20b", true},
		{"/a%2Bb", "/a+b", true},
		{"/é", "/%C3%A9", true},
		{"/a/b", "/a//b", true},
		{"/d//*", "/d/%40", true},
		{"/d%2f*", "/d/x", true},
		{"/@*", "/%40a", true},
		{"/100%25", "/100%25", true},
		{"/%2541", "/%2541", true},
		{"/%2541", "/A", false},
		{"/%41", "/%2541", false},
		{"/a?b=%20", "/a?b=+", true},
	} {
		t.Run(c.purged+" "+c.asked, func(t *testing.T) {
			dir, key, o := t.TempDir(), seal.NewKey(), content(10)
			cache := open(t, onDisk(t, dir, key))
			get(t, cache, request(c.asked), o)
			purge(cache, 1, c.purged)
			for _, when := range []string{"at once", "after a restart"} {
				cache.mu.RLock()
				e := cache.index.entries[request(c.asked).Key]
				gone := !cache.purges.current(e.site, c.asked, e.seq)
				cache.mu.RUnlock()
				if gone != c.gone {
					t.Errorf("gone %s: %v", when, gone)
				}
				if err := cache.Close(); err != nil {
					t.Fatal(err)
				}
				var err error
				if cache, err = Open(onDisk(t, dir, key)); err != nil {
					t.Fatal(err)
				}
				t.Cleanup(func() { cache.Close() })
				cache.Apply(&distribution.Snapshot{Sites: sites("E1"), Oldest: 2})
			}
		})
	}
}

// FuzzSpelling: the form of a form is the form itself, and an escape does not change the form.
func FuzzSpelling(f *testing.F) {
	f.Add("/a%2541//+ %")
	f.Add("%%34141/%25%2f%2F")
	f.Fuzz(func(t *testing.T, path string) {
		form := spelling(path)
		if again := spelling(form); again != form {
			t.Fatalf("%q becomes %q, and that %q", path, form, again)
		}
		var escaped strings.Builder
		for i := range len(path) {
			fmt.Fprintf(&escaped, "%%%02x", path[i])
		}
		if plain := spelling(escaped.String()); !strings.Contains(path, "%") && plain != form {
			t.Fatalf("%q becomes %q, and escaped %q", path, form, plain)
		}
	})
}
