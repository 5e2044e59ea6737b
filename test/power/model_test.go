package power

import (
	"fmt"
	"maps"
	"slices"
	"strings"
)

// entry is one thing in the store: a version, a delete marker, a user, a key.
type entry struct {
	id                    string // that the server chose; unknown while the request is not answered
	what                  string
	sum, meta, tags, seal string // of an object
}

const unknown = "?"

// facts are what a client knows of its part of the store, by name. A missing name has no
// entries.
type facts map[string][]entry

// with returns the facts after changes.
func (f facts) with(changes facts) facts {
	all := maps.Clone(f)
	for name, entries := range changes {
		if len(entries) == 0 {
			delete(all, name)
		} else {
			all[name] = entries
		}
	}
	return all
}

func (e entry) is(got entry) bool {
	if e.id == unknown {
		e.id = got.id
	}
	return e == got
}

// match compares the entries of one name. The order of uploads has no meaning.
func match(name string, want, got []entry) bool {
	if len(want) != len(got) {
		return false
	}
	if name != uploads {
		return slices.EqualFunc(want, got, entry.is)
	}
	left := slices.Clone(got)
	for _, w := range want {
		i := slices.IndexFunc(left, w.is)
		if i < 0 {
			return false
		}
		left = slices.Delete(left, i, i+1)
	}
	return true
}

// differs names what does not match.
func (f facts) differs(got facts) (names []string) {
	for name := range f.with(got) {
		if !match(name, f[name], got[name]) {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names
}

// request is a request that was sent and not answered yet.
type request struct {
	changes facts
	parts   bool // each name may have changed or not
}

// state is what is known of a client's part at one moment.
type state struct {
	now  facts
	next *request
}

// check compares what was found after a power failure.
func (s state) check(got facts) error {
	wrong := s.now.differs(got)
	if len(wrong) == 0 {
		return nil
	}
	if s.next != nil {
		after := s.now.with(s.next.changes)
		if len(after.differs(got)) == 0 {
			return nil
		}
		if s.next.parts {
			wrong = slices.DeleteFunc(wrong, func(name string) bool {
				_, changes := s.next.changes[name]
				return changes && match(name, after[name], got[name])
			})
			if len(wrong) == 0 {
				return nil
			}
		}
	}
	var b strings.Builder
	for _, name := range wrong {
		fmt.Fprintf(&b, "\n%s: found %v\n acknowledged %v", name, got[name], s.now[name])
		if s.next != nil {
			fmt.Fprintf(&b, "\n not answered %v", s.next.changes[name])
		}
	}
	return fmt.Errorf("not what was acknowledged:%s", b.String())
}
