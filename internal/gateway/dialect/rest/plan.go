package rest

import (
	"cmp"
	"fmt"
	"io"
	"net/http"
	"reflect"
	"strconv"
	"strings"
	"time"

	"watertight/internal/fault"
	"watertight/internal/gateway/dialect"
	"watertight/internal/gateway/dialect/xmldoc"
	"watertight/internal/gateway/protocol"
	"watertight/internal/gateway/sigv4"
)

// plan is a compiled codec for the two shapes of an operation. Members are
// placed by tags:
//
//	loc:"uri,Bucket"  loc:"uri,Key"  loc:"uri,BucketURL"  loc:"query,prefix"  loc:"header,x-amz-acl"
//	loc:"prefix,x-amz-meta-"   map[string]string
//	loc:"body,Delete"          XML payload with this root; strict:"true" refuses unknown elements, and
//	                           namespaces other than S3's or the one of the tag ns
//	loc:"text"                 string: the whole payload as it is, on input
//	loc:"stream"               sigv4.Body on input, io.ReadCloser on output
//	loc:"status"               int, on output
//
// An x-amz-* header that is sent empty is the error InvalidArgument, or that of the tag
// empty; empty:"ok" accepts it, and so do members that are pointers. Responses have a
// header's name as the tag spells it, for clients that compare bytes.
//
// Output members without loc are elements of the response's document. Its root is the root
// tag of a blank member. The tag only:"201" limits the document to responses with that
// status; ns:"none" removes the namespace, and any other ns is the namespace.
type plan struct {
	route   *Route
	in      []member
	out     []group
	schema  *xmldoc.Schema // of the input's XML payload
	doc     *xmldoc.Document
	docOnly int   // the only status with a document; 0 means any
	body    int   // index of the input's XML payload, -1 for none
	text    int   // index of the input's raw payload, -1 for none
	stream  []int // path to the input's stream, nil for none
	outBody int   // index of the output's stream, -1 for none
	setting bool  // parameters named response-* set headers of the response
}

type location uint8

const (
	inURI location = iota
	inQuery
	inHeader
	inPrefix
	inStatus
)

type kind uint8

const (
	isString kind = iota
	isStringPtr
	isInt
	isIntPtr
	isBool
	isBoolPtr
	isTime
	isStrings
	isMap
)

type member struct {
	at    location
	name  string            // as written in errors
	key   string            // canonical header name, or the prefix
	first protocol.Initials // of the key, for headers
	index []int             // path through embedded shapes
	kind  kind
	enum  []string
	body  bool       // a header that net/http looks at
	empty fault.Code // code for a header that is sent empty; "" accepts it
}

// group has members of a response that are next to each other: those of one embedded shape, or
// those of the shape itself. Most embedded shapes are empty, and so are looked at as a whole.
type group struct {
	embedded int // index of the embedded shape, -1 for none
	members  []member
}

// addOut adds a member of the response to the last group, or to a new one.
func (p *plan) addOut(m member) {
	embedded := -1
	if len(m.index) > 1 {
		embedded, m.index = m.index[0], m.index[1:]
	}
	if n := len(p.out); n == 0 || p.out[n-1].embedded != embedded {
		p.out = append(p.out, group{embedded: embedded})
	}
	last := &p.out[len(p.out)-1]
	last.members = append(last.members, m)
}

// of returns the member of a shape.
func (m *member) of(v reflect.Value) reflect.Value {
	if len(m.index) == 1 {
		return v.Field(m.index[0])
	}
	return v.FieldByIndex(m.index)
}

// compile returns the plan of an operation. It fails on shapes that it can't encode or decode.
func compile(r *Route, in, out reflect.Type) (*plan, error) {
	p := &plan{route: r, body: -1, text: -1, outBody: -1}
	if err := p.compileInput(in); err != nil {
		return nil, fmt.Errorf("%v: %w", in, err)
	}
	if err := p.compileOutput(out); err != nil {
		return nil, fmt.Errorf("%v: %w", out, err)
	}
	return p, nil
}

func (p *plan) compileInput(t reflect.Type) error {
	for _, f := range dialect.Fields(t) {
		at, name, _ := strings.Cut(f.Tag.Get("loc"), ",")
		switch at {
		case "body":
			if err := p.compileBody(name, f); err != nil {
				return err
			}
		case "text":
			if f.Type.Kind() != reflect.String {
				return fmt.Errorf("%s is not a string", f.Name)
			}
			p.text = f.Index[0]
		case "stream":
			if f.Type != reflect.TypeFor[sigv4.Body]() {
				return fmt.Errorf("%s is not a sigv4.Body", f.Name)
			}
			p.stream = f.Index
		case "":
			if f.Name != "_" {
				return fmt.Errorf("%s has no place", f.Name)
			}
		default:
			m, err := newMember(at, name, f)
			if err != nil {
				return err
			}
			p.in = append(p.in, m)
			p.setting = p.setting || m.at == inQuery && strings.HasPrefix(m.name, overriding)
		}
	}
	return nil
}

func (p *plan) compileBody(root string, f reflect.StructField) (err error) {
	p.body = f.Index[0]
	if p.schema, err = xmldoc.SchemaOf(root, f.Type); err != nil {
		return err
	}
	if f.Tag.Get("strict") == "true" {
		p.schema.Strict(cmp.Or(f.Tag.Get("ns"), defaultNamespace))
	}
	return nil
}

func (p *plan) compileOutput(t reflect.Type) error {
	var fields []reflect.StructField
	root, namespace := "", ""
	for _, f := range dialect.Fields(t) {
		at, name, _ := strings.Cut(f.Tag.Get("loc"), ",")
		switch {
		case f.Name == "_":
			root, namespace = f.Tag.Get("root"), f.Tag.Get("ns")
			p.docOnly, _ = strconv.Atoi(f.Tag.Get("only"))
		case at == "stream":
			if f.Type != reflect.TypeFor[io.ReadCloser]() {
				return fmt.Errorf("%s is not an io.ReadCloser", f.Name)
			}
			p.outBody = f.Index[0]
		case at == "":
			fields = append(fields, f)
		default:
			m, err := newMember(at, name, f)
			if err != nil {
				return err
			}
			p.addOut(m)
		}
	}
	if root == "" && len(fields) > 0 {
		return fmt.Errorf("%s has no place, and the document no root", fields[0].Name)
	}
	if root == "" {
		return nil
	}
	switch namespace {
	case "":
		namespace = defaultNamespace
	case "none":
		namespace = ""
	}
	var err error
	p.doc, err = xmldoc.Compile(root, namespace, fields)
	return err
}

// defaultNamespace is the namespace of S3's documents.
const defaultNamespace = "http://s3.amazonaws.com/doc/2006-03-01/"

func newMember(at, name string, f reflect.StructField) (member, error) {
	places := map[string]location{
		"uri": inURI, "query": inQuery, "header": inHeader, "prefix": inPrefix, "status": inStatus,
	}
	l, ok := places[at]
	if !ok {
		return member{}, fmt.Errorf("%s: unknown place %q", f.Name, at)
	}
	k, err := kindOf(f.Type)
	if err != nil {
		return member{}, fmt.Errorf("%s: %w", f.Name, err)
	}
	m := member{at: l, name: name, key: name, index: f.Index, kind: k}
	if l == inHeader || l == inPrefix {
		m.key = http.CanonicalHeaderKey(name)
		m.first, m.body = protocol.InitialOf(m.key), protocol.AboutBody(m.key)
	}
	if e := f.Tag.Get("enum"); e != "" {
		m.enum = strings.Split(e, "|")
	}
	if l == inHeader && (protocol.IsAmzHeader(name) || protocol.IsExtension(name)) && (k == isString || k == isTime) {
		m.empty = cmp.Or(fault.Code(f.Tag.Get("empty")), fault.InvalidArgument)
		if m.empty == "ok" {
			m.empty = ""
		}
	}
	return m, nil
}

func kindOf(t reflect.Type) (kind, error) {
	switch t {
	case reflect.TypeFor[time.Time]():
		return isTime, nil
	case reflect.TypeFor[[]string]():
		return isStrings, nil
	case reflect.TypeFor[map[string]string]():
		return isMap, nil
	}
	ptr := t.Kind() == reflect.Pointer
	if ptr {
		t = t.Elem()
	}
	k, ok := map[reflect.Kind]kind{
		reflect.String: isString, reflect.Int: isInt, reflect.Int32: isInt, reflect.Int64: isInt, reflect.Bool: isBool,
	}[t.Kind()]
	if !ok {
		return 0, fmt.Errorf("type %v has no place on the wire", t)
	}
	if ptr {
		k++
	}
	return k, nil
}
