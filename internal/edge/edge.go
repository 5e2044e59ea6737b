// Package edge serves the content of distributions to viewers, as CloudFront's edges do. It
// exists so that a bucket can be published without being readable by anybody but its
// distribution. It must never know who may read a bucket, where configurations are stored, or
// how a request reaches the server: it is an http.Handler that gets snapshots, and asks
// origins.
//
// The rules are those of the Amazon CloudFront Developer Guide. The cache key has everything
// that an answer depends on; see forward.go.
package edge

import (
	"context"
	"crypto/rand"
	"crypto/tls"
	"encoding/hex"
	"log/slog"
	"net/http"
	"net/netip"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"watertight/internal/core/distribution"
	"watertight/internal/edge/accesslog"
	"watertight/internal/edge/cache"
	"watertight/internal/edge/origin"
)

// Options are what an edge works with. Cache, Origins and Now are set.
type Options struct {
	Cache   *cache.Cache
	Origins origin.Origins
	Log     func(accesslog.Entry) // gets the requests to distributions that are logged; nil drops them
	Now     func() time.Time
	Logger  *slog.Logger
	// Viewer returns the viewer's address, and whether the viewer used TLS. It takes trusted
	// proxies into account. If it is nil, both are taken from the connection.
	Viewer func(*http.Request) (addr netip.Addr, secure bool)
	Pop    string // X-Amz-Cf-Pop; "" means usualPop
}

// Edge serves distributions.
type Edge struct {
	options Options
	via     string // its name in Via
	said    said
	served  atomic.Pointer[index]
	counts  Counts
	presses *presses

	buffers sync.Pool // of *[copySize]byte

	applying sync.Mutex
}

// said has header values that are the same in every answer. They are shared, and never
// changed.
type said struct {
	via, pop []string
	results  [results][]string
}

// Counts are numbers since the start.
type Counts struct {
	Results       [results]atomic.Uint64
	SentBytes     atomic.Uint64 // of bodies
	OriginAsked   atomic.Uint64
	OriginFailed  atomic.Uint64 // no answer
	LogLines      atomic.Uint64
	Distributions atomic.Int64
}

// usualPop is a code in CloudFront's form.
const usualPop = "WTR50-P1"

// maxSqueezing is how many responses are compressed at once. Further ones are sent
// uncompressed.
const maxSqueezing = 8

// New returns an edge that serves nothing yet.
func New(o Options) *Edge {
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	if o.Pop == "" {
		o.Pop = usualPop
	}
	if o.Viewer == nil {
		o.Viewer = connected
	}
	var name [16]byte
	rand.Read(name[:])
	e := &Edge{options: o, presses: newPresses()}
	e.buffers.New = func() any { return new([copySize]byte) }
	e.via = hex.EncodeToString(name[:]) + ".cloudfront.net (CloudFront)"
	e.said.via, e.said.pop = []string{"1.1 " + e.via}, []string{o.Pop}
	for r := range e.said.results {
		e.said.results[r] = []string{result(r).String() + " from cloudfront"}
	}
	e.served.Store(&index{})
	return e
}

// connected takes the viewer's address and the use of TLS from the connection.
func connected(r *http.Request) (netip.Addr, bool) {
	p, _ := netip.ParseAddrPort(r.RemoteAddr)
	return p.Addr().Unmap(), r.TLS != nil
}

// Counts returns the edge's counters.
func (e *Edge) Counts() *Counts { return &e.counts }

// Serves reports whether a host is that of an enabled distribution.
func (e *Edge) Serves(host string) bool {
	name, ok := hostName(host)
	return ok && e.served.Load().find(name) != nil
}

// ServesAlias reports whether a host is an alias of an enabled distribution. An alias with a
// wildcard does not count, because a certificate may be requested for the host.
func (e *Edge) ServesAlias(host string) bool {
	name, ok := hostName(host)
	if !ok {
		return false
	}
	s := e.served.Load().byHost[name]
	return s != nil && !strings.EqualFold(s.DomainName, name)
}

// Channel returns the least version of TLS that the distribution of a host accepts, and
// whether it accepts HTTP/2. For unknown hosts they are TLS 1.2 and true.
func (e *Edge) Channel(host string) (least uint16, http2 bool) {
	if name, ok := hostName(host); ok {
		if s := e.served.Load().find(name); s != nil {
			return s.channel()
		}
	}
	return tls.VersionTLS12, true
}

// Apply makes the edge serve a snapshot. When it returns, requests that begin later get the
// new configuration, and get nothing that an invalidation covers. A snapshot that is older
// than the served one is ignored. A distribution that can't be served is left out and logged,
// so that it does not block changes of other distributions.
func (e *Edge) Apply(ctx context.Context, s *distribution.Snapshot) error {
	e.applying.Lock()
	defer e.applying.Unlock()
	old := e.served.Load()
	if s.Generation < old.generation {
		return nil
	}
	next, err := newIndex(s)
	if err != nil {
		e.options.Logger.ErrorContext(ctx, "a distribution can't be served", "err", err)
	}
	e.served.Store(next)
	e.counts.Distributions.Store(int64(len(next.byID)))
	e.options.Cache.Apply(next.asKept(s))
	return nil
}

// Clear makes the edge serve nothing and forget its generation. It accepts the next snapshot,
// whatever its generation.
func (e *Edge) Clear() {
	e.applying.Lock()
	defer e.applying.Unlock()
	e.served.Store(&index{})
	e.counts.Distributions.Store(0)
	e.options.Cache.Clear()
}

// asKept returns a snapshot whose invalidations name paths in the normalized form that the
// cache uses. An invalidation of the root also covers the default root object.
func (x *index) asKept(s *distribution.Snapshot) *distribution.Snapshot {
	kept := *s
	kept.Invalidations = make([]distribution.Invalidation, len(s.Invalidations))
	for n, i := range s.Invalidations {
		paths := make([]string, 0, len(i.Paths)+1)
		for _, p := range i.Paths {
			if t, ok := parseTarget(p); ok {
				p = t.String()
			}
			paths = append(paths, p)
			if served := x.byID[i.Distribution]; served != nil && p == "/" {
				paths = append(paths, served.root(p))
			}
		}
		i.Paths = paths
		kept.Invalidations[n] = i
	}
	return &kept
}
