package policy

import "strings"

// actionSet is a set of actions, as three sets of hashes: of the services, of how the names
// begin, and of the names. It has at least the actions that were added, and perhaps others, so
// that a decision can pass over a statement, or a pattern, for other actions without comparing
// text. The zero set has every action.
type actionSet struct{ services, beginnings, names uint64 }

// everyHash is the set of all hashes.
const everyHash = ^uint64(0)

// hashOf returns a set with one of 64 hashes. Names that differ only by the case of ASCII
// letters have the same one.
func hashOf(name string) uint64 {
	if name == "" {
		return 1
	}
	n := len(name)
	sum := n + 5*int(name[0]|0x20) + 11*int(name[n/2]|0x20) + 23*int(name[n-1]|0x20)
	return 1 << (sum % 64)
}

// beginningOf returns a set with one of 64 hashes of the first letters of a name, in either
// case, or of every hash if the name is too short to tell.
func beginningOf(name string) uint64 {
	if len(name) < 3 {
		return everyHash
	}
	return 1 << ((int(name[0]|0x20) + 7*int(name[1]|0x20) + 29*int(name[2]|0x20)) % 64)
}

// actionOf returns the set of one action.
func actionOf(a Action) actionSet {
	service, name, _ := strings.Cut(string(a), ":")
	return actionSet{hashOf(service), beginningOf(name), hashOf(name)}
}

// actionsOf returns a set that has all actions that the patterns match.
func actionsOf(all []actionPattern) (s actionSet) {
	for i := range all {
		one := all[i].set()
		if one.services == 0 {
			return actionSet{}
		}
		s.services |= one.services
		s.beginnings |= one.beginnings
		s.names |= one.names
	}
	return s
}

// set returns a set that has all actions that the pattern matches.
func (a *actionPattern) set() actionSet {
	if a.any || len(a.p) == 0 || a.p[0].kind != literal {
		return actionSet{}
	}
	service, name, ok := strings.Cut(a.p[0].text, ":") // wildcards are only in names
	if !ok {
		return actionSet{}
	}
	s := actionOf(Action(a.text)) // an action that is spelled like the pattern matches it, too
	s.services |= hashOf(service)
	s.beginnings |= beginningOf(name)
	if s.names |= hashOf(name); len(a.p) > 1 {
		s.names = everyHash
	}
	return s
}

// meets reports whether both sets may have an action in common.
func (s actionSet) meets(o actionSet) bool {
	return s.services == 0 || o.services == 0 || s.services&o.services != 0 &&
		s.beginnings&o.beginnings != 0 && s.names&o.names != 0
}
