package e2e

import (
	"bufio"
	"bytes"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"watertight/test/harness"
)

// TestHalfClosedClients: a caller that closes its sending side right after a request gets its answer, whatever the
// request has to wait for.
func TestHalfClosedClients(t *testing.T) {
	s := harness.Start(t)
	if a := send(t, s, raw{method: "PUT", target: "/half"}); a.status != 200 {
		t.Fatalf("%+v", a)
	}
	for _, c := range []struct {
		name string
		body string
	}{
		{"empty", ""},
		{"small", "small"},
		{"middle", strings.Repeat("x", 100_000)},
		{"large", strings.Repeat("x", 2<<20)},
	} {
		t.Run(c.name, func(t *testing.T) {
			for i := range 20 {
				target := fmt.Sprint("/half/", c.name, i)
				for step, r := range []raw{
					{method: "PUT", target: target, body: c.body},
					{method: "POST", target: target + "?uploads"},
					{method: "GET", target: target},
					{method: "DELETE", target: target},
				} {
					a := overOneConnection(t, s, signedRequest(t, s, r), true)
					if a.status/100 != 2 || step == 2 && a.body != c.body {
						t.Errorf("%s %s: %d %s", r.method, r.target, a.status, a.code)
					}
				}
				if a := send(t, s, raw{method: "HEAD", target: target}); a.status != 404 {
					t.Errorf("HEAD of what was deleted: %d", a.status)
				}
			}
		})
	}
}

// TestHalfClosedPipelines: so do all requests of a pipeline that ends with the client's sending side.
func TestHalfClosedPipelines(t *testing.T) {
	s := harness.Start(t)
	if a := send(t, s, raw{method: "PUT", target: "/half"}); a.status != 200 {
		t.Fatalf("%+v", a)
	}
	for _, c := range []struct{ name, methods string }{
		{"without bodies", "DELETE DELETE DELETE"},
		{"reads", "HEAD GET GET GET GET GET"},
		{"with bodies", "PUT DELETE PUT PUT DELETE GET"},
	} {
		t.Run(c.name, func(t *testing.T) {
			for i := range 20 {
				target := fmt.Sprint("/half/", i)
				if a := send(t, s, raw{method: "PUT", target: target, body: "before"}); a.status != 200 {
					t.Fatalf("%+v", a)
				}
				var all []*http.Request
				var text bytes.Buffer
				for n, method := range strings.Fields(c.methods) {
					r := raw{method: method, target: target}
					if method == "PUT" {
						r.body = "body"
					}
					if method == "DELETE" || method == "PUT" {
						r.target = fmt.Sprint(target, "-", n)
					}
					all = append(all, signedRequest(t, s, r))
					all[n].Write(&text)
				}
				conn := connect(t, s.Endpoint, text.String())
				conn.CloseWrite()
				answers := bufio.NewReader(conn)
				for n, req := range all {
					a := answerOn(t, answers, req)
					if a.status/100 != 2 || req.Method == "GET" && a.body != "before" {
						t.Errorf("request %d, %s: %d %s %q", n, req.Method, a.status, a.code, a.body)
					}
				}
			}
		})
	}
}
