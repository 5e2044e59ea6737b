// Package distribution defines CloudFront's documents: configurations of distributions, origin
// access controls, policies and keys, with their rules and defaults, and the Site that an edge
// serves from. It exists so that the store, the API and every edge use one set of structs and
// one set of rules. It must never know where a document is stored, who sent it, or what time
// it is.
//
// The members have AWS's names and their order. A list is a Quantity and its Items, as on the
// wire. Source of the shapes: the CloudFront API reference, version 2020-05-31. The tags say
// how the members are written: in XML as AWS does, in JSON without those that are zero, so that
// a reader that does not know a member can read every document that does not use it.
package distribution

// ARN returns the ARN of a resource of CloudFront: of kind "distribution",
// "origin-access-control" and so on.
func ARN(account, kind, id string) string {
	return "arn:aws:cloudfront::" + account + ":" + kind + "/" + id
}

// Site is everything that an edge needs to serve one enabled distribution. Remote edges get it
// as JSON. The maps hold what the behaviours and origins of Config name, including managed
// policies.
type Site struct {
	ID         string
	Account    string
	DomainName string // such as d111111abcdef8.cloudfront.net
	Config     Config

	CachePolicies           map[string]CachePolicyConfig
	OriginRequestPolicies   map[string]OriginRequestPolicyConfig
	ResponseHeadersPolicies map[string]ResponseHeadersPolicyConfig
	OriginAccessControls    map[string]OriginAccessControlConfig
	KeyGroups               map[string][]Key

	Changed uint64 // the generation of its last change
}

// Key is a public key that viewers' signatures may be made with.
type Key struct {
	ID  string
	PEM string // SubjectPublicKeyInfo: RSA with 2048 bits, or ECDSA on P-256
}

// Snapshot is all that an edge serves, at one moment.
type Snapshot struct {
	// Generation rises with every change of a distribution, policy, key, origin access
	// control or invalidation.
	Generation uint64
	// Sites are those of enabled distributions.
	Sites []Site
	// Unreadable are the ids of distributions whose records this program can't read, for
	// example because a later version wrote them. They are not served.
	Unreadable []string
	// Invalidations are the newest invalidations, oldest first.
	Invalidations []Invalidation
	// Oldest says that invalidations with a smaller number are no longer listed. An edge that
	// has not applied the invalidation before Oldest drops everything that it cached.
	Oldest uint64
}

// Invalidation removes paths from the caches of a distribution. Numbers rise over the whole
// store.
type Invalidation struct {
	Number       uint64
	Distribution string
	ID           string
	Paths        []string // begin with a slash; a * at the end stands for any characters
}

// ARN returns the distribution's ARN, which is the aws:SourceArn of its origin requests.
func (s *Site) ARN() string { return ARN(s.Account, "distribution", s.ID) }

// Behavior returns the first cache behaviour whose pattern matches, else the default one. path
// is what the viewer's request names: normalized, without escapes and query, beginning with a
// slash.
func (s *Site) Behavior(path string) *CacheBehavior {
	for i := range s.Config.CacheBehaviors.Items {
		if b := &s.Config.CacheBehaviors.Items[i]; Matches(b.PathPattern, path) {
			return b
		}
	}
	return &s.Config.DefaultCacheBehavior
}

// Origin returns the origin with an id, or nil.
func (s *Site) Origin(id string) *Origin { return s.Config.origin(id) }

func (c *Config) origin(id string) *Origin {
	for i := range c.Origins.Items {
		if o := &c.Origins.Items[i]; o.Id == id {
			return o
		}
	}
	return nil
}
