package policy

import "strings"

type family uint8

const (
	stringFamily family = iota
	numericFamily
	dateFamily
	boolFamily
	binaryFamily
	ipFamily
	arnFamily
	nullFamily
)

type comparison uint8

const (
	equal comparison = iota
	equalFold
	like
	less
	lessOrEqual
	greater
	greaterOrEqual
)

type quantifier uint8

const (
	plain quantifier = iota
	forAll
	forAny
)

// operator is a condition operator (IAM user guide, "Condition operators").
type operator struct {
	family   family
	compare  comparison
	negated  bool
	ifExists bool
	set      quantifier
}

// operatorNamed returns the operator with a name. Case is significant.
func operatorNamed(name string) (operator, bool) {
	var o operator
	base, ok := name, false
	if base, ok = strings.CutPrefix(base, "ForAllValues:"); ok {
		o.set = forAll
	} else if base, ok = strings.CutPrefix(base, "ForAnyValue:"); ok {
		o.set = forAny
	}
	base, o.ifExists = strings.CutSuffix(base, "IfExists")
	if o.family, base, ok = familyOf(base); !ok {
		return operator{}, false
	}
	if o.family == nullFamily {
		return o, base == "" && !o.ifExists && o.set == plain
	}
	if o.compare, o.negated, ok = comparisonOf(o.family, base); !ok {
		return operator{}, false
	}
	return o, true
}

// familyOf splits the type from an operator's name; the rest says how values of the type
// are compared.
func familyOf(name string) (family, string, bool) {
	switch name {
	case "Bool":
		return boolFamily, "Equals", true
	case "BinaryEquals":
		return binaryFamily, "Equals", true
	case "IpAddress":
		return ipFamily, "Equals", true
	case "NotIpAddress":
		return ipFamily, "NotEquals", true
	case "Null":
		return nullFamily, "", true
	}
	for _, f := range [...]struct {
		prefix string
		family family
	}{{"String", stringFamily}, {"Numeric", numericFamily}, {"Date", dateFamily}, {"Arn", arnFamily}} {
		if rest, ok := strings.CutPrefix(name, f.prefix); ok {
			return f.family, rest, true
		}
	}
	return 0, "", false
}

func comparisonOf(f family, name string) (c comparison, negated, ok bool) {
	switch name {
	case "Equals":
		return equal, false, true
	case "NotEquals":
		return equal, true, true
	}
	if f == stringFamily || f == arnFamily {
		switch name {
		case "Like":
			return like, false, true
		case "NotLike":
			return like, true, true
		}
	}
	if f == stringFamily {
		switch name {
		case "EqualsIgnoreCase":
			return equalFold, false, true
		case "NotEqualsIgnoreCase":
			return equalFold, true, true
		}
	}
	if f == numericFamily || f == dateFamily {
		switch name {
		case "LessThan":
			return less, false, true
		case "LessThanEquals":
			return lessOrEqual, false, true
		case "GreaterThan":
			return greater, false, true
		case "GreaterThanEquals":
			return greaterOrEqual, false, true
		}
	}
	return 0, false, false
}

// accepts reports whether the operator accepts the result of cmp.Compare.
func (c comparison) accepts(order int) bool {
	switch c {
	case less:
		return order < 0
	case lessOrEqual:
		return order <= 0
	case greater:
		return order > 0
	case greaterOrEqual:
		return order >= 0
	}
	return order == 0
}
