package cdn

import (
	"context"

	"watertight/internal/access/arn"
	"watertight/internal/access/authz"
	"watertight/internal/core/distribution"
)

func ofAccessControl(g authz.Grant, id string) arn.ARN {
	return arn.CloudFront(g.Caller().Principal().Account, "origin-access-control/"+id)
}

func accessControlLinks(c *distribution.OriginAccessControlConfig) links { return links{name: c.Name} }

func accessControlDraft(
	c distribution.OriginAccessControlConfig,
) (*draft[distribution.OriginAccessControlConfig], error) {
	if err := c.Complete(); err != nil {
		return nil, err
	}
	return &draft[distribution.OriginAccessControlConfig]{config: c, links: accessControlLinks(&c)}, nil
}

// CreateOriginAccessControl creates an origin access control. It needs
// cloudfront:CreateOriginAccessControl on origin-access-control/*. Errors: InvalidArgument,
// OriginAccessControlAlreadyExists, TooManyOriginAccessControls.
func (s *Store) CreateOriginAccessControl(
	ctx context.Context, g authz.Grant, in distribution.OriginAccessControlConfig,
) (out OriginAccessControl, err error) {
	if err := g.Demand("cloudfront:CreateOriginAccessControl", ofAccessControl(g, "*")); err != nil {
		return out, err
	}
	d, err := accessControlDraft(in)
	if err != nil {
		return out, err
	}
	return create(ctx, s, g, accessControls(), d)
}

// GetOriginAccessControl returns an origin access control. It needs
// cloudfront:GetOriginAccessControl on it. Error: NoSuchOriginAccessControl.
func (s *Store) GetOriginAccessControl(
	ctx context.Context, g authz.Grant, id string,
) (out OriginAccessControl, err error) {
	if err := g.Demand("cloudfront:GetOriginAccessControl", ofAccessControl(g, id)); err != nil {
		return out, err
	}
	return get[distribution.OriginAccessControlConfig](ctx, s, g, accessControls(), id)
}

// GetOriginAccessControlConfig is like GetOriginAccessControl, with a permission of its own.
// It needs cloudfront:GetOriginAccessControlConfig on it. Error: NoSuchOriginAccessControl.
func (s *Store) GetOriginAccessControlConfig(
	ctx context.Context, g authz.Grant, id string,
) (out OriginAccessControl, err error) {
	if err := g.Demand("cloudfront:GetOriginAccessControlConfig", ofAccessControl(g, id)); err != nil {
		return out, err
	}
	return get[distribution.OriginAccessControlConfig](ctx, s, g, accessControls(), id)
}

// UpdateOriginAccessControl replaces an origin access control. It needs
// cloudfront:UpdateOriginAccessControl on it. Errors: NoSuchOriginAccessControl,
// InvalidIfMatchVersion, PreconditionFailed, and those of CreateOriginAccessControl.
func (s *Store) UpdateOriginAccessControl(
	ctx context.Context, g authz.Grant, id, ifMatch string, in distribution.OriginAccessControlConfig,
) (out OriginAccessControl, err error) {
	if err := g.Demand("cloudfront:UpdateOriginAccessControl", ofAccessControl(g, id)); err != nil {
		return out, err
	}
	d, err := accessControlDraft(in)
	if err != nil {
		return out, err
	}
	return update(ctx, s, g, accessControls(), id, ifMatch, d, nil)
}

// DeleteOriginAccessControl deletes an origin access control that no distribution names. It
// needs cloudfront:DeleteOriginAccessControl on it. Errors: NoSuchOriginAccessControl,
// InvalidIfMatchVersion, PreconditionFailed, OriginAccessControlInUse.
func (s *Store) DeleteOriginAccessControl(ctx context.Context, g authz.Grant, id, ifMatch string) error {
	if err := g.Demand("cloudfront:DeleteOriginAccessControl", ofAccessControl(g, id)); err != nil {
		return err
	}
	return remove[distribution.OriginAccessControlConfig](ctx, s, g, accessControls(), id, ifMatch)
}

// ListOriginAccessControls returns a page of the origin access controls of the caller's
// account, in the order of their ids, and the marker of the next page. It needs
// cloudfront:ListOriginAccessControls on every resource.
func (s *Store) ListOriginAccessControls(
	ctx context.Context, g authz.Grant, p Page,
) (all []OriginAccessControl, next string, err error) {
	if err := g.Demand("cloudfront:ListOriginAccessControls", arn.Any()); err != nil {
		return nil, "", err
	}
	return list[distribution.OriginAccessControlConfig](ctx, s, g, accessControls(), p)
}
