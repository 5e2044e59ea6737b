// Package xmldoc decodes and encodes the XML documents of requests and responses. It exists
// so that every document is bounded while it is decoded, and is escaped in one way when it
// is encoded. It must never know to which service a document belongs.
package xmldoc

import (
	"bytes"
	"context"
	"encoding/xml"
	"errors"
	"io"
	"reflect"

	"watertight/internal/fault"
	"watertight/internal/limit"
)

// Limits of a document in addition to its size.
const (
	maxDepth  = 16
	maxTokens = 250_000 // enough for 10,000 indented parts, each with a checksum
)

// elementSize is approximately the memory for an element or an attribute while it is
// decoded and in the shape, in bytes.
const elementSize = 128

// Reserve takes from the request's memory what decoding a document will need. It must be
// called before decoding. Errors: MalformedXML, SlowDown.
func Reserve(ctx context.Context, b []byte) error {
	tags := bytes.Count(b, []byte("<"))
	attributes := (bytes.Count(b, []byte(`"`)) + bytes.Count(b, []byte("'"))) / 2
	if tags > maxTokens || attributes > maxTokens {
		return Malformed(errXML)
	}
	return limit.From(ctx).Take(ctx, int64(tags+attributes)*elementSize)
}

// tokens is a bounded token reader. It refuses a document type, processing instructions
// except the declaration, deep nesting, and what the schema refuses.
type tokens struct {
	dec   *xml.Decoder
	check check
	depth int
	count int
}

var errXML = errors.New("xmldoc: refused")

func (t *tokens) Token() (xml.Token, error) {
	tok, err := t.dec.RawToken()
	if err != nil {
		return tok, err
	}
	if t.count++; t.count > maxTokens {
		return nil, errXML
	}
	switch x := tok.(type) {
	case xml.StartElement:
		if t.depth++; t.depth > maxDepth || !t.check.start(&x) {
			return nil, errXML
		}
	case xml.CharData:
		if t.depth == 0 && len(bytes.TrimSpace(x)) > 0 || !t.check.text(x) {
			return nil, errXML
		}
	case xml.EndElement:
		t.depth--
		t.check.end()
	case xml.Directive:
		return nil, errXML
	case xml.ProcInst:
		if x.Target != "xml" || t.count > 1 {
			return nil, errXML
		}
	}
	return tok, nil
}

// Decode decodes a document into shape, a pointer to a struct of the schema's type, or to a
// nil pointer to one, which it then allocates. Error: MalformedXML.
func (s *Schema) Decode(b []byte, shape any) error {
	v := reflect.ValueOf(shape).Elem()
	raw := xml.NewDecoder(bytes.NewReader(bytes.TrimPrefix(b, []byte("\xef\xbb\xbf"))))
	raw.CharsetReader = charset
	dec := xml.NewTokenDecoder(&tokens{dec: raw, check: check{schema: s}})
	if v.Kind() == reflect.Pointer {
		v.Set(reflect.New(v.Type().Elem()))
		v = v.Elem()
	}
	for {
		tok, err := dec.Token()
		if err != nil {
			return Malformed(err)
		}
		start, ok := tok.(xml.StartElement)
		if !ok {
			continue
		}
		if err := dec.DecodeElement(v.Addr().Interface(), &start); err != nil {
			return Malformed(err)
		}
		break
	}
	for { // only white space and comments may follow
		tok, err := dec.Token()
		if err == io.EOF {
			return nil
		}
		if _, more := tok.(xml.StartElement); more || err != nil {
			return Malformed(errXML)
		}
	}
}

// Malformed is the error for an invalid document; cause is logged.
func Malformed(cause error) error {
	return fault.Of(fault.MalformedXML).Because(cause)
}
