package bucket

import (
	"bytes"
	"fmt"
	"strings"
	"testing"
	"time"

	"watertight/internal/access/arn"
	"watertight/internal/access/authz"
	"watertight/internal/access/policy"
	"watertight/internal/core/change/coretest"
	"watertight/internal/core/principal"
	"watertight/internal/fault"
	"watertight/internal/storage/kv"
)

// census lists the existing users by ARN and accounts by id.
type census map[string]string

func (c census) ID(_ kv.Reader, p policy.PrincipalName) (string, bool, error) {
	if p.Type != "AWS" || p.Value == "*" {
		return "", true, nil
	}
	id, ok := c[p.Value]
	return id, ok, nil
}

func (c census) Name(_ kv.Reader, id string) (string, error) {
	for name, other := range c {
		if id == other {
			return name, nil
		}
	}
	return "", nil
}

const alice = "arn:aws:iam::" + coretest.Account + ":user/alice"

func openPolicies(t testing.TB) *Store {
	s := New(coretest.Store(t), region, census{alice: "AIDAALICEALICEALICE", coretest.Account: "", other: ""})
	s.make(t, coretest.Account, "box")
	return s
}

func (s *Store) put(t testing.TB, account, text string, lockOut bool) error {
	return s.PutPolicy(t.Context(), grant(t, account, "box", "s3:PutBucketPolicy"), "box", text, lockOut)
}

// TestPutPolicyRefuses: the messages of all refusals are AWS's.
func TestPutPolicyRefuses(t *testing.T) {
	s := openPolicies(t)
	statement := func(parts string) string { return `{"Version":"2012-10-17","Statement":[{` + parts + `}]}` }
	with := func(principal, action, resource, condition string) string {
		return statement(`"Effect":"Allow","Principal":` + principal + `,"Action":` + action + `,"Resource":` +
			resource + `,"Condition":{` + condition + `}`)
	}
	const me, get, all, none = `{"AWS":"111122223333"}`, `"s3:GetObject"`, `"arn:aws:s3:::box/*"`, ``
	for _, c := range []struct{ text, want string }{
		{`x`, "Policies must be valid JSON and the first byte must be '{'"},
		{` {}`, "Policies must be valid JSON and the first byte must be '{'"},
		{``, "Policies must be valid JSON and the first byte must be '{'"},
		{`{"Statement"`, "This policy contains invalid Json"},
		{`{}`, "Missing required field Statement"},
		{`{"Statement":[]}`, "Could not parse the policy: Statement is empty!"},
		{`{"Version":"2020-01-01","Statement":[]}`, "The policy must contain a valid version string"},
		{`{"Statement":[],"Extra":1}`, "Unknown field Extra"},
		{statement(`"Principal":"*","Action":` + get + `,"Resource":` + all), "Missing required field Effect"},
		{statement(`"Effect":"Allow","Action":` + get + `,"Resource":` + all), "Missing required field Principal"},
		{statement(`"Effect":"Allow","Principal":"*","Resource":` + all), "Missing required field Action"},
		{statement(`"Effect":"Allow","Principal":"*","Action":` + get), "Missing required field Resource"},
		{statement(`"Effect":"allow","Principal":"*","Action":` + get + `,"Resource":` + all), "Invalid effect: allow"},
		{
			statement(`"Effect":"Allow","NotPrincipal":` + me + `,"Action":` + get + `,"Resource":` + all),
			"Invalid principal in policy",
		},
		{with(`{"AWS":"arn:aws:iam::111122223333:user/nobody"}`, get, all, none), "Invalid principal in policy"},
		{with(`{"AWS":"arn:aws:iam::111122223333:user/al*"}`, get, all, none), "Invalid principal in policy"},
		{with(`{"AWS":"999900001111"}`, get, all, none), "Invalid principal in policy"},
		{with(`"111122223333"`, get, all, none), "Invalid principal in policy"},
		{with(me, `"s3:GetObjects"`, all, none), "Policy has invalid action"},
		{with(me, `"kms:Decrypt"`, all, none), "Policy has invalid action"},
		{with(me, `["s3:GetObject","ec2:*"]`, all, none), "Policy has invalid action"},
		{with(me, get, `"*"`, none), "Policy has invalid resource"},
		{with(me, get, `"arn:aws:s3:::*"`, none), "Policy has invalid resource"},
		{with(me, get, `"arn:aws:s3:::boxx/*"`, none), "Policy has invalid resource"},
		{with(me, get, `"arn:aws:s3:::box?/*"`, none), "Policy has invalid resource"},
		{with(me, get, `["arn:aws:s3:::box/*","arn:aws:s3:::c/*"]`, none), "Policy has invalid resource"},
		{with(me, get, `"arn:aws:s3:::box"`, none), "Action does not apply to any resource(s) in statement"},
		{with(me, `"s3:ListBucket"`, all, none), "Action does not apply to any resource(s) in statement"},
		{
			with(me, `["s3:GetObject","s3:ListBucket"]`, all, none),
			"Action does not apply to any resource(s) in statement",
		},
		{with(me, `"s3:ListAllMyBuckets"`, all, none), "Action does not apply to any resource(s) in statement"},
		{with(me, get, all, `"StringMatches":{"aws:Referer":"x"}`), "Invalid Condition type : StringMatches"},
		{with(me, get, all, `"StringEquals":{"aws:Nonsense":"x"}`), "Policy has an invalid condition key"},
		{with(me, get, all, `"StringEquals":{"kms:ViaService":"x"}`), "Policy has an invalid condition key"},
		{
			with(me, get, all, `"StringEquals":{"s3:prefix":"x"}`),
			"Conditions do not apply to combination of actions and resources in statement",
		},
		{
			with(me, `["s3:GetObject","s3:PutObject"]`, all, `"StringEquals":{"s3:x-amz-acl":"private"}`),
			"Conditions do not apply to combination of actions and resources in statement",
		},
		{with(me, get, all, `"IpAddress":{"aws:SourceIp":"300.0.0.1"}`), "Invalid IP address in Conditions"},
		{with(me, get, all, `"StringLike":{"aws:SourceIp":"10.*"}`), "Invalid IP address in Conditions"},
		{with(me, get, all, `"NumericEquals":{"s3:signatureAge":"old"}`), "Invalid policy syntax."},
		{
			strings.Replace(with(me, get, all, none), "{", `{"Id":"`+strings.Repeat("x", 20<<10)+`",`, 1),
			"Policy exceeds the maximum allowed document size.",
		},
	} {
		t.Run(c.want, func(t *testing.T) {
			err := s.put(t, coretest.Account, c.text, false)
			if f := fault.From(err); f == nil || f.Code != "MalformedPolicy" || f.Kind != fault.KindInvalid ||
				f.Message != c.want {
				t.Errorf("%.200s: %v, want %q", c.text, err, c.want)
			}
		})
	}
	if laws, err := s.Laws(t.Context(), "box", time.Now()); err != nil || laws.Documents != nil {
		t.Errorf("a policy was stored: %+v %v", laws, err)
	}
	for _, text := range []string{
		with(me, get, all, none), with(me, `"s3:*"`, all, none), with(me, `"*"`, `"arn:aws:s3:::box"`, none),
		with(me, `["s3:GetObject","s3:ListBucket"]`, `["arn:aws:s3:::box","arn:aws:s3:::box/*"]`, none),
		with(me, `"s3:*"`, `"arn:aws:s3:::box*"`, none),
		with(`{"AWS":"`+alice+`"}`, get, `"arn:aws:s3:::box/${aws:username}/*"`, none),
		with(me, `"s3:List*"`, `"arn:aws:s3:::box"`, `"StringLike":{"s3:prefix":"a/*"}`),
		with(me, get, all,
			`"StringEquals":{"s3:ExistingObjectTag/a":"box",`+
				`"s3:DataAccessPointAccount":"111122223333"}`), with(`{"Service":"cloudfront.amazonaws.com"}`, get, all,
			`"StringEquals":{"AWS:SourceArn":"arn:aws:cloudfront::111122223333:distribution/E"}`),
	} {
		if err := s.put(t, coretest.Account, text, false); err != nil {
			t.Errorf("%s: %v", text, err)
		}
	}
}

// TestPolicyBinds: a policy binds the next request until it is deleted; a bucket that is
// created again has none.
func TestPolicyBinds(t *testing.T) {
	s := openPolicies(t)
	text := func(action string) string {
		return `{"Statement":{"Effect":"Deny","Principal":"*","Action":"` + action +
			`","Resource":"arn:aws:s3:::box/*"}}`
	}
	denies := func(action policy.Action) bool {
		t.Helper()
		laws, err := s.Laws(t.Context(), "box", time.Now())
		if err != nil {
			t.Fatal(err)
		}
		v := policy.Decide(&policy.Laws{Resource: laws.Documents, ResourceOwner: laws.Owner}, &policy.Request{
			Principal: policy.Principal{Kind: policy.Anonymous}, Action: action, Resource: arn.Object("box", "k"),
		})
		return v.Effect == policy.ExplicitDeny
	}
	for range 2 {
		for i, action := range []policy.Action{"s3:GetObject", "s3:PutObject"} {
			t.Run(fmt.Sprint(i), func(t *testing.T) {
				if err := s.put(t, coretest.Account, text(string(action)), false); err != nil {
					t.Fatal(err)
				}
				if !denies(action) || denies("s3:DeleteObject") {
					t.Error(action)
				}
			})
		}
		if err := s.DeletePolicy(t.Context(), grant(t, coretest.Account, "box", "s3:DeleteBucketPolicy"),
			"box"); err != nil || denies("s3:PutObject") {
			t.Error("deleted", err)
		}
	}
	if err := s.put(t, coretest.Account, text("s3:GetObject"), false); err != nil {
		t.Fatal(err)
	}
	if err := s.Delete(t.Context(), grant(t, coretest.Account, "box", "s3:DeleteBucket"), "box"); err != nil {
		t.Fatal(err)
	}
	s.make(t, coretest.Account, "box")
	if denies("s3:GetObject") {
		t.Error("the policy is still there after its bucket was deleted")
	}
	_, err := s.GetPolicy(t.Context(), grant(t, coretest.Account, "box", "s3:GetBucketPolicy"), "box")
	wants(t, err, fault.KindNotFound, "NoSuchBucketPolicy", "BucketName", "box")
}

// TestPolicyThatCannotBeRead denies everyone everything, except the root user
// who deletes it.
func TestPolicyThatCannotBeRead(t *testing.T) {
	s := openPolicies(t)
	if err := s.put(t, coretest.Account,
		`{"Statement":{"Effect":"Allow","Principal":{"AWS":"`+alice+
			`"},"Action":"s3:*","Resource":"arn:aws:s3:::box"}}`, false); err != nil {
		t.Fatal(err)
	}
	damaged := New(s.store, region, s.principals) // with an empty cache
	err := s.store.Update(t.Context(), func(tx kv.Tx) error {
		b, err := Read(tx, "box")
		tx.Set(policyKey(b.ID), []byte{9, 9})
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	laws, err := damaged.Laws(t.Context(), "box", time.Now())
	if err != nil || len(laws.Documents) != 1 || laws.Documents[0] != nil {
		t.Fatalf("%+v, %v", laws, err)
	}
	root := coretest.Root(coretest.Account, nil).Principal()
	everything, err := policy.Parse(policy.Identity,
		[]byte(`{"Statement":{"Effect":"Allow","Action":"*","Resource":"*"}}`))
	if err != nil {
		t.Fatal(err)
	}
	for action, want := range map[policy.Action]policy.Effect{
		"s3:ListBucket": policy.ExplicitDeny, "s3:PutBucketPolicy": policy.Allow, "s3:DeleteBucketPolicy": policy.Allow,
	} {
		t.Run(string(action), func(t *testing.T) {
			v := policy.Decide(
				&policy.Laws{
					Identity: []*policy.Document{everything}, Resource: laws.Documents, ResourceOwner: laws.Owner,
				},
				&policy.Request{Principal: root, Action: action, Resource: arn.Bucket("box")},
			)
			if v.Effect != want {
				t.Error(action, v)
			}
		})
	}
	if err := damaged.DeletePolicy(t.Context(), grant(t, coretest.Account, "box", "s3:DeleteBucketPolicy"),
		"box"); err != nil {
		t.Error(err)
	}
}

// TestPolicyDemands: every method refuses a grant for another action or resource, and callers
// of other accounts.
func TestPolicyDemands(t *testing.T) {
	s := openPolicies(t)
	all := policy.PublicAccess{}
	for name, call := range map[string]func(g authz.Grant) error{
		"PutPolicy":    func(g authz.Grant) error { return s.PutPolicy(t.Context(), g, "box", `{}`, false) },
		"GetPolicy":    func(g authz.Grant) error { _, err := s.GetPolicy(t.Context(), g, "box"); return err },
		"DeletePolicy": func(g authz.Grant) error { return s.DeletePolicy(t.Context(), g, "box") },
		"PolicyStatus": func(g authz.Grant) error { _, err := s.PolicyStatus(t.Context(), g, "box"); return err },
		"SetPublic":    func(g authz.Grant) error { return s.SetPublic(t.Context(), g, "box", &all) },
		"GetPublic":    func(g authz.Grant) error { _, err := s.GetPublic(t.Context(), g, "box"); return err },
		"SetAccountPublic": func(g authz.Grant) error {
			return s.SetAccountPublic(t.Context(), g, coretest.Account,
				&all)
		},
		"GetAccountPublic": func(g authz.Grant) error {
			_, err := s.GetAccountPublic(t.Context(), g, coretest.Account)
			return err
		},
	} {
		t.Run(name, func(t *testing.T) {
			for _, g := range []authz.Grant{{}, grant(t, coretest.Account, "box", "s3:ListBucket")} {
				if err := call(g); !fault.Is(err, "AccessDenied") {
					t.Errorf("%s: %v", name, err)
				}
			}
		})
	}
	for _, account := range []string{other, ""} {
		wants(t, s.SetPublic(t.Context(), grant(t, other, "box", "s3:PutBucketPublicAccessBlock"), "box", &all),
			fault.KindDenied, "AccessDenied")
		g := coretest.Grant(t, coretest.Root(coretest.Account, nil), arn.Any(), "s3:PutAccountPublicAccessBlock")
		wants(t, s.SetAccountPublic(t.Context(), g, account, &all), fault.KindDenied, "AccessDenied")
	}
}

// entry is an audit event that the test can find in the store.
type entry struct{ committed int }

func (e *entry) Entry() (key, value []byte, err error) {
	return []byte("a/event"), []byte("event"), nil
}
func (e *entry) Note(string, ...string) {}
func (e *entry) Committed()             { e.committed++ }

// TestPublicChangesAreAudited: each change of public access commits with its
// event, and a refused change without one.
func TestPublicChangesAreAudited(t *testing.T) {
	s := openPolicies(t)
	if err := s.store.Update(t.Context(), func(tx kv.Tx) error {
		tx.Set(publicKey(coretest.Account), (&AccountPublic{}).encode())
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	off, now := policy.PublicAccess{}, time.Now()
	const public = `{"Statement":{"Effect":"Allow","Principal":"*","Action":"s3:GetObject",` +
		`"Resource":"arn:aws:s3:::box/*"}}`
	for _, step := range []struct {
		name    string
		refused bool
		do      func(authz.Grant, *entry) error
	}{
		{"a public policy", true, func(g authz.Grant, _ *entry) error {
			return s.PutPolicy(t.Context(), g, "box",
				public, false)
		}},
		{"the bucket's setting", false, func(g authz.Grant, _ *entry) error {
			return s.SetPublic(t.Context(), g, "box",
				&off)
		}},
		{"a policy", false, func(g authz.Grant, _ *entry) error {
			return s.PutPolicy(t.Context(), g, "box", public,
				false)
		}},
		{"its deletion", false, func(g authz.Grant, _ *entry) error { return s.DeletePolicy(t.Context(), g, "box") }},
		{"the removal of the bucket's setting", false, func(g authz.Grant, _ *entry) error {
			return s.SetPublic(
				t.Context(), g, "box", nil,
			)
		}},
		{"the operator's block", false, func(_ authz.Grant, e *entry) error {
			return NewOperator(s).SetPublic(t.Context(), e, Block{Account: coretest.Account, On: true, At: now})
		}},
		{"the operator's exception", false, func(_ authz.Grant, e *entry) error {
			return NewOperator(s).SetPublic(t.Context(), e, Block{
				Account: coretest.Account, At: now, Until: now.Add(time.Hour), Reason: "r",
			})
		}},
		{"the operator's exception without a reason", true, func(_ authz.Grant, e *entry) error {
			return NewOperator(s).SetPublic(t.Context(), e, Block{Account: coretest.Account, At: now})
		}},
		{"the operator's block of a bucket", false, func(_ authz.Grant, e *entry) error {
			return NewOperator(s).SetPublic(t.Context(), e, Block{Bucket: "box", On: true, At: now})
		}},
	} {
		e := &entry{}
		g := coretest.Grant(t, coretest.Root(coretest.Account, e), arn.Bucket("box"), "s3:PutBucketPolicy",
			"s3:DeleteBucketPolicy", "s3:PutBucketPublicAccessBlock")
		err := step.do(g, e)
		var kept []byte
		if verr := s.store.Update(t.Context(), func(tx kv.Tx) error {
			kept, _ = tx.Get([]byte("a/event"))
			kept = bytes.Clone(kept)
			tx.Delete([]byte("a/event"))
			return nil
		}); verr != nil {
			t.Fatal(verr)
		}
		if (err != nil) != step.refused || (kept != nil) == step.refused || (e.committed == 1) == step.refused {
			t.Errorf("%s: %v, event %q, committed %d", step.name, err, kept, e.committed)
		}
	}
}

// FuzzPublicRecords: every record is either read or refused, and a refused one blocks public access.
func FuzzPublicRecords(f *testing.F) {
	f.Add((&AccountPublic{Access: blockAll(), From: time.Unix(1, 0), Until: time.Unix(2, 0), Reason: "r"}).encode())
	f.Add((&storedPolicy{text: "{}", bound: principal.Bindings{{Name: alice, ID: "AIDA"}}}).encode())
	f.Fuzz(func(t *testing.T, v []byte) {
		s := openPolicies(t)
		b := Bucket{Name: "box", ID: ID{1}, Owner: coretest.Account, Policy: PolicyID{1}}
		if err := s.store.Update(t.Context(), func(tx kv.Tx) error {
			tx.Set(publicKey(coretest.Account), v)
			tx.Set(policyKey(b.ID), v)
			return nil
		}); err != nil {
			t.Fatal(err)
		}
		err := s.store.View(t.Context(), func(r kv.Reader) error {
			if a, err := readAccountPublic(r, coretest.Account); err != nil && a.At(time.Now()) != blockAll() {
				t.Errorf("%x does not block: %+v", v, a)
			}
			if d := s.documents(r, &b); len(d) != 1 {
				t.Errorf("%x: the bucket has no policy document", v)
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	})
}
