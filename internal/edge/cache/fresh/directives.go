package fresh

import (
	"strconv"
	"strings"
	"time"
)

// Seconds is a directive's number of seconds, if it was sent.
type Seconds struct {
	Sent  bool
	Value time.Duration
}

// Directives are the response directives of Cache-Control that a shared cache acts on (RFC
// 9111, section 5.2.2; RFC 5861).
type Directives struct {
	NoStore, NoCache, Private      bool
	MustRevalidate                 bool // or proxy-revalidate
	Public                         bool
	MaxAge, SMaxAge                Seconds
	StaleWhileRevalidate, IfErrors Seconds // IfErrors is stale-if-error
}

const (
	maxControl = 8 << 10 // bytes of all lines of Cache-Control that are read
	maxAge     = 1 << 31 // seconds: a larger number means this one (RFC 9111, section 1.2.2)
)

// Parse reads all lines of a Cache-Control header. Where the text allows several readings,
// it takes the one with the shorter life: the least of numbers that differ, zero for a
// number that can't be read, a field-qualified no-cache or private for the whole response,
// and no-store for text whose quotes don't end or that is too long to read.
func Parse(lines []string) Directives {
	var d Directives
	left := maxControl
	for _, line := range lines {
		if left -= len(line); left < 0 {
			d.NoStore = true
			return d
		}
		for line != "" {
			var name, value string
			var ok bool
			if name, value, line, ok = directive(line); !ok {
				d.NoStore = true
				break
			}
			d.set(strings.ToLower(name), value)
		}
	}
	return d
}

// directive cuts the first directive off a line. A value is without its quotes. It returns
// false if the quotes of a value don't end.
func directive(line string) (name, value, rest string, ok bool) {
	end := strings.IndexAny(line, ",=")
	if end < 0 {
		return trim(line), "", "", true
	}
	name = trim(line[:end])
	if line[end] == ',' {
		return name, "", line[end+1:], true
	}
	spaced := name != strings.TrimLeft(line[:end], " \t")
	line = line[end+1:]
	if !strings.HasPrefix(line, `"`) {
		value, rest, _ = strings.Cut(line, ",")
		ok = !strings.Contains(value, `"`)
		if value = strings.TrimRight(value, " \t"); spaced {
			value = "" // spaces around the sign make a value unreadable
		}
		return name, value, rest, ok
	}
	value, line, ok = quoted(line[1:])
	after, rest, _ := strings.Cut(line, ",")
	if trim(after) != "" || spaced {
		value = "" // what follows the quotes makes the value unreadable
	}
	return name, value, rest, ok && !strings.Contains(after, `"`)
}

// quoted reads the rest of a quoted string, and returns what follows it.
func quoted(s string) (value, rest string, ok bool) {
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		switch s[i] {
		case '"':
			return b.String(), s[i+1:], true
		case '\\':
			if i++; i == len(s) {
				return "", "", false
			}
		}
		b.WriteByte(s[i])
	}
	return "", "", false
}

func trim(s string) string { return strings.Trim(s, " \t") }

func (d *Directives) set(name, value string) {
	switch name {
	case "no-store":
		d.NoStore = true
	case "no-cache":
		d.NoCache = true
	case "private":
		d.Private = true
	case "public":
		d.Public = true
	case "must-revalidate", "proxy-revalidate":
		d.MustRevalidate = true
	case "max-age":
		d.MaxAge.set(value)
	case "s-maxage":
		d.SMaxAge.set(value)
	case "stale-while-revalidate":
		d.StaleWhileRevalidate.set(value)
	case "stale-if-error":
		d.IfErrors.set(value)
	}
}

func (s *Seconds) set(value string) {
	n, ok := seconds(value)
	if !ok {
		n = 0
	}
	if v := time.Duration(n) * time.Second; !s.Sent || v < s.Value {
		s.Value = v
	}
	s.Sent = true
}

// seconds reads delta-seconds (RFC 9111, section 1.2.2): digits alone, and what is larger
// than 2^31 is 2^31.
func seconds(text string) (int64, bool) {
	if text == "" || strings.Trim(text, "0123456789") != "" {
		return 0, false
	}
	n, err := strconv.ParseInt(text, 10, 64)
	if err != nil || n > maxAge {
		n = maxAge
	}
	return n, true
}
