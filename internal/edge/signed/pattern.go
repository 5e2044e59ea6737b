package signed

import "strings"

// A pattern is a URL with wildcards: * stands for any number of characters and ? for one;
// \? is a question mark itself. Wildcards are matched section by section: a * in the
// domain does not reach into the path, and one in the path does not reach into the query,
// so that "/*.jpg" does not allow "/secret?x=.jpg". Only a * at the very end covers the
// sections that follow, too. A ? may stand for the question mark that begins the query,
// which older signers do not escape.

// cutScheme divides a pattern after its scheme, which may be http, https or either of them
// ("*", and "http*", which AWS's own signers write).
func cutScheme(pattern string) (scheme, rest string, ok bool) {
	scheme, rest, ok = strings.Cut(pattern, "://")
	return scheme, rest, ok && (scheme == "http" || scheme == "https" || scheme == "*" || scheme == "http*")
}

// validPattern reports whether a pattern begins with a scheme, has something after it, and
// escapes question marks alone.
func validPattern(pattern string) bool {
	_, rest, ok := cutScheme(pattern)
	if !ok || rest == "" {
		return false
	}
	for i := 0; i < len(rest); i++ {
		if rest[i] != '\\' {
			continue
		}
		if i++; i == len(rest) || rest[i] != '?' {
			return false
		}
	}
	return true
}

// element is a part of a pattern that is matched by one character, or by any number.
type element struct {
	literal byte
	one     bool // any one character
	many    bool // any number of characters
}

func elements(pattern string) []element {
	list := make([]element, 0, len(pattern))
	for i := 0; i < len(pattern); i++ {
		switch c := pattern[i]; c {
		case '*':
			if n := len(list); n == 0 || !list[n-1].many {
				list = append(list, element{many: true})
			}
		case '?':
			list = append(list, element{one: true})
		case '\\':
			i++
			list = append(list, element{literal: pattern[i]})
		default:
			list = append(list, element{literal: c})
		}
	}
	return list
}

// matches reports whether a valid pattern covers a URL. It takes at most as many steps as
// the product of their lengths.
func matches(pattern, url string) bool {
	scheme, rest, _ := cutScheme(pattern)
	urlScheme, text, ok := strings.Cut(url, "://")
	if !ok || urlScheme != "http" && urlScheme != "https" {
		return false
	}
	if scheme != urlScheme && !strings.HasSuffix(scheme, "*") {
		return false
	}
	list := elements(rest)
	// here[i] means that the first i elements match the text read so far.
	here, next := make([]bool, len(list)+1), make([]bool, len(list)+1)
	here[0] = true
	skip(here, list)
	path, query := false, false
	for i := range len(text) {
		c := text[i]
		toPath := c == '/' && !path && !query
		toQuery := c == '?' && !query
		path, query = path || toPath, query || toQuery
		clear(next)
		for j, e := range list {
			switch {
			case !here[j]:
			case e.many:
				next[j] = next[j] || j == len(list)-1 || !toPath && !toQuery
			case e.one:
				next[j+1] = next[j+1] || !toPath
			default:
				next[j+1] = next[j+1] || e.literal == c
			}
		}
		skip(next, list)
		here, next = next, here
	}
	return here[len(list)]
}

// skip marks the states after elements that match any number of characters, because they may
// match none.
func skip(states []bool, list []element) {
	for j, e := range list {
		if states[j] && e.many {
			states[j+1] = true
		}
	}
}
