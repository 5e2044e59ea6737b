package policy

import (
	"slices"
	"strconv"
	"strings"
	"unicode/utf16"
)

// String returns the document as JSON. Parse of that JSON returns the same document, and
// the JSON is not longer than the text that was parsed.
func (d *Document) String() string {
	w := printer{latin: d.kind != Resource}
	w.text('{')
	if d.version != "" {
		w.field("Version", d.version)
	}
	if d.id != "" {
		w.field("Id", d.id)
	}
	w.name("Statement")
	w.text('[')
	for i := range d.statements {
		if i > 0 {
			w.text(',')
		}
		w.statement(&d.statements[i])
	}
	w.text(']')
	w.text('}')
	return w.b.String()
}

// MarshalJSON implements json.Marshaler.
func (d *Document) MarshalJSON() ([]byte, error) { return []byte(d.String()), nil }

type printer struct {
	b     strings.Builder
	latin bool // write characters above U+00FF as escapes
	comma bool // a comma must precede the next member
}

// text writes a character of JSON's own syntax.
func (w *printer) text(c byte) {
	w.b.WriteByte(c)
	w.comma = c == '}' || c == ']'
}

func (w *printer) name(name string) {
	if w.comma {
		w.b.WriteByte(',')
	}
	w.quote(name)
	w.b.WriteByte(':')
	w.comma = false
}

func (w *printer) field(name, value string) {
	w.name(name)
	w.quote(value)
	w.comma = true
}

// list writes one value bare, and several as a list.
func (w *printer) list(n int, one func(int)) {
	if n == 1 {
		one(0)
		w.comma = true
		return
	}
	w.text('[')
	for i := range n {
		if i > 0 {
			w.b.WriteByte(',')
		}
		one(i)
	}
	w.text(']')
}

func (w *printer) statement(s *statement) {
	w.text('{')
	if s.sid != "" {
		w.field("Sid", s.sid)
	}
	if s.allow {
		w.field("Effect", "Allow")
	} else {
		w.field("Effect", "Deny")
	}
	if len(s.principals) > 0 {
		w.name(element("Principal", s.notPrincipal))
		w.principals(s.principals)
	}
	w.name(element("Action", s.notAction))
	w.list(len(s.actions), func(i int) { w.quote(s.actions[i].text) })
	if len(s.resources) > 0 {
		w.name(element("Resource", s.notResource))
		w.list(len(s.resources), func(i int) { w.quote(s.resources[i].text) })
	}
	if len(s.conditions) > 0 {
		w.name("Condition")
		w.conditions(s.conditions)
	}
	w.text('}')
}

func element(name string, not bool) string {
	if not {
		return "Not" + name
	}
	return name
}

func (w *printer) principals(all []principal) {
	if len(all) == 1 && all[0].kind == everybody {
		w.quote("*")
		w.comma = true
		return
	}
	w.text('{')
	for len(all) > 0 {
		// Entries of one type are grouped, in their original order.
		n := slices.IndexFunc(all, func(p principal) bool { return p.Type != all[0].Type })
		if n < 0 {
			n = len(all)
		}
		w.name(all[0].Type)
		w.list(n, func(i int) { w.quote(all[i].Value) })
		all = all[n:]
	}
	w.text('}')
}

func (w *printer) conditions(all []condition) {
	w.text('{')
	for len(all) > 0 {
		n := slices.IndexFunc(all, func(c condition) bool { return c.name != all[0].name })
		if n < 0 {
			n = len(all)
		}
		w.name(all[0].name)
		w.text('{')
		for i := range all[:n] {
			c := &all[i]
			w.name(c.key)
			w.list(len(c.values), func(i int) {
				if c.values[i].bare {
					w.b.WriteString(c.values[i].text)
				} else {
					w.quote(c.values[i].text)
				}
			})
		}
		w.text('}')
		all = all[n:]
	}
	w.text('}')
}

func (w *printer) quote(s string) {
	w.b.WriteByte('"')
	for _, r := range s {
		switch {
		case r == '"' || r == '\\':
			w.b.WriteByte('\\')
			w.b.WriteRune(r)
		case r == '\n':
			w.b.WriteString(`\n`)
		case r == '\r':
			w.b.WriteString(`\r`)
		case r == '\t':
			w.b.WriteString(`\t`)
		case w.latin && r > 0xFFFF:
			high, low := utf16.EncodeRune(r)
			w.escape(high)
			w.escape(low)
		case w.latin && r > 0xFF:
			w.escape(r)
		default:
			w.b.WriteRune(r)
		}
	}
	w.b.WriteByte('"')
}

func (w *printer) escape(r rune) {
	hex := strconv.FormatInt(int64(r), 16)
	w.b.WriteString(`\u` + strings.Repeat("0", 4-len(hex)) + hex)
}
