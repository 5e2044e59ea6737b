package policy

import (
	"net/netip"
	"testing"
	"time"

	"watertight/internal/access/arn"
)

// TestSupposedKeys: a simulation can set every key; a request cannot.
func TestSupposedKeys(t *testing.T) {
	r := Request{
		Principal: caller("alice"), Action: "s3:GetObject", Resource: arn.Object("b", "k"),
		At: time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC), SourceIP: netip.MustParseAddr("192.0.2.1"),
	}
	for key, c := range map[string]struct{ operator, own, supposed string }{
		"aws:CurrentTime": {"DateEquals", "2026-01-01T00:00:00Z", "2030-02-03T04:05:06Z"},
		"aws:EpochTime":   {"NumericEquals", "1767225600", "5"},
		"aws:SourceIp":    {"IpAddress", "192.0.2.1", "198.51.100.7"},
		"aws:PrincipalArn": {
			"ArnEquals", "arn:aws:iam::" + home + ":user/alice", "arn:aws:iam::" + other + ":role/r",
		},
		"aws:PrincipalAccount":          {"StringEquals", home, other},
		"aws:PrincipalType":             {"StringEquals", "User", "AssumedRole"},
		"aws:userid":                    {"StringEquals", "AIDAALICEALICEALICE", "AROAX:s"},
		"aws:username":                  {"StringEquals", "alice", "carol"},
		"aws:PrincipalIsAWSService":     {"Bool", "false", "true"},
		"aws:PrincipalServiceName":      {"StringEquals", "", "cloudfront.amazonaws.com"},
		"aws:PrincipalServiceNamesList": {"ForAnyValue:StringEquals", "", "cloudfront.amazonaws.com"},
		"aws:ResourceAccount":           {"StringEquals", home, other},
		"s3:ResourceAccount":            {"StringEquals", home, other},
	} {
		t.Run(key, func(t *testing.T) {
			document := func(value string) Laws {
				return Laws{
					ResourceOwner: home,
					Identity: []*Document{
						mustParse(t, Identity, conditionOf(`{"`+c.operator+`":{"`+key+`":"`+value+`"}}`)),
					},
				}
			}
			supposed := map[string][]string{KeyName(key): {c.supposed}}
			ask := func(name string, v Verdict, want Effect) {
				t.Helper()
				if v.Effect != want {
					t.Errorf("%s, %s: %v, want %v", key, name, v.Effect, want)
				}
			}
			ask("supposed", Suppose(document(c.supposed), r, supposed), Allow)
			if c.own != "" {
				ask("its own", Suppose(document(c.own), r, map[string][]string{}), Allow)
				ask("its own, but supposed to be another", Suppose(document(c.own), r, supposed), ImplicitDeny)
				ask("absent", Suppose(document(c.own), r, map[string][]string{KeyName(key): nil}), ImplicitDeny)
			}
			made := r
			made.Keys = supposed
			ask("made up by a request", Decide(new(document(c.supposed)), &made), ImplicitDeny)
			if Supplied(key, home, r, nil) != (c.own != "") || !Supplied(key, home, r, supposed) ||
				Supplied(key, home, r, map[string][]string{KeyName(key): nil}) {
				t.Errorf("%s: supplied", key)
			}
		})
	}
}
