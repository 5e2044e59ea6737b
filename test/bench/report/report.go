// Package report turns what a benchmark measured into a document: tables, charts, and which targets were met. It exists
// so that the same results always give the same bytes. It must never measure anything.
package report

import (
	"encoding/json"
	"fmt"
	"strings"
)

// Run is everything that one run measured, as it is stored in JSON.
type Run struct {
	Date     string // day of the run
	Commit   string // of the tree, "" if it is not known
	Machine  Machine
	Servers  []Server
	Results  []Result
	Redialed int `json:",omitempty"` // connections that servers closed between two requests
}

// Machine is where it ran. SyncMillis is the median time of a synced append of 4 KiB, before and after the run.
type Machine struct {
	CPU, Kernel string
	Cores       int
	SyncMillis  [2]float64
	Load        [2]float64 // load average before and after the run
}

// Server is one of the servers. Peak is its highest resident memory in bytes in the whole run, by transport; 0 if it is
// not known.
type Server struct {
	Name  string
	Ours  bool `json:",omitempty"`
	Floor bool `json:",omitempty"`
	Build bool `json:",omitempty"` // another build of ours: no peer
	Peak  map[string]int64
}

// Result is one operation on one server. Times are in microseconds.
type Result struct {
	Cell      string
	Variant   string `json:",omitempty"`
	Transport string // "plain" or "TLS"
	Clients   int
	Server    string
	Ops       int
	Rate      float64  // operations a second
	P50, P99  float64  // latency
	CPU       *Spread  `json:",omitempty"` // server's CPU time for each operation
	Syncs     *float64 `json:",omitempty"` // fsync and fdatasync for each operation
	Skipped   string   `json:",omitempty"` // why the server has no result
}

// Spread is what several turns gave.
type Spread struct{ Least, Median float64 }

// Label names the cell with its variant.
func (r *Result) Label() string { return label(r.Cell, r.Variant) }

func label(cell, variant string) string {
	if variant == "" {
		return cell
	}
	return cell + ", " + variant
}

// JSON is the stored form.
func (r *Run) JSON() ([]byte, error) {
	b, err := json.MarshalIndent(r, "", "\t")
	return append(b, '\n'), err
}

// Part is the results of one transport and number of clients, in the order in which they were measured.
type Part struct {
	Transport string
	Clients   int
	Results   []Result
}

// Parts groups the results.
func (r *Run) Parts() (all []Part) {
	for _, res := range r.Results {
		i := 0
		for i < len(all) && (all[i].Transport != res.Transport || all[i].Clients != res.Clients) {
			i++
		}
		if i == len(all) {
			all = append(all, Part{Transport: res.Transport, Clients: res.Clients})
		}
		all[i].Results = append(all[i].Results, res)
	}
	return all
}

// Name is the part's in a file's name, and Title in a heading.
func (p Part) Name() string  { return fmt.Sprintf("%s-%d", strings.ToLower(p.Transport), p.Clients) }
func (p Part) Title() string { return fmt.Sprintf("%s, %d clients", transport(p.Transport), p.Clients) }

func transport(t string) string {
	if t == "plain" {
		return "Plain HTTP"
	}
	return t
}

// find returns a server's result with a CPU time or rate; nil if there is none.
func (p Part) find(server, cell, variant string) *Result {
	for i := range p.Results {
		r := &p.Results[i]
		if r.Server == server && r.Cell == cell && r.Variant == variant && r.Skipped == "" {
			return r
		}
	}
	return nil
}

// Rows returns the table of a part in Markdown, without its heading.
func (r *Run) Rows(p Part) string {
	var b strings.Builder
	b.WriteString("| operation | server | ops/s | p50 ms | p99 ms | CPU µs/op: least, median | to the floor | fsyncs/op |\n")
	b.WriteString("|---|---|--:|--:|--:|--:|--:|--:|\n")
	for i := range p.Results {
		x := &p.Results[i]
		if x.Skipped != "" {
			fmt.Fprintf(&b, "| %s | %s | %s | | | | | |\n", x.Label(), x.Server, x.Skipped)
			continue
		}
		fmt.Fprintf(&b, "| %s | %s | %s | %s | %s | %s | %s | %s |\n", x.Label(), x.Server, number(x.Rate),
			millis(x.P50), millis(x.P99), spread(x.CPU), r.toFloor(p, x), optional(x.Syncs))
	}
	return b.String()
}

// toFloor is the ratio of the medians of CPU time.
func (r *Run) toFloor(p Part, x *Result) string {
	base := r.floorOf(p, x.Cell)
	if base == nil || x.CPU == nil || base.Server == x.Server || base.CPU.Median == 0 {
		return ""
	}
	return ratio(x.CPU.Median / base.CPU.Median)
}

func (r *Run) floorOf(p Part, cell string) *Result {
	for _, s := range r.Servers {
		if s.Floor {
			if x := p.find(s.Name, cell, ""); x != nil && x.CPU != nil {
				return x
			}
		}
	}
	return nil
}

// number prints a value with at least three digits.
func number(v float64) string {
	switch {
	case v >= 100:
		return thousands(fmt.Sprintf("%.0f", v))
	case v >= 10:
		return fmt.Sprintf("%.1f", v)
	}
	return fmt.Sprintf("%.2f", v)
}

func thousands(digits string) string {
	for i := len(digits) - 3; i > 0; i -= 3 {
		digits = digits[:i] + "," + digits[i:]
	}
	return digits
}

func millis(micros float64) string { return number(micros / 1e3) }

func ratio(v float64) string { return fmt.Sprintf("%.2f", v) }

func spread(s *Spread) string {
	if s == nil {
		return ""
	}
	return number(s.Least) + ", " + number(s.Median)
}

func optional(v *float64) string {
	if v == nil {
		return ""
	}
	return ratio(*v)
}
