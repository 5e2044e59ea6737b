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
	"github.com/aws/aws-sdk-go-v2/service/sts"

	"watertight/test/harness"
)

// TestSTSMatrix calls every operation of STS as each kind of caller. Reviewers read the golden file. The
// role trusts the account, so that the policies of its sessions and users decide.
func TestSTSMatrix(t *testing.T) {
	c := newCast(t)
	ctx := t.Context()
	u := c.user("caller", may("*", "*"))
	r := c.role(c.root, "r", trust(awsPrincipal(c.account), ""), may("*", "*"))
	token, err := u.sts.GetSessionToken(ctx, &sts.GetSessionTokenInput{})
	c.ok(err)
	d := c.device("phone", "caller")
	mfa, err := u.sts.GetSessionToken(ctx, &sts.GetSessionTokenInput{SerialNumber: &d.serial, TokenCode: &d.next})
	c.ok(err)
	federated, err := u.sts.GetFederationToken(ctx, &sts.GetFederationTokenInput{
		Name: aws.String("bob"), Policy: aws.String(may("*", "*")),
	})
	c.ok(err)
	role := c.assumed(u, assume(*r.Arn, "one"))
	root := c.someone(harness.Credentials{AccessKeyID: c.AccessKeyID, SecretAccessKey: c.SecretAccessKey}, "")
	ask := func(name string, who *someone) string {
		v := url.Values{
			"Action": {name}, "Version": {"2011-06-15"}, "RoleArn": {*r.Arn}, "RoleSessionName": {"matrix"},
			"Name": {"bob"}, "AccessKeyId": {c.AccessKeyID},
			"WebIdentityToken": {"a.b.c"},
		}
		req := raw{
			method: "POST", target: "/", body: v.Encode(), service: "sts", unsigned: who == nil,
			header: http.Header{"Content-Type": {"application/x-www-form-urlencoded"}},
		}
		if who != nil {
			req.key, req.secret = who.key.AccessKeyID, who.key.SecretAccessKey
			if who.token != "" {
				req.header.Set("X-Amz-Security-Token", who.token)
			}
		}
		a := send(t, c.Server, req)
		_, code, _ := strings.Cut(a.body, "<Error><Type>Sender</Type><Code>")
		code, _, _ = strings.Cut(code, "<")
		if a.status < 300 {
			code = ""
		}
		return strings.TrimSpace(fmt.Sprint(a.status, " ", code))
	}
	var out bytes.Buffer
	columns := []string{
		"anonymous", "no policy", "its action", "and a Deny", "other actions", "root", "session", "with MFA",
		"role session", "federated user",
	}
	line := func(name string, cells []string) {
		text := fmt.Sprintf("%-26s", name)
		for _, cell := range cells {
			text += fmt.Sprintf(" %-30s", cell)
		}
		fmt.Fprintln(&out, strings.TrimRight(text, " "))
	}
	line("operation", columns)
	for _, row := range c.Operations("sts") {
		name := row.Name()
		as := func(statements ...string) string {
			document := `{"Version":"2012-10-17","Statement":[` + strings.Join(statements, ",") + `]}`
			_, err := c.root.PutUserPolicy(ctx, &iam.PutUserPolicyInput{
				UserName: aws.String("caller"), PolicyName: aws.String("p"), PolicyDocument: &document,
			})
			c.ok(err)
			return ask(name, &u)
		}
		one := `{"Effect":"Allow","Action":"sts:` + name + `","Resource":"*"}`
		cells := []string{
			ask(name, nil), as(`{"Effect":"Allow","Action":"s3:Nothing","Resource":"*"}`), as(one),
			as(one, `{"Effect":"Deny","Action":"sts:`+name+`","Resource":"*"}`),
			as(`{"Effect":"Allow","NotAction":"sts:` + name + `","Resource":"*"}`), ask(name, &root),
		}
		as(`{"Effect":"Allow","Action":"*","Resource":"*"}`) // the permissions of the sessions
		for _, who := range []someone{
			c.session(token.Credentials), c.session(mfa.Credentials), role, c.session(federated.Credentials),
		} {
			cells = append(cells, ask(name, &who))
		}
		line(name, cells)
	}
	golden(t, "sts-matrix.golden", out.Bytes())
}
