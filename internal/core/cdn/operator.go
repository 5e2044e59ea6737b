package cdn

import (
	"context"
	"slices"
	"time"

	"watertight/internal/access/authz"
	"watertight/internal/core/change"
	"watertight/internal/core/change/record"
	"watertight/internal/core/distribution"
	"watertight/internal/fault"
	"watertight/internal/storage/kv"
)

// Operator offers what the operator may do to distributions. It takes no grant; handlers of the
// network API must not use it.
type Operator struct{ *Store }

// NewOperator returns the Operator of s.
func NewOperator(s *Store) *Operator { return &Operator{s} }

// BucketInput describes a distribution that serves a bucket.
type BucketInput struct {
	Account        string // owner of the distribution
	Bucket         string
	Aliases        []string
	RootObject     string // default root object, or ""
	ViewerProtocol string // ViewerProtocolPolicy
	At             time.Time
	// Allow lets the distribution, which its ARN names, read the bucket. The functions run in
	// the transaction, and return why access can't be allowed, or "".
	Allow []func(tx kv.Tx, source string) (problem string, err error)
}

// BucketOutput is the distribution of a bucket.
type BucketOutput struct {
	Distribution
	Account  string
	Existed  bool     // nothing was changed
	Problems []string // of BucketInput.Allow, in its order, "" where there is none
}

// CreateForBucket creates an origin access control and a distribution for a bucket and runs
// Allow, all in one transaction. If a distribution of the account already serves the bucket,
// it is returned, and nothing is changed. event is the audit event. Errors: those of
// Store.CreateDistribution and Store.CreateOriginAccessControl.
func (o *Operator) CreateForBucket(
	ctx context.Context, event authz.Record, in BucketInput,
) (out BucketOutput, err error) {
	var id string
	err = change.Operate(ctx, o.store, event, func(tx kv.Tx) error {
		return modify(tx, in.Account, in.At, func(t *transaction) error {
			out = BucketOutput{Account: in.Account}
			if id, err = o.ofBucket(t, in.Bucket); err != nil {
				return err
			}
			if id != "" {
				out.Existed = true
				return change.ErrUnchanged
			}
			if id, err = o.addForBucket(t, &in); err != nil {
				return err
			}
			event.Note("distributionId", id)
			for _, allow := range in.Allow {
				problem, err := allow(tx, ofKind(in.Account, distributions(), id))
				if err != nil {
					return err
				}
				out.Problems = append(out.Problems, problem)
			}
			return nil
		})
	})
	if err == nil {
		err = o.Publish(ctx)
	}
	if err != nil {
		return out, err
	}
	return out, o.store.View(ctx, func(r kv.Reader) error {
		out.Distribution, err = o.describe(r, in.Account, id)
		return err
	})
}

func ofKind(account string, k kind, id string) string { return distribution.ARN(account, k.name, id) }

// ofBucket returns the id of an enabled distribution of the transaction's account that has a
// bucket as its origin, with an origin access control, or "".
func (o *Operator) ofBucket(t *transaction, bucket string) (string, error) {
	ids, err := record.Names(t, ownedKey(distributions(), t.account, ""))
	if err != nil {
		return "", err
	}
	for _, id := range ids {
		_, c, err := read[distribution.Config](t, distributions(), t.account, id)
		if err != nil {
			return "", err
		}
		if slices.ContainsFunc(c.Origins.Items, func(of distribution.Origin) bool {
			name, ok := distribution.BucketOf(of.DomainName, o.domains)
			return ok && name == bucket && of.S3OriginConfig != nil && of.OriginAccessControlId != ""
		}) && c.Enabled {
			return id, nil
		}
	}
	return "", nil
}

// addForBucket adds the access control and the distribution.
func (o *Operator) addForBucket(t *transaction, in *BucketInput) (id string, err error) {
	access := distribution.OriginAccessControlConfig{
		Name: in.Bucket[:min(len(in.Bucket), 49)] + "-" + newID('C'), SigningProtocol: "sigv4",
		SigningBehavior: "always", OriginAccessControlOriginType: "s3",
		Description: "Made by watertight cdn create",
	}
	a, err := accessControlDraft(access)
	if err != nil {
		return "", err
	}
	oac, err := add(t, accessControls(), a)
	if err != nil {
		return "", err
	}
	d, err := o.distributionDraft(distribution.Config{
		CallerReference: newUUID(), Enabled: true, DefaultRootObject: in.RootObject,
		Comment: "Made by watertight cdn create for the bucket " + in.Bucket,
		Aliases: distribution.Aliases{Quantity: len(in.Aliases), Items: in.Aliases},
		Origins: distribution.Origins{Quantity: 1, Items: []distribution.Origin{{
			Id: in.Bucket, DomainName: in.Bucket + ".s3.amazonaws.com", OriginAccessControlId: oac.id,
			S3OriginConfig: &distribution.S3OriginConfig{},
		}}},
		DefaultCacheBehavior: distribution.CacheBehavior{
			TargetOriginId: in.Bucket, ViewerProtocolPolicy: in.ViewerProtocol,
			CachePolicyId: distribution.CachingOptimized, Compress: true,
		},
	}, nil)
	if err != nil {
		return "", err
	}
	i, err := add(t, distributions(), d)
	if err != nil {
		return "", err
	}
	return i.id, nil
}

// Distributions returns the distribution with an id, or all distributions of every account,
// with their owners. From a list of all, those that can't be read are left out and counted.
// Error: NoSuchDistribution.
func (o *Operator) Distributions(ctx context.Context, id string) (all []BucketOutput, unreadable int, err error) {
	return all, unreadable, o.store.View(ctx, func(r kv.Reader) error {
		all, unreadable = nil, 0
		prefix := itemKey(distributions(), id)
		for p, err := range r.Scan(prefix, record.After(prefix)) {
			if err != nil {
				return err
			}
			found := string(p.Key[len(itemPrefix(distributions())):])
			if id != "" && found != id {
				continue
			}
			i, err := decodeItem(found, p.Value)
			if err == nil {
				var d Distribution
				if d, err = o.describe(r, i.account, found); err == nil {
					all = append(all, BucketOutput{Distribution: d, Account: i.account})
					continue
				}
			}
			if id != "" {
				return err
			}
			unreadable++
		}
		if id != "" && len(all) == 0 {
			return fault.Of(fault.NoSuchDistribution)
		}
		return nil
	})
}

// Invalidate is Store.CreateInvalidation for the operator, with a new caller reference. event is
// the audit event. Errors: NoSuchDistribution, and those of
// distribution.InvalidationBatch.Complete.
func (o *Operator) Invalidate(
	ctx context.Context, event authz.Record, id string, paths []string, at time.Time,
) (out Invalidation, err error) {
	in := distribution.InvalidationBatch{
		CallerReference: newUUID(), Paths: distribution.InvalidationPaths{Quantity: len(paths), Items: paths},
	}
	if err := in.Complete(); err != nil {
		return out, err
	}
	var made *batch
	var owner string
	err = change.Operate(ctx, o.store, event, func(tx kv.Tx) error {
		i, err := readAnyItem(tx, distributions(), id)
		if err != nil {
			return err
		}
		owner = i.account
		return modify(tx, owner, at, func(t *transaction) (err error) {
			if made, err = invalidate(t, id, &in, nil); err == nil {
				event.Note("invalidationId", invalidationID(made.number))
			}
			return err
		})
	})
	if err == nil {
		err = o.Publish(ctx)
	}
	if err != nil {
		return out, err
	}
	return o.invalidation(owner, id, made, in), nil
}
