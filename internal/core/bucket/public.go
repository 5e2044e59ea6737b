package bucket

import (
	"fmt"
	"time"

	"watertight/internal/access/policy"
	"watertight/internal/core/change/record"
	"watertight/internal/fault"
	"watertight/internal/storage/kv"
)

// AccountPublic is an account's Block Public Access setting. An account that never set it
// has all four settings on.
type AccountPublic struct {
	Access policy.PublicAccess
	// None means that the account deleted its setting, so that only the buckets' own
	// settings apply.
	None bool
	// Between From and Until nothing is blocked for the account, because of Reason.
	From, Until time.Time
	Reason      string // why the operator unblocked the account; empty if it is not unblocked

	kept []byte // unknown fields of the record, see record.Fields.Keep
}

// At returns what the setting blocks at a time. The zero time is never inside the exception.
func (a *AccountPublic) At(at time.Time) policy.PublicAccess {
	if !at.IsZero() && !at.Before(a.From) && at.Before(a.Until) {
		return policy.PublicAccess{}
	}
	return a.Access
}

// Public returns the merged Block Public Access setting of a bucket at a time: the bucket's
// own setting or its account's, whichever is stricter (S3 user guide, "Block public access
// settings").
func Public(r kv.Reader, b *Bucket, at time.Time) (policy.PublicAccess, error) {
	account, err := readAccountPublic(r, b.Owner)
	if err != nil {
		return blockAll(), err
	}
	return account.merge(b, at), nil
}

// merge returns the stricter of the account's setting and a bucket's own.
func (a *AccountPublic) merge(b *Bucket, at time.Time) policy.PublicAccess {
	return b.Public.Stricter(a.At(at))
}

// nextChange returns when the setting next changes without a write, after at; zero means never.
func (a *AccountPublic) nextChange(at time.Time) time.Time {
	for _, next := range [...]time.Time{a.From, a.Until} {
		if at.Before(next) {
			return next
		}
	}
	return time.Time{}
}

// Fields of an account's setting.
const (
	fieldAccountPublic = 1 // bits, as in a bucket's record
	fieldFrom          = 2
	fieldUntil         = 3
	fieldReason        = 4
)

func publicKey(account string) []byte { return record.Key(publicPrefix, account) }

func (a *AccountPublic) encode() []byte {
	r := record.Uint(record.Start(nil), fieldAccountPublic, publicBits(a.Access, a.None))
	r = record.Time(r, fieldFrom, a.From)
	r = record.Time(r, fieldUntil, a.Until)
	r = record.String(r, fieldReason, a.Reason)
	return append(r, a.kept...)
}

func readAccountPublic(r kv.Reader, account string) (AccountPublic, error) {
	a := AccountPublic{Access: blockAll()}
	v, err := r.Get(publicKey(account))
	if err != nil || v == nil {
		return a, err
	}
	f := record.Read(v)
	for f.Next() {
		switch f.Number {
		case fieldAccountPublic:
			a.Access, a.None = publicOf(&f)
		case fieldFrom:
			a.From = f.Time()
		case fieldUntil:
			a.Until = f.Time()
		case fieldReason:
			a.Reason = string(f.Bytes)
		default:
			a.kept = f.Keep(a.kept)
		}
	}
	if err := f.Err(); err != nil {
		return AccountPublic{Access: blockAll()}, fault.Internal(fmt.Errorf("public access of account %s: %w", account,
			err))
	}
	return a, nil
}

// The bits of a setting. Without publicSaid, it was never set, and everything is blocked.
// The numbers are stored.
const (
	blockPublicACLs       = 1
	ignorePublicACLs      = 2
	blockPublicPolicy     = 4
	restrictPublicBuckets = 8
	publicSaid            = 16
	publicNone            = 32 // the setting was removed
)

func publicBits(p policy.PublicAccess, none bool) uint64 {
	bits := uint64(publicSaid)
	for bit, on := range map[uint64]bool{
		blockPublicACLs: p.BlockPublicACLs, ignorePublicACLs: p.IgnorePublicACLs,
		blockPublicPolicy:     p.BlockPublicPolicy,
		restrictPublicBuckets: p.RestrictPublicBuckets, publicNone: none,
	} {
		if on {
			bits |= bit
		}
	}
	return bits
}

func publicOf(f *record.Fields) (p policy.PublicAccess, none bool) {
	bits := f.Uint
	if bits >= publicNone<<1 {
		f.Unknown()
	}
	// Records of the first releases lack publicSaid, and block everything.
	if bits&publicSaid == 0 {
		return blockAll(), false
	}
	return policy.PublicAccess{
		BlockPublicACLs: bits&blockPublicACLs != 0, IgnorePublicACLs: bits&ignorePublicACLs != 0,
		BlockPublicPolicy: bits&blockPublicPolicy != 0, RestrictPublicBuckets: bits&restrictPublicBuckets != 0,
	}, bits&publicNone != 0
}
