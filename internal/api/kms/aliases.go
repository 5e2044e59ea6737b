package kms

import (
	"context"
	"strings"

	"watertight/internal/access/authz"
	"watertight/internal/access/policy"
	"watertight/internal/api/kms/shape"
	"watertight/internal/core/kms"
	"watertight/internal/fault"
	"watertight/internal/gateway/dispatch"
)

func (a *API) aliasRows() []dispatch.Row {
	return []dispatch.Row{
		define("CreateAlias", a.mayCreateAlias, a.createAlias),
		define("UpdateAlias", a.mayUpdateAlias, a.updateAlias),
		define("DeleteAlias", a.mayDeleteAlias, a.deleteAlias),
		define("ListAliases", onAny("kms:ListAliases", none[shape.ListAliasesInput]), a.listAliases),
	}
}

// aliasNeed is the need for an action on an alias of the caller's account.
func (a *API) aliasNeed(c authz.Caller, action policy.Action, alias string) (authz.Need, error) {
	if !strings.HasPrefix(alias, "alias/") {
		return authz.Need{}, fault.New(fault.ValidationException, `Alias must start with the prefix "alias/". Please `+
			`see https://docs.aws.amazon.com/kms/latest/developerguide/kms-alias.html`)
	}
	return authz.Need{Action: action, Resource: a.Keys.AliasARN(c.Principal().Account, alias), New: true}, nil
}

// mayNameKeys needs an action on an alias and on keys, which must be in the same account.
func (a *API) mayNameKeys(
	ctx context.Context, c authz.Caller, action policy.Action, alias string, names ...string,
) ([]authz.Need, error) {
	n, err := a.aliasNeed(c, action, alias)
	needs := []authz.Need{n}
	for _, name := range names {
		if err == nil {
			n, err = a.keyNeed(ctx, c, action, name, nil)
			needs = append(needs, n)
		}
	}
	return needs, err
}

func (a *API) mayCreateAlias(ctx context.Context, c authz.Caller, in *shape.AliasTargetInput) ([]authz.Need, error) {
	return a.mayNameKeys(ctx, c, "kms:CreateAlias", *in.AliasName, *in.TargetKeyId)
}

// mayUpdateAlias needs the action on the alias, on its present key and on the new key.
func (a *API) mayUpdateAlias(ctx context.Context, c authz.Caller, in *shape.AliasTargetInput) ([]authz.Need, error) {
	return a.mayNameKeys(ctx, c, "kms:UpdateAlias", *in.AliasName, *in.AliasName, *in.TargetKeyId)
}

func (a *API) mayDeleteAlias(ctx context.Context, c authz.Caller, in *shape.AliasInput) ([]authz.Need, error) {
	return a.mayNameKeys(ctx, c, "kms:DeleteAlias", *in.AliasName, *in.AliasName)
}

func (a *API) createAlias(ctx context.Context, g authz.Grant, in *shape.AliasTargetInput) (*shape.Empty, error) {
	return nil, a.Keys.CreateAlias(ctx, g, *in.AliasName, *in.TargetKeyId)
}

func (a *API) updateAlias(ctx context.Context, g authz.Grant, in *shape.AliasTargetInput) (*shape.Empty, error) {
	return nil, a.Keys.UpdateAlias(ctx, g, *in.AliasName, *in.TargetKeyId)
}

func (a *API) deleteAlias(ctx context.Context, g authz.Grant, in *shape.AliasInput) (*shape.Empty, error) {
	return nil, a.Keys.DeleteAlias(ctx, g, *in.AliasName)
}

func (a *API) listAliases(
	ctx context.Context, g authz.Grant, in *shape.ListAliasesInput,
) (*shape.ListAliasesOutput, error) {
	all, next, err := a.Keys.ListAliases(ctx, g, value(in.KeyId), pageOf(in.Marker, in.Limit))
	if err != nil {
		return nil, err
	}
	return &shape.ListAliasesOutput{
		Aliases: each(all, func(l *kms.Alias) shape.AliasListEntry {
			return shape.AliasListEntry{
				AliasName: l.Name, AliasArn: l.ARN.String(), TargetKeyId: l.KeyID, CreationDate: l.Created,
				LastUpdatedDate: l.Updated,
			}
		}),
		NextMarker: next, Truncated: next != "",
	}, nil
}
