package authz

import (
	"context"
	"errors"
	"testing"
	"time"

	"watertight/internal/access/arn"
	"watertight/internal/access/policy"
	"watertight/internal/fault"
)

func theKey() arn.ARN {
	return arn.ARN{
		Partition: "aws", Service: "kms", Region: "us-east-1", Account: account,
		Resource: "key/1234abcd-12ab-34cd-56ef-1234567890ab",
	}
}

// asking returns a needs function that counts its calls.
func asking(n *int, needs ...Need) Asks {
	return func(context.Context, Caller) ([]Need, error) {
		*n++
		return needs, nil
	}
}

// TestExtend: the wider grant covers and renews all needs. The first grant does not change.
func TestExtend(t *testing.T) {
	decrypt := Need{Action: "kms:Decrypt", Resource: theKey()}
	start := time.Unix(1_700_000_000, 0)
	gone := errors.New("the key is disabled")
	for name, c := range map[string]struct {
		laws   string // at the first decision
		later  time.Duration
		needs  []Need // further needs; nil stands for decrypt
		fails  error  // of asks, when the grant is renewed
		after  string // laws when the grant is renewed; empty for the same
		denied bool   // by Extend
		renews bool
	}{
		"all allowed":                {laws: allowAll, renews: true},
		"the key is denied":          {laws: `{"Effect":"Allow","Action":"s3:*","Resource":"*"}`, denied: true},
		"nothing is asked":           {laws: allowAll, needs: []Need{}, denied: true},
		"the first need is lost":     {laws: allowAll, after: `{"Effect":"Allow","Action":"kms:*","Resource":"*"}`},
		"the further need is lost":   {laws: allowAll, after: `{"Effect":"Allow","Action":"s3:*","Resource":"*"}`},
		"the key is disabled later":  {laws: allowAll, fails: gone},
		"a grant that is old":        {laws: allowAll, later: time.Minute, renews: true},
		"an old grant, nothing asks": {laws: allowAll, later: time.Minute, needs: []Need{}, denied: true},
	} {
		t.Run(name, func(t *testing.T) {
			who := &watched{now: start, seen: "witness"}
			w := &world{owner: account, identity: parsed(t, c.laws)}
			g, err := New(w).Authorize(t.Context(), who.caller(), get("k"))
			if err != nil {
				t.Fatal(err)
			}
			who.now = start.Add(c.later)
			needs, asked := c.needs, 0
			if needs == nil {
				needs = []Need{decrypt}
			}
			asks := asking(&asked, needs...)
			wider, err := g.Extend(t.Context(), Asks(func(ctx context.Context, c2 Caller) ([]Need, error) {
				if asked > 0 && c.fails != nil {
					return nil, c.fails
				}
				return asks(ctx, c2)
			}))
			if g.Allows("kms:Decrypt", theKey()) || !g.Allows("s3:GetObject", get("k").Resource) {
				t.Error("the first grant changed")
			}
			if c.denied {
				denied(t, "Extend", err)
				if wider.Holds() {
					t.Error("a refused grant covers something")
				}
				return
			}
			if err != nil || asked != 1 {
				t.Fatal(asked, err)
			}
			for _, n := range []Need{get("k"), decrypt} {
				if err := wider.Demand(n.Action, n.Resource); err != nil {
					t.Error(n.Action, err)
				}
			}
			if c.after != "" {
				w.identity = parsed(t, c.after)
			}
			if err := wider.Renew(t.Context()); (err == nil) != c.renews || c.fails != nil && !errors.Is(err, c.fails) {
				t.Error("renewed:", err)
			}
		})
	}
	asked := 0
	_, err := Grant{}.Extend(t.Context(), asking(&asked, decrypt))
	denied(t, "the zero grant", err)
	open, err := Judge(t.Context(), New(allowing(t, "*")), user(), Open[input]("a test"), &input{})
	if err != nil {
		t.Fatal(err)
	}
	_, err = open.Extend(t.Context(), asking(&asked, decrypt))
	denied(t, "an open grant", err)
	if asked != 0 {
		t.Error("a grant that covers nothing was extended")
	}
}

// TestExtendKeepsWhatWasReliedOn: if a soft need was demanded from the first grant, renewing the wider
// grant decides it again.
func TestExtendKeepsWhatWasReliedOn(t *testing.T) {
	soft := get("soft")
	soft.Soft = true
	w := &world{owner: account, identity: parsed(t, allowAll)}
	g, err := New(w).Authorize(t.Context(), user(), get("k"), soft)
	if err != nil {
		t.Fatal(err)
	}
	if err := g.Demand(soft.Action, soft.Resource); err != nil {
		t.Fatal(err)
	}
	asked := 0
	wider, err := g.Extend(t.Context(), asking(&asked, Need{Action: "kms:Decrypt", Resource: theKey()}))
	if err != nil {
		t.Fatal(err)
	}
	w.identity = parsed(t, `{"Effect":"Allow","Action":"*","NotResource":"arn:aws:s3:::b/soft"}`)
	denied(t, "what the first grant relied on", wider.Renew(t.Context()))
}

// TestExtendSaysWhy: the refusal names the principal, the action and the key, in the answer and in the
// log.
func TestExtendSaysWhy(t *testing.T) {
	w := &world{owner: account, identity: parsed(t, `{"Effect":"Allow","Action":"s3:*","Resource":"*"}`)}
	g, err := New(w).Authorize(t.Context(), user(), get("k"))
	if err != nil {
		t.Fatal(err)
	}
	asked := 0
	_, err = g.Extend(t.Context(), asking(&asked, Need{Action: "kms:Decrypt", Resource: theKey()}))
	const want = "User: arn:aws:iam::" + account +
		":user/alice is not authorized to perform: kms:Decrypt on resource: " +
		"arn:aws:kms:us-east-1:" + account + ":key/1234abcd-12ab-34cd-56ef-1234567890ab " +
		"because no identity-based policy allows the kms:Decrypt action"
	if f := fault.From(err); f == nil || f.Message != want {
		t.Errorf("%v, want %s", err, want)
	}
}

// TestKeysAreNotForStrangers: KMS accepts signed requests only, even if a key policy allows everyone.
func TestKeysAreNotForStrangers(t *testing.T) {
	d, err := policy.Parse(policy.Key, []byte(`{"Statement":[
		{"Effect":"Allow","Principal":"*","Action":"*","Resource":"*"}]}`))
	if err != nil {
		t.Fatal(err)
	}
	w := &world{owner: account, policies: []*policy.Document{d}}
	a := New(w)
	g, err := a.Authorize(t.Context(), stranger(), get("k"))
	if err != nil {
		t.Fatal(err)
	}
	asked := 0
	_, err = g.Extend(t.Context(), asking(&asked, Need{Action: "kms:Decrypt", Resource: theKey()}))
	denied(t, "an anonymous caller", err)
	bearer := NewCaller(&policy.Principal{Kind: policy.WebIdentity, Provider: "accounts.example.com"}, &Situation{})
	_, err = a.Authorize(t.Context(), bearer, Need{Action: "kms:Decrypt", Resource: theKey()})
	denied(t, "a web identity", err)
}

// TestGrantsOfKeys: only the caller's own grants are looked up.
func TestGrantsOfKeys(t *testing.T) {
	decrypt := Need{Action: "kms:Decrypt", Resource: theKey()}
	w := &world{owner: account, grants: map[string]*policy.Document{
		"AIDAEXAMPLE": policy.Grants([]policy.KeyGrant{{
			ID: "g", Grantee: "arn:aws:iam::" + account + ":user/alice", Operations: []string{"Decrypt"},
		}}),
	}}
	a := New(w)
	if _, err := a.Authorize(t.Context(), user(), decrypt, decrypt); err != nil || w.resources[theKey().String()] != 1 {
		t.Error(err, w.resources)
	}
	_, err := a.Authorize(t.Context(), rootOf(account), decrypt)
	denied(t, "somebody else", err)
	w.err = errors.New("the store is down")
	if _, err := a.Authorize(t.Context(), user(), decrypt); err == nil {
		t.Error("the request is allowed although the grants can't be read")
	}
}
