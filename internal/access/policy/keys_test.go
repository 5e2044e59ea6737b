package policy

import (
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// TestFoldCase: names of condition keys are the same exactly if strings.EqualFold, by which stores compare the names of
// tags, takes them for equal.
func TestFoldCase(t *testing.T) {
	for _, c := range []struct {
		a, b string
		same bool
	}{
		{"Team", "TEAM", true},
		{"division", "div\u0130sion", false},           // a capital I with a dot
		{"division", "d\u0131v\u0131s\u0131on", false}, // a small i without one
		{"kind", "\u212Aind", true},                    // the sign for Kelvin
		{"sort", "\u017Fort", true},                    // a long s
		{"\u00C9cole", "\u00E9cole", true},
		{"\u03A3", "\u03C2", true}, // a capital and a final sigma
		{"stra\u00DFe", "strasse", false},
	} {
		t.Run(c.a+" "+c.b, func(t *testing.T) {
			if got := strings.EqualFold(c.a, c.b); got != c.same {
				t.Fatalf("EqualFold: %v", got)
			}
			if got := KeyName("aws:RequestTag/"+c.a) == KeyName("aws:requesttag/"+c.b); got != c.same {
				t.Error(got)
			}
		})
	}
	letters := "aAiI\u0130\u0131kK\u212AsS\u017F\u03A3\u03C3\u03C2\u00C5\u00E5\u212B\u01C4\u01C5\u01C6/:"
	runes := rapid.SampledFrom([]rune(letters))
	rapid.Check(t, func(t *rapid.T) {
		a, b := rapid.StringOfN(runes, 0, 4, -1).Draw(t, "a"), rapid.StringOfN(runes, 0, 4, -1).Draw(t, "b")
		if got := FoldCase(a) == FoldCase(b); got != strings.EqualFold(a, b) {
			t.Fatalf("%q and %q: %v", a, b, got)
		}
	})
	for r := range rune(0x20000) {
		a := string(r)
		for _, b := range []string{strings.ToLower(a), strings.ToUpper(a), strings.ToTitle(a)} {
			if got := FoldCase(a) == FoldCase(b); got != strings.EqualFold(a, b) {
				t.Fatalf("%q and %q: %v", a, b, got)
			}
		}
	}
}
