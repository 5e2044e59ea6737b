package action

import (
	"cmp"
	"slices"
	"strings"
)

// Table is the catalogue of one service, for packages that go through all of it.
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

// Operation is what a client calls.
type Operation struct {
	Service string // in credential scopes and events
	Name    string
	// Event is CloudTrail's name of it ("Amazon S3 CloudTrail events", S3 user guide).
	Event string
	// Data: its events are data events, which are about objects; all others are
	// management events.
	Data bool
	// Reads: it leaves everything as it was. KMS and STS operations that only use a
	// key or a role are reads to CloudTrail.
	Reads bool
	// ReadsNothing: its answer holds nothing that is stored but rules about who may
	// ask, or who the caller is. No permission is needed.
	ReadsNothing bool
	Stores       bool // it stores bytes of an object; events say how they are encrypted
	Copies       bool // it reads another object beside its own
	Global       bool // the service has one region
	Unbuilt      bool // no table of the server has it
}

// Parse reads the table of a service. An unknown service has the zero Table.
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

// Witnesses returns the actions on buckets and objects, those first that show most
// clearly that a policy is public.
func Witnesses() []string {
	all := slices.DeleteFunc(Parse("s3").Actions, func(a Action) bool { return !a.Bucket && !a.Object })
	slices.SortStableFunc(all, func(a, b Action) int { return cmp.Compare(a.Witness-1, b.Witness-1) }) // 0 is last
	names := make([]string, len(all))
	for i := range all {
		names[i] = all[i].Name
	}
	return names
}

// columns come before the condition keys of an action.
const columns = 4

// withPrefix gives condition keys the prefix of their service where they have none.
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

// OperationOf returns the operation of a service. The events of one that no table has
// are management events, and it counts as a change, except in STS, where all are reads.
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

// Every reports the condition keys that every request to the service has, and those
// of requests that come through an access point. key is in lower case.
func (t *Table) Every(key string) bool { return contains(t.every, key) }

// Knows reports whether some action of the service is judged by a condition key.
func (t *Table) Knows(key string) bool {
	return t.Every(key) || slices.ContainsFunc(t.Actions, func(a Action) bool { return a.Has(key) })
}

// Has reports whether the action is judged by a condition key of its service.
func (a *Action) Has(key string) bool {
	if contains(a.every, key) {
		return !slices.Contains(a.keys, "!"+key)
	}
	return contains(a.keys, key)
}

// contains reports whether a condition key is among known ones; one that ends with / or
// a colon stands for all that have something behind it.
func contains(known []string, key string) bool {
	return slices.ContainsFunc(known, func(k string) bool {
		isFamily := strings.HasSuffix(k, "/") || strings.HasSuffix(k, ":")
		return k == key || isFamily && len(key) > len(k) && strings.HasPrefix(key, k)
	})
}

// GlobalKey reports the condition keys that requests to every service have. key is
// in lower case.
func GlobalKey(key string) bool {
	if !strings.HasPrefix(key, "aws:") {
		return false
	}
	if i := strings.IndexByte(key, '/'); i >= 0 {
		key = key[:i+1] // of tags
	}
	_, ok := find(global, key)
	return ok
}
