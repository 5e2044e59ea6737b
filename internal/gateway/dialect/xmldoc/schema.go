package xmldoc

import (
	"bytes"
	"encoding/xml"
	"fmt"
	"reflect"
	"strings"
	"time"

	"watertight/internal/gateway/dialect"
)

// Schema is the compiled form of a request's document. Every schema refuses an element that
// is repeated although its shape has one: which of two would count is for no reader to guess.
type Schema struct {
	root      declared
	strict    bool
	namespace string
}

// declared is an element as its shape declares it.
type declared struct {
	name    string
	list    bool
	members []*declared
}

// SchemaOf compiles the schema of a document with a root element and a shape of type t, a
// struct or a pointer to one.
func SchemaOf(root string, t reflect.Type) (*Schema, error) {
	s := &Schema{root: declared{name: root}}
	return s, s.root.declare(t)
}

// Strict makes the schema refuse what its shape does not have: elements, text between
// elements, and elements in a namespace other than this one or none.
func (s *Schema) Strict(namespace string) { s.strict, s.namespace = true, namespace }

func (d *declared) declare(t reflect.Type) error {
	for t.Kind() == reflect.Pointer || t.Kind() == reflect.Slice {
		t = t.Elem()
	}
	if t.Kind() != reflect.Struct || t == reflect.TypeFor[time.Time]() {
		return nil
	}
	for _, f := range dialect.Fields(t) {
		name, option, _ := strings.Cut(f.Tag.Get("xml"), ",")
		if f.Name == "_" || option == "attr" || option == "chardata" {
			continue
		}
		if option != "" && option != "omitempty" {
			return fmt.Errorf("%s: XML option %q has no form here", f.Name, option)
		}
		if name == "" {
			name = f.Name
		}
		m := d
		for part := range strings.SplitSeq(name, ">") {
			m = m.member(part)
		}
		m.list = f.Type.Kind() == reflect.Slice
		if err := m.declare(f.Type); err != nil {
			return err
		}
	}
	if len(d.members) > maxMembers {
		return fmt.Errorf("%s has more than %d members", d.name, maxMembers)
	}
	return nil
}

// maxMembers is how many members the bits of frame.seen are for.
const maxMembers = 64

func (d *declared) member(name string) *declared {
	if i := d.find(name); i >= 0 {
		return d.members[i]
	}
	d.members = append(d.members, &declared{name: name})
	return d.members[len(d.members)-1]
}

func (d *declared) find(name string) int {
	for i, m := range d.members {
		if m.name == name {
			return i
		}
	}
	return -1
}

// check compares the tokens of a document with its schema.
type check struct {
	schema *Schema
	open   []frame
	spaces []space // the declarations of namespaces in force
}

// frame is an element that is open.
type frame struct {
	at     *declared // nil below an element that the shape does not have
	seen   uint64    // a bit for each member
	spaces int       // declarations in force outside it
}

type space struct{ prefix, uri string }

// maxSpaces is how many declarations of namespaces may be in force in a strict document.
const maxSpaces = 16

// start reports whether the schema has an element here.
func (c *check) start(e *xml.StartElement) bool {
	f := frame{spaces: len(c.spaces)}
	if len(c.open) == 0 {
		if f.at = &c.schema.root; e.Name.Local != f.at.name {
			return false
		}
	} else if parent := &c.open[len(c.open)-1]; parent.at != nil {
		if i := parent.at.find(e.Name.Local); i >= 0 {
			f.at = parent.at.members[i]
			if parent.seen&(1<<i) != 0 && !f.at.list {
				return false
			}
			parent.seen |= 1 << i
		}
	}
	c.open = append(c.open, f)
	return !c.schema.strict || f.at != nil && c.declareSpaces(e.Attr) && c.inNamespace(e.Name.Space)
}

func (c *check) end() {
	if n := len(c.open); n > 0 {
		c.spaces = c.spaces[:c.open[n-1].spaces]
		c.open = c.open[:n-1]
	}
}

// text reports whether the schema has text here.
func (c *check) text(b []byte) bool {
	if !c.schema.strict || len(c.open) == 0 || len(c.open[len(c.open)-1].at.members) == 0 {
		return true
	}
	return len(bytes.TrimSpace(b)) == 0
}

// declareSpaces takes the declarations of namespaces from an element's attributes.
func (c *check) declareSpaces(attributes []xml.Attr) bool {
	for _, a := range attributes {
		switch {
		case a.Name.Space == "" && a.Name.Local == "xmlns":
			c.spaces = append(c.spaces, space{"", a.Value})
		case a.Name.Space == "xmlns":
			c.spaces = append(c.spaces, space{a.Name.Local, a.Value})
		}
	}
	return len(c.spaces) <= maxSpaces
}

// inNamespace reports whether a prefix stands for the schema's namespace, or there is none.
func (c *check) inNamespace(prefix string) bool {
	for i := len(c.spaces) - 1; i >= 0; i-- {
		if s := &c.spaces[i]; s.prefix == prefix {
			return s.uri == c.schema.namespace || s.uri == ""
		}
	}
	return prefix == ""
}
