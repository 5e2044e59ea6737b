package policy

import (
	"errors"
	"strings"
)

// compileVariable compiles the variable at the beginning of text, and returns its length:
// ${key}, ${key, 'default'}, or one of ${*}, ${?} and ${$}, which stand for the literal
// character (IAM user guide, "Policy elements: Variables and tags").
func compileVariable(text string) (part, int, error) {
	for _, c := range [...]string{"*", "?", "$"} {
		if special := "${" + c + "}"; strings.HasPrefix(text, special) {
			return part{kind: literal, text: c}, len(special), nil
		}
	}
	end := strings.IndexAny(text, ",}")
	if end < 0 {
		return part{}, 0, errors.New("a policy variable has no closing brace")
	}
	key := text[len("${"):end]
	if err := checkKey(key); err != nil {
		return part{}, 0, err
	}
	v := part{kind: variable, ref: refTo(key)}
	if text[end] == '}' {
		return v, end + 1, nil
	}
	rest, ok := strings.CutPrefix(text[end:], ", '")
	value, rest, closed := strings.Cut(rest, "'")
	if !ok || !closed || !strings.HasPrefix(rest, "}") {
		return part{}, 0, errors.New("the default of a policy variable is written ${key, 'text'}")
	}
	v.text, v.hasDefault = value, true
	return v, len(text) - len(rest) + 1, nil
}

// checkKey refuses texts that can't be a condition key: it must be service:name, without
// wildcards and variables.
func checkKey(key string) error {
	service, name, ok := strings.Cut(key, ":")
	if !ok || service == "" || name == "" || len(key) > 512 || strings.TrimSpace(key) != key ||
		strings.ContainsAny(key, "*?${}'\",\t\r\n") {
		return errors.New("a condition key is written service:name")
	}
	return nil
}

// resolve returns the value of a variable. If the key is absent, it is the default, if the
// policy has one; a key with several values has no value.
func (in *situation) resolve(p *part) (string, bool) {
	if in == nil {
		return "", false
	}
	v := in.values(p.ref)
	switch v.n {
	case 0:
		return p.text, p.hasDefault
	case 1:
		return v.at(0), true
	}
	return "", false
}
