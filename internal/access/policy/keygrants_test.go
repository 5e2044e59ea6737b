package policy

import (
	"strings"
	"testing"

	"watertight/internal/access/arn"
)

// TestGrantsOfKeys: a grant allows its principal its operations within its constraint
// and nothing else, without an identity policy.
func TestGrantsOfKeys(t *testing.T) {
	const alice, reader = "arn:aws:iam::111122223333:user/alice", "arn:aws:iam::111122223333:role/path/reader"
	app := map[string]string{"App": "a"}
	with := func(change func(*KeyGrant)) KeyGrant {
		g := KeyGrant{
			ID: "g", Grantee: alice, Operations: []string{"Decrypt", "CreateGrant", "DescribeKey", "RetireGrant"},
		}
		if change != nil {
			change(&g)
		}
		return g
	}
	plain := with(nil)
	subset := with(func(g *KeyGrant) { g.Subset = app })
	equals := with(func(g *KeyGrant) { g.Equals = app })
	context := func(pairs ...string) map[string][]string {
		keys := map[string][]string{}
		for i := 0; i < len(pairs); i += 2 {
			name := "kms:encryptioncontext:" + strings.ToLower(pairs[i])
			keys[name] = append(keys[name], pairs[i+1])
			keys["kms:encryptioncontextkeys"] = append(keys["kms:encryptioncontextkeys"], pairs[i])
		}
		return keys
	}
	child := func(kind, operations string, pairs ...string) map[string][]string {
		keys := context(pairs...)
		keys["kms:grantoperations"] = strings.Split(operations, "|")
		if kind != "" {
			keys["kms:grantconstrainttype"] = []string{kind}
		}
		return keys
	}
	narrow := mustParse(t, Session, `{"Statement":{"Effect":"Allow","Action":"s3:*","Resource":"*"}}`)
	for name, c := range map[string]struct {
		grant  KeyGrant
		who    string
		action Action
		keys   map[string][]string
		laws   Laws
		want   bool
	}{
		"the grantee":         {grant: plain, who: "alice", action: "kms:Decrypt", want: true},
		"another user":        {grant: plain, who: "bob", action: "kms:Decrypt"},
		"the root user":       {grant: plain, who: "root", action: "kms:Decrypt"},
		"an anonymous caller": {grant: plain, who: "anonymous", action: "kms:Decrypt"},
		"another operation":   {grant: plain, who: "alice", action: "kms:Encrypt"},
		"retiring":            {grant: plain, who: "alice", action: "kms:RetireGrant"},
		"settings of the key": {grant: plain, who: "alice", action: "kms:PutKeyPolicy"},
		"the same name, another one": {
			grant: with(func(g *KeyGrant) { g.Bound = "AIDAANOTHERANOTHER1" }), who: "alice", action: "kms:Decrypt",
		},
		"the same one, renamed": {
			grant: with(func(g *KeyGrant) {
				g.Grantee, g.Bound = "arn:aws:iam::111122223333:user/x", "AIDAALICEALICEALICE"
			}),
			who: "alice", action: "kms:Decrypt", want: true,
		},
		"a user of another account": {
			grant: with(func(g *KeyGrant) { g.Grantee = "arn:aws:iam::444455556666:user/mallory" }), who: "stranger",
			action: "kms:Decrypt", want: true,
		},
		"another account, without a policy of its own": {
			grant: with(func(g *KeyGrant) { g.Grantee = arn.Root(other).String() }), who: "stranger",
			action: "kms:Decrypt",
		},
		"everyone": {grant: with(func(g *KeyGrant) { g.Grantee = "*" }), who: "alice", action: "kms:Decrypt"},
		"a role": {
			grant: with(func(g *KeyGrant) { g.Grantee = reader }), who: "session", action: "kms:Decrypt", want: true,
		},
		"a session": {
			grant: with(func(g *KeyGrant) { g.Grantee = reader }), who: "session", action: "kms:Decrypt",
			laws: Laws{Session: []*Document{narrow}},
		},
		"a boundary of a role": {
			grant: with(func(g *KeyGrant) { g.Grantee = reader }), who: "session", action: "kms:Decrypt",
			laws: Laws{Boundary: []*Document{narrow}},
		},
		"a boundary of a user": {
			grant: plain, who: "alice", action: "kms:Decrypt", laws: Laws{Boundary: []*Document{narrow}}, want: true,
		},
		"a deny": {
			grant: plain, who: "alice", action: "kms:Decrypt",
			laws: Laws{Identity: []*Document{mustParse(t, Identity,
				`{"Statement":{"Effect":"Deny","Action":"kms:Decrypt","Resource":"*"}}`)}},
		},
		"the subset itself": {
			grant: subset, who: "alice", action: "kms:Decrypt", keys: context("App", "a"), want: true,
		},
		"more than the subset": {
			grant: subset, who: "alice", action: "kms:Decrypt", keys: context("App", "a", "x", "y"), want: true,
		},
		"no context":               {grant: subset, who: "alice", action: "kms:Decrypt"},
		"another value":            {grant: subset, who: "alice", action: "kms:Decrypt", keys: context("App", "A")},
		"another case of the name": {grant: subset, who: "alice", action: "kms:Decrypt", keys: context("app", "a")},
		"two names apart by case": {
			grant: subset, who: "alice", action: "kms:Decrypt", keys: context("App", "b", "app", "a"),
		},
		"exactly": {
			grant: equals, who: "alice", action: "kms:Decrypt", keys: context("App", "a"), want: true,
		},
		"more than exactly": {
			grant: equals, who: "alice", action: "kms:Decrypt", keys: context("App", "a", "x", "y"),
		},
		"DescribeKey has no context": {grant: equals, who: "alice", action: "kms:DescribeKey", want: true},
		"a child": {
			grant: plain, who: "alice", action: "kms:CreateGrant", keys: child("", "Decrypt|RetireGrant"), want: true,
		},
		"a child with more operations": {
			grant: plain, who: "alice", action: "kms:CreateGrant", keys: child("", "Decrypt|Encrypt"),
		},
		"a child with none": {grant: plain, who: "alice", action: "kms:CreateGrant"},
		"a child without constraint": {
			grant: subset, who: "alice", action: "kms:CreateGrant", keys: child("", "Decrypt"),
		},
		"a child as constrained": {
			grant: subset, who: "alice", action: "kms:CreateGrant",
			keys: child(ConstraintSubset, "Decrypt", "App", "a"), want: true,
		},
		"a child constrained more": {
			grant: subset, who: "alice", action: "kms:CreateGrant",
			keys: child(ConstraintEquals, "Decrypt", "App", "a", "x", "y"), want: true,
		},
		"a child constrained less": {
			grant: equals, who: "alice", action: "kms:CreateGrant",
			keys: child(ConstraintSubset, "Decrypt", "App", "a"),
		},
		"a child of equals": {
			grant: equals, who: "alice", action: "kms:CreateGrant",
			keys: child(ConstraintEquals, "Decrypt", "App", "a"), want: true,
		},
		"a child of equals, with more": {
			grant: equals, who: "alice", action: "kms:CreateGrant",
			keys: child(ConstraintEquals, "Decrypt", "App", "a", "x", "y"),
		},
	} {
		t.Run(name, func(t *testing.T) {
			l := c.laws
			l.Resource, l.ResourceOwner, l.ResourceMustAllow = []*Document{Grants([]KeyGrant{c.grant})}, home, true
			v := Decide(&l, &Request{Principal: caller(c.who), Action: c.action, Resource: keyARN(), Keys: c.keys})
			if (v.Effect == Allow) != c.want {
				t.Errorf("%v %v", v.Effect, v.Why)
			}
		})
	}
	if public, _ := Public(Grants([]KeyGrant{plain}), Peers{}); public {
		t.Error("grants name everyone they are for")
	}
	e := Exposed(Laws{ResourceOwner: home, Resource: []*Document{Grants([]KeyGrant{
		with(func(g *KeyGrant) { g.Grantee = "arn:aws:iam::444455556666:user/mallory" }),
	})}})
	if len(e.Accounts) != 1 || e.Accounts[0] != other {
		t.Errorf("%+v", e)
	}
}

// TestPublicKeys: a key policy is public by the same rule as a bucket policy. A condition on the calling
// service does not limit it, because everyone can use the service.
func TestPublicKeys(t *testing.T) {
	for name, c := range map[string]struct {
		principal, condition string
		want                 bool
	}{
		"everyone":            {`"*"`, ``, true},
		"everyone through S3": {`"*"`, `"StringEquals":{"kms:ViaService":"s3.us-east-1.amazonaws.com"}`, true},
		"everyone of an account through S3": {
			`"*"`, `"StringEquals":{"kms:ViaService":"s3.us-east-1.amazonaws.com","kms:CallerAccount":"111122223333"}`,
			false,
		},
		"everyone of an account": {`"*"`, `"StringEquals":{"kms:CallerAccount":"111122223333"}`, false},
		"everyone of two accounts": {
			`"*"`, `"StringEquals":{"kms:CallerAccount":["111122223333","444455556666"]}`, false,
		},
		"everyone of accounts by a pattern": {`"*"`, `"StringLike":{"kms:CallerAccount":"1111*"}`, true},
		"everyone not of an account":        {`"*"`, `"StringNotEquals":{"kms:CallerAccount":"111122223333"}`, true},
		"everyone of an account, if any": {
			`"*"`, `"StringEqualsIfExists":{"kms:CallerAccount":"111122223333"}`, true,
		},
		"everyone for a bucket's objects": {
			`"*"`, `"StringLike":{"kms:EncryptionContext:aws:s3:arn":"arn:aws:s3:::b"}`, true,
		},
		"a service":  {`{"Service":"cloudfront.amazonaws.com"}`, ``, false},
		"an account": {`{"AWS":"444455556666"}`, ``, false},
	} {
		t.Run(name, func(t *testing.T) {
			d := mustParse(t, Key, `{"Version":"2012-10-17","Statement":{"Effect":"Allow","Principal":`+c.principal+
				`,"Action":"kms:*","Resource":"*","Condition":{`+c.condition+`}}}`)
			got, w := Public(d, ToldApart())
			if got != c.want {
				t.Fatalf("%v, %+v", got, w)
			}
			if !got || strings.Contains(c.condition, "Like\":{\"kms:C") || strings.Contains(c.condition, "IfExists") {
				return
			}
			if w.Request == nil || w.Request.Action != "kms:Decrypt" || w.Request.Principal.Account != Stranger {
				t.Errorf("no stranger is shown: %+v", w.Request)
			}
		})
	}
}
