// Package coretest contains what all tests of core need: a store in memory, and grants that
// authz has decided. Only tests may import it.
package coretest

import (
	"context"
	"testing"
	"time"

	"watertight/internal/access/arn"
	"watertight/internal/access/authz"
	"watertight/internal/access/policy"
	"watertight/internal/storage/kv"
	"watertight/internal/storage/kv/embedded"
	"watertight/internal/storage/seal"
)

// Store returns an empty store that is closed when the test ends.
func Store(t testing.TB) kv.Store {
	t.Helper()
	s, err := embedded.OpenMemory(context.Background(), embedded.Options{Root: seal.RingOf(seal.NewKey())})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

// Account is the account of a test's usual caller.
const Account = "111122223333"

// Root is the root user of an account over TLS, with an audit record or nil.
func Root(account string, r authz.Record) authz.Caller {
	return root(account, authz.Situation{Record: r, At: time.Now(), SecureChannel: true})
}

// RootAt is Root at a time.
func RootAt(account string, at time.Time) authz.Caller {
	return root(account, authz.Situation{At: at, SecureChannel: true})
}

// RootSince is RootAt with a clock that has gone on.
func RootSince(account string, at time.Time, now func() time.Time) authz.Caller {
	return root(account, authz.Situation{At: at, Now: now, SecureChannel: true})
}

// RootWithMFA is RootAt in a session that was made with an MFA code.
func RootWithMFA(account string, at time.Time) authz.Caller {
	return root(account, authz.Situation{At: at, SecureChannel: true, Temporary: true, Issued: at, MFAAt: at})
}

// RootInPlain is Root without a secure channel.
func RootInPlain(account string) authz.Caller {
	return root(account, authz.Situation{At: time.Now()})
}

func root(account string, s authz.Situation) authz.Caller {
	return authz.NewCaller(
		&policy.Principal{Kind: policy.AccountRoot, Account: account, ARN: arn.Root(account), ID: account}, &s,
	)
}

// facts say that the caller owns everything and may do everything.
type facts struct {
	owner string
	all   *policy.Document
}

func (f facts) Principal(context.Context, *policy.Principal) (*authz.PrincipalLaws, error) {
	return &authz.PrincipalLaws{Identity: []*policy.Document{f.all}}, nil
}

func (f facts) Resource(context.Context, arn.ARN, time.Time) (*authz.ResourceLaws, error) {
	return &authz.ResourceLaws{Owner: f.owner}, nil
}

func (facts) Object(context.Context, arn.ARN, *string) (authz.ObjectLaws, error) {
	return authz.ObjectLaws{}, nil
}

func (facts) Grants(context.Context, arn.ARN, *policy.Principal) ([]*policy.Document, error) {
	return nil, nil
}

func (f facts) ObjectTags(context.Context, arn.ARN, *string) (map[string]string, error) {
	return nil, nil
}

// Grant returns a grant of actions on one resource to the caller.
func Grant(t testing.TB, c authz.Caller, r arn.ARN, actions ...policy.Action) authz.Grant {
	t.Helper()
	var needs []authz.Need
	for _, a := range actions {
		needs = append(needs, authz.Need{Action: a, Resource: r})
	}
	return GrantAll(t, c, needs...)
}

// GrantAll returns a grant of all needs to the caller.
func GrantAll(t testing.TB, c authz.Caller, needs ...authz.Need) authz.Grant {
	t.Helper()
	return grant(t, c, `{"Effect":"Allow","Action":"*","Resource":"*"}`, needs)
}

// GrantWithout is GrantAll for a caller who may do everything but one action, which it is
// denied: a key's own policy would allow it to the root user of its account.
func GrantWithout(t testing.TB, c authz.Caller, action policy.Action, needs ...authz.Need) authz.Grant {
	t.Helper()
	return grant(t, c, `{"Effect":"Allow","Action":"*","Resource":"*"},`+
		`{"Effect":"Deny","Action":"`+string(action)+`","Resource":"*"}`, needs)
}

func grant(t testing.TB, c authz.Caller, statement string, needs []authz.Need) authz.Grant {
	t.Helper()
	d, err := policy.Parse(policy.Identity, []byte(`{"Version":"2012-10-17","Statement":[`+statement+`]}`))
	if err != nil {
		t.Fatal(err)
	}
	g, err := authz.New(facts{c.Account(), d}).Authorize(context.Background(), c, needs...)
	if err != nil {
		t.Fatal(err)
	}
	return g
}
