package rest

import (
	"encoding/xml"
	"fmt"
	"net/http"
	"net/http/httptest"
	"reflect"
	"strings"
	"testing"

	"watertight/internal/fault"
	"watertight/internal/gateway/sigv4"
)

// TestHoistedHeaders: a presigned URL may have a header as a parameter. Routing and decoding use it; in
// other requests it has no effect.
func TestHoistedHeaders(t *testing.T) {
	router, _ := testRouter(t)
	for target, code := range map[string]string{
		"/b/k?X-Amz-Signature=0&x-amz-copy-source=%2Fb%2Fk": "InvalidArgument",
		"/b/k?X-Amz-Signature=0&X-Amz-Copy-Source=%2Fb%2Fk": "InvalidArgument",
		"/b/k?x-amz-copy-source=%2Fb%2Fk":                   "",
	} {
		t.Run(target, func(t *testing.T) {
			r, err := parse(t, "PUT", target, nil)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := router.Match(r); code == "" && err != nil || code != "" && !fault.Is(err, fault.Code(code)) {
				t.Errorf("%s: %v, want %q", target, err, code)
			}
		})
	}
	in, err := decode(t, testService(t), "/b/k?delete&X-Amz-Signature=0&x-amz-meta-colour=blue&x-amz-meta-size=2",
		http.Header{"X-Amz-Meta-Size": {"2"}}, "")
	if err != nil || in.Meta["colour"] != "blue" || in.Meta["size"] != "2" {
		t.Errorf("hoisted metadata: %v, %v", in.Meta, err)
	}
	if _, err := decode(t, testService(t), "/b/k?X-Amz-Signature=0&x-amz-meta-size=1",
		http.Header{"X-Amz-Meta-Size": {"2"}}, ""); !fault.Is(err, "InvalidArgument") {
		t.Errorf("a header and its parameter differ: %v", err)
	}
	in, err = decode(t, testService(t), "/b/k?delete&x-amz-meta-colour=blue", nil, "")
	if err != nil || len(in.Meta) != 0 {
		t.Errorf("a parameter of a URL that is not presigned became metadata: %v, %v", in.Meta, err)
	}
}

// TestLargestCompletion: a document with 10,000 parts, each with a checksum, indented, is accepted.
func TestLargestCompletion(t *testing.T) {
	type part struct {
		ETag, ChecksumCRC32 string
		PartNumber          int
	}
	type input struct {
		Upload *struct {
			Parts []part `xml:"Part"`
		} `loc:"body,CompleteMultipartUpload"`
	}
	p := compiled[input, struct{}](t, At("POST /{Bucket}/{Key+}?uploadId"))
	var b strings.Builder
	b.WriteString("<CompleteMultipartUpload>\n")
	for i := range 10_000 {
		fmt.Fprintf(&b,
			"<Part>\n<ETag>\"d41d8cd98f00b204e9800998ecf8427e\"</ETag>\n<PartNumber>%d</PartNumber>\n"+
				"<ChecksumCRC32>AAAAAA==</ChecksumCRC32>\n</Part>\n", i+1)
	}
	b.WriteString("</CompleteMultipartUpload>")
	r, err := parse(t, "POST", "/b/k?uploadId=x", nil)
	if err != nil {
		t.Fatal(err)
	}
	var in input
	if err := p.Decode(0, r, body{strings.NewReader(b.String())}, &in); err != nil || len(in.Upload.Parts) != 10_000 {
		t.Fatalf("%d bytes: %v", b.Len(), err)
	}
}

func TestBucketsOfHosts(t *testing.T) {
	for _, host := range []string{"..s3.example.com", "...s3.example.com", "a/b.s3.example.com"} {
		t.Run(host, func(t *testing.T) {
			hr := httptest.NewRequest("GET", "http://example.com/", nil)
			hr.RequestURI, hr.Host = "/k", host
			if r, err := read(hr); !fault.Is(err, "InvalidBucketName") {
				t.Errorf("%s: %+v, %v", host, r, err)
			}
		})
	}
}

func TestTextOutsideTheDocument(t *testing.T) {
	for text, fine := range map[string]bool{
		"text<Delete/>": false, "<Delete/>text": false, "<Delete/>&amp;": false,
		`<?xml version="1.0"?><?xml version="1.0"?><Delete/>`: false,
		"\n<Delete/>\n ": true, "\xef\xbb\xbf<?xml version=\"1.0\"?><Delete/>": true,
	} {
		t.Run(text, func(t *testing.T) {
			_, err := decode(t, testService(t), "/b?delete", nil, text)
			if fine && err != nil || !fine && !fault.Is(err, "MalformedXML") {
				t.Errorf("%q: %v", text, err)
			}
		})
	}
}

// trailers is a sigv4.Body with trailers.
type trailers struct {
	body
	values map[string]string
}

func (t trailers) Trailer(name string) string { return t.values[name] }

func TestChecksumsElsewhere(t *testing.T) {
	route := At("POST /{Bucket}?delete").NeedChecksum()
	p := compiled[testInput, testOutput](t, route)
	r, err := parse(t, "POST", "/b?delete", nil)
	if err != nil {
		t.Fatal(err)
	}
	for value, code := range map[string]string{
		"AAAAAA==": "BadDigest", "AAA=": "InvalidRequest", "": "InvalidRequest", "DY2k5w==": "",
	} {
		t.Run(value, func(t *testing.T) {
			s := trailers{body{strings.NewReader("<Delete/>")}, map[string]string{"x-amz-checksum-crc32": value}}
			if err := p.Decode(0, r, s, new(testInput)); code == "" && err != nil ||
				code != "" && !fault.Is(err, fault.Code(code)) {
				t.Errorf("a trailer %q: %v, want %q", value, err, code)
			}
		})
	}
	if _, err := decode(t, p, "/b?delete", http.Header{"X-Amz-Checksum-Adler32": {"AAAA"}},
		"<Delete/>"); !fault.Is(err, "InvalidRequest") {
		t.Errorf("a checksum that is not verified: %v", err)
	}
	type streamed struct {
		Body sigv4.Body `loc:"stream"`
	}
	p = compiled[streamed, struct{}](t, route)
	if err := p.Decode(0, r, body{strings.NewReader("x")}, new(streamed)); !fault.Is(err, "MissingContentLength") {
		t.Errorf("a stream without a length: %v", err)
	}
	if err := p.Decode(0, r, sized{body{strings.NewReader("x")}}, new(streamed)); !fault.Is(err, "InvalidRequest") {
		t.Errorf("a stream without its checksum: %v", err)
	}
	r.HTTP.Header.Set("X-Amz-Trailer", "x-amz-checksum-crc32")
	if err := p.Decode(0, r, sized{body{strings.NewReader("x")}}, new(streamed)); err != nil {
		t.Errorf("a stream whose checksum is a trailer: %v", err)
	}
}

// sized is a body with a declared length.
type sized struct{ body }

func (sized) Size() int64 { return 1 }

type grantee struct {
	Type string `xml:"http://www.w3.org/2001/XMLSchema-instance type,attr"`
	ID   string
}

// TestAttribute: a grantee's type is encoded and decoded as xsi:type.
func TestAttribute(t *testing.T) {
	type answer struct {
		_ struct{} `root:"R"`
		G grantee
	}
	type input struct {
		R *struct{ G grantee } `loc:"body,R"`
	}
	p := compiled[input, answer](t, At("POST /{Bucket}"))
	w := httptest.NewRecorder()
	if _, err := p.Encode(0, w, testRequest(), &answer{G: grantee{`Gr"oup`, "1"}}); err != nil {
		t.Fatal(err)
	}
	r, err := parse(t, "POST", "/b", nil)
	if err != nil {
		t.Fatal(err)
	}
	var in input
	if err := p.Decode(0, r, body{w.Body}, &in); err != nil || in.R.G != (grantee{`Gr"oup`, "1"}) {
		t.Errorf("%+v, %v", in.R, err)
	}
}

func TestCompileRefusesForms(t *testing.T) {
	type attribute struct {
		_ struct{} `root:"R"`
		A string   `xml:"a,attr"`
	}
	type option struct {
		_ struct{} `root:"R"`
		A string   `xml:",any"`
	}
	for _, out := range []reflect.Type{reflect.TypeFor[attribute](), reflect.TypeFor[option]()} {
		if _, err := compile(&Route{}, reflect.TypeFor[struct{}](), out); err == nil {
			t.Errorf("%v compiles", out)
		}
	}
}

// TestBytesThatAreNoText: the error page is UTF-8, whatever bytes a header has.
func TestBytesThatAreNoText(t *testing.T) {
	for value, want := range map[string]string{
		"a\xffb": "a\uFFFDb", "\xed\xa0\x80": "\uFFFD\uFFFD\uFFFD", "é\U0001F600\uFFFD": "é\U0001F600\uFFFD",
	} {
		t.Run(value, func(t *testing.T) {
			w := httptest.NewRecorder()
			WriteError(w, testRequest(), fault.New(fault.InvalidArgument, "m").With("ArgumentValue", value))
			var page struct{ ArgumentValue string }
			if err := xml.Unmarshal(w.Body.Bytes(), &page); err != nil || page.ArgumentValue != want {
				t.Errorf("%q is %q, %v", value, page.ArgumentValue, err)
			}
		})
	}
}
