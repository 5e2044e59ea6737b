package protocol

import (
	"encoding/base64"
	"net/http"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"

	"watertight/internal/fault"
)

// queryDocument writes the answer of a Query operation; out may be nil.
func (e *Encoder) queryDocument(w http.ResponseWriter, r *Request, status int, action string, out any) (int64, error) {
	api, _ := queryService(r.Service)
	p := e.take()
	defer e.give(p)
	b := append(*p, "<"+action+`Response xmlns="`+api.namespace+`">`...)
	if out != nil {
		if v := reflect.ValueOf(out).Elem(); v.NumField() > 0 {
			b = append(b, "<"+action+"Result>"...)
			b = appendQueryMembers(b, v)
			b = append(b, "</"+action+"Result>"...)
		}
	}
	b = append(b, "<ResponseMetadata>"...)
	b = appendMember(b, "RequestId", r.ID)
	b = append(b, "</ResponseMetadata></"+action+"Response>"...)
	*p = b
	h := w.Header()
	h["Content-Type"] = []string{"text/xml"}
	h["Content-Length"] = []string{strconv.Itoa(len(b))}
	w.WriteHeader(status)
	n, err := w.Write(b)
	return int64(n), err
}

func appendQueryMembers(b []byte, v reflect.Value) []byte {
	for i := range v.NumField() {
		b = appendQueryMember(b, wireName(v.Type().Field(i)), v.Field(i))
	}
	return b
}

// appendQueryMember writes one member: nil, "" and the zero time are left out.
func appendQueryMember(b []byte, name string, v reflect.Value) []byte {
	if v.Kind() == reflect.Pointer {
		if v.IsNil() {
			return b
		}
		v = v.Elem()
	} else if v.Kind() == reflect.String && v.Len() == 0 {
		return b
	}
	if t, ok := v.Interface().(time.Time); ok {
		if t.IsZero() {
			return b
		}
		return appendMember(b, name, t.UTC().Format(time.RFC3339))
	}
	switch v.Kind() {
	case reflect.Bool:
		return appendMember(b, name, strconv.FormatBool(v.Bool()))
	case reflect.String:
		return appendMember(b, name, v.String())
	case reflect.Slice:
		if v.IsNil() {
			return b
		}
		if v.Type().Elem().Kind() == reflect.Uint8 {
			return appendMember(b, name, base64.StdEncoding.EncodeToString(v.Bytes()))
		}
		b = append(append(append(b, '<'), name...), '>')
		for i := range v.Len() {
			b = appendListMember(b, v.Index(i))
		}
		return append(append(append(b, "</"...), name...), '>')
	case reflect.Map:
		return appendQueryMap(b, name, v)
	case reflect.Struct:
		b = append(append(append(b, '<'), name...), '>')
		b = appendQueryMembers(b, v)
		return append(append(append(b, "</"...), name...), '>')
	}
	return appendMember(b, name, strconv.FormatInt(v.Int(), 10))
}

// appendQueryMap writes the entries of a map in the order of their keys; a nil
// map is left out.
func appendQueryMap(b []byte, name string, v reflect.Value) []byte {
	if v.IsNil() {
		return b
	}
	b = append(append(append(b, '<'), name...), '>')
	keys := v.MapKeys()
	slices.SortFunc(keys, func(a, b reflect.Value) int { return strings.Compare(a.String(), b.String()) })
	for _, k := range keys {
		b = appendMember(append(b, "<entry>"...), "key", k.String())
		b = append(appendQueryMember(b, "value", v.MapIndex(k)), "</entry>"...)
	}
	return append(append(append(b, "</"...), name...), '>')
}

// appendListMember writes a member of a list, an empty string too.
func appendListMember(b []byte, v reflect.Value) []byte {
	if v.Kind() == reflect.String {
		return appendMember(b, "member", v.String())
	}
	return appendQueryMember(b, "member", v)
}

// writeQueryError writes the error document of a Query service.
func writeQueryError(w http.ResponseWriter, r *Request, api queryAPI, f *fault.Error) {
	f = queryFault(f)
	status := f.Kind.Status()
	kind := "Sender"
	if status >= http.StatusInternalServerError {
		kind = "Receiver"
	}
	namespace := api.namespace
	if f.Code == fault.InvalidAction || f.Code == fault.MissingAction {
		namespace = "http://webservices.amazon.com/AWSFault/2005-15-09" // said before a service was found
	}
	b := make([]byte, 0, 512)
	b = append(b, `<?xml version="1.0" encoding="UTF-8"?>`+"\n"+`<ErrorResponse`...)
	if namespace != "" {
		b = append(b, ` xmlns="`+namespace+`"`...)
	}
	b = append(b, "><Error>"...)
	b = appendMember(b, "Type", kind)
	b = appendMember(b, "Code", string(f.Code))
	if f.Message != "" {
		b = append(b, "<Message>"+numbered(f.Message)+"</Message>"...)
	}
	b = append(b, "</Error>"...)
	b = appendMember(b, "RequestId", r.ID)
	b = append(b, "</ErrorResponse>"...)
	h := w.Header()
	h.Set("Content-Type", "text/xml")
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Content-Length", strconv.Itoa(len(b)))
	w.WriteHeader(status)
	w.Write(b) // a client that is gone needs no answer
}

// numbered writes a message's quotes as this dialect does.
func numbered(message string) string {
	s := strings.ReplaceAll(string(appendText(nil, message)), "'", "&#39;")
	return strings.ReplaceAll(s, "&quot;", "&#34;")
}

// queryFault puts what S3's rooms say of authentication into the words of IAM
// and STS (IAM API reference, "Common errors").
func queryFault(f *fault.Error) *fault.Error {
	switch f.Code {
	case "InvalidAccessKeyId", "InvalidToken":
		return fault.New(fault.InvalidClientTokenId, "The security token included in the request is invalid.").Because(f.Err)
	case "ExpiredToken":
		return fault.New(fault.ExpiredToken, "The security token included in the request is expired").WithKind(fault.KindDenied)
	case "AuthorizationQueryParametersError":
		return fault.New(fault.IncompleteSignature, f.Message)
	case "InternalError":
		return fault.Of(fault.ServiceFailure).Because(f.Err)
	}
	return f
}
