package kms

import (
	"cmp"
	"context"
	"strings"
	"time"

	"watertight/internal/access/arn"
	"watertight/internal/access/authz"
	"watertight/internal/access/policy"
	"watertight/internal/core/page"
	"watertight/internal/fault"
	"watertight/internal/storage/kv"
)

// GrantFilter selects grants of a key; empty members select all.
type GrantFilter struct {
	ID      string
	Grantee string // ARN
}

// ListGrants returns a page of a key's grants, in the order of their ids, and the marker of
// the next page. It needs kms:ListGrants on the key. Errors: NotFoundException,
// InvalidArnException, InvalidGrantIdException, InvalidMarkerException.
func (s *Store) ListGrants(
	ctx context.Context, g authz.Grant, key string, only GrantFilter, p page.Request,
) (all []GrantInfo, next string, err error) {
	err = s.view(ctx, g, "kms:ListGrants", key, func(r kv.Reader, k *keyRecord, _ time.Time) error {
		prefix := grantsOf(k.id)
		switch {
		case only.ID != "" && !isGrantID(only.ID):
			return fault.New(fault.InvalidGrantIdException, "The grant id is not valid: "+only.ID)
		case only.ID != "":
			g, err := readGrant(r, k.id, only.ID)
			if err != nil || g == nil || only.Grantee != "" && only.Grantee != g.grantee.name {
				return err
			}
			info, err := s.grantInfo(r, k, g)
			all = append(all, info)
			return err
		case only.Grantee != "":
			to, err := s.partyNamed(r, only.Grantee)
			if err != nil {
				return err
			}
			prefix = grantedTo(k.id, to.id)
		}
		ids, more, err := pageOf(r, prefix, p, "grants\x00"+string(prefix))
		if err != nil {
			return err
		}
		next = more
		for _, id := range ids {
			if all, err = s.appendGrant(r, all, k, id); err != nil {
				return err
			}
		}
		return nil
	})
	return all, next, err
}

// ListRetirableGrants returns a page of the grants that a principal of the caller's account
// may retire, for keys of any account, and the marker of the next page. It needs
// kms:ListRetirableGrants on every resource. Errors: InvalidArnException,
// InvalidMarkerException, and AccessDenied for a principal of another account.
func (s *Store) ListRetirableGrants(
	ctx context.Context, g authz.Grant, retiring string, p page.Request,
) (all []GrantInfo, next string, err error) {
	if err := g.Demand("kms:ListRetirableGrants", arn.Any()); err != nil {
		return nil, "", err
	}
	owner, err := account(g)
	if err != nil {
		return nil, "", err
	}
	if a, err := arn.Parse(retiring); err == nil && a.Account != owner {
		return nil, "", fault.Of(fault.AccessDenied)
	}
	at := g.Caller().At()
	err = s.store.View(ctx, func(r kv.Reader) error {
		by, err := s.partyNamed(r, retiring)
		if err != nil {
			return err
		}
		prefix := retirableBy(by.id)
		names, more, err := pageOf(r, prefix, p, "retirable\x00"+string(prefix))
		if err != nil {
			return err
		}
		next = more
		for _, name := range names {
			key, id, _ := strings.Cut(name, "/")
			k, err := readKey(r, key)
			if err != nil {
				return err
			}
			if k == nil || k.isDestroyed(at) {
				continue
			}
			if all, err = s.appendGrant(r, all, k, id); err != nil {
				return err
			}
		}
		return nil
	})
	return all, next, err
}

// appendGrant appends the description of a grant, if the grant exists.
func (s *Store) appendGrant(r kv.Reader, all []GrantInfo, k *keyRecord, id string) ([]GrantInfo, error) {
	g, err := readGrant(r, k.id, id)
	if err != nil || g == nil {
		return all, err
	}
	info, err := s.grantInfo(r, k, g)
	if err != nil {
		return all, err
	}
	return append(all, info), nil
}

// grantInfo returns the description of a grant with the current names of its principals.
func (s *Store) grantInfo(r kv.Reader, k *keyRecord, g *grantRecord) (GrantInfo, error) {
	info := GrantInfo{
		KeyARN: k.arn(), ID: g.id, Name: g.name, Created: g.created, Issuer: arn.Root(g.issuer),
		Operations: g.operations,
	}
	law := g.law()
	info.Equals, info.Subset = law.Equals, law.Subset
	var err error
	if info.Grantee, err = s.nameNow(r, g.grantee); err != nil {
		return info, err
	}
	info.Retiring, err = s.nameNow(r, g.retiring)
	return info, err
}

// nameNow returns the current ARN of a party, or its unique id if it was deleted.
func (s *Store) nameNow(r kv.Reader, p party) (string, error) {
	if p.bound() == "" {
		return p.name, nil
	}
	now, err := s.principals.Name(r, p.id)
	return cmp.Or(now, p.id), err
}

// granted returns the documents of the grants of a key, but at most most of them, for reports.
func granted(r kv.Reader, key string, most int) (laws []policy.KeyGrant, err error) {
	ids, _, err := pageOf(r, grantsOf(key), page.Request{Max: most}, "report")
	if err != nil {
		return nil, err
	}
	for _, id := range ids {
		g, err := readGrant(r, key, id)
		if err != nil {
			return nil, err
		}
		if g != nil {
			laws = append(laws, g.law())
		}
	}
	return laws, nil
}
