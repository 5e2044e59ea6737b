package xmldoc

import (
	"strconv"
	"unicode/utf8"
)

// Declaration is the XML declaration at the beginning of a document.
const Declaration = `<?xml version="1.0" encoding="UTF-8"?>` + "\n"

// AppendMember appends an element that contains text.
func AppendMember(b []byte, name, value string) []byte {
	b = append(append(append(b, '<'), name...), '>')
	b = AppendText(b, value)
	return append(append(append(b, "</"...), name...), '>')
}

// AppendText appends s, escaped. Control characters, which XML 1.0 does not allow, become
// numeric references, as AWS writes them; bytes that are not UTF-8 become the replacement
// character.
func AppendText(b []byte, s string) []byte {
	last := 0
	for i := 0; i < len(s); i++ {
		c := s[i]
		if c >= utf8.RuneSelf {
			r, n := utf8.DecodeRuneInString(s[i:])
			if r < 0xfffe && (r != utf8.RuneError || n > 1) || r > 0xffff {
				i += n - 1
				continue
			}
			b = append(b, s[last:i]...)
			if r == utf8.RuneError {
				b = append(b, "\uFFFD"...)
			} else {
				b = append(strconv.AppendInt(append(b, "&#x"...), int64(r), 16), ';')
			}
			i += n - 1
			last = i + 1
			continue
		}
		if c >= ' ' && c != '&' && c != '<' && c != '>' && c != '"' && c != 0x7f {
			continue
		}
		b = append(b, s[last:i]...)
		last = i + 1
		switch c {
		case '&':
			b = append(b, "&amp;"...)
		case '<':
			b = append(b, "&lt;"...)
		case '>':
			b = append(b, "&gt;"...)
		case '"':
			b = append(b, "&quot;"...)
		default:
			b = append(b, "&#x"...)
			b = strconv.AppendUint(b, uint64(c), 16)
			b = append(b, ';')
		}
	}
	return append(b, s[last:]...)
}
