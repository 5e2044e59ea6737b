package kms

import (
	"strings"
	"testing"

	"watertight/internal/access/arn"
	"watertight/internal/access/authz"
	"watertight/internal/access/policy"
	"watertight/internal/core/change/coretest"
	"watertight/internal/fault"
)

// iam is an environment in which users have IAM policies, with an authority that uses them.
func (e *env) iam() (*truth, *authz.Authority) {
	w := &truth{keys: e.Store, iam: map[string][]*policy.Document{}}
	w.allow(e.T, coretest.Account, `"*"`)
	return w, authz.New(w)
}

// ask returns a grant for one action on a key, or the refusal.
func (e *env) ask(
	a *authz.Authority, c authz.Caller, action policy.Action, on arn.ARN, with map[string][]string,
) (authz.Grant, error) {
	return a.Authorize(e.Context(), c, authz.Need{Action: action, Resource: on, Keys: with})
}

// statement returns a key policy with one statement.
func statement(effect, principal, action, more string) string {
	return `{"Version":"2012-10-17","Statement":[{"Effect":"` + effect + `","Principal":` + principal + `,"Action":` +
		action + `,"Resource":"*"` + more + `}]}`
}

// TestPutKeyPolicy: invalid policies are refused, and so are those that lock out their writer.
func TestPutKeyPolicy(t *testing.T) {
	const (
		own   = `{"AWS":"arn:aws:iam::` + coretest.Account + `:root"}`
		alice = `{"AWS":"arn:aws:iam::` + coretest.Account + `:user/alice"}`
		all   = `"kms:*"`

		equals = `,"Condition":{"StringEquals":{`
		lost   = "The new key policy will not allow you to update the key policy in the future."
	)
	for name, c := range map[string]struct {
		text    string
		bypass  bool
		code    fault.Code
		message string
	}{
		"the account": {text: statement("Allow", own, all, "")},
		"with more":   {text: statement("Allow", own, all, "") + " "},
		"everyone of accounts": {
			text: statement("Allow", `"*"`, all, equals+`"kms:CallerAccount":"`+coretest.Account+`"}}`),
		},
		"no JSON": {text: "{", code: "MalformedPolicyDocumentException"},
		"no principal": {
			text: strings.Replace(statement("Allow", own, all, ""), `"Principal":`+own+`,`, "", 1),
			code: "MalformedPolicyDocumentException", message: "Missing required field Principal",
		},
		"a user that is not there": {
			text: statement("Allow", `{"AWS":"arn:aws:iam::111122223333:user/nobody"}`, all, ""),
			code: "MalformedPolicyDocumentException", message: "invalid principals",
		},
		"an action that is none": {
			text: statement("Allow", own, `["kms:*","kms:Decrpyt"]`, ""), code: "MalformedPolicyDocumentException",
			message: "kms:Decrpyt",
		},
		"an action of another service": {
			text: statement("Allow", own, `["kms:*","s3:GetObject"]`, ""), code: "MalformedPolicyDocumentException",
		},
		"a condition key that is none": {
			text: statement("Allow", own, all, `,"Condition":{"StringEquals":{"kms:ViaServices":"s3"}}`),
			code: "MalformedPolicyDocumentException", message: "kms:ViaServices",
		},
		"another key": {
			text: strings.Replace(statement("Allow", own, all, ""), `"Resource":"*"`,
				`"Resource":"arn:aws:kms:us-east-1:111122223333:key/00000000-0000-4000-8000-000000000000"`, 1),
			code: "MalformedPolicyDocumentException", message: "invalid resources",
		},
		"everyone": {text: statement("Allow", `"*"`, all, ""), code: "AccessDenied", message: "public"},
		"everyone through S3": {
			text: statement("Allow", `"*"`, all, equals+`"kms:ViaService":"s3.us-east-1.amazonaws.com"}}`),
			code: "AccessDenied", message: "public",
		},
		"everyone, confirmed": {
			text: statement("Allow", `"*"`, all, ""), bypass: true, code: "AccessDenied",
		},
		"somebody else alone": {
			text: statement("Allow", alice, all, ""), code: "MalformedPolicyDocumentException", message: lost,
		},
		"somebody else alone, confirmed": {text: statement("Allow", alice, all, ""), bypass: true},
		"the account may only read": {
			text: statement("Allow", own, `["kms:Describe*","kms:Decrypt"]`, ""),
			code: "MalformedPolicyDocumentException", message: lost,
		},
		"the writer is denied": {
			text: strings.Replace(statement("Allow", own, all, ""), "]}", `,{"Effect":"Deny","Principal":`+own+
				`,"Action":"kms:PutKeyPolicy","Resource":"*"}]}`, 1),
			code: "MalformedPolicyDocumentException", message: lost,
		},
		"too long": {
			text: statement("Allow", own, all, "") + strings.Repeat(" ", maxPolicy), code: "LimitExceededException",
		},
	} {
		t.Run(name, func(t *testing.T) {
			e := newEnv(t)
			_, a := e.iam()
			m := e.create(CreateInput{})
			root := e.person(coretest.Account, "root")
			g, err := e.ask(a, root, "kms:PutKeyPolicy", m.ARN, nil)
			if err != nil {
				t.Fatal(err)
			}
			err = e.PutKeyPolicy(t.Context(), g, m.ID, c.text, c.bypass)
			if c.code != "" {
				if !fault.Is(err, c.code) || !strings.Contains(err.Error(), c.message) {
					t.Errorf("%v, want %s %s", err, c.code, c.message)
				}
				if _, err := e.CreateKey(t.Context(), e.may(arn.Any(), "kms:CreateKey"), CreateInput{
					Policy: c.text, BypassLockOut: c.bypass,
				}); !fault.Is(err, c.code) {
					t.Errorf("CreateKey: %v, want %s", err, c.code)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			read := coretest.Grant(t, root, m.ARN, "kms:GetKeyPolicy", "kms:ListKeyPolicies")
			if text, err := e.GetKeyPolicy(t.Context(), read, m.ID); err != nil || text != c.text {
				t.Errorf("%q, %v", text, err)
			}
			names, err := e.ListKeyPolicies(t.Context(), read, m.ID)
			if err != nil || len(names) != 1 || names[0] != "default" {
				t.Error(names, err)
			}
		})
	}
}

// TestManagedKeyKeepsItsPolicy: nobody can replace the policy, create a grant for the key, or use
// the key from another account.
func TestManagedKeyKeepsItsPolicy(t *testing.T) {
	e := newEnv(t)
	managed, err := e.ManagedKey(t.Context(), coretest.Account)
	if err != nil {
		t.Fatal(err)
	}
	g := e.may(managed, "kms:PutKeyPolicy", "kms:CreateGrant")
	if err := e.PutKeyPolicy(t.Context(), g, managed.String(), defaultPolicy(coretest.Account), false); !fault.Is(err,
		fault.AccessDenied) {
		t.Error(err)
	}
	if _, _, err := e.CreateGrant(t.Context(), g, GrantInput{
		Key: managed.String(), Grantee: arn.Root(coretest.Account).String(), Operations: []string{"Decrypt"},
	}); !fault.Is(err, fault.AccessDenied) {
		t.Error(err)
	}
	_, a := e.iam()
	for action, want := range map[policy.Action]bool{
		"kms:DescribeKey": true, "kms:GetKeyPolicy": true, "kms:Decrypt": false, "kms:PutKeyPolicy": false,
		"kms:ScheduleKeyDeletion": false, "kms:DisableKey": false, "kms:CreateGrant": false,
	} {
		t.Run(string(action), func(t *testing.T) {
			if _, err := e.ask(a, e.person(coretest.Account, "root"), action, managed, nil); (err == nil) != want {
				t.Error(err)
			}
		})
	}
}

// TestPolicyBindsTheNextRequest: a policy counts from the next request on, for the users who had
// the names in it when it was written.
func TestPolicyBindsTheNextRequest(t *testing.T) {
	e := newEnv(t)
	_, a := e.iam()
	m := e.create(CreateInput{})
	root, alice := e.person(coretest.Account, "root"), e.person(coretest.Account, "alice")
	if _, err := e.ask(a, alice, "kms:Decrypt", m.ARN, nil); !fault.Is(err, fault.AccessDenied) {
		t.Fatal(err)
	}
	g, err := e.ask(a, root, "kms:PutKeyPolicy", m.ARN, nil)
	if err != nil {
		t.Fatal(err)
	}
	text := strings.Replace(defaultPolicy(coretest.Account), "]}", `,{"Effect":"Allow","Principal":{"AWS":"`+
		user(coretest.Account, "alice")+`"},"Action":"kms:Decrypt","Resource":"*"}]}`, 1)
	if err := e.PutKeyPolicy(t.Context(), g, m.ID, text, false); err != nil {
		t.Fatal(err)
	}
	if _, err := e.ask(a, alice, "kms:Decrypt", m.ARN, nil); err != nil {
		t.Error(err)
	}
	p := alice.Principal()
	p.ID = userID("another")
	if _, err := e.ask(a, authz.NewCaller(&p, &authz.Situation{At: e.at}), "kms:Decrypt", m.ARN, nil); err == nil {
		t.Error("a new user with the same name may use the key")
	}
	e.change(m.ID, func(k *keyRecord) { k.setPolicy("{", nil) })
	if _, err := e.ask(a, root, "kms:Decrypt", m.ARN, nil); !fault.Is(err, fault.AccessDenied) {
		t.Errorf("a policy that cannot be read: %v", err)
	}
}

// TestReport: the operator sees who can use a key, by policy and by grants.
func TestReport(t *testing.T) {
	e := newEnv(t)
	m := e.create(CreateInput{Policy: strings.Replace(defaultPolicy(coretest.Account), "]}",
		`,{"Effect":"Allow","Principal":{"AWS":"`+stranger+`","Service":"cloudfront.amazonaws.com"},`+
			`"Action":"kms:Decrypt","Resource":"*"}]}`, 1)})
	e.makeGrant(&m, GrantInput{Grantee: user(coretest.Account, "alice"), Operations: []string{"Decrypt"}})
	e.makeGrant(&m, GrantInput{Grantee: user("999988887777", "bob"), Operations: []string{"Decrypt"}})
	for _, name := range []string{m.ID, m.ARN.String()} {
		t.Run(name, func(t *testing.T) {
			r, err := NewOperator(e.Store).Report(t.Context(), name, e.at)
			if err != nil || r.ARN != m.ARN || r.Exposure.Witness != nil || r.Grants != 2 || len(r.Grantees) != 2 ||
				len(r.Named) != 2 || strings.Join(r.Exposure.Accounts, " ") != stranger+" 999988887777" ||
				strings.Join(r.Exposure.Services, " ") != "cloudfront.amazonaws.com" {
				t.Errorf("%+v, %v", r, err)
			}
		})
	}
	if _, err := NewOperator(e.Store).Report(t.Context(), "x", e.at); !fault.Is(err, fault.NotFoundException) {
		t.Error(err)
	}
}
