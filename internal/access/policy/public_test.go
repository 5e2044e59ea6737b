package policy

import (
	"fmt"
	"testing"
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
		{`{"Service":"cloudfront.amazonaws.com"}`, `"StringEquals":{"aws:SourceArn":"arn:aws:cloudfront::111122223333:distribution/E"}`, false},
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
		{`"*"`, `"StringEquals":{"s3:x-amz-server-side-encryption-aws-kms-key-id":"arn:aws:kms:us-east-1:111122223333:key/k"}`, true},
		{`"*"`, `"ArnLike":{"aws:SourceArn":"arn:aws:sns:*:111122223333:*"}`, true},
		{`"*"`, `"ArnLike":{"aws:SourceArn":"*"}`, true},
		{`"*"`, `"ArnEquals":{"aws:PrincipalArn":"arn:aws:iam::111122223333:role/r"}`, false},
		{`"*"`, `"StringEquals":{"aws:userid":"AROAEXAMPLE:s"}`, false},
		{`"*"`, `"StringLike":{"aws:userid":"AROAEXAMPLE:*"}`, true},
		{`"*"`, `"StringEquals":{"aws:userid":"anonymous"}`, true},
		{`"*"`, `"StringEquals":{"aws:PrincipalAccount":"anonymous"}`, true},
	} {
		d := mustParse(t, Resource, fmt.Sprintf(`{"Version":"2012-10-17","Statement":[
			{"Effect":"Deny","Principal":"*","Action":"*","Resource":"*"},
			{"Effect":"Allow","Principal":{"AWS":"111122223333"},"Action":"*","Resource":"*"},
			{"Sid":"x","Effect":"Allow","Principal":%s,"Action":"s3:GetObject","Resource":"*","Condition":{%s}}]}`, c.principal, c.condition))
		got, w := Public(d)
		if got != c.want || got != (w != nil) || got && (w.Statement != 2 || w.Sid != "x" || w.Principal.Value == "111122223333") {
			t.Errorf("%s, %s: %v, %+v", c.principal, c.condition, got, w)
		}
	}
	if public, _ := Public(nil); !public {
		t.Error("a policy that cannot be read is taken for public")
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
