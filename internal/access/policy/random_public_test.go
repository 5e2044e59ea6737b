package policy

import (
	"crypto/rand"
	"encoding/binary"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"watertight/internal/access/arn"
)

// someSeed is the seed of a run: the flag's, or a new one.
func someSeed(t *testing.T) uint64 {
	t.Helper()
	if *seedFlag != 0 {
		return *seedFlag
	}
	var b [8]byte
	if _, err := rand.Read(b[:]); err != nil {
		t.Fatal(err)
	}
	return binary.LittleEndian.Uint64(b[:])
}

// limit draws a condition that makes a statement for everyone apply to few; loose draws one that does
// not.
func (d *dice) limit() (op, key, value string) {
	of := [...][3]string{
		{"StringEquals", "aws:SourceVpce", `"vpce-1"`}, {"StringLike", "aws:SourceVpc", `["vpc-1","vpc-2"]`},
		{"StringEquals", "aws:PrincipalOrgID", `"o-abc"`},
		{"IpAddress", "aws:SourceIp", `["203.0.113.0/24","2001:db8:1::/48"]`},
		{"IpAddress", "aws:SourceIp", `"10.0.0.0/8"`},
		{"ArnEquals", "aws:SourceArn", `"arn:aws:sns:us-east-1:111122223333:t"`},
		{"StringEquals", "aws:SourceAccount", `"111122223333"`},
		{"StringEquals", "aws:PrincipalAccount", `"111122223333"`},
		{"ArnLike", "aws:PrincipalArn", `"arn:aws:iam::111122223333:user/alice"`},
		{"StringEquals", "aws:userid", `"AIDAALICEALICEALICE"`},
		{"StringEquals", "s3:DataAccessPointAccount", `"111122223333"`},
		{"ForAnyValue:StringEquals", "aws:SourceVpce", `"vpce-1"`},
	}
	c := of[d.roll(len(of))]
	return c[0], c[1], c[2]
}

func (d *dice) loose() (op, key, value string) {
	of := [...][3]string{
		{"Bool", "aws:SecureTransport", `"true"`}, {"StringEquals", "aws:Referer", `"https://example.com/"`},
		{"StringLike", "aws:UserAgent", `["a*","?b"]`},
		{"StringNotEquals", "aws:SourceVpce", `"vpce-1"`}, {"StringEqualsIfExists", "aws:SourceVpc", `"vpc-1"`},
		{"IpAddress", "aws:SourceIp", `["203.0.113.0/24","0.0.0.0/0"]`},
		{"IpAddress", "aws:SourceIp", `"64.0.0.0/2"`}, {"NotIpAddress", "aws:SourceIp", `"203.0.113.0/24"`},
		{"IpAddress", "aws:SourceIp", `"2001::/16"`},
		{"DateLessThan", "aws:CurrentTime", `"2027-01-01T00:00:00Z"`}, {"NumericLessThan", "s3:max-keys", `10`},
		{"StringLike", "s3:prefix", `"a/*"`},
		{"ForAllValues:StringEquals", "aws:SourceVpce", `"vpce-1"`}, {"Null", "aws:SourceVpce", `"true"`},
		{"StringLike", "aws:PrincipalOrgID", `"o-*"`},
		{"ArnLike", "aws:SourceArn", `"arn:aws:sns:*:*:*"`}, {"StringEquals", "s3:x-amz-acl", `"public-read"`},
		{"DateGreaterThan", "aws:EpochTime", `1700000000`},
		{"StringEquals", "s3:ExistingObjectTag/Public", `"yes"`},
		{"BoolIfExists", "aws:MultiFactorAuthPresent", `"true"`},
	}
	c := of[d.roll(len(of))]
	return c[0], c[1], c[2]
}

// bucketPolicy returns a document that most often is for everyone.
func (d *dice) bucketPolicy() string {
	var all []string
	for range 1 + d.roll(3) {
		effect := d.pick("Allow", "Allow", "Allow", "Deny")
		principal := d.principal(effect)
		if d.roll(2) == 0 {
			principal = `"Principal":` + d.pick(`"*"`, `{"AWS":"*"}`, `{"AWS":["444455556666","*"]}`)
		}
		s := fmt.Sprintf(`"Effect":%q,%s,"%sAction":%s,"%sResource":%s`, effect, principal,
			d.pick("", "", "", "",
				"Not"), d.some(2, `"s3:*"`, `"s3:GetObject"`, `"s3:Get*"`, `"s3:ListBucket"`, `"s3:PutObject"`),
			d.pick("", "", "", "",
				"Not"), d.some(2, `"arn:aws:s3:::b/*"`, `"arn:aws:s3:::b"`, `"arn:aws:s3:::b/public/*"`, `"*"`,
				`"arn:aws:s3:::b/${aws:PrincipalTag/t, 'x'}/*"`))
		conditions := map[string]string{}
		for range d.roll(3) {
			op, key, value := d.loose()
			if d.roll(4) == 0 {
				op, key, value = d.limit()
			}
			conditions[op] = fmt.Sprintf(`%q:{%q:%s}`, op, key, value)
		}
		if len(conditions) > 0 {
			var texts []string
			for _, c := range conditions {
				texts = append(texts, c)
			}
			slices.Sort(texts)
			s += `,"Condition":{` + strings.Join(texts, ",") + `}`
		}
		all = append(all, "{"+s+"}")
	}
	return `{"Version":"2012-10-17","Statement":[` + strings.Join(all, ",") + `]}`
}

// passerby returns a request of a caller that no condition of limits matches and no document names.
func (d *dice) passerby() Request {
	r := Request{
		Principal: Principal{Kind: Anonymous},
		Action:    Action(d.pick("s3:GetObject", "s3:PutObject", "s3:ListBucket", "s3:GetBucketPolicy")),
		At:        d.request().At, Keys: map[string][]string{},
	}
	if d.roll(2) == 0 {
		r.Principal = Principal{
			Kind: User, Account: Stranger,
			ARN: arn.ARN{Partition: "aws", Service: "iam", Account: Stranger, Resource: "user/alice"},
			ID:  "AIDASTRANGERSTRANGER", Name: "alice",
		}
	}
	r.Resource, _ = arn.Parse(d.pick("arn:aws:s3:::b/k", "arn:aws:s3:::b", "arn:aws:s3:::b/public/k",
		"arn:aws:s3:::b/x/k"))
	if d.roll(4) > 0 {
		r.SourceIP = netip.MustParseAddr(d.pick("198.51.100.7", "100.64.0.1", "2001:db8:2::1", "2001:0:1::1"))
	}
	for k, of := range map[string][]string{
		"aws:securetransport": {"true", "false"}, "aws:referer": {"https://example.com/", "x"},
		"aws:useragent": {"abc", "xb"}, "s3:prefix": {"a/b", ""},
		"s3:max-keys": {"5", "50"}, "s3:x-amz-acl": {"public-read"}, "s3:existingobjecttag/Public": {"yes", "no"},
		"aws:principaltag/t": {"x", "y"},
		"aws:sourcevpce":     {"vpce-9"}, "aws:sourcevpc": {"vpc-9"}, "aws:sourceaccount": {Stranger},
		"aws:principalorgid": {"o-other"}, "aws:sourcearn": {"arn:aws:sns:us-east-1:" + Stranger + ":t"},
	} {
		if d.roll(3) == 0 {
			r.Keys[k] = []string{of[d.roll(len(of))]}
		}
	}
	return r
}

// TestRandomPublic checks that Public keeps what Block Public Access promises:
//   - while no document is public, only callers are allowed that documents name by principal, address
//     or source;
//   - the witness of a public document is allowed, and no longer once
//     RestrictPublicBuckets is on;
//   - that setting refuses every stranger, and does not affect the owner's own principals.
func TestRandomPublic(t *testing.T) {
	seed := someSeed(t)
	const shards, each = 4, 10
	for shard := range shards {
		t.Run(fmt.Sprint(shard), func(t *testing.T) {
			t.Parallel()
			c := publicCheck{t: t}
			for i := 0; i < *cases/shards/each; i++ {
				c.seed = seed + uint64(shard)<<48 + uint64(i)
				c.document(each)
			}
			t.Logf("%+v", c.seen)
			if n := *cases / shards / each; n >= 100 &&
				(c.seen.public < n/4 || c.seen.public > n*19/20 || c.seen.gotIn < c.seen.public/2 ||
					c.seen.passed == 0) {
				t.Errorf("almost all random documents are of one kind: %+v of %d", c.seen, n)
			}
		})
	}
}

type publicCheck struct {
	t    *testing.T
	seed uint64
	seen struct{ public, gotIn, passed int }
}

func (c *publicCheck) document(each int) {
	d := dice(c.seed)
	text := d.bucketPolicy()
	doc, err := Parse(Resource, []byte(text))
	if err != nil {
		c.t.Fatalf("%s: %v", text, err)
	}
	all, err := Parse(Identity, []byte(`{"Statement":[{"Effect":"Allow","Action":"*","Resource":"*"}]}`))
	if err != nil {
		c.t.Fatal(err)
	}
	off := Laws{Identity: []*Document{all}, Resource: []*Document{doc}, ResourceOwner: home, Peers: ToldApart()}
	on := off
	on.Public.RestrictPublicBuckets = true
	public, w := Public(doc, off.Peers)
	if public != doc.IsPublic(off.Peers) || public != (w != nil) {
		c.t.Fatalf("-seed %d: %v, %+v\n%s", c.seed, public, w, text)
	}
	if public {
		c.seen.public++
		c.witness(w, off, on, text)
	}
	for range each {
		r := d.passerby()
		open, shut := Decide(&off, &r).Effect == Allow, Decide(&on, &r).Effect == Allow
		switch {
		case open && !public:
			c.t.Fatalf("-seed %d: not public, and open to %+v\n%s", c.seed, r, text)
		case shut:
			c.t.Fatalf("-seed %d: restricted, and open to %+v\n%s", c.seed, r, text)
		case open:
			c.seen.passed++
		}
		if off.Excludes(&r.Principal) && open {
			c.t.Fatalf("-seed %d: excluded, and open to %+v\n%s", c.seed, r, text)
		}
		own := d.request()
		if own.Principal.Account == home && Decide(&off, &own).Effect != Decide(&on, &own).Effect {
			c.t.Fatalf("-seed %d: the setting changes what %+v may\n%s", c.seed, own, text)
		}
	}
}

func (c *publicCheck) witness(w *Witness, off, on Laws, text string) {
	if w.Request == nil {
		return
	}
	c.seen.gotIn++
	if p := w.Request.Principal; p.Kind != Anonymous && p.Account != Stranger {
		c.t.Fatalf("-seed %d: the witness is not a stranger: %+v", c.seed, p)
	}
	off.Session, on.Session = off.Identity, on.Identity // a federated user's own
	if v := Decide(&off, w.Request); v.Effect != Allow {
		c.t.Fatalf("-seed %d: the witness is refused: %v %+v\n%s", c.seed, v.Why, w.Request, text)
	}
	if v := Decide(&on, w.Request); v.Effect != ExplicitDeny || v.Layer != PublicAccessLayer {
		c.t.Fatalf("-seed %d: the witness is allowed although RestrictPublicBuckets is on: %+v\n%s", c.seed, w.Request,
			text)
	}
}
