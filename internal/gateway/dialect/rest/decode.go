package rest

import (
	"net/http"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"

	"watertight/internal/fault"
	"watertight/internal/gateway/dialect/xmldoc"
	"watertight/internal/gateway/protocol"
	"watertight/internal/gateway/sigv4"
)

// Decode implements dialect.Dialect.
func (s *service) Decode(op int, r *protocol.Request, body sigv4.Body, in any) error {
	return s.plans[op].decode(r, body, in)
}

// Streams implements dialect.Dialect.
func (s *service) Streams(op int) bool { return s.plans[op].stream != nil }

func (p *plan) decode(r *protocol.Request, body sigv4.Body, in any) error {
	summed := r.May(sumHeaders())
	if summed {
		if err := checkSums(headers(r)); err != nil {
			return err
		}
	}
	if err := checkHoisted(r); err != nil {
		return err
	}
	if p.setting {
		if err := p.checkOverrides(r); err != nil {
			return err
		}
	}
	v, h := reflect.ValueOf(in).Elem(), headers(r)
	for i := range p.in {
		m := &p.in[i]
		if m.absent(r, h) {
			continue
		}
		if err := m.decode(r, m.of(v)); err != nil {
			return err
		}
	}
	if p.stream != nil {
		if err := checkLength(r, body); err != nil {
			return err
		}
		if p.route.needsChecksum && !declaresChecksum(r.HTTP.Header) {
			return missingChecksum()
		}
		v.FieldByIndex(p.stream).Set(reflect.ValueOf(body))
		return nil
	}
	if sent := r.HTTP.Header["X-Amz-Content-Sha256"]; len(sent) > 0 && sent[0] == "STREAMING-UNSIGNED-PAYLOAD-TRAILER" {
		// The document must be signed; an unsigned trailer is not enough.
		return fault.New(fault.InvalidRequest, "The value of x-amz-content-sha256 header is invalid.")
	}
	b, err := r.ReadDocument(body)
	if err != nil {
		return err
	}
	if summed || p.route.needsChecksum { // a trailer is announced in a header that begins like those of sums
		if err := checkIntegrity(r.HTTP.Header, body, b, p.route); err != nil {
			return err
		}
	}
	if p.text >= 0 {
		v.Field(p.text).SetString(string(b))
		return nil
	}
	if p.body < 0 || len(b) == 0 {
		return nil
	}
	if err := xmldoc.Reserve(r.HTTP.Context(), b); err != nil {
		return err
	}
	err = p.schema.Decode(b, v.Field(p.body).Addr().Interface())
	if f := fault.From(err); f != nil && p.route.malformed != "" && f.Code == fault.MalformedXML {
		return fault.New(p.route.malformed, f.Message).Because(f.Err)
	}
	return err
}

// overriding is how the parameters begin that set a header of the response.
const overriding = "response-"

// checkOverrides refuses a parameter that would set a header which can't be set. If it were passed over, a client that
// mistyped a name would get the header as it is stored.
func (p *plan) checkOverrides(r *protocol.Request) error {
	for _, q := range r.Query {
		if strings.HasPrefix(q.Name, overriding) && !p.takes(q.Name) {
			return fault.New(fault.InvalidArgument, q.Name+" is not in the set of overridable response headers. "+
				"Please refer to the S3 API documentation for a complete list of overridable response headers.").
				With("ArgumentName", q.Name).With("ArgumentValue", q.Value)
		}
	}
	return nil
}

// takes reports whether a parameter of the query is a member of the input.
func (p *plan) takes(name string) bool {
	return slices.ContainsFunc(p.in, func(m member) bool { return m.at == inQuery && m.name == name })
}

// absent reports whether a request without a query says nothing about a member, so that it
// keeps its zero value. It spares the usual request a look at most members.
func (m *member) absent(r *protocol.Request, h http.Header) bool {
	if len(r.Query) > 0 {
		return false
	}
	switch m.at {
	case inQuery:
		return true
	case inHeader:
		return !r.May(m.first) || len(h[m.key]) == 0
	case inPrefix:
		return !r.May(m.first)
	}
	return false
}

func (m *member) decode(r *protocol.Request, v reflect.Value) error {
	switch m.at {
	case inURI:
		switch m.name {
		case "Bucket":
			v.SetString(r.Bucket)
		case "BucketURL":
			v.SetString(bucketURL(r))
		default:
			v.SetString(r.Key)
		}
		return nil
	case inPrefix:
		return m.decodeMap(r, v)
	case inQuery:
		if s, ok := r.Param(m.name); ok {
			return m.set(v, s)
		}
	case inHeader:
		all := headers(r)[m.key]
		switch {
		case len(all) > 1 && m.kind == isStrings:
			return m.set(v, strings.Join(all, ","))
		case len(all) > 1:
			return protocol.RepeatedHeader(m.name)
		case len(all) == 1:
			return m.setHeader(v, all[0])
		}
		if s, ok := hoisted(r, m.name); ok {
			if strings.Contains(strings.ToLower(m.name), "encryption-customer-key") {
				return keyInURL(m.name)
			}
			return m.setHeader(v, s)
		}
	}
	return nil
}

// setHeader sets a member from a header that was sent. An empty header of S3's own is an
// error: if it were treated as not sent, what it asks for would be ignored. Members that
// distinguish the two cases check it themselves.
func (m *member) setHeader(v reflect.Value, s string) error {
	if s == "" && m.empty != "" {
		return fault.New(m.empty, "The value of "+m.name+" is empty.").With("ArgumentName", m.name).
			With("ArgumentValue", "")
	}
	return m.set(v, s)
}

// checkLength refuses an upload of unknown length, because a truncated one could not be
// recognized. Forms have their own framing.
func checkLength(r *protocol.Request, body sigv4.Body) error {
	switch {
	case r.Fields != nil || body.Size() >= 0:
		return nil
	case len(r.HTTP.TransferEncoding) > 0:
		return fault.Of(fault.NotImplemented).With("Header", "Transfer-Encoding")
	}
	return fault.Of(fault.MissingContentLength)
}

// keyInURL is the error for a customer's key in a URL, which proxies and logs record. SDKs
// send it as a header (S3 user guide, "Presigned URLs and SSE-C").
func keyInURL(name string) error {
	return fault.New(fault.InvalidArgument, "A customer provided key must be sent as a header, and never in a URL.").
		With("ArgumentName", name)
}

func (m *member) decodeMap(r *protocol.Request, v reflect.Value) error {
	var out map[string]string
	add := func(name, value string) {
		if out == nil {
			out = map[string]string{}
		}
		out[strings.ToLower(name[len(m.key):])] = value
	}
	if presigned(r) {
		for _, p := range r.Query {
			if len(p.Name) > len(m.key) && strings.EqualFold(p.Name[:len(m.key)], m.key) {
				add(p.Name, p.Value)
			}
		}
	}
	for name, values := range headers(r) { // a header that differs from its parameter was refused before
		if strings.HasPrefix(name, m.key) && len(name) > len(m.key) {
			add(name, values[0])
		}
	}
	if out != nil {
		v.Set(reflect.ValueOf(out))
	}
	return nil
}

func (m *member) set(v reflect.Value, s string) error {
	if m.enum != nil && !slices.Contains(m.enum, s) {
		return m.invalid(s)
	}
	switch m.kind {
	case isString:
		v.SetString(s)
	case isStringPtr:
		own := s // a pointer to s itself would take memory for members of every kind
		v.Set(reflect.ValueOf(&own))
	case isInt, isIntPtr:
		return m.setInt(v, s)
	case isBool, isBoolPtr:
		b, err := strconv.ParseBool(strings.ToLower(s))
		if err != nil {
			return m.invalid(s)
		}
		if m.kind == isBoolPtr {
			v.Set(reflect.ValueOf(&b))
		} else {
			v.SetBool(b)
		}
	case isTime:
		// A date that can't be parsed is ignored (RFC 9110, 13.1.3).
		if t, err := parseTime(s); err == nil {
			v.Set(reflect.ValueOf(t))
		}
	case isStrings:
		for part := range strings.SplitSeq(s, ",") {
			v.Set(reflect.Append(v, reflect.ValueOf(strings.TrimSpace(part))))
		}
	}
	return nil
}

// setInt parses 32 bits, or 64 if the shape has that type (sizes in bytes).
func (m *member) setInt(v reflect.Value, s string) error {
	t, bits := v.Type(), 32
	if m.kind == isIntPtr {
		t = t.Elem()
	}
	if t.Kind() == reflect.Int64 {
		bits = 64
	}
	n, err := strconv.ParseInt(s, 10, bits)
	if err != nil {
		return fault.New(fault.InvalidArgument, "Provided "+m.name+" not an integer or within integer range").
			With("ArgumentName", m.name).With("ArgumentValue", s)
	}
	if m.kind == isIntPtr {
		v.Set(reflect.New(t))
		v = v.Elem()
	}
	v.SetInt(n)
	return nil
}

func (m *member) invalid(s string) error {
	return fault.New(fault.InvalidArgument, "Provided "+m.name+" is not valid.").
		With("ArgumentName", m.name).With("ArgumentValue", s)
}

func parseTime(s string) (time.Time, error) {
	if t, err := http.ParseTime(s); err == nil {
		return t, nil
	}
	if t, err := time.Parse(time.RFC3339, s); err == nil {
		return t, nil
	}
	return time.Parse("20060102T150405Z", s)
}
