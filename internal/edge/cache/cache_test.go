package cache

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"io"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"watertight/internal/core/distribution"
	"watertight/internal/edge/cache/fresh"
)

// origin answers a cache, and counts.
type origin struct {
	asked   atomic.Int64
	respond func(header http.Header) (*http.Response, error)
}

func (o *origin) fetch(_ context.Context, header http.Header) (*http.Response, error) {
	o.asked.Add(1)
	return o.respond(header)
}

// reply makes a response.
func reply(status int, body string, headers ...string) *http.Response {
	r := &http.Response{
		StatusCode: status, Header: http.Header{}, Body: io.NopCloser(strings.NewReader(body)),
		ContentLength: int64(len(body)),
	}
	for i := 0; i < len(headers); i += 2 {
		r.Header.Add(headers[i], headers[i+1])
	}
	return r
}

func rules() *Rules {
	return &Rules{
		Rules:    fresh.Rules{DefaultTTL: 24 * time.Hour, MaxTTL: 365 * 24 * time.Hour},
		Collapse: true,
	}
}

func request(path string) *Request {
	return &Request{Distribution: "E1", Path: path, Key: sha256.Sum256([]byte(path)), Rules: rules()}
}

func open(t *testing.T, o Options) *Cache {
	t.Helper()
	if o.Now == nil {
		o.Now = time.Now
	}
	c, err := Open(o)
	if err != nil {
		t.Fatal(err)
	}
	c.Apply(&distribution.Snapshot{Sites: sites("E1", "E2")})
	t.Cleanup(func() { c.Close() })
	return c
}

func sites(ids ...string) (all []distribution.Site) {
	for _, id := range ids {
		all = append(all, distribution.Site{ID: id})
	}
	return all
}

// get returns the status, body and result of a request.
func get(t *testing.T, c *Cache, r *Request, o *origin) (int, string, Result) {
	t.Helper()
	a, err := c.Get(t.Context(), r, nil, o.fetch)
	if err != nil {
		t.Fatal(err)
	}
	defer a.Body.Close()
	b, err := io.ReadAll(a.Body)
	if err != nil {
		t.Fatal(err)
	}
	return a.Status, string(b), a.Result
}

func TestCollapsing(t *testing.T) {
	for _, c := range []struct {
		name    string
		control string
		asked   int64
	}{
		{"storable", "max-age=60", 1},
		{"private", "private", 1000},
		{"stale at once", "max-age=0", 1000},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				cache := open(t, Options{})
				o := &origin{respond: func(http.Header) (*http.Response, error) {
					time.Sleep(time.Second)
					return reply(200, "body", "Cache-Control", c.control, "Etag", `"1"`), nil
				}}
				var all sync.WaitGroup
				for range 1000 {
					all.Go(func() {
						if status, body, _ := get(t, cache, request("/a"), o); status != 200 || body != "body" {
							t.Error(status, body)
						}
					})
				}
				all.Wait()
				if n := o.asked.Load(); n != c.asked {
					t.Errorf("the origin was asked %d times, not %d", n, c.asked)
				}
			})
		})
	}
}

// TestLeaderLeaves: the answer arrives although the viewer who asked first is gone, and what
// is read slowly doesn't hold back others.
func TestLeaderLeaves(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := open(t, Options{})
		in, out := io.Pipe()
		o := &origin{respond: func(http.Header) (*http.Response, error) {
			r := reply(200, "", "Cache-Control", "max-age=60")
			r.Body, r.ContentLength = in, -1
			return r, nil
		}}
		first, err := c.Get(t.Context(), request("/a"), nil, o.fetch)
		if err != nil {
			t.Fatal(err)
		}
		second, err := c.Get(t.Context(), request("/a"), nil, o.fetch)
		if err != nil {
			t.Fatal(err)
		}
		want := bytes.Repeat([]byte("0123456789"), 50_000)
		out.Write(want[:100_000])
		first.Body.Close()
		go func() {
			out.Write(want[100_000:])
			out.Close()
		}()
		if b, err := io.ReadAll(second.Body); err != nil || !bytes.Equal(b, want) {
			t.Errorf("%d bytes, %v", len(b), err)
		}
		second.Body.Close()
		if _, _, r := get(t, c, request("/a"), o); r != Hit || o.asked.Load() != 1 {
			t.Errorf("result %v, asked %d times", r, o.asked.Load())
		}
	})
}

// TestBroken: what breaks off is not stored, and readers notice.
func TestBroken(t *testing.T) {
	for _, c := range []struct {
		name string
		body io.Reader
		size int64
	}{
		{"short", strings.NewReader("abc"), 4},
		{"long", strings.NewReader("abcd"), 3},
		{"fails", io.MultiReader(strings.NewReader("abc"), failing{}), -1},
	} {
		t.Run(c.name, func(t *testing.T) {
			cache := open(t, Options{})
			o := &origin{respond: func(http.Header) (*http.Response, error) {
				r := reply(200, "", "Cache-Control", "max-age=60")
				r.Body, r.ContentLength = io.NopCloser(c.body), c.size
				return r, nil
			}}
			a, err := cache.Get(t.Context(), request("/a"), nil, o.fetch)
			if err != nil {
				t.Fatal(err)
			}
			if b, err := io.ReadAll(a.Body); err == nil {
				t.Errorf("read %q", b)
			}
			a.Body.Close()
			if n := cache.Stats().Entries; n != 0 {
				t.Errorf("%d entries", n)
			}
		})
	}
}

type failing struct{}

func (failing) Read([]byte) (int, error) { return 0, errors.New("broken") }

// purge applies a snapshot with one invalidation more.
func purge(c *Cache, number uint64, paths ...string) {
	c.Apply(&distribution.Snapshot{
		Sites:         sites("E1"),
		Invalidations: []distribution.Invalidation{{Number: number, Distribution: "E1", Paths: paths}},
	})
}

// TestInvalidate: nothing that was asked for before an invalidation is answered after it.
func TestInvalidate(t *testing.T) {
	for _, c := range []struct {
		name  string
		paths []string
		gone  bool
	}{
		{"itself", []string{"/a/b"}, true},
		{"a folder", []string{"/a/*"}, true},
		{"a prefix", []string{"/a/b*"}, true},
		{"everything", []string{"/*"}, true},
		{"others", []string{"/A/b", "/a", "/a/b/", "/*/b", "/b*"}, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			cache := open(t, Options{})
			version := "old"
			o := &origin{respond: func(http.Header) (*http.Response, error) {
				return reply(200, version, "Cache-Control", "max-age=3600"), nil
			}}
			get(t, cache, request("/a/b"), o)
			version = "new"
			purge(cache, 1, c.paths...)
			if _, body, _ := get(t, cache, request("/a/b"), o); (body == "new") != c.gone {
				t.Errorf("%q", body)
			}
		})
	}
}

// TestInvalidateFill: a fill that began before an invalidation is not stored, nor joined
// after it.
func TestInvalidateFill(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := open(t, Options{})
		version, slow := "old", time.Minute
		o := &origin{respond: func(http.Header) (*http.Response, error) {
			v := version
			time.Sleep(slow)
			return reply(200, v, "Cache-Control", "max-age=3600"), nil
		}}
		var all sync.WaitGroup
		all.Go(func() {
			if _, body, _ := get(t, c, request("/slow"), o); body != "old" {
				t.Errorf("%q", body)
			}
		})
		time.Sleep(time.Second)
		synctest.Wait()
		version, slow = "new", 0
		purge(c, 1, "/slow")
		if _, body, r := get(t, c, request("/slow"), o); body != "new" || r != Miss {
			t.Errorf("%q, %v", body, r)
		}
		all.Wait()
		if _, body, r := get(t, c, request("/slow"), o); body != "new" || r != Hit {
			t.Errorf("%q, %v", body, r)
		}
	})
}
