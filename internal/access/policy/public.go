package policy

import (
	"cmp"
	"net/netip"
	"slices"
	"strings"
)

// Public reports whether a document is public in the sense of Block Public
// Access (S3 user guide, "The meaning of public"), and why. It starts from
// "public": a document is not only if each Allow names its principals or
// demands a fixed value of a key that tells who or from where. Denies do not
// count, actions do not matter. An identity provider is not a fixed principal.
func Public(d *Document) (bool, *Witness) {
	if d == nil {
		return true, &Witness{Statement: -1}
	}
	i, p := d.opening()
	if p == nil {
		return false, nil
	}
	return true, d.witness(i, p)
}

// IsPublic is Public without the why, which was worked out when the document
// was compiled. Of an ACL it is always false: see List.
func (d *Document) IsPublic() bool { return d == nil || d.public }

// opening is the first statement that makes the document public, and the
// principal it does so for; nil where it is not public.
func (d *Document) opening() (int, *principal) {
	for i := range d.statements {
		s := &d.statements[i]
		if !s.allow || slices.ContainsFunc(s.conditions, condition.limits) {
			continue
		}
		for j := range s.principals {
			if k := s.principals[j].kind; k == everybody || k == everyAccount || k == ofProvider {
				return i, &s.principals[j]
			}
		}
	}
	return -1, nil
}

// limits reports whether a condition can only hold for fixed values of a key
// that tells who or from where. Operators that hold without the key do not
// limit; one broad value among several spoils them all.
func (c condition) limits() bool {
	if c.negated || c.ifExists || c.set == forAll || len(c.values) == 0 {
		return false
	}
	if c.ref.name == "aws:sourceip" {
		return c.family == ipFamily && !slices.ContainsFunc(c.values, func(o operand) bool { return !narrow(o.prefix) })
	}
	return (c.family == stringFamily || c.family == arnFamily) &&
		!slices.ContainsFunc(c.values, func(o operand) bool { return !fixed(c.ref.name, o.text) })
}

// narrow ranges are /8 or less of IPv4, and /32 or less of IPv6. The private
// ranges are all that narrow.
func narrow(p netip.Prefix) bool {
	if p.Addr().Is4() {
		return p.Bits() >= 8
	}
	return p.Bits() >= 32
}

// fixed reports whether a value of a key means one account, network or source.
func fixed(key, value string) bool {
	// In the older version ${ is no variable; it is doubted all the same.
	exact := value != "" && !strings.ContainsAny(value, "*?") && !strings.Contains(value, "${")
	section := strings.SplitN(value, ":", 6)
	switch key {
	case "aws:principalorgid", "aws:sourcevpc", "aws:sourcevpce":
		return exact
	case "aws:sourceaccount", "aws:sourceowner", "aws:principalaccount", "s3:dataaccesspointaccount":
		return isAccount(value)
	case "aws:userid":
		return exact && !strings.EqualFold(value, "anonymous")
	case "aws:sourcearn", "aws:principalarn":
		return exact && len(section) == 6 && isAccount(section[4])
	case "s3:dataaccesspointarn":
		// The access point's name may be a pattern as long as its account is fixed.
		return len(section) == 6 && section[0] == "arn" && section[2] == "s3" && isAccount(section[4]) && strings.HasPrefix(section[5], "accesspoint/") && !strings.Contains(value, "${")
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
	return slices.ContainsFunc(l.Resource, (*Document).IsPublic) || slices.ContainsFunc(l.Guard, (*Document).IsPublic)
}
