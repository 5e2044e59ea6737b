package distribution

import (
	"strings"
	"unicode/utf8"
)

// Matches reports whether a path pattern matches a path, which begins with a slash and has no
// escapes. * matches any number of characters, and ? matches exactly one. Case is significant.
// The pattern's first slash may be missing. Source: "Path pattern" in the developer guide.
func Matches(pattern, path string) bool {
	pattern, path = strings.TrimPrefix(pattern, "/"), strings.TrimPrefix(path, "/")
	p, s := 0, 0
	star, from := -1, 0 // the last *, and where the rest after it is tried
	for s < len(path) {
		switch {
		case p < len(pattern) && pattern[p] == '*':
			star, from = p, s
			p++
		case p < len(pattern) && pattern[p] == '?':
			_, size := utf8.DecodeRuneInString(path[s:])
			p, s = p+1, s+size
		case p < len(pattern) && pattern[p] == path[s]:
			p, s = p+1, s+1
		case star >= 0:
			from++
			p, s = star+1, from
		default:
			return false
		}
	}
	return strings.Trim(pattern[p:], "*") == ""
}
