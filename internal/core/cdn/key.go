package cdn

import (
	"context"

	"watertight/internal/access/arn"
	"watertight/internal/access/authz"
	"watertight/internal/core/distribution"
	"watertight/internal/fault"
)

// AWS defines no resource types for the permissions of public keys and key groups (service
// authorization reference), so they are all for "*".

func publicKeyLinks(c *distribution.PublicKeyConfig) links {
	return links{name: c.Name, reference: c.CallerReference}
}

func publicKeyDraft(c distribution.PublicKeyConfig) (*draft[distribution.PublicKeyConfig], error) {
	if err := c.Complete(); err != nil {
		return nil, err
	}
	return &draft[distribution.PublicKeyConfig]{config: c, links: publicKeyLinks(&c)}, nil
}

// CreatePublicKey stores a public key. It needs cloudfront:CreatePublicKey on every resource.
// Errors: InvalidArgument, PublicKeyAlreadyExists, TooManyPublicKeys.
func (s *Store) CreatePublicKey(
	ctx context.Context, g authz.Grant, in distribution.PublicKeyConfig,
) (out PublicKey, err error) {
	if err := g.Demand("cloudfront:CreatePublicKey", arn.Any()); err != nil {
		return out, err
	}
	d, err := publicKeyDraft(in)
	if err != nil {
		return out, err
	}
	return create(ctx, s, g, publicKeys(), d)
}

// GetPublicKey returns a public key. It needs cloudfront:GetPublicKey on every resource. Error:
// NoSuchPublicKey.
func (s *Store) GetPublicKey(ctx context.Context, g authz.Grant, id string) (out PublicKey, err error) {
	if err := g.Demand("cloudfront:GetPublicKey", arn.Any()); err != nil {
		return out, err
	}
	return get[distribution.PublicKeyConfig](ctx, s, g, publicKeys(), id)
}

// GetPublicKeyConfig is like GetPublicKey, with a permission of its own. It needs
// cloudfront:GetPublicKeyConfig on every resource. Error: NoSuchPublicKey.
func (s *Store) GetPublicKeyConfig(ctx context.Context, g authz.Grant, id string) (out PublicKey, err error) {
	if err := g.Demand("cloudfront:GetPublicKeyConfig", arn.Any()); err != nil {
		return out, err
	}
	return get[distribution.PublicKeyConfig](ctx, s, g, publicKeys(), id)
}

// UpdatePublicKey replaces the comment of a public key. No other member may change. It needs
// cloudfront:UpdatePublicKey on every resource. Errors: NoSuchPublicKey,
// InvalidIfMatchVersion, PreconditionFailed, CannotChangeImmutablePublicKeyFields,
// InvalidArgument.
func (s *Store) UpdatePublicKey(
	ctx context.Context, g authz.Grant, id, ifMatch string, in distribution.PublicKeyConfig,
) (out PublicKey, err error) {
	if err := g.Demand("cloudfront:UpdatePublicKey", arn.Any()); err != nil {
		return out, err
	}
	d, err := publicKeyDraft(in)
	if err != nil {
		return out, err
	}
	return update(ctx, s, g, publicKeys(), id, ifMatch, d, func(old *distribution.PublicKeyConfig) error {
		same := *old
		same.Comment = in.Comment
		if same != in {
			return fault.Of(fault.CannotChangeImmutablePublicKeyFields)
		}
		return nil
	})
}

// DeletePublicKey deletes a public key that is in no key group. It needs
// cloudfront:DeletePublicKey on every resource. Errors: NoSuchPublicKey,
// InvalidIfMatchVersion, PreconditionFailed, PublicKeyInUse.
func (s *Store) DeletePublicKey(ctx context.Context, g authz.Grant, id, ifMatch string) error {
	if err := g.Demand("cloudfront:DeletePublicKey", arn.Any()); err != nil {
		return err
	}
	return remove[distribution.PublicKeyConfig](ctx, s, g, publicKeys(), id, ifMatch)
}

// ListPublicKeys returns a page of the public keys of the caller's account, in the order of
// their ids, and the marker of the next page. It needs cloudfront:ListPublicKeys on every
// resource.
func (s *Store) ListPublicKeys(
	ctx context.Context, g authz.Grant, p Page,
) (all []PublicKey, next string, err error) {
	if err := g.Demand("cloudfront:ListPublicKeys", arn.Any()); err != nil {
		return nil, "", err
	}
	return list[distribution.PublicKeyConfig](ctx, s, g, publicKeys(), p)
}

func keyGroupLinks(c *distribution.KeyGroupConfig) links { return links{name: c.Name, uses: c.Items} }

func keyGroupDraft(c distribution.KeyGroupConfig) (*draft[distribution.KeyGroupConfig], error) {
	if err := c.Complete(); err != nil {
		return nil, err
	}
	return &draft[distribution.KeyGroupConfig]{
		config: c, links: keyGroupLinks(&c),
		check: func(t *transaction) error {
			for _, id := range c.Items {
				_, err := readItem(t, publicKeys(), t.account, id)
				if fault.Is(err, fault.NoSuchPublicKey) {
					return fault.New(fault.InvalidArgument, "There is no public key with the id "+id+".")
				}
				if err != nil {
					return err
				}
			}
			return nil
		},
	}, nil
}

// CreateKeyGroup creates a key group. It needs cloudfront:CreateKeyGroup on every resource.
// Errors: InvalidArgument, KeyGroupAlreadyExists, TooManyKeyGroups,
// TooManyPublicKeysInKeyGroup.
func (s *Store) CreateKeyGroup(
	ctx context.Context, g authz.Grant, in distribution.KeyGroupConfig,
) (out KeyGroup, err error) {
	if err := g.Demand("cloudfront:CreateKeyGroup", arn.Any()); err != nil {
		return out, err
	}
	d, err := keyGroupDraft(in)
	if err != nil {
		return out, err
	}
	return create(ctx, s, g, keyGroups(), d)
}

// GetKeyGroup returns a key group. It needs cloudfront:GetKeyGroup on every resource. Error:
// NoSuchResource.
func (s *Store) GetKeyGroup(ctx context.Context, g authz.Grant, id string) (out KeyGroup, err error) {
	if err := g.Demand("cloudfront:GetKeyGroup", arn.Any()); err != nil {
		return out, err
	}
	return get[distribution.KeyGroupConfig](ctx, s, g, keyGroups(), id)
}

// GetKeyGroupConfig is like GetKeyGroup, with a permission of its own. It needs
// cloudfront:GetKeyGroupConfig on every resource. Error: NoSuchResource.
func (s *Store) GetKeyGroupConfig(ctx context.Context, g authz.Grant, id string) (out KeyGroup, err error) {
	if err := g.Demand("cloudfront:GetKeyGroupConfig", arn.Any()); err != nil {
		return out, err
	}
	return get[distribution.KeyGroupConfig](ctx, s, g, keyGroups(), id)
}

// UpdateKeyGroup replaces a key group. From the next request on, signatures with a key that
// was removed are refused. It needs cloudfront:UpdateKeyGroup on every resource. Errors:
// NoSuchResource, InvalidIfMatchVersion, PreconditionFailed, and those of CreateKeyGroup.
func (s *Store) UpdateKeyGroup(
	ctx context.Context, g authz.Grant, id, ifMatch string, in distribution.KeyGroupConfig,
) (out KeyGroup, err error) {
	if err := g.Demand("cloudfront:UpdateKeyGroup", arn.Any()); err != nil {
		return out, err
	}
	d, err := keyGroupDraft(in)
	if err != nil {
		return out, err
	}
	return update(ctx, s, g, keyGroups(), id, ifMatch, d, nil)
}

// DeleteKeyGroup deletes a key group that no distribution trusts. It needs
// cloudfront:DeleteKeyGroup on every resource. Errors: NoSuchResource, InvalidIfMatchVersion,
// PreconditionFailed, ResourceInUse.
func (s *Store) DeleteKeyGroup(ctx context.Context, g authz.Grant, id, ifMatch string) error {
	if err := g.Demand("cloudfront:DeleteKeyGroup", arn.Any()); err != nil {
		return err
	}
	return remove[distribution.KeyGroupConfig](ctx, s, g, keyGroups(), id, ifMatch)
}

// ListKeyGroups returns a page of the key groups of the caller's account, in the order of their
// ids, and the marker of the next page. It needs cloudfront:ListKeyGroups on every resource.
func (s *Store) ListKeyGroups(ctx context.Context, g authz.Grant, p Page) (all []KeyGroup, next string, err error) {
	if err := g.Demand("cloudfront:ListKeyGroups", arn.Any()); err != nil {
		return nil, "", err
	}
	return list[distribution.KeyGroupConfig](ctx, s, g, keyGroups(), p)
}
