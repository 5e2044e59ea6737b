package restxml

import (
	"io"
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

const namespace = "http://cloudfront.amazonaws.com/doc/2020-05-31/"

// kitchen has a member of every type of CloudFront's documents.
type kitchen struct {
	Text   string
	Truth  bool
	Number int
	Long   int64
	Zero   *int
	Names  struct {
		Quantity int      `emit:"always"`
		Items    []string `xml:"Items>Name"`
	}
	Parts struct {
		Quantity int    `emit:"always"`
		Items    []part `xml:"Items>Part"`
	}
	Maybe *part
}

type part struct{ Id string }

type kitchenInput struct {
	Id      string  `loc:"uri,Id"`
	IfMatch string  `loc:"header,If-Match"`
	Kitchen kitchen `loc:"body,Kitchen"`
}

type kitchenOutput struct {
	ETag    string  `loc:"header,ETag"`
	New     string  `loc:"location"`
	Kitchen kitchen `loc:"body,Kitchen"`
}

type byId struct {
	Id string `loc:"uri,Id"`
}

type paged struct {
	Marker   string `loc:"query,Marker"`
	MaxItems string `loc:"query,MaxItems"`
}

type nothing struct{}

func op[In, Out any](name, pattern string, status int) dialect.Operation {
	return dialect.Operation{
		Name: name, Route: At(pattern).Status(status), In: reflect.TypeFor[In](), Out: reflect.TypeFor[Out](),
	}
}

// The operations of the test's service, by their index.
const (
	update = iota
	remove
	list
	create
	createTagged
	tag
	untag
	config
	byPolicy
)

func compiled(t testing.TB) *service {
	t.Helper()
	d, err := API{
		Version: "2020-05-31", Namespace: namespace, Absent: map[string]string{"function": "CloudFront Functions"},
	}.Compile([]dialect.Operation{
		op[kitchenInput, kitchenOutput]("Update", "PUT /2020-05-31/kitchen/{Id}/config", 200),
		op[byId, nothing]("Delete", "DELETE /2020-05-31/kitchen/{Id}", 204),
		op[paged, nothing]("List", "GET /2020-05-31/kitchen", 200),
		op[struct {
			Kitchen kitchen `loc:"body,Kitchen"`
		}, kitchenOutput]("Create", "POST /2020-05-31/kitchen", 201),
		op[nothing, nothing]("CreateTagged", "POST /2020-05-31/kitchen?WithTags", 201),
		op[struct {
			Resource string `loc:"query,Resource"`
		}, nothing]("Tag", "POST /2020-05-31/tagging?Operation=Tag", 204),
		op[nothing, nothing]("Untag", "POST /2020-05-31/tagging?Operation=Untag", 204),
		op[byId, nothing]("GetConfig", "GET /2020-05-31/kitchen/{Id}/config", 200),
		op[byId, nothing]("ByPolicy", "GET /2020-05-31/kitchensByPolicy/{Id}", 200),
	})
	if err != nil {
		t.Fatal(err)
	}
	return d.(*service)
}

// request parses a request as the dispatcher does.
func request(t testing.TB, method, target, document string) *protocol.Request {
	t.Helper()
	hr := httptest.NewRequest(method, "http://localhost"+target, strings.NewReader(document))
	hr.RequestURI = target
	r, err := protocol.Parse(hr, protocol.Options{}, "ID", time.Time{})
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// body is a sigv4.Body over a request's own.
type body struct{ io.Reader }

func (body) Size() int64           { return -1 }
func (body) Trailer(string) string { return "" }

// read decodes the document of an Update, and writes it again.
func read(t testing.TB, s *service, document string) (string, error) {
	t.Helper()
	r := request(t, "PUT", "/2020-05-31/kitchen/E1/config", document)
	r.HTTP.Header.Set("If-Match", "E2")
	if err := s.Read(r); err != nil {
		t.Fatal(err)
	}
	var in kitchenInput
	if err := s.Decode(update, r, body{r.HTTP.Body}, &in); err != nil {
		return "", err
	}
	if in.Id != "E1" || in.IfMatch != "E2" {
		t.Errorf("%+v", in)
	}
	return written(t, s, &kitchenOutput{Kitchen: in.Kitchen}), nil
}

func written(t testing.TB, s *service, out *kitchenOutput) string {
	t.Helper()
	w := httptest.NewRecorder()
	if _, err := s.Encode(update, w, request(t, "PUT", "/2020-05-31/kitchen/E1/config", ""), out); err != nil {
		t.Fatal(err)
	}
	_, document, _ := strings.Cut(w.Body.String(), "\n")
	return strings.Replace(document, ` xmlns="`+namespace+`"`, "", 1)
}

// TestConformance reads testdata/cases.txt.
func TestConformance(t *testing.T) {
	b, err := os.ReadFile("testdata/cases.txt")
	if err != nil {
		t.Fatal(err)
	}
	s := compiled(t)
	for _, block := range strings.Split(strings.TrimSuffix(string(b), "\n"), "\n\n")[1:] {
		lines := strings.Split(block, "\n")
		if len(lines) != 3 {
			t.Fatalf("%q is not a case", block)
		}
		t.Run(lines[0], func(t *testing.T) {
			document, want := strings.TrimSuffix(lines[1], "-"), lines[2]
			if want == "=" {
				want = document
			}
			got, err := read(t, s, document)
			if err != nil {
				f := fault.From(err)
				if got = string(f.Code); f.Kind != fault.KindInvalid {
					t.Errorf("%+v", f)
				}
			}
			if got != want {
				t.Errorf("got  %q\nwant %q", got, want)
			}
		})
	}
}

// TestMatch: the most specific route gets a request, and unknown requests are refused.
func TestMatch(t *testing.T) {
	s := compiled(t)
	for _, c := range []struct {
		request string
		op      int
		code    fault.Code
	}{
		{"GET /2020-05-31/kitchen", list, ""},
		{"GET /2020-05-31/kitchen?Marker=a&MaxItems=1", list, ""},
		{"GET /2020-05-31/kitchen?X-Amz-Date=a&X-Amz-Signature=b", list, ""},
		{"POST /2020-05-31/kitchen", create, ""},
		{"POST /2020-05-31/kitchen?WithTags", createTagged, ""},
		{"POST /2020-05-31/kitchen?WithTags=", createTagged, ""},
		{"POST /2020-05-31/tagging?Operation=Tag&Resource=a", tag, ""},
		{"POST /2020-05-31/tagging?Operation=Untag", untag, ""},
		{"DELETE /2020-05-31/kitchen/E1", remove, ""},
		{"DELETE /2020-05-31/kitchen/E%31", remove, ""},
		{"PUT /2020-05-31/kitchen/config/config", update, ""},
		{"GET /2020-05-31/kitchen/E1/config", config, ""},
		{"GET /2020-05-31/kitchensByPolicy/E1", byPolicy, ""},
		{"GET /2020-05-31/kitchen?marker=a", 0, fault.InvalidArgument},
		{"GET /2020-05-31/kitchen?Marker=a&Marker=b", 0, fault.InvalidArgument},
		{"POST /2020-05-31/kitchen?Withtags", 0, fault.InvalidArgument},
		{"POST /2020-05-31/tagging?Operation=Untag&Resource=a", 0, fault.InvalidArgument},
		{"DELETE /2020-05-31/kitchen/E1?Force=true", 0, fault.InvalidArgument},
		{"POST /2020-05-31/tagging?Operation=tag", 0, fault.NotImplemented},
		{"POST /2020-05-31/tagging", 0, fault.NotImplemented},
		{"GET /2020-05-31/kitchen/E1", 0, fault.NotImplemented},
		{"HEAD /2020-05-31/kitchen", 0, fault.NotImplemented},
		{"PUT /2020-05-31/kitchen/E1", 0, fault.NotImplemented},
		{"GET /2019-03-26/kitchen", 0, fault.NotImplemented},
		{"GET /2020-05-31", 0, fault.NotImplemented},
		{"POST /2020-05-31/function", 0, fault.NotImplemented},
		{"GET /", 0, fault.InvalidURI},
		{"GET /2020-05-31/kitchen/", 0, fault.InvalidURI},
		{"GET /2020-05-31//kitchen", 0, fault.InvalidURI},
		{"GET /2020-05-31/kitchen/../config", 0, fault.InvalidURI},
		{"DELETE /2020-05-31/kitchen/%2E%2E", 0, fault.InvalidURI},
	} {
		t.Run(c.request, func(t *testing.T) {
			method, target, _ := strings.Cut(c.request, " ")
			op, err := s.Match(request(t, method, target, ""))
			if c.code != "" && !fault.Is(err, c.code) || c.code == "" && (err != nil || op != c.op) {
				t.Errorf("operation %d, %v", op, err)
			}
		})
	}
	_, err := s.Match(request(t, "POST", "/2020-05-31/function", ""))
	if f := fault.From(err); f.Message != "Not implemented here: CloudFront Functions." {
		t.Error(f.Message)
	}
}

// TestEncode: headers, the Location of a new resource, and the status of the route.
func TestEncode(t *testing.T) {
	s := compiled(t)
	w := httptest.NewRecorder()
	r := request(t, "POST", "/2020-05-31/kitchen", "")
	if _, err := s.Encode(create, w, r, &kitchenOutput{ETag: "E2", New: "E1"}); err != nil {
		t.Fatal(err)
	}
	//lint:ignore SA1008 AWS spells it so
	if w.Code != 201 || w.Header()["ETag"][0] != "E2" || w.Header().Get("Content-Type") != "text/xml" ||
		w.Header().Get("Location") != "http://localhost/2020-05-31/kitchen/E1" {
		t.Errorf("%d %v", w.Code, w.Header())
	}
	if want := "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n" + `<Kitchen xmlns="` + namespace + `"></Kitchen>`; w.Body.
		String() != want {
		t.Error(w.Body)
	}
	w = httptest.NewRecorder()
	if n, err := s.Encode(remove, w, r, nil); n != 0 || err != nil || w.Code != 204 || w.Body.Len() > 0 {
		t.Errorf("%d %v %d %s", n, err, w.Code, w.Body)
	}
}

func TestErrors(t *testing.T) {
	w := httptest.NewRecorder()
	compiled(t).WriteError(w, request(t, "GET", "/2020-05-31/kitchen/E1", ""),
		fault.New(fault.PreconditionFailed, "a < b"))
	want := "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n" + `<ErrorResponse xmlns="` + namespace +
		`"><Error><Type>Sender</Type><Code>PreconditionFailed</Code><Message>a &lt; b</Message></Error>` +
		`<RequestId>ID</RequestId></ErrorResponse>`
	if w.Code != 412 || w.Body.String() != want {
		t.Errorf("%d %s", w.Code, w.Body)
	}
}

// TestHeaderTwice: a header that has a meaning may be sent only once.
func TestHeaderTwice(t *testing.T) {
	r := request(t, "PUT", "/2020-05-31/kitchen/E1/config", "<Kitchen/>")
	r.HTTP.Header["If-Match"] = []string{"a", "b"}
	s := compiled(t)
	if err := s.Read(r); err != nil {
		t.Fatal(err)
	}
	if err := s.Decode(update, r, body{r.HTTP.Body}, new(kitchenInput)); fault.From(err) == nil {
		t.Error("it is taken")
	}
}

// TestTooLarge: an unsigned document is limited to 64 KiB, because it is refused in any case.
func TestTooLarge(t *testing.T) {
	r := request(t, "POST", "/2020-05-31/kitchen", strings.Repeat("a", maxUnsigned+1))
	if err := compiled(t).Read(r); !fault.Is(err, fault.RequestEntityTooLarge) {
		t.Error(err)
	}
}

func TestUnsupportedShapes(t *testing.T) {
	for name, bad := range map[string]dialect.Operation{
		"a member without a place": op[struct{ A string }, nothing]("A", "GET /2020-05-31/a", 200),
		"a label without a member": op[nothing, nothing]("A", "GET /2020-05-31/a/{Id}", 200),
		"a member without a label": op[byId, nothing]("A", "GET /2020-05-31/a", 200),
		"another version":          op[nothing, nothing]("A", "GET /2019-03-26/a", 200),
		"a query in an answer":     op[nothing, paged]("A", "GET /2020-05-31/a", 200),
		"a number outside documents": op[paged, struct {
			N int `loc:"header,N"`
		}]("A", "GET /2020-05-31/a", 200),
		"a document that is a list": op[nothing, struct {
			N []string `loc:"body,N"`
		}]("A", "GET /2020-05-31/a", 200),
		"a type without a form": op[nothing, struct {
			N struct{ F float64 } `loc:"body,N"`
		}]("A", "GET /2020-05-31/a", 200),
	} {
		t.Run(name, func(t *testing.T) {
			if _, err := (API{Version: "2020-05-31"}).Compile([]dialect.Operation{bad}); err == nil {
				t.Error("it compiles")
			}
		})
	}
	if _, err := (API{Version: "2020-05-31"}).Compile([]dialect.Operation{
		op[byId, nothing]("A", "GET /2020-05-31/a/{Id}", 200), op[byId, nothing]("B", "GET /2020-05-31/a/{Id}", 200),
	}); err == nil {
		t.Error("two operations of one route compile")
	}
}

// FuzzDecode: no document causes a panic or an internal error. A document that was read is
// written as one that reads the same.
func FuzzDecode(f *testing.F) {
	f.Add("<Kitchen><Text>a</Text><Names><Quantity>1</Quantity><Items><Name>b</Name></Items></Names></Kitchen>")
	f.Add(`<x:Kitchen xmlns:x="http://cloudfront.amazonaws.com/doc/2020-05-31/"><x:Zero>0</x:Zero></x:Kitchen>`)
	f.Fuzz(func(t *testing.T, document string) {
		if len(document) > maxUnsigned || document == "" {
			return
		}
		s := compiled(t)
		text, err := read(t, s, document)
		if err != nil {
			if !fault.Is(err, fault.MalformedXML) {
				t.Fatal(err)
			}
			return
		}
		again, err := read(t, s, text)
		if err != nil && !strings.Contains(text, "&#x") || err == nil && again != text {
			t.Fatalf("%q is written as %q, then as %q: %v", document, text, again, err)
		}
	})
}

// FuzzMatch: no target causes a panic, and one that matches has the elements of its route.
func FuzzMatch(f *testing.F) {
	f.Add("PUT", "/2020-05-31/kitchen/E1/config")
	f.Fuzz(func(t *testing.T, method, path string) {
		s := compiled(t)
		hr := httptest.NewRequest("GET", "/", nil)
		hr.Method = method
		i, err := s.Match(&protocol.Request{HTTP: hr, RawPath: path})
		if elements, ok := split(path); err == nil && (!ok || len(elements) != len(s.plans[i].route.elements)) {
			t.Errorf("%s %q is %s", method, path, s.plans[i].route)
		}
	})
}
