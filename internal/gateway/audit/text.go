package audit

import (
	"encoding/hex"
	"unicode/utf8"
)

// truncated ends a text that was shortened.
const truncated = "...(truncated)"

// appendText appends s, escaped for a JSON string and shortened to limit bytes. Bytes that
// are not UTF-8 become U+FFFD, control characters of every kind \uXXXX.
func appendText(dst []byte, s string, limit int) []byte {
	cut := len(s) > limit
	if cut {
		end := max(0, limit-len(truncated))
		for i := 0; i < utf8.UTFMax-1 && end > 0 && !utf8.RuneStart(s[end]); i++ {
			end--
		}
		s = s[:end]
	}
	if allPlain(s) {
		dst = append(dst, s...)
		if cut {
			dst = append(dst, truncated...)
		}
		return dst
	}
	from := 0
	for i := 0; i < len(s); {
		if i+8 <= len(s) && plain(s[i:i+8]) {
			i += 8
			continue
		}
		c := s[i]
		if c >= ' ' && c < 0x7f && c != '"' && c != '\\' {
			i++
			continue
		}
		r, size := rune(c), 1
		if c >= utf8.RuneSelf {
			r, size = utf8.DecodeRuneInString(s[i:])
			if r >= 0xa0 && r != '\u2028' && r != '\u2029' && (r != utf8.RuneError || size > 1) {
				i += size
				continue
			}
		}
		dst = append(dst, s[from:i]...)
		dst = appendEscape(dst, r)
		i += size
		from = i
	}
	dst = append(dst, s[from:]...)
	if cut {
		dst = append(dst, truncated...)
	}
	return dst
}

// cutEscaped shortens the escaped text that begins at start to limit bytes, at the end of a
// character.
func cutEscaped(b []byte, start, limit int) []byte {
	if len(b)-start <= limit {
		return b
	}
	end, most := start, start+max(0, limit-len(truncated))
	for end < most {
		n := 1
		switch c := b[end]; {
		case c == '\\' && b[end+1] == 'u':
			n = 6
		case c == '\\':
			n = 2
		case c >= utf8.RuneSelf:
			_, n = utf8.DecodeRune(b[end:])
		}
		if end+n > most {
			break
		}
		end += n
	}
	return append(b[:end], truncated...)
}

// escaped returns the maximum number of bytes that s takes as JSON.
func escaped(s string) int {
	if allPlain(s) {
		return len(s)
	}
	return 6 * len(s)
}

// allPlain reports whether no byte needs escaping.
func allPlain(s string) bool {
	if len(s) < 8 {
		for i := range len(s) {
			if c := s[i]; c < ' ' || c >= 0x7f || c == '"' || c == '\\' {
				return false
			}
		}
		return true
	}
	for i := 0; i+8 < len(s); i += 8 {
		if !plain(s[i : i+8]) {
			return false
		}
	}
	return plain(s[len(s)-8:])
}

// plain reports whether none of 8 bytes needs escaping. It checks all at once, because
// encoding an event spends most of its time here.
func plain(s string) bool {
	_ = s[7]
	x := uint64(s[0]) | uint64(s[1])<<8 | uint64(s[2])<<16 | uint64(s[3])<<24 |
		uint64(s[4])<<32 | uint64(s[5])<<40 | uint64(s[6])<<48 | uint64(s[7])<<56
	const each, high = 0x0101010101010101, 0x8080808080808080
	look := x | (x + each) // above 0x7e
	look |= x - ' '*each
	look |= (x ^ '"'*each) - each
	look |= (x ^ '\\'*each) - each
	return look&high == 0
}

// appendEscape appends the escape of a rune of the basic plane.
func appendEscape(dst []byte, r rune) []byte {
	if r == '"' || r == '\\' {
		return append(dst, '\\', byte(r))
	}
	const digits = "0123456789abcdef"
	return append(dst, '\\', 'u', digits[r>>12&15], digits[r>>8&15], digits[r>>4&15], digits[r&15])
}

// appendUUID appends a quoted version 4 UUID (RFC 9562) made of random bytes.
func appendUUID(dst []byte, id [16]byte) []byte {
	id[6] = id[6]&0x0f | 0x40
	id[8] = id[8]&0x3f | 0x80
	dst = append(dst, '"')
	dst = hex.AppendEncode(dst, id[0:4])
	for _, part := range [...][2]int{{4, 6}, {6, 8}, {8, 10}, {10, 16}} {
		dst = append(dst, '-')
		dst = hex.AppendEncode(dst, id[part[0]:part[1]])
	}
	return append(dst, '"')
}
