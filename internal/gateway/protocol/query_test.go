package protocol

import (
	"fmt"
	"io"
	"net/http/httptest"
	"os"
	"reflect"
	"strings"
	"testing"
	"time"

	"watertight/internal/fault"
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

// form parses a request as the network brings it.
func form(t testing.TB, body string) (*Request, error) {
	hr := httptest.NewRequest("POST", "/", strings.NewReader(body))
	hr.Header.Set("Content-Type", "application/x-www-form-urlencoded; charset=utf-8")
	hr.RequestURI = "/"
	return Parse(hr, Options{}, "0123456789ABCDEF", time.Unix(0, 0))
}

func TestDecodeQuery(t *testing.T) {
	p, err := CompileQuery("Do", reflect.TypeFor[queryInput](), reflect.TypeFor[struct{}]())
	if err != nil {
		t.Fatal(err)
	}
	one, yes, path := 1, true, ""
	for body, want := range map[string]any{
		"Name=a+b%2Bc&Active=true": queryInput{Name: "a b+c", Active: true},
		"Path=&Max=1&Force=true":   queryInput{Path: &path, Max: &one, Force: &yes},
		"Tags.member.2.Key=b&Tags.member.1.Key=a&Tags.member.1.Value=x&Tags.member.10.Key=c": queryInput{Tags: []queryTag{{"a", "x"}, {Key: "b"}, {Key: "c"}}},
		"PolicyArns.member.1=p&Unknown=1&Unknown.member.9=2":                                 queryInput{ARNs: []string{"p"}},
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
		r, err := form(t, body)
		var in queryInput
		if err == nil {
			err = p.Decode(r, Query("Do"), bodyOf(r), &in)
		}
		if code, refused := want.(string); refused {
			if !fault.Is(err, fault.Code(code)) {
				t.Errorf("%.60q: %v, want %s", body, err, code)
			}
			continue
		}
		if err != nil || !reflect.DeepEqual(in, want) {
			t.Errorf("%.60q: %+v, %v; want %+v", body, in, err, want)
		}
	}
	if _, err := form(t, "Name="+strings.Repeat("x", maxForm)); !fault.Is(err, "RequestEntityTooLarge") {
		t.Errorf("a form without end: %v", err)
	}
}

func bodyOf(r *Request) Stream { return body{r.HTTP.Body} }

// TestQueryReadsItsBody: the hash of a body is verified at its end, so a
// handler must not run before.
func TestQueryReadsItsBody(t *testing.T) {
	p, err := CompileQuery("Do", reflect.TypeFor[queryInput](), reflect.TypeFor[struct{}]())
	if err != nil {
		t.Fatal(err)
	}
	r, err := form(t, "Name=a")
	if err != nil {
		t.Fatal(err)
	}
	refusal := fault.New(fault.XAmzContentSHA256Mismatch, "m")
	if err := p.Decode(r, Query("Do"), body{io.MultiReader(r.HTTP.Body, failing{refusal})}, new(queryInput)); !fault.Is(err, refusal.Code) {
		t.Errorf("a body that does not verify: %v", err)
	}
}

// TestOneForm: a form is the body or the query, never a mixture, and one that
// was cut is the client's fault.
func TestOneForm(t *testing.T) {
	send := func(target string, body io.Reader) (*Request, error) {
		hr := httptest.NewRequest("POST", "/", body)
		hr.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		hr.RequestURI = target
		return Parse(hr, Options{}, "0123456789ABCDEF", time.Unix(0, 0))
	}
	if _, err := send("/?Action=B", strings.NewReader("Action=A")); !fault.Is(err, "MalformedInput") {
		t.Errorf("parameters in both: %v", err)
	}
	if r, err := send("/?X-Amz-Date=x", strings.NewReader("Action=A")); err != nil || r.formValue("Action") != "A" {
		t.Errorf("a signature in the query: %v", err)
	}
	if r, err := send("/?Action=B", strings.NewReader("")); err != nil || r.formValue("Action") != "B" {
		t.Errorf("the query alone: %v", err)
	}
	for name, cause := range map[string]error{"cut": io.ErrUnexpectedEOF, "slow": os.ErrDeadlineExceeded} {
		if _, err := send("/", io.MultiReader(strings.NewReader("Action="), failing{cause})); !fault.Is(err, "IncompleteBody") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestQueryRoutes(t *testing.T) {
	rt, err := NewRouter([]Route{Query("GetCallerIdentity"), Query("AssumeRole")})
	if err != nil {
		t.Fatal(err)
	}
	for body, want := range map[string]any{
		"Action=GetCallerIdentity&Version=2011-06-15": 0,
		"Version=2011-06-15&Action=AssumeRole":        1,
		"Action=AssumeRole":                           "InvalidAction",
		"Action=assumerole&Version=2011-06-15":        "InvalidAction",
		"Version=2011-06-15":                          "MissingAction",
		"":                                            "MissingAction",
	} {
		r, err := form(t, body)
		if err != nil || r.Service != "sts" {
			t.Fatalf("%q: %+v, %v", body, r, err)
		}
		if named, refused := want.(string); rt.Calls(r, "sts") == refused || rt.Calls(r, "iam") || rt.Calls(r, "s3") {
			t.Errorf("%q calls another service; want %s", body, named)
		}
		i, err := rt.Match(r)
		if code, refused := want.(string); refused && !fault.Is(err, fault.Code(code)) || !refused && (err != nil || i != want) {
			t.Errorf("%q: %d, %v; want %v", body, i, err, want)
		}
	}
	if _, err := NewRouter([]Route{Query("A"), Query("A")}); err == nil {
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
	p, err := CompileQuery("ListUsers", reflect.TypeFor[struct{}](), reflect.TypeFor[queryOutput]())
	if err != nil {
		t.Fatal(err)
	}
	r, err := form(t, "Action=ListUsers")
	if err != nil {
		t.Fatal(err)
	}
	r.Service = "iam"
	u := queryUser{UserName: `a<b>&"`, CreateDate: time.Date(2026, 1, 2, 3, 4, 5, 6, time.UTC), Tags: []queryTag{{"k", "v"}}}
	w := httptest.NewRecorder()
	if _, err := new(Encoder).Encode(w, r, Query("ListUsers"), p, &queryOutput{User: &u, Users: []queryUser{u}, Names: []string{"x", ""}, Empty: []string{}, Blob: []byte("qr"), Map: map[string]int{"b": 2, "a": 0}}); err != nil {
		t.Fatal(err)
	}
	user := `<UserName>a&lt;b&gt;&amp;&quot;</UserName><CreateDate>2026-01-02T03:04:05Z</CreateDate><Tags><member><Key>k</Key><Value>v</Value></member></Tags>`
	want := `<ListUsersResponse xmlns="https://iam.amazonaws.com/doc/2010-05-08/"><ListUsersResult><User>` + user + `</User><Users><member>` + user +
		`</member></Users><Names><member>x</member><member></member></Names><Empty></Empty><IsTruncated>false</IsTruncated><Count>0</Count><Blob>cXI=</Blob><Map><entry><key>a</key><value>0</value></entry><entry><key>b</key><value>2</value></entry></Map></ListUsersResult>` +
		`<ResponseMetadata><RequestId>0123456789ABCDEF</RequestId></ResponseMetadata></ListUsersResponse>`
	if w.Body.String() != want {
		t.Errorf("got  %s\nwant %s", w.Body, want)
	}
	w = httptest.NewRecorder()
	WriteError(w, r, fault.New(fault.InvalidAccessKeyId, "m").With("AWSAccessKeyId", "AKIA"))
	want = `<?xml version="1.0" encoding="UTF-8"?>` + "\n" + `<ErrorResponse xmlns="https://iam.amazonaws.com/doc/2010-05-08/"><Error><Type>Sender</Type><Code>InvalidClientTokenId</Code><Message>The security token included in the request is invalid.</Message></Error><RequestId>0123456789ABCDEF</RequestId></ErrorResponse>`
	if w.Code != 403 || w.Body.String() != want {
		t.Errorf("%d %s", w.Code, w.Body)
	}
	w = httptest.NewRecorder()
	WriteError(w, r, fault.New(fault.InvalidAction, `'a' "b" <c>`))
	if want := `<ErrorResponse xmlns="http://webservices.amazon.com/AWSFault/2005-15-09"><Error><Type>Sender</Type><Code>InvalidAction</Code><Message>&#39;a&#39; &#34;b&#34; &lt;c&gt;</Message>`; !strings.Contains(w.Body.String(), want) {
		t.Error(w.Body)
	}
}

// TestServiceOfARequest: what a signature is scoped to says where a request
// goes; without a useful scope the version of the Query dialect does, and S3
// keeps what is signed for S3.
func TestServiceOfARequest(t *testing.T) {
	const credential = "AWS4-HMAC-SHA256 Credential=AKIA/20260101/us-east-1/%s/aws4_request, SignedHeaders=host, Signature=0"
	for _, c := range []struct{ method, target, authorization, body, want string }{
		{"GET", "/", "", "", "s3"},
		{"GET", "/?Action=ListUsers&Version=2010-05-08", "", "", "iam"},
		{"GET", "/?Action=ListUsers&Version=2010-05-08", "nonsense", "", "iam"},
		{"GET", "/?Action=GetCallerIdentity&Version=2011-06-15", fmt.Sprintf(credential, "ec2"), "", "sts"},
		{"GET", "/?Action=ListUsers&Version=2010-05-08", fmt.Sprintf(credential, "s3"), "", "s3"},
		{"GET", "/?Action=ListUsers&Version=2009-01-01", "", "", "s3"},
		{"GET", "/?Version=2010-05-08", "", "", "s3"},
		{"GET", "/b?Action=ListUsers&Version=2010-05-08", "", "", "s3"},
		{"POST", "/", fmt.Sprintf(credential, "iam"), "Action=GetCallerIdentity&Version=2011-06-15", "iam"},
		{"POST", "/", "nonsense", "Action=ListUsers&Version=2010-05-08", "iam"},
		{"POST", "/", fmt.Sprintf(credential, "s3"), "Action=ListUsers&Version=2010-05-08", "s3"},
		{"POST", "/b", "", "Action=ListUsers&Version=2010-05-08", "s3"},
	} {
		hr := httptest.NewRequest(c.method, c.target, strings.NewReader(c.body))
		hr.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		if c.authorization != "" {
			hr.Header.Set("Authorization", c.authorization)
		}
		r, err := Parse(hr, Options{}, "0123456789ABCDEF", time.Unix(0, 0))
		if err != nil || r.Service != c.want {
			t.Errorf("%s %s %.40q %q: %v %v, want %s", c.method, c.target, c.authorization, c.body, r, err, c.want)
		}
	}
}

func TestCompileQueryRefuses(t *testing.T) {
	type embedded struct{ queryTag }
	for _, bad := range []reflect.Type{reflect.TypeFor[struct{ M map[string]string }](), reflect.TypeFor[embedded](), reflect.TypeFor[struct{ hidden string }]()} {
		if _, err := CompileQuery("Do", bad, reflect.TypeFor[struct{}]()); err == nil {
			t.Errorf("%v compiles", bad)
		}
	}
}

func FuzzForm(f *testing.F) {
	for _, s := range []string{"Action=A&Tags.member.1.Key=k", "Tags=", "a.b.c=1&a.b=2", "Ordered.member.1.Inner.member.2=x", "%=&&="} {
		f.Add(s)
	}
	p, err := CompileQuery("Do", reflect.TypeFor[queryInput](), reflect.TypeFor[struct{}]())
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, text string) {
		r, err := form(t, text)
		if err != nil {
			return
		}
		if err := p.Decode(r, Query("Do"), bodyOf(r), new(queryInput)); err != nil && fault.From(err).Kind == fault.KindInternal {
			t.Errorf("%q: %v", text, err)
		}
	})
}
