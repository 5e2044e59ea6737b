package kms

import (
	"context"
	"time"

	"watertight/internal/access/policy"
	"watertight/internal/fault"
	"watertight/internal/storage/kv"
)

// Resolve returns the key that a name means for an account at a time, in any state. Errors:
// NotFoundException, InvalidArnException.
func (o *Operator) Resolve(ctx context.Context, account, name string, at time.Time) (out Key, err error) {
	return out, o.store.View(ctx, func(r kv.Reader) error {
		k, _, err := o.find(r, account, name, at)
		if err == nil {
			out = k.key()
		}
		return err
	})
}

// AddStatement returns what adds a statement to a key's policy at an instant, in a transaction
// of another room, and otherwise leaves the policy as it is. statement makes the statement for a
// source, an ARN that only the transaction knows. A policy that can't take it is not changed:
// problem says why. The statement must name no user or role. Errors: NotFoundException,
// InvalidArnException.
func (o *Operator) AddStatement(
	account, name string, at time.Time, statement func(source string) string,
) func(tx kv.Tx, source string) (problem string, err error) {
	return func(tx kv.Tx, source string) (string, error) {
		k, _, err := o.find(tx, account, name, at)
		if err != nil {
			return "", err
		}
		if k.managed {
			return "The server manages the key, under a policy that nobody can change.", nil
		}
		text, err := policy.AddStatement(k.policy, statement(source))
		if err != nil {
			return "The key's policy has no list of statements.", nil
		}
		if len(text) > maxPolicy {
			return fault.From(policyTooLong()).Message, nil
		}
		d, err := o.parsePolicy(k, text)
		if err != nil {
			return "With one more statement the key's policy would not be valid: " + fault.From(err).Message, nil
		}
		if k.bound.Apply(d).IsPublic(policy.Peers{}) {
			return "The key's policy is public.", nil
		}
		k.setPolicy(text, k.bound)
		k.write(tx)
		return "", nil
	}
}
