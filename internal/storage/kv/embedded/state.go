package embedded

import (
	"sync/atomic"

	"watertight/internal/storage/kv/embedded/internal/engine"
)

// state is a snapshot right after a group, shared by all who read it. Two are
// kept: the newest applied, which transactions build on, and the newest
// durable, which views read. Since a view never sees anything else, no reader waits
// for a sync, and none sees what a crash could undo.
type state struct {
	commit uint64   // newest commit in it
	sum    [32]byte // of the chain up to it
	snap   engine.Snapshot
	refs   atomic.Int64
}

// newState returns a state with one holder for each place that keeps it.
func newState(c *chain, snap engine.Snapshot) *state {
	st := &state{commit: c.commit, sum: c.sum, snap: snap}
	st.refs.Store(2)
	return st
}

// acquire returns the state that p holds, and becomes a holder of it.
func acquire(p *atomic.Pointer[state]) *state {
	for {
		st := p.Load()
		for n := st.refs.Load(); n > 0; n = st.refs.Load() {
			if st.refs.CompareAndSwap(n, n+1) {
				return st
			}
		}
		// Its last holder has released it, so p holds a newer one now.
	}
}

func (st *state) release() error {
	if st.refs.Add(-1) == 0 {
		return st.snap.Close()
	}
	return nil
}
