package policy

import "fmt"

// Decide is the one decision, in AWS's order (IAM user guide, "Policy
// evaluation logic"): an explicit deny wins; then every layer that is there
// must allow; without any allow the answer is the implicit deny.
func Decide(l Laws, r Request) Verdict {
	if r.Principal.Kind == Nobody {
		return Verdict{}
	}
	for _, layer := range [...]struct {
		name string
		docs []*Document
	}{{"resource", l.Resource}, {"identity", l.Identity}, {"boundary", l.Boundary}, {"session", l.Session}} {
		if e, why := evaluate(layer.name, layer.docs, r); e == ExplicitDeny {
			return Verdict{ExplicitDeny, []string{why}}
		}
	}
	// An identity's own policies bind in its own account alone; another
	// account's resource must say yes itself, and none can say so yet.
	sameAccount := r.Principal.Account != "" && (l.ResourceOwner == "" || l.ResourceOwner == r.Principal.Account)
	if !sameAccount || l.ResourceMustAllow {
		return Verdict{}
	}
	e, why := evaluate("identity", l.Identity, r)
	if e != Allow {
		return Verdict{}
	}
	for _, docs := range [...][]*Document{l.Boundary, l.Session} {
		if docs == nil {
			continue
		}
		if e, _ := evaluate("", docs, r); e != Allow {
			return Verdict{}
		}
	}
	return Verdict{Allow, []string{why}}
}

// evaluate is what one layer says.
func evaluate(layer string, docs []*Document, r Request) (Effect, string) {
	effect, why := ImplicitDeny, ""
	for _, d := range docs {
		for i := range d.statements {
			s := &d.statements[i]
			if !s.matches(r.Action, r.Resource) {
				continue
			}
			if !s.allow {
				return ExplicitDeny, reason(layer, s.sid, i)
			}
			if effect != Allow {
				effect, why = Allow, reason(layer, s.sid, i)
			}
		}
	}
	return effect, why
}

func reason(layer, sid string, i int) string {
	if sid == "" {
		sid = fmt.Sprintf("Statement[%d]", i)
	}
	return layer + " policy, " + sid
}
