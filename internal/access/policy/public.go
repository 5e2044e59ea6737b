package policy

import (
	"cmp"
	"net/netip"
	"slices"
	"strings"

	"watertight/internal/access/arn"
)

// Public reports whether a document is public in the sense of Block Public
// Access (S3 user guide, "The meaning of public"), and why. It starts from
// "public": a document is not public only if each Allow names its principals, demands a
// fixed value of a key that identifies the caller or its network, or allows everyone
// from certain addresses only. Those of all Allows together must be few, and none of
// them may be shared by several callers.
// Denies do not count, actions do not matter. An identity provider is not a fixed
// principal.
func Public(d *Document, from Peers) (bool, *Witness) {
	if d == nil {
		return true, &Witness{Statement: -1}
	}
	r := d.opening(from)
	if r == nil {
		return false, nil
	}
	return true, d.witness(r)
}

// IsPublic is Public without the reason; most of it was worked out when the
// document was compiled. It is always false for an ACL: see List.
func (d *Document) IsPublic(from Peers) bool {
	return d == nil || d.public || len(d.openTo) > 0 && slices.ContainsFunc(d.openTo, from.hide)
}

// reach is a statement that allows everyone, and from where.
type reach struct {
	statement  int
	principal  *principal
	everywhere bool
	ranges     []netip.Prefix // without everywhere
	because    Openness
}

// reaches returns the statements that allow principals that they do not name.
func (d *Document) reaches() (all []reach) {
	for i := range d.statements {
		s := &d.statements[i]
		if !s.allow || slices.ContainsFunc(s.conditions, condition.limits) {
			continue
		}
		for j := range s.principals {
			if k := s.principals[j].kind; k == everybody || k == everyAccount || k == ofProvider {
				r := reach{statement: i, principal: &s.principals[j]}
				r.ranges, r.everywhere = s.addresses()
				all = append(all, r)
				break
			}
		}
	}
	return all
}

// addresses are those that a statement is open to; everywhere where it asks for
// none. A condition that also holds for a request without an address does not
// limit, and a negated one does.
func (s *statement) addresses() (ranges []netip.Prefix, everywhere bool) {
	everywhere = true
	for i := range s.conditions {
		c := &s.conditions[i]
		if c.ref.derived != sourceIP || c.family != ipFamily || c.negated || c.ifExists || c.set == forAll {
			continue
		}
		var of []netip.Prefix
		for _, v := range c.values {
			of = append(of, v.prefix)
		}
		if of = union(of); !everywhere {
			of = common(ranges, of)
		}
		ranges, everywhere = of, false
	}
	return ranges, everywhere
}

// classify works out what IsPublic is asked.
func (d *Document) classify() {
	for _, r := range d.reaches() {
		d.public = d.public || r.everywhere
		d.openTo = append(d.openTo, r.ranges...)
	}
	d.openTo = union(d.openTo)
	d.public = d.public || !few(d.openTo)
}

// opening is the statement that makes the document public: one that is open to
// everyone or to a wide range; else, where all of them together are open to
// too many, the one that is open to most; else one that is open to addresses
// that may belong to anyone. It is nil if the document is not public.
func (d *Document) opening(from Peers) *reach {
	all := d.reaches()
	for i := range all {
		if all[i].everywhere || !few(all[i].ranges) {
			return &all[i]
		}
	}
	if d.public && len(all) > 0 {
		for i := range all {
			all[i].because = Together
		}
		most := slices.MaxFunc(all, func(a, b reach) int { return width(widest(a.ranges)) - width(widest(b.ranges)) })
		return &most
	}
	for i := range all {
		if hidden := slices.IndexFunc(all[i].ranges, from.hide); hidden >= 0 {
			all[i].ranges, all[i].because = all[i].ranges[hidden:hidden+1], Behind
			return &all[i]
		}
	}
	return nil
}

// widest is the range of the most addresses; not valid where there is none.
func widest(all []netip.Prefix) (w netip.Prefix) {
	for _, p := range all {
		if !w.IsValid() || width(p) > width(w) {
			w = p
		}
	}
	return w
}

// limits reports whether a condition can only hold for fixed values of a key
// that tells who or from where; addresses are for reaches to judge. Operators
// that hold without the key do not limit; one broad value among several spoils
// them all.
func (c condition) limits() bool {
	if c.negated || c.ifExists || c.set == forAll || len(c.values) == 0 || c.ref.derived == sourceIP {
		return false
	}
	return (c.family == stringFamily || c.family == arnFamily) &&
		!slices.ContainsFunc(c.values, func(o operand) bool { return !fixed(c.ref.name, o.text) })
}

// fixed reports whether a value of a key means one account, network or source.
func fixed(key, value string) bool {
	// In the older version ${ does not begin a variable, but the value is not trusted either.
	exact := value != "" && !strings.ContainsAny(value, "*?") && !strings.Contains(value, "${")
	section := strings.SplitN(value, ":", 6)
	switch key {
	case "aws:principalorgid", "aws:sourcevpc", "aws:sourcevpce":
		return exact
	case "aws:sourceaccount", "aws:sourceowner", "aws:principalaccount", "s3:dataaccesspointaccount",
		"kms:calleraccount":
		return arn.IsAccountID(value)
	case "aws:userid":
		return exact && !strings.EqualFold(value, "anonymous")
	case "aws:sourcearn":
		// A bucket's ARN has no account; its name is one's own.
		bucket := len(section) == 6 && section[2] == "s3" && section[3] == "" && section[4] == "" && section[5] != ""
		return exact && len(section) == 6 && section[0] == "arn" && (arn.IsAccountID(section[4]) || bucket)
	case "aws:principalarn":
		return exact && len(section) == 6 && arn.IsAccountID(section[4])
	case "s3:dataaccesspointarn":
		// The access point's name may be a pattern as long as its account is fixed.
		return len(section) == 6 && section[0] == "arn" && section[2] == "s3" && arn.IsAccountID(section[4]) &&
			strings.HasPrefix(section[5], "accesspoint/") && !strings.Contains(value, "${")
	}
	return false
}

// restricted reports whether RestrictPublicBuckets cuts a caller off: while the
// bucket has a public policy only AWS services and the owner's account get
// through, whomever the policy names (S3 user guide, "Block public access
// settings").
func restricted(l *Laws, p *Principal) bool {
	owner := cmp.Or(l.BucketOwner, l.ResourceOwner)
	if !l.Public.RestrictPublicBuckets || p.Kind == Service || p.Account != "" && p.Account == owner {
		return false
	}
	public := func(d *Document) bool { return d.IsPublic(l.Peers) }
	return slices.ContainsFunc(l.Resource, public) || slices.ContainsFunc(l.Guard, public)
}
