package query

import (
	"encoding/base64"
	"errors"
	"io"
	"reflect"
	"slices"
	"sort"
	"strconv"
	"strings"
	"unicode/utf8"

	"watertight/internal/fault"
	"watertight/internal/gateway/protocol"
	"watertight/internal/gateway/sigv4"
)

// part is a part of a form: Tags.member.1.Key is a part of Tags.member.1. It points into
// the sorted parameters, so that only the members of the shape are looked up.
type part struct {
	value string
	set   bool
	under []protocol.Param // parameters whose names continue below this part
	at    int              // index at which their next part begins
}

// partsOf sorts a form.
func partsOf(form []protocol.Param) (part, error) {
	sorted := slices.Clone(form)
	slices.SortFunc(sorted, func(a, b protocol.Param) int { return strings.Compare(a.Name, b.Name) })
	for i := range sorted {
		if strings.Count(sorted[i].Name, ".") >= maxFormDepth {
			return part{}, malformedInput("A parameter's name is too deep.")
		}
		if i > 0 && sorted[i].Name == sorted[i-1].Name {
			return part{}, malformedInput("A parameter is repeated.")
		}
	}
	return part{under: sorted}, nil
}

// child returns the part with a name below p.
func (p *part) child(name string) (part, bool) {
	from := func(s string) int {
		return sort.Search(len(p.under), func(i int) bool { return p.under[i].Name[p.at:] >= s })
	}
	c := part{at: p.at + len(name) + 1}
	if i := from(name); i < len(p.under) && p.under[i].Name[p.at:] == name {
		c.value, c.set = p.under[i].Value, true
	}
	c.under = p.under[from(name+"."):from(name+"/")] // the byte after the dot
	return c, c.set || len(c.under) > 0
}

// numbers returns the numbers of a list's members in ascending order.
func (p *part) numbers() ([]int, error) {
	var all []int
	last := ""
	for i := range p.under {
		name, _, _ := strings.Cut(p.under[i].Name[p.at:], ".")
		if i > 0 && name == last {
			continue
		}
		last = name
		n, err := strconv.Atoi(name)
		if err != nil || n < 1 || strconv.Itoa(n) != name {
			return nil, malformedInput("A list's member has no number.")
		}
		all = append(all, n)
	}
	slices.Sort(all)
	return all, nil
}

// malformedInput returns the error for a form that can't be decoded. AWS's has no message;
// the cause is logged.
func malformedInput(cause string) *fault.Error {
	return fault.New(fault.MalformedInput, "").Because(errors.New(cause))
}

// Decode implements dialect.Dialect. It first reads the body to its end, where the body's
// hash is verified.
func (s *service) Decode(_ int, r *protocol.Request, body sigv4.Body, in any) error {
	if _, err := io.Copy(io.Discard, body); err != nil {
		return err
	}
	root, err := partsOf(r.Form)
	if err != nil {
		return err
	}
	return root.into(reflect.ValueOf(in).Elem())
}

// into decodes a part into a value. Members that the form does not have stay zero.
func (p *part) into(v reflect.Value) error {
	switch v.Kind() {
	case reflect.Pointer:
		v.Set(reflect.New(v.Type().Elem()))
		return p.into(v.Elem())
	case reflect.Struct:
		for i := range v.NumField() {
			child, ok := p.child(wireName(v.Type().Field(i)))
			if !ok {
				continue
			}
			if err := child.into(v.Field(i)); err != nil {
				return err
			}
		}
		return nil
	case reflect.Slice:
		if v.Type().Elem().Kind() != reflect.Uint8 {
			return p.intoList(v)
		}
	}
	return p.intoScalar(v)
}

func (p *part) intoScalar(v reflect.Value) error {
	var err error
	switch v.Kind() {
	case reflect.String:
		if !utf8.ValidString(p.value) {
			return malformedInput("A value is not UTF-8.")
		}
		v.SetString(p.value)
	case reflect.Bool:
		switch p.value {
		case "true":
			v.SetBool(true)
		case "false", "":
		default:
			return malformedInput("BOOLEAN_VALUE can not be converted to a Boolean")
		}
	case reflect.Slice:
		var b []byte
		b, err = base64.StdEncoding.DecodeString(p.value)
		v.SetBytes(b)
	default:
		var i int64
		i, err = strconv.ParseInt(p.value, 10, 32)
		v.SetInt(i)
	}
	if err != nil {
		// The message leaves out the value, which may be a secret.
		return malformedInput("a value can't be converted to the type of its member")
	}
	return nil
}

// intoList decodes Name.member.1, .2, ... in the order of their numbers. An empty Name is
// an empty list.
func (p *part) intoList(v reflect.Value) error {
	v.Set(reflect.MakeSlice(v.Type(), 0, 0))
	members, ok := p.child("member")
	if !ok {
		return nil
	}
	numbers, err := members.numbers()
	if err != nil {
		return err
	}
	v.Set(reflect.MakeSlice(v.Type(), len(numbers), len(numbers)))
	for at, i := range numbers {
		member, _ := members.child(strconv.Itoa(i))
		if err := member.into(v.Index(at)); err != nil {
			return err
		}
	}
	return nil
}

func wireName(f reflect.StructField) string {
	if name := f.Tag.Get("wire"); name != "" {
		return name
	}
	return f.Name
}
