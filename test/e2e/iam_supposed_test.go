package e2e

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/iam"
	"github.com/aws/aws-sdk-go-v2/service/iam/types"
)

// TestSimulationsUseWhatTheyAreGiven: a simulation uses each given context value, also for keys that
// every request has.
func TestSimulationsUseWhatTheyAreGiven(t *testing.T) {
	c := newCast(t)
	for key, value := range map[string]string{
		"aws:PrincipalAccount": "999988887777", "aws:PrincipalArn": "arn:aws:iam::999988887777:role/x",
		"aws:PrincipalType": "AssumedRole", "aws:EpochTime": "12345",
		"aws:ResourceAccount": "999988887777", "s3:ResourceAccount": "999988887777",
		"aws:PrincipalIsAWSService": "true", "aws:PrincipalServiceName": "cloudfront.amazonaws.com",
		"aws:username": "carol", "aws:userid": "AROAX:y", "aws:SourceIp": "198.51.100.7",
		"aws:CurrentTime": "2031-01-01T00:00:00Z", "s3:prefix": "home/",
	} {
		t.Run(key, func(t *testing.T) {
			operator := map[string]string{
				"aws:SourceIp": "IpAddress", "aws:CurrentTime": "DateEquals", "aws:EpochTime": "NumericEquals",
			}[key]
			if operator == "" {
				operator = "StringEquals"
			}
			document := `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"s3:*","Resource":"*",` +
				`"Condition":{"` + operator + `":{"` + key + `":"` + value + `"}}}]}`
			in := &iam.SimulateCustomPolicyInput{
				PolicyInputList: []string{document}, ActionNames: []string{"s3:GetObject"},
				ResourceArns: []string{"arn:aws:s3:::b/k"},
			}
			for _, given := range []bool{false, true} {
				want := types.PolicyEvaluationDecisionTypeImplicitDeny
				if given {
					want = types.PolicyEvaluationDecisionTypeAllowed
					in.ContextEntries = []types.ContextEntry{{
						ContextKeyName: &key, ContextKeyType: types.ContextKeyTypeEnumString,
						ContextKeyValues: []string{value},
					}}
				}
				out, err := c.root.SimulateCustomPolicy(t.Context(), in)
				c.ok(err)
				r := out.EvaluationResults[0]
				if r.EvalDecision != want || (len(r.MatchedStatements) == 1) != given ||
					given && len(r.MissingContextValues) > 0 {
					t.Errorf("%s given %v: %s, %d statements, missing %v", key, given, r.EvalDecision,
						len(r.MatchedStatements), r.MissingContextValues)
				}
			}
		})
	}
}

// TestShapeOfSimulations: results have the same members as AWS's, and the same requests are refused.
func TestShapeOfSimulations(t *testing.T) {
	c := newCast(t)
	u := c.user("u", `{"Version":"2012-10-17","Statement":[
		{"Sid":"allow","Effect":"Allow","Action":"s3:*","Resource":"*"},
		{"Sid":"no","Effect":"Deny","Action":"s3:PutObject","Resource":"*","Condition":{"StringEquals":{"aws:ResourceAccount":"999988887777"}}},
		{"Sid":"deny","Effect":"Deny","Action":"s3:DeleteObject","Resource":"*"}]}`)
	r := c.role(c.root, "r", trust(awsPrincipal(c.account), ""), readAll)
	resource := `{"Version":"2012-10-17","Statement":[{"Effect":"Deny","Principal":"*","Action":"s3:GetObject",` +
		`"Resource":"arn:aws:s3:::b/*"}]}`
	in := func(change func(*iam.SimulatePrincipalPolicyInput)) *iam.SimulatePrincipalPolicyInput {
		in := &iam.SimulatePrincipalPolicyInput{
			PolicySourceArn: &u.arn,
			ActionNames:     []string{"s3:GetObject", "s3:PutObject", "s3:DeleteObject", "sts:GetCallerIdentity"},
		}
		change(in)
		return in
	}
	said := func(in *iam.SimulatePrincipalPolicyInput) string {
		t.Helper()
		out, err := c.root.SimulatePrincipalPolicy(t.Context(), in)
		c.ok(err)
		var all []string
		for _, r := range out.EvaluationResults {
			details := slices.Sorted(func(yield func(string) bool) {
				for k, v := range r.EvalDecisionDetails {
					if !yield(k + "=" + string(v)) {
						return
					}
				}
			})
			one := fmt.Sprint(r.EvalDecision, " ", len(r.MatchedStatements), details)
			for _, s := range r.ResourceSpecificResults {
				one += fmt.Sprint(" ", *s.EvalResourceName, " ", s.EvalResourceDecision, " ", len(s.MatchedStatements))
			}
			all = append(all, one)
		}
		return strings.Join(all, "; ")
	}
	for name, test := range map[string]struct {
		change func(*iam.SimulatePrincipalPolicyInput)
		want   string
	}{
		"everything": {
			func(*iam.SimulatePrincipalPolicyInput) {}, "allowed 1 []; allowed 1 []; explicitDeny 1 []; allowed 0 []",
		},
		"a resource": {func(in *iam.SimulatePrincipalPolicyInput) {
			in.ResourceArns = []string{"arn:aws:s3:::b/k"}
			in.ActionNames = in.ActionNames[1:3]
		},
			"allowed 1 [] arn:aws:s3:::b/k allowed 1; explicitDeny 1 [] arn:aws:s3:::b/k explicitDeny 1"},
		"a resource policy": {func(in *iam.SimulatePrincipalPolicyInput) {
			in.ResourceArns, in.ActionNames, in.ResourcePolicy = []string{
				"arn:aws:s3:::b/k",
			}, in.ActionNames[:1], &resource
		}, "explicitDeny 1 [] arn:aws:s3:::b/k explicitDeny 1"},
		"another account's": {func(in *iam.SimulatePrincipalPolicyInput) {
			in.ResourceArns, in.ActionNames, in.ResourceOwner = []string{
				"arn:aws:s3:::b/k",
			}, in.ActionNames[:2], aws.String("arn:aws:iam::999988887777:root")
		}, "implicitDeny 1 [IAM Policy=allowed Resource Policy=implicitDeny] arn:aws:s3:::b/k implicitDeny 1; " +
			"explicitDeny 1 [IAM Policy=explicitDeny Resource Policy=implicitDeny] arn:aws:s3:::b/k explicitDeny 1"},
	} {
		t.Run(name, func(t *testing.T) {
			if got := said(in(test.change)); got != test.want {
				t.Errorf("%s:\n%s\nwant\n%s", name, got, test.want)
			}
		})
	}
	_, err := c.root.SimulatePrincipalPolicy(t.Context(),
		in(func(in *iam.SimulatePrincipalPolicyInput) { in.PolicySourceArn, in.ResourcePolicy = r.Arn, &resource }))
	expect(t, err, "InvalidInput")
	_, err = c.root.SimulatePrincipalPolicy(t.Context(), in(func(in *iam.SimulatePrincipalPolicyInput) {
		in.PolicySourceArn, in.ResourcePolicy, in.CallerArn = r.Arn, &resource, &u.arn
	}))
	expect(t, err, "InvalidInput")
	_, err = c.root.SimulatePrincipalPolicy(t.Context(),
		in(func(in *iam.SimulatePrincipalPolicyInput) { in.ResourceHandlingOption = aws.String("anything") }))
	expect(t, err, "ValidationError")
	_, err = c.root.SimulatePrincipalPolicy(t.Context(),
		in(func(in *iam.SimulatePrincipalPolicyInput) { in.ResourceHandlingOption = aws.String("EC2-VPC-EBS") }))
	expect(t, err, "")
	_, err = c.root.SimulateCustomPolicy(t.Context(), &iam.SimulateCustomPolicyInput{
		PolicyInputList: []string{readAll}, ActionNames: []string{"s3:GetObject"}, ResourcePolicy: &resource,
	})
	expect(t, err, "InvalidInput")
}

// TestLongSimulations: results come in pages, each with bounded work.
func TestLongSimulations(t *testing.T) {
	c := newCast(t)
	statement := `{"Effect":"Allow","Action":"s3:Get*","Resource":"*"}`
	document := `{"Version":"2012-10-17","Statement":[` + statement + strings.Repeat(","+statement, 39) + `]}`
	in := &iam.SimulateCustomPolicyInput{ActionNames: []string{"s3:GetObject"}, MaxItems: aws.Int32(1000)}
	for range 10 {
		in.PolicyInputList = append(in.PolicyInputList, document)
	}
	for i := range 60 {
		in.ResourceArns = append(in.ResourceArns, fmt.Sprint("arn:aws:s3:::b/", i))
	}
	seen, pages := 0, 0
	for p := iam.NewSimulateCustomPolicyPaginator(c.root, in); p.HasMorePages(); pages++ {
		out, err := p.NextPage(t.Context())
		c.ok(err)
		seen += len(out.EvaluationResults)
	}
	if seen != 60 || pages < 2 || pages > 10 {
		t.Errorf("%d results in %d pages", seen, pages)
	}
}
