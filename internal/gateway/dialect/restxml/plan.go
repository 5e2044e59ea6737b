package restxml

import (
	"fmt"
	"net/http"
	"reflect"
	"strings"

	"watertight/internal/fault"
	"watertight/internal/gateway/dialect"
	"watertight/internal/gateway/dialect/xmldoc"
	"watertight/internal/gateway/protocol"
)

// plan is a compiled codec for the two shapes of an operation. Members are placed by tags:
//
//	loc:"uri,Id"  loc:"query,Marker"  loc:"header,If-Match"
//	loc:"body,DistributionConfig"   a struct; the document with this root
//	loc:"location"                  string, on output: the id that the Location header ends with
//
// Members outside the document are strings.
type plan struct {
	route  Route
	in     []member
	out    []member
	names  []string // of parameters of the query
	body   int      // index of the input's document, -1 for none
	schema *xmldoc.Schema
	result int // index of the output's document, -1 for none
	doc    *xmldoc.Document
}

type place uint8

const (
	inURI place = iota
	inQuery
	inHeader
	inLocation
)

type member struct {
	at      place
	name    string
	element int // of the path, for a label
	index   int
}

func compile(r Route, namespace string, in, out reflect.Type) (*plan, error) {
	p := &plan{route: r, body: -1, result: -1}
	for _, param := range r.params {
		p.names = append(p.names, param.Name)
	}
	if err := p.compileInput(namespace, in); err != nil {
		return nil, fmt.Errorf("%v: %w", in, err)
	}
	if err := p.compileOutput(namespace, out); err != nil {
		return nil, fmt.Errorf("%v: %w", out, err)
	}
	return p, nil
}

func (p *plan) compileInput(namespace string, t reflect.Type) (err error) {
	labels := 0
	for _, f := range dialect.Fields(t) {
		at, name, _ := strings.Cut(f.Tag.Get("loc"), ",")
		if at == "body" {
			if p.schema, err = xmldoc.SchemaOf(name, f.Type); err != nil {
				return err
			}
			p.body = f.Index[0]
			p.schema.Strict(namespace)
			continue
		}
		m, err := newMember(at, name, f)
		if err != nil {
			return err
		}
		switch m.at {
		case inHeader:
			m.name = http.CanonicalHeaderKey(name)
		case inURI:
			if m.element = p.route.label(name); m.element < 0 {
				return fmt.Errorf("%s: the path has no label %s", f.Name, name)
			}
			labels++
		case inQuery:
			p.names = append(p.names, name)
		case inLocation:
			return fmt.Errorf("%s is not for an input", f.Name)
		}
		p.in = append(p.in, m)
	}
	if labels != strings.Count(p.route.pattern, "{") {
		return fmt.Errorf("%s: a label has no member", p.route)
	}
	return nil
}

func (p *plan) compileOutput(namespace string, t reflect.Type) (err error) {
	for _, f := range dialect.Fields(t) {
		at, name, _ := strings.Cut(f.Tag.Get("loc"), ",")
		if at == "body" {
			if f.Type.Kind() != reflect.Struct {
				return fmt.Errorf("%s is not a struct", f.Name)
			}
			if p.doc, err = xmldoc.Compile(name, namespace, dialect.Fields(f.Type)); err != nil {
				return err
			}
			p.result = f.Index[0]
			continue
		}
		m, err := newMember(at, name, f)
		if err != nil {
			return err
		}
		if m.at != inHeader && m.at != inLocation {
			return fmt.Errorf("%s is not for an output", f.Name)
		}
		p.out = append(p.out, m)
	}
	return nil
}

func newMember(at, name string, f reflect.StructField) (member, error) {
	m := member{name: name, index: f.Index[0]}
	switch at {
	case "uri":
		m.at = inURI
	case "query":
		m.at = inQuery
	case "header":
		m.at = inHeader
	case "location":
		m.at = inLocation
	default:
		return m, fmt.Errorf("%s has no place", f.Name)
	}
	if f.Type.Kind() != reflect.String || len(f.Index) != 1 {
		return m, fmt.Errorf("%s is not a string", f.Name)
	}
	return m, nil
}

// checkQuery refuses repeated parameters, and parameters that the operation does not have,
// because they could change what is asked for.
func (p *plan) checkQuery(r *protocol.Request) error {
	for i, q := range r.Query {
		known := protocol.IsAmzHeader(q.Name) // those of a presigned URL
		for _, name := range p.names {
			known = known || q.Name == name
		}
		if !known {
			return fault.New(fault.InvalidArgument, "The parameter "+q.Name+" is unknown.")
		}
		for _, earlier := range r.Query[:i] {
			if earlier.Name == q.Name {
				return fault.New(fault.InvalidArgument, "The parameter "+q.Name+" is repeated.")
			}
		}
	}
	return nil
}
