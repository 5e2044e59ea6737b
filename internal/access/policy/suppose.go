package policy

// Suppose is Decide for a simulated request. given has, by KeyName, values that replace
// those of keys that follow from the request's fields; an empty list makes the key absent.
// Real requests must not replace these keys: test/arch allows only the simulator to call
// Suppose.
func Suppose(l Laws, r Request, given map[string][]string) Verdict {
	r.given = given
	return Decide(&l, &r)
}

// Speaks returns the effect of the statements of one document on a simulated request:
// ImplicitDeny if none matches. owner is the account of the resource.
func Speaks(d *Document, owner string, r Request, given map[string][]string) Effect {
	r.given = given
	in := situation{request: r, action: actionOf(r.Action), owner: owner, most: r.Work.most()}
	layer := IdentityLayer
	if d.kind != Identity && d.kind != Session {
		layer = ResourceLayer
	}
	o := in.ask(layer, []*Document{d}, nil)
	r.Work.Spend(in.spent)
	switch {
	case o.deny != nil:
		return ExplicitDeny
	case o.allow != nil:
		return Allow
	}
	return ImplicitDeny
}

// Supplied reports whether a simulated request has a condition key.
func Supplied(name, owner string, r Request, given map[string][]string) bool {
	r.given = given
	in := situation{request: r, owner: owner}
	return in.values(refTo(name)).n > 0
}
