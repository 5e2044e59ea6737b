package session

import (
	"testing"
	"time"

	"watertight/internal/access/authz"
	"watertight/internal/access/credential"
	"watertight/internal/core/identity"
	"watertight/internal/core/tag"
)

// TestNextLookupOfASession: although the credential of a session is kept, each change of what it
// follows from counts for the next lookup.
func TestNextLookupOfASession(t *testing.T) {
	gone := func(c *credential.Credential) bool { return c == nil }
	for name, c := range map[string]struct {
		change func(h house, u, role *identity.Entity, key string) error
		want   func(*credential.Credential) bool
	}{
		"nothing": {
			func(house, *identity.Entity, *identity.Entity, string) error { return nil },
			func(c *credential.Credential) bool {
				return c != nil && c.Keys["aws:principaltag/team"] == nil && len(c.Session) == 1 && c.Session[0] != nil
			},
		},
		"the key at the beginning is deactivated": {
			func(h house, u, _ *identity.Entity, key string) error {
				may := h.Grant("iam:UpdateAccessKey", u.ARN())
				return h.Identities.SetKeyActive(h.T.Context(), may, u.Name, key, false)
			}, gone,
		},
		"the key at the beginning is deleted": {
			func(h house, u, _ *identity.Entity, key string) error {
				return h.Identities.DeleteKey(h.T.Context(), h.Grant("iam:DeleteAccessKey", u.ARN()), u.Name, key)
			}, gone,
		},
		"the role is deleted": {
			func(h house, _, role *identity.Entity, _ string) error {
				may := h.Grant("iam:DeleteRole", role.ARN())
				return h.Identities.Delete(h.T.Context(), may, identity.Role, role.Name)
			}, gone,
		},
		"the role has another tag": {
			func(h house, _, role *identity.Entity, _ string) error {
				return h.Identities.Tag(h.T.Context(), h.Grant("iam:TagRole", role.ARN()), identity.Role, role.Name,
					[]tag.Tag{{Key: "Team", Value: "blue"}})
			},
			func(c *credential.Credential) bool { return c != nil && len(c.Keys["aws:principaltag/team"]) == 1 },
		},
		"its managed policy is deleted": {
			func(h house, _, _ *identity.Entity, _ string) error {
				at := identity.PolicyARN(h.account(), "/", "limits")
				return h.Identities.DeletePolicy(h.T.Context(), h.Grant("iam:DeletePolicy", at), at.String())
			},
			func(c *credential.Credential) bool { return c != nil && len(c.Session) == 1 && c.Session[0] == nil },
		},
	} {
		t.Run(name, func(t *testing.T) {
			h := newHouse(t, 0)
			u, role := h.Create(identity.User, "u"), h.Create(identity.Role, "r")
			limits := identity.PolicyARN(h.account(), "/", "limits")
			_, err := h.Identities.CreatePolicy(t.Context(), h.Grant("iam:CreatePolicy", limits), identity.CreateInput{
				Name: "limits",
			}, `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"s3:*","Resource":"*"}]}`)
			h.OK(err)
			from := h.userKey(u)
			from.at = time.Now().Unix()
			g := h.grant(from, authz.Need{Action: "sts:AssumeRole", Resource: role.ARN()})
			out, err := h.AssumeRole(t.Context(), g, AssumeInput{
				RoleARN: role.ARN().String(), SessionName: "s", Pass: Passed{ARNs: []string{limits.String()}},
			})
			h.OK(err)
			id := out.Session.AccessKeyID
			for range 4 { // the store keeps what is read more than once
				if c, err := h.Lookup(t.Context(), id); err != nil || c == nil || c.Secret != out.Session.Secret {
					t.Fatal(c, err)
				}
			}
			h.OK(c.change(h, u, role, from.key))
			if got, err := h.Lookup(t.Context(), id); err != nil || !c.want(got) {
				t.Errorf("%+v, %v", got, err)
			}
		})
	}
}

func (h house) account() string { return h.rootKey().principal.Account }
