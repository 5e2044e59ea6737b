// Package cache stores origins' responses for the edge. It exists so that many viewers cost an
// origin one request, that files on the disk are sealed, and that a purge is effective when it
// returns. It must never know who a viewer is or what a distribution's configuration says: the
// caller hashes everything that an answer depends on into the key.
package cache

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"watertight/internal/edge/cache/fresh"
	"watertight/internal/limit"
	"watertight/internal/storage/folder"
	"watertight/internal/storage/seal"
)

// Options of a cache.
type Options struct {
	Dir string // where sealed files lie; "" keeps everything in memory
	Key seal.Key
	// Unseal, if it is set, returns the key instead of Key. It is called when the folder is locked,
	// so that it may keep a file there.
	Unseal      func() (seal.Key, error)
	MaxBytes    int64 // of all files, those that are removed and still read among them; 0 keeps everything in memory
	MemoryBytes int64 // of what is held in memory; 0 is 64 MiB
	// Room reserves bytes on the disk, or returns false if there is not enough room. If it is
	// nil, there is always enough.
	Room   func(bytes int64) bool
	Now    func() time.Time
	Logger *slog.Logger
}

// Key is the hash of everything that is in the cache key.
type Key = [sha256.Size]byte

// Fetch asks the origin. header is what the cache adds to the request: If-None-Match or
// If-Modified-Since and, for a range that is passed through, Range and If-Range. ctx outlives
// the viewer's request if others wait for the same answer. The response's body is stored as
// it is.
type Fetch func(ctx context.Context, header http.Header) (*http.Response, error)

// Request is what the cache knows of a viewer's request.
type Request struct {
	Distribution string // its id
	Path         string // as invalidations name it: the viewer's path, and the query that is in the key
	Key          Key
	Head         bool
	Rules        *Rules
}

// Rules are those of the cache behavior. They are not changed while a request uses them.
type Rules struct {
	fresh.Rules
	Collapse bool // concurrent misses wait for one origin request
	Pass     bool // nothing is looked up or stored
}

// Range is the range of bytes that a viewer asks for. The cache only forwards it where it does
// not store the whole object; otherwise the caller uses Body.Select.
type Range struct {
	Header  string // Range
	IfRange string // If-Range, or ""
	First   int64  // the first byte, or -1 if the range is counted from the end
}

// Result says where an answer came from.
type Result uint8

// The results.
const (
	Miss       Result = iota // the origin answered
	Hit                      // it was fresh
	RefreshHit               // the origin said that it is current
	Stale                    // it is stale, and the origin failed or is being asked
)

// Answer is what a viewer gets.
type Answer struct {
	Status int
	Header http.Header // must not be changed; it has no Content-Length and no Age
	Size   int64       // of the whole body; -1 if it is not known yet
	Body   Body        // the caller closes it
	Age    time.Duration
	Result Result
	Passed bool // it was not and will not be stored
	// Memo is kept with a stored response in memory, for what the caller makes of its header;
	// nil if the response is not one.
	Memo *atomic.Pointer[Memo]
}

// Memo is what a caller makes of a stored response's header. It is not changed once it is stored.
type Memo struct {
	For   any    // what it was made for
	Lines []byte // of a header
	Dated bool   // one of them is Date
}

const (
	defaultMemory = 64 << 20
	// maxHot is the size of the largest object that is kept in memory beside the disk, in bytes.
	maxHot = 256 << 10
	// rangeFill is the size of the largest object that is fetched whole because a viewer
	// asks for a range of it, in bytes.
	rangeFill = 32 << 20
	// openShare is the part of MaxBytes, or of MemoryBytes for a cache in memory, that is for what
	// is being written, and for what was evicted while somebody reads it: a quarter.
	openShare = 4
)

// Cache is safe for concurrent use.
type Cache struct {
	now    func() time.Time
	log    *slog.Logger
	max    int64 // bytes of one object that is stored
	hot    *limit.Cache[Key, *hot]
	ctx    context.Context // of the work that no viewer waits for
	cancel context.CancelFunc
	work   sync.WaitGroup

	open    *openFiles
	disk    *disk  // nil: everything is held in memory
	state   string // path of the file that remembers invalidations
	lock    folder.File
	buffers buffers

	mu       sync.RWMutex
	index    index
	flights  map[Key]*flight
	purges   purges
	detached int // fills without readers

	results   [Stale + 1]atomic.Uint64
	collapsed atomic.Uint64
}

// Stats are counters since the cache was opened, and what the cache holds now.
type Stats struct {
	Hits, Misses, RefreshHits, Stales uint64
	Collapsed                         uint64 // requests that waited for another's origin request
	Entries                           int
	Bytes                             int64
}

// Open opens a cache. Its folder is locked until Close; folder.ErrLocked says that another
// process has it. What another key sealed is removed. Nothing is answered from the cache before
// a snapshot was applied.
func Open(o Options) (*Cache, error) {
	if o.MemoryBytes <= 0 {
		o.MemoryBytes = defaultMemory
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	if o.Unseal == nil {
		o.Unseal = func() (seal.Key, error) { return o.Key, nil }
	}
	onDisk := o.Dir != "" && o.MaxBytes > 0
	all := o.MemoryBytes
	if onDisk {
		all = o.MaxBytes
	}
	open := all / openShare
	ctx, cancel := context.WithCancel(context.Background())
	c := &Cache{
		now: o.Now, log: o.Logger, max: all / 8, open: newOpenFiles(open), ctx: ctx, cancel: cancel,
		hot:   limit.NewCache(o.MemoryBytes, func(_ Key, h *hot) int64 { return h.bytes() }),
		index: newIndex(all - open), flights: map[Key]*flight{}, purges: newPurges(),
	}
	if !onDisk {
		return c, nil
	}
	if err := c.openDisk(o.Dir, o.Unseal, o.Room); err != nil {
		return nil, fmt.Errorf("open the cache in %s: %w", o.Dir, err)
	}
	return c, nil
}

// Close ends fills, waits for them, and remembers what a start needs.
func (c *Cache) Close() error {
	c.cancel()
	c.work.Wait()
	if c.disk == nil {
		return nil
	}
	return errors.Join(c.writeState(c.purges.save()), c.lock.Close())
}

// Stats returns the counts.
func (c *Cache) Stats() Stats {
	c.mu.RLock()
	defer c.mu.RUnlock()
	return Stats{
		Hits: c.results[Hit].Load(), Misses: c.results[Miss].Load(), RefreshHits: c.results[RefreshHit].Load(),
		Stales: c.results[Stale].Load(), Collapsed: c.collapsed.Load(),
		Entries: len(c.index.entries), Bytes: c.index.bytes,
	}
}

// Get answers a request from the cache, or asks the origin. fetch may be called after Get
// returned. Errors are those of fetch and of ctx.
func (c *Cache) Get(ctx context.Context, r *Request, rng *Range, fetch Fetch) (*Answer, error) {
	a, err := c.get(ctx, r, rng, fetch)
	if err == nil {
		c.results[a.Result].Add(1)
	}
	return a, err
}

func (c *Cache) get(ctx context.Context, r *Request, rng *Range, fetch Fetch) (*Answer, error) {
	if r.Rules.Pass || r.Rules.MaxTTL <= 0 {
		return c.pass(ctx, rng, fetch)
	}
	now := c.now()
	e := c.lookup(r)
	if e == nil {
		return c.miss(ctx, r, rng, nil, fetch)
	}
	switch {
	case now.Before(e.life.Fresh):
		if a := c.answer(e, now, Hit, r.Head); a != nil {
			return a, nil
		}
	case now.Before(e.life.Refresh):
		if a := c.answer(e, now, Stale, r.Head); a != nil {
			if !r.Head && !e.backsOff(now) {
				c.refresh(ctx, r, e, fetch)
			}
			return a, nil
		}
	case e.backsOff(now) && now.Before(e.life.Error):
		if a := c.answer(e, now, Stale, r.Head); a != nil {
			return a, nil
		}
	default:
		return c.miss(ctx, r, rng, e, fetch)
	}
	return c.miss(ctx, r, rng, nil, fetch) // the entry was damaged
}

// miss asks the origin, or waits for a request that somebody else made.
func (c *Cache) miss(ctx context.Context, r *Request, rng *Range, e *entry, fetch Fetch) (*Answer, error) {
	if r.Head {
		return c.head(ctx, e, r, fetch)
	}
	f, leader := c.join(r, e, fetch, r.Rules.Collapse)
	a, again, err := c.await(ctx, f, leader, rng, fetch)
	if again { // the answer was only for the one who asked
		f, _ = c.join(r, e, fetch, false)
		if a, again, err = c.await(ctx, f, true, rng, fetch); again {
			return c.pass(ctx, rng, fetch) // what is stored can't be read
		}
	}
	return a, err
}

// pass asks the origin and stores nothing.
func (c *Cache) pass(ctx context.Context, rng *Range, fetch Fetch) (*Answer, error) {
	ask := http.Header{}
	if rng != nil {
		ask.Set("Range", rng.Header)
		if rng.IfRange != "" {
			ask.Set("If-Range", rng.IfRange)
		}
	}
	resp, err := fetch(ctx, ask)
	if err != nil {
		return nil, err
	}
	return passed(resp, nil), nil
}

// head answers a HEAD that no entry answers. It is never stored, and does not touch what is
// stored.
func (c *Cache) head(ctx context.Context, e *entry, r *Request, fetch Fetch) (*Answer, error) {
	resp, err := fetch(ctx, http.Header{})
	now := c.now()
	if (err != nil || failed(resp.StatusCode)) && e != nil && now.Before(e.life.Error) && c.stands(e, r.Path) {
		if a := c.answer(e, now, Stale, true); a != nil {
			if err == nil {
				resp.Body.Close()
			}
			return a, nil
		}
	}
	if err != nil {
		return nil, err
	}
	return passed(resp, nil), nil
}

// passed is the answer for a response that is not stored. done is called when its body is
// closed.
func passed(resp *http.Response, done func()) *Answer {
	return &Answer{
		Status: resp.StatusCode, Header: fresh.Storable(resp.Header), Size: resp.ContentLength,
		Body: &through{body: resp.Body, done: done}, Age: fresh.Age(resp.Header), Result: Miss, Passed: true,
	}
}

// ask calls fetch and turns a panic into an error, because a panic in a goroutine of the cache
// would end the process.
func ask(ctx context.Context, fetch Fetch, header http.Header) (resp *http.Response, err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("cache: asking the origin: panic: %v", p)
		}
	}()
	return fetch(ctx, header)
}

// failed reports whether a status is an origin's failure, for which a stale response may be
// used (RFC 5861, section 4).
func failed(status int) bool { return status == 500 || status == 502 || status == 503 || status == 504 }
