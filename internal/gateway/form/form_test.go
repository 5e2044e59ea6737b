package form

import (
	"bytes"
	"encoding/base64"
	"io"
	"net/http"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"pgregory.net/rapid"

	"watertight/internal/fault"
)

const delimiter = "--XX"

// text returns a form as in RFC 7578; fields are name, value, ...
func text(file string, fields ...string) string {
	var b strings.Builder
	for i := 0; i < len(fields); i += 2 {
		b.WriteString(delimiter + "\r\nContent-Disposition: form-data; name=\"" + fields[i] + "\"\r\n\r\n" +
			fields[i+1] + "\r\n")
	}
	b.WriteString(delimiter + "\r\nContent-Disposition: form-data; name=\"file\"; filename=\"a.txt\"\r\n\r\n" + file +
		"\r\n" + delimiter + "--\r\n")
	return b.String()
}

func readForm(body io.Reader, length int) (*Form, error) {
	r := &http.Request{
		Header: http.Header{"Content-Type": {"multipart/form-data; boundary=XX"}}, Body: io.NopCloser(body),
		ContentLength: int64(length),
	}
	return Read(r)
}

// TestEveryCut: the file of a truncated form always ends with an error.
func TestEveryCut(t *testing.T) {
	whole := text("the file\r\n--X\r\n", "key", "k", "acl", "private")
	for n := range len(whole) - 2 { // the last line break is optional
		f, err := readForm(strings.NewReader(whole[:n]), n)
		if err == nil {
			_, err = io.Copy(io.Discard, f.File)
		}
		if err == nil {
			t.Fatalf("cut after %d bytes and accepted: %q", n, whole[:n])
		}
		if f := fault.From(err); f.Kind == fault.KindInternal {
			t.Fatalf("cut after %d bytes: %v", n, err)
		}
	}
}

// TestAnyForm: any fields and any file are read as they were sent, in reads of any size.
func TestAnyForm(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		file := rapid.OneOf(rapid.StringOf(rapid.SampledFrom([]rune("-X\r\nab"))), rapid.String()).Draw(t, "file")
		value := rapid.StringOf(rapid.SampledFrom([]rune("-X\r\n éb"))).Draw(t, "value")
		if strings.Contains(file, "\r\n"+delimiter) || strings.HasPrefix(file, delimiter) ||
			strings.Contains(value, "\r\n"+delimiter) || strings.HasPrefix(value, delimiter) {
			t.Skip("the text contains the boundary")
		}
		body := text(file, "KEY", "a/${filename}", "x-amz-meta-a", value)
		var r io.Reader = strings.NewReader(body)
		if rapid.Bool().Draw(t, "slow") {
			r = iotest.OneByteReader(r)
		}
		f, err := readForm(r, len(body))
		if err != nil {
			t.Fatal(err)
		}
		got, err := io.ReadAll(f.File)
		if err != nil || string(got) != file || f.Key != "a/a.txt" || f.Field("key") != f.Key ||
			f.Field("x-amz-meta-a") != value || f.Header().Get("X-Amz-Meta-A") != value {
			t.Fatalf("%q %q %q, %v", got, f.Key, f.fields, err)
		}
	})
}

// TestCauses: the error is the one that ended the body, not the multipart reader's.
func TestCauses(t *testing.T) {
	whole := text(strings.Repeat("x", 10_000), "key", "k")
	broken := fault.New(fault.RequestTimeout, "")
	for name, c := range map[string]struct {
		end  error
		code string
	}{"the connection": {io.ErrUnexpectedEOF, "IncompleteBody"}, "a fault": {broken, "RequestTimeout"}} {
		t.Run(name, func(t *testing.T) {
			for _, n := range []int{10, 5000} {
				f, err := readForm(io.MultiReader(strings.NewReader(whole[:n]), iotest.ErrReader(c.end)), len(whole))
				if err == nil {
					_, err = io.Copy(io.Discard, f.File)
				}
				if !fault.Is(err, fault.Code(c.code)) {
					t.Errorf("%s, after %d bytes: %v", name, n, err)
				}
			}
		})
	}
}

func TestPolicyNumbers(t *testing.T) {
	for text, want := range map[string]bool{
		`["content-length-range",0,5]`: true, `["content-length-range",5,5]`: true,
		`["content-length-range",6,9]`: true,
		`["content-length-range",9,6]`: false, `["content-length-range",0.5,6]`: false,
		`["content-length-range",0,99999999999999999999]`: false, `["content-length-range",null,6]`: false,
		`["content-length-range","0",6]`: false,
	} {
		t.Run(text, func(t *testing.T) {
			p, err := ParsePolicy(base64.StdEncoding.EncodeToString([]byte(`{"expiration":"2030-01-01T00:00:00Z",` +
				`"conditions":[` + text + `]}`)))
			if err != nil {
				t.Errorf("%s: %v", text, err)
				return
			}
			f := &Form{fields: map[string]string{}, File: &File{max: -1}}
			if err := p.Check(f, "b", time.Date(2029, 1, 1, 0, 0, 0, 0, time.UTC)); (err == nil) != want {
				t.Errorf("%s: %v", text, err)
			}
		})
	}
}

// TestBucketField: a policy's bucket is compared with the request's; a form whose field
// bucket differs from that is refused.
func TestBucketField(t *testing.T) {
	for field, want := range map[string]bool{"b": true, "": false, "B": false, "other": false} {
		t.Run(field, func(t *testing.T) {
			p, err := ParsePolicy(base64.StdEncoding.EncodeToString([]byte(
				`{"expiration":"2030-01-01T00:00:00Z","conditions":[{"bucket":"b"}]}`)))
			if err != nil {
				t.Fatal(err)
			}
			f := &Form{fields: map[string]string{"bucket": field}, File: &File{max: -1}}
			if err := p.Check(f, "b", time.Date(2029, 1, 1, 0, 0, 0, 0, time.UTC)); (err == nil) != want {
				t.Errorf("%q: %v", field, err)
			}
		})
	}
}

// TestStrictPolicy: a member must have its exact name and occur once, so that every parser reads the same
// policy.
func TestStrictPolicy(t *testing.T) {
	const end, none = `"expiration":"2030-01-01T00:00:00Z"`, `"conditions":[]`
	for text, ok := range map[string]bool{
		`{` + end + `,` + none + `}`:                                     true,
		`{` + none + `,` + end + `} `:                                    true,
		`{"Expiration":"2030-01-01T00:00:00Z",` + none + `}`:             false,
		`{` + end + `,"Conditions":[]}`:                                  false,
		`{` + end + `,` + end + `,` + none + `}`:                         false,
		`{` + end + `,"expiration":"2040-01-01T00:00:00Z",` + none + `}`: false,
		`{` + end + `,"conditions":[["eq","$key","a"]],` + none + `}`:    false,
		`{` + end + `,` + none + `,"other":1}`:                           false,
		`{` + end + `,` + none + `}{}`:                                   false,
		`[]`:                                                             false, `null`: false, `{}`: false,
		"{" + end + ",\"conditions\":[{\"key\":\"\xff\"}]}":          false,
		`{` + end + `,"conditions":[{"key":"a","key":"b"}]}`:         false,
		`{` + end + `,"conditions":[["content-length-range",-1,0]]}`: false,
		`{` + end + `,"conditions":[["content-length-range",0,-1]]}`: false,
	} {
		t.Run(text, func(t *testing.T) {
			if _, err := ParsePolicy(base64.StdEncoding.EncodeToString([]byte(text))); (err == nil) != ok ||
				err != nil && !fault.Is(err, "InvalidPolicyDocument") {
				t.Errorf("%s: %v", text, err)
			}
		})
	}
}

// FuzzForm: no bytes make the reader panic or exceed its bounds. If the file ends without an error, the
// form was complete.
func FuzzForm(f *testing.F) {
	whole := text("file", "key", "k", "policy", "e30=")
	for _, s := range []string{
		whole, whole[:40], strings.ReplaceAll(whole, "\r\n", "\n"), delimiter + "--", "", delimiter + "\r\n\r\n",
		text("", "key", ""),
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		form, err := readForm(bytes.NewReader(b), len(b))
		if err != nil {
			if fault.From(err).Kind == fault.KindInternal {
				t.Fatal(err)
			}
			return
		}
		size := 0
		for name, value := range form.fields {
			size += len(name) + len(value)
		}
		if size > maxFields+len(form.Key) || form.Key == "" && form.fields["key"] != "" {
			t.Fatalf("%d bytes of fields", size)
		}
		n, err := io.Copy(io.Discard, form.File)
		if err == nil && (n > int64(len(b)) || !bytes.Contains(b, []byte(delimiter+"--"))) {
			t.Fatalf("a file of %d bytes ends without an error", n)
		}
		if err != nil && fault.From(err).Kind == fault.KindInternal {
			t.Fatal(err)
		}
	})
}

// FuzzPolicy: a policy never allows a field that it does not name.
func FuzzPolicy(f *testing.F) {
	for _, s := range []string{
		`{"expiration":"2030-01-01T00:00:00Z","conditions":[{"key":"k"},["eq","$acl","private"],["starts-with",` +
			`"$x-amz-meta-a",""],["content-length-range",0,1]]}`,
		`{"expiration":"2030-01-01T00:00:00Z","conditions":[["starts-with","$key",""]]}`, `{}`, `[]`, `null`,
		`{"expiration":1}`,
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		p, err := ParsePolicy(base64.StdEncoding.EncodeToString([]byte(s)))
		if err != nil {
			if !fault.Is(err, "InvalidPolicyDocument") {
				t.Fatal(err)
			}
			return
		}
		form := &Form{fields: map[string]string{"key": "k", "no such field anywhere": "x"}, File: &File{max: -1}}
		err = p.Check(form, "b", time.Date(2029, 1, 1, 0, 0, 0, 0, time.UTC))
		if err == nil && !strings.Contains(strings.ToLower(s), "no such field") && !strings.Contains(s, `\u`) {
			t.Fatalf("%s allows an extra field", s)
		}
		if err != nil && !fault.Is(err, "AccessDenied") {
			t.Fatal(err)
		}
	})
}
