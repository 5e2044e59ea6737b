package cdn

import (
	"context"

	"watertight/internal/access/arn"
	"watertight/internal/access/authz"
	"watertight/internal/core/change"
	"watertight/internal/core/distribution"
	"watertight/internal/core/tag"
	"watertight/internal/fault"
	"watertight/internal/storage/kv"
)

// Distribution is a distribution and its state.
type Distribution struct {
	Resource[distribution.Config]
	DomainName string
	// Deployed says that every edge serves this configuration.
	Deployed bool
	// Invalidating is the number of invalidations that are not complete.
	Invalidating int
	// KeyGroups are the public keys that its behaviours trust.
	KeyGroups []ActiveKeyGroup
}

// Status returns the API's name of the state.
func (d *Distribution) Status() string {
	if d.Deployed {
		return "Deployed"
	}
	return "InProgress"
}

// ActiveKeyGroup is a key group that a distribution trusts, and the ids of its keys.
type ActiveKeyGroup struct {
	ID   string
	Keys []string
}

// ofDistribution is the ARN of a distribution of the grant's account; "*" stands for a new one.
func ofDistribution(g authz.Grant, id string) arn.ARN {
	return arn.CloudFront(g.Caller().Principal().Account, "distribution/"+id)
}

func distributionLinks(c *distribution.Config) links {
	l := links{reference: c.CallerReference, hosts: c.Aliases.Items}
	r := c.References()
	l.uses = append(l.uses, r.OriginAccessControls...)
	l.uses = append(l.uses, unmanaged(r.CachePolicies, distribution.ManagedCachePolicies())...)
	l.uses = append(l.uses, unmanaged(r.OriginRequestPolicies, distribution.ManagedOriginRequestPolicies())...)
	l.uses = append(l.uses, unmanaged(r.ResponseHeadersPolicies, distribution.ManagedResponseHeadersPolicies())...)
	l.uses = append(l.uses, r.KeyGroups...)
	return l
}

// unmanaged returns the ids that are not those of managed policies.
func unmanaged[C any](ids []string, managed map[string]C) (own []string) {
	for _, id := range ids {
		if _, ok := managed[id]; !ok {
			own = append(own, id)
		}
	}
	return own
}

// distributionDraft checks a configuration. Resources that it names are looked up when it is
// stored.
func (s *Store) distributionDraft(c distribution.Config, tags []tag.Tag) (*draft[distribution.Config], error) {
	if err := c.Complete(s.domains); err != nil {
		return nil, err
	}
	return &draft[distribution.Config]{
		config: c, links: distributionLinks(&c), tags: tags,
		check: func(t *transaction) error { return checkReferences(t, &c) },
	}, nil
}

// checkReferences refuses a configuration that names a resource that the account does not
// have.
func checkReferences(t *transaction, c *distribution.Config) error {
	r := c.References()
	for _, of := range []struct {
		k       kind
		ids     []string
		missing fault.Code
	}{
		{accessControls(), r.OriginAccessControls, fault.InvalidOriginAccessControl},
		{cachePolicies(), unmanaged(r.CachePolicies, distribution.ManagedCachePolicies()), fault.NoSuchCachePolicy},
		{
			originRequestPolicies(), unmanaged(r.OriginRequestPolicies, distribution.ManagedOriginRequestPolicies()),
			fault.NoSuchOriginRequestPolicy,
		},
		{
			responseHeadersPolicies(),
			unmanaged(r.ResponseHeadersPolicies, distribution.ManagedResponseHeadersPolicies()),
			fault.NoSuchResponseHeadersPolicy,
		},
		{keyGroups(), r.KeyGroups, fault.TrustedKeyGroupDoesNotExist},
	} {
		for _, id := range of.ids {
			_, err := readItem(t, of.k, t.account, id)
			if fault.Is(err, of.k.missing) {
				return fault.New(of.missing, "There is no "+of.k.name+" with the id "+id+".")
			}
			if err != nil {
				return err
			}
		}
	}
	return nil
}

// CreateDistribution creates a distribution of the caller's account. It needs
// cloudfront:CreateDistribution on distribution/* and, if there are tags,
// cloudfront:TagResource on it, too. Errors: DistributionAlreadyExists if the caller reference
// was used before, CNAMEAlreadyExists, TooManyDistributions, InvalidTagging, the errors of
// distribution.Config.Complete, and those for what the configuration names.
func (s *Store) CreateDistribution(
	ctx context.Context, g authz.Grant, in distribution.Config, tags []tag.Tag,
) (out Distribution, err error) {
	if err := g.Demand("cloudfront:CreateDistribution", ofDistribution(g, "*")); err != nil {
		return out, err
	}
	if len(tags) > 0 {
		if err := g.Demand("cloudfront:TagResource", ofDistribution(g, "*")); err != nil {
			return out, err
		}
	}
	if tags, err = tag.AddCloudFront(nil, tags); err != nil {
		return out, err
	}
	d, err := s.distributionDraft(in, tags)
	if err != nil {
		return out, err
	}
	made, err := create(ctx, s, g, distributions(), d)
	if err != nil {
		return out, err
	}
	return s.described(ctx, g, made.ID)
}

// GetDistribution returns a distribution. It needs cloudfront:GetDistribution on it. Error:
// NoSuchDistribution.
func (s *Store) GetDistribution(ctx context.Context, g authz.Grant, id string) (out Distribution, err error) {
	if err := g.Demand("cloudfront:GetDistribution", ofDistribution(g, id)); err != nil {
		return out, err
	}
	return s.described(ctx, g, id)
}

// GetDistributionConfig is like GetDistribution, with a permission of its own. It needs
// cloudfront:GetDistributionConfig on it. Error: NoSuchDistribution.
func (s *Store) GetDistributionConfig(
	ctx context.Context, g authz.Grant, id string,
) (out Resource[distribution.Config], err error) {
	if err := g.Demand("cloudfront:GetDistributionConfig", ofDistribution(g, id)); err != nil {
		return out, err
	}
	return get[distribution.Config](ctx, s, g, distributions(), id)
}

// UpdateDistribution replaces the whole configuration of a distribution. Members that are left
// out get their defaults. It needs cloudfront:UpdateDistribution on it. Errors:
// NoSuchDistribution, InvalidIfMatchVersion, PreconditionFailed, IllegalUpdate, and those of
// CreateDistribution.
func (s *Store) UpdateDistribution(
	ctx context.Context, g authz.Grant, id, ifMatch string, in distribution.Config,
) (out Distribution, err error) {
	if err := g.Demand("cloudfront:UpdateDistribution", ofDistribution(g, id)); err != nil {
		return out, err
	}
	d, err := s.distributionDraft(in, nil)
	if err != nil {
		return out, err
	}
	_, err = update(ctx, s, g, distributions(), id, ifMatch, d, func(old *distribution.Config) error {
		if old.CallerReference != in.CallerReference {
			return fault.New(fault.IllegalUpdate, "The CallerReference of a distribution can't be changed.")
		}
		return nil
	})
	if err != nil {
		return out, err
	}
	return s.described(ctx, g, id)
}

// DeleteDistribution deletes a distribution that is disabled at every edge. It needs
// cloudfront:DeleteDistribution on it. Errors: NoSuchDistribution, InvalidIfMatchVersion,
// PreconditionFailed, DistributionNotDisabled.
func (s *Store) DeleteDistribution(ctx context.Context, g authz.Grant, id, ifMatch string) error {
	if err := g.Demand("cloudfront:DeleteDistribution", ofDistribution(g, id)); err != nil {
		return err
	}
	return s.commit(ctx, g, func(t *transaction) error {
		i, c, err := read[distribution.Config](t, distributions(), t.account, id)
		if err != nil {
			return err
		}
		if err := matches(i, ifMatch); err != nil {
			return err
		}
		if c.Enabled {
			return fault.Of(fault.DistributionNotDisabled)
		}
		if !s.deployed(t.account, id, i.generation) {
			return fault.New(fault.DistributionNotDisabled,
				"The distribution you are trying to delete is not disabled at every edge yet.")
		}
		if err := dropInvalidations(t, id); err != nil {
			return err
		}
		return drop(t, distributions(), i)
	})
}

// ListDistributions returns a page of the distributions of the caller's account, in the order
// of their ids, and the marker of the next page. It needs cloudfront:ListDistributions on every
// resource.
func (s *Store) ListDistributions(
	ctx context.Context, g authz.Grant, p Page,
) (all []Distribution, next string, err error) {
	if err := g.Demand("cloudfront:ListDistributions", arn.Any()); err != nil {
		return nil, "", err
	}
	owner, err := account(g)
	if err != nil {
		return nil, "", err
	}
	return all, next, change.View(ctx, s.store, g, func(r kv.Reader) error {
		ids, more, err := pageOf(r, distributions(), owner, p)
		if err != nil {
			return err
		}
		next = more
		for _, id := range ids {
			d, err := s.describe(r, owner, id)
			if err != nil {
				return err
			}
			all = append(all, d)
		}
		return nil
	})
}

// described returns a distribution of the grant's account.
func (s *Store) described(ctx context.Context, g authz.Grant, id string) (out Distribution, err error) {
	owner, err := account(g)
	if err != nil {
		return out, err
	}
	return out, change.View(ctx, s.store, g, func(r kv.Reader) error {
		out, err = s.describe(r, owner, id)
		return err
	})
}

func (s *Store) describe(r kv.Reader, account, id string) (Distribution, error) {
	i, c, err := read[distribution.Config](r, distributions(), account, id)
	if err != nil {
		return Distribution{}, err
	}
	d := Distribution{
		Resource: resource(distributions(), i, c), DomainName: i.domainName,
		Deployed: s.deployed(account, id, i.generation),
	}
	for _, id := range c.References().KeyGroups {
		_, group, err := read[distribution.KeyGroupConfig](r, keyGroups(), account, id)
		if err != nil {
			return d, err
		}
		d.KeyGroups = append(d.KeyGroups, ActiveKeyGroup{id, group.Items})
	}
	headers, err := invalidations(r, id)
	for _, h := range headers {
		if !s.deployed(account, id, h.generation) {
			d.Invalidating++
		}
	}
	return d, err
}
