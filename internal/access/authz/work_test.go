package authz

import (
	"fmt"
	"strings"
	"testing"

	"watertight/internal/access/arn"
	"watertight/internal/access/policy"
	"watertight/internal/fault"
)

// TestOneBudgetForARequest: the needs of one request share one budget of steps; if it
// is not enough, nothing of the request is granted.
func TestOneBudgetForARequest(t *testing.T) {
	w := allowing(t, "s3:*")
	w.owner = account
	var all []string
	for i := range 3 {
		all = append(all, fmt.Sprintf(`"arn:aws:s3:::*%s%d*"`, strings.Repeat("a?", 300), i))
	}
	d, err := policy.Parse(policy.Session,
		fmt.Appendf(nil,
			`{"Statement":[{"Effect":"Deny","Action":"*","Resource":[%s]},{"Effect":"Allow","Action":"*",`+
				`"Resource":"*"}]}`, strings.Join(all, ",")))
	if err != nil {
		t.Fatal(err)
	}
	c := NewCaller(&policy.Principal{Kind: policy.AccountRoot, Account: account, ARN: arn.Root(account)},
		&Situation{Session: []*policy.Document{d}})
	needs := func(n int, key string) (all []Need) {
		for i := range n {
			all = append(all, Need{
				Action: "s3:DeleteObject", Resource: arn.Object("b", fmt.Sprint(i, key)), Soft: true,
			})
		}
		return all
	}
	a := New(w)
	if _, err := a.Authorize(t.Context(), c, needs(1000, strings.Repeat("a", 1000))...); !fault.Is(err,
		"AccessDenied") || !strings.Contains(err.Error(), "work") {
		t.Error("1,000 keys that take long:", err)
	}
	for name, needs := range map[string][]Need{
		"one such key": needs(1, strings.Repeat("a", 1000)), "1,000 usual keys": needs(1000, "/usual/key"),
	} {
		t.Run(name, func(t *testing.T) {
			g, err := a.Authorize(t.Context(), c, needs...)
			if err != nil || g.Refused() {
				t.Errorf("%s: %v", name, err)
			}
		})
	}
}
