package object

import (
	"fmt"
	"runtime"
	"testing"

	"watertight/internal/core/bucket"
	"watertight/internal/core/lifecycle"
	"watertight/internal/core/tag"
	"watertight/internal/storage/kv"
)

// BenchmarkLifecycle judges ten versions of each key by ten rules. No action is due.
func BenchmarkLifecycle(b *testing.B) {
	for _, versions := range []int{100_000, 1_000_000} {
		b.Run(fmt.Sprint(versions), func(b *testing.B) { judgeAll(b, versions) })
	}
}

func judgeAll(b *testing.B, versions int) {
	e := &lifecycleEnv{env: newDiskEnv(b), now: day(2)}
	e.versioning(bucket.Enabled)
	e.mustPut("sample", "small")
	v := allVersions(e.env, slot{e.bucket(), "sample"})[0]
	v.tags = tag.Set{{Key: "project", Value: "alpha"}}
	v.modified = day(1)
	const batch = 5000
	for n := 0; n < versions; n += batch {
		err := e.store.Update(b.Context(), func(tx kv.Tx) error {
			for i := n; i < n+batch; i++ {
				k := slot{e.bucket(), fmt.Sprintf("folder/%03d/object-%06d", i/10%1000, i/10)}
				v.seq = uint64(v.modified.UnixMicro() + int64(i%10))
				tx.Set(k.version(v.seq), v.encode())
			}
			return nil
		})
		if err != nil {
			b.Fatal(err)
		}
	}
	var rules []lifecycle.Rule
	for n := range 10 {
		prefix := fmt.Sprintf("folder/%d", n)
		rules = append(rules, lifecycle.Rule{
			Filter: &lifecycle.Filter{And: &lifecycle.Predicates{
				Prefix: &prefix, Tags: []tag.Tag{{Key: "project", Value: "alpha"}},
			}},
			Expiration:           &lifecycle.Expiration{Days: ptr(int32(1000))},
			NoncurrentExpiration: &lifecycle.NoncurrentExpiration{Days: ptr(int32(500)), Newer: ptr(int32(3))},
		})
	}
	e.configure(rules...)
	before := cpu(b)
	live := uint64(0)
	for b.Loop() {
		l := e.lifecycle(portion{})
		p, steps := l.Begin(e.now, true), 0
		for more := true; more; steps++ {
			var err error
			if more, err = p.Step(b.Context(), e.now); err != nil {
				b.Fatal(err)
			}
			if steps%16 == 15 {
				b.StopTimer()
				var m runtime.MemStats
				runtime.GC()
				runtime.ReadMemStats(&m)
				live = max(live, m.HeapAlloc)
				b.StartTimer()
			}
		}
		if p.Worked.Judged != versions+1 || p.Worked.Kept+p.Worked.Removed+p.Worked.Expired > 0 {
			b.Fatalf("%+v", p.Worked)
		}
	}
	spent := cpu(b) - before
	b.ReportMetric(float64(versions)*float64(b.N)/b.Elapsed().Seconds(), "versions/s")
	b.ReportMetric(float64(versions)*float64(b.N)/spent.Seconds(), "versions/cpu-s")
	b.ReportMetric(float64(live)/(1<<20), "live-MiB")
}
