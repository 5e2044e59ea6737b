package e2e

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/iam"
	"github.com/aws/aws-sdk-go-v2/service/kms"
	"github.com/aws/aws-sdk-go-v2/service/kms/types"

	"watertight/test/harness"
)

// kmsDocument has members with which every operation can be parsed; an operation ignores members that
// it does not have.
func (c kmsCast) kmsDocument(operation, key, alias string, blob []byte) string {
	m := map[string]any{
		"KeyId": key, "TargetKeyId": key, "DestinationKeyId": key, "SourceKeyId": key, "AliasName": alias,
		"GranteePrincipal":  "arn:aws:iam::" + c.account + ":root",
		"RetiringPrincipal": "arn:aws:iam::" + c.account + ":root", "Operations": []string{"Decrypt"},
		"GrantId": strings.Repeat("ab", 32), "Description": "d", "TagKeys": []string{"k"},
		"Tags": []map[string]string{{"TagKey": "k", "TagValue": "v"}}, "Plaintext": "eA==",
		"CiphertextBlob": base64.StdEncoding.EncodeToString(blob), "NumberOfBytes": 16, "PendingWindowInDays": 7,
		"WrappingAlgorithm": "RSAES_OAEP_SHA_256", "WrappingKeySpec": "RSA_2048", "ImportToken": "eA==",
		"EncryptedKeyMaterial": "eA==", "ExpirationModel": "KEY_MATERIAL_DOES_NOT_EXPIRE",
		"Policy": keyPolicy(`{"AWS":"arn:aws:iam::`+c.account+`:root"}`, "kms:*", ""),
	}
	if operation == "CreateKey" {
		delete(m, "Tags") // they would need another permission
		delete(m, "Policy")
	}
	b, _ := json.Marshal(m)
	return string(b)
}

// keyPolicy returns a key policy of one statement; condition may be "".
func keyPolicy(principal, action, condition string) string {
	if condition != "" {
		condition = `,"Condition":` + condition
	}
	return fmt.Sprintf(`{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":%s,"Action":%q,`+
		`"Resource":"*"%s}]}`, principal, action, condition)
}

// kmsAsk sends an operation as somebody and returns the status, the code and the
// message.
func (c kmsCast) kmsAsk(operation, document string, change func(*raw)) (status int, code, message string) {
	c.Helper()
	r := raw{method: "POST", target: "/", body: document, service: "kms", header: http.Header{
		"Content-Type": {"application/x-amz-json-1.1"}, "X-Amz-Target": {"TrentService." + operation},
	}}
	change(&r)
	a := send(c.t, c.Server, r)
	var said struct {
		Type    string `json:"__type"`
		Message string `json:"message"`
	}
	_ = json.Unmarshal([]byte(a.body), &said)
	return a.status, said.Type, said.Message
}

func by(k harness.Credentials) func(*raw) {
	return func(r *raw) { r.key, r.secret = k.AccessKeyID, k.SecretAccessKey }
}

// actionsOf returns the actions that an operation needs, each on its key or on everything.
func actionsOf(operation string) []string {
	if operation == "ReEncrypt" {
		return []string{"kms:ReEncryptFrom", "kms:ReEncryptTo"}
	}
	return []string{"kms:" + operation}
}

// TestKMSMatrix calls every operation of KMS as every kind of caller, and as a user with exactly its
// permissions, with each of them denied or missing, and with every other action. Reviewers read the
// golden file.
func TestKMSMatrix(t *testing.T) {
	c := newKMSCast(t)
	foreign := c.CreateAccount(t, "foreign")
	user := c.user("caller", "")
	allow := func(statements ...string) {
		t.Helper()
		statements = append(statements, permission{"sts:Nothing", "*"}.statement("Allow"))
		_, err := c.root.PutUserPolicy(t.Context(), &iam.PutUserPolicyInput{
			UserName: aws.String("caller"), PolicyName: aws.String("p"),
			PolicyDocument: aws.String(`{"Version":"2012-10-17","Statement":[` + strings.Join(statements, ",") + `]}`),
		})
		c.ok(err)
	}
	var out bytes.Buffer
	fmt.Fprintf(&out, "%-36s %-40s %-32s %-32s %-26s %-26s %s\n", "operation", "anonymous", "unknown key",
		"another account's root", "a user without a policy", "one denied or missing", "exactly its policy")
	for i, row := range c.Operations("kms") {
		name := row.Name()
		key := c.newKey(func(in *kms.CreateKeyInput) {
			if strings.Contains(name, "Import") {
				in.Origin = types.OriginTypeExternal
			}
		})
		alias := fmt.Sprintf("alias/m-%d", i)
		if name == "DeleteAlias" || name == "UpdateAlias" {
			_, err := c.kms.CreateAlias(t.Context(), &kms.CreateAliasInput{AliasName: &alias, TargetKeyId: &key})
			c.ok(err)
		}
		blob := []byte("no ciphertext")
		if !strings.Contains(name, "Import") {
			sealed, err := c.kms.Encrypt(t.Context(), &kms.EncryptInput{KeyId: &key, Plaintext: []byte("x")})
			c.ok(err)
			blob = sealed.CiphertextBlob
		}
		document := c.kmsDocument(name, key, alias, blob)
		cell := func(who func(*raw)) string {
			status, code, _ := c.kmsAsk(name, document, who)
			return strings.TrimSpace(fmt.Sprint(status, " ", code))
		}
		var its []string
		for _, a := range actionsOf(name) {
			its = append(its, permission{a, "*"}.statement("Allow"))
		}
		var shut []string
		try := func(statements ...string) {
			allow(statements...)
			shut = append(shut, cell(by(user.key)))
		}
		for n, a := range actionsOf(name) {
			try(append(slices.Clone(its), permission{a, "*"}.statement("Deny"))...)
			try(slices.Delete(slices.Clone(its), n, n+1)...)
			try(`{"Effect":"Allow","NotAction":"` + a + `","Resource":"*"}`)
		}
		slices.Sort(shut)
		allow()
		nothing := cell(by(user.key))
		strangers := []string{
			cell(func(r *raw) { r.unsigned = true }),
			cell(by(harness.Credentials{
				AccessKeyID: "AKIAUNKNOWNUNKNOWN12", SecretAccessKey: strings.Repeat("x", 40),
			})),
			cell(by(foreign)),
		}
		allow(its...)
		fmt.Fprintf(&out, "%-36s %-40s %-32s %-32s %-26s %-26s %s\n", name, strangers[0], strangers[1], strangers[2],
			nothing, strings.Join(slices.Compact(shut), ", "), cell(by(user.key)))
	}
	golden(t, "kms-matrix.golden", out.Bytes())
}

// TestKMSAliasesNeedBoth: operations on aliases need the permission on the alias and on the key.
func TestKMSAliasesNeedBoth(t *testing.T) {
	c := newKMSCast(t)
	key, other := c.newKey(), c.newKey()
	aliases := strings.Replace(key, "key/"+idOf(key), "alias/*", 1)
	for name, on := range map[string][]string{
		"the alias alone": {aliases}, "the keys alone": {key, other}, "one key of two": {aliases, key},
		"the other key": {aliases, other}, "both": {aliases, key, other},
	} {
		t.Run(name, func(t *testing.T) {
			var statements []string
			for _, r := range on {
				statements = append(statements, permission{"kms:*", r}.statement("Allow"))
			}
			who := c.as(c.user("user-"+strings.ReplaceAll(name, " ", "-"),
				`{"Version":"2012-10-17","Statement":[`+strings.Join(statements, ",")+`]}`))
			alias := aws.String("alias/" + strings.ReplaceAll(name, " ", "-")) // new for each case
			_, err := c.kms.CreateAlias(t.Context(), &kms.CreateAliasInput{AliasName: alias, TargetKeyId: &key})
			c.ok(err)
			_, err = who.UpdateAlias(t.Context(), &kms.UpdateAliasInput{AliasName: alias, TargetKeyId: &other})
			if name == "both" {
				expect(t, err, "")
				return
			}
			expect(t, err, "AccessDeniedException")
		})
	}
}

// TestKMSTellsStrangersNothing: other accounts, and users without permissions on keys, do not learn
// whether a key exists and in which state it is.
func TestKMSTellsStrangersNothing(t *testing.T) {
	c := newKMSCast(t)
	ctx := t.Context()
	foreign, powerless := c.CreateAccount(t, "foreign"), c.user("powerless", "")
	enabled, disabled, pending := c.newKey(), c.newKey(), c.newKey()
	external := c.newKey(func(in *kms.CreateKeyInput) { in.Origin = types.OriginTypeExternal })
	_, err := c.kms.DisableKey(ctx, &kms.DisableKeyInput{KeyId: &disabled})
	c.ok(err)
	_, err = c.kms.ScheduleKeyDeletion(ctx, &kms.ScheduleKeyDeletionInput{KeyId: &pending})
	c.ok(err)
	absent := strings.Replace(enabled, idOf(enabled), "00000000-0000-4000-8000-000000000000", 1)
	sealed, err := c.kms.Encrypt(ctx, &kms.EncryptInput{KeyId: &enabled, Plaintext: []byte("x")})
	c.ok(err)
	for _, row := range c.Operations("kms") {
		name := row.Name()
		if slices.Contains([]string{"CreateKey", "ListKeys", "ListRetirableGrants", "GenerateRandom",
			"DeleteAlias"}, name) {
			continue // not about a key of this account
		}
		t.Run(name, func(t *testing.T) {
			for who, as := range map[string]func(*raw){"another account": by(foreign), "powerless": by(powerless.key)} {
				answers := map[string]bool{}
				for _, key := range []string{enabled, disabled, pending, external, absent} {
					document := c.kmsDocument(name, key, "alias/absent", sealed.CiphertextBlob)
					status, code, message := c.kmsAsk(name, document, as)
					if name == "ListAliases" && who == "another account" && code == "NotFoundException" {
						code = "AccessDeniedException" // as if there were no such key
					}
					if code != "AccessDeniedException" && code != "UnsupportedOperationException" {
						t.Errorf("%s: %d %s %s", who, status, code, message)
					}
					answers[fmt.Sprint(status, code, strings.ReplaceAll(message, key, "KEY"))] = true
				}
				if len(answers) != 1 {
					t.Errorf("%s gets %v", who, answers)
				}
			}
		})
	}
	// Nor do they learn which key a ciphertext names.
	changed := bytes.Clone(sealed.CiphertextBlob)
	changed[5] ^= 1
	for _, blob := range [][]byte{sealed.CiphertextBlob, changed} {
		_, err := c.kmsOf(foreign, "").Decrypt(ctx, &kms.DecryptInput{CiphertextBlob: blob})
		refusal(t, err, "AccessDeniedException", "The ciphertext refers to a customer master key that does not exist, "+
			"does not exist in this region, or you are not allowed to access.")
	}
}

// TestKMSPolicies: IAM policies count if the key policy allows that, and a change counts from the next
// request on.
func TestKMSPolicies(t *testing.T) {
	c := newKMSCast(t)
	ctx, key := t.Context(), c.newKey()
	sealed, err := c.kms.Encrypt(ctx, &kms.EncryptInput{KeyId: &key, Plaintext: []byte("x")})
	c.ok(err)
	names, err := c.kms.ListKeyPolicies(ctx, &kms.ListKeyPoliciesInput{KeyId: &key})
	if c.ok(err); !slices.Equal(names.PolicyNames, []string{"default"}) || names.Truncated {
		t.Errorf("%+v", names)
	}
	root := `{"AWS":"arn:aws:iam::` + c.account + `:root"}`
	text := func() string {
		t.Helper()
		out, err := c.kms.GetKeyPolicy(ctx, &kms.GetKeyPolicyInput{KeyId: &key, PolicyName: aws.String("default")})
		c.ok(err)
		return *out.Policy
	}
	if d := text(); !strings.Contains(d, root) || !strings.Contains(d, `"kms:*"`) {
		t.Errorf("the default policy is %s", d)
	}
	_, err = c.kms.GetKeyPolicy(ctx, &kms.GetKeyPolicyInput{KeyId: &key, PolicyName: aws.String("other")})
	expect(t, err, "NotFoundException")
	user := c.user("user", may("kms:Decrypt", key))
	open := func(who *kms.Client) error {
		_, err := who.Decrypt(ctx, &kms.DecryptInput{CiphertextBlob: sealed.CiphertextBlob})
		return err
	}
	put := func(policy string, bypass bool) error {
		_, err := c.kms.PutKeyPolicy(ctx, &kms.PutKeyPolicyInput{
			KeyId: &key, Policy: &policy, BypassPolicyLockoutSafetyCheck: bypass,
		})
		return err
	}
	policy := func(statements ...string) string {
		return `{"Version":"2012-10-17","Statement":[` + strings.Join(statements, ",") + `]}`
	}
	rootManages := `{"Effect":"Allow","Principal":` + root + `,"NotAction":"kms:Decrypt","Resource":"*"}`
	userDecrypts := `{"Effect":"Allow","Principal":{"AWS":"` + user.arn + `"},"Action":"kms:Decrypt","Resource":"*"}`
	via := `{"Effect":"Allow","Principal":{"AWS":"` + user.arn + `"},"Action":"kms:Decrypt","Resource":"*",` +
		`"Condition":{"StringEquals":{"kms:ViaService":"s3.` + c.Region + `.amazonaws.com"}}}`
	expect(t, open(c.as(user)), "") // E8: the key policy names the account, and IAM allows
	expect(t, put(policy(rootManages), false), "")
	expect(t, open(c.as(user)), "AccessDeniedException") // E9
	expect(t, open(c.kms), "AccessDeniedException")      // nor may the root user
	expect(t, put(policy(rootManages, userDecrypts), false), "")
	expect(t, open(c.as(user)), "")
	if !strings.Contains(text(), user.arn) {
		t.Error("the policy does not name the user")
	}
	expect(t, put(policy(rootManages, via), false), "")
	expect(t, open(c.as(user)), "AccessDeniedException") // E10
	for name, bad := range map[string]string{
		"no JSON": "{", "no statement": `{"Version":"2012-10-17"}`, "no principal": may("kms:*", "*"),
		"a user who is not there": keyPolicy(`{"AWS":"arn:aws:iam::`+c.account+`:user/nobody"}`, "kms:*", ""),
		"its writer locked out":   policy(userDecrypts), // E29
	} {
		t.Run(name, func(t *testing.T) { expect(t, put(bad, false), "MalformedPolicyDocumentException") })
	}
	expect(t, put(policy(userDecrypts), true), "")
	expect(t, put(policy(rootManages), false), "AccessDeniedException")
	expect(t, open(c.as(user)), "")
	_, err = c.kms.CreateKey(ctx, &kms.CreateKeyInput{Policy: aws.String(policy(userDecrypts))})
	expect(t, err, "MalformedPolicyDocumentException")
	_, err = c.kms.CreateKey(ctx, &kms.CreateKeyInput{
		Policy: aws.String(policy(userDecrypts)), BypassPolicyLockoutSafetyCheck: true,
	})
	expect(t, err, "")
}

// TestKMSConditions: condition keys of an IAM policy see the request and the key.
func TestKMSConditions(t *testing.T) {
	c := newKMSCast(t)
	ctx := t.Context()
	key := c.newKey(func(in *kms.CreateKeyInput) {
		in.Tags = []types.Tag{{TagKey: aws.String("team"), TagValue: aws.String("blue")}}
	})
	_, err := c.kms.CreateAlias(ctx, &kms.CreateAliasInput{AliasName: aws.String("alias/blue"), TargetKeyId: &key})
	c.ok(err)
	pairs := map[string]string{"Order": "7"}
	n := 0
	for condition, want := range map[string]string{
		`{"StringEquals":{"kms:EncryptionContext:Order":"7"}}`:                  "",
		`{"StringEquals":{"kms:encryptioncontext:order":"7"}}`:                  "",
		`{"StringEquals":{"kms:EncryptionContext:Order":"8"}}`:                  "AccessDeniedException",
		`{"ForAllValues:StringEquals":{"kms:EncryptionContextKeys":["Order"]}}`: "",
		`{"ForAnyValue:StringEquals":{"kms:EncryptionContextKeys":["order"]}}`:  "AccessDeniedException",
		`{"StringEquals":{"kms:RequestAlias":"alias/blue"}}`:                    "",
		`{"StringEquals":{"kms:RequestAlias":"alias/red"}}`:                     "AccessDeniedException",
		`{"ForAnyValue:StringEquals":{"kms:ResourceAliases":"alias/blue"}}`:     "",
		`{"StringEquals":{"kms:KeySpec":"SYMMETRIC_DEFAULT"}}`:                  "",
		`{"StringEquals":{"kms:KeyUsage":"SIGN_VERIFY"}}`:                       "AccessDeniedException",
		`{"StringEquals":{"kms:KeyOrigin":"AWS_KMS"}}`:                          "",
		`{"Bool":{"kms:MultiRegion":"false"}}`:                                  "",
		`{"StringEquals":{"kms:CallerAccount":"` + c.account + `"}}`:            "",
		`{"StringEquals":{"kms:EncryptionAlgorithm":"SYMMETRIC_DEFAULT"}}`:      "",
		`{"StringEquals":{"kms:ViaService":"s3.us-east-1.amazonaws.com"}}`:      "AccessDeniedException",
		`{"Null":{"kms:ViaService":"true"}}`:                                    "",
		`{"StringEquals":{"aws:ResourceTag/team":"blue"}}`:                      "",
		`{"StringEquals":{"aws:ResourceTag/team":"red"}}`:                       "AccessDeniedException",
	} {
		t.Run(condition, func(t *testing.T) {
			n++
			document := strings.Replace(may("kms:Encrypt", "*"), `"Resource":"*"`,
				`"Resource":"*","Condition":`+condition, 1)
			who := c.as(c.user(fmt.Sprint("user-", n), document))
			_, err := who.Encrypt(ctx, &kms.EncryptInput{
				KeyId: aws.String("alias/blue"), Plaintext: []byte("x"), EncryptionContext: pairs,
			})
			expect(t, err, want)
		})
	}
	// Names that differ only in their case are refused.
	_, err = c.kms.Encrypt(ctx, &kms.EncryptInput{
		KeyId: &key, Plaintext: []byte("x"), EncryptionContext: map[string]string{"a": "1", "A": "2"},
	})
	expect(t, err, "ValidationException")
	// Tags of a new key need their own permission.
	maker := c.as(c.user("maker", may("kms:CreateKey", "*")))
	_, err = maker.CreateKey(ctx, &kms.CreateKeyInput{})
	c.ok(err)
	_, err = maker.CreateKey(ctx, &kms.CreateKeyInput{
		Tags: []types.Tag{{TagKey: aws.String("k"), TagValue: aws.String("v")}},
	})
	expect(t, err, "AccessDeniedException")
}

// TestKMSAcrossAccounts: if the key policy names another account, that account's IAM policies decide.
// Only the key's own account can manage it.
func TestKMSAcrossAccounts(t *testing.T) {
	c := newKMSCast(t)
	ctx, key := t.Context(), c.newKey()
	foreign := c.CreateAccount(t, "foreign")
	account := accountOf(t, c.Server, foreign)
	other := iamClient(c.Server, foreign.AccessKeyID, foreign.SecretAccessKey, "")
	_, err := other.CreateUser(ctx, &iam.CreateUserInput{UserName: aws.String("guest")})
	c.ok(err)
	k, err := other.CreateAccessKey(ctx, &iam.CreateAccessKeyInput{UserName: aws.String("guest")})
	c.ok(err)
	guest := c.kmsOf(harness.Credentials{
		AccessKeyID: *k.AccessKey.AccessKeyId, SecretAccessKey: *k.AccessKey.SecretAccessKey,
	}, "")
	encrypt := func() error {
		_, err := guest.Encrypt(ctx, &kms.EncryptInput{KeyId: &key, Plaintext: []byte("x")})
		return err
	}
	expect(t, encrypt(), "AccessDeniedException")
	both := `{"AWS":["arn:aws:iam::` + c.account + `:root","arn:aws:iam::` + account + `:root"]}`
	_, err = c.kms.PutKeyPolicy(ctx, &kms.PutKeyPolicyInput{
		KeyId: &key, Policy: aws.String(keyPolicy(both, "kms:*", "")),
	})
	c.ok(err)
	expect(t, encrypt(), "AccessDeniedException") // the account is named, but does not allow its user
	_, err = other.PutUserPolicy(ctx, &iam.PutUserPolicyInput{
		UserName: aws.String("guest"), PolicyName: aws.String("p"), PolicyDocument: aws.String(may("kms:*", "*")),
	})
	c.ok(err)
	expect(t, encrypt(), "")
	_, err = guest.DescribeKey(ctx, &kms.DescribeKeyInput{KeyId: &key})
	c.ok(err)
	_, err = guest.Encrypt(ctx, &kms.EncryptInput{KeyId: aws.String(idOf(key)), Plaintext: []byte("x")})
	expect(t, err, "NotFoundException") // an id means a key of the caller's account
	for name, try := range map[string]func() error{
		"DisableKey": func() error {
			_, err := guest.DisableKey(ctx, &kms.DisableKeyInput{KeyId: &key})
			return err
		},
		"ScheduleKeyDeletion": func() error {
			_, err := guest.ScheduleKeyDeletion(ctx, &kms.ScheduleKeyDeletionInput{KeyId: &key})
			return err
		},
		"PutKeyPolicy": func() error {
			_, err := guest.PutKeyPolicy(ctx, &kms.PutKeyPolicyInput{
				KeyId: &key, Policy: aws.String(keyPolicy(both, "kms:*", "")),
			})
			return err
		},
		"CreateAlias": func() error {
			_, err := guest.CreateAlias(ctx, &kms.CreateAliasInput{
				AliasName: aws.String("alias/mine"), TargetKeyId: &key,
			})
			return err
		},
	} {
		t.Run(name, func(t *testing.T) { expect(t, try(), "AccessDeniedException") })
	}
}
