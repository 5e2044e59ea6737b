package object

import (
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"time"

	"google.golang.org/protobuf/encoding/protowire"

	"watertight/internal/core/acl"
	"watertight/internal/core/bucket"
	"watertight/internal/core/change/record"
	"watertight/internal/core/tag"
	"watertight/internal/fault"
)

// unique identifies a version, an upload or the bytes of a part. It is random.
type unique [16]byte

// version is a version's record. A current pointer holds the same fields if they are short,
// otherwise those up to fieldEncryption. The fields of a new one are set in four steps: PutInput.version sets
// those of the request; stored sets what is known after the body was read (for an upload,
// assemble sets what follows from its parts); setOwner sets owner and ACL by the bucket's
// settings; slot.push sets the number and whether it is the null version. The last two
// steps run inside the transaction, and again each time the transaction is repeated.
type version struct {
	seq          uint64
	unique       unique
	null         bool
	deleteMarker bool
	inline       bool   // the bytes are at d/ and payloadUnique
	shared       bool   // other versions have the same payload, or had, see share
	payload      unique // zero where it is the version's own
	size         int64
	modified     time.Time
	etag         ETag
	storageClass string
	checksum     Checksum
	owner        string // empty: the bucket's owner
	encryption   bucket.Encryption
	kms          *underKMS // set for SSE-KMS and DSSE-KMS
	room         underKMS  // of kms, in a decoded version
	dataKey      []byte    // each part has its own; this one seals the checksum of the whole object
	blob         string
	metadata     Metadata
	tags         tag.Set
	acl          acl.List
	lock         Lock
	sealedSum    []byte // the checksum, if digests are hidden
	writer       writer
	kept         []byte // unknown fields of the record, see record.Fields.Keep
	whole        bool   // decoded from a current pointer that has all fields
}

// Fields of a version's record. The numbers are stored: they may be added to,
// never changed.
const (
	fieldSeq          = 1 // must be first: pointerSeq expects it there
	fieldUnique       = 2
	fieldFlags        = 3
	fieldSize         = 4
	fieldModified     = 5
	fieldETag         = 6
	fieldETagParts    = 7
	fieldStorageClass = 8
	fieldAlgorithm    = 9
	fieldChecksumType = 10
	fieldOwner        = 11 // left out if it is the bucket's owner
	fieldEncryption   = 12 // the last field of a current pointer that is not whole
	fieldWhole        = 13 // only in a current pointer: it has all fields of the version
	fieldSum          = 16
	fieldSumParts     = 17
	fieldDataKey      = 18
	fieldBlob         = 19
	fieldContentType  = 20
	fieldCacheControl = 21
	fieldDisposition  = 22
	fieldEncoding     = 23
	fieldLanguage     = 24
	fieldExpires      = 25
	fieldRedirect     = 26
	fieldUser         = 27 // repeated: name and value
	fieldTag          = 29 // repeated: name and value
	fieldGrant        = 34 // repeated, see acl.List; if there is none, only the owner has a grant
	fieldSealedSum    = 30
	fieldKMSKey       = 31 // see underKMS
	fieldKMSBucketKey = 32
	fieldKMSPair      = 33 // repeated: name and value
	fieldLockMode     = 35 // see Lock
	fieldLockUntil    = 36
	fieldLegalHold    = 37
	fieldPayload      = 38 // unique that the payload is bound to and lies under, if not the version's
)

// Stored numbers: bits of fieldFlags, and values of fieldChecksumType and
// fieldEncryption. They may be added to, never changed.
const (
	flagNull         = 1
	flagDeleteMarker = 2
	flagInline       = 4
	flagShared       = 8

	checksumFullObject = 1
	checksumComposite  = 2

	encryptionAES256      = 1
	encryptionCustomerKey = 2
	encryptionKMS         = 3
	encryptionDSSE        = 4

	sizeLimit = 1 << 62 // larger than any object
)

func (v *version) flags() (f uint64) {
	if v.null {
		f |= flagNull
	}
	if v.deleteMarker {
		f |= flagDeleteMarker
	}
	if v.inline {
		f |= flagInline
	}
	if v.shared {
		f |= flagShared
	}
	return f
}

// maxWhole is the maximum size of a version's record that its current pointer repeats, so
// that reading the current version takes one record. Longer ones would slow down listings,
// which read pointers only.
const maxWhole = 512

// pointer encodes the current pointer to v.
func (v *version) pointer() []byte { return v.pointerOf(v.encode()) }

// pointerOf is pointer for a version whose record is encoded. It may append to encoded.
func (v *version) pointerOf(encoded []byte) []byte {
	if len(encoded) > maxWhole {
		return v.appendPointer(make([]byte, 0, 96))
	}
	return record.Bool(encoded, fieldWhole, true)
}

func (v *version) appendPointer(r []byte) []byte {
	r = record.Start(r)
	r = record.Uint(r, fieldSeq, v.seq)
	r = record.Bytes(r, fieldUnique, v.unique[:])
	r = record.Uint(r, fieldFlags, v.flags())
	r = record.Uint(r, fieldSize, uint64(v.size))
	r = record.Time(r, fieldModified, v.modified)
	if !v.deleteMarker {
		r = record.Bytes(r, fieldETag, v.etag.Sum[:])
	}
	r = record.Uint(r, fieldETagParts, uint64(v.etag.Parts))
	r = record.Uint(r, fieldStorageClass, classNumber(v.storageClass))
	r = record.Uint(r, fieldAlgorithm, algorithmNumber(v.checksum.Algorithm))
	r = record.Uint(r, fieldChecksumType, typeNumber(v.checksum.Type))
	r = record.String(r, fieldOwner, v.owner)
	return record.Uint(r, fieldEncryption, encryptionNumber(v.encryption))
}

func (v *version) encode() []byte {
	m := &v.metadata
	r := v.appendPointer(make([]byte, 0, 416))
	if v.sealedSum == nil {
		r = record.Bytes(r, fieldSum, v.checksum.Sum)
	}
	r = record.Uint(r, fieldSumParts, uint64(v.checksum.Parts))
	r = record.Bytes(r, fieldDataKey, v.dataKey)
	r = record.String(r, fieldBlob, v.blob)
	r = record.String(r, fieldContentType, m.ContentType)
	r = record.String(r, fieldCacheControl, m.CacheControl)
	r = record.String(r, fieldDisposition, m.ContentDisposition)
	r = record.String(r, fieldEncoding, m.ContentEncoding)
	r = record.String(r, fieldLanguage, m.ContentLanguage)
	r = record.String(r, fieldExpires, m.Expires)
	r = record.String(r, fieldRedirect, m.WebsiteRedirect)
	for name, value := range m.User {
		r = record.Pair(r, fieldUser, name, value)
	}
	for _, t := range v.tags {
		r = record.Pair(r, fieldTag, t.Key, t.Value)
	}
	r = record.Bytes(r, fieldSealedSum, v.sealedSum)
	if v.kms != nil {
		r = v.kms.append(r)
	}
	if v.payload != (unique{}) {
		r = record.Bytes(r, fieldPayload, v.payload[:])
	}
	r = v.lock.append(v.acl.Append(r, fieldGrant))
	return append(v.writer.append(r), v.kept...)
}

// decodeVersion decodes a version's record or a current pointer. It keeps or refuses
// unknown fields, see record.Fields.Keep: a field of a later program may protect the
// version from deletion.
func decodeVersion(b []byte) (*version, error) {
	return decodeFields(b, func(*record.Fields) bool { return false })
}

// decodeFields decodes a version's fields and passes all others to more. The version shares
// memory with b.
func decodeFields(b []byte, more func(*record.Fields) bool) (*version, error) {
	v := &version{storageClass: className(0)}
	f := record.Read(b)
	for f.Next() {
		if !v.take(&f) && !more(&f) {
			v.kept = f.Keep(v.kept) // also refuses a known field with a bad value
		}
	}
	if err := f.Err(); err != nil {
		return nil, unreadable(err)
	}
	if v.seq == 0 || v.unique == (unique{}) || v.sealedSum != nil && v.checksum.Sum != nil ||
		v.kms != nil && !v.encryption.UsesKMS() || v.payload != (unique{}) && !v.shared || !v.lock.valid() {
		return nil, malformed()
	}
	return v, nil
}

// take stores one field. It returns false if the value is invalid.
func (v *version) take(f *record.Fields) bool {
	switch f.Number {
	case fieldSeq:
		v.seq = f.Uint
	case fieldUnique:
		return copy(v.unique[:], f.Bytes) == len(v.unique) && len(f.Bytes) == len(v.unique)
	case fieldFlags:
		v.null, v.deleteMarker = f.Uint&flagNull != 0, f.Uint&flagDeleteMarker != 0
		v.inline, v.shared = f.Uint&flagInline != 0, f.Uint&flagShared != 0
		return f.Uint == v.flags()
	case fieldSize:
		v.size = int64(f.Uint)
		return f.Uint < sizeLimit
	case fieldModified:
		v.modified = f.Time()
	case fieldETag:
		return copy(v.etag.Sum[:], f.Bytes) == len(v.etag.Sum)
	case fieldETagParts:
		v.etag.Parts = uint32(f.Uint)
	case fieldStorageClass:
		v.storageClass = className(f.Uint)
		return v.storageClass != ""
	case fieldAlgorithm:
		v.checksum.Algorithm = algorithmName(f.Uint)
	case fieldChecksumType:
		v.checksum.Type = typeName(f.Uint)
	case fieldOwner:
		v.owner = string(f.Bytes)
	case fieldEncryption:
		v.encryption = encryptionName(f.Uint)
		return v.encryption != ""
	case fieldWhole:
		v.whole = f.Uint == 1
		return v.whole
	default:
		return v.takeMore(f)
	}
	return true
}

// orNil returns b, or nil if b is empty.
func orNil(b []byte) []byte {
	if len(b) == 0 {
		return nil
	}
	return b
}

// takeMore stores the fields that only a version's record has, not a current pointer.
func (v *version) takeMore(f *record.Fields) bool {
	m := &v.metadata
	switch f.Number {
	case fieldSum:
		v.checksum.Sum = orNil(f.Bytes)
	case fieldSumParts:
		v.checksum.Parts = uint32(f.Uint)
	case fieldDataKey:
		v.dataKey = orNil(f.Bytes)
	case fieldBlob:
		v.blob = string(f.Bytes)
	case fieldContentType:
		m.ContentType = string(f.Bytes)
	case fieldCacheControl:
		m.CacheControl = string(f.Bytes)
	case fieldDisposition:
		m.ContentDisposition = string(f.Bytes)
	case fieldEncoding:
		m.ContentEncoding = string(f.Bytes)
	case fieldLanguage:
		m.ContentLanguage = string(f.Bytes)
	case fieldExpires:
		m.Expires = string(f.Bytes)
	case fieldRedirect:
		m.WebsiteRedirect = string(f.Bytes)
	case fieldUser:
		name, value, ok := f.Pair()
		if !ok {
			return false
		}
		if m.User == nil {
			m.User = make(map[string]string)
		}
		m.User[name] = value
	case fieldTag:
		name, value, ok := f.Pair()
		if !ok {
			return false
		}
		v.tags = append(v.tags, tag.Tag{Key: name, Value: value})
	case fieldGrant:
		return v.acl.Take(f)
	case fieldSealedSum:
		v.sealedSum = orNil(f.Bytes)
	case fieldPayload:
		return copy(v.payload[:], f.Bytes) == len(v.payload) && len(f.Bytes) == len(v.payload) && v.payload != v.unique
	case fieldWriter, fieldWriterAddress, fieldWriterKey:
		return v.writer.take(f)
	case fieldLockMode, fieldLockUntil, fieldLegalHold:
		return v.lock.take(f)
	default:
		return v.takeKMS(f)
	}
	return true
}

// decode decodes what a listing of b shows, from a current pointer or a version's record. It
// refuses or skips unknown fields, see record.Fields.Keep: a field of a later program may say
// that the version must be hidden. e may have been the entry of another version before, whose
// owner's text is used again.
func (e *Entry) decode(stored []byte, b *bucket.Bucket) error {
	var h record.Head
	if err := h.Read(stored, versionFields); err != nil {
		return unreadable(err)
	}
	e.take(&h, b)
	return nil
}

func (e *Entry) take(h *record.Head, b *bucket.Bucket) {
	owner := b.Owner
	if by := h.Bytes(fieldOwner); len(by) > 0 && b.Ownership.ACLs() {
		if owner = e.Owner; owner != string(by) {
			owner = string(by)
		}
	}
	*e = Entry{
		Size: int64(h.Uint[fieldSize]), Modified: record.TimeOf(h.Uint[fieldModified]),
		StorageClass: className(h.Uint[fieldStorageClass]), Owner: owner,
		Algorithm: algorithmName(h.Uint[fieldAlgorithm]), ChecksumType: typeName(h.Uint[fieldChecksumType]),
	}
	copy(e.ETag.Sum[:], h.Bytes(fieldETag))
	e.ETag.Parts = uint32(h.Uint[fieldETagParts])
}

// versionFields has a bit for each field below 64 that a version's record may have.
const versionFields = (1<<(fieldWhole+1) - 1<<fieldSeq) | (1<<(fieldUser+1) - 1<<fieldSum) | 1<<fieldTag |
	(1<<(fieldPayload+1) - 1<<fieldSealedSum)

// isVersionField reports whether a version's record may have a field.
func isVersionField(n protowire.Number) bool {
	return n < 64 && versionFields>>n&1 != 0 || n >= fieldWriter && n <= fieldWriterKey
}

// pointerSeq returns the number of the version that a current pointer points to. It reads
// the whole pointer, because it must refuse unknown fields that must not be skipped.
func pointerSeq(b []byte) (uint64, error) {
	f := record.Read(b)
	if !f.Next() || f.Number != fieldSeq {
		return 0, malformed()
	}
	seq := f.Uint
	for f.Next() {
		if !isVersionField(f.Number) {
			f.Keep(nil)
		}
	}
	if err := f.Err(); err != nil {
		return 0, unreadable(err)
	}
	return seq, nil
}

func malformed() error { return unreadable(record.ErrMalformed) }

func unreadable(why error) error { return fault.Internal(fmt.Errorf("object: %w", why)) }

// public returns v as callers see it.
func (v *version) public(b *bucket.Bucket, key string) Version {
	out := Version{
		Key: key, ID: v.id(), Versioned: b.Versioning != bucket.Off, DeleteMarker: v.deleteMarker,
		Size: v.size, Modified: v.modified, ETag: v.etag, StorageClass: v.storageClass, Owner: ownerIn(b, v.owner),
		Checksum: v.checksum, Metadata: v.metadata, Tags: v.tags,
	}
	out.Encrypted = v.publicEncryption()
	return out
}

const idSize = 8 + len(unique{})

// id returns the version's id as clients see it.
func (v *version) id() string {
	if v.null {
		return NullVersion
	}
	var b [idSize]byte
	binary.BigEndian.PutUint64(b[:], v.seq)
	copy(b[8:], v.unique[:])
	return base64.RawURLEncoding.EncodeToString(b[:])
}

// parseID decodes a version id other than NullVersion.
func parseID(id string) (seq uint64, u unique, err error) {
	var b [idSize]byte
	if len(id) == base64.RawURLEncoding.EncodedLen(idSize) {
		if n, err := base64.RawURLEncoding.Strict().Decode(b[:], []byte(id)); err == nil && n == idSize {
			return binary.BigEndian.Uint64(b[:]), unique(b[8:]), nil
		}
	}
	return 0, u, fault.New(fault.InvalidArgument, "Invalid version id specified").
		With("ArgumentName", "versionId").With("ArgumentValue", id)
}
