package object

import (
	"bytes"
	"context"
	"encoding/binary"
	"strconv"
	"strings"
	"time"

	"watertight/internal/access/arn"
	"watertight/internal/access/authz"
	"watertight/internal/access/objectkey"
	"watertight/internal/core/bucket"
	"watertight/internal/core/change/record"
	"watertight/internal/core/page"
	"watertight/internal/fault"
	"watertight/internal/storage/kv"
)

// The state of a key at an instant is its newest version whose number is not larger than
// the instant's microseconds. If that is a delete marker, or if there is none, the key had
// no object. Versions that were removed for good since then are not seen.

// seqAt returns the largest number that a version can have at an instant.
func seqAt(at time.Time) uint64 { return uint64(max(0, at.UnixMicro())) }

// checkPast refuses an instant after the request, because the state at it can still change.
func checkPast(g authz.Grant, at time.Time) error {
	if at.After(g.Caller().At()) {
		return fault.New(fault.InvalidArgument, "The time is in the future.")
	}
	return nil
}

// asOf returns the full record of the newest version with a number up to seq, which may be
// a delete marker, or nil if there is none. It reads one record, however many newer ones
// there are: versions are sorted newest first.
func (s slot) asOf(r kv.Reader, seq uint64) (*version, error) {
	for p, err := range r.Scan(s.version(seq), record.After(s.versions())) {
		if err != nil {
			return nil, err
		}
		return decodeVersion(bytes.Clone(p.Value))
	}
	return nil, nil
}

// noVersion is an id that no version has.
func noVersion() string { return new(version).id() }

// VersionAsOf returns the id of the version or delete marker that was the newest one of a
// key at an instant. With it, a read as of that instant is authorized like a read of the
// version; Get and Head then find the version themselves. If there was none, the id is one
// that no version has. It takes no grant, because authorization itself needs it.
func (s *Store) VersionAsOf(ctx context.Context, bucketName, key string, at time.Time) (id string, err error) {
	id = noVersion()
	if err := checkKey(key); err != nil {
		return id, nil // the read refuses it
	}
	err = s.store.View(ctx, func(r kv.Reader) error {
		b, err := bucket.Read(r, bucketName)
		if err != nil {
			return err
		}
		v, err := slot{&b, key}.asOf(r, seqAt(at))
		if err == nil && v != nil {
			id = v.id()
		}
		return err
	})
	if fault.Is(err, fault.NoSuchBucket) {
		err = nil // the read reports it
	}
	return id, err
}

// findAsOf returns the object that was current at an instant. expected is the result of
// VersionAsOf when the read was authorized. Errors: NoSuchKey, and OperationAborted if the
// result would be another one by now.
func (s slot) findAsOf(r kv.Reader, at time.Time, expected *string) (*version, error) {
	v, err := s.asOf(r, seqAt(at))
	if err != nil {
		return nil, err
	}
	id := noVersion()
	if v != nil {
		id = v.id()
	}
	switch {
	case expected == nil || *expected != id:
		return nil, fault.New(fault.OperationAborted,
			"The version of that time was removed or replaced by this moment. Try again.")
	case v == nil:
		return nil, noSuchKey(s.key)
	case v.deleteMarker:
		return nil, noSuchKey(s.key).WithHeader("x-amz-delete-marker", "true").
			WithHeader("x-amz-version-id", v.id())
	}
	return v, nil
}

// ListAsOf is List of the objects that were current at an instant, see VersionAsOf. It needs
// s3:ListBucketVersions. Each key costs a few records, however many versions it has. Keys
// that had no object at the instant cost as much, but give no entry. A page looks at a
// bounded number of their records, so it may have fewer entries than asked for, or none, and
// still be truncated. An After inside a common prefix does not skip the later keys with that
// prefix. Errors: those of List.
func (s *Store) ListAsOf(
	ctx context.Context, g authz.Grant, in ListInput, at time.Time, show Lines,
) (Listing, error) {
	if err := g.Demand("s3:ListBucketVersions", arn.Bucket(in.Bucket)); err != nil {
		return Listing{}, err
	}
	size, err := pageOf(in.Max, "max-keys")
	if err == nil {
		err = checkPast(g, at)
	}
	if err != nil {
		return Listing{}, err
	}
	l := pastLister{
		lister: lister{ListInput: &in, show: show, page: size, room: newPageRoom(ctx)},
		seq:    seqAt(at), budget: s.absent,
	}
	scope := "objects\x00" + in.Bucket + "\x00" + strconv.FormatUint(l.seq, 10)
	if in.Token != nil {
		if in.After, err = page.Open(scope, *in.Token); err != nil {
			return Listing{}, err
		}
	}
	err = s.store.View(ctx, func(r kv.Reader) error {
		if l.b, err = bucket.For(r, g, in.Bucket); err != nil || size == 0 {
			return err
		}
		return l.run(r)
	})
	if err != nil {
		return Listing{}, err
	}
	return l.done(scope), nil
}

const (
	// maxAbsent is how many records without an entry a page looks at.
	maxAbsent = 10_000
	// maxSteps is how many versions of a key are read one by one before the rest is
	// skipped with a seek: the next record costs less than a seek.
	maxSteps = 4
)

// pastLister fills a page of the objects of an instant from the records of versions.
type pastLister struct {
	lister
	seq    uint64 // the largest number of a version at the instant
	absent int    // records that gave no entry
	budget int    // how many records without an entry the page may look at
	key    []byte // the key whose records are being read
	known  bool   // the state of key is known
	steps  int    // records of key that were read
}

func (l *pastLister) run(r kv.Reader) error {
	if strings.IndexByte(l.Prefix, 0) >= 0 || len(l.Prefix) > objectkey.Max {
		return nil // no key can begin with the prefix
	}
	versions := bucket.VersionsOf(l.b.ID)
	l.skip = len(versions)
	l.after = record.After(append(versions, l.Prefix...))
	from := l.start()
	for from != nil {
		var err error
		if from, err = l.scan(r, from); err != nil {
			return err
		}
	}
	return nil
}

// start returns the key at which the page begins, or nil if nothing can follow.
func (l *pastLister) start() []byte {
	versions := bucket.VersionsOf(l.b.ID)
	if l.After == "" || l.After < l.Prefix {
		return append(versions, l.Prefix...)
	}
	if common, ok := rolledUp(l.After, l.Prefix, l.Delimiter); ok && common == l.After {
		return record.After(append(versions, common...)) // an earlier page has shown it
	}
	// Keys contain no NUL, so that After can be cut at its first one without skipping a key.
	after, _, _ := strings.Cut(l.After, "\x00")
	if len(after) > objectkey.Max {
		return append(versions, after[:objectkey.Max+1]...) // no key is that long, so none is skipped
	}
	return record.After(slot{l.b, after}.versions())
}

// scan adds objects, beginning at the record from. It returns the record to continue with,
// or nil at the end of the page or of the keys.
func (l *pastLister) scan(r kv.Reader, from []byte) ([]byte, error) {
	for p, err := range r.Scan(from, l.after) {
		if err != nil {
			return nil, err
		}
		if len(p.Key) < l.skip+seqSize {
			return nil, malformed()
		}
		key := p.Key[l.skip : len(p.Key)-seqSize]
		if l.key == nil || !bytes.Equal(key, l.key) {
			if l.exhausted() {
				return nil, nil
			}
			l.key, l.known, l.steps = append(l.key[:0], key...), false, 0
		}
		next, more, err := l.take(p)
		if next != nil || !more || err != nil {
			return next, err
		}
	}
	return nil, nil
}

// exhausted ends a page that has looked at enough records. The page then ends with the key
// whose versions were read last. It can't end there if the key equals its own common prefix:
// as a marker, that would skip all keys with the prefix.
func (l *pastLister) exhausted() bool {
	if l.absent < l.budget || l.key == nil {
		return false
	}
	key := string(l.key)
	if common, ok := rolledUp(key, l.Prefix, l.Delimiter); ok && common == key {
		return false
	}
	l.out.Truncated, l.last = true, append(l.last[:0], key...)
	return true
}

// take takes one record of l.key. next is the record to continue with, nil for the one that
// follows. more is false at the end of the page.
func (l *pastLister) take(p kv.Pair) (next []byte, more bool, err error) {
	seq := ^binary.BigEndian.Uint64(p.Key[len(p.Key)-8:])
	if l.known || seq > l.seq {
		l.absent++
		if l.steps++; l.steps < maxSteps {
			return nil, true, nil
		}
		l.steps = 0
		k := slot{l.b, string(l.key)}
		if l.known {
			return record.After(k.versions()), true, nil
		}
		return k.version(l.seq), true, nil
	}
	l.known, l.steps = true, 0
	marker, err := isMarker(p.Value)
	if err != nil || marker {
		l.absent++
		return nil, true, err
	}
	if l.full() {
		l.out.Truncated = true
		return nil, false, nil
	}
	if common, ok := rolledUp(string(l.key), l.Prefix, l.Delimiter); ok {
		l.addPrefix(common)
		l.key = nil
		return record.After(append(bucket.VersionsOf(l.b.ID), common...)), true, nil
	}
	return nil, true, l.add(l.key, p.Value)
}

// isMarker reports whether a version's record is a delete marker.
func isMarker(b []byte) (bool, error) {
	f := record.Read(b)
	for f.Next() {
		if f.Number == fieldFlags {
			return f.Uint&flagDeleteMarker != 0, nil
		}
		if f.Number > fieldFlags {
			return false, nil // fields are in ascending order
		}
	}
	if err := f.Err(); err != nil {
		return false, unreadable(err)
	}
	return false, nil
}
