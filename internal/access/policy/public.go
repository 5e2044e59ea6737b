package policy

import (
	"cmp"
	"net/netip"
	"slices"
	"strings"

	"watertight/internal/access/arn"
)

// Public reports whether a document is public in the sense of Block Public Access (S3 user
// guide, "The meaning of public"), and why. A document is public unless each Allow either
// names its principals, or requires a fixed value of a key that identifies the caller or
// its network, or allows everyone only from certain addresses. The addresses of all Allow
// statements together must be few, and none of them may be shared by several callers. Deny
// statements and actions do not matter. An identity provider is not a fixed principal.
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

// IsPublic is Public without the reason; most of the work was done when the document was
// compiled. It is always false for an ACL: see List.
func (d *Document) IsPublic(from Peers) bool {
	return d == nil || d.public || len(d.openTo) > 0 && slices.ContainsFunc(d.openTo, from.hide)
}

// reach is a statement that allows everyone, and the addresses from which it does.
type reach struct {
	statement  int
	principal  *principal
	everywhere bool
	ranges     []netip.Prefix // empty if everywhere is set
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

// addresses returns the addresses from which a statement allows everyone; everywhere is
// true if it does not restrict them. A condition that a request without an address also
// meets does not restrict, and a negated one does.
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

// classify computes the fields that IsPublic reads.
func (d *Document) classify() {
	for _, r := range d.reaches() {
		d.public = d.public || r.everywhere
		d.openTo = append(d.openTo, r.ranges...)
	}
	d.openTo = union(d.openTo)
	d.public = d.public || !few(d.openTo)
}

// opening returns the statement that makes the document public: one that allows everyone
// from everywhere or from a wide range; else, if all of them together allow too many
// addresses, the one that allows most; else one that allows addresses that may be anyone's.
// It returns nil if the document is not public.
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

// widest returns the range with the most addresses; it is not valid if there is none.
func widest(all []netip.Prefix) (w netip.Prefix) {
	for _, p := range all {
		if !w.IsValid() || width(p) > width(w) {
			w = p
		}
	}
	return w
}

// limits reports whether a condition is met only by fixed values of a key that identifies
// the caller or its network. Addresses are left to reaches. Operators that are met without
// the key do not limit; one broad value among several makes the condition broad.
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
		// A bucket's ARN has no account, but the name of a bucket belongs to one account.
		bucket := len(section) == 6 && section[2] == "s3" && section[3] == "" && section[4] == "" && section[5] != ""
		return exact && len(section) == 6 && section[0] == "arn" && (arn.IsAccountID(section[4]) || bucket)
	case "aws:principalarn":
		return exact && len(section) == 6 && arn.IsAccountID(section[4])
	case "s3:dataaccesspointarn":
		// The access point's name may be a pattern if its account is fixed.
		return len(section) == 6 && section[0] == "arn" && section[2] == "s3" && arn.IsAccountID(section[4]) &&
			strings.HasPrefix(section[5], "accesspoint/") && !strings.Contains(value, "${")
	}
	return false
}

// restricted reports whether RestrictPublicBuckets excludes a caller: while the bucket has
// a public policy, it admits only AWS services and the owner's account, even if the policy
// names others (S3 user guide, "Block public access settings").
func restricted(l *Laws, p *Principal) bool {
	owner := cmp.Or(l.BucketOwner, l.ResourceOwner)
	if !l.Public.RestrictPublicBuckets || p.Kind == Service || p.Account != "" && p.Account == owner {
		return false
	}
	public := func(d *Document) bool { return d.IsPublic(l.Peers) }
	return slices.ContainsFunc(l.Resource, public) || slices.ContainsFunc(l.Guard, public)
}
