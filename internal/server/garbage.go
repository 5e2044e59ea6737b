package server

import (
	"runtime/debug"
	"runtime/metrics"
	"sync"
	"time"
)

const (
	// heapFloor is the size, in bytes, that the heap may reach before it is
	// collected, however little of it is in use.
	heapFloor = 128 << 20
	// heapWatch is how long it takes to notice that more is in use.
	heapWatch = 100 * time.Millisecond
	// defaultPercent is Go's own: a heap is collected at twice what is in use.
	defaultPercent = 100
)

// CollectLater lets the heap grow to 128 MiB before it is collected, where Go would
// collect it at twice what is in use: a server that answers small requests uses
// 15 MiB, and would collect 40 times a second. A heap that uses more than half of
// the floor is collected as ever, so that the most memory a server takes stays what
// it was. It is a setting of the whole process; end takes it back.
func CollectLater() (end func()) {
	before := debug.SetGCPercent(defaultPercent)
	done := make(chan struct{})
	var watching sync.WaitGroup
	watching.Go(func() { watchHeap(done) })
	return func() {
		close(done)
		watching.Wait()
		debug.SetGCPercent(before)
	}
}

// watchHeap sets how far the heap may grow, until done.
func watchHeap(done <-chan struct{}) {
	tick := time.NewTicker(heapWatch)
	defer tick.Stop()
	live := []metrics.Sample{{Name: "/gc/heap/live:bytes"}}
	for set := defaultPercent; ; {
		select {
		case <-done:
			return
		case <-tick.C:
		}
		metrics.Read(live)
		percent := percentOf(live[0].Value.Uint64())
		// Setting it stops the world for a moment.
		if percent < set || percent > set+set/8 {
			set = percent
			debug.SetGCPercent(percent)
		}
	}
}

// percentOf is the garbage that a heap with so many bytes in use may hold, in
// percent of them.
func percentOf(live uint64) int {
	live = max(live, 4<<20) // Go counts no heap as smaller when it applies the percentage
	if live >= heapFloor/2 {
		return defaultPercent
	}
	return int((heapFloor - live) * 100 / live)
}
