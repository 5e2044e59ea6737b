package server

import (
	"runtime"
	"runtime/debug"
	"runtime/metrics"
	"sync"
)

// heapFloor is the size, in bytes, that the heap may reach before it is collected,
// however little of it is in use.
const heapFloor = 128 << 20

// CollectLater lets the heap grow to 128 MiB before it is collected, where Go would
// collect it at twice what is in use: a server that answers small requests uses
// 15 MiB, and would collect 40 times a second. A heap that uses more than half of
// the floor is collected as ever, so that the most memory a server takes stays what
// it was. It is a setting of the whole process; end takes it back.
func CollectLater() (end func()) {
	g := &garbage{percent: defaultPercent}
	g.before = debug.SetGCPercent(defaultPercent)
	g.watch()
	return func() {
		g.mu.Lock()
		defer g.mu.Unlock()
		g.ended = true
		debug.SetGCPercent(g.before)
	}
}

// defaultPercent is Go's own: a heap is collected at twice what is in use.
const defaultPercent = 100

// garbage follows the size of the heap, from one collection to the next.
type garbage struct {
	mu              sync.Mutex
	before, percent int
	ended           bool
}

// watch has the runtime call adjust after the next collection, and the one after it.
func (g *garbage) watch() {
	runtime.AddCleanup(new([32]byte), func(g *garbage) {
		if g.adjust() {
			g.watch()
		}
	}, g)
}

// adjust sets how far the heap may grow until the next collection. It reports
// whether anyone still wants that.
func (g *garbage) adjust() bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.ended {
		return false
	}
	live := []metrics.Sample{{Name: "/gc/heap/live:bytes"}}
	metrics.Read(live)
	percent := percentOf(live[0].Value.Uint64())
	if d := percent - g.percent; d > g.percent/8 || -d > g.percent/8 { // setting it stops the world for a moment
		g.percent = percent
		debug.SetGCPercent(percent)
	}
	return true
}

// percentOf is the garbage that a heap with so many bytes in use may hold, in
// percent of them.
func percentOf(live uint64) int {
	live = max(live, 1<<20)
	if live >= heapFloor/2 {
		return defaultPercent
	}
	return int((heapFloor - live) * 100 / live)
}
