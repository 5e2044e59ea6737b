package policy

import "strings"

// IAM takes documents that say less than they seem to. They are read here so
// that what is left out never allows more, and only in documents of IAM: bucket
// and key policies are as strict as their services.

func (p *parser) loose() bool { return p.kind == Identity || p.kind == Session || p.kind == Trust }

// idle reports an operator of no keys, which asks for nothing whatever its name
// is.
func (p *parser) idle(m member) bool {
	return p.loose() && m.value.shape == objectShape && len(m.value.members) == 0
}

// conditionKey refuses what cannot be a condition key. One without a service is
// a key that no request has.
func (p *parser) conditionKey(name string) error {
	if p.loose() && name != "" && !strings.Contains(name, ":") {
		name = "no:" + name
	}
	return checkKey(name)
}

// resourceARN reads an entry of Resource or NotResource. AWS does not say what an
// entry with fewer sections than an ARN means. Here, in an Allow it matches nothing,
// and in a Deny it matches everything that begins with it.
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

// Variables reports whether ${...} stands for a value in the document: whether
// it says that it is of version 2012-10-17.
func (d *Document) Variables() bool { return d.version == version2012 }
