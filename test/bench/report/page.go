package report

import (
	"fmt"
	"strings"
)

// Page is the whole document in Markdown.
func (r *Run) Page() string {
	var b strings.Builder
	b.WriteString("# A run of the benchmark\n\n")
	b.WriteString("Written by `test/bench`; [docs/BENCHMARKS.md](../BENCHMARKS.md) says how it measures.\n\n")
	m := r.Machine
	fmt.Fprintf(&b, "- %s, commit %s; %d cores of %s, %s\n", r.Date, or(r.Commit, "unknown"), m.Cores,
		or(m.CPU, "an unknown kind"), or(m.Kernel, "an unknown kernel"))
	fmt.Fprintf(&b, "- a synced append of 4 KiB took %.2f ms before the run and %.2f ms after it; ",
		m.SyncMillis[0], m.SyncMillis[1])
	fmt.Fprintf(&b, "load average %.1f and %.1f\n", m.Load[0], m.Load[1])
	for _, s := range r.Servers {
		fmt.Fprintf(&b, "- %s: %speak memory %s\n", s.Name, role(s), peaks(s))
	}
	targets, ahead := r.Verdicts(Targets()), r.Ahead()
	if len(targets) > 0 {
		fmt.Fprintf(&b, "\n## Targets\n\n%d of %d are met.\n\n%s", Met(targets), len(targets), Table(targets))
	}
	if len(ahead) > 0 {
		fmt.Fprintf(&b, "\n## Ahead of every peer\n\nOperations a second, in %d of %d cells:\n\n%s",
			Met(ahead), len(ahead), Table(ahead))
	}
	if builds := r.Builds(); builds != "" {
		b.WriteString("\n## Builds\n" + builds)
	}
	for _, p := range r.Parts() {
		fmt.Fprintf(&b, "\n## %s\n\n![operations a second](ops-%s.svg)\n\n", p.Title(), p.Name())
		fmt.Fprintf(&b, "![CPU time](cpu-%s.svg)\n\n%s", p.Name(), r.Rows(p))
	}
	return b.String()
}

func or(s, other string) string {
	if s == "" {
		return other
	}
	return s
}

func role(s Server) string {
	switch {
	case s.Ours:
		return "this tree; "
	case s.Floor:
		return "net/http alone, which verifies, stores and encrypts nothing; "
	case s.Build:
		return "another build; "
	}
	return ""
}

func peaks(s Server) string {
	var all []string
	for _, transport := range []string{"plain", "TLS"} {
		if n := s.Peak[transport]; n > 0 {
			all = append(all, fmt.Sprintf("%d MB (%s)", (n+1<<20-1)>>20, transport))
		}
	}
	return or(strings.Join(all, ", "), "unknown")
}
