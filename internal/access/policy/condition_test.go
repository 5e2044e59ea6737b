package policy

import (
	"encoding/json"
	"fmt"
	"net/netip"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"watertight/internal/access/arn"
)

func TestConditions(t *testing.T) {
	text, err := os.ReadFile("testdata/conditions.txt")
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	for i, line := range strings.Split(string(text), "\n") {
		if line == "" || line[0] == '#' {
			continue
		}
		f := strings.Split(line, " | ")
		if len(f) < 5 {
			t.Fatalf("line %d: %s", i+1, line)
		}
		n++
		r := Request{
			Principal: caller("alice"), Action: "s3:GetObject", Resource: arn.Object("b", "k"),
			At: time.Date(2026, 5, 1, 12, 0, 0, 999, time.UTC), SourceIP: netip.MustParseAddr("::ffff:203.0.113.9"),
			Keys: map[string][]string{"aws:principaltag/team": {"blue"}},
		}
		if f[3] != "-" {
			var values []string
			if err := json.Unmarshal([]byte(f[3]), &values); err != nil {
				t.Fatalf("line %d: %v", i+1, err)
			}
			r.Keys[KeyName(f[1])] = values
		}
		for j, effect := range []string{"Allow", "Deny"} {
			t.Run(effect, func(t *testing.T) {
				d := mustParse(t,
					Identity, fmt.Sprintf(
						`{"Version":"2012-10-17","Statement":{"Effect":%q,"Action":"*","Resource":"*",`+
							`"Condition":{%q:{%q:%s}}}}`,
						effect, f[0], f[1], f[2],
					))
				want, err := strconv.ParseBool(f[min(4+j, len(f)-1)])
				if err != nil {
					t.Fatalf("line %d: %v", i+1, err)
				}
				if got := Decide(&Laws{Identity: []*Document{d}}, &r).Effect != ImplicitDeny; got != want {
					t.Errorf("line %d: %s in %s: %v", i+1, line, effect, got)
				}
			})
		}
	}
	if n < 100 {
		t.Errorf("%d conditions", n)
	}
}

// TestDerivedKeys: every condition key that follows from the request's typed fields has the right value
// for every caller, even if the map of further keys has other values for it.
func TestDerivedKeys(t *testing.T) {
	for name, want := range map[string]map[string]string{
		"alice": {
			"aws:principalarn": "arn:aws:iam::111122223333:user/alice", "aws:principalaccount": home,
			"aws:principaltype": "User", "aws:userid": "AIDAALICEALICEALICE", "aws:username": "alice",
			"aws:principalisawsservice": "false",
		},
		"root": {
			"aws:principalarn": "arn:aws:iam::111122223333:root", "aws:principalaccount": home,
			"aws:principaltype": "Account", "aws:userid": home, "aws:principalisawsservice": "false",
		},
		"session": {
			"aws:principalarn": "arn:aws:iam::111122223333:role/path/reader", "aws:principalaccount": home,
			"aws:principaltype": "AssumedRole", "aws:userid": "AROAREADERREADER123:s1",
			"aws:principalisawsservice": "false",
		},
		"federated": {
			"aws:principalarn": "arn:aws:sts::111122223333:federated-user/fred", "aws:principalaccount": home,
			"aws:principaltype": "FederatedUser", "aws:userid": home + ":fred", "aws:principalisawsservice": "false",
		},
		"cloudfront": {
			"aws:principaltype": "Service", "aws:principalisawsservice": "true",
			"aws:principalservicename":      "cloudfront.amazonaws.com",
			"aws:principalservicenameslist": "cloudfront.amazonaws.com",
		},
		"anonymous": {"aws:principalaccount": "anonymous", "aws:principaltype": "Anonymous", "aws:userid": "anonymous"},
		"web":       {"aws:principaltype": "FederatedUser"},
	} {
		t.Run(name, func(t *testing.T) {
			want["aws:currenttime"], want["aws:epochtime"] = "2026-05-01T12:00:00Z", "1777636800"
			want["aws:sourceip"] = "2001:db8::1"
			r := Request{
				Principal: caller(name), At: time.Date(2026, 5, 1, 12, 0, 0, 0, time.UTC),
				SourceIP: netip.MustParseAddr("2001:db8::1"), Keys: map[string][]string{},
			}
			in := situation{request: r}
			for _, k := range []string{"aws:currenttime", "aws:epochtime", "aws:sourceip", "aws:principalarn",
				"aws:principalaccount", "aws:principaltype",
				"aws:userid", "aws:username", "aws:principalisawsservice", "aws:principalservicename",
				"aws:principalservicenameslist"} {
				r.Keys[k] = []string{"lie"}
				got := in.values(refTo(k))
				if text, has := want[k]; has != (got.n == 1) || has && got.at(0) != text {
					t.Errorf("%s of %s: %+v, want %q", k, name, got, text)
				}
			}
		})
	}
	in := situation{request: Request{Principal: caller("alice")}}
	for _, k := range []string{"aws:currenttime", "aws:epochtime", "aws:sourceip"} {
		if v := in.values(refTo(k)); v.n != 0 {
			t.Errorf("a request without it has %s = %s", k, v.at(0))
		}
	}
}

func TestKeyName(t *testing.T) {
	for in, want := range map[string]string{
		"aws:SourceIp": "aws:sourceip", "S3:ExistingObjectTag/Team": "s3:existingobjecttag/Team",
		"s3:RequestObjectTag/A/B": "s3:requestobjecttag/A/B",
		"aws:PrincipalTag/Team":   "aws:principaltag/team", "s3:ExistingObjectTag": "s3:existingobjecttag",
	} {
		t.Run(in, func(t *testing.T) {
			if got := KeyName(in); got != want {
				t.Errorf("KeyName(%q) = %q", in, got)
			}
		})
	}
}
