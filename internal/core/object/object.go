package object

import (
	"encoding/base64"
	"encoding/hex"
	"io"
	"strconv"
	"time"

	"watertight/internal/core/acl"
	"watertight/internal/core/bucket"
	"watertight/internal/core/tag"
	"watertight/internal/storage/digest"
	"watertight/internal/storage/kv"
)

// Limits of S3 (S3 user guide, "Object key names" and "Working with object
// metadata"; API reference, PutObject).
const (
	MaxMetadata = 2 << 10 // bytes of the user metadata's names and values
	MaxPut      = 5 << 30 // bytes of one PUT
	MaxPage     = 1000    // entries of a listing, and of one DeleteObjects
)

// Store manages the objects of a server.
type Store struct {
	store    kv.Store
	lists    *acl.Compiled
	payloads Payloads
	buckets  *bucket.Store
	kms      KMS   // nil: no key of KMS can be used
	minPart  int64 // bytes; MinPart but in tests
	holds    *holds
}

// New returns the objects of store; payloads keeps their bytes, and kms decides who may
// use which key of KMS.
func New(store kv.Store, payloads Payloads, buckets *bucket.Store, kms KMS) *Store {
	return &Store{
		store: store, lists: acl.NewCompiled(), payloads: payloads, buckets: buckets, kms: kms, minPart: MinPart,
		holds: newHolds(),
	}
}

// NullVersion is the id of a version written while versioning was not enabled.
const NullVersion = "null"

// ETag is an entity tag: the MD5 of the plaintext or, with Parts, of the MD5s
// of that many parts. Under a customer's key or one of KMS it is random instead.
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

// ChecksumType says what a checksum was made of, by its AWS name.
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
	Sum       []byte // big-endian; nil where it takes a key that the request did not bring or use
	Parts     uint32 // of a composite one
}

// String returns the checksum as its header carries it.
func (c Checksum) String() string {
	s := base64.StdEncoding.EncodeToString(c.Sum)
	if c.Parts > 0 {
		s += "-" + strconv.FormatUint(uint64(c.Parts), 10)
	}
	return s
}

// is reports whether a client means this checksum. S3 takes a composite one
// with the number of its parts and without.
func (c Checksum) is(sent string) bool {
	return sent == c.String() || sent == base64.StdEncoding.EncodeToString(c.Sum)
}

// Metadata is what a client stores beside the bytes and is given back with them.
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
	Versioned    bool   // the bucket's versioning is or was enabled: answers carry ID
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
}

// Expected is what a client declared about a body; nil means that nothing is declared.
type Expected struct {
	Sum []byte // checksum of PutInput.Algorithm, decoded
}

// PutInput is an object to store.
type PutInput struct {
	Bucket, Key  string
	Body         io.Reader
	Size         int64 // decoded bytes, or -1 where unknown
	Metadata     Metadata
	Tags         tag.Set // as tag.Object or tag.Header made it
	ACL          acl.Request
	StorageClass string           // empty is STANDARD
	Algorithm    digest.Algorithm // None has CRC64NVME computed
	Encryption   Encryption
	MD5          []byte // Content-MD5, decoded; nil declares none
	// Expect is called once, after Body has returned io.EOF, since trailers come
	// last; nil expects nothing.
	Expect               func() (Expected, error)
	IfMatch, IfNoneMatch *string // as the headers carry them
}

// GetInput asks for a version. A nil VersionID is the current version.
type GetInput struct {
	Bucket, Key                        string
	VersionID                          *string
	Range                              string // the header's value, empty for none
	PartNumber                         *int
	IfMatch, IfNoneMatch               *string
	IfModifiedSince, IfUnmodifiedSince time.Time // zero for none
	IfRange                            string    // the header's value, empty for none
	Customer                           CustomerKey
	Checksums                          bool // the answer shows checksums (x-amz-checksum-mode)
}

// Reading is an answer to Get and Head.
type Reading struct {
	Version
	Partial       bool          // the answer is the Length bytes at Start, not the whole
	Start, Length int64         // bytes
	Part          *Part         // where the answer is exactly one part of a multipart object
	Body          io.ReadCloser // nil from Head; else also an io.WriterTo, to be closed
}

// Verifiable is the checksum of the answer: the object's, or of one part where
// that is all of it (S3 user guide, "Checking object integrity"). The zero
// Checksum is for any other range.
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

// DeleteInput names what to delete. A nil VersionID is the key itself.
type DeleteInput struct {
	Key       string
	VersionID *string
	IfMatch   *string
}

// Deleted is what became of one DeleteInput.
type Deleted struct {
	Key       string
	VersionID string // of the version or marker that was removed; empty if none was named
	// DeleteMarker: a delete marker was made, or one was removed. MarkerID is its id.
	DeleteMarker bool
	MarkerID     string
	Err          error // from DeleteMany: why nothing was deleted
}

// ListInput asks for a page of the current objects of a bucket.
type ListInput struct {
	Bucket, Prefix, Delimiter string
	After                     string  // only keys after it; inside a common prefix, only what follows that prefix
	Token                     *string // Token of the page before; After is ignored then
	Max                       *int    // from 0; nil and more than 1000 are 1000
}

// Entry is an object as a listing shows it.
type Entry struct {
	Key          string
	Size         int64
	Modified     time.Time
	ETag         ETag
	StorageClass string
	Owner        string // account id
	Algorithm    digest.Algorithm
	ChecksumType ChecksumType
}

// Listing is a page, both parts in order of their bytes. Next and Token are
// empty on the last page.
type Listing struct {
	Entries        []Entry
	CommonPrefixes []string
	Truncated      bool
	Next           string // last key or common prefix of the page: the After of the next one
	Token          string // the same, opaque
}
