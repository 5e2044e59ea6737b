package edge

import (
	"net/url"
	"strings"
)

// target is what a viewer asks a distribution for, in normalized form. The same form is part of
// the cache key and is sent to the origin. Path patterns are compared with what an origin makes
// of it; see site.behavior.
type target struct {
	path  string // begins with a slash; percent-encoded
	query string // without the question mark; percent-encoded
}

// String is the target as invalidations name it.
func (t target) String() string {
	if t.query == "" {
		return t.path
	}
	return t.path + "?" + t.query
}

// parseTarget normalizes the target of a request: an origin-form, or the rest of an
// absolute-form after its authority. It reports false if the path is not valid.
//
// The path is normalized as RFC 3986, section 6.2.2, says: escapes of unreserved characters
// are undone, the others have upper-case digits, dot segments are removed. Beyond that, an
// escaped slash is a slash, because a bucket reads it so. An escape that is cut short or
// has other digits is refused.
func parseTarget(raw string) (target, bool) {
	path, query, _ := strings.Cut(raw, "?")
	if path == "" {
		path = "/"
	}
	if path[0] != '/' {
		return target{}, false
	}
	path, ok := normalizePath(path)
	if !ok {
		return target{}, false
	}
	return target{path: path, query: normalizeQuery(query)}, true
}

// normalizePath normalizes an escaped path. A path that is normal is returned as it is.
func normalizePath(path string) (string, bool) {
	if !isPlain(path, isPathByte) {
		var ok bool
		if path, ok = reescape(path); !ok {
			return "", false
		}
	}
	return removeDots(path), true
}

// isPlain reports whether every byte is as it stays.
func isPlain(s string, stays func(byte) bool) bool {
	for i := range len(s) {
		if !stays(s[i]) {
			return false
		}
	}
	return true
}

const upperHex = "0123456789ABCDEF"

// reescape writes each byte of a path in its normalized form.
func reescape(path string) (string, bool) {
	out := make([]byte, 0, len(path)+8)
	for i := 0; i < len(path); i++ {
		c := path[i]
		if c != '%' {
			if isPathByte(c) {
				out = append(out, c)
			} else {
				out = append(out, '%', upperHex[c>>4], upperHex[c&15])
			}
			continue
		}
		if i+2 >= len(path) {
			return "", false
		}
		hi, lo := unhex(path[i+1]), unhex(path[i+2])
		if hi < 0 || lo < 0 {
			return "", false
		}
		i += 2
		switch c = byte(hi<<4 | lo); {
		case isUnreserved(c) || c == '/':
			out = append(out, c)
		default:
			out = append(out, '%', upperHex[c>>4], upperHex[c&15])
		}
	}
	return string(out), true
}

// unescape returns a normalized path as an origin reads it.
func unescape(path string) string {
	if strings.IndexByte(path, '%') < 0 {
		return path
	}
	plain, err := url.PathUnescape(path)
	if err != nil { // a normalized path has no such escapes
		return path
	}
	return plain
}

// normalizeQuery escapes bytes that a query may not have. It keeps the escapes that are there,
// because names and values are compared as they were sent.
func normalizeQuery(query string) string {
	if isPlain(query, isQueryByte) {
		return query
	}
	var out strings.Builder
	for i := range len(query) {
		if c := query[i]; isQueryByte(c) {
			out.WriteByte(c)
		} else {
			out.Write([]byte{'%', upperHex[c>>4], upperHex[c&15]})
		}
	}
	return out.String()
}

// removeDots removes the segments "." and ".." (RFC 3986, section 5.2.4).
func removeDots(path string) string {
	if !strings.Contains(path, "/.") {
		return path
	}
	var kept []string
	segments := strings.Split(path[1:], "/")
	for i, s := range segments {
		last := i == len(segments)-1
		switch s {
		case ".":
		case "..":
			if len(kept) > 0 {
				kept = kept[:len(kept)-1]
			}
		default:
			kept = append(kept, s)
			continue
		}
		if last {
			kept = append(kept, "") // the path still ends with a slash
		}
	}
	return "/" + strings.Join(kept, "/")
}

// collapse joins slashes that follow each other, as many origins do.
func collapse(path string) string {
	if !strings.Contains(path, "//") {
		return path
	}
	out := make([]byte, 0, len(path))
	for i := range len(path) {
		if path[i] == '/' && i > 0 && path[i-1] == '/' {
			continue
		}
		out = append(out, path[i])
	}
	return string(out)
}

func isAlphanumeric(c byte) bool {
	return 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9'
}

// isUnreserved is RFC 3986, section 2.3.
func isUnreserved(c byte) bool { return isAlphanumeric(c) || strings.IndexByte("-._~", c) >= 0 }

// isPathByte is pchar of RFC 3986 without escapes, and the slash.
func isPathByte(c byte) bool { return isUnreserved(c) || strings.IndexByte("!$&'()*+,;=:@/", c) >= 0 }

// isQueryByte is what a query may have (RFC 3986, section 3.4), and the brackets, which
// clients send as they are.
func isQueryByte(c byte) bool { return isPathByte(c) || strings.IndexByte("?%[]", c) >= 0 }

func unhex(c byte) int {
	switch {
	case '0' <= c && c <= '9':
		return int(c - '0')
	case 'a' <= c && c <= 'f':
		return int(c-'a') + 10
	case 'A' <= c && c <= 'F':
		return int(c-'A') + 10
	}
	return -1
}
