package policy

import (
	"flag"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"watertight/internal/access/arn"
)

// go test ./internal/access/policy -run Random -cases 1000000
var (
	cases    = flag.Int("cases", 20_000, "random decisions to check")
	seedFlag = flag.Uint64("seed", 0, "seed of the random decisions; 0 is a new one")
)

// dice is a small generator (splitmix64): a failure is repeated by its seed.
type dice uint64

func (d *dice) roll(n int) int {
	*d += 0x9E3779B97F4A7C15
	z := uint64(*d)
	z = (z ^ z>>30) * 0xBF58476D1CE4E5B9
	z = (z ^ z>>27) * 0x94D049BB133111EB
	return int((z ^ z>>31) % uint64(n))
}

func (d *dice) pick(of ...string) string { return of[d.roll(len(of))] }

func (d *dice) some(most int, of ...string) string {
	n := 1 + d.roll(most)
	if n == 1 {
		return d.pick(of...)
	}
	var out []string
	for range n {
		out = append(out, d.pick(of...))
	}
	return "[" + strings.Join(out, ",") + "]"
}

func (d *dice) condition() string {
	text := func() string {
		return d.some(3, `"x"`, `"X"`, `"x*"`, `"*"`, `"?"`, `"${aws:username}"`, `"${aws:PrincipalTag/t, 'x'}"`,
			`"${aws:PrincipalTag/t}*"`, `"${*}"`, `"alice"`, `"a*e"`, `"111122223333"`)
	}
	key := d.pick("aws:a", "AWS:A", "aws:TagKeys", "aws:username", "aws:PrincipalTag/t", "s3:ExistingObjectTag/T",
		"s3:ExistingObjectTag/t", "aws:userid", "aws:PrincipalAccount", "aws:ResourceAccount", "s3:ResourceAccount")
	op, value := "", ""
	switch d.roll(8) {
	case 0, 1, 2:
		op, value = d.pick("StringEquals", "StringNotEquals", "StringLike", "StringNotLike", "StringEqualsIgnoreCase",
			"StringNotEqualsIgnoreCase"), text()
	case 3:
		op = "Numeric" + d.pick("Equals", "NotEquals", "LessThan", "LessThanEquals", "GreaterThan", "GreaterThanEquals")
		key, value = d.pick("aws:n", "aws:a", "aws:EpochTime"), d.some(2, `5`, `"5.0"`, `"-1"`, `1777636800`)
	case 4:
		op = "Date" + d.pick("Equals", "NotEquals", "LessThan", "LessThanEquals", "GreaterThan", "GreaterThanEquals")
		key, value = d.pick("aws:CurrentTime", "aws:EpochTime", "aws:d"), d.some(2, `"2026-05-01T12:00:00Z"`,
			`"2026-05-01T14:00+02:00"`, `"2027"`, `1777636800`, `"2026-01"`)
	case 5:
		op, key, value = d.pick("IpAddress", "NotIpAddress"), d.pick("aws:SourceIp", "aws:VpcSourceIp"), d.some(2,
			`"10.0.0.0/8"`, `"10.1.2.3"`, `"2001:db8::/32"`, `"::/0"`, `"0.0.0.0/0"`)
	case 6:
		op, key = d.pick("ArnEquals", "ArnLike", "ArnNotEquals",
			"ArnNotLike"), d.pick("aws:PrincipalArn", "aws:SourceArn")
		value = d.some(2, `"*"`, `"arn:aws:iam::111122223333:*"`, `"arn:aws:iam::*:user/a*"`,
			`"arn:aws:iam::111122223333:user/${aws:username}"`, `"arn:*:*:*:*:role/path/reader"`)
	default:
		op, key, value = "Bool", d.pick("aws:b",
			"aws:PrincipalIsAWSService"), d.pick("true", `"False"`, `[true,"false"]`)
	}
	if d.roll(12) == 0 {
		return fmt.Sprintf(`{"Null":{%q:%s}}`, key, d.pick("true", `"false"`))
	}
	op = d.pick("", "", "", "ForAllValues:", "ForAnyValue:") + op + d.pick("", "", "", "IfExists")
	return fmt.Sprintf(`{%q:{%q:%s}}`, op, key, value)
}

func (d *dice) principal(effect string) string {
	entry := func() string {
		return d.some(3, `"*"`, `"111122223333"`, `"444455556666"`, `"arn:aws:iam::111122223333:root"`,
			`"arn:aws:iam::444455556666:root"`,
			`"arn:aws:iam::111122223333:user/alice"`, `"arn:aws:iam::111122223333:user/team/bob"`,
			`"arn:aws:iam::111122223333:role/path/reader"`,
			`"arn:aws:sts::111122223333:assumed-role/reader/s1"`, `"arn:aws:sts::111122223333:federated-user/fred"`,
			`"AIDAALICEALICEALICE"`, `"AROAREADERREADER123"`, `"arn:aws:iam::444455556666:user/mallory"`)
	}
	if effect == "Deny" && d.roll(3) == 0 {
		// All or most of the fields of a caller.
		return `"NotPrincipal":{"AWS":["111122223333","arn:aws:iam::111122223333:user/alice",` +
			`"arn:aws:iam::111122223333:role/path/reader",` +
			strings.Trim(entry(), "[]") + `],"Service":"cloudfront.amazonaws.com"}`
	}
	switch d.roll(8) {
	case 0:
		return `"Principal":"*"`
	case 1:
		return `"Principal":{"Service":"cloudfront.amazonaws.com","Federated":"accounts.google.com"}`
	case 2:
		return `"Principal":{"CanonicalUser":"` + canonicalHome + `","AWS":` + entry() + `}`
	}
	return `"Principal":{"AWS":` + entry() + `}`
}

func (d *dice) statement(kind Kind, effect string) string {
	var parts []string
	parts = append(parts, `"Effect":"`+effect+`"`)
	if kind == Resource {
		parts = append(parts, d.principal(effect))
	}
	not := func() string { return d.pick("", "", "", "", "", "Not") }
	parts = append(parts,
		fmt.Sprintf(`"%sAction":%s`, not(),
			d.some(3, `"*"`, `"s3:*"`, `"S3:Get*"`, `"s3:GetObject"`, `"s3:Put?bject"`, `"s3:*Policy"`, `"kms:*"`)),
		fmt.Sprintf(`"%sResource":%s`, not(),
			d.some(3, `"*"`, `"arn:aws:s3:::*"`, `"arn:aws:s3:::b/*"`, `"arn:aws:s3:::b"`,
				`"arn:aws:s3:::b/${aws:username}/*"`,
				`"arn:aws:s3:::b/${aws:PrincipalTag/t, 'x'}"`, `"arn:aws:s3:::b/?"`, `"arn:*:s3:*::b/*x*"`)))
	// At most one condition of each operator: two would be a repeated name.
	if d.roll(2) == 0 {
		parts = append(parts, `"Condition":`+d.condition())
	}
	return "{" + strings.Join(parts, ",") + "}"
}

func (d *dice) document(kind Kind) string {
	var all []string
	for range 1 + d.roll(3) {
		all = append(all, d.statement(kind, d.pick("Allow", "Allow", "Allow", "Allow", "Allow", "Deny")))
	}
	return `{"Version":"` + d.pick(version2012, version2012, version2012, version2008) + `","Statement":[` +
		strings.Join(all, ",") + `]}`
}

func (d *dice) request() Request {
	r := Request{
		Principal: caller(d.pick("alice", "alice", "bob", "root", "session", "session", "federated", "stranger",
			"otherroot", "otherrole", "cloudfront", "web", "anonymous", "nobody")),
		Action: Action(d.pick("s3:GetObject", "s3:GetObject", "s3:PutObject", "s3:PutBucketPolicy", "kms:Decrypt")),
		At:     time.Date(2026, 5, 1, 12, 0, d.roll(2), 0, time.UTC),
		Keys:   map[string][]string{},
	}
	r.Resource, _ = arn.Parse(d.pick("arn:aws:s3:::b/x", "arn:aws:s3:::b/alice/k", "arn:aws:s3:::b/日",
		"arn:aws:s3:::b/*", "arn:aws:s3:::b", "arn:aws:s3:::c/x:y", "*"))
	if d.roll(3) > 0 {
		r.SourceIP = netip.MustParseAddr(d.pick("10.1.2.3", "192.0.2.1", "2001:db8::1"))
	}
	for _, k := range []string{
		"aws:a", "aws:n", "aws:b", "aws:d", "aws:tagkeys", "aws:principaltag/t", "s3:existingobjecttag/T",
		"aws:sourcearn", "aws:vpcsourceip", "aws:username",
	} {
		for range d.roll(3) {
			r.Keys[k] = append(r.Keys[k],
				d.pick("x", "X", "xy", "*", "?", "alice", "5", "-1.0", "true", "FALSE", "2026-05-01T12:00:00Z",
					"10.1.2.3", "arn:aws:iam::111122223333:user/alice", ""))
		}
	}
	return r
}

// laws holds random documents, as text and compiled.
func (d *dice) laws(t *testing.T) (naiveLaws, Laws) {
	layer := func(kind Kind, most int) ([]object, []*Document) {
		n := d.roll(most + 1)
		if kind == Session && d.roll(3) > 0 {
			return nil, nil
		}
		objects, docs := []object{}, []*Document{}
		for range n {
			text := d.document(kind)
			doc, err := Parse(kind, []byte(text))
			if err != nil {
				t.Fatalf("%s: %v", text, err)
			}
			sameAgain(t, doc)
			objects, docs = append(objects, naiveRead(text)), append(docs, doc)
		}
		return objects, docs
	}
	var n naiveLaws
	var l Laws
	n.identity, l.Identity = layer(Identity, 3)
	n.boundary, l.Boundary = layer(Session, 1)
	n.session, l.Session = layer(Session, 1)
	n.resource, l.Resource = layer(Resource, 2)
	n.owner = d.pick(home, home, other, "")
	n.mustAllow = d.roll(5) == 0
	l.ResourceOwner, l.ResourceMustAllow = n.owner, n.mustAllow
	return n, l
}

// TestRandomDecisions compares both evaluators on random requests, and checks for each
// that adding a Deny, a session policy or a boundary never allows more. Every
// document is printed and read again.
func TestRandomDecisions(t *testing.T) {
	seed := someSeed(t)
	const shards, each = 4, 20 // each: questions per set of laws
	var asked atomic.Int64
	t.Cleanup(func() {
		if !t.Failed() {
			t.Logf("%d random decisions, zero failures (seed %d)", asked.Load(), seed)
		}
	})
	for shard := range shards {
		t.Run(fmt.Sprint(shard), func(t *testing.T) {
			t.Parallel()
			var seen [Allow + 1]int
			for i := 0; i < *cases/shards/each; i++ {
				start := seed + uint64(shard)<<48 + uint64(i)
				d := dice(start)
				n, l := d.laws(t)
				for range each {
					r := d.request()
					v := Decide(&l, &r)
					seen[v.Effect]++
					asked.Add(1)
					if want := naiveDecide(n, r); v.Effect != want {
						t.Fatalf("-seed %d: %v %v, want %v\n%+v\n%+v", start, v.Effect, v.Why, want, r, n)
					}
					neverWider(t, &d, start, l, r, v)
					neverPublic(t, start, l, r)
				}
			}
			// Enough requests are allowed for the refusals to mean something.
			if total := seen[0] + seen[1] + seen[2]; total >= 1000 &&
				(seen[Allow] < total/40 || seen[ExplicitDeny] < total/40 || seen[ImplicitDeny] < total/40) {
				t.Errorf("almost all random requests have the same decision: %v", seen)
			}
		})
	}
}

func neverWider(t *testing.T, d *dice, seed uint64, l Laws, r Request, before Verdict) {
	if before.Effect == Allow || d.roll(4) > 0 {
		return
	}
	parse := func(kind Kind, text string) *Document {
		doc, err := Parse(kind, []byte(text))
		if err != nil {
			t.Fatal(err)
		}
		return doc
	}
	deny := func(kind Kind) *Document {
		return parse(kind, `{"Statement":[`+d.statement(kind, "Deny")+`]}`)
	}
	narrow := l
	switch d.roll(4) {
	case 0:
		narrow.Identity = append([]*Document{deny(Identity)}, l.Identity...)
	case 1:
		narrow.Resource = append([]*Document{deny(Resource)}, l.Resource...)
	case 2:
		if l.Boundary == nil {
			narrow.Boundary = []*Document{parse(Identity, d.document(Identity))}
		}
	default:
		// Without a session policy a federated user has no permissions, so adding one can allow more.
		if l.Session == nil && r.Principal.Kind != FederatedUser {
			narrow.Session = []*Document{parse(Session, d.document(Session))}
		}
	}
	if v := Decide(&narrow, &r); v.Effect == Allow {
		t.Fatalf("-seed %d: narrower laws allow: %v", seed, v.Why)
	}
}

// neverPublic checks what Block Public Access promises: while no document is
// public, a stranger without keys and address is refused; while one is,
// RestrictPublicBuckets refuses every stranger.
func neverPublic(t *testing.T, seed uint64, l Laws, r Request) {
	r.Principal = caller("anonymous")
	l.Peers = ToldApart()
	open := slices.ContainsFunc(l.Resource, func(d *Document) bool {
		public, _ := Public(d, ToldApart())
		return public
	})
	if open {
		l.Public.RestrictPublicBuckets = true
	} else {
		r.Keys, r.SourceIP = nil, netip.Addr{}
	}
	if v := Decide(&l, &r); v.Effect == Allow {
		t.Fatalf("-seed %d: a stranger is allowed (public: %v): %v", seed, open, v.Why)
	}
}
