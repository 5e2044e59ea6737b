package query

import (
	"io"
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
	"watertight/internal/gateway/sigv4"
)

type queryTag struct{ Key, Value string }

type queryInput struct {
	Name    string
	Path    *string
	Max     *int
	Active  bool
	Force   *bool
	Tags    []queryTag
	ARNs    []string `wire:"PolicyArns"`
	Blob    []byte
	Nested  struct{ A, B string }
	Ordered []struct{ Inner []string }
}

// form parses the bytes of a request.
func form(t testing.TB, body string) (*protocol.Request, error) {
	hr := httptest.NewRequest("POST", "/", strings.NewReader(body))
	hr.Header.Set("Content-Type", "application/x-www-form-urlencoded; charset=utf-8")
	hr.RequestURI = "/"
	return read(hr)
}

func read(hr *http.Request) (*protocol.Request, error) {
	r, err := protocol.Parse(hr, protocol.Options{}, "0123456789ABCDEF", time.Unix(0, 0))
	if err != nil {
		return nil, err
	}
	return r, new(service).Read(r)
}

// compiled returns the dialect of operations with one pair of shapes.
func compiled[In, Out any](t testing.TB, names ...string) *service {
	t.Helper()
	d, err := compile[In, Out](names...)
	if err != nil {
		t.Fatal(err)
	}
	return d.(*service)
}

func compile[In, Out any](names ...string) (dialect.Dialect, error) {
	var ops []dialect.Operation
	for _, name := range names {
		ops = append(ops, dialect.Operation{
			Name: name, Route: Action(name), In: reflect.TypeFor[In](), Out: reflect.TypeFor[Out](),
		})
	}
	return API("2010-05-08", "https://iam.amazonaws.com/doc/2010-05-08/")(ops)
}

// body is a sigv4.Body over bytes.
type body struct{ io.Reader }

func (body) Size() int64           { return -1 }
func (body) Trailer(string) string { return "" }

type failing struct{ err error }

func (f failing) Read([]byte) (int, error) { return 0, f.err }

func TestDecodeQuery(t *testing.T) {
	p := compiled[queryInput, struct{}](t, "Do")
	one, yes, path := 1, true, ""
	for body, want := range map[string]any{
		"Name=a+b%2Bc&Active=true": queryInput{Name: "a b+c", Active: true},
		"Path=&Max=1&Force=true":   queryInput{Path: &path, Max: &one, Force: &yes},
		"Tags.member.2.Key=b&Tags.member.1.Key=a&Tags.member.1.Value=x&Tags.member.10.Key=c": queryInput{
			Tags: []queryTag{{"a", "x"}, {Key: "b"}, {Key: "c"}},
		},
		"PolicyArns.member.1=p&Unknown=1&Unknown.member.9=2": queryInput{ARNs: []string{"p"}},
		"Tags=":                      queryInput{Tags: []queryTag{}},
		"Blob=AAE%3D&Nested.B=b":     queryInput{Blob: []byte{0, 1}, Nested: struct{ A, B string }{B: "b"}},
		"Max=many":                   "MalformedInput",
		"Max=99999999999":            "MalformedInput",
		"Active=maybe":               "MalformedInput",
		"Blob=*":                     "MalformedInput",
		"Name=a&Name=b":              "MalformedInput",
		"Tags.member.x.Key=a":        "MalformedInput",
		"Tags.member.01.Key=a":       "MalformedInput",
		"Tags.member.-1.Key=a":       "MalformedInput",
		"a.b.c.d.e.f.g.h.i.j.k.l=1":  "MalformedInput",
		"Name=%ff":                   "InvalidURI",
		"Name=%zz":                   "InvalidURI",
		strings.Repeat("a&", 10_001): "InvalidArgument",
	} {
		t.Run(body, func(t *testing.T) {
			r, err := form(t, body)
			var in queryInput
			if err == nil {
				err = p.Decode(0, r, bodyOf(r), &in)
			}
			if code, refused := want.(string); refused {
				if !fault.Is(err, fault.Code(code)) {
					t.Errorf("%.60q: %v, want %s", body, err, code)
				}
				return
			}
			if err != nil || !reflect.DeepEqual(in, want) {
				t.Errorf("%.60q: %+v, %v; want %+v", body, in, err, want)
			}
		})
	}
	if _, err := form(t, "Name="+strings.Repeat("x", maxForm)); !fault.Is(err, "RequestEntityTooLarge") {
		t.Errorf("a form without end: %v", err)
	}
}

func bodyOf(r *protocol.Request) sigv4.Body { return body{r.HTTP.Body} }

// TestQueryReadsItsBody: the hash of a body is verified at its end, so the handler must not run before.
func TestQueryReadsItsBody(t *testing.T) {
	p := compiled[queryInput, struct{}](t, "Do")
	r, err := form(t, "Name=a")
	if err != nil {
		t.Fatal(err)
	}
	refusal := fault.New(fault.XAmzContentSHA256Mismatch, "m")
	if err := p.Decode(0, r, body{io.MultiReader(r.HTTP.Body, failing{refusal})},
		new(queryInput)); !fault.Is(err, refusal.Code) {
		t.Errorf("a body that does not verify: %v", err)
	}
}

// TestOneForm: a form is the body or the query, never both, and a truncated one is the client's error.
func TestOneForm(t *testing.T) {
	send := func(target string, body io.Reader) (*protocol.Request, error) {
		hr := httptest.NewRequest("POST", "/", body)
		hr.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		hr.RequestURI = target
		return read(hr)
	}
	if _, err := send("/?Action=B", strings.NewReader("Action=A")); !fault.Is(err, "MalformedInput") {
		t.Errorf("parameters in both: %v", err)
	}
	if r, err := send("/?X-Amz-Date=x", strings.NewReader("Action=A")); err != nil || formValue(r, "Action") != "A" {
		t.Errorf("a signature in the query: %v", err)
	}
	if r, err := send("/?Action=B", strings.NewReader("")); err != nil || formValue(r, "Action") != "B" {
		t.Errorf("only a query: %v", err)
	}
	for name, cause := range map[string]error{"cut": io.ErrUnexpectedEOF, "slow": os.ErrDeadlineExceeded} {
		t.Run(name, func(t *testing.T) {
			if _, err := send("/",
				io.MultiReader(strings.NewReader("Action="), failing{cause})); !fault.Is(err, "IncompleteBody") {
				t.Errorf("%s: %v", name, err)
			}
		})
	}
}

func TestQueryRoutes(t *testing.T) {
	rt := compiled[struct{}, struct{}](t, "GetCallerIdentity", "AssumeRole")
	for body, want := range map[string]any{
		"Action=GetCallerIdentity&Version=2010-05-08": 0,
		"Version=2010-05-08&Action=AssumeRole":        1,
		"Action=AssumeRole":                           "InvalidAction",
		"Action=assumerole&Version=2010-05-08":        "InvalidAction",
		"Version=2010-05-08":                          "MissingAction",
		"":                                            "MissingAction",
	} {
		t.Run(body, func(t *testing.T) {
			r, err := form(t, body)
			if err != nil {
				t.Fatalf("%q: %+v, %v", body, r, err)
			}
			i, err := rt.Match(r)
			if code, refused := want.(string); refused && !fault.Is(err, fault.Code(code)) ||
				!refused && (err != nil || i != want) {
				t.Errorf("%q: %d, %v; want %v", body, i, err, want)
			}
		})
	}
	if _, err := compile[struct{}, struct{}]("A", "A"); err == nil {
		t.Error("two operations of one name")
	}
}

type queryOutput struct {
	User   *queryUser
	Users  []queryUser
	None   []queryUser
	Names  []string
	Empty  []string
	Marker string
	More   bool `wire:"IsTruncated"`
	Count  int
	Size   *int
	Blob   []byte
	Map    map[string]int
}

type queryUser struct {
	UserName   string
	CreateDate time.Time
	LastUsed   time.Time
	Tags       []queryTag
}

func TestEncodeQuery(t *testing.T) {
	p := compiled[struct{}, queryOutput](t, "ListUsers")
	r, err := form(t, "Action=ListUsers")
	if err != nil {
		t.Fatal(err)
	}
	u := queryUser{
		UserName: `a<b>&"`, CreateDate: time.Date(2026, 1, 2, 3, 4, 5, 6, time.UTC), Tags: []queryTag{{"k", "v"}},
	}
	w := httptest.NewRecorder()
	if _, err := p.Encode(0, w, r, &queryOutput{
		User: &u, Users: []queryUser{u}, Names: []string{"x", ""}, Empty: []string{}, Blob: []byte("qr"),
		Map: map[string]int{"b": 2, "a": 0},
	}); err != nil {
		t.Fatal(err)
	}
	user := `<UserName>a&lt;b&gt;&amp;&quot;</UserName><CreateDate>2026-01-02T03:04:05Z</CreateDate><Tags><member>` +
		`<Key>k</Key><Value>v</Value></member></Tags>`
	want := `<ListUsersResponse xmlns="https://iam.amazonaws.com/doc/2010-05-08/"><ListUsersResult><User>` + user +
		`</User><Users><member>` + user +
		`</member></Users><Names><member>x</member><member></member></Names><Empty></Empty><IsTruncated>` +
		`false</IsTruncated><Count>0</Count><Blob>cXI=</Blob><Map><entry><key>a</key><value>0</value></entry><entry>` +
		`<key>b</key><value>2</value></entry></Map></ListUsersResult>` +
		`<ResponseMetadata><RequestId>0123456789ABCDEF</RequestId></ResponseMetadata></ListUsersResponse>`
	if w.Body.String() != want {
		t.Errorf("got  %s\nwant %s", w.Body, want)
	}
	w = httptest.NewRecorder()
	p.WriteError(w, r, fault.New(fault.InvalidAccessKeyId, "m").With("AWSAccessKeyId", "AKIA"))
	want = `<?xml version="1.0" encoding="UTF-8"?>` + "\n" +
		`<ErrorResponse xmlns="https://iam.amazonaws.com/doc/2010-05-08/"><Error><Type>Sender</Type><Code>` +
		`InvalidClientTokenId</Code><Message>The security token included in the request is invalid.</Message></Error>` +
		`<RequestId>0123456789ABCDEF</RequestId></ErrorResponse>`
	if w.Code != 403 || w.Body.String() != want {
		t.Errorf("%d %s", w.Code, w.Body)
	}
	w = httptest.NewRecorder()
	p.WriteError(w, r, fault.New(fault.InvalidAction, `'a' "b" <c>`))
	if want := `<ErrorResponse xmlns="http://webservices.amazon.com/AWSFault/2005-15-09"><Error><Type>Sender</Type>` +
		`<Code>InvalidAction</Code><Message>&#39;a&#39; &#34;b&#34; ` +
		`&lt;c&gt;</Message>`; !strings.Contains(w.Body.String(), want) {
		t.Error(w.Body)
	}
}

func TestCompileQueryRefuses(t *testing.T) {
	type embedded struct{ queryTag }
	for _, bad := range []reflect.Type{
		reflect.TypeFor[struct{ M map[string]string }](), reflect.TypeFor[embedded](),
		reflect.TypeFor[struct{ hidden string }](),
	} {
		if _, err := API("v", "")([]dialect.Operation{{
			Name: "Do", Route: Action("Do"), In: bad, Out: reflect.TypeFor[struct{}](),
		}}); err == nil {
			t.Errorf("%v compiles", bad)
		}
	}
}

func FuzzForm(f *testing.F) {
	for _, s := range []string{
		"Action=A&Tags.member.1.Key=k", "Tags=", "a.b.c=1&a.b=2", "Ordered.member.1.Inner.member.2=x", "%=&&=",
	} {
		f.Add(s)
	}
	p := compiled[queryInput, struct{}](f, "Do")
	f.Fuzz(func(t *testing.T, text string) {
		r, err := form(t, text)
		if err != nil {
			return
		}
		if err := p.Decode(0, r, bodyOf(r), new(queryInput)); err != nil && fault.From(err).Kind == fault.KindInternal {
			t.Errorf("%q: %v", text, err)
		}
	})
}
