package rest

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"reflect"
	"strings"
	"testing"
)

// TestFieldsStandForHeaders: for a POST form, headers and query parameters of the
// request have no effect.
func TestFieldsStandForHeaders(t *testing.T) {
	p := compiled[testInput, testOutput](t, At("POST /{Bucket}"))
	r, err := parse(t, "POST", "/b?X-Amz-Signature=x&x-amz-meta-c=query&x-amz-optional=query", http.Header{
		"X-Amz-Acl": {"header"}, "X-Amz-Meta-A": {"header"}, "X-Amz-Meta-B": {"header"},
	})
	if err != nil {
		t.Fatal(err)
	}
	r.Key, r.Fields = "k", http.Header{"X-Amz-Meta-A": {"field"}}
	var in testInput
	if err := p.Decode(0, r, body{strings.NewReader("")}, &in); err != nil {
		t.Fatal(err)
	}
	if in.ACL != "" || in.List != nil || !reflect.DeepEqual(in.Meta, map[string]string{"a": "field"}) || in.Key != "k" {
		t.Errorf("%+v", in)
	}
}

// TestDocumentOfOneStatus: a tag says that only answers with one status have the document.
func TestDocumentOfOneStatus(t *testing.T) {
	type output struct {
		_      struct{} `root:"Result" only:"201" ns:"none"`
		Status int      `loc:"status"`
		Name   string
	}
	p := compiled[testInput, output](t, At("POST /{Bucket}"))
	r, err := parse(t, "POST", "/b", nil)
	if err != nil {
		t.Fatal(err)
	}
	for status, want := range map[int]string{
		201: `<?xml version="1.0" encoding="UTF-8"?>` + "\n<Result><Name>n</Name></Result>", 200: "", 204: "", 303: "",
	} {
		t.Run(fmt.Sprint(status), func(t *testing.T) {
			w := httptest.NewRecorder()
			if _, err := p.Encode(0, w, r, &output{Status: status, Name: "n"}); err != nil {
				t.Fatal(err)
			}
			if w.Code != status || w.Body.String() != want {
				t.Errorf("%d: %d %q", status, w.Code, w.Body)
			}
		})
	}
}

// TestPreflightTakesAnySubresource: only a preflight accepts every subresource.
func TestPreflightTakesAnySubresource(t *testing.T) {
	router, err := routing(At("OPTIONS /{Bucket}/{Key+}").Preflight(), At("PUT /{Bucket}/{Key+}"))
	if err != nil {
		t.Fatal(err)
	}
	for method, want := range map[string]bool{"OPTIONS": true, "PUT": false} {
		t.Run(method, func(t *testing.T) {
			for _, query := range []string{"acl", "partNumber=1&uploadId=x", "X-Amz-Signature=x&tagging"} {
				r, err := parse(t, method, "/b/k?"+query, nil)
				if err != nil {
					t.Fatal(err)
				}
				if _, err := router.Match(r); (err == nil) != want {
					t.Errorf("%s ?%s: %v", method, query, err)
				}
			}
		})
	}
}
