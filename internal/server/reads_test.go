package server

import (
	"bytes"
	"context"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"

	"watertight/internal/storage/kv"
)

// readCounter counts the records that are read, by the prefix of their key.
type readCounter struct {
	kv.Store
	mu     sync.Mutex
	gets   map[string]int
	before func() // called once, before the next transaction; may be nil
}

func (c *readCounter) View(ctx context.Context, fn func(kv.Reader) error) error {
	return c.Store.View(ctx, func(r kv.Reader) error { return fn(countedReader{r, c}) })
}

func (c *readCounter) Update(ctx context.Context, fn func(kv.Tx) error) error {
	if do := c.before; do != nil {
		c.before = nil
		do()
	}
	return c.Store.Update(ctx, func(tx kv.Tx) error { return fn(countedTx{tx, c}) })
}

func (c *readCounter) count(key []byte) {
	c.mu.Lock()
	defer c.mu.Unlock()
	kind, _, _ := bytes.Cut(key, []byte("/"))
	c.gets[string(kind)]++
}

type countedReader struct {
	kv.Reader
	c *readCounter
}

func (r countedReader) Get(key []byte) ([]byte, error) {
	r.c.count(key)
	return r.Reader.Get(key)
}

type countedTx struct {
	kv.Tx
	c *readCounter
}

func (t countedTx) Get(key []byte) ([]byte, error) {
	t.c.count(key)
	return t.Tx.Get(key)
}

// newCounted returns a server with a bucket, box, whose reads are counted.
func newCounted(t *testing.T) (*inHouse, *readCounter) {
	t.Helper()
	s := newInHouse(t)
	c := &readCounter{Store: s.store, gets: map[string]int{}}
	s.store = c
	for _, step := range []func(context.Context) error{s.openCore, s.openGateway} {
		if err := step(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	if code := s.send(http.MethodPut, "/box", nil)(); code != 200 {
		t.Fatal(code)
	}
	return s, c
}

// TestReadsPerRequest: authorization, core and the transaction's check share one
// read of the bucket's record (b) and one of its account's setting for public
// access (h).
func TestReadsPerRequest(t *testing.T) {
	s, c := newCounted(t)
	for _, step := range []struct {
		method, target string
		status         int
		reads          string
	}{
		// i is identity's: the key that signed. c and v are the object's pointer and
		// version, d its bytes.
		{http.MethodPut, "/box/k", 200, "b:1 c:1 h:1 i:1"},
		{http.MethodPut, "/box/k", 200, "b:1 c:1 h:1 i:1 v:1"},
		{http.MethodHead, "/box/k", 200, "b:1 c:1 h:1 i:1 v:1"},
		{http.MethodGet, "/box/k", 200, "b:1 c:1 d:1 h:1 i:1 v:1"},
		{http.MethodHead, "/box/none", 404, "b:1 c:1 h:1 i:1"},
		{http.MethodGet, "/box?list-type=2", 200, "b:1 h:1 i:1"},
		{http.MethodDelete, "/box/k", 204, "b:1 c:1 h:1 i:1 v:1"},
		{http.MethodDelete, "/box/k", 204, "b:2 c:1 h:1 i:1"}, // no commit, so it is read again
		{http.MethodGet, "/none/k", 404, "b:2 i:1"},           // the bucket may exist by now
	} {
		t.Run(step.method+" "+step.target+" "+step.reads, func(t *testing.T) {
			var body []byte
			if step.method == http.MethodPut {
				body = []byte("text")
			}
			send := s.send(step.method, step.target, body)
			c.gets = map[string]int{}
			if code := send(); code != step.status {
				t.Fatal(code)
			}
			var got []string
			for _, kind := range slices.Sorted(maps.Keys(c.gets)) {
				got = append(got, fmt.Sprintf("%s:%d", kind, c.gets[kind]))
			}
			if got := strings.Join(got, " "); got != step.reads {
				t.Errorf("%s, want %s", got, step.reads)
			}
		})
	}
}

// TestBucketChangesBeforeTheTransaction: if a bucket is changed after a request was
// authorized, the request uses the bucket as it is when the transaction commits or,
// if there is nothing to commit, as the transaction sees it.
func TestBucketChangesBeforeTheTransaction(t *testing.T) {
	const versioning = `<VersioningConfiguration xmlns="http://s3.amazonaws.com/doc/2006-03-01/"><Status>` +
		`Enabled</Status></VersioningConfiguration>`
	for name, c := range map[string]struct {
		method  string
		body    string
		entries int // versions and delete markers in the end
	}{
		"put":               {http.MethodPut, "text", 3},
		"delete of nothing": {http.MethodDelete, "", 3},
	} {
		t.Run(name, func(t *testing.T) {
			s, counter := newCounted(t)
			send := s.send(c.method, "/box/k", []byte(c.body))
			counter.before = func() {
				for _, step := range []func() int{
					s.send(http.MethodPut, "/box?versioning=", []byte(versioning)),
					s.send(http.MethodPut, "/box/k", []byte("text")), s.send(http.MethodDelete, "/box/k", nil),
				} {
					if code := step(); code >= 300 {
						t.Error(code)
					}
				}
			}
			if code := send(); code >= 300 || counter.before != nil {
				t.Fatal(code)
			}
			n := 0
			err := s.store.View(t.Context(), func(r kv.Reader) error {
				for _, err := range r.Scan([]byte("v/"), []byte("v0")) {
					if err != nil {
						return err
					}
					n++
				}
				return nil
			})
			if err != nil || n != c.entries {
				t.Errorf("%d versions and markers, want %d: %v", n, c.entries, err)
			}
		})
	}
}
