package report

import (
	"encoding/json"
	"fmt"
	"strings"

	"watertight/test/bench/chart"
)

// Scale is what was measured while a bucket grew.
type Scale struct {
	Date, Commit string
	Steps        []Step
}

// Step is one size. Times are in microseconds, except Start, and memory in bytes. Peak is that of the server that
// wrote, Memory that of a fresh one after its gets and pages.
type Step struct {
	Objects      int
	Puts, PutCPU float64 // of the last ones: objects a second, and CPU time of each
	Gets, GetCPU float64
	GetP50       float64
	Page         float64 // of 1,000, median of pages at the start, in the middle and near the end
	Start        float64 // seconds
	Peak, Memory int64
	Disk         map[string]int64 // bytes in each folder of the data directory
	Audit        float64          // bytes of the audit log for each put
}

// JSON is the stored form.
func (s *Scale) JSON() ([]byte, error) {
	b, err := json.MarshalIndent(s, "", "\t")
	return append(b, '\n'), err
}

// Markdown is the table.
func (s *Scale) Markdown() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s, commit %s.\n\n", s.Date, or(s.Commit, "unknown"))
	b.WriteString("| objects | puts/s | CPU µs/put | gets/s | CPU µs/get | get p50 ms | page ms | start s | peak MB | MB after a start | " +
		"metadata bytes/object | audit bytes/put |\n|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|\n")
	for _, x := range s.Steps {
		n := float64(max(x.Objects, 1))
		fmt.Fprintf(&b, "| %s | %s | %s | %s | %s | %s | %s | %s | %d | %d | %s | %s |\n",
			thousands(fmt.Sprint(x.Objects)), number(x.Puts), number(x.PutCPU), number(x.Gets), number(x.GetCPU),
			millis(x.GetP50), millis(x.Page), number(x.Start), x.Peak>>20, x.Memory>>20,
			number(float64(x.Disk["meta"])/n), number(x.Audit))
	}
	return b.String()
}

// Chart draws a panel for each quantity.
func (s *Scale) Chart() string {
	c := chart.Lines{
		Title: "Objects of 1 byte in one bucket", Axis: "objects",
		Note: "puts of the last 10,000 objects; the rest on a server that was started again; " + s.Date,
	}
	for _, x := range s.Steps {
		c.X, c.Ticks = append(c.X, float64(x.Objects)), append(c.Ticks, thousands(fmt.Sprint(x.Objects)))
	}
	for _, p := range []struct {
		title string
		value func(Step) float64
	}{
		{"puts a second", func(x Step) float64 { return x.Puts }},
		{"gets a second", func(x Step) float64 { return x.Gets }},
		{"server CPU µs for a get", func(x Step) float64 { return x.GetCPU }},
		{"page of 1,000, ms", func(x Step) float64 { return x.Page / 1e3 }},
		{"start, s", func(x Step) float64 { return x.Start }},
		{"peak memory while writing, MB", func(x Step) float64 { return float64(x.Peak >> 20) }},
	} {
		panel := chart.LinePanel{Title: p.title}
		for _, x := range s.Steps {
			panel.Y, panel.Texts = append(panel.Y, p.value(x)), append(panel.Texts, number(p.value(x)))
		}
		c.Panels = append(c.Panels, panel)
	}
	return c.SVG()
}

// Connections is what was measured with many connections.
type Connections struct {
	Date, Commit string
	Idle, Busy   int
	Lines        []ConnectionLine
}

// ConnectionLine is what was measured over one transport. Memory is in bytes.
type ConnectionLine struct {
	Transport        string
	IdleMemory, Peak int64
	Rate, P99        float64 // of the busy ones: operations a second, and µs
	Lost             int     // idle connections that the server had closed
}

// Markdown is the table.
func (c *Connections) Markdown() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s, commit %s: %d idle connections and %d busy ones that put and get 1 MiB.\n\n"+
		"| transport | MB with the idle ones | peak MB | target | ops/s | p99 ms | idle ones closed |\n|---|--:|--:|---|--:|--:|--:|\n",
		c.Date, or(c.Commit, "unknown"), c.Idle, c.Busy)
	for _, l := range c.Lines {
		met := "met"
		if l.Peak > MaxPeak {
			met = "**not met**"
		}
		fmt.Fprintf(&b, "| %s | %d | %d | ≤ %d: %s | %s | %s | %d |\n", l.Transport, l.IdleMemory>>20, l.Peak>>20,
			MaxPeak>>20, met, number(l.Rate), millis(l.P99), l.Lost)
	}
	return b.String()
}
