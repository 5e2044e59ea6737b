package object

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/binary"
	"strings"

	"watertight/internal/access/arn"
	"watertight/internal/access/authz"
	"watertight/internal/access/objectkey"
	"watertight/internal/core/bucket"
	"watertight/internal/core/change/record"
	"watertight/internal/fault"
	"watertight/internal/storage/kv"
)

// ListVersionsInput asks for a page of all versions of a bucket's objects.
type ListVersionsInput struct {
	Bucket, Prefix, Delimiter string
	// KeyMarker starts the page after all versions of this key or, with VersionIDMarker,
	// after that version. If it is inside a common prefix, the page starts after that
	// prefix.
	KeyMarker       string
	VersionIDMarker *string
	Max             *int // at least 0; nil and more than 1000 mean 1000
}

// VersionEntry is what a listing shows of a version or a delete marker besides its key. A
// marker has no size, ETag or checksum.
type VersionEntry struct {
	Entry
	Latest       bool
	DeleteMarker bool

	id   [idSize]byte
	null bool
}

// AppendID appends the version's id to dst.
func (e *VersionEntry) AppendID(dst []byte) []byte {
	if e.null {
		return append(dst, NullVersion...)
	}
	return base64.RawURLEncoding.AppendEncode(dst, e.id[:])
}

// VersionLines takes the entries of a page in the byte order of their keys, the newest version
// of a key first. Its arguments are valid until it returns, see Lines.
type VersionLines func(key []byte, e *VersionEntry) error

// VersionListing is a page without its entries, see VersionLines. NextKey and NextVersionID are
// the markers of the next page, empty on the last one; after a common prefix NextVersionID is
// empty.
type VersionListing struct {
	Count                  int // entries
	CommonPrefixes         []string
	Truncated              bool
	NextKey, NextVersionID string
}

// ListVersions returns a page of the versions and delete markers of a bucket.
// It needs s3:ListBucketVersions. Keys are rolled up into common prefixes as
// with List, the work is bounded by the page in the same way, and show gets the entries in the
// same way (API reference, ListObjectVersions). Errors: those of List.
func (s *Store) ListVersions(
	ctx context.Context, g authz.Grant, in ListVersionsInput, show VersionLines,
) (VersionListing, error) {
	if err := g.Demand("s3:ListBucketVersions", arn.Bucket(in.Bucket)); err != nil {
		return VersionListing{}, err
	}
	page, err := pageOf(in.Max, "max-keys")
	if err != nil {
		return VersionListing{}, err
	}
	if err := in.check(); err != nil {
		return VersionListing{}, err
	}
	l := versionLister{ListVersionsInput: &in, show: show, page: page, room: newPageRoom(ctx)}
	err = s.store.View(ctx, func(r kv.Reader) error {
		if l.b, err = bucket.For(r, g, in.Bucket); err != nil || page == 0 {
			return err
		}
		return l.run(r)
	})
	if err != nil {
		return VersionListing{}, err
	}
	if l.out.Truncated {
		l.out.NextKey, l.out.NextVersionID = string(l.last), string(l.lastID)
	}
	return l.out, nil
}

// check refuses a version marker that is malformed or has no key marker.
func (in *ListVersionsInput) check() error {
	m := in.VersionIDMarker
	if m == nil {
		return nil
	}
	message := ""
	switch {
	case *m == "":
		message = "A version-id marker cannot be empty."
	case in.KeyMarker == "":
		message = "A version-id marker cannot be specified without a key marker."
	case *m == NullVersion:
		return nil
	default:
		if _, _, err := parseID(*m); err == nil {
			return nil
		}
		message = "Invalid version id specified"
	}
	return fault.New(fault.InvalidArgument, message).With("ArgumentName", "version-id-marker").With("ArgumentValue", *m)
}

// versionLister fills one page.
type versionLister struct {
	*ListVersionsInput
	show         VersionLines
	page         int
	room         pageRoom
	b            *bucket.Bucket
	skip         int    // length of a version's key before the object's key
	after        []byte // end of the scan
	key          []byte // key of the version before; the next version of the same key is not the latest
	within       bool   // earlier pages have shown versions of key
	entry        VersionEntry
	last, lastID []byte // markers after a page that is full
	out          VersionListing
}

// seqSize is the length of what follows the object's key in a version's key: a NUL and the number.
const seqSize = 1 + 8

func (l *versionLister) run(r kv.Reader) error {
	if strings.IndexByte(l.Prefix, 0) >= 0 || len(l.Prefix) > objectkey.Max {
		return nil // no key can begin with the prefix
	}
	versions := bucket.VersionsOf(l.b.ID)
	l.skip = len(versions)
	l.after = record.After(append(versions, l.Prefix...))
	from, err := l.start(r)
	for from != nil && err == nil {
		from, err = l.scan(r, from)
	}
	return err
}

// start returns the key at which the page begins, or nil if no version can follow.
func (l *versionLister) start(r kv.Reader) ([]byte, error) {
	versions := bucket.VersionsOf(l.b.ID)
	// Keys contain no NUL, so a marker can be cut at its first NUL without skipping a key.
	marker, _, cut := strings.Cut(l.KeyMarker, "\x00")
	if l.KeyMarker == "" || l.KeyMarker < l.Prefix {
		return append(versions, l.Prefix...), nil
	}
	if common, ok := rolledUp(marker, l.Prefix, l.Delimiter); ok { // earlier pages have shown all of this common prefix
		return record.After(append(versions, common...)), nil
	}
	if len(marker) > objectkey.Max {
		return append(versions, marker[:objectkey.Max+1]...), nil // no key is that long, so none is skipped
	}
	k := slot{l.b, marker}
	if l.VersionIDMarker == nil || cut {
		return record.After(k.versions()), nil
	}
	newest, err := k.newest(r)
	if err != nil {
		return nil, err
	}
	seq, found, err := l.marker(r, k, newest)
	if err != nil {
		return nil, err
	}
	if !found {
		return k.versions(), nil
	}
	if newest != nil && newest.seq >= seq {
		l.key, l.within = []byte(marker), true
	}
	return append(k.version(seq), 0), nil
}

// marker returns the number of the version after which the page begins. The id of the null
// version has no number: if the null version was deleted, perhaps since the previous page,
// the key is listed again from its newest version, so that no version is skipped.
func (l *versionLister) marker(r kv.Reader, k slot, newest *version) (seq uint64, found bool, err error) {
	if *l.VersionIDMarker != NullVersion {
		seq, _, err = parseID(*l.VersionIDMarker)
		return seq, true, err
	}
	v, err := k.null(r, newest)
	if err != nil || v == nil {
		return 0, false, err
	}
	return v.seq, true, nil
}

// scan adds versions, beginning at the key from. It stops at a common prefix and returns
// the key to continue at, or nil at the end of the page or of the versions.
func (l *versionLister) scan(r kv.Reader, from []byte) ([]byte, error) {
	delimiter := []byte(l.Delimiter)
	for p, err := range r.Scan(from, l.after) {
		if err != nil {
			return nil, err
		}
		if l.full() {
			l.out.Truncated = true
			return nil, nil
		}
		if len(p.Key) < l.skip+seqSize {
			return nil, malformed()
		}
		key := p.Key[l.skip : len(p.Key)-seqSize]
		if len(delimiter) > 0 {
			if n := bytes.Index(key[len(l.Prefix):], delimiter); n >= 0 {
				end := len(l.Prefix) + n + len(delimiter)
				l.out.CommonPrefixes = append(l.out.CommonPrefixes, string(key[:end]))
				if l.count(end) {
					l.last, l.lastID = append(l.last[:0], key[:end]...), nil
				}
				return record.After(p.Key[:l.skip+end]), nil
			}
		}
		if err := l.add(key, p.Value); err != nil {
			return nil, err
		}
	}
	return nil, nil
}

func (l *versionLister) full() bool { return l.out.Count+len(l.out.CommonPrefixes) == l.page }

// count counts an entry with a key, and reports whether it is the last one that fits.
func (l *versionLister) count(key int) bool {
	if !l.room.add(key) {
		l.page = l.out.Count + len(l.out.CommonPrefixes)
	}
	return l.full()
}

func (l *versionLister) add(key, value []byte) error {
	latest := !l.within || !bytes.Equal(key, l.key)
	if latest {
		l.key, l.within = append(l.key[:0], key...), true
	}
	if err := l.entry.decode(value, l.b); err != nil {
		return err
	}
	l.entry.Latest = latest
	l.out.Count++
	if l.count(len(key)) {
		l.last, l.lastID = append(l.last[:0], key...), l.entry.AppendID(l.lastID[:0])
	}
	return l.show(key, &l.entry)
}

// decode is Entry.decode for a version's record.
func (e *VersionEntry) decode(stored []byte, b *bucket.Bucket) error {
	var h record.Head
	if err := h.Read(stored, versionFields); err != nil {
		return unreadable(err)
	}
	e.take(&h, b)
	flags := h.Uint[fieldFlags]
	e.null, e.DeleteMarker = flags&flagNull != 0, flags&flagDeleteMarker != 0
	binary.BigEndian.PutUint64(e.id[:], h.Uint[fieldSeq])
	clear(e.id[8:])
	copy(e.id[8:], h.Bytes(fieldUnique))
	return nil
}
