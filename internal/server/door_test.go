package server

import (
	"fmt"
	"net"
	"testing"

	"pgregory.net/rapid"

	"watertight/internal/limit"
)

// visitor is a connection that only knows whether it was closed.
type visitor struct {
	net.Conn
	closed bool
}

func (v *visitor) Close() error               { v.closed = true; return nil }
func (v *visitor) Read(p []byte) (int, error) { return len(p), nil }

// TestDoor lets connections act in random order. The count always equals the number of open connections.
// There are never more than the places, the spare ones and the root user's. Busy callers and root users
// are never dropped, and a new connection is always accepted. An idle caller is dropped only if there is no
// idle stranger, and no idle stranger stays beyond the places.
func TestDoor(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		most := rapid.IntRange(1, 40).Draw(t, "maximum")
		d := newDoor(most)
		var all []*guest
		for range rapid.IntRange(1, 200).Draw(t, "steps") {
			var g *guest
			if len(all) > 0 {
				g = all[rapid.IntRange(0, len(all)-1).Draw(t, "who")]
			}
			step := rapid.IntRange(0, 7).Draw(t, "step")
			if g == nil || step == 0 || step == 1 {
				idle := d.in[idleStranger].Len() > 0
				callers := d.in[idleCaller].Len()
				n := d.enter(&visitor{})
				if n.gone {
					t.Fatal("a new connection was refused")
				}
				if idle && d.in[idleCaller].Len() < callers && d.in[idleStranger].Len() > 0 {
					t.Fatal("an idle caller was dropped before an idle stranger")
				}
				all = append(all, n)
			} else if g.Conn.(*visitor).closed != g.gone {
				t.Fatal("a connection is closed but still counted, or open and not counted")
			} else if step == 2 && !g.gone {
				g.Close()
			} else if !g.gone {
				do(g, step, rapid.IntRange(0, 2).Draw(t, "key"))
			}
			check(t, d, all)
		}
	})
}

func do(g *guest, step, key int) {
	switch step {
	case 3:
		g.becomeIdle()
	case 4:
		g.beginRequest()
	case 5:
		g.beginRequest()
		g.identify(limit.Caller, fmt.Sprint(key))
	case 6:
		g.beginRequest()
		g.identify(limit.Class(key), fmt.Sprint(key))
	case 7:
		g.Read(make([]byte, 4<<10))
	}
}

func check(t *rapid.T, d *door, all []*guest) {
	open, busy := 0, map[string]int{}
	for _, g := range all {
		if g.gone {
			continue
		}
		open++
		if g.key != "" {
			busy[g.key]++
		}
	}
	counted := 0
	for p := range d.in {
		counted += d.in[p].Len()
	}
	roots := d.in[activeRoot].Len()
	if open != d.total || open != counted || open > d.maximum+d.spare+1+roots || d.in[activeCaller].Len() > d.maximum ||
		d.in[longHeader].Len() > d.spare {
		t.Fatalf("%d are open, %d counted, %d in phases, %d of root; %d and %d places", open, d.total, counted, roots,
			d.maximum, d.spare)
	}
	if d.total > d.maximum && d.in[idleStranger].Len() > 0 {
		t.Fatalf("%d of %d places are taken, and strangers that wait for a request keep theirs", d.total, d.maximum)
	}
	for k, n := range d.keys {
		if busy[k] != n {
			t.Fatalf("key %s has %d connections, %d are counted", k, busy[k], n)
		}
	}
	if len(busy) != len(d.keys) {
		t.Fatalf("%v, %v", busy, d.keys)
	}
}
