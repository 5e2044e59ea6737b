package shape

// GetKeyPolicyInput is the input of GetKeyPolicy.
type GetKeyPolicyInput struct {
	KeyId      *string `valid:"required 1..2048"`
	PolicyName *string `valid:"1..128 word"`
}

// GetKeyPolicyOutput is the answer of GetKeyPolicy.
type GetKeyPolicyOutput struct{ Policy, PolicyName string }

// PutKeyPolicyInput is the input of PutKeyPolicy.
type PutKeyPolicyInput struct {
	KeyId      *string `valid:"required 1..2048"`
	PolicyName *string `valid:"1..128 word"`
	Policy     *string `valid:"required 1..131072 policy"`

	BypassPolicyLockoutSafetyCheck bool
}

// ListKeyPoliciesOutput is the answer of ListKeyPolicies.
type ListKeyPoliciesOutput struct {
	PolicyNames []string
	NextMarker  string
	Truncated   bool
}
