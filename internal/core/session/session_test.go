package session

import (
	"reflect"
	"testing"
	"time"

	"watertight/internal/access/arn"
	"watertight/internal/access/authz"
	"watertight/internal/access/policy"
	"watertight/internal/core/change/coretest"
	"watertight/internal/core/change/record"
	"watertight/internal/core/identity"
	"watertight/internal/core/tag"
)

func TestSessionRecord(t *testing.T) {
	full := &Session{
		AccessKeyID: "ASIAEXAMPLEEXAMPLE00", Secret: "secret", Token: "token", Issued: time.Unix(1, 0).UTC(),
		Expires: time.Unix(2, 0).UTC(),
		Principal: policy.Principal{
			Kind: policy.RoleSession, Account: "111122223333", ID: "AROA:s", Name: "n", ARN: arn.Root("111122223333"),
			Role: arn.Root("444455556666"),
		},
		Parent: "AKIA", Policies: []string{"a", "b"}, Restricted: true,
		Tags: []tag.Tag{{Key: "k", Value: "v"}, {Key: "e", Value: ""}}, Transitive: []string{"k"},
		MFAAt: time.Unix(3, 0).UTC(), SourceIdentity: "i", Provider: "p", ProviderID: "q", Purpose: WebIdentity,
	}
	got, err := decodeSession(full.AccessKeyID, full.encode())
	if err != nil || !reflect.DeepEqual(got, full) {
		t.Errorf("%+v, %v", got, err)
	}
	for name, b := range map[string][]byte{
		"a field of a later program": record.Bool(full.encode(), fieldSessionProviderID+1, true),
		"no token": (&Session{
			Secret: "s", Expires: time.Unix(1, 0), Principal: full.Principal, Purpose: 1,
		}).encode(),
		"nobody":     (&Session{Secret: "s", Token: "t", Expires: time.Unix(1, 0), Purpose: 1}).encode(),
		"no purpose": (&Session{Secret: "s", Token: "t", Expires: time.Unix(1, 0), Principal: full.Principal}).encode(),
		"cut":        full.encode()[:40],
	} {
		t.Run(name, func(t *testing.T) {
			if s, err := decodeSession("ASIA", b); err == nil {
				t.Errorf("%s: %+v", name, s)
			}
		})
	}
}

// TestSessionsEndWithTheirParent: a session that acts as its parent ends with the parent's key; its
// record is removed after its expiration.
func TestSessionsEndWithTheirParent(t *testing.T) {
	h := newHouse(t, 0)
	caller := authz.NewCaller(new(identity.RootPrincipal(coretest.Account)), &authz.Situation{
		At: time.Unix(2000, 0), AccessKeyID: h.RootKey.AccessKeyID,
	})
	g, err := authz.Judge(t.Context(), authz.New(nil), caller, authz.Open[struct{}]("a test"), &struct{}{})
	if err != nil {
		t.Fatal(err)
	}
	n, err := h.GetSessionToken(t.Context(), g, TokenInput{})
	if err != nil {
		t.Fatal(err)
	}
	c, err := h.Lookup(t.Context(), n.AccessKeyID)
	if err != nil || c == nil || c.Token != n.Token || c.Principal.Kind != policy.AccountRoot ||
		!c.Expires.Equal(time.Unix(5600, 0)) || c.Session != nil {
		t.Errorf("%+v, %v", c, err)
	}
	if _, err := identity.NewOperator(h.Identities).ResetRootKeys(t.Context(), nil, coretest.Account,
		time.Unix(3000, 0)); err != nil {
		t.Fatal(err)
	}
	if c, err := h.Lookup(t.Context(), n.AccessKeyID); err != nil || c != nil {
		t.Errorf("the session still works without the parent's key: %v", err)
	}
	if removed, err := h.purger().Purge(t.Context(), time.Unix(1e9, 0)); err != nil || removed != 0 {
		t.Errorf("without the parent's key, %d sessions were removed: %v", removed, err)
	}
}

// TestPurge removes the records of sessions that ended, and no other.
func TestPurge(t *testing.T) {
	h := newHouse(t, 0)
	h.session(h.tokenOf(h.rootKey(), 2000))
	for _, step := range []struct {
		at   int64
		want int
	}{{5600, 0}, {5601, 1}, {5602, 0}} {
		if removed, err := h.purger().Purge(t.Context(), time.Unix(step.at, 0)); err != nil || removed != step.want {
			t.Errorf("at %d: removed %d, %v; want %d", step.at, removed, err, step.want)
		}
	}
}
