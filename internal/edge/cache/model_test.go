package cache

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"watertight/internal/core/distribution"
	"watertight/internal/edge/cache/fresh"
	"watertight/internal/storage/seal"
)

// model is a cache as simple as can be. It holds what the real one must answer.
type model struct {
	entries map[[2]string]*kept
	origin  map[[2]string]*page
	list    []distribution.Invalidation
	enabled map[string]bool
	oldest  uint64
}

// page is what the origin has at a path.
type page struct {
	version int
	control string
	ttl     time.Duration // what control says; -1: not to be stored
	fails   string        // "", "503" or "error"
}

// kept is an answer that is stored.
type kept struct {
	body     string
	status   int
	version  int
	seq      uint64
	fresh    time.Time
	onError  time.Time
	backsOff time.Time
}

const modelMax = 10 * time.Minute

// run is one run of the real cache beside the model.
type run struct {
	t       *rapid.T
	m       *model
	c       *Cache
	options Options
	asked   int
	now     time.Time
}

func (m *model) number() uint64 { return uint64(len(m.list)) }

func (r *run) apply() {
	s := &distribution.Snapshot{Oldest: r.m.oldest}
	for id, on := range r.m.enabled {
		if on {
			s.Sites = append(s.Sites, distribution.Site{ID: id})
		}
	}
	for _, n := range r.m.list {
		if n.Number >= r.m.oldest {
			s.Invalidations = append(s.Invalidations, n)
		}
	}
	r.c.Apply(s)
}

func (r *run) open() {
	c, err := Open(r.options)
	if err != nil {
		r.t.Fatal(err)
	}
	r.c = c
	r.apply()
}

// drop forgets the entries for which gone returns true.
func (m *model) drop(gone func(key [2]string, k *kept) bool) {
	for key, k := range m.entries {
		if gone(key, k) {
			delete(m.entries, key)
		}
	}
}

// want says what a request must give, and whether the origin is asked.
func (m *model) want(key [2]string, now time.Time) (body string, status int, result Result, asked int) {
	k, p := m.entries[key], m.origin[key]
	if k != nil && now.Before(k.fresh) {
		return k.body, k.status, Hit, 0
	}
	if k != nil && now.Before(k.backsOff) && now.Before(k.onError) {
		return k.body, k.status, Stale, 0
	}
	if p.fails != "" && k != nil && now.Before(k.onError) {
		k.backsOff = now.Add(fresh.DefaultErrorTTL)
		return k.body, k.status, Stale, 1
	}
	switch {
	case p.fails == "error":
		return "", 0, Miss, 1
	case p.fails == "503":
		m.entries[key] = &kept{body: "down", status: 503, seq: m.number(), fresh: now.Add(fresh.DefaultErrorTTL)}
		return "down", 503, Miss, 1
	}
	body, result = fmt.Sprint(key, p.version), Miss
	if k != nil && k.version == p.version && k.status == 200 {
		result = RefreshHit
	}
	switch {
	case p.ttl < 0:
		delete(m.entries, key)
	case p.ttl > 0 || result == Miss:
		m.entries[key] = &kept{
			body: body, status: 200, version: p.version, seq: m.number(), fresh: now.Add(p.ttl),
			onError: now.Add(modelMax),
		}
	}
	return body, 200, result, 1
}

func (r *run) fetch(key [2]string, header http.Header) (*http.Response, error) {
	r.asked++
	p := r.m.origin[key]
	switch tag := fmt.Sprintf(`"%d"`, p.version); {
	case p.fails == "error":
		return nil, errors.New("down")
	case p.fails == "503":
		return reply(503, "down"), nil
	case header.Get("If-None-Match") == tag:
		return reply(304, "", "Etag", tag, "Cache-Control", p.control), nil
	default:
		return reply(200, fmt.Sprint(key, p.version), "Etag", tag, "Cache-Control", p.control), nil
	}
}

func (r *run) get(key [2]string) {
	q := &Request{
		Distribution: key[0], Path: key[1], Key: sha256.Sum256([]byte(key[0] + key[1])),
		Rules: &Rules{Rules: fresh.Rules{DefaultTTL: time.Minute, MaxTTL: modelMax}, Collapse: true},
	}
	before := r.asked
	body, status, result, asked := r.m.want(key, r.now)
	a, err := r.c.Get(r.t.Context(), q, nil, func(_ context.Context, h http.Header) (*http.Response, error) {
		return r.fetch(key, h)
	})
	if err != nil {
		if status != 0 {
			r.t.Fatalf("%v: %v, want %d", key, err, status)
		}
		return
	}
	b, err := io.ReadAll(a.Body)
	a.Body.Close()
	got := fmt.Sprint(string(b), a.Status, a.Result, r.asked-before, err)
	if want := fmt.Sprint(body, status, result, asked, nil); got != want {
		r.t.Fatalf("%v: got %s, want %s", key, got, want)
	}
}

func (r *run) invalidate(id, path string) {
	n := r.m.number() + 1
	r.m.list = append(r.m.list, distribution.Invalidation{Number: n, Distribution: id, Paths: []string{path}})
	r.m.drop(func(key [2]string, _ *kept) bool {
		prefix, wild := strings.CutSuffix(path, "*")
		return key[0] == id && (key[1] == path || wild && strings.HasPrefix(key[1], prefix))
	})
	r.apply()
}

func (r *run) restart(clean bool) {
	if clean {
		if err := r.c.Close(); err != nil {
			r.t.Fatal(err)
		}
	} else {
		r.c.crash()
	}
	r.m.drop(func(_ [2]string, k *kept) bool {
		k.backsOff = time.Time{}
		return r.options.Dir == "" || !clean && k.seq+1 < r.m.oldest
	})
	r.open()
}

// TestModel: over any sequence of requests, changes at the origin, invalidations, restarts
// and time, the cache answers what a naive one does.
func TestModel(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		r := &run{t: t, m: newModel(), options: Options{MemoryBytes: 1 << 20}, now: time.Unix(1e9, 0)}
		r.options.Now = func() time.Time { return r.now }
		if rapid.Bool().Draw(t, "disk") {
			dir, err := os.MkdirTemp("", "cache")
			if err != nil {
				t.Fatal(err)
			}
			defer os.RemoveAll(dir)
			r.options.Dir, r.options.MaxBytes, r.options.Key = dir, 1<<20, seal.NewKey()
		}
		r.open()
		defer func() { r.c.Close() }()
		ids, paths := rapid.SampledFrom([]string{"E1", "E2"}), rapid.SampledFrom([]string{"/a", "/a/b", "/a/c", "/b"})
		t.Repeat(map[string]func(*rapid.T){
			"get": func(t *rapid.T) {
				key := [2]string{ids.Draw(t, "id"), paths.Draw(t, "path")}
				if r.m.enabled[key[0]] {
					r.get(key)
				}
			},
			"time": func(t *rapid.T) {
				r.now = r.now.Add(time.Duration(rapid.IntRange(1, 130).Draw(t, "seconds")) * 5 * time.Second)
			},
			"origin": func(t *rapid.T) { r.m.change(t, [2]string{ids.Draw(t, "id"), paths.Draw(t, "path")}) },
			"invalidate": func(t *rapid.T) {
				of := rapid.SampledFrom([]string{"/a", "/a*", "/a/*", "/a/b", "/*", "/b", "/c*"})
				r.invalidate(ids.Draw(t, "id"), of.Draw(t, "of"))
			},
			"restart": func(t *rapid.T) { r.restart(rapid.Bool().Draw(t, "clean")) },
			"forget": func(t *rapid.T) {
				r.m.oldest = rapid.Uint64Range(r.m.oldest, r.m.number()+1).Draw(t, "oldest")
				r.apply()
			},
			"disable": func(t *rapid.T) {
				id := ids.Draw(t, "id")
				if r.m.enabled[id] = !r.m.enabled[id]; !r.m.enabled[id] {
					r.m.drop(func(key [2]string, _ *kept) bool { return key[0] == id })
				}
				r.apply()
			},
		})
	})
}

func newModel() *model {
	m := &model{
		entries: map[[2]string]*kept{}, origin: map[[2]string]*page{}, enabled: map[string]bool{"E1": true, "E2": true},
		oldest: 1,
	}
	for _, id := range []string{"E1", "E2"} {
		for _, path := range []string{"/a", "/a/b", "/a/c", "/b"} {
			m.origin[[2]string{id, path}] = &page{control: "max-age=60", ttl: time.Minute}
		}
	}
	return m
}

func (m *model) change(t *rapid.T, key [2]string) {
	p := m.origin[key]
	switch rapid.SampledFrom([]string{"content", "control", "failure"}).Draw(t, "change") {
	case "content":
		p.version++
	case "control":
		c := rapid.SampledFrom([]page{
			{control: "max-age=300", ttl: 5 * time.Minute}, {control: "max-age=0"}, {control: "no-store", ttl: -1},
			{control: "", ttl: time.Minute}, {control: "s-maxage=10, max-age=99", ttl: 10 * time.Second},
			{control: "max-age=9999", ttl: modelMax},
		}).Draw(t, "control")
		p.control, p.ttl = c.control, c.ttl
	default:
		p.fails = rapid.SampledFrom([]string{"", "503", "error"}).Draw(t, "failure")
	}
}
