package identity

import (
	"reflect"
	"strings"
	"testing"
	"time"

	"watertight/internal/access/arn"
	"watertight/internal/access/authz"
	"watertight/internal/access/policy"
	"watertight/internal/core/change/coretest"
	"watertight/internal/core/principal"
	"watertight/internal/core/tag"
	"watertight/internal/storage/kv"
)

// TestTrustFollowsTheUser: a new user with the name of a deleted one is not trusted;
// a renamed user still is.
func TestTrustFollowsTheUser(t *testing.T) {
	for name, written := range map[string]func(string) string{
		"plain":   func(s string) string { return s },
		"escaped": func(s string) string { return strings.Replace(s, "arn:aws", `\u0061rn:aws`, 1) },
	} {
		t.Run(name, func(t *testing.T) {
			h := newHouse(t)
			ctx := t.Context()
			trust := func(a string) string {
				return `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"AWS":"` + a +
					`"},"Action":"sts:AssumeRole"}]}`
			}
			at := EntityARN(coretest.Account, Role, "/", "r")
			create := func() (*Entity, error) {
				return h.Create(ctx, h.may("iam:CreateRole", at), Role, CreateInput{
					Name: "r", Trust: trust(written("arn:aws:iam::111122223333:user/u")),
				})
			}
			_, err := create()
			h.fails(err, "MalformedPolicyDocument") // the user does not exist yet
			u := h.create(User, "u")
			_, err = create()
			h.ok(err)
			assumes := func(p policy.Principal) policy.Effect {
				effect := policy.ImplicitDeny
				h.ok(h.kv.View(ctx, func(r kv.Reader) error {
					e, err := FindEntity(r, coretest.Account, Role, "r")
					if err != nil {
						return err
					}
					d, err := h.Trust(e)
					if err != nil {
						return nil // authorization refuses if there is no document
					}
					effect = policy.Decide(&policy.Laws{
						Resource: []*policy.Document{d}, ResourceOwner: coretest.Account, ResourceMustAllow: true,
					},
						&policy.Request{Principal: p, Action: "sts:AssumeRole", Resource: at}).Effect
					return nil
				}))
				return effect
			}
			if assumes(u.Principal()) != policy.Allow {
				t.Errorf("%s: the named user is denied", name)
			}
			if name == "plain" {
				to := EntityARN(coretest.Account, User, "/", "v")
				rename := func(from, name string, a, b arn.ARN) {
					g := coretest.GrantAll(t, coretest.Root(coretest.Account, nil),
						authz.Need{
							Action: "iam:UpdateUser", Resource: a,
						}, authz.Need{Action: "iam:UpdateUser", Resource: b})
					h.ok(h.Rename(ctx, g, User, from, Renaming{name, ""}))
				}
				rename("u", "v", u.ARN(), to)
				moved := *u
				moved.Name = "v"
				if assumes(moved.Principal()) != policy.Allow {
					t.Error("the renamed user lost the role")
				}
				rename("v", "u", to, u.ARN())
			}
			h.ok(h.Delete(ctx, h.may("iam:DeleteUser", u.ARN()), User, "u"))
			again := h.create(User, "u")
			if assumes(again.Principal()) == policy.Allow {
				t.Errorf("%s: another user with the same name is allowed", name)
			}
			shown, err := h.Get(ctx, h.may("iam:GetRole", at), Role, "r")
			h.ok(err)
			if name == "plain" && shown.Trust != trust(u.ID) {
				t.Errorf("shown: %s", shown.Trust)
			}
		})
	}
}

func TestRecordsComeBack(t *testing.T) {
	at := time.Unix(7, 0).UTC()
	e := &Entity{
		Kind: Role, Account: coretest.Account, ID: "AROAX", Name: "n", Path: "/p/", Created: at,
		Tags: []tag.Tag{{Key: "k", Value: ""}}, Boundary: "b", Inline: []Inline{{"i", "d"}},
		Attached: []string{"a", "b"}, Groups: []string{"g"}, Keys: []string{"k"}, Trust: "t",
		Bound: principal.Bindings{{Name: "a", ID: "i"}}, Description: "d", MaxSession: time.Hour,
	}
	if got, err := decodeEntity(e.ID, e.encode()); err != nil || !reflect.DeepEqual(got, e) {
		t.Errorf("%+v, %v", got, err)
	}
	p := &ManagedPolicy{
		Account: "a", ID: "ANPAX", Name: "n", Path: "/", Description: "d", Created: at, Updated: at, Default: 2,
		Newest: 3, Versions: []PolicyVersion{{1, at, "x"}, {2, at, "y"}}, Tags: []tag.Tag{{Key: "k", Value: "v"}},
	}
	if got, err := decodePolicy(p.ID, p.encode()); err != nil || !reflect.DeepEqual(got, p) {
		t.Errorf("%+v, %v", got, err)
	}
	o := &Provider{
		Account: "a", URL: "u", ClientIDs: []string{"c"}, Thumbprints: []string{"t"}, Created: at,
		Tags: []tag.Tag{{Key: "k", Value: "v"}},
	}
	if got, err := decodeProvider("a", "u", o.encode()); err != nil || !reflect.DeepEqual(got, o) {
		t.Errorf("%+v, %v", got, err)
	}
	// A record of a later program, or half a record, is refused, not read in part.
	p.Default = 7
	for name, err := range map[string]error{
		"an entity's field":  second(decodeEntity("i", append(e.encode(), 0xf0, 0x01, 1))),
		"half an entity":     second(decodeEntity("i", e.encode()[:20])),
		"no default version": second(decodePolicy("i", p.encode())),
		"a provider's field": second(decodeProvider("a", "u", append(o.encode(), 0xf0, 0x01, 1))),
	} {
		t.Run(name, func(t *testing.T) {
			if err == nil {
				t.Errorf("%s is accepted", name)
			}
		})
	}
}

func second[T any](_ T, err error) error { return err }
