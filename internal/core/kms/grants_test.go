package kms

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"watertight/internal/access/arn"
	"watertight/internal/access/policy"
	"watertight/internal/core/change/coretest"
	"watertight/internal/core/page"
	"watertight/internal/fault"
)

func user(account, name string) string { return "arn:aws:iam::" + account + ":user/" + name }

// makeGrant makes a grant as the root user.
func (e *env) makeGrant(m *Metadata, in GrantInput) (id, token string) {
	e.Helper()
	in.Key = m.ID
	id, token, err := e.CreateGrant(e.Context(), e.may(m.ARN, "kms:CreateGrant"), in)
	if err != nil {
		e.Fatal(err)
	}
	return id, token
}

func TestCreateGrant(t *testing.T) {
	alice := user(coretest.Account, "alice")
	for name, c := range map[string]struct {
		in   GrantInput
		code fault.Code
	}{
		"a user": {in: GrantInput{Grantee: alice, Operations: []string{"Decrypt"}}},
		"a session": {
			in: GrantInput{Grantee: "arn:aws:sts::111122223333:assumed-role/r/s", Operations: []string{"Encrypt"}},
		},
		"all members": {in: GrantInput{
			Grantee: alice, Retiring: arn.Root(coretest.Account).String(),
			Operations: []string{"RetireGrant", "Decrypt"},
			Equals:     map[string]string{"a": "b"}, Name: "n",
		}},
		"no operation":           {GrantInput{Grantee: alice}, "ValidationException"},
		"an operation of others": {GrantInput{Grantee: alice, Operations: []string{"Sign"}}, "ValidationException"},
		"an empty constraint": {
			GrantInput{Grantee: alice, Operations: []string{"Decrypt"}, Subset: map[string]string{}},
			"ValidationException",
		},
		"two constraints": {GrantInput{
			Grantee: alice, Operations: []string{"Decrypt"}, Subset: map[string]string{"a": "b"},
			Equals: map[string]string{"a": "b"},
		}, "ValidationException"},
		"nobody": {
			GrantInput{Grantee: user(coretest.Account, "nobody"), Operations: []string{"Decrypt"}},
			"InvalidArnException",
		},
		"everyone": {GrantInput{Grantee: "*", Operations: []string{"Decrypt"}}, "InvalidArnException"},
		"a service": {
			GrantInput{Grantee: "s3.amazonaws.com", Operations: []string{"Decrypt"}}, "InvalidArnException",
		},
		"only checked": {
			GrantInput{Grantee: alice, Operations: []string{"Decrypt"}, DryRun: true}, "DryRunOperationException",
		},
	} {
		t.Run(name, func(t *testing.T) {
			e := newEnv(t)
			m := e.create(CreateInput{})
			c.in.Key = m.ID
			g := e.may(m.ARN, "kms:CreateGrant", "kms:ListGrants")
			id, token, err := e.CreateGrant(t.Context(), g, c.in)
			listed, _, bad := e.ListGrants(t.Context(), g, m.ID, GrantFilter{}, page.Request{})
			if bad != nil {
				t.Fatal(bad)
			}
			if c.code != "" {
				if !fault.Is(err, c.code) || len(listed) != 0 {
					t.Errorf("%v, want %s; %v", err, c.code, listed)
				}
				return
			}
			if err != nil || len(listed) != 1 {
				t.Fatal(err, listed)
			}
			got := listed[0]
			if got.ID != id || got.KeyARN != m.ARN || got.Grantee != c.in.Grantee || got.Retiring != c.in.Retiring ||
				got.Issuer != arn.Root(coretest.Account) || got.Name != c.in.Name ||
				!maps.Equal(got.Equals, c.in.Equals) ||
				len(got.Operations) != len(c.in.Operations) || !got.Created.Equal(e.at) {
				t.Errorf("%+v", got)
			}
			if err := e.CheckTokens(t.Context(), []string{token}); err != nil {
				t.Error(err)
			}
			if err := e.CheckTokens(t.Context(), []string{"x"}); !fault.Is(err, fault.InvalidGrantTokenException) {
				t.Error(err)
			}
		})
	}
}

// TestGrantsWithNames: CreateGrant with the same name and parameters returns the existing grant;
// without a name, or with other parameters, it makes a new one.
func TestGrantsWithNames(t *testing.T) {
	e := newEnv(t)
	m := e.create(CreateInput{})
	in := GrantInput{Grantee: user(coretest.Account, "alice"), Operations: []string{"Decrypt", "Encrypt"}, Name: "n"}
	first, token := e.makeGrant(&m, in)
	in.Operations = []string{"Encrypt", "Decrypt", "Encrypt"}
	again, another := e.makeGrant(&m, in)
	if again != first || another == token {
		t.Error("the second call made another grant, or returned the same token")
	}
	for name, change := range map[string]func(*GrantInput){
		"no name": func(in *GrantInput) { in.Name = "" }, "another name": func(in *GrantInput) { in.Name = "o" },
		"operations": func(in *GrantInput) { in.Operations = []string{"Decrypt"} },
		"retiring":   func(in *GrantInput) { in.Retiring = user(coretest.Account, "bob") },
		"constraint": func(in *GrantInput) { in.Subset = map[string]string{"a": "b"} },
	} {
		t.Run(name, func(t *testing.T) {
			in := in
			change(&in)
			if id, _ := e.makeGrant(&m, in); id == first {
				t.Error("the call returned the first grant")
			}
		})
	}
}

// TestGrantsDecide: a grant counts from the next request on, until it is removed. Its token ends
// with it.
func TestGrantsDecide(t *testing.T) {
	e := newEnv(t)
	w, a := e.iam()
	m := e.create(CreateInput{})
	alice, mallory := e.person(coretest.Account, "alice"), e.person(stranger, "mallory")
	w.allow(t, userID("mallory"), `"s3:*"`)
	decrypts := func(context map[string]string) bool {
		_, err := e.ask(a, alice, "kms:Decrypt", m.ARN, ContextConditions(context))
		return err == nil
	}
	if decrypts(nil) {
		t.Fatal("allowed without a grant")
	}
	id, token := e.makeGrant(&m, GrantInput{
		Grantee: user(coretest.Account, "alice"), Operations: []string{"Decrypt"},
		Subset: map[string]string{"App": "a"},
	})
	if !decrypts(map[string]string{"App": "a", "x": "y"}) || decrypts(map[string]string{"app": "a"}) || decrypts(nil) {
		t.Error("the constraint has no effect")
	}
	g := e.may(m.ARN, "kms:RevokeGrant")
	for _, step := range []struct {
		id   string
		dry  bool
		code fault.Code
	}{
		{"x", false, "InvalidGrantIdException"}, {fmt.Sprintf("%064x", 1), false, "NotFoundException"},
		{id, true, "DryRunOperationException"}, {id, false, ""}, {id, false, "NotFoundException"},
	} {
		err := e.RevokeGrant(t.Context(), g, m.ID, step.id, step.dry)
		if step.code == "" && err != nil || step.code != "" && !fault.Is(err, step.code) {
			t.Errorf("%+v: %v", step, err)
		}
	}
	if decrypts(map[string]string{"App": "a"}) {
		t.Error("a revoked grant still allows")
	}
	if err := e.CheckTokens(t.Context(), []string{token}); !fault.Is(err, fault.InvalidGrantTokenException) {
		t.Errorf("its token: %v", err)
	}
	e.makeGrant(&m, GrantInput{Grantee: user(stranger, "mallory"), Operations: []string{"Decrypt"}})
	if _, err := e.ask(a, mallory, "kms:Decrypt", m.ARN, nil); err != nil {
		t.Error("a user of another account:", err)
	}
	if _, err := e.ask(a, e.person(stranger, "root"), "kms:Decrypt", m.ARN, nil); err == nil {
		t.Error("a user's grant applies to the account's root user")
	}
}

// TestRetireGrant: the retiring principal, and a grantee with RetireGrant, may retire
// that grant and no other, without a policy; nobody else may.
func TestRetireGrant(t *testing.T) {
	for name, c := range map[string]struct {
		who  string // of the account; "root" is its root user
		of   string // account
		code fault.Code
	}{
		"the retiring principal":       {who: "bob", of: coretest.Account},
		"the grantee":                  {who: "alice", of: coretest.Account},
		"the root user, by the policy": {who: "root", of: coretest.Account},
		"somebody else":                {who: "carol", of: coretest.Account, code: "AccessDenied"},
		"another account":              {who: "mallory", of: stranger, code: "AccessDenied"},
	} {
		t.Run(name, func(t *testing.T) {
			for _, byToken := range []bool{true, false} {
				e := newEnv(t)
				_, a := e.iam()
				m := e.create(CreateInput{})
				id, token := e.makeGrant(&m, GrantInput{
					Grantee: user(coretest.Account, "alice"), Operations: []string{"Decrypt", "RetireGrant"},
					Retiring: user(coretest.Account, "bob"),
				})
				e.makeGrant(&m, GrantInput{Grantee: user(coretest.Account, "dora"), Operations: []string{"Decrypt"}})
				this := GrantName{Key: m.ARN.String(), ID: id}
				if byToken {
					this = GrantName{Token: token}
				}
				needs, err := e.RetireNeeds(t.Context(), e.person(c.of, c.who), this)
				if err != nil {
					t.Fatal(err)
				}
				g, err := a.Authorize(t.Context(), e.person(c.of, c.who), needs...)
				if c.code != "" {
					if !fault.Is(err, c.code) {
						t.Errorf("%v, want %s", err, c.code)
					}
					continue
				}
				if err != nil {
					t.Fatal(err)
				}
				if err := e.RetireGrant(t.Context(), g, this, true); !fault.Is(err, fault.DryRunOperationException) {
					t.Error("dry run:", err)
				}
				if err := e.RetireGrant(t.Context(), g, this, false); err != nil {
					t.Error(err)
				}
				if _, err := e.RetireNeeds(t.Context(), e.person(c.of, c.who), this); err == nil {
					t.Error("a retired grant still exists")
				}
			}
		})
	}
}

// TestRetiringIsAboutOneGrant: the permission to retire one grant does not cover another.
func TestRetiringIsAboutOneGrant(t *testing.T) {
	e := newEnv(t)
	_, a := e.iam()
	m := e.create(CreateInput{})
	e.makeGrant(&m, GrantInput{
		Grantee: user(coretest.Account, "alice"), Operations: []string{"Decrypt", "RetireGrant"},
	})
	id, _ := e.makeGrant(&m, GrantInput{Grantee: user(coretest.Account, "bob"), Operations: []string{"Decrypt"}})
	alice := e.person(coretest.Account, "alice")
	needs, err := e.RetireNeeds(t.Context(), alice, GrantName{Key: m.ID, ID: id})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := a.Authorize(t.Context(), alice, needs...); !fault.Is(err, fault.AccessDenied) {
		t.Error(err)
	}
}

// TestGrantsThroughGrants: a grantee with CreateGrant can't give more than it has.
func TestGrantsThroughGrants(t *testing.T) {
	e := newEnv(t)
	_, a := e.iam()
	m := e.create(CreateInput{})
	e.makeGrant(&m, GrantInput{
		Grantee: user(coretest.Account, "alice"), Operations: []string{"Decrypt", "CreateGrant"},
		Subset: map[string]string{"App": "a"},
	})
	for name, c := range map[string]struct {
		in   GrantInput
		want bool
	}{
		"less": {
			GrantInput{Operations: []string{"Decrypt"}, Subset: map[string]string{"App": "a"}}, true,
		},
		"stricter": {
			GrantInput{Operations: []string{"Decrypt"}, Equals: map[string]string{"App": "a", "b": "c"}}, true,
		},
		"another operation": {
			GrantInput{Operations: []string{"Encrypt"}, Subset: map[string]string{"App": "a"}}, false,
		},
		"no constraint": {GrantInput{Operations: []string{"Decrypt"}}, false},
		"another constraint": {
			GrantInput{Operations: []string{"Decrypt"}, Subset: map[string]string{"App": "b"}}, false,
		},
	} {
		t.Run(name, func(t *testing.T) {
			c.in.Key, c.in.Grantee = m.ID, user(coretest.Account, "bob")
			g, err := e.ask(a, e.person(coretest.Account, "alice"), "kms:CreateGrant", m.ARN, c.in.Conditions())
			if (err == nil) != c.want {
				t.Fatal(err)
			}
			if !c.want {
				return
			}
			if _, _, err := e.CreateGrant(t.Context(), g, c.in); err != nil {
				t.Error(err)
			}
		})
	}
}

func TestListGrants(t *testing.T) {
	e := newEnv(t)
	m, other := e.create(CreateInput{}), e.create(CreateInput{})
	bob := user(coretest.Account, "bob")
	var ids []string
	for i := range 7 {
		id, _ := e.makeGrant(&m, GrantInput{
			Grantee: user(coretest.Account, []string{"alice", "bob"}[i%2]), Operations: []string{"Decrypt"},
			Retiring: bob,
		})
		ids = append(ids, id)
	}
	e.makeGrant(&other, GrantInput{Grantee: bob, Operations: []string{"Decrypt"}, Retiring: bob})
	slices.Sort(ids)
	pages := func(list func(page.Request) ([]GrantInfo, string, error)) (all []string) {
		p := page.Request{Max: 2}
		for {
			got, next, err := list(p)
			if err != nil || len(got) > 2 {
				t.Fatal(got, err)
			}
			for _, g := range got {
				all = append(all, g.ID)
			}
			if p.Marker = next; next == "" {
				return all
			}
		}
	}
	g := e.may(m.ARN, "kms:ListGrants")
	all := pages(func(p page.Request) ([]GrantInfo, string, error) {
		return e.ListGrants(t.Context(), g, m.ID, GrantFilter{}, p)
	})
	if !slices.Equal(all, ids) {
		t.Errorf("%v, want %v", all, ids)
	}
	if bobs := pages(func(p page.Request) ([]GrantInfo, string, error) {
		return e.ListGrants(t.Context(), g, m.ID, GrantFilter{Grantee: bob}, p)
	}); len(bobs) != 3 {
		t.Errorf("of one grantee: %v", bobs)
	}
	one, _, err := e.ListGrants(t.Context(), g, m.ID, GrantFilter{ID: ids[3]}, page.Request{})
	if err != nil || len(one) != 1 || one[0].ID != ids[3] {
		t.Error(one, err)
	}
	any := e.may(arn.Any(), "kms:ListRetirableGrants")
	if retirable := pages(func(p page.Request) ([]GrantInfo, string, error) {
		return e.ListRetirableGrants(t.Context(), any, bob, p)
	}); len(retirable) != 8 {
		t.Errorf("retirable: %d", len(retirable))
	}
	_, _, err = e.ListRetirableGrants(t.Context(), any, user(stranger, "mallory"), page.Request{})
	if !fault.Is(err, fault.AccessDenied) {
		t.Error("of another account:", err)
	}
	if _, _, err := e.ListGrants(t.Context(), g, m.ID, GrantFilter{}, page.Request{Marker: "x"}); !fault.Is(err,
		fault.InvalidMarkerException) {
		t.Error(err)
	}
}

// TestConstraintsAreSmall: a decision reads a bounded size of constraints.
func TestConstraintsAreSmall(t *testing.T) {
	e := newEnv(t)
	m := e.create(CreateInput{})
	g := e.may(m.ARN, "kms:CreateGrant")
	create := func(pairs, size int) error {
		context := map[string]string{}
		for i := range pairs {
			context[fmt.Sprint(i)] = strings.Repeat("v", size)
		}
		_, _, err := e.CreateGrant(t.Context(), g, GrantInput{
			Key: m.ID, Grantee: user(coretest.Account, "alice"), Operations: []string{"Decrypt"}, Equals: context,
		})
		return err
	}
	for _, c := range [][2]int{{0, 0}, {maxConstraint + 1, 1}, {1, maxConstraintText + 1}} {
		if err := create(c[0], c[1]); !fault.Is(err, fault.ValidationException) {
			t.Errorf("%d pairs of %d characters: %v", c[0], c[1], err)
		}
	}
	fits := maxGranteeContext / (maxConstraint * (maxConstraintText + 1))
	for range fits {
		if err := create(maxConstraint, maxConstraintText); err != nil {
			t.Fatal(err)
		}
	}
	if err := create(maxConstraint, maxConstraintText); !fault.Is(err, fault.LimitExceededException) {
		t.Error(err)
	}
}

// TestGrantsAreFew: a decision reads a bounded number of grants, and only those of its caller. When
// a key is destroyed, its grants are, too.
func TestGrantsAreFew(t *testing.T) {
	e := newEnv(t)
	m := e.create(CreateInput{})
	e.makeGrant(&m, GrantInput{Grantee: user(coretest.Account, "bob"), Operations: []string{"Decrypt"}})
	in := GrantInput{Key: m.ID, Grantee: user(coretest.Account, "alice"), Operations: []string{"Decrypt"}}
	g := e.may(m.ARN, "kms:CreateGrant")
	for range maxGrantsOfGrantee {
		if _, _, err := e.CreateGrant(t.Context(), g, in); err != nil {
			t.Fatal(err)
		}
	}
	if _, _, err := e.CreateGrant(t.Context(), g, in); !fault.Is(err, fault.LimitExceededException) {
		t.Error(err)
	}
	bob, nobody := e.person(coretest.Account, "bob").Principal(), policy.Principal{Kind: policy.Anonymous}
	docs, err := e.GrantsTo(t.Context(), m.ARN, &bob)
	if err != nil || len(docs) != 1 || len(docs[0].Statements()) != 1 {
		t.Error(docs, err)
	}
	if docs, err := e.GrantsTo(t.Context(), m.ARN, &nobody); err != nil || docs != nil {
		t.Error(docs, err)
	}
	e.change(m.ID, func(k *keyRecord) {
		if k.grants != maxGrantsOfGrantee+1 {
			t.Errorf("the key's record counts %d grants", k.grants)
		}
		k.state, k.ends = PendingDeletion, e.at.Add(-1)
	})
	if err := e.dropGrants(t.Context(), m.ID, e.at); err != nil {
		t.Fatal(err)
	}
	if docs, err := e.GrantsTo(t.Context(), m.ARN, &bob); err != nil || docs != nil {
		t.Error("a destroyed key's grants still exist:", docs, err)
	}
}
