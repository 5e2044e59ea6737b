package authz

import (
	"testing"
	"time"

	"watertight/internal/access/arn"
	"watertight/internal/access/policy"
	"watertight/internal/fault"
)

func document(t *testing.T, statement string) []*policy.Document {
	t.Helper()
	d, err := policy.Parse(policy.Identity, []byte(`{"Version":"2012-10-17","Statement":`+statement+`}`))
	if err != nil {
		t.Fatal(err)
	}
	return []*policy.Document{d}
}

// TestRefusalsSayWhy: only principals of the resource's own account learn the reason of a refusal.
func TestRefusalsSayWhy(t *testing.T) {
	const (
		plain   = "Access Denied"
		alice   = "User: arn:aws:iam::" + account + ":user/alice is not authorized to perform: "
		missing = alice +
			`s3:GetObject on resource: "arn:aws:s3:::b/k" because no identity-based policy allows the s3:GetObject ` +
			`action`
	)
	as := func(change func(*policy.Principal, *Situation)) Caller {
		p, s := user().Principal(), Situation{At: time.Unix(1, 0)}
		change(&p, &s)
		return NewCaller(&p, &s)
	}
	other := as(func(p *policy.Principal, _ *Situation) {
		p.Account = "444455556666"
		p.ARN.Account = p.Account
	})
	stranger := NewCaller(&policy.Principal{Kind: policy.Anonymous}, &Situation{At: time.Unix(1, 0)})
	session := as(func(_ *policy.Principal, s *Situation) {
		s.Session = document(t, `{"Effect":"Allow","Action":"s3:PutObject","Resource":"*"}`)
	})
	list := Need{
		Action:   "iam:ListUsers",
		Resource: arn.ARN{Partition: "aws", Service: "iam", Account: account, Resource: "user/"},
	}
	abroad := list
	abroad.Resource.Account = "444455556666"
	make := Need{Action: "s3:CreateBucket", Resource: arn.Bucket("b"), New: true}
	for name, c := range map[string]struct {
		caller   Caller
		need     Need
		identity string // statement
		owner    string // of the resource
		want     string
	}{
		"nothing allows": {user(), get("k"), ``, account, missing},
		"something denies": {
			user(), get("k"), `{"Effect":"Deny","Action":"*","Resource":"*"}`, account,
			alice + `s3:GetObject on resource: "arn:aws:s3:::b/k" with an explicit deny in an identity-based policy`,
		},
		"the session is short": {
			session, get("k"), `{"Effect":"Allow","Action":"*","Resource":"*"}`, account,
			alice +
				`s3:GetObject on resource: "arn:aws:s3:::b/k" because no session policy allows the s3:GetObject action`,
		},
		"another account":          {other, get("k"), ``, account, plain},
		"a stranger":               {stranger, get("k"), ``, account, plain},
		"a missing bucket":         {user(), get("k"), ``, "", plain},
		"another account's bucket": {user(), get("k"), ``, "444455556666", plain},
		"a new bucket": {
			user(), make, ``, "444455556666",
			alice +
				`s3:CreateBucket on resource: "arn:aws:s3:::b" because no identity-based policy allows the ` +
				`s3:CreateBucket action`,
		},
		"IAM": {
			user(), list, ``, account,
			alice + `iam:ListUsers because no identity-based policy allows the iam:ListUsers action`,
		},
		"another account's IAM": {user(), abroad, ``, "444455556666", plain},
		"no resource": {
			user(), Need{Action: "sts:GetAccessKeyInfo", Resource: arn.Any()}, ``, "",
			alice +
				`sts:GetAccessKeyInfo on resource: * because no identity-based policy allows the ` +
				`sts:GetAccessKeyInfo ` +
				`action`,
		},
		"the object's tags decide": {
			user(), get("k"),
			`{"Effect":"Deny","Action":"*","Resource":"*",` +
				`"Condition":{"StringEquals":{"s3:ExistingObjectTag/secret":"yes"}}}`,
			account, plain,
		},
	} {
		t.Run(name, func(t *testing.T) {
			w := &world{owner: c.owner, tags: map[string]string{"b/k current secret": "yes"}}
			if c.identity != "" {
				w.identity = document(t, c.identity)
			}
			_, err := New(w).Authorize(t.Context(), c.caller, c.need)
			denied(t, name, err)
			if got := fault.From(err).Message; got != c.want {
				t.Errorf("%s:\ngot  %s\nwant %s", name, got, c.want)
			}
			c.need.Soft = true
			g, err := New(w).Authorize(t.Context(), c.caller, c.need, Need{
				Action: "s3:ListAllMyBuckets", Resource: arn.AllBuckets(), New: true, Soft: true,
			})
			if err == nil {
				err = g.Demand(c.need.Action, c.need.Resource)
			}
			denied(t, name+", softly", err)
			if got := fault.From(err).Message; got != c.want {
				t.Errorf("%s, softly:\ngot  %s\nwant %s", name, got, c.want)
			}
		})
	}
}

// TestRefusalsDoNotTellWhatIsThere: if a policy depends on the tags of an
// object, the refusals for a tagged and for a missing object are the same.
func TestRefusalsDoNotTellWhatIsThere(t *testing.T) {
	said := map[string]bool{}
	for _, key := range []string{"tagged", "plain", "absent"} {
		w := &world{owner: account, tags: map[string]string{"b/tagged current secret": "yes"}}
		w.identity = document(t,
			`[{"Effect":"Deny","Action":"s3:GetObject","Resource":"*","Condition":{"StringEquals":{"s3:ExistingObjectTag/secret":"yes"}}},
			{"Effect":"Allow","Action":"s3:GetObject","Resource":"*","Condition":{"StringEquals":{"s3:ExistingObjectTag/open":"yes"}}}]`)
		_, err := New(w).Authorize(t.Context(), user(), get(key))
		denied(t, key, err)
		said[fault.From(err).Message] = true
	}
	if len(said) != 1 {
		t.Errorf("refusals differ: %v", said)
	}
}
