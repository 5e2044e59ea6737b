package policy

import (
	"fmt"
	"math/big"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"watertight/internal/access/arn"
)

func quoted(all []string) string { return `["` + strings.Join(all, `","`) + `"]` }

// slash8 returns every step-th /8, beginning at first.
func slash8(first, step int) (all []string) {
	for i := first; i < 256; i += step {
		all = append(all, fmt.Sprintf("%d.0.0.0/8", i))
	}
	return all
}

// forAddresses returns a document with a statement for everyone for each condition.
func forAddresses(t testing.TB, conditions ...string) *Document {
	var all []string
	for i, c := range conditions {
		principal := []string{`"*"`, `{"AWS":"*"}`, `{"AWS":["444455556666","*"]}`}[i%3]
		all = append(all,
			fmt.Sprintf(
				`{"Effect":"Allow","Principal":%s,"Action":%q,"Resource":"arn:aws:s3:::b/%d*","Condition":{%s}}`,
				principal, []string{"s3:GetObject", "s3:PutObject"}[i%2], i, c,
			))
	}
	return mustParse(t, Resource, `{"Version":"2012-10-17","Statement":[`+strings.Join(all, ",")+`]}`)
}

func from(ranges ...string) string { return `"IpAddress":{"aws:SourceIp":` + quoted(ranges) + `}` }

// TestUnionOfRanges: narrow ranges are added up over values, keys, conditions and statements.
func TestUnionOfRanges(t *testing.T) {
	every := slash8(0, 1)
	for name, c := range map[string]struct {
		conditions []string
		want       bool
	}{
		"each /8": {[]string{from(every...)}, true},
		"each /8 in four statements": {
			[]string{from(slash8(0, 4)...), from(slash8(1, 4)...), from(slash8(2, 4)...), from(slash8(3, 4)...)}, true,
		},
		"two /8":                   {[]string{from("3.0.0.0/8", "4.0.0.0/8")}, true},
		"two /8 in two statements": {[]string{from("3.0.0.0/8"), from("4.0.0.0/8")}, true},
		"one /8 and some offices":  {[]string{from("3.0.0.0/8", "4.0.0.1", "203.0.113.0/24")}, false},
		"four halves of a /8": {
			[]string{from("3.0.0.0/9", "5.0.0.0/9"), from("7.0.0.0/9"), from("9.0.0.0/9")}, true,
		},
		"one /8":                              {[]string{from("3.0.0.0/8")}, false},
		"one /8 said twice, and a part of it": {[]string{from("3.0.0.0/8", "3.1.0.0/16"), from("3.0.0.0/8")}, false},
		"halves of a /8":                      {[]string{from("3.0.0.0/9"), from("3.128.0.0/9")}, false},
		"IPv4 in IPv6":                        {[]string{from("::ffff:3.0.0.0/104", "::ffff:4.0.0.0/104")}, true},
		"IPv4 and IPv4 in IPv6":               {[]string{from("3.0.0.0/8"), from("::ffff:4.0.0.0/104")}, true},
		"the same in both spellings":          {[]string{from("3.0.0.0/8"), from("::ffff:3.0.0.0/104")}, false},
		"IPv4 behind a translator":            {[]string{from("64:ff9b::/96")}, true},
		"wider than the translator":           {[]string{from("64:ff9b::/40")}, true},
		"some IPv4 behind a translator":       {[]string{from("64:ff9b::cb00:7100/120")}, false},
		"two /32 of IPv6":                     {[]string{from("2001:db8::/32", "2001:db9::/32")}, true},
		"one /32 of IPv6 and an address":      {[]string{from("2001:db8::/32"), from("2001:db9::1")}, false},
		"both families, each at its bound":    {[]string{from("3.0.0.0/8", "2001:db8::/32")}, false},
		"many offices": {
			[]string{from("203.0.113.0/24", "198.51.100.0/24", "192.0.2.7", "2001:db8:1::/48", "54.240.0.0/12")}, false,
		},
		"private networks, and an office": {
			[]string{from("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "203.0.113.0/24", "fd00:1234::/32")}, false,
		},
		"a private network of IPv6 as a whole": {[]string{from("fc00::/7")}, true},
		"only what is not excluded":            {[]string{`"NotIpAddress":{"aws:SourceIp":"203.0.113.0/24"}`}, true},
		"all but a part is excluded": {
			[]string{`"NotIpAddress":{"aws:SourceIp":["0.0.0.0/1","128.0.0.0/2","::/0"]}`}, true,
		},
		"both conditions must hold": {
			[]string{
				`"IpAddress":{"aws:SourceIp":` + quoted(every) +
					`},"ForAnyValue:IpAddress":{"aws:SourceIp":"203.0.113.0/24"}`,
			},
			false,
		},
		"an exclusion takes nothing away": {
			[]string{
				`"IpAddress":{"aws:SourceIp":["3.0.0.0/8","4.0.0.0/8"]},"NotIpAddress":{"aws:SourceIp":"4.0.0.0/8"}`,
			},
			true,
		},
		"IfExists":                {[]string{`"IpAddressIfExists":{"aws:SourceIp":"203.0.113.0/24"}`}, true},
		"ForAllValues":            {[]string{`"ForAllValues:IpAddress":{"aws:SourceIp":"203.0.113.0/24"}`}, true},
		"another key's addresses": {[]string{`"IpAddress":{"aws:VpcSourceIp":"203.0.113.0/24"}`}, true},
		"limited by another key": {
			[]string{`"IpAddress":{"aws:SourceIp":` + quoted(every) + `},"StringEquals":{"aws:SourceVpce":"vpce-1"}`},
			false,
		},
		"one of two limited by another": {
			[]string{from("3.0.0.0/8"), from("4.0.0.0/8") + `,"StringEquals":{"aws:PrincipalOrgID":"o-1"}`}, false,
		},
	} {
		t.Run(name, func(t *testing.T) {
			d := forAddresses(t, c.conditions...)
			got, w := Public(d, ToldApart())
			if got != c.want || got != d.IsPublic(ToldApart()) || got != (w != nil) {
				t.Errorf("%s: %v, %+v", name, got, w)
			}
			if got && w.Request == nil && !strings.Contains(name, "all but") {
				t.Errorf("%s: no request was found that is allowed", name)
			}
		})
	}
	// Statements that name their principals do not count.
	named := mustParse(t, Resource,
		`{"Statement":[{"Effect":"Allow","Principal":{"AWS":["444455556666","arn:aws:iam::111122223333:user/a"]},`+
			`"Action":"s3:GetObject","Resource":"*","Condition":{`+from(every...)+`}},
		{"Effect":"Deny","Principal":"*","Action":"s3:GetObject","Resource":"*","Condition":{`+from(every...)+`}}]}`)
	if public, _ := Public(named, ToldApart()); public {
		t.Error("a statement for named accounts, and a Deny, make it public")
	}
}

// TestSharedAddresses: an address that callers share counts as open to everyone.
func TestSharedAddresses(t *testing.T) {
	proxy := ToldApart(netip.MustParsePrefix("::ffff:10.1.2.0/120"))
	for _, c := range []struct {
		ranges                      string
		unknown, loopback, behindIt bool
	}{
		{"127.0.0.0/8", true, true, false}, {"127.0.0.1", true, true, false}, {"::1", true, true, false},
		{"::ffff:127.0.0.1", true, true, false},
		{"126.0.0.0/8", false, false, false}, {"203.0.113.0/24", false, false, false},
		{"2001:db8::/32", false, false, false},
		{"10.0.0.0/8", true, false, true}, {"10.1.2.3", true, false, true}, {"10.1.3.3", true, false, false},
		{"172.31.0.0/16", true, false, false},
		{"192.168.7.0/24", true, false, false}, {"169.254.1.1", true, false, false},
		{"100.64.0.0/10", true, false, false}, {"fd00:1::/32", true, false, false}, {"fe80::/32", true, false, false},
	} {
		t.Run(c.ranges, func(t *testing.T) {
			d := forAddresses(t, from("198.51.100.0/24"), from(c.ranges))
			for name, of := range map[string]struct {
				peers Peers
				want  bool
			}{"nothing is known": {
				Peers{}, c.unknown,
			}, "on this machine": {
				ToldApart(Loopback()...), c.loopback,
			}, "a proxy that was named": {proxy, c.behindIt}} {
				public, w := Public(d, of.peers)
				if public != of.want || d.IsPublic(of.peers) != of.want {
					t.Errorf("%s, %s: %v", c.ranges, name, public)
				}
				if public &&
					(w.Because != Behind || w.Statement != 1 || w.Request == nil ||
						!w.Range.Contains(w.Request.SourceIP)) {
					t.Errorf("%s, %s: %+v", c.ranges, name, w)
				}
				l := Laws{
					Resource: []*Document{d}, ResourceOwner: home, Peers: of.peers,
					Public: PublicAccess{RestrictPublicBuckets: true},
				}
				r := Request{
					Principal: Principal{Kind: Anonymous}, Action: "s3:PutObject", Resource: arn.Object("b", "1"),
					SourceIP: parseRange(c.ranges).Addr(),
				}
				if got := Decide(&l, &r).Effect == Allow; got == of.want {
					t.Errorf("%s, %s: restricted, and a stranger at the address is allowed: %v", c.ranges, name, got)
				}
			}
		})
	}
}

func parseRange(text string) netip.Prefix {
	p, _ := parsePrefix(text)
	return p
}

// pieces returns the parts of the address space that the ranges of a document don't distinguish: the first
// address and the size of each.
func pieces(ranges []netip.Prefix, bits int) (first []netip.Addr, size []*big.Int) {
	number := func(a netip.Addr) *big.Int { return new(big.Int).SetBytes(a.AsSlice()) }
	end := new(big.Int).Lsh(big.NewInt(1), uint(bits))
	at := []*big.Int{big.NewInt(0)}
	for _, p := range ranges {
		if p.Addr().BitLen() != bits {
			continue
		}
		begin := number(p.Masked().Addr())
		at = append(at, begin, new(big.Int).Add(begin, new(big.Int).Lsh(big.NewInt(1), uint(bits-p.Bits()))))
	}
	slices.SortFunc(at, (*big.Int).Cmp)
	at = slices.CompactFunc(at, func(a, b *big.Int) bool { return a.Cmp(b) == 0 })
	for i, a := range at {
		if a.Cmp(end) >= 0 {
			break
		}
		next := end
		if i+1 < len(at) {
			next = at[i+1]
		}
		addr, _ := netip.AddrFromSlice(a.FillBytes(make([]byte, bits/8)))
		first, size = append(first, addr), append(size, new(big.Int).Sub(next, a))
	}
	return first, size
}

func (d *dice) address() string {
	switch d.roll(6) {
	case 0:
		return fmt.Sprintf("%d.0.0.0/%d", d.roll(256), 8+d.roll(3))
	case 1:
		return fmt.Sprintf("%d.%d.0.0/%d", d.roll(256), d.roll(256), 4+d.roll(13))
	case 2:
		return fmt.Sprintf("2001:%x::/%d", d.roll(1<<16), 30+d.roll(20))
	case 3:
		return fmt.Sprintf("::ffff:%d.0.0.0/%d", d.roll(256), 104+d.roll(8))
	case 4:
		return d.pick("10.0.0.0/8", "127.0.0.1", "192.168.1.0/24", "fd00::/32", "0.0.0.0/1", "::/0")
	}
	return fmt.Sprintf("203.0.%d.%d", d.roll(256), d.roll(256))
}

// addressed returns a document for everyone whose conditions are about addresses.
func (d *dice) addressed() string {
	var all []string
	for range 1 + d.roll(4) {
		conditions := map[string]string{}
		for range 1 + d.roll(2) {
			var ranges []string
			for range 1 + d.roll(5) {
				ranges = append(ranges, d.address())
			}
			op := d.pick("IpAddress", "IpAddress", "IpAddress", "IpAddress", "IpAddress", "ForAnyValue:IpAddress",
				"ForAnyValue:IpAddress", "NotIpAddress", "IpAddressIfExists", "ForAllValues:IpAddress")
			conditions[op] = fmt.Sprintf(`%q:{"aws:SourceIp":%s}`, op, quoted(ranges))
		}
		var texts []string
		for _, c := range conditions {
			texts = append(texts, c)
		}
		slices.Sort(texts)
		all = append(all,
			fmt.Sprintf(`{"Effect":%q,"Principal":%s,"Action":"s3:GetObject","Resource":"*","Condition":{%s}}`,
				d.pick("Allow", "Allow", "Allow", "Allow",
					"Deny"), d.pick(`"*"`, `{"AWS":"*"}`, `{"AWS":["*","444455556666"]}`,
					`{"AWS":"444455556666"}`), strings.Join(texts, ",")))
	}
	return `{"Statement":[` + strings.Join(all, ",") + `]}`
}

// TestRandomUnion checks Public for several ranges together: if Public says no, Decide allows a stranger
// only from a bounded number of addresses, and refuses a caller without a known address.
func TestRandomUnion(t *testing.T) {
	seed := someSeed(t)
	bound := map[int]*big.Int{
		32: big.NewInt(2<<24 - 1), 128: new(big.Int).Sub(new(big.Int).Lsh(big.NewInt(2), 96), big.NewInt(1)),
	}
	local := append(Loopback(), Private()...)
	all := mustParse(t, Identity, `{"Statement":[{"Effect":"Allow","Action":"*","Resource":"*"}]}`)
	public := 0
	n := *cases / 20
	for i := range n {
		d := dice(seed + uint64(i))
		text := d.addressed()
		doc := mustParse(t, Resource, text)
		laws := Laws{Identity: []*Document{all}, Resource: []*Document{doc}, ResourceOwner: home}
		who := Principal{Kind: Anonymous}
		if d.roll(2) == 0 {
			who = Principal{
				Kind: User, Account: Stranger,
				ARN: arn.ARN{Partition: "aws", Service: "iam", Account: Stranger, Resource: "user/x"},
				ID:  "AIDASTRANGERSTRANGER", Name: "x",
			}
		}
		let := func(a netip.Addr) bool {
			return Decide(&laws, &Request{
				Principal: who, Action: "s3:GetObject", Resource: arn.Object("b", "k"), SourceIP: a,
			}).Effect == Allow
		}
		if doc.IsPublic(ToldApart()) {
			public++
			continue
		}
		if let(netip.Addr{}) {
			t.Fatalf("-seed %d: not public, and open to a caller without a known address\n%s", seed+uint64(i), text)
		}
		var ranges []netip.Prefix
		for _, s := range doc.statements {
			for _, c := range s.conditions {
				for _, v := range c.values {
					ranges = append(ranges, v.prefix)
				}
			}
		}
		for bits, most := range bound {
			sum := new(big.Int)
			first, size := pieces(append(ranges, local...), bits)
			for j, a := range first {
				if !slices.ContainsFunc(local, func(p netip.Prefix) bool { return p.Contains(a) }) && let(a) {
					sum.Add(sum, size[j])
				}
			}
			if sum.Cmp(most) > 0 {
				t.Fatalf("-seed %d: not public, and open to %v addresses of %d bits\n%s", seed+uint64(i), sum, bits,
					text)
			}
		}
	}
	if n >= 100 && (public < n/10 || public > n*19/20) {
		t.Errorf("%d of %d documents are public", public, n)
	}
}

// TestWitnessFitsThePatterns: if neither an anonymous caller nor a root user is allowed, the witness is a
// principal of another account whose name fits the statement's patterns. If none is found, the witness
// has no request.
func TestWitnessFitsThePatterns(t *testing.T) {
	for _, c := range []struct {
		statement string
		want      PrincipalKind
	}{
		{`"Action":"s3:GetObject","Resource":"arn:aws:s3:::b/${aws:username}/*"`, User},
		{`"Action":"s3:GetObject","Resource":"*","Condition":{"StringLike":{"aws:userid":"*:sess"}}`, RoleSession},
		{`"Action":"s3:GetObject","Resource":"*","Condition":{"StringEquals":{"aws:PrincipalType":"User"}}`, User},
		{
			`"Action":"s3:GetObject","Resource":"*","Condition":{"StringEquals":{"aws:PrincipalType":"FederatedUser"}}`,
			FederatedUser,
		},
		{
			`"Action":"s3:GetObject","Resource":"*",` +
				`"Condition":{"ArnLike":{"aws:PrincipalArn":"arn:aws:iam::*:role/app"}}`,
			RoleSession,
		},
		{
			`"Action":"s3:GetObject","Resource":"*",` +
				`"Condition":{"ArnLike":{"aws:PrincipalArn":"arn:aws:iam::*:user/team/*"}}`,
			User,
		},
		{`"Action":"s3:GetObject","Resource":"*","Condition":{"StringEquals":{"aws:username":"deploy"}}`, User},
		{
			`"NotAction":["s3:GetObject*","s3:Put*","s3:Delete*","s3:List*","s3:GetBucket*","s3:Abort*"],` +
				`"Resource":"*"`,
			Anonymous,
		},
		{
			`"Action":"s3:GetObject","Resource":"*","Condition":{"StringEquals":{"aws:PrincipalIsAWSService":"maybe"}}`,
			Nobody,
		},
	} {
		t.Run(c.statement, func(t *testing.T) {
			d := mustParse(t, Resource,
				`{"Version":"2012-10-17","Statement":{"Effect":"Allow","Principal":"*",`+c.statement+`}}`)
			public, w := Public(d, ToldApart())
			if !public || (w.Request != nil) != (c.want != Nobody) ||
				w.Request != nil && w.Request.Principal.Kind != c.want {
				t.Errorf("%s: %+v", c.statement, w)
			}
		})
	}
}
