package bucket

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"watertight/internal/access/policy"
	"watertight/internal/core/acl"
	"watertight/internal/core/change/coretest"
	"watertight/internal/fault"
)

// TestReportNamesAccountsOfTheACL: an account that a bucket's ACL names has access
// whatever is blocked, and the operator's report names it.
func TestReportNamesAccountsOfTheACL(t *testing.T) {
	s := openPolicies(t)
	if err := s.SetOwnership(t.Context(), grant(t, coretest.Account, "box", "s3:PutBucketOwnershipControls"), "box",
		ObjectWriter); err != nil {
		t.Fatal(err)
	}
	l := acl.Request{Grants: acl.List{
		{Account: coretest.Account, Permission: acl.FullControl}, {Account: other, Permission: acl.Read},
	}}
	if err := s.PutACL(t.Context(), grant(t, coretest.Account, "box", "s3:PutBucketAcl"), "box", &l); err != nil {
		t.Fatal(err)
	}
	r, err := NewOperator(s).Report(t.Context(), "box", time.Now())
	if err != nil || r.Merged != blockAll() || !slices.Equal(r.Exposure.Accounts, []string{other}) || r.Exposure.Open {
		t.Errorf("%+v %v", r, err)
	}
}

// TestPeersDecideWhatIsPublic: whether a policy is public depends on the addresses that callers
// share; putting, reading and previewing it agree on that.
func TestPeersDecideWhatIsPublic(t *testing.T) {
	const text = `{"Statement":[{"Effect":"Allow","Principal":"*","Action":"s3:GetObject",` +
		`"Resource":"arn:aws:s3:::box/*","Condition":{"IpAddress":{"aws:SourceIp":"10.1.0.0/16"}}}]}`
	s := openPolicies(t)
	err := s.put(t, coretest.Account, text, true)
	wants(t, err, fault.KindDenied, "AccessDenied")
	s.ServeFrom(policy.ToldApart(policy.Loopback()...))
	if err := s.put(t, coretest.Account, text, true); err != nil {
		t.Fatal(err)
	}
	for i, c := range []struct {
		peers policy.Peers
		want  bool
	}{{policy.Peers{}, true}, {policy.ToldApart(), false}} {
		t.Run(fmt.Sprint(i), func(t *testing.T) {
			s.ServeFrom(c.peers)
			got, err := s.PolicyStatus(t.Context(), grant(t, coretest.Account, "box", "s3:GetBucketPolicyStatus"),
				"box")
			if err != nil || got != c.want {
				t.Errorf("%+v: status %v %v", c.peers, got, err)
			}
			p, err := NewOperator(s).Preview(t.Context(), "box", text, time.Now(),
				func(string, []policy.PrincipalName) ([]policy.Subject, bool, error) { return nil, false, nil })
			if err != nil || p.Public != c.want || p.Refused != c.want {
				t.Errorf("%+v: preview %+v %v", c.peers, p, err)
			}
			if r, err := NewOperator(s).Report(t.Context(), "box",
				time.Now()); err != nil || (r.Exposure.Witness != nil) != c.want {
				t.Errorf("%+v: report %+v %v", c.peers, r.Exposure, err)
			}
			laws, err := s.Laws(t.Context(), "box", time.Now())
			if err != nil || laws.Documents[0].IsPublic(laws.Peers) != c.want {
				t.Errorf("%+v: laws %+v %v", c.peers, laws, err)
			}
		})
	}
}
