package e2e

import (
	"fmt"
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
