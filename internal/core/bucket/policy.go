package bucket

import (
	"context"
	"crypto/rand"
	"errors"

	"watertight/internal/access/arn"
	"watertight/internal/access/authz"
	"watertight/internal/access/policy"
	"watertight/internal/core/change"
	"watertight/internal/core/change/record"
	"watertight/internal/core/principal"
	"watertight/internal/fault"
	"watertight/internal/limit"
	"watertight/internal/storage/kv"
)

// PolicyID identifies one version of a bucket's policy; zero means no policy.
type PolicyID [8]byte

// storedPolicy is the record of a policy.
type storedPolicy struct {
	text  string
	bound principal.Bindings
}

const (
	fieldText  = 1
	fieldBound = 2 // repeated pair: ARN, unique id
)

func policyKey(id ID) []byte { return append(id.settingsPrefix(), "policy"...) }

func (p *storedPolicy) encode() []byte {
	r := record.String(record.Start(nil), fieldText, p.text)
	for _, b := range p.bound {
		r = record.Pair(r, fieldBound, b.Name, b.ID)
	}
	return r
}

// readPolicy reads a bucket's policy. Error: NoSuchBucketPolicy.
func readPolicy(r kv.Reader, b *Bucket) (storedPolicy, error) {
	var p storedPolicy
	if b.Policy == (PolicyID{}) {
		return p, fault.Of(fault.NoSuchBucketPolicy).With("BucketName", b.Name)
	}
	v, err := r.Get(policyKey(b.ID))
	if err != nil {
		return p, err
	}
	f := record.Read(v)
	for f.Next() {
		switch f.Number {
		case fieldText:
			p.text = string(f.Bytes)
		case fieldBound:
			name, id, ok := f.Pair()
			if !ok {
				return p, malformed(b.Name)
			}
			p.bound = append(p.bound, principal.Binding{Name: name, ID: id})
		default:
			f.Keep(nil) // not kept: a write replaces the whole policy
		}
	}
	if err := f.Err(); err != nil {
		return p, unreadable(b.Name, err)
	}
	if p.text == "" {
		return p, malformed(b.Name)
	}
	return p, nil
}

// compile returns the policy with its principals bound to their unique ids.
func (p *storedPolicy) compile() (*policy.Document, error) {
	d, err := policy.Parse(policy.Resource, []byte(p.text))
	if err != nil {
		return nil, fault.Internal(err)
	}
	return p.bound.Apply(d), nil
}

// maxPolicies bounds the cache of compiled policies, in bytes.
const maxPolicies = 32 << 20

// policies caches compiled policies by PolicyID. The bucket's record has the PolicyID, so a
// new policy applies from the next request on.
type policies struct {
	cache *limit.Cache[PolicyID, *policy.Document]
}

func newPolicies() policies {
	return policies{
		limit.NewCache(maxPolicies, func(_ PolicyID, d *policy.Document) int64 { return limit.Footprint(d) }),
	}
}

func (c *policies) get(r kv.Reader, b *Bucket) (*policy.Document, error) {
	d, ok := c.cache.Get(b.Policy)
	if ok {
		return d, nil
	}
	p, err := readPolicy(r, b)
	if err != nil {
		return nil, err
	}
	if d, err = p.compile(); err != nil {
		return nil, err
	}
	c.cache.Put(b.Policy, d)
	return d, nil
}

// documents returns the policy of a bucket for its laws. A policy that can't be read denies
// everything; the owner's root user can replace or delete it.
func (s *Store) documents(r kv.Reader, b *Bucket) []*policy.Document {
	if b.Policy == (PolicyID{}) {
		return nil
	}
	d, err := s.policies.get(r, b)
	if err != nil {
		d = nil
	}
	return []*policy.Document{d}
}

// checkPolicyCaller refuses callers of other accounts, whatever the policy allows
// them (S3 API reference, PutBucketPolicy).
func checkPolicyCaller(g authz.Grant, b *Bucket, method string) error {
	if g.Caller().Account() == b.Owner {
		return nil
	}
	return fault.Of(fault.MethodNotAllowed).
		With("Method", method).With("ResourceType", "BUCKETPOLICY")
}

// PutPolicy replaces a bucket's policy. It needs s3:PutBucketPolicy and a caller of the
// owner's account. A policy that would not allow the caller to put another one is refused
// unless lockOut is set; no policy locks out the root user. Errors: NoSuchBucket,
// MethodNotAllowed, MalformedPolicy, InvalidRequest, AccessDenied for a public policy while
// BlockPublicPolicy is on.
func (s *Store) PutPolicy(ctx context.Context, g authz.Grant, name, text string, lockOut bool) error {
	if err := g.Demand("s3:PutBucketPolicy", arn.Bucket(name)); err != nil {
		return err
	}
	// Parsing needs nothing that is stored, so it happens before the bucket's guard is taken.
	parsed, parseErr := s.parsePolicy(name, text)
	return s.configure(ctx, g, "s3:PutBucketPolicy", name, func(tx kv.Tx, b *Bucket) error {
		if err := checkPolicyCaller(g, b, "PUT"); err != nil {
			return err
		}
		if parseErr != nil {
			return parseErr
		}
		p, d, err := s.bindPolicy(tx, text, parsed)
		if err != nil {
			return err
		}
		if err := tx.Lock(publicKey(b.Owner), kv.Shared); err != nil {
			return err
		}
		merged, err := Public(tx, b, g.Caller().At())
		if err != nil {
			return err
		}
		if d.IsPublic(s.peers) && merged.BlockPublicPolicy {
			return publicRefused(g, b.Name)
		}
		if !lockOut {
			if err := s.checkLockOut(ctx, g, b, d, merged); err != nil {
				return err
			}
		}
		rand.Read(b.Policy[:])
		b.write(tx)
		tx.Set(policyKey(b.ID), p.encode())
		return nil
	})
}

// bindPolicy binds a parsed policy to the principals that it names, as r sees them. If one
// does not exist, the error is MalformedPolicy.
func (s *Store) bindPolicy(
	r kv.Reader, text string, d *policy.Document,
) (p storedPolicy, _ *policy.Document, err error) {
	p = storedPolicy{text: text}
	p.bound, err = principal.Bind(r, s.principals, d)
	if unknown, ok := errors.AsType[*principal.Unknown](err); ok {
		name := unknown.Entry
		return p, nil, malformedPolicy("Invalid principal in policy").
			With("Detail", `"`+name.Type+`" : "`+name.Value+`"`)
	}
	if err != nil {
		return p, nil, err
	}
	return p, p.bound.Apply(d), nil
}

func publicRefused(g authz.Grant, name string) error {
	return preventedBy(g, "s3:PutBucketPolicy", arn.Bucket(name), "public policies", "BlockPublicPolicy")
}

// preventedBy returns the error that tells a caller of the bucket's account which setting
// refuses the request.
func preventedBy(g authz.Grant, action policy.Action, on arn.ARN, what, setting string) error {
	who := g.Caller().Principal().ARN.String()
	return fault.New(fault.AccessDenied,
		"User: "+who+" is not authorized to perform: "+string(action)+` on resource: "`+on.String()+
			`" because `+what+" are prevented by the "+setting+" setting in S3 Block Public Access.")
}

// checkLockOut refuses a policy that would not allow its writer to put another one.
func (s *Store) checkLockOut(
	ctx context.Context, g authz.Grant, b *Bucket, d *policy.Document, public policy.PublicAccess,
) error {
	laws := authz.ResourceLaws{Owner: b.Owner, Documents: []*policy.Document{d}, Public: public, Peers: s.peers}
	v, err := g.Under(ctx, laws, authz.Need{Action: "s3:PutBucketPolicy", Resource: arn.Bucket(b.Name)})
	if err != nil {
		return err
	}
	if v.Effect != policy.Allow {
		return fault.New(fault.InvalidRequest,
			"The policy would keep you from changing it afterwards. Confirm that with the header "+
				"x-amz-confirm-remove-self-bucket-access: true.")
	}
	return nil
}

// GetPolicy returns a bucket's policy as it was written, but with the current names
// of users and roles; deleted ones are shown by their unique ids. It needs
// s3:GetBucketPolicy and a caller of the owner's account.
// Errors: NoSuchBucket, NoSuchBucketPolicy, MethodNotAllowed.
func (s *Store) GetPolicy(ctx context.Context, g authz.Grant, name string) (text string, err error) {
	err = s.viewPolicy(ctx, g, "s3:GetBucketPolicy", name, func(r kv.Reader, b *Bucket, p *storedPolicy) error {
		if err := checkPolicyCaller(g, b, "GET"); err != nil {
			return err
		}
		text, err = p.bound.Text(r, s.principals, policy.Resource, p.text)
		return err
	})
	return text, err
}

// viewPolicy reads a bucket and its policy for a caller who needs action.
func (s *Store) viewPolicy(
	ctx context.Context, g authz.Grant, action policy.Action, name string,
	do func(kv.Reader, *Bucket, *storedPolicy) error,
) error {
	if err := g.Demand(action, arn.Bucket(name)); err != nil {
		return err
	}
	return s.store.View(ctx, func(r kv.Reader) error {
		b, err := Read(r, name)
		if err != nil {
			return err
		}
		p, err := readPolicy(r, &b)
		if err != nil {
			return err
		}
		return do(r, &b, &p)
	})
}

// PolicyStatus reports whether a bucket's policy is public, even if Block Public Access
// makes it ineffective. It needs s3:GetBucketPolicyStatus. Errors: NoSuchBucket,
// NoSuchBucketPolicy.
func (s *Store) PolicyStatus(ctx context.Context, g authz.Grant, name string) (public bool, err error) {
	err = s.viewPolicy(ctx, g, "s3:GetBucketPolicyStatus", name, func(_ kv.Reader, _ *Bucket, p *storedPolicy) error {
		d, err := p.compile()
		if err == nil {
			public = d.IsPublic(s.peers)
		}
		return err
	})
	return public, err
}

// DeletePolicy removes a bucket's policy, if it has one. It needs
// s3:DeleteBucketPolicy and a caller of the owner's account.
// Errors: NoSuchBucket, MethodNotAllowed.
func (s *Store) DeletePolicy(ctx context.Context, g authz.Grant, name string) error {
	return s.configure(ctx, g, "s3:DeleteBucketPolicy", name, func(tx kv.Tx, b *Bucket) error {
		if err := checkPolicyCaller(g, b, "DELETE"); err != nil {
			return err
		}
		if b.Policy == (PolicyID{}) {
			return change.ErrUnchanged
		}
		b.Policy = PolicyID{}
		b.write(tx)
		tx.Delete(policyKey(b.ID))
		return nil
	})
}
