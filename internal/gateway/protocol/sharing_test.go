package protocol

import (
	"net/http"
	"reflect"
	"testing"
	"time"
)

func TestCrossOrigin(t *testing.T) {
	for _, c := range []struct {
		method         string
		header         http.Header
		origin, asksOf string
		headers        []string
	}{
		{"GET", nil, "", "", nil},
		{
			"GET", http.Header{"Origin": {"https://a"}, "Access-Control-Request-Method": {"PUT"}}, "https://a", "GET",
			nil,
		},
		{"GET", http.Header{"Origin": {"https://a", "https://b"}}, "", "", nil},
		{
			"OPTIONS",
			http.Header{
				"Origin": {"null"}, "Access-Control-Request-Method": {"PUT"},
				"Access-Control-Request-Headers": {"A, b,", " ,C"},
			},
			"null", "PUT", []string{"A", "b", "C"},
		},
		{"OPTIONS", http.Header{"Origin": {"https://a"}}, "https://a", "", nil},
	} {
		t.Run(c.method, func(t *testing.T) {
			r := Unparsed(&http.Request{Method: c.method, Header: c.header}, "ID", time.Unix(0, 0))
			if origin, method, headers := r.CrossOrigin(); origin != c.origin || method != c.asksOf ||
				!reflect.DeepEqual(headers, c.headers) {
				t.Errorf("%+v: %q %q %q", c, origin, method, headers)
			}
		})
	}
}
