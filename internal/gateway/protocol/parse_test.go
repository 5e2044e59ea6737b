package protocol

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"watertight/internal/fault"
)

func TestParseQuery(t *testing.T) {
	hr := httptest.NewRequest("GET", "http://example.com/", nil)
	hr.RequestURI = "/b?prefix=a+b%2Bc&empty=&flag&&x=%C3%A9"
	r, err := Parse(hr, Options{}, "ID", time.Unix(0, 0))
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]string{"prefix": "a b+c", "empty": "", "flag": "", "x": "é"} {
		t.Run(name, func(t *testing.T) {
			if got, ok := r.Param(name); !ok || got != want {
				t.Errorf("%s is %q, %v", name, got, ok)
			}
		})
	}
	hr.RequestURI = "/b?" + strings.Repeat("a=1&", maxParams+1)
	if _, err := Parse(hr, Options{}, "ID", time.Unix(0, 0)); !fault.Is(err, "InvalidArgument") {
		t.Errorf("too many parameters: %v", err)
	}
}

func TestHeaderLimits(t *testing.T) {
	hr := httptest.NewRequest("GET", "http://example.com/", nil)
	hr.RequestURI = "/b"
	hr.Header.Set("X-Fill", strings.Repeat("x", maxHeaders))
	if _, err := Parse(hr, Options{}, "ID", time.Unix(0, 0)); !fault.Is(err, "RequestHeaderSectionTooLarge") {
		t.Errorf("too much: %v", err)
	}
	hr.Header = http.Header{"X-Amz-Meta-A": {"a\x01b"}}
	if _, err := Parse(hr, Options{}, "ID", time.Unix(0, 0)); !fault.Is(err, "InvalidArgument") {
		t.Errorf("a control character: %v", err)
	}
}
