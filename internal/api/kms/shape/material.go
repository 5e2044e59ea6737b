package shape

import "time"

// EnableKeyRotationInput is the input of EnableKeyRotation.
type EnableKeyRotationInput struct {
	KeyId                *string `valid:"required 1..2048"`
	RotationPeriodInDays *int    `valid:"90..2560"`
}

// GetKeyRotationStatusOutput is the answer of GetKeyRotationStatus.
type GetKeyRotationStatusOutput struct {
	KeyRotationEnabled                          bool
	KeyId                                       string
	RotationPeriodInDays                        *int
	NextRotationDate, OnDemandRotationStartDate time.Time
}

// ListKeyRotationsInput is the input of ListKeyRotations.
type ListKeyRotationsInput struct {
	KeyId              *string `valid:"required 1..2048"`
	IncludeKeyMaterial *string `valid:"ALL_KEY_MATERIAL|ROTATIONS_ONLY"`
	Limit              *int    `valid:"1..1000"`
	Marker             *string `valid:"1..1024 marker"`
}

// RotationsListEntry describes one material of a key.
type RotationsListEntry struct {
	KeyId, KeyMaterialId, KeyMaterialDescription   string
	ImportState, KeyMaterialState, ExpirationModel string
	ValidTo, RotationDate                          time.Time
	RotationType                                   string
}

// ListKeyRotationsOutput is the answer of ListKeyRotations.
type ListKeyRotationsOutput struct {
	Rotations  []RotationsListEntry
	NextMarker string
	Truncated  bool
}

// GetParametersForImportInput is the input of GetParametersForImport.
type GetParametersForImportInput struct {
	KeyId             *string `valid:"required 1..2048"`
	WrappingAlgorithm *string `valid:"required wrappingAlgorithm"`
	WrappingKeySpec   *string `valid:"required wrappingKeySpec"`
}

// GetParametersForImportOutput is the answer of GetParametersForImport.
type GetParametersForImportOutput struct {
	KeyId                  string
	ImportToken, PublicKey []byte
	ParametersValidTo      time.Time
}

// ImportKeyMaterialInput is the input of ImportKeyMaterial.
type ImportKeyMaterialInput struct {
	KeyId                  *string `valid:"required 1..2048"`
	ImportToken            []byte  `valid:"required 1..6144"`
	EncryptedKeyMaterial   []byte  `valid:"required 1..6144"`
	ValidTo                *time.Time
	ExpirationModel        *string `valid:"KEY_MATERIAL_EXPIRES|KEY_MATERIAL_DOES_NOT_EXPIRE"`
	ImportType             *string `valid:"NEW_KEY_MATERIAL|EXISTING_KEY_MATERIAL"`
	KeyMaterialDescription *string `valid:"0..256 description"`
	KeyMaterialId          *string `valid:"64..64 materialId"`
}

// MaterialOutput is the answer of ImportKeyMaterial and DeleteImportedKeyMaterial.
type MaterialOutput struct{ KeyId, KeyMaterialId string }

// DeleteImportedKeyMaterialInput is the input of DeleteImportedKeyMaterial.
type DeleteImportedKeyMaterialInput struct {
	KeyId         *string `valid:"required 1..2048"`
	KeyMaterialId *string `valid:"64..64 materialId"`
}
