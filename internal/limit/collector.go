package limit

import (
	"runtime"
	"runtime/debug"
	"runtime/metrics"
	"sync"
)

// Collector sets when the garbage collector runs: after about Garbage bytes were allocated since its last cycle, if
// more than that is in use. Go's own rule allows as much garbage as there is in use, so that a store whose caches are
// full holds twice their size. It applies to what is smaller: strangers' requests are garbage, too.
type Collector struct {
	Garbage int64 // bytes
	Limit   int64 // bytes of memory above which the collector runs more often; see runtime/debug.SetMemoryLimit
}

// Bounds of the runtime's percentage: below leastGarbage, cycles would take much of the CPU, and mostGarbage is Go's
// own.
const (
	leastGarbage = 30
	mostGarbage  = 100
)

// liveHeap is the runtime's metric of the bytes that the last cycle found in use.
const liveHeap = "/gc/heap/live:bytes"

// Start applies the rule to the process after each cycle until stop is called, which restores what was before.
func (c Collector) Start() (stop func()) {
	r := &ruled{garbage: c.Garbage, limit: debug.SetMemoryLimit(c.Limit)}
	r.before = debug.SetGCPercent(mostGarbage)
	r.percent = mostGarbage
	r.afterCycle()
	return r.stop
}

// percent returns the runtime's percentage at which live bytes in use allow the collector's garbage.
func percent(garbage, live int64) int {
	return int(min(max(garbage*100/max(live, 1), leastGarbage), mostGarbage))
}

// ruled is a process that follows the rule of a collector.
type ruled struct {
	garbage int64

	mu      sync.Mutex
	stopped bool
	percent int   // in force
	before  int   // percentage
	limit   int64 // before
}

// afterCycle adapts the percentage once, and has itself called after the next cycle: the runtime runs the cleanup of an
// object that nobody refers to when a cycle has found it.
func (r *ruled) afterCycle() {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.stopped {
		return
	}
	live := []metrics.Sample{{Name: liveHeap}}
	metrics.Read(live)
	// Setting it stops the world for a moment, so that small differences are left.
	if to := percent(r.garbage, int64(live[0].Value.Uint64())); differs(to, r.percent) {
		debug.SetGCPercent(to)
		r.percent = to
	}
	runtime.AddCleanup(new(*ruled), func(r *ruled) { r.afterCycle() }, r)
}

// differs says whether two percentages differ by more than a tenth.
func differs(a, b int) bool { return max(a, b)*10 > min(a, b)*11 }

func (r *ruled) stop() {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.stopped {
		return
	}
	r.stopped = true
	debug.SetGCPercent(r.before)
	debug.SetMemoryLimit(r.limit)
}
