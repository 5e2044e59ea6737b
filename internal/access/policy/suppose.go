package policy

// Suppose is Decide for a simulated request. given holds, by KeyName, values for the
// keys that follow from the request's fields, which replace them; an empty list is an
// absent key. Real requests cannot replace these keys: test/arch lets only the
// simulator call Suppose.
func Suppose(l Laws, r Request, given map[string][]string) Verdict {
	r.given = given
	return Decide(l, r)
}

// Speaks returns the effect that the statements of one document have on a simulated
// request: ImplicitDeny where none applies. owner is the account of the resource.
func Speaks(d *Document, owner string, r Request, given map[string][]string) Effect {
	r.given = given
	in := situation{request: r, owner: owner, most: r.Work.most()}
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
