package pebblekv

import "watertight/internal/storage/kv/embedded/internal/engine"

// mostSublevels is the number of overlapping layers of tables at level 0 that counts as a
// full backlog. Pebble itself would go on; but each read looks into all of them.
const mostSublevels = 128

// Backlog implements engine.Engine. Pebble makes a batch wait when its memtables are full
// because they are not flushed in time. It waits neither for compactions, whose arrears are
// the sublevels, nor for anything else.
func (e *Engine) Backlog() engine.Backlog {
	if e.disk.err() != nil { // its locks may be held forever
		return engine.Backlog{}
	}
	// The store asks until it is idle: then no snapshot keeps what was replaced.
	_ = e.closeEnded() // a snapshot that could not be closed would only keep more
	m := e.db.Metrics()
	return engine.Backlog{
		Memory: float64(m.MemTable.Size) / (memtables * memTable),
		Tables: float64(m.Levels[0].Sublevels) / mostSublevels,
	}
}
