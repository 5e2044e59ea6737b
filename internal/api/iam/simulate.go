package iam

import (
	"context"

	"watertight/internal/access/authz"
	"watertight/internal/access/policy"
	"watertight/internal/api/iam/shape"
	"watertight/internal/core/simulate"
	"watertight/internal/gateway/dispatch"
)

func (a *API) simulateRows() []dispatch.Row {
	return []dispatch.Row{
		define("SimulateCustomPolicy", onAny[shape.SimulatePolicyInput]("iam:SimulateCustomPolicy"),
			a.simulateCustomPolicy),
		define("SimulatePrincipalPolicy", onSource[shape.SimulatePolicyInput](a, "iam:SimulatePrincipalPolicy"),
			a.simulatePrincipalPolicy),
		define("GetContextKeysForCustomPolicy", onAny[shape.ContextKeysInput]("iam:GetContextKeysForCustomPolicy"),
			a.getContextKeysForCustomPolicy),
		define("GetContextKeysForPrincipalPolicy",
			onSource[shape.ContextKeysInput](a,
				"iam:GetContextKeysForPrincipalPolicy"), a.getContextKeysForPrincipalPolicy),
	}
}

// onSource needs one action on the entity whose policies the operation reads.
func onSource[In any, P interface {
	*In
	shape.SourceTarget
	shape.Conditioned
}](a *API, action policy.Action) needs[In] {
	return func(ctx context.Context, c authz.Caller, in *In) ([]authz.Need, error) {
		m := P(in).Source()
		if err := required(m); err != nil {
			return nil, err
		}
		s, err := a.Simulator.Source(ctx, c.Principal().Account, m.Value)
		if err != nil {
			return nil, err
		}
		return []authz.Need{{Action: action, Resource: s.ARN, Keys: conditionKeys(s, P(in).Conditions())}}, nil
	}
}

func (a *API) simulateCustomPolicy(
	ctx context.Context, g authz.Grant, in *shape.SimulatePolicyInput,
) (*shape.SimulatePolicyOutput, error) {
	return simulation(a.Simulator.Custom(ctx, g, simulateInput(in)))
}

func (a *API) simulatePrincipalPolicy(
	ctx context.Context, g authz.Grant, in *shape.SimulatePolicyInput,
) (*shape.SimulatePolicyOutput, error) {
	return simulation(a.Simulator.Principal(ctx, g, simulateInput(in)))
}

func simulateInput(in *shape.SimulatePolicyInput) simulate.Input {
	keys := map[string][]string{}
	for _, e := range in.ContextEntries {
		keys[policy.KeyName(e.ContextKeyName)] = e.ContextKeyValues
	}
	return simulate.Input{
		Source: in.PolicySourceArn, Policies: in.PolicyInputList, Boundaries: in.PermissionsBoundaryPolicyInputList,
		Actions: in.ActionNames, Resources: in.ResourceArns, ResourcePolicy: in.ResourcePolicy,
		ResourceOwner: in.ResourceOwner,
		Caller:        in.CallerArn, Keys: keys, Page: pageOf(in.Marker, in.MaxItems),
	}
}

func simulation(all []simulate.Decision, next string, err error) (*shape.SimulatePolicyOutput, error) {
	if err != nil {
		return nil, err
	}
	return &shape.SimulatePolicyOutput{
		EvaluationResults: each(all, evaluation), IsTruncated: next != "", Marker: next,
	}, nil
}

func evaluation(s simulate.Decision) shape.EvaluationResult {
	out := shape.EvaluationResult{
		EvalActionName: s.Action, EvalResourceName: s.Resource, EvalDecision: decision(s.Effect),
		MatchedStatements:    each(s.Matched, matchedStatement),
		MissingContextValues: each(s.Missing, func(k string) string { return k }),
	}
	if s.Boundary != nil {
		out.PermissionsBoundaryDecisionDetail = &shape.BoundaryDecision{AllowedByPermissionsBoundary: *s.Boundary}
	}
	if !s.Named {
		return out
	}
	// Always present if the request names resources. It has entries if two accounts take
	// part (IAM API reference, EvaluationResult).
	out.EvalDecisionDetails = map[string]string{}
	if s.Foreign {
		out.EvalDecisionDetails = map[string]string{
			"IAM Policy": decision(s.IdentitySays), "Resource Policy": decision(s.OwnersSays),
		}
	}
	out.ResourceSpecificResults = []shape.ResourceSpecificResult{{
		EvalResourceName: out.EvalResourceName, EvalResourceDecision: out.EvalDecision,
		MatchedStatements: out.MatchedStatements, MissingContextValues: out.MissingContextValues,
		PermissionsBoundaryDecisionDetail: out.PermissionsBoundaryDecisionDetail,
		EvalDecisionDetails:               out.EvalDecisionDetails,
	}}
	return out
}

func decision(e policy.Effect) string {
	switch e {
	case policy.Allow:
		return "allowed"
	case policy.ExplicitDeny:
		return "explicitDeny"
	}
	return "implicitDeny"
}

func matchedStatement(m simulate.Match) shape.MatchedStatement {
	kind := "IAM Policy"
	if m.Resource {
		kind = "Resource Policy"
	}
	return shape.MatchedStatement{
		SourcePolicyId: m.Policy, SourcePolicyType: kind,
		StartPosition: shape.Position{Line: m.StartLine, Column: m.StartColumn},
		EndPosition:   shape.Position{Line: m.EndLine, Column: m.EndColumn},
	}
}

func (a *API) getContextKeysForCustomPolicy(
	ctx context.Context, g authz.Grant, in *shape.ContextKeysInput,
) (*shape.ContextKeysOutput, error) {
	return contextKeys(a.Simulator.CustomContextKeys(ctx, g, in.PolicyInputList))
}

func (a *API) getContextKeysForPrincipalPolicy(
	ctx context.Context, g authz.Grant, in *shape.ContextKeysInput,
) (*shape.ContextKeysOutput, error) {
	return contextKeys(a.Simulator.PrincipalContextKeys(ctx, g, in.PolicySourceArn, in.PolicyInputList))
}

func contextKeys(names []string, err error) (*shape.ContextKeysOutput, error) {
	if err != nil {
		return nil, err
	}
	return &shape.ContextKeysOutput{ContextKeyNames: each(names, func(k string) string { return k })}, nil
}
