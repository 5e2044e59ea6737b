package e2e

import (
	"fmt"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/iam"
	"github.com/aws/aws-sdk-go-v2/service/iam/types"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/sts"
	ststypes "github.com/aws/aws-sdk-go-v2/service/sts/types"

	"watertight/test/harness"
)

const nothingMuch = `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"s3:GetBucketLocation",` +
	`"Resource":"*"}]}`

func (c cast) policy(name, document string) string {
	c.Helper()
	p, err := c.root.CreatePolicy(c.Context(), &iam.CreatePolicyInput{PolicyName: &name, PolicyDocument: &document})
	c.ok(err)
	return *p.Policy.Arn
}

// TestSessionPolicies: policies that are passed to a session can only restrict it.
func TestSessionPolicies(t *testing.T) {
	c := newCast(t)
	u := c.user("u", may("sts:AssumeRole", "*"))
	r := c.role(c.root, "r", trust(awsPrincipal(c.account), ""), may("s3:ListAllMyBuckets", "*"))
	lists, other := c.policy("lists", may("s3:*", "*")), c.policy("other", nothingMuch)
	pass := func(text string, arns ...string) func(*sts.AssumeRoleInput) {
		return func(in *sts.AssumeRoleInput) {
			if text != "" {
				in.Policy = &text
			}
			for _, a := range arns {
				in.PolicyArns = append(in.PolicyArns, ststypes.PolicyDescriptorType{Arn: &a})
			}
		}
	}
	for name, test := range map[string]struct {
		change func(*sts.AssumeRoleInput)
		want   string
	}{
		"none":           {pass(""), ""},
		"all":            {pass(may("*", "*")), ""},
		"another action": {pass(nothingMuch), "AccessDenied"},
		"a deny": {
			pass(`{"Version":"2012-10-17","Statement":{"Effect":"Deny","Action":"*","Resource":"*"}}`), "AccessDenied",
		},
		"managed":             {pass("", lists), ""},
		"managed, another":    {pass("", other), "AccessDenied"},
		"either":              {pass(nothingMuch, lists), ""},
		"AWS's own":           {pass("", "arn:aws:iam::aws:policy/AmazonS3ReadOnlyAccess"), ""},
		"AWS's own, another":  {pass("", "arn:aws:iam::aws:policy/IAMReadOnlyAccess"), "AccessDenied"},
		"no more than a role": {pass(may("iam:*", "*")), "AccessDenied"},
	} {
		t.Run(name, func(t *testing.T) {
			out, err := u.sts.AssumeRole(t.Context(), assume(*r.Arn, "session", test.change))
			c.ok(err)
			s := c.session(out.Credentials)
			if err := list(c, s); code(err) != test.want {
				t.Errorf("%s: %v, want %q", name, err, test.want)
			}
			if (name == "none") != (packed(out) == nil) {
				t.Errorf("%s: packed size %v", name, packed(out))
			}
			if _, err := s.iam.ListUsers(t.Context(), &iam.ListUsersInput{}); code(err) != "AccessDenied" {
				t.Errorf("%s: a session has more than its role: %v", name, err)
			}
		})
	}
	// The present version of a managed policy counts. A new policy with the same name does not.
	live := c.assumed(u, assume(*r.Arn, "session", pass("", lists)))
	c.ok(list(c, live))
	_, err := c.root.DeletePolicy(t.Context(), &iam.DeletePolicyInput{PolicyArn: &lists})
	c.ok(err)
	expect(t, list(c, live), "AccessDenied")
	c.policy("lists", may("s3:*", "*"))
	expect(t, list(c, live), "AccessDenied")
}

// TestChaining: which tags and which source identity a role chain passes on.
func TestChaining(t *testing.T) {
	c := newCast(t)
	tag := func(k, v string) ststypes.Tag { return ststypes.Tag{Key: &k, Value: &v} }
	u := c.user("u", may("sts:*", "*"))
	first := c.role(c.root, "first", trust(awsPrincipal(u.arn), ""),
		`{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"sts:*","Resource":"*"},
		{"Effect":"Allow","Action":"s3:ListAllMyBuckets","Resource":"*","Condition":{"StringEquals":{"aws:PrincipalTag/Team":"blue"}}}]}`)
	second := c.role(c.root, "second", trust(awsPrincipal("arn:aws:iam::"+c.account+":role/first"), ""),
		`{"Version":"2012-10-17","Statement":[
		{"Effect":"Allow","Action":"s3:ListAllMyBuckets","Resource":"*","Condition":{"StringEquals":{"aws:PrincipalTag/Team":"blue","aws:SourceIdentity":"anna"}}},
		{"Effect":"Deny","Action":"s3:ListAllMyBuckets","Resource":"*","Condition":{"Null":{"aws:PrincipalTag/Once":"false"}}}]}`)
	bare := c.role(c.root, "bare", trust(awsPrincipal(c.account), "", "sts:AssumeRole"), "")
	a := c.assumed(u, assume(*first.Arn, "one", func(in *sts.AssumeRoleInput) {
		in.Tags, in.TransitiveTagKeys = []ststypes.Tag{tag("Team", "blue"), tag("Once", "x")}, []string{"team"}
		in.SourceIdentity = aws.String("anna")
	}))
	c.ok(list(c, a))
	b := c.assumed(a, assume(*second.Arn, "two"))
	c.ok(list(c, b))
	for name, test := range map[string]struct {
		role   string
		change func(*sts.AssumeRoleInput)
		want   string
	}{
		"an hour": {*second.Arn, func(in *sts.AssumeRoleInput) {
			in.DurationSeconds = aws.Int32(
				3600)
		}, ""},
		"more than an hour": {*second.Arn, func(in *sts.AssumeRoleInput) {
			in.DurationSeconds = aws.Int32(
				3601)
		}, "ValidationError"},
		"another transitive tag": {*second.Arn, func(in *sts.AssumeRoleInput) {
			in.Tags = []ststypes.Tag{
				tag("TEAM", "red"),
			}
		}, "InvalidParameterValue"},
		"a tag that is not handed": {*second.Arn, func(in *sts.AssumeRoleInput) {
			in.Tags = []ststypes.Tag{
				tag("Once", "y"),
			}
		}, ""},
		"the same source identity": {*second.Arn, func(in *sts.AssumeRoleInput) {
			in.SourceIdentity = aws.String(
				"anna")
		}, ""},
		"another source identity": {*second.Arn, func(in *sts.AssumeRoleInput) {
			in.SourceIdentity = aws.String(
				"otto")
		}, "AccessDenied"},
		"a role that takes no tags": {*bare.Arn, func(*sts.AssumeRoleInput) {}, "AccessDenied"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := c.root.UpdateRole(t.Context(), &iam.UpdateRoleInput{
				RoleName: aws.String("second"), MaxSessionDuration: aws.Int32(43200),
			})
			c.ok(err)
			if _, err := a.sts.AssumeRole(t.Context(), assume(test.role, "two", test.change)); code(err) != test.want {
				t.Errorf("%s: %v, want %q", name, err, test.want)
			}
		})
	}
	// A user can get twelve hours if the role allows that.
	_, err := u.sts.AssumeRole(t.Context(), assume(*second.Arn, "two"))
	expect(t, err, "AccessDenied")
	_, err = c.root.UpdateRole(t.Context(), &iam.UpdateRoleInput{
		RoleName: aws.String("bare"), MaxSessionDuration: aws.Int32(43200),
	})
	c.ok(err)
	_, err = u.sts.AssumeRole(t.Context(),
		assume(*bare.Arn, "long", func(in *sts.AssumeRoleInput) { in.DurationSeconds = aws.Int32(43200) }))
	expect(t, err, "")
}

// TestSessionsEndWithWhatTheyComeFrom: requests of a session are refused once the key it was made with,
// its role or its user is deleted. New ones with the same name do not revive it.
func TestSessionsEndWithWhatTheyComeFrom(t *testing.T) {
	const s3List = `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":["s3:ListAllMyBuckets","sts:*"],` +
		`"Resource":"*"}]}`
	c := newCast(t)
	ctx := t.Context()
	refused := func(what string, who someone) {
		t.Helper()
		if err := list(c, who); code(err) != "InvalidAccessKeyId" {
			t.Errorf("%s: %v, want InvalidAccessKeyId", what, err)
		}
	}
	cast := func(name string) (u, token, federated, role, chained someone) {
		u = c.user(name, s3List)
		c.role(c.root, name+"-r", trust(awsPrincipal(c.account), ""), s3List)
		arn := "arn:aws:iam::" + c.account + ":role/" + name + "-r"
		st, err := u.sts.GetSessionToken(ctx, &sts.GetSessionTokenInput{})
		c.ok(err)
		ft, err := u.sts.GetFederationToken(ctx, &sts.GetFederationTokenInput{
			Name: aws.String("fed"), Policy: aws.String(s3List),
		})
		c.ok(err)
		role = c.assumed(u, assume(arn, "one"))
		token, federated, chained = c.session(st.Credentials), c.session(ft.Credentials), c.assumed(role,
			assume(arn, "two"))
		for i, who := range []someone{u, token, federated, role, chained} {
			if err := list(c, who); err != nil {
				t.Fatalf("%s, %d: a valid session is refused: %v", name, i, err)
			}
		}
		return u, token, federated, role, chained
	}
	drop := func(name, keyID string) {
		t.Helper()
		_, err := c.root.DeleteAccessKey(ctx, &iam.DeleteAccessKeyInput{UserName: &name, AccessKeyId: &keyID})
		c.ok(err)
		_, err = c.root.DeleteUserPolicy(ctx, &iam.DeleteUserPolicyInput{UserName: &name, PolicyName: aws.String("p")})
		c.ok(err)
		_, err = c.root.DeleteUser(ctx, &iam.DeleteUserInput{UserName: &name})
		c.ok(err)
	}
	t.Run("an inactive key", func(t *testing.T) {
		u, token, federated, role, chained := cast("a")
		status := func(s types.StatusType) {
			in := &iam.UpdateAccessKeyInput{UserName: aws.String("a"), AccessKeyId: &u.key.AccessKeyID, Status: s}
			_, err := c.root.UpdateAccessKey(ctx, in)
			c.ok(err)
		}
		status(types.StatusTypeInactive)
		for _, who := range []someone{u, token, federated, role, chained} {
			refused("an inactive key", who)
		}
		status(types.StatusTypeActive)
		for _, who := range []someone{u, token, federated, role, chained} {
			c.ok(list(c, who))
		}
	})
	t.Run("a deleted user, and a new one with the name", func(t *testing.T) {
		u, token, federated, role, chained := cast("b")
		drop("b", u.key.AccessKeyID)
		c.user("b", s3List)
		for _, who := range []someone{token, federated, role, chained} {
			refused("a deleted user", who)
		}
	})
	t.Run("a deleted role, and a new one with the name", func(t *testing.T) {
		u, token, federated, role, chained := cast("c")
		in := &iam.DeleteRolePolicyInput{RoleName: aws.String("c-r"), PolicyName: aws.String("p")}
		_, err := c.root.DeleteRolePolicy(ctx, in)
		c.ok(err)
		expect(t, list(c, role), "AccessDenied") // a changed policy counts from the next request on
		_, err = c.root.DeleteRole(ctx, &iam.DeleteRoleInput{RoleName: aws.String("c-r")})
		c.ok(err)
		c.role(c.root, "c-r", trust(awsPrincipal(c.account), ""), s3List)
		for _, who := range []someone{role, chained} {
			refused("a deleted role", who)
		}
		for _, who := range []someone{u, token, federated} {
			c.ok(list(c, who))
		}
	})
	t.Run("a new user with the name in a trust policy", func(t *testing.T) {
		u := c.user("d", s3List)
		c.role(c.root, "for-d", trust(awsPrincipal(u.arn), ""), "")
		arn := "arn:aws:iam::" + c.account + ":role/for-d"
		_, err := u.sts.AssumeRole(ctx, assume(arn, "one"))
		expect(t, err, "")
		drop("d", u.key.AccessKeyID)
		again := c.user("d", may("sts:*", "*"))
		_, err = again.sts.AssumeRole(ctx, assume(arn, "one"))
		expect(t, err, "AccessDenied")
	})
}

// TestSessionFollowsItsUser: a session has the present name, path, tags and policies of its user.
func TestSessionFollowsItsUser(t *testing.T) {
	c := newCast(t)
	ctx := t.Context()
	u := c.user("before",
		`{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":["s3:ListAllMyBuckets",`+
			`"sts:GetFederationToken"],"Resource":"*",`+
			`"Condition":{"StringEqualsIfExists":{"aws:PrincipalTag/team":"blue"}}}]}`)
	token, err := u.sts.GetSessionToken(ctx, &sts.GetSessionTokenInput{})
	c.ok(err)
	ft, err := u.sts.GetFederationToken(ctx, &sts.GetFederationTokenInput{
		Name: aws.String("bob"), Policy: aws.String(may("s3:*", "*")),
	})
	c.ok(err)
	session, federated := c.session(token.Credentials), c.session(ft.Credentials)
	_, err = c.root.UpdateUser(ctx, &iam.UpdateUserInput{
		UserName: aws.String("before"), NewUserName: aws.String("after"), NewPath: aws.String("/team/"),
	})
	c.ok(err)
	who, err := session.sts.GetCallerIdentity(ctx, &sts.GetCallerIdentityInput{})
	if err != nil || *who.Arn != "arn:aws:iam::"+c.account+":user/team/after" || *who.UserId != u.id {
		t.Errorf("%+v, %v", who, err)
	}
	for team, want := range map[string]string{"blue": "", "red": "AccessDenied"} {
		_, err = c.root.TagUser(ctx, &iam.TagUserInput{
			UserName: aws.String("after"), Tags: []types.Tag{{Key: aws.String("team"), Value: &team}},
		})
		c.ok(err)
		for _, s := range []someone{u, session, federated} {
			expect(t, list(c, s), want)
		}
	}
}

// TestRevocation: AWS's way to revoke a role's sessions works here, too; a changed
// trust policy applies to the next call.
func TestRevocation(t *testing.T) {
	c := newCast(t)
	u := c.user("u", may("sts:*", "*"))
	r := c.role(c.root, "r", trust(awsPrincipal(c.account), ""), may("s3:*", "*"))
	s := c.assumed(u, assume(*r.Arn, "one"))
	c.ok(list(c, s))
	_, err := c.root.UpdateAssumeRolePolicy(t.Context(), &iam.UpdateAssumeRolePolicyInput{
		RoleName: aws.String("r"), PolicyDocument: aws.String(trust(`{"Service":"s3.amazonaws.com"}`, "")),
	})
	c.ok(err)
	_, err = u.sts.AssumeRole(t.Context(), assume(*r.Arn, "one"))
	expect(t, err, "AccessDenied")
	for at, want := range map[string]string{"2020-01-01T00:00:00Z": "", "2100-01-01T00:00:00Z": "AccessDenied"} {
		_, err = c.root.PutRolePolicy(t.Context(), &iam.PutRolePolicyInput{RoleName: aws.String("r"),
			PolicyName: aws.String("AWSRevokeOlderSessions"), PolicyDocument: aws.String(
				`{"Version":"2012-10-17","Statement":[{"Effect":"Deny","Action":"*","Resource":"*",` +
					`"Condition":{"DateLessThan":{"aws:TokenIssueTime":"` + at + `"}}}]}`)})
		c.ok(err)
		expect(t, list(c, s), want)
	}
}

// TestFederationTokens: a federated user may do what both its own policies and its
// user's allow, and of IAM and STS may only call GetCallerIdentity.
func TestFederationTokens(t *testing.T) {
	c := newCast(t)
	ctx := t.Context()
	user := c.user("u",
		`{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":["s3:ListAllMyBuckets","iam:*"],"Resource":"*"},
		{"Effect":"Allow","Action":"sts:GetFederationToken","Resource":"arn:aws:sts::`+
			c.account+`:federated-user/bob"}]}`)
	root := c.someone(harness.Credentials{AccessKeyID: c.AccessKeyID, SecretAccessKey: c.SecretAccessKey}, "")
	for _, test := range []struct {
		by                 someone
		name, policy, want string // want is the error code of listing buckets
	}{
		{user, "bob", may("*", "*"), ""},
		{user, "bob", nothingMuch, "AccessDenied"},
		{user, "bob", "", "AccessDenied"},
		{root, "carl", may("s3:*", "*"), ""},
		{root, "carl", "", "AccessDenied"},
	} {
		t.Run(test.name, func(t *testing.T) {
			in := &sts.GetFederationTokenInput{Name: &test.name}
			if test.policy != "" {
				in.Policy = &test.policy
			}
			out, err := test.by.sts.GetFederationToken(ctx, in)
			c.ok(err)
			s := c.session(out.Credentials)
			if err := list(c, s); code(err) != test.want {
				t.Errorf("%s with %q: %v, want %q", test.name, test.policy, err, test.want)
			}
			who, err := s.sts.GetCallerIdentity(ctx, &sts.GetCallerIdentityInput{})
			if want := "arn:aws:sts::" + c.account + ":federated-user/" + test.name; err != nil || *who.Arn != want ||
				*out.FederatedUser.Arn != want || *who.UserId != c.account+":"+
				test.name || *out.FederatedUser.FederatedUserId != *who.UserId {
				t.Errorf("%+v, %v, want %s", who, err, want)
			}
			_, err = s.iam.ListUsers(ctx, &iam.ListUsersInput{})
			expect(t, err, "AccessDenied")
			_, err = s.sts.AssumeRole(ctx, assume("arn:aws:iam::"+c.account+":role/none", "one"))
			expect(t, err, "AccessDenied")
			_, err = s.sts.GetFederationToken(ctx, in)
			expect(t, err, "AccessDenied")
			_, err = s.sts.GetSessionToken(ctx, &sts.GetSessionTokenInput{})
			expect(t, err, "AccessDenied")
			_, err = s.sts.GetAccessKeyInfo(ctx, &sts.GetAccessKeyInfoInput{AccessKeyId: &c.AccessKeyID})
			expect(t, err, "AccessDenied")
		})
	}
	_, err := user.sts.GetFederationToken(ctx, &sts.GetFederationTokenInput{Name: aws.String("carl")})
	if code(err) != "AccessDenied" ||
		!strings.Contains(err.Error(),
			"is not authorized to perform: sts:GetFederationToken on resource: arn:aws:sts::"+c.account+
				":federated-user/carl") {
		t.Errorf("a name that no policy allows: %v", err)
	}
	// Tags need a separate action, and the session has them.
	tagged := &sts.GetFederationTokenInput{
		Name: aws.String("bob"), Policy: aws.String(may("s3:*", "*")),
		Tags: []ststypes.Tag{{Key: aws.String("Team"), Value: aws.String("blue")}},
	}
	_, err = user.sts.GetFederationToken(ctx, tagged)
	expect(t, err, "AccessDenied")
	_, err = c.root.PutUserPolicy(ctx, &iam.PutUserPolicyInput{UserName: aws.String("u"), PolicyName: aws.String("p"),
		PolicyDocument: aws.String(fmt.Sprintf(
			`{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"sts:*","Resource":"*"},`+
				`{"Effect":"Allow","Action":"s3:ListAllMyBuckets","Resource":"*",`+
				`"Condition":{"StringEquals":{"aws:PrincipalTag/Team":%q}}}]}`, "blue"))})
	c.ok(err)
	out, err := user.sts.GetFederationToken(ctx, tagged)
	c.ok(err)
	c.ok(list(c, c.session(out.Credentials)))
	if _, err := user.s3.ListBuckets(ctx, &s3.ListBucketsInput{}); code(err) != "AccessDenied" {
		t.Errorf("the user is not tagged: %v", err)
	}
}
