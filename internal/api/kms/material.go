package kms

import (
	"context"
	"strconv"
	"time"

	"watertight/internal/access/authz"
	"watertight/internal/api/kms/shape"
	"watertight/internal/core/kms"
	"watertight/internal/fault"
	"watertight/internal/gateway/dispatch"
)

func (a *API) materialRows() []dispatch.Row {
	return []dispatch.Row{
		define("EnableKeyRotation", onKey(a, "kms:EnableKeyRotation", period), a.enableKeyRotation),
		define("DisableKeyRotation", onKey(a, "kms:DisableKeyRotation", none[shape.KeyInput]), a.disableKeyRotation),
		define("GetKeyRotationStatus", onKey(a, "kms:GetKeyRotationStatus", none[shape.KeyInput]),
			a.getKeyRotationStatus),
		define("RotateKeyOnDemand", onKey(a, "kms:RotateKeyOnDemand", none[shape.KeyInput]), a.rotateKeyOnDemand),
		define("ListKeyRotations", onKey(a, "kms:ListKeyRotations", none[shape.ListKeyRotationsInput]),
			a.listKeyRotations),
		define("GetParametersForImport", onKey(a, "kms:GetParametersForImport", wrapped), a.getParametersForImport),
		define("ImportKeyMaterial", onKey(a, "kms:ImportKeyMaterial", expiring), a.importKeyMaterial),
		define("DeleteImportedKeyMaterial",
			onKey(a, "kms:DeleteImportedKeyMaterial", none[shape.DeleteImportedKeyMaterialInput]),
			a.deleteImportedKeyMaterial),
	}
}

// defaultPeriod is the rotation period in days, if the request has none.
const defaultPeriod = 365

func period(in *shape.EnableKeyRotationInput) keys {
	days := defaultPeriod
	if in.RotationPeriodInDays != nil {
		days = *in.RotationPeriodInDays
	}
	return keys{"kms:rotationperiodindays": {strconv.Itoa(days)}}
}

func wrapped(in *shape.GetParametersForImportInput) keys {
	return keys{"kms:wrappingalgorithm": {*in.WrappingAlgorithm}, "kms:wrappingkeyspec": {*in.WrappingKeySpec}}
}

func expiring(in *shape.ImportKeyMaterialInput) keys {
	with := keys{"kms:expirationmodel": {or(in.ExpirationModel, expirationModel(false))}}
	if in.ValidTo != nil {
		with["kms:validto"] = []string{in.ValidTo.UTC().Format(time.RFC3339Nano)}
	}
	return with
}

func (a *API) enableKeyRotation(
	ctx context.Context, g authz.Grant, in *shape.EnableKeyRotationInput,
) (*shape.Empty, error) {
	return nil, a.Keys.EnableKeyRotation(ctx, g, *in.KeyId, value(in.RotationPeriodInDays))
}

func (a *API) disableKeyRotation(ctx context.Context, g authz.Grant, in *shape.KeyInput) (*shape.Empty, error) {
	return nil, a.Keys.DisableKeyRotation(ctx, g, *in.KeyId)
}

func (a *API) getKeyRotationStatus(
	ctx context.Context, g authz.Grant, in *shape.KeyInput,
) (*shape.GetKeyRotationStatusOutput, error) {
	r, err := a.Keys.GetKeyRotationStatus(ctx, g, *in.KeyId)
	if err != nil {
		return nil, err
	}
	out := &shape.GetKeyRotationStatusOutput{
		KeyRotationEnabled: r.Enabled, KeyId: idOf(r.Key), NextRotationDate: r.Next,
	}
	if r.Period > 0 {
		out.RotationPeriodInDays = &r.Period
	}
	return out, nil
}

func (a *API) rotateKeyOnDemand(ctx context.Context, g authz.Grant, in *shape.KeyInput) (*shape.KeyIDOutput, error) {
	k, err := a.Keys.RotateKeyOnDemand(ctx, g, *in.KeyId)
	if err != nil {
		return nil, err
	}
	return &shape.KeyIDOutput{KeyId: k.ID}, nil
}

func (a *API) listKeyRotations(
	ctx context.Context, g authz.Grant, in *shape.ListKeyRotationsInput,
) (*shape.ListKeyRotationsOutput, error) {
	all, next, err := a.Keys.ListKeyRotations(ctx, g, *in.KeyId, value(in.IncludeKeyMaterial) == "ALL_KEY_MATERIAL",
		pageOf(in.Marker, in.Limit))
	if err != nil {
		return nil, err
	}
	return &shape.ListKeyRotationsOutput{
		Rotations: each(all, rotation), NextMarker: next, Truncated: next != "",
	}, nil
}

func rotation(m *kms.MaterialInfo) shape.RotationsListEntry {
	e := shape.RotationsListEntry{
		KeyId: idOf(m.Key), KeyMaterialId: m.Material.String(), KeyMaterialState: "NON_CURRENT", ValidTo: m.ValidTo,
	}
	if m.Current {
		e.KeyMaterialState = "CURRENT"
	}
	switch m.How {
	case kms.Automatic:
		e.RotationType, e.RotationDate = "AUTOMATIC", m.At
	case kms.OnDemand:
		e.RotationType, e.RotationDate = "ON_DEMAND", m.At
	}
	if m.Imported {
		if e.ImportState = "PENDING_IMPORT"; m.Present {
			e.ImportState, e.ExpirationModel = "IMPORTED", expirationModel(m.ValidTo.IsZero())
		}
	}
	return e
}

func (a *API) getParametersForImport(
	ctx context.Context, g authz.Grant, in *shape.GetParametersForImportInput,
) (*shape.GetParametersForImportOutput, error) {
	p, err := a.Keys.GetParametersForImport(ctx, g, kms.ParametersInput{
		Key: *in.KeyId, Algorithm: *in.WrappingAlgorithm, Spec: *in.WrappingKeySpec,
	})
	if err != nil {
		return nil, err
	}
	return &shape.GetParametersForImportOutput{
		KeyId: p.Key.String(), ImportToken: p.Token, PublicKey: p.PublicKey, ParametersValidTo: p.ValidTo,
	}, nil
}

// validTo returns when the material to import expires; the zero time means never.
func validTo(in *shape.ImportKeyMaterialInput) (time.Time, error) {
	expires := or(in.ExpirationModel, expirationModel(false)) == expirationModel(false)
	switch {
	case expires && in.ValidTo == nil:
		return time.Time{}, fault.New(fault.ValidationException,
			"A validTo date must be set if the ExpirationModel is KEY_MATERIAL_EXPIRES")
	case !expires && in.ValidTo != nil:
		return time.Time{}, fault.New(fault.ValidationException,
			"A validTo date must not be set if the ExpirationModel is KEY_MATERIAL_DOES_NOT_EXPIRE")
	}
	return value(in.ValidTo), nil
}

// oneMaterial refuses members that choose between several materials: a key with imported
// material has only one here.
func oneMaterial(id, description *string) error {
	if id != nil || description != nil {
		return fault.New(fault.UnsupportedOperationException,
			"KeyMaterialId and KeyMaterialDescription are not supported: a key has one imported material.")
	}
	return nil
}

func (a *API) importKeyMaterial(
	ctx context.Context, g authz.Grant, in *shape.ImportKeyMaterialInput,
) (*shape.MaterialOutput, error) {
	if err := oneMaterial(in.KeyMaterialId, in.KeyMaterialDescription); err != nil {
		return nil, err
	}
	until, err := validTo(in)
	if err != nil {
		return nil, err
	}
	return material(a.Keys.ImportKeyMaterial(ctx, g, kms.ImportInput{
		Key: *in.KeyId, Token: in.ImportToken, Encrypted: in.EncryptedKeyMaterial, ValidTo: until,
	}))
}

func (a *API) deleteImportedKeyMaterial(
	ctx context.Context, g authz.Grant, in *shape.DeleteImportedKeyMaterialInput,
) (*shape.MaterialOutput, error) {
	if err := oneMaterial(in.KeyMaterialId, nil); err != nil {
		return nil, err
	}
	return material(a.Keys.DeleteImportedKeyMaterial(ctx, g, *in.KeyId))
}

func material(m kms.Imported, err error) (*shape.MaterialOutput, error) {
	if err != nil {
		return nil, err
	}
	return &shape.MaterialOutput{KeyId: m.Key.String(), KeyMaterialId: m.Material.String()}, nil
}
