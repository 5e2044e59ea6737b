// Package demand checks core: every exported method that takes a grant demands the
// actions that its comment says it needs.
package demand

import (
	"maps"
	"reflect"
	"slices"
	"strings"
	"testing"

	"watertight/internal/access/authz"
	"watertight/internal/access/policy"
	"watertight/internal/core/object"
	"watertight/internal/core/tag"
	"watertight/internal/fault"
)

// below are the rooms that get their grants from other rooms: handlers never call them.
func below() []string { return []string{"core/payload", "core/keys"} }

// open are the methods that need no permission, and why.
func open() map[string]string {
	return map[string]string{
		"core/kms.Store.ExtendToBoth":        "it asks authz for the actions, for the caller of the grant",
		"core/kms.Store.ExtendToDecrypt":     "it asks authz for the action, for the caller of the grant",
		"core/kms.Store.ExtendToGenerate":    "it asks authz for the action, for the caller of the grant",
		"core/session.Store.Identity":        "it tells callers who they are, and no policy can deny it",
		"core/session.Store.GetSessionToken": "users need no permission to act as themselves",
	}
}

// TestEveryMethodDemands calls each method of core that takes a grant with the zero
// Grant, with one that holds all actions on other resources and, for each action that
// its comment names, with one that holds everything but that action. All are refused
// and change nothing; with all actions the method gets past its demands.
func TestEveryMethodDemands(t *testing.T) {
	all := methods(t)
	all = slices.DeleteFunc(all, func(m method) bool { return slices.Contains(below(), m.room) })
	var actions []policy.Action
	for _, m := range all {
		actions = append(actions, m.needs...)
	}
	slices.Sort(actions)
	actions = slices.Compact(actions)
	if len(all) < 120 || len(actions) < 140 {
		t.Errorf("only %d methods and %d actions were found", len(all), len(actions))
	}
	for _, m := range all {
		t.Run(m.String(), func(t *testing.T) {
			t.Parallel()
			if m.takesAction {
				t.Fatal("the method takes the action that it demands as a parameter")
			}
			if (len(m.needs) == 0) != (open()[m.String()] != "") {
				t.Fatalf("its comment says that it needs %v: name the actions, or say why it is open", m.needs)
			}
			proven, actions := map[policy.Action]bool{}, ofServices(actions, m.needs)
			for n := range cases(newFixture(t, m.room), &m) {
				if err := call(t, &m, n, func(*fixture) authz.Grant { return authz.Grant{} }); !isDenied(err) {
					t.Errorf("case %d, the zero Grant: %v", n, err)
				}
				elsewhere := func(f *fixture) authz.Grant { return f.grant(f.elsewhere(), actions, "none:None") }
				if err := call(t, &m, n, elsewhere); len(m.needs) > 0 && !isDenied(err) {
					t.Errorf("case %d, all actions on other resources: %v", n, err)
				}
				full := func(f *fixture) authz.Grant { return f.grant(f.everything, actions, "none:None") }
				if err := call(t, &m, n, full); isDenied(err) {
					t.Errorf("case %d: refused with all actions: %v", n, err)
					continue
				}
				for _, a := range m.needs {
					err := call(t, &m, n, func(f *fixture) authz.Grant { return f.grant(f.everything, actions, a) })
					proven[a] = proven[a] || isDenied(err)
				}
			}
			for _, a := range m.needs {
				if !proven[a] {
					t.Errorf("no case is refused without %s", a)
				}
			}
		})
	}
}

// ofServices returns all actions of the services of a method's own actions.
func ofServices(actions, own []policy.Action) []policy.Action {
	service := func(a policy.Action) string { s, _, _ := strings.Cut(string(a), ":"); return s }
	return slices.DeleteFunc(slices.Clone(actions), func(a policy.Action) bool {
		return len(own) > 0 && !slices.ContainsFunc(own, func(b policy.Action) bool { return service(a) == service(b) })
	})
}

func isDenied(err error) bool { return fault.Is(err, fault.AccessDenied) }

// call calls a method on a fresh fixture with the arguments of its nth case. A refusal
// must change nothing.
func call(t *testing.T, m *method, n int, grant func(*fixture) authz.Grant) error {
	t.Helper()
	f := newFixture(t, m.room)
	fn := reflect.ValueOf(f.stores[m.room+"."+m.receiver]).MethodByName(m.name)
	if !fn.IsValid() {
		t.Fatalf("the fixture has no %s", m)
	}
	var in []reflect.Value
	args := cases(f, m)[n]
	for i := range fn.Type().NumIn() {
		switch p := fn.Type().In(i); {
		case p == reflect.TypeFor[authz.Grant]():
			in = append(in, reflect.ValueOf(grant(f)))
		case i == 0:
			in = append(in, reflect.ValueOf(t.Context()))
		default:
			in = append(in, argument(f, m, args, p, m.params[len(m.params)-(fn.Type().NumIn()-i)]))
		}
	}
	before := f.dump()
	out := fn.Call(in)
	err, _ := out[len(out)-1].Interface().(error)
	if many, ok := out[0].Interface().([]object.Deleted); ok && err == nil {
		err = many[0].Err
	}
	if isDenied(err) && !maps.Equal(before, f.dump()) {
		t.Errorf("%s: a refusal has changed something", m)
	}
	return err
}

// argument returns a parameter's value: by its name in the case, or else by its type.
func argument(f *fixture, m *method, args arguments, p reflect.Type, name string) reflect.Value {
	if x, ok := args[name]; ok && reflect.TypeOf(x).AssignableTo(p) {
		return reflect.ValueOf(x)
	}
	v := reflect.New(p).Elem()
	switch {
	case p == reflect.TypeFor[[]tag.Tag]():
		v.Set(reflect.ValueOf([]tag.Tag{{Key: "k", Value: "v"}}))
	case p.Kind() == reflect.Struct:
		fill(v, args)
	case p.Kind() == reflect.Pointer && p.Elem().Kind() == reflect.Struct:
		v = reflect.New(p.Elem())
	case p.Kind() == reflect.Slice && p.Elem().Kind() == reflect.Struct:
		v = reflect.Append(v, fill(reflect.New(p.Elem()).Elem(), args))
	case p.Kind() == reflect.Func: // it does nothing
		v = reflect.MakeFunc(p, func([]reflect.Value) (out []reflect.Value) {
			for i := range p.NumOut() {
				out = append(out, reflect.Zero(p.Out(i)))
			}
			return out
		})
	}
	return v
}
