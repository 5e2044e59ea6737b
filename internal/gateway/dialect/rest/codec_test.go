package rest

import (
	"bytes"
	"crypto/md5"
	"encoding/base64"
	"errors"
	"flag"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"watertight/internal/fault"
	"watertight/internal/gateway/dialect"
	"watertight/internal/gateway/protocol"
)

var update = flag.Bool("update", false, "write the golden files anew")

// body is a sigv4.Body over bytes.
type body struct{ io.Reader }

func (body) Size() int64           { return -1 }
func (body) Trailer(string) string { return "" }

type inner struct {
	Key     string
	Version *string `xml:"VersionId"`
}

type testInput struct {
	Bucket string            `loc:"uri,Bucket"`
	Key    string            `loc:"uri,Key"`
	Max    *int              `loc:"query,max-keys"`
	Kind   string            `loc:"query,encoding-type" enum:"url"`
	Flag   bool              `loc:"query,fetch-owner"`
	ACL    string            `loc:"header,x-amz-acl"`
	Since  time.Time         `loc:"header,If-Modified-Since"`
	List   []string          `loc:"header,x-amz-object-attributes"`
	Meta   map[string]string `loc:"prefix,x-amz-meta-"`
	Delete struct {
		Objects []inner `xml:"Object"`
		Quiet   bool
	} `loc:"body,Delete"`
}

type testOutput struct {
	_        struct{} `root:"Result"`
	Name     string   `emit:"always"`
	Empty    string   // omitted
	Count    int      `emit:"always"`
	When     time.Time
	Items    []inner `xml:"Item"`
	Wrapped  []inner `xml:"List>Member" emit:"always"`
	Flagged  bool    `emit:"always"`
	Optional *string
	Header   string            `loc:"header,X-Test"`
	Encoding string            `loc:"header,Content-Encoding"`
	Meta     map[string]string `loc:"prefix,x-amz-meta-"`
	Status   int               `loc:"status"`
}

// compiled returns the dialect of one operation.
func compiled[In, Out any](t testing.TB, r Route) *service {
	t.Helper()
	s, err := newService(
		[]dialect.Operation{{Name: "Test", Route: r, In: reflect.TypeFor[In](), Out: reflect.TypeFor[Out]()}}, false,
	)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func testService(t testing.TB) *service {
	t.Helper()
	return compiled[testInput, testOutput](t, At("POST /{Bucket}?delete"))
}

func decode(t *testing.T, s *service, target string, h http.Header, text string) (testInput, error) {
	t.Helper()
	r, err := parse(t, "POST", target, h)
	if err != nil {
		t.Fatal(err)
	}
	var in testInput
	err = s.Decode(0, r, body{strings.NewReader(text)}, &in)
	return in, err
}

func TestDecode(t *testing.T) {
	in, err := decode(t, testService(t), "/bucket/key?delete&max-keys=7&encoding-type=url&fetch-owner=TRUE",
		http.Header{
			"X-Amz-Acl": {"private"}, "If-Modified-Since": {"Mon, 02 Jan 2006 15:04:05 GMT"},
			"X-Amz-Object-Attributes": {"a, b", "c"},
			"X-Amz-Meta-Colour":       {"blue \t  green"}, "X-Amz-Meta-": {"nothing"},
		}, `<?xml version="1.0"?><!-- c --><Delete xmlns="http://s3.amazonaws.com/doc/2006-03-01/"><Object><Key>`+
			`a&amp;b</Key></Object><Object><Key>c</Key><VersionId></VersionId></Object><Quiet>true</Quiet></Delete>`)
	if err != nil {
		t.Fatal(err)
	}
	got := fmt.Sprintf("%s %s %d %s %v %s %s %q %v %q %v %v %q", in.Bucket, in.Key, *in.Max, in.Kind, in.Flag, in.ACL,
		in.Since.Format(time.RFC3339), in.List, in.Meta,
		in.Delete.Objects[0].Key, in.Delete.Objects[0].Version == nil, in.Delete.Quiet, *in.Delete.Objects[1].Version)
	if want := `bucket key 7 url true private 2006-01-02T15:04:05Z ["a" "b" "c"] map[colour:blue green] "a&b" true ` +
		`true ""`; got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}

func TestDecodeRefuses(t *testing.T) {
	p := testService(t)
	sum := md5.Sum([]byte("<Delete/>"))
	for name, c := range map[string]struct {
		query  string
		header http.Header
		body   string
		code   string
	}{
		"a number":        {query: "&max-keys=x", code: "InvalidArgument"},
		"a large number":  {query: "&max-keys=99999999999999999999", code: "InvalidArgument"},
		"an enum":         {query: "&encoding-type=URL", code: "InvalidArgument"},
		"a boolean":       {query: "&fetch-owner=maybe", code: "InvalidArgument"},
		"another root":    {body: "<Other/>", code: "MalformedXML"},
		"no end":          {body: "<Delete>", code: "MalformedXML"},
		"no beginning":    {body: "text", code: "MalformedXML"},
		"two documents":   {body: "<Delete/><Delete/>", code: "MalformedXML"},
		"a document type": {body: `<!DOCTYPE a [<!ENTITY b "c">]><Delete/>`, code: "MalformedXML"},
		"an entity":       {body: `<Delete><Object><Key>&b;</Key></Object></Delete>`, code: "MalformedXML"},
		"an instruction":  {body: `<?php x?><Delete/>`, code: "MalformedXML"},
		"another charset": {body: `<?xml version="1.0" encoding="utf-16"?><Delete/>`, code: "MalformedXML"},
		"too deep": {
			body: "<Delete>" + strings.Repeat("<a>", 20) + strings.Repeat("</a>", 20) + "</Delete>",
			code: "MalformedXML",
		},
		"too many tokens": {body: "<Delete>" + strings.Repeat("<a/>", 250_000) + "</Delete>", code: "MalformedXML"},
		"too long":        {body: strings.Repeat(" ", 4<<20+1), code: "MaxMessageLengthExceeded"},
		"a wrong checksum": {
			header: http.Header{"X-Amz-Checksum-Crc32": {"AAAAAA=="}}, body: "<Delete/>", code: "BadDigest",
		},
		"half a checksum": {
			header: http.Header{"X-Amz-Checksum-Crc32": {"AAA="}}, body: "<Delete/>", code: "InvalidRequest",
		},
		"a wrong MD5": {
			header: http.Header{"Content-Md5": {base64.StdEncoding.EncodeToString(sum[:])}}, body: "<Delete></Delete>",
			code: "BadDigest",
		},
		"a malformed MD5": {header: http.Header{"Content-Md5": {"x"}}, body: "<Delete/>", code: "InvalidDigest"},
	} {
		t.Run(name, func(t *testing.T) {
			if _, err := decode(t, p, "/b?delete"+c.query, c.header, c.body); !fault.Is(err, fault.Code(c.code)) {
				t.Errorf("%s: %v, want %s", name, err, c.code)
			}
		})
	}
	bad := errors.New("bad signature")
	r, _ := parse(t, "POST", "/b?delete", nil)
	if err := p.Decode(0, r, body{io.MultiReader(strings.NewReader("<Delete/>"), failing{bad})},
		new(testInput)); !errors.Is(err, bad) {
		t.Errorf("a body that does not verify: %v", err)
	}
	if err := compiled[testInput, testOutput](t, At("POST /{Bucket}?delete").NeedChecksum()).Decode(0, r,
		body{strings.NewReader("<Delete/>")}, new(testInput)); !fault.Is(err, "InvalidRequest") {
		t.Errorf("no checksum: %v", err)
	}
}

type failing struct{ err error }

func (f failing) Read([]byte) (int, error) { return 0, f.err }

func golden(t *testing.T, name string, got []byte) {
	t.Helper()
	path := filepath.Join("testdata", name)
	if *update {
		if err := os.MkdirAll("testdata", 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, got, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, want) {
		t.Errorf("%s differs; got\n%s", path, got)
	}
}

func testRequest() *protocol.Request {
	return protocol.Unparsed(httptest.NewRequest("GET", "/b/k", nil), "0123456789ABCDEF", time.Unix(0, 0))
}

func dump(w *httptest.ResponseRecorder) []byte {
	var b bytes.Buffer
	res := w.Result()
	fmt.Fprintln(&b, res.Status)
	res.Header.Write(&b)
	b.WriteString("\n")
	io.Copy(&b, res.Body)
	b.WriteString("\n")
	return b.Bytes()
}

func TestEncode(t *testing.T) {
	version := "v<1>"
	out := &testOutput{
		Name: "a\x01<b>&\"é", Count: 3, When: time.Date(2026, 1, 2, 3, 4, 5, 6789000, time.UTC),
		Items:  []inner{{Key: "k1"}, {Key: "k2", Version: &version}},
		Header: "value", Meta: map[string]string{"colour": "blue"}, Status: 206,
	}
	w := httptest.NewRecorder()
	r := testRequest()
	if _, err := testService(t).Encode(0, w, r, out); err != nil {
		t.Fatal(err)
	}
	golden(t, "document.golden", dump(w))
	out.Header = "a\r\nX-Evil: 1"
	if _, err := testService(t).Encode(0, httptest.NewRecorder(), r, out); err == nil {
		t.Error("a header contains a line break")
	}
}

// lined takes headers in lines, and has them as they are received.
type lined struct {
	*httptest.ResponseRecorder
	lines []byte
	head  bool // there is no body, so that headers about it may be lines
}

func (l *lined) AddLines(shared, own []byte) bool {
	l.lines = append(append(l.lines, shared...), own...)
	return true
}

func (l *lined) WriteHeader(status int) {
	for line := range strings.Lines(string(l.lines)) {
		name, value, ok := strings.Cut(line, ": ")
		if protocol.AboutBody(http.CanonicalHeaderKey(name)) && !l.head || !ok || !strings.HasSuffix(value, "\r\n") {
			name = "Wrong"
		}
		l.Header()[name] = append(l.Header()[name], strings.TrimSuffix(value, "\r\n"))
	}
	l.ResponseRecorder.WriteHeader(status)
}

// TestEncodeInLines: a response in lines has the headers that it has without them. If net/http has to send a body, it
// gets those about it.
func TestEncodeInLines(t *testing.T) {
	for _, c := range []struct {
		name, method string
		out          any
		about        bool // what is about the body is in lines
	}{
		{"document", "GET", &testOutput{
			Name: "n", Count: 3, When: time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC), Header: " value ", Encoding: "br",
			Meta: map[string]string{"colour": "blue", "no name": "x"}, Status: 206,
		}, false},
		{"HEAD", "HEAD", &testOutput{Header: "value", Encoding: "br", Status: 206}, true},
		{"nothing", "GET", nil, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			with, without := &lined{ResponseRecorder: httptest.NewRecorder(), head: c.about}, httptest.NewRecorder()
			for _, w := range []http.ResponseWriter{with, without} {
				r := testRequest()
				r.HTTP.Method = c.method
				if _, err := testService(t).Encode(0, w, r, c.out); err != nil {
					t.Fatal(err)
				}
			}
			if !bytes.Contains(with.lines, []byte("x-amz-id-2: ")) ||
				bytes.Contains(with.lines, []byte("Content-Encoding: br")) != c.about {
				t.Errorf("lines: %q", with.lines)
			}
			if got, want := dump(with.ResponseRecorder), dump(without); !bytes.Equal(got, want) {
				t.Errorf("with lines:\n%s\nwithout:\n%s", got, want)
			}
		})
	}
}

func TestWriteError(t *testing.T) {
	f := fault.New(fault.NoSuchKey, "The <key> does not exist").With("Key", "a&b").With("Bucket", "x").
		WithHeader("x-amz-delete-marker", "true").WithHeader("X-Bad", "a\r\nb").Because(errors.New("SECRET CAUSE"))
	w := httptest.NewRecorder()
	WriteError(w, testRequest(), f)
	got := dump(w)
	if bytes.Contains(got, []byte("SECRET")) {
		t.Error("the answer contains the cause")
	}
	golden(t, "error.golden", got)
	for _, c := range []struct {
		method string
		kind   fault.Kind
	}{{"HEAD", fault.KindNotFound}, {"GET", fault.KindNotModified}} {
		t.Run(c.method, func(t *testing.T) {
			w, r := httptest.NewRecorder(), testRequest()
			r.HTTP.Method = c.method
			WriteError(w, r, fault.New("Code", "message").WithKind(c.kind))
			if w.Body.Len() != 0 || w.Code != c.kind.Status() {
				t.Errorf("%s: %d with a body of %d bytes", c.method, w.Code, w.Body.Len())
			}
		})
	}
}

func TestCompileRefuses(t *testing.T) {
	type noPlace struct{ A string }
	type badPlace struct {
		A string `loc:"moon,a"`
	}
	type badType struct {
		A chan int `loc:"query,a"`
	}
	type noRoot struct{ A string }
	type fine struct{}
	for _, c := range [][2]reflect.Type{
		{reflect.TypeFor[noPlace](), reflect.TypeFor[fine]()}, {reflect.TypeFor[badPlace](), reflect.TypeFor[fine]()},
		{reflect.TypeFor[badType](), reflect.TypeFor[fine]()}, {reflect.TypeFor[fine](), reflect.TypeFor[noRoot]()},
	} {
		t.Run(fmt.Sprint(c[0], c[1]), func(t *testing.T) {
			if _, err := compile(&Route{}, c[0], c[1]); err == nil {
				t.Errorf("%v, %v compile", c[0], c[1])
			}
		})
	}
}

func BenchmarkEncodeListing(b *testing.B) {
	out := &testOutput{Items: make([]inner, 1000)}
	for i := range out.Items {
		out.Items[i].Key = fmt.Sprintf("some/usual/key/%08d", i)
	}
	s, r := testService(b), testRequest()
	b.ReportAllocs()
	for b.Loop() {
		if _, err := s.Encode(0, httptest.NewRecorder(), r, out); err != nil {
			b.Fatal(err)
		}
	}
}
