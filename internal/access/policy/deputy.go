package policy

import (
	"slices"
	"strings"

	"watertight/internal/access/arn"
)

// Deputy is a statement that allows a service something, whoever's resource the service acts
// for (IAM user guide, "The confused deputy problem"). Every account can make that service
// send requests.
type Deputy struct {
	Statement int
	Sid       string
	Service   string // DNS name
}

// Deputies returns the Allow statements that name a service and do not require that it acts
// for a fixed account or a fixed resource.
func (d *Document) Deputies() (all []Deputy) {
	if d == nil {
		return nil
	}
	for i := range d.statements {
		s := &d.statements[i]
		if !s.allow || slices.ContainsFunc(s.conditions, condition.fixesSource) {
			continue
		}
		for j := range s.principals {
			if p := &s.principals[j]; p.kind == ofService {
				all = append(all, Deputy{i, s.sid, p.Value})
			}
		}
	}
	return all
}

// fixesSource reports whether a condition is met only if a service acts for a resource of
// fixed accounts.
func (c condition) fixesSource() bool {
	if c.negated || c.ifExists || c.set == forAll || len(c.values) == 0 ||
		c.family != stringFamily && c.family != arnFamily {
		return false
	}
	return !slices.ContainsFunc(c.values, func(o operand) bool { return !fixesSource(c.ref.name, o.text) })
}

func fixesSource(key, value string) bool {
	switch key {
	case "aws:sourceaccount", "aws:sourceowner":
		return arn.IsAccountID(value)
	case "aws:sourcearn":
		section := strings.SplitN(value, ":", 6)
		return fixed(key, value) || len(section) == 6 && section[0] == "arn" && arn.IsAccountID(section[4]) &&
			!strings.Contains(value, "${")
	}
	return false
}
