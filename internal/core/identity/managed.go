package identity

import (
	"context"
	"slices"
	"strconv"
	"strings"
	"time"

	"watertight/internal/access/arn"
	"watertight/internal/access/authz"
	"watertight/internal/access/policy"
	"watertight/internal/core/change/record"
	"watertight/internal/core/page"
	"watertight/internal/core/tag"
	"watertight/internal/fault"
	"watertight/internal/storage/kv"
)

// ManagedPolicy is a policy that can be attached to several entities.
type ManagedPolicy struct {
	Account          string // "aws" for AWS's managed policies
	ID               string // ANPA...
	Name, Path       string
	Description      string
	Created, Updated time.Time
	Default          int // number of the default version
	Newest           int // highest number that was ever assigned
	Versions         []PolicyVersion
	Tags             []tag.Tag

	Attached, Bounding int // how many entities use it; set only by reads that show it
}

// PolicyVersion is a version of a managed policy.
type PolicyVersion struct {
	Number   int
	Created  time.Time
	Document string
}

// Name returns the version's id, for example "v1".
func (v *PolicyVersion) Name() string { return "v" + strconv.Itoa(v.Number) }

// ARN returns the policy's ARN.
func (p *ManagedPolicy) ARN() arn.ARN { return PolicyARN(p.Account, p.Path, p.Name) }

// PolicyARN returns the ARN of a managed policy.
func PolicyARN(account, path, name string) arn.ARN { return arn.IAM(account, "policy"+path+name) }

// InForce returns the default version.
func (p *ManagedPolicy) InForce() *PolicyVersion { return p.version(p.Default) }

func (p *ManagedPolicy) version(n int) *PolicyVersion {
	for i := range p.Versions {
		if p.Versions[i].Number == n {
			return &p.Versions[i]
		}
	}
	return nil
}

// find returns the version with an id such as "v1".
func (p *ManagedPolicy) find(id string) (*PolicyVersion, error) {
	for i := range p.Versions {
		if p.Versions[i].Name() == id {
			return &p.Versions[i], nil
		}
	}
	return nil, noSuch("Policy %s version %s does not exist or is not attachable.", p.ARN(), id)
}

const (
	policyPrefix = "i/p/"
	policyLetter = "p"
	awsAccount   = "aws"
)

func policyKey(id string) []byte { return record.Key(policyPrefix, id) }

// How an entity uses a managed policy.
const (
	attached = "p"
	bounding = "b"
)

func useKey(account, how, policyID, entityID string) []byte {
	return record.Key(usePrefix, account, "/", how, "/", policyID, "/", entityID)
}

func noSuchPolicy(name string) error { return noSuch("Policy %s was not found.", name) }

// readPolicy returns the policy with an id, or nil if there is none.
func readPolicy(r kv.Reader, id string) (*ManagedPolicy, error) {
	v, err := r.Get(policyKey(id))
	if err != nil || v == nil {
		return nil, err
	}
	return decodePolicy(id, v)
}

// FindPolicy returns the policy with an ARN, which is one of the account's or one of AWS's.
// It returns nil if there is none.
func (s *Store) FindPolicy(r kv.Reader, account, name string) (*ManagedPolicy, error) {
	if p := s.published[name]; p != nil {
		c := *p
		return &c, nil
	}
	a, err := arn.Parse(name)
	if err != nil || a.Service != "iam" || a.Account != account || !strings.HasPrefix(a.Resource, "policy/") {
		return nil, nil
	}
	last := a.Resource[strings.LastIndexByte(a.Resource, '/')+1:]
	if CheckName(last) != nil {
		return nil, nil
	}
	id, err := r.Get(nameKey(account, policyLetter, last))
	if err != nil || id == nil {
		return nil, err
	}
	p, err := readPolicy(r, string(id))
	if err != nil || p == nil || p.ARN() != a {
		return nil, err
	}
	return p, nil
}

// policyTarget returns the ARN on which an operation on a managed policy is demanded.
func policyTarget(name string) (arn.ARN, error) {
	a, err := arn.Parse(name)
	if err != nil || a == arn.Any() {
		return arn.ARN{}, validation("ARN %s is not valid.", name)
	}
	if a.Service != "iam" || !strings.HasPrefix(a.Resource, "policy/") {
		return arn.ARN{}, invalidInput("ARN %s is not valid.", name)
	}
	return a, nil
}

// demandPolicy demands action on a managed policy and returns the policy.
func (s *Store) demandPolicy(
	r kv.Reader, g authz.Grant, account string, action policy.Action, name string,
) (*ManagedPolicy, error) {
	a, err := policyTarget(name)
	if err != nil {
		return nil, err
	}
	if err := g.Demand(action, a); err != nil {
		return nil, err
	}
	p, err := s.FindPolicy(r, account, name)
	if err == nil && p == nil {
		err = noSuchPolicy(name)
	}
	return p, err
}

// modifyPolicy changes one of the account's own policies.
func (s *Store) modifyPolicy(
	ctx context.Context, g authz.Grant, action policy.Action, name string, fn func(tx kv.Tx, p *ManagedPolicy) error,
) error {
	return Commit(ctx, s.store, g, func(tx kv.Tx, account string) error {
		p, err := s.demandPolicy(tx, g, account, action, name)
		if err != nil {
			return err
		}
		if p.Account != account {
			return fault.Of(fault.AccessDenied)
		}
		if err := fn(tx, p); err != nil {
			return err
		}
		p.Updated = Instant(g)
		tx.Set(policyKey(p.ID), p.encode())
		return nil
	})
}

// CreatePolicy makes a managed policy with a first version. It needs
// iam:CreatePolicy.
// Errors: EntityAlreadyExists, LimitExceeded, MalformedPolicyDocument.
func (s *Store) CreatePolicy(
	ctx context.Context, g authz.Grant, in CreateInput, document string,
) (*ManagedPolicy, error) {
	account, err := CallerAccount(g)
	if err != nil {
		return nil, err
	}
	path := in.Path
	if path == "" {
		path = "/"
	}
	if err := g.Demand("iam:CreatePolicy", PolicyARN(account, path, in.Name)); err != nil {
		return nil, err
	}
	for _, check := range []func() error{
		func() error { return CheckName(in.Name) },
		func() error { _, err := CheckPath(path); return err },
		func() error { return tag.CheckIAM(in.Tags) },
		func() error { return checkManaged(document) },
	} {
		if err := check(); err != nil {
			return nil, err
		}
	}
	at := Instant(g)
	p := &ManagedPolicy{
		Account: account, ID: newUniqueID("ANPA"), Name: in.Name, Path: path, Description: in.Description, Created: at,
		Updated: at,
		Default: 1, Newest: 1, Versions: []PolicyVersion{{1, at, document}}, Tags: in.Tags,
	}
	return p, Commit(ctx, s.store, g, func(tx kv.Tx, account string) error {
		key := nameKey(account, policyLetter, p.Name)
		taken, err := tx.Get(key)
		if err != nil {
			return err
		}
		if taken != nil {
			return alreadyExists("A policy called %s already exists. Duplicate names are not allowed.", p.Name)
		}
		n, err := record.Count(tx, namesKey(account, policyLetter))
		if err != nil {
			return err
		}
		if n >= maxPolicies {
			return LimitExceeded("CustomerManagedPoliciesPerAccount", maxPolicies)
		}
		tx.Set(key, []byte(p.ID))
		tx.Set(policyKey(p.ID), p.encode())
		return nil
	})
}

// GetPolicy returns a managed policy. It needs iam:GetPolicy.
// Errors: NoSuchEntity, InvalidInput.
func (s *Store) GetPolicy(ctx context.Context, g authz.Grant, name string) (*ManagedPolicy, error) {
	return s.inspectPolicy(ctx, g, "iam:GetPolicy", name)
}

// inspectPolicy demands action on a managed policy and reads the policy.
func (s *Store) inspectPolicy(
	ctx context.Context, g authz.Grant, action policy.Action, name string,
) (p *ManagedPolicy, err error) {
	err = View(ctx, s.store, g, func(r kv.Reader, account string) error {
		if p, err = s.demandPolicy(r, g, account, action, name); err != nil {
			return err
		}
		return p.count(r, account)
	})
	return p, err
}

// GetPolicyVersion returns a version of a managed policy and whether it is the
// default. It needs iam:GetPolicyVersion. Errors: NoSuchEntity, InvalidInput.
func (s *Store) GetPolicyVersion(
	ctx context.Context, g authz.Grant, name, version string,
) (v *PolicyVersion, inForce bool, err error) {
	p, err := s.inspectPolicy(ctx, g, "iam:GetPolicyVersion", name)
	if err != nil {
		return nil, false, err
	}
	v, err = p.find(version)
	return v, err == nil && v.Number == p.Default, err
}

// VersionPage is a page of a policy's versions.
type VersionPage struct {
	Policy   *ManagedPolicy
	Versions []PolicyVersion // newest first
	Next     string          // marker of the next page
}

// PolicyVersions returns a page of a policy's versions. It needs
// iam:ListPolicyVersions. Errors: NoSuchEntity, InvalidInput.
func (s *Store) PolicyVersions(
	ctx context.Context, g authz.Grant, name string, in page.Request,
) (out VersionPage, err error) {
	p, err := s.inspectPolicy(ctx, g, "iam:ListPolicyVersions", name)
	if err != nil {
		return out, err
	}
	out.Policy = p
	all := slices.Clone(p.Versions)
	slices.Reverse(all)
	out.Versions, out.Next, err = page.Cut(all, func(v *PolicyVersion) string {
		return string(record.Big(nil, ^uint64(v.Number)))
	}, in, "versions\x00"+p.ID)
	return out, err
}

// PolicyTags returns a page of a policy's tags. It needs iam:ListPolicyTags.
// Errors: NoSuchEntity, InvalidInput.
func (s *Store) PolicyTags(
	ctx context.Context, g authz.Grant, name string, in page.Request,
) ([]tag.Tag, string, error) {
	p, err := s.inspectPolicy(ctx, g, "iam:ListPolicyTags", name)
	if err != nil {
		return nil, "", err
	}
	return tag.Page(p.Tags, in, p.ID)
}

// CreatePolicyVersion adds a version, which may become the default immediately. It needs
// iam:CreatePolicyVersion. Errors: NoSuchEntity, MalformedPolicyDocument, LimitExceeded.
func (s *Store) CreatePolicyVersion(
	ctx context.Context, g authz.Grant, name, document string, inForce bool,
) (v *PolicyVersion, err error) {
	err = s.modifyPolicy(ctx, g, "iam:CreatePolicyVersion", name, func(_ kv.Tx, p *ManagedPolicy) error {
		if err := checkManaged(document); err != nil {
			return err
		}
		if len(p.Versions) >= maxVersions {
			return fault.New(fault.LimitExceeded,
				"A managed policy can have up to 5 versions. Before you create a new version, you must delete an "+
					"existing version.")
		}
		p.Newest++
		v = &PolicyVersion{p.Newest, Instant(g), document}
		p.Versions = append(p.Versions, *v)
		if inForce {
			p.Default = v.Number
		}
		return nil
	})
	return v, err
}

// SetDefaultVersion makes a version the default. It needs iam:SetDefaultPolicyVersion.
// Errors: NoSuchEntity.
func (s *Store) SetDefaultVersion(ctx context.Context, g authz.Grant, name, version string) error {
	return s.modifyPolicy(ctx, g, "iam:SetDefaultPolicyVersion", name, func(_ kv.Tx, p *ManagedPolicy) error {
		v, err := p.find(version)
		if err != nil {
			return err
		}
		p.Default = v.Number
		return nil
	})
}

// DeletePolicyVersion removes a version that is not the default. It needs
// iam:DeletePolicyVersion. Errors: NoSuchEntity, DeleteConflict.
func (s *Store) DeletePolicyVersion(ctx context.Context, g authz.Grant, name, version string) error {
	return s.modifyPolicy(ctx, g, "iam:DeletePolicyVersion", name, func(_ kv.Tx, p *ManagedPolicy) error {
		v, err := p.find(version)
		if err != nil {
			return err
		}
		if v.Number == p.Default {
			return deleteConflict("Cannot delete the default version of a policy.")
		}
		p.Versions = slices.DeleteFunc(p.Versions, func(w PolicyVersion) bool { return w.Number == v.Number })
		return nil
	})
}

// DeletePolicy removes a policy that is not used and has only its default version. It needs
// iam:DeletePolicy. Errors: NoSuchEntity, DeleteConflict.
func (s *Store) DeletePolicy(ctx context.Context, g authz.Grant, name string) error {
	return Commit(ctx, s.store, g, func(tx kv.Tx, account string) error {
		p, err := s.demandPolicy(tx, g, account, "iam:DeletePolicy", name)
		if err != nil {
			return err
		}
		if p.Account != account {
			return fault.Of(fault.AccessDenied)
		}
		if err := p.count(tx, account); err != nil {
			return err
		}
		if p.Attached+p.Bounding > 0 {
			return deleteConflict("Cannot delete a policy attached to entities.")
		}
		if len(p.Versions) > 1 {
			return deleteConflict("This policy has more than one version. Before you delete a policy, you must " +
				"delete the policy's versions. The default version is deleted with the policy.")
		}
		tx.Delete(policyKey(p.ID))
		tx.Delete(nameKey(account, policyLetter, p.Name))
		return nil
	})
}

// TagPolicy adds tags to a managed policy. It needs iam:TagPolicy.
// Errors: NoSuchEntity, LimitExceeded, InvalidInput.
func (s *Store) TagPolicy(ctx context.Context, g authz.Grant, name string, tags []tag.Tag) error {
	return s.modifyPolicy(ctx, g, "iam:TagPolicy", name, func(_ kv.Tx, p *ManagedPolicy) (err error) {
		p.Tags, err = tag.IAM{}.Add(p.Tags, tags)
		return err
	})
}

// UntagPolicy removes tags from a managed policy. It needs iam:UntagPolicy.
// Errors: NoSuchEntity.
func (s *Store) UntagPolicy(ctx context.Context, g authz.Grant, name string, keys []string) error {
	return s.modifyPolicy(ctx, g, "iam:UntagPolicy", name, func(_ kv.Tx, p *ManagedPolicy) error {
		p.Tags = tag.IAM{}.Remove(p.Tags, keys)
		return nil
	})
}

// count sets how many of the account's entities use the policy.
func (p *ManagedPolicy) count(r kv.Reader, account string) (err error) {
	if p.Attached, err = record.Count(r, useKey(account, attached, p.ID, "")); err != nil {
		return err
	}
	p.Bounding, err = record.Count(r, useKey(account, bounding, p.ID, ""))
	return err
}
