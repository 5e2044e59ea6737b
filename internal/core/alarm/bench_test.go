package alarm

import "testing"

// BenchmarkAdd is what each overwrite and each deletion costs.
func BenchmarkAdd(b *testing.B) {
	c, at, s := NewCounter(limits()), start(), Subject{Principal: "AIDA"}
	b.ReportAllocs()
	for b.Loop() {
		c.Add(at, s, Counts{1})
	}
}
