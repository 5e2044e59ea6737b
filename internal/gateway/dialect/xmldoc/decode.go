// Package xmldoc reads and writes the XML of the wire. It exists so that every
// document is bounded while it is read and escaped in one way when it is written.
// It must never know which service a document belongs to.
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

// Limits of a document beside its size.
const (
	maxDepth  = 16
	maxTokens = 250_000 // 10,000 parts with a checksum each, indented, fit
)

// elementSize is about what an element or an attribute comes to while it is
// decoded and in the shape, in bytes.
const elementSize = 128

// Reserve takes from the request's memory what decoding a document will hold,
// before it is decoded. Errors: MalformedXML, SlowDown.
func Reserve(ctx context.Context, b []byte) error {
	tags := bytes.Count(b, []byte("<"))
	attributes := (bytes.Count(b, []byte(`"`)) + bytes.Count(b, []byte("'"))) / 2
	if tags > maxTokens || attributes > maxTokens {
		return Malformed(errXML)
	}
	return limit.From(ctx).Take(ctx, int64(tags+attributes)*elementSize)
}

// tokens is a bounded token reader: no document type, no processing
// instruction beside the declaration, no depth.
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

// Decode reads a document with a root element into shape, a pointer to a struct or
// to a nil pointer to one, which is then made. Error: MalformedXML.
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
	for { // nothing but white space and comments may follow
		tok, err := dec.Token()
		if err == io.EOF {
			return nil
		}
		if _, more := tok.(xml.StartElement); more || err != nil {
			return Malformed(errXML)
		}
	}
}

// Malformed is the refusal of a document; cause goes to the log.
func Malformed(cause error) error {
	return fault.Of(fault.MalformedXML).Because(cause)
}
