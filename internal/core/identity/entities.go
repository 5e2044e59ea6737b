package identity

import (
	"context"
	"slices"
	"strings"
	"time"

	"watertight/internal/access/arn"
	"watertight/internal/access/authz"
	"watertight/internal/access/policy"
	"watertight/internal/core/change/record"
	"watertight/internal/core/page"
	"watertight/internal/core/tag"
	"watertight/internal/storage/kv"
)

// CreateInput has the properties of a new entity. Trust, Description and MaxSession are
// only for roles; an empty Path means "/", a zero MaxSession one hour.
type CreateInput struct {
	Name, Path, Boundary string
	Tags                 []tag.Tag
	Trust, Description   string
	MaxSession           time.Duration
}

// Create makes a user, group or role. It needs iam:CreateUser, iam:CreateGroup
// or iam:CreateRole.
// Errors: EntityAlreadyExists, LimitExceeded, NoSuchEntity (the boundary),
// MalformedPolicyDocument (the trust policy), ValidationError, InvalidInput.
func (s *Store) Create(ctx context.Context, g authz.Grant, k EntityKind, in CreateInput) (*Entity, error) {
	account, err := CallerAccount(g)
	if err != nil {
		return nil, err
	}
	path := in.Path
	if path == "" {
		path = "/"
	}
	if err := g.Demand(policy.Action("iam:Create"+k.String()), EntityARN(account, k, path, in.Name)); err != nil {
		return nil, err
	}
	e := &Entity{
		Kind: k, Account: account, ID: newUniqueID(k.IDPrefix()), Name: in.Name, Path: path, Created: Instant(g),
		Tags: in.Tags, Trust: in.Trust, Description: in.Description, MaxSession: in.MaxSession,
	}
	if err := s.checkNew(e); err != nil {
		return nil, err
	}
	return e, Commit(ctx, s.store, g, func(tx kv.Tx, account string) error {
		e.Boundary = "" // an earlier run of this transaction may have set it
		if err := claimName(tx, e); err != nil {
			return err
		}
		if err := s.setBoundary(tx, e, in.Boundary); err != nil {
			return err
		}
		if err := e.bindTrust(tx); err != nil {
			return err
		}
		tx.Set(entityKey(e.ID), e.encode())
		return nil
	})
}

func (s *Store) checkNew(e *Entity) error {
	if err := CheckName(e.Name); err != nil {
		return err
	}
	if _, err := CheckPath(e.Path); err != nil {
		return err
	}
	if err := tag.CheckIAM(e.Tags); err != nil {
		return err
	}
	if e.Kind != Role {
		return nil
	}
	if e.MaxSession == 0 {
		e.MaxSession = defaultRoleSession
	}
	if err := checkMaxSession(e.MaxSession); err != nil {
		return err
	}
	return checkTrust(e.Trust)
}

func checkMaxSession(d time.Duration) error {
	if d < shortestRoleSession || d > longestRoleSession {
		return validation("The requested MaxSessionDuration must be between 3600 and 43200 seconds.")
	}
	return nil
}

// claimName reserves an entity's name, if the quota allows another entity.
func claimName(tx kv.Tx, e *Entity) error {
	taken, err := tx.Get(nameKey(e.Account, e.Kind.letter(), e.Name))
	if err != nil {
		return err
	}
	if taken != nil {
		return alreadyExists("%s with name %s already exists.", e.Kind, e.Name)
	}
	quota, most, _ := e.Kind.quota()
	n, err := record.Count(tx, namesKey(e.Account, e.Kind.letter()))
	if err != nil {
		return err
	}
	if n >= most {
		return LimitExceeded(quota, most)
	}
	tx.Set(nameKey(e.Account, e.Kind.letter(), e.Name), []byte(e.ID))
	return nil
}

// Get returns a user, group or role. It needs iam:GetUser, iam:GetGroup or
// iam:GetRole. Errors: NoSuchEntity.
func (s *Store) Get(ctx context.Context, g authz.Grant, k EntityKind, name string) (out *Entity, err error) {
	err = s.inspect(ctx, g, policy.Action("iam:Get"+k.String()), k, name, func(r kv.Reader, e *Entity) error {
		out = e
		return e.showTrust(r)
	})
	return out, err
}

// ListARN returns the resource on which a listing of entities under a path needs permission.
func ListARN(account string, k EntityKind, path string) arn.ARN {
	if path == "" {
		path = "/"
	}
	return arn.IAM(account, k.lower()+path)
}

// List returns a page of the users, groups or roles whose path begins with prefix, in the
// order of their names, and the next marker. It needs iam:ListUsers, iam:ListGroups or
// iam:ListRoles on ListARN.
func (s *Store) List(
	ctx context.Context, g authz.Grant, k EntityKind, prefix string, p page.Request,
) (all []*Entity, next string, err error) {
	account, err := CallerAccount(g)
	if err != nil {
		return nil, "", err
	}
	if err := g.Demand(policy.Action("iam:List"+k.String()+"s"), ListARN(account, k, prefix)); err != nil {
		return nil, "", err
	}
	err = s.store.View(ctx, func(r kv.Reader) error {
		next, err = walk(r, account, k.letter(), p, func(id string) (bool, error) {
			e, err := ReadEntity(r, id)
			if err != nil || e == nil || !strings.HasPrefix(e.Path, prefix) {
				return false, err
			}
			all = append(all, e)
			return true, e.showTrust(r)
		})
		return err
	})
	return all, next, err
}

// Renaming is the new name and path of a user or group. An empty field stays unchanged.
type Renaming struct{ Name, Path string }

// Rename changes the name or path of a user or group. It needs iam:UpdateUser or
// iam:UpdateGroup on the old name and the new one. Errors: NoSuchEntity,
// EntityAlreadyExists, ValidationError.
func (s *Store) Rename(ctx context.Context, g authz.Grant, k EntityKind, name string, to Renaming) error {
	action := policy.Action("iam:Update" + k.String())
	return s.modify(ctx, g, action, k, name, func(tx kv.Tx, e *Entity) error {
		old := e.Name
		if to.Path != "" {
			path, err := CheckPath(to.Path)
			if err != nil {
				return err
			}
			e.Path = path
		}
		if to.Name != "" {
			if err := CheckName(to.Name); err != nil {
				return err
			}
			e.Name = to.Name
		}
		if err := g.Demand(action, e.ARN()); err != nil {
			return err
		}
		if strings.EqualFold(old, e.Name) {
			return nil
		}
		tx.Delete(nameKey(e.Account, k.letter(), old))
		return claimName(tx, e)
	})
}

// UpdateRole changes a role's description and maximum session duration; nil leaves one
// unchanged. It needs iam:UpdateRole. Errors: NoSuchEntity, ValidationError.
func (s *Store) UpdateRole(
	ctx context.Context, g authz.Grant, name string, description *string, longest *time.Duration,
) error {
	return s.modify(ctx, g, "iam:UpdateRole", Role, name, func(_ kv.Tx, e *Entity) error {
		if description != nil {
			e.Description = *description
		}
		if longest == nil {
			return nil
		}
		e.MaxSession = *longest
		return checkMaxSession(e.MaxSession)
	})
}

// UpdateRoleDescription changes a role's description and returns the role. It needs
// iam:UpdateRoleDescription. Errors: NoSuchEntity.
func (s *Store) UpdateRoleDescription(
	ctx context.Context, g authz.Grant, name, description string,
) (out *Entity, err error) {
	err = s.modify(ctx, g, "iam:UpdateRoleDescription", Role, name, func(_ kv.Tx, e *Entity) error {
		e.Description = description
		out = e
		return nil
	})
	return out, err
}

// UpdateTrust replaces a role's trust policy. It needs
// iam:UpdateAssumeRolePolicy. Errors: NoSuchEntity, MalformedPolicyDocument.
func (s *Store) UpdateTrust(ctx context.Context, g authz.Grant, name, document string) error {
	return s.modify(ctx, g, "iam:UpdateAssumeRolePolicy", Role, name, func(tx kv.Tx, e *Entity) error {
		e.Trust = document
		if err := checkTrust(document); err != nil {
			return err
		}
		return e.bindTrust(tx)
	})
}

// Delete removes a user, group or role that owns no other resources. It needs
// iam:DeleteUser, iam:DeleteGroup or iam:DeleteRole. Errors: NoSuchEntity, DeleteConflict.
func (s *Store) Delete(ctx context.Context, g authz.Grant, k EntityKind, name string) error {
	return Commit(ctx, s.store, g, func(tx kv.Tx, account string) error {
		e, err := DemandEntity(tx, g, account, policy.Action("iam:Delete"+k.String()), k, name)
		if err != nil {
			return err
		}
		if err := s.checkUnused(tx, e); err != nil {
			return err
		}
		if err := s.setBoundary(tx, e, ""); err != nil {
			return err
		}
		tx.Delete(entityKey(e.ID))
		tx.Delete(accessesKey(e.ID))
		tx.Delete(nameKey(account, k.letter(), e.Name))
		return nil
	})
}

// checkUnused returns DeleteConflict if something must be removed before the entity (API
// reference, DeleteUser, DeleteGroup, DeleteRole).
func (s *Store) checkUnused(r kv.Reader, e *Entity) error {
	members, err := record.Count(r, membersKey(e.ID))
	if err != nil {
		return err
	}
	devices, err := s.devices.Owned(r, e.Account, e.ID)
	if err != nil {
		return err
	}
	for _, c := range []struct {
		left int
		what string
	}{
		{members + len(e.Groups), "must remove users from group first."},
		{len(e.Attached), "must detach all policies first."},
		{len(e.Inline), "must delete policies first."},
		{len(e.Keys), "must delete access keys first."},
		{devices, "must delete MFA device first."},
	} {
		if c.left > 0 {
			return deleteConflict("Cannot delete entity, " + c.what)
		}
	}
	return nil
}

// AddToGroup makes a user a member of a group. Adding the user again changes nothing. It
// needs iam:AddUserToGroup on the group. Errors: NoSuchEntity, LimitExceeded.
func (s *Store) AddToGroup(ctx context.Context, g authz.Grant, group, user string) error {
	return s.membership(ctx, g, "iam:AddUserToGroup", group, user, func(tx kv.Tx, to, u *Entity) error {
		if slices.Contains(u.Groups, to.ID) {
			return nil
		}
		if len(u.Groups) >= maxUserGroups {
			return LimitExceeded("GroupsPerUser", maxUserGroups)
		}
		u.Groups = append(u.Groups, to.ID)
		tx.Set(memberKey(to.ID, u.ID), []byte{1})
		return nil
	})
}

// RemoveFromGroup removes a user from a group. It needs iam:RemoveUserFromGroup on the
// group. Errors: NoSuchEntity.
func (s *Store) RemoveFromGroup(ctx context.Context, g authz.Grant, group, user string) error {
	return s.membership(ctx, g, "iam:RemoveUserFromGroup", group, user, func(tx kv.Tx, from, u *Entity) error {
		i := slices.Index(u.Groups, from.ID)
		if i < 0 {
			return noSuch("User %s is not in group %s", u.Name, from.Name)
		}
		u.Groups = slices.Delete(u.Groups, i, i+1)
		tx.Delete(memberKey(from.ID, u.ID))
		return nil
	})
}

func (s *Store) membership(
	ctx context.Context, g authz.Grant, action policy.Action, group, user string,
	fn func(tx kv.Tx, group, user *Entity) error,
) error {
	return Commit(ctx, s.store, g, func(tx kv.Tx, account string) error {
		to, err := DemandEntity(tx, g, account, action, Group, group)
		if err != nil {
			return err
		}
		u, err := FindEntity(tx, account, User, user)
		if err != nil {
			return err
		}
		if u == nil {
			return noSuchEntity(User, user)
		}
		if err := fn(tx, to, u); err != nil {
			return err
		}
		tx.Set(entityKey(u.ID), u.encode())
		return nil
	})
}

// GroupPage is a group and a page of its users, in the order of their names.
type GroupPage struct {
	Group *Entity
	Users []*Entity
	Next  string // marker of the next page
}

// GetGroup returns a group and a page of its users. It needs iam:GetGroup.
// Errors: NoSuchEntity.
func (s *Store) GetGroup(ctx context.Context, g authz.Grant, group string, p page.Request) (out GroupPage, err error) {
	err = s.inspect(ctx, g, "iam:GetGroup", Group, group, func(r kv.Reader, e *Entity) error {
		out.Group = e
		ids, err := record.Names(r, membersKey(e.ID))
		if err != nil {
			return err
		}
		users, err := EntitiesByName(r, ids)
		if err != nil {
			return err
		}
		out.Users, out.Next, err = page.Cut(users, nameOf, p, "members\x00"+e.ID)
		return err
	})
	return out, err
}

// GroupsOf returns a page of a user's groups, in the order of their names. It needs
// iam:ListGroupsForUser. Errors: NoSuchEntity.
func (s *Store) GroupsOf(
	ctx context.Context, g authz.Grant, user string, p page.Request,
) (groups []*Entity, next string, err error) {
	err = s.inspect(ctx, g, "iam:ListGroupsForUser", User, user, func(r kv.Reader, e *Entity) error {
		all, err := EntitiesByName(r, e.Groups)
		if err != nil {
			return err
		}
		groups, next, err = page.Cut(all, nameOf, p, "groups\x00"+e.ID)
		return err
	})
	return groups, next, err
}

// nameOf returns the sort key of entities in listings.
func nameOf(e **Entity) string { return strings.ToLower((*e).Name) }

// EntitiesByName reads the entities with these ids, sorted by name. It is an error if one
// does not exist.
func EntitiesByName(r kv.Reader, ids []string) ([]*Entity, error) {
	all := make([]*Entity, 0, len(ids))
	for _, id := range ids {
		e, err := ReadEntity(r, id)
		if err != nil {
			return nil, err
		}
		if e == nil {
			return nil, record.Malformed("a reference to " + id)
		}
		all = append(all, e)
	}
	slices.SortFunc(all, func(a, b *Entity) int { return strings.Compare(nameOf(&a), nameOf(&b)) })
	return all, nil
}
