package embedded

import (
	"fmt"
	"hash/maphash"
	"math/rand/v2"
	"strings"
	"testing"

	"watertight/internal/storage/kv"
)

func TestWindow(t *testing.T) {
	w := newWindow(100)
	seed := maphash.MakeSeed()
	hash := func(k string) uint64 { return maphash.String(seed, k) }
	write := func(keys ...string) {
		var ops []*op
		var hashes []uint64
		for _, k := range keys {
			ops, hashes = append(ops, &op{key: []byte(k)}), append(hashes, hash(k))
		}
		w.add(ops, nil, hashes)
	}
	conflicts := func(at uint64, points []string, bounds ...string) bool {
		var hashes []uint64
		for _, k := range points {
			hashes = append(hashes, hash(k))
		}
		r := &kv.Reads{}
		for i := 0; i < len(bounds); i += 2 {
			s := kv.Span{From: []byte(bounds[i])}
			if bounds[i+1] != "" {
				s.To = []byte(bounds[i+1])
			}
			r.Spans = append(r.Spans, s)
		}
		r.Settle()
		return w.conflicts(at, hashes, r)
	}
	write("a", "k") // 101
	write("b")      // 102
	for i, c := range []struct {
		at     uint64
		points []string
		bounds []string
		want   bool
	}{
		{102, []string{"b"}, nil, false},
		{101, []string{"b"}, nil, true},
		{101, []string{"a"}, nil, false},
		{100, []string{"a"}, nil, true},
		{100, []string{"x", "k"}, nil, true},
		{99, []string{"z"}, nil, true}, // the writes of 100 are no longer known
		{101, nil, []string{"a", "b"}, false},
		{101, nil, []string{"a", "c"}, true},
		{100, nil, []string{"x", "z", "d", "l", "c", "e"}, true},
		{100, nil, []string{"x", "z", "d", "j", "c", "e"}, false},
		{100, nil, []string{"c", "", "d", "e"}, true},
		{100, nil, []string{"l", "", "m", "n", "c", "d"}, false},
	} {
		t.Run(fmt.Sprint(i), func(t *testing.T) {
			if got := conflicts(c.at, c.points, c.bounds...); got != c.want {
				t.Errorf("at %d, %q %q: %v", c.at, c.points, c.bounds, got)
			}
		})
	}
	z, a := []string{"z"}, []string{"a"}
	for i := range windowCommits + 10 {
		write("a", fmt.Sprint(i))
	}
	if w.newest-w.floor != windowCommits || w.next-w.first != 2*windowCommits {
		t.Errorf("%d commits, %d writes are remembered", w.newest-w.floor, w.next-w.first)
	}
	if !conflicts(w.floor-1, z) || conflicts(w.floor, z) || !conflicts(w.newest-1, a) {
		t.Error("wrong at the edge")
	}
	write(strings.Repeat("x", windowBytes))
	write("y")
	if w.newest-w.floor != 1 || !conflicts(w.floor, []string{"y"}) || conflicts(w.floor, a) || w.bytes != keyHeader+1 {
		t.Errorf("%d commits of %d bytes after a huge one", w.newest-w.floor, w.bytes)
	}
	write(make([]string, windowWrites+1)...)
	if w.newest != w.floor || w.bytes != 0 || !conflicts(w.newest-1, z) || conflicts(w.newest, z) {
		t.Error("a commit of more keys than the window has is not a write of everything")
	}
	write("y")
	if !conflicts(w.newest-1, []string{"y"}) || conflicts(w.newest-1, z) {
		t.Error("wrong after a commit of many keys")
	}
}

// TestWindowModel compares the window with all that was written, while it grows and forgets.
func TestWindowModel(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	w := newWindow(0)
	seed := maphash.MakeSeed()
	hash := func(k string) uint64 { return maphash.String(seed, k) }
	newest := map[string]uint64{}
	key := func() string { return fmt.Sprint(r.IntN(40_000)) }
	for w.newest < windowCommits+1000 {
		var ops []*op
		var guards [][]byte
		var hashes []uint64
		for range r.IntN(12) {
			k := key()
			ops, hashes = append(ops, &op{key: []byte(k)}), append(hashes, hash(k))
		}
		if r.IntN(3) == 0 {
			g := key()
			guards, hashes = append(guards, []byte(g)), append(hashes, hash(g))
		}
		w.add(ops, guards, hashes)
		for _, o := range ops {
			newest[string(o.key)] = w.newest
		}
		for _, g := range guards {
			newest[string(g)] = w.newest
		}
		k := key()
		at := w.newest - uint64(r.Int64N(int64(w.newest-w.floor)+1))
		want := newest[k] > at
		if got := w.conflicts(at, []uint64{hash(k)}, &kv.Reads{}); got != want {
			t.Fatalf("at %d of %d to %d, key %s of %d: %v", at, w.floor, w.newest, k, newest[k], got)
		}
		if w.newest%50 > 0 { // ranges take long
			continue
		}
		span := &kv.Reads{Spans: []kv.Span{{From: []byte(k), To: []byte(k + "\x00")}}}
		if got := w.conflicts(at, nil, span); got != want {
			t.Fatalf("at %d of %d to %d, the range of key %s of %d: %v", at, w.floor, w.newest, k, newest[k], got)
		}
	}
}
