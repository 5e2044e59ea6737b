package policy

import (
	"errors"
	"strings"
	"unicode/utf8"
)

// pattern is compiled text with wildcards and policy variables. The value of a variable is
// compared literally: wildcards in it have no effect.
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
	text       string // text of a literal, or the default of a variable
	hasDefault bool
	ref        keyRef // of a variable
}

// compile compiles a pattern. Without wild, * and ? are literal; without variables, ${ is.
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
		case wild && (c == '*' || c == '?'):
			flush()
			n := i + len(text[i:]) - len(strings.TrimLeft(text[i:], "*?"))
			p = appendWild(p, text[i:n])
			i = n
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

// split cuts a compiled pattern at its first five colons, like an ARN; ok is false if there
// are fewer.
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

// appendWild appends a run of wildcards. Their order has no meaning, so each ? is put
// before the *. So a * is followed by a literal or a variable.
func appendWild(p pattern, run string) pattern {
	for range strings.Count(run, "?") {
		p = append(p, part{kind: anyOne})
	}
	if strings.Contains(run, "*") {
		p = append(p, part{kind: anyRun})
	}
	return p
}

// match reports whether the pattern matches all of s. It needs no recursion and no memory.
// It compares
//
//  1. what is before the first * with the beginning of s,
//  2. each segment between two * with the first place where it matches, and
//  3. what is after the last * with the end of s.
//
// Taking the first place is correct: every match of the following segments after a later
// place is also after the first one. A segment without ? inside is found in linear time;
// the steps of all others are counted (see Work).
//
// With fold, the pattern is in lower case, and ASCII letters of s match in either case.
// Patterns without variables need no situation.
func (p pattern) match(s string, in *situation, fold bool) bool {
	in.spend(1)
	if len(p) == 1 && p[0].kind == literal {
		return sameText(s, p[0].text, fold)
	}
	if len(p) > 0 && p[0].kind == literal && !fold && !strings.HasPrefix(s, p[0].text) {
		return false // most patterns of a policy end here, so it must be cheap
	}
	first, rest, more := p.cutStar()
	n, ok := first.begins(s, in, fold)
	if !ok || !more {
		return ok && n == len(s)
	}
	s = s[n:]
	for {
		segment, after, more := rest.cutStar()
		if !more {
			return segment.ends(s, in, fold)
		}
		end, ok := segment.find(s, in, fold)
		if !ok {
			return false
		}
		s, rest = s[end:], after
	}
}

// cutStar cuts a pattern at its first *; found is false if it has none.
func (p pattern) cutStar() (before, after pattern, found bool) {
	for i := range p {
		if p[i].kind == anyRun {
			return p[:i], p[i+1:], true
		}
	}
	return p, nil, false
}

// begins reports whether s begins with a pattern without *, and how many bytes match.
func (p pattern) begins(s string, in *situation, fold bool) (n int, ok bool) {
	in.spend(len(p))
	for i := range p {
		if p[i].kind == anyOne {
			if n == len(s) {
				return 0, false
			}
			_, size := utf8.DecodeRuneInString(s[n:])
			n += size
			continue
		}
		text, ok := p[i].plain(in)
		if !ok || !hasPrefix(s[n:], text, fold) {
			return 0, false
		}
		n += len(text)
	}
	return n, true
}

// ends reports whether s ends with a pattern without *.
func (p pattern) ends(s string, in *situation, fold bool) bool {
	in.spend(len(p))
	for i := len(p) - 1; i >= 0; i-- {
		if p[i].kind == anyOne {
			if s == "" {
				return false
			}
			_, size := utf8.DecodeLastRuneInString(s)
			s = s[:len(s)-size]
			continue
		}
		text, ok := p[i].plain(in)
		if !ok || len(s) < len(text) || !hasPrefix(s[len(s)-len(text):], text, fold) {
			return false
		}
		s = s[:len(s)-len(text)]
	}
	return true
}

// find returns the end of the first match in s of a pattern that has no * and begins with a
// literal or a variable.
func (p pattern) find(s string, in *situation, fold bool) (end int, ok bool) {
	if len(p) == 0 {
		return 0, true
	}
	first, ok := p[0].plain(in)
	if !ok {
		return 0, false
	}
	for at := 0; !in.exhausted(); {
		in.spend(1 + (len(s)-at)>>6)
		next := index(s[at:], first, fold)
		if next < 0 {
			return 0, false
		}
		at += next
		if n, ok := p[1:].begins(s[at+len(first):], in, fold); ok {
			return at + len(first) + n, true
		}
		if at == len(s) {
			return 0, false
		}
		_, size := utf8.DecodeRuneInString(s[at:])
		at += size
	}
	return 0, false
}

// plain returns the text of a literal, or the value of a variable; ok is false if the
// variable has no value.
func (p *part) plain(in *situation) (string, bool) {
	if p.kind == variable {
		return in.resolve(p)
	}
	return p.text, true
}

// sameText reports whether s equals text; with fold, text is in lower case and case is ignored.
func sameText(s, text string, fold bool) bool {
	return len(s) == len(text) && (s == text || fold && hasPrefix(s, text, fold))
}

func index(s, lower string, fold bool) int {
	if !fold {
		return strings.Index(s, lower)
	}
	for i := 0; i+len(lower) <= len(s); i++ {
		if hasPrefix(s[i:], lower, fold) {
			return i
		}
	}
	return -1
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

// expand returns the text of a pattern without wildcards; ok is false if a variable has no value.
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

// compileARN compiles an ARN pattern. Variables are allowed only in the last section (IAM
// user guide, "Policy elements: Variables and tags").
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
			return arnPattern{}, errors.New("a policy variable is allowed only in the last section of an ARN")
		}
		var err error
		if out.sections[i], err = compile(s, true, variables); err != nil {
			return arnPattern{}, err
		}
	}
	if last := out.sections[5]; len(last) > 0 && last[0].kind == literal {
		out.begins = last[0].text
		out.prefix = len(last) == 2 && last[1].kind == anyRun
	}
	return out, nil
}
