package kms

import (
	"bytes"
	"strings"
	"testing"
	"time"

	"watertight/internal/access/arn"
	"watertight/internal/access/authz"
	"watertight/internal/access/policy"
	"watertight/internal/core/change/coretest"
	"watertight/internal/fault"
	"watertight/internal/storage/kv"
	"watertight/internal/storage/seal"
)

// names is a directory in which every account exists, and every user whose name does not begin
// with "no". A user's id follows from its name.
type names struct{}

func (names) ID(_ kv.Reader, e policy.PrincipalName) (string, bool, error) {
	a, err := arn.Parse(e.Value)
	switch name, isUser := strings.CutPrefix(a.Resource, "user/"); {
	case e.Value == "*" || arn.IsAccountID(e.Value) || e.Type == "Service":
		return "", true, nil
	case err == nil && isUser && !strings.HasPrefix(name, "no"):
		return userID(name), true, nil
	}
	return "", err == nil && (a.Resource == "root" || a.Service == "sts"), nil
}

func (names) Name(_ kv.Reader, id string) (string, error) {
	name := strings.ToLower(strings.TrimRight(strings.TrimPrefix(id, "AIDA"), "X"))
	return "arn:aws:iam::" + coretest.Account + ":user/" + name, nil
}

// env is a store of keys, and a clock.
type env struct {
	*testing.T
	*Store
	at time.Time
}

func newEnv(t *testing.T) *env {
	e := &env{T: t, at: time.Date(2026, 11, 30, 12, 0, 0, 0, time.UTC)}
	e.Store = New(coretest.Store(t), Options{
		Region: "us-east-1", Root: seal.RingOf(testKey(1)), Principals: names{}, Now: func() time.Time { return e.at },
	})
	return e
}

// testKey is a key that begins with a byte.
func testKey(first byte) (k seal.Key) {
	for i := range k {
		k[i] = first + byte(i)
	}
	return k
}

func (e *env) may(on arn.ARN, actions ...policy.Action) authz.Grant {
	e.Helper()
	return coretest.Grant(e.T, coretest.RootAt(coretest.Account, e.at), on, actions...)
}

func (e *env) create(in CreateInput) Metadata {
	e.Helper()
	m, err := e.CreateKey(e.Context(), e.may(arn.Any(), "kms:CreateKey", "kms:TagResource"), in)
	if err != nil {
		e.Fatal(err)
	}
	return m
}

func (e *env) describe(name string, on arn.ARN) (Metadata, error) {
	e.Helper()
	return e.DescribeKey(e.Context(), e.may(on, "kms:DescribeKey"), name)
}

func TestNames(t *testing.T) {
	e := newEnv(t)
	m := e.create(CreateInput{})
	managed, err := e.ManagedKey(t.Context(), coretest.Account)
	if err != nil {
		t.Fatal(err)
	}
	if again, err := e.ManagedKey(t.Context(), coretest.Account); err != nil || again != managed {
		t.Errorf("the second time %s, %v", again, err)
	}
	const missing = "00000000-0000-4000-8000-000000000000"
	for _, c := range []struct {
		name, code, message string
		is                  arn.ARN
	}{
		{name: m.ID, is: m.ARN},
		{name: m.ARN.String(), is: m.ARN},
		{name: "alias/aws/s3", is: managed},
		{name: "arn:aws:kms:us-east-1:" + coretest.Account + ":alias/aws/s3", is: managed},
		{name: "nothing", code: "NotFoundException", message: "Invalid keyId 'nothing'"},
		{name: "ABCDEF00-0000-4000-8000-000000000000", code: "NotFoundException",
			message: "Invalid keyId 'ABCDEF00-0000-4000-8000-000000000000'"},
		{name: missing, code: "NotFoundException",
			message: "Key 'arn:aws:kms:us-east-1:" + coretest.Account + ":key/" + missing + "' does not exist"},
		{name: "arn:aws:kms:us-east-1:999999999999:key/" + m.ID, code: "NotFoundException",
			message: "Key 'arn:aws:kms:us-east-1:999999999999:key/" + m.ID + "' does not exist"},
		{name: "arn:aws:kms:eu-west-1:" + coretest.Account + ":key/" + m.ID, code: "NotFoundException",
			message: "Invalid arn eu-west-1"},
		{name: "arn:aws:kms:eu-west-1:" + coretest.Account + ":alias/aws/s3", code: "NotFoundException",
			message: "Invalid arn eu-west-1"},
		{name: "alias/none", code: "NotFoundException",
			message: "Alias arn:aws:kms:us-east-1:" + coretest.Account + ":alias/none is not found."},
		{name: "arn:aws:s3:::bucket", code: "InvalidArnException"},
		{name: "arn:aws:kms:us-east-1:" + coretest.Account + ":grant/x", code: "InvalidArnException"},
	} {
		t.Run(c.name, func(t *testing.T) {
			got, err := e.Subject(t.Context(), coretest.Account, c.name, e.at)
			if c.code == "" {
				if err != nil || got.ARN != c.is {
					t.Errorf("%v, %v", got.ARN, err)
				}
				return
			}
			if !fault.Is(err, fault.Code(c.code)) || c.message != "" && fault.From(err).Message != c.message {
				t.Errorf("%v", err)
			}
		})
	}
}

func TestCreateKey(t *testing.T) {
	e := newEnv(t)
	for _, c := range []struct {
		name string
		in   CreateInput
		code fault.Code
	}{
		{"asymmetric", CreateInput{Spec: "RSA_2048"}, "UnsupportedOperationException"},
		{"for MACs", CreateInput{Usage: "GENERATE_VERIFY_MAC"}, "UnsupportedOperationException"},
		{"multi-Region", CreateInput{MultiRegion: true}, "UnsupportedOperationException"},
		{"in an HSM", CreateInput{Origin: "AWS_CLOUDHSM"}, "UnsupportedOperationException"},
		{"with an invalid policy", CreateInput{Policy: "{"}, "MalformedPolicyDocumentException"},
		{"with a long description", CreateInput{Description: string(make([]byte, 8193))}, "ValidationException"},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := e.CreateKey(t.Context(), e.may(arn.Any(), "kms:CreateKey"), c.in)
			if !fault.Is(err, c.code) {
				t.Error(err)
			}
		})
	}
	plain, external := e.create(CreateInput{Description: "d"}), e.create(CreateInput{Origin: OriginExternal})
	if plain.State != Enabled || !plain.HasMaterial || plain.Origin() != "AWS_KMS" || plain.Description != "d" {
		t.Errorf("%+v", plain)
	}
	if external.State != PendingImport || external.HasMaterial || external.Origin() != "EXTERNAL" {
		t.Errorf("%+v", external)
	}
	if got, err := e.describe(plain.ID, plain.ARN); err != nil || got != plain {
		t.Errorf("%+v, %v", got, err)
	}
}

func TestWrap(t *testing.T) {
	e := newEnv(t)
	m, other := e.create(CreateInput{}), e.create(CreateInput{})
	plain := testKey(9)
	wrapped, err := e.Wrap(t.Context(), e.may(m.ARN, "kms:GenerateDataKey"), m.ARN, plain, []byte("binding"))
	if err != nil {
		t.Fatal(err)
	}
	if id, material, ok := KeyOf(wrapped); !ok || id != m.ID || material != m.Material {
		t.Errorf("the ciphertext names %s, %x", id, material)
	}
	may := e.may(m.ARN, "kms:Decrypt")
	got, err := e.Unwrap(t.Context(), may, m.ARN, wrapped, []byte("binding"))
	if err != nil || got != plain {
		t.Fatal(err)
	}
	refused := func(name string, wrapped, binding []byte) {
		t.Helper()
		if got, err := e.Unwrap(t.Context(), may, m.ARN, wrapped, binding); !fault.Is(err,
			fault.InvalidCiphertextException) || got != (seal.Key{}) {
			t.Errorf("%s: %v", name, err)
		}
	}
	refused("another binding", wrapped, []byte("bindinG"))
	for n := range wrapped {
		refused("cut", wrapped[:n], []byte("binding"))
		for bit := range 8 {
			changed := bytes.Clone(wrapped)
			changed[n] ^= 1 << bit
			refused("changed", changed, []byte("binding"))
		}
	}
	refused("longer", append(bytes.Clone(wrapped), 0), []byte("binding"))
	if _, err := e.Unwrap(t.Context(), e.may(other.ARN, "kms:Decrypt"), other.ARN, wrapped,
		[]byte("binding")); !fault.Is(err, fault.InvalidCiphertextException) {
		t.Error("under another key:", err)
	}
	if _, err := e.Unwrap(t.Context(), may, other.ARN, wrapped, nil); !fault.Is(err, fault.AccessDenied) {
		t.Error("without the permission:", err)
	}
}
