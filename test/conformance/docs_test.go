package conformance

import (
	"flag"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "write the exceptions into docs/CONFORMANCE.md")

const (
	docs       = "../../docs/CONFORMANCE.md"
	docsBegin  = "<!-- exceptions: written by go test ./test/conformance -run TestDocs -update -->\n"
	docsEnd    = "<!-- end of the exceptions -->\n"
	docsHeader = "| test | kind | why it fails |\n|---|---|---|\n"
)

// suites are the lists of tests and what docs call them.
var suites = []struct{ list, title string }{
	{"s3", "S3"}, {"iam", "IAM and STS"}, {"s3-iam", "S3 by users' policies"},
	{"http-cache", "HTTP caches"},
}

// TestDocs: docs/CONFORMANCE.md names every test of the suite that does not
// pass, each with its reason, and no other.
func TestDocs(t *testing.T) {
	b, err := os.ReadFile(docs)
	if err != nil {
		t.Fatal(err)
	}
	before, rest, ok := strings.Cut(string(b), docsBegin)
	found, after, ok2 := strings.Cut(rest, docsEnd)
	if !ok || !ok2 {
		t.Fatalf("%s lacks the lines around its exceptions", docs)
	}
	want := exceptionsSection(t)
	if found == want {
		return
	}
	if *update {
		if err := os.WriteFile(docs, []byte(before+docsBegin+want+docsEnd+after), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	t.Errorf("%s and testdata/*-exceptions.txt differ: go test ./test/conformance -run TestDocs -update", docs)
	is, should := strings.Split(found, "\n"), strings.Split(want, "\n")
	for _, line := range should {
		if !slices.Contains(is, line) {
			t.Errorf("docs lack: %s", line)
		}
	}
	for _, line := range is {
		if !slices.Contains(should, line) {
			t.Errorf("docs say: %s", line)
		}
	}
}

// exceptionsSection returns what docs say between their two lines: how many tests
// there are, and a line for each exception.
func exceptionsSection(t *testing.T) string {
	columns := []string{"words", "aws", "safer", "later", "racy", "admin"}
	var counts, tables strings.Builder
	fmt.Fprintf(&counts, "| tests of | all | pass | %s |\n|---|%s\n", strings.Join(columns, " | "),
		strings.Repeat("---|", len(columns)+2))
	for _, s := range suites {
		names, exceptions := readNames(t, s.list), readExceptions(t, s.list)
		by := map[string]int{}
		fmt.Fprintf(&tables, "\n### %s\n%s", s.title, docsHeader)
		for _, name := range names {
			if e, excepted := exceptions[name]; excepted {
				by[e.kind]++
				fmt.Fprintf(&tables, "| %s | %s | %s |\n", name, e.kind, strings.ReplaceAll(e.reason, "|", "\\|"))
			}
		}
		fmt.Fprintf(&counts, "| %s | %d | %d |", s.title, len(names), len(names)-len(exceptions))
		for _, kind := range columns {
			fmt.Fprintf(&counts, " %d |", by[kind])
		}
		counts.WriteString("\n")
	}
	return counts.String() + tables.String()
}
