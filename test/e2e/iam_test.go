package e2e

import (
	"errors"
	"fmt"
	"net/url"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/iam"
	"github.com/aws/aws-sdk-go-v2/service/iam/types"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/sts"
	"github.com/aws/smithy-go"

	"watertight/test/harness"
)

func iamClient(s *harness.Server, id, secret, token string) *iam.Client {
	return iam.New(iam.Options{
		Region: s.Region, BaseEndpoint: &s.Endpoint, RetryMaxAttempts: 1, HTTPClient: harness.SDK(s.HTTP),
		Credentials: credentials.NewStaticCredentialsProvider(id, secret, token),
	})
}

func rootIAM(s *harness.Server) *iam.Client {
	return iamClient(s, s.AccessKeyID, s.SecretAccessKey, "")
}

func expect(t testing.TB, err error, code string) {
	t.Helper()
	var e smithy.APIError
	if code == "" && err != nil || code != "" && (!errors.As(err, &e) || e.ErrorCode() != code) {
		t.Errorf("%v, want %s", err, code)
	}
}

const readAll = `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"s3:ListAllMyBuckets",` +
	`"Resource":"*"}]}`

// newUser makes a user with a key and returns a client for it.
func newUser(t testing.TB, s *harness.Server, name string) (*iam.Client, *s3.Client, string) {
	t.Helper()
	root := rootIAM(s)
	u, err := root.CreateUser(t.Context(), &iam.CreateUserInput{UserName: &name, Path: aws.String("/team/")})
	if err != nil {
		t.Fatal(err)
	}
	k, err := root.CreateAccessKey(t.Context(), &iam.CreateAccessKeyInput{UserName: &name})
	if err != nil {
		t.Fatal(err)
	}
	id, secret := *k.AccessKey.AccessKeyId, *k.AccessKey.SecretAccessKey
	objects := s3.New(s3.Options{
		Region: s.Region, BaseEndpoint: &s.Endpoint, UsePathStyle: true, RetryMaxAttempts: 1,
		HTTPClient:  harness.SDK(s.HTTP),
		Credentials: credentials.NewStaticCredentialsProvider(id, secret, ""),
	})
	return iamClient(s, id, secret, ""), objects, *u.User.Arn
}

// TestUserIsAllowedWhatItsPoliciesSay: the first steps of an administrator are a user, a key, a policy
// and a bucket.
func TestUserIsAllowedWhatItsPoliciesSay(t *testing.T) {
	s := harness.Start(t)
	ctx, root := t.Context(), rootIAM(s)
	own, objects, _ := newUser(t, s, "alice")
	list := func() error { _, err := objects.ListBuckets(ctx, &s3.ListBucketsInput{}); return err }
	expect(t, list(), "AccessDenied")

	_, err := root.PutUserPolicy(ctx, &iam.PutUserPolicyInput{
		UserName: aws.String("alice"), PolicyName: aws.String("read"), PolicyDocument: aws.String(readAll),
	})
	expect(t, err, "")
	expect(t, list(), "")
	got, err := root.GetUserPolicy(ctx, &iam.GetUserPolicyInput{
		UserName: aws.String("alice"), PolicyName: aws.String("read"),
	})
	if err != nil {
		t.Fatal(err)
	}
	if text, err := url.PathUnescape(*got.PolicyDocument); err != nil || text != readAll {
		t.Errorf("%q, %v", text, err)
	}
	_, err = root.DeleteUserPolicy(ctx, &iam.DeleteUserPolicyInput{
		UserName: aws.String("alice"), PolicyName: aws.String("read"),
	})
	expect(t, err, "")
	expect(t, list(), "AccessDenied")

	_, err = own.GetUser(ctx, &iam.GetUserInput{})
	expect(t, err, "AccessDenied")
	_, err = root.AttachUserPolicy(ctx, &iam.AttachUserPolicyInput{
		UserName: aws.String("alice"), PolicyArn: aws.String("arn:aws:iam::aws:policy/IAMReadOnlyAccess"),
	})
	expect(t, err, "")
	u, err := own.GetUser(ctx, &iam.GetUserInput{})
	if err != nil || *u.User.UserName != "alice" || *u.User.Path != "/team/" {
		t.Errorf("%+v, %v", u, err)
	}
	_, err = own.CreateUser(ctx, &iam.CreateUserInput{UserName: aws.String("mallory")})
	expect(t, err, "AccessDenied")
	keys, err := own.ListAccessKeys(ctx, &iam.ListAccessKeysInput{})
	if err != nil || len(keys.AccessKeyMetadata) != 1 {
		t.Fatalf("%+v, %v", keys, err)
	}
	_, err = root.UpdateAccessKey(ctx, &iam.UpdateAccessKeyInput{
		UserName: aws.String("alice"), AccessKeyId: keys.AccessKeyMetadata[0].AccessKeyId,
		Status: types.StatusTypeInactive,
	})
	expect(t, err, "")
	_, err = own.GetUser(ctx, &iam.GetUserInput{})
	expect(t, err, "InvalidClientTokenId")
}

// TestNeedsAreOnThePathOfTheUser: a policy on a path applies to the users with that path.
func TestNeedsAreOnThePathOfTheUser(t *testing.T) {
	s := harness.Start(t)
	ctx, root := t.Context(), rootIAM(s)
	own, _, arn := newUser(t, s, "alice")
	_, err := root.CreateUser(ctx, &iam.CreateUserInput{UserName: aws.String("bob"), Path: aws.String("/other/")})
	expect(t, err, "")
	account := strings.Split(arn, ":")[4]
	_, err = root.PutUserPolicy(ctx, &iam.PutUserPolicyInput{UserName: aws.String("alice"),
		PolicyName: aws.String("team"), PolicyDocument: aws.String(
			`{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":["iam:Get*","iam:List*","iam:Create*",` +
				`"iam:AttachUserPolicy","iam:TagUser"],"Resource":"arn:aws:iam::` + account + `:user/team/*"},
		{"Effect":"Deny","Action":"iam:AttachUserPolicy","Resource":"*","Condition":{"ArnNotEquals":{"iam:PolicyARN":"arn:aws:iam::aws:policy/IAMReadOnlyAccess"}}},
		{"Effect":"Deny","Action":"iam:TagUser","Resource":"*","Condition":{"ForAnyValue:StringEquals":{"aws:TagKeys":"admin"}}}]}`)})
	expect(t, err, "")
	for _, c := range []struct {
		name string
		do   func() error
		code string
	}{
		{"get in the team", func() error {
			_, err := own.GetUser(ctx, &iam.GetUserInput{
				UserName: aws.String("alice"),
			})
			return err
		}, ""},
		{"get outside", func() error {
			_, err := own.GetUser(ctx, &iam.GetUserInput{
				UserName: aws.String("bob"),
			})
			return err
		}, "AccessDenied"},
		{"get an unknown user", func() error {
			_, err := own.GetUser(ctx, &iam.GetUserInput{
				UserName: aws.String("carol"),
			})
			return err
		}, "AccessDenied"},
		{"list all", func() error { _, err := own.ListUsers(ctx, &iam.ListUsersInput{}); return err }, "AccessDenied"},
		{"list the team", func() error {
			_, err := own.ListUsers(ctx, &iam.ListUsersInput{PathPrefix: aws.String("/team/")})
			return err
		}, ""},
		{"create outside", func() error {
			_, err := own.CreateUser(ctx, &iam.CreateUserInput{UserName: aws.String("d")})
			return err
		}, "AccessDenied"},
		{"create within", func() error {
			_, err := own.CreateUser(ctx, &iam.CreateUserInput{UserName: aws.String("d"), Path: aws.String("/team/")})
			return err
		}, ""},
		{"attach another", func() error { return attachTo(t, own, "alice", "AdministratorAccess") }, "AccessDenied"},
		{"attach the one", func() error { return attachTo(t, own, "alice", "IAMReadOnlyAccess") }, ""},
		{"a forbidden tag", func() error { return tagUser(t, own, "alice", "admin") }, "AccessDenied"},
		{"a tag", func() error { return tagUser(t, own, "alice", "color") }, ""},
	} {
		t.Run(c.name, func(t *testing.T) { expect(t, c.do(), c.code) })
	}
}

func attachTo(t testing.TB, c *iam.Client, user, policy string) error {
	_, err := c.AttachUserPolicy(t.Context(), &iam.AttachUserPolicyInput{
		UserName: &user, PolicyArn: aws.String("arn:aws:iam::aws:policy/" + policy),
	})
	return err
}

func tagUser(t testing.TB, c *iam.Client, user, key string) error {
	_, err := c.TagUser(t.Context(), &iam.TagUserInput{
		UserName: &user, Tags: []types.Tag{{Key: &key, Value: aws.String("v")}},
	})
	return err
}

func TestGroupsRolesAndPolicies(t *testing.T) {
	s := harness.Start(t)
	ctx, c := t.Context(), rootIAM(s)
	_, objects, arn := newUser(t, s, "alice")
	list := func() error { _, err := objects.ListBuckets(ctx, &s3.ListBucketsInput{}); return err }
	account := strings.Split(arn, ":")[4]

	p, err := c.CreatePolicy(ctx, &iam.CreatePolicyInput{
		PolicyName: aws.String("read"), PolicyDocument: aws.String(readAll), Description: aws.String("d"),
		Tags: []types.Tag{{Key: aws.String("k"), Value: aws.String("")}},
	})
	if err != nil {
		t.Fatal(err)
	}
	if *p.Policy.Arn != "arn:aws:iam::"+account+":policy/read" || *p.Policy.DefaultVersionId != "v1" ||
		*p.Policy.AttachmentCount != 0 || !p.Policy.IsAttachable {
		t.Errorf("%+v", p.Policy)
	}
	_, err = c.CreateGroup(ctx, &iam.CreateGroupInput{GroupName: aws.String("readers")})
	expect(t, err, "")
	_, err = c.AttachGroupPolicy(ctx, &iam.AttachGroupPolicyInput{
		GroupName: aws.String("readers"), PolicyArn: p.Policy.Arn,
	})
	expect(t, err, "")
	_, err = c.AddUserToGroup(ctx, &iam.AddUserToGroupInput{
		GroupName: aws.String("readers"), UserName: aws.String("alice"),
	})
	expect(t, err, "")
	expect(t, list(), "")
	g, err := c.GetGroup(ctx, &iam.GetGroupInput{GroupName: aws.String("readers")})
	if err != nil || len(g.Users) != 1 || *g.Users[0].UserName != "alice" {
		t.Errorf("%+v, %v", g, err)
	}
	v, err := c.CreatePolicyVersion(ctx, &iam.CreatePolicyVersionInput{
		PolicyArn: p.Policy.Arn, PolicyDocument: aws.String(strings.Replace(readAll, "Allow", "Deny", 1)),
		SetAsDefault: true,
	})
	if err != nil || *v.PolicyVersion.VersionId != "v2" || !v.PolicyVersion.IsDefaultVersion {
		t.Errorf("%+v, %v", v, err)
	}
	expect(t, list(), "AccessDenied")
	versions, err := c.ListPolicyVersions(ctx, &iam.ListPolicyVersionsInput{PolicyArn: p.Policy.Arn})
	if err != nil || len(versions.Versions) != 2 || *versions.Versions[0].VersionId != "v2" {
		t.Errorf("%+v, %v", versions, err)
	}
	users, err := c.ListEntitiesForPolicy(ctx, &iam.ListEntitiesForPolicyInput{PolicyArn: p.Policy.Arn})
	if err != nil || len(users.PolicyGroups) != 1 || *users.PolicyGroups[0].GroupName != "readers" {
		t.Errorf("%+v, %v", users, err)
	}
	_, err = c.DeletePolicy(ctx, &iam.DeletePolicyInput{PolicyArn: p.Policy.Arn})
	expect(t, err, "DeleteConflict")

	trust := `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"AWS":"` + account +
		`"},"Action":"sts:AssumeRole"}]}`
	r, err := c.CreateRole(ctx, &iam.CreateRoleInput{
		RoleName: aws.String("r"), AssumeRolePolicyDocument: &trust, PermissionsBoundary: p.Policy.Arn,
	})
	if err != nil {
		t.Fatal(err)
	}
	if text, _ := url.PathUnescape(*r.Role.AssumeRolePolicyDocument); text != trust ||
		*r.Role.MaxSessionDuration != 3600 || *r.Role.PermissionsBoundary.PermissionsBoundaryArn != *p.Policy.Arn {
		t.Errorf("%+v", r.Role)
	}
	_, err = c.CreateRole(ctx, &iam.CreateRoleInput{
		RoleName: aws.String("s"), AssumeRolePolicyDocument: aws.String("{"),
	})
	expect(t, err, "MalformedPolicyDocument")
	_, err = c.UpdateRole(ctx, &iam.UpdateRoleInput{RoleName: aws.String("r"), MaxSessionDuration: aws.Int32(7200)})
	expect(t, err, "")
	got, err := c.GetRole(ctx, &iam.GetRoleInput{RoleName: aws.String("R")})
	if err != nil || *got.Role.MaxSessionDuration != 7200 {
		t.Errorf("%+v, %v", got, err)
	}
	profiles, err := c.ListInstanceProfilesForRole(ctx, &iam.ListInstanceProfilesForRoleInput{
		RoleName: aws.String("r"),
	})
	if err != nil || len(profiles.InstanceProfiles) != 0 {
		t.Errorf("%+v, %v", profiles, err)
	}
}

func TestIAMErrors(t *testing.T) {
	s := harness.Start(t)
	ctx, c := t.Context(), rootIAM(s)
	message := func(err error) string {
		var e smithy.APIError
		if !errors.As(err, &e) {
			return ""
		}
		return e.ErrorCode() + ": " + e.ErrorMessage()
	}
	for want, do := range map[string]func() error{
		"NoSuchEntity: The user with name nobody cannot be found.": func() error {
			_, err := c.GetUser(ctx, &iam.GetUserInput{UserName: aws.String("nobody")})
			return err
		},
		"ValidationError: The specified value for userName is invalid. It must contain only alphanumeric characters " +
			"and/or the following: +=,.@_-": func() error {
			_, err := c.CreateUser(ctx, &iam.CreateUserInput{UserName: aws.String("a b")})
			return err
		},
		"ValidationError: 1 validation error detected: Value at 'userName' failed to satisfy constraint: Member must " +
			"not be null": func() error {
			_, err := c.CreateUser(ctx, &iam.CreateUserInput{UserName: aws.String("")})
			return err
		},
		"NoSuchEntity: Policy arn:aws:iam::aws:policy/Nothing does not exist or is not attachable.": func() error {
			if _, err := c.CreateUser(ctx, &iam.CreateUserInput{UserName: aws.String("u")}); err != nil {
				return err
			}
			return attachTo(t, c, "u", "Nothing")
		},
		"NoSuchEntity: Policy arn:aws:iam::aws:policy/Nothing was not found.": func() error {
			_, err := c.GetPolicy(ctx, &iam.GetPolicyInput{PolicyArn: aws.String("arn:aws:iam::aws:policy/Nothing")})
			return err
		},
		"ValidationError: ARN this-is-no-arn-at-all is not valid.": func() error {
			_, err := c.GetPolicy(ctx, &iam.GetPolicyInput{PolicyArn: aws.String("this-is-no-arn-at-all")})
			return err
		},
		"NoSuchEntity: Login Profile for User v cannot be found.": func() error {
			if _, err := c.CreateUser(ctx, &iam.CreateUserInput{UserName: aws.String("v")}); err != nil {
				return err
			}
			_, err := c.GetLoginProfile(ctx, &iam.GetLoginProfileInput{UserName: aws.String("v")})
			return err
		},
		"MalformedPolicyDocument: This policy contains invalid Json: the document is not valid JSON at line 2, " +
			"column 14": func() error {
			_, err := c.CreatePolicy(ctx, &iam.CreatePolicyInput{
				PolicyName: aws.String("p"), PolicyDocument: aws.String("{\n\"Statement\": ?"),
			})
			return err
		},
		"MalformedPolicyDocument: Policy statement must contain actions. Statement[1].Action: Missing required field " +
			"Action": func() error {
			_, err := c.CreatePolicy(ctx, &iam.CreatePolicyInput{PolicyName: aws.String("p"),
				PolicyDocument: aws.String(
					`{"Statement":[{"Effect":"Allow","Action":"*","Resource":"*"},{"Effect":"Allow",` +
						`"Resource":"*"}]}`)})
			return err
		},
		"MalformedPolicyDocument: Policy document should not specify a principal. Statement[0].Principal: the " +
			"element is not known here": func() error {
			_, err := c.CreatePolicy(ctx, &iam.CreatePolicyInput{PolicyName: aws.String("p"),
				PolicyDocument: aws.String(
					`{"Statement":[{"Effect":"Allow","Principal":"*","Action":"*","Resource":"*"}]}`)})
			return err
		},
	} {
		t.Run(fmt.Sprintf("%.60s", want), func(t *testing.T) {
			if got := message(do()); got != want {
				t.Errorf("got  %s\nwant %s", got, want)
			}
		})
	}
}

// TestSessionsWithoutMFAHaveNoIAM: a stolen session can't create anything in IAM that would outlive it.
func TestSessionsWithoutMFAHaveNoIAM(t *testing.T) {
	s := harness.Start(t)
	out, err := stsClient(s, s.AccessKeyID, s.SecretAccessKey, "").
		GetSessionToken(t.Context(), &sts.GetSessionTokenInput{})
	if err != nil {
		t.Fatal(err)
	}
	c := iamClient(s, *out.Credentials.AccessKeyId, *out.Credentials.SecretAccessKey, *out.Credentials.SessionToken)
	_, err = c.CreateUser(t.Context(), &iam.CreateUserInput{UserName: aws.String("u")})
	expect(t, err, "InvalidClientTokenId")
	_, err = c.ListUsers(t.Context(), &iam.ListUsersInput{})
	expect(t, err, "InvalidClientTokenId")
	_, err = c.CreateAccessKey(t.Context(), &iam.CreateAccessKeyInput{})
	expect(t, err, "InvalidClientTokenId")
}
