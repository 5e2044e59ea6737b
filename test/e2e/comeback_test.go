package e2e

import (
	"fmt"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/iam"
	"github.com/aws/aws-sdk-go-v2/service/sts"
	ststypes "github.com/aws/aws-sdk-go-v2/service/sts/types"
)

// TestNamesThatComeBack: a new policy, group or key with the name of a deleted one gives no
// permissions to those who had them from the deleted one.
func TestNamesThatComeBack(t *testing.T) {
	const s3List = `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":["s3:ListAllMyBuckets","sts:*"],` +
		`"Resource":"*"}]}`
	c := newCast(t)
	ctx := t.Context()
	forget := func(name string) {
		t.Helper()
		_, err := c.root.DeletePolicy(ctx, &iam.DeletePolicyInput{
			PolicyArn: aws.String("arn:aws:iam::" + c.account + ":policy/" + name),
		})
		c.ok(err)
	}

	// A managed policy that was passed to a session, of a role and by federation.
	u := c.user("u", s3List)
	c.role(c.root, "r", trust(awsPrincipal(c.account), ""), s3List)
	passed := c.policy("passed", s3List)
	role := c.assumed(u, assume("arn:aws:iam::"+c.account+":role/r", "one", func(in *sts.AssumeRoleInput) {
		in.PolicyArns = []ststypes.PolicyDescriptorType{{Arn: &passed}}
	}))
	out, err := u.sts.GetFederationToken(ctx, &sts.GetFederationTokenInput{
		Name: aws.String("fed"), PolicyArns: []ststypes.PolicyDescriptorType{{Arn: &passed}},
	})
	c.ok(err)
	federated := c.session(out.Credentials)
	for _, who := range []someone{role, federated} {
		c.ok(list(c, who))
	}
	forget("passed")
	for _, again := range []bool{false, true} {
		t.Run(fmt.Sprint(again), func(t *testing.T) {
			if again {
				c.policy("passed", s3List)
			}
			for i, who := range []someone{role, federated} {
				if err := list(c, who); code(err) != "AccessDenied" {
					t.Errorf("session %d, with a new policy: %v: %v", i, again, err)
				}
			}
		})
	}

	// A managed policy that a user had: to delete it, it was detached.
	v := c.user("v", "")
	attached := c.policy("attached", s3List)
	attach := &iam.AttachUserPolicyInput{UserName: aws.String("v"), PolicyArn: &attached}
	_, err = c.root.AttachUserPolicy(ctx, attach)
	c.ok(err)
	c.ok(list(c, v))
	_, err = c.root.DeletePolicy(ctx, &iam.DeletePolicyInput{PolicyArn: &attached})
	expect(t, err, "DeleteConflict")
	_, err = c.root.DetachUserPolicy(ctx, &iam.DetachUserPolicyInput{UserName: attach.UserName, PolicyArn: &attached})
	c.ok(err)
	forget("attached")
	c.policy("attached", s3List)
	expect(t, list(c, v), "AccessDenied")

	// A group that a user was a member of.
	group := func() {
		t.Helper()
		_, err := c.root.CreateGroup(ctx, &iam.CreateGroupInput{GroupName: aws.String("g")})
		c.ok(err)
		_, err = c.root.PutGroupPolicy(ctx, &iam.PutGroupPolicyInput{
			GroupName: aws.String("g"), PolicyName: aws.String("p"), PolicyDocument: aws.String(s3List),
		})
		c.ok(err)
	}
	group()
	_, err = c.root.AddUserToGroup(ctx, &iam.AddUserToGroupInput{GroupName: aws.String("g"), UserName: aws.String("v")})
	c.ok(err)
	c.ok(list(c, v))
	_, err = c.root.DeleteGroupPolicy(ctx, &iam.DeleteGroupPolicyInput{
		GroupName: aws.String("g"), PolicyName: aws.String("p"),
	})
	c.ok(err)
	_, err = c.root.DeleteGroup(ctx, &iam.DeleteGroupInput{GroupName: aws.String("g")})
	expect(t, err, "DeleteConflict")
	_, err = c.root.RemoveUserFromGroup(ctx, &iam.RemoveUserFromGroupInput{
		GroupName: aws.String("g"), UserName: aws.String("v"),
	})
	c.ok(err)
	_, err = c.root.DeleteGroup(ctx, &iam.DeleteGroupInput{GroupName: aws.String("g")})
	c.ok(err)
	group()
	expect(t, list(c, v), "AccessDenied")

	// A key: its sessions stay invalid, whatever new keys the user has.
	token, err := u.sts.GetSessionToken(ctx, &sts.GetSessionTokenInput{})
	c.ok(err)
	session := c.session(token.Credentials)
	c.ok(list(c, session))
	_, err = c.root.DeleteAccessKey(ctx, &iam.DeleteAccessKeyInput{
		UserName: aws.String("u"), AccessKeyId: &u.key.AccessKeyID,
	})
	c.ok(err)
	for range 2 {
		_, err = c.root.CreateAccessKey(ctx, &iam.CreateAccessKeyInput{UserName: aws.String("u")})
		c.ok(err)
	}
	for _, who := range []someone{session, role, federated} {
		expect(t, list(c, who), "InvalidAccessKeyId")
	}

	// A boundary: it can't be deleted while it is in use.
	boundary := c.policy("boundary", readAll)
	_, err = c.root.PutUserPermissionsBoundary(ctx, &iam.PutUserPermissionsBoundaryInput{
		UserName: aws.String("v"), PermissionsBoundary: &boundary,
	})
	c.ok(err)
	_, err = c.root.DeletePolicy(ctx, &iam.DeletePolicyInput{PolicyArn: &boundary})
	expect(t, err, "DeleteConflict")
}
