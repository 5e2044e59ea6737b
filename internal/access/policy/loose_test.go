package policy

import (
	"testing"

	"watertight/internal/access/arn"
)

// TestIAMDocumentsThatSayLess: if IAM accepts a document although a part is missing, the document allows
// no more and denies no less for that. As a bucket policy it is refused.
func TestIAMDocumentsThatSayLess(t *testing.T) {
	statement := func(effect, rest string) string {
		return `{"Version":"2012-10-17","Id":"an id","Statement":[{"Effect":"` + effect + `","Action":"s3:GetObject",` +
			rest + `}]}`
	}
	condition := func(c string) string { return `"Resource":"*","Condition":` + c }
	for _, c := range []struct {
		name, rest    string
		allow, denies bool // whether the statement is about the request
	}{
		{"whole", `"Resource":"*"`, true, true},
		{"an operator of no keys", condition(`{"StringEquals":{}}`), true, true},
		{"unknown operators without keys", condition(`{"x":{},"y":{}}`), true, true},
		{"a key without service", condition(`{"StringEquals":{"a":"b"}}`), false, false},
		{"a key without service, negated", condition(`{"StringNotEquals":{"a":"b"}}`), true, true},
		{"no value", condition(`{"StringEquals":{"s3:prefix":[]}}`), false, false},
		{"no value under a key that is there", condition(`{"StringEquals":{"aws:username":[]}}`), false, false},
		{"no date", condition(`{"DateGreaterThan":{"aws:CurrentTime":[]}}`), false, false},
		{"no address", condition(`{"IpAddress":{"aws:SourceIp":[]}}`), false, false},
		{"Null of nothing", condition(`{"Null":{"aws:username":[]}}`), false, false},
		{"a short ARN", `"Resource":"arn:aws:s3"`, false, true},
		{"a shorter ARN", `"Resource":["arn:aws:fdsasf"]`, false, false},
		{"not a short ARN", `"NotResource":"arn:aws:s3"`, false, true},
		{"not another short ARN", `"NotResource":"arn:aws:fdsasf"`, true, true},
		{"an ARN without its end", `"Resource":"arn:aws:s3:*"`, false, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			for _, kind := range []Kind{Identity, Session} {
				for effect, about := range map[string]bool{"Allow": c.allow, "Deny": c.denies} {
					d := mustParse(t, kind, statement(effect, c.rest))
					laws := Laws{Identity: []*Document{d}, ResourceOwner: home}
					got := Decide(&laws, &Request{
						Principal: caller("alice"), Action: "s3:GetObject", Resource: arn.Object("b", "k"),
					}).Effect
					want := ImplicitDeny
					if about {
						want = map[string]Effect{"Allow": Allow, "Deny": ExplicitDeny}[effect]
					}
					if got != want {
						t.Errorf("%s, %s: %v, want %v", c.name, effect, got, want)
					}
				}
			}
			text := `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":"*","Action":"s3:GetObject",` +
				c.rest + `}]}`
			if _, err := Parse(Resource, []byte(text)); (err == nil) != (c.name == "whole") {
				t.Errorf("%s in a bucket policy: %v", c.name, err)
			}
		})
	}
	for _, action := range []string{"iam: a b ", "s3.s:ListBucket", "s3-s:ListBucket"} {
		if _, err := Parse(Identity,
			[]byte(`{"Statement":{"Effect":"Allow","Action":"`+action+`","Resource":"*"}}`)); err != nil {
			t.Errorf("%q: %v", action, err)
		}
	}
	for _, rest := range []string{`"Resource":"arn:aws"`, `"Resource":"arn:aws::x"`, `"Resource":"arn:aws:s3::b"`,
		`"Resource":"aws:s3:::b"`,
		condition(`{"StringEquals":{"":"b"}}`), condition(`{"x":{"a":"1"}}`), condition(`{"x":[]}`),
		condition(`{"DateGreaterThan":{"a":{}}}`),
		condition(`{"StringEquals":{"a*":"b"}}`)} {
		if _, err := Parse(Identity, []byte(statement("Allow", rest))); err == nil {
			t.Errorf("%s is accepted", rest)
		}
	}
}
