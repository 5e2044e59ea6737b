package kms

import (
	"strings"
	"time"

	"watertight/internal/access/arn"
	"watertight/internal/fault"
	"watertight/internal/storage/kv"
)

// find returns the key that a name means for a caller of an account. If the name is an
// alias, it also returns the alias. A name is a key id, a key ARN, alias/NAME or the ARN of
// an alias (KMS developer guide, "Key identifiers"). Errors: NotFoundException,
// InvalidArnException.
func (s *Store) find(r kv.Reader, account, name string, at time.Time) (k *keyRecord, alias string, err error) {
	if !strings.HasPrefix(name, "arn:") {
		if strings.HasPrefix(name, aliasWord) {
			return s.findAlias(r, account, name, at)
		}
		k, err = s.findID(r, account, s.region, name, at)
		return k, "", err
	}
	a, err := arn.Parse(name)
	if err != nil || a.Service != "kms" || a.Partition != "aws" || !arn.IsAccountID(a.Account) {
		return nil, "", invalidARN(name)
	}
	switch id, isKey := strings.CutPrefix(a.Resource, "key/"); {
	case isKey:
		k, err = s.findID(r, a.Account, a.Region, id, at)
		return k, "", err
	case a.Region != s.region:
		return nil, "", invalidRegion(a.Region)
	case strings.HasPrefix(a.Resource, aliasWord):
		return s.findAlias(r, a.Account, a.Resource, at)
	}
	return nil, "", invalidARN(name)
}

// findOwn is find for operations that accept no alias.
func (s *Store) findOwn(r kv.Reader, account, name string, at time.Time) (*keyRecord, error) {
	_, last, _ := strings.Cut(name, ":key/")
	if strings.HasPrefix(name, aliasWord) || strings.HasPrefix(name, "arn:") && last == "" {
		return nil, invalidKeyID(name)
	}
	k, _, err := s.find(r, account, name, at)
	return k, err
}

// findID returns the key with an id. Keys of other accounts or Regions are not found.
func (s *Store) findID(r kv.Reader, account, region, id string, at time.Time) (*keyRecord, error) {
	if _, ok := parseKeyID(id); !ok {
		if region != s.region {
			return nil, invalidRegion(region)
		}
		return nil, invalidKeyID(id)
	}
	k, err := s.decoded.key(r, id)
	if err != nil {
		return nil, err
	}
	if k != nil && k.account == account && !k.isDestroyed(at) && (k.region == region || s.region == region) {
		return k, nil
	}
	if region != s.region {
		return nil, invalidRegion(region)
	}
	missing := keyRecord{id: id, region: region, account: account}
	return nil, notFound("Key '" + missing.arn().String() + "' does not exist")
}

func (s *Store) findAlias(r kv.Reader, account, name string, at time.Time) (*keyRecord, string, error) {
	a, err := s.decoded.alias(r, account, name)
	if err != nil {
		return nil, "", err
	}
	if a == nil {
		return nil, "", s.noAlias(account, name)
	}
	k, err := s.decoded.key(r, a.target)
	if err != nil {
		return nil, "", err
	}
	if k == nil || k.account != account || k.isDestroyed(at) {
		return nil, "", s.noAlias(account, name)
	}
	return k, name, nil
}

func (s *Store) noAlias(account, name string) error {
	return notFound("Alias " + s.AliasARN(account, name).String() + " is not found.")
}

// AliasARN returns the ARN of an alias, whose name begins with "alias/".
func (s *Store) AliasARN(account, name string) arn.ARN {
	return arn.ARN{Partition: "aws", Service: "kms", Region: s.region, Account: account, Resource: name}
}

func notFound(message string) error { return fault.New(fault.NotFoundException, message) }

func invalidKeyID(name string) error { return notFound("Invalid keyId '" + name + "'") }

// invalidRegion is AWS's error for an ARN of another Region.
func invalidRegion(region string) error { return notFound("Invalid arn " + region) }

func invalidARN(name string) error {
	return fault.New(fault.InvalidArnException, name+" is not a valid ARN.")
}
