package cache

import (
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"watertight/internal/core/distribution"
	"watertight/internal/storage/seal"
)

// taken returns how many bytes a cache's files take, those without a name that are still open
// among them.
func taken(t *testing.T, dir string) (bytes int64) {
	t.Helper()
	for _, path := range files(t, dir) {
		if info, err := os.Stat(path); err == nil {
			bytes += info.Size()
		}
	}
	const open = "/proc/self/fd"
	all, err := os.ReadDir(open)
	if err != nil {
		t.Skip("this system does not say which files are open")
	}
	for _, f := range all {
		path := filepath.Join(open, f.Name())
		name, _ := os.Readlink(path)
		if !strings.HasPrefix(name, dir) || !strings.HasSuffix(name, " (deleted)") {
			continue
		}
		if info, err := os.Stat(path); err == nil {
			bytes += info.Size()
		}
	}
	return bytes
}

// TestSlowViewersTakeNoDisk: whatever slow viewers ask for, the cache takes no more of the
// disk than it may. Other viewers get their answers, and are served from the cache when the
// slow ones are gone.
func TestSlowViewersTakeNoDisk(t *testing.T) {
	const size = 2 << 20
	for _, c := range []struct {
		name string
		park func(t *testing.T, c *Cache, path string, o *origin) *Answer
	}{
		{"misses", func(t *testing.T, c *Cache, path string, o *origin) *Answer {
			a, err := c.Get(t.Context(), request(path), nil, o.fetch)
			if err != nil {
				t.Fatal(err)
			}
			// While a fill is written, another one may find no room.
			a.Body.(*reader).src.(*tap).spool.wait(t.Context())
			return a
		}},
		{"hits", func(t *testing.T, c *Cache, path string, o *origin) *Answer {
			get(t, c, request(path), o)
			a, err := c.Get(t.Context(), request(path), nil, o.fetch)
			if err != nil {
				t.Fatal(err)
			}
			return a
		}},
		{"purged", func(t *testing.T, c *Cache, path string, o *origin) *Answer {
			get(t, c, request(path), o)
			a, err := c.Get(t.Context(), request(path), nil, o.fetch)
			if err != nil {
				t.Fatal(err)
			}
			n := c.purges.seen + 1
			c.Apply(&distribution.Snapshot{
				Sites: sites("E1"), Oldest: n,
				Invalidations: []distribution.Invalidation{{Number: n, Distribution: "E1", Paths: []string{"/*"}}},
			})
			return a
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			dir := t.TempDir()
			options := onDisk(t, dir, seal.NewKey())
			options.MaxBytes = 16 << 20
			cache, o := open(t, options), content(size)
			var parked []*Answer
			for i := range 40 {
				a := c.park(t, cache, fmt.Sprintf("/%d", i), o)
				if _, err := io.CopyN(io.Discard, a.Body, 1000); err != nil {
					t.Fatal(err)
				}
				parked = append(parked, a)
				if _, body, _ := get(t, cache, request(fmt.Sprintf("/other/%d", i)), o); len(body) != size {
					t.Fatalf("another viewer got %d bytes", len(body))
				}
				if n := taken(t, dir); n > options.MaxBytes {
					t.Fatalf("%d bytes are taken of %d after %d viewers", n, options.MaxBytes, i+1)
				}
			}
			for _, a := range parked {
				a.Body.Close()
			}
			get(t, cache, request("/last"), o)
			if _, _, r := get(t, cache, request("/last"), o); r != Hit {
				t.Errorf("%v when the slow viewers are gone", r)
			}
			cache.Close()
			if f := cache.disk.open; len(f.files) != 0 || f.bytes != 0 {
				t.Errorf("%d files and %d bytes stay counted", len(f.files), f.bytes)
			}
		})
	}
}

// TestSlowOriginsTakeNoDisk: fills under way are bounded, too.
func TestSlowOriginsTakeNoDisk(t *testing.T) {
	dir := t.TempDir()
	options := onDisk(t, dir, seal.NewKey())
	options.MaxBytes = 16 << 20
	cache := open(t, options)
	body := strings.Repeat("x", 1<<20)
	for i := range 40 {
		in, out := io.Pipe()
		o := &origin{respond: func(http.Header) (*http.Response, error) {
			r := reply(200, "", "Cache-Control", "max-age=60")
			r.Body, r.ContentLength = in, -1
			return r, nil
		}}
		a, err := cache.Get(t.Context(), request(fmt.Sprintf("/%d", i)), nil, o.fetch)
		if err != nil {
			t.Fatal(err)
		}
		go io.WriteString(out, body) // and no more
		if _, err := io.CopyN(io.Discard, a.Body, 1<<20); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { out.Close(); a.Body.Close() })
		if n := taken(t, dir); n > options.MaxBytes/openShare {
			t.Fatalf("%d bytes are taken by %d fills", n, i+1)
		}
	}
}

// TestSlowViewersTakeNoMemory: a cache in memory holds no more than it may for slow viewers,
// whether their answers are arriving, kept or evicted, and other viewers get theirs.
func TestSlowViewersTakeNoMemory(t *testing.T) {
	const size, viewers = 2 << 20, 40
	for _, c := range []struct {
		name string
		hit  bool
	}{{"misses", false}, {"hits", true}} {
		t.Run(c.name, func(t *testing.T) {
			options := Options{MemoryBytes: 16 << 20}
			cache, o := open(t, options), content(size)
			var before, after runtime.MemStats
			runtime.GC()
			runtime.ReadMemStats(&before)
			var parked []*Answer
			for i := range viewers {
				path := fmt.Sprintf("/%d", i)
				if c.hit {
					get(t, cache, request(path), o)
				}
				a, err := cache.Get(t.Context(), request(path), nil, o.fetch)
				if err != nil {
					t.Fatal(err)
				}
				if (a.Result == Hit) != c.hit {
					t.Fatalf("%v", a.Result)
				}
				if _, err := io.CopyN(io.Discard, a.Body, 1000); err != nil {
					t.Fatal(err)
				}
				if tap, ok := a.Body.(*reader).src.(*tap); ok {
					tap.spool.wait(t.Context())
				}
				parked = append(parked, a)
				if _, body, _ := get(t, cache, request("/other"+path), o); len(body) != size {
					t.Fatalf("another viewer got %d bytes", len(body))
				}
			}
			runtime.GC()
			runtime.ReadMemStats(&after)
			if n := int64(after.HeapAlloc) - int64(before.HeapAlloc); n > options.MemoryBytes*5/4 {
				t.Errorf("%d bytes are held for a cache of %d", n, options.MemoryBytes)
			}
			for _, a := range parked {
				a.Body.Close()
			}
			get(t, cache, request("/last"), o)
			if _, _, r := get(t, cache, request("/last"), o); r != Hit {
				t.Errorf("%v when the slow viewers are gone", r)
			}
			cache.Close()
			if f := cache.open; len(f.files) != 0 || f.bytes != 0 {
				t.Errorf("%d files and %d bytes stay counted", len(f.files), f.bytes)
			}
		})
	}
}

// TestSlowOriginsTakeNoMemory: bodies that arrive slowly are bounded, too. What finds no room is
// passed through, a little at a time.
func TestSlowOriginsTakeNoMemory(t *testing.T) {
	cache := open(t, Options{MemoryBytes: 16 << 20})
	body := strings.Repeat("x", 2<<20)
	for i := range 20 {
		in, out := io.Pipe()
		o := &origin{respond: func(http.Header) (*http.Response, error) {
			r := reply(200, "", "Cache-Control", "max-age=60")
			r.Body, r.ContentLength = in, -1
			return r, nil
		}}
		a, err := cache.Get(t.Context(), request(fmt.Sprintf("/%d", i)), nil, o.fetch)
		if err != nil {
			t.Fatal(err)
		}
		go io.WriteString(out, body) // and no more
		if _, err := io.CopyN(io.Discard, a.Body, int64(len(body))); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { out.Close(); a.Body.Close() })
		if n := cache.open.bytes; n > cache.open.budget {
			t.Fatalf("%d bytes are held by %d fills", n, i+1)
		}
	}
}
