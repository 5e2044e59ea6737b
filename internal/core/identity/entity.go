package identity

import (
	"context"
	"crypto/rand"
	"fmt"
	"strings"
	"time"

	"watertight/internal/access/arn"
	"watertight/internal/access/authz"
	"watertight/internal/access/policy"
	"watertight/internal/core/change"
	"watertight/internal/core/principal"
	"watertight/internal/core/tag"
	"watertight/internal/fault"
	"watertight/internal/storage/kv"
)

// EntityKind is the kind of an entity. The numbers are stored.
type EntityKind uint8

// The kinds of entities.
const (
	User  EntityKind = 1
	Group EntityKind = 2
	Role  EntityKind = 3
)

// String returns the kind as the API has it: "User" as in CreateUser.
func (k EntityKind) String() string { return [...]string{"", "User", "Group", "Role"}[k] }

// lower returns the kind as ARNs and messages have it.
func (k EntityKind) lower() string { return strings.ToLower(k.String()) }

// Inline is an inline policy, which is stored with its entity.
type Inline struct{ Name, Document string }

// Entity is a user, a group or a role.
type Entity struct {
	Kind       EntityKind
	Account    string
	ID         string // AIDA..., AGPA..., AROA...
	Name, Path string
	Created    time.Time
	Tags       []tag.Tag
	Boundary   string // ARN of a managed policy; only users and roles have one
	Inline     []Inline
	Attached   []string // ARNs of managed policies
	Groups     []string // ids of a user's groups
	Keys       []string // a user's access key ids

	// Only for roles. Bound has the unique ids of the users and roles that Trust named when
	// it was written.
	Trust       string
	Bound       principal.Bindings
	Description string
	MaxSession  time.Duration
}

// ARN returns the entity's ARN.
func (e *Entity) ARN() arn.ARN { return EntityARN(e.Account, e.Kind, e.Path, e.Name) }

// EntityARN returns the ARN of a user, group or role.
func EntityARN(account string, k EntityKind, path, name string) arn.ARN {
	return arn.IAM(account, k.lower()+path+name)
}

// AWS's default quotas (IAM user guide, "IAM and AWS STS quotas").
const (
	maxUsers            = 5000
	maxGroups           = 300
	maxRoles            = 1000
	maxPolicies         = 1500
	maxAttached         = 10
	maxUserGroups       = 10
	maxKeysPerUser      = 2
	maxVersions         = 5
	maxManagedDocument  = 6144
	MaxDevicesPerUser   = 8
	maxProviders        = 100
	maxClientIDs        = 100
	maxThumbprints      = 5
	maxUserInline       = 2048
	maxGroupInline      = 5120
	maxRoleInline       = 10240
	maxTrust            = 2048
	MaxPath             = 512
	MaxName             = 128
	defaultRoleSession  = time.Hour
	longestRoleSession  = 12 * time.Hour
	shortestRoleSession = time.Hour
)

func (k EntityKind) quota() (name string, entities, inline int) {
	switch k {
	case User:
		return "UsersPerAccount", maxUsers, maxUserInline
	case Group:
		return "GroupsPerAccount", maxGroups, maxGroupInline
	}
	return "RolesPerAccount", maxRoles, maxRoleInline
}

// newUniqueID returns an id in AWS's format: a prefix and 80 random bits.
func newUniqueID(prefix string) string {
	const base32 = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567"
	var b [17]byte
	rand.Read(b[:])
	id := []byte(prefix)
	for _, c := range b {
		id = append(id, base32[c%32])
	}
	return string(id)
}

// IDPrefix returns the prefix of the unique ids of the kind.
func (k EntityKind) IDPrefix() string {
	return [...]string{"", "AIDA", "AGPA", "AROA"}[k]
}

// LimitExceeded is IAM's error for a quota that would be exceeded.
func LimitExceeded(quota string, n int) error {
	return fault.New(fault.LimitExceeded, fmt.Sprintf("Cannot exceed quota for %s: %d", quota, n))
}

func deleteConflict(message string) error {
	return fault.New(fault.DeleteConflict, message)
}

func noSuch(format string, args ...any) error {
	return fault.New(fault.NoSuchEntity, fmt.Sprintf(format, args...))
}

func alreadyExists(format string, args ...any) error {
	return fault.New(fault.EntityAlreadyExists, fmt.Sprintf(format, args...))
}

func invalidInput(format string, args ...any) error {
	return fault.New(fault.InvalidInput, fmt.Sprintf(format, args...))
}

func validation(format string, args ...any) error {
	return fault.New(fault.ValidationError, fmt.Sprintf(format, args...))
}

func noSuchEntity(k EntityKind, name string) error {
	return noSuch("The %s with name %s cannot be found.", k.lower(), name)
}

// CheckName refuses names that can't be part of record keys and ARNs. The dialect has
// checked names before, with AWS's messages.
func CheckName(name string) error {
	const word = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_+=,.@-"
	if name == "" || len(name) > MaxName || strings.Trim(name, word) != "" {
		return validation("The specified value for a name is invalid. It must contain only alphanumeric characters " +
			"and/or the following: +=,.@_-")
	}
	return nil
}

// CheckPath checks a path and returns it, or "/" for an empty one.
func CheckPath(path string) (string, error) {
	if path == "" || path == "/" {
		return "/", nil
	}
	if len(path) > MaxPath || len(path) < 3 || path[0] != '/' || path[len(path)-1] != '/' ||
		strings.ContainsFunc(path, func(r rune) bool { return r < '!' || r > '~' }) {
		return "", validation("The specified value for path is invalid. It must begin and end with / and contain " +
			"only alphanumeric characters and/or / characters.")
	}
	return path, nil
}

// CallerAccount returns the account of the grant's caller. Anonymous callers have none.
// Federated users, and sessions of GetSessionToken that were created without MFA, may not
// use IAM at all (IAM user guide, "Compare AWS STS credentials").
func CallerAccount(g authz.Grant) (string, error) {
	c := g.Caller()
	p := c.Principal()
	switch {
	case p.Account == "" || p.Kind == policy.FederatedUser:
		return "", fault.Of(fault.AccessDenied)
	case c.Temporary() && !c.MFA() && (p.Kind == policy.User || p.Kind == policy.AccountRoot):
		return "", fault.New(fault.InvalidClientTokenId, "The security token included in the request is invalid")
	}
	return p.Account, nil
}

// Instant returns the time of the request in the precision of records.
func Instant(g authz.Grant) time.Time { return g.Caller().At().UTC().Truncate(time.Microsecond) }

// Commit changes the identities of the caller's account. Changes to one account are
// serialized. Each starts a new generation, so that compiled laws of the old one are no
// longer used.
func Commit(ctx context.Context, store kv.Store, g authz.Grant, fn func(tx kv.Tx, account string) error) error {
	account, err := CallerAccount(g)
	if err != nil {
		return err
	}
	return change.Commit(ctx, store, g, func(tx kv.Tx) error {
		return inGeneration(tx, account, func() error { return fn(tx, account) })
	})
}

// Operate is Commit for the operator, who has no grant; event is its audit event. Error:
// NoSuchEntity if the account does not exist.
func Operate(
	ctx context.Context, store kv.Store, event authz.Record, account string, fn func(tx kv.Tx) error,
) error {
	return change.Operate(ctx, store, event, func(tx kv.Tx) error {
		switch _, found, err := readAccount(tx, account); {
		case err != nil:
			return err
		case !found:
			return fault.New(fault.NoSuchEntity, "There is no account "+account+".")
		}
		return inGeneration(tx, account, func() error { return fn(tx) })
	})
}

// inGeneration runs fn, and starts a new generation of the account's identities.
func inGeneration(tx kv.Tx, account string, fn func() error) error {
	if err := tx.Lock(generationKey(account), kv.Exclusive); err != nil {
		return err
	}
	if err := fn(); err != nil {
		return err
	}
	var generation [16]byte
	rand.Read(generation[:])
	tx.Set(generationKey(account), generation[:])
	return nil
}

// View runs fn in a view, with the caller's account.
func View(ctx context.Context, store kv.Store, g authz.Grant, fn func(r kv.Reader, account string) error) error {
	account, err := CallerAccount(g)
	if err != nil {
		return err
	}
	return store.View(ctx, func(r kv.Reader) error { return fn(r, account) })
}

// DemandEntity demands action on an entity and returns the entity. It demands the action on
// the entity's current ARN, including the path.
func DemandEntity(
	r kv.Reader, g authz.Grant, account string, action policy.Action, k EntityKind, name string,
) (*Entity, error) {
	e, err := FindEntity(r, account, k, name)
	if err != nil {
		return nil, err
	}
	at := EntityARN(account, k, "/", name)
	if e != nil {
		at = e.ARN()
	}
	if err := g.Demand(action, at); err != nil {
		return nil, err
	}
	if e == nil {
		return nil, noSuchEntity(k, name)
	}
	return e, nil
}

// modify changes one entity.
func (s *Store) modify(
	ctx context.Context, g authz.Grant, action policy.Action, k EntityKind, name string,
	fn func(tx kv.Tx, e *Entity) error,
) error {
	return Commit(ctx, s.store, g, func(tx kv.Tx, account string) error {
		e, err := DemandEntity(tx, g, account, action, k, name)
		if err != nil {
			return err
		}
		if err := fn(tx, e); err != nil {
			return err
		}
		tx.Set(entityKey(e.ID), e.encode())
		return nil
	})
}

// inspect reads one entity.
func (s *Store) inspect(
	ctx context.Context, g authz.Grant, action policy.Action, k EntityKind, name string,
	fn func(r kv.Reader, e *Entity) error,
) error {
	return View(ctx, s.store, g, func(r kv.Reader, account string) error {
		e, err := DemandEntity(r, g, account, action, k, name)
		if err != nil {
			return err
		}
		return fn(r, e)
	})
}
