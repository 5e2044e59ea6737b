package report

import (
	"fmt"
	"strings"
)

// Target is a promise about a ratio. The unit of comparison follows from its kind.
type Target struct {
	Cell, Variant string
	Against       string // "floor", "base" (without the variant): CPU time; "best" peer, or a peer's name: ops/s
	Limit         float64
	Transport     string // "" is every one
}

// Targets are the project's, for this run's kind of machine.
func Targets() []Target {
	return []Target{
		{Cell: "PUT 1 KiB", Against: "floor", Limit: 5.0}, {Cell: "PUT 10 KiB", Against: "floor", Limit: 6.5},
		{Cell: "GET 1 KiB", Against: "floor", Limit: 3.0}, {Cell: "HEAD", Against: "floor", Limit: 2.5},
		{Cell: "DELETE", Against: "floor", Limit: 4.5}, {Cell: "LIST 1,000", Against: "floor", Limit: 1.1},
		{Cell: "PUT 1 KiB", Variant: "SSE-KMS", Against: "base", Limit: 1.1},
		{Cell: "GET 1 KiB", Variant: "SSE-KMS", Against: "base", Limit: 1.1},
		{Cell: "PUT 128 KiB", Against: "best", Limit: 1.5}, {Cell: "PUT 1 MiB", Against: "best", Limit: 1.5},
		{Cell: "PUT 16 MiB", Against: "best", Limit: 1.0},
		{Cell: "PUT 16 MiB", Variant: "SSE-KMS", Against: "best", Limit: 1.2},
		{Cell: "GET 16 MiB", Against: "minio-encrypted", Limit: 1.3},
		{Cell: "GET 16 MiB", Against: "versitygw", Limit: 1.0, Transport: "TLS"},
	}
}

// MaxPeak is the most memory that our server may take in a whole run, in bytes.
const MaxPeak = 256 << 20

// Verdict is a target beside what was measured.
type Verdict struct {
	What, Where, Want, Got string
	Met                    bool
}

// Verdicts judges our server. A target without the server that it names is left out.
func (r *Run) Verdicts(targets []Target) (all []Verdict) {
	for _, p := range r.Parts() {
		for _, t := range targets {
			if t.Transport == "" || t.Transport == p.Transport {
				all = append(all, r.judge(p, t)...)
			}
		}
	}
	for _, s := range r.Servers {
		for _, transport := range []string{"plain", "TLS"} {
			if peak := s.Peak[transport]; s.Ours && peak > 0 {
				all = append(all, Verdict{What: "peak memory of the run", Where: transport, Want: "≤ 256 MB",
					Got: fmt.Sprintf("%d MB", (peak+1<<20-1)>>20), Met: peak <= MaxPeak})
			}
		}
	}
	return all
}

func (r *Run) judge(p Part, t Target) []Verdict {
	own := p.find(r.ours(), t.Cell, t.Variant)
	if own == nil {
		return nil
	}
	v := Verdict{What: label(t.Cell, t.Variant), Where: p.Title()}
	if t.Against == "floor" || t.Against == "base" {
		base, name := r.floorOf(p, t.Cell), "the floor's"
		if t.Against == "base" {
			base, name = p.find(own.Server, t.Cell, ""), "SSE-S3's"
		}
		if base == nil || own.CPU == nil || base.CPU.Median == 0 {
			return nil
		}
		x := own.CPU.Median / base.CPU.Median
		v.Want, v.Got = fmt.Sprintf("≤ %.1fx %s CPU", t.Limit, name), ratio(x)+"x"
		v.Met = x <= t.Limit
		return []Verdict{v}
	}
	best := r.best(p, t.Cell, t.Against)
	if best == nil || best.Rate == 0 {
		return nil
	}
	x := own.Rate / best.Rate
	v.Want, v.Got = fmt.Sprintf("≥ %.1fx %s", t.Limit, best.Server), ratio(x)+"x"
	v.Met = x >= t.Limit
	return []Verdict{v}
}

// Ahead judges "ahead of every peer" in each cell.
func (r *Run) Ahead() (all []Verdict) {
	for _, p := range r.Parts() {
		for i := range p.Results {
			own := &p.Results[i]
			best := r.best(p, own.Cell, "best")
			if own.Server != r.ours() || own.Skipped != "" || best == nil || best.Rate == 0 {
				continue
			}
			x := own.Rate / best.Rate
			all = append(all, Verdict{What: own.Label(), Where: p.Title(), Want: "ahead of " + best.Server,
				Got: ratio(x) + "x", Met: x > 1})
		}
	}
	return all
}

// Builds compares the CPU time of our server with that of its other builds, in Markdown; "" if there are none.
func (r *Run) Builds() string {
	var b strings.Builder
	for _, s := range r.Servers {
		if !s.Build {
			continue
		}
		fmt.Fprintf(&b, "\n| operation | where | %s: least, median ", s.Name)
		b.WriteString("| this build: least, median | ratio: least, median |\n")
		b.WriteString("|---|---|--:|--:|--:|\n")
		for _, p := range r.Parts() {
			for _, x := range p.Results {
				own := p.find(r.ours(), x.Cell, x.Variant)
				if x.Server != s.Name || own == nil || own.CPU == nil || x.CPU == nil {
					continue
				}
				fmt.Fprintf(&b, "| %s | %s | %s | %s | %s, %s |\n", x.Label(), p.Title(), spread(x.CPU),
					spread(own.CPU), ratio(own.CPU.Least/x.CPU.Least), ratio(own.CPU.Median/x.CPU.Median))
			}
		}
	}
	return b.String()
}

func (r *Run) ours() string {
	for _, s := range r.Servers {
		if s.Ours {
			return s.Name
		}
	}
	return ""
}

// best returns the fastest peer in a cell, in whichever of its variants, or the fastest of the peers whose names begin
// with the name that a target is against.
func (r *Run) best(p Part, cell, against string) (best *Result) {
	for _, s := range r.Servers {
		if s.Ours || s.Floor || s.Build || against != "best" && !strings.HasPrefix(s.Name, against) {
			continue
		}
		for i := range p.Results {
			x := &p.Results[i]
			if x.Server == s.Name && x.Cell == cell && x.Skipped == "" && (best == nil || x.Rate > best.Rate) {
				best = x
			}
		}
	}
	return best
}

// Table prints verdicts in Markdown.
func Table(all []Verdict) string {
	var b strings.Builder
	b.WriteString("| operation | where | target | measured | |\n|---|---|---|--:|---|\n")
	for _, v := range all {
		met := "met"
		if !v.Met {
			met = "**not met**"
		}
		fmt.Fprintf(&b, "| %s | %s | %s | %s | %s |\n", v.What, v.Where, v.Want, v.Got, met)
	}
	return b.String()
}

// Met counts the targets that were met.
func Met(all []Verdict) (met int) {
	for _, v := range all {
		if v.Met {
			met++
		}
	}
	return met
}
