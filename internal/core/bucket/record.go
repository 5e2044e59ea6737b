package bucket

import (
	"encoding/binary"
	"fmt"
	"reflect"

	"watertight/internal/access/arn"
	"watertight/internal/access/authz"
	"watertight/internal/core/change/record"
	"watertight/internal/fault"
	"watertight/internal/storage/kv"
)

// Keys of this package's records:
//
//	b/NAME          a bucket
//	o/ACCOUNT/NAME  the buckets of an account, as a listing shows them
//	n/ACCOUNT       how many buckets an account has
//	h/ACCOUNT       an account's Block Public Access setting
//	f/ID/PRINCIPAL  a principal that may change nothing in a bucket, see freeze.go
//
// NAME and ACCOUNT hold no slash.
const (
	bucketPrefix = "b/"
	ownerPrefix  = "o/"
	countPrefix  = "n/"
	publicPrefix = "h/"
	freezePrefix = "f/"
)

// Fields of a bucket's record, and of its entry in the owner's index.
const (
	fieldID         = 1
	fieldOwner      = 2
	fieldRegion     = 3
	fieldCreated    = 4
	fieldVersioning = 5
	fieldPublic     = 6 // bits, see public.go
	fieldOwnership  = 7
	fieldEncryption = 8
	fieldPolicy     = 9
	fieldKMS        = 10 // instead of fieldEncryption, see kmsNumber
	fieldMFADelete  = 11
	fieldObjectLock = 12 // it is enabled
	fieldLockMode   = 13 // of the default retention
	fieldLockDays   = 14
	fieldLockYears  = 15
	fieldFrozen     = 16
	fieldLifecycle  = 17 // id of the writing
	fieldGrant      = 20 // repeated, see acl.List
)

func bucketKey(name string) []byte         { return record.Key(bucketPrefix, name) }
func ownerKey(account, name string) []byte { return record.Key(ownerPrefix, account, "/", name) }
func countKey(account string) []byte       { return record.Key(countPrefix, account) }

// Guard names the guard of a bucket: writes into the bucket share it; creating,
// changing and deleting the bucket hold it exclusively.
func Guard(name string) []byte { return bucketKey(name) }

// VersionPrefix begins the keys of all versions of all buckets.
const VersionPrefix = "v/"

// VersionsOf is the prefix of the keys of all versions and delete markers in the
// bucket. Package object writes them; Delete checks that none is left.
func VersionsOf(id ID) []byte { return record.Key(VersionPrefix, string(id[:]), "/") }

func (b *Bucket) encode() []byte {
	r := record.Start(make([]byte, 0, 96))
	r = record.Bytes(r, fieldID, b.ID[:])
	r = record.String(r, fieldOwner, b.Owner)
	r = record.String(r, fieldRegion, b.Region)
	r = record.Time(r, fieldCreated, b.Created)
	r = record.Uint(r, fieldVersioning, uint64(b.Versioning))
	r = record.Uint(r, fieldPublic, publicBits(b.Public, b.PublicNone))
	r = record.String(r, fieldOwnership, string(b.Ownership))
	if n := kmsNumber(b.Encryption); n != 0 {
		r = record.Uint(r, fieldKMS, n)
	} else {
		r = record.String(r, fieldEncryption, string(b.Encryption))
	}
	r = record.Uint(r, fieldMFADelete, uint64(b.MFADelete))
	if b.Policy != (PolicyID{}) {
		r = record.Bytes(r, fieldPolicy, b.Policy[:])
	}
	r = b.ObjectLock.append(r)
	r = record.Bool(r, fieldFrozen, b.Frozen)
	if b.Lifecycle != (LifecycleID{}) {
		r = record.Bytes(r, fieldLifecycle, b.Lifecycle[:])
	}
	r = b.ACL.Append(r, fieldGrant)
	return append(r, b.kept...)
}

// kmsNumber returns the number of a default encryption under a key of KMS, and 0 for
// others. The numbers are stored.
func kmsNumber(e Encryption) uint64 {
	switch e {
	case KMS:
		return 1
	case DSSE:
		return 2
	}
	return 0
}

// write stores the bucket's record.
func (b *Bucket) write(tx kv.Tx) { tx.Set(bucketKey(b.Name), b.encode()) }

func decode(name string, value []byte) (Bucket, error) {
	b := Bucket{Name: name, Settings: Settings{Public: blockAll()}}
	f := record.Read(value)
	for f.Next() {
		switch f.Number {
		case fieldID:
			if copy(b.ID[:], f.Bytes) != len(b.ID) {
				return Bucket{}, malformed(name)
			}
		case fieldOwner:
			b.Owner = string(f.Bytes)
		case fieldRegion:
			b.Region = string(f.Bytes)
		case fieldCreated:
			b.Created = f.Time()
		case fieldVersioning:
			if f.Uint > uint64(Suspended) {
				return Bucket{}, malformed(name)
			}
			b.Versioning = Versioning(f.Uint)
		case fieldPublic:
			b.Public, b.PublicNone = publicOf(&f)
		case fieldOwnership:
			b.Ownership = Ownership(intern(f.Bytes, string(BucketOwnerEnforced)))
		case fieldEncryption:
			b.Encryption = Encryption(intern(f.Bytes, string(AES256)))
		case fieldKMS:
			switch f.Uint {
			case kmsNumber(KMS):
				b.Encryption = KMS
			case kmsNumber(DSSE):
				b.Encryption = DSSE
			default:
				return Bucket{}, malformed(name)
			}
		case fieldMFADelete:
			if f.Uint > uint64(MFADeleteDisabled) {
				return Bucket{}, malformed(name)
			}
			b.MFADelete = MFADelete(f.Uint)
		case fieldFrozen:
			b.Frozen = f.Uint != 0
		case fieldGrant:
			if !b.ACL.Take(&f) {
				return Bucket{}, malformed(name)
			}
		case fieldPolicy:
			// A policy id that can't be read must not count as "no policy".
			if copy(b.Policy[:], f.Bytes) != len(b.Policy) || b.Policy == (PolicyID{}) {
				return Bucket{}, malformed(name)
			}
		case fieldObjectLock, fieldLockMode, fieldLockDays, fieldLockYears:
			b.ObjectLock.take(&f)
		case fieldLifecycle:
			if copy(b.Lifecycle[:], f.Bytes) != len(b.Lifecycle) || b.Lifecycle == (LifecycleID{}) {
				return Bucket{}, malformed(name)
			}
		default:
			b.kept = f.Keep(b.kept)
		}
	}
	if err := f.Err(); err != nil {
		return Bucket{}, unreadable(name, err)
	}
	if b.ID == (ID{}) || b.Owner == "" || !b.ObjectLock.valid() {
		return Bucket{}, malformed(name)
	}
	return b, nil
}

// intern avoids an allocation if b is the usual value.
func intern(b []byte, usual string) string {
	if string(b) == usual {
		return usual
	}
	return string(b)
}

func malformed(name string) error { return unreadable(name, record.ErrMalformed) }

// unreadable is the error for a record of a bucket that can't be read.
func unreadable(name string, err error) error {
	return fault.Internal(fmt.Errorf("bucket %q: %w", name, err))
}

// Read returns a bucket as r sees it, for callers inside a transaction or view. Error:
// NoSuchBucket.
func Read(r kv.Reader, name string) (Bucket, error) {
	b, found, err := find(r, name)
	if err == nil && !found {
		err = noSuchBucket(name)
	}
	return b, err
}

// For returns the bucket's record on which a grant was decided. It reads the record only if
// the grant does not hold it. A commit by change.Commit is refused if the bucket has
// changed since the decision; operations that commit nothing must call Current. The caller
// must not modify the bucket.
func For(r kv.Reader, g authz.Grant, name string) (*Bucket, error) {
	if b, ok := g.Record(arn.Bucket(name)).(*Bucket); ok {
		return b, nil
	}
	b, err := Read(r, name)
	if err != nil {
		return nil, err
	}
	return &b, nil
}

// Current reports whether r sees the bucket unchanged.
func (b *Bucket) Current(r kv.Reader) (bool, error) {
	now, found, err := find(r, b.Name)
	return found && reflect.DeepEqual(&now, b), err
}

func find(r kv.Reader, name string) (Bucket, bool, error) {
	if len(name) > maxName {
		return Bucket{}, false, nil
	}
	v, err := r.Get(bucketKey(name))
	if err != nil || v == nil {
		return Bucket{}, false, err
	}
	b, err := decode(name, v)
	return b, err == nil, err
}

func readCount(r kv.Reader, account string) (uint64, error) {
	v, err := r.Get(countKey(account))
	if err != nil || v == nil {
		return 0, err
	}
	n, size := binary.Uvarint(v)
	if size <= 0 {
		return 0, malformed(account)
	}
	return n, nil
}

func writeCount(tx kv.Tx, account string, n uint64) {
	tx.Set(countKey(account), binary.AppendUvarint(nil, n))
}
