package policy

import (
	"strings"
)

// statement is a compiled statement.
type statement struct {
	sid          string
	allow        bool
	principals   []principal
	notPrincipal bool
	actions      []actionPattern
	notAction    bool
	may          actionSet    // has the actions that the statement is about; see applies
	resources    []arnPattern // empty in trust policies
	notResource  bool
	conditions   []condition
	// direct means that the statement names everyone, and a condition restricts it to a
	// caller by ARN.
	direct bool
	group  bool // a grant of an ACL to a group, which is public in the sense of Block Public Access
	// Of a grant of a KMS key: it needs no identity policy that also allows, and has terms.
	alone bool
	terms *grantTerms
	// changes: of a freeze, about every action that changes something.
	changes bool
	why     [layers][]string
}

// asWritten returns the statement as it was written.
func (s *statement) asWritten() Statement {
	out := Statement{
		Sid: s.sid, Effect: ExplicitDeny, NotPrincipal: s.notPrincipal, NotAction: s.notAction,
		NotResource: s.notResource,
	}
	if s.allow {
		out.Effect = Allow
	}
	for _, p := range s.principals {
		out.Principals = append(out.Principals, p.PrincipalName)
	}
	for _, a := range s.actions {
		out.Actions = append(out.Actions, a.text)
	}
	for _, r := range s.resources {
		out.Resources = append(out.Resources, r.text)
	}
	for i := range s.conditions {
		c := &s.conditions[i]
		said := Condition{Operator: c.name, Key: c.key}
		for _, v := range c.values {
			said.Values = append(said.Values, v.text)
		}
		out.Conditions = append(out.Conditions, said)
	}
	return out
}

func (s *statement) aboutAction(a string, in *situation) bool {
	if s.changes {
		return isChange(a)
	}
	for i := range s.actions {
		if s.actions[i].matches(a, in) {
			return !s.notAction
		}
	}
	return s.notAction
}

func (s *statement) aboutResource(in *situation) bool {
	if len(s.resources) == 0 {
		return true
	}
	for i := range s.resources {
		if s.resources[i].matches(in) {
			return !s.notResource
		}
	}
	return s.notResource
}

// applies reports whether the statement matches the request and, for an Allow of a
// resource-based policy, how far it reaches for this caller.
func (s *statement) applies(layer Layer, in *situation) (grant, bool) {
	if s.group && in.ignoreGroups {
		return noGrant, false
	}
	in.spend(1)
	if !s.may.meets(in.action) || !s.aboutAction(string(in.request.Action), in) || !s.aboutResource(in) {
		return noGrant, false
	}
	g, ok := s.aboutPrincipal(layer, &in.request.Principal)
	if !ok {
		return noGrant, false
	}
	for i := range s.conditions {
		if !s.conditions[i].holds(in, s.allow) {
			return noGrant, false
		}
	}
	if s.terms != nil && !s.terms.hold(in) {
		return noGrant, false
	}
	return g, true
}

// aboutService reports whether the statement matches some, or every, action of a service.
func (s *statement) aboutService(service string) (some, every bool) {
	for i := range s.actions {
		a := &s.actions[i]
		of, names, _ := strings.Cut(a.text, ":")
		its := a.any || strings.EqualFold(of, service)
		some = some || its
		every = every || its && strings.Trim(names, "*") == ""
	}
	if s.notAction {
		return !every, !some
	}
	return some, every
}

// actionPattern matches actions in upper or lower case.
type actionPattern struct {
	text string
	any  bool
	p    pattern
	may  actionSet // has the actions that match; the zero set, if it was not computed
}

// ActionMatcher compiles an entry of an Action element. Its errors say what is wrong with it.
func ActionMatcher(entry string) (func(Action) bool, error) {
	a, err := compileAction(entry, false)
	return func(name Action) bool { return a.matches(string(name), nil) }, err
}

func (a *actionPattern) matches(action string, in *situation) bool {
	if a.any || a.text == action { // most actions are spelled as AWS spells them
		return true
	}
	return (in == nil || a.may.meets(in.action)) && a.p.match(action, in, true)
}

// arnPattern matches ARNs section by section. A wildcard matches within its section; in the
// last section it also matches "/" and ":".
type arnPattern struct {
	text     string
	any      bool
	none     bool   // matches nothing, whatever its sections are
	begins   string // literal beginning of the last section
	prefix   bool   // begins may be followed by anything, so the section need not be joined
	sections [6]pattern
}

func (p *arnPattern) matches(in *situation) bool {
	a := &in.request.Resource
	switch {
	case p.any:
		return true
	case p.none || !a.Begins(p.begins):
		return false
	case p.prefix:
		in.spend(2)
	case !p.sections[5].match(in.section(), in, false):
		return false
	}
	return p.sections[2].match(a.Service, in, false) && p.sections[4].match(a.Account, in, false) &&
		p.sections[3].match(a.Region, in, false) && p.sections[1].match(a.Partition, in, false)
}

// matchesText is matches for an ARN in its written form.
func (p *arnPattern) matchesText(s string, in *situation) bool {
	if p.any {
		return true
	}
	for i := range p.sections[:5] {
		section, rest, found := strings.Cut(s, ":")
		if !found || !p.sections[i].match(section, in, false) {
			return false
		}
		s = rest
	}
	return p.sections[5].match(s, in, false)
}
