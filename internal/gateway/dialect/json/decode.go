package json

import (
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"math"
	"reflect"
	"strconv"
	"strings"
	"time"

	"watertight/internal/fault"
	"watertight/internal/gateway/protocol"
	"watertight/internal/gateway/sigv4"
	"watertight/internal/strictjson"
)

// Shapes are plain structs whose member names are the names on the wire, unless the tag
// wire has another name. Their types are text, booleans, integers, float64, []byte
// (base64), time.Time (seconds since 1970), structs, lists, maps by text, and pointers to
// these, which distinguish a missing member from the zero value.

// serialization is the error for a document that can't be decoded. AWS sends no message
// that clients could rely on; the cause is logged.
func serialization(cause error) error {
	return fault.New(fault.SerializationException, "").Because(cause)
}

// Decode implements dialect.Dialect. It first reads the body to its end, where the body's
// hash is verified. An empty document has no members.
func (s *service) Decode(_ int, r *protocol.Request, body sigv4.Body, in any) error {
	if _, err := io.Copy(io.Discard, body); err != nil {
		return err
	}
	return decode(r.Document, in)
}

func decode(document []byte, in any) error {
	if len(document) == 0 {
		return nil
	}
	o, err := strictjson.Read(document, maxDepth)
	if err == nil {
		err = decodeStruct(o, reflect.ValueOf(in).Elem())
	}
	if err != nil {
		return serialization(err)
	}
	return nil
}

// decodeStruct sets the members that are present and not null. It ignores unknown members,
// as AWS does.
func decodeStruct(o strictjson.Object, v reflect.Value) error {
	t := v.Type()
	for i := range v.NumField() {
		raw, ok := o[wireName(t.Field(i))]
		if !ok || isNull(raw) {
			continue
		}
		if err := decodeValue(raw, v.Field(i)); err != nil {
			return fmt.Errorf("%s: %w", t.Field(i).Name, err)
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

func isNull(v strictjson.Value) bool { return string(v) == "null" }

func decodeValue(raw strictjson.Value, v reflect.Value) error {
	if isNull(raw) {
		return errors.New("an item is null")
	}
	if v.Kind() == reflect.Pointer {
		v.Set(reflect.New(v.Type().Elem()))
		return decodeValue(raw, v.Elem())
	}
	if v.Type() == reflect.TypeFor[time.Time]() {
		return decodeTime(raw, v)
	}
	switch v.Kind() {
	case reflect.Struct:
		o, err := strictjson.Members(raw)
		if err != nil {
			return err
		}
		return decodeStruct(o, v)
	case reflect.Map:
		return decodeMap(raw, v)
	case reflect.Slice:
		if v.Type().Elem().Kind() == reflect.Uint8 {
			return decodeBlob(raw, v)
		}
		return decodeList(raw, v)
	}
	return decodeScalar(raw, v)
}

func decodeScalar(raw strictjson.Value, v reflect.Value) error {
	switch v.Kind() {
	case reflect.String:
		s, err := strictjson.Text(raw)
		v.SetString(s)
		return err
	case reflect.Bool:
		if s := string(raw); s != "true" && s != "false" {
			return errors.New("a boolean is expected")
		}
		v.SetBool(string(raw) == "true")
	case reflect.Float64:
		n, err := float(raw)
		v.SetFloat(n)
		return err
	default:
		n, err := strconv.ParseInt(string(raw), 10, v.Type().Bits())
		if err != nil {
			return errors.New("a whole number is expected") // without the value, which may be a secret
		}
		v.SetInt(n)
	}
	return nil
}

// float decodes a number, or one of the three values that JSON can't express as numbers.
func float(raw strictjson.Value) (float64, error) {
	switch string(raw) {
	case `"NaN"`:
		return math.NaN(), nil
	case `"Infinity"`:
		return math.Inf(1), nil
	case `"-Infinity"`:
		return math.Inf(-1), nil
	}
	n, err := strconv.ParseFloat(string(raw), 64)
	if err != nil {
		return 0, errors.New("a number is expected")
	}
	return n, nil
}

// decodeTime decodes seconds since 1970, in milliseconds, between the years 1 and 9999.
func decodeTime(raw strictjson.Value, v reflect.Value) error {
	const first, last = -62135596800, 253402300800
	n, err := strconv.ParseFloat(string(raw), 64)
	if err != nil || !(n >= first && n < last) {
		return errors.New("seconds since 1970 are expected")
	}
	v.Set(reflect.ValueOf(time.UnixMilli(int64(math.Round(n * 1000))).UTC()))
	return nil
}

func decodeBlob(raw strictjson.Value, v reflect.Value) error {
	s, err := strictjson.Text(raw)
	if err != nil {
		return err
	}
	if strings.ContainsAny(s, "\r\n") { // encoding/base64 would ignore them
		return errors.New("base64 is expected")
	}
	b, err := base64.StdEncoding.DecodeString(s)
	if err != nil {
		return errors.New("base64 is expected")
	}
	v.SetBytes(b)
	return nil
}

func decodeList(raw strictjson.Value, v reflect.Value) error {
	items, err := strictjson.Items(raw)
	if err != nil {
		return err
	}
	v.Set(reflect.MakeSlice(v.Type(), len(items), len(items)))
	for i, item := range items {
		if err := decodeValue(item, v.Index(i)); err != nil {
			return err
		}
	}
	return nil
}

func decodeMap(raw strictjson.Value, v reflect.Value) error {
	o, err := strictjson.Members(raw)
	if err != nil {
		return err
	}
	t := v.Type()
	v.Set(reflect.MakeMapWithSize(t, len(o)))
	for name, item := range o {
		value := reflect.New(t.Elem()).Elem()
		if err := decodeValue(item, value); err != nil {
			return err
		}
		v.SetMapIndex(reflect.ValueOf(name).Convert(t.Key()), value)
	}
	return nil
}

// check refuses shapes that the dialect can't encode and decode. A shape may contain
// itself, because the depth of documents is bounded.
func check(t reflect.Type, seen map[reflect.Type]bool) error {
	if seen[t] || t == reflect.TypeFor[time.Time]() {
		return nil
	}
	seen[t] = true
	switch t.Kind() {
	case reflect.String, reflect.Bool, reflect.Int, reflect.Int32, reflect.Int64, reflect.Float64:
		return nil
	case reflect.Pointer:
		return check(t.Elem(), seen)
	case reflect.Slice:
		if t.Elem().Kind() == reflect.Uint8 {
			return nil
		}
		return check(t.Elem(), seen)
	case reflect.Map:
		if t.Key().Kind() == reflect.String {
			return check(t.Elem(), seen)
		}
	case reflect.Struct:
		names := map[string]bool{}
		for i := range t.NumField() {
			f := t.Field(i)
			if f.Anonymous || !f.IsExported() || names[wireName(f)] {
				return fmt.Errorf("%s has no place on the wire", f.Name)
			}
			names[wireName(f)] = true
			if err := check(f.Type, seen); err != nil {
				return fmt.Errorf("%s: %w", f.Name, err)
			}
		}
		return nil
	}
	return fmt.Errorf("type %v has no place on the wire", t)
}
