package policy

import (
	"cmp"
	"slices"
	"strings"
	"time"

	"watertight/internal/access/arn"
)

// Subject is a principal whose access is compared, with the laws that apply to it.
type Subject struct {
	Name               string // name for messages
	Principal          Principal
	Identity, Boundary []*Document
}

// Probe is an action to compare, on objects or on buckets.
type Probe struct {
	Action   Action
	OnObject bool
}

// Change is a permission that a subject gains or loses.
type Change struct {
	Subject     string
	Gains       bool
	Action      Action
	Resource    string // pattern in the statement that causes the change
	Conditional bool   // only while the conditions of that statement hold
}

// Comparison has the laws of a resource before and after a change.
type Comparison struct {
	Before, After Laws // without the laws of the subjects
	Subjects      []Subject
	Probes        []Probe
	Most          int // maximum number of decisions
}

// Compare returns the permissions that the subjects gain or lose. Decide makes every
// decision. Compare tries one request for each statement of either side, each subject, each
// probe that the statement matches, and each of its resource patterns. The resource is of
// the pattern's kind, with an x for a wildcard. Compare tries each request once without
// special properties, over TLS from an arbitrary address. If the statement has conditions,
// it tries again with values that meet them, if the sender can choose those. It does not
// try policy variables other than aws:username. cut reports that Most was reached.
func (c *Comparison) Compare() (changes []Change, cut bool) {
	seen := map[Change]bool{}
	left := c.Most
	for _, d := range slices.Concat(c.Before.Resource, c.After.Resource) {
		for i := range d.statements {
			for _, s := range c.Subjects {
				if left <= 0 {
					return sorted(seen), true
				}
				left -= c.statement(&d.statements[i], &s, seen)
			}
		}
	}
	return sorted(seen), false
}

// statement tries the requests of one statement for one subject, and returns the number of
// decisions.
func (c *Comparison) statement(s *statement, who *Subject, seen map[Change]bool) (n int) {
	for i := range s.resources {
		text := strings.ReplaceAll(s.resources[i].text, "${aws:username}", who.Principal.Name)
		at, err := arn.Parse(strings.ReplaceAll(strings.ReplaceAll(text, "*", "x"), "?", "x"))
		if err != nil {
			continue
		}
		if s.notResource {
			bucket, _ := at.BucketOf()
			at, text = arn.Object(bucket, "another-key"), "everything but "+text
		}
		for _, p := range c.Probes {
			if !s.aboutAction(string(p.Action), nil) || p.OnObject != at.IsObject() {
				continue
			}
			r := Request{
				Principal: who.Principal, Action: p.Action, Resource: at, At: time.Unix(sometime, 0).UTC(),
				SourceIP: somewhere(),
				Keys:     map[string][]string{"aws:securetransport": {"true"}},
			}
			change := Change{Subject: who.Name, Action: p.Action, Resource: text}
			if n += 2; c.differs(who, r, &change) {
				seen[change] = true
				continue
			}
			if len(s.conditions) == 0 {
				continue
			}
			tries := mostTries
			s.satisfy(&r, &tries)
			if n += 2; c.differs(who, r, &change) {
				change.Conditional = true
				seen[change] = true
			}
		}
	}
	return n
}

// differs reports whether the decisions on a request differ between both laws.
func (c *Comparison) differs(who *Subject, r Request, change *Change) bool {
	decide := func(l Laws) bool {
		l.Identity, l.Boundary = who.Identity, who.Boundary
		return Decide(&l, &r).Effect == Allow
	}
	before, after := decide(c.Before), decide(c.After)
	change.Gains = after
	return before != after
}

func sorted(seen map[Change]bool) []Change {
	out := make([]Change, 0, len(seen))
	for c := range seen {
		out = append(out, c)
	}
	slices.SortFunc(out, func(a, b Change) int {
		gains := func(c Change) int {
			if c.Gains {
				return 0
			}
			return 1
		}
		return cmp.Or(strings.Compare(a.Subject, b.Subject), cmp.Compare(gains(a), gains(b)),
			strings.Compare(a.Resource, b.Resource), strings.Compare(string(a.Action), string(b.Action)))
	})
	return out
}
