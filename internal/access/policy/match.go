package policy

import (
	"errors"
	"strings"
	"unicode/utf8"
)

// pattern is compiled text with wildcards and policy variables. What a
// variable stands for is compared as it is: no wildcard in it acts.
type pattern []part

type partKind uint8

const (
	literal  partKind = iota
	anyRun            // *
	anyOne            // ?
	variable          // ${key} or ${key, 'text'}
)

type part struct {
	kind       partKind
	text       string // of a literal, or the default of a variable
	hasDefault bool
	ref        keyRef // of a variable
}

// compile reads a pattern. Without wild, * and ? are plain characters; without
// variables, ${ is.
func compile(text string, wild, variables bool) (pattern, error) {
	var p pattern
	plain := make([]byte, 0, len(text))
	flush := func() {
		if len(plain) > 0 {
			p = append(p, part{kind: literal, text: string(plain)})
			plain = plain[:0]
		}
	}
	for i := 0; i < len(text); {
		switch c := text[i]; {
		case wild && c == '*':
			flush()
			if len(p) == 0 || p[len(p)-1].kind != anyRun {
				p = append(p, part{kind: anyRun})
			}
			i++
		case wild && c == '?':
			flush()
			p = append(p, part{kind: anyOne})
			i++
		case variables && strings.HasPrefix(text[i:], "${"):
			v, n, err := compileVariable(text[i:])
			if err != nil {
				return nil, err
			}
			if v.kind == literal {
				plain = append(plain, v.text...)
			} else {
				flush()
				p = append(p, v)
			}
			i += n
		default:
			plain = append(plain, c)
			i++
		}
	}
	flush()
	return p, nil
}

// split cuts a compiled pattern at its first five colons, as an ARN is cut;
// ok is false where there are fewer.
func (p pattern) split() (sections [6]pattern, ok bool) {
	n := 0
	for _, q := range p {
		for n < 5 && q.kind == literal {
			before, after, found := strings.Cut(q.text, ":")
			if !found {
				break
			}
			if before != "" {
				sections[n] = append(sections[n], part{kind: literal, text: before})
			}
			n++
			q.text = after
		}
		if q.kind != literal || q.text != "" {
			sections[n] = append(sections[n], q)
		}
	}
	return sections, n == 5
}

// match needs no recursion and no memory; its time is bounded by the product
// of both lengths. With fold, the pattern is in lower case and ASCII letters
// of s match in either. Patterns without variables need no situation.
func (p pattern) match(s string, in *situation, fold bool) bool {
	if len(p) == 1 && p[0].kind == literal {
		return len(s) == len(p[0].text) && (s == p[0].text || fold && hasPrefix(s, p[0].text, fold))
	}
	if len(p) > 0 && p[0].kind == literal && !fold && !strings.HasPrefix(s, p[0].text) {
		return false
	}
	i, pos := 0, 0
	star, mark := -1, 0 // the part after the last *, and where the run of that * ends
	for {
		if i == len(p) {
			if pos == len(s) {
				return true
			}
		} else {
			switch q := &p[i]; q.kind {
			case anyRun:
				i++
				if i == len(p) {
					return true
				}
				star, mark = i, pos
				continue
			case anyOne:
				if pos < len(s) {
					_, n := utf8.DecodeRuneInString(s[pos:])
					i, pos = i+1, pos+n
					continue
				}
			default:
				text, ok := q.text, true
				if q.kind == variable {
					text, ok = in.resolve(q)
				}
				if !ok {
					return false
				}
				if hasPrefix(s[pos:], text, fold) {
					i, pos = i+1, pos+len(text)
					continue
				}
			}
		}
		if star < 0 || mark >= len(s) {
			return false
		}
		_, n := utf8.DecodeRuneInString(s[mark:])
		mark += n
		i, pos = star, mark
	}
}

func hasPrefix(s, lower string, fold bool) bool {
	if !fold {
		return strings.HasPrefix(s, lower)
	}
	if len(s) < len(lower) {
		return false
	}
	for i := range len(lower) {
		c := s[i]
		if 'A' <= c && c <= 'Z' {
			c += 'a' - 'A'
		}
		if c != lower[i] {
			return false
		}
	}
	return true
}

// expand is the one text a pattern without wildcards stands for; false where a
// variable has no value.
func (p pattern) expand(in *situation) (string, bool) {
	if len(p) == 0 {
		return "", true
	}
	if len(p) == 1 && p[0].kind == literal {
		return p[0].text, true
	}
	var b strings.Builder
	for i := range p {
		text, ok := p[i].text, true
		if p[i].kind == variable {
			text, ok = in.resolve(&p[i])
		}
		if !ok {
			return "", false
		}
		b.WriteString(text)
	}
	return b.String(), true
}

// compileARN reads an ARN pattern. Variables may stand in the last section
// alone (IAM user guide, "Policy elements: Variables and tags").
func compileARN(text string, variables bool) (arnPattern, error) {
	if text == "*" {
		return arnPattern{text: text, any: true}, nil
	}
	sections := strings.SplitN(text, ":", 6)
	if len(sections) != 6 || sections[0] != "arn" || sections[1] == "" || sections[2] == "" || sections[5] == "" {
		return arnPattern{}, errors.New(`a resource is "*" or has the six sections of an ARN`)
	}
	out := arnPattern{text: text}
	for i, s := range sections {
		if i < 5 && variables && strings.Contains(s, "${") {
			return arnPattern{}, errors.New("a policy variable may stand in the last section of an ARN alone")
		}
		var err error
		if out.sections[i], err = compile(s, true, variables); err != nil {
			return arnPattern{}, err
		}
	}
	if last := out.sections[5]; len(last) > 0 && last[0].kind == literal {
		out.begins = last[0].text
	}
	return out, nil
}
