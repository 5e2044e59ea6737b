package rest

import (
	"cmp"
	"encoding/base64"
	"errors"
	"io"
	"maps"
	"net/http"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"watertight/internal/fault"
	"watertight/internal/gateway/dialect/xmldoc"
	"watertight/internal/gateway/protocol"
)

// errHeader is the error for stored values that can't be sent in a header.
var errHeader = errors.New("rest: a header value holds a control character")

// Encode implements dialect.Dialect.
func (s *service) Encode(op int, w http.ResponseWriter, r *protocol.Request, out any) (int64, error) {
	p := s.plans[op]
	status := p.route.status
	h := protocol.NewHead(w, r, len(p.route.extensions) == 0 || len(extensions(r)) == 0)
	if out == nil {
		h.Close()
		w.WriteHeader(status)
		return 0, nil
	}
	if p.route.tellsRegion && r.Region != "" {
		h.Add("x-amz-bucket-region", r.Region)
	}
	v := reflect.ValueOf(out).Elem()
	for i := range p.out {
		n, err := p.out[i].encode(&h, v, r)
		if err != nil {
			closeBody(p, v)
			return 0, fault.Internal(err)
		}
		status = cmp.Or(n, status)
	}
	if len(p.route.extensions) > 0 {
		unshared(w.Header(), r)
	}
	h.Close()
	switch {
	case p.outBody >= 0:
		return stream(w, r, status, v.Field(p.outBody))
	case p.doc != nil && (p.docOnly == 0 || p.docOnly == status):
		return s.document(w, r, status, p.doc, v)
	}
	w.WriteHeader(status)
	return 0, nil
}

// unshared keeps caches from giving the response to a request without the headers of this
// server's own that r has: it is about something else at the same URL (RFC 9111, 4.1).
func unshared(h http.Header, r *protocol.Request) {
	for _, name := range extensions(r) {
		h.Add("Vary", strings.ToLower(name))
		h.Set("Cache-Control", "no-store")
	}
}

func closeBody(p *plan, v reflect.Value) {
	if p.outBody >= 0 && !v.Field(p.outBody).IsNil() {
		v.Field(p.outBody).Interface().(io.Closer).Close()
	}
}

func stream(w http.ResponseWriter, r *protocol.Request, status int, v reflect.Value) (int64, error) {
	if v.IsNil() || r.HTTP.Method == http.MethodHead {
		w.WriteHeader(status)
		return 0, nil
	}
	body := v.Interface().(io.ReadCloser)
	w.WriteHeader(status)
	n, err := io.Copy(w, body)
	if cerr := body.Close(); err == nil {
		err = cerr
	}
	if err != nil && n == 0 {
		n = -1 // the header was sent, so it is too late for an error document
	}
	return n, err
}

func (s *service) document(
	w http.ResponseWriter, r *protocol.Request, status int, doc *xmldoc.Document, v reflect.Value,
) (int64, error) {
	b := s.buffers.Take()
	defer s.buffers.Give(b)
	e := doc.Encode(b, v)
	defer e.Release()
	h := w.Header()
	h["Content-Type"] = r.Value("application/xml")
	h["Content-Length"] = r.Value(strconv.Itoa(e.Len()))
	w.WriteHeader(status)
	if r.HTTP.Method == http.MethodHead {
		return 0, nil
	}
	return e.WriteTo(w)
}

// encodedWord encodes a value that is not ASCII as an encoded word (RFC 2047, 4.1; S3 user
// guide, "User-defined object metadata"). Bytes that are not UTF-8 are treated as Latin-1.
func encodedWord(s string) string {
	if !strings.ContainsFunc(s, func(r rune) bool { return r >= utf8.RuneSelf }) {
		return s
	}
	if !utf8.ValidString(s) {
		latin := make([]rune, len(s))
		for i := range len(s) {
			latin[i] = rune(s[i])
		}
		s = string(latin)
	}
	return "=?UTF-8?B?" + base64.StdEncoding.EncodeToString([]byte(s)) + "?="
}

// httpDate is Format with http.TimeFormat, without parsing that layout for each response.
func httpDate(t time.Time) string {
	t = t.UTC()
	year, month, day := t.Date()
	if year < 0 || year > 9999 {
		return t.Format(http.TimeFormat)
	}
	hour, minute, second := t.Clock()
	two := func(b []byte, n int) []byte { return append(b, '0'+byte(n/10), '0'+byte(n%10)) }
	var room [len(http.TimeFormat)]byte
	const days, months = "SunMonTueWedThuFriSat", "JanFebMarAprMayJunJulAugSepOctNovDec"
	w, m := 3*int(t.Weekday()), 3*int(month-1)
	b := append(append(room[:0], days[w:w+3]...), ", "...)
	b = append(append(append(two(b, day), ' '), months[m:m+3]...), ' ')
	b = append(two(two(b, year/100), year%100), ' ')
	b = append(two(append(two(append(two(b, hour), ':'), minute), ':'), second), " GMT"...)
	return string(b)
}

// encode adds the headers of a group's members to the response to r. It returns the status if
// one of them has it, or 0.
func (g *group) encode(h *protocol.Head, v reflect.Value, r *protocol.Request) (status int, err error) {
	if g.embedded >= 0 {
		if v = v.Field(g.embedded); v.IsZero() {
			return 0, nil
		}
	}
	for i := range g.members {
		m := &g.members[i]
		if m.at == inStatus {
			status = int(m.of(v).Int())
			continue
		}
		if err := m.encode(h, m.of(v), r); err != nil {
			return 0, err
		}
	}
	return status, nil
}

// encode adds the header of a member to the response to r.
func (m *member) encode(h *protocol.Head, v reflect.Value, r *protocol.Request) error {
	var s string
	switch m.kind {
	case isString:
		s = v.String()
	case isMap:
		if v.Len() == 0 {
			return nil
		}
		for _, name := range slices.Sorted(maps.Keys(v.Interface().(map[string]string))) {
			value := v.MapIndex(reflect.ValueOf(name)).String()
			if !protocol.Printable(value) || !protocol.Printable(name) {
				return errHeader
			}
			// lower case on the wire, as AWS sends them; net/http leaves out what is no name of a header
			h.Header()[strings.ToLower(m.name)+name] = []string{encodedWord(value)}
		}
		return nil
	case isInt:
		if v.Int() != 0 {
			s = strconv.FormatInt(v.Int(), 10)
		}
	case isBool:
		if v.Bool() {
			s = "true"
		}
	case isTime:
		if t := *v.Addr().Interface().(*time.Time); !t.IsZero() { // a pointer takes no memory in an interface
			s = httpDate(t)
		}
	case isStrings:
		s = strings.Join(v.Interface().([]string), ", ")
	default:
		if v.IsNil() {
			return nil
		}
		switch v = v.Elem(); m.kind {
		case isIntPtr:
			s = strconv.FormatInt(v.Int(), 10)
		case isBoolPtr:
			s = strconv.FormatBool(v.Bool())
		default:
			s = v.String()
		}
	}
	if s == "" {
		return nil
	}
	if !protocol.Printable(s) {
		return errHeader
	}
	if m.body {
		h.AddAboutBody(m.name, s)
	} else {
		h.Add(m.name, s)
	}
	return nil
}
