package dispatch

import (
	"context"
	"net/http"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"watertight/internal/access/arn"
	"watertight/internal/access/authz"
	"watertight/internal/gateway/audit"
	"watertight/internal/gateway/protocol"
)

// members are the members of a shape that an audit event records, so that the event says
// what was asked for. Members in S3's queries and headers have their names on the wire if
// audit.Relevant includes them. Members of documents and of Query requests have the names
// that CloudTrail gives them: with a small first letter, and with a dot before members of
// members.
type members []member

type member struct {
	name  string
	index []int
	plain bool // text under this name is no secret, as audit.Secret says
}

// given says which requests may have members that are recorded: all, or those that have a query
// or one of some headers.
type given struct {
	always  bool
	headers protocol.Initials
}

func (g given) in(r *protocol.Request) bool { return g.always || len(r.Query) > 0 || r.May(g.headers) }

// membersOf returns the members of a shape that are recorded, and which requests have some.
func membersOf(t reflect.Type) (all members, g given) {
	for _, f := range reflect.VisibleFields(t) {
		if f.Anonymous || !f.IsExported() {
			continue
		}
		place, name, _ := strings.Cut(f.Tag.Get("loc"), ",")
		switch place {
		case "uri":
			if name != "Bucket" && name != "Key" && name != "BucketURL" {
				all, g.always = append(all, memberOf(small(f.Name), f)), true
			}
		case "query", "header":
			if audit.Relevant(name) {
				all = append(all, memberOf(name, f))
				if place == "header" {
					g.headers |= protocol.InitialOf(http.CanonicalHeaderKey(name))
				}
			}
		case "body":
			all, g.always = append(all, memberOf(small(name), f)), true
		case "text", "":
			all, g.always = append(all, memberOf(small(f.Name), f)), true
		}
	}
	return all, g
}

// memberOf examines the name of a member once, not for each request.
func memberOf(name string, f reflect.StructField) member {
	return member{name, f.Index, f.Type.Kind() == reflect.String && !audit.Secret(name)}
}

// small returns a name with a small first letter.
func small(name string) string {
	r, n := utf8.DecodeRuneInString(name)
	return string(unicode.ToLower(r)) + name[n:]
}

// Limits of what is recorded. The log has limits for what it writes.
const (
	maxDepth   = 6
	maxValues  = 1000
	maxItems   = 100
	maxOfBatch = 10 // keys and parts; the event of the change names everything that was deleted
)

// record adds the values in in to the parameters.
func (all members) record(in reflect.Value, to *[]audit.Param) {
	for _, m := range all {
		v := in.FieldByIndex(m.index)
		if !m.plain {
			recordValue(v, m.name, maxDepth, to)
		} else if v.Len() > 0 && len(*to) < maxValues {
			add(to, audit.Param{Name: m.name, Value: v.String(), Harmless: true})
		}
	}
}

// add appends a parameter. Most requests that have one have a second.
func add(to *[]audit.Param, p audit.Param) {
	if *to == nil {
		*to = make([]audit.Param, 0, 2)
	}
	*to = append(*to, p)
}

func recordValue(v reflect.Value, name string, depth int, to *[]audit.Param) {
	if depth == 0 || len(*to) >= maxValues {
		return
	}
	given := false // if it was given, its zero value is recorded, too
	if v.Kind() == reflect.Pointer {
		if v.IsNil() {
			return
		}
		v, given = v.Elem(), true
	}
	switch v.Kind() {
	case reflect.String:
		if v.Len() > 0 {
			add(to, audit.Param{Name: name, Value: v.String()})
		}
	case reflect.Bool:
		if v.Bool() || given {
			add(to, audit.Param{Name: name, Value: strconv.FormatBool(v.Bool()), Harmless: true})
		}
	case reflect.Int, reflect.Int32, reflect.Int64:
		if v.Int() != 0 || given {
			*to = append(*to, audit.Param{Name: name, Value: strconv.FormatInt(v.Int(), 10), Harmless: true})
		}
	case reflect.Slice:
		if v.Type().Elem().Kind() == reflect.Uint8 {
			return
		}
		most := maxItems
		if strings.HasPrefix(name, "delete.") || strings.HasPrefix(name, "completeMultipartUpload.") {
			most = maxOfBatch
		}
		for i := range min(v.Len(), most) {
			recordValue(v.Index(i), name, depth, to)
		}
		if v.Len() > most {
			*to = append(*to, audit.Param{Name: name + ".count", Value: strconv.Itoa(v.Len()), Harmless: true})
		}
	case reflect.Map:
		recordMap(v, name, depth, to)
	case reflect.Struct:
		if t, ok := v.Interface().(time.Time); ok {
			if !t.IsZero() {
				*to = append(*to, audit.Param{Name: name, Value: t.UTC().Format(time.RFC3339), Harmless: true})
			}
			return
		}
		for _, f := range reflect.VisibleFields(v.Type()) {
			if !f.Anonymous && f.IsExported() {
				recordValue(v.FieldByIndex(f.Index), name+"."+small(f.Name), depth-1, to)
			}
		}
	}
}

// recordMap records entries in the order of their keys, with the name of the map, a dot and
// the key.
func recordMap(v reflect.Value, name string, depth int, to *[]audit.Param) {
	keys := v.MapKeys()
	slices.SortFunc(keys, func(a, b reflect.Value) int { return strings.Compare(a.String(), b.String()) })
	for _, k := range keys[:min(len(keys), maxItems)] {
		recordValue(v.MapIndex(k), name+"."+k.String(), depth-1, to)
	}
	if len(keys) > maxItems {
		*to = append(*to, audit.Param{Name: name + ".count", Value: strconv.Itoa(len(keys)), Harmless: true})
	}
}

// Recorded returns the names that the event of an operation may have for its input, without
// bucket and key, for tests and documentation.
func (o Operation[In, Out]) Recorded() []string {
	var names []string
	t := reflect.TypeFor[In]()
	for _, m := range o.asked {
		names = append(names, recordedNames(t.FieldByIndex(m.index).Type, m.name, maxDepth)...)
	}
	slices.Sort(names)
	return slices.Compact(names)
}

func recordedNames(t reflect.Type, name string, depth int) []string {
	if t.Kind() == reflect.Pointer || t.Kind() == reflect.Slice {
		t = t.Elem()
	}
	if t.Kind() == reflect.Uint8 {
		return nil // bytes are never recorded
	}
	if depth == 0 || t.Kind() != reflect.Struct || t == reflect.TypeFor[time.Time]() {
		if t.Kind() == reflect.String && audit.Secret(name) {
			return nil
		}
		return []string{name}
	}
	var names []string
	for _, f := range reflect.VisibleFields(t) {
		if !f.Anonymous && f.IsExported() {
			names = append(names, recordedNames(f.Type, name+"."+small(f.Name), depth-1)...)
		}
	}
	return names
}

// record adds what was asked for to the event, before the request is decided.
func (o Operation[In, Out]) record(r *protocol.Request, c authz.Caller, in *In) {
	if record, ok := c.Record().(*audit.Record); ok {
		if o.given.in(r) {
			o.asked.record(reflect.ValueOf(in).Elem(), &record.Event.Parameters)
		}
		if record.Event.Operation.Stores {
			record.Event.SSEApplied = sseAsked(record.Event.Parameters)
		}
	}
}

// sseAsked returns the encryption that a write asks for, by CloudTrail's name.
func sseAsked(asked []audit.Param) string {
	for _, p := range asked {
		switch p.Name {
		case "x-amz-server-side-encryption-customer-algorithm":
			return "SSE_C"
		case "x-amz-server-side-encryption":
			return audit.SSEApplied(p.Value)
		}
	}
	return "Default_SSE_S3"
}

// admit adds the result of the decision to the event, and reserves space for the event of a
// read before it is answered.
func (o Operation[In, Out]) admit(ctx context.Context, c authz.Caller, g authz.Grant) error {
	record, ok := c.Record().(*audit.Record)
	if !ok {
		return nil
	}
	if o.may.Because() != "" || g.Holds() {
		record.Granted()
	}
	e := &record.Event
	if e.Owner == "" && e.Bucket != "" {
		e.Owner = g.Owner(arn.Bucket(e.Bucket))
	}
	if e.Operation.Copies {
		for _, from := range g.Objects("s3:GetObject", "s3:GetObjectVersion") {
			if owner := g.Owner(from); owner != e.Owner {
				record.Source(from.Resource, from.Key, owner)
			}
		}
	}
	return record.Admit(ctx)
}

// answers are the headers of a response that describe the version in the event of a read;
// nil if it has none. Like those of a request, they are found by their names on the wire.
type answers struct{ customer, encryption, version []int }

func answersOf(t reflect.Type) (a answers) {
	for _, f := range reflect.VisibleFields(t) {
		if f.Type.Kind() != reflect.String {
			continue
		}
		switch f.Tag.Get("loc") {
		case "header,x-amz-server-side-encryption-customer-algorithm":
			a.customer = f.Index
		case "header,x-amz-server-side-encryption":
			a.encryption = f.Index
		case "header,x-amz-version-id":
			a.version = f.Index
		}
	}
	return a
}

func (o Operation[In, Out]) answered(record *audit.Record, out any) (response []audit.Param) {
	shape, _ := out.(*Out)
	if record == nil || shape == nil {
		return nil
	}
	v := reflect.ValueOf(shape).Elem()
	text := func(index []int) string {
		if index == nil {
			return ""
		}
		return v.FieldByIndex(index).String()
	}
	if text(o.answer.customer) != "" {
		record.Event.SSEApplied = "SSE_C"
	} else if s := text(o.answer.encryption); s != "" && record.Event.SSEApplied == "" {
		record.Event.SSEApplied = audit.SSEApplied(s)
	}
	if id := text(o.answer.version); id != "" && record.Event.Operation.Service == "s3" {
		response = append(response, audit.Param{Name: "x-amz-version-id", Value: id})
	}
	return response
}
