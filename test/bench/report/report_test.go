package report

import (
	"flag"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "write the page in testdata anew")

// run is a small run with two peers.
func run() *Run {
	syncs := 0.25
	cpu := func(least, median float64) *Spread { return &Spread{least, median} }
	at := func(cell, variant, server string, rate float64, c *Spread) Result {
		return Result{Cell: cell, Variant: variant, Transport: "plain", Clients: 8, Server: server, Ops: 100,
			Rate: rate, P50: 1000, P99: 12345, CPU: c}
	}
	r := &Run{
		Date: "2026-11-30", Commit: "abcdef1",
		Machine: Machine{CPU: "a processor", Kernel: "Linux 6", Cores: 2, SyncMillis: [2]float64{.15, .16}},
		Servers: []Server{
			{Name: "watertight", Ours: true, Peak: map[string]int64{"plain": 255<<20 + 1}},
			{Name: "before", Build: true, Peak: map[string]int64{}},
			{Name: "minio-encrypted", Peak: map[string]int64{"plain": 300 << 20}},
			{Name: "versitygw", Peak: map[string]int64{}},
			{Name: "floor", Floor: true, Peak: map[string]int64{}},
		},
		Results: []Result{
			at("PUT 1 KiB", "", "watertight", 4000, cpu(90, 100)), at("PUT 1 KiB", "", "before", 5000, cpu(100, 200)),
			at("PUT 1 KiB", "", "minio-encrypted", 800, cpu(1500, 1600)),
			at("PUT 1 KiB", "", "versitygw", 2000, nil), at("PUT 1 KiB", "", "floor", 40000, cpu(18, 20)),
			at("PUT 16 MiB", "", "watertight", 30, cpu(60000, 61000)),
			at("PUT 16 MiB", "SSE-KMS", "watertight", 39, cpu(40000, 41000)),
			at("PUT 16 MiB", "", "minio-encrypted", 33, cpu(60000, 61000)),
			at("PUT 16 MiB", "SSE-KMS", "minio-encrypted", 32, cpu(60000, 61000)),
			at("PUT 16 MiB", "", "floor", 300, cpu(4000, 5000)),
			at("HEAD", "", "watertight", 10000, cpu(40, 60)), at("HEAD", "", "floor", 50000, cpu(18, 20)),
		},
	}
	r.Results[0].Syncs = &syncs
	return r
}

func TestVerdicts(t *testing.T) {
	var got []string
	for _, v := range run().Verdicts(Targets()) {
		met := "not met"
		if v.Met {
			met = "met"
		}
		got = append(got, strings.Join([]string{v.What, v.Want, v.Got, met}, ": "))
	}
	want := []string{
		"PUT 1 KiB: ≤ 5.0x the floor's CPU: 5.00x: met",
		"HEAD: ≤ 2.5x the floor's CPU: 3.00x: not met",
		"PUT 16 MiB: ≥ 1.0x minio-encrypted: 0.91x: not met",
		"PUT 16 MiB, SSE-KMS: ≥ 1.2x minio-encrypted: 1.18x: not met",
		"peak memory of the run: ≤ 256 MB: 256 MB: met",
	}
	if !slices.Equal(got, want) {
		t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

// TestAhead: another build and the floor are no peers, and the best peer decides, with or without KMS.
func TestAhead(t *testing.T) {
	var got []string
	for _, v := range run().Ahead() {
		got = append(got, v.What+": "+v.Want+": "+v.Got)
	}
	want := []string{
		"PUT 1 KiB: ahead of versitygw: 2.00x", "PUT 16 MiB: ahead of minio-encrypted: 0.91x",
		"PUT 16 MiB, SSE-KMS: ahead of minio-encrypted: 1.18x",
	}
	if !slices.Equal(got, want) {
		t.Errorf("got %q", got)
	}
}

// TestPage: the same results give the same page.
func TestPage(t *testing.T) {
	file := filepath.Join("testdata", "page.md")
	page := run().Page()
	if *update {
		if err := os.WriteFile(file, []byte(page), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if page != string(want) {
		t.Errorf("the page differs from %s:\n%s", file, page)
	}
}

// TestChartsOfAPage: each chart that the page shows is written, and no other.
func TestChartsOfAPage(t *testing.T) {
	r := run()
	page, charts := r.Page(), r.Charts()
	for name := range charts {
		if !strings.Contains(page, "("+name+")") {
			t.Errorf("the page does not show %s", name)
		}
	}
	if got := strings.Count(page, "!["); got != len(charts) {
		t.Errorf("the page shows %d charts, and %d are written", got, len(charts))
	}
	if ops := charts["ops-plain-8.svg"]; strings.Contains(ops, "floor") {
		t.Error("the chart of operations shows the floor, beside which nothing can be read")
	}
}

func TestNumbers(t *testing.T) {
	for _, test := range []struct {
		name string
		v    float64
		want string
	}{
		{"zero", 0, "0.00"}, {"small", 1.234, "1.23"}, {"tens", 12.34, "12.3"}, {"hundreds", 123.4, "123"},
		{"thousands", 1234, "1,234"}, {"millions", 1234567, "1,234,567"},
	} {
		t.Run(test.name, func(t *testing.T) {
			if got := number(test.v); got != test.want {
				t.Errorf("%s, want %s", got, test.want)
			}
		})
	}
}

// TestScale: a bucket that grew has a row and a point for each size.
func TestScale(t *testing.T) {
	s := Scale{Date: "2026-11-30", Steps: []Step{
		{Objects: 10000, Puts: 4000, Gets: 9000, Page: 2500, Start: .2, Peak: 100 << 20,
			Disk: map[string]int64{"meta": 4e6}},
		{Objects: 100000, Puts: 3900, Gets: 8900, Page: 2600, Start: .3, Peak: 120 << 20, Audit: 140},
	}}
	if rows := strings.Count(s.Markdown(), "\n| "); rows != 3 {
		t.Errorf("%d rows:\n%s", rows, s.Markdown())
	}
	if !strings.Contains(s.Markdown(), "| 10,000 | 4,000 |") || !strings.Contains(s.Markdown(), "| 400 | 0.00 |") {
		t.Error(s.Markdown())
	}
	if points := strings.Count(s.Chart(), "<circle"); points != 12 {
		t.Errorf("%d points, want 12", points)
	}
}
