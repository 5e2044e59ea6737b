package policy

import (
	"fmt"
	"strings"
	"testing"

	"watertight/internal/access/arn"
)

func TestPublic(t *testing.T) {
	for _, c := range []struct {
		principal, condition string
		want                 bool
	}{
		{`"*"`, ``, true},
		{`{"AWS":["111122223333","*"]}`, ``, true},
		{`{"AWS":"111122223333"}`, ``, false},
		{`{"AWS":"arn:aws:iam::111122223333:root"}`, ``, false},
		{`{"Service":"cloudfront.amazonaws.com"}`, ``, false},
		{
			`{"Service":"cloudfront.amazonaws.com"}`,
			`"StringEquals":{"aws:SourceArn":"arn:aws:cloudfront::111122223333:distribution/E"}`, false,
		},
		{`{"Federated":"graph.facebook.com"}`, ``, true},
		{`"*"`, `"StringEquals":{"aws:SourceVpc":"vpc-1"}`, false},
		{`"*"`, `"StringLike":{"aws:SourceVpc":"vpc-*"}`, true},
		{`"*"`, `"StringLike":{"aws:SourceVpc":["vpc-1","vpc-*"]}`, true},
		{`"*"`, `"IpAddress":{"aws:SourceIp":"203.0.113.0/24"}`, false},
		{`"*"`, `"IpAddress":{"aws:SourceIp":"203.0.113.1"}`, false},
		{`"*"`, `"IpAddress":{"aws:SourceIp":"0.0.0.0/1"}`, true},
		{`"*"`, `"IpAddress":{"aws:SourceIp":"10.0.0.0/7"}`, true},
		{`"*"`, `"IpAddress":{"aws:SourceIp":["10.0.0.0/8","192.168.0.0/16"]}`, false},
		{`"*"`, `"IpAddress":{"aws:SourceIp":["203.0.113.0/24","0.0.0.0/0"]}`, true},
		{`"*"`, `"IpAddress":{"aws:SourceIp":"2001:db8::/31"}`, true},
		{`"*"`, `"IpAddress":{"aws:SourceIp":"2001:db8::/32"}`, false},
		{`"*"`, `"IpAddressIfExists":{"aws:SourceIp":"203.0.113.0/24"}`, true},
		{`"*"`, `"NotIpAddress":{"aws:SourceIp":"203.0.113.0/24"}`, true},
		{`"*"`, `"StringEquals":{"aws:PrincipalOrgID":"o-abc"}`, false},
		{`"*"`, `"StringLike":{"aws:PrincipalOrgID":"o-*"}`, true},
		{`"*"`, `"StringNotEquals":{"aws:PrincipalOrgID":"o-abc"}`, true},
		{`"*"`, `"StringEquals":{"aws:SourceVpc":"${aws:PrincipalTag/vpc}"}`, true},
		{`"*"`, `"StringEquals":{"aws:SourceVpc":""}`, true},
		{`"*"`, `"StringEquals":{"aws:Referer":"https://x/"}`, true},
		{`"*"`, `"Bool":{"aws:SecureTransport":true}`, true},
		{`"*"`, `"Bool":{"aws:PrincipalIsAWSService":true}`, true},
		{`"*"`, `"Null":{"aws:SourceVpc":true}`, true},
		{`"*"`, `"StringEqualsIfExists":{"aws:SourceVpce":"vpce-1"}`, true},
		{`"*"`, `"ForAllValues:StringEquals":{"aws:SourceVpce":"vpce-1"}`, true},
		{`"*"`, `"ForAnyValue:StringEquals":{"aws:SourceVpce":"vpce-1"}`, false},
		{`"*"`, `"Bool":{"aws:SecureTransport":true},"StringEquals":{"aws:SourceAccount":"111122223333"}`, false},
		{`"*"`, `"StringLike":{"s3:DataAccessPointArn":"arn:aws:s3:*:111122223333:accesspoint/*"}`, false},
		{`"*"`, `"StringLike":{"s3:DataAccessPointArn":"arn:aws:s3:*:*:accesspoint/*"}`, true},
		{`"*"`, `"StringEquals":{"s3:DataAccessPointAccount":"111122223333"}`, false},
		{
			`"*"`,
			`"StringEquals":{"s3:x-amz-server-side-encryption-aws-kms-key-id":"arn:aws:kms:us-east-1:111122223333:key/k"}`,
			true,
		},
		{`"*"`, `"ArnLike":{"aws:SourceArn":"arn:aws:sns:*:111122223333:*"}`, true},
		{`"*"`, `"ArnLike":{"aws:SourceArn":"*"}`, true},
		{`"*"`, `"ArnEquals":{"aws:PrincipalArn":"arn:aws:iam::111122223333:role/r"}`, false},
		{`"*"`, `"StringEquals":{"aws:userid":"AROAEXAMPLE:s"}`, false},
		{`"*"`, `"StringLike":{"aws:userid":"AROAEXAMPLE:*"}`, true},
		{`"*"`, `"StringEquals":{"aws:userid":"anonymous"}`, true},
		{`"*"`, `"StringEquals":{"aws:PrincipalAccount":"anonymous"}`, true},
	} {
		t.Run(c.principal+c.condition, func(t *testing.T) {
			d := mustParse(t, Resource, fmt.Sprintf(`{"Version":"2012-10-17","Statement":[
				{"Effect":"Deny","Principal":"*","Action":"*","Resource":"*"},
				{"Effect":"Allow","Principal":{"AWS":"111122223333"},"Action":"*","Resource":"*"},
				{"Sid":"x","Effect":"Allow","Principal":%s,"Action":"s3:GetObject","Resource":"*","Condition":{%s}}]}`,
				c.principal, c.condition))
			got, w := Public(d, ToldApart())
			if got != c.want || got != (w != nil) ||
				got && (w.Statement != 2 || w.Sid != "x" || w.Principal.Value == "111122223333") {
				t.Errorf("%s, %s: %v, %+v", c.principal, c.condition, got, w)
			}
			if c.want {
				witnessGetsIn(t, c.principal, c.condition)
			}
		})
	}
	if public, _ := Public(nil, ToldApart()); !public || !(*Document)(nil).IsPublic(ToldApart()) {
		t.Error("a policy that cannot be read counts as public")
	}
}

// witnessGetsIn checks the witness of a document with one statement: Decide must allow its request. The
// witness is never an AWS service, a role of the own account, or the bearer of a token, and no
// variables are tried.
func witnessGetsIn(t *testing.T, principal, condition string) {
	t.Helper()
	d := mustParse(t,
		Resource, fmt.Sprintf(
			`{"Version":"2012-10-17","Statement":{"Effect":"Allow","Principal":%s,"Action":"s3:GetObject",`+
				`"Resource":"*","Condition":{%s}}}`,
			principal, condition,
		))
	_, w := Public(d, ToldApart())
	if strings.Contains(principal, "Federated") || strings.Contains(condition, "IsAWSService") ||
		strings.Contains(condition, "AROAEXAMPLE") || strings.Contains(condition, "${") {
		if w.Request != nil {
			t.Errorf("%s, %s: %+v is allowed", principal, condition, w.Request)
		}
		return
	}
	if w.Request == nil {
		t.Errorf("%s, %s: no request was found that is allowed", principal, condition)
		return
	}
	laws := Laws{Resource: []*Document{d}, ResourceOwner: home, Peers: ToldApart()}
	open := Decide(&laws, w.Request)
	laws.Public.RestrictPublicBuckets = true
	if shut := Decide(&laws, w.Request); w.Request.Principal.Kind == Anonymous &&
		(open.Effect != Allow || shut.Effect != ExplicitDeny) {
		t.Errorf("%s, %s: %v, restricted %v", principal, condition, open, shut)
	}
}

// TestWitnessIsBounded: the search for a witness is bounded for every document.
func TestWitnessIsBounded(t *testing.T) {
	var values []string
	for i := range 1400 {
		values = append(values, fmt.Sprintf(`"%d*x*y"`, i))
	}
	d := mustParse(t,
		Resource, fmt.Sprintf(
			`{"Statement":{"Effect":"Allow","Principal":"*","Action":"s3:*","Resource":"*",`+
				`"Condition":{"StringLike":{"aws:Referer":[%s]},"StringEquals":{"aws:Referer":"none"}}}}`,
			strings.Join(values, ","),
		))
	if public, w := Public(d, ToldApart()); !public || w.Request != nil {
		t.Errorf("%v, %+v", public, w)
	}
}

func TestStricter(t *testing.T) {
	of := func(n int) PublicAccess { return PublicAccess{n&1 != 0, n&2 != 0, n&4 != 0, n&8 != 0} }
	for p := range 16 {
		for q := range 16 {
			if got := of(p).Stricter(of(q)); got != of(p|q) {
				t.Errorf("%v and %v: %v", of(p), of(q), got)
			}
		}
	}
}

func TestExposed(t *testing.T) {
	statement := func(principal, more string) string {
		return fmt.Sprintf(`{"Effect":"Allow","Principal":%s,"Action":"s3:GetObject","Resource":"arn:aws:s3:::b/*"%s}`,
			principal, more)
	}
	others := statement(
		`{"AWS":["`+home+`","`+other+`","arn:aws:iam::`+other+
			`:user/mallory","arn:aws:iam::222233334444:role/r"],"Service":"cloudfront.amazonaws.com"}`,
		"",
	)
	wide := statement(`"*"`, `,"Condition":{"IpAddress":{"aws:SourceIp":["203.0.113.0/24","64.0.0.0/2"]}}`)
	for _, c := range []struct {
		statements       string
		restrict         bool
		public, open     bool
		accounts, reason string
	}{
		{others, false, false, false, "[222233334444 444455556666]", "named accounts"},
		{others, true, false, false, "[222233334444 444455556666]", "a policy that is not public is not restricted"},
		{others + "," + wide, false, true, true, "[222233334444 444455556666]", "one public statement"},
		{others + "," + wide, true, true, false, "[]", "one public statement spoils the others"},
	} {
		t.Run(c.reason, func(t *testing.T) {
			d := mustParse(t, Resource, `{"Statement":[`+c.statements+`]}`)
			e := Exposed(Laws{
				Resource: []*Document{d}, ResourceOwner: home, Peers: ToldApart(),
				Public: PublicAccess{RestrictPublicBuckets: c.restrict},
			})
			if (e.Witness != nil) != c.public || e.Open != c.open || fmt.Sprint(e.Accounts) != c.accounts ||
				fmt.Sprint(e.Services) != "[cloudfront.amazonaws.com]" {
				t.Errorf("%s: %+v", c.reason, e)
			}
			if c.public &&
				(e.Witness.Range.String() != "64.0.0.0/2" || e.Witness.Request == nil ||
					e.Witness.Request.SourceIP.String() != "64.0.0.1") {
				t.Errorf("%s: %+v", c.reason, e.Witness)
			}
		})
	}
	if e := Exposed(Laws{Resource: []*Document{nil}, ResourceOwner: home}); !e.Open || e.Witness == nil {
		t.Errorf("a document that cannot be read: %+v", e)
	}
}

// TestBind: a name in a policy means the principal that had it. Neither a new user with the same name,
// nor a session of such a user, matches. A renamed user still does.
func TestBind(t *testing.T) {
	alice, reader, fred := caller("alice"), caller("session"), caller("federated")
	fred.IssuerID = alice.ID
	for _, effect := range []string{"Allow", "Deny"} {
		t.Run(effect, func(t *testing.T) {
			text := `{"Statement":[{"Effect":"` + effect + `","Principal":{"AWS":["` + alice.ARN.String() + `","` +
				reader.Role.String() + `"]},"Action":"*","Resource":"*"}]}`
			d := mustParse(t, Resource, text).Bind(map[string]string{
				alice.ARN.String(): alice.ID, reader.Role.String(): "AROAREADERREADER123",
			})
			meant := func(p Principal) bool {
				v := Decide(&Laws{Resource: []*Document{d}, ResourceOwner: home}, &Request{
					Principal: p, Action: "s3:GetObject", Resource: arn.Object("b", "k"),
				})
				return v.Layer == ResourceLayer && v.Effect != ImplicitDeny || v.Layer == SessionLayer
			}
			again, renamed, newRole, newFred := alice, alice, reader, fred
			again.ID, renamed.ARN.Resource = "AIDASOMEBODYELSE1234", "user/alicia"
			newRole.ID, newFred.IssuerID = "AROASOMEBODYELSE1234:s1", "AIDASOMEBODYELSE1234"
			for name, c := range map[string]struct {
				p    Principal
				want bool
			}{
				"alice": {alice, true}, "renamed": {renamed, true}, "made again": {again, false},
				"session": {reader, true}, "role made again": {newRole, false},
				"her federated session": {fred, true}, "a federated session of who has her name": {newFred, false},
			} {
				if meant(c.p) != c.want {
					t.Errorf("%s, %s: %v", effect, name, !c.want)
				}
			}
		})
	}
	d := mustParse(t,
		Resource, `{"Statement":[{"Effect":"Allow","Principal":{"AWS":"`+alice.ARN.String()+
			`"},"Action":"s3:GetObject","Resource":"arn:aws:s3:::b/*",`+
			`"Condition":{"ArnEquals":{"aws:PrincipalArn":"`+alice.ARN.String()+`"}}}]}`)
	want := `{"Statement":[{"Effect":"Allow","Principal":{"AWS":"` + alice.ID +
		`"},"Action":"s3:GetObject","Resource":"arn:aws:s3:::b/*",` +
		`"Condition":{"ArnEquals":{"aws:PrincipalArn":"` + alice.ARN.String() + `"}}}]}`
	if got := d.Rename(map[string]string{alice.ARN.String(): alice.ID}).String(); got != want {
		t.Error(got)
	}
}
