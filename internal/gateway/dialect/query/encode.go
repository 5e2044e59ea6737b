package query

import (
	"encoding/base64"
	"net/http"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"

	"watertight/internal/fault"
	"watertight/internal/gateway/dialect/xmldoc"
	"watertight/internal/gateway/protocol"
)

// Encode implements dialect.Dialect.
func (s *service) Encode(op int, w http.ResponseWriter, r *protocol.Request, out any) (int64, error) {
	action := s.names[op]
	p := s.buffers.Take()
	defer s.buffers.Give(p)
	b := append(*p, "<"+action+`Response xmlns="`+s.namespace+`">`...)
	if out != nil {
		if v := reflect.ValueOf(out).Elem(); v.NumField() > 0 {
			b = append(b, "<"+action+"Result>"...)
			b = appendMembers(b, v)
			b = append(b, "</"+action+"Result>"...)
		}
	}
	b = append(b, "<ResponseMetadata>"...)
	b = xmldoc.AppendMember(b, "RequestId", r.ID)
	b = append(b, "</ResponseMetadata></"+action+"Response>"...)
	*p = b
	protocol.CommonHeaders(w, r)
	h := w.Header()
	h["Content-Type"] = []string{"text/xml"}
	h["Content-Length"] = []string{strconv.Itoa(len(b))}
	w.WriteHeader(http.StatusOK)
	n, err := w.Write(b)
	return int64(n), err
}

func appendMembers(b []byte, v reflect.Value) []byte {
	for i := range v.NumField() {
		b = appendMember(b, wireName(v.Type().Field(i)), v.Field(i))
	}
	return b
}

// appendMember writes one member. It leaves out nil, "" and the zero time.
func appendMember(b []byte, name string, v reflect.Value) []byte {
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
		return xmldoc.AppendMember(b, name, t.UTC().Format(time.RFC3339))
	}
	switch v.Kind() {
	case reflect.Bool:
		return xmldoc.AppendMember(b, name, strconv.FormatBool(v.Bool()))
	case reflect.String:
		return xmldoc.AppendMember(b, name, v.String())
	case reflect.Slice:
		if v.IsNil() {
			return b
		}
		if v.Type().Elem().Kind() == reflect.Uint8 {
			return xmldoc.AppendMember(b, name, base64.StdEncoding.EncodeToString(v.Bytes()))
		}
		b = append(append(append(b, '<'), name...), '>')
		for i := range v.Len() {
			b = appendListMember(b, v.Index(i))
		}
		return append(append(append(b, "</"...), name...), '>')
	case reflect.Map:
		return appendMap(b, name, v)
	case reflect.Struct:
		b = append(append(append(b, '<'), name...), '>')
		b = appendMembers(b, v)
		return append(append(append(b, "</"...), name...), '>')
	}
	return xmldoc.AppendMember(b, name, strconv.FormatInt(v.Int(), 10))
}

// appendMap writes the entries of a map in the order of their keys. It leaves out a nil map.
func appendMap(b []byte, name string, v reflect.Value) []byte {
	if v.IsNil() {
		return b
	}
	b = append(append(append(b, '<'), name...), '>')
	keys := v.MapKeys()
	slices.SortFunc(keys, func(a, b reflect.Value) int { return strings.Compare(a.String(), b.String()) })
	for _, k := range keys {
		b = xmldoc.AppendMember(append(b, "<entry>"...), "key", k.String())
		b = append(appendMember(b, "value", v.MapIndex(k)), "</entry>"...)
	}
	return append(append(append(b, "</"...), name...), '>')
}

// appendListMember writes a member of a list, even an empty string.
func appendListMember(b []byte, v reflect.Value) []byte {
	if v.Kind() == reflect.String {
		return xmldoc.AppendMember(b, "member", v.String())
	}
	return appendMember(b, "member", v)
}

// WriteError implements dialect.Dialect.
func (s *service) WriteError(w http.ResponseWriter, r *protocol.Request, f *fault.Error) {
	WriteError(w, r, s.namespace, f)
}

// WriteError writes the error page of a service whose documents have a namespace,
// which may be "".
func WriteError(w http.ResponseWriter, r *protocol.Request, namespace string, f *fault.Error) {
	f = translate(f)
	status := f.Kind.Status()
	kind := "Sender"
	if status >= http.StatusInternalServerError {
		kind = "Receiver"
	}
	if f.Code == fault.InvalidAction || f.Code == fault.MissingAction {
		namespace = "http://webservices.amazon.com/AWSFault/2005-15-09" // that of AWS's front end
	}
	b := make([]byte, 0, 512)
	b = append(b, xmldoc.Declaration+`<ErrorResponse`...)
	if namespace != "" {
		b = append(b, ` xmlns="`+namespace+`"`...)
	}
	b = append(b, "><Error>"...)
	b = xmldoc.AppendMember(b, "Type", kind)
	b = xmldoc.AppendMember(b, "Code", string(f.Code))
	if f.Message != "" {
		b = append(b, "<Message>"+numbered(f.Message)+"</Message>"...)
	}
	b = append(b, "</Error>"...)
	b = xmldoc.AppendMember(b, "RequestId", r.ID)
	b = append(b, "</ErrorResponse>"...)
	protocol.WritePage(w, status, "text/xml", b)
}

// numbered escapes a message. It writes quotes as numeric references, as IAM does.
func numbered(message string) string {
	s := strings.ReplaceAll(string(xmldoc.AppendText(nil, message)), "'", "&#39;")
	return strings.ReplaceAll(s, "&quot;", "&#34;")
}

// translate maps S3's codes for authentication to those of IAM and STS (IAM API reference, "Common errors").
func translate(f *fault.Error) *fault.Error {
	switch f.Code {
	case "InvalidAccessKeyId", "InvalidToken":
		return fault.New(fault.InvalidClientTokenId, "The security token included in the request is invalid.").
			Because(f.Err)
	case "ExpiredToken":
		return fault.New(fault.ExpiredToken, "The security token included in the request is expired").
			WithKind(fault.KindDenied)
	case "AuthorizationQueryParametersError":
		return fault.New(fault.IncompleteSignature, f.Message)
	case "InternalError":
		return fault.Of(fault.ServiceFailure).Because(f.Err)
	}
	return f
}
