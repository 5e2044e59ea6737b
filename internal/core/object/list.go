package object

import (
	"bytes"
	"context"
	"strings"

	"watertight/internal/access/arn"
	"watertight/internal/access/authz"
	"watertight/internal/access/objectkey"
	"watertight/internal/core/bucket"
	"watertight/internal/core/change/record"
	"watertight/internal/core/page"
	"watertight/internal/storage/kv"
)

// List returns a page of the current objects of a bucket, in the byte order of their keys.
// It needs s3:ListBucket. Keys that contain the Delimiter after Prefix are rolled up into
// common prefixes, and each of these counts as one entry (API reference, ListObjects and
// ListObjectsV2). A page does a bounded amount of work: a common prefix is skipped, not
// walked. Entries go to show as they are read, before it is known whether the page succeeds.
// Errors: NoSuchBucket, InvalidArgument, and those of show.
func (s *Store) List(ctx context.Context, g authz.Grant, in ListInput, show Lines) (Listing, error) {
	if err := g.Demand("s3:ListBucket", arn.Bucket(in.Bucket)); err != nil {
		return Listing{}, err
	}
	size, err := pageOf(in.Max, "max-keys")
	if err != nil {
		return Listing{}, err
	}
	scope := "objects\x00" + in.Bucket
	if in.Token != nil {
		if in.After, err = page.Open(scope, *in.Token); err != nil {
			return Listing{}, err
		}
	}
	l := lister{ListInput: &in, show: show, page: size, room: newPageRoom(ctx)}
	err = s.store.View(ctx, func(r kv.Reader) error {
		b, err := bucket.For(r, g, in.Bucket)
		if err != nil || size == 0 {
			return err
		}
		return l.run(r, b)
	})
	if err != nil {
		return Listing{}, err
	}
	return l.done(scope), nil
}

// lister fills one page.
type lister struct {
	*ListInput
	show  Lines
	page  int
	room  pageRoom
	b     *bucket.Bucket
	skip  int    // length of the pointer's key before the object's key
	after []byte // end of the scan
	entry Entry
	last  []byte // last key or common prefix of a page that is full
	out   Listing
}

// done returns the page, with the marker and the token of the next one.
func (l *lister) done(scope string) Listing {
	if l.out.Truncated {
		l.out.Next = string(l.last)
		l.out.Token = page.Token(scope, l.out.Next)
	}
	return l.out
}

// start returns the first key that may be on the page.
func (l *lister) start() string {
	after := l.After
	if after == "" || after < l.Prefix {
		return l.Prefix
	}
	if common, ok := rolledUp(after, l.Prefix, l.Delimiter); ok { // earlier pages have shown all of this common prefix
		return string(record.After([]byte(common)))
	}
	if len(after) > objectkey.Max {
		return after[:objectkey.Max+1] // no key is that long, so none is skipped
	}
	return after + "\x00"
}

// rolledUp returns the common prefix into which key is rolled up, if any.
func rolledUp(key, prefix, delimiter string) (string, bool) {
	if delimiter == "" || !strings.HasPrefix(key, prefix) {
		return "", false
	}
	n := strings.Index(key[len(prefix):], delimiter)
	if n < 0 {
		return "", false
	}
	return key[:len(prefix)+n+len(delimiter)], true
}

func (l *lister) run(r kv.Reader, b *bucket.Bucket) error {
	l.b = b
	l.skip = len(pointers(b, ""))
	l.after = record.After(pointers(b, l.Prefix))
	start := l.start()
	if start == "" && l.After != "" || len(l.Prefix) > objectkey.Max {
		return nil // no key can follow
	}
	for from := pointers(b, start); from != nil; {
		var err error
		if from, err = l.scan(r, from); err != nil {
			return err
		}
	}
	return nil
}

// scan adds objects, beginning at the key from. It stops at a common prefix and returns the
// key to continue at, or nil at the end of the page or of the keys.
func (l *lister) scan(r kv.Reader, from []byte) ([]byte, error) {
	delimiter := []byte(l.Delimiter)
	for p, err := range r.Scan(from, l.after) {
		if err != nil {
			return nil, err
		}
		if l.full() {
			l.out.Truncated = true
			return nil, nil
		}
		key := p.Key[l.skip:]
		if len(delimiter) > 0 {
			if n := bytes.Index(key[len(l.Prefix):], delimiter); n >= 0 {
				end := len(l.Prefix) + n + len(delimiter)
				l.addPrefix(string(key[:end]))
				return record.After(p.Key[:l.skip+end]), nil
			}
		}
		if err := l.add(key, p.Value); err != nil {
			return nil, err
		}
	}
	return nil, nil
}

func (l *lister) full() bool { return l.out.Count+len(l.out.CommonPrefixes) == l.page }

func (l *lister) addPrefix(common string) {
	l.out.CommonPrefixes = append(l.out.CommonPrefixes, common)
	if l.count(len(common)) {
		l.last = append(l.last[:0], common...)
	}
}

// count counts an entry with a key, and reports whether it is the last one that fits.
func (l *lister) count(key int) bool {
	if !l.room.add(key) {
		l.page = l.out.Count + len(l.out.CommonPrefixes)
	}
	return l.full()
}

func (l *lister) add(key, value []byte) error {
	if err := l.entry.decode(value, l.b); err != nil {
		return err
	}
	l.out.Count++
	if l.count(len(key)) {
		l.last = append(l.last[:0], key...)
	}
	return l.show(key, &l.entry)
}
