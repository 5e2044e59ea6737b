package distribution

import "slices"

// References are the ids that a configuration names, sorted and without duplicates.
type References struct {
	OriginAccessControls    []string
	CachePolicies           []string
	OriginRequestPolicies   []string
	ResponseHeadersPolicies []string
	KeyGroups               []string
}

// References returns the ids of all that the configuration names.
func (c *Config) References() (r References) {
	for _, o := range c.Origins.Items {
		add(&r.OriginAccessControls, o.OriginAccessControlId)
	}
	for _, b := range c.behaviors() {
		add(&r.CachePolicies, b.CachePolicyId)
		add(&r.OriginRequestPolicies, b.OriginRequestPolicyId)
		add(&r.ResponseHeadersPolicies, b.ResponseHeadersPolicyId)
		for _, id := range b.TrustedKeyGroups.Items {
			add(&r.KeyGroups, id)
		}
	}
	return r
}

// behaviors returns all cache behaviours, the default one first.
func (c *Config) behaviors() []*CacheBehavior {
	all := []*CacheBehavior{&c.DefaultCacheBehavior}
	for i := range c.CacheBehaviors.Items {
		all = append(all, &c.CacheBehaviors.Items[i])
	}
	return all
}

func add(ids *[]string, id string) {
	if i, found := slices.BinarySearch(*ids, id); id != "" && !found {
		*ids = slices.Insert(*ids, i, id)
	}
}
