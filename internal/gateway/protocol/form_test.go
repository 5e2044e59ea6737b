package protocol

import (
	"net/http"
	"net/http/httptest"
	"reflect"
	"strings"
	"testing"
)

// TestFieldsStandForHeaders: of a POST form, no header of the request and no
// parameter means anything.
func TestFieldsStandForHeaders(t *testing.T) {
	p, err := Compile(reflect.TypeFor[testInput](), reflect.TypeFor[testOutput]())
	if err != nil {
		t.Fatal(err)
	}
	r, err := parse(t, "POST", "/b?X-Amz-Signature=x&x-amz-meta-c=query&x-amz-optional=query", http.Header{
		"X-Amz-Acl": {"header"}, "X-Amz-Meta-A": {"header"}, "X-Amz-Meta-B": {"header"},
	})
	if err != nil {
		t.Fatal(err)
	}
	r.Key, r.Fields = "k", http.Header{"X-Amz-Meta-A": {"field"}}
	var in testInput
	if err := p.Decode(r, REST("POST /{Bucket}"), body{strings.NewReader("")}, &in); err != nil {
		t.Fatal(err)
	}
	if in.ACL != "" || in.List != nil || !reflect.DeepEqual(in.Meta, map[string]string{"a": "field"}) || in.Key != "k" {
		t.Errorf("%+v", in)
	}
}

// TestDocumentOfOneStatus: only tells which answers have the document.
func TestDocumentOfOneStatus(t *testing.T) {
	type output struct {
		_      struct{} `root:"Result" only:"201" ns:"none"`
		Status int      `loc:"status"`
		Name   string
	}
	p, err := Compile(reflect.TypeFor[testInput](), reflect.TypeFor[output]())
	if err != nil {
		t.Fatal(err)
	}
	r, err := parse(t, "POST", "/b", nil)
	if err != nil {
		t.Fatal(err)
	}
	for status, want := range map[int]string{201: `<?xml version="1.0" encoding="UTF-8"?>` + "\n<Result><Name>n</Name></Result>", 200: "", 204: "", 303: ""} {
		w := httptest.NewRecorder()
		if _, err := new(Encoder).Encode(w, r, REST("POST /{Bucket}"), p, &output{Status: status, Name: "n"}); err != nil {
			t.Fatal(err)
		}
		if w.Code != status || w.Body.String() != want {
			t.Errorf("%d: %d %q", status, w.Code, w.Body)
		}
	}
}

// TestPreflightTakesAnySubresource, and nothing else does.
func TestPreflightTakesAnySubresource(t *testing.T) {
	router, err := NewRouter([]Route{REST("OPTIONS /{Bucket}/{Key+}").Preflight(), REST("PUT /{Bucket}/{Key+}")})
	if err != nil {
		t.Fatal(err)
	}
	for method, want := range map[string]bool{"OPTIONS": true, "PUT": false} {
		for _, query := range []string{"acl", "partNumber=1&uploadId=x", "X-Amz-Signature=x&tagging"} {
			r, err := parse(t, method, "/b/k?"+query, nil)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := router.Match(r); (err == nil) != want {
				t.Errorf("%s ?%s: %v", method, query, err)
			}
		}
	}
}

func TestCrossOrigin(t *testing.T) {
	for _, c := range []struct {
		method         string
		header         http.Header
		origin, asksOf string
		headers        []string
	}{
		{"GET", nil, "", "", nil},
		{"GET", http.Header{"Origin": {"https://a"}, "Access-Control-Request-Method": {"PUT"}}, "https://a", "GET", nil},
		{"GET", http.Header{"Origin": {"https://a", "https://b"}}, "", "", nil},
		{"OPTIONS", http.Header{"Origin": {"null"}, "Access-Control-Request-Method": {"PUT"}, "Access-Control-Request-Headers": {"A, b,", " ,C"}}, "null", "PUT", []string{"A", "b", "C"}},
		{"OPTIONS", http.Header{"Origin": {"https://a"}}, "https://a", "", nil},
	} {
		r, err := parse(t, c.method, "/b/k", c.header)
		if err != nil {
			t.Fatal(err)
		}
		if origin, method, headers := r.CrossOrigin(); origin != c.origin || method != c.asksOf || !reflect.DeepEqual(headers, c.headers) {
			t.Errorf("%+v: %q %q %q", c, origin, method, headers)
		}
	}
}
