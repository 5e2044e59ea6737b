package e2e

import (
	"encoding/csv"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/iam"
	"github.com/aws/aws-sdk-go-v2/service/iam/types"

	"watertight/test/harness"
)

// totp returns the code that an authenticator shows for a base32 seed at an instant.
func totp(t testing.TB, seed string, at time.Time) string {
	t.Helper()
	return harness.Device{Seed: seed}.Code(t, at)
}

// enrol gives a new device to a user and returns its serial number and seed.
func enrol(t testing.TB, c *iam.Client, device, user string) (serial, seed string) {
	t.Helper()
	return enrolAt(t, c, device, user, time.Now())
}

// enrolAt is enrol at a server's time.
func enrolAt(t testing.TB, c *iam.Client, device, user string, now time.Time) (serial, seed string) {
	t.Helper()
	d, err := c.CreateVirtualMFADevice(t.Context(), &iam.CreateVirtualMFADeviceInput{VirtualMFADeviceName: &device})
	if err != nil {
		t.Fatal(err)
	}
	serial, seed = *d.VirtualMFADevice.SerialNumber, string(d.VirtualMFADevice.Base32StringSeed)
	if !strings.HasPrefix(string(d.VirtualMFADevice.QRCodePNG), "\x89PNG") {
		t.Error("the QR code is not a PNG")
	}
	_, err = c.EnableMFADevice(t.Context(), &iam.EnableMFADeviceInput{
		UserName: &user, SerialNumber: &serial,
		AuthenticationCode1: aws.String(totp(t, seed, now.Add(-30*time.Second))),
		AuthenticationCode2: aws.String(totp(t, seed, now)),
	})
	if err != nil {
		t.Fatal(err)
	}
	return serial, seed
}

func TestMFADevices(t *testing.T) {
	s := harness.Start(t)
	ctx, c := t.Context(), rootIAM(s)
	own, _, arn := newUser(t, s, "alice")
	account := strings.Split(arn, ":")[4]
	serial, _ := enrol(t, c, "phone", "alice")
	if serial != "arn:aws:iam::"+account+":mfa/phone" {
		t.Error(serial)
	}
	rootSerial, _ := enrol(t, c, "root-account-mfa-device", "root")
	for user, want := range map[string]string{"alice": serial, "root": rootSerial} {
		t.Run(user, func(t *testing.T) {
			l, err := c.ListMFADevices(ctx, &iam.ListMFADevicesInput{UserName: &user})
			if err != nil || len(l.MFADevices) != 1 || *l.MFADevices[0].SerialNumber != want ||
				*l.MFADevices[0].UserName != user {
				t.Errorf("%s: %+v, %v", user, l, err)
			}
		})
	}
	if err := attachTo(t, c, "alice", "IAMFullAccess"); err != nil {
		t.Fatal(err)
	}
	// If the request is not signed with root credentials, the name "root" means a user.
	_, err := own.ListMFADevices(ctx, &iam.ListMFADevicesInput{UserName: aws.String("root")})
	expect(t, err, "NoSuchEntity")
	_, err = own.DeactivateMFADevice(ctx, &iam.DeactivateMFADeviceInput{
		UserName: aws.String("alice"), SerialNumber: &rootSerial,
	})
	expect(t, err, "NoSuchEntity")

	virtual, err := c.ListVirtualMFADevices(ctx, &iam.ListVirtualMFADevicesInput{
		AssignmentStatus: types.AssignmentStatusTypeAssigned,
	})
	if err != nil || len(virtual.VirtualMFADevices) != 2 {
		t.Fatalf("%+v, %v", virtual, err)
	}
	for _, d := range virtual.VirtualMFADevices {
		if d.Base32StringSeed != nil || d.QRCodePNG != nil || d.User == nil {
			t.Errorf("%+v", d)
		}
	}
	_, err = c.DeleteVirtualMFADevice(ctx, &iam.DeleteVirtualMFADeviceInput{SerialNumber: &serial})
	expect(t, err, "DeleteConflict")
	_, err = c.EnableMFADevice(ctx, &iam.EnableMFADeviceInput{
		UserName: aws.String("alice"), SerialNumber: &serial, AuthenticationCode1: aws.String("000000"),
		AuthenticationCode2: aws.String("000000"),
	})
	expect(t, err, "EntityAlreadyExists")
	_, err = c.DeactivateMFADevice(ctx, &iam.DeactivateMFADeviceInput{
		UserName: aws.String("alice"), SerialNumber: &serial,
	})
	expect(t, err, "")
	_, err = c.EnableMFADevice(ctx, &iam.EnableMFADeviceInput{
		UserName: aws.String("alice"), SerialNumber: &serial, AuthenticationCode1: aws.String("000000"),
		AuthenticationCode2: aws.String("000000"),
	})
	expect(t, err, "InvalidAuthenticationCode")
	_, err = c.DeleteVirtualMFADevice(ctx, &iam.DeleteVirtualMFADeviceInput{SerialNumber: &serial})
	expect(t, err, "")
}

func TestAccountReports(t *testing.T) {
	s := harness.Start(t)
	ctx, c := t.Context(), rootIAM(s)
	newUser(t, s, "alice")
	enrol(t, c, "phone", "alice")
	if err := attachTo(t, c, "alice", "AmazonS3FullAccess"); err != nil {
		t.Fatal(err)
	}
	_, err := c.GetCredentialReport(ctx, &iam.GetCredentialReportInput{})
	expect(t, err, "ReportNotPresent")
	made, err := c.GenerateCredentialReport(ctx, &iam.GenerateCredentialReportInput{})
	if err != nil || made.State != types.ReportStateTypeStarted {
		t.Errorf("%+v, %v", made, err)
	}
	made, err = c.GenerateCredentialReport(ctx, &iam.GenerateCredentialReportInput{})
	if err != nil || made.State != types.ReportStateTypeComplete {
		t.Errorf("%+v, %v", made, err)
	}
	report, err := c.GetCredentialReport(ctx, &iam.GetCredentialReportInput{})
	if err != nil {
		t.Fatal(err)
	}
	rows, err := csv.NewReader(strings.NewReader(string(report.Content))).ReadAll()
	if err != nil || len(rows) != 3 || len(rows[0]) != 22 || rows[1][0] != "<root_account>" || rows[1][8] != "true" ||
		rows[2][0] != "alice" || rows[2][7] != "true" || rows[2][8] != "true" || rows[2][13] != "false" {
		t.Errorf("%q, %v", rows, err)
	}
	if strings.Contains(string(report.Content), s.SecretAccessKey) {
		t.Error("the report holds a secret")
	}
	sum, err := c.GetAccountSummary(ctx, &iam.GetAccountSummaryInput{})
	if err != nil || sum.SummaryMap["Users"] != 1 || sum.SummaryMap["MFADevicesInUse"] != 1 ||
		sum.SummaryMap["AccountMFAEnabled"] != 0 || sum.SummaryMap["AccountAccessKeysPresent"] != 1 {
		t.Errorf("%+v, %v", sum, err)
	}
	var users, policies int
	pages := iam.NewGetAccountAuthorizationDetailsPaginator(c, &iam.GetAccountAuthorizationDetailsInput{
		MaxItems: aws.Int32(1),
	})
	for pages.HasMorePages() {
		p, err := pages.NextPage(ctx)
		if err != nil {
			t.Fatal(err)
		}
		for _, u := range p.UserDetailList {
			users++
			if len(u.AttachedManagedPolicies) != 1 || *u.AttachedManagedPolicies[0].PolicyName != "AmazonS3FullAccess" {
				t.Errorf("%+v", u)
			}
		}
		policies += len(p.Policies)
	}
	if users != 1 || policies != 1 {
		t.Errorf("%d users, %d policies", users, policies)
	}
}

func TestAccountSettings(t *testing.T) {
	s := harness.Start(t)
	ctx, c := t.Context(), rootIAM(s)
	_, err := c.GetAccountPasswordPolicy(ctx, &iam.GetAccountPasswordPolicyInput{})
	expect(t, err, "NoSuchEntity")
	_, err = c.UpdateAccountPasswordPolicy(ctx, &iam.UpdateAccountPasswordPolicyInput{
		MinimumPasswordLength: aws.Int32(14), RequireSymbols: true, MaxPasswordAge: aws.Int32(90),
	})
	expect(t, err, "")
	p, err := c.GetAccountPasswordPolicy(ctx, &iam.GetAccountPasswordPolicyInput{})
	if err != nil || *p.PasswordPolicy.MinimumPasswordLength != 14 || !p.PasswordPolicy.RequireSymbols ||
		p.PasswordPolicy.RequireNumbers ||
		!p.PasswordPolicy.ExpirePasswords ||
		*p.PasswordPolicy.MaxPasswordAge != 90 || p.PasswordPolicy.PasswordReusePrevention != nil {
		t.Errorf("%+v, %v", p, err)
	}
	_, err = c.DeleteAccountPasswordPolicy(ctx, &iam.DeleteAccountPasswordPolicyInput{})
	expect(t, err, "")
	_, err = c.DeleteAccountPasswordPolicy(ctx, &iam.DeleteAccountPasswordPolicyInput{})
	expect(t, err, "NoSuchEntity")
	for alias, code := range map[string]string{
		"ab": "ValidationError", "a--b": "ValidationError", "-ab": "ValidationError", "Abc": "ValidationError",
		"my-house": "",
	} {
		_, err := c.CreateAccountAlias(ctx, &iam.CreateAccountAliasInput{AccountAlias: &alias})
		expect(t, err, code)
	}
	l, err := c.ListAccountAliases(ctx, &iam.ListAccountAliasesInput{})
	if err != nil || len(l.AccountAliases) != 1 || l.AccountAliases[0] != "my-house" {
		t.Errorf("%+v, %v", l, err)
	}
	_, err = c.DeleteAccountAlias(ctx, &iam.DeleteAccountAliasInput{AccountAlias: aws.String("another")})
	expect(t, err, "NoSuchEntity")
}

func TestOIDCProviders(t *testing.T) {
	s := harness.Start(t)
	ctx, c := t.Context(), rootIAM(s)
	for address, code := range map[string]string{
		"a.example": "ValidationError", "http://a.example": "InvalidInput", "https://a.example?x=1": "InvalidInput",
		"https://a.example:8443": "InvalidInput",
		"https://user@a.example": "InvalidInput", "https://a_b.example": "InvalidInput", "https://a.example/path": "",
	} {
		_, err := c.CreateOpenIDConnectProvider(ctx, &iam.CreateOpenIDConnectProviderInput{
			Url: &address, ClientIDList: []string{"one"},
		})
		expect(t, err, code)
	}
	l, err := c.ListOpenIDConnectProviders(ctx, &iam.ListOpenIDConnectProvidersInput{})
	if err != nil || len(l.OpenIDConnectProviderList) != 1 {
		t.Fatalf("%+v, %v", l, err)
	}
	arn := l.OpenIDConnectProviderList[0].Arn
	_, err = c.AddClientIDToOpenIDConnectProvider(ctx, &iam.AddClientIDToOpenIDConnectProviderInput{
		OpenIDConnectProviderArn: arn, ClientID: aws.String("two"),
	})
	expect(t, err, "")
	_, err = c.RemoveClientIDFromOpenIDConnectProvider(ctx, &iam.RemoveClientIDFromOpenIDConnectProviderInput{
		OpenIDConnectProviderArn: arn, ClientID: aws.String("one"),
	})
	expect(t, err, "")
	_, err = c.UpdateOpenIDConnectProviderThumbprint(ctx, &iam.UpdateOpenIDConnectProviderThumbprintInput{
		OpenIDConnectProviderArn: arn, ThumbprintList: []string{"short"},
	})
	expect(t, err, "InvalidInput")
	_, err = c.UpdateOpenIDConnectProviderThumbprint(ctx, &iam.UpdateOpenIDConnectProviderThumbprintInput{
		OpenIDConnectProviderArn: arn, ThumbprintList: []string{strings.Repeat("ab", 20)},
	})
	expect(t, err, "")
	p, err := c.GetOpenIDConnectProvider(ctx, &iam.GetOpenIDConnectProviderInput{OpenIDConnectProviderArn: arn})
	if err != nil || *p.Url != "a.example/path" || len(p.ClientIDList) != 1 || p.ClientIDList[0] != "two" ||
		len(p.ThumbprintList) != 1 {
		t.Errorf("%+v, %v", p, err)
	}
	_, err = c.DeleteOpenIDConnectProvider(ctx, &iam.DeleteOpenIDConnectProviderInput{OpenIDConnectProviderArn: arn})
	expect(t, err, "")
	_, err = c.GetOpenIDConnectProvider(ctx, &iam.GetOpenIDConnectProviderInput{OpenIDConnectProviderArn: arn})
	expect(t, err, "NoSuchEntity")
}

// TestAProviderHasOneARN: what names a provider is its ARN alone, so that no other spelling passes a policy about it.
func TestAProviderHasOneARN(t *testing.T) {
	c := newCast(t)
	p, err := c.root.CreateOpenIDConnectProvider(t.Context(), &iam.CreateOpenIDConnectProviderInput{
		Url: aws.String("https://issuer.example/Path"), ClientIDList: []string{"one"},
	})
	c.ok(err)
	name := *p.OpenIDConnectProviderArn
	u := c.user("u", fmt.Sprintf(`{"Version":"2012-10-17","Statement":[
		{"Effect":"Allow","Action":"iam:*","Resource":"*"},{"Effect":"Deny","Action":"iam:*","Resource":%q}]}`, name))
	for _, spelled := range []string{
		name, strings.Replace(name, "arn:aws:", "arn:aws-cn:", 1), strings.Replace(name, "iam::", "iam:us-east-1:", 1),
		strings.Replace(name, "/Path", "/path", 1), name + "/",
	} {
		t.Run(spelled, func(t *testing.T) {
			in := &iam.AddClientIDToOpenIDConnectProviderInput{
				OpenIDConnectProviderArn: &spelled, ClientID: aws.String("two"),
			}
			_, err := u.iam.AddClientIDToOpenIDConnectProvider(t.Context(), in)
			_, gone := u.iam.DeleteOpenIDConnectProvider(t.Context(), &iam.DeleteOpenIDConnectProviderInput{
				OpenIDConnectProviderArn: &spelled,
			})
			want := "NoSuchEntity"
			if spelled == name {
				want = "AccessDenied"
			}
			expect(t, err, want)
			expect(t, gone, want)
		})
	}
}
