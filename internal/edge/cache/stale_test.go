package cache

import (
	"context"
	"errors"
	"io"
	"net/http"
	"runtime"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"watertight/internal/storage/seal"
)

// TestStaleWhileRevalidate: within its window a stale response is answered at once, while one
// request to the origin replaces it.
func TestStaleWhileRevalidate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := open(t, Options{})
		version := "old"
		o := &origin{respond: func(http.Header) (*http.Response, error) {
			v := version
			time.Sleep(time.Second)
			return reply(200, v, "Cache-Control", "max-age=10, stale-while-revalidate=60"), nil
		}}
		expect := func(when, want string, result Result, asked int64) {
			t.Helper()
			if _, body, r := get(t, c, request("/a"), o); body != want || r != result || o.asked.Load() != asked {
				t.Errorf("%s: %q, %v, asked %d times", when, body, r, o.asked.Load())
			}
		}
		expect("first", "old", Miss, 1)
		time.Sleep(20 * time.Second)
		version = "new"
		began := time.Now()
		for range 5 {
			_, body, r := get(t, c, request("/a"), o)
			if body != "old" || r != Stale {
				t.Errorf("%q, %v", body, r)
			}
		}
		if d := time.Since(began); d != 0 {
			t.Errorf("viewers waited for %v", d)
		}
		time.Sleep(2 * time.Second)
		expect("refreshed", "new", Hit, 2)
		time.Sleep(2 * time.Minute)
		expect("after the window", "new", Miss, 3)
	})
}

// TestOriginFails: a stale response is answered while the origin fails, which is asked again
// only after a while, and not if the response forbids it.
func TestOriginFails(t *testing.T) {
	for _, c := range []struct {
		name, control string
		failure       error // or 503
		want          int   // status, 0 is an error
		asked         int64 // for three requests in a row
	}{
		{"no answer", "max-age=10", errors.New("down"), 200, 1},
		{"503", "max-age=10", nil, 200, 1},
		{"stale-if-error", "max-age=10, stale-if-error=60", nil, 200, 1},
		{"stale-if-error has passed", "max-age=10, stale-if-error=5", nil, 503, 1},
		{"stale-if-error=0", "max-age=10, stale-if-error=0", errors.New("down"), 0, 3},
		{"must-revalidate", "max-age=10, must-revalidate", errors.New("down"), 0, 3},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				cache := open(t, Options{})
				fails := false
				o := &origin{respond: func(http.Header) (*http.Response, error) {
					switch {
					case !fails:
						return reply(200, "body", "Cache-Control", c.control), nil
					case c.failure != nil:
						return nil, c.failure
					}
					return reply(503, "down"), nil
				}}
				get(t, cache, request("/a"), o)
				time.Sleep(20 * time.Second)
				fails = true
				for range 3 {
					a, err := cache.Get(t.Context(), request("/a"), nil, o.fetch)
					status := 0
					if err == nil {
						status = a.Status
						io.Copy(io.Discard, a.Body)
						a.Body.Close()
					}
					if status != c.want {
						t.Errorf("status %d, %v", status, err)
					}
				}
				if n := o.asked.Load() - 1; n != c.asked {
					t.Errorf("asked %d times", n)
				}
			})
		})
	}
}

// TestLargeHit: a hit on a large object is not held in memory, whole or in part.
func TestLargeHit(t *testing.T) {
	const size = 16 << 20
	options := onDisk(t, t.TempDir(), seal.NewKey())
	options.MaxBytes = 256 << 20
	c := open(t, options)
	o := content(size)
	get(t, c, request("/a"), o)
	read := func(off, n int64) {
		a, err := c.Get(t.Context(), request("/a"), nil, o.fetch)
		if err != nil {
			t.Fatal(err)
		}
		defer a.Body.Close()
		if a.Result != Hit || a.Size != size || a.Body.Select(off, n) != nil {
			t.Fatalf("%v, %d bytes", a.Result, a.Size)
		}
		if got, err := io.Copy(io.Discard, a.Body); got != n || err != nil {
			t.Fatalf("%d bytes, %v", got, err)
		}
	}
	read(0, size)
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	for range 10 {
		read(0, size)
		read(size-10, 10)
		read(100_000, 200_000)
	}
	runtime.ReadMemStats(&after)
	if n := after.TotalAlloc - before.TotalAlloc; n > size/4 {
		t.Errorf("30 hits allocated %d bytes", n)
	}
}

// TestRanges: a range of what is too large to be stored is asked for by itself. Nothing of it
// is stored.
func TestRanges(t *testing.T) {
	const size = 9 << 20 // more than an eighth of the cache
	c := open(t, onDisk(t, t.TempDir(), seal.NewKey()))
	body := strings.Repeat("0123456789", size/10+1)[:size]
	var ranges []string
	fetch := func(_ context.Context, h http.Header) (*http.Response, error) {
		if r := h.Get("Range"); r != "" {
			ranges = append(ranges, r+" "+h.Get("If-Range"))
			return reply(206, body[10:20], "Content-Range", "bytes 10-19/9437184", "Cache-Control", "max-age=60"), nil
		}
		return reply(200, body, "Cache-Control", "max-age=60"), nil
	}
	for range 2 {
		a, err := c.Get(t.Context(), request("/a"), &Range{Header: "bytes=10-19", IfRange: `"1"`, First: 10}, fetch)
		if err != nil {
			t.Fatal(err)
		}
		got, err := io.ReadAll(a.Body)
		a.Body.Close()
		if a.Status != 206 || !a.Passed || string(got) != body[10:20] || err != nil {
			t.Errorf("%d, %d bytes, %v", a.Status, len(got), err)
		}
	}
	if len(ranges) != 2 || ranges[0] != `bytes=10-19 "1"` || c.Stats().Entries != 0 {
		t.Errorf("%q, %d entries", ranges, c.Stats().Entries)
	}
}
