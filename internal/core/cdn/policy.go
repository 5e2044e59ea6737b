package cdn

import (
	"context"
	"maps"
	"slices"
	"strings"

	"watertight/internal/access/arn"
	"watertight/internal/access/authz"
	"watertight/internal/core/change"
	"watertight/internal/core/change/record"
	"watertight/internal/fault"
	"watertight/internal/storage/kv"
)

// managedETag is the ETag of managed policies, which never change.
const managedETag = "E23ZP02F085DFQ"

// getPolicy is like get, and also finds managed policies.
func getPolicy[C any](
	ctx context.Context, s *Store, g authz.Grant, k kind, id string, managed map[string]C,
) (Resource[C], error) {
	if c, ok := managed[id]; ok {
		return managedPolicy(g, k, id, c), nil
	}
	return get[C](ctx, s, g, k, id)
}

func managedPolicy[C any](g authz.Grant, k kind, id string, config C) Resource[C] {
	return Resource[C]{
		ID: id, ARN: arn.CloudFront(g.Caller().Principal().Account, k.name+"/"+id).String(), ETag: managedETag,
		Managed: true, Config: config,
	}
}

// listPolicies is like list, and includes managed policies.
func listPolicies[C any](
	ctx context.Context, s *Store, g authz.Grant, k kind, typ string, p Page, managed map[string]C,
) (out []Resource[C], next string, err error) {
	if typ != "" && typ != "managed" && typ != "custom" {
		return nil, "", fault.New(fault.InvalidArgument, "The type of policies is managed or custom.")
	}
	owner, err := account(g)
	if err != nil {
		return nil, "", err
	}
	return out, next, change.View(ctx, s.store, g, func(r kv.Reader) error {
		var all []string
		if typ != "custom" {
			all = slices.Collect(maps.Keys(managed))
		}
		if typ != "managed" {
			own, err := record.Names(r, ownedKey(k, owner, ""))
			if err != nil {
				return err
			}
			all = append(all, own...)
		}
		slices.SortFunc(all, strings.Compare)
		var ids []string
		ids, next = cut(all, func(id *string) string { return *id }, p)
		for _, id := range ids {
			if c, ok := managed[id]; ok {
				out = append(out, managedPolicy(g, k, id, c))
				continue
			}
			i, c, err := read[C](r, k, owner, id)
			if err != nil {
				return err
			}
			out = append(out, resource(k, i, c))
		}
		return nil
	})
}
