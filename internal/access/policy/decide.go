package policy

// Document is a parsed policy.
type Document struct{ allowAll bool }

// Decide is replaced by the real one.
func Decide(l Laws, r Request) Verdict {
	for _, d := range l.Identity {
		if d.allowAll && r.Principal.Account == l.ResourceOwner {
			return Verdict{Effect: Allow}
		}
	}
	return Verdict{}
}
