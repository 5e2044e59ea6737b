package kms

import (
	"context"
	"fmt"
	"strings"
	"time"

	"watertight/internal/access/arn"
	"watertight/internal/access/authz"
	"watertight/internal/core/change/record"
	"watertight/internal/core/page"
	"watertight/internal/fault"
	"watertight/internal/storage/kv"
)

// Limits of aliases (KMS developer guide, "Resource quotas"; KMS API reference,
// CreateAlias).
const (
	maxAliases   = 50  // of one key
	maxAliasName = 256 // characters, with "alias/"
)

// aliasWord begins the names of all aliases.
const aliasWord = "alias/"

// checkAlias refuses names that a customer's alias can't have.
func checkAlias(name string) error {
	rest, ok := strings.CutPrefix(name, aliasWord)
	switch {
	case !ok:
		return fault.New(fault.ValidationException, `Alias must start with the prefix "alias/". Please see `+
			`https://docs.aws.amazon.com/kms/latest/developerguide/kms-alias.html`)
	case strings.HasPrefix(rest, "aws/"):
		return fault.New(fault.InvalidAliasNameException, "Aliases that begin with alias/aws/ are reserved.")
	case rest == "" || len(name) > maxAliasName || strings.ContainsFunc(rest, func(c rune) bool {
		return (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') && (c < '0' || c > '9') && !strings.ContainsRune("/_-", c)
	}):
		return fault.New(fault.InvalidAliasNameException,
			"An alias is alias/ and letters, digits, slashes, underscores and hyphens.")
	}
	return nil
}

// CreateAlias creates an alias for a key of the caller's account. It needs kms:CreateAlias
// on the alias and on the key. Errors: ValidationException, InvalidAliasNameException,
// AlreadyExistsException, NotFoundException, LimitExceededException,
// KMSInvalidStateException.
func (s *Store) CreateAlias(ctx context.Context, g authz.Grant, alias, key string) error {
	owner, err := account(g)
	if err != nil {
		return err
	}
	if err := g.Demand("kms:CreateAlias", s.AliasARN(owner, alias)); err != nil {
		return err
	}
	if err := checkAlias(alias); err != nil {
		return err
	}
	return s.commit(ctx, g, func(tx kv.Tx, at time.Time) error {
		if err := g.Demand("kms:CreateAlias", s.AliasARN(owner, alias)); err != nil {
			return err
		}
		k, err := s.findTarget(tx, owner, key, at)
		if err != nil {
			return err
		}
		if err := g.Demand("kms:CreateAlias", k.arn()); err != nil {
			return err
		}
		old, err := readAlias(tx, owner, alias)
		if err != nil {
			return err
		}
		if old != nil {
			of, err := readKey(tx, old.target)
			if err != nil {
				return err
			}
			if of != nil && !of.isDestroyed(at) {
				return fault.New(fault.AlreadyExistsException,
					"An alias with the name "+s.AliasARN(owner, alias).String()+" already exists")
			}
			dropAlias(tx, owner, alias, old) // its key was destroyed
		}
		return k.name(tx, alias, &aliasRecord{created: at, updated: at}, at)
	})
}

// findTarget returns the key for an alias. It must be a key of the account, and must not be
// named by another alias.
func (s *Store) findTarget(r kv.Reader, owner, key string, at time.Time) (*keyRecord, error) {
	k, err := s.findOwn(r, owner, key, at)
	if err == nil && k.account != owner { // the error is the same as for a key that does not exist
		return nil, notFound("Key '" + k.arn().String() + "' does not exist")
	}
	return k, err
}

// name makes the key the target of an alias.
func (k *keyRecord) name(tx kv.Tx, alias string, a *aliasRecord, at time.Time) error {
	if k.managed {
		return fault.New(fault.AccessDenied, k.arn().String()+" is managed by the server and cannot be changed.")
	}
	if err := k.check(toChange, at); err != nil {
		return err
	}
	n, err := record.Count(tx, aliasedKey(k.id, ""))
	if err != nil {
		return err
	}
	if n >= maxAliases {
		return fault.New(fault.LimitExceededException, fmt.Sprintf("A key has at most %d aliases.", maxAliases))
	}
	a.target = k.id
	setAlias(tx, k.account, alias, a)
	return nil
}

// UpdateAlias makes another key of the caller's account the target of an alias. It needs
// kms:UpdateAlias on the alias, on its present key, and on the new key. Errors: those of
// CreateAlias.
func (s *Store) UpdateAlias(ctx context.Context, g authz.Grant, alias, key string) error {
	owner, err := account(g)
	if err != nil {
		return err
	}
	return s.commit(ctx, g, func(tx kv.Tx, at time.Time) error {
		if err := g.Demand("kms:UpdateAlias", s.AliasARN(owner, alias)); err != nil {
			return err
		}
		if err := checkAlias(alias); err != nil {
			return err
		}
		old, _, err := s.findAlias(tx, owner, alias, at)
		if err != nil {
			return err
		}
		k, err := s.findTarget(tx, owner, key, at)
		if err != nil {
			return err
		}
		for _, both := range [...]*keyRecord{old, k} {
			if err := g.Demand("kms:UpdateAlias", both.arn()); err != nil {
				return err
			}
		}
		a, err := readAlias(tx, owner, alias)
		if err != nil {
			return err
		}
		dropAlias(tx, owner, alias, a)
		a.updated = at
		return k.name(tx, alias, a, at)
	})
}

// DeleteAlias removes an alias; its key stays as it is. It needs kms:DeleteAlias on the
// alias and on the key. Errors: ValidationException, InvalidAliasNameException,
// NotFoundException.
func (s *Store) DeleteAlias(ctx context.Context, g authz.Grant, alias string) error {
	owner, err := account(g)
	if err != nil {
		return err
	}
	return s.commit(ctx, g, func(tx kv.Tx, at time.Time) error {
		if err := g.Demand("kms:DeleteAlias", s.AliasARN(owner, alias)); err != nil {
			return err
		}
		if err := checkAlias(alias); err != nil {
			return err
		}
		k, _, err := s.findAlias(tx, owner, alias, at)
		if err != nil {
			return err
		}
		if err := g.Demand("kms:DeleteAlias", k.arn()); err != nil {
			return err
		}
		dropAlias(tx, owner, alias, &aliasRecord{target: k.id})
		return nil
	})
}

// Alias is a name of a key.
type Alias struct {
	Name             string // "alias/name"
	ARN              arn.ARN
	KeyID            string
	Created, Updated time.Time
}

// ListAliases returns a page of the aliases of the caller's account or, if a key is named,
// of that key, in the order of their names, and the marker of the next page. It needs
// kms:ListAliases on every resource. Errors: NotFoundException, InvalidArnException,
// InvalidMarkerException.
func (s *Store) ListAliases(
	ctx context.Context, g authz.Grant, key string, p page.Request,
) (all []Alias, next string, err error) {
	if err := g.Demand("kms:ListAliases", arn.Any()); err != nil {
		return nil, "", err
	}
	owner, err := account(g)
	if err != nil {
		return nil, "", err
	}
	at := g.Caller().At()
	err = s.store.View(ctx, func(r kv.Reader) error {
		prefix := aliasKey(owner, "")
		if key != "" {
			k, err := s.findTarget(r, owner, key, at)
			if err != nil {
				return err
			}
			prefix = aliasedKey(k.id, "")
		}
		names, more, err := pageOf(r, prefix, p, string(prefix))
		if err != nil {
			return err
		}
		next = more
		for _, name := range names {
			a, err := s.alias(r, owner, aliasWord+name, at)
			if err != nil {
				return err
			}
			if a != nil {
				all = append(all, *a)
			}
		}
		return nil
	})
	return all, next, err
}

// alias returns an alias, or nil if its key was destroyed.
func (s *Store) alias(r kv.Reader, owner, name string, at time.Time) (*Alias, error) {
	a, err := readAlias(r, owner, name)
	if err != nil || a == nil {
		return nil, err
	}
	k, err := readKey(r, a.target)
	if err != nil || k == nil || k.isDestroyed(at) {
		return nil, err
	}
	return &Alias{
		Name: name, ARN: s.AliasARN(owner, name), KeyID: k.id, Created: a.created, Updated: a.updated,
	}, nil
}

// aliasRecord is the record of an alias.
type aliasRecord struct {
	target           string // a key's id
	created, updated time.Time
	kept             []byte
}

// Fields of an alias's record. The numbers are stored.
const (
	fieldTarget       = 1
	fieldAliasCreated = 2
	fieldAliasUpdated = 3
)

func aliasKey(account, name string) []byte {
	return record.Key(aliasPrefix, account, "/", strings.TrimPrefix(name, aliasWord))
}

func aliasedKey(id, name string) []byte {
	return record.Key(aliasedPrefix, id, "/", strings.TrimPrefix(name, aliasWord))
}

func (a *aliasRecord) encode() []byte {
	r := record.String(record.Start(nil), fieldTarget, a.target)
	r = record.Time(r, fieldAliasCreated, a.created)
	return append(record.Time(r, fieldAliasUpdated, a.updated), a.kept...)
}

// readAlias returns an alias of an account, or nil if there is none.
func readAlias(r kv.Reader, account, name string) (*aliasRecord, error) {
	v, err := r.Get(aliasKey(account, name))
	if err != nil || v == nil {
		return nil, err
	}
	return decodeAlias(name, v)
}

func decodeAlias(name string, value []byte) (*aliasRecord, error) {
	a := &aliasRecord{}
	f := record.Read(value)
	for f.Next() {
		switch f.Number {
		case fieldTarget:
			a.target = string(f.Bytes)
		case fieldAliasCreated:
			a.created = f.Time()
		case fieldAliasUpdated:
			a.updated = f.Time()
		default:
			a.kept = f.Keep(a.kept)
		}
	}
	if f.Err() != nil || a.target == "" {
		return nil, record.Malformed("KMS alias " + name)
	}
	return a, nil
}

// aliasesOf returns the names of a key's aliases in ascending order.
func aliasesOf(r kv.Reader, id string) ([]string, error) {
	names, err := record.Names(r, record.Key(aliasedPrefix, id, "/"))
	for i := range names {
		names[i] = aliasWord + names[i]
	}
	return names, err
}

func setAlias(tx kv.Tx, account, name string, a *aliasRecord) {
	tx.Set(aliasKey(account, name), a.encode())
	tx.Set(aliasedKey(a.target, name), record.Start(nil))
}

func dropAlias(tx kv.Tx, account, name string, a *aliasRecord) {
	tx.Delete(aliasKey(account, name))
	tx.Delete(aliasedKey(a.target, name))
}
