package bucket

import (
	"context"
	"slices"
	"time"

	"watertight/internal/access/arn"
	"watertight/internal/access/authz"
	"watertight/internal/access/policy"
	"watertight/internal/core/change"
	"watertight/internal/fault"
	"watertight/internal/storage/kv"
)

func noPublicAccessBlock(member, value string) error {
	return fault.Of(fault.NoSuchPublicAccessBlockConfiguration).With(member, value)
}

// own refuses callers of other accounts, whatever a policy allows them: what is
// public is nobody's business but the owner's.
func own(g authz.Grant, account string) error {
	if account == "" || g.Caller().Principal().Account != account {
		return fault.Of(fault.AccessDenied)
	}
	return nil
}

// SetPublic replaces a bucket's own Block Public Access setting; nil removes
// it, and then the account's alone counts. It needs
// s3:PutBucketPublicAccessBlock and a caller of the owner's account.
// Errors: NoSuchBucket, AccessDenied.
func (s *Store) SetPublic(ctx context.Context, g authz.Grant, name string, p *policy.PublicAccess) error {
	return s.configure(ctx, g, "s3:PutBucketPublicAccessBlock", name, func(tx kv.Tx, b *Bucket) error {
		if err := own(g, b.Owner); err != nil {
			return err
		}
		return setPublic(tx, b, p)
	})
}

func setPublic(tx kv.Tx, b *Bucket, p *policy.PublicAccess) error {
	before := b.Settings
	b.Public, b.PublicNone = policy.PublicAccess{}, p == nil
	if p != nil {
		b.Public = *p
	}
	if b.Settings == before {
		return change.ErrUnchanged
	}
	tx.Set(bucketKey(b.Name), b.encode())
	return nil
}

// GetPublic returns a bucket's own setting. It needs
// s3:GetBucketPublicAccessBlock.
// Errors: NoSuchBucket, NoSuchPublicAccessBlockConfiguration.
func (s *Store) GetPublic(ctx context.Context, g authz.Grant, name string) (policy.PublicAccess, error) {
	if err := g.Demand("s3:GetBucketPublicAccessBlock", arn.Bucket(name)); err != nil {
		return policy.PublicAccess{}, err
	}
	b, err := s.read(ctx, name)
	if err == nil && b.PublicNone {
		err = noPublicAccessBlock("BucketName", name)
	}
	return b.Public, err
}

// SetAccountPublic replaces the setting of the caller's account and ends an
// exception the operator made; nil removes it, and then the buckets' own alone
// count. It needs s3:PutAccountPublicAccessBlock on "*". Error: AccessDenied
// for another account than the caller's.
func (s *Store) SetAccountPublic(ctx context.Context, g authz.Grant, account string, p *policy.PublicAccess) error {
	if err := g.Demand("s3:PutAccountPublicAccessBlock", arn.Any()); err != nil {
		return err
	}
	if err := own(g, account); err != nil {
		return err
	}
	a := AccountPublic{None: p == nil}
	if p != nil {
		a.Access = *p
	}
	return change.Commit(ctx, s.store, g, func(tx kv.Tx) error { return setAccountPublic(tx, account, a) })
}

func setAccountPublic(tx kv.Tx, account string, a AccountPublic) error {
	if err := tx.Lock(publicKey(account), kv.Exclusive); err != nil {
		return err
	}
	tx.Set(publicKey(account), a.encode())
	return nil
}

// GetAccountPublic returns what the caller's account blocks at the instant of
// the request: all four where it never said anything. It needs
// s3:GetAccountPublicAccessBlock on "*". Errors: AccessDenied for another
// account, NoSuchPublicAccessBlockConfiguration where the setting was removed.
func (s *Store) GetAccountPublic(ctx context.Context, g authz.Grant, account string) (p policy.PublicAccess, err error) {
	if err := g.Demand("s3:GetAccountPublicAccessBlock", arn.Any()); err != nil {
		return p, err
	}
	if err := own(g, account); err != nil {
		return p, err
	}
	err = s.store.View(ctx, func(r kv.Reader) error {
		a, err := readAccountPublic(r, account)
		if err == nil && a.None {
			err = noPublicAccessBlock("AccountId", account)
		}
		p = a.At(g.Caller().At())
		return err
	})
	return p, err
}

// Block is the operator's change of Block Public Access: of a bucket, or of an
// account. On puts all four on and ends every exception. Otherwise nothing is
// blocked: until an instant where there is one (accounts alone), else until
// somebody blocks again.
type Block struct {
	Account, Bucket string // one of them
	On              bool
	At, Until       time.Time
	Reason          string // why; needed to unblock an account
}

// Operate makes the operator's change; record is its audit event. That the
// account exists is the caller's to know.
// Errors: NoSuchBucket, ValidationError.
func (s *Store) Operate(ctx context.Context, record authz.Record, in Block) error {
	invalid := func(message string) error { return fault.New(fault.ValidationError, message) }
	switch {
	case (in.Account == "") == (in.Bucket == ""):
		return invalid("Name an account or a bucket.")
	case in.Account != "" && !in.On && in.Reason == "":
		return invalid("To unblock an account say why.")
	case len(in.Reason) > 1024:
		return invalid("The reason is longer than 1,024 bytes.")
	case in.On && !in.Until.IsZero(), in.Bucket != "" && !in.Until.IsZero(), !in.Until.IsZero() && !in.Until.After(in.At):
		return invalid("Only an account is unblocked for a while, and for more than no time.")
	}
	return change.Operate(ctx, s.store, record, func(tx kv.Tx) error {
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

// Report is what the operator sees of a bucket: the settings of both levels,
// what they come to, and whom the bucket's documents let in.
type Report struct {
	Bucket, Account string
	Own, Merged     policy.PublicAccess
	OwnNone         bool
	OfAccount       AccountPublic
	HasPolicy       bool
	Exposure        policy.Exposure
}

// ReportAccount is what an account says of public access. It is for the
// operator.
func (s *Store) ReportAccount(ctx context.Context, account string) (a AccountPublic, err error) {
	err = s.store.View(ctx, func(r kv.Reader) error {
		a, err = readAccountPublic(r, account)
		return err
	})
	return a, err
}

// Report describes a bucket at an instant. It is for the operator.
// Error: NoSuchBucket.
func (s *Store) Report(ctx context.Context, name string, at time.Time) (out Report, err error) {
	err = s.store.View(ctx, func(r kv.Reader) error {
		b, err := Read(r, name)
		if err != nil {
			return err
		}
		laws, err := s.laws(r, &b, at)
		if err != nil {
			return err
		}
		out = Report{Bucket: name, Account: b.Owner, Own: b.Public, OwnNone: b.PublicNone, Merged: laws.Public, HasPolicy: b.Policy != PolicyID{}}
		documents := slices.Clip(laws.Documents)
		if laws.ACL != nil {
			documents = append(documents, laws.ACL)
		}
		out.Exposure = policy.Exposed(policy.Laws{Resource: documents, Public: laws.Public, Peers: laws.Peers, ResourceOwner: laws.Owner})
		out.OfAccount, err = readAccountPublic(r, b.Owner)
		return err
	})
	return out, err
}
