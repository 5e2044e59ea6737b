package policy

import (
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"strings"
	"testing"
)

func identityWith(rest string) string {
	return `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"s3:GetObject","Resource":"*"` + rest +
		`}]}`
}

func bucketWith(principal string) string {
	return `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":` + principal +
		`,"Action":"s3:GetObject","Resource":"*"}]}`
}

// bucketOf returns a bucket policy with a condition.
func bucketOf(c string) string {
	return strings.Replace(bucketWith(`"*"`), `"Resource":"*"`, `"Resource":"*","Condition":`+c, 1)
}

func conditionOf(c string) string { return identityWith(`,"Condition":` + c) }

func TestParseRefuses(t *testing.T) {
	for _, c := range []struct {
		name    string
		kind    Kind
		text    string
		problem Problem
		path    string
	}{
		{"empty", Identity, ``, BadSyntax, ""},
		{"not json", Identity, `{`, BadSyntax, ""},
		{"not an object", Identity, `[]`, BadSyntax, ""},
		{"text after it", Identity, identityWith("") + "{}", BadSyntax, ""},
		{"first byte", Resource, " " + bucketWith(`"*"`), BadSyntax, ""},
		{"no such kind", Session + 1, `{}`, BadSyntax, ""},
		{"not UTF-8", Resource, "{\"Id\":\"\xff\"}", BadSyntax, ""},
		{"control character", Identity, identityWith(`,"Sid":"a\u0000"`), BadSyntax, "Statement[0].Sid"},
		{"half a surrogate", Identity, identityWith(`,"Sid":"\ud800"`), BadSyntax, "Statement[0].Sid"},
		{"above U+00FF", Identity, identityWith(`,"Sid":"日"`), BadSyntax, ""},
		{
			"deep", Identity, identityWith(`,"Condition":` + strings.Repeat("[", 20) + strings.Repeat("]", 20)),
			BadSyntax, "Statement[0].Condition[0][0][0][0][0][0]",
		},
		{"name twice", Identity, identityWith(`,"Effect":"Deny"`), BadSyntax, "Statement[0].Effect"},
		{
			"key twice", Identity, conditionOf(`{"Bool":{"aws:a":true,"aws:a":true}}`), BadSyntax,
			"Statement[0].Condition.Bool.aws:a",
		},
		{"null", Identity, identityWith(`,"Condition":null`), BadCondition, "Statement[0].Condition"},
		{"unknown element", Identity, identityWith(`,"Comment":"x"`), UnknownElement, "Statement[0].Comment"},
		{"unknown element above", Identity, `{"Version":"2012-10-17","Rule":[]}`, UnknownElement, "Rule"},
		{"case of an element", Identity, `{"version":"2012-10-17"}`, UnknownElement, "version"},
		{"version", Identity, `{"Version":"2013-10-17","Statement":[]}`, BadVersion, "Version"},
		{"version of another type", Identity, `{"Version":2012,"Statement":[]}`, BadVersion, "Version"},
		{"no statement", Identity, `{}`, MissingElement, "Statement"},
		{"no statements", Identity, `{"Statement":[]}`, MissingElement, "Statement"},
		{"statement is text", Identity, `{"Statement":["x"]}`, BadSyntax, "Statement[0]"},
		{"no effect", Identity, `{"Statement":{"Action":"*","Resource":"*"}}`, MissingElement, "Statement.Effect"},
		{
			"case of the effect", Identity, `{"Statement":{"Effect":"allow","Action":"*","Resource":"*"}}`, BadEffect,
			"Statement.Effect",
		},
		{"no action", Identity, `{"Statement":{"Effect":"Allow","Resource":"*"}}`, MissingElement, "Statement.Action"},
		{"two actions", Identity, identityWith(`,"NotAction":"*"`), BadSyntax, "Statement[0]"},
		{
			"empty action", Identity, `{"Statement":{"Effect":"Allow","Action":[],"Resource":"*"}}`, BadAction,
			"Statement.Action",
		},
		{
			"action of another type", Identity, `{"Statement":{"Effect":"Allow","Action":[1],"Resource":"*"}}`,
			BadAction, "Statement.Action[0]",
		},
		{
			"wildcard service", Identity, `{"Statement":{"Effect":"Allow","Action":"s*:Get","Resource":"*"}}`,
			BadAction, "Statement.Action",
		},
		{
			"action without service", Identity, `{"Statement":{"Effect":"Allow","Action":"GetObject","Resource":"*"}}`,
			BadAction, "Statement.Action",
		},
		{
			"variable in an action", Identity,
			`{"Version":"2012-10-17","Statement":{"Effect":"Allow","Action":"s3:${aws:username}","Resource":"*"}}`,
			BadAction, "Statement.Action",
		},
		{
			"no resource", Identity, `{"Statement":{"Effect":"Allow","Action":"*"}}`, MissingElement,
			"Statement.Resource",
		},
		{
			"resource is no ARN", Identity, `{"Statement":{"Effect":"Allow","Action":"*","Resource":"bucket"}}`,
			BadResource, "Statement.Resource",
		},
		{
			"short ARN", Resource,
			`{"Statement":{"Effect":"Allow","Principal":"*","Action":"*","Resource":"arn:aws:s3:*"}}`, BadResource,
			"Statement.Resource",
		},
		{
			"variable in the account", Identity,
			`{"Version":"2012-10-17","Statement":{"Effect":"Allow","Action":"*",` +
				`"Resource":"arn:aws:s3::${aws:PrincipalAccount}:b"}}`,
			BadResource, "Statement.Resource",
		},
		{
			"open variable", Identity,
			`{"Version":"2012-10-17","Statement":{"Effect":"Allow","Action":"*",` +
				`"Resource":"arn:aws:s3:::${aws:username"}}`,
			BadResource, "Statement.Resource",
		},
		{
			"default without a space", Identity,
			`{"Version":"2012-10-17","Statement":{"Effect":"Allow","Action":"*",` +
				`"Resource":"arn:aws:s3:::${aws:username,'x'}"}}`,
			BadResource, "Statement.Resource",
		},
		{"sid", Identity, identityWith(`,"Sid":"a b"`), BadSid, "Statement[0].Sid"},
		{
			"sid twice", Identity,
			`{"Statement":[{"Sid":"a","Effect":"Allow","Action":"*","Resource":"*"},{"Sid":"a","Effect":"Allow",` +
				`"Action":"*","Resource":"*"}]}`,
			BadSid, "Statement[1].Sid",
		},
		{
			"principal in an identity policy", Identity, identityWith(`,"Principal":"*"`), UnknownElement,
			"Statement[0].Principal",
		},
		{
			"principal in a session policy", Session, identityWith(`,"Principal":"*"`), UnknownElement,
			"Statement[0].Principal",
		},
		{"id that is no text", Identity, `{"Id":{},"Statement":[]}`, BadSyntax, "Id"},
		{"no principal", Resource, identityWith(""), MissingElement, "Statement[0].Principal"},
		{"no principal in a key policy", Key, identityWith(""), MissingElement, "Statement[0].Principal"},
		{
			"a bucket in a key policy", Key, keyWith(`"AWS":"*"`, `"Resource":"arn:aws:s3:::b"`), BadResource,
			"Statement.Resource",
		},
		{
			"keys by pattern in a key policy", Key,
			keyWith(`"AWS":"*"`, `"Resource":"arn:aws:kms:*:111122223333:key/*"`), BadResource, "Statement.Resource",
		},
		{
			"all but one key in a key policy", Key, keyWith(`"AWS":"*"`, `"NotResource":"*"`), BadResource,
			"Statement.NotResource",
		},
		{
			"an identity provider in a key policy", Key, keyWith(`"Federated":"accounts.google.com"`, `"Resource":"*"`),
			BadPrincipal, "Statement.Principal.Federated",
		},
		{
			"a canonical id in a key policy", Key, keyWith(`"CanonicalUser":"`+canonicalHome+`"`, `"Resource":"*"`),
			BadPrincipal, "Statement.Principal.CanonicalUser",
		},
		{
			"NotPrincipal allows", Resource,
			`{"Statement":{"Effect":"Allow","NotPrincipal":{"AWS":"111122223333"},"Action":"*","Resource":"*"}}`,
			BadPrincipal, "Statement.NotPrincipal",
		},
		{"resource in a trust policy", Trust, bucketWith(`"*"`), UnknownElement, "Statement[0].Resource"},
		{
			"NotPrincipal in a trust policy", Trust,
			`{"Statement":{"Effect":"Deny","NotPrincipal":"*","Action":"sts:AssumeRole"}}`, UnknownElement,
			"Statement.NotPrincipal",
		},
		{
			"other actions in a trust policy", Trust,
			`{"Statement":{"Effect":"Deny","Principal":"*","Action":"s3:GetObject"}}`, BadAction, "Statement.Action",
		},
		{
			"operator", Identity, conditionOf(`{"StringMatches":{"aws:a":"b"}}`), BadCondition,
			"Statement[0].Condition.StringMatches",
		},
		{
			"case of an operator", Identity, conditionOf(`{"stringEquals":{"aws:a":"b"}}`), BadCondition,
			"Statement[0].Condition.stringEquals",
		},
		{
			"NullIfExists", Identity, conditionOf(`{"NullIfExists":{"aws:a":true}}`), BadCondition,
			"Statement[0].Condition.NullIfExists",
		},
		{
			"ForAllValues:Null", Identity, conditionOf(`{"ForAllValues:Null":{"aws:a":true}}`), BadCondition,
			"Statement[0].Condition.ForAllValues:Null",
		},
		{
			"StringLessThan", Identity, conditionOf(`{"StringLessThan":{"aws:a":"1"}}`), BadCondition,
			"Statement[0].Condition.StringLessThan",
		},
		{"no key", Resource, bucketOf(`{"StringEquals":{}}`), BadCondition, "Statement[0].Condition.StringEquals"},
		{
			"no value", Resource, bucketOf(`{"StringEquals":{"aws:a":[]}}`), BadCondition,
			"Statement[0].Condition.StringEquals.aws:a",
		},
		{
			"null value", Identity, conditionOf(`{"StringEquals":{"aws:a":null}}`), BadCondition,
			"Statement[0].Condition.StringEquals.aws:a",
		},
		{
			"key without service", Resource, bucketOf(`{"StringEquals":{"a":"b"}}`), BadCondition,
			"Statement[0].Condition.StringEquals.a",
		},
		{
			"key with a variable", Identity, conditionOf(`{"StringEquals":{"aws:${a}":"b"}}`), BadCondition,
			"Statement[0].Condition.StringEquals.aws:${a}",
		},
		{
			"number", Identity, conditionOf(`{"NumericEquals":{"aws:a":"ten"}}`), BadCondition,
			"Statement[0].Condition.NumericEquals.aws:a",
		},
		{
			"date", Identity, conditionOf(`{"DateEquals":{"aws:a":"tomorrow"}}`), BadCondition,
			"Statement[0].Condition.DateEquals.aws:a",
		},
		{
			"variable as a date", Identity, conditionOf(`{"DateEquals":{"aws:a":"${aws:CurrentTime}"}}`), BadCondition,
			"Statement[0].Condition.DateEquals.aws:a",
		},
		{
			"boolean", Identity, conditionOf(`{"Bool":{"aws:a":"yes"}}`), BadCondition,
			"Statement[0].Condition.Bool.aws:a",
		},
		{
			"base64", Identity, conditionOf(`{"BinaryEquals":{"aws:a":"?"}}`), BadCondition,
			"Statement[0].Condition.BinaryEquals.aws:a",
		},
		{
			"address", Identity, conditionOf(`{"IpAddress":{"aws:a":"10.0.0.0/33"}}`), BadAddress,
			"Statement[0].Condition.IpAddress.aws:a",
		},
		{
			"address with a zone", Identity, conditionOf(`{"IpAddress":{"aws:a":"fe80::1%eth0"}}`), BadAddress,
			"Statement[0].Condition.IpAddress.aws:a",
		},
		{
			"not an ARN", Identity, conditionOf(`{"ArnLike":{"aws:a":"arn:aws:s3:*"}}`), BadCondition,
			"Statement[0].Condition.ArnLike.aws:a",
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := Parse(c.kind, []byte(c.text))
			var e *Error
			if !errors.As(err, &e) {
				t.Errorf("%s: %v, want an *Error", c.name, err)
				return
			}
			if e.Problem != c.problem || e.Path != c.path || e.Text == "" {
				t.Errorf("%s: problem %d at %q (%s), want %d at %q", c.name, e.Problem, e.Path, e.Text, c.problem,
					c.path)
			}
		})
	}
}

func TestPrincipals(t *testing.T) {
	for value, good := range map[string]bool{
		`"*"`: true, `{"AWS":"*"}`: true, `{"AWS":["*","111122223333"]}`: true,
		`{"AWS":"111122223333"}`: true, `{"AWS":"arn:aws:iam::111122223333:root"}`: true,
		`{"AWS":"arn:aws:iam::111122223333:user/a/b/c"}`: true, `{"AWS":"arn:aws:iam::111122223333:role/r"}`: true,
		`{"AWS":"arn:aws:sts::111122223333:assumed-role/r/s"}`: true,
		`{"AWS":"arn:aws:sts::111122223333:federated-user/f"}`: true,
		`{"AWS":"AIDAEXAMPLEEXAMPLE12"}`:                       true, `{"AWS":"AROAEXAMPLEEXAMPLE12"}`: true,
		`{"Service":"cloudfront.amazonaws.com"}`: true, `{"Service":["a.b","c.d"],"AWS":"111122223333"}`: true,
		`{"Federated":"accounts.google.com"}`:                           true,
		`{"Federated":"arn:aws:iam::111122223333:oidc-provider/x.y/z"}`: true,
		`{"Federated":"arn:aws:iam::111122223333:saml-provider/x"}`:     true,
		`{"CanonicalUser":"` + strings.Repeat("0f", 32) + `"}`:          true,

		`""`: false, `"111122223333"`: false, `{}`: false, `[]`: false, `{"AWS":[]}`: false, `{"aws":"*"}`: false,
		`{"User":"*"}`:                          false,
		`{"AWS":"arn:aws:iam::111122223333:*"}`: false, `{"AWS":"arn:aws:iam::*:root"}`: false, `{"AWS":"**"}`: false,
		`{"AWS":"arn:aws:iam::111122223333:user/*"}`:               false,
		`{"AWS":"arn:aws:iam::111122223333:user/${aws:username}"}`: false,
		`{"AWS":"arn:aws:iam::111122223333:group/g"}`:              false,
		`{"AWS":"arn:aws:iam::111122223333:root/x"}`:               false,
		`{"AWS":"arn:aws:iam::111122223333:user/"}`:                false,
		`{"AWS":"arn:aws:iam::111122223333:user"}`:                 false,
		`{"AWS":"arn:aws:iam::cloudfront:user/x"}`:                 false, `{"AWS":"arn:aws:s3:::b"}`: false,
		`{"AWS":"11112222333"}`:                                false,
		`{"AWS":"arn:aws:sts::111122223333:assumed-role/r"}`:   false,
		`{"AWS":"arn:aws:sts::111122223333:assumed-role/r/*"}`: false,
		`{"AWS":"arn:aws:iam:us-east-1:111122223333:root"}`:    false, `{"AWS":"AGPAEXAMPLEEXAMPLE12"}`: false,
		`{"AWS":true}`:    false,
		`{"Service":"*"}`: false, `{"Service":"*.amazonaws.com"}`: false, `{"Service":"cloudfront"}`: false,
		`{"Service":"Cloudfront.amazonaws.com"}`: false,
		`{"Federated":"*"}`:                      false, `{"Federated":"arn:aws:iam::111122223333:user/x"}`: false,
		`{"CanonicalUser":"*"}`: false, `{"CanonicalUser":"abc"}`: false,
	} {
		t.Run(fmt.Sprintf("%.60s", value), func(t *testing.T) {
			_, err := Parse(Resource, []byte(bucketWith(value)))
			var e *Error
			if good != (err == nil) || err != nil && (!errors.As(err, &e) || e.Problem != BadPrincipal) {
				t.Errorf("%s: %v", value, err)
			}
		})
	}
}

// TestSizes: the limits are exact, and IAM does not count white space.
func TestSizes(t *testing.T) {
	for i, c := range []struct {
		kind   Kind
		limit  int
		blanks bool // white space is free
		text   string
	}{
		{
			Identity, 10_240, true,
			`{"Version":"2012-10-17","Statement":{"Effect":"Allow","Action":"*","Resource":"arn:aws:s3:::~"}}`,
		},
		{
			Session, 2_048, false,
			`{"Version":"2012-10-17","Statement":{"Effect":"Allow","Action":"*","Resource":"arn:aws:s3:::~"}}`,
		},
		{Trust, 4_096, true, `{"Statement":{"Effect":"Allow","Principal":"*","Action":"sts:~"}}`},
		{
			Resource, 20_480, false,
			`{"Id":"~","Statement":{"Effect":"Allow","Principal":"*","Action":"*","Resource":"*"}}`,
		},
		{Key, 32_768, false, `{"Id":"~","Statement":{"Effect":"Allow","Principal":"*","Action":"*","Resource":"*"}}`},
	} {
		t.Run(fmt.Sprint(i), func(t *testing.T) {
			fill := func(n int) string { return strings.Replace(c.text, "~", strings.Repeat("a", n-len(c.text)+1), 1) }
			if _, err := Parse(c.kind, []byte(fill(c.limit))); err != nil {
				t.Errorf("kind %d at its limit: %v", c.kind, err)
			}
			_, err := Parse(c.kind, []byte(fill(c.limit+1)))
			var e *Error
			if !errors.As(err, &e) || e.Problem != TooLong {
				t.Errorf("kind %d over its limit: %v", c.kind, err)
			}
			if _, err := Parse(c.kind, []byte(fill(c.limit)+" \r\n\t")); (err == nil) != c.blanks {
				t.Errorf("kind %d with white space: %v", c.kind, err)
			}
		})
	}
	if _, err := Parse(Identity, []byte(identityWith("")+strings.Repeat(" ", maxText))); err == nil {
		t.Error("unbounded white space is accepted")
	}
}

// TestPrint: a document is printed as it was read, except for missing brackets, order and white space.
func TestPrint(t *testing.T) {
	for _, c := range []struct {
		kind     Kind
		in, want string
	}{
		{Identity, `{"Statement":{"Resource":["*"],"Action":["s3:Get*"],"Effect":"Allow","Sid":""}}`,
			`{"Statement":[{"Effect":"Allow","Action":"s3:Get*","Resource":"*"}]}`},
		{Resource,
			` {"Id":"x","Version":"2008-10-17","Statement":[{"Sid":"a b","Effect":"Deny",` +
				`"NotPrincipal":{"Service":"a.b","AWS":["*"]},"NotAction":["s3:a","s3:b"],` +
				`"NotResource":"arn:aws:s3:::日<&"}]}`,
			`{"Version":"2008-10-17","Id":"x","Statement":[{"Sid":"a b","Effect":"Deny",` +
				`"NotPrincipal":{"Service":"a.b","AWS":"*"},"NotAction":["s3:a","s3:b"],` +
				`"NotResource":"arn:aws:s3:::日<&"}]}`},
		{Resource,
			`{"Statement":{"Effect":"Allow","Principal":{"AWS":["*"]},"Action":"*","Resource":"*","Condition":{}}}`,
			`{"Statement":[{"Effect":"Allow","Principal":"*","Action":"*","Resource":"*"}]}`},
		{Trust,
			`{"Statement":{"Effect":"Allow","Principal":{"AWS":["111122223333","444455556666"]},` +
				`"Action":"sts:AssumeRole","Condition":{"Bool":{"aws:MultiFactorAuthPresent":true},` +
				`"NumericLessThan":{"aws:MultiFactorAuthAge":[1.50,"2"]}}}}`,
			`{"Statement":[{"Effect":"Allow","Principal":{"AWS":["111122223333","444455556666"]},` +
				`"Action":"sts:AssumeRole","Condition":{"Bool":{"aws:MultiFactorAuthPresent":true},` +
				`"NumericLessThan":{"aws:MultiFactorAuthAge":[1.50,"2"]}}}]}`},
		{Identity, `{"Statement":{"Effect":"Allow","Action":"*","Resource":"arn:aws:s3:::\u65e5\ud83d\ude00\"\\\n\/"}}`,
			`{"Statement":[{"Effect":"Allow","Action":"*","Resource":"arn:aws:s3:::\u65e5\ud83d\ude00\"\\\n/"}]}`},
	} {
		t.Run(c.want, func(t *testing.T) {
			d, err := Parse(c.kind, []byte(strings.TrimSpace(c.in)))
			if err != nil {
				t.Errorf("%s: %v", c.in, err)
				return
			}
			if d.String() != c.want {
				t.Errorf("printed\n%s, want\n%s", d, c.want)
			}
			sameAgain(t, d)
		})
	}
}

type failer interface {
	Helper()
	Fatalf(string, ...any)
}

// sameAgain checks that printing and parsing a document does not change it.
func sameAgain(t failer, d *Document) {
	t.Helper()
	text := d.String()
	if !json.Valid([]byte(text)) {
		t.Fatalf("not JSON: %s", text)
	}
	again, err := Parse(d.kind, []byte(text))
	if err != nil {
		t.Fatalf("%s: %v", text, err)
	}
	if !reflect.DeepEqual(d, again) {
		t.Fatalf("%s is printed and parsed as another document, %s", text, again)
	}
}

func TestMentions(t *testing.T) {
	d := mustParse(t, Resource, `{"Version":"2012-10-17","Statement":[
		{"Effect":"Allow","Principal":{"AWS":"111122223333","Service":"a.b"},"Action":"s3:Get*","Resource":"arn:aws:s3:::b/${aws:PrincipalTag/Team, 'x'}",
		 "Condition":{"StringEquals":{"S3:ExistingObjectTag/Secret":"${saml:sub}"},"ArnLike":{"aws:SourceArn":"arn:aws:s3:::${aws:username}"}}},
		{"Effect":"Deny","Principal":{"AWS":"111122223333"},"NotAction":"s3:*","Resource":"*"}]}`)
	for prefix, want := range map[string]bool{
		"s3:ExistingObjectTag": true, "s3:existingobjecttag/": true, "s3:ExistingObjectTag/Secret": true,
		"s3:ExistingObjectTag/secret": false,
		"aws:PrincipalTag/team":       true, "saml:": true, "aws:SourceArn": true, "aws:SourceIp": false,
		"aws:username": true, "zzz": false, "kms:": false,
	} {
		t.Run(prefix, func(t *testing.T) {
			if d.Mentions(prefix) != want {
				t.Errorf("Mentions(%q) is %v, of %q", prefix, !want, d.mentions)
			}
		})
	}
	if !d.MentionsAction("s3:getobject") || d.MentionsAction("s3:PutObject") || !d.MentionsAction("kms:Decrypt") {
		t.Error("MentionsAction")
	}
	if got := d.Principals(); !reflect.DeepEqual(got, []PrincipalName{{"AWS", "111122223333"}, {"Service", "a.b"}}) {
		t.Errorf("Principals: %v", got)
	}
	said := d.Statements()
	if len(said) != 2 || said[0].Effect != Allow || said[1].Effect != ExplicitDeny || !said[1].NotAction ||
		said[0].Conditions[0].Key != "S3:ExistingObjectTag/Secret" {
		t.Errorf("%+v", said)
	}
	old := mustParse(t, Identity,
		`{"Statement":{"Effect":"Allow","Action":"*","Resource":"arn:aws:s3:::${aws:username}"}}`)
	if old.Mentions("aws:") {
		t.Error("the older version has no variables")
	}
}

func mustParse(t testing.TB, k Kind, text string) *Document {
	t.Helper()
	d, err := Parse(k, []byte(text))
	if err != nil {
		t.Fatalf("%s: %v", text, err)
	}
	return d
}

func FuzzParse(f *testing.F) {
	f.Add(uint8(Identity), []byte(identityWith("")))
	f.Add(uint8(Resource), []byte(bucketWith(`{"AWS":["*","111122223333"]}`)))
	f.Add(uint8(Session),
		[]byte(conditionOf(`{"ForAnyValue:StringLikeIfExists":{"aws:TagKeys":["a*","${aws:username, 'x'}"]},`+
			`"IpAddress":{"aws:SourceIp":"::1/7"},"DateLessThan":{"aws:CurrentTime":1}}`)))
	f.Add(uint8(Trust), []byte(`{"Statement":{"Effect":"Allow","Principal":{"Federated":"a.b"},"Action":"sts:*"}}`))
	f.Fuzz(func(t *testing.T, kind uint8, text []byte) {
		d, err := Parse(Kind(kind%uint8(Session+1)), text)
		if err != nil {
			var e *Error
			if d != nil || !errors.As(err, &e) || e.Text == "" {
				t.Fatalf("%v, %v", d, err)
			}
			return
		}
		sameAgain(t, d)
		Decide(&Laws{Identity: []*Document{d}, Resource: []*Document{d}}, &Request{
			Principal: Principal{Kind: User, Account: "111122223333", Name: "a"}, Action: "s3:GetObject",
		})
	})
}

// keyWith returns a key policy with one statement.
func keyWith(principal, resource string) string {
	return `{"Statement":{"Effect":"Allow","Principal":{` + principal + `},"Action":"kms:*",` + resource + `}}`
}
