package e2e

import (
	"bytes"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/iam"

	"watertight/test/harness"
)

// iamParams are parameters with which every operation can be parsed.
func iamParams(action, account string) string {
	v := url.Values{}
	for name, value := range map[string]string{
		"Action": action, "Version": "2010-05-08", "UserName": "target", "GroupName": "g", "RoleName": "r",
		"PolicyName": "p",
		"PolicyArn":  "arn:aws:iam::" + account + ":policy/p", "PolicyDocument": readAll,
		"AssumeRolePolicyDocument": `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":"*",` +
			`"Action":"sts:AssumeRole"}]}`,
		"PermissionsBoundary": "arn:aws:iam::aws:policy/AdministratorAccess", "VersionId": "v1",
		"AccessKeyId": "AKIAUNKNOWNUNKNOWN12", "Status": "Active",
		"Tags.member.1.Key": "k", "Tags.member.1.Value": "v", "TagKeys.member.1": "k", "AccountAlias": "house",
		"Description":          "d",
		"VirtualMFADeviceName": "phone", "SerialNumber": "arn:aws:iam::" + account + ":mfa/phone",
		"AuthenticationCode1": "000000", "AuthenticationCode2": "000000",
		"Url": "https://a.example", "OpenIDConnectProviderArn": "arn:aws:iam::" + account + ":oidc-provider/a.example",
		"ClientID": "c", "ThumbprintList.member.1": strings.Repeat("ab", 20),
		"PolicySourceArn": "arn:aws:iam::" + account + ":user/target", "ActionNames.member.1": "s3:GetObject",
		"PolicyInputList.member.1": readAll,
		"Arn":                      "arn:aws:iam::" + account + ":user/target",
		"JobId":                    "AIDA12345678901234567-00000000000001",
		"InstanceProfileName":      "i", "ServerCertificateName": "c",
		"SAMLProviderArn": "arn:aws:iam::" + account + ":saml-provider/s",
	} {
		v.Set(name, value)
	}
	return v.Encode()
}

// TestIAMMatrix calls every operation of IAM without credentials, as a user without policies, with
// exactly the action, with the action and a Deny, and with every other action. Reviewers read the
// golden file.
func TestIAMMatrix(t *testing.T) {
	s := harness.Start(t)
	root := rootIAM(s)
	var out bytes.Buffer
	fmt.Fprintf(&out, "%-42s %-34s %-18s %-34s %-18s %s\n", "operation", "anonymous", "no policy", "its action",
		"and a Deny", "every other action")
	user, err := root.CreateUser(t.Context(), &iam.CreateUserInput{UserName: aws.String("caller")})
	if err != nil {
		t.Fatal(err)
	}
	account := strings.Split(*user.User.Arn, ":")[4]
	k, err := root.CreateAccessKey(t.Context(), &iam.CreateAccessKeyInput{UserName: aws.String("caller")})
	if err != nil {
		t.Fatal(err)
	}
	allow := func(document string) {
		t.Helper()
		if _, err := root.PutUserPolicy(t.Context(), &iam.PutUserPolicyInput{
			UserName: aws.String("caller"), PolicyName: aws.String("p"), PolicyDocument: &document,
		}); err != nil {
			t.Fatal(err)
		}
	}
	const none = `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"sts:Nothing","Resource":"*"}]}`
	for _, row := range s.Operations("iam") {
		name := row.Name()
		cell := func(document string, unsigned bool) string {
			allow(document)
			r := raw{
				method: "POST", target: "/", body: iamParams(name, account), service: "iam",
				key: *k.AccessKey.AccessKeyId, secret: *k.AccessKey.SecretAccessKey, unsigned: unsigned,
			}
			r.header = http.Header{"Content-Type": {"application/x-www-form-urlencoded"}}
			a := send(t, s, r)
			_, code, _ := strings.Cut(a.body, "<Error><Type>Sender</Type><Code>")
			code, _, _ = strings.Cut(code, "<")
			if a.status < 300 {
				code = ""
			}
			return strings.TrimSpace(fmt.Sprint(a.status, " ", code))
		}
		one := `{"Effect":"Allow","Action":"iam:` + name + `","Resource":"*"}`
		other := `{"Effect":"Allow","NotAction":"iam:` + name + `","Resource":"*"}`
		not := `{"Effect":"Deny","Action":"iam:` + name + `","Resource":"*"}`
		document := func(statements ...string) string {
			return `{"Version":"2012-10-17","Statement":[` + strings.Join(statements, ",") + `]}`
		}
		fmt.Fprintf(&out, "%-42s %-34s %-18s %-34s %-18s %s\n", name,
			cell(none, true), cell(none, false), cell(document(one), false), cell(document(one, not), false),
			cell(document(other), false))
	}
	golden(t, "iam-matrix.golden", out.Bytes())
}
