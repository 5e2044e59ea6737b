package e2e

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/sts"
	"github.com/aws/smithy-go"

	"watertight/test/harness"
)

// stsClient returns an SDK client that ignores the environment.
func stsClient(s *harness.Server, key, secret, token string) *sts.Client {
	return sts.New(sts.Options{
		BaseEndpoint: &s.Endpoint, Region: s.Region, RetryMaxAttempts: 1, HTTPClient: harness.SDK(s.HTTP),
		Credentials: credentials.NewStaticCredentialsProvider(key, secret, token),
	})
}

// code returns the API's error code, or "".
func code(err error) string {
	var e smithy.APIError
	if errors.As(err, &e) {
		return e.ErrorCode()
	}
	return ""
}

// TestSessionTokens: temporary credentials act as their parent, and only if all three
// parts are used.
func TestSessionTokens(t *testing.T) {
	s := harness.Start(t)
	root := stsClient(s, s.AccessKeyID, s.SecretAccessKey, "")
	who, err := root.GetCallerIdentity(t.Context(), &sts.GetCallerIdentityInput{})
	if err != nil || *who.Arn != "arn:aws:iam::"+*who.Account+":root" || *who.UserId != *who.Account {
		t.Fatalf("%+v, %v", who, err)
	}
	out, err := root.GetSessionToken(t.Context(), &sts.GetSessionTokenInput{DurationSeconds: aws.Int32(900)})
	if err != nil {
		t.Fatal(err)
	}
	c := out.Credentials
	session := stsClient(s, *c.AccessKeyId, *c.SecretAccessKey, *c.SessionToken)
	if again, err := session.GetCallerIdentity(t.Context(),
		&sts.GetCallerIdentityInput{}); err != nil || *again.Arn != *who.Arn {
		t.Errorf("%+v, %v", again, err)
	}
	if _, err := session.GetSessionToken(t.Context(), &sts.GetSessionTokenInput{}); code(err) != "AccessDenied" {
		t.Errorf("a session can make a session: %v", err)
	}
	if info, err := root.GetAccessKeyInfo(t.Context(), &sts.GetAccessKeyInfoInput{
		AccessKeyId: c.AccessKeyId,
	}); err != nil || *info.Account != *who.Account {
		t.Errorf("%+v, %v", info, err)
	}
	for name, test := range map[string]struct{ secret, token, want string }{
		"whole":         {*c.SecretAccessKey, *c.SessionToken, ""},
		"without token": {*c.SecretAccessKey, "", "InvalidAccessKeyId"},
		"another token": {*c.SecretAccessKey, *c.SessionToken + "x", "InvalidToken"},
		"wrong secret":  {*c.SecretAccessKey + "x", *c.SessionToken, "SignatureDoesNotMatch"},
	} {
		t.Run(name, func(t *testing.T) {
			client := s3.New(s3.Options{
				BaseEndpoint: &s.Endpoint, Region: s.Region, UsePathStyle: true, RetryMaxAttempts: 1,
				HTTPClient:  harness.SDK(s.HTTP),
				Credentials: credentials.NewStaticCredentialsProvider(*c.AccessKeyId, test.secret, test.token),
			})
			if _, err := client.ListBuckets(t.Context(), &s3.ListBucketsInput{}); code(err) != test.want {
				t.Errorf("%s: %v, want %q", name, err, test.want)
			}
		})
	}
	for seconds, want := range map[int32]string{899: "ValidationError", 129601: "ValidationError", 129600: "", 0: ""} {
		t.Run(fmt.Sprint(seconds), func(t *testing.T) {
			in := &sts.GetSessionTokenInput{}
			if seconds > 0 {
				in.DurationSeconds = &seconds
			}
			if _, err := root.GetSessionToken(t.Context(), in); code(err) != want {
				t.Errorf("%d seconds: %v, want %q", seconds, err, want)
			}
		})
	}
}

// TestStrangersAtSTS: the Query dialect has no anonymous callers.
func TestStrangersAtSTS(t *testing.T) {
	s := harness.Start(t)
	for body, want := range map[string]string{
		"Action=GetCallerIdentity&Version=2011-06-15":                                    "MissingAuthenticationToken",
		"Action=GetSessionToken&Version=2011-06-15":                                      "MissingAuthenticationToken",
		"Action=GetAccessKeyInfo&Version=2011-06-15&AccessKeyId=" + harness.AccessKeyID:  "MissingAuthenticationToken",
		"Action=DropTables&Version=2011-06-15":                                           "InvalidAction",
		"Version=2011-06-15":                                                             "MissingAction",
		"Action=GetCallerIdentity&Version=2011-06-15&" + strings.Repeat("a=b&", 300_000): "RequestEntityTooLarge",
	} {
		t.Run(fmt.Sprintf("%.60s", body), func(t *testing.T) {
			res, err := http.Post(s.Endpoint, "application/x-www-form-urlencoded", strings.NewReader(body))
			if err != nil {
				t.Fatal(err)
			}
			b, err := io.ReadAll(res.Body)
			res.Body.Close()
			if err != nil || !strings.Contains(string(b), "<Code>"+want+"</Code>") || res.StatusCode/100 != 4 ||
				!strings.Contains(string(b), "<ErrorResponse ") {
				t.Errorf("%.60s: %s %s, %v; want %s", body, res.Status, b, err, want)
			}
		})
	}
	for name, client := range map[string]*sts.Client{
		"InvalidClientTokenId":  stsClient(s, "AKIANOBODYNOBODYNOBO", "secretsecretsecretsecret", ""),
		"SignatureDoesNotMatch": stsClient(s, s.AccessKeyID, "secretsecretsecretsecret", ""),
	} {
		t.Run(name, func(t *testing.T) {
			if _, err := client.GetCallerIdentity(t.Context(), &sts.GetCallerIdentityInput{}); code(err) != name {
				t.Errorf("%v, want %s", err, name)
			}
		})
	}
}
