package authz

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"watertight/internal/access/arn"
	"watertight/internal/access/policy"
)

// role is Facts with one role, trusted by its trust policy.
type role struct {
	*world
	trust *policy.Document
}

func (f role) Resource(context.Context, arn.ARN, time.Time) (*ResourceLaws, error) {
	return &ResourceLaws{Owner: account, Documents: []*policy.Document{f.trust}, MustAllow: true, Service: "sts"}, nil
}

func trusted(t *testing.T, action, principal string) role {
	t.Helper()
	d, err := policy.Parse(policy.Trust,
		fmt.Appendf(nil,
			`{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":%s,"Action":"sts:*",`+
				`"Condition":{"StringEquals":{"a.example:sub":"s"}}}]}`, principal))
	if err != nil {
		t.Fatal(err)
	}
	return role{allowing(t, action), d}
}

// TestNeedIsDecidedForTheBearer: a need with As is decided for that principal; the
// caller's own permissions do not count.
func TestNeedIsDecidedForTheBearer(t *testing.T) {
	const provider = "arn:aws:iam::" + account + ":oidc-provider/a.example"
	at := arn.ARN{Partition: "aws", Service: "iam", Account: account, Resource: "role/r"}
	bearer := &policy.Principal{Kind: policy.WebIdentity, Provider: provider}
	need := func(as *policy.Principal, sub string) Need {
		return Need{
			Action: "sts:AssumeRoleWithWebIdentity", Resource: at, As: as,
			Keys: map[string][]string{"a.example:sub": {sub}},
		}
	}
	nobody := NewCaller(&policy.Principal{Kind: policy.Anonymous}, &Situation{At: time.Unix(1, 0)})
	f := trusted(t, "*", `{"Federated":"`+provider+`"}`)
	a := New(f)
	for name, c := range map[string]struct {
		caller Caller
		need   Need
		open   bool
	}{
		"the bearer":      {nobody, need(bearer, "s"), true},
		"another subject": {nobody, need(bearer, "x"), false},
		"another provider's": {
			nobody, need(&policy.Principal{Kind: policy.WebIdentity, Provider: provider + "x"}, "s"), false,
		},
		"no bearer":             {nobody, need(nil, "s"), false},
		"a zero bearer":         {nobody, need(&policy.Principal{}, "s"), false},
		"a user who may do all": {user(), need(nil, "s"), false},
		"a user's policies for other": {
			user(), need(&policy.Principal{Kind: policy.WebIdentity, Provider: provider + "x"}, "s"), false,
		},
	} {
		t.Run(name, func(t *testing.T) {
			g, err := a.Authorize(t.Context(), c.caller, c.need)
			if (err == nil) != c.open {
				t.Errorf("%s: %v", name, err)
			}
			if c.open && g.Caller().Principal().Kind != policy.Anonymous {
				t.Errorf("%s: the grant's caller is %+v", name, g.Caller().Principal())
			}
		})
	}
	// A session policy of the caller limits the caller, not the bearer.
	deny, err := policy.Parse(policy.Session,
		[]byte(`{"Version":"2012-10-17","Statement":[{"Effect":"Deny","Action":"*","Resource":"*"}]}`))
	if err != nil {
		t.Fatal(err)
	}
	narrow := NewCaller(new(user().Principal()), &Situation{At: time.Unix(1, 0), Session: []*policy.Document{deny}})
	if _, err := a.Authorize(t.Context(), narrow, need(bearer, "s")); err != nil {
		t.Error(err)
	}
	// A trust policy does not apply to other services' actions on the role, and they need no allow in it.
	if _, err := a.Authorize(t.Context(), user(), Need{Action: "iam:GetRole", Resource: at}); err != nil {
		t.Error(err)
	}
	if _, err := New(trusted(t, "s3:*", `"*"`)).Authorize(t.Context(), user(), Need{
		Action: "iam:GetRole", Resource: at, Keys: map[string][]string{"a.example:sub": {"s"}},
	}); err == nil {
		t.Error("a trust policy allows iam:GetRole")
	}
	said := errors.New("in the words of the service")
	refused := need(bearer, "x")
	refused.Refusal = func(v policy.Verdict) error {
		if v.Effect != policy.ImplicitDeny || v.Layer != policy.ResourceLayer {
			t.Errorf("%+v", v)
		}
		return said
	}
	if _, err := a.Authorize(t.Context(), nobody, refused); !errors.Is(err, said) {
		t.Error(err)
	}
}
