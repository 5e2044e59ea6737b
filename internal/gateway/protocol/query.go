package protocol

import (
	"bytes"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net/http"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"watertight/internal/fault"
)

// The Query dialect of IAM and STS: a form comes in, XML goes out (IAM user
// guide, "Making query requests"). Shapes are plain structs whose member names
// are the names on the wire; the tag wire replaces one.

// Limits of a form.
const (
	maxForm       = 1 << 20 // bytes
	maxFormParams = 10_000
	maxFormDepth  = 10
)

// Query is the route of an operation of the Query dialect.
func Query(action string) Route {
	return Route{pattern: "Action=" + action, method: http.MethodPost, action: action, status: http.StatusOK}
}

// queryAPI is what documents of a service say of it.
type queryAPI struct{ version, namespace string }

// queryService returns the API of a service that speaks the Query dialect.
func queryService(name string) (queryAPI, bool) {
	switch name {
	case "iam":
		return queryAPI{"2010-05-08", "https://iam.amazonaws.com/doc/2010-05-08/"}, true
	case "sts":
		return queryAPI{"2011-06-15", "https://sts.amazonaws.com/doc/2011-06-15/"}, true
	}
	return queryAPI{}, false
}

// queryVersion is the service of a version of the Query dialect, or "".
func queryVersion(version string) string {
	for _, name := range [...]string{"iam", "sts"} {
		if api, _ := queryService(name); api.version == version {
			return name
		}
	}
	return ""
}

// readForm takes the parameters of a Query request out of its body or its
// query. The body stays readable, for whoever verifies its hash.
func (r *Request) readForm() error {
	if r.HTTP.Method != http.MethodPost {
		r.Form = r.Query
		return nil
	}
	if r.HTTP.Body == nil {
		return nil
	}
	b, err := io.ReadAll(io.LimitReader(r.HTTP.Body, maxForm+1))
	if err != nil {
		return err
	}
	if len(b) > maxForm {
		return fault.New(fault.Invalid, "RequestEntityTooLarge", "The request is too large.")
	}
	r.Document = b
	r.HTTP.Body = io.NopCloser(bytes.NewReader(b))
	r.Form, err = parseParams(string(b), maxFormParams)
	return err
}

// isForm reports a call of the Query dialect that is not signed, or not for
// S3, which has no operation that is a form posted to the root.
func (r *Request) isForm() bool {
	if r.HTTP.Method != http.MethodPost || r.RawPath != "/" || r.scope() == "s3" {
		return false
	}
	kind, _, _ := strings.Cut(r.HTTP.Header.Get("Content-Type"), ";")
	return strings.EqualFold(strings.TrimSpace(kind), "application/x-www-form-urlencoded")
}

// formValue returns the value of a form's parameter.
func (r *Request) formValue(name string) string {
	for i := range r.Form {
		if r.Form[i].Name == name {
			return r.Form[i].Value
		}
	}
	return ""
}

// matchQuery finds the operation a form names.
func (rt *Router) matchQuery(q *Request, api queryAPI) (int, error) {
	action, version := q.formValue("Action"), q.formValue("Version")
	if action == "" {
		return 0, fault.New(fault.Invalid, "MissingAction", "The request is missing an Action or operation parameter.")
	}
	if i, ok := rt.actions[action]; ok && version == api.version && q.RawPath == "/" {
		return i, nil
	}
	return 0, fault.New(fault.Invalid, "InvalidAction", fmt.Sprintf("Could not find operation %.128s for version %.32s", action, version))
}

// Calls reports whether a form names an operation of this table in the version
// of a service, wherever its signature is scoped to.
func (rt *Router) Calls(q *Request, service string) bool {
	api, ok := queryService(service)
	_, named := rt.actions[q.formValue("Action")]
	return ok && named && q.formValue("Version") == api.version && q.RawPath == "/"
}

// node is a part of a form: Tags.member.1.Key is four deep.
type node struct {
	value    string
	set      bool
	children map[string]*node
}

func treeOf(form []Param) (*node, error) {
	root := &node{}
	for _, p := range form {
		n, depth := root, 0
		for part := range strings.SplitSeq(p.Name, ".") {
			if depth++; depth > maxFormDepth {
				return nil, malformedInput("A parameter's name is too deep.")
			}
			next := n.children[part]
			if next == nil {
				next = &node{}
				if n.children == nil {
					n.children = map[string]*node{}
				}
				n.children[part] = next
			}
			n = next
		}
		if n.set {
			return nil, malformedInput("A parameter is repeated.")
		}
		n.value, n.set = p.Value, true
	}
	return root, nil
}

// malformedInput has no message in AWS's answers; the log is told.
func malformedInput(cause string) *fault.Error {
	return fault.New(fault.Invalid, "MalformedInput", "").Because(errors.New(cause))
}

// decodeQuery fills a shape from the form. The body is read to its end first,
// which is where its hash is verified.
func decodeQuery(r *Request, body io.Reader, in any) error {
	if _, err := io.Copy(io.Discard, body); err != nil {
		return err
	}
	root, err := treeOf(r.Form)
	if err != nil {
		return err
	}
	return root.into(reflect.ValueOf(in).Elem())
}

// into decodes a part into a value; what is not in the form stays zero.
func (n *node) into(v reflect.Value) error {
	switch v.Kind() {
	case reflect.Pointer:
		v.Set(reflect.New(v.Type().Elem()))
		return n.into(v.Elem())
	case reflect.Struct:
		for i := range v.NumField() {
			child := n.children[wireName(v.Type().Field(i))]
			if child == nil {
				continue
			}
			if err := child.into(v.Field(i)); err != nil {
				return err
			}
		}
		return nil
	case reflect.Slice:
		if v.Type().Elem().Kind() != reflect.Uint8 {
			return n.intoList(v)
		}
	}
	return n.intoScalar(v)
}

func (n *node) intoScalar(v reflect.Value) error {
	var err error
	switch v.Kind() {
	case reflect.String:
		if !utf8.ValidString(n.value) {
			return malformedInput("A value is not UTF-8.")
		}
		v.SetString(n.value)
	case reflect.Bool:
		switch n.value {
		case "true":
			v.SetBool(true)
		case "false", "":
		default:
			return malformedInput("BOOLEAN_VALUE can not be converted to a Boolean")
		}
	case reflect.Slice:
		var b []byte
		b, err = base64.StdEncoding.DecodeString(n.value)
		v.SetBytes(b)
	default:
		var i int64
		i, err = strconv.ParseInt(n.value, 10, 32)
		v.SetInt(i)
	}
	if err != nil {
		return malformedInput("a value can't be converted to the type of its member") // the value itself may be somebody's secret
	}
	return nil
}

// intoList decodes Name.member.1, .2, ... in the order of their numbers. An
// empty Name is an empty list.
func (n *node) intoList(v reflect.Value) error {
	members := n.children["member"]
	v.Set(reflect.MakeSlice(v.Type(), 0, 0))
	if members == nil {
		return nil
	}
	numbers := make([]int, 0, len(members.children))
	for name := range members.children {
		i, err := strconv.Atoi(name)
		if err != nil || i < 1 || strconv.Itoa(i) != name {
			return malformedInput("A list's member has no number.")
		}
		numbers = append(numbers, i)
	}
	slices.Sort(numbers)
	v.Set(reflect.MakeSlice(v.Type(), len(numbers), len(numbers)))
	for at, i := range numbers {
		if err := members.children[strconv.Itoa(i)].into(v.Index(at)); err != nil {
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

// CompileQuery checks the shapes of an operation of the Query dialect.
func CompileQuery(name string, in, out reflect.Type) (*Plan, error) {
	for i, t := range []reflect.Type{in, out} {
		if err := checkQuery(t, 0, i == 1); err != nil {
			return nil, fmt.Errorf("%v: %w", t, err)
		}
	}
	return &Plan{action: name, body: -1, outBody: -1}, nil
}

// checkQuery checks one shape; maps go out and never come in.
func checkQuery(t reflect.Type, depth int, out bool) error {
	if depth > maxFormDepth {
		return fmt.Errorf("type %v is too deep", t)
	}
	switch t.Kind() {
	case reflect.Pointer:
		return checkQuery(t.Elem(), depth, out)
	case reflect.Slice:
		return checkQuery(t.Elem(), depth+1, out)
	case reflect.Map:
		if out && t.Key().Kind() == reflect.String {
			return checkQuery(t.Elem(), depth+1, out)
		}
	case reflect.Struct:
		for i := range t.NumField() {
			f := t.Field(i)
			if t == reflect.TypeFor[time.Time]() {
				return nil
			}
			if f.Anonymous || !f.IsExported() {
				return fmt.Errorf("%s has no place on the wire", f.Name)
			}
			if err := checkQuery(f.Type, depth+1, out); err != nil {
				return fmt.Errorf("%s: %w", f.Name, err)
			}
		}
		return nil
	case reflect.String, reflect.Bool, reflect.Int, reflect.Int32, reflect.Int64, reflect.Uint8:
		return nil
	}
	return fmt.Errorf("type %v has no place on the wire", t)
}
