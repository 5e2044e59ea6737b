package policy

import (
	"cmp"
	"slices"
	"strings"
	"time"

	"watertight/internal/access/arn"
)

// Subject is a principal whose access is compared, with the laws that bind it.
type Subject struct {
	Name               string // as it is shown
	Principal          Principal
	Identity, Boundary []*Document
}

// Probe is an action to compare, and whether it is on objects.
type Probe struct {
	Action   Action
	OnObject bool
}

// Change is what one subject gains or loses.
type Change struct {
	Subject     string
	Gains       bool
	Action      Action
	Resource    string // pattern of the statement that makes the difference
	Conditional bool   // only while the conditions of that statement hold
}

// Comparison is the laws of a resource before and after a change.
type Comparison struct {
	Before, After Laws // without the parts that are a subject's
	Subjects      []Subject
	Probes        []Probe
	Most          int // decisions to make at most
}

// Compare returns which subject gains or loses what. Every answer is Decide's. It
// tries one request for each statement of either side, each subject, each probe that
// the statement is about, and each of its resource patterns. The resource has the
// pattern's kind, with an x for a wildcard. The request is tried once in plain form,
// over TLS from an arbitrary address. If the statement has conditions, it is tried
// again with values that meet them, as far as the sender can choose those.
// Policy variables other than aws:username are not tried. cut reports that Most
// was reached.
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

// statement asks what there is to ask of one statement for one subject, and
// returns how many decisions that took.
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

// differs decides a request under both laws.
func (c *Comparison) differs(who *Subject, r Request, change *Change) bool {
	decide := func(l Laws) bool {
		l.Identity, l.Boundary = who.Identity, who.Boundary
		return Decide(l, r).Effect == Allow
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
