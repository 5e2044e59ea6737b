package kms

import (
	"context"
	"slices"
	"strings"
	"time"

	"watertight/internal/access/arn"
	"watertight/internal/access/authz"
	"watertight/internal/access/policy"
	"watertight/internal/core/change"
	"watertight/internal/fault"
	"watertight/internal/storage/kv"
)

// Report tells the operator who can use a key.
type Report struct {
	ARN     arn.ARN
	State   State
	Managed bool
	// Exposure says who can use the key besides its own account, by policy and grants.
	Exposure policy.Exposure
	// Named are the accounts, users, roles and sessions in Allow statements of the policy,
	// under their current names; "*" is everyone who meets the statement's conditions.
	Named []string
	// Grantees are the grantees of the first 1,000 grants.
	Grantees []string
	Grants   int
}

// Report returns the Report of a key, named by its id or its ARN, at a time. Errors:
// NotFoundException, InvalidArnException.
func (o *Operator) Report(ctx context.Context, name string, at time.Time) (out Report, err error) {
	err = o.store.View(ctx, func(r kv.Reader) error {
		k, err := o.findAny(r, name, at)
		if err != nil {
			return err
		}
		out = Report{ARN: k.arn(), State: k.stateAt(at), Managed: k.managed, Grants: int(k.grants)}
		laws, err := granted(r, k.id, mostReported)
		if err != nil {
			return err
		}
		d := o.decoded.policies.get(k)[0]
		out.Exposure = policy.Exposed(policy.Laws{
			Resource: []*policy.Document{d, policy.Grants(laws)}, ResourceOwner: k.account, ResourceMustAllow: true,
		})
		for _, g := range laws {
			to, err := o.nameNow(r, party{g.Grantee, g.Bound})
			if err != nil {
				return err
			}
			out.Grantees = append(out.Grantees, to)
		}
		slices.Sort(out.Grantees)
		out.Grantees = slices.Compact(out.Grantees)
		if d == nil {
			return nil
		}
		now, err := k.bound.Renamed(r, o.principals)
		if err == nil {
			out.Named = named(d.Rename(now))
		}
		return err
	})
	return out, err
}

// mostReported bounds the grants of a report.
const mostReported = 1000

// named returns the AWS principals in Allow statements of a document.
func named(d *policy.Document) (all []string) {
	for _, s := range d.Statements() {
		for _, p := range s.Principals {
			if s.Effect == policy.Allow && p.Type == "AWS" {
				all = append(all, p.Value)
			}
		}
	}
	slices.Sort(all)
	return slices.Compact(all)
}

// ScheduleDeletion is ScheduleKeyDeletion for the operator; it ignores the key's policy.
// event is the audit event of the command. The key is named by its id or its ARN. Errors:
// NotFoundException, InvalidArnException, KMSInvalidStateException, ValidationException,
// and AccessDenied for a key that the server manages.
func (o *Operator) ScheduleDeletion(
	ctx context.Context, event authz.Record, name string, days int,
) (out Metadata, err error) {
	return out, change.Operate(ctx, o.store, event, func(tx kv.Tx) error {
		at := o.now()
		k, err := o.findAny(tx, name, at)
		if err != nil {
			return err
		}
		if k.managed {
			return fault.New(fault.AccessDenied, k.arn().String()+" is managed by the server and cannot be changed.")
		}
		if err := k.check(toSchedule, at); err != nil {
			return err
		}
		return k.update(tx, func() error {
			err := k.schedule(days, at)
			out = k.metadata(at)
			return err
		})
	})
}

// findAny returns the key of any account with an id or ARN.
func (o *Operator) findAny(r kv.Reader, name string, at time.Time) (*keyRecord, error) {
	if strings.HasPrefix(name, "arn:") {
		return o.findOwn(r, "", name, at)
	}
	if _, ok := parseKeyID(name); !ok {
		return nil, invalidKeyID(name)
	}
	k, err := readKey(r, name)
	if err == nil && (k == nil || k.isDestroyed(at)) {
		err = notFound("Key '" + name + "' does not exist")
	}
	return k, err
}
