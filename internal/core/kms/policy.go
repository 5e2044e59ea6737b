package kms

import (
	"context"
	"errors"
	"slices"
	"strconv"
	"strings"
	"time"

	"watertight/internal/access/action"
	"watertight/internal/access/arn"
	"watertight/internal/access/authz"
	"watertight/internal/access/policy"
	"watertight/internal/core/principal"
	"watertight/internal/fault"
	"watertight/internal/storage/kv"
)

// PolicyName is the only name that a key's policy can have.
const PolicyName = "default"

// GetKeyPolicy returns a key's policy as it was written, but with the current names of
// users and roles; deleted ones are shown by their unique ids. It needs
// kms:GetKeyPolicy on the key. Errors: NotFoundException, InvalidArnException.
func (s *Store) GetKeyPolicy(ctx context.Context, g authz.Grant, key string) (text string, err error) {
	err = s.view(ctx, g, "kms:GetKeyPolicy", key, func(r kv.Reader, k *keyRecord, _ time.Time) error {
		text, err = k.bound.Text(r, s.principals, policy.Key, k.policy)
		return err
	})
	return text, err
}

// ListKeyPolicies returns the names of a key's policies. It needs kms:ListKeyPolicies
// on the key. Errors: NotFoundException, InvalidArnException.
func (s *Store) ListKeyPolicies(ctx context.Context, g authz.Grant, key string) (names []string, err error) {
	return []string{PolicyName}, s.view(ctx, g, "kms:ListKeyPolicies", key,
		func(kv.Reader, *keyRecord, time.Time) error { return nil })
}

// PutKeyPolicy replaces a key's policy. A policy that would not allow the caller to replace
// it again is refused unless bypassLockOut is set. It needs kms:PutKeyPolicy on the key.
// Errors: NotFoundException, InvalidArnException, MalformedPolicyDocumentException,
// LimitExceededException, and AccessDenied for a public policy and for keys that the server
// manages.
func (s *Store) PutKeyPolicy(ctx context.Context, g authz.Grant, key, text string, bypassLockOut bool) error {
	if len(text) > maxPolicy {
		return policyTooLong()
	}
	return s.modify(ctx, g, "kms:PutKeyPolicy", key, toRead, func(tx kv.Tx, k *keyRecord, _ time.Time) error {
		bound, err := s.bindPolicy(ctx, tx, g, k, text, bypassLockOut)
		if err == nil {
			k.setPolicy(text, bound)
		}
		return err
	})
}

// bindPolicy checks a policy for a key and binds its principals to their unique ids.
// Errors: MalformedPolicyDocumentException, and AccessDenied for a public policy.
func (s *Store) bindPolicy(
	ctx context.Context, r kv.Reader, g authz.Grant, k *keyRecord, text string, bypassLockOut bool,
) (principal.Bindings, error) {
	d, err := s.parsePolicy(k, text)
	if err != nil {
		return nil, err
	}
	bound, err := principal.Bind(r, s.principals, d)
	if unknown, ok := errors.AsType[*principal.Unknown](err); ok {
		return nil, malformedPolicy("Policy contains a statement with one or more invalid principals.").Because(unknown)
	}
	if err != nil {
		return nil, err
	}
	d = bound.Apply(d)
	if d.IsPublic(policy.Peers{}) {
		who := g.Caller().Principal().ARN.String()
		return nil, fault.New(fault.AccessDenied, "User: "+who+" is not authorized to perform: kms:PutKeyPolicy on "+
			"resource: "+k.arn().String()+" because public policies of keys are prevented: name the accounts, users, "+
			"roles or services, or ask for their kms:CallerAccount.")
	}
	if bypassLockOut {
		return bound, nil
	}
	return bound, s.checkLockOut(kv.Through(ctx, r), g, k, d)
}

// checkLockOut refuses a policy that would not allow its writer to put another one.
func (s *Store) checkLockOut(ctx context.Context, g authz.Grant, k *keyRecord, d *policy.Document) error {
	subject := Subject{Key: k.key(), Account: k.account, Imported: k.imported}
	v, err := g.Under(ctx, authz.ResourceLaws{
		Owner: k.account, Documents: []*policy.Document{d}, MustAllow: true,
	}, authz.Need{Action: "kms:PutKeyPolicy", Resource: k.arn(), Keys: subject.Conditions()})
	if err != nil {
		return err
	}
	if v.Effect != policy.Allow {
		return malformedPolicy("The new key policy will not allow you to update the key policy in the future.")
	}
	return nil
}

func malformedPolicy(message string) *fault.Error {
	return fault.New(fault.MalformedPolicyDocumentException, message)
}

// parsePolicy compiles a policy for a key. It refuses actions and condition keys that KMS
// does not know, and resources other than the key: a Deny that never applies would protect
// nothing. Error: MalformedPolicyDocumentException.
func (s *Store) parsePolicy(k *keyRecord, text string) (*policy.Document, error) {
	d, err := policy.Parse(policy.Key, []byte(text))
	if err != nil {
		message := "Policy contains a statement that is not valid."
		if e, ok := errors.AsType[*policy.Error](err); ok {
			message = strings.TrimPrefix(e.Error(), "policy: ")
			if e.Problem == policy.BadPrincipal {
				message = "Policy contains a statement with one or more invalid principals."
			}
		}
		return nil, malformedPolicy(message).Because(err)
	}
	for _, st := range d.Statements() {
		if message := s.checkStatement(k.arn(), &st); message != "" {
			return nil, malformedPolicy(message)
		}
	}
	return d, nil
}

// checkStatement returns what is wrong with a statement, or "".
func (s *Store) checkStatement(key arn.ARN, st *policy.Statement) string {
	for _, r := range st.Resources {
		if r != "*" && r != key.String() {
			return "Policy contains a statement with one or more invalid resources: the resource is the key, \"*\"."
		}
	}
	for _, entry := range st.Actions {
		matches, err := policy.ActionMatcher(entry)
		if err != nil || !slices.ContainsFunc(s.catalogue.Actions, func(a action.Action) bool {
			return matches(policy.Action(a.Name))
		}) {
			return "Policy contains a statement with one or more invalid actions: " + entry
		}
	}
	for _, c := range st.Conditions {
		if key := policy.KeyName(c.Key); !action.GlobalKey(key) && !s.catalogue.Knows(key) {
			return "Policy contains a statement with an invalid condition key: " + c.Key
		}
	}
	return ""
}

func policyTooLong() error {
	return fault.New(fault.LimitExceededException, "A key policy has at most "+strconv.Itoa(maxPolicy)+" bytes.")
}
