package action

import (
	"cmp"
	"slices"
	"strings"
)

// Table is the catalogue of one service, for packages that read all of it.
type Table struct {
	Actions    []Action
	Operations []Operation
	every      []string
}

// Action is an action with its condition keys.
type Action struct {
	Name string // "s3:GetObject"
	Facts
	keys, every []string
}

// Operation is an operation that clients call.
type Operation struct {
	Service string // as in credential scopes and events
	Name    string
	// Event is CloudTrail's name of the operation ("Amazon S3 CloudTrail events", S3 user guide).
	Event string
	// Data means that its events are data events, which concern objects; all others are
	// management events.
	Data bool
	// Reads means that it changes nothing. For CloudTrail, operations of KMS and STS that
	// only use a key or a role are reads, too.
	Reads bool
	// ReadsNothing means that its response contains no stored data except rules about who
	// may ask, or the caller's identity. It needs no permission.
	ReadsNothing bool
	Stores       bool // it stores bytes of an object, so its events say how they are encrypted
	Copies       bool // it reads another object, too
	Global       bool // the service has one region
	Unbuilt      bool // no operation table of the server has it
}

// Parse decodes the table of a service. For an unknown service it returns the zero Table.
func Parse(service string) (t Table) {
	groups := map[string][]string{}
	lines := table(service)
	for line := range strings.Lines(lines) {
		name, line := field(strings.TrimSuffix(line, "\n"))
		switch {
		case strings.HasPrefix(name, "@"):
			groups[name] = append(groups[name], withPrefix(service, strings.Fields(line))...)
		case !isName(strings.TrimSuffix(name, "()")):
		case strings.HasSuffix(name, "()"):
			t.Operations = append(t.Operations, OperationOf(service, strings.TrimSuffix(name, "()")))
		default:
			a := Action{Name: service + ":" + name, Facts: readFacts(line)}
			for _, key := range withPrefix(service, strings.Fields(line)[columns:]) {
				if of, isGroup := groups[key]; isGroup {
					a.keys = append(a.keys, of...)
				} else {
					a.keys = append(a.keys, key)
				}
			}
			t.Actions = append(t.Actions, a)
		}
	}
	t.every = groups["@every"]
	for i := range t.Actions {
		t.Actions[i].every = t.every
	}
	return t
}

// Witnesses returns the actions on buckets and objects. The first are those that show most
// clearly that a policy is public.
func Witnesses() []string {
	all := slices.DeleteFunc(Parse("s3").Actions, func(a Action) bool { return !a.Bucket && !a.Object })
	slices.SortStableFunc(all, func(a, b Action) int { return cmp.Compare(a.Witness-1, b.Witness-1) }) // 0 comes last
	names := make([]string, len(all))
	for i := range all {
		names[i] = all[i].Name
	}
	return names
}

// columns is the number of fields before the condition keys of an action.
const columns = 4

// withPrefix adds the prefix of the service to condition keys without one.
func withPrefix(service string, keys []string) []string {
	for i, key := range keys {
		switch bare := strings.TrimPrefix(key, "!"); {
		case strings.HasPrefix(key, "@"), strings.Contains(key, ":"):
		case bare != key:
			keys[i] = "!" + service + ":" + bare
		default:
			keys[i] = service + ":" + key
		}
	}
	return keys
}

// OperationOf returns an operation of a service. The events of an operation that no table
// has are management events. It counts as a write, except in STS, where all operations are
// reads.
func OperationOf(service, name string) Operation {
	o := Operation{Service: service, Name: name, Event: name}
	t := table(service)
	_, o.Global = find(t, "$global")
	if source, ok := find(t, "$source"); ok {
		o.Service = strings.TrimSpace(source)
	}
	line, ok := find(t, name+"()")
	if !ok {
		line, _ = find(t, "*()")
	}
	for word := range strings.FieldsSeq(line) {
		switch word {
		case "data":
			o.Data = true
		case "read":
			o.Reads = true
		case "reads-nothing":
			o.ReadsNothing = true
		case "stores":
			o.Stores = true
		case "copies":
			o.Copies = true
		case "unbuilt":
			o.Unbuilt = true
		}
		if event, ok := strings.CutPrefix(word, "event="); ok {
			o.Event = event
		}
	}
	return o
}

// Every reports whether every request to the service, or every request through an access
// point, has a condition key. key is in lower case.
func (t *Table) Every(key string) bool { return contains(t.every, key) }

// Knows reports whether some action of the service has a condition key.
func (t *Table) Knows(key string) bool {
	return t.Every(key) || slices.ContainsFunc(t.Actions, func(a Action) bool { return a.Has(key) })
}

// Has reports whether the action has a condition key of its service.
func (a *Action) Has(key string) bool {
	if contains(a.every, key) {
		return !slices.Contains(a.keys, "!"+key)
	}
	return contains(a.keys, key)
}

// contains reports whether a condition key is one of known. A known key that ends with / or
// a colon stands for all keys that begin with it and are longer.
func contains(known []string, key string) bool {
	return slices.ContainsFunc(known, func(k string) bool {
		isFamily := strings.HasSuffix(k, "/") || strings.HasSuffix(k, ":")
		return k == key || isFamily && len(key) > len(k) && strings.HasPrefix(key, k)
	})
}

// GlobalKey reports whether requests to every service have a condition key. key is in lower case.
func GlobalKey(key string) bool {
	if !strings.HasPrefix(key, "aws:") {
		return false
	}
	if i := strings.IndexByte(key, '/'); i >= 0 {
		key = key[:i+1] // keys of tags
	}
	_, ok := find(global, key)
	return ok
}
