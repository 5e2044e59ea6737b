package policy

import "strings"

// IAM accepts documents with elements that have less effect than they seem to have. They
// are handled here so that what is left out never allows more. Only documents of IAM may
// have them: bucket and key policies are as strict as their services.

func (p *parser) loose() bool { return p.kind == Identity || p.kind == Session || p.kind == Trust }

// idle reports whether a member is an operator without keys. It has no effect, so its name
// does not matter.
func (p *parser) idle(m member) bool {
	return p.loose() && m.value.shape == objectShape && len(m.value.members) == 0
}

// conditionKey refuses texts that can't be a condition key. A key without a service is a
// key that no request has.
func (p *parser) conditionKey(name string) error {
	if p.loose() && name != "" && !strings.Contains(name, ":") {
		name = "no:" + name
	}
	return checkKey(name)
}

// resourceARN compiles an entry of Resource or NotResource. AWS does not document the
// meaning of an entry with fewer sections than an ARN. Here, in an Allow it matches
// nothing, and in a Deny it matches everything that begins with it.
func (p *parser) resourceARN(text string, s *statement) (arnPattern, error) {
	const sections = 6
	short := sections - 1 - strings.Count(text, ":")
	if !p.loose() || short <= 0 || short > sections-3 || !strings.HasPrefix(text, "arn:") ||
		strings.Contains(text, "::") || strings.HasSuffix(text, ":") {
		return compileARN(text, p.variables())
	}
	a, err := compileARN(text+strings.Repeat(":*", short), p.variables())
	a.text = text
	a.none = s.allow != s.notResource
	return a, err
}

// Variables reports whether the document has policy variables, that is, whether its version
// is 2012-10-17.
func (d *Document) Variables() bool { return d.version == version2012 }
