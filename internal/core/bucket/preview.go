package bucket

import (
	"context"
	"slices"
	"time"

	"watertight/internal/access/policy"
	"watertight/internal/storage/kv"
)

// mostDecisions bounds the work of a preview to a few seconds.
const mostDecisions = 4_000_000

// Preview is what a policy would change if it was put.
type Preview struct {
	Public  bool // the policy is public
	Refused bool // the policy is public, and BlockPublicPolicy would refuse it
	Changes []policy.Change
	// Deputies are statements of the proposed policy by which any account can make a
	// service get in.
	Deputies []policy.Deputy
	Cut      bool // the comparison is incomplete: it reached a limit
}

// Preview compares a bucket's policy with a proposed one. find returns the subjects to
// compare for, given the bucket's owner and the names in both policies. See
// policy.Comparison for what is compared. Errors: NoSuchBucket, MalformedPolicy.
func (o *Operator) Preview(
	ctx context.Context, name, text string, at time.Time,
	find func(owner string, names []policy.PrincipalName) ([]policy.Subject, bool, error),
) (out Preview, err error) {
	s := o.store
	var c policy.Comparison
	var names []policy.PrincipalName
	parsed, parseErr := s.parsePolicy(name, text)
	err = s.store.View(ctx, func(r kv.Reader) error {
		b, err := Read(r, name)
		if err != nil {
			return err
		}
		if parseErr != nil {
			return parseErr
		}
		_, d, err := s.bindPolicy(r, text, parsed)
		if err != nil {
			return err
		}
		laws, err := s.lawsIn(r, &b, at)
		if err != nil {
			return err
		}
		// A policy that can't be read denies everything, so everything that the proposed
		// one allows is new.
		before := slices.DeleteFunc(slices.Clone(laws.Documents), func(d *policy.Document) bool { return d == nil })
		c.Before = policy.Laws{Resource: before, Public: laws.Public, Peers: s.peers, ResourceOwner: b.Owner}
		c.After = policy.Laws{
			Resource: []*policy.Document{d}, Public: laws.Public, Peers: s.peers, ResourceOwner: b.Owner,
		}
		out.Public, out.Deputies = d.IsPublic(s.peers), d.Deputies()
		out.Refused = out.Public && laws.Public.BlockPublicPolicy
		for _, d := range slices.Concat(c.Before.Resource, c.After.Resource) {
			names = append(names, d.Principals()...)
		}
		return nil
	})
	if err != nil {
		return out, err
	}
	slices.SortFunc(names, func(a, b policy.PrincipalName) int {
		return slices.Compare([]string{a.Type, a.Value}, []string{b.Type, b.Value})
	})
	var cut bool
	if c.Subjects, cut, err = find(c.After.ResourceOwner, slices.Compact(names)); err != nil {
		return out, err
	}
	for _, a := range s.catalogue.Actions {
		if a.Bucket || a.Object {
			c.Probes = append(c.Probes, policy.Probe{Action: policy.Action(a.Name), OnObject: a.Object})
		}
	}
	c.Most = mostDecisions
	out.Changes, out.Cut = c.Compare()
	out.Cut = out.Cut || cut
	return out, nil
}
