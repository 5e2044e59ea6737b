package bucket

import (
	"watertight/internal/access/arn"
	"watertight/internal/access/authz"
)

// ListAccessPoints finds none: no account has access points. It needs
// s3:ListAccessPoints and a caller of the account. Errors: AccessDenied.
func (s *Store) ListAccessPoints(g authz.Grant, account string) error {
	if err := g.Demand("s3:ListAccessPoints", arn.Any()); err != nil {
		return err
	}
	return checkOwner(g, account)
}

// ListMultiRegionAccessPoints finds none. It needs s3:ListMultiRegionAccessPoints
// and a caller of the account. Errors: AccessDenied.
func (s *Store) ListMultiRegionAccessPoints(g authz.Grant, account string) error {
	if err := g.Demand("s3:ListMultiRegionAccessPoints", arn.Any()); err != nil {
		return err
	}
	return checkOwner(g, account)
}
