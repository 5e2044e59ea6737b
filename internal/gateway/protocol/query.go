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
	"sort"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"watertight/internal/fault"
	"watertight/internal/limit"
)

// The Query dialect of IAM and STS: a form comes in, XML goes out (IAM user
// guide, "Making query requests"). Shapes are plain structs whose member names
// are the names on the wire; the tag wire replaces one.

// Limits of a form. One that nobody signed is an answer to a single question
// and is small.
const (
	maxForm           = 1 << 20 // bytes
	maxFormParams     = 10_000
	maxUnsigned       = 64 << 10
	maxUnsignedParams = 200
	maxFormDepth      = 10
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
		r.Form = r.Query
		return nil
	}
	size, params := int64(maxUnsigned), maxUnsignedParams
	if r.claimed() {
		size, params = maxForm, maxFormParams
	}
	ctx := r.HTTP.Context()
	held := limit.From(ctx)
	b, err := held.Read(ctx, r.HTTP.Body, r.HTTP.ContentLength, size)
	if err != nil {
		return broken(err)
	}
	if int64(len(b)) > size {
		return fault.Of(fault.RequestEntityTooLarge)
	}
	// The parameters are copies, and are sorted in another list.
	if err := held.Take(ctx, int64(len(b)+2*paramSize*(bytes.Count(b, []byte("&"))+1))); err != nil {
		return err
	}
	r.Arrive() // whoever calls is judged by what is true now
	r.Document = b
	r.HTTP.Body = io.NopCloser(bytes.NewReader(b))
	if r.Form, err = parseParams(string(b), params); err != nil {
		return err
	}
	return r.oneForm()
}

// oneForm takes the query for the form where the body has none, and refuses
// parameters in both: readers differ in which of the two they take.
func (r *Request) oneForm() error {
	if len(r.Form) == 0 {
		r.Form = r.Query
		return nil
	}
	for _, p := range r.Query {
		if !isHeader(p.Name) { // those of a presigned URL
			return malformedInput("there are parameters in the query and in the body")
		}
	}
	return nil
}

// broken is a body that ended before its time, or a connection that did.
func broken(err error) error {
	if errors.As(err, new(*fault.Error)) {
		return err
	}
	return fault.Of(fault.IncompleteBody).Because(err)
}

// paramSize is what a Param takes besides its text, in bytes.
const paramSize = 32

// claimed reports whether a request says who signed it; whether that is true is
// not known yet.
func (r *Request) claimed() bool {
	_, query := r.Param("X-Amz-Signature")
	return query || r.HTTP.Header.Get("Authorization") != ""
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
		return 0, fault.Of(fault.MissingAction)
	}
	if i, ok := rt.actions[action]; ok && version == api.version && q.RawPath == "/" {
		return i, nil
	}
	return 0, fault.New(fault.InvalidAction, fmt.Sprintf("Could not find operation %.128s for version %.32s", action, version))
}

// Calls reports whether a form names an operation of this table in the version
// of a service, wherever its signature is scoped to.
func (rt *Router) Calls(q *Request, service string) bool {
	api, ok := queryService(service)
	_, named := rt.actions[q.formValue("Action")]
	return ok && named && q.formValue("Version") == api.version && q.RawPath == "/"
}

// part is a part of a form, as Tags.member.1.Key is one of Tags.member.1. It
// points into the sorted parameters: only what a shape asks for is looked up.
type part struct {
	value string
	set   bool
	under []Param // those whose names go on below it
	at    int     // where their next part begins
}

// partsOf sorts a form.
func partsOf(form []Param) (part, error) {
	sorted := slices.Clone(form)
	slices.SortFunc(sorted, func(a, b Param) int { return strings.Compare(a.Name, b.Name) })
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

// child finds the part of a name below p.
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

// numbers are the numbers of a list's members, in order.
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

// malformedInput has no message in AWS's answers; the log is told.
func malformedInput(cause string) *fault.Error {
	return fault.New(fault.MalformedInput, "").Because(errors.New(cause))
}

// decodeQuery fills a shape from the form. The body is read to its end first,
// which is where its hash is verified.
func decodeQuery(r *Request, body io.Reader, in any) error {
	if _, err := io.Copy(io.Discard, body); err != nil {
		return err
	}
	root, err := partsOf(r.Form)
	if err != nil {
		return err
	}
	return root.into(reflect.ValueOf(in).Elem())
}

// into decodes a part into a value; what is not in the form stays zero.
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
		return malformedInput("a value can't be converted to the type of its member") // the value itself may be somebody's secret
	}
	return nil
}

// intoList decodes Name.member.1, .2, ... in the order of their numbers. An
// empty Name is an empty list.
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
