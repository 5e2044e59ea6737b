package policy

import (
	"fmt"
	"strings"
	"testing"

	"watertight/internal/access/arn"
)

// wildly matches a pattern naively, by dynamic programming over runes.
func wildly(pattern, s string) bool {
	t := []rune(s)
	fits := make([]bool, len(t)+1)
	fits[0] = true
	for _, c := range pattern {
		next := make([]bool, len(t)+1)
		for i := range next {
			switch {
			case c == '*':
				next[i] = fits[i] || i > 0 && next[i-1]
			case i > 0:
				next[i] = fits[i-1] && (c == '?' || c == t[i-1])
			}
		}
		fits = next
	}
	return fits[len(t)]
}

// TestMatchIsTheNaiveOne compares with a naive matcher: all short patterns against all
// short texts, and random longer ones.
func TestMatchIsTheNaiveOne(t *testing.T) {
	check := func(text, s string) {
		p, err := compile(text, true, false)
		if err != nil {
			t.Fatal(err)
		}
		in := &situation{most: decisionSteps}
		if got := p.match(s, in, false); got != wildly(text, s) {
			t.Fatalf("%q, %q: %v", text, s, got)
		}
		if got := p.match(strings.ToUpper(s), in, true); !strings.Contains(s, "é") && got != wildly(text, s) {
			t.Fatalf("%q, %q in capitals: %v", text, s, got)
		}
		if most := 8 * (len(text) + 2) * (len(s) + 2); in.spent > most {
			t.Fatalf("%q, %q: %d steps", text, s, in.spent)
		}
	}
	words := func(letters []string, most int) (all []string) {
		all = []string{""}
		for from := 0; most > 0; most-- {
			end := len(all)
			for _, w := range all[from:end] {
				for _, l := range letters {
					all = append(all, w+l)
				}
			}
			from = end
		}
		return all
	}
	texts := words([]string{"a", "b", "é"}, 4)
	for _, p := range words([]string{"a", "é", "*", "?"}, 5) {
		for _, s := range texts {
			check(p, s)
		}
	}
	d := dice(someSeed(t))
	for range *cases {
		var p, s string
		for range d.roll(14) {
			p += d.pick("a", "a", "b", "ab", "é", "*", "?", "?a")
		}
		for range d.roll(24) {
			s += d.pick("a", "a", "b", "é")
		}
		check(p, s)
	}
}

// TestMatchIsLinear counts the steps of patterns that are slow for matchers that try a * at every
// position.
func TestMatchIsLinear(t *testing.T) {
	s := strings.Repeat("a", 1024)
	for i, text := range []string{
		"*" + strings.Repeat("?", 440) + "b", "*" + strings.Repeat("?", 440) + "b*", strings.Repeat("*a", 200) + "*b",
		strings.Repeat("?*", 200) + "b*",
		"*" + strings.Repeat("a", 500) + "b*", strings.Repeat("a*", 300) + "c", "*" + strings.Repeat("a?", 1) + "*b*",
	} {
		t.Run(fmt.Sprint(i), func(t *testing.T) {
			p, err := compile(text, true, false)
			if err != nil {
				t.Fatal(err)
			}
			in := &situation{most: decisionSteps}
			if p.match(s, in, false) {
				t.Errorf("%.20q matches", text)
			}
			if most := 8 * (len(text) + len(s)); in.spent > most {
				t.Errorf("%.20q: %d steps", text, in.spent)
			}
		})
	}
}

// hungry returns a Deny whose patterns take as many steps as possible.
func hungry(t testing.TB, kind Kind, n int) *Document {
	var all []string
	for i := range n {
		all = append(all, fmt.Sprintf("arn:aws:s3:::*%s%d*", strings.Repeat("a?", 300), i))
	}
	principal := ""
	if kind == Resource {
		principal = `"Principal":"*",`
	}
	return mustParse(t, kind,
		`{"Statement":[{"Effect":"Deny",`+principal+`"Action":"s3:*","Resource":`+quoted(all)+`}]}`)
}

// TestWorkIsBounded: for any documents and requests, the work of a decision and of all decisions on a
// request is bounded. Beyond the bound, everything is denied.
func TestWorkIsBounded(t *testing.T) {
	all := mustParse(t, Identity, `{"Statement":[{"Effect":"Allow","Action":"*","Resource":"*"}]}`)
	l := Laws{
		Identity: []*Document{all, hungry(t, Identity, 14)}, Resource: []*Document{hungry(t, Resource, 28)},
		ResourceOwner: home,
	}
	r := Request{
		Principal: caller("alice"), Action: "s3:GetObject", Resource: arn.Object("b", strings.Repeat("a", 1024)),
	}
	if v := Decide(&l, &r); v.Effect != ExplicitDeny || !v.Exhausted {
		t.Errorf("%+v", v)
	}
	r.Work = new(Work)
	n := 0
	for ; n < 10_000 && !r.Work.Exhausted(); n++ {
		if v := Decide(&l, &r); v.Effect == Allow {
			t.Fatalf("decision %d allows", n)
		}
	}
	if want := requestSteps / decisionSteps; n < want || n > 2*want {
		t.Errorf("%d decisions, want some %d", n, want)
	}
	r.Resource = arn.Object("b", "k")
	l = Laws{Identity: []*Document{all}, ResourceOwner: home}
	if v := Decide(&l, &r); v.Effect != ExplicitDeny || !v.Exhausted {
		t.Errorf("without steps left: %+v", v)
	}
	// A usual request, with 1,000 keys and many policies, is far from the bound.
	usual, q := many(t), question()
	q.Work = new(Work)
	for range 1000 {
		if v := Decide(&usual, &q); v.Effect != Allow {
			t.Fatalf("%+v", v)
		}
	}
	if spent := q.Work.spent; spent > requestSteps/10 {
		t.Errorf("1,000 usual decisions took %d steps", spent)
	}
}
