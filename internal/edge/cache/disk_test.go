package cache

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"watertight/internal/core/distribution"
	"watertight/internal/storage/seal"
)

// files returns the paths of all files of entries.
func files(t *testing.T, dir string) (all []string) {
	t.Helper()
	err := filepath.WalkDir(filepath.Join(dir, "objects"), func(path string, d fs.DirEntry, err error) error {
		if err == nil && !d.IsDir() {
			all = append(all, path)
		}
		return err
	})
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		t.Fatal(err)
	}
	return all
}

func onDisk(t *testing.T, dir string, key seal.Key) Options {
	t.Helper()
	return Options{Dir: dir, Key: key, MaxBytes: 64 << 20, MemoryBytes: 1 << 20, Now: time.Now}
}

// content answers with bytes of a length.
func content(n int) *origin {
	body := strings.Repeat("plaintext ", n/10+1)[:n]
	return &origin{respond: func(http.Header) (*http.Response, error) {
		return reply(200, body, "Cache-Control", "max-age=3600", "Etag", `"secret-tag"`, "X-A", "secret-header"), nil
	}}
}

// TestRestart: what was stored is there after a restart with the same key, in files that
// disclose nothing, and is gone with another key.
func TestRestart(t *testing.T) {
	for _, c := range []struct {
		name string
		size int
	}{
		{"empty", 0}, {"small", 10}, {"a chunk", seal.ChunkSize}, {"in memory", maxHot}, {"large", maxHot + 1},
		{"chunks", 10 * seal.ChunkSize}, {"more", 20*seal.ChunkSize + 7},
	} {
		t.Run(c.name, func(t *testing.T) {
			dir, key := t.TempDir(), seal.NewKey()
			o := content(c.size)
			first := open(t, onDisk(t, dir, key))
			_, want, _ := get(t, first, request("/secret-path"), o)
			if _, body, r := get(t, first, request("/secret-path"), o); body != want || r != Hit {
				t.Fatalf("%d bytes, %v", len(body), r)
			}
			if err := first.Close(); err != nil {
				t.Fatal(err)
			}
			all := files(t, dir)
			if len(all) != 1 {
				t.Fatalf("files: %v", all)
			}
			for _, path := range append(all, filepath.Join(dir, "state")) {
				b, err := os.ReadFile(path)
				if err != nil || bytes.Contains(b, []byte("secret")) || bytes.Contains(b, []byte("plaintext")) {
					t.Errorf("%s discloses what it holds, or %v", path, err)
				}
				if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o600 {
					t.Error(info.Mode(), err)
				}
			}
			if info, err := os.Stat(filepath.Dir(all[0])); err != nil || info.Mode().Perm() != 0o700 {
				t.Error(info.Mode(), err)
			}
			second := open(t, onDisk(t, dir, key))
			if _, body, r := get(t, second, request("/secret-path"), o); body != want || r != Hit {
				t.Errorf("after a restart: %d bytes, %v", len(body), r)
			}
			if err := second.Close(); err != nil {
				t.Fatal(err)
			}
			open(t, onDisk(t, dir, seal.NewKey()))
			if all := files(t, dir); len(all) != 0 {
				t.Errorf("with another key, %v are left", all)
			}
		})
	}
}

// TestFilesOfDistributionsThatWereGone: a distribution was not served for a while. A file from
// before, which could not be removed or was put back while the cache was closed, is not answered
// after a restart, although the invalidation of its path is no longer listed.
func TestFilesOfDistributionsThatWereGone(t *testing.T) {
	for name, asked := range map[string]bool{"not asked for since": false, "asked for since": true} {
		t.Run(name, func(t *testing.T) {
			dir, key := t.TempDir(), seal.NewKey()
			o, other := content(10), content(20)
			c := open(t, onDisk(t, dir, key))
			get(t, c, request("/a"), o)
			path := files(t, dir)[0]
			old, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			purge(c, 1, "/a")
			c.Apply(&distribution.Snapshot{Oldest: 2, Sites: sites("E2")})
			again := &distribution.Snapshot{Oldest: 2, Sites: sites("E1", "E2")}
			c.Apply(again)
			if asked {
				get(t, c, request("/b"), other)
			}
			if err := c.Close(); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(path, old, 0o600); err != nil {
				t.Fatal(err)
			}
			c, err = Open(onDisk(t, dir, key))
			if err != nil {
				t.Fatal(err)
			}
			defer c.Close()
			c.Apply(again)
			if _, _, r := get(t, c, request("/a"), o); r != Miss {
				t.Errorf("what was invalidated is answered: %v", r)
			}
			if _, _, r := get(t, c, request("/b"), other); asked && r != Hit {
				t.Errorf("what was asked for since is gone: %v", r)
			}
		})
	}
}

// crash is what the end of the process without Close does.
func (c *Cache) crash() {
	if c.lock != nil {
		c.lock.Close()
	}
}

// TestUncleanStop: without Close, whole files are found again and others removed; what was
// asked for before the oldest invalidation that is still listed is gone.
func TestUncleanStop(t *testing.T) {
	dir, key := t.TempDir(), seal.NewKey()
	o := content(100)
	first := open(t, onDisk(t, dir, key))
	get(t, first, request("/a"), o)
	purge(first, 7, "/other")
	get(t, first, request("/b"), o)
	whole := files(t, dir)
	for i, damage := range []string{"", "x", "short"} {
		path := filepath.Join(filepath.Dir(whole[0]), fmt.Sprintf("%030x", i))
		if err := os.WriteFile(path, []byte(damage), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.WriteFile(filepath.Join(dir, "objects", "stray"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	copied, err := os.ReadFile(whole[0])
	if err != nil {
		t.Fatal(err)
	}
	other := filepath.Join(filepath.Dir(whole[0]), fmt.Sprintf("%030x", 77))
	if err := os.WriteFile(other, copied, 0o600); err != nil {
		t.Fatal(err)
	}
	first.crash()
	second, err := Open(onDisk(t, dir, key))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { second.Close() })
	if n := len(files(t, dir)); n != 3 { // the stray file is not the cache's
		t.Errorf("%d files are left", n)
	}
	if _, _, r := get(t, second, request("/b"), o); r != Miss {
		t.Errorf("%v before any snapshot", r)
	}
	second.crash()
	third, err := Open(onDisk(t, dir, key))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { third.Close() })
	third.Apply(&distribution.Snapshot{
		Sites: sites("E1"), Oldest: 7,
		Invalidations: []distribution.Invalidation{{Number: 7, Distribution: "E1", Paths: []string{"/other"}}},
	})
	for _, c := range []struct {
		path string
		want Result
	}{{"/a", Miss}, {"/b", Hit}} {
		t.Run(c.path, func(t *testing.T) {
			if _, _, r := get(t, third, request(c.path), o); r != c.want {
				t.Errorf("%v", r)
			}
		})
	}
}

// TestDamagedFile: a file with any byte changed is a miss, or breaks off before the damage.
func TestDamagedFile(t *testing.T) {
	for _, size := range []int{100, 10 * seal.ChunkSize} {
		t.Run(fmt.Sprint(size), func(t *testing.T) {
			for _, where := range []float64{0, 0.5, 0.99, 1} {
				dir, key := t.TempDir(), seal.NewKey()
				o := content(size)
				c := open(t, onDisk(t, dir, key))
				_, want, _ := get(t, c, request("/a"), o)
				c.hot = open(t, Options{}).hot // forget what is in memory
				path := files(t, dir)[0]
				b, err := os.ReadFile(path)
				if err != nil {
					t.Fatal(err)
				}
				b[int(where*float64(len(b)-1))] ^= 1
				if err := os.WriteFile(path, b, 0o600); err != nil {
					t.Fatal(err)
				}
				a, err := c.Get(t.Context(), request("/a"), nil, o.fetch)
				if err != nil {
					t.Fatal(err)
				}
				got, err := io.ReadAll(a.Body)
				a.Body.Close()
				if !strings.HasPrefix(want, string(got)) || (err == nil) != (string(got) == want) {
					t.Errorf("%v: %d bytes, %v", where, len(got), err)
				}
				get(t, c, request("/a"), o)
				if _, body, r := get(t, c, request("/a"), o); body != want || r != Hit {
					t.Errorf("%v: afterwards %d bytes, %v", where, len(body), r)
				}
			}
		})
	}
}

// TestFullDisk: viewers get their answers when the disk has no room, and no partial file
// remains.
func TestFullDisk(t *testing.T) {
	for _, c := range []struct {
		name string
		size int
		room int // how many calls of Room succeed
	}{
		{"small", 100, 0}, {"large", 40 * seal.ChunkSize, 0}, {"in the midst", 40 * seal.ChunkSize, 20},
		{"at the end", 6 * seal.ChunkSize, 7},
	} {
		t.Run(c.name, func(t *testing.T) {
			dir := t.TempDir()
			options := onDisk(t, dir, seal.NewKey())
			left := c.room
			options.Room = func(int64) bool { left--; return left >= 0 }
			cache := open(t, options)
			o := content(c.size)
			if _, body, _ := get(t, cache, request("/a"), o); len(body) != c.size {
				t.Errorf("%d bytes", len(body))
			}
			cache.Close()
			if all := files(t, dir); len(all) != 0 {
				t.Errorf("%v are left", all)
			}
		})
	}
}

// TestManyReaders: readers of all speeds read a fill that goes to the disk, also one that is
// too large to be stored.
func TestManyReaders(t *testing.T) {
	for _, c := range []struct {
		name string
		size int
		want int64
	}{
		{"stored", 40 * seal.ChunkSize, 1}, {"too large", 200 * seal.ChunkSize, 1},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				options := onDisk(t, t.TempDir(), seal.NewKey())
				cache := open(t, options)
				want := bytes.Repeat([]byte("0123456789abcdef"), c.size/16)
				in, out := io.Pipe()
				o := &origin{respond: func(http.Header) (*http.Response, error) {
					r := reply(200, "", "Cache-Control", "max-age=60")
					r.Body, r.ContentLength = in, -1
					return r, nil
				}}
				var all sync.WaitGroup
				for i := range 5 {
					all.Go(func() {
						a, err := cache.Get(t.Context(), request("/a"), nil, o.fetch)
						if err != nil {
							t.Error(err)
							return
						}
						defer a.Body.Close()
						var got bytes.Buffer
						for err == nil {
							_, err = io.CopyN(&got, a.Body, 100_000)
							time.Sleep(time.Duration(i) * time.Second)
						}
						if err != io.EOF || !bytes.Equal(got.Bytes(), want) {
							t.Errorf("reader %d: %d bytes, %v", i, got.Len(), err)
						}
					})
				}
				synctest.Wait()
				for part := want; len(part) > 0; part = part[min(len(part), 50_000):] {
					out.Write(part[:min(len(part), 50_000)])
				}
				out.Close()
				all.Wait()
				if n := o.asked.Load(); n != c.want {
					t.Errorf("asked %d times", n)
				}
			})
		})
	}
}

// TestOldSpelling: an earlier release stored the names of headers as they were sent. Such an entry
// is revalidated by its ETag.
func TestOldSpelling(t *testing.T) {
	dir, key, o := t.TempDir(), seal.NewKey(), content(100)
	c := open(t, onDisk(t, dir, key))
	get(t, c, request("/a"), o)
	c.mu.Lock()
	e := c.index.entries[request("/a").Key]
	c.mu.Unlock()
	r := e.record(http.Header{"ETag": {`"old"`}, "Content-Type": {"text/plain"}})
	if _, err := c.disk.rewrite(e.file, r); err != nil {
		t.Fatal(err)
	}
	if err := c.Close(); err != nil {
		t.Fatal(err)
	}
	options := onDisk(t, dir, key)
	options.Now = func() time.Time { return time.Now().Add(2 * time.Hour) }
	c = open(t, options)
	var asked http.Header
	o.respond = func(h http.Header) (*http.Response, error) {
		asked = h
		return reply(304, "", "Etag", `"old"`), nil
	}
	if _, body, result := get(t, c, request("/a"), o); result != RefreshHit || len(body) != 100 ||
		asked.Get("If-None-Match") != `"old"` {
		t.Errorf("%v, %d bytes, asked %v", result, len(body), asked)
	}
}

// TestLongState: a state that is longer than one can be is not read whole, and the cache is empty.
func TestLongState(t *testing.T) {
	dir, key, o := t.TempDir(), seal.NewKey(), content(100)
	c := open(t, onDisk(t, dir, key))
	get(t, c, request("/a"), o)
	if err := c.Close(); err != nil {
		t.Fatal(err)
	}
	if err := os.Truncate(filepath.Join(dir, "state"), 1<<40); err != nil {
		t.Skip("this file system has no sparse files of this size")
	}
	c = open(t, onDisk(t, dir, key))
	if n := c.Stats().Entries; n != 0 {
		t.Errorf("%d entries", n)
	}
}
