package e2e

import (
	"crypto/rand"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/iam"
	"github.com/aws/aws-sdk-go-v2/service/iam/types"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/sts"
	ststypes "github.com/aws/aws-sdk-go-v2/service/sts/types"

	"watertight/internal/server"
	"watertight/test/harness"
)

// cast is an account with users and roles, for tests of sessions.
type cast struct {
	testing.TB
	*harness.Server
	root    *iam.Client
	account string
}

func newCast(t testing.TB, change ...func(*server.Config)) cast {
	return castOn(t, harness.Start(t, change...))
}

// castOn returns the cast of a running server.
func castOn(t testing.TB, s *harness.Server) cast {
	c := cast{TB: t, Server: s, root: rootIAM(s)}
	who, err := stsClient(s, s.AccessKeyID, s.SecretAccessKey, "").
		GetCallerIdentity(t.Context(), &sts.GetCallerIdentityInput{})
	c.ok(err)
	c.account = *who.Account
	return c
}

func (c cast) ok(err error) {
	c.Helper()
	if err != nil {
		c.Fatal(err)
	}
}

// someone is a set of credentials and the clients made of them.
type someone struct {
	arn, id string
	key     harness.Credentials
	token   string
	sts     *sts.Client
	s3      *s3.Client
	iam     *iam.Client
}

func (c cast) someone(key harness.Credentials, token string) someone {
	return someone{
		key: key, token: token, sts: stsClient(c.Server, key.AccessKeyID, key.SecretAccessKey, token),
		s3: c.Client(key, func(o *s3.Options) {
			o.Credentials = credentials.NewStaticCredentialsProvider(key.AccessKeyID, key.SecretAccessKey, token)
		}),
		iam: iamClient(c.Server, key.AccessKeyID, key.SecretAccessKey, token),
	}
}

func (c cast) session(k *ststypes.Credentials) someone {
	return c.someone(harness.Credentials{AccessKeyID: *k.AccessKeyId, SecretAccessKey: *k.SecretAccessKey},
		*k.SessionToken)
}

// user makes a user with a key and one inline policy, or none if it is "".
func (c cast) user(name, document string) someone {
	c.Helper()
	u, err := c.root.CreateUser(c.Context(), &iam.CreateUserInput{UserName: &name})
	c.ok(err)
	k, err := c.root.CreateAccessKey(c.Context(), &iam.CreateAccessKeyInput{UserName: &name})
	c.ok(err)
	out := c.someone(
		harness.Credentials{AccessKeyID: *k.AccessKey.AccessKeyId, SecretAccessKey: *k.AccessKey.SecretAccessKey}, "",
	)
	out.arn, out.id = *u.User.Arn, *u.User.UserId
	if document != "" {
		_, err = c.root.PutUserPolicy(c.Context(), &iam.PutUserPolicyInput{
			UserName: &name, PolicyName: aws.String("p"), PolicyDocument: &document,
		})
		c.ok(err)
	}
	return out
}

// role makes a role with one inline policy, or none if it is "".
func (c cast) role(root *iam.Client, name, trust, document string) *types.Role {
	c.Helper()
	r, err := root.CreateRole(c.Context(), &iam.CreateRoleInput{RoleName: &name, AssumeRolePolicyDocument: &trust})
	c.ok(err)
	if document != "" {
		_, err = root.PutRolePolicy(c.Context(), &iam.PutRolePolicyInput{
			RoleName: &name, PolicyName: aws.String("p"), PolicyDocument: &document,
		})
		c.ok(err)
	}
	return r.Role
}

// trust returns a trust policy of one statement; condition may be "".
func trust(principal, condition string, actions ...string) string {
	if condition != "" {
		condition = `,"Condition":` + condition
	}
	if len(actions) == 0 {
		actions = []string{"sts:AssumeRole", "sts:TagSession", "sts:SetSourceIdentity"}
	}
	return fmt.Sprintf(`{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":%s,"Action":["%s"]%s}]}`,
		principal, strings.Join(actions, `","`), condition)
}

func awsPrincipal(arn string) string { return `{"AWS":"` + arn + `"}` }

// may returns an identity policy of one statement.
func may(action, resource string) string {
	return fmt.Sprintf(`{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":%q,"Resource":%q}]}`, action,
		resource)
}

func assume(role, session string, change ...func(*sts.AssumeRoleInput)) *sts.AssumeRoleInput {
	in := &sts.AssumeRoleInput{RoleArn: &role, RoleSessionName: &session}
	for _, f := range change {
		f(in)
	}
	return in
}

// assumed assumes a role as who; it must succeed.
func (c cast) assumed(who someone, in *sts.AssumeRoleInput) someone {
	c.Helper()
	out, err := who.sts.AssumeRole(c.Context(), in)
	c.ok(err)
	s := c.session(out.Credentials)
	s.arn, s.id = *out.AssumedRoleUser.Arn, *out.AssumedRoleUser.AssumedRoleId
	return s
}

// packed returns PackedPolicySize, or nil if there are no policies and tags.
func packed(out *sts.AssumeRoleOutput) *int32 {
	//lint:ignore SA1019 older clients read it
	return out.PackedPolicySize
}

func list(c cast, who someone) error {
	_, err := who.s3.ListBuckets(c.Context(), &s3.ListBucketsInput{})
	return err
}

// TestWhoMayAssume: the trust policy must allow the caller. If it only names an account, the caller's
// own policies must allow it, too. Across accounts both must always allow it.
func TestWhoMayAssume(t *testing.T) {
	c := newCast(t)
	other := c.CreateAccount(t, "other")
	otherIAM := iamClient(c.Server, other.AccessKeyID, other.SecretAccessKey, "")
	otherWho, err := stsClient(c.Server, other.AccessKeyID, other.SecretAccessKey, "").
		GetCallerIdentity(t.Context(), &sts.GetCallerIdentityInput{})
	c.ok(err)
	account, elsewhere := c.account, *otherWho.Account
	none, able, denied := c.user("none", ""), c.user("able", may("sts:*", "*")),
		c.user("denied",
			`{"Version":"2012-10-17","Statement":{"Effect":"Deny","Action":"sts:AssumeRole","Resource":"*"}}`)
	for i, test := range []struct {
		trust               string
		abroad              bool // the role is in the other account
		none, able, refused bool // who gets in; refused is the user whose own policy denies
	}{
		{trust: awsPrincipal(account), able: true},
		{trust: awsPrincipal("arn:aws:iam::" + account + ":root"), able: true},
		{trust: awsPrincipal(none.arn), none: true},
		{trust: awsPrincipal(able.arn), able: true},
		{trust: `"*"`, none: true, able: true},
		{trust: awsPrincipal(elsewhere)},
		{trust: `{"Service":"s3.amazonaws.com"}`},
		{trust: awsPrincipal(denied.arn)},
		{trust: awsPrincipal(account), abroad: true, able: true},
		{trust: awsPrincipal(none.arn), abroad: true},
		{trust: awsPrincipal(able.arn), abroad: true, able: true},
		{trust: awsPrincipal(elsewhere), abroad: true},
	} {
		t.Run(fmt.Sprint(i), func(t *testing.T) {
			root, owner := c.root, account
			if test.abroad {
				root, owner = otherIAM, elsewhere
			}
			name := fmt.Sprintf("r%d", i)
			c.role(root, name, trust(test.trust, ""), may("s3:ListAllMyBuckets", "*"))
			role := "arn:aws:iam::" + owner + ":role/" + name
			for _, who := range []struct {
				someone
				in bool
			}{{none, test.none}, {able, test.able}, {denied, test.refused}} {
				out, err := who.sts.AssumeRole(t.Context(), assume(role, "work"))
				if !who.in {
					said := "User: " + who.arn + " is not authorized to perform: sts:AssumeRole on resource: " + role
					if code(err) != "AccessDenied" || !strings.Contains(err.Error(), said) {
						t.Errorf("%s by %s: %v, want AccessDenied: %s", test.trust, who.arn, err, said)
					}
					continue
				}
				if err != nil {
					t.Errorf("%s by %s: %v", test.trust, who.arn, err)
					continue
				}
				if err := list(c, c.session(out.Credentials)); err != nil {
					t.Errorf("%s by %s: the session may not list buckets: %v", test.trust, who.arn, err)
				}
			}
		})
	}
	for role, want := range map[string]string{
		"arn:aws:iam::" + account + ":role/nobody":       "AccessDenied",
		"arn:aws:iam::" + account + ":role/some/path/r0": "AccessDenied",
		"arn:aws:iam::" + account + ":user/able":         "ValidationError",
		"a-name-that-is-no-arn-at-all":                   "ValidationError",
		"arn:aws:iam::123:role/r0":                       "ValidationError",
	} {
		_, err := able.sts.AssumeRole(t.Context(), assume(role, "work"))
		expect(t, err, want)
	}
	_, err = stsClient(c.Server, c.AccessKeyID, c.SecretAccessKey, "").
		AssumeRole(t.Context(), assume("arn:aws:iam::"+account+":role/r4", "work"))
	expect(t, err, "AccessDenied")
	if err == nil || !strings.Contains(err.Error(), "Roles may not be assumed by root accounts.") {
		t.Errorf("root: %v", err)
	}
}

// TestAssumedRoleUser: the identity that a session reports, in both accounts.
func TestAssumedRoleUser(t *testing.T) {
	c := newCast(t)
	u := c.user("u", may("sts:AssumeRole", "*"))
	r := c.role(c.root, "r", trust(awsPrincipal(c.account), ""), may("s3:*", "*"))
	out, err := u.sts.AssumeRole(t.Context(),
		assume(*r.Arn, "s-1", func(in *sts.AssumeRoleInput) { in.DurationSeconds = aws.Int32(900) }))
	c.ok(err)
	if want := *r.RoleId + ":s-1"; *out.AssumedRoleUser.AssumedRoleId != want {
		t.Errorf("%s, want %s", *out.AssumedRoleUser.AssumedRoleId, want)
	}
	if want := "arn:aws:sts::" + c.account + ":assumed-role/r/s-1"; *out.AssumedRoleUser.Arn != want ||
		packed(out) != nil {
		t.Errorf("%s, want %s; packed %v", *out.AssumedRoleUser.Arn, want, packed(out))
	}
	if left := time.Until(*out.Credentials.Expiration); left > 15*time.Minute || left < 10*time.Minute {
		t.Errorf("the session lasts %v", left)
	}
	s := c.session(out.Credentials)
	who, err := s.sts.GetCallerIdentity(t.Context(), &sts.GetCallerIdentityInput{})
	if err != nil || *who.Arn != *out.AssumedRoleUser.Arn || *who.UserId != *out.AssumedRoleUser.AssumedRoleId ||
		*who.Account != c.account {
		t.Errorf("%+v, %v", who, err)
	}
	_, err = s.sts.GetSessionToken(t.Context(), &sts.GetSessionTokenInput{})
	expect(t, err, "AccessDenied")
	_, err = s.sts.GetFederationToken(t.Context(), &sts.GetFederationTokenInput{Name: aws.String("bob")})
	expect(t, err, "AccessDenied")
	_, err = s.iam.ListUsers(t.Context(), &iam.ListUsersInput{})
	expect(t, err, "AccessDenied")
	// A bucket that a session creates belongs to the role's account.
	_, err = s.s3.CreateBucket(t.Context(), &s3.CreateBucketInput{Bucket: aws.String("made-by-a-session")})
	c.ok(err)
	_, err = c.S3.HeadBucket(t.Context(), &s3.HeadBucketInput{Bucket: aws.String("made-by-a-session")})
	c.ok(err)
}

// TestTrustConditions: each condition of a trust policy allows the request that
// matches it, and refuses every other.
func TestTrustConditions(t *testing.T) {
	c := newCast(t)
	u := c.user("anna", may("sts:*", "*"))
	type change = func(*sts.AssumeRoleInput)
	nothing := func(*sts.AssumeRoleInput) {}
	tags := func(transitive []string, pairs ...string) change {
		return func(in *sts.AssumeRoleInput) {
			in.TransitiveTagKeys = transitive
			for i := 0; i < len(pairs); i += 2 {
				in.Tags = append(in.Tags, ststypes.Tag{Key: &pairs[i], Value: &pairs[i+1]})
			}
		}
	}
	external := func(id string) change { return func(in *sts.AssumeRoleInput) { in.ExternalId = &id } }
	source := func(id string) change { return func(in *sts.AssumeRoleInput) { in.SourceIdentity = &id } }
	named := func(name string) change { return func(in *sts.AssumeRoleInput) { in.RoleSessionName = &name } }
	for i, test := range []struct {
		condition string
		in        change
		not       []change
	}{
		{`{"StringEquals":{"sts:ExternalId":"e-1"}}`, external("e-1"), []change{external("e-2"), nothing}},
		{`{"StringEquals":{"sts:RoleSessionName":"${aws:username}"}}`, named("anna"), []change{named("otto"), nothing}},
		{`{"StringLike":{"sts:SourceIdentity":"ann*"}}`, source("anna"), []change{source("otto"), nothing}},
		{
			`{"StringEquals":{"aws:RequestTag/Team":"blue"}}`, tags(nil, "Team", "blue"),
			[]change{tags(nil, "Team", "red"), tags(nil, "team2", "blue"), nothing},
		},
		{
			`{"ForAnyValue:StringEquals":{"sts:TransitiveTagKeys":"Team"}}`, tags([]string{"Team"}, "Team", "x"),
			[]change{tags(nil, "Team", "x"), tags([]string{"A"}, "A", "x"), nothing},
		},
		{
			`{"Null":{"aws:TagKeys":"false"},"ForAllValues:StringEquals":{"aws:TagKeys":["Team","Cost"]}}`,
			tags(nil, "Cost", "1", "Team", "x"), []change{tags(nil, "Team", "x", "Admin", "1"), nothing},
		},
		{`{"Bool":{"aws:MultiFactorAuthPresent":"true"}}`, nil, []change{nothing}},
		{
			`{"StringEquals":{"aws:PrincipalAccount":"` + c.account + `"},"IpAddress":{"aws:SourceIp":"127.0.0.0/8"}}`,
			nothing, nil,
		},
		{`{"IpAddress":{"aws:SourceIp":"10.0.0.0/8"}}`, nil, []change{nothing}},
	} {
		t.Run(fmt.Sprint(i), func(t *testing.T) {
			r := c.role(c.root, fmt.Sprintf("r%d", i), trust(awsPrincipal(c.account), test.condition), "")
			if test.in != nil {
				if _, err := u.sts.AssumeRole(t.Context(), assume(*r.Arn, "session", test.in)); err != nil {
					t.Errorf("%s: %v", test.condition, err)
				}
			}
			for _, not := range test.not {
				if _, err := u.sts.AssumeRole(t.Context(),
					assume(*r.Arn, "session", not)); code(err) != "AccessDenied" {
					t.Errorf("%s: %v, want AccessDenied", test.condition, err)
				}
			}
		})
	}
	// Tags and a source identity need separate actions.
	r := c.role(c.root, "plain", trust(awsPrincipal(c.account), "", "sts:AssumeRole"), "")
	for name, test := range map[string]struct {
		change
		want string
	}{"nothing": {
		nothing, "",
	}, "sts:TagSession": {
		tags(nil, "a", "b"), "AccessDenied",
	}, "sts:SetSourceIdentity": {source("anna"), "AccessDenied"}} {
		t.Run(name, func(t *testing.T) {
			_, err := u.sts.AssumeRole(t.Context(), assume(*r.Arn, "session", test.change))
			if code(err) != test.want || err != nil && !strings.Contains(err.Error(), "perform: "+name+" on") {
				t.Errorf("%s: %v, want %q", name, err, test.want)
			}
		})
	}
}

// TestAssumeRoleInput: the errors of STS for invalid input.
func TestAssumeRoleInput(t *testing.T) {
	c := newCast(t)
	u := c.user("u", may("sts:*", "*"))
	r := c.role(c.root, "r", trust(awsPrincipal(c.account), ""), "")
	tag := func(k, v string) ststypes.Tag { return ststypes.Tag{Key: &k, Value: &v} }
	for name, test := range map[string]struct {
		change func(*sts.AssumeRoleInput)
		want   string
	}{
		"fine": {func(*sts.AssumeRoleInput) {}, ""},
		"session name": {func(in *sts.AssumeRoleInput) {
			in.RoleSessionName = aws.String(
				"a b")
		}, "ValidationError"},
		"short name":      {func(in *sts.AssumeRoleInput) { in.RoleSessionName = aws.String("a") }, "ValidationError"},
		"too short":       {func(in *sts.AssumeRoleInput) { in.DurationSeconds = aws.Int32(899) }, "ValidationError"},
		"too long":        {func(in *sts.AssumeRoleInput) { in.DurationSeconds = aws.Int32(43201) }, "ValidationError"},
		"over the role's": {func(in *sts.AssumeRoleInput) { in.DurationSeconds = aws.Int32(3601) }, "ValidationError"},
		"the role's":      {func(in *sts.AssumeRoleInput) { in.DurationSeconds = aws.Int32(3600) }, ""},
		"twice": {func(in *sts.AssumeRoleInput) {
			in.Tags = []ststypes.Tag{
				tag("a", "1"), tag("A", "2"),
			}
		}, "InvalidParameterValue"},
		"not passed": {func(in *sts.AssumeRoleInput) {
			in.TransitiveTagKeys = []string{
				"a",
			}
		}, "InvalidParameterValue"},
		"reserved": {func(in *sts.AssumeRoleInput) {
			in.Tags = []ststypes.Tag{
				tag("aws:a", "1"),
			}
		}, "InvalidParameterValue"},
		"half of an MFA": {func(in *sts.AssumeRoleInput) { in.TokenCode = aws.String("123456") }, "AccessDenied"},
		"another's device": {func(in *sts.AssumeRoleInput) {
			in.TokenCode, in.SerialNumber = aws.String("123456"), aws.String("arn:aws:iam::"+c.account+":mfa/x")
		}, "AccessDenied"},
		"no policy": {func(in *sts.AssumeRoleInput) { in.Policy = aws.String("{}") }, "MalformedPolicyDocument"},
		"with a principal": {func(in *sts.AssumeRoleInput) {
			in.Policy = aws.String(trust(`"*"`,
				""))
		}, "MalformedPolicyDocument"},
		"no such policy": {func(in *sts.AssumeRoleInput) {
			in.PolicyArns = []ststypes.PolicyDescriptorType{{
				Arn: aws.String("arn:aws:iam::" + c.account + ":policy/none"),
			}}
		}, "MalformedPolicyDocument"},
		"a policy too long": {func(in *sts.AssumeRoleInput) {
			in.Policy = aws.String(may("s3:*", "*") +
				strings.Repeat(" ", 2048))
		}, "PackedPolicyTooLarge"},
		"an assertion": {func(in *sts.AssumeRoleInput) {
			in.ProvidedContexts = []ststypes.ProvidedContext{{
				ProviderArn:      aws.String("arn:aws:iam::aws:contextProvider/IdentityCenter"),
				ContextAssertion: aws.String("assertion"),
			}}
		}, "NotImplemented"},
		"tags too large": {func(in *sts.AssumeRoleInput) {
			for i := range 50 {
				in.Tags = append(in.Tags,
					tag(fmt.Sprint("k", i),
						strings.Join(
							[]string{
								rand.Text(), rand.Text(), rand.Text(), rand.Text(), rand.Text(), rand.Text(),
								rand.Text(), rand.Text(),
							},
							"",
						)))
			}
		}, "PackedPolicyTooLarge"},
	} {
		t.Run(name, func(t *testing.T) {
			if _, err := u.sts.AssumeRole(t.Context(), assume(*r.Arn, "session", test.change)); code(err) != test.want {
				t.Errorf("%s: %v, want %q", name, err, test.want)
			}
		})
	}
}
