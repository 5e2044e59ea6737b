package policy

import (
	"encoding/base64"
	"errors"
	"net/netip"
	"strings"
	"time"
)

// condition is one key under one operator.
type condition struct {
	operator
	name   string // operator as written
	key    string // as written
	ref    keyRef
	values []operand
}

// operand is one value of a condition, decoded for the type of the operator.
type operand struct {
	text   string
	bare   bool // a JSON number or boolean
	p      pattern
	arn    arnPattern
	number decimal
	at     time.Time
	flag   bool
	bytes  string
	prefix netip.Prefix
}

// holds evaluates a condition. allow is whether its statement is an Allow. AWS does not
// define a plain operator on a key with several values. Here it is evaluated in the
// restrictive way: for an Allow all values must match, for a Deny one.
func (c *condition) holds(in *situation, allow bool) bool {
	if fits, ok := c.typed(in); ok {
		return fits
	}
	v := in.values(c.ref)
	switch {
	case c.family == nullFamily:
		return c.absentAsSaid(v.n == 0)
	case v.n > 0:
	case c.set == forAny: // whatever the operator: at least one value must match, and there is none
		return false
	case c.ifExists || c.set == forAll:
		return true
	default:
		return c.negated
	}
	every := c.set == forAll || c.set == plain && allow
	for i := range v.n {
		if fits := c.fits(v.at(i), in); fits != every {
			return fits
		}
	}
	return every
}

func (c *condition) absentAsSaid(absent bool) bool {
	for i := range c.values {
		if c.values[i].flag == absent {
			return true
		}
	}
	return false
}

// typed evaluates the keys whose values in the request are not text; ok is false for other keys.
func (c *condition) typed(in *situation) (fits, ok bool) {
	switch {
	case in.request.given != nil:
	case c.ref.derived == sourceIP && c.family == ipFamily && in.request.SourceIP.IsValid():
		return c.hasAddress(in.request.SourceIP) != c.negated, true
	case c.ref.derived == currentTime && c.family == dateFamily && !in.request.At.IsZero():
		return c.hasDate(in.request.At.Truncate(time.Second)) != c.negated, true
	}
	return false, false
}

// fits reports whether one value of the request meets the condition.
func (c *condition) fits(value string, in *situation) bool {
	return c.matchesOne(value, in) != c.negated
}

// matchesOne reports whether one operand matches. A value that is not of the operator's
// type matches none.
func (c *condition) matchesOne(value string, in *situation) bool {
	in.spend(len(c.values))
	switch c.family {
	case stringFamily:
		return c.hasString(value, in)
	case numericFamily:
		n, ok := parseDecimal(value)
		return ok && c.some(func(o *operand) bool { return c.compare.accepts(n.compare(o.number)) })
	case dateFamily:
		t, ok := parseDate(value)
		return ok && c.hasDate(t)
	case boolFamily:
		b, ok := parseBool(value)
		return ok && c.some(func(o *operand) bool { return o.flag == b })
	case binaryFamily:
		return c.some(func(o *operand) bool { return o.bytes == value })
	case ipFamily:
		a, err := netip.ParseAddr(value)
		return err == nil && c.hasAddress(a)
	case arnFamily:
		return c.hasARN(value, in)
	}
	return false
}

func (c *condition) some(f func(*operand) bool) bool {
	for i := range c.values {
		if f(&c.values[i]) {
			return true
		}
	}
	return false
}

func (c *condition) hasString(value string, in *situation) bool {
	for i := range c.values {
		p := c.values[i].p
		if c.compare != equalFold {
			if p.match(value, in, false) {
				return true
			}
			continue
		}
		if text, ok := p.expand(in); ok && strings.EqualFold(text, value) {
			return true
		}
	}
	return false
}

func (c *condition) hasARN(value string, in *situation) bool {
	for i := range c.values {
		o := &c.values[i]
		if o.p != nil && o.p.match(value, in, false) || o.p == nil && o.arn.matchesText(value, in) {
			return true
		}
	}
	return false
}

func (c *condition) hasAddress(a netip.Addr) bool {
	a = a.Unmap().WithZone("")
	for i := range c.values {
		if c.values[i].prefix.Contains(a) {
			return true
		}
	}
	return false
}

func (c *condition) hasDate(t time.Time) bool {
	for i := range c.values {
		if c.compare.accepts(t.Compare(c.values[i].at)) {
			return true
		}
	}
	return false
}

// compileOperand decodes one value of a condition.
func compileOperand(o operator, text string, variables bool) (operand, error) {
	out, ok := operand{text: text}, true
	var err error
	switch o.family {
	case stringFamily:
		out.p, err = compile(text, o.compare == like, variables)
	case arnFamily:
		err = out.compileARN(variables)
	case numericFamily:
		if out.number, ok = parseDecimal(text); !ok {
			err = errors.New("the value is not a decimal number")
		}
	case dateFamily:
		if out.at, ok = parseDate(text); !ok {
			err = errors.New("the value is neither an ISO 8601 date nor seconds since 1970")
		}
	case boolFamily, nullFamily:
		if out.flag, ok = parseBool(text); !ok {
			err = errors.New("the value is neither true nor false")
		}
	case binaryFamily:
		var b []byte
		if b, err = base64.StdEncoding.DecodeString(text); err != nil {
			err = errors.New("the value is not base64")
		}
		out.bytes = string(b)
	case ipFamily:
		if out.prefix, ok = parsePrefix(text); !ok {
			err = errors.New("the value is neither an address nor a CIDR range")
		}
	}
	return out, err
}

// compileARN compiles the value of an ARN operator: "*", six sections, or one variable that
// stands for a whole ARN.
func (o *operand) compileARN(variables bool) error {
	if o.text == "*" {
		o.arn.any = true
		return nil
	}
	p, err := compile(o.text, true, variables)
	if err != nil {
		return err
	}
	if len(p) == 1 && p[0].kind == variable {
		o.p = p
		return nil
	}
	var ok bool
	if o.arn.sections, ok = p.split(); !ok {
		return errors.New(`the value is neither "*" nor has the six sections of an ARN`)
	}
	return nil
}
