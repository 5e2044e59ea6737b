// Package bucket holds buckets and their settings. It exists so that every rule about a
// whole bucket is in one place: its name, its owner, and which requests it refuses. It must
// never know objects, HTTP or policy evaluation.
package bucket

import (
	"time"

	"watertight/internal/access/action"
	"watertight/internal/access/policy"
	"watertight/internal/core/acl"
	"watertight/internal/core/known"
	"watertight/internal/core/principal"
	"watertight/internal/core/tag"
	"watertight/internal/storage/kv"
)

// ID identifies a bucket. A bucket that is created again under the same name gets another
// id, and so has none of the old records.
type ID [8]byte

// Versioning is a bucket's versioning state (S3 user guide, "Using versioning").
type Versioning uint8

// The versioning states. A bucket never returns to Off. The numbers are stored.
const (
	Off       Versioning = 0
	Enabled   Versioning = 1
	Suspended Versioning = 2
)

// Encryption is how objects are encrypted. Its values are those of x-amz-server-side-encryption.
type Encryption string

// The kinds of encryption.
const (
	AES256 Encryption = "AES256"       // SSE-S3, the default
	KMS    Encryption = "aws:kms"      // SSE-KMS
	DSSE   Encryption = "aws:kms:dsse" // DSSE-KMS, two layers
)

// UsesKMS reports whether the encryption uses a key of KMS.
func (e Encryption) UsesKMS() bool { return e == KMS || e == DSSE }

// Settings are the settings that a bucket's owner may change.
type Settings struct {
	Versioning Versioning
	MFADelete  MFADelete
	Public     policy.PublicAccess // the bucket's own setting; function Public merges it with the account's
	PublicNone bool                // the setting was deleted: Public is zero
	Ownership  Ownership
	Encryption Encryption // the default encryption; EncryptionIn returns its key, too
	ObjectLock ObjectLock
}

// Bucket is a bucket's record.
type Bucket struct {
	Name    string
	ID      ID
	Owner   string // account id
	Region  string
	Created time.Time
	Policy  PolicyID
	// Lifecycle identifies the writing of the lifecycle configuration.
	Lifecycle LifecycleID
	ACL       acl.List // stored even while ACLs are disabled
	Frozen    bool     // some principals may change nothing, see Freeze
	Settings

	kept []byte // unknown fields of the record, see record.Fields.Keep
}

// MaxPerAccount is how many buckets an account may own (S3 user guide,
// "Bucket quotas").
const MaxPerAccount = 10_000

// Store manages the buckets of a server.
type Store struct {
	store      kv.Store
	region     string
	principals principal.Directory
	policies   policies
	known      known.Cache[string, *settled]
	rules      rulesCache
	lists      *acl.Compiled
	catalogue  action.Table // the actions of S3, and this server's own
	peers      policy.Peers
	customer   CustomerKeys // the setting of new buckets
}

// New returns the buckets in store, which are created in region. p resolves the principals
// that bucket policies name.
func New(store kv.Store, region string, p principal.Directory) *Store {
	return &Store{
		store: store, region: region, principals: p, policies: newPolicies(), rules: newRulesCache(),
		known: newSettled(), lists: acl.NewCompiled(), catalogue: catalogue(), customer: CustomerKeysBlocked,
	}
}

// catalogue returns the actions that a bucket policy may name.
func catalogue() action.Table {
	t := action.Parse("s3")
	t.Actions = append(t.Actions, action.Parse("watertight").Actions...)
	return t
}

// AllowCustomerKeys makes new buckets accept customers' keys (SSE-C). AWS has blocked them
// in new buckets since April 2026. It must be called before the first request.
func (s *Store) AllowCustomerKeys() { s.customer = CustomerKeysUnset }

// ServeFrom sets what is known about the networks that requests come from. It must be
// called before the first request.
func (s *Store) ServeFrom(p policy.Peers) { s.peers, s.known = p, newSettled() }

// Region returns the region of every bucket.
func (s *Store) Region() string { return s.region }

// CreateInput asks for a bucket. Location is the LocationConstraint, empty
// if none was given; Tags is a set that tag.NewBucket made. An empty Ownership
// is BucketOwnerEnforced. ObjectLock enables it, and versioning with it.
type CreateInput struct {
	Name, Location string
	Tags           tag.Set
	Ownership      Ownership
	ACL            acl.Request
	ObjectLock     bool
}

// ListInput asks for a page of the caller's account's buckets. Max is 1 to 10,000; nil
// means 10,000. Token is that of the previous page, nil for the first. An empty Region
// means all regions.
type ListInput struct {
	Prefix, Region string
	Token          *string
	Max            *int
}

// Summary is a bucket as a listing shows it.
type Summary struct {
	Name    string
	Region  string
	Created time.Time
}

// Listing is one page of buckets in order of their names. Token is empty on
// the last page.
type Listing struct {
	Owner   string // account id
	Buckets []Summary
	Token   string
}
