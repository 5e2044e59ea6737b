package server

import (
	"slices"
	"testing"

	"pgregory.net/rapid"
)

// TestRow: a row is in the order in which connections joined it, whoever left it in between.
func TestRow(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var r row
		var want []*guest
		all := make([]*guest, 5)
		for i := range all {
			all[i] = &guest{}
			all[i].place.of = all[i]
		}
		for range rapid.IntRange(0, 40).Draw(t, "steps") {
			g := rapid.SampledFrom(all).Draw(t, "guest")
			if i := slices.Index(want, g); i >= 0 {
				r.Remove(&g.place)
				want = slices.Delete(want, i, i+1)
			} else {
				r.PushBack(&g.place)
				want = append(want, g)
			}
			var got, back []*guest
			for p := r.first; p != nil; p = p.behind {
				got = append(got, p.of)
			}
			for p := r.last; p != nil; p = p.before {
				back = append(back, p.of)
			}
			slices.Reverse(back)
			if !slices.Equal(got, want) || !slices.Equal(back, want) || r.Len() != len(want) ||
				len(want) > 0 && r.Front() != want[0] || g.place.taken != slices.Contains(want, g) {
				t.Fatalf("%d in the row, want %d", len(got), len(want))
			}
		}
	})
}
