package kms

import (
	"context"

	"watertight/internal/access/arn"
	"watertight/internal/access/authz"
	"watertight/internal/api/kms/shape"
	"watertight/internal/core/kms"
	"watertight/internal/core/tag"
	"watertight/internal/fault"
	"watertight/internal/gateway/dispatch"
)

func (a *API) keyRows() []dispatch.Row {
	return []dispatch.Row{
		define("CreateKey", mayCreateKey, a.createKey),
		define("DescribeKey",
			withTokens(a, onKey(a, "kms:DescribeKey", none[shape.DescribeKeyInput]), describeTokens), a.describeKey),
		define("ListKeys", onAny("kms:ListKeys", none[shape.PageInput]), a.listKeys),
	}
}

func describeTokens(in *shape.DescribeKeyInput) []string { return in.GrantTokens }

func mayCreateKey(_ context.Context, _ authz.Caller, in *shape.CreateKeyInput) ([]authz.Need, error) {
	with := keys{
		"kms:keyspec": {or(spec(in), kms.SpecSymmetric)}, "kms:keyusage": {or(in.KeyUsage, kms.UsageEncrypt)},
		"kms:keyorigin": {or(in.Origin, kms.OriginKMS)}, "kms:multiregion": truth(value(in.MultiRegion)),
		"kms:bypasspolicylockoutsafetycheck": truth(in.BypassPolicyLockoutSafetyCheck),
	}
	for name, values := range tagKeys(in.Tags, nil) {
		with[name] = values
	}
	needs := []authz.Need{{Action: "kms:CreateKey", Resource: arn.Any(), Keys: with}}
	if len(in.Tags) > 0 {
		needs = append(needs, authz.Need{Action: "kms:TagResource", Resource: arn.Any(), Keys: with})
	}
	return needs, nil
}

// spec returns the spec of a new key, from either of its two members.
func spec(in *shape.CreateKeyInput) *string {
	if in.KeySpec != nil {
		return in.KeySpec
	}
	return in.CustomerMasterKeySpec
}

func or(p *string, other string) string {
	if p != nil {
		return *p
	}
	return other
}

func (a *API) createKey(ctx context.Context, g authz.Grant, in *shape.CreateKeyInput) (*shape.KeyOutput, error) {
	if in.KeySpec != nil && in.CustomerMasterKeySpec != nil && *in.KeySpec != *in.CustomerMasterKeySpec {
		return nil, fault.New(fault.ValidationException,
			"You cannot specify KeySpec and CustomerMasterKeySpec in the same request. CustomerMasterKeySpec is "+
				"deprecated.")
	}
	m, err := a.Keys.CreateKey(ctx, g, kms.CreateInput{
		Policy: value(in.Policy), Description: value(in.Description), Usage: value(in.KeyUsage),
		Spec: value(spec(in)), Origin: value(in.Origin), Tags: tagsOf(in.Tags), MultiRegion: value(in.MultiRegion),
		CustomStore:   in.CustomKeyStoreId != nil || in.XksKeyId != nil,
		BypassLockOut: in.BypassPolicyLockoutSafetyCheck,
	})
	if err != nil {
		return nil, err
	}
	return &shape.KeyOutput{KeyMetadata: metadata(&m)}, nil
}

func tagsOf(tags []shape.Tag) []tag.Tag {
	var all []tag.Tag
	for _, t := range tags {
		all = append(all, tag.Tag{Key: *t.TagKey, Value: *t.TagValue})
	}
	return all
}

func (a *API) describeKey(ctx context.Context, g authz.Grant, in *shape.DescribeKeyInput) (*shape.KeyOutput, error) {
	m, err := a.Keys.DescribeKey(ctx, g, *in.KeyId)
	if err != nil {
		return nil, err
	}
	return &shape.KeyOutput{KeyMetadata: metadata(&m)}, nil
}

func metadata(m *kms.Metadata) shape.KeyMetadata {
	out := shape.KeyMetadata{
		AWSAccountId: m.Account, KeyId: m.ID, Arn: m.ARN.String(), CreationDate: m.Created,
		Enabled: m.State == kms.Enabled, Description: &m.Description, KeyUsage: kms.UsageEncrypt,
		KeyState: m.State.String(), DeletionDate: m.DeletionDate, ValidTo: m.ValidTo, Origin: m.Origin(),
		KeyManager: "CUSTOMER", CustomerMasterKeySpec: kms.SpecSymmetric, KeySpec: kms.SpecSymmetric,
		EncryptionAlgorithms: []string{kms.SpecSymmetric},
	}
	if m.Managed {
		out.KeyManager = "AWS"
	}
	if m.PendingWindow > 0 {
		out.PendingDeletionWindowInDays = &m.PendingWindow
	}
	if m.HasMaterial {
		out.CurrentKeyMaterialId = m.Material.String()
		if m.Imported {
			out.ExpirationModel = expirationModel(m.ValidTo.IsZero())
		}
	}
	return out
}

func expirationModel(forever bool) string {
	if forever {
		return "KEY_MATERIAL_DOES_NOT_EXPIRE"
	}
	return "KEY_MATERIAL_EXPIRES"
}

func (a *API) listKeys(ctx context.Context, g authz.Grant, in *shape.PageInput) (*shape.ListKeysOutput, error) {
	all, next, err := a.Keys.ListKeys(ctx, g, pageOf(in.Marker, in.Limit))
	if err != nil {
		return nil, err
	}
	return &shape.ListKeysOutput{
		Keys: each(all, func(k *kms.Key) shape.KeyListEntry {
			return shape.KeyListEntry{KeyId: k.ID, KeyArn: k.ARN.String()}
		}),
		NextMarker: next, Truncated: next != "",
	}, nil
}
