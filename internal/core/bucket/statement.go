package bucket

import (
	"context"
	"crypto/rand"
	"time"

	"watertight/internal/access/policy"
	"watertight/internal/fault"
	"watertight/internal/storage/kv"
)

// AddStatement returns what adds a statement to a bucket's policy at an instant, in a
// transaction of another room, and otherwise leaves the policy as it is. statement makes the
// statement for a source, an ARN that only the transaction knows. A policy that can't take it,
// or that would be public in spite of Block Public Access, is not changed: problem says why.
// The statement must name no user or role. Error: NoSuchBucket.
func (o *Operator) AddStatement(
	name string, at time.Time, statement func(source string) string,
) func(tx kv.Tx, source string) (problem string, err error) {
	return func(tx kv.Tx, source string) (string, error) {
		if err := tx.Lock(Guard(name), kv.Exclusive); err != nil {
			return "", err
		}
		b, err := Read(tx, name)
		if err != nil {
			return "", err
		}
		p := storedPolicy{}
		if b.Policy != (PolicyID{}) {
			if p, err = readPolicy(tx, &b); err != nil {
				return "", err
			}
		}
		problem, err := o.store.extend(tx, &b, &p, at, statement(source))
		if err != nil || problem != "" {
			return problem, err
		}
		rand.Read(b.Policy[:])
		b.write(tx)
		tx.Set(policyKey(b.ID), p.encode())
		return "", nil
	}
}

// extend adds a statement to a policy. It returns why that is not possible, or "". The bindings
// stay: users and roles that the policy names are those that it always named.
func (s *Store) extend(tx kv.Tx, b *Bucket, p *storedPolicy, at time.Time, statement string) (string, error) {
	text, err := policy.AddStatement(p.text, statement)
	if err != nil {
		return "The bucket's policy has no list of statements.", nil
	}
	d, err := s.parsePolicy(b.Name, text)
	if err != nil {
		return "With one more statement the bucket's policy would not be valid: " + fault.From(err).Message, nil
	}
	if err := tx.Lock(publicKey(b.Owner), kv.Shared); err != nil {
		return "", err
	}
	merged, err := Public(tx, b, at)
	if err != nil {
		return "", err
	}
	if p.bound.Apply(d).IsPublic(s.peers) && merged.BlockPublicPolicy {
		return "The bucket's policy is public, and Block Public Access allows no change of it.", nil
	}
	p.text = text
	return "", nil
}

// EncryptionOf returns the default encryption of a bucket, and its owner. Error: NoSuchBucket.
func (o *Operator) EncryptionOf(ctx context.Context, name string) (e DefaultEncryption, owner string, err error) {
	return e, owner, o.store.store.View(ctx, func(r kv.Reader) error {
		b, err := Read(r, name)
		if err != nil {
			return err
		}
		owner = b.Owner
		e, err = EncryptionIn(r, &b)
		return err
	})
}
