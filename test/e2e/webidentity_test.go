package e2e

import (
	"crypto/rand"
	"crypto/rsa"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/credentials/stscreds"
	"github.com/aws/aws-sdk-go-v2/service/iam"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/sts"
	ststypes "github.com/aws/aws-sdk-go-v2/service/sts/types"

	"watertight/test/harness"
)

// federation is an account that trusts an identity provider.
type federation struct {
	cast
	*harness.Issuer
	provider string
	anybody  *sts.Client // signs nothing
}

func newFederation(
	t testing.TB, host string, change ...func(*harness.Issuer) func(*iam.CreateOpenIDConnectProviderInput),
) federation {
	t.Helper()
	i := harness.StartIssuer(t, host)
	return federate(t, i, harness.Start(t, i.Trusted), change...)
}

// federate makes a server's first account trust an identity provider.
func federate(
	t testing.TB, i *harness.Issuer, s *harness.Server,
	change ...func(*harness.Issuer) func(*iam.CreateOpenIDConnectProviderInput),
) federation {
	t.Helper()
	f := federation{cast: cast{TB: t, Server: s, root: rootIAM(s)}, Issuer: i}
	in := &iam.CreateOpenIDConnectProviderInput{
		Url: &i.URL, ClientIDList: []string{"watertight", "other"}, ThumbprintList: []string{i.Thumbprint},
	}
	for _, c := range change {
		c(i)(in)
	}
	p, err := f.root.CreateOpenIDConnectProvider(t.Context(), in)
	f.ok(err)
	f.provider = *p.OpenIDConnectProviderArn
	f.account = strings.Split(f.provider, ":")[4]
	f.anybody = sts.New(sts.Options{
		BaseEndpoint: &s.Endpoint, Region: s.Region, RetryMaxAttempts: 1, HTTPClient: harness.SDK(s.HTTP),
	})
	return f
}

// trusting makes a role that trusts the provider with a condition.
func (f federation) trusting(name, condition string) string {
	f.Helper()
	r := f.role(f.root, name,
		trust(`{"Federated":"`+f.provider+`"}`, condition, "sts:AssumeRoleWithWebIdentity", "sts:TagSession",
			"sts:SetSourceIdentity"),
		may("s3:ListAllMyBuckets", "*"))
	return *r.Arn
}

func (f federation) assume(
	role, token string, change ...func(*sts.AssumeRoleWithWebIdentityInput),
) (*sts.AssumeRoleWithWebIdentityOutput, error) {
	in := &sts.AssumeRoleWithWebIdentityInput{
		RoleArn: &role, RoleSessionName: aws.String("pipeline"), WebIdentityToken: &token,
	}
	for _, c := range change {
		c(in)
	}
	return f.anybody.AssumeRoleWithWebIdentity(f.Context(), in)
}

// TestWebIdentity: a token gives access to the role that trusts it, and every
// invalid token is refused.
func TestWebIdentity(t *testing.T) {
	f := newFederation(t, "issuer.example")
	role := f.trusting("r", "")
	for _, algorithm := range []string{"RS256", "RS384", "RS512", "ES256"} {
		t.Run(algorithm, func(t *testing.T) {
			out, err := f.assume(role, f.Token(algorithm, f.Claims(nil)))
			if err != nil {
				t.Fatalf("%s: a valid token is refused: %v\n%s", algorithm, err, f.Logs)
			}
			if *out.SubjectFromWebIdentityToken != "somebody" || *out.Audience != "watertight" ||
				*out.Provider != f.URL ||
				*out.AssumedRoleUser.Arn != "arn:aws:sts::"+f.account+":assumed-role/r/pipeline" {
				t.Errorf("%+v", out)
			}
			f.ok(list(f.cast, f.session(out.Credentials)))
		})
	}
	mine, err := rsa.GenerateKey(rand.Reader, 2048)
	f.ok(err)
	good := f.Token("RS256", f.Claims(nil))
	parts := strings.Split(good, ".")
	header := func(h ...any) map[string]any {
		m := map[string]any{"alg": "RS256", "kid": "rsa"}
		for i := 0; i < len(h); i += 2 {
			m[h[i].(string)] = h[i+1]
		}
		return m
	}
	now := f.Claims(nil)["iat"].(int64)
	const invalid, expired, rejected = "InvalidIdentityToken", "ExpiredTokenException", "IDPRejectedClaim"
	for name, c := range map[string]struct{ token, want string }{
		"another key":         {f.Sign(header(), f.Claims(nil), mine), invalid},
		"an unknown kid":      {f.Sign(header("kid", "none"), f.Claims(nil), f.RSA), invalid},
		"no kid":              {f.Sign(map[string]any{"alg": "RS256"}, f.Claims(nil), f.RSA), invalid},
		"the other key's kid": {f.Sign(header("kid", "ec"), f.Claims(nil), f.RSA), invalid},
		"a key it brings along": {
			f.Sign(header("kid", "mine", "jwk", harness.RSAKey("mine", &mine.PublicKey)), f.Claims(nil), mine), invalid,
		},
		"a key's address": {
			f.Sign(header("kid", "mine", "jku", "https://evil.example/keys"), f.Claims(nil), mine), invalid,
		},
		"an extension":             {f.Sign(header("crit", []string{"exp"}, "exp", 1), f.Claims(nil), f.RSA), invalid},
		"another algorithm's name": {f.Sign(header("alg", "PS256"), f.Claims(nil), f.RSA), invalid},
		"a signature of another": {
			parts[0] + "." + parts[1] + "." +
				strings.Split(f.Token("RS256", f.Claims(map[string]any{"sub": "x"})), ".")[2],
			invalid,
		},
		"another payload": {
			parts[0] + "." + strings.Split(f.Token("RS256", f.Claims(map[string]any{"sub": "root"})), ".")[1] + "." +
				parts[2],
			invalid,
		},
		"cut":        {good[:len(good)-4], invalid},
		"four parts": {good + ".x", invalid},
		"no token":   {"no-token-at-all", invalid},
		"expired":    {f.Token("RS256", f.Claims(map[string]any{"exp": now - 1})), expired},
		"no exp":     {f.Token("RS256", f.Claims(map[string]any{"exp": nil})), invalid},
		"no iat":     {f.Token("RS256", f.Claims(map[string]any{"iat": nil})), invalid},
		"exp as text": {
			f.Token("RS256", f.Claims(map[string]any{"exp": fmt.Sprint(now + 600)})), invalid,
		},
		"not yet":            {f.Token("RS256", f.Claims(map[string]any{"nbf": now + 600})), rejected},
		"made in the future": {f.Token("RS256", f.Claims(map[string]any{"iat": now + 600})), rejected},
		"another audience":   {f.Token("RS256", f.Claims(map[string]any{"aud": "somewhere-else"})), invalid},
		"two audiences": {
			f.Token("RS256", f.Claims(map[string]any{"aud": []string{"watertight", "other"}})), invalid,
		},
		"another authorized party": {f.Token("RS256", f.Claims(map[string]any{"azp": "somewhere-else"})), invalid},
		"no audience":              {f.Token("RS256", f.Claims(map[string]any{"aud": nil})), invalid},
		"another issuer": {
			f.Token("RS256", f.Claims(map[string]any{"iss": "https://other.example"})), invalid,
		},
		"the issuer with a slash":    {f.Token("RS256", f.Claims(map[string]any{"iss": f.URL + "/"})), invalid},
		"the issuer by http":         {f.Token("RS256", f.Claims(map[string]any{"iss": "http://" + f.Host})), invalid},
		"no subject":                 {f.Token("RS256", f.Claims(map[string]any{"sub": nil})), invalid},
		"a subject that is not text": {f.Token("RS256", f.Claims(map[string]any{"sub": 7})), invalid},
		"too large": {
			f.Token("RS256", f.Claims(map[string]any{"x": strings.Repeat("x", 20_000)})), "ValidationError",
		},
	} {
		t.Run(name, func(t *testing.T) {
			if _, err := f.assume(role, c.token); code(err) != c.want {
				t.Errorf("%s: %v, want %s", name, err, c.want)
			}
		})
	}
	if n := f.Fetched(); n > 2 {
		t.Errorf("the keys were fetched %d times within a minute", n)
	}
	for name, want := range map[string]string{"none": "AccessDenied", "some/path/r": "AccessDenied"} {
		_, err := f.assume("arn:aws:iam::"+f.account+":role/"+name, good)
		expect(t, err, want)
	}
	// A caller that may use AssumeRole may not use this operation, and vice versa.
	plain := f.role(f.root, "plain", trust(`{"Federated":"`+f.provider+`"}`, "", "sts:AssumeRole"), "")
	_, err = f.assume(*plain.Arn, good)
	expect(t, err, invalid)
	_, err = f.user("u", may("sts:*", "*")).sts.AssumeRole(t.Context(), assume(role, "pipeline"))
	expect(t, err, "AccessDenied")
}

// TestWebIdentityConditions: conditions of a trust policy on a token's claims.
func TestWebIdentityConditions(t *testing.T) {
	f := newFederation(t, "issuer.example")
	for i, c := range []struct {
		condition string
		in, not   map[string]any
	}{
		{`{"StringEquals":{"issuer.example:sub":"somebody"}}`, nil, map[string]any{"sub": "somebody-else"}},
		{
			`{"StringLike":{"issuer.example:sub":"repo:us/*"}}`, map[string]any{"sub": "repo:us/a:ref:main"},
			map[string]any{"sub": "repo:them/a:ref:main"},
		},
		{`{"StringEquals":{"issuer.example:aud":"other"}}`, map[string]any{"aud": "other"}, nil},
		{
			`{"StringEquals":{"issuer.example:aud":"other","issuer.example:oaud":"somewhere"}}`,
			map[string]any{"azp": "other", "aud": "somewhere"}, map[string]any{"azp": "other", "aud": "elsewhere"},
		},
		{
			`{"ForAnyValue:StringEquals":{"issuer.example:amr":"mfa"}}`, map[string]any{"amr": []string{"pwd", "mfa"}},
			map[string]any{"amr": []string{"pwd"}},
		},
		{
			`{"StringEquals":{"aws:FederatedProvider":"` + f.provider + `","sts:RoleSessionName":"pipeline"}}`, nil,
			map[string]any{"aud": "none"},
		},
		{
			`{"Bool":{"issuer.example:verified":"true"}}`, map[string]any{"verified": true},
			map[string]any{"verified": false},
		},
		{`{"StringEquals":{"aws:RequestTag/team":"blue"}}`,
			map[string]any{"https://aws.amazon.com/tags": map[string]any{"principal_tags": map[string]any{
				"team": []string{"blue"},
			}}},
			map[string]any{"https://aws.amazon.com/tags": map[string]any{"principal_tags": map[string]any{
				"team": []string{"red"},
			}}}},
		{
			`{"StringEquals":{"sts:SourceIdentity":"anna"}}`,
			map[string]any{"https://aws.amazon.com/source_identity": "anna"},
			map[string]any{"https://aws.amazon.com/source_identity": "otto"},
		},
		// Claims of a token are no values for condition keys about the request.
		{
			`{"Bool":{"aws:SecureTransport":"false"},"Null":{"aws:MultiFactorAuthPresent":"true",` +
				`"aws:PrincipalTag/x":"true"}}`,
			map[string]any{"aws:MultiFactorAuthPresent": true, "aws:PrincipalTag/x": "1"},
			map[string]any{"aud": "none"},
		},
	} {
		t.Run(fmt.Sprint(i), func(t *testing.T) {
			role := f.trusting(fmt.Sprintf("r%d", i), c.condition)
			if _, err := f.assume(role, f.Token("ES256", f.Claims(c.in))); err != nil {
				t.Errorf("%s: %v", c.condition, err)
			}
			if _, err := f.assume(role, f.Token("ES256", f.Claims(c.not))); code(err) != "InvalidIdentityToken" {
				t.Errorf("%s, not %v: %v", c.condition, c.not, err)
			}
		})
	}
	denied := f.role(f.root, "denied",
		`{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"Federated":"`+f.provider+
			`"},"Action":"sts:AssumeRoleWithWebIdentity"},
		{"Effect":"Deny","Principal":"*","Action":"sts:AssumeRoleWithWebIdentity","Condition":{"StringEquals":{"issuer.example:sub":"mallory"}}}]}`, "")
	_, err := f.assume(*denied.Arn, f.Token("ES256", f.Claims(nil)))
	expect(t, err, "")
	_, err = f.assume(*denied.Arn, f.Token("ES256", f.Claims(map[string]any{"sub": "mallory"})))
	expect(t, err, "AccessDenied")
}

// TestWebIdentitySession: session policies and durations apply, and the session ends with its provider.
func TestWebIdentitySession(t *testing.T) {
	f := newFederation(t, "issuer.example")
	role := f.trusting("r", "")
	token := f.Token("RS256", f.Claims(nil))
	with := func(change func(*sts.AssumeRoleWithWebIdentityInput), want string) {
		t.Helper()
		_, err := f.assume(role, token, change)
		expect(t, err, want)
	}
	with(func(in *sts.AssumeRoleWithWebIdentityInput) { in.DurationSeconds = aws.Int32(899) }, "ValidationError")
	with(func(in *sts.AssumeRoleWithWebIdentityInput) { in.DurationSeconds = aws.Int32(900) }, "")
	with(func(in *sts.AssumeRoleWithWebIdentityInput) { in.DurationSeconds = aws.Int32(3601) }, "ValidationError")
	with(func(in *sts.AssumeRoleWithWebIdentityInput) { in.Policy = aws.String("{}") }, "MalformedPolicyDocument")
	with(func(in *sts.AssumeRoleWithWebIdentityInput) { in.ProviderId = aws.String("www.amazon.com") },
		"InvalidParameterValue")
	for arn, want := range map[string]string{
		"arn:aws:iam::aws:policy/AmazonS3ReadOnlyAccess": "",
		"arn:aws:iam::aws:policy/IAMReadOnlyAccess":      "AccessDenied",
	} {
		out, err := f.assume(role, token, func(in *sts.AssumeRoleWithWebIdentityInput) {
			in.PolicyArns = []ststypes.PolicyDescriptorType{{Arn: &arn}}
		})
		f.ok(err)
		expect(t, list(f.cast, f.session(out.Credentials)), want)
	}
	out, err := f.assume(role, token)
	f.ok(err)
	s := f.session(out.Credentials)
	f.ok(list(f.cast, s))
	_, err = f.root.DeleteOpenIDConnectProvider(t.Context(), &iam.DeleteOpenIDConnectProviderInput{
		OpenIDConnectProviderArn: &f.provider,
	})
	f.ok(err)
	expect(t, list(f.cast, s), "InvalidAccessKeyId")
	_, err = f.assume(role, token)
	expect(t, err, "AccessDenied")
}

// TestIssuerMustBeTrusted: a provider is contacted at allowed addresses only, and trusted only with a
// valid certificate.
func TestIssuerMustBeTrusted(t *testing.T) {
	type change = func(*harness.Issuer) func(*iam.CreateOpenIDConnectProviderInput)
	thumb := func(print string) change {
		return func(*harness.Issuer) func(*iam.CreateOpenIDConnectProviderInput) {
			return func(in *iam.CreateOpenIDConnectProviderInput) { in.ThumbprintList = []string{print} }
		}
	}
	f := newFederation(t, "issuer.example", thumb(strings.Repeat("ab", 20)))
	_, err := f.assume(f.trusting("r", ""), f.Token("RS256", f.Claims(nil)))
	if code(err) != "InvalidIdentityToken" || !strings.Contains(err.Error(), "Couldn't retrieve verification key") {
		t.Errorf("another thumbprint: %v", err)
	}
	for name, about := range map[string]map[string]any{
		"another issuer":  {"issuer": "https://other.example", "jwks_uri": "https://issuer.example/keys"},
		"keys by http":    {"issuer": "https://issuer.example", "jwks_uri": "http://issuer.example/keys"},
		"keys in a file":  {"issuer": "https://issuer.example", "jwks_uri": "file:///etc/passwd"},
		"the metadata":    {"issuer": "https://issuer.example", "jwks_uri": "https://169.254.169.254/latest/meta-data"},
		"no keys":         {"issuer": "https://issuer.example"},
		"keys not there":  {"issuer": "https://issuer.example", "jwks_uri": "https://issuer.example/none"},
		"another machine": {"issuer": "https://issuer.example", "jwks_uri": "https://10.1.2.3/keys"},
	} {
		t.Run(name, func(t *testing.T) {
			f := newFederation(t, "issuer.example")
			f.Change(nil, about, false)
			if _, err := f.assume(f.trusting("r", ""),
				f.Token("RS256", f.Claims(nil))); code(err) != "InvalidIdentityToken" {
				t.Errorf("%s: %v", name, err)
			}
		})
	}
	down := newFederation(t, "issuer.example")
	down.Change(nil, nil, true)
	_, err = down.assume(down.trusting("r", ""), down.Token("RS256", down.Claims(nil)))
	expect(t, err, "IDPCommunicationError")
	// Unless the operator allows it, no address of this machine is contacted.
	i := harness.StartIssuer(t, "issuer.example")
	s := harness.Start(t, i.Named)
	g := federation{
		cast: cast{TB: t, Server: s, root: rootIAM(s)}, Issuer: i,
		anybody: sts.New(sts.Options{
			BaseEndpoint: &s.Endpoint, Region: s.Region, RetryMaxAttempts: 1, HTTPClient: harness.SDK(s.HTTP),
		}),
	}
	p, err := g.root.CreateOpenIDConnectProvider(t.Context(), &iam.CreateOpenIDConnectProviderInput{
		Url: &i.URL, ClientIDList: []string{"watertight"}, ThumbprintList: []string{i.Thumbprint},
	})
	g.ok(err)
	g.provider = *p.OpenIDConnectProviderArn
	_, err = g.assume(g.trusting("r", ""), i.Token("RS256", i.Claims(nil)))
	expect(t, err, "InvalidIdentityToken")
	if i.Fetched() != 0 {
		t.Error("the provider on this machine was contacted")
	}
}

// TestSharedIssuersAreNarrowed: a trust policy for an issuer that gives tokens
// to everyone has to name an owner.
func TestSharedIssuersAreNarrowed(t *testing.T) {
	c := newCast(t)
	const github = "token.actions.githubusercontent.com"
	provider := `{"Federated":"arn:aws:iam::` + c.account + `:oidc-provider/` + github + `"}`
	c.role(c.root, "r", trust(awsPrincipal(c.account), ""), "")
	for i, test := range []struct{ condition, want string }{
		{`{"StringLike":{"` + github + `:sub":"repo:us/*"}}`, ""},
		{`{"StringEquals":{"TOKEN.actions.githubusercontent.com:SUB":"repo:us/a:ref:refs/heads/main"}}`, ""},
		{"", "MalformedPolicyDocument"},
		{`{"StringEquals":{"` + github + `:aud":"sts.amazonaws.com"}}`, "MalformedPolicyDocument"},
		{`{"StringLike":{"` + github + `:sub":"*"}}`, "MalformedPolicyDocument"},
		{`{"StringLike":{"` + github + `:sub":["repo:us/*","**"]}}`, "MalformedPolicyDocument"},
		{`{"StringLike":{"` + github + `:sub":"repo:*"}}`, "MalformedPolicyDocument"},
		{`{"StringLike":{"` + github + `:sub":"repo:u*/a:*"}}`, "MalformedPolicyDocument"},
		{`{"StringNotEquals":{"` + github + `:sub":"repo:us/*"}}`, "MalformedPolicyDocument"},
		{`{"StringLikeIfExists":{"` + github + `:sub":"repo:us/*"}}`, "MalformedPolicyDocument"},
		{`{"ForAllValues:StringLike":{"` + github + `:sub":"repo:us/*"}}`, "MalformedPolicyDocument"},
		{`{"Null":{"` + github + `:sub":"false"}}`, "MalformedPolicyDocument"},
	} {
		t.Run(fmt.Sprint(i), func(t *testing.T) {
			document := trust(provider, test.condition, "sts:AssumeRoleWithWebIdentity")
			_, err := c.root.CreateRole(t.Context(), &iam.CreateRoleInput{
				RoleName: aws.String(fmt.Sprint("r", i)), AssumeRolePolicyDocument: &document,
			})
			if code(err) != test.want {
				t.Errorf("%s: %v, want %q", test.condition, err, test.want)
			}
			_, err = c.root.UpdateAssumeRolePolicy(t.Context(), &iam.UpdateAssumeRolePolicyInput{
				RoleName: aws.String("r"), PolicyDocument: &document,
			})
			if code(err) != test.want {
				t.Errorf("updated to %s: %v, want %q", test.condition, err, test.want)
			}
		})
	}
}

// TestWorkloadsWithoutKeys does what pods and pipelines do: the SDK's own provider
// reads a token from a file or from the pipeline.
func TestWorkloadsWithoutKeys(t *testing.T) {
	for name, c := range map[string]struct{ host, condition, subject, stranger string }{
		"a pod's service account": {"kubernetes.default.svc.cluster.local",
			`{"StringEquals":{"%s:sub":"system:serviceaccount:shop:uploader","%[1]s:aud":"watertight"}}`,
			"system:serviceaccount:shop:uploader", "system:serviceaccount:shop:other"},
		"a pipeline": {"token.actions.githubusercontent.com",
			`{"StringLike":{"%s:sub":"repo:us/shop:ref:refs/heads/*"},"StringEquals":{"%[1]s:aud":"watertight"}}`,
			"repo:us/shop:ref:refs/heads/main", "repo:us/shop:pull_request"},
	} {
		t.Run(name, func(t *testing.T) {
			f := newFederation(t, c.host)
			role := f.trusting("uploader", fmt.Sprintf(c.condition, c.host))
			file := filepath.Join(t.TempDir(), "token")
			objects := f.Client(harness.Credentials{}, func(o *s3.Options) {
				o.Credentials = aws.NewCredentialsCache(stscreds.NewWebIdentityRoleProvider(f.anybody, role,
					stscreds.IdentityTokenFile(file)))
			})
			use := func(subject string) error {
				f.ok(os.WriteFile(file, []byte(f.Token("RS256", f.Claims(map[string]any{"sub": subject}))), 0o600))
				_, err := objects.ListBuckets(t.Context(), &s3.ListBucketsInput{})
				return err
			}
			if err := use(c.stranger); err == nil || !strings.Contains(err.Error(), "InvalidIdentityToken") {
				t.Errorf("%s: a stranger: %v", name, err)
			}
			if err := use(c.subject); err != nil {
				t.Errorf("%s: %v", name, err)
			}
			if _, err := objects.CreateBucket(t.Context(), &s3.CreateBucketInput{
				Bucket: aws.String("not-allowed"),
			}); code(err) != "AccessDenied" {
				t.Errorf("%s: more than the role: %v", name, err)
			}
		})
	}
}

// TestAProviderMadeAgainIsAnother: if a provider is deleted and made again, sessions
// of the deleted one, and of roles that were assumed with them, stay invalid.
func TestAProviderMadeAgainIsAnother(t *testing.T) {
	f := newFederation(t, "issuer.example")
	role := f.trusting("r", "")
	begun, err := f.assume(role, f.Token("RS256", f.Claims(nil)))
	f.ok(err)
	c := begun.Credentials
	list := func() error {
		client := s3.New(s3.Options{Region: f.Region, BaseEndpoint: &f.Endpoint, UsePathStyle: true,
			RetryMaxAttempts: 1, HTTPClient: harness.SDK(f.HTTP),
			Credentials: credentials.NewStaticCredentialsProvider(*c.AccessKeyId, *c.SecretAccessKey, *c.SessionToken)})
		_, err := client.ListBuckets(t.Context(), &s3.ListBucketsInput{})
		return err
	}
	expect(t, list(), "")
	_, err = f.root.DeleteOpenIDConnectProvider(t.Context(), &iam.DeleteOpenIDConnectProviderInput{
		OpenIDConnectProviderArn: &f.provider,
	})
	f.ok(err)
	expect(t, list(), "InvalidAccessKeyId")
	_, err = f.root.CreateOpenIDConnectProvider(t.Context(), &iam.CreateOpenIDConnectProviderInput{
		Url: &f.URL, ClientIDList: []string{"watertight"}, ThumbprintList: []string{f.Thumbprint},
	})
	f.ok(err)
	expect(t, list(), "InvalidAccessKeyId")
	begun, err = f.assume(role, f.Token("RS256", f.Claims(nil)))
	f.ok(err)
	c = begun.Credentials
	expect(t, list(), "")
}
