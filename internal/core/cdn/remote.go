package cdn

import (
	"sync"
	"time"
)

// away is how long an edge on another machine can delay the status Deployed after its last
// request.
const away = time.Minute

// remote is what this process knows about the edges on other machines. After a restart, an
// edge counts again from its first request on.
type remote struct {
	mu   sync.Mutex
	seen map[string]confirmation // by access key id
	news chan struct{}           // closed at the next change
}

type confirmation struct {
	edge       *Edge
	generation uint64
	at         time.Time
}

// confirm records that an edge serves a generation.
func (r *remote) confirm(e *Edge, generation uint64, at time.Time) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.seen == nil {
		r.seen = map[string]confirmation{}
	}
	r.seen[e.AccessKeyID] = confirmation{e, generation, at}
}

func (r *remote) forget(accessKeyID string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.seen, accessKeyID)
}

func (r *remote) last(accessKeyID string) (at time.Time, generation uint64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	c := r.seen[accessKeyID]
	return c.at, c.generation
}

// have reports whether every edge that serves a distribution, and that asked within the last
// minute, has a generation. Edges that do not serve it are not waited for.
func (r *remote) have(account, id string, generation uint64, now time.Time) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, c := range r.seen {
		if c.generation < generation && c.edge.serves(account, id) && now.Sub(c.at) < away {
			return false
		}
	}
	return true
}

// changed returns a channel that is closed at the next change.
func (r *remote) changed() <-chan struct{} {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.news == nil {
		r.news = make(chan struct{})
	}
	return r.news
}

// announce wakes the edges that wait for a change.
func (r *remote) announce() {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.news != nil {
		close(r.news)
		r.news = nil
	}
}
