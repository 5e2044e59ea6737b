package cache

import (
	"crypto/sha256"
	"encoding/binary"
	"runtime"
	"testing"
	"time"

	"pgregory.net/rapid"

	"watertight/internal/edge/cache/fresh"
	"watertight/internal/limit"
)

func keyOf(n int) Key { return sha256.Sum256(binary.BigEndian.AppendUint64(nil, uint64(n))) }

// TestIndexIsBounded: whatever is put, used and removed, the index holds at most its budget,
// counts correctly, and finds what it holds.
func TestIndexIsBounded(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		x := newIndex(1000)
		t.Repeat(map[string]func(*rapid.T){
			"put": func(t *rapid.T) {
				e := &entry{key: keyOf(rapid.IntRange(0, 50).Draw(t, "key"))}
				e.cost = rapid.Int64Range(1, 300).Draw(t, "cost")
				x.put(e)
				if x.entries[e.key] != e {
					t.Error("what was put is not there")
				}
			},
			"use": func(t *rapid.T) {
				if e := x.entries[keyOf(rapid.IntRange(0, 50).Draw(t, "key"))]; e != nil {
					e.use()
				}
			},
			"remove": func(t *rapid.T) {
				if e := x.entries[keyOf(rapid.IntRange(0, 50).Draw(t, "key"))]; e != nil {
					x.remove(e)
				}
			},
			"": func(t *rapid.T) {
				var bytes int64
				n := 0
				for _, q := range []*queue{&x.small, &x.main} {
					var sum int64
					for e := q.first; e != nil; e = e.next {
						sum += e.cost
						n++
						if x.entries[e.key] != e || e.queue != q {
							t.Error("an entry is queued that is not indexed")
						}
					}
					if sum != q.bytes {
						t.Errorf("a queue counts %d bytes, and has %d", q.bytes, sum)
					}
					bytes += sum
				}
				if bytes != x.bytes || bytes > x.budget || n != len(x.entries) || len(x.ghosts) > 64 {
					t.Errorf("%d bytes of %d, counted as %d; %d entries", bytes, x.budget, x.bytes, n)
				}
			},
		})
	})
}

// TestIndexResistsScans: entries that are used again stay, however many others are used once.
func TestIndexResistsScans(t *testing.T) {
	x := newIndex(1000)
	const popular = 50
	misses := 0
	for i := range 100_000 {
		n := i % (2 * popular) // every other request is for something new
		if n >= popular {
			n = i
		}
		if e := x.entries[keyOf(n)]; e != nil {
			e.use()
			continue
		}
		if i > 1000 && n < popular {
			misses++
		}
		x.put(&entry{key: keyOf(n), cost: 10})
	}
	if misses > 100 {
		t.Errorf("%d of 50,000 requests for popular entries missed", misses)
	}
}

// TestMemory: 100,000 entries on the disk and a full memory tier take less than 256 MB. Only
// live memory is counted.
func TestMemory(t *testing.T) {
	before := live()
	x := newIndex(1 << 40)
	home := &site{}
	for i := range 100_000 {
		e := &entry{key: keyOf(i), site: home, life: fresh.Life{Received: time.Unix(0, 0)}, cost: 1 << 14}
		x.put(e)
	}
	each := (live() - before) / 100_000
	hots := limit.NewCache(defaultMemory, func(_ Key, h *hot) int64 { return h.bytes() })
	for i := range 10_000 {
		h := &hot{size: 10 << 10, chunks: [][]byte{make([]byte, 10<<10)}}
		h.header = reply(200, "",
			"Content-Type", "text/css", "Etag", `"0123456789abcdef0123456789abcdef"`, "Cache-Control", "max-age=86400",
			"Last-Modified", "Tue, 01 Jan 2030 00:00:00 GMT", "X-Amz-Version-Id", "null").Header
		hots.Put(keyOf(i), h)
	}
	all := live() - before
	t.Logf("%d bytes for an entry, %d MB with the memory tier", each, all>>20)
	if each > 450 || all > 256_000_000 {
		t.Errorf("%d bytes for an entry, %d MB with the memory tier", each, all>>20)
	}
	runtime.KeepAlive(hots)
	runtime.KeepAlive(x)
}

func live() int64 {
	var m runtime.MemStats
	runtime.GC()
	runtime.GC()
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}
