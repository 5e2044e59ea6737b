package lifecycle

import (
	"math"
	"slices"
	"strings"
	"time"

	"watertight/internal/core/tag"
)

// Rules is a compiled configuration: its enabled rules. It does not change, and several
// goroutines may use it. The zero Rules has none.
type Rules struct{ all []rule }

// rule is a rule with its predicates in one place. Days are 0 if there are none.
type rule struct {
	id              string
	prefix          string
	tags            []tag.Tag
	greater, less   int64
	sized           bool
	days            int32
	date            *time.Time
	marker          bool
	transitions     []step
	noncurrentDays  int32
	newer           int
	noncurrent      []step
	noncurrentNewer []int // one for each of noncurrent
	abort           int32
}

// Compile returns the rules of a configuration that Check accepted.
func (c *Configuration) Compile() *Rules {
	out := &Rules{}
	for i := range c.Rules {
		if r := &c.Rules[i]; r.Status == Enabled {
			out.all = append(out.all, r.compile())
		}
	}
	return out
}

func (r *Rule) compile() rule {
	out := rule{id: r.ID, greater: -1, less: math.MaxInt64}
	p := &Predicates{Prefix: r.Prefix}
	if r.Filter != nil {
		if p = &r.Filter.Predicates; r.Filter.And != nil {
			p = r.Filter.And
		}
	}
	if p.Prefix != nil {
		out.prefix = *p.Prefix
	}
	out.tags = p.Tags
	if out.sized = p.Greater != nil || p.Less != nil; out.sized {
		out.greater, out.less = or(p.Greater, -1), or(p.Less, math.MaxInt64)
	}
	if e := r.Expiration; e != nil {
		out.days, out.date, out.marker = or(e.Days, 0), e.Date, or(e.ExpiredObjectDeleteMarker, false)
	}
	for _, t := range r.Transitions {
		out.transitions = append(out.transitions, step{days: or(t.Days, 0), date: t.Date, class: t.Class})
	}
	if e := r.NoncurrentExpiration; e != nil {
		out.noncurrentDays, out.newer = or(e.Days, 0), int(or(e.Newer, 0))
	}
	for _, t := range r.NoncurrentTransitions {
		out.noncurrent = append(out.noncurrent, step{days: or(t.Days, 0), class: t.Class})
		out.noncurrentNewer = append(out.noncurrentNewer, int(or(t.Newer, 0)))
	}
	if r.Abort != nil {
		out.abort = or(r.Abort.Days, 0)
	}
	return out
}

func or[T any](p *T, none T) T {
	if p == nil {
		return none
	}
	return *p
}

// Object is the part of a version that rules look at. A delete marker has neither size nor
// tags.
type Object struct {
	Key     string
	Size    int64
	Tags    tag.Set
	Created time.Time
	Class   string
}

// Kind is what is done to a version or an upload.
type Kind uint8

// The kinds.
const (
	Nothing       Kind = iota
	Expire             // the current version: a delete marker is put on top, or it is removed for good
	RemoveVersion      // a noncurrent version, for good
	RemoveMarker       // a delete marker that is the only version
	Move               // a version to another storage class
	AbortUpload        // an upload
)

// Action is what a rule does, and when.
type Action struct {
	Kind  Kind
	Rule  string // the rule's ID
	At    time.Time
	Class string // the storage class to Move to
	// Newer is how many newer noncurrent versions must exist for RemoveVersion and Move.
	Newer int
}

// Due reports whether the action is due at an instant.
func (a Action) Due(at time.Time) bool { return a.Kind != Nothing && !a.At.After(at) }

// earlier returns the earlier of both, a if they are equally early.
func (a Action) earlier(b Action) Action {
	if a.Kind == Nothing || b.Kind != Nothing && b.At.Before(a.At) {
		return b
	}
	return a
}

const day = 24 * time.Hour

// midnight returns the beginning of the day of t, in UTC.
func midnight(t time.Time) time.Time { return t.UTC().Truncate(day) }

// maxDays bounds a number of days: an action that would be due later is never due.
const maxDays = 1_000_000

// after returns the first midnight that is later than t by more than the days (S3 user
// guide, "Lifecycle rules: based on an object's age"). If t is a midnight, that is a day
// later than rounding up would say.
func after(t time.Time, days int32) time.Time {
	return midnight(t.UTC().AddDate(0, 0, int(days))).Add(day)
}

func (r *rule) fits(o *Object) bool {
	if !strings.HasPrefix(o.Key, r.prefix) || o.Size <= r.greater || o.Size >= r.less {
		return false
	}
	for _, t := range r.tags {
		if !slices.Contains(o.Tags, t) {
			return false
		}
	}
	return true
}

// byAge returns an action of a rule that is due a number of days after an instant, and
// Nothing if it is never due.
func (r *rule) byAge(kind Kind, from time.Time, days int32) Action {
	if days <= 0 || days > maxDays {
		return Action{}
	}
	return Action{Kind: kind, Rule: r.id, At: after(from, days)}
}

func (r *rule) expires(o *Object, kind Kind) Action {
	if r.date != nil {
		return Action{Kind: kind, Rule: r.id, At: *r.date}
	}
	return r.byAge(kind, o.Created, r.days)
}

// Expiration returns when the current version o expires by age or date. The earliest
// action counts; if several are equally early, the first rule's.
func (r *Rules) Expiration(o *Object) (a Action) {
	for i := range r.all {
		if c := &r.all[i]; (c.days > 0 || c.date != nil) && c.fits(o) {
			a = a.earlier(c.expires(o, Expire))
		}
	}
	return a
}

// Current returns the action that is due at an instant for a current version that is no
// delete marker, or the one that will be due next. permanent says that the expiration
// removes the version for good. Such an expiration precedes a transition, which precedes an
// expiration that adds a delete marker (S3 user guide, "Conflicts in lifecycle
// configurations").
func (r *Rules) Current(o *Object, permanent bool, at time.Time) Action {
	expire := r.Expiration(o)
	if permanent && expire.Due(at) {
		return expire
	}
	var m move
	for i := range r.all {
		if c := &r.all[i]; len(c.transitions) > 0 && c.fits(o) {
			m.add(c, c.transitions, nil, o, o.Created, 0, at)
		}
	}
	return m.or(o, expire, at)
}

// Noncurrent returns the same for a noncurrent version or delete marker. since is when the
// next newer version was made. newer is how many newer noncurrent versions, other than
// delete markers, stay.
func (r *Rules) Noncurrent(o *Object, since time.Time, newer int, marker bool, at time.Time) Action {
	var remove Action
	var m move
	for i := range r.all {
		c := &r.all[i]
		if c.noncurrentDays == 0 && len(c.noncurrent) == 0 || !c.fits(o) {
			continue
		}
		if newer >= c.newer {
			a := c.byAge(RemoveVersion, since, c.noncurrentDays)
			a.Newer = c.newer
			remove = remove.earlier(a)
		}
		if !marker {
			m.add(c, c.noncurrent, c.noncurrentNewer, o, since, newer, at)
		}
	}
	if remove.Due(at) {
		return remove
	}
	return m.or(o, remove, at)
}

// Marker returns the same for a delete marker that is the only version of its key. Rules
// with tags in their filter don't apply to delete markers.
func (r *Rules) Marker(o *Object) (a Action) {
	for i := range r.all {
		switch c := &r.all[i]; {
		case !c.marker && c.days == 0 && c.date == nil || !c.fits(o):
		case c.marker:
			a = a.earlier(Action{Kind: RemoveMarker, Rule: c.id, At: o.Created})
		default:
			a = a.earlier(c.expires(o, RemoveMarker))
		}
	}
	return a
}

// Upload returns when an upload of a key is aborted.
func (r *Rules) Upload(key string, began time.Time) (a Action) {
	for i := range r.all {
		if c := &r.all[i]; c.abort > 0 && strings.HasPrefix(key, c.prefix) {
			a = a.earlier(c.byAge(AbortUpload, began, c.abort))
		}
	}
	return a
}

// move chooses between the transitions of several rules.
type move struct {
	due, next Action
}

// add considers a rule's transitions. If several are due, the rule's choice is the last
// class in S3's order. If several rules have a choice, INTELLIGENT_TIERING wins, else the
// last in that order (S3 user guide, "Conflicts in lifecycle configurations").
func (m *move) add(c *rule, steps []step, keep []int, o *Object, from time.Time, newer int, at time.Time) {
	if !c.sized && o.Size < smallest {
		return
	}
	var due Action
	for i := range steps {
		s := &steps[i]
		a := Action{Kind: Move, Rule: c.id, Class: s.class}
		if keep != nil {
			a.Newer = keep[i]
		}
		switch {
		case newer < a.Newer || s.days > maxDays:
			continue
		case s.date != nil:
			a.At = *s.date
		default:
			a.At = after(from, s.days)
		}
		switch {
		case !a.Due(at):
			if rank(a.Class) > rank(o.Class) {
				m.next = m.next.earlier(a)
			}
		case rank(a.Class) > rank(due.Class):
			due = a
		}
	}
	if weight(due.Class) > weight(m.due.Class) {
		m.due = due
	}
}

func weight(class string) int {
	if class == intelligentTiering {
		return math.MaxInt
	}
	return rank(class)
}

// or returns the transition that is due, else other if it is due, else the earlier of both.
func (m *move) or(o *Object, other Action, at time.Time) Action {
	if rank(m.due.Class) > rank(o.Class) {
		return m.due
	}
	if other.Due(at) {
		return other
	}
	return other.earlier(m.next)
}
