// Package query is the dialect of IAM and STS: requests are forms, and responses are XML
// (IAM user guide, "Making query requests"). It exists so that forms are bounded,
// unambiguous and strictly decoded. It must never know what an operation does or who may do
// it.
package query

import (
	"bytes"
	"errors"
	"fmt"
	"net/http"
	"reflect"
	"strings"
	"time"

	"watertight/internal/fault"
	"watertight/internal/gateway/dialect"
	"watertight/internal/gateway/protocol"
)

// Shapes are plain structs whose member names are the names on the wire, unless the tag
// wire has another name.

// Limits of a form. Few operations accept unsigned forms, so their limit is small.
const (
	maxForm           = 1 << 20 // bytes
	maxFormParams     = 10_000
	maxUnsigned       = 64 << 10 // bytes
	maxUnsignedParams = 200
	maxFormDepth      = 10
)

// Route says which requests are for an operation of the Query dialect.
type Route struct {
	action string
	sender dialect.Sender
}

// Action returns the route of an operation by its name.
func Action(name string) Route { return Route{action: name} }

// Bearer marks an operation whose caller presents a token in the input instead of signing.
func (r Route) Bearer() Route { r.sender = dialect.Bearer; return r }

// String implements dialect.Route.
func (r Route) String() string { return "Action=" + r.action }

// Method implements dialect.Route.
func (r Route) Method() string { return http.MethodPost }

// Sender implements dialect.Route.
func (r Route) Sender() dialect.Sender { return r.sender }

// service is the dialect of one table.
type service struct {
	version, namespace string
	actions            map[string]int // by name
	names              []string
	buffers            dialect.Buffers
}

// API returns the dialect of a service whose API has a version, for example "2010-05-08",
// and whose documents have a namespace.
func API(version, namespace string) dialect.Compile {
	return func(ops []dialect.Operation) (dialect.Dialect, error) {
		s := &service{version: version, namespace: namespace, actions: map[string]int{}}
		var culprits []error
		for i, op := range ops {
			r, ok := op.Route.(Route)
			if !ok {
				culprits = append(culprits, fmt.Errorf("%s: %v is a route of another dialect", op.Name, op.Route))
				continue
			}
			if _, twice := s.actions[r.action]; twice {
				culprits = append(culprits, fmt.Errorf("two operations are named %s", r.action))
			}
			for j, t := range []reflect.Type{op.In, op.Out} {
				if err := check(t, 0, j == 1); err != nil {
					culprits = append(culprits, fmt.Errorf("%s: %v: %w", op.Name, t, err))
				}
			}
			s.actions[r.action] = i
			s.names = append(s.names, r.action)
		}
		return s, errors.Join(culprits...)
	}
}

// Recognizes implements dialect.Dialect. It recognizes the version, in the query of a
// request to the root, or in a form that was read.
func (s *service) Recognizes(r *protocol.Request) bool {
	if r.RawPath != "/" {
		return false
	}
	if r.HTTP.Method == http.MethodPost {
		return formValue(r, "Version") == s.version
	}
	_, action := r.Param("Action")
	version, _ := r.Param("Version")
	return action && version == s.version
}

// Read implements dialect.Dialect. It reads the parameters from the body or the query.
func (s *service) Read(r *protocol.Request) error {
	if r.HTTP.Method != http.MethodPost || r.HTTP.Body == nil {
		r.Form = r.Query
		return nil
	}
	size, params := int64(maxUnsigned), maxUnsignedParams
	if r.HasSignature() {
		size, params = maxForm, maxFormParams
	}
	err := r.ReadAhead(size, func(b []byte) int64 {
		// The parameters are copied, and sorted in another list.
		return int64(len(b) + 2*paramSize*(bytes.Count(b, []byte("&"))+1))
	})
	if err != nil {
		return err
	}
	if r.Form, err = protocol.ParseParams(string(r.Document), params); err != nil {
		return err
	}
	return oneForm(r)
}

// paramSize is the memory for a parameter in addition to its text, in bytes.
const paramSize = 32

// oneForm uses the query as the form if the body has none. It refuses parameters in both,
// because programs differ in which of the two they use.
func oneForm(r *protocol.Request) error {
	if len(r.Form) == 0 {
		r.Form = r.Query
		return nil
	}
	for _, p := range r.Query {
		if !protocol.IsAmzHeader(p.Name) { // parameters of a presigned URL
			return malformedInput("there are parameters in the query and in the body")
		}
	}
	return nil
}

// IsForm reports whether a request has the form of this dialect: a form that is posted to
// the root. S3 has no such operation.
func IsForm(r *protocol.Request) bool {
	if r.HTTP.Method != http.MethodPost || r.RawPath != "/" {
		return false
	}
	kind, _, _ := strings.Cut(r.HTTP.Header.Get("Content-Type"), ";")
	return strings.EqualFold(strings.TrimSpace(kind), "application/x-www-form-urlencoded")
}

// formValue returns the value of a form's parameter.
func formValue(r *protocol.Request, name string) string {
	for i := range r.Form {
		if r.Form[i].Name == name {
			return r.Form[i].Value
		}
	}
	return ""
}

// Match implements dialect.Dialect.
func (s *service) Match(r *protocol.Request) (int, error) {
	action, version := formValue(r, "Action"), formValue(r, "Version")
	if action == "" {
		return 0, fault.Of(fault.MissingAction)
	}
	if i, ok := s.actions[action]; ok && version == s.version && r.RawPath == "/" {
		return i, nil
	}
	return 0, fault.New(fault.InvalidAction,
		fmt.Sprintf("Could not find operation %.128s for version %.32s", action, version))
}

// Streams implements dialect.Dialect. No operation streams.
func (s *service) Streams(int) bool { return false }

// check checks one shape. Maps are allowed only in outputs.
func check(t reflect.Type, depth int, out bool) error {
	if depth > maxFormDepth {
		return fmt.Errorf("type %v is too deep", t)
	}
	switch t.Kind() {
	case reflect.Pointer:
		return check(t.Elem(), depth, out)
	case reflect.Slice:
		return check(t.Elem(), depth+1, out)
	case reflect.Map:
		if out && t.Key().Kind() == reflect.String {
			return check(t.Elem(), depth+1, out)
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
			if err := check(f.Type, depth+1, out); err != nil {
				return fmt.Errorf("%s: %w", f.Name, err)
			}
		}
		return nil
	case reflect.String, reflect.Bool, reflect.Int, reflect.Int32, reflect.Int64, reflect.Uint8:
		return nil
	}
	return fmt.Errorf("type %v has no place on the wire", t)
}
