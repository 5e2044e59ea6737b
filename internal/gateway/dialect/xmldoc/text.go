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

// escaped has a bit for each ASCII character below 64 that is not written as it is.
const escaped = 1<<' ' - 1 | 1<<'"' | 1<<'&' | 1<<'<' | 1<<'>'

// AppendText appends s, escaped. Control characters, which XML 1.0 does not allow, become
// numeric references, as AWS writes them; bytes that are not UTF-8 become the replacement
// character.
func AppendText[Text string | []byte](b []byte, s Text) []byte {
	last := 0
	for i := 0; i < len(s); i++ {
		c := s[i]
		if c < 64 && escaped>>c&1 == 0 || c >= 64 && c < 0x7f {
			continue
		}
		if c >= utf8.RuneSelf {
			r, n := utf8.DecodeRune([]byte(s[i:min(i+utf8.UTFMax, len(s))]))
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
