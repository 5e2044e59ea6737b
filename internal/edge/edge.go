// Package edge serves the content of distributions to viewers, as CloudFront's edges do. It
// exists so that a bucket needs to be readable by its distribution alone. It must never know
// who may read a bucket, where configurations are stored, or how a request reaches the
// server: it is an http.Handler that gets snapshots, and asks origins.
//
// The rules are those of the Amazon CloudFront Developer Guide. What every answer depends
// on is in its cache key: see forward.go.
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
	// Viewer returns who sent a request, and whether over TLS, where a proxy may have
	// forwarded it. nil takes the connection's word.
	Viewer func(*http.Request) (addr netip.Addr, secure bool)
	Pop    string // X-Amz-Cf-Pop; "" is the usual one
}

// Edge serves distributions.
type Edge struct {
	options Options
	via     string // its name in Via
	said    said
	served  atomic.Pointer[index]
	counts  Counts
	squeeze chan struct{} // places for responses that are being compressed

	buffers sync.Pool // of *[copySize]byte

	applying sync.Mutex
}

// said is what the edge says in every answer. The values are shared, and never changed.
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

// maxSqueezing is how many responses are compressed at once. Others are sent as they are.
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
	e := &Edge{options: o, squeeze: make(chan struct{}, maxSqueezing)}
	e.buffers.New = func() any { return new([copySize]byte) }
	e.via = hex.EncodeToString(name[:]) + ".cloudfront.net (CloudFront)"
	e.said.via, e.said.pop = []string{"1.1 " + e.via}, []string{o.Pop}
	for r := range e.said.results {
		e.said.results[r] = []string{result(r).String() + " from cloudfront"}
	}
	e.served.Store(&index{})
	return e
}

// connected takes the connection's word for who sent a request.
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

// ServesAlias reports whether a host is an alias of an enabled distribution, and not only
// by one with a star: an authority may be asked for its certificate.
func (e *Edge) ServesAlias(host string) bool {
	name, ok := hostName(host)
	if !ok {
		return false
	}
	s := e.served.Load().byHost[name]
	return s != nil && !strings.EqualFold(s.DomainName, name)
}

// Channel returns the least version of TLS that the distribution of a host takes, and
// whether it takes HTTP/2. Those of unknown hosts are TLS 1.2 and HTTP/2.
func (e *Edge) Channel(host string) (least uint16, http2 bool) {
	if name, ok := hostName(host); ok {
		if s := e.served.Load().find(name); s != nil {
			return s.channel()
		}
	}
	return tls.VersionTLS12, true
}

// Apply makes the edge serve a snapshot. All of it is effective on return: requests that
// begin later see the new configuration, and nothing that an invalidation covers. A snapshot
// that is older than the one that is served changes nothing. Distributions that can't be
// served are left out, and logged: they must not keep a change of others from counting.
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

// Clear makes the edge serve nothing, and forget the generation that it had: the next snapshot
// counts, whatever its generation.
func (e *Edge) Clear() {
	e.applying.Lock()
	defer e.applying.Unlock()
	e.served.Store(&index{})
	e.counts.Distributions.Store(0)
	e.options.Cache.Clear()
}

// asKept returns a snapshot whose invalidations name paths as responses are kept under: in
// their one form, and the root stands for the default root object, too.
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
