package shape

// Conditions are the values of a request for IAM's condition keys (IAM service
// authorization reference).
type Conditions struct {
	Boundary  string // iam:PermissionsBoundary
	PolicyARN string // iam:PolicyARN
	Tags      []NewTag
	TagKeys   []string
}

// Conditioned is an input that returns the values for its condition keys.
type Conditioned interface{ Conditions() Conditions }

// Conditions implements Conditioned.
func (in *CreateUserInput) Conditions() Conditions {
	return Conditions{Boundary: in.PermissionsBoundary, Tags: in.Tags}
}

// Conditions implements Conditioned.
func (in *CreateRoleInput) Conditions() Conditions {
	return Conditions{Boundary: in.PermissionsBoundary, Tags: in.Tags}
}

// Conditions implements Conditioned.
func (in *BoundaryInput) Conditions() Conditions {
	return Conditions{Boundary: in.PermissionsBoundary}
}

// Conditions implements Conditioned.
func (in *AttachInput) Conditions() Conditions {
	return Conditions{PolicyARN: in.PolicyArn}
}

// Conditions implements Conditioned.
func (in *CreatePolicyInput) Conditions() Conditions {
	return Conditions{Tags: in.Tags}
}

// Conditions implements Conditioned.
func (in *CreateVirtualMFADeviceInput) Conditions() Conditions {
	return Conditions{Tags: in.Tags}
}

// Conditions implements Conditioned.
func (in *CreateOpenIDConnectProviderInput) Conditions() Conditions {
	return Conditions{Tags: in.Tags}
}

// Conditions implements Conditioned.
func (in *TagInput) Conditions() Conditions {
	return Conditions{Tags: in.Tags}
}

// Conditions implements Conditioned.
func (in *UntagInput) Conditions() Conditions {
	return Conditions{TagKeys: in.TagKeys}
}

// The other inputs have no condition keys.

// Conditions implements Conditioned.
func (*CreateGroupInput) Conditions() Conditions { return Conditions{} }

// Conditions implements Conditioned.
func (*UpdateUserInput) Conditions() Conditions { return Conditions{} }

// Conditions implements Conditioned.
func (*UpdateGroupInput) Conditions() Conditions { return Conditions{} }

// Conditions implements Conditioned.
func (*UpdateRoleInput) Conditions() Conditions { return Conditions{} }

// Conditions implements Conditioned.
func (*UpdateRoleDescriptionInput) Conditions() Conditions { return Conditions{} }

// Conditions implements Conditioned.
func (*UpdateAssumeRolePolicyInput) Conditions() Conditions { return Conditions{} }

// Conditions implements Conditioned.
func (*EntityInput) Conditions() Conditions { return Conditions{} }

// Conditions implements Conditioned.
func (*EntityPageInput) Conditions() Conditions { return Conditions{} }

// Conditions implements Conditioned.
func (*MembershipInput) Conditions() Conditions { return Conditions{} }

// Conditions implements Conditioned.
func (*InlinePolicyInput) Conditions() Conditions { return Conditions{} }

// Conditions implements Conditioned.
func (*PutInlinePolicyInput) Conditions() Conditions { return Conditions{} }

// Conditions implements Conditioned.
func (*TagsInput) Conditions() Conditions { return Conditions{} }

// Conditions implements Conditioned.
func (*PolicyInput) Conditions() Conditions { return Conditions{} }

// Conditions implements Conditioned.
func (*PolicyVersionInput) Conditions() Conditions { return Conditions{} }

// Conditions implements Conditioned.
func (*CreatePolicyVersionInput) Conditions() Conditions { return Conditions{} }

// Conditions implements Conditioned.
func (*ListPolicyVersionsInput) Conditions() Conditions { return Conditions{} }

// Conditions implements Conditioned.
func (*ListEntitiesForPolicyInput) Conditions() Conditions { return Conditions{} }

// Conditions implements Conditioned.
func (*SerialInput) Conditions() Conditions { return Conditions{} }

// Conditions implements Conditioned.
func (*ProviderInput) Conditions() Conditions { return Conditions{} }

// Conditions implements Conditioned.
func (*ClientIDInput) Conditions() Conditions { return Conditions{} }

// Conditions implements Conditioned.
func (*ThumbprintInput) Conditions() Conditions { return Conditions{} }

// Conditions implements Conditioned.
func (*SimulatePolicyInput) Conditions() Conditions { return Conditions{} }

// Conditions implements Conditioned.
func (*ContextKeysInput) Conditions() Conditions { return Conditions{} }
