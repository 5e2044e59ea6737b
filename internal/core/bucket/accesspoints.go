package bucket

import (
	"watertight/internal/access/arn"
	"watertight/internal/access/authz"
	"watertight/internal/access/policy"
)

// AccessPoints refuses whoever may not list the access points of an account,
// of which there are none. It needs the action of the listing and a caller of
// the account. Error: AccessDenied.
func (s *Store) AccessPoints(g authz.Grant, action policy.Action, account string) error {
	if err := g.Demand(action, arn.Any()); err != nil {
		return err
	}
	return checkOwner(g, account)
}
