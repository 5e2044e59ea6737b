package kms

import (
	"context"

	"watertight/internal/access/authz"
	"watertight/internal/api/kms/shape"
	"watertight/internal/core/kms"
	"watertight/internal/fault"
	"watertight/internal/gateway/dispatch"
)

func (a *API) grantRows() []dispatch.Row {
	return []dispatch.Row{
		define("CreateGrant", withTokens(a, onKey(a, "kms:CreateGrant", granting), createGrantTokens), a.createGrant),
		define("ListGrants", onKey(a, "kms:ListGrants", none[shape.ListGrantsInput]), a.listGrants),
		define("ListRetirableGrants", onAny("kms:ListRetirableGrants", none[shape.ListRetirableGrantsInput]),
			a.listRetirableGrants),
		define("RevokeGrant", onKey(a, "kms:RevokeGrant", revoking), a.revokeGrant),
		define("RetireGrant", a.mayRetireGrant, a.retireGrant),
	}
}

func createGrantTokens(in *shape.CreateGrantInput) []string { return in.GrantTokens }

// withTokens refuses grant tokens that name no grant. Otherwise it ignores them: a grant
// applies from the next request on, with or without its token.
func withTokens[In any](a *API, may needs[In], of func(*In) []string) needs[In] {
	return func(ctx context.Context, c authz.Caller, in *In) ([]authz.Need, error) {
		if err := a.Keys.CheckTokens(ctx, of(in)); err != nil {
			return nil, err
		}
		return may(ctx, c, in)
	}
}

func grantInput(in *shape.CreateGrantInput) kms.GrantInput {
	g := kms.GrantInput{
		Key: *in.KeyId, Grantee: *in.GranteePrincipal, Retiring: value(in.RetiringPrincipal),
		Operations: in.Operations, Name: value(in.Name), DryRun: value(in.DryRun),
	}
	if in.Constraints != nil {
		g.Equals, g.Subset = in.Constraints.EncryptionContextEquals, in.Constraints.EncryptionContextSubset
	}
	switch { // some clients send an empty map for the constraint that they don't use
	case len(g.Equals) > 0 && len(g.Subset) == 0:
		g.Subset = nil
	case len(g.Subset) > 0 && len(g.Equals) == 0:
		g.Equals = nil
	}
	return g
}

func granting(in *shape.CreateGrantInput) keys {
	g := grantInput(in)
	return g.Conditions()
}

func revoking(*shape.RevokeGrantInput) keys { return keys{"kms:grantisforawsresource": truth(false)} }

func grantName(in *shape.RetireGrantInput) kms.GrantName {
	return kms.GrantName{Token: value(in.GrantToken), Key: value(in.KeyId), ID: value(in.GrantId)}
}

// mayRetireGrant needs the action on the key of the grant, which the grant itself may
// allow. A key that does not exist is treated as if it did, so that a caller can't find out
// which keys exist.
func (a *API) mayRetireGrant(ctx context.Context, c authz.Caller, in *shape.RetireGrantInput) ([]authz.Need, error) {
	if (in.GrantToken == nil) == (in.KeyId == nil || in.GrantId == nil) {
		return nil, fault.New(fault.ValidationException, "Specify either a grant token, or a key and a grant ID.")
	}
	needs, err := a.Keys.RetireNeeds(ctx, c, grantName(in))
	if fault.Is(err, fault.NotFoundException) {
		return a.keyNeeds(ctx, c, "kms:RetireGrant", *in.KeyId, nil)
	}
	for _, n := range needs {
		note(c, n.Resource)
	}
	return needs, err
}

func (a *API) createGrant(
	ctx context.Context, g authz.Grant, in *shape.CreateGrantInput,
) (*shape.CreateGrantOutput, error) {
	id, token, err := a.Keys.CreateGrant(ctx, g, grantInput(in))
	if err != nil {
		return nil, err
	}
	return &shape.CreateGrantOutput{GrantId: id, GrantToken: token}, nil
}

func (a *API) listGrants(
	ctx context.Context, g authz.Grant, in *shape.ListGrantsInput,
) (*shape.ListGrantsOutput, error) {
	return grants(a.Keys.ListGrants(ctx, g, *in.KeyId,
		kms.GrantFilter{ID: value(in.GrantId), Grantee: value(in.GranteePrincipal)}, pageOf(in.Marker, in.Limit)))
}

func (a *API) listRetirableGrants(
	ctx context.Context, g authz.Grant, in *shape.ListRetirableGrantsInput,
) (*shape.ListGrantsOutput, error) {
	return grants(a.Keys.ListRetirableGrants(ctx, g, *in.RetiringPrincipal, pageOf(in.Marker, in.Limit)))
}

func grants(all []kms.GrantInfo, next string, err error) (*shape.ListGrantsOutput, error) {
	if err != nil {
		return nil, err
	}
	return &shape.ListGrantsOutput{Grants: each(all, grantEntry), NextMarker: next, Truncated: next != ""}, nil
}

func grantEntry(g *kms.GrantInfo) shape.GrantListEntry {
	e := shape.GrantListEntry{
		KeyId: g.KeyARN.String(), GrantId: g.ID, Name: g.Name, CreationDate: g.Created, GranteePrincipal: g.Grantee,
		RetiringPrincipal: g.Retiring, IssuingAccount: g.Issuer.String(), Operations: g.Operations,
	}
	if g.Equals != nil || g.Subset != nil {
		e.Constraints = &shape.GrantConstraints{
			EncryptionContextEquals: g.Equals, EncryptionContextSubset: g.Subset,
		}
	}
	return e
}

func (a *API) revokeGrant(ctx context.Context, g authz.Grant, in *shape.RevokeGrantInput) (*shape.Empty, error) {
	return nil, a.Keys.RevokeGrant(ctx, g, *in.KeyId, *in.GrantId, value(in.DryRun))
}

func (a *API) retireGrant(ctx context.Context, g authz.Grant, in *shape.RetireGrantInput) (*shape.Empty, error) {
	return nil, a.Keys.RetireGrant(ctx, g, grantName(in), value(in.DryRun))
}
