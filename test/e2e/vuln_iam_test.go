package e2e

import (
	"fmt"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/iam"
	"github.com/aws/aws-sdk-go-v2/service/iam/types"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/sts"

	"watertight/internal/gateway/dispatch"
	"watertight/test/harness"
)

// The tests of this file are about bugs of other S3 servers. Each first checks that
// allowed access works, and then that other access does not.

// queryOf returns a request of the Query dialect.
func queryOf(service, form string) raw {
	return raw{
		method: "POST", target: "/", body: form, service: service,
		header: http.Header{"Content-Type": {"application/x-www-form-urlencoded"}},
	}
}

// adminPaths returns paths at which other servers have data that strangers must not read.
var adminPaths = []string{
	"/minio/bootstrap/v1/verify", "/minio/bootstrap/v1/health", "/minio/admin/v3/info", "/minio/admin/v3/list-users",
	"/minio/admin/v3/export-iam",
	"/minio/health/cluster?verify", "/minio/v2/metrics/cluster", "/minio/prometheus/metrics",
	"/rustfs/admin/v3/export-iam", "/rustfs/rpc/read_file_stream?path=/etc/passwd",
	"/admin/user", "/admin/config", "/dir/status", "/cluster/status", "/debug/pprof/", "/debug/pprof/cmdline",
	"/debug/vars", "/metrics", "/status", "/stats",
	"/env", "/.env", "/actuator/env", "/config", "/api/v1/config", "/accounts", "/root-keys", "/operator.sock",
	"/v1/sys/seal-status", "/.well-known/openid-configuration",
}

// TestBootstrapTellsStrangersNothing (MinIO CVE-2023-28432): no path and no
// operation gives a stranger the environment, a secret or the root key's place.
func TestBootstrapTellsStrangersNothing(t *testing.T) {
	const canary = "canary-of-the-environment"
	t.Setenv("WATERTIGHT_CANARY_PASSWORD", canary)
	t.Setenv("MINIO_ROOT_PASSWORD", canary)
	s := harness.Start(t)
	newBucket(t, s, "crawled")
	if a := send(t, s, raw{method: "GET", target: "/"}); a.status != 200 {
		t.Fatalf("the owner can't list buckets: %d", a.status)
	}
	look := func(what string, a answer) {
		t.Helper()
		text := a.body + fmt.Sprint(a.header)
		for _, secret := range []string{
			canary, s.SecretAccessKey, "WATERTIGHT_CANARY", "MINIO_ROOT", s.Data, "root.key", "goroutine ", ".go:",
		} {
			if strings.Contains(text, secret) {
				t.Errorf("%s shows a stranger %q", what, secret)
			}
		}
		if a.status < 400 || a.status >= 500 && a.status != http.StatusNotImplemented {
			t.Errorf("%s answers a stranger %d", what, a.status)
		}
	}
	for _, path := range adminPaths {
		for _, method := range []string{"GET", "POST", "PUT"} {
			look(method+" "+path, send(t, s, raw{method: method, target: path, unsigned: true}))
		}
	}
	for _, row := range s.Operations("s3") {
		r := request(row, "crawled")
		r.unsigned = true
		look(row.Name(), send(t, s, r))
	}
	for service, version := range map[string]string{"iam": "2010-05-08", "sts": "2011-06-15"} {
		for _, row := range s.Operations(service) {
			r := queryOf(service, "Action="+row.Name()+"&Version="+version)
			r.unsigned = true
			look(row.Name(), send(t, s, r))
		}
	}
}

// TestHeadersAreNoConditionKeys (RustFS GHSA-6r96): the values of condition keys about the caller are
// never taken from a header that the caller sends.
func TestHeadersAreNoConditionKeys(t *testing.T) {
	s := harness.Start(t)
	newBucket(t, s, "keys")
	if a := send(t, s, raw{method: "PUT", target: "/keys/k", body: "x"}); a.status != 200 {
		t.Fatal(a.body)
	}
	root := rootIAM(s)
	key := keyOf(t, root, "alice")
	get := func(header http.Header) int {
		return send(t, s, raw{
			method: "GET", target: "/keys/k", header: header, key: key.AccessKeyID, secret: key.SecretAccessKey,
		}).status
	}
	forged := http.Header{}
	for _, name := range []string{
		"userid", "username", "user", "groups", "principalarn", "principaltype", "principalaccount", "jwt", "sub",
		"sourceip", "securetransport", "multifactorauthpresent", "sourcearn", "sourceaccount", "ViaAWSService",
		"PrincipalIsAWSService", "PrincipalTag/team",
	} {
		for _, prefix := range []string{"", "aws:", "aws-", "X-Amz-Meta-Aws-", "jwt:", "ldap:", "X-Forwarded-", "s3:"} {
			forged[http.CanonicalHeaderKey(prefix+name)] = []string{"root"}
		}
	}
	for name := range forged { // names that no header may have
		if strings.ContainsAny(name, ":/") {
			delete(forged, name)
		}
	}
	forged.Set("X-Forwarded-For", "10.9.8.7")
	forged.Set("X-Real-Ip", "10.9.8.7")
	forged.Set("Forwarded", "for=10.9.8.7;proto=https")
	forged.Set("X-Forwarded-Proto", "https")
	for condition, own := range map[string]string{
		`"StringEquals":{"aws:username":"%s"}`:              "alice",
		`"StringLike":{"aws:PrincipalArn":"*%s"}`:           "/alice",
		`"StringEquals":{"aws:PrincipalType":"%s"}`:         "User",
		`"Bool":{"aws:SecureTransport":"%s"}`:               "false",
		`"IpAddress":{"aws:SourceIp":"%s"}`:                 "127.0.0.1/32",
		`"StringEqualsIfExists":{"aws:SourceAccount":"%s"}`: "root", // always absent
	} {
		t.Run(condition, func(t *testing.T) {
			allow := func(value string) {
				t.Helper()
				putUserPolicy(t, root,
					"alice", `{"Effect":"Allow","Action":"s3:GetObject","Resource":"*","Condition":{`+
						fmt.Sprintf(condition, value)+`}}`)
			}
			allow(own)
			if got := get(forged); got != 200 {
				t.Errorf("%s: %d where it is true", condition, got)
			}
			other := map[string]string{"127.0.0.1/32": "10.9.8.7/32", "false": "true"}[own]
			if other == "" {
				other = "root"
			}
			if strings.Contains(condition, "IfExists") {
				return
			}
			allow(other)
			if got := get(forged); got != 403 {
				t.Errorf("%s: %d by headers", condition, got)
			}
		})
	}
}

// TestSetOperators (RustFS GHSA-v9cp) has the truth table of ForAllValues and ForAnyValue, negated and
// not, for sets that overlap in part and for empty ones.
func TestSetOperators(t *testing.T) {
	s := harness.Start(t)
	root := rootIAM(s)
	key := keyOf(t, root, "maker")
	maker := iamClient(s, key.AccessKeyID, key.SecretAccessKey, "")
	sets := [][]string{nil, {"a"}, {"a", "c"}, {"c"}}
	for operator, want := range map[string][4]bool{
		"ForAllValues:StringEquals":    {true, true, false, false},
		"ForAnyValue:StringEquals":     {false, true, true, false},
		"ForAllValues:StringNotEquals": {true, false, false, true},
		"ForAnyValue:StringNotEquals":  {false, false, true, true},
		"ForAllValues:StringLike":      {true, true, false, false},
		"ForAnyValue:StringNotLike":    {false, false, true, true},
	} {
		putUserPolicy(t, root,
			"maker", `{"Effect":"Allow","Action":"iam:CreateUser","Resource":"*","Condition":{"`+operator+
				`":{"aws:TagKeys":["a","b"]}}}`)
		for i, keys := range sets {
			in := &iam.CreateUserInput{
				UserName: aws.String(fmt.Sprintf("%s-%d", strings.ReplaceAll(operator, ":", "-"), i)),
			}
			for _, k := range keys {
				in.Tags = append(in.Tags, types.Tag{Key: aws.String(k), Value: aws.String("v")})
			}
			_, err := maker.CreateUser(t.Context(), in)
			code := "AccessDenied"
			if want[i] {
				code = ""
			}
			t.Run(fmt.Sprint(operator, keys), func(t *testing.T) { expect(t, err, code) })
		}
	}
}

// TestExportsHoldNoSecret (MinIO CVE-2024-55949; RustFS GHSA-566f, GHSA-vcwh, GHSA-3495): no answer to
// a caller with all read permissions contains a secret or a seed.
func TestExportsHoldNoSecret(t *testing.T) {
	s := harness.Start(t)
	root := rootIAM(s)
	account := newTarget(t, root)
	k, err := root.CreateAccessKey(t.Context(), &iam.CreateAccessKeyInput{UserName: aws.String("target")})
	if err != nil {
		t.Fatal(err)
	}
	_, seed := enrol(t, root, "phone", "target")
	tells := []string{"CreateAccessKey", "CreateVirtualMFADevice"} // once, to its creator
	reading := 0
	for _, row := range s.Operations("iam") {
		name := row.Name()
		if slices.Contains(tells, name) ||
			!strings.HasPrefix(name, "Get") && !strings.HasPrefix(name, "List") &&
				!strings.HasPrefix(name, "Generate") {
			continue
		}
		a := send(t,
			s, queryOf("iam",
				strings.Replace(iamParams(name, account), "AKIAUNKNOWNUNKNOWN12", *k.AccessKey.AccessKeyId, 1)))
		if a.status == 200 {
			reading++
		}
		for _, secret := range []string{
			*k.AccessKey.SecretAccessKey, seed, s.SecretAccessKey, url.QueryEscape(*k.AccessKey.SecretAccessKey),
		} {
			if strings.Contains(a.body, secret) {
				t.Errorf("%s returns a secret", name)
			}
		}
	}
	if reading < 20 {
		t.Errorf("only %d operations answered: the test reads too little", reading)
	}
}

// TestEveryAdministrationIsAuthorized (MinIO CVE-2020-11012; RustFS GHSA-f5cv,
// GHSA-796f, GHSA-pfcq): a valid signature is not enough for any operation of IAM, and
// those of STS that need no permission are listed with the reason. What each needs is
// in TestIAMMatrix.
func TestEveryAdministrationIsAuthorized(t *testing.T) {
	s := harness.Start(t)
	root := rootIAM(s)
	account := newTarget(t, root)
	key := keyOf(t, root, "powerless")
	for _, row := range s.Operations("iam") {
		if why := dispatch.Openness(row); why != "" {
			t.Errorf("%s needs no permission: %s", row.Name(), why)
		}
		r := queryOf("iam", iamParams(row.Name(), account))
		r.key, r.secret = key.AccessKeyID, key.SecretAccessKey
		if a := send(t, s, r); a.status != 403 || !strings.Contains(a.body, "<Code>AccessDenied</Code>") {
			t.Errorf("%s by a user without policies: %d %s", row.Name(), a.status, a.body)
		}
	}
	for _, path := range adminPaths {
		a := send(t, s, raw{method: "GET", target: path, key: key.AccessKeyID, secret: key.SecretAccessKey})
		if a.status < 400 {
			t.Errorf("%s answers a user without policies %d", path, a.status)
		}
	}
}

var requestID = regexp.MustCompile(`<(RequestId|HostId)>[^<]*</`)

// TestNamesAreNotGuessed (MinIO GHSA-jv87, RustFS GHSA-3p3x): a caller who may
// not read users gets the same answer whether a user exists or not. An unknown
// key, an inactive one and one of an expired session get the same answer, and so does a wrong secret.
// That both cost the same work follows from the code of authn; this test measures no time.
func TestNamesAreNotGuessed(t *testing.T) {
	s := harness.Start(t)
	root := rootIAM(s)
	for _, name := range []string{"there", "inactive"} {
		if _, err := root.CreateUser(t.Context(), &iam.CreateUserInput{
			UserName: aws.String(name), Path: aws.String("/hidden/"),
		}); err != nil {
			t.Fatal(err)
		}
	}
	key := keyOf(t, root, "prober")
	if _, err := root.GetUser(t.Context(), &iam.GetUserInput{UserName: aws.String("there")}); err != nil {
		t.Fatal(err)
	}
	said := func(name, target string) string {
		r := queryOf("iam", iamParams(name, "111122223333"))
		r.body = strings.ReplaceAll(r.body, "UserName=target", "UserName="+target)
		r.key, r.secret = key.AccessKeyID, key.SecretAccessKey
		a := send(t, s, r)
		return fmt.Sprint(a.status, requestID.ReplaceAllString(a.body, ""))
	}
	for _, name := range []string{
		"GetUser", "ListAccessKeys", "CreateAccessKey", "TagUser", "DeleteUser", "PutUserPolicy", "ListMFADevices",
		"CreateUser",
	} {
		if there, missing := said(name, "there"), said(name, "nobody"); there != missing ||
			!strings.HasPrefix(there, "403") {
			t.Errorf("%s:\nof an existing user %s\nof a missing one    %s", name, there, missing)
		}
	}
	k, err := root.CreateAccessKey(t.Context(), &iam.CreateAccessKeyInput{UserName: aws.String("inactive")})
	if err != nil {
		t.Fatal(err)
	}
	off := harness.Credentials{AccessKeyID: *k.AccessKey.AccessKeyId, SecretAccessKey: *k.AccessKey.SecretAccessKey}
	who := func(c harness.Credentials) string {
		r := queryOf("sts", "Action=GetCallerIdentity&Version=2011-06-15")
		r.key, r.secret = c.AccessKeyID, c.SecretAccessKey
		a := send(t, s, r)
		return fmt.Sprint(a.status, requestID.ReplaceAllString(a.body, ""))
	}
	if got := who(off); !strings.HasPrefix(got, "200") {
		t.Fatalf("the key does not work: %s", got)
	}
	if _, err := root.UpdateAccessKey(t.Context(), &iam.UpdateAccessKeyInput{
		UserName: aws.String("inactive"), AccessKeyId: &off.AccessKeyID, Status: types.StatusTypeInactive,
	}); err != nil {
		t.Fatal(err)
	}
	unknown := who(harness.Credentials{
		AccessKeyID: "AKIAUNKNOWNUNKNOWN12", SecretAccessKey: "no-such-secret-no-such-secret",
	})
	for name, c := range map[string]harness.Credentials{
		"inactive":                 off,
		"inactive, a wrong secret": {AccessKeyID: off.AccessKeyID, SecretAccessKey: "wrong-secret-wrong-secret-wrong"},
		"a session that never was": {
			AccessKeyID: "ASIAUNKNOWNUNKNOWN12", SecretAccessKey: "wrong-secret-wrong-secret-wrong",
		},
	} {
		t.Run(name, func(t *testing.T) {
			if got := who(c); got != unknown {
				t.Errorf("%s: %s\nunknown: %s", name, got, unknown)
			}
		})
	}
	if wrong := who(harness.Credentials{
		AccessKeyID: key.AccessKeyID, SecretAccessKey: "wrong-secret-wrong-secret-wrong",
	}); !strings.HasPrefix(wrong, "403") || !strings.HasPrefix(unknown, "403") {
		t.Errorf("a wrong secret: %s\nunknown: %s", wrong, unknown)
	}
}

// TestNothingSecretInTheLog (Ceph CVE-2018-16889; RustFS GHSA-r54g, GHSA-8cm2, GHSA-333v): the log at
// debug level contains no secret, token, seed, code or signature, of valid and of invalid requests.
func TestNothingSecretInTheLog(t *testing.T) {
	s := harness.Start(t)
	newBucket(t, s, "logged")
	root := rootIAM(s)
	k, err := root.CreateAccessKey(t.Context(), &iam.CreateAccessKeyInput{})
	if err != nil {
		t.Fatal(err)
	}
	_, seed := enrol(t, root, "root-account-mfa-device", "root")
	session, err := stsClient(s, s.AccessKeyID, s.SecretAccessKey, "").
		GetSessionToken(t.Context(), &sts.GetSessionTokenInput{})
	if err != nil {
		t.Fatal(err)
	}
	token := *session.Credentials.SessionToken
	const wrong = "wrong-secret-that-somebody-mistyped"
	secrets := map[string]string{
		"the root secret": s.SecretAccessKey, "a secret": *k.AccessKey.SecretAccessKey, "a seed": seed,
		"a session's secret": *session.Credentials.SecretAccessKey, "a session token": token, "a wrong secret": wrong,
		"an escaped token": url.QueryEscape(token),
	}
	presigned, err := s3.NewPresignClient(s.S3).PresignGetObject(t.Context(), &s3.GetObjectInput{
		Bucket: aws.String("logged"), Key: aws.String("k"),
	})
	if err != nil {
		t.Fatal(err)
	}
	u, err := url.Parse(presigned.URL)
	if err != nil {
		t.Fatal(err)
	}
	secrets["a presigned URL's signature"] = u.Query().Get("X-Amz-Signature")
	for _, target := range []string{
		u.RequestURI(), u.RequestURI() + "0", "/logged?X-Amz-Security-Token=" + url.QueryEscape(token),
		"/logged/%zz?" + u.RawQuery,
	} {
		send(t, s, raw{method: "GET", target: target, unsigned: true})
	}
	send(t, s, raw{method: "GET", target: "/logged", header: http.Header{"X-Amz-Security-Token": {token}}})
	send(t, s, raw{
		method: "GET", target: "/logged", unsigned: true, header: http.Header{"Authorization": {"Basic " + wrong}},
	})
	send(t, s, raw{method: "GET", target: "/logged", secret: wrong, key: s.AccessKeyID})
	send(t, s,
		queryOf("iam", "Action=CreateUser&Version=2010-05-08&UserName="+url.QueryEscape(wrong+" ☺")+"&MaxItems="+wrong))
	send(t, s, queryOf("iam", "Action=ListUsers&Version=2010-05-08&MaxItems="+wrong))
	send(t, s, post{bucket: "logged"}.build(t, s))
	code := totp(t, seed, time.Now().Add(-time.Hour))
	_, err = root.ResyncMFADevice(t.Context(), &iam.ResyncMFADeviceInput{
		UserName: aws.String("root"), SerialNumber: aws.String("arn:aws:iam::111122223333:mfa/none"),
		AuthenticationCode1: &code, AuthenticationCode2: &code,
	})
	expect(t, err, "NoSuchEntity")
	s.Stop()
	log := s.Logs.String()
	if !strings.Contains(log, "operation=CreateAccessKey") || strings.Count(log, "msg=request") < 10 {
		t.Fatalf("the log does not hold what was done:\n%s", log)
	}
	for name, secret := range secrets {
		t.Run(name, func(t *testing.T) {
			if strings.Contains(log, secret) {
				t.Errorf("%s is in the log", name)
			}
		})
	}
}

// TestIAMTakesAnything: every invalid input gets a client error that does not reveal how the server
// works.
func TestIAMTakesAnything(t *testing.T) {
	s := harness.Start(t)
	names := func(value string) string {
		v, err := url.ParseQuery(iamParams("X", "111122223333"))
		if err != nil {
			t.Fatal(err)
		}
		for name := range v {
			if name != "Action" && name != "Version" {
				v.Set(name, value)
			}
		}
		for _, name := range []string{
			"MaxItems", "Marker", "PathPrefix", "Path", "NewUserName", "NewPath", "MaxSessionDuration",
			"Filter.member.1", "ContextEntries.member.1.ContextKeyName", "ResourceArns.member.1", "DurationSeconds",
			"TokenCode", "Name", "Policy", "RoleArn", "WebIdentityToken",
		} {
			v.Set(name, value)
		}
		v.Del("Action")
		v.Del("Version")
		return v.Encode()
	}
	bodies := []string{
		"", "Tags.member.99999999999999999999.Key=a", "Tags.member=1&Tags=2&Tags.member.1=3",
		strings.Repeat("a.", 400) + "=1", "UserName=a&UserName=b", "%=%&=&&", "TagKeys.member.-1=x",
	}
	for _, value := range []string{
		"", " ", "\x00", "-1", "99999999999999999999", "%", "☺", "../../etc/passwd", "arn:aws:iam::aws:policy/",
		"arn:aws:iam::::", "arn::::::::", strings.Repeat("a", 3000), `{"Statement":[[[[[[[[[[]]]]]]]]]]}`, "\xff\xfe",
		"<a>&\"'",
	} {
		bodies = append(bodies, names(value))
	}
	for service, version := range map[string]string{"iam": "2010-05-08", "sts": "2011-06-15"} {
		t.Run(service, func(t *testing.T) {
			for _, row := range s.Operations(service) {
				for i, body := range bodies {
					a := send(t, s, queryOf(service, "Action="+row.Name()+"&Version="+version+"&"+body))
					if a.status >= 500 || strings.Contains(a.body, "goroutine ") || strings.Contains(a.body, ".go:") {
						t.Errorf("%s with body %d: %d %s", row.Name(), i, a.status, a.body)
					}
				}
			}
		})
	}
	if log := s.Logs.String(); strings.Contains(log, "level=ERROR") {
		t.Errorf("an internal error: %s", log[strings.Index(log, "level=ERROR"):][:200])
	}
}

// newTarget makes the user that iamParams names, and returns the account.
func newTarget(t *testing.T, root *iam.Client) (account string) {
	t.Helper()
	u, err := root.CreateUser(t.Context(), &iam.CreateUserInput{UserName: aws.String("target")})
	if err != nil {
		t.Fatal(err)
	}
	return strings.Split(*u.User.Arn, ":")[4]
}

// keyOf makes a user with an access key.
func keyOf(t *testing.T, root *iam.Client, name string) harness.Credentials {
	t.Helper()
	if _, err := root.CreateUser(t.Context(), &iam.CreateUserInput{UserName: &name}); err != nil {
		t.Fatal(err)
	}
	k, err := root.CreateAccessKey(t.Context(), &iam.CreateAccessKeyInput{UserName: &name})
	if err != nil {
		t.Fatal(err)
	}
	return harness.Credentials{AccessKeyID: *k.AccessKey.AccessKeyId, SecretAccessKey: *k.AccessKey.SecretAccessKey}
}

// putUserPolicy gives a user one policy with these statements.
func putUserPolicy(t *testing.T, root *iam.Client, name string, statements ...string) {
	t.Helper()
	_, err := root.PutUserPolicy(t.Context(), &iam.PutUserPolicyInput{
		UserName: &name, PolicyName: aws.String("p"),
		PolicyDocument: aws.String(`{"Version":"2012-10-17","Statement":[` + strings.Join(statements, ",") + `]}`),
	})
	if err != nil {
		t.Fatal(err)
	}
}
