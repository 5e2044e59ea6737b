package alarm

import (
	"strconv"
	"testing"
)

// BenchmarkAdd measures what each overwrite and each deletion costs.
func BenchmarkAdd(b *testing.B) {
	l := limits()
	l.Most[Overwrites] = 1000
	c, at, s := NewCounter(l), start(), Subject{Principal: "AIDA"}
	var keys [5000]string
	for i := range keys {
		keys[i] = strconv.Itoa(i)
	}
	n := 0
	b.ReportAllocs()
	for b.Loop() {
		c.Add(at, s, Of(keys[n%len(keys)], Counts{1}))
		n++
	}
}
