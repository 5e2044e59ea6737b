package bucket

import (
	"cmp"
	"context"
	"crypto/rand"
	"strings"
	"time"

	"watertight/internal/access/arn"
	"watertight/internal/access/authz"
	"watertight/internal/access/policy"
	"watertight/internal/core/change"
	"watertight/internal/core/change/record"
	"watertight/internal/core/known"
	"watertight/internal/core/page"
	"watertight/internal/core/tag"
	"watertight/internal/fault"
	"watertight/internal/storage/kv"
)

// blockAll returns all four Block Public Access settings.
func blockAll() policy.PublicAccess {
	return policy.PublicAccess{
		BlockPublicACLs: true, IgnorePublicACLs: true, BlockPublicPolicy: true, RestrictPublicBuckets: true,
	}
}

func noSuchBucket(name string) error {
	return fault.Of(fault.NoSuchBucket).With("BucketName", name)
}

// Create makes a bucket of the caller's account with AWS's defaults: Block
// Public Access on, ACLs disabled, SSE-S3, and SSE-C blocked unless
// AllowCustomerKeys was called (S3 user guide, "Default settings for new
// buckets"). It needs s3:CreateBucket, s3:PutBucketAcl where the ACL is not
// the default, s3:PutBucketOwnershipControls where the ownership is given,
// s3:TagResource where there are tags, and s3:PutBucketObjectLockConfiguration and
// s3:PutBucketVersioning where it has Object Lock.
// Errors: InvalidBucketName, the location's, BucketAlreadyOwnedByYou,
// BucketAlreadyExists, TooManyBuckets, InvalidBucketAclWithObjectOwnership,
// InvalidBucketAclWithBlockPublicAccessError.
func (s *Store) Create(ctx context.Context, g authz.Grant, in CreateInput) (Bucket, error) {
	if err := g.Demand("s3:CreateBucket", arn.Bucket(in.Name)); err != nil {
		return Bucket{}, err
	}
	if in.Ownership != "" {
		if err := g.Demand("s3:PutBucketOwnershipControls", arn.Bucket(in.Name)); err != nil {
			return Bucket{}, err
		}
	}
	if !in.ACL.IsDefault() {
		if err := g.Demand("s3:PutBucketAcl", arn.Bucket(in.Name)); err != nil {
			return Bucket{}, err
		}
	}
	if len(in.Tags) > 0 {
		if err := g.Demand("s3:TagResource", arn.Bucket(in.Name)); err != nil {
			return Bucket{}, err
		}
	}
	if in.ObjectLock {
		if err := demandObjectLock(g, in.Name); err != nil {
			return Bucket{}, err
		}
	}
	if err := CheckName(in.Name); err != nil {
		return Bucket{}, err
	}
	if err := CheckLocation(in.Location, s.region); err != nil {
		return Bucket{}, err
	}
	b := Bucket{
		Name:    in.Name,
		Owner:   g.Caller().Account(),
		Region:  s.region,
		Created: g.Caller().At().UTC().Truncate(time.Microsecond),
		Settings: Settings{
			Public:     blockAll(),
			Ownership:  cmp.Or(in.Ownership, BucketOwnerEnforced),
			Encryption: AES256,
		},
	}
	if in.ObjectLock {
		b.Versioning, b.ObjectLock.Enabled = Enabled, true
	}
	if b.Owner == "" {
		return Bucket{}, fault.Of(fault.AccessDenied)
	}
	if err := b.setFirstACL(&in.ACL); err != nil {
		return Bucket{}, err
	}
	rand.Read(b.ID[:])
	plain := in.Ownership == "" && in.ACL.IsDefault() && len(in.Tags) == 0 && !in.ObjectLock
	made := b
	err := change.Commit(ctx, s.store, g, func(tx kv.Tx) error {
		old, found, err := find(tx, in.Name)
		if err == nil && found && plain && old.Owner == b.Owner && old.Region == legacyRegion {
			made = old
			return nil
		}
		made = b
		return s.create(tx, &made, in.Tags)
	})
	return made, err
}

// legacyRegion is the region in which CreateBucket succeeds for a bucket that the caller
// owns already (S3 API reference, CreateBucket). AWS then resets the bucket's ACL; this
// server refuses a request with settings, as in other regions, and changes nothing.
const legacyRegion = "us-east-1"

func (s *Store) create(tx kv.Tx, b *Bucket, tags tag.Set) error {
	if err := lockOwned(tx, b.Name, b.Owner); err != nil {
		return err
	}
	old, found, err := find(tx, b.Name)
	if err != nil {
		return err
	}
	if found {
		return nameTaken(b, old.Owner)
	}
	n, err := readCount(tx, b.Owner)
	if err != nil {
		return err
	}
	if n >= MaxPerAccount {
		return fault.Of(fault.TooManyBuckets)
	}
	writeCount(tx, b.Owner, n+1)
	b.write(tx)
	if len(tags) > 0 {
		tagging().set(tx, b.ID, tags)
	}
	if s.customer != CustomerKeysUnset {
		encryption().set(tx, b.ID, DefaultEncryption{Customer: s.customer})
	}
	index := record.String(record.Start(nil), fieldRegion, b.Region)
	tx.Set(ownerKey(b.Owner, b.Name), record.Time(index, fieldCreated, b.Created))
	return nil
}

// lockOwned takes the guards of a bucket and of its owner's count, always in this order.
func lockOwned(tx kv.Tx, name, owner string) error {
	if err := tx.Lock(Guard(name), kv.Exclusive); err != nil {
		return err
	}
	return tx.Lock(countKey(owner), kv.Exclusive)
}

func nameTaken(b *Bucket, owner string) error {
	if owner == b.Owner {
		return fault.Of(fault.BucketAlreadyOwnedByYou).With("BucketName", b.Name)
	}
	return fault.Of(fault.BucketAlreadyExists).
		With("BucketName", b.Name)
}

// Head returns a bucket. It needs s3:ListBucket.
func (s *Store) Head(ctx context.Context, g authz.Grant, name string) (Bucket, error) {
	if err := g.Demand("s3:ListBucket", arn.Bucket(name)); err != nil {
		return Bucket{}, err
	}
	return s.read(ctx, name)
}

// Location returns the region of a bucket; the API layer maps us-east-1 to the
// empty LocationConstraint. It needs s3:GetBucketLocation.
func (s *Store) Location(ctx context.Context, g authz.Grant, name string) (string, error) {
	if err := g.Demand("s3:GetBucketLocation", arn.Bucket(name)); err != nil {
		return "", err
	}
	b, err := s.read(ctx, name)
	return b.Region, err
}

func (s *Store) read(ctx context.Context, name string) (b Bucket, err error) {
	err = s.store.View(ctx, func(r kv.Reader) error {
		b, err = Read(r, name)
		return err
	})
	return b, err
}

// Delete removes an empty bucket. It needs s3:DeleteBucket. Error: BucketNotEmpty if a
// version or a delete marker is left.
func (s *Store) Delete(ctx context.Context, g authz.Grant, name string) error {
	if err := g.Demand("s3:DeleteBucket", arn.Bucket(name)); err != nil {
		return err
	}
	return change.Commit(ctx, s.store, g, func(tx kv.Tx) error { return remove(tx, name) })
}

func remove(tx kv.Tx, name string) error {
	if err := tx.Lock(Guard(name), kv.Exclusive); err != nil {
		return err
	}
	b, err := Read(tx, name)
	if err != nil {
		return err
	}
	if err := tx.Lock(countKey(b.Owner), kv.Exclusive); err != nil {
		return err
	}
	versions := VersionsOf(b.ID)
	for _, err := range tx.Scan(versions, record.After(versions)) {
		if err != nil {
			return err
		}
		return notEmpty(&b)
	}
	n, err := readCount(tx, b.Owner)
	if err != nil {
		return err
	}
	writeCount(tx, b.Owner, max(n, 1)-1)
	tx.Delete(bucketKey(name))
	tx.Delete(ownerKey(b.Owner, name))
	if b.Lifecycle != (LifecycleID{}) {
		tx.Delete(b.ID.ProgressKey())
	}
	if err := removeFreezes(tx, &b); err != nil {
		return err
	}
	return removeSettings(tx, b.ID)
}

// removeSettings deletes every record of a bucket's settings, even those that only a later
// program knows.
func removeSettings(tx kv.Tx, id ID) error {
	prefix := id.settingsPrefix()
	for p, err := range tx.Scan(prefix, record.After(prefix)) {
		if err != nil {
			return err
		}
		tx.Delete(p.Key)
	}
	return nil
}

func notEmpty(b *Bucket) error {
	message := "The bucket you tried to delete is not empty"
	if b.Versioning != Off {
		message += ". You must delete all versions in the bucket."
	}
	return fault.New(fault.BucketNotEmpty, message).With("BucketName", b.Name)
}

// Laws returns the laws of a bucket and of everything in it at a time, or the zero laws if
// the bucket does not exist. It asks for no grant, because authorization calls it (see
// authz.Facts).
func (s *Store) Laws(ctx context.Context, name string, at time.Time) (*authz.ResourceLaws, error) {
	if k, ok := s.known.Get(ctx, s.store, name); ok {
		return s.laws(k, at), nil
	}
	return s.readLaws(ctx, strings.Clone(name), at)
}

func (s *Store) readLaws(ctx context.Context, name string, at time.Time) (*authz.ResourceLaws, error) {
	k, err := s.known.Find(ctx, s.store, name, func(r *known.Reader) (*settled, bool, error) {
		b, found, err := find(r, name)
		if err != nil || !found { // names that strangers make up are not kept
			return nil, false, err
		}
		return s.settle(r, r.Plain(), &b)
	})
	if err != nil || k == nil {
		return &authz.ResourceLaws{}, err
	}
	return s.laws(k, at), nil
}

// OwnerOf returns the account that owns a bucket, "" if the bucket does not exist. It asks
// for no grant, because it is needed before authorization (x-amz-expected-bucket-owner).
func (s *Store) OwnerOf(ctx context.Context, name string) (owner string, err error) {
	err = s.store.View(ctx, func(r kv.Reader) error {
		b, _, err := find(r, name)
		owner = b.Owner
		return err
	})
	return owner, err
}

// maxList is the largest page of buckets (API reference, ListBuckets).
const maxList = 10_000

// List returns a page of the buckets of the caller's account in order of their
// names. It needs s3:ListAllMyBuckets on AllBuckets. Errors: InvalidArgument.
func (s *Store) List(ctx context.Context, g authz.Grant, in ListInput) (Listing, error) {
	if err := g.Demand("s3:ListAllMyBuckets", arn.AllBuckets()); err != nil {
		return Listing{}, err
	}
	size := maxList
	if in.Max != nil {
		if size = *in.Max; size < 1 || size > maxList {
			return Listing{}, fault.New(fault.InvalidArgument,
				"Argument max-buckets must be an integer between 1 and 10000.").
				With("ArgumentName", "max-buckets")
		}
	}
	owner := g.Caller().Account()
	if owner == "" {
		return Listing{}, fault.Of(fault.AccessDenied)
	}
	from := ownerKey(owner, in.Prefix)
	to := record.After(from)
	scope := "buckets\x00" + owner
	if in.Token != nil {
		last, err := page.Open(scope, *in.Token)
		if err != nil {
			return Listing{}, err
		}
		if last > in.Prefix {
			from = ownerKey(owner, last+"\x00")
		}
	}
	l := Listing{Owner: owner}
	err := s.store.View(ctx, func(r kv.Reader) error { return l.fill(r, from, to, in.Region, size, scope) })
	return l, err
}

func (l *Listing) fill(r kv.Reader, from, to []byte, region string, size int, scope string) error {
	skip := len(ownerKey(l.Owner, ""))
	for p, err := range r.Scan(from, to) {
		if err != nil {
			return err
		}
		b := Summary{Name: string(p.Key[skip:])}
		f := record.Read(p.Value)
		for f.Next() {
			switch f.Number {
			case fieldRegion:
				b.Region = intern(f.Bytes, region)
			case fieldCreated:
				b.Created = f.Time()
			default:
				f.Keep(nil)
			}
		}
		if err := f.Err(); err != nil {
			return unreadable(b.Name, err)
		}
		if region != "" && !strings.EqualFold(b.Region, region) {
			continue
		}
		if len(l.Buckets) == size {
			l.Token = page.Token(scope, l.Buckets[size-1].Name)
			return nil
		}
		l.Buckets = append(l.Buckets, b)
	}
	return nil
}
