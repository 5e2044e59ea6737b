package audit

import (
	"bytes"
	"encoding/json"
	"net/netip"
	"reflect"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"pgregory.net/rapid"

	"watertight/internal/access/action"
	"watertight/internal/access/arn"
	"watertight/internal/access/policy"
)

func TestEventShape(t *testing.T) {
	e := typicalEvent()
	e.Parameters = []Param{{Name: "versionId", Value: "v1"}, {Name: "x-amz-acl", Value: "private"}}
	got := e.appendJSON(nil,
		[16]byte{
			0xcd, 0xc4, 0xb7, 0xed, 0xe1, 0x71, 0x4c, 0xef, 0x97, 0x5a, 0xad, 0x82, 0x9d, 0x41, 0x23, 0xe8,
		}, "eu-central-1")
	const want = `{"eventVersion":"1.11",` +
		`"userIdentity":{"type":"IAMUser","principalId":"AIDAEXAMPLE","arn":"arn:aws:iam::111122223333:user/alice",` +
		`"accountId":"111122223333","accessKeyId":"AKIAEXAMPLE","userName":"alice"},` +
		`"eventTime":"2026-01-02T03:04:05Z","eventSource":"s3.amazonaws.com","eventName":"GetObject",` +
		`"awsRegion":"eu-central-1","sourceIPAddress":"192.0.2.1",` +
		`"userAgent":"[aws-cli/2.17.0 md/awscrt#0.20.11 ua/2.0 os/linux]",` +
		`"requestParameters":{"bucketName":"bucket","key":"photos/2026/07.jpg",` +
		`"Host":"bucket.s3.us-east-1.amazonaws.com","versionId":"v1","x-amz-acl":"private"},` +
		`"responseElements":null,` +
		`"additionalEventData":{"SignatureVersion":"SigV4","CipherSuite":"TLS_AES_128_GCM_SHA256",` +
		`"bytesTransferredIn":0,"SSEApplied":"SSE_KMS","AuthenticationMethod":"AuthHeader","x-amz-id-2":"hostid",` +
		`"bytesTransferredOut":10},` +
		`"requestID":"47B8E8D397DCE7A6","eventID":"cdc4b7ed-e171-4cef-975a-ad829d4123e8","readOnly":true,` +
		`"resources":[{"type":"AWS::S3::Object","ARN":"arn:aws:s3:::bucket/photos/2026/07.jpg"},` +
		`{"accountId":"111122223333","type":"AWS::S3::Bucket","ARN":"arn:aws:s3:::bucket"}],` +
		`"eventType":"AwsApiCall","managementEvent":false,"eventCategory":"Data","recipientAccountId":"111122223333",` +
		`"tlsDetails":{"tlsVersion":"TLSv1.3","cipherSuite":"TLS_AES_128_GCM_SHA256",` +
		`"clientProvidedHostHeader":"bucket.s3.us-east-1.amazonaws.com"}}`
	if string(got) != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}

func TestIdentity(t *testing.T) {
	created := time.Date(2026, 1, 2, 3, 0, 0, 0, time.UTC)
	const account = "111122223333"
	for name, c := range map[string]struct {
		i    Identity
		want string
	}{
		"unknown":     {Identity{}, `{"type":"Unknown"}`},
		"claimed key": {Identity{AccessKeyID: "AKIAX"}, `{"type":"Unknown","accessKeyId":"AKIAX"}`},
		"anonymous": {
			Identity{Principal: &policy.Principal{Kind: policy.Anonymous}},
			`{"type":"AWSAccount","principalId":"","accountId":"ANONYMOUS_PRINCIPAL"}`,
		},
		"service": {
			Identity{Principal: &policy.Principal{Kind: policy.Service, Name: "cloudfront.amazonaws.com"}},
			`{"type":"AWSService","invokedBy":"cloudfront.amazonaws.com"}`,
		},
		"root": {
			Identity{
				Principal: &policy.Principal{
					Kind: policy.AccountRoot, Account: account, ID: account, ARN: arn.Root(account),
				},
				AccessKeyID: "AKIAX",
			},
			`{"type":"Root","principalId":"111122223333","arn":"arn:aws:iam::111122223333:root",` +
				`"accountId":"111122223333","accessKeyId":"AKIAX"}`,
		},
		"user's session": {
			Identity{
				Principal: &policy.Principal{
					Kind: policy.User, Account: account, ID: "AIDAX", Name: "a", ARN: arn.Root(account),
				},
				AccessKeyID: "ASIAX", Created: created, MFA: true,
			},
			`{"type":"IAMUser","principalId":"AIDAX","arn":"arn:aws:iam::111122223333:root",` +
				`"accountId":"111122223333","accessKeyId":"ASIAX","userName":"a",` +
				`"sessionContext":{"attributes":{"creationDate":"2026-01-02T03:00:00Z","mfaAuthenticated":"true"}}}`,
		},
		"role": {Identity{Principal: &policy.Principal{
			Kind: policy.RoleSession, Account: account, ID: "AROAX:s",
			ARN:  arn.ARN{Partition: "aws", Service: "sts", Account: account, Resource: "assumed-role/R/s"},
			Role: arn.ARN{Partition: "aws", Service: "iam", Account: account, Resource: "role/path/R"},
		}, AccessKeyID: "ASIAX", Created: created}, `{"type":"AssumedRole","principalId":"AROAX:s",` +
			`"arn":"arn:aws:sts::111122223333:assumed-role/R/s","accountId":"111122223333","accessKeyId":"ASIAX",` +
			`"sessionContext":{"sessionIssuer":{"type":"Role","principalId":"AROAX",` +
			`"arn":"arn:aws:iam::111122223333:role/path/R","accountId":"111122223333","userName":"R"},` +
			`"attributes":{"creationDate":"2026-01-02T03:00:00Z","mfaAuthenticated":"false"}}}`},
	} {
		t.Run(name, func(t *testing.T) {
			w := object{b: []byte{'{'}, text: textLimit}
			w.identity(&c.i)
			if got, want := string(w.b), `{"userIdentity":`+c.want; got != want {
				t.Errorf("%s:\ngot  %s\nwant %s", name, got, want)
			}
		})
	}
}

func TestNames(t *testing.T) {
	for _, c := range []struct {
		service, operation, source, name string
		data, read                       bool
	}{
		{"s3", "PutPublicAccessBlock", "s3", "PutBucketPublicAccessBlock", false, false},
		{"s3control", "PutPublicAccessBlock", "s3", "PutAccountPublicAccessBlock", false, false},
		{"s3control", "GetPublicAccessBlock", "s3", "GetAccountPublicAccessBlock", false, true},
		{"s3", "DeletePublicAccessBlock", "s3", "DeleteBucketPublicAccessBlock", false, false},
		{"s3", "PutBucketLifecycleConfiguration", "s3", "PutBucketLifecycle", false, false},
		{"s3", "PutObjectLockConfiguration", "s3", "PutBucketObjectLockConfiguration", false, false},
		{"s3", "ListObjectsV2", "s3", "ListObjects", true, true},
		{"s3", "PutObject", "s3", "PutObject", true, false},
		{"s3", "ListBuckets", "s3", "ListBuckets", false, true},
		{"kms", "Decrypt", "kms", "Decrypt", false, true},
		{"kms", "ScheduleKeyDeletion", "kms", "ScheduleKeyDeletion", false, false},
		{"sts", "AssumeRole", "sts", "AssumeRole", false, true},
		{"sts", "Unknown", "sts", "Unknown", false, true},
		{"iam", "CreateUser", "iam", "CreateUser", false, false},
		{"ec2", "Unknown", "ec2", "Unknown", false, false},
	} {
		t.Run(c.service+" "+c.operation, func(t *testing.T) {
			e := Event{Operation: action.OperationOf(c.service, c.operation), Time: testTime}
			var got struct {
				EventName, EventSource    string
				ReadOnly, ManagementEvent bool
				EventCategory             string
			}
			if err := json.Unmarshal(e.appendJSON(nil, [16]byte{}, "r"), &got); err != nil {
				t.Fatal(err)
			}
			if got.EventSource != c.source+".amazonaws.com" || got.EventName != c.name {
				t.Errorf("%+v", got)
			}
			if got.ReadOnly != c.read || got.ManagementEvent == c.data || (got.EventCategory == "Data") != c.data {
				t.Errorf("%+v", got)
			}
		})
	}
}

// asJSON returns the text as encoding/json encodes it.
func asJSON(s string) string {
	b, _ := json.Marshal(s)
	var out string
	json.Unmarshal(b, &out)
	return out
}

func TestTextAgreesWithEncodingJSON(t *testing.T) {
	hostile := rapid.StringOf(rapid.OneOf(rapid.Rune(),
		rapid.SampledFrom([]rune{'"', '\\', '\n', 0, 0x1b, 0x7f, 0x80, 0x9b, '\u2028', utf8.RuneError, '\U0001f600'})))
	rapid.Check(t, func(t *rapid.T) {
		s := hostile.Draw(t, "text") + string(rapid.SliceOf(rapid.Byte()).Draw(t, "bytes"))
		b := append(appendText([]byte{'"'}, s, len(s)), '"')
		var got string
		if err := json.Unmarshal(b, &got); err != nil {
			t.Fatalf("%q: %v", b, err)
		}
		if got != asJSON(s) {
			t.Fatalf("%q became %q", s, got)
		}
		for _, r := range string(b) {
			if r < ' ' || r >= 0x7f && r < 0xa0 {
				t.Fatalf("control character %U in %q", r, b)
			}
		}
	})
}

func TestTextIsCut(t *testing.T) {
	for _, s := range []string{
		strings.Repeat("a", 300), strings.Repeat("é", 300), strings.Repeat("\U0001f600", 100),
		strings.Repeat("\x80", 300),
	} {
		for limit := range 60 {
			var got string
			if err := json.Unmarshal(append(appendText([]byte{'"'}, s, limit), '"'), &got); err != nil {
				t.Fatal(err)
			}
			head, ok := strings.CutSuffix(got, truncated)
			if !ok || s[0] != 0x80 && !strings.HasPrefix(s, head) {
				t.Fatalf("limit %d: %q", limit, got)
			}
			if utf8.ValidString(s) && len(got) > max(limit, len(truncated)) {
				t.Fatalf("limit %d: %d bytes", limit, len(got))
			}
		}
	}
}

func TestParametersAreBoundedAndUnique(t *testing.T) {
	e := typicalEvent()
	for range 3 {
		e.Parameters = append(e.Parameters, Param{Name: "x-amz-grant-read", Value: "id=1"},
			Param{
				Name: "key", Value: "forged",
			}, Param{Name: "bucketName", Value: "forged"}, Param{Name: "\xff", Value: "no text"})
	}
	var got struct{ RequestParameters map[string]any }
	if err := json.Unmarshal(e.appendJSON(nil, [16]byte{}, "r"), &got); err != nil {
		t.Fatal(err)
	}
	want := map[string]any{
		"bucketName": e.Bucket, "key": e.Key, "Host": e.Host, "x-amz-grant-read": []any{"id=1", "id=1", "id=1"},
	}
	if !reflect.DeepEqual(got.RequestParameters, want) {
		t.Errorf("got %v, want %v", got.RequestParameters, want)
	}

	e.Parameters = nil
	for i := range 200 {
		e.Parameters = append(e.Parameters, Param{
			Name: "p" + string(rune('A'+i)), Value: strings.Repeat("\x00", 10_000),
		})
	}
	b := e.appendJSON(nil, [16]byte{}, "r")
	if !json.Valid(b) || len(b) > membersLimit+4096 || !bytes.Contains(b, []byte("omittedParameters")) {
		t.Errorf("%d bytes", len(b))
	}
	e.Identity, e.ErrorCode, e.brief = Identity{}, "AccessDenied", true
	e.Key, e.Bucket = strings.Repeat("\x01", 1024), strings.Repeat("é\"", 500)
	e.UserAgent, e.ErrorMessage, e.Host = strings.Repeat("\x00",
		10_000), strings.Repeat("\x00", 10_000), strings.Repeat("h", 10_000)
	if b := e.appendJSON(nil, [16]byte{}, "r"); !json.Valid(b) || len(b) > 2500 {
		t.Errorf("a refused request's event has %d bytes: %s", len(b), b)
	}
}

// TestCutBetweenCharacters truncates escaped text at every limit: the rest is a valid string within the
// limit.
func TestCutBetweenCharacters(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := rapid.OneOf(rapid.String(),
			rapid.Map(rapid.SliceOf(rapid.Byte()), func(b []byte) string { return string(b) })).Draw(t, "text")
		limit := rapid.IntRange(len(truncated), 200).Draw(t, "limit")
		b := cutEscaped(appendText([]byte(`"`), s, limit), 1, limit)
		if len(b)-1 > limit || !json.Valid(append(b, '"')) {
			t.Fatalf("%q", b)
		}
		if n := len(appendText(nil, s, len(s))); n > escaped(s) {
			t.Fatalf("%q takes %d bytes, more than %d", s, n, escaped(s))
		}
	})
}

func TestSecretsAreLeftOut(t *testing.T) {
	const canary = "CANARY-c0ffee"
	secrets := []string{
		"Authorization", "authorization", "X-Amz-Signature", "x-amz-signature", "Signature", "X-Amz-Security-Token",
		"x-amz-security-token",
		"x-amz-server-side-encryption-customer-key", "X-Amz-Server-Side-Encryption-Customer-Key-MD5",
		"x-amz-copy-source-server-side-encryption-customer-key", "x-amz-mfa", "X-Amz-MFA",
		"SecretAccessKey", "SessionToken", "NewPassword", "OldPassword", "Password", "TokenCode",
		"AuthenticationCode1", "AuthenticationCode2",
		"WebIdentityToken", "SAMLAssertion", "Plaintext", "Base32StringSeed", "PrivateKeyPlaintext", "Cookie",
		"GrantToken", "GrantTokens", "grantTokens",
		strings.Repeat("x", 200),
	}
	e := typicalEvent()
	e.MFA = true
	for _, s := range secrets {
		e.Parameters = append(e.Parameters, Param{Name: s, Value: canary})
		e.Response = append(e.Response, Param{Name: s, Value: canary})
		if Relevant(s) {
			t.Errorf("%s is relevant", s)
		}
	}
	e.Parameters = append(e.Parameters, Param{Name: "x-amz-server-side-encryption", Value: "aws:kms"})
	b := e.appendJSON(nil, [16]byte{}, "r")
	if bytes.Contains(b, []byte(canary)) {
		t.Errorf("a secret is in %s", b)
	}
	if !bytes.Contains(b, []byte(`"x-amz-mfa":"present"`)) ||
		!bytes.Contains(b, []byte(`"x-amz-server-side-encryption":"aws:kms"`)) {
		t.Errorf("left out too much: %s", b)
	}
}

func TestRelevantNamesAreNotSecret(t *testing.T) {
	for _, name := range []string{
		"versionId", "uploadId", "partNumber", "acl", "policy", "X-Amz-Expires", "x-amz-copy-source",
		"x-amz-bypass-governance-retention",
	} {
		if !Relevant(name) || Secret(name) {
			t.Errorf("%s: relevant %v, secret %v", name, Relevant(name), Secret(name))
		}
	}
}

func FuzzEvent(f *testing.F) {
	f.Add("key", "agent", "name", "value", "code", "host")
	f.Add("\xff\"\\", "\u2028\x00\x1b[31m", "key", "\xed\xa0\x80", "</script>", strings.Repeat("é", 600))
	f.Fuzz(func(t *testing.T, key, agent, name, value, code, host string) {
		e := typicalEvent()
		e.Key, e.UserAgent, e.ErrorCode, e.ErrorMessage, e.Host = key, agent, code, value, host
		e.SourceIP = netip.MustParseAddr("fe80::1%eth0")
		e.Parameters = []Param{
			{Name: name, Value: value}, {Name: "b", Value: value}, {Name: name, Value: value},
			{Name: "b", Value: agent},
		}
		b := e.appendJSON(nil, [16]byte{1}, "eu-central-1")
		if !utf8.Valid(b) {
			t.Fatalf("no UTF-8: %q", b)
		}
		var got struct {
			SourceIPAddress   string
			RequestParameters map[string]any
			ErrorCode         string
		}
		if err := json.Unmarshal(b, &got); err != nil {
			t.Fatalf("%q: %v", b, err)
		}
		if got.SourceIPAddress != "fe80::1" {
			t.Errorf("source %q", got.SourceIPAddress)
		}
		if len(key) <= keyLimit && key != "" && got.RequestParameters["key"] != asJSON(key) {
			t.Errorf("key %q became %q", key, got.RequestParameters["key"])
		}
		if len(code) <= textLimit && got.ErrorCode != asJSON(code) {
			t.Errorf("code %q became %q", code, got.ErrorCode)
		}
	})
}
