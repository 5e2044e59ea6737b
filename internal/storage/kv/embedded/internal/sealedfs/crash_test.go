package sealedfs_test

import (
	"flag"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/vfs/errorfs"

	"watertight/internal/storage/kv/embedded/internal/sealedfs"
	"watertight/internal/storage/seal"
)

var cuts = flag.Int("cuts", 150, "the number of power cuts of TestPowerCut")

// powerCut is what the disk may hold after a power cut.
type powerCut struct {
	disk    *vfs.MemFS
	acked   int // records that were durable
	started int // records that a commit was begun for
	when    string
}

// outage cuts the power before random operations that change files.
type outage struct {
	mu             sync.Mutex
	mem            *vfs.MemFS
	rng            *rand.Rand
	acked, started int
	cuts           []powerCut
	often          int // one in so many operations
}

func (o *outage) MaybeError(op errorfs.Op) error {
	o.mu.Lock()
	defer o.mu.Unlock()
	if op.Kind.ReadOrWrite() == errorfs.OpIsWrite && o.rng.IntN(o.often) == 0 {
		o.cut(fmt.Sprint(op.Kind, " ", op.Path))
	}
	return nil
}

func (o *outage) String() string { return "outage" }

func (o *outage) cut(when string) {
	percent := []int{0, 10, 50, 90, 100}[o.rng.IntN(5)]
	disk := o.mem.CrashClone(vfs.CrashCloneCfg{UnsyncedDataPercent: percent, RNG: o.rng})
	o.cuts = append(o.cuts, powerCut{disk, o.acked, o.started, fmt.Sprintf("%s, %d%%", when, percent)})
}

// write commits records to n. Now and then it commits many without waiting, flushes or
// copies the store.
func (o *outage) write(t *testing.T, db *pebble.DB, from, n int) {
	hurry := 0
	for i := from; i < n; i++ {
		o.mu.Lock()
		o.started = i + 1
		roll := o.rng.IntN(200)
		o.mu.Unlock()
		k, v := record(i)
		w := pebble.Sync
		if roll < 5 {
			hurry = 50
		}
		if hurry--; hurry > 0 || roll < 60 {
			w = pebble.NoSync
		}
		err := db.Set(k, v, w)
		if roll == 199 {
			err = db.Flush()
		}
		if roll == 198 {
			err = db.Checkpoint(fmt.Sprintf("copy-%d", i), pebble.WithFlushedWAL())
		}
		if err != nil {
			t.Fatal(err)
		}
		if w == pebble.Sync {
			o.mu.Lock()
			o.acked = i + 1
			o.mu.Unlock()
		}
	}
}

// TestPowerCut: after a power cut at any moment, with any part of what was not synced lost,
// the store opens, and has every commit that was acknowledged and none that is torn.
func TestPowerCut(t *testing.T) {
	key := seal.NewKey()
	for seed := uint64(0); *cuts > 0; seed++ {
		mem := vfs.NewCrashableMem()
		const perStore = 50
		o := &outage{mem: mem, rng: rand.New(rand.NewPCG(seed, 14)), often: 20}
		inner := errorfs.Wrap(mem, o)
		count := 0
		for range 2 { // opened again, it recycles no log of the first time
			db := open(t, inner, key, "store")
			o.write(t, db, count, count+600)
			count += 600
			if err := db.Close(); err != nil {
				t.Fatal(err)
			}
		}
		o.rng.Shuffle(len(o.cuts), func(i, j int) { o.cuts[i], o.cuts[j] = o.cuts[j], o.cuts[i] })
		for _, c := range o.cuts[:min(perStore, len(o.cuts))] {
			c.recover(t, seed, key)
			*cuts--
		}
	}
}

// recover opens the store twice after the power cut, with commits in between.
func (c powerCut) recover(t *testing.T, seed uint64, key seal.Key) {
	t.Helper()
	if c.acked == 0 {
		return // nothing was promised, and the folder may not exist
	}
	n := -1
	for range 2 {
		db, err := pebble.Open("store", options(sealedfs.New(c.disk, key, sealedfs.Options{})))
		if err != nil {
			t.Fatalf("seed %d, power cut before %s: %v", seed, c.when, err)
		}
		if n < 0 {
			n = length(t, db)
		}
		if err := check(db, n); err != nil || n < c.acked || n > c.started {
			t.Fatalf("seed %d, power cut before %s: %d records, acknowledged %d, begun %d: %v",
				seed, c.when, n, c.acked, c.started, err)
		}
		fill(t, db, n, n+20)
		n += 20
		c.acked, c.started = n, n
		if err := db.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

func length(t *testing.T, db *pebble.DB) (n int) {
	t.Helper()
	it, err := db.NewIter(nil)
	if err != nil {
		t.Fatal(err)
	}
	for ok := it.First(); ok; ok = it.Next() {
		n++
	}
	if err := it.Close(); err != nil {
		t.Fatal(err)
	}
	return n
}
