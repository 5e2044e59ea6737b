package edge_test

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/andybalholm/brotli"

	"watertight/internal/core/distribution"
	"watertight/internal/edge"
	"watertight/internal/edge/accesslog"
	"watertight/internal/edge/cache"
	"watertight/internal/edge/origin"
)

// The cases of testdata/*.cases say what a viewer sends, what the origin is asked and
// answers, and what the viewer gets:
//
//	@ name of a case; the cache and the origin are fresh
//	% a change of the site, as JSON; see usual for what it changes
//	> a line of the viewer's request, or of its body after an empty one
//	= a line of the origin's answer: its status, headers, an empty line, its body; "new" is
//	  before another one
//	? what the origin was asked
//	< what the viewer gets
//	~ a duration that passes
//	/ paths that are invalidated
//
// Requests that follow each other are parted by an empty line. An origin that has no
// further answer repeats its last one. The lines with ? and < are
// what the test compares; -update writes them.
func TestCases(t *testing.T) {
	files, err := filepath.Glob("testdata/*.cases")
	if err != nil || len(files) == 0 {
		t.Fatal("no cases", err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".cases"), func(t *testing.T) {
			text, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			var out strings.Builder
			for _, c := range splitCases(string(text)) {
				t.Run(c.name, func(t *testing.T) {
					got := c.run(t, false)
					out.WriteString(got)
					if got != c.text && !update() {
						t.Errorf("got\n%s\nwant\n%s", got, c.text)
					}
					if lined := c.run(t, true); lined != got {
						t.Errorf("with lines of a header:\n%s\nwithout:\n%s", lined, got)
					}
				})
			}
			if update() {
				if err := os.WriteFile(file, []byte(out.String()), 0o644); err != nil {
					t.Fatal(err)
				}
			}
		})
	}
}

func update() bool {
	f := flag.Lookup("update")
	return f != nil && f.Value.String() == "true"
}

func TestMain(m *testing.M) {
	flag.Bool("update", false, "write what the cases expect")
	flag.Parse()
	os.Exit(m.Run())
}

// oneCase is one case and its text.
type oneCase struct{ name, text string }

func splitCases(text string) []oneCase {
	var cases []oneCase
	for _, line := range strings.SplitAfter(text, "\n") {
		if name, ok := strings.CutPrefix(line, "@ "); ok || len(cases) == 0 {
			cases = append(cases, oneCase{name: strings.TrimSpace(name)})
		}
		cases[len(cases)-1].text += line
	}
	return cases
}

// usual returns the site that cases change. It has a bucket and a custom origin, and one cache
// policy, whose key has no headers, cookies or query strings.
func usual() *distribution.Site {
	day, year := int64(86400), int64(31536000)
	return &distribution.Site{
		ID: "E1", Account: "111122223333", DomainName: "d1.cloudfront.net",
		Config: distribution.Config{
			Aliases: distribution.Aliases{Items: []string{"www.example.com", "*.wild.example"}},
			Origins: distribution.Origins{Items: []distribution.Origin{
				{
					Id: "bucket", DomainName: "b.s3.amazonaws.com", OriginAccessControlId: "O1",
					S3OriginConfig: &distribution.S3OriginConfig{},
				},
				{
					Id: "custom", DomainName: "origin.example",
					CustomOriginConfig: &distribution.CustomOriginConfig{HTTPPort: 80, HTTPSPort: 443},
				},
			}},
			DefaultCacheBehavior: distribution.CacheBehavior{
				TargetOriginId: "bucket", ViewerProtocolPolicy: "allow-all", CachePolicyId: "cache",
			},
			Enabled: true,
		},
		CachePolicies: map[string]distribution.CachePolicyConfig{
			"cache": {DefaultTTL: &day, MaxTTL: &year},
		},
		OriginRequestPolicies:   map[string]distribution.OriginRequestPolicyConfig{},
		ResponseHeadersPolicies: map[string]distribution.ResponseHeadersPolicyConfig{},
		OriginAccessControls: map[string]distribution.OriginAccessControlConfig{
			"O1": {SigningBehavior: "always", SigningProtocol: "sigv4", OriginAccessControlOriginType: "s3"},
		},
		KeyGroups: map[string][]distribution.Key{},
	}
}

// fakeOrigin answers what a case says.
type fakeOrigin struct {
	answers []string
	asked   []string
}

func (o *fakeOrigin) RoundTrip(_ context.Context, r *origin.Request) (*http.Response, error) {
	var b strings.Builder
	target := r.Path
	if r.Query != "" {
		target += "?" + r.Query
	}
	fmt.Fprintf(&b, "? %s %s %s\n", r.Origin.Id, r.Method, target)
	for _, name := range sortedNames(r.Header) {
		for _, v := range r.Header[name] {
			if name == "User-Agent" && v == "Amazon CloudFront" || name == "Via" || name == "X-Amz-Cf-Id" {
				continue // of every request
			}
			fmt.Fprintf(&b, "? %s: %s\n", name, brief(v))
		}
	}
	if r.Body != nil {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			return nil, origin.ErrBody
		}
		fmt.Fprintf(&b, "?\n? %s\n", body)
	}
	o.asked = append(o.asked, b.String())
	if len(o.answers) == 0 {
		return nil, &origin.Failure{Status: 502, Reason: "it gives no answer"}
	}
	answer := o.answers[0]
	if len(o.answers) > 1 {
		o.answers = o.answers[1:]
	}
	return parseAnswer(answer, r)
}

// parseAnswer reads an answer: a status, headers, and a body. A body of "*N" is N bytes.
func parseAnswer(text string, r *origin.Request) (*http.Response, error) {
	head, body, _ := strings.Cut(text, "\n\n")
	status, lines, _ := strings.Cut(head, "\n")
	code, err := strconv.Atoi(strings.TrimSpace(status))
	if err != nil {
		return nil, &origin.Failure{Status: 504, Reason: "it is too slow"}
	}
	if n, ok := strings.CutPrefix(strings.TrimSpace(body), "*"); ok {
		size, _ := strconv.Atoi(n)
		body = strings.Repeat("0123456789", size/10+1)[:size]
	}
	body = strings.TrimSuffix(body, "\n")
	resp := &http.Response{StatusCode: code, Header: http.Header{}, ContentLength: int64(len(body))}
	for line := range strings.SplitSeq(lines, "\n") {
		if name, value, ok := strings.Cut(line, ":"); ok {
			value = strings.TrimSpace(strings.NewReplacer(`\r`, "\r", `\n`, "\n").Replace(value))
			resp.Header[http.CanonicalHeaderKey(name)] = append(resp.Header[http.CanonicalHeaderKey(name)], value)
		}
	}
	if r.Method == http.MethodHead || code == http.StatusNotModified {
		body = ""
	}
	if resp.Header.Get("Transfer-Encoding") == "" {
		resp.Header.Set("Content-Length", strconv.FormatInt(resp.ContentLength, 10))
	} else {
		resp.ContentLength = -1
	}
	resp.Body = io.NopCloser(strings.NewReader(body))
	return resp, nil
}

func brief(s string) string {
	if len(s) > 300 {
		return fmt.Sprintf("(%d bytes)", len(s))
	}
	return s
}

func sortedNames(h http.Header) []string {
	names := make([]string, 0, len(h))
	for name := range h {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

// bench is the edge and the origin that one case runs against.
type bench struct {
	edge   *edge.Edge
	origin *fakeOrigin
	site   *distribution.Site
	now    time.Time
	logged []accesslog.Entry
	n      uint64
	lines  bool // responses take header lines
}

// lined is a recorder that takes header lines.
type lined struct {
	*httptest.ResponseRecorder
	lines []byte
}

func (l *lined) AddLines(shared, own []byte) bool {
	l.lines = slices.Concat(shared, own)
	return true
}

func (l *lined) WriteHeader(status int) {
	for line := range strings.SplitSeq(strings.TrimSuffix(string(l.lines), "\r\n"), "\r\n") {
		if name, value, ok := strings.Cut(line, ": "); ok {
			l.Header()[name] = append(l.Header()[name], value)
		}
	}
	l.ResponseRecorder.WriteHeader(status)
}

func newBench(t *testing.T) *bench {
	t.Helper()
	b := &bench{origin: &fakeOrigin{}, site: usual(), now: time.Date(2026, 5, 1, 12, 0, 0, 0, time.UTC)}
	now := func() time.Time { return b.now }
	c, err := cache.Open(cache.Options{Now: now})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	b.edge = edge.New(edge.Options{
		Cache: c, Origins: b.origin, Now: now, Log: func(e accesslog.Entry) { b.logged = append(b.logged, e) },
		Viewer: func(r *http.Request) (netip.Addr, bool) {
			return netip.MustParseAddr("192.0.2.7"), r.Header.Get("Test-Secure") != ""
		},
	})
	b.apply(t)
	return b
}

func (b *bench) apply(t *testing.T, invalidations ...distribution.Invalidation) {
	t.Helper()
	b.n++
	err := b.edge.Apply(t.Context(), &distribution.Snapshot{
		Generation: b.n, Sites: []distribution.Site{*b.site}, Invalidations: invalidations,
	})
	if err != nil {
		t.Fatal(err)
	}
}

// run runs a case and returns it with what happened.
func (c oneCase) run(t *testing.T, lines bool) string {
	b := newBench(t)
	b.lines = lines
	var out, request, answer strings.Builder
	var applied, told bool
	send := func() {
		if request.Len() == 0 {
			return
		}
		if !applied {
			b.apply(t)
			applied = true
		}
		told = true
		text := request.String()
		request.Reset()
		b.origin.asked = nil
		got := b.ask(t, text)
		for _, asked := range b.origin.asked {
			out.WriteString(asked)
		}
		out.WriteString(got)
	}
	for _, line := range strings.SplitAfter(c.text, "\n") {
		kind, rest, _ := strings.Cut(strings.TrimSuffix(line, "\n"), " ")
		if kind != ">" {
			send()
		}
		if kind == "?" || kind == "<" {
			continue
		}
		if kind == "=" {
			if rest == "new" { // another answer follows
				b.origin.answers = append(b.origin.answers, answer.String())
				answer.Reset()
			} else {
				answer.WriteString(rest + "\n")
			}
		} else if answer.Len() > 0 {
			if told { // a new answer replaces those of earlier parts
				b.origin.answers = nil
			}
			told = false
			b.origin.answers = append(b.origin.answers, answer.String())
			answer.Reset()
		}
		switch kind {
		case ">":
			request.WriteString(rest + "\n")
		case "%":
			if err := json.Unmarshal([]byte(rest), b.site); err != nil {
				t.Fatalf("%s: %v", rest, err)
			}
			applied = false
		case "~":
			d, err := time.ParseDuration(rest)
			if err != nil {
				t.Fatal(err)
			}
			b.now = b.now.Add(d)
		case "/":
			b.apply(t, distribution.Invalidation{Number: b.n, Distribution: b.site.ID, Paths: strings.Fields(rest)})
		}
		out.WriteString(line)
	}
	send()
	return out.String()
}

// ask sends a request, and returns its answer as a case has it.
func (b *bench) ask(t *testing.T, text string) string {
	t.Helper()
	head, body, _ := strings.Cut(text, "\n\n")
	if !strings.Contains(strings.SplitN(head, "\n", 2)[0], " HTTP/") {
		first, rest, _ := strings.Cut(head, "\n")
		head = first + " HTTP/1.1\n" + rest
	}
	head = strings.TrimSuffix(head, "\n")
	if !strings.Contains(head, "\nHost:") && !strings.Contains(head, "http://") {
		head += "\nHost: d1.cloudfront.net"
	}
	body = strings.TrimSuffix(body, "\n")
	if before, rest, ok := strings.Cut(head, "{"); ok { // {9000} is so many characters
		if size, after, ok := strings.Cut(rest, "}"); ok {
			if n, err := strconv.Atoi(size); err == nil {
				head = before + strings.Repeat("a", n) + after
			}
		}
	}
	if body != "" && !strings.Contains(head, "chunked") {
		head += "\nContent-Length: " + strconv.Itoa(len(body))
	}
	raw := strings.ReplaceAll(head, "\n", "\r\n") + "\r\n\r\n" + body
	r, err := http.ReadRequest(bufio.NewReader(strings.NewReader(raw)))
	if err != nil {
		return "< unreadable\n"
	}
	r.RemoteAddr = "192.0.2.7:1234"
	w := httptest.NewRecorder()
	func() {
		defer func() {
			if p := recover(); p != nil && p != http.ErrAbortHandler {
				panic(p)
			}
		}()
		if r = r.WithContext(t.Context()); b.lines {
			b.edge.ServeHTTP(&lined{ResponseRecorder: w}, r)
		} else {
			b.edge.ServeHTTP(w, r)
		}
	}()
	return show(w)
}

// show prints an answer without the parts that differ each time, and without those that every
// answer has.
func show(w *httptest.ResponseRecorder) string {
	var b strings.Builder
	fmt.Fprintf(&b, "< %d\n", w.Code)
	h := w.Result().Header
	own := strings.HasPrefix(w.Body.String(), "<!DOCTYPE")
	for _, name := range sortedNames(h) {
		for _, v := range h[name] {
			switch {
			case name == "Via", name == "X-Amz-Cf-Id", name == "X-Amz-Cf-Pop", name == "Server", name == "Date",
				own && strings.HasPrefix(name, "Content-"):
				continue
			}
			fmt.Fprintf(&b, "< %s: %s\n", name, v)
		}
	}
	body := w.Body.Bytes()
	switch e := h.Get("Content-Encoding"); {
	case len(body) == 0:
		return b.String()
	case e == "gzip":
		if z, err := gzip.NewReader(bytes.NewReader(body)); err == nil {
			plain, err := io.ReadAll(z)
			fmt.Fprintf(&b, "< (%d bytes when unpacked, %v)\n", len(plain), err)
		}
		return b.String()
	case e == "br":
		plain, err := io.ReadAll(brotli.NewReader(bytes.NewReader(body)))
		fmt.Fprintf(&b, "< (%d bytes when unpacked, %v)\n", len(plain), err)
		return b.String()
	case len(body) > 200 && !bytes.HasPrefix(body, []byte("<")):
		fmt.Fprintf(&b, "<\n< (%d bytes)\n", len(body))
		return b.String()
	}
	text := string(body)
	if own { // the edge's own page: its sentence
		_, text, _ = strings.Cut(text, "<p>")
		text, _, _ = strings.Cut(text, "</p>")
	}
	fmt.Fprintf(&b, "<\n< %s\n", strings.ReplaceAll(text, "\n", "\n< "))
	return b.String()
}
