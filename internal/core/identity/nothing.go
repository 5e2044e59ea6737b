package identity

import (
	"watertight/internal/access/arn"
	"watertight/internal/access/authz"
	"watertight/internal/access/policy"
	"watertight/internal/storage/kv"
)

// Auditors and tools ask for what AWS has and accounts here never have. They are
// told so, and not that the question is unknown.

// The kinds of things that no account has.
const (
	InstanceProfile   = "instance-profile"
	ServerCertificate = "server-certificate"
	SAMLProvider      = "saml-provider"
)

// NothingARN names something that is not here.
func NothingARN(account, kind, path string) arn.ARN { return arn.IAM(account, kind+path) }

// Nothing finds nothing wrong where action may be done to what no account has.
func (s *Store) Nothing(g authz.Grant, action policy.Action, on arn.ARN) error {
	if _, err := CallerAccount(g); err != nil {
		return err
	}
	return g.Demand(action, on)
}

// NoSuchThing says that there is no such thing, to whoever may do action to it.
// Errors: NoSuchEntity, always.
func (s *Store) NoSuchThing(g authz.Grant, action policy.Action, on arn.ARN, kind, name string) error {
	if err := s.Nothing(g, action, on); err != nil {
		return err
	}
	switch kind {
	case InstanceProfile:
		return noSuch("Instance Profile %s cannot be found.", name)
	case SAMLProvider:
		return noSuch("Manifest not found for arn %s", name)
	}
	return noSuch("The Server Certificate with name %s cannot be found.", name)
}

// unpublished reports whether a name is of AWS's managed policies and of none
// that is here: nothing uses it.
func (s *Store) unpublished(r kv.Reader, account, name string) (bool, error) {
	p, err := s.FindPolicy(r, account, name)
	if err != nil || p != nil {
		return false, err
	}
	a, err := arn.Parse(name)
	return err == nil && a.Partition == "aws" && a.Account == awsAccount, nil
}
