// Package identitytest creates an account with its root user, users and roles for the tests
// of core. Only tests may import it.
package identitytest

import (
	"testing"
	"time"

	"watertight/internal/access/arn"
	"watertight/internal/access/authz"
	"watertight/internal/access/policy"
	"watertight/internal/core/change/coretest"
	"watertight/internal/core/identity"
	"watertight/internal/fault"
	"watertight/internal/storage/kv"
)

// Account is a store in memory with one account, coretest.Account.
type Account struct {
	T          testing.TB
	Store      kv.Store
	Identities *identity.Store
	RootKey    identity.Key
}

// none implements the packages that identity calls, without devices and sessions.
type none struct{}

func (none) Owned(kv.Reader, string, string) (int, error) { return 0, nil }
func (none) All(kv.Reader, string) (int, int, error)      { return 0, 0, nil }
func (none) End(kv.Tx, string, string) error              { return nil }

// New creates the account. Without rooms, there are no devices and sessions.
func New(t testing.TB, rooms identity.Rooms) Account {
	t.Helper()
	if rooms.Devices == nil {
		rooms.Devices = none{}
	}
	if rooms.Sessions == nil {
		rooms.Sessions = none{}
	}
	a := Account{T: t, Store: coretest.Store(t)}
	var err error
	a.Identities, err = identity.New(a.Store, rooms)
	a.OK(err)
	first, err := identity.NewOperator(a.Identities).
		Bootstrap(t.Context(), identity.BootstrapOptions{AccountID: coretest.Account, At: time.Unix(1, 0)})
	a.OK(err)
	a.RootKey = first.Key
	return a
}

// OK ends the test if err is not nil.
func (a Account) OK(err error) {
	a.T.Helper()
	if err != nil {
		a.T.Fatal(err)
	}
}

// Fails expects an error with a code.
func (a Account) Fails(err error, code fault.Code) {
	a.T.Helper()
	if !fault.Is(err, code) {
		a.T.Errorf("%v, want %s", err, code)
	}
}

// Grant returns a grant to the root user for one action.
func (a Account) Grant(action policy.Action, r arn.ARN) authz.Grant {
	a.T.Helper()
	return coretest.Grant(a.T, coretest.Root(coretest.Account, nil), r, action)
}

// GrantAt is Grant at a time.
func (a Account) GrantAt(when time.Time, action policy.Action, r arn.ARN) authz.Grant {
	a.T.Helper()
	return coretest.Grant(a.T, coretest.RootAt(coretest.Account, when), r, action)
}

// Create creates a user, group or role; a role trusts the account.
func (a Account) Create(k identity.EntityKind, name string) *identity.Entity {
	a.T.Helper()
	in := identity.CreateInput{Name: name}
	if k == identity.Role {
		in.Trust = `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"AWS":"` + coretest.Account +
			`"},"Action":"sts:AssumeRole"}]}`
	}
	at := identity.EntityARN(coretest.Account, k, "/", name)
	e, err := a.Identities.Create(a.T.Context(), a.Grant(policy.Action("iam:Create"+k.String()), at), k, in)
	a.OK(err)
	return e
}

// CreateKey creates an access key for a user.
func (a Account) CreateKey(u *identity.Entity) identity.Key {
	a.T.Helper()
	k, err := a.Identities.CreateKey(a.T.Context(), a.Grant("iam:CreateAccessKey", u.ARN()), u.Name)
	a.OK(err)
	return k
}
