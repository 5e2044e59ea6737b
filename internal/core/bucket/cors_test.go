package bucket

import (
	"reflect"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"watertight/internal/fault"
)

func TestCORSMatch(t *testing.T) {
	c := CORS{
		{
			ID: "exact", Origins: []string{"https://a.example"}, Methods: []string{"GET", "PUT"},
			Headers: []string{"X-One", "x-amz-*"},
		},
		{ID: "wild", Origins: []string{"http://*.example", "null"}, Methods: []string{"DELETE"}},
		{ID: "any", Origins: []string{"*"}, Methods: []string{"HEAD"}, Headers: []string{"*"}},
	}
	for _, test := range []struct{ origin, method, headers, want string }{
		{"https://a.example", "GET", "", "exact"},
		{"https://a.example", "PUT", "x-one,X-AMZ-Date", "exact"},
		{"https://a.example", "PUT", "x-one,x-two", ""},
		{"https://a.example", "PUT", "x-ones", ""},
		{"https://A.example", "GET", "", ""},
		{"https://a.example:443", "GET", "", ""},
		{"https://a.example.evil", "GET", "", ""},
		{"https://a.example", "get", "", ""},
		{"https://a.example", "POST", "", ""},
		{"http://b.example", "DELETE", "", "wild"},
		{"http://.example", "DELETE", "", "wild"},
		{"http://b.examples", "DELETE", "", ""},
		{"http://example", "DELETE", "", ""},
		{"http://b.example", "DELETE", "x-one", ""},
		{"null", "DELETE", "", "wild"},
		{"anything at all", "HEAD", "x-what-ever", "any"},
	} {
		t.Run(test.origin+" "+test.method+" "+test.headers, func(t *testing.T) {
			var headers []string
			if test.headers != "" {
				headers = strings.Split(test.headers, ",")
			}
			got := ""
			if r := c.Match(test.origin, test.method, headers); r != nil {
				got = r.ID
			}
			if got != test.want {
				t.Errorf("%+v: rule %q", test, got)
			}
		})
	}
}

// TestCORSWildcardOverlap: the parts before and after the * do not share characters of
// the origin.
func TestCORSWildcardOverlap(t *testing.T) {
	if matches("http://a*a.example", "http://a.example") {
		t.Error("one character matched both parts")
	}
}

func TestCORSRefused(t *testing.T) {
	good := func() CORSRule { return CORSRule{Origins: []string{"*"}, Methods: []string{"GET"}} }
	negative := int32(-1)
	many := make(CORS, maxCORSRules+1)
	for i := range many {
		many[i] = good()
	}
	for name, test := range map[string]struct {
		change func(*CORSRule)
		code   string
	}{
		"good":                {func(*CORSRule) {}, ""},
		"no origin":           {func(r *CORSRule) { r.Origins = nil }, "MalformedXML"},
		"no method":           {func(r *CORSRule) { r.Methods = nil }, "MalformedXML"},
		"empty origin":        {func(r *CORSRule) { r.Origins = []string{""} }, "MalformedXML"},
		"negative age":        {func(r *CORSRule) { r.MaxAge = &negative }, ""},
		"a blank in a header": {func(r *CORSRule) { r.Headers = []string{"x y"} }, "InvalidRequest"},
		"an exposed colon":    {func(r *CORSRule) { r.Expose = []string{"x:y"} }, "InvalidRequest"},
		"PATCH":               {func(r *CORSRule) { r.Methods = []string{"PATCH"} }, "InvalidRequest"},
		"lower case":          {func(r *CORSRule) { r.Methods = []string{"get"} }, "InvalidRequest"},
		"two * in an origin":  {func(r *CORSRule) { r.Origins = []string{"http://*.*"} }, "InvalidRequest"},
		"two * in a header":   {func(r *CORSRule) { r.Headers = []string{"x-*-*"} }, "InvalidRequest"},
		"* exposed":           {func(r *CORSRule) { r.Expose = []string{"x-*"} }, "InvalidRequest"},
		"a line break exposed": {func(r *CORSRule) {
			r.Expose = []string{
				"x\r\nSet-Cookie: a=b",
			}
		}, "InvalidRequest"},
		"a line break in an ID": {func(r *CORSRule) { r.ID = "a\nb" }, "InvalidRequest"},
		"a NUL in an origin":    {func(r *CORSRule) { r.Origins = []string{"http://a\x00"} }, "InvalidRequest"},
		"256 characters of ID":  {func(r *CORSRule) { r.ID = strings.Repeat("i", 256) }, "InvalidRequest"},
		"more than 64 KiB in sum": {func(r *CORSRule) {
			r.Headers = []string{
				strings.Repeat("h", maxCORSBytes),
			}
		}, "InvalidRequest"},
		"an origin with a newline": {func(r *CORSRule) { r.Origins = []string{"*\n"} }, "InvalidRequest"},
	} {
		t.Run(name, func(t *testing.T) {
			r := good()
			test.change(&r)
			if err := (CORS{r}).check(); test.code == "" && err != nil ||
				test.code != "" && !fault.Is(err, fault.Code(test.code)) {
				t.Errorf("%s: %v", name, err)
			}
		})
	}
	if err := many.check(); !fault.Is(err, "InvalidRequest") {
		t.Errorf("101 rules: %v", err)
	}
	if err := many[:maxCORSRules].check(); err != nil {
		t.Errorf("100 rules: %v", err)
	}
	if err := (CORS{}).check(); !fault.Is(err, "MalformedXML") {
		t.Errorf("no rules: %v", err)
	}
}

func TestCORSRecord(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		texts := func(name string, min int) []string {
			s := rapid.SliceOfN(rapid.StringN(1, 20, -1), min, 4).Draw(t, name)
			if len(s) == 0 {
				return nil
			}
			return s
		}
		c := CORS{}
		for range rapid.IntRange(1, 5).Draw(t, "rules") {
			r := CORSRule{
				ID: rapid.String().Draw(t, "id"), Origins: texts("origins", 1), Methods: texts("methods", 1),
				Headers: texts("headers", 0), Expose: texts("expose", 0),
			}
			if rapid.Bool().Draw(t, "aged") {
				age := rapid.Int32().Draw(t, "age")
				r.MaxAge = &age
			}
			c = append(c, r)
		}
		got, err := decodeCORS(encodeCORS(c))
		if err != nil || !reflect.DeepEqual(got, c) {
			t.Fatalf("%+v is decoded as %+v, %v", c, got, err)
		}
	})
	if _, err := decodeCORS([]byte{1, 0x0a, 5}); err == nil {
		t.Error("a truncated record is accepted")
	}
}
