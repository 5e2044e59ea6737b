package restxml

import (
	"io"
	"net/http"
	"reflect"
	"strconv"

	"watertight/internal/fault"
	"watertight/internal/gateway/dialect/xmldoc"
	"watertight/internal/gateway/protocol"
	"watertight/internal/gateway/sigv4"
)

// Decode implements dialect.Dialect. It first reads the body to its end, where the body's
// hash is verified. Errors: MissingBody, MalformedXML, InvalidArgument.
func (s *service) Decode(op int, r *protocol.Request, body sigv4.Body, in any) error {
	if _, err := io.Copy(io.Discard, body); err != nil {
		return err
	}
	return s.plans[op].decode(r, reflect.ValueOf(in).Elem())
}

func (p *plan) decode(r *protocol.Request, v reflect.Value) error {
	elements, _ := split(r.RawPath)
	for _, m := range p.in {
		switch m.at {
		case inURI:
			v.Field(m.index).SetString(elements[m.element])
		case inQuery:
			s, _ := r.Param(m.name)
			v.Field(m.index).SetString(s)
		case inHeader:
			values := r.HTTP.Header[m.name]
			if len(values) > 1 {
				return protocol.RepeatedHeader(m.name)
			}
			if len(values) == 1 {
				v.Field(m.index).SetString(values[0])
			}
		}
	}
	if p.body < 0 {
		return nil
	}
	if len(r.Document) == 0 {
		return fault.Of(fault.MissingBody)
	}
	if err := xmldoc.Reserve(r.HTTP.Context(), r.Document); err != nil {
		return err
	}
	return p.schema.Decode(r.Document, v.Field(p.body).Addr().Interface())
}

// Encode implements dialect.Dialect.
func (s *service) Encode(op int, w http.ResponseWriter, r *protocol.Request, out any) (int64, error) {
	p, h := s.plans[op], w.Header()
	protocol.CommonHeaders(w, r)
	if out == nil {
		w.WriteHeader(p.route.status)
		return 0, nil
	}
	v := reflect.ValueOf(out).Elem()
	for _, m := range p.out {
		switch value := v.Field(m.index).String(); {
		case value == "":
		case m.at == inLocation:
			h["Location"] = []string{origin(r) + r.RawPath + "/" + value}
		default:
			h[m.name] = []string{value}
		}
	}
	if p.result < 0 {
		w.WriteHeader(p.route.status)
		return 0, nil
	}
	b := s.buffers.Take()
	defer s.buffers.Give(b)
	e := p.doc.Encode(b, v.Field(p.result))
	defer e.Release()
	h["Content-Type"] = []string{"text/xml"}
	h["Content-Length"] = []string{strconv.Itoa(e.Len())}
	w.WriteHeader(p.route.status)
	return e.WriteTo(w)
}

// origin returns the address of this endpoint as the client wrote it.
func origin(r *protocol.Request) string {
	if r.HTTP.TLS != nil {
		return "https://" + r.HTTP.Host
	}
	return "http://" + r.HTTP.Host
}
