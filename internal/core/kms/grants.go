package kms

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"watertight/internal/access/arn"
	"watertight/internal/access/authz"
	"watertight/internal/access/policy"
	"watertight/internal/core/change"
	"watertight/internal/core/change/record"
	"watertight/internal/fault"
	"watertight/internal/storage/kv"
)

// Limits of grants (KMS developer guide, "Resource quotas"; KMS API reference,
// GrantConstraints). A decision reads all grants of a key to a principal, so their number
// is limited, as it was at AWS until 2021. The limit of the size of their constraints is
// this server's own.
const (
	maxGrants          = 50_000   // of a key
	maxGrantsOfGrantee = 500      // of a key
	maxGranteeContext  = 64 << 10 // bytes of the constraints of all grants to one grantee
	maxConstraint      = 8        // pairs
	maxConstraintText  = 384      // characters of a name or a value
)

// GrantInput describes a new grant of a key.
type GrantInput struct {
	Key               string
	Grantee, Retiring string // ARNs; Retiring may be empty
	Operations        []string
	Equals, Subset    map[string]string // constraint of the encryption context: one of them, or none
	Name              string
	DryRun            bool // only check
	constraint        constraint
}

// GrantInfo is the description of a grant.
type GrantInfo struct {
	KeyARN            arn.ARN
	ID, Name          string
	Created           time.Time
	Grantee, Retiring string  // current ARNs, or unique ids of deleted principals; Retiring may be empty
	Issuer            arn.ARN // the account that created it
	Operations        []string
	Equals, Subset    map[string]string
}

// Conditions returns the condition keys of CreateGrant, without those of the key (service
// authorization reference). The encryption context is that of the constraint.
func (in *GrantInput) Conditions() map[string][]string {
	g := grantRecord{constraint: unconstrained}
	with := map[string][]string{
		"kms:granteeprincipal": {in.Grantee}, "kms:grantisforawsresource": {"false"},
		"kms:grantoperations": slices.Compact(slices.Sorted(slices.Values(in.Operations))),
	}
	if in.Retiring != "" {
		with["kms:retiringprincipal"] = []string{in.Retiring}
	}
	if in.Equals != nil {
		g.constraint, g.context = equalsContext, in.Equals
	} else if in.Subset != nil {
		g.constraint, g.context = containsContext, in.Subset
	}
	return g.conditions(with)
}

// conditions adds the condition keys for a grant's constraint.
func (g *grantRecord) conditions(with map[string][]string) map[string][]string {
	switch g.constraint {
	case equalsContext:
		with["kms:grantconstrainttype"] = []string{policy.ConstraintEquals}
	case containsContext:
		with["kms:grantconstrainttype"] = []string{policy.ConstraintSubset}
	default:
		return with
	}
	context := ContextConditions(g.context)
	delete(context, "kms:encryptionalgorithm")
	maps.Copy(with, context)
	return with
}

// check refuses what a grant of a symmetric key can't have, and sets the constraint.
func (in *GrantInput) check() error {
	invalid := func(message string) error { return fault.New(fault.ValidationException, message) }
	if len(in.Operations) == 0 {
		return invalid("A grant allows an operation at least.")
	}
	for _, o := range in.Operations {
		switch o {
		case "Decrypt", "Encrypt", "GenerateDataKey", "GenerateDataKeyWithoutPlaintext", "ReEncryptFrom", "ReEncryptTo",
			"CreateGrant", "RetireGrant", "DescribeKey", "GenerateDataKeyPair", "GenerateDataKeyPairWithoutPlaintext":
		default:
			return invalid("Operation " + o + " is not supported for keys with the spec " + SpecSymmetric + ".")
		}
	}
	context := in.Equals
	switch {
	case in.Equals != nil && in.Subset != nil:
		return invalid("A grant has one constraint: EncryptionContextEquals or EncryptionContextSubset.")
	case in.Equals != nil:
		in.constraint = equalsContext
	case in.Subset != nil:
		in.constraint, context = containsContext, in.Subset
	}
	if in.constraint == unconstrained {
		return nil
	}
	fits := len(context) > 0 && len(context) <= maxConstraint
	for k, v := range context {
		fits = fits && utf8.RuneCountInString(k) <= maxConstraintText && utf8.RuneCountInString(v) <= maxConstraintText
	}
	if !fits {
		return invalid(fmt.Sprintf("A constraint has from 1 to %d pairs, of names and values of at most %d characters.",
			maxConstraint, maxConstraintText))
	}
	return nil
}

// contextSize returns the size of the constraint's pairs in bytes.
func (g *grantRecord) contextSize() (n int) {
	for k, v := range g.context {
		n += len(k) + len(v)
	}
	return n
}

// CreateGrant creates a grant of a key and returns its id and a token for it. If a grant
// with the same name and the same contents exists, it returns that one. It needs
// kms:CreateGrant on the key. Errors: NotFoundException, InvalidArnException,
// DisabledException, KMSInvalidStateException, LimitExceededException, ValidationException,
// and DryRunOperationException if DryRun is set.
func (s *Store) CreateGrant(ctx context.Context, g authz.Grant, in GrantInput) (id, token string, err error) {
	checked := in.check()
	key := ""
	err = s.modify(ctx, g, "kms:CreateGrant", in.Key, toUse, func(tx kv.Tx, k *keyRecord, at time.Time) error {
		if checked != nil {
			return checked
		}
		made, isNew, err := s.newGrant(tx, g.Caller().Account(), k, &in, at)
		if err != nil {
			return err
		}
		if in.DryRun {
			return fault.Of(fault.DryRunOperationException)
		}
		if key, id = k.id, made.id; !isNew {
			return change.ErrUnchanged
		}
		k.grants++
		made.write(tx, k.id)
		g.Note("grantId", made.id)
		return nil
	})
	if err != nil {
		return "", "", err
	}
	return id, newGrantToken(key, id), nil
}

// newGrant returns the grant that an account asks for, or the existing one with the same
// name and contents.
func (s *Store) newGrant(
	tx kv.Tx, account string, k *keyRecord, in *GrantInput, at time.Time,
) (made *grantRecord, isNew bool, err error) {
	made = &grantRecord{
		name: in.Name, created: at, issuer: account, constraint: in.constraint, context: in.Equals,
		operations: slices.Compact(slices.Sorted(slices.Values(in.Operations))),
	}
	if in.constraint == containsContext {
		made.context = in.Subset
	}
	if made.grantee, err = s.partyNamed(tx, in.Grantee); err != nil {
		return nil, false, err
	}
	if in.Retiring != "" {
		if made.retiring, err = s.partyNamed(tx, in.Retiring); err != nil {
			return nil, false, err
		}
	}
	held, err := grantsTo(tx, k.id, made.grantee.id)
	if err != nil {
		return nil, false, err
	}
	size := made.contextSize()
	for _, g := range held {
		if in.Name != "" && g.same(made) {
			return g, false, nil
		}
		size += g.contextSize()
	}
	if k.grants >= maxGrants || len(held) >= maxGrantsOfGrantee || size > maxGranteeContext {
		return nil, false, fault.New(fault.LimitExceededException, fmt.Sprintf(
			"A key has at most %d grants, and %d of one grantee, with constraints of %d bytes together.",
			maxGrants, maxGrantsOfGrantee, maxGranteeContext))
	}
	var id [32]byte
	rand.Read(id[:])
	made.id = hex.EncodeToString(id[:])
	return made, true, nil
}

// partyNamed returns the principal with an ARN: an account, a user, a role or a session.
// Error: InvalidArnException.
func (s *Store) partyNamed(r kv.Reader, name string) (party, error) {
	invalid := fault.New(fault.InvalidArnException, "ARN does not refer to a valid principal: "+name)
	a, err := arn.Parse(name)
	if err != nil || a.Service != "iam" && a.Service != "sts" {
		return party{}, invalid
	}
	id, ok, err := s.principals.ID(r, policy.PrincipalName{Type: "AWS", Value: name})
	switch {
	case err != nil:
		return party{}, err
	case !ok:
		return party{}, invalid
	case id != "":
		return party{name, id}, nil
	case a == arn.Root(a.Account):
		return party{name, a.Account}, nil
	case a.Service == "sts":
		return party{name, name}, nil
	}
	return party{}, invalid
}

// grantsTo returns the grants of a key to one principal. There are at most maxGrantsOfGrantee.
func grantsTo(r kv.Reader, key, grantee string) (all []*grantRecord, err error) {
	ids, err := record.Names(r, grantedTo(key, grantee))
	if err != nil {
		return nil, err
	}
	for _, id := range ids {
		g, err := readGrant(r, key, id)
		if err != nil {
			return nil, err
		}
		if g == nil {
			return nil, record.Malformed("grant " + id)
		}
		all = append(all, g)
	}
	return all, nil
}

// principalsOf returns the ids under which grants name a caller: its own; for a session,
// those of its role or of its user, and its ARN; and that of its account.
func principalsOf(p *policy.Principal) []string {
	switch p.Kind {
	case policy.AccountRoot:
		return []string{p.Account}
	case policy.User:
		return []string{p.ID, p.Account}
	case policy.RoleSession:
		role, _, _ := strings.Cut(p.ID, ":")
		return []string{role, p.ARN.String(), p.Account}
	case policy.FederatedUser:
		return []string{p.IssuerID, p.ARN.String(), p.Account}
	}
	return nil
}

// GrantsTo returns what the grants of a key allow a principal, for authz.Facts. It does not
// read the grants to other principals.
func (s *Store) GrantsTo(ctx context.Context, key arn.ARN, to *policy.Principal) ([]*policy.Document, error) {
	id, _ := strings.CutPrefix(key.Resource, "key/")
	var laws []policy.KeyGrant
	err := s.store.View(ctx, func(r kv.Reader) error {
		for _, name := range principalsOf(to) {
			if name == "" {
				continue
			}
			all, err := grantsTo(r, id, name)
			if err != nil {
				return err
			}
			for _, g := range all {
				laws = append(laws, g.law())
			}
		}
		return nil
	})
	if err != nil || len(laws) == 0 {
		return nil, err
	}
	return []*policy.Document{policy.Grants(laws)}, nil
}

// mayRetire reports whether the grant itself lets a principal retire it: if it is the
// retiring principal, or the grantee of a grant with that operation. A grant that names an
// account means its root user.
func (g *grantRecord) mayRetire(p *policy.Principal) bool {
	all := principalsOf(p)
	if p.Kind != policy.AccountRoot && len(all) > 0 {
		all = all[:len(all)-1]
	}
	return slices.Contains(all, g.retiring.id) && g.retiring.id != "" ||
		slices.Contains(g.operations, "RetireGrant") && slices.Contains(all, g.grantee.id)
}

// RetireGrant removes a grant that is no longer used. It needs kms:RetireGrant on the key;
// see RetireNeeds. Errors: NotFoundException, InvalidArnException, InvalidGrantIdException,
// InvalidGrantTokenException, and DryRunOperationException if dryRun is set.
func (s *Store) RetireGrant(ctx context.Context, g authz.Grant, name GrantName, dryRun bool) error {
	return s.commit(ctx, g, func(tx kv.Tx, at time.Time) error {
		owner, err := account(g)
		if err != nil {
			return err
		}
		k, ended, err := s.findGrant(tx, owner, name, at)
		if err != nil {
			return err
		}
		if err := g.Demand("kms:RetireGrant", k.arn()); err != nil {
			return err
		}
		return k.endGrant(tx, g, ended, dryRun)
	})
}

// RevokeGrant removes a grant. It needs kms:RevokeGrant on the key. Errors: those of
// RetireGrant except those about tokens.
func (s *Store) RevokeGrant(ctx context.Context, g authz.Grant, key, id string, dryRun bool) error {
	return s.modify(ctx, g, "kms:RevokeGrant", key, toRead, func(tx kv.Tx, k *keyRecord, at time.Time) error {
		_, ended, err := s.findGrant(tx, k.account, GrantName{Key: k.arn().String(), ID: id}, at)
		if err != nil {
			return err
		}
		return k.endGrant(tx, g, ended, dryRun)
	})
}

// endGrant removes a grant and writes the key.
func (k *keyRecord) endGrant(tx kv.Tx, g authz.Grant, ended *grantRecord, dryRun bool) error {
	if dryRun {
		return fault.Of(fault.DryRunOperationException)
	}
	ended.remove(tx, k.id)
	k.grants = max(k.grants, 1) - 1
	k.write(tx)
	g.Note("grantId", ended.id)
	return nil
}
