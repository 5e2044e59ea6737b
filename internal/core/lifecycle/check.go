package lifecycle

import (
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"watertight/internal/core/tag"
	"watertight/internal/fault"
)

// Limits of a configuration (S3 user guide, "Lifecycle configuration elements").
const (
	MaxRules  = 1000
	maxID     = 255  // characters
	maxPrefix = 1024 // bytes
	MaxNewer  = 100
	maxSize   = 1_099_511_627_776_000 // bytes
)

// Check refuses what S3 refuses, with the codes and messages that S3 was seen to answer.
// Rules that have no ID get one from newID.
// Errors: MalformedXML, InvalidArgument, InvalidRequest, InvalidStorageClass, and those
// of tag.Object.
func (c *Configuration) Check(newID func() string) error {
	if len(c.Rules) == 0 || len(c.Rules) > MaxRules {
		return malformed()
	}
	ids := make(map[string]bool, len(c.Rules))
	for i := range c.Rules {
		r := &c.Rules[i]
		if err := r.checkForm(c.Rules[0].Filter != nil); err != nil {
			return err
		}
		if r.ID == "" {
			r.ID = newID()
		}
		if ids[r.ID] {
			return argument("Rule ID must be unique. Found same ID for more than one rule")
		}
		ids[r.ID] = true
		if err := r.check(); err != nil {
			return err
		}
	}
	if c.Rules[0].Filter == nil {
		return c.checkOverlaps()
	}
	return nil
}

func malformed() error { return fault.Of(fault.MalformedXML) }

func argument(message string) error { return fault.New(fault.InvalidArgument, message) }

func request(message string) error { return fault.New(fault.InvalidRequest, message) }

// checkForm checks everything of a rule but its filter's predicates and its actions.
// filters says that the first rule has a filter; then all must have one, else none may.
func (r *Rule) checkForm(filters bool) error {
	switch {
	case r.Status != Enabled && r.Status != Disabled, (r.Filter == nil) == (r.Prefix == nil):
		return malformed()
	case r.Filter == nil && filters:
		return request("Base level prefix cannot be used in Lifecycle V2, prefixes are only supported in the Filter.")
	case r.Filter != nil && !filters:
		return request("Filter element can only be used in Lifecycle V2.")
	case utf8.RuneCountInString(r.ID) > maxID:
		return argument("ID length should not exceed allowed limit of 255")
	case !utf8.ValidString(r.ID):
		return malformed()
	}
	return nil
}

func (r *Rule) check() error {
	p, err := r.checkFilter()
	if err != nil {
		return err
	}
	if r.Expiration == nil && r.NoncurrentExpiration == nil && r.Abort == nil &&
		len(r.Transitions)+len(r.NoncurrentTransitions) == 0 {
		return request("At least one action needs to be specified in a rule")
	}
	if err := r.Expiration.check(p); err != nil {
		return err
	}
	if err := r.checkTransitions(p); err != nil {
		return err
	}
	if err := r.checkNoncurrent(p); err != nil {
		return err
	}
	return r.Abort.check(p)
}

// checkFilter checks a rule's filter, or its prefix, and returns the predicates.
func (r *Rule) checkFilter() (*Predicates, error) {
	if r.Filter == nil {
		p := &Predicates{Prefix: r.Prefix}
		return p, p.check()
	}
	p := &r.Filter.Predicates
	n := p.count()
	if r.Filter.And != nil {
		if n > 0 || r.Filter.And.count() < 2 {
			return nil, malformed()
		}
		p = r.Filter.And
	} else if n > 1 {
		return nil, malformed()
	}
	return p, p.check()
}

func (p *Predicates) count() int {
	n := len(p.Tags)
	if p.Prefix != nil {
		n++
	}
	if p.Greater != nil {
		n++
	}
	if p.Less != nil {
		n++
	}
	return n
}

func (p *Predicates) check() error {
	if p.Prefix != nil && len(*p.Prefix) > maxPrefix {
		return request("The maximum size of a prefix is 1024.")
	}
	for i, t := range p.Tags {
		if slices.ContainsFunc(p.Tags[:i], func(u tag.Tag) bool { return u.Key == t.Key }) {
			return request("Duplicate Tag Keys are not allowed.")
		}
	}
	if _, err := tag.Object(slices.Clone(p.Tags)); err != nil {
		return err
	}
	if n := p.Greater; n != nil && (*n < 0 || *n > maxSize) {
		return request(fmt.Sprintf("'ObjectSizeGreaterThan' should be between 0 and %d.", int64(maxSize)))
	}
	if n := p.Less; n != nil && (*n < 1 || *n > maxSize) {
		return request(fmt.Sprintf("'ObjectSizeLessThan' should be between 1 and %d.", int64(maxSize)))
	}
	if p.Greater != nil && p.Less != nil && *p.Less <= *p.Greater {
		return request("'ObjectSizeLessThan' has to be a value greater than 'ObjectSizeGreaterThan'.")
	}
	return nil
}

// checkPrefixOnly refuses tags and sizes in the filter of an action that takes neither.
func (p *Predicates) checkPrefixOnly(action string) error {
	switch {
	case len(p.Tags) > 0:
		return request(action + " cannot be specified with Tags.")
	case p.Greater != nil || p.Less != nil:
		return request(action + " cannot be specified with Object Size.")
	}
	return nil
}

// String returns the predicates as S3's messages show them.
func (p *Predicates) String() string {
	prefix := ""
	if p.Prefix != nil {
		prefix = *p.Prefix
	}
	return "(prefix=" + prefix + ")"
}

func (e *Expiration) check(p *Predicates) error {
	if e == nil {
		return nil
	}
	n := 0
	for _, set := range []bool{e.Days != nil, e.Date != nil, e.ExpiredObjectDeleteMarker != nil} {
		if set {
			n++
		}
	}
	switch {
	case n != 1:
		return malformed()
	case e.Days != nil && *e.Days < 1:
		return argument("'Days' for Expiration action must be a positive integer")
	case e.ExpiredObjectDeleteMarker != nil:
		return p.checkPrefixOnly("ExpiredObjectDeleteMarker")
	}
	return checkDate(e.Date)
}

func checkDate(t *time.Time) error {
	if t != nil && !t.Equal(midnight(*t)) {
		return argument("'Date' must be at midnight GMT")
	}
	return nil
}

func (a *Abort) check(p *Predicates) error {
	switch {
	case a == nil:
		return nil
	case a.Days == nil:
		return malformed()
	case *a.Days < 1:
		return argument("'DaysAfterInitiation' for AbortIncompleteMultipartUpload action must be a positive integer")
	}
	return p.checkPrefixOnly("AbortIncompleteMultipartUpload")
}

// step is a transition of current or of noncurrent versions.
type step struct {
	days  int32
	date  *time.Time
	class string
}

func (r *Rule) checkTransitions(p *Predicates) error {
	steps := make([]step, 0, len(r.Transitions))
	mixed := func() error {
		return request("Found mixed 'Date' and 'Days' based Expiration and Transition actions in lifecycle rule for " +
			"filter '" + p.String() + "'")
	}
	for i, t := range r.Transitions {
		if (t.Days == nil) == (t.Date == nil) {
			return malformed()
		}
		if err := checkDate(t.Date); err != nil {
			return err
		}
		if (t.Days == nil) != (r.Transitions[0].Days == nil) {
			return mixed()
		}
		s := step{date: t.Date, class: t.Class}
		if t.Days != nil {
			s.days = *t.Days
		}
		if err := s.check("Days", "Transition", t.Days != nil, p, steps[:i]); err != nil {
			return err
		}
		steps = append(steps, s)
	}
	e := r.Expiration
	if e == nil || e.ExpiredObjectDeleteMarker != nil || len(steps) == 0 {
		return nil
	}
	if (e.Days == nil) != (steps[0].date != nil) {
		return mixed()
	}
	for _, s := range steps {
		if e.Days != nil && *e.Days <= s.days {
			return argument("'Days' in the Expiration action for filter '" + p.String() +
				"' must be greater than 'Days' in the Transition action")
		}
		if e.Date != nil && !e.Date.After(*s.date) {
			return argument("'Date' in the Expiration action for filter '" + p.String() +
				"' must be later than 'Date' in the Transition action")
		}
	}
	return nil
}

func (r *Rule) checkNoncurrent(p *Predicates) error {
	const transition, expiration = "NoncurrentVersionTransition", "NoncurrentVersionExpiration"
	steps := make([]step, 0, len(r.NoncurrentTransitions))
	for i, t := range r.NoncurrentTransitions {
		if t.Days == nil {
			return malformed()
		}
		if err := r.checkNewer(t.Newer, transition); err != nil {
			return err
		}
		s := step{days: *t.Days, class: t.Class}
		if err := s.check("NoncurrentDays", transition, true, p, steps[:i]); err != nil {
			return err
		}
		steps = append(steps, s)
	}
	e := r.NoncurrentExpiration
	switch {
	case e == nil:
		return nil
	case e.Days == nil:
		return malformed()
	case *e.Days < 1:
		return argument("'NoncurrentDays' for " + expiration + " action must be a positive integer")
	}
	for _, s := range steps {
		if *e.Days <= s.days {
			return argument("'NoncurrentDays' in the " + expiration + " action for filter '" + p.String() +
				"' must be greater than 'NoncurrentDays' in the " + transition + " action")
		}
	}
	return r.checkNewer(e.Newer, expiration)
}

// checkNewer checks the number of noncurrent versions to keep.
func (r *Rule) checkNewer(n *int32, action string) error {
	switch {
	case n == nil:
		return nil
	case r.Filter == nil:
		return request("NewerNoncurrentVersions element can only be used in Lifecycle V2.")
	case *n < 1 || *n > MaxNewer:
		return argument("'NewerNoncurrentVersions' for " + action + " action must be an integer between 1 and 100")
	}
	return nil
}

// check checks one transition of a rule against those before it.
func (s *step) check(days, action string, byDays bool, p *Predicates, before []step) error {
	least := minimumDays(s.class)
	switch {
	case isArchive(s.class):
		return fault.New(fault.InvalidStorageClass, "The storage class "+s.class+" does not exist on this server. "+
			"Transitions can lead to STANDARD_IA, INTELLIGENT_TIERING, ONEZONE_IA and GLACIER_IR.").
			With("StorageClassRequested", s.class)
	case rank(s.class) == 0:
		return malformed()
	case byDays && s.days < 0:
		return argument("'" + days + "' in " + action + " action must be nonnegative")
	case byDays && s.days < least:
		return argument(fmt.Sprintf("'%s' in %s action must be greater than or equal to %d for storageClass '%s'",
			days, action, least, s.class))
	}
	for i := range before {
		b := &before[i]
		if b.class == s.class {
			return argument("'StorageClass' must be different for '" + action +
				"' actions in same 'Rule' with filter '" + p.String() + "'")
		}
		first, later := b, s
		if rank(first.class) > rank(later.class) {
			first, later = later, first
		}
		if err := first.checkOrder(later, days, action, byDays, p); err != nil {
			return err
		}
	}
	return nil
}

// checkOrder checks that the later class comes after s: at least a day later, and no
// sooner than s's class requires.
func (s *step) checkOrder(later *step, days, action string, byDays bool, p *Predicates) error {
	if !byDays {
		if !later.date.After(*s.date) {
			return argument(fmt.Sprintf("'Date' in the '%s' action for StorageClass '%s' for filter '%s' must be "+
				"later than 'Date' in the '%s' action for StorageClass '%s'", action, later.class, p, action, s.class))
		}
		return nil
	}
	apart := max(1, minimumDays(s.class))
	if int64(later.days) < int64(s.days)+int64(apart) {
		return argument(fmt.Sprintf("'%s' in the '%s' action for StorageClass '%s' for filter '%s' must be %d days "+
			"more than '%s' in the '%s' action for StorageClass '%s'",
			days, action, later.class, p, apart, days, action, s.class))
	}
	return nil
}

// checkOverlaps refuses two rules of the older form with the same action, where the
// prefix of one begins with that of the other.
func (c *Configuration) checkOverlaps() error {
	for _, action := range []struct {
		name string
		has  func(*Rule) bool
	}{
		{"Expiration", func(r *Rule) bool { return r.Expiration != nil }},
		{"Transition", func(r *Rule) bool { return len(r.Transitions) > 0 }},
	} {
		var prefixes []string
		for i := range c.Rules {
			if r := &c.Rules[i]; action.has(r) {
				prefixes = append(prefixes, *r.Prefix)
			}
		}
		// In sorted order, a string that begins with a prefix directly follows it.
		slices.Sort(prefixes)
		for i := 1; i < len(prefixes); i++ {
			if strings.HasPrefix(prefixes[i], prefixes[i-1]) {
				return request(fmt.Sprintf("Found overlapping prefixes '%s' and '%s' for same action type '%s'",
					prefixes[i-1], prefixes[i], action.name))
			}
		}
	}
	return nil
}
