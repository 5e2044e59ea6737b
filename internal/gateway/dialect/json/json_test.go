package json

import (
	"bytes"
	stdjson "encoding/json"
	"net/http"
	"net/http/httptest"
	"os"
	"reflect"
	"strings"
	"testing"
	"time"

	"watertight/internal/fault"
	"watertight/internal/gateway/dialect"
	"watertight/internal/gateway/protocol"
)

// kitchenSink has a member of every type, named as in the protocol's own tests.
type kitchenSink struct {
	Blob                   []byte
	Boolean                *bool
	Double                 *float64
	EmptyStruct            *struct{}
	Integer                *int32
	ListOfMapsOfStrings    []map[string]string
	ListOfStrings          []string
	ListOfStructs          []simpleStruct
	Long                   *int64
	MapOfListsOfStrings    map[string][]string
	MapOfStrings           map[string]string
	MapOfStructs           map[string]simpleStruct
	SimpleStruct           *simpleStruct
	String                 *string
	StructWithLocationName *struct {
		Value string `wire:"RenamedMember"`
	}
	Timestamp       *time.Time
	RecursiveList   []kitchenSink
	RecursiveStruct *kitchenSink
}

type simpleStruct struct{ Value *string }

func written(in *kitchenSink) string { return string(appendStruct(nil, reflect.ValueOf(in).Elem())) }

// TestConformance reads testdata/cases.txt. Members are written in the order of the shape, so that
// documents can be compared as text.
func TestConformance(t *testing.T) {
	b, err := os.ReadFile("testdata/cases.txt")
	if err != nil {
		t.Fatal(err)
	}
	cases := strings.Split(strings.TrimSuffix(string(b), "\n"), "\n\n")[1:]
	for _, block := range cases {
		lines := strings.Split(block, "\n")
		if len(lines) != 3 {
			t.Fatalf("%q is not a case", block)
		}
		name, document, want := lines[0], strings.TrimSuffix(lines[1], "-"), lines[2]
		t.Run(name, func(t *testing.T) {
			var in kitchenSink
			err := decode([]byte(document), &in)
			if want == "refused" {
				if f := fault.From(err); f == nil || f.Code != fault.SerializationException ||
					f.Kind != fault.KindInvalid || f.Message != "" || f.Err == nil {
					t.Errorf("%s: %+v", document, f)
				}
				return
			}
			if want == "=" {
				want = document
			}
			if err != nil {
				t.Fatal(err)
			}
			if got := sorted(t, written(&in)); got != sorted(t, want) {
				t.Errorf("got  %s\nwant %s", got, want)
			}
		})
	}
	if len(cases) < 70 {
		t.Errorf("only %d cases", len(cases))
	}
}

// sorted writes a document's own members in the order of their names, with their values unchanged.
func sorted(t *testing.T, document string) string {
	t.Helper()
	var members map[string]stdjson.RawMessage
	if err := stdjson.Unmarshal([]byte(document), &members); err != nil {
		t.Fatalf("%s: %v", document, err)
	}
	b := new(bytes.Buffer)
	enc := stdjson.NewEncoder(b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(members); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

func compiled(t testing.TB, names ...string) *service {
	t.Helper()
	var ops []dialect.Operation
	for _, name := range names {
		ops = append(ops, dialect.Operation{
			Name: name, Route: Target(name), In: reflect.TypeFor[kitchenSink](), Out: reflect.TypeFor[kitchenSink](),
		})
	}
	d, err := API("TrentService")(ops)
	if err != nil {
		t.Fatal(err)
	}
	return d.(*service)
}

// TestMatch: the header names the operation, exactly; nothing else in a request
// selects one.
func TestMatch(t *testing.T) {
	s := compiled(t, "Encrypt", "Decrypt")
	good := http.Header{"X-Amz-Target": {"TrentService.Decrypt"}, "Content-Type": {contentType}}
	with := func(name string, values ...string) http.Header {
		h := good.Clone()
		h[name] = values
		return h
	}
	for name, c := range map[string]struct {
		method, target string
		header         http.Header
		op             int // -1 for none
		recognized     bool
	}{
		"an operation": {"POST", "/", good, 1, true},
		"a charset": {
			"POST", "/", with("Content-Type", "Application/X-Amz-JSON-1.1; charset=utf-8"), 1, true,
		},
		"another operation": {"POST", "/", with("X-Amz-Target", "TrentService.Encrypt"), 0, true},
		"an unknown one":    {"POST", "/", with("X-Amz-Target", "TrentService.Frobnicate"), -1, true},
		"another case":      {"POST", "/", with("X-Amz-Target", "TrentService.decrypt"), -1, true},
		"another service":   {"POST", "/", with("X-Amz-Target", "DynamoDB_20120810.Decrypt"), -1, false},
		"no prefix":         {"POST", "/", with("X-Amz-Target", "Decrypt"), -1, false},
		"no target":         {"POST", "/", with("X-Amz-Target"), -1, false},
		"two targets": {
			"POST", "/", with("X-Amz-Target", "TrentService.Encrypt", "TrentService.Decrypt"), -1, false,
		},
		"a namespace": {
			"POST", "/", with("X-Amz-Target", "com.amazonaws.kms.TrentService.Decrypt"), -1, false,
		},
		"no content type":      {"POST", "/", with("Content-Type"), -1, true},
		"JSON of another kind": {"POST", "/", with("Content-Type", "application/json"), -1, true},
		"JSON 1.0":             {"POST", "/", with("Content-Type", "application/x-amz-json-1.0"), -1, true},
		"a form": {
			"POST", "/?Action=Decrypt", with("Content-Type", "application/x-www-form-urlencoded"), -1, true,
		},
		"another method":        {"PUT", "/", good, -1, true},
		"another path":          {"POST", "/key", good, -1, false},
		"a parameter is nought": {"POST", "/?Action=Encrypt", good, 1, true},
	} {
		t.Run(name, func(t *testing.T) {
			hr := httptest.NewRequest(c.method, c.target, nil)
			hr.Header = c.header
			path, _, _ := strings.Cut(c.target, "?")
			r := &protocol.Request{HTTP: hr, RawPath: path}
			op, err := s.Match(r)
			if c.op < 0 && !fault.Is(err, fault.UnknownOperationException) || c.op >= 0 && (err != nil || op != c.op) {
				t.Errorf("operation %d, %v", op, err)
			}
			if got := s.Recognizes(r); got != c.recognized {
				t.Errorf("recognized: %v", got)
			}
		})
	}
}

// TestErrors: errors of a request have status 400, and no page reveals the cause of an internal error.
func TestErrors(t *testing.T) {
	for _, c := range []struct {
		f    *fault.Error
		code int
		page string
	}{
		{
			fault.New("NotFoundException", `Key "x" <does> not exist`).WithKind(fault.KindNotFound), 400,
			`{"__type":"NotFoundException","message":"Key \"x\" <does> not exist"}`,
		},
		{fault.New(fault.UnknownOperationException, ""), 400, `{"__type":"UnknownOperationException"}`},
		{fault.Of(fault.AccessDenied), 400, `{"__type":"AccessDeniedException","message":"Access Denied"}`},
		{
			fault.Of(fault.InvalidAccessKeyId).With("AWSAccessKeyId", "AKIA"), 400,
			`{"__type":"UnrecognizedClientException","message":"The security token included in the request is ` +
				`invalid."}`,
		},
		{
			fault.Of(fault.ExpiredToken), 400,
			`{"__type":"ExpiredTokenException","message":"The security token included in the request is expired"}`,
		},
		{fault.New(fault.SignatureDoesNotMatch, "m"), 400, `{"__type":"InvalidSignatureException","message":"m"}`},
		{fault.New(fault.IncompleteSignature, "m"), 400, `{"__type":"IncompleteSignatureException","message":"m"}`},
		{
			fault.Of(fault.MissingAuthenticationToken), 400,
			`{"__type":"MissingAuthenticationTokenException","message":"Missing Authentication Token"}`,
		},
		{
			fault.Internal(os.ErrClosed), 500,
			`{"__type":"InternalFailure","message":"The request processing has failed because of an unknown error, ` +
				`exception, or failure."}`,
		},
		{fault.Of(fault.SlowDown), 503, `{"__type":"SlowDown","message":"` + fault.Of(fault.SlowDown).Message + `"}`},
	} {
		t.Run(string(c.f.Code), func(t *testing.T) {
			w := httptest.NewRecorder()
			compiled(t).WriteError(w, &protocol.Request{ID: "ID"}, c.f)
			if w.Code != c.code || w.Body.String() != c.page || w.Header().Get("Content-Type") != contentType {
				t.Errorf("%d %v %s", w.Code, w.Header(), w.Body)
			}
		})
	}
}

func TestUnsupportedShapes(t *testing.T) {
	type embedded struct{ simpleStruct }
	type twice struct {
		A string
		B string `wire:"A"`
	}
	for _, bad := range []reflect.Type{
		reflect.TypeFor[struct{ M map[int]string }](), reflect.TypeFor[embedded](), reflect.TypeFor[twice](),
		reflect.TypeFor[struct{ hidden string }](), reflect.TypeFor[struct{ C chan int }](),
		reflect.TypeFor[struct{ N []uint16 }](),
	} {
		t.Run(bad.String(), func(t *testing.T) {
			if _, err := API("S")([]dialect.Operation{{
				Name: "A", Route: Target("A"), In: bad, Out: reflect.TypeFor[struct{}](),
			}}); err == nil {
				t.Error("the shape compiles")
			}
		})
	}
	if _, err := API("S")([]dialect.Operation{{
		Name: "A", Route: Target("A"), In: reflect.TypeFor[struct{}](), Out: reflect.TypeFor[struct{}](),
	},
		{
			Name: "B", Route: Target("A"), In: reflect.TypeFor[struct{}](), Out: reflect.TypeFor[struct{}](),
		}}); err == nil {
		t.Error("two operations of one name compile")
	}
}

// FuzzDecode: no document causes a panic or an internal error. A decoded document survives encoding and
// decoding.
func FuzzDecode(f *testing.F) {
	for _, s := range []string{
		`{"String":"a","Integer":1,"Blob":"YQ==","Timestamp":1.5}`, `{"RecursiveList":[{"MapOfStrings":{"a":"b"}}]}`,
		`{"Double":"NaN"}`,
		`{"Double":1e308,"Timestamp":-62135596800}`, `{"ListOfStrings":[null]}`, `{"A":1,"A":2}`, ``, `[]`,
		`{"String":"\ud800"}`,
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		var in, again kitchenSink
		if err := decode(b, &in); err != nil {
			if !fault.Is(err, fault.SerializationException) {
				t.Fatal(err)
			}
			return
		}
		text := written(&in)
		if !stdjson.Valid([]byte(text)) {
			t.Fatalf("%q is written as %q", b, text)
		}
		if err := decode([]byte(text), &again); err != nil || written(&again) != text {
			t.Fatalf("%q is written as %q, then as %q: %v", b, text, written(&again), err)
		}
	})
}
