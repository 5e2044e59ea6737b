package identity

import (
	"strings"
	"testing"

	"watertight/internal/access/arn"
	"watertight/internal/access/policy"
)

// TestPublishedPolicies: AWS's managed policies exist under AWS's names, and allow
// what the names say.
func TestPublishedPolicies(t *testing.T) {
	s, _ := open(t)
	for name, c := range map[string]struct{ allowed, denied string }{
		"AdministratorAccess":              {"iam:CreateUser", ""},
		"PowerUserAccess":                  {"s3:PutObject", "iam:CreateUser"},
		"ReadOnlyAccess":                   {"s3:GetObject", "s3:PutObject"},
		"job-function/ViewOnlyAccess":      {"s3:ListBucket", "s3:GetObject"},
		"AmazonS3FullAccess":               {"s3:DeleteObject", "iam:ListUsers"},
		"AmazonS3ReadOnlyAccess":           {"s3:GetObject", "s3:PutObject"},
		"IAMFullAccess":                    {"iam:CreateUser", "s3:GetObject"},
		"IAMReadOnlyAccess":                {"iam:GetUser", "iam:CreateUser"},
		"SecurityAudit":                    {"s3:GetBucketPolicy", "s3:GetObject"},
		"AWSKeyManagementServicePowerUser": {"kms:CreateKey", "kms:Decrypt"},
		"CloudFrontFullAccess":             {"cloudfront:CreateDistribution", "s3:GetObject"},
		"CloudFrontReadOnlyAccess":         {"cloudfront:GetDistribution", "cloudfront:CreateDistribution"},
	} {
		t.Run(name, func(t *testing.T) {
			p := s.published["arn:aws:iam::aws:policy/"+name]
			if p == nil || !strings.HasPrefix(p.ID, "ANPA") || p.Created.IsZero() || p.Description == "" {
				t.Errorf("%s: %+v", name, p)
				return
			}
			d, err := policy.Parse(policy.Identity, []byte(p.InForce().Document))
			if err != nil {
				t.Fatal(err)
			}
			u := (&Entity{Kind: User, Account: "1", Path: "/", Name: "u", ID: "AIDA"}).Principal()
			for action, want := range map[string]policy.Effect{c.allowed: policy.Allow, c.denied: policy.ImplicitDeny} {
				r := policy.Request{Principal: u, Action: policy.Action(action), Resource: arn.Object("b", "k")}
				if got := policy.Decide(&policy.Laws{Identity: []*policy.Document{d}},
					&r).Effect; action != "" && got != want {
					t.Errorf("%s: %s is %v", name, action, got)
				}
			}
		})
	}
	if len(s.published) != 12 {
		t.Errorf("%d policies", len(s.published))
	}
}
