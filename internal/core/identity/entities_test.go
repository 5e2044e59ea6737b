package identity

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"watertight/internal/access/arn"
	"watertight/internal/access/authz"
	"watertight/internal/access/policy"
	"watertight/internal/core/change/coretest"
	"watertight/internal/core/page"
	"watertight/internal/core/tag"
	"watertight/internal/fault"
	"watertight/internal/storage/kv"
)

const (
	allowAll = `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"*","Resource":"*"}]}`
	denyAll  = `{"Version":"2012-10-17","Statement":{"Effect":"Deny","Action":"*","Resource":"*"}}`
	trusting = `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"AWS":"111122223333"},` +
		`"Action":"sts:AssumeRole"}]}`
	admin = "arn:aws:iam::aws:policy/AdministratorAccess"
)

// house is a store with an account and its root user.
type house struct {
	t testing.TB
	*Store
	kv kv.Store
}

func newHouse(t testing.TB) house {
	s, k := open(t)
	if _, err := NewOperator(s).Bootstrap(t.Context(), BootstrapOptions{
		AccountID: coretest.Account, At: time.Unix(1, 0),
	}); err != nil {
		t.Fatal(err)
	}
	return house{t, s, k}
}

// may returns a grant of the root user.
func (h house) may(action policy.Action, r arn.ARN) authz.Grant {
	h.t.Helper()
	return coretest.Grant(h.t, coretest.Root(coretest.Account, nil), r, action)
}

// on returns an entity's present ARN.
func (h house) on(k EntityKind, name string) arn.ARN {
	h.t.Helper()
	s, err := h.Subject(h.t.Context(), coretest.Account, k, name)
	if err != nil {
		h.t.Fatal(err)
	}
	return s.ARN
}

func (h house) ok(err error) {
	h.t.Helper()
	if err != nil {
		h.t.Fatal(err)
	}
}

func (h house) fails(err error, code string) {
	h.t.Helper()
	if !fault.Is(err, fault.Code(code)) {
		h.t.Errorf("%v, want %s", err, code)
	}
}

func (h house) create(k EntityKind, name string) *Entity {
	h.t.Helper()
	in := CreateInput{Name: name}
	if k == Role {
		in.Trust = trusting
	}
	e, err := h.Create(h.t.Context(),
		h.may(policy.Action("iam:Create"+k.String()), EntityARN(coretest.Account, k, "/", name)), k, in)
	h.ok(err)
	return e
}

func (h house) newPolicy(name, document string) string {
	h.t.Helper()
	p, err := h.CreatePolicy(h.t.Context(), h.may("iam:CreatePolicy", PolicyARN(coretest.Account, "/", name)),
		CreateInput{Name: name}, document)
	h.ok(err)
	return p.ARN().String()
}

func (h house) attach(k EntityKind, name, policyARN string) error {
	return h.Attach(h.t.Context(), h.may(policy.Action("iam:Attach"+k.String()+"Policy"), h.on(k, name)), k, name,
		policyARN)
}

func (h house) put(k EntityKind, name, policyName, document string) error {
	return h.PutInline(h.t.Context(), h.may(policy.Action("iam:Put"+k.String()+"Policy"), h.on(k, name)), k, name,
		Inline{policyName, document})
}

// decides returns how the laws of a principal decide on an S3 read.
func (h house) decides(p policy.Principal) policy.Effect {
	h.t.Helper()
	l, err := h.Laws(h.t.Context(), &p)
	h.ok(err)
	return policy.Decide(&policy.Laws{Identity: l.Identity, Boundary: l.Boundary, ResourceOwner: coretest.Account},
		&policy.Request{Principal: p, Action: "s3:GetObject", Resource: arn.Object("b", "k")}).Effect
}

func TestEntitiesComeAndGo(t *testing.T) {
	for i, k := range []EntityKind{User, Group, Role} {
		t.Run(fmt.Sprint(i), func(t *testing.T) {
			h := newHouse(t)
			e := h.create(k, "Alice")
			if !strings.HasPrefix(e.ID, k.IDPrefix()) || len(e.ID) != 21 ||
				e.ARN().String() != "arn:aws:iam::111122223333:"+k.lower()+"/Alice" {
				t.Errorf("%+v", e)
			}
			again := CreateInput{Name: "aLICE", Trust: trusting}
			_, err := h.Create(t.Context(),
				h.may(policy.Action("iam:Create"+k.String()), EntityARN(coretest.Account, k, "/", "aLICE")), k, again)
			h.fails(err, "EntityAlreadyExists")

			got, err := h.Get(t.Context(), h.may(policy.Action("iam:Get"+k.String()), e.ARN()), k, "alice")
			if err != nil || got.ID != e.ID || got.Name != "Alice" {
				t.Errorf("%+v, %v", got, err)
			}
			_, err = h.Get(t.Context(),
				h.may(policy.Action("iam:Get"+k.String()), EntityARN(coretest.Account, k, "/", "bob")), k, "bob")
			if !fault.Is(err, "NoSuchEntity") ||
				fault.From(err).Message != "The "+k.lower()+" with name bob cannot be found." {
				t.Error(err)
			}
			_, err = h.Get(t.Context(),
				h.may(policy.Action("iam:Get"+k.String()), EntityARN(coretest.Account, k, "/", "bob")), k, "alice")
			h.fails(err, "AccessDenied")
			_, err = h.Get(t.Context(), authz.Grant{}, k, "alice")
			h.fails(err, "AccessDenied")

			h.ok(h.attach(k, "alice", admin))
			remove := func() error {
				return h.Delete(t.Context(), h.may(policy.Action("iam:Delete"+k.String()), e.ARN()), k, "alice")
			}
			h.fails(remove(), "DeleteConflict")
			h.ok(h.Detach(t.Context(), h.may(policy.Action("iam:Detach"+k.String()+"Policy"), e.ARN()), k, "alice",
				admin))
			h.ok(h.put(k, "alice", "p", allowAll))
			h.fails(remove(), "DeleteConflict")
			h.ok(h.DeleteInline(t.Context(), h.may(policy.Action("iam:Delete"+k.String()+"Policy"), e.ARN()), k,
				"alice", "P"))
			h.ok(remove())
			h.fails(h.Delete(t.Context(), h.may(policy.Action("iam:Delete"+k.String()), h.on(k, "alice")), k, "alice"),
				"NoSuchEntity")
			if again := h.create(k, "alice"); again.ID == e.ID {
				t.Error("an id was used again")
			}
		})
	}
}

func TestNamesAndPathsAreChecked(t *testing.T) {
	h := newHouse(t)
	for _, in := range []CreateInput{
		{Name: ""}, {Name: "a/b"}, {Name: "a b"}, {Name: "é"}, {Name: strings.Repeat("a", 129)},
		{Name: "a", Path: "/x"}, {Name: "a", Path: "x/"}, {Name: "a", Path: "/ /"},
		{Name: "a", Path: "/" + strings.Repeat("x", 512) + "/"},
		{Name: "a", Tags: []tag.Tag{{Key: "", Value: "v"}}},
		{Name: "a", Tags: []tag.Tag{{Key: "k", Value: strings.Repeat("v", 257)}}},
	} {
		path := in.Path
		if path == "" {
			path = "/"
		}
		_, err := h.Create(t.Context(), h.may("iam:CreateUser", EntityARN(coretest.Account, User, path, in.Name)), User,
			in)
		h.fails(err, "ValidationError")
	}
	for _, tags := range [][]tag.Tag{{{Key: "a", Value: ""}, {Key: "A", Value: ""}}, {{Key: "aws:x", Value: ""}}} {
		_, err := h.Create(t.Context(), h.may("iam:CreateUser", EntityARN(coretest.Account, User, "/", "a")), User,
			CreateInput{Name: "a", Tags: tags})
		h.fails(err, "InvalidInput")
	}
	for _, trust := range []string{"", "{", allowAll} {
		_, err := h.Create(t.Context(), h.may("iam:CreateRole", EntityARN(coretest.Account, Role, "/", "r")), Role,
			CreateInput{Name: "r", Trust: trust})
		h.fails(err, "MalformedPolicyDocument")
	}
}

func TestRenameKeepsWhatHangsOnAUser(t *testing.T) {
	h := newHouse(t)
	u := h.create(User, "old")
	h.create(User, "other")
	h.ok(h.attach(User, "old", admin))
	k, err := h.CreateKey(t.Context(), h.may("iam:CreateAccessKey", u.ARN()), "old")
	h.ok(err)
	to := EntityARN(coretest.Account, User, "/team/", "new")
	rename := func(name, path string, target arn.ARN) error {
		g := coretest.GrantAll(t, coretest.Root(coretest.Account, nil),
			authz.Need{
				Action: "iam:UpdateUser", Resource: u.ARN(),
			}, authz.Need{Action: "iam:UpdateUser", Resource: target})
		return h.Rename(t.Context(), g, User, "old", Renaming{name, path})
	}
	h.fails(rename("OTHER", "", EntityARN(coretest.Account, User, "/", "OTHER")), "EntityAlreadyExists")
	h.fails(h.Rename(t.Context(), h.may("iam:UpdateUser", u.ARN()), User, "old", Renaming{"new", "/team/"}),
		"AccessDenied")
	h.ok(rename("new", "/team/", to))
	c, err := h.Lookup(t.Context(), k.AccessKeyID)
	if err != nil || c == nil || c.Principal.Kind != policy.User || c.Principal.ARN != to || c.Principal.ID != u.ID ||
		c.Principal.Name != "new" || c.Secret != k.Secret {
		t.Fatalf("%+v, %v", c, err)
	}
	if h.decides(c.Principal) != policy.Allow {
		t.Error("the renamed user lost its policies")
	}
	if h.on(User, "old") != u.ARN() {
		t.Error("the old name is still taken")
	}
}

// TestLawsChangeWithTheNextRequest tries every way to change the permissions of a user.
func TestLawsChangeWithTheNextRequest(t *testing.T) {
	h := newHouse(t)
	ctx := t.Context()
	u, group := h.create(User, "u"), h.create(Group, "g")
	p := u.Principal()
	expect := func(what string, want policy.Effect) {
		t.Helper()
		if got := h.decides(p); got != want {
			t.Errorf("%s: %v, want %v", what, got, want)
		}
	}
	on := func(k EntityKind) (arn.ARN, string) {
		if k == Group {
			return group.ARN(), "g"
		}
		return u.ARN(), "u"
	}
	expect("nothing", policy.ImplicitDeny)
	for _, k := range []EntityKind{User, Group} {
		at, name := on(k)
		if k == Group {
			h.ok(h.AddToGroup(ctx, h.may("iam:AddUserToGroup", at), "g", "u"))
			expect("a member of an empty group", policy.ImplicitDeny)
		}
		h.ok(h.attach(k, name, admin))
		expect("attached", policy.Allow)
		h.ok(h.put(k, name, "no", denyAll))
		expect("an inline deny", policy.ExplicitDeny)
		h.ok(h.DeleteInline(ctx, h.may(policy.Action("iam:Delete"+k.String()+"Policy"), at), k, name, "no"))
		expect("the deny is gone", policy.Allow)
		h.ok(h.Detach(ctx, h.may(policy.Action("iam:Detach"+k.String()+"Policy"), at), k, name, admin))
		expect("detached", policy.ImplicitDeny)
	}
	h.ok(h.attach(Group, "g", admin))
	expect("through the group", policy.Allow)
	h.ok(h.RemoveFromGroup(ctx, h.may("iam:RemoveUserFromGroup", group.ARN()), "g", "u"))
	expect("no member any more", policy.ImplicitDeny)

	own := h.newPolicy("own", allowAll)
	h.ok(h.attach(User, "u", own))
	expect("version 1", policy.Allow)
	_, err := h.CreatePolicyVersion(ctx, h.may("iam:CreatePolicyVersion", mustARN(t, own)), own, denyAll, false)
	h.ok(err)
	expect("version 2 is not in force", policy.Allow)
	h.ok(h.SetDefaultVersion(ctx, h.may("iam:SetDefaultPolicyVersion", mustARN(t, own)), own, "v2"))
	expect("version 2", policy.ExplicitDeny)
	h.ok(h.SetDefaultVersion(ctx, h.may("iam:SetDefaultPolicyVersion", mustARN(t, own)), own, "v1"))
	h.ok(h.PutBoundary(ctx, h.may("iam:PutUserPermissionsBoundary", u.ARN()), User, "u",
		"arn:aws:iam::aws:policy/IAMFullAccess"))
	expect("a boundary without S3", policy.ImplicitDeny)
	h.ok(h.DeleteBoundary(ctx, h.may("iam:DeleteUserPermissionsBoundary", u.ARN()), User, "u"))
	expect("no boundary", policy.Allow)

	h.ok(h.Detach(ctx, h.may("iam:DetachUserPolicy", u.ARN()), User, "u", own))
	h.ok(h.Delete(ctx, h.may("iam:DeleteUser", u.ARN()), User, "u"))
	h.create(User, "u")
	h.ok(h.attach(User, "u", admin))
	expect("another user of the same name", policy.ImplicitDeny)
}

func mustARN(t testing.TB, s string) arn.ARN {
	a, err := arn.Parse(s)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

func TestRoleSessionsHaveTheirRolesLaws(t *testing.T) {
	h := newHouse(t)
	r := h.create(Role, "r")
	h.ok(h.attach(Role, "r", admin))
	p := policy.Principal{Kind: policy.RoleSession, Account: coretest.Account, Role: r.ARN(), ID: r.ID + ":s"}
	if h.decides(p) != policy.Allow {
		t.Error("a session of the role lacks the role's permissions")
	}
	p.ID = "AROAXXXXXXXXXXXXXXXXX:s"
	if h.decides(p) != policy.ImplicitDeny {
		t.Error("a session of a deleted role has laws")
	}
	u := h.create(User, "u")
	h.ok(h.attach(User, "u", admin))
	p.ID = u.ID + ":s"
	if h.decides(p) != policy.ImplicitDeny {
		t.Error("a role session has a user's laws")
	}
	f := policy.Principal{
		Kind: policy.FederatedUser, Account: coretest.Account, Issuer: u.ARN(), ID: coretest.Account + ":f",
	}
	l, err := h.Laws(t.Context(), &f)
	if err != nil || len(l.Identity) != 1 {
		t.Errorf("want the laws of the user that asked for the federated session: %+v, %v", l, err)
	}
}

func TestQuotas(t *testing.T) {
	h := newHouse(t)
	u := h.create(User, "u")
	for range maxKeysPerUser {
		_, err := h.CreateKey(t.Context(), h.may("iam:CreateAccessKey", u.ARN()), "u")
		h.ok(err)
	}
	_, err := h.CreateKey(t.Context(), h.may("iam:CreateAccessKey", u.ARN()), "u")
	h.fails(err, "LimitExceeded")
	for i := range maxAttached {
		h.ok(h.attach(User, "u", h.newPolicy(fmt.Sprint("p", i), allowAll)))
	}
	h.fails(h.attach(User, "u", admin), "LimitExceeded")
	for i := range maxUserGroups + 1 {
		name := fmt.Sprint("g", i)
		g := h.create(Group, name)
		err := h.AddToGroup(t.Context(), h.may("iam:AddUserToGroup", g.ARN()), name, "u")
		if i < maxUserGroups {
			h.ok(err)
		} else {
			h.fails(err, "LimitExceeded")
		}
	}
	own := PolicyARN(coretest.Account, "/", "p0")
	for i := range maxVersions {
		_, err := h.CreatePolicyVersion(t.Context(), h.may("iam:CreatePolicyVersion", own), own.String(), allowAll,
			false)
		if i < maxVersions-1 {
			h.ok(err)
		} else {
			h.fails(err, "LimitExceeded")
		}
	}
	h.fails(h.DeletePolicy(t.Context(), h.may("iam:DeletePolicy", own), own.String()), "DeleteConflict")
	h.fails(h.DeletePolicyVersion(t.Context(), h.may("iam:DeletePolicyVersion", own), own.String(), "v1"),
		"DeleteConflict")
	h.fails(h.DeletePolicyVersion(t.Context(), h.may("iam:DeletePolicyVersion", own), own.String(), "v9"),
		"NoSuchEntity")
	big := `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"*","Resource":"` +
		strings.Repeat("a", 2048) + `"}]}`
	h.fails(h.put(User, "u", "big", strings.Replace(big, `"aaa`, `"arn:aws:s3:::aaa`, 1)), "LimitExceeded")
}

func TestPagesJoin(t *testing.T) {
	h := newHouse(t)
	for i := range 7 {
		h.create(User, fmt.Sprintf("u%d", i))
	}
	var names []string
	var p = page.Request{Max: 3}
	for pages := 1; ; pages++ {
		all, next, err := h.List(t.Context(), h.may("iam:ListUsers", ListARN(coretest.Account, User, "")), User, "", p)
		h.ok(err)
		for _, e := range all {
			names = append(names, e.Name)
		}
		if p.Marker = next; next == "" {
			if pages != 3 {
				t.Errorf("%d pages", pages)
			}
			break
		}
	}
	if strings.Join(names, " ") != "u0 u1 u2 u3 u4 u5 u6" {
		t.Error(names)
	}
	p.Marker = "made up"
	_, _, err := h.List(t.Context(), h.may("iam:ListUsers", ListARN(coretest.Account, User, "")), User, "", p)
	h.fails(err, "ValidationError")
}

func TestUsesOfPolicies(t *testing.T) {
	h := newHouse(t)
	own := h.newPolicy("own", allowAll)
	h.create(User, "u")
	r := h.create(Role, "r")
	h.ok(h.attach(User, "u", own))
	h.ok(h.PutBoundary(t.Context(), h.may("iam:PutRolePermissionsBoundary", r.ARN()), Role, "r", own))
	for name, c := range map[string]struct {
		in   UsesInput
		want string
	}{
		"all":        {UsesInput{}, "r u"},
		"attached":   {UsesInput{Attached: true}, "u"},
		"boundaries": {UsesInput{Bounding: true}, "r"},
		"users":      {UsesInput{Kind: User}, "u"},
	} {
		t.Run(name, func(t *testing.T) {
			c.in.Policy = own
			all, _, err := h.Uses(t.Context(), h.may("iam:ListEntitiesForPolicy", mustARN(t, own)), c.in)
			var names []string
			for _, e := range all {
				names = append(names, e.Name)
			}
			if got := strings.Join(names, " "); err != nil || got != c.want {
				t.Errorf("%s: %q, %v", name, got, err)
			}
		})
	}
	p, err := h.GetPolicy(t.Context(), h.may("iam:GetPolicy", mustARN(t, own)), own)
	if err != nil || p.Attached != 1 || p.Bounding != 1 {
		t.Errorf("%+v, %v", p, err)
	}
	h.ok(h.Delete(t.Context(), h.may("iam:DeleteRole", r.ARN()), Role, "r"))
	p, err = h.GetPolicy(t.Context(), h.may("iam:GetPolicy", mustARN(t, own)), own)
	if err != nil || p.Attached != 1 || p.Bounding != 0 {
		t.Errorf("a deleted role still counts: %+v, %v", p, err)
	}
	foreign := "arn:aws:iam::444455556666:policy/own"
	h.fails(h.attach(User, "u", foreign), "NoSuchEntity")
}

func TestKeysBelongToTheirHolder(t *testing.T) {
	h := newHouse(t)
	u := h.create(User, "u")
	h.create(User, "v")
	k, err := h.CreateKey(t.Context(), h.may("iam:CreateAccessKey", u.ARN()), "u")
	h.ok(err)
	h.fails(h.DeleteKey(t.Context(), h.may("iam:DeleteAccessKey", h.on(User, "v")), "v", k.AccessKeyID), "NoSuchEntity")
	h.ok(h.SetKeyActive(t.Context(), h.may("iam:UpdateAccessKey", u.ARN()), "u", k.AccessKeyID, false))
	if c, err := h.Lookup(t.Context(), k.AccessKeyID); err != nil || c == nil || c.Active {
		t.Errorf("%v %v", c, err)
	}
	uses := NewOperator(h.Store).NewUses()
	for _, at := range []int64{100, 130, 159, 160} {
		uses.NoteKey(k.AccessKeyID, Use{time.Unix(at, 0), "s3", "us-east-1"})
		want := int64(100)
		if at == 160 {
			want = 160
		}
		for flushes := range 3 { // the use is known before it is written, while it is written, and from the store
			user, use, err := h.KeyLastUsed(t.Context(), h.may("iam:GetAccessKeyLastUsed", u.ARN()), k.AccessKeyID)
			if err != nil || user != "u" || use.At.Unix() != want || use.Service != "s3" || use.Region != "us-east-1" {
				t.Errorf("at %d, after %d flushes: %s %+v %v", at, flushes, user, use, err)
			}
			h.ok(uses.Flush(t.Context()))
		}
	}
	h.fails(h.Delete(t.Context(), h.may("iam:DeleteUser", u.ARN()), User, "u"), "DeleteConflict")
	h.ok(h.DeleteKey(t.Context(), h.may("iam:DeleteAccessKey", u.ARN()), "u", k.AccessKeyID))
	if c, err := h.Lookup(t.Context(), k.AccessKeyID); err != nil || c != nil {
		t.Error("a deleted key is found", err)
	}
	// A user with the permission does not get the root user's keys.
	all, err := policy.Parse(policy.Identity, []byte(allowAll))
	h.ok(err)
	caller := authz.NewCaller(new(u.Principal()), &authz.Situation{At: time.Unix(5, 0)})
	g, err := authz.New(generous{all}).Authorize(t.Context(), caller, authz.Need{
		Action: "iam:CreateAccessKey", Resource: arn.Root(coretest.Account),
	})
	h.ok(err)
	_, err = h.CreateKey(t.Context(), g, "")
	h.fails(err, "AccessDenied")
}

// generous returns a policy that allows everything.
type generous struct{ all *policy.Document }

func (f generous) Principal(context.Context, *policy.Principal) (*authz.PrincipalLaws, error) {
	return &authz.PrincipalLaws{Identity: []*policy.Document{f.all}}, nil
}

func (f generous) Resource(context.Context, arn.ARN, time.Time) (*authz.ResourceLaws, error) {
	return &authz.ResourceLaws{Owner: coretest.Account}, nil
}

func (generous) Object(context.Context, arn.ARN, *string) (authz.ObjectLaws, error) {
	return authz.ObjectLaws{}, nil
}

func (generous) Grants(context.Context, arn.ARN, *policy.Principal) ([]*policy.Document, error) {
	return nil, nil
}

func (generous) ObjectTags(context.Context, arn.ARN, *string) (map[string]string, error) {
	return nil, nil
}
