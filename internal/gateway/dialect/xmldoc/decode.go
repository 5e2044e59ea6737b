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
// except the declaration, and deep nesting.
type tokens struct {
	dec   *xml.Decoder
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
		if t.depth++; t.depth > maxDepth {
			return nil, errXML
		}
	case xml.CharData:
		if t.depth == 0 && len(bytes.TrimSpace(x)) > 0 {
			return nil, errXML
		}
	case xml.EndElement:
		t.depth--
	case xml.Directive:
		return nil, errXML
	case xml.ProcInst:
		if x.Target != "xml" || t.count > 1 {
			return nil, errXML
		}
	}
	return tok, nil
}

// Decode decodes a document with a root element into shape, a pointer to a struct, or to a
// nil pointer to one, which it then allocates. Error: MalformedXML.
func Decode(b []byte, root string, shape any) error {
	v := reflect.ValueOf(shape).Elem()
	raw := xml.NewDecoder(bytes.NewReader(bytes.TrimPrefix(b, []byte("\xef\xbb\xbf"))))
	dec := xml.NewTokenDecoder(&tokens{dec: raw})
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
		if start.Name.Local != root {
			return Malformed(errXML)
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
