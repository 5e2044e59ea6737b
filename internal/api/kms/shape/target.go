package shape

// KeyTarget is an input that names the key of its operation. An operation on a key does not
// compile with an input that lacks the method.
type KeyTarget interface{ Key() string }

func key(id *string) string {
	if id == nil {
		return ""
	}
	return *id
}

// Key implements KeyTarget.
func (in *KeyInput) Key() string { return key(in.KeyId) }

// Key implements KeyTarget.
func (in *DescribeKeyInput) Key() string { return key(in.KeyId) }

// Key implements KeyTarget.
func (in *KeyPageInput) Key() string { return key(in.KeyId) }

// Key implements KeyTarget.
func (in *UpdateKeyDescriptionInput) Key() string { return key(in.KeyId) }

// Key implements KeyTarget.
func (in *ScheduleKeyDeletionInput) Key() string { return key(in.KeyId) }

// Key implements KeyTarget.
func (in *TagResourceInput) Key() string { return key(in.KeyId) }

// Key implements KeyTarget.
func (in *UntagResourceInput) Key() string { return key(in.KeyId) }

// Key implements KeyTarget.
func (in *GetKeyPolicyInput) Key() string { return key(in.KeyId) }

// Key implements KeyTarget.
func (in *PutKeyPolicyInput) Key() string { return key(in.KeyId) }

// Key implements KeyTarget.
func (in *CreateGrantInput) Key() string { return key(in.KeyId) }

// Key implements KeyTarget.
func (in *ListGrantsInput) Key() string { return key(in.KeyId) }

// Key implements KeyTarget.
func (in *RevokeGrantInput) Key() string { return key(in.KeyId) }

// Key implements KeyTarget.
func (in *EncryptInput) Key() string { return key(in.KeyId) }

// Key implements KeyTarget.
func (in *GenerateDataKeyInput) Key() string { return key(in.KeyId) }

// Key implements KeyTarget.
func (in *EnableKeyRotationInput) Key() string { return key(in.KeyId) }

// Key implements KeyTarget.
func (in *ListKeyRotationsInput) Key() string { return key(in.KeyId) }

// Key implements KeyTarget.
func (in *GetParametersForImportInput) Key() string { return key(in.KeyId) }

// Key implements KeyTarget.
func (in *ImportKeyMaterialInput) Key() string { return key(in.KeyId) }

// Key implements KeyTarget.
func (in *DeleteImportedKeyMaterialInput) Key() string { return key(in.KeyId) }
