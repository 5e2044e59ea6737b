package xmldoc

import (
	"encoding/xml"
	"fmt"
	"reflect"
	"testing"
	"time"
	"unicode/utf8"

	"pgregory.net/rapid"

	"watertight/internal/fault"
)

type shape struct {
	Objects []struct {
		Key     string
		Version *string `xml:"VersionId"`
	} `xml:"Object"`
	Quiet bool
	Names []string `xml:"Names>Name"`
}

const ours = "http://ours/"

// schemas returns the schema of shape, and a strict one.
func schemas(t testing.TB) (loose, strict *Schema) {
	t.Helper()
	for _, s := range []**Schema{&loose, &strict} {
		var err error
		if *s, err = SchemaOf("Delete", reflect.TypeFor[*shape]()); err != nil {
			t.Fatal(err)
		}
	}
	strict.Strict(ours)
	return loose, strict
}

// FuzzDecode: no document causes a panic or an internal error. A strict schema accepts only documents that
// a loose one accepts, and decodes them equally.
func FuzzDecode(f *testing.F) {
	for _, s := range []string{
		"", "<Delete/>", "<Delete><Object><Key>k</Key></Object></Delete>", "<!DOCTYPE x>",
		"<Delete><Quiet>x</Quiet></Delete>", "</Delete>", "<Delete></x></Delete>",
		"<a:Delete xmlns:a='b'/>", "<a:Delete xmlns:a='http://ours/'><a:Evil>x</a:Evil></a:Delete>",
	} {
		f.Add([]byte(s))
	}
	loose, strict := schemas(f)
	f.Fuzz(func(t *testing.T, b []byte) {
		var in, same shape
		err, strictErr := loose.Decode(b, &in), strict.Decode(b, &same)
		for _, err := range []error{err, strictErr} {
			if err != nil && !fault.Is(err, fault.MalformedXML) {
				t.Fatal(err)
			}
		}
		if strictErr == nil && (err != nil || !reflect.DeepEqual(in, same)) {
			t.Fatalf("%v and %v, %v", same, in, err)
		}
	})
}

// TestSchema: a schema refuses repeated elements, and a strict one also unknown elements.
func TestSchema(t *testing.T) {
	loose, strict := schemas(t)
	spaces := func(n int) string {
		all := ""
		for i := range n {
			all += fmt.Sprintf(` xmlns:p%d="x"`, i)
		}
		return "<Delete" + all + "/>"
	}
	for _, c := range []struct {
		name, document string
		loose, strict  bool
	}{
		{"plain", "<Delete><Quiet>true</Quiet></Delete>", true, true},
		{"list", "<Delete><Object/><Quiet>true</Quiet><Object/></Delete>", true, true},
		{"repeated", "<Delete><Quiet>true</Quiet><Quiet>false</Quiet></Delete>", false, false},
		{"repeated, empty", "<Delete><Quiet>true</Quiet><Quiet/></Delete>", false, false},
		{"repeated in a list", "<Delete><Object><Key>a</Key><Key>b</Key></Object></Delete>", false, false},
		{"in two of a list", "<Delete><Object><Key>a</Key></Object><Object><Key>b</Key></Object></Delete>", true, true},
		{"repeated, prefixed", `<Delete xmlns:e="e"><Quiet>true</Quiet><e:Quiet/></Delete>`, false, false},
		{"repeated wrapper", "<Delete><Names><Name/></Names><Names/></Delete>", false, false},
		{"wrapped list", "<Delete><Names><Name>a</Name><Name>b</Name></Names></Delete>", true, true},
		{"repeated below an unknown element", "<Delete><X><Quiet/><Quiet/></X></Delete>", true, false},
		{"unknown", "<Delete><Evil/></Delete>", true, false},
		{"other case", "<Delete><quiet>true</quiet></Delete>", true, false},
		{"unknown in a value", "<Delete><Quiet>true<Evil/></Quiet></Delete>", true, false},
		{"text", "<Delete>x<Quiet>true</Quiet></Delete>", true, false},
		{"white space, comment", "<?xml version='1.0'?>\n<Delete>\n<!-- c --><Names/>\n</Delete>\n", true, true},
		{"namespace", `<Delete xmlns="http://ours/"><Quiet>true</Quiet></Delete>`, true, true},
		{"prefixed", `<o:Delete xmlns:o="http://ours/"><o:Quiet>true</o:Quiet></o:Delete>`, true, true},
		{"foreign", `<Delete xmlns="http://evil/"><Quiet>true</Quiet></Delete>`, true, false},
		{"foreign, inside", `<Delete><Quiet xmlns="http://evil/">true</Quiet></Delete>`, true, false},
		{"foreign, behind a prefix", `<Delete xmlns:e="http://evil/"><e:Quiet>true</e:Quiet></Delete>`, true, false},
		{"declared before", `<Delete><Object xmlns:e="http://ours/"/><e:Quiet>true</e:Quiet></Delete>`, true, false},
		{"undeclared prefix", "<Delete><e:Quiet>true</e:Quiet></Delete>", true, false},
		{"foreign attribute", `<Delete xmlns:x="http://x/" x:a="1"/>`, true, true},
		{"most declarations", spaces(16), true, true},
		{"too many declarations", spaces(17), true, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			for schema, want := range map[*Schema]bool{loose: c.loose, strict: c.strict} {
				var in shape
				if err := schema.Decode([]byte(c.document), &in); (err == nil) != want {
					t.Errorf("strict: %v: %v", schema == strict, err)
				}
			}
		})
	}
}

// TestAppendText: every value is encoded as XML with the same text.
func TestAppendText(t *testing.T) {
	for value, want := range map[string]string{
		"": "", `a<b>&"c"`: "a&lt;b&gt;&amp;&quot;c&quot;", "\x01\n\x7f": "&#x1;&#xa;&#x7f;",
		"é\U0001F600\uFFFD": "é\U0001F600\uFFFD",
		"\ufffe\uffff":      "&#xfffe;&#xffff;", "a\xffb": "a\uFFFDb",
	} {
		t.Run(want, func(t *testing.T) {
			if got := string(AppendText(nil, value)); got != want {
				t.Errorf("%q is %q", value, got)
			}
		})
	}
}

// FuzzAppendText: every text that XML 1.0 can express is decoded unchanged.
func FuzzAppendText(f *testing.F) {
	for _, s := range []string{"a", "<&>\"", "é\U0001F600", "\x00", "\xff"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		b := AppendMember(nil, "A", s)
		if !utf8.Valid(b) {
			t.Fatalf("%q", b)
		}
		for _, r := range s {
			if r < ' ' || r >= 0xfffe && r <= 0xffff {
				return // a reference that encoding/xml refuses
			}
		}
		var got string
		if err := xml.Unmarshal(b, &got); err != nil || utf8.ValidString(s) && got != s {
			t.Fatalf("%q is %q, %v", s, got, err)
		}
	})
}

// TestTime: times are formatted as by package time.
func TestTime(t *testing.T) {
	rapid.Check(t, func(r *rapid.T) {
		at := time.Unix(rapid.Int64Range(-70_000_000_000, 300_000_000_000).Draw(r, "at"),
			rapid.Int64Range(0, 999_999_999).Draw(r, "ns"))
		at = at.In(time.FixedZone("", rapid.IntRange(-50_000, 50_000).Draw(r, "zone")))
		want := at.UTC().Format("2006-01-02T15:04:05.000Z")
		if got := string(appendTime(nil, at)); got != want {
			r.Fatalf("%v is %q, want %q", at, got, want)
		}
	})
}
