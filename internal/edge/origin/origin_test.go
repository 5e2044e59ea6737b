package origin

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"watertight/internal/core/distribution"
	"watertight/internal/outbound"
)

// bucket records what reaches it.
type bucket struct {
	name   string
	got    *http.Request
	from   Sender
	answer error
}

func (b *bucket) RoundTrip(_ context.Context, name string, r *http.Request, from Sender) (*http.Response, error) {
	b.name, b.got, b.from = name, r, from
	return &http.Response{StatusCode: http.StatusOK, Body: http.NoBody}, b.answer
}

func site(behavior string, o distribution.Origin) *distribution.Site {
	s := &distribution.Site{ID: "E1", Account: "111122223333"}
	if behavior != "" {
		o.OriginAccessControlId = "EOAC"
		s.OriginAccessControls = map[string]distribution.OriginAccessControlConfig{"EOAC": {SigningBehavior: behavior}}
	}
	s.Config.Origins.Items = []distribution.Origin{o}
	return s
}

// TestSigning is a table of who sends a request to a bucket (developer guide, "Restrict access
// to an Amazon S3 origin", "Advanced settings for origin access control").
func TestSigning(t *testing.T) {
	viewers := http.Header{
		"Authorization": {"AWS4-HMAC-SHA256 viewer"}, "X-Amz-Date": {"20260101T000000Z"},
		"X-Amz-Security-Token": {"token"}, "X-Amz-Source-Account": {"444455556666"}, "X-Watertight-As-Of": {"x"},
		"X-Forwarded-For": {"192.0.2.1"}, "Via": {"1.1 x"}, "X-Amz-Cf-Id": {"id"}, "Range": {"bytes=0-1"},
	}
	signed := []string{"Authorization", "Range", "X-Amz-Date", "X-Amz-Security-Token"}
	for name, c := range map[string]struct {
		behavior      string
		authorization bool
		signs         bool
		keeps         []string
	}{
		"always":                      {"always", false, true, []string{"Range"}},
		"always, viewer signed":       {"always", true, true, []string{"Range"}},
		"no-override":                 {"no-override", false, true, []string{"Range"}},
		"no-override, viewer signed":  {"no-override", true, false, signed},
		"never":                       {"never", false, false, []string{"Range", "X-Amz-Date"}},
		"never, viewer signed":        {"never", true, false, signed},
		"no access control":           {"", false, false, []string{"Range", "X-Amz-Date"}},
		"no access control, a signer": {"", true, false, signed},
	} {
		t.Run(name, func(t *testing.T) {
			b := &bucket{}
			s := site(c.behavior, distribution.Origin{
				Id: "o", DomainName: "box.s3.eu-west-1.amazonaws.com", OriginPath: "/site",
			})
			h := viewers.Clone()
			if !c.authorization {
				h.Del("Authorization")
			}
			before := len(h)
			_, err := New(Options{Buckets: b}).RoundTrip(t.Context(), &Request{
				Site: s, Origin: s.Origin("o"), Method: "GET", Path: "/a%2Fb//c", Query: "x=1", Header: h, Secure: true,
			})
			if err != nil {
				t.Fatal(err)
			}
			if want := (Sender{c.signs, s.ARN(), "111122223333", true}); b.from != want || b.name != "box" {
				t.Errorf("%s from %+v, want %+v", b.name, b.from, want)
			}
			var kept []string
			for name := range b.got.Header {
				kept = append(kept, name)
			}
			if slices.Sort(kept); !slices.Equal(kept, c.keeps) {
				t.Errorf("keeps %q, want %q", kept, c.keeps)
			}
			if got := b.got.URL.RequestURI(); got != "/site/a%2Fb//c?x=1" || b.got.Host != s.Origin("o").DomainName {
				t.Errorf("asks %q of %q", got, b.got.Host)
			}
			if len(h) != before {
				t.Error("the caller's headers changed")
			}
		})
	}
}

// TestUnknownAccessControl: an edge that can't tell how to sign a request does not send it.
func TestUnknownAccessControl(t *testing.T) {
	for name, change := range map[string]func(*distribution.Site){
		"missing": func(s *distribution.Site) { s.OriginAccessControls = nil },
		"unknown behavior": func(s *distribution.Site) {
			s.OriginAccessControls["EOAC"] = distribution.OriginAccessControlConfig{}
		},
	} {
		t.Run(name, func(t *testing.T) {
			b, s := &bucket{}, site("always", distribution.Origin{Id: "o", DomainName: "box.s3.amazonaws.com"})
			change(s)
			_, err := New(Options{Buckets: b}).RoundTrip(t.Context(), &Request{
				Site: s, Origin: s.Origin("o"), Method: "GET", Path: "/", Header: http.Header{},
			})
			if f, ok := errors.AsType[*Failure](err); !ok || f.Status != 502 || b.got != nil {
				t.Errorf("%v, %v", err, b.got)
			}
		})
	}
}

// TestServers: requests to servers, and how failures are reported.
func TestServers(t *testing.T) {
	var tries atomic.Int32
	hang := make(chan struct{})
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		tries.Add(1)
		b, _ := io.ReadAll(r.Body)
		switch {
		case r.URL.Path == "/x/slow":
			<-hang
		case r.URL.Path == "/x/moved":
			http.Redirect(w, r, "http://127.0.0.1:1/", http.StatusFound)
		case r.URL.Path == "/x/breaks":
			panic(http.ErrAbortHandler)
		default:
			fmt.Fprint(w, r.Method, " ", r.RequestURI, " ", r.Host, " ", string(b), " ", Loops(r.Header))
		}
	}))
	defer server.Close()
	defer close(hang)
	host, port, _ := net.SplitHostPort(server.Listener.Addr().String())
	named, err := outbound.NewNamed(outbound.NamedOptions{Allow: []string{server.Listener.Addr().String()}})
	if err != nil {
		t.Fatal(err)
	}
	defer named.CloseIdle()
	number, _ := strconv.Atoi(port)
	at := server.Listener.Addr().String()
	own := distribution.Origin{
		Id: "o", DomainName: host, OriginPath: "/x", ConnectionAttempts: new(2), ConnectionTimeout: new(1),
		CustomOriginConfig: &distribution.CustomOriginConfig{
			HTTPPort: number, HTTPSPort: 1, OriginProtocolPolicy: "match-viewer", OriginReadTimeout: new(1),
		},
	}
	k := New(Options{Servers: named, Now: func() time.Time { return time.Unix(1, 0) }})
	for name, c := range map[string]struct {
		change       func(*distribution.Origin)
		method, path string
		header       http.Header
		secure       bool
		want         string // the body, or the reason of the failure
		status       int
		tries        int32
	}{
		"GET":    {nil, "GET", "/a%20b", nil, false, "GET /x/a%20b " + at + "  true", 200, 1},
		"a body": {nil, "POST", "/", nil, false, "POST /x/ " + at + " body true", 200, 1},
		"Host": {
			nil, "GET", "/", http.Header{"Host": {"www.example.com"}}, false, "GET /x/ www.example.com  true", 200, 1,
		},
		"redirect":          {nil, "GET", "/moved", nil, false, `<a href="http://127.0.0.1:1/">Found</a>.`, 302, 1},
		"slow":              {nil, "GET", "/slow", nil, false, "did not answer in time", 504, 2},
		"slow POST":         {nil, "POST", "/slow", nil, false, "did not answer in time", 504, 1},
		"breaks":            {nil, "POST", "/breaks", nil, false, "no answer that can be read", 502, 1},
		"https not allowed": {nil, "GET", "/", nil, true, "did not allow 127.0.0.1:1 with --cdn-allow-origin", 502, 0},
		"another host": {func(o *distribution.Origin) { o.DomainName = "localhost" }, "GET", "/", nil, false,
			"did not allow localhost:" + port, 502, 0},
		"no bucket": {
			func(o *distribution.Origin) { o.CustomOriginConfig = nil }, "GET", "/", nil, false, "is no bucket", 502, 0,
		},
		"path": {nil, "GET", "/%zz", nil, false, "can't be read", 502, 0},
	} {
		t.Run(name, func(t *testing.T) {
			o := own
			if c.change != nil {
				c.change(&o)
			}
			tries.Store(0)
			r := &Request{
				Site: site("", o), Origin: &o, Method: c.method, Path: c.path, Header: c.header, Secure: c.secure,
			}
			if c.method == "POST" {
				r.Body, r.Length = io.NopCloser(strings.NewReader("body")), 4
			}
			res, err := k.RoundTrip(t.Context(), r)
			if tries.Load() != c.tries {
				t.Errorf("%d tries, want %d", tries.Load(), c.tries)
			}
			if f, ok := errors.AsType[*Failure](err); ok {
				if f.Status != c.status || !strings.Contains(f.Reason, c.want) {
					t.Errorf("%d %s", f.Status, f.Reason)
				}
				if last := k.Troubles()[len(k.Troubles())-1]; last.Reason != f.Reason || last.Distribution != "E1" {
					t.Errorf("the last trouble is %+v", last)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			defer res.Body.Close()
			b, _ := io.ReadAll(res.Body)
			if res.StatusCode != c.status || strings.TrimSpace(string(b)) != c.want {
				t.Errorf("%d %q", res.StatusCode, b)
			}
		})
	}
	if n := len(k.Troubles()); n != 1 {
		t.Errorf("%d troubles of one origin", n)
	}
}

// TestBrokenBody: a viewer who does not send a whole body gets an error of its own, and makes no
// trouble of the origin.
func TestBrokenBody(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		io.Copy(io.Discard, r.Body)
	}))
	defer server.Close()
	host, port, err := net.SplitHostPort(strings.TrimPrefix(server.URL, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	named, err := outbound.NewNamed(outbound.NamedOptions{Allow: []string{host + ":" + port}})
	if err != nil {
		t.Fatal(err)
	}
	n, err := strconv.Atoi(port)
	if err != nil {
		t.Fatal(err)
	}
	s := site("", distribution.Origin{
		Id: "o", DomainName: host,
		CustomOriginConfig: &distribution.CustomOriginConfig{HTTPPort: n, OriginProtocolPolicy: "http-only"},
	})
	k := New(Options{Servers: named, Now: time.Now})
	for _, length := range []int64{10, -1} {
		t.Run(fmt.Sprint(length), func(t *testing.T) {
			in, out := io.Pipe()
			go func() {
				io.WriteString(out, "abc")
				out.CloseWithError(io.ErrUnexpectedEOF)
			}()
			_, err := k.RoundTrip(t.Context(), &Request{
				Site: s, Origin: &s.Config.Origins.Items[0], Method: http.MethodPost, Path: "/a",
				Body: in, Length: length,
			})
			if !errors.Is(err, ErrBody) || len(k.Troubles()) != 0 {
				t.Errorf("%v, %v", err, k.Troubles())
			}
		})
	}
}
