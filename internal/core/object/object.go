package object

import (
	"encoding/base64"
	"encoding/hex"
	"io"
	"strconv"
	"time"

	"watertight/internal/core/acl"
	"watertight/internal/core/bucket"
	"watertight/internal/core/instant"
	"watertight/internal/core/mfa"
	"watertight/internal/core/tag"
	"watertight/internal/storage/digest"
	"watertight/internal/storage/kv"
)

// Limits of S3 (S3 user guide, "Object key names" and "Working with object
// metadata"; API reference, PutObject).
const (
	MaxMetadata = 2 << 10 // bytes of the names and values of user metadata
	MaxPut      = 5 << 30 // bytes of one PUT
	MaxPage     = 1000    // entries of a listing, and items of one DeleteObjects
)

// Store manages the objects of a server.
type Store struct {
	store    kv.Store
	lists    *acl.Compiled
	payloads Payloads
	buckets  *bucket.Store
	kms      KMS   // nil: no KMS key can be used
	minPart  int64 // bytes; tests may set less than MinPart
	absent   int   // maxAbsent; tests may set less
	clock    *instant.Clock
	holds    *holds
	watcher  Watcher // nil: nobody is told
}

// New returns a Store of the objects in store. payloads keeps their bytes, and kms decides
// who may use which key of KMS.
func New(store kv.Store, payloads Payloads, buckets *bucket.Store, kms KMS) *Store {
	return &Store{
		store: store, lists: acl.NewCompiled(), payloads: payloads, buckets: buckets, kms: kms, minPart: MinPart,
		absent: maxAbsent, holds: newHolds(), clock: new(instant.Clock),
	}
}

// NullVersion is the id of a version written while versioning was not enabled.
const NullVersion = "null"

// ETag is an entity tag. Its Sum is the MD5 of the plaintext or, if Parts is set, the MD5
// of the MD5s of that many parts. Under a customer's key or a key of KMS it is random
// instead.
type ETag struct {
	Sum   [16]byte
	Parts uint32
}

// Append appends the tag without quotes to dst.
func (e ETag) Append(dst []byte) []byte {
	dst = hex.AppendEncode(dst, e.Sum[:])
	if e.Parts > 0 {
		dst = strconv.AppendUint(append(dst, '-'), uint64(e.Parts), 10)
	}
	return dst
}

// String returns the tag without quotes.
func (e ETag) String() string { return string(e.Append(make([]byte, 0, 38))) }

// ChecksumType is the type of a checksum by its AWS name: of the whole object, or of the
// checksums of its parts.
type ChecksumType string

// The checksum types (S3 user guide, "Checking object integrity").
const (
	FullObject ChecksumType = "FULL_OBJECT"
	Composite  ChecksumType = "COMPOSITE"
)

// Checksum is the additional checksum of an object.
type Checksum struct {
	Algorithm digest.Algorithm
	Type      ChecksumType
	Sum       []byte // big-endian; nil if opening it needs a key that the request did not bring or use
	Parts     uint32 // number of parts of a composite checksum
}

// String returns the checksum as its header carries it.
func (c Checksum) String() string {
	s := base64.StdEncoding.EncodeToString(c.Sum)
	if c.Parts > 0 {
		s += "-" + strconv.FormatUint(uint64(c.Parts), 10)
	}
	return s
}

// is reports whether a client sent this checksum. S3 accepts a composite checksum with and
// without the number of its parts.
func (c Checksum) is(sent string) bool {
	return sent == c.String() || sent == base64.StdEncoding.EncodeToString(c.Sum)
}

// Metadata is what a client stores with the bytes and gets back with them.
type Metadata struct {
	ContentType, CacheControl, ContentDisposition string
	ContentEncoding, ContentLanguage, Expires     string
	WebsiteRedirect                               string
	User                                          map[string]string // names without x-amz-meta-, in lower case
}

// Version is a version of an object, or a delete marker.
type Version struct {
	Key          string
	ID           string // opaque and URL-safe, or NullVersion
	Versioned    bool   // the bucket's versioning is or was enabled, so responses have the ID
	DeleteMarker bool
	Size         int64
	Modified     time.Time
	ETag         ETag
	StorageClass string // never empty
	Owner        string // account id
	Encrypted
	Checksum Checksum
	Metadata Metadata
	Tags     tag.Set
	Expires  Scheduled // set in answers about the current version
}

// Expected is what a client declared about a body; a nil field declares nothing.
type Expected struct {
	Sum []byte // checksum of PutInput.Algorithm, decoded
}

// PutInput is an object to store.
type PutInput struct {
	Bucket, Key  string
	Body         io.Reader
	Size         int64 // decoded bytes, or -1 if unknown
	Metadata     Metadata
	Tags         tag.Set // as tag.Object or tag.Header made it
	ACL          acl.Request
	StorageClass string           // empty is STANDARD
	Algorithm    digest.Algorithm // None: CRC64NVME is computed
	Encryption   Encryption
	Lock         LockHeaders
	MD5          []byte // Content-MD5, decoded; nil declares none
	// Expect is called once, after Body has returned io.EOF, because trailers come last. If
	// it is nil, nothing is expected.
	Expect               func() (Expected, error)
	IfMatch, IfNoneMatch *string // values of the headers

	lock   Lock // what Lock asks for
	copied bool // the bytes are the store's own
}

// GetInput asks for a version. If VersionID is nil, it asks for the current version.
type GetInput struct {
	Bucket, Key                        string
	VersionID                          *string
	AsOf                               time.Time // if set, the current version of that time; VersionID is VersionAsOf
	Range                              string    // the header's value, empty for none
	PartNumber                         *int
	IfMatch, IfNoneMatch               *string
	IfModifiedSince, IfUnmodifiedSince time.Time // zero for none
	IfRange                            string    // the header's value, empty for none
	Customer                           CustomerKey
	Checksums                          bool // the response shows checksums (x-amz-checksum-mode)
}

// Reading is the result of Get and Head.
type Reading struct {
	Version
	Lock          Lock          // what the caller may see of it
	Partial       bool          // the result is Length bytes from Start, not the whole object
	Start, Length int64         // bytes
	Part          *Part         // set if the result is exactly one part of a multipart object
	Body          io.ReadCloser // nil from Head; otherwise it is also an io.WriterTo, and the caller closes it
}

// Verifiable returns the checksum of the bytes in the result: the object's, or that of one
// part if the result is exactly that part (S3 user guide, "Checking object integrity"). For
// any other range it returns the zero Checksum.
func (r *Reading) Verifiable() Checksum {
	switch {
	case r.Part != nil:
		c := r.Part.Checksum
		c.Type = r.Checksum.Type
		return c
	case r.Partial && r.Length < r.Size:
		return Checksum{}
	default:
		return r.Checksum
	}
}

// DeleteInput names what to delete: the key or, if VersionID is set, that version.
type DeleteInput struct {
	Key       string
	VersionID *string
	IfMatch   *string
	// Bypass is x-amz-bypass-governance-retention, nil without it; the same for all items of
	// a batch. true counts with s3:BypassGovernanceRetention.
	Bypass *bool
	MFA    mfa.Proof // the code that the request brought; the same for all items of a batch
}

// Deleted is the result of one DeleteInput.
type Deleted struct {
	Key       string
	VersionID string // of the version or marker that was removed; empty if the input named none
	// DeleteMarker reports that a delete marker was made or removed. MarkerID is its id.
	DeleteMarker bool
	MarkerID     string
	Err          error // set by DeleteMany: why nothing was deleted
}

// ListInput asks for a page of the current objects of a bucket.
type ListInput struct {
	Bucket, Prefix, Delimiter string
	After                     string  // only keys after this one; a key inside a common prefix skips that whole prefix
	Token                     *string // Token of the previous page; After is then ignored
	Max                       *int    // at least 0; nil and more than 1000 mean 1000
}

// Entry is what a listing shows of an object besides its key.
type Entry struct {
	Size         int64
	Modified     time.Time
	ETag         ETag
	StorageClass string
	Owner        string // account id
	Algorithm    digest.Algorithm
	ChecksumType ChecksumType
}

// Lines takes the entries of a page, in the byte order of their keys. Its arguments are valid
// until it returns: the key is part of what the store holds.
type Lines func(key []byte, e *Entry) error

// Listing is a page without its entries, see Lines. Next and Token are empty on the last page.
type Listing struct {
	Count          int      // entries
	CommonPrefixes []string // in byte order
	Truncated      bool
	Next           string // last key or common prefix of the page, which is After of the next page
	Token          string // Next in an opaque form
}
