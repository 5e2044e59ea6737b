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
	mu    sync.Mutex
	gets  map[string]int
	views int
	// records that were compared without a view
	compared map[string]int
	before   func() // called once, before the next transaction; may be nil
}

func (c *readCounter) View(ctx context.Context, fn func(kv.Reader) error) error {
	c.mu.Lock()
	c.views++
	c.mu.Unlock()
	return c.Store.View(ctx, func(r kv.Reader) error { return fn(countedReader{r, c}) })
}

func (c *readCounter) Update(ctx context.Context, fn func(kv.Tx) error) error {
	if do := c.before; do != nil {
		c.before = nil
		do()
	}
	return c.Store.Update(ctx, func(tx kv.Tx) error { return fn(countedTx{tx, c}) })
}

// Unchanged is kv.Unchanged. What it compares without a view counts in a map of its own.
func (c *readCounter) Unchanged(ctx context.Context, records []*kv.Copy) bool {
	if !kv.Unchanged(ctx, c.Store, records) {
		return false
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, r := range records {
		kind, _, _ := bytes.Cut(r.Key, []byte("/"))
		c.compared[string(kind)]++
	}
	return true
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
	c := &readCounter{Store: s.store, gets: map[string]int{}, compared: map[string]int{}}
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

// TestReadsPerRequest: what a request by a user with a policy reads once it is warm. The
// records that authorization rests on are compared without a view: those of the key and the
// user that signed and of the account's generation (i), of the bucket (b) and of its account's
// public access (h). Authorization, core and the transaction share that.
func TestReadsPerRequest(t *testing.T) {
	s, c := newCounted(t)
	s.signer.AccessKeyID, s.signer.SecretAccessKey = s.newUser("reader", benchPolicy)
	const authorized = " compared b:1 h:1 i:3"
	for _, step := range []struct {
		method, target string
		status         int
		reads          string // records, views, and what is compared
	}{
		// c and v are the object's pointer and version, d its bytes.
		{http.MethodPut, "/box/k", 200, "c:1 v:1 views 1" + authorized},
		{http.MethodHead, "/box/k", 200, "c:1 views 1" + authorized},
		{http.MethodGet, "/box/k", 200, "c:1 d:1 views 1" + authorized},
		{http.MethodHead, "/box/none", 404, "c:1 views 1" + authorized},
		{http.MethodGet, "/box?list-type=2", 200, "views 1" + authorized},
		{http.MethodDelete, "/box/k", 204, "c:1 v:1 views 0" + authorized},
		{http.MethodDelete, "/box/k", 204, "b:1 c:1 views 0" + authorized}, // no commit, so it is read again
		{http.MethodGet, "/none/k", 404, "b:2 views 2 compared i:3"},       // the bucket may exist by now
	} {
		t.Run(step.method+" "+step.target, func(t *testing.T) {
			var body []byte
			if step.method == http.MethodPut {
				body = []byte("text")
			}
			for range 3 { // the store keeps values in memory that were read twice
				s.send(http.MethodPut, "/box/k", []byte("text"))()
			}
			if step.reads[:1] == "b" && step.method == http.MethodDelete {
				s.send(http.MethodDelete, "/box/k", nil)()
			}
			send := s.send(step.method, step.target, body)
			c.gets, c.compared, c.views = map[string]int{}, map[string]int{}, 0
			if code := send(); code != step.status {
				t.Fatal(code)
			}
			var got []string
			for _, kind := range slices.Sorted(maps.Keys(c.gets)) {
				got = append(got, fmt.Sprintf("%s:%d", kind, c.gets[kind]))
			}
			got = append(got, fmt.Sprintf("views %d compared", c.views))
			for _, kind := range slices.Sorted(maps.Keys(c.compared)) {
				got = append(got, fmt.Sprintf("%s:%d", kind, c.compared[kind]))
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
