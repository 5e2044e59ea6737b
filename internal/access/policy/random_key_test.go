package policy

import (
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"time"

	"watertight/internal/access/arn"
)

func keyARN() arn.ARN {
	return arn.ARN{Partition: "aws", Service: "kms", Region: "us-east-1", Account: home, Resource: "key/" + someKey}
}

func (d *dice) keyStatement(effect string) string {
	principal := d.principal(effect)
	for strings.Contains(principal, "Federated") || strings.Contains(principal, "Canonical") {
		principal = `"Principal":{"Service":"cloudfront.amazonaws.com"}`
	}
	condition := d.condition()
	if d.roll(2) == 0 {
		condition = fmt.Sprintf(`{%q:{%q:%s}}`, d.pick("StringEquals", "StringNotEquals", "StringLike",
			"StringEqualsIfExists", "ForAnyValue:StringEquals", "ForAllValues:StringEquals"),
			d.pick("kms:CallerAccount", "kms:ViaService", "kms:EncryptionContext:App", "kms:EncryptionContextKeys",
				"kms:GrantOperations", "aws:SourceAccount"),
			d.some(2, `"111122223333"`, `"s3.us-east-1.amazonaws.com"`, `"a"`, `"b"`, `"App"`, `"Decrypt"`))
	}
	parts := []string{
		`"Effect":"` + effect + `"`, principal, `"Resource":` + d.pick(`"*"`, `"*"`, `["`+keyARN().String()+`"]`),
		fmt.Sprintf(`"%sAction":%s`, d.pick("", "", "", "", "Not"),
			d.some(3, `"*"`, `"kms:*"`, `"kms:Decrypt"`,
				`"kms:GenerateDataKey*"`, `"KMS:create*"`, `"kms:PutKeyPolicy"`)),
	}
	if d.roll(2) == 0 {
		parts = append(parts, `"Condition":`+condition)
	}
	return "{" + strings.Join(parts, ",") + "}"
}

func (d *dice) keyPolicy() string {
	var all []string
	for range 1 + d.roll(3) {
		all = append(all, d.keyStatement(d.pick("Allow", "Allow", "Allow", "Allow", "Deny")))
	}
	return `{"Version":"2012-10-17","Statement":[` + strings.Join(all, ",") + `]}`
}

func (d *dice) context() map[string]string {
	all := map[string]string{}
	for range d.roll(3) {
		all[d.pick("App", "app", "Team")] = d.pick("a", "b")
	}
	return all
}

func (d *dice) keyGrant(id int) KeyGrant {
	g := KeyGrant{
		ID: fmt.Sprint(id),
		Grantee: d.pick(arn.Root(home).String(), "arn:aws:iam::111122223333:user/alice",
			"arn:aws:iam::111122223333:role/path/reader", "arn:aws:sts::111122223333:assumed-role/reader/s1",
			"arn:aws:sts::111122223333:federated-user/fred", "arn:aws:iam::444455556666:user/mallory",
			"arn:aws:iam::444455556666:role/writer", arn.Root(other).String()),
	}
	for range 1 + d.roll(3) {
		g.Operations = append(g.Operations, d.pick("Decrypt", "GenerateDataKey", "CreateGrant", "DescribeKey",
			"RetireGrant"))
	}
	switch d.roll(4) {
	case 0:
		g.Equals = d.context()
	case 1:
		g.Subset = d.context()
	}
	return g
}

func (d *dice) keyRequest() Request {
	r := d.request()
	r.Action = Action(d.pick("kms:Decrypt", "kms:Decrypt", "kms:GenerateDataKey", "kms:CreateGrant", "kms:DescribeKey",
		"kms:PutKeyPolicy", "kms:DisableKey", "kms:RetireGrant"))
	r.Resource = keyARN()
	if d.roll(2) == 0 {
		r.Keys["kms:viaservice"] = []string{"s3.us-east-1.amazonaws.com"}
	}
	if d.roll(2) == 0 {
		r.Keys["kms:calleraccount"] = []string{home} // must be ignored: the key follows from the caller
	}
	for name, value := range d.context() {
		key := "kms:encryptioncontext:" + strings.ToLower(name)
		r.Keys[key] = append(r.Keys[key], value)
		r.Keys["kms:encryptioncontextkeys"] = append(r.Keys["kms:encryptioncontextkeys"], name)
	}
	if r.Action == "kms:CreateGrant" {
		for range d.roll(3) {
			r.Keys["kms:grantoperations"] = append(r.Keys["kms:grantoperations"],
				d.pick("Decrypt", "GenerateDataKey", "CreateGrant", "DescribeKey", "RetireGrant"))
		}
		if d.roll(3) > 0 {
			r.Keys["kms:grantconstrainttype"] = []string{d.pick(ConstraintEquals, ConstraintSubset)}
		}
	}
	return r
}

// keyLaws holds random policies of a key, as text and compiled.
func (d *dice) keyLaws(t *testing.T) (naiveLaws, Laws) {
	n, l := d.laws(t)
	n.resource, l.Resource = nil, nil
	for range d.roll(3) {
		text := d.keyPolicy()
		doc := mustParse(t, Key, text)
		sameAgain(t, doc)
		n.resource, l.Resource = append(n.resource, naiveRead(text)), append(l.Resource, doc)
	}
	for i := range d.roll(4) {
		n.grants = append(n.grants, d.keyGrant(i))
	}
	l.Resource = append(l.Resource, Grants(n.grants))
	n.owner, n.mustAllow = home, true
	l.ResourceOwner, l.ResourceMustAllow = home, true
	return n, l
}

// TestRandomKeyDecisions compares both evaluators on keys, and checks properties of their decisions: a
// Deny never allows more, grants allow nothing beyond their operations and constraints, and a policy
// that is not public allows nobody whom it does not name.
func TestRandomKeyDecisions(t *testing.T) {
	seed := someSeed(t)
	const shards, each = 2, 20
	for shard := range shards {
		t.Run(fmt.Sprint(shard), func(t *testing.T) {
			t.Parallel()
			var seen [Allow + 1]int
			for i := 0; i < *cases/shards/each; i++ {
				start := seed + uint64(shard)<<48 + uint64(i)
				d := dice(start)
				n, l := d.keyLaws(t)
				for range each {
					r := d.keyRequest()
					v := Decide(&l, &r)
					seen[v.Effect]++
					if want := naiveDecide(n, r); v.Effect != want {
						t.Fatalf("-seed %d: %v %v, want %v\n%+v\n%+v", start, v.Effect, v.Why, want, r, n)
					}
					keyDenyOpensNothing(t, &d, start, l, r, v)
					grantsStayInside(t, start, n, l, r, v)
					keyIsNotPublic(t, start, l, r)
				}
			}
			if total := seen[0] + seen[1] + seen[2]; total >= 1000 &&
				(seen[Allow] < total/40 || seen[ExplicitDeny] < total/40 || seen[ImplicitDeny] < total/40) {
				t.Errorf("almost all random requests have the same decision: %v", seen)
			}
		})
	}
}

func keyDenyOpensNothing(t *testing.T, d *dice, seed uint64, l Laws, r Request, before Verdict) {
	if before.Effect == Allow {
		return
	}
	deny := mustParse(t, Key, `{"Statement":[`+d.keyStatement("Deny")+`]}`)
	l.Resource = append([]*Document{deny}, l.Resource...)
	if v := Decide(&l, &r); v.Effect == Allow {
		t.Fatalf("-seed %d: a Deny allows: %v", seed, v.Why)
	}
}

// grantsStayInside checks that grants only allow their operations, and never override a Deny.
func grantsStayInside(t *testing.T, seed uint64, n naiveLaws, l Laws, r Request, with Verdict) {
	l.Resource = l.Resource[:len(l.Resource)-1]
	without := Decide(&l, &r)
	if without.Effect == ExplicitDeny && with.Effect != ExplicitDeny {
		t.Fatalf("-seed %d: a grant overrides a Deny", seed)
	}
	if with.Effect != Allow || without.Effect == Allow {
		return
	}
	for _, g := range n.grants {
		for _, o := range g.Operations {
			if "kms:"+o == string(r.Action) && o != "RetireGrant" {
				return
			}
		}
	}
	t.Fatalf("-seed %d: %s is no operation of a grant: %+v", seed, r.Action, n.grants)
}

// keyIsNotPublic checks that a key policy that is not public does not allow principals of an account
// that it does not name, whatever that account's own policies allow.
func keyIsNotPublic(t *testing.T, seed uint64, l Laws, r Request) {
	l.Resource = l.Resource[:len(l.Resource)-1]
	for _, d := range l.Resource {
		if public, _ := Public(d, ToldApart()); public {
			return
		}
	}
	all := mustParse(t, Identity, `{"Statement":{"Effect":"Allow","Action":"*","Resource":"*"}}`)
	l.Identity, l.Boundary, l.Session = []*Document{all}, nil, nil
	r.SourceIP = netip.Addr{}           // a few addresses may be named instead of callers
	delete(r.Keys, "aws:sourceaccount") // only a service has it, and says it of its customer
	delete(r.Keys, "aws:sourcearn")
	for _, who := range []Principal{
		{Kind: AccountRoot, Account: Stranger, ARN: arn.Root(Stranger), ID: Stranger}, caller("anonymous"),
		caller("web"),
	} {
		r.Principal, r.At = who, time.Unix(sometime, 0)
		if v := Decide(&l, &r); v.Effect == Allow {
			t.Fatalf("-seed %d: %+v is allowed by a policy that is not public: %v", seed, who, v.Why)
		}
	}
}
