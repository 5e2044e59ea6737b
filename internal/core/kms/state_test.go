package kms

import (
	"fmt"
	"maps"
	"slices"
	"testing"
	"time"

	"watertight/internal/access/arn"
	"watertight/internal/access/policy"
	"watertight/internal/core/change/coretest"
	"watertight/internal/core/tag"
	"watertight/internal/fault"
)

// do calls an operation of the API by its name on a key, with the permission for it.
func (e *env) do(name string, m Metadata) error {
	e.Helper()
	on := func(a ...policy.Action) (g grantOn) { return grantOn{e, m.ARN, a} }
	ctx := e.Context()
	switch name {
	case "Encrypt":
		_, err := e.Encrypt(ctx, on("kms:Encrypt").grant(), EncryptInput{Key: m.ID, Plaintext: Secret("x")})
		return err
	case "GenerateDataKey":
		_, err := e.GenerateDataKey(ctx, on("kms:GenerateDataKey").grant(), GenerateInput{Key: m.ID, Bytes: 32})
		return err
	case "Wrap":
		_, err := e.Wrap(ctx, on("kms:GenerateDataKey").grant(), m.ARN, testKey(3), nil)
		return err
	case "EnableKey":
		return e.EnableKey(ctx, on("kms:EnableKey").grant(), m.ID)
	case "DisableKey":
		return e.DisableKey(ctx, on("kms:DisableKey").grant(), m.ID)
	case "EnableKeyRotation":
		return e.EnableKeyRotation(ctx, on("kms:EnableKeyRotation").grant(), m.ID, 0)
	case "DisableKeyRotation":
		return e.DisableKeyRotation(ctx, on("kms:DisableKeyRotation").grant(), m.ID)
	case "RotateKeyOnDemand":
		_, err := e.RotateKeyOnDemand(ctx, on("kms:RotateKeyOnDemand").grant(), m.ID)
		return err
	case "CancelKeyDeletion":
		_, err := e.CancelKeyDeletion(ctx, on("kms:CancelKeyDeletion").grant(), m.ID)
		return err
	case "ScheduleKeyDeletion":
		_, err := e.ScheduleKeyDeletion(ctx, on("kms:ScheduleKeyDeletion").grant(), m.ID, 7)
		return err
	case "CreateAlias":
		return e.alias("CreateAlias", "alias/of/"+m.ID, m)
	case "UpdateKeyDescription":
		return e.UpdateKeyDescription(ctx, on("kms:UpdateKeyDescription").grant(), m.ID, "text")
	case "TagResource":
		return e.TagResource(ctx, on("kms:TagResource").grant(), m.ID, []tag.Tag{{Key: "k", Value: "v"}})
	case "UntagResource":
		return e.UntagResource(ctx, on("kms:UntagResource").grant(), m.ID, []string{"k"})
	case "DescribeKey":
		_, err := e.describe(m.ID, m.ARN)
		return err
	case "GetKeyRotationStatus":
		_, err := e.GetKeyRotationStatus(ctx, on("kms:GetKeyRotationStatus").grant(), m.ID)
		return err
	case "GetParametersForImport":
		_, err := e.GetParametersForImport(ctx, on("kms:GetParametersForImport").grant(), ParametersInput{
			Key: m.ID, Algorithm: "RSAES_OAEP_SHA_256", Spec: "RSA_2048",
		})
		return err
	case "DeleteImportedKeyMaterial":
		_, err := e.DeleteImportedKeyMaterial(ctx, on("kms:DeleteImportedKeyMaterial").grant(), m.ID)
		return err
	}
	e.Fatal("no operation ", name)
	return nil
}

// must calls do and fails the test on an error.
func (e *env) must(name string, m Metadata) {
	e.Helper()
	if err := e.do(name, m); err != nil {
		e.Fatal(name, ": ", err)
	}
}

func (e *env) alias(operation policy.Action, alias string, m ...Metadata) error {
	e.Helper()
	on := []arn.ARN{e.AliasARN(coretest.Account, alias)}
	for _, k := range m {
		on = append(on, k.ARN)
	}
	g := e.mayAll("kms:"+operation, on...)
	switch operation {
	case "CreateAlias":
		return e.CreateAlias(e.Context(), g, alias, m[0].ID)
	case "UpdateAlias":
		return e.UpdateAlias(e.Context(), g, alias, m[len(m)-1].ID)
	}
	return e.DeleteAlias(e.Context(), g, alias)
}

// inState makes a key in a state.
func (e *env) inState(s State) Metadata {
	e.Helper()
	if s == PendingImport {
		return e.create(CreateInput{Origin: OriginExternal})
	}
	m := e.create(CreateInput{})
	switch s {
	case Disabled:
		e.must("DisableKey", m)
	case PendingDeletion:
		e.must("ScheduleKeyDeletion", m)
	}
	return m
}

// TestStates: the result and the message of each operation in each state (KMS developer guide,
// "Key states of AWS KMS keys").
func TestStates(t *testing.T) {
	const ok, invalid, disabled = "", "KMSInvalidStateException", "DisabledException"
	const unsupported = "UnsupportedOperationException"
	states := []State{Enabled, Disabled, PendingDeletion, PendingImport}
	table := map[string][4]string{
		"Encrypt":                   {ok, disabled, invalid, invalid},
		"GenerateDataKey":           {ok, disabled, invalid, invalid},
		"Wrap":                      {ok, disabled, invalid, invalid},
		"EnableKey":                 {ok, ok, invalid, invalid},
		"DisableKey":                {ok, ok, invalid, invalid},
		"EnableKeyRotation":         {ok, disabled, invalid, unsupported},
		"DisableKeyRotation":        {ok, disabled, invalid, unsupported},
		"RotateKeyOnDemand":         {ok, disabled, invalid, unsupported},
		"CancelKeyDeletion":         {invalid, invalid, ok, invalid},
		"ScheduleKeyDeletion":       {ok, ok, invalid, ok},
		"CreateAlias":               {ok, ok, invalid, ok},
		"UpdateKeyDescription":      {ok, ok, invalid, ok},
		"TagResource":               {ok, ok, invalid, ok},
		"UntagResource":             {ok, ok, invalid, ok},
		"DescribeKey":               {ok, ok, ok, ok},
		"GetKeyRotationStatus":      {ok, ok, ok, ok},
		"DeleteImportedKeyMaterial": {unsupported, unsupported, unsupported, ok},
	}
	for _, name := range slices.Sorted(maps.Keys(table)) {
		for i, want := range table[name] {
			t.Run(fmt.Sprint(name, "/", states[i]), func(t *testing.T) {
				e := newEnv(t)
				m := e.inState(states[i])
				err := e.do(name, m)
				switch {
				case want == ok && err != nil, want != ok && !fault.Is(err, fault.Code(want)):
					t.Fatalf("%v, want %q", err, want)
				case want == ok:
					return
				}
				says := map[string]string{
					disabled: m.ARN.String() + " is disabled.", unsupported: "",
					invalid: m.ARN.String() + map[State]string{
						PendingDeletion: " is pending deletion.", PendingImport: " is pending import.",
					}[states[i]],
				}[want]
				if name == "CancelKeyDeletion" {
					says = m.ARN.String() + " is not pending deletion."
				}
				if got := fault.From(err).Message; says != "" && got != says {
					t.Errorf("the message is %q, want %q", got, says)
				}
			})
		}
	}
}

// TestImportStates: imports are refused while a deletion is pending, and for keys with
// material of their own.
func TestImportStates(t *testing.T) {
	e := newEnv(t)
	m := e.create(CreateInput{Origin: OriginExternal})
	e.must("GetParametersForImport", m)
	e.must("ScheduleKeyDeletion", m)
	if err := e.do("GetParametersForImport", m); !fault.Is(err, fault.KMSInvalidStateException) {
		t.Error("while its deletion is pending:", err)
	}
	if err := e.do("GetParametersForImport",
		e.create(CreateInput{})); !fault.Is(err, fault.UnsupportedOperationException) {
		t.Error("a key with material of its own:", err)
	}
}

func TestDeletionWindow(t *testing.T) {
	e := newEnv(t)
	for days, want := range map[int]int{0: 30, 7: 7, 30: 30, 6: -1, 31: -1, -1: -1, 365: -1} {
		t.Run(fmt.Sprint(days), func(t *testing.T) {
			m := e.create(CreateInput{})
			got, err := e.ScheduleKeyDeletion(t.Context(), e.may(m.ARN, "kms:ScheduleKeyDeletion"), m.ID, days)
			if want < 0 {
				if !fault.Is(err, fault.ValidationException) {
					t.Error(err)
				}
				return
			}
			if err != nil || got.State != PendingDeletion || got.PendingWindow != want ||
				!got.DeletionDate.Equal(e.at.Add(time.Duration(want)*24*time.Hour)) {
				t.Errorf("%+v, %v", got, err)
			}
		})
	}
}

// TestDestruction: the key is gone as soon as the window ends. Then the sweep leaves no byte of its
// material, and nothing restores it.
func TestDestruction(t *testing.T) {
	e := newEnv(t)
	m, other := e.create(CreateInput{}), e.create(CreateInput{})
	if err := e.alias("CreateAlias", "alias/doomed", m); err != nil {
		t.Fatal(err)
	}
	wrapped, err := e.Wrap(t.Context(), e.may(m.ARN, "kms:GenerateDataKey"), m.ARN, testKey(5), nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := NewOperator(e.Store).FlushUses(t.Context()); err != nil {
		t.Fatal(err)
	}
	e.must("ScheduleKeyDeletion", m)
	end := e.at.Add(7 * 24 * time.Hour)
	e.at = end.Add(-time.Microsecond)
	if n := e.sweep(); n.Destroyed != 0 {
		t.Error("destroyed before its window has ended")
	}
	if got, err := e.describe(m.ID, m.ARN); err != nil || got.State != PendingDeletion {
		t.Errorf("just before the end: %v, %v", got.State, err)
	}
	e.at = end
	for _, name := range []string{"DescribeKey", "CancelKeyDeletion", "Encrypt", "EnableKey"} {
		if err := e.do(name, m); !fault.Is(err, fault.NotFoundException) {
			t.Errorf("%s before the sweep: %v", name, err)
		}
	}
	if err := e.alias("CreateAlias", "alias/doomed", other); err != nil {
		t.Error("its alias is not free:", err)
	}
	keys, _, err := e.ListKeys(t.Context(), e.may(arn.Any(), "kms:ListKeys"), pageOne())
	if err != nil || len(keys) != 1 || keys[0].ID != other.ID {
		t.Errorf("listed: %v, %v", keys, err)
	}
	if n := e.sweep(); n.Destroyed != 1 {
		t.Errorf("swept %+v", n)
	}
	if rest := e.records(m.ID); len(rest) > 0 {
		t.Errorf("records left: %q", rest)
	}
	if got, err := e.Subject(t.Context(), coretest.Account, "alias/doomed", e.at); err != nil || got.ID != other.ID {
		t.Errorf("the alias names %s, %v", got.ID, err)
	}
	if n := e.sweep(); n != (Done{}) {
		t.Errorf("swept again %+v", n)
	}
	if _, err := e.Unwrap(t.Context(), e.may(m.ARN, "kms:Decrypt"), m.ARN, wrapped,
		nil); !fault.Is(err, fault.NotFoundException) {
		t.Error("its data key:", err)
	}
}
