package protocol

import (
	"bytes"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// TestMay: a header that a request has is never reported as absent, whatever else it has, and a
// request that was not parsed may have every header.
func TestMay(t *testing.T) {
	names := rapid.SampledFrom([]string{
		"Host", "Range", "Origin", "If-Match", "Content-Md5", "X-Amz-Date", "X-Amz-Content-Sha256", "X-Amz-Acl",
		"X-Amz-Security-Token", "X-Watertight-As-Of", "X-Amz-Meta-A", "x-lower", "1",
	})
	rapid.Check(t, func(r *rapid.T) {
		hr := httptest.NewRequest(http.MethodGet, "/b/k", nil)
		hr.Header = http.Header{}
		asked := names.Draw(r, "asked")
		for _, name := range rapid.SliceOfN(names, 0, 4).Draw(r, "sent") {
			hr.Header[name] = []string{"v"}
		}
		q := Unparsed(hr, "ID", time.Time{})
		if !q.May(InitialOf(asked)) || !q.May(InitialOf("")) {
			r.Fatal("a request that was not parsed has no header")
		}
		if err := q.Parse(Options{}); err != nil {
			r.Fatal(err)
		}
		if len(hr.Header[asked]) > 0 && !q.May(InitialOf(asked)) {
			r.Fatalf("%v has no %s", hr.Header, asked)
		}
		if len(hr.Header) == 0 && q.May(InitialOf(asked)) {
			r.Fatal("no headers, and one of them may be", asked)
		}
		q.Fields = http.Header{}
		if !q.May(InitialOf(asked)) {
			r.Fatal("the fields of a form were not read")
		}
	})
}

// TestPrintable: eight bytes at once give the same result as one by one.
func TestPrintable(t *testing.T) {
	characters := rapid.SampledFrom([]byte("az\t \x00\x1f\x20\x7e\x7f\x80\x9f\xa0\xff\r\n"))
	rapid.Check(t, func(r *rapid.T) {
		s := rapid.SliceOfN(characters, 0, 40).Draw(r, "s")
		want := !bytes.ContainsFunc(s, func(c rune) bool { return c < ' ' && c != '\t' || c == 0x7f })
		if got := Printable(string(s)); got != want {
			r.Fatalf("%q: %v", s, got)
		}
	})
}

// TestOpen: a request has new ids of the same form, and forgets everything but its connection.
func TestOpen(t *testing.T) {
	hr := httptest.NewRequest(http.MethodGet, "/b/k?a=b", nil)
	hr.Header.Set("X-Amz-Acl", "private")
	at := time.Unix(7, 0)
	var q, twin Request
	q.Open(hr, at)
	twin.Open(hr, at)
	if q.ID == twin.ID {
		t.Error("two requests with one id")
	}
	fresh := q
	want := Unparsed(hr, q.ID, at)
	if q.HostID != want.HostID || q.Peer != want.Peer || len(q.ID) != len(NewRequestID()) {
		t.Errorf("%+v, want %+v", q, want)
	}
	if err := q.Parse(Options{Region: "r", Now: time.Now}); err != nil {
		t.Fatal(err)
	}
	q.Bucket, q.Document, q.At = "b", []byte("d"), time.Now()
	q.Forget(at)
	if q.Query != nil || q.Bucket != "" || q.Document != nil || q.Region != "" || !q.At.Equal(at) ||
		q.ID != fresh.ID || q.HostID != fresh.HostID || q.Peer != fresh.Peer || !q.May(InitialOf("Range")) {
		t.Errorf("%+v, want %+v", q, fresh)
	}
}

// TestValues: the values of headers stay what they are when more follow, and have no room to
// be appended to.
func TestValues(t *testing.T) {
	var q Request
	var all [][]string
	for i := range 3 * len(q.values) {
		all = append(all, q.Value(strings.Repeat("x", i)))
		_ = append(all[i], "more")
	}
	for i, v := range all {
		if len(v) != 1 || len(v[0]) != i {
			t.Errorf("value %d is %q", i, v)
		}
	}
}

// TestDocumentWithoutLength: a body that a header calls empty is read to its end, and what it
// has nevertheless is not lost.
func TestDocumentWithoutLength(t *testing.T) {
	bad := errors.New("bad")
	for _, c := range []struct {
		body io.Reader
		want string
		err  error
	}{
		{strings.NewReader(""), "", nil}, {strings.NewReader("a"), "a", nil}, {strings.NewReader("abc"), "abc", nil},
		{errReader{bad}, "", bad}, {io.MultiReader(strings.NewReader("a"), errReader{bad}), "", bad},
	} {
		t.Run(c.want, func(t *testing.T) {
			hr := httptest.NewRequest(http.MethodGet, "/b", nil)
			hr.ContentLength = 0
			got, err := Unparsed(hr, "ID", time.Time{}).ReadDocument(c.body)
			if string(got) != c.want || !errors.Is(err, c.err) {
				t.Errorf("%q, %v; want %q, %v", got, err, c.want, c.err)
			}
		})
	}
}

type errReader struct{ err error }

func (r errReader) Read([]byte) (int, error) { return 0, r.err }
