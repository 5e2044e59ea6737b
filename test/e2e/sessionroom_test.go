package e2e

import (
	"fmt"
	"testing"

	"github.com/aws/aws-sdk-go-v2/service/sts"

	"watertight/internal/server"
	"watertight/test/harness"
)

// TestSessionsAreBounded: the number of sessions is limited for each user separately,
// because making one needs no permission. Sessions from tokens are limited, too.
func TestSessionsAreBounded(t *testing.T) {
	i := harness.StartIssuer(t, "issuer.example")
	f := federate(t, i, harness.Start(t, i.Trusted, func(c *server.Config) { c.MaxSessions = 5 }))
	u, v := f.user("u", ""), f.user("v", "")
	ask := func(who someone) error {
		_, err := who.sts.GetSessionToken(t.Context(), &sts.GetSessionTokenInput{})
		return err
	}
	for range 5 {
		expect(t, ask(u), "")
	}
	expect(t, ask(u), "LimitExceeded")
	expect(t, ask(v), "")
	role := f.trusting("r", "")
	show := func(subject string) error {
		_, err := f.assume(role, f.Token("ES256", f.Claims(map[string]any{"sub": subject})))
		return err
	}
	for range 5 {
		expect(t, show("one"), "")
	}
	expect(t, show("one"), "LimitExceeded")
	for n := range 45 {
		expect(t, show(fmt.Sprint("other", n)), "")
	}
	expect(t, show("one more"), "LimitExceeded")
}
