package kms

import (
	"context"

	"watertight/internal/access/authz"
	"watertight/internal/api/kms/shape"
	"watertight/internal/core/kms"
	"watertight/internal/fault"
	"watertight/internal/gateway/dispatch"
)

func (a *API) policyRows() []dispatch.Row {
	return []dispatch.Row{
		define("GetKeyPolicy", onKey(a, "kms:GetKeyPolicy", none[shape.GetKeyPolicyInput]), a.getKeyPolicy),
		define("PutKeyPolicy", onKey(a, "kms:PutKeyPolicy", bypassing), a.putKeyPolicy),
		define("ListKeyPolicies", onKey(a, "kms:ListKeyPolicies", none[shape.KeyPageInput]), a.listKeyPolicies),
	}
}

func bypassing(in *shape.PutKeyPolicyInput) keys {
	return keys{"kms:bypasspolicylockoutsafetycheck": truth(in.BypassPolicyLockoutSafetyCheck)}
}

// named refuses every policy name but "default", the only one that a key's policy has.
func named(policy *string) error {
	if name := or(policy, kms.PolicyName); name != kms.PolicyName {
		return fault.New(fault.NotFoundException, "No such policy exists")
	}
	return nil
}

func (a *API) getKeyPolicy(
	ctx context.Context, g authz.Grant, in *shape.GetKeyPolicyInput,
) (*shape.GetKeyPolicyOutput, error) {
	if err := named(in.PolicyName); err != nil {
		return nil, err
	}
	text, err := a.Keys.GetKeyPolicy(ctx, g, *in.KeyId)
	if err != nil {
		return nil, err
	}
	return &shape.GetKeyPolicyOutput{Policy: text, PolicyName: kms.PolicyName}, nil
}

func (a *API) putKeyPolicy(ctx context.Context, g authz.Grant, in *shape.PutKeyPolicyInput) (*shape.Empty, error) {
	if err := named(in.PolicyName); err != nil {
		return nil, err
	}
	return nil, a.Keys.PutKeyPolicy(ctx, g, *in.KeyId, *in.Policy, in.BypassPolicyLockoutSafetyCheck)
}

// listKeyPolicies needs no pages, because a key has one policy.
func (a *API) listKeyPolicies(
	ctx context.Context, g authz.Grant, in *shape.KeyPageInput,
) (*shape.ListKeyPoliciesOutput, error) {
	names, err := a.Keys.ListKeyPolicies(ctx, g, *in.KeyId)
	if err != nil {
		return nil, err
	}
	return &shape.ListKeyPoliciesOutput{PolicyNames: names}, nil
}
