package xmldoc

import (
	"encoding/xml"
	"testing"
	"unicode/utf8"

	"watertight/internal/fault"
)

type shape struct {
	Objects []struct {
		Key     string
		Version *string `xml:"VersionId"`
	} `xml:"Object"`
	Quiet bool
}

// FuzzDecode: no document makes a panic or an internal error.
func FuzzDecode(f *testing.F) {
	for _, s := range []string{
		"", "<Delete/>", "<Delete><Object><Key>k</Key></Object></Delete>", "<!DOCTYPE x>",
		"<Delete><Quiet>x</Quiet></Delete>",
		"<a:Delete xmlns:a='b'/>",
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		var in shape
		if err := Decode(b, "Delete", &in); err != nil && !fault.Is(err, fault.MalformedXML) {
			t.Fatalf("%v", err)
		}
	})
}

// TestAppendText: every value becomes XML with the same text.
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

// FuzzAppendText: text that XML 1.0 has a form for is read as it was.
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
