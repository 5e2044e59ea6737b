package protocol

import (
	"bytes"
	"crypto/md5"
	"crypto/subtle"
	"encoding/base64"
	"encoding/hex"
	"encoding/xml"
	"errors"
	"io"
	"net/http"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"

	"watertight/internal/fault"
	"watertight/internal/storage/digest"
)

// Decode fills in, a pointer to the plan's input shape. A stream stays unread;
// every other body is read to its end, so that its signature is verified.
func (p *Plan) Decode(r *Request, route Route, body Stream, in any) error {
	if p.action != "" {
		return decodeQuery(r, body, in)
	}
	if err := checkSums(r.header()); err != nil {
		return err
	}
	if err := r.checkHoisted(); err != nil {
		return err
	}
	v := reflect.ValueOf(in).Elem()
	for i := range p.in {
		if err := p.in[i].decode(r, v.FieldByIndex(p.in[i].index)); err != nil {
			return err
		}
	}
	if p.stream != nil {
		if err := checkLength(r, body); err != nil {
			return err
		}
		if route.needsChecksum && !declaresChecksum(r.HTTP.Header) {
			return missingChecksum()
		}
		v.FieldByIndex(p.stream).Set(reflect.ValueOf(body))
		return nil
	}
	if r.HTTP.Header.Get("X-Amz-Content-Sha256") == "STREAMING-UNSIGNED-PAYLOAD-TRAILER" {
		// A trailer alone must not vouch for a document.
		return fault.New(fault.InvalidRequest, "The value of x-amz-content-sha256 header is invalid.")
	}
	b, err := r.readDocument(body)
	if err != nil {
		return err
	}
	if err := checkIntegrity(r.HTTP.Header, body, b, route); err != nil {
		return err
	}
	if p.text >= 0 {
		v.Field(p.text).SetString(string(b))
		return nil
	}
	if p.body < 0 || len(b) == 0 {
		return nil
	}
	if err := r.expand(b); err != nil {
		return err
	}
	err = decodeXML(b, p.root, v.Field(p.body))
	if f := fault.From(err); f != nil && route.malformed != "" && f.Code == fault.MalformedXML {
		return fault.New(route.malformed, f.Message).Because(f.Err)
	}
	return err
}

func (m *member) decode(r *Request, v reflect.Value) error {
	switch m.at {
	case inURI:
		switch m.name {
		case "Bucket":
			v.SetString(r.Bucket)
		case "BucketURL":
			v.SetString(r.bucketURL())
		default:
			v.SetString(r.Key)
		}
		return nil
	case inPrefix:
		return m.decodeMap(r, v)
	case inQuery:
		if s, ok := r.Param(m.name); ok {
			return m.set(v, s)
		}
	case inHeader:
		all := r.header()[m.key]
		switch {
		case len(all) > 1 && m.kind == isStrings:
			return m.set(v, strings.Join(all, ","))
		case len(all) > 1:
			return repeatedHeader(m.name)
		case len(all) == 1:
			return m.setHeader(v, all[0])
		}
		if s, ok := r.hoisted(m.name); ok {
			if strings.Contains(strings.ToLower(m.name), "encryption-customer-key") {
				return keyInURL(m.name)
			}
			return m.setHeader(v, s)
		}
	}
	return nil
}

// setHeader is set for a header that is there. One of S3's own that is empty
// asks for something; taken for one that was not sent, it would go unanswered.
// Members that tell the two apart judge it themselves.
func (m *member) setHeader(v reflect.Value, s string) error {
	if s == "" && m.empty != "" {
		return fault.New(m.empty, "The value of "+m.name+" is empty.").With("ArgumentName", m.name).With("ArgumentValue", "")
	}
	return m.set(v, s)
}

// checkLength refuses an upload whose length nobody says: nothing after its end
// would tell it from one that was cut. Forms frame their file themselves.
func checkLength(r *Request, body Stream) error {
	switch {
	case r.Fields != nil || body.Size() >= 0:
		return nil
	case len(r.HTTP.TransferEncoding) > 0:
		return fault.Of(fault.NotImplemented).With("Header", "Transfer-Encoding")
	}
	return fault.Of(fault.MissingContentLength)
}

// keyInURL refuses a customer's key that stands where everybody on the way
// writes it down. SDKs send it as a header (S3 user guide, "Presigned URLs
// and SSE-C").
func keyInURL(name string) error {
	return fault.New(fault.InvalidArgument, "A customer provided key must be sent as a header, and never in a URL.").With("ArgumentName", name)
}

func (m *member) decodeMap(r *Request, v reflect.Value) error {
	var out map[string]string
	add := func(name, value string) {
		if out == nil {
			out = map[string]string{}
		}
		out[strings.ToLower(name[len(m.key):])] = value
	}
	if r.presigned() {
		for _, p := range r.Query {
			if len(p.Name) > len(m.key) && strings.EqualFold(p.Name[:len(m.key)], m.key) {
				add(p.Name, p.Value)
			}
		}
	}
	for name, values := range r.header() { // a header is what its parameter says, or was refused
		if strings.HasPrefix(name, m.key) && len(name) > len(m.key) {
			add(name, values[0])
		}
	}
	if out != nil {
		v.Set(reflect.ValueOf(out))
	}
	return nil
}

func (m *member) set(v reflect.Value, s string) error {
	if m.enum != nil && !slices.Contains(m.enum, s) {
		return m.invalid(s)
	}
	switch m.kind {
	case isString:
		v.SetString(s)
	case isStringPtr:
		v.Set(reflect.ValueOf(&s))
	case isInt, isIntPtr:
		return m.setInt(v, s)
	case isBool, isBoolPtr:
		b, err := strconv.ParseBool(strings.ToLower(s))
		if err != nil {
			return m.invalid(s)
		}
		if m.kind == isBoolPtr {
			v.Set(reflect.ValueOf(&b))
		} else {
			v.SetBool(b)
		}
	case isTime:
		// A date that does not parse is as if it was not there (RFC 9110, 13.1.3).
		if t, err := parseTime(s); err == nil {
			v.Set(reflect.ValueOf(t))
		}
	case isStrings:
		for part := range strings.SplitSeq(s, ",") {
			v.Set(reflect.Append(v, reflect.ValueOf(strings.TrimSpace(part))))
		}
	}
	return nil
}

// setInt takes 32 bits, or 64 where the shape says so (sizes in bytes).
func (m *member) setInt(v reflect.Value, s string) error {
	t, bits := v.Type(), 32
	if m.kind == isIntPtr {
		t = t.Elem()
	}
	if t.Kind() == reflect.Int64 {
		bits = 64
	}
	n, err := strconv.ParseInt(s, 10, bits)
	if err != nil {
		return fault.New(fault.InvalidArgument, "Provided "+m.name+" not an integer or within integer range").
			With("ArgumentName", m.name).With("ArgumentValue", s)
	}
	if m.kind == isIntPtr {
		v.Set(reflect.New(t))
		v = v.Elem()
	}
	v.SetInt(n)
	return nil
}

func (m *member) invalid(s string) error {
	return fault.New(fault.InvalidArgument, "Provided "+m.name+" is not valid.").
		With("ArgumentName", m.name).With("ArgumentValue", s)
}

func parseTime(s string) (time.Time, error) {
	if t, err := http.ParseTime(s); err == nil {
		return t, nil
	}
	if t, err := time.Parse(time.RFC3339, s); err == nil {
		return t, nil
	}
	return time.Parse("20060102T150405Z", s)
}

// checkIntegrity compares a document with the checksums sent for it, as headers
// or as trailers.
func checkIntegrity(h http.Header, body Stream, b []byte, route Route) error {
	found := false
	if s := h.Get("Content-Md5"); s != "" {
		found = true
		want, err := base64.StdEncoding.DecodeString(s)
		if err != nil || len(want) != md5.Size {
			return invalidDigest(s)
		}
		if sum := md5.Sum(b); subtle.ConstantTimeCompare(sum[:], want) != 1 {
			return fault.Of(fault.BadDigest).
				With("ExpectedDigest", hex.EncodeToString(want)).With("CalculatedDigest", base64.StdEncoding.EncodeToString(sum[:]))
		}
	}
	if route.ofObject {
		return nil
	}
	for _, a := range digest.All() {
		s := body.Trailer(a.Header())
		if sent := h[a.CanonicalHeader()]; len(sent) > 0 && sent[0] != "" {
			s = sent[0]
		}
		if s == "" {
			continue
		}
		found = true
		want, err := base64.StdEncoding.DecodeString(s)
		if err != nil || len(want) != a.Size() {
			return invalidSum(a.Header())
		}
		sum := a.New()
		sum.Write(b)
		if subtle.ConstantTimeCompare(sum.Sum(nil), want) != 1 {
			return fault.New(fault.BadDigest, "The "+string(a)+" you specified did not match the calculated checksum.")
		}
	}
	if route.needsChecksum && !found {
		return missingChecksum()
	}
	return nil
}

func missingChecksum() error {
	return fault.New(fault.InvalidRequest, "Missing required header for this request: Content-MD5 OR x-amz-checksum-*")
}

// checkSums refuses checksums that nobody can verify: of an unknown algorithm,
// empty, or more than one.
func checkSums(h http.Header) error {
	const prefix = "X-Amz-Checksum-"
	if md5 := h["Content-Md5"]; len(md5) > 0 && md5[0] == "" {
		return invalidDigest("")
	}
	found, empty := 0, ""
	for name, values := range h {
		switch name {
		case prefix + "Algorithm", prefix + "Type", prefix + "Mode":
			continue
		}
		alg, ok := strings.CutPrefix(name, prefix)
		if !ok {
			continue
		}
		if _, known := digest.Parse(alg); !known {
			return fault.New(fault.InvalidRequest, "The algorithm type you specified in x-amz-checksum- header is invalid.")
		}
		found += len(values)
		if slices.Contains(values, "") {
			empty = name
		}
	}
	switch {
	case found > 1:
		return fault.New(fault.InvalidRequest, "Expecting a single x-amz-checksum- header. Multiple checksum Types are not allowed.")
	case empty != "":
		return invalidSum(empty)
	}
	return nil
}

func invalidDigest(value string) error {
	return fault.Of(fault.InvalidDigest).With("Content-MD5", value)
}

func invalidSum(header string) error {
	return fault.New(fault.InvalidRequest, "Value for "+strings.ToLower(header)+" header is invalid.")
}

// declaresChecksum reports a checksum that the reader of a stream compares.
func declaresChecksum(h http.Header) bool {
	for _, a := range digest.All() {
		if h.Get(a.Header()) != "" || strings.EqualFold(strings.TrimSpace(h.Get("X-Amz-Trailer")), a.Header()) {
			return true
		}
	}
	return h.Get("Content-Md5") != ""
}

// tokens is a bounded token reader: no document type, no processing
// instruction beside the declaration, no depth.
type tokens struct {
	dec   *xml.Decoder
	depth int
	count int
}

var errXML = errors.New("xml: refused")

func (t *tokens) Token() (xml.Token, error) {
	tok, err := t.dec.RawToken()
	if err != nil {
		return tok, err
	}
	if t.count++; t.count > maxTokens {
		return nil, errXML
	}
	switch x := tok.(type) {
	case xml.StartElement:
		if t.depth++; t.depth > maxDepth {
			return nil, errXML
		}
	case xml.CharData:
		if t.depth == 0 && len(bytes.TrimSpace(x)) > 0 {
			return nil, errXML
		}
	case xml.EndElement:
		t.depth--
	case xml.Directive:
		return nil, errXML
	case xml.ProcInst:
		if x.Target != "xml" || t.count > 1 {
			return nil, errXML
		}
	}
	return tok, nil
}

func decodeXML(b []byte, root string, v reflect.Value) error {
	raw := xml.NewDecoder(bytes.NewReader(bytes.TrimPrefix(b, []byte("\xef\xbb\xbf"))))
	dec := xml.NewTokenDecoder(&tokens{dec: raw})
	if v.Kind() == reflect.Pointer {
		v.Set(reflect.New(v.Type().Elem()))
		v = v.Elem()
	}
	for {
		tok, err := dec.Token()
		if err != nil {
			return malformedXML(err)
		}
		start, ok := tok.(xml.StartElement)
		if !ok {
			continue
		}
		if start.Name.Local != root {
			return malformedXML(errXML)
		}
		if err := dec.DecodeElement(v.Addr().Interface(), &start); err != nil {
			return malformedXML(err)
		}
		break
	}
	for { // nothing but white space and comments may follow
		tok, err := dec.Token()
		if err == io.EOF {
			return nil
		}
		if _, more := tok.(xml.StartElement); more || err != nil {
			return malformedXML(errXML)
		}
	}
}

// DecodeXML reads a document that did not come as a body, within the same
// bounds. v is a pointer to a shape. Error: MalformedXML.
func DecodeXML(b []byte, root string, v any) error {
	return decodeXML(b, root, reflect.ValueOf(v).Elem())
}

func malformedXML(err error) error {
	return fault.Of(fault.MalformedXML).Because(err)
}
