package e2e

import (
	"fmt"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/iam"
	"github.com/aws/aws-sdk-go-v2/service/iam/types"

	"watertight/test/harness"
)

func TestSimulations(t *testing.T) {
	s := harness.Start(t)
	ctx, c := t.Context(), rootIAM(s)
	_, _, arn := newUser(t, s, "alice")
	document := `{"Version":"2012-10-17","Statement":[
  {"Effect":"Allow","Action":"s3:*","Resource":"arn:aws:s3:::b/${aws:username}/*"},
  {"Effect":"Deny","Action":"s3:DeleteObject","Resource":"*","Condition":{"StringNotEquals":{"aws:PrincipalTag/team":"ops"}}}
]}`
	_, err := c.PutUserPolicy(ctx, &iam.PutUserPolicyInput{
		UserName: aws.String("alice"), PolicyName: aws.String("own"), PolicyDocument: &document,
	})
	expect(t, err, "")
	said := func(results []types.EvaluationResult) string {
		var all []string
		for _, r := range results {
			where := ""
			for _, m := range r.MatchedStatements {
				where += fmt.Sprintf(" %s:%d:%d-%d:%d", *m.SourcePolicyId, m.StartPosition.Line, m.StartPosition.Column,
					m.EndPosition.Line, m.EndPosition.Column)
			}
			all = append(all, fmt.Sprintf("%s %s%s", *r.EvalActionName, r.EvalDecision, where))
		}
		return strings.Join(all, "\n")
	}
	in := &iam.SimulatePrincipalPolicyInput{
		PolicySourceArn: &arn, ActionNames: []string{"s3:GetObject", "s3:DeleteObject", "s3:ListBucket"},
		ResourceArns: []string{"arn:aws:s3:::b/alice/k"},
	}
	out, err := c.SimulatePrincipalPolicy(ctx, in)
	if err != nil {
		t.Fatal(err)
	}
	want := "s3:GetObject allowed own:2:3-2:83\ns3:DeleteObject explicitDeny own:3:3-3:126\ns3:ListBucket allowed " +
		"own:2:3-2:83"
	if got := said(out.EvaluationResults); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
	if m := out.EvaluationResults[0].MissingContextValues; strings.Join(m, " ") != "aws:PrincipalTag/team" {
		t.Error(m)
	}
	in.ContextEntries = []types.ContextEntry{{
		ContextKeyName: aws.String("aws:PrincipalTag/team"), ContextKeyType: types.ContextKeyTypeEnumString,
		ContextKeyValues: []string{"ops"},
	}}
	in.PermissionsBoundaryPolicyInputList = []string{readAll}
	if out, err = c.SimulatePrincipalPolicy(ctx, in); err != nil {
		t.Fatal(err)
	}
	for _, r := range out.EvaluationResults {
		if r.EvalDecision != types.PolicyEvaluationDecisionTypeImplicitDeny ||
			r.PermissionsBoundaryDecisionDetail == nil ||
			r.PermissionsBoundaryDecisionDetail.AllowedByPermissionsBoundary {
			t.Errorf("beyond the boundary: %+v", r)
		}
	}
	custom, err := c.SimulateCustomPolicy(ctx, &iam.SimulateCustomPolicyInput{
		PolicyInputList: []string{readAll}, ActionNames: []string{"s3:ListAllMyBuckets", "s3:GetObject"},
	})
	if err != nil || custom.EvaluationResults[0].EvalDecision != "allowed" ||
		custom.EvaluationResults[1].EvalDecision != "implicitDeny" ||
		*custom.EvaluationResults[0].MatchedStatements[0].SourcePolicyId != "PolicyInputList.1" {
		t.Errorf("%+v, %v", custom, err)
	}
	account := strings.Split(arn, ":")[4]
	for name, row := range map[string]struct{ principal, want string }{
		"the caller": {arn, "s3:GetObject allowed ResourcePolicy:1:39-1:%d"},
		"another":    {"arn:aws:iam::" + account + ":user/team/bob", "s3:GetObject implicitDeny"},
	} {
		t.Run(name, func(t *testing.T) {
			principal, want := row.principal, row.want
			statement := `{"Effect":"Allow","Principal":{"AWS":"` + principal +
				`"},"Action":"s3:GetObject","Resource":"arn:aws:s3:::b/k"}`
			resource := `{"Version":"2012-10-17","Statement":[` + " " + statement + `]}`
			custom, err := c.SimulateCustomPolicy(ctx, &iam.SimulateCustomPolicyInput{
				PolicyInputList: []string{readAll}, ActionNames: []string{"s3:GetObject"},
				ResourceArns: []string{"arn:aws:s3:::b/k"}, ResourcePolicy: &resource, CallerArn: &arn,
			})
			if strings.Contains(want, "%d") {
				want = fmt.Sprintf(want, 39+len(statement))
			}
			if err != nil || said(custom.EvaluationResults) != want {
				t.Errorf("%s: %s, %v", principal, said(custom.EvaluationResults), err)
			}
		})
	}
	_, err = c.SimulateCustomPolicy(ctx, &iam.SimulateCustomPolicyInput{
		PolicyInputList: []string{"{"}, ActionNames: []string{"s3:GetObject"},
	})
	expect(t, err, "InvalidInput")
	keys, err := c.GetContextKeysForPrincipalPolicy(ctx, &iam.GetContextKeysForPrincipalPolicyInput{
		PolicySourceArn: &arn,
	})
	if err != nil || strings.Join(keys.ContextKeyNames, " ") != "aws:PrincipalTag/team aws:username" {
		t.Errorf("%+v, %v", keys, err)
	}
}

// TestSimulationOfARole: a role is simulated like one of its sessions, not like a user.
func TestSimulationOfARole(t *testing.T) {
	c := newCast(t)
	r := c.role(c.root, "r", trust(awsPrincipal(c.account), ""), `{"Version":"2012-10-17","Statement":[
		{"Effect":"Allow","Action":"s3:GetObject","Resource":"*","Condition":{"ArnEquals":{"aws:PrincipalArn":"arn:aws:iam::`+c.account+`:role/r"},"StringEquals":{"aws:PrincipalType":"AssumedRole"},"Null":{"aws:username":"true"}}},
		{"Effect":"Deny","Action":"s3:PutObject","Resource":"*"}]}`)
	out, err := c.root.SimulatePrincipalPolicy(t.Context(), &iam.SimulatePrincipalPolicyInput{
		PolicySourceArn: r.Arn, ActionNames: []string{"s3:GetObject", "s3:PutObject", "s3:DeleteObject"},
	})
	c.ok(err)
	for i, want := range []types.PolicyEvaluationDecisionType{"allowed", "explicitDeny", "implicitDeny"} {
		if got := out.EvaluationResults[i].EvalDecision; got != want {
			t.Errorf("%s: %s, want %s", *out.EvaluationResults[i].EvalActionName, got, want)
		}
	}
}

// TestSimulationIsBounded: the work of a simulation is bounded for all its decisions
// together.
func TestSimulationIsBounded(t *testing.T) {
	c := newCast(t)
	hungry := `{"Version":"2012-10-17","Statement":{"Effect":"Allow","Action":"s3:GetObject",` +
		`"Resource":["arn:aws:s3:::*` + strings.Repeat("a?",
		900) + `x*","arn:aws:s3:::*` + strings.Repeat("a?", 900) + `y*"]}}`
	var resources []string
	for i := range 400 {
		resources = append(resources, fmt.Sprintf("arn:aws:s3:::b/%d%s", i, strings.Repeat("a", 900)))
	}
	out, err := c.root.SimulateCustomPolicy(t.Context(), &iam.SimulateCustomPolicyInput{
		PolicyInputList: []string{hungry}, ActionNames: []string{"s3:GetObject"}, ResourceArns: resources,
		MaxItems: aws.Int32(1000),
	})
	if err != nil || !out.IsTruncated || len(out.EvaluationResults) == 0 || len(out.EvaluationResults) > 200 {
		t.Errorf("a page of %d decisions, %v", len(out.EvaluationResults), err)
	}
	out, err = c.root.SimulateCustomPolicy(t.Context(), &iam.SimulateCustomPolicyInput{
		PolicyInputList: []string{hungry}, ActionNames: []string{"s3:GetObject"}, ResourceArns: resources[:1],
	})
	if err != nil || len(out.EvaluationResults) != 1 {
		t.Error(err)
	}
}
