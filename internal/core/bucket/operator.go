package bucket

import (
	"context"
	"slices"
	"time"

	"watertight/internal/access/authz"
	"watertight/internal/access/policy"
	"watertight/internal/core/change"
	"watertight/internal/fault"
	"watertight/internal/storage/kv"
)

// Operator offers what the operator may do to buckets. It takes no grant, because a user
// who may open the operator's socket owns all data. Handlers of the network API must not
// use it; test/arch checks that.
type Operator struct{ store *Store }

// NewOperator returns the operator's access to the buckets of s.
func NewOperator(s *Store) *Operator { return &Operator{s} }

// Block is a change of Block Public Access by the operator, for a bucket or an account. On
// sets all four settings and ends every exception. Otherwise nothing is blocked, either for
// a given time (only for accounts), or until the next change.
type Block struct {
	Account, Bucket string // exactly one is set
	On              bool
	At, Until       time.Time
	Reason          string // why; needed to unblock an account
}

// SetPublic makes the operator's change; record is its audit event. The caller must have
// checked that the account exists. Errors: NoSuchBucket, ValidationError.
func (o *Operator) SetPublic(ctx context.Context, record authz.Record, in Block) error {
	invalid := func(message string) error { return fault.New(fault.ValidationError, message) }
	switch {
	case (in.Account == "") == (in.Bucket == ""):
		return invalid("Name an account or a bucket.")
	case in.Account != "" && !in.On && in.Reason == "":
		return invalid("Unblocking an account needs --reason.")
	case len(in.Reason) > 1024:
		return invalid("The reason is longer than 1,024 bytes.")
	case in.On && !in.Until.IsZero(), in.Bucket != "" && !in.Until.IsZero(),
		!in.Until.IsZero() && !in.Until.After(in.At):
		return invalid("Only an account can be unblocked for a time, which must be positive.")
	}
	return change.Operate(ctx, o.store.store, record, func(tx kv.Tx) error {
		if in.Account != "" {
			a := AccountPublic{Access: blockAll(), Reason: in.Reason}
			switch {
			case !in.On && in.Until.IsZero():
				a.Access = policy.PublicAccess{}
			case !in.On:
				a.From, a.Until = in.At, in.Until
			}
			return setAccountPublic(tx, in.Account, a)
		}
		if err := tx.Lock(Guard(in.Bucket), kv.Exclusive); err != nil {
			return err
		}
		b, err := Read(tx, in.Bucket)
		if err != nil {
			return err
		}
		p := policy.PublicAccess{}
		if in.On {
			p = blockAll()
		}
		return setPublic(tx, &b, &p)
	})
}

// Report describes a bucket to the operator: the settings of the bucket and of its account,
// their merged effect, and who has access by the bucket's policy and ACL.
type Report struct {
	Bucket, Account string
	Own, Merged     policy.PublicAccess
	OwnNone         bool
	OfAccount       AccountPublic
	HasPolicy       bool
	Exposure        policy.Exposure
}

// ReportAccount returns an account's setting for public access.
func (o *Operator) ReportAccount(ctx context.Context, account string) (a AccountPublic, err error) {
	err = o.store.store.View(ctx, func(r kv.Reader) error {
		a, err = readAccountPublic(r, account)
		return err
	})
	return a, err
}

// Report describes a bucket at an instant. Error: NoSuchBucket.
func (o *Operator) Report(ctx context.Context, name string, at time.Time) (out Report, err error) {
	err = o.store.store.View(ctx, func(r kv.Reader) error {
		b, err := Read(r, name)
		if err != nil {
			return err
		}
		laws, err := o.store.lawsIn(r, &b, at)
		if err != nil {
			return err
		}
		out = Report{
			Bucket: name, Account: b.Owner, Own: b.Public, OwnNone: b.PublicNone, Merged: laws.Public,
			HasPolicy: b.Policy != PolicyID{},
		}
		documents := slices.Clip(laws.Documents)
		if laws.ACL != nil {
			documents = append(documents, laws.ACL)
		}
		out.Exposure = policy.Exposed(policy.Laws{
			Resource: documents, Public: laws.Public, Peers: laws.Peers, ResourceOwner: laws.Owner,
		})
		out.OfAccount, err = readAccountPublic(r, b.Owner)
		return err
	})
	return out, err
}
