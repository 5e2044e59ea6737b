package xmldoc

import (
	"fmt"
	"io"
	"reflect"
	"strconv"
	"strings"
	"time"

	"watertight/internal/gateway/dialect"
)

// element is a compiled part of a document. encoding/xml needs over a millisecond for a
// listing of 1,000 entries; this needs a tenth of that.
type element struct {
	open, close string // "<Name>", "</Name>"
	index       []int  // path through embedded shapes
	kind        elementKind
	always      bool // written even if it is empty
	members     []element
	wrapOpen    string // for a list that is not flat
	wrapClose   string
	attr        string // constant attributes
	attrs       []element
}

type elementKind uint8

const (
	eString elementKind = iota
	eStringPtr
	eInt
	eIntPtr
	eBool
	eBoolPtr
	eTime
	eStruct
	eStructPtr
	eList
	eListOfStrings
	eAttribute
)

// Document is the compiled form of a response's document.
type Document struct {
	root     element
	elements []int // path to the member that is Elements; nil if there is none
	before   int   // members before it
}

// Compile compiles the document of a shape's members. namespace may be "".
func Compile(root, namespace string, fields []reflect.StructField) (*Document, error) {
	d := &Document{root: element{open: "<" + root + ">", close: "</" + root + ">", kind: eStruct}}
	if namespace != "" {
		d.root.open = "<" + root + ` xmlns="` + namespace + `">`
	}
	for _, f := range fields {
		if f.Type == reflect.TypeFor[*Elements]() && d.elements == nil {
			d.elements, d.before = f.Index, len(d.root.members)
			continue
		}
		m, err := compileElement(f)
		if err != nil {
			return nil, err
		}
		d.root.members = append(d.root.members, m)
	}
	return d, nil
}

// Encoded is an encoded document.
type Encoded struct {
	text     []byte
	cut      int       // where the elements belong
	elements *Elements // nil if there are none
}

// Encode encodes the document of v, a shape. It appends to the memory of b, and leaves it there.
// The caller calls Release in the end.
func (d *Document) Encode(b *[]byte, v reflect.Value) Encoded {
	text := append(*b, Declaration...)
	if d.elements == nil {
		*b = d.root.appendOne(text, v)
		return Encoded{text: *b}
	}
	text = appendMembers(append(text, d.root.open...), v, d.root.members[:d.before])
	e := Encoded{cut: len(text), elements: v.FieldByIndex(d.elements).Interface().(*Elements)}
	*b = append(appendMembers(text, v, d.root.members[d.before:]), d.root.close...)
	e.text = *b
	return e
}

// Len returns the number of bytes.
func (e *Encoded) Len() int { return len(e.text) + e.elements.Len() }

// WriteTo implements io.WriterTo.
func (e *Encoded) WriteTo(w io.Writer) (written int64, err error) {
	if e.cut > 0 {
		n, err := w.Write(e.text[:e.cut])
		if err != nil {
			return int64(n), err
		}
		written, err = e.elements.WriteTo(w)
		if written += int64(n); err != nil {
			return written, err
		}
	}
	n, err := w.Write(e.text[e.cut:])
	return written + int64(n), err
}

// Release gives the memory of the elements back.
func (e *Encoded) Release() { e.elements.Release() }

func compileElement(f reflect.StructField) (element, error) {
	name, option, _ := strings.Cut(f.Tag.Get("xml"), ",")
	if name == "" {
		name = f.Name
	}
	e := element{index: f.Index, always: f.Tag.Get("emit") == "always"}
	if wrap, inner, ok := strings.Cut(name, ">"); ok {
		e.wrapOpen, e.wrapClose, name = "<"+wrap+">", "</"+wrap+">", inner
	}
	e.open, e.close = "<"+name+">", "</"+name+">"
	switch option {
	case "", "omitempty":
	case "chardata":
		e.open, e.close = "", ""
	case "attr":
		return compileAttribute(e, name, f)
	default:
		return e, fmt.Errorf("%s: XML option %q has no form here", f.Name, option)
	}
	return e, e.compileType(f.Type)
}

// compileAttribute compiles xsi:type, the only attribute in S3's documents.
func compileAttribute(e element, name string, f reflect.StructField) (element, error) {
	if name != "http://www.w3.org/2001/XMLSchema-instance type" || f.Type.Kind() != reflect.String {
		return e, fmt.Errorf("%s: attribute %q has no form here", f.Name, name)
	}
	e.open, e.close = ` xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" xsi:type="`, `"`
	e.kind = eAttribute
	return e, nil
}

func (e *element) compileType(t reflect.Type) error {
	if t == reflect.TypeFor[time.Time]() {
		e.kind = eTime
		return nil
	}
	ptr := elementKind(0)
	if t.Kind() == reflect.Pointer {
		t, ptr = t.Elem(), 1
	}
	switch t.Kind() {
	case reflect.String:
		e.kind = eString + ptr
	case reflect.Int, reflect.Int32, reflect.Int64:
		e.kind = eInt + ptr
	case reflect.Bool:
		e.kind = eBool + ptr
	case reflect.Struct:
		e.kind = eStruct + ptr
		return e.compileMembers(t)
	case reflect.Slice:
		if t.Elem().Kind() == reflect.String {
			e.kind = eListOfStrings
			return nil
		}
		e.kind = eList
		return e.compileMembers(t.Elem())
	default:
		return fmt.Errorf("type %v has no form in XML", t)
	}
	return nil
}

func (e *element) compileMembers(t reflect.Type) error {
	if t.Kind() != reflect.Struct {
		return fmt.Errorf("type %v has no form in XML", t)
	}
	for _, f := range dialect.Fields(t) {
		if a := f.Tag.Get("attr"); f.Name == "_" {
			e.attr = a
			e.open = strings.TrimSuffix(e.open, ">") + " " + a + ">"
			continue
		}
		m, err := compileElement(f)
		if err != nil {
			return fmt.Errorf("%s: %w", f.Name, err)
		}
		if m.kind == eAttribute {
			e.attrs = append(e.attrs, m)
			continue
		}
		e.members = append(e.members, m)
	}
	return nil
}

// append writes the element for v.
func (e *element) append(b []byte, v reflect.Value) []byte {
	switch e.kind {
	case eStringPtr, eIntPtr, eBoolPtr, eStructPtr:
		if v.IsNil() {
			return b
		}
		v = v.Elem()
	case eList, eListOfStrings:
		return e.appendList(b, v)
	case eString, eTime, eBool, eInt:
		if !e.always && v.IsZero() {
			return b
		}
	case eStruct:
		if !e.always && e.open != "" && len(e.members) > 0 && v.IsZero() {
			return b
		}
	}
	return e.appendOne(b, v)
}

func (e *element) appendOne(b []byte, v reflect.Value) []byte {
	b = append(b, e.open...)
	if len(e.attrs) > 0 {
		b = e.appendAttributes(b, v)
	}
	switch e.kind {
	case eString, eStringPtr, eListOfStrings:
		b = AppendText(b, v.String())
	case eInt, eIntPtr:
		b = strconv.AppendInt(b, v.Int(), 10)
	case eBool, eBoolPtr:
		b = strconv.AppendBool(b, v.Bool())
	case eTime:
		if v.CanAddr() { // a pointer takes no memory in an interface
			b = appendTime(b, *v.Addr().Interface().(*time.Time))
		} else {
			b = appendTime(b, v.Interface().(time.Time))
		}
	default:
		b = appendMembers(b, v, e.members)
	}
	return append(b, e.close...)
}

func appendMembers(b []byte, v reflect.Value, members []element) []byte {
	for i := range members {
		b = members[i].append(b, v.FieldByIndex(members[i].index))
	}
	return b
}

// appendTime is AppendFormat in UTC with ISO 8601 and milliseconds, without parsing that layout
// for each line of a listing.
func appendTime(b []byte, t time.Time) []byte {
	t = t.UTC()
	year, month, day := t.Date()
	if year < 0 || year > 9999 {
		return t.AppendFormat(b, stampFormat)
	}
	hour, minute, second := t.Clock()
	two := func(b []byte, n int, end byte) []byte { return append(b, '0'+byte(n/10), '0'+byte(n%10), end) }
	b = two(append(b, '0'+byte(year/1000), '0'+byte(year/100%10)), year%100, '-')
	b = two(two(two(b, int(month), '-'), day, 'T'), hour, ':')
	b = two(two(b, minute, ':'), second, '.')
	ms := t.Nanosecond() / 1e6
	return append(b, '0'+byte(ms/100), '0'+byte(ms/10%10), '0'+byte(ms%10), 'Z')
}

// appendAttributes inserts attributes into the start tag at the end of b.
func (e *element) appendAttributes(b []byte, v reflect.Value) []byte {
	b = b[:len(b)-1]
	for i := range e.attrs {
		if s := v.FieldByIndex(e.attrs[i].index).String(); s != "" {
			b = append(b, e.attrs[i].open...)
			b = append(AppendText(b, s), e.attrs[i].close...)
		}
	}
	return append(b, '>')
}

func (e *element) appendList(b []byte, v reflect.Value) []byte {
	if v.Len() == 0 && !(e.always && e.wrapOpen != "") {
		return b
	}
	b = append(b, e.wrapOpen...)
	for i := range v.Len() {
		b = e.appendOne(b, v.Index(i))
	}
	return append(b, e.wrapClose...)
}
