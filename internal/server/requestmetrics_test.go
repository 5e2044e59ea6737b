package server

import (
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"watertight/internal/gateway/dispatch"
)

// TestObserve: each request is counted once, under its operation, whoever else is counted at the same
// time; one that is for no operation has a label of its own.
func TestObserve(t *testing.T) {
	registry := prometheus.NewRegistry()
	m := newRequestMetrics(registry)
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			for range 100 {
				m.observe(&dispatch.Observation{Service: "s3", Operation: "GetObject", Status: 200, Out: 10, In: 1})
				m.observe(&dispatch.Observation{
					Service: "s3", Operation: "PutObject", Status: 403, Code: "AccessDenied",
				})
				m.observe(&dispatch.Observation{Status: 400, Code: "InvalidRequest", Took: time.Second})
			}
		})
	}
	all.Wait()
	got := counters(t, registry)
	for _, test := range []struct {
		name, series string
		want         float64
	}{
		{"served", "watertight_requests_total GetObject s3 200", 800},
		{"refused", "watertight_requests_total PutObject s3 403", 800},
		{"unrecognized", "watertight_requests_total unrecognized unrecognized 400", 800},
		{"code", "watertight_refusals_total AccessDenied", 800},
		{"sent", "watertight_sent_bytes_total GetObject s3", 8000},
		{"received", "watertight_received_bytes_total GetObject s3", 800},
	} {
		t.Run(test.name, func(t *testing.T) {
			if got[test.series] != test.want {
				t.Errorf("%v, want %v", got[test.series], test.want)
			}
		})
	}
}

// counters returns all counters, by their name and the values of their labels.
func counters(t *testing.T, registry *prometheus.Registry) map[string]float64 {
	t.Helper()
	families, err := registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	all := map[string]float64{}
	for _, f := range families {
		for _, m := range f.GetMetric() {
			series := f.GetName()
			for _, l := range m.GetLabel() {
				series += " " + l.GetValue()
			}
			all[series] = m.GetCounter().GetValue()
		}
	}
	return all
}

// TestObserveNeedsNoMemory: counting a request allocates nothing.
func TestObserveNeedsNoMemory(t *testing.T) {
	m := newRequestMetrics(prometheus.NewRegistry())
	o := &dispatch.Observation{Service: "s3", Operation: "GetObject", Status: 200, Took: time.Millisecond, Out: 1024}
	if n := testing.AllocsPerRun(100, func() { m.observe(o) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func BenchmarkObserve(b *testing.B) {
	m := newRequestMetrics(prometheus.NewRegistry())
	o := &dispatch.Observation{Service: "s3", Operation: "GetObject", Status: 200, Took: time.Millisecond, Out: 1024}
	b.ReportAllocs()
	for b.Loop() {
		m.observe(o)
	}
}

// TestWhereProfilesListen: other machines see no profiles unless that was asked for by name.
func TestWhereProfilesListen(t *testing.T) {
	for _, test := range []struct {
		address       string
		remote, taken bool
	}{
		{"", false, true}, {"127.0.0.1:6060", false, true}, {"[::1]:6060", false, true},
		{"localhost:6060", false, true},
		{":6060", false, false}, {"0.0.0.0:6060", false, false}, {"10.0.0.7:6060", false, false},
		{"10.0.0.7:6060", true, true}, {"10.0.0.7", true, false},
	} {
		t.Run(test.address, func(t *testing.T) {
			c := Config{ProfileListen: test.address, AllowRemoteProfiles: test.remote}
			if err := c.checkProfiles(); (err == nil) != test.taken {
				t.Errorf("%v", err)
			}
		})
	}
}
