package kms

import (
	"context"
	"errors"
	"fmt"
	"time"
	"unicode/utf8"

	"watertight/internal/access/arn"
	"watertight/internal/access/authz"
	"watertight/internal/core/change/record"
	"watertight/internal/core/tag"
	"watertight/internal/fault"
	"watertight/internal/storage/kv"
	"watertight/internal/storage/seal"
)

// Limits (KMS developer guide, "Resource quotas"; KMS API reference, CreateKey).
const (
	maxKeys        = 100_000 // of an account
	maxDescription = 8192    // characters
	maxPolicy      = 32768   // bytes
)

// CreateInput describes a new key. A zero value is the API's default.
type CreateInput struct {
	Policy        string // "" is the default policy
	Description   string
	Usage         string
	Spec          string
	Origin        string
	Tags          []tag.Tag
	MultiRegion   bool
	CustomStore   bool // a custom key store, such as an HSM
	BypassLockOut bool // accept a policy that does not allow the caller to change it
}

// check refuses kinds of keys that do not exist here.
func (in *CreateInput) check() error {
	switch {
	case in.CustomStore || in.Origin == "AWS_CLOUDHSM" || in.Origin == "EXTERNAL_KEY_STORE":
		return unsupportedKey("Custom key stores")
	case in.Spec != "" && in.Spec != SpecSymmetric:
		return unsupportedKey("Keys of the spec " + in.Spec)
	case in.Usage != "" && in.Usage != UsageEncrypt:
		return unsupportedKey("Keys for " + in.Usage)
	case in.MultiRegion:
		return unsupportedKey("Multi-Region keys")
	case in.Origin != "" && in.Origin != OriginKMS && in.Origin != OriginExternal:
		return fault.New(fault.ValidationException, "Origin is one of AWS_KMS and EXTERNAL.")
	case len(in.Policy) > maxPolicy:
		return fault.New(fault.LimitExceededException, fmt.Sprintf("A key policy has at most %d bytes.", maxPolicy))
	}
	return errors.Join(checkDescription(in.Description), tag.CheckKMS(in.Tags))
}

func unsupportedKey(what string) error {
	return fault.New(fault.UnsupportedOperationException, what+" are not supported.")
}

func checkDescription(text string) error {
	if utf8.RuneCountInString(text) > maxDescription {
		return fault.New(fault.ValidationException,
			fmt.Sprintf("A description has at most %d characters.", maxDescription))
	}
	return nil
}

// CreateKey creates a key of the caller's account. A key with Origin EXTERNAL has no
// material until some is imported. It needs kms:CreateKey on every resource and, if the key
// has tags, kms:TagResource on every resource, too. Errors: UnsupportedOperationException,
// ValidationException, LimitExceededException, TagException,
// MalformedPolicyDocumentException.
func (s *Store) CreateKey(ctx context.Context, g authz.Grant, in CreateInput) (out Metadata, err error) {
	if err := g.Demand("kms:CreateKey", arn.Any()); err != nil {
		return out, err
	}
	if len(in.Tags) > 0 {
		if err := g.Demand("kms:TagResource", arn.Any()); err != nil {
			return out, err
		}
	}
	owner, err := account(g)
	if err != nil {
		return out, err
	}
	if err := in.check(); err != nil {
		return out, err
	}
	text := in.Policy
	if text == "" {
		text = defaultPolicy(owner)
	}
	defer s.wrapping.root.Hold().Release()
	id := newKeyID()
	var first *materialRecord
	if in.Origin != OriginExternal {
		first = s.newMaterial(id, seal.NewKey(), g.Caller().At(), First)
	}
	return out, s.commit(ctx, g, func(tx kv.Tx, at time.Time) error {
		k := &keyRecord{
			id: id.String(), region: s.region, account: owner, created: at, description: in.Description,
			state: Enabled, imported: first == nil, tags: in.Tags,
		}
		bound, err := s.bindPolicy(ctx, tx, g, k, text, in.BypassLockOut || in.Policy == "")
		if err != nil {
			return err
		}
		k.setPolicy(text, bound)
		if err := k.add(tx, first); err != nil {
			return err
		}
		g.Note("keyId", k.id)
		out = k.metadata(at)
		return nil
	})
}

// add writes a new key with its first material, which may be nil.
func (k *keyRecord) add(tx kv.Tx, first *materialRecord) error {
	n, err := readCount(tx, k.account)
	if err != nil {
		return err
	}
	if n >= maxKeys {
		return fault.New(fault.LimitExceededException, fmt.Sprintf("An account has at most %d keys.", maxKeys))
	}
	writeCount(tx, k.account, n+1)
	k.state = Enabled
	if first != nil {
		k.begin(tx, first)
	}
	tx.Set(ownedKey(k.account, k.id), record.Start(nil))
	k.write(tx)
	return nil
}

const fieldCount = 1 // in the record that counts an account's keys

func readCount(r kv.Reader, account string) (n uint64, err error) {
	v, err := r.Get(countKey(account))
	if err != nil || v == nil {
		return 0, err
	}
	f := record.Read(v)
	for f.Next() {
		if f.Number == fieldCount {
			n = f.Uint
		} else {
			f.Unknown()
		}
	}
	if f.Err() != nil {
		return 0, record.Malformed("number of KMS keys of " + account)
	}
	return n, nil
}

func writeCount(tx kv.Tx, account string, n uint64) {
	if n == 0 {
		tx.Delete(countKey(account))
		return
	}
	tx.Set(countKey(account), record.Uint(record.Start(nil), fieldCount, n))
}

// defaultPolicy returns the policy of a key that was created without one: it lets IAM
// policies of the key's account decide (KMS developer guide, "Default key policy").
func defaultPolicy(account string) string {
	return `{"Version":"2012-10-17","Id":"key-default-1","Statement":[{"Sid":"Enable IAM User Permissions",` +
		`"Effect":"Allow","Principal":{"AWS":"` + arn.Root(account).String() + `"},"Action":"kms:*","Resource":"*"}]}`
}

// DescribeKey returns the metadata of a key in any state. It needs kms:DescribeKey on the
// key. Errors: NotFoundException, InvalidArnException.
func (s *Store) DescribeKey(ctx context.Context, g authz.Grant, key string) (out Metadata, err error) {
	owner, err := account(g)
	if err != nil {
		return out, err
	}
	at := g.Caller().At()
	err = s.store.View(ctx, func(r kv.Reader) error {
		k, _, err := s.find(r, owner, key, at)
		if err != nil {
			return err
		}
		if err := g.Demand("kms:DescribeKey", k.arn()); err != nil {
			return err
		}
		out = k.metadata(at)
		return nil
	})
	return out, err
}
