package policy

// Suppose is Decide for a request that nobody makes: given holds, by KeyName,
// what the keys that follow from the request's fields are supposed to be
// instead; an empty list is a key that is not there. A request that is made has
// no way to say so.
func Suppose(l Laws, r Request, given map[string][]string) Verdict {
	r.given = given
	return Decide(l, r)
}

// Speaks is what the statements of a document by themselves say of a supposed
// request: an ImplicitDeny where none is about it. owner is the account of the
// resource.
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

// Supplied reports whether a supposed request has a condition key.
func Supplied(name, owner string, r Request, given map[string][]string) bool {
	r.given = given
	in := situation{request: r, owner: owner}
	return in.values(refTo(name)).n > 0
}
