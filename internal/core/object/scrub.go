package object

import (
	"bytes"
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"time"

	"watertight/internal/core/bucket"
	"watertight/internal/core/change/record"
	"watertight/internal/limit"
	"watertight/internal/storage/kv"
)

// Problem says what is wrong with a version, a part, a record or a blob. The values are
// part of the JSON that the command prints.
type Problem string

// The problems that Scrub finds.
const (
	Damaged     Problem = "damaged"      // its bytes are not what its data key sealed
	Missing     Problem = "missing"      // its bytes, or records that others need, are not there
	WrongKey    Problem = "wrong-key"    // its data key does not open for it
	BadRecord   Problem = "record"       // a record can't be read, or contradicts others
	Orphan      Problem = "orphan"       // a blob that no record refers to
	Unreadable  Problem = "unreadable"   // reading the bytes failed, so nothing is known about them
	BadTable    Problem = "metadata"     // a file of the metadata is damaged on the disk
	Unreachable Problem = "not-examined" // a damaged block of the metadata hides what follows it
)

// Finding is one bad item.
type Finding struct {
	Problem     Problem
	Bucket      string `json:",omitempty"`
	Key         string `json:",omitempty"`
	VersionID   string `json:"VersionId,omitempty"`
	UploadID    string `json:"UploadId,omitempty"` // of a part of an upload in progress
	Part        int    `json:",omitempty"`
	Blob        string `json:",omitempty"` // name of its file
	File        string `json:",omitempty"` // a table of the metadata, or a path in the data directory
	Detail      string
	Quarantined bool // the blob is kept apart: it is not served, and nothing removes it
}

// Scrubbed counts what a scrub has examined.
type Scrubbed struct {
	Versions      int // objects; a multipart object counts once
	DeleteMarkers int
	Parts         int   // of versions and of uploads in progress
	Blobs         int   // files, with or without a record
	Bytes         int64 // sealed bytes that were read
	// CustomerKey counts versions and parts whose bytes only the customer's key opens: only
	// the outer wrapping of the data key and the length are checked.
	CustomerKey int
	// Unavailable counts versions and parts under keys whose material was deleted.
	Unavailable int
	Findings    int
	Quarantined int // blobs that this scrub put into quarantine
	Aside       int // blobs without a record that the sweeper has set aside
	Apart       int // blobs that are in quarantine now
}

// ScrubInput says how to scrub.
type ScrubInput struct {
	Rate       int64 // limit of bytes read per second; 0 means no limit
	Quarantine bool  // put damaged blobs into quarantine
	// Tell is called with each finding, and with nil after some progress. If it returns an
	// error, the scrub ends.
	Tell func(*Finding, Scrubbed) error
	// Again is the pause before a blob without a record is examined again, because a
	// deletion removes the record before the blob. 0 means one second.
	Again time.Duration
	// Files are findings about files of the data directory that this package does not know.
	// They are reported first, and counted.
	Files []Finding
}

const (
	scrubPortion = 1 << 20 // bytes of records and inline bytes read in one view
	// maxQuarantined bounds the blobs that one scrub puts into quarantine: if more are
	// damaged, the cause is probably the disk or this program.
	maxQuarantined = 64
	// maxStray bounds the blobs without a record that one scrub examines again.
	maxStray = 10_000
)

// Scrub reads everything that is stored. For each version and part it checks that the bytes
// were sealed under the data key in the record, that every chunk authenticates, and that
// records and blobs belong together. It runs beside traffic. It may miss what is written
// while it runs. It deletes nothing. The error is nil even if there are findings.
func (o *Operator) Scrub(ctx context.Context, in ScrubInput) (Scrubbed, error) {
	if in.Again == 0 {
		in.Again = time.Second
	}
	c := &scrubber{o: o, in: in, pace: limit.NewPace(in.Rate), found: in.Files}
	if err := c.flush(nil); err != nil {
		return c.done, err
	}
	for _, step := range []func(context.Context) error{
		c.tables, c.uploads, c.versions, c.pointers, c.shares, c.references, c.blobs,
	} {
		if err := step(ctx); err != nil {
			return c.done, err
		}
	}
	var err error
	c.done.Aside, c.done.Apart, err = o.bytes.Apart()
	return c.done, err
}

// scrubber is one scrub.
type scrubber struct {
	o      *Operator
	in     ScrubInput
	pace   limit.Pace
	done   Scrubbed
	found  []Finding  // findings of the open view
	items  []*subject // subjects of the open view
	object string     // the object of the version before this one
	id     string     // id of the bucket whose name was looked up last
	name   string
	stop   error // the error that ended the reading of bytes
}

// walk calls take for the records whose keys begin with prefix, in views of bounded size,
// and calls flush after each view. take returns the number of bytes that it keeps. If
// reading a record fails twice, that is a finding, and the record is skipped.
func (c *scrubber) walk(
	ctx context.Context, prefix string, take func(r kv.Reader, k, v []byte) (int, error), flush func() error,
) error {
	from, end := []byte(prefix), record.After([]byte(prefix))
	var broken []byte
	for from != nil {
		start := from
		err := c.o.store.View(ctx, func(r kv.Reader) error {
			size := 0
			for p, err := range r.Scan(start, end) {
				switch {
				case err != nil && ctx.Err() != nil:
					return err
				case err != nil && len(p.Key) == 0:
					c.find(Finding{Problem: Unreachable, Detail: fmt.Sprintf(
						"the records from %q on can't be read; stop the server and run check: %s", start, oneLine(err),
					)})
					from = nil
					return nil
				case err != nil && !bytes.Equal(broken, p.Key): // read it once more, from the disk
					broken = bytes.Clone(p.Key)
					from = broken
					return nil
				case err != nil:
					c.find(c.named(r, p.Key, Finding{Problem: BadRecord, Detail: oneLine(err)}))
					from = append(bytes.Clone(p.Key), 0)
					return nil
				case size >= scrubPortion:
					from = bytes.Clone(p.Key)
					return nil
				}
				n, err := take(r, p.Key, p.Value)
				if err != nil {
					return err
				}
				size += n + len(p.Key) + len(p.Value)
			}
			from = nil
			return nil
		})
		if err == nil {
			err = c.flush(flush)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// flush reports the findings of a view after the view has ended.
func (c *scrubber) flush(then func() error) error {
	found := c.found
	c.found = nil
	for i := range found {
		if err := c.tell(&found[i]); err != nil {
			return err
		}
	}
	if then == nil {
		return c.in.Tell(nil, c.done)
	}
	return then()
}

// find stores a finding, which is reported after the view has ended.
func (c *scrubber) find(f Finding) { c.found = append(c.found, f) }

func (c *scrubber) tell(f *Finding) error {
	c.done.Findings++
	return c.in.Tell(f, c.done)
}

// named fills in bucket and key from the key of a version's record.
func (c *scrubber) named(r kv.Reader, k []byte, f Finding) Finding {
	id, key, seq, ok := splitVersion(k)
	if !ok {
		f.Detail = fmt.Sprintf("the record %q: %s", k, f.Detail)
		return f
	}
	f.Bucket, f.Key = c.bucketName(r, id), key
	f.Detail = fmt.Sprintf("the record of version number %d: %s", seq, f.Detail)
	return f
}

// bucketName returns the name of the bucket with an id, or the id in hex.
func (c *scrubber) bucketName(r kv.Reader, id string) string {
	if c.id == id && c.name != "" {
		return c.name
	}
	c.id, c.name = id, fmt.Sprintf("%x", id)
	for p, err := range r.Scan([]byte("b/"), record.After([]byte("b/"))) {
		if err != nil {
			break
		}
		if bucketID(p.Value) == id {
			c.name = string(p.Key[2:])
			break
		}
	}
	return c.name
}

// bucketID returns the id in a bucket's record.
func bucketID(b []byte) string {
	for f := record.Read(b); f.Next(); {
		if f.Number == 1 {
			return string(f.Bytes)
		}
	}
	return ""
}

// versions examines every version.
func (c *scrubber) versions(ctx context.Context) error {
	return c.walk(ctx, bucket.VersionPrefix, c.takeVersion, func() error {
		for _, s := range c.taken() {
			if err := c.version(ctx, s); err != nil {
				return err
			}
		}
		return nil
	})
}

// taken returns the subjects of the view that has ended.
func (c *scrubber) taken() []*subject {
	items := c.items
	c.items = nil
	return items
}

// takeVersion adds a version and compares it with the records that refer to it.
func (c *scrubber) takeVersion(r kv.Reader, k, value []byte) (int, error) {
	id, _, _, _ := splitVersion(k)
	s, v, err := versionSubject(r, c.bucketName(r, id), k, value)
	if err != nil {
		c.find(c.named(r, k, Finding{Problem: BadRecord, Detail: oneLine(err)}))
		return 0, nil
	}
	object := s.id + "/" + s.of.Key
	newest := c.object != object
	c.object = object
	if wrong, err := pointsAt(r, object, v, newest); err != nil || wrong != "" {
		if err != nil {
			wrong = oneLine(err)
		}
		f := s.of
		f.Problem, f.Detail = BadRecord, wrong
		c.find(f)
	}
	if v.deleteMarker {
		c.done.DeleteMarkers++
		return 0, nil
	}
	c.items = append(c.items, s)
	return len(s.inline), nil
}

// pointsAt compares the newest version of a key with the current pointer, and an older one
// with the index of the null version. It returns what is wrong.
func pointsAt(r kv.Reader, object string, v *version, newest bool) (wrong string, err error) {
	switch {
	case newest:
		b, err := r.Get([]byte(pointerPrefix + object))
		if err != nil || b == nil && v.deleteMarker {
			return "", err
		}
		if b == nil {
			return "no record points to it as the current version", nil
		}
		switch p, err := decodeVersion(b); {
		case err != nil || p.seq != v.seq || p.unique != v.unique:
			return "the record of the current version points to another one", nil
		case !samePointer(b, v.pointer()):
			return "the record of the current version says something else", nil
		}
	case v.null:
		b, err := r.Get([]byte(nullPrefix + object))
		if err == nil && !bytes.Equal(b, record.Big(nil, v.seq)) {
			return "no record points to it as the null version", nil
		}
		return "", err
	}
	return "", nil
}

// version examines a version after its view has ended.
func (c *scrubber) version(ctx context.Context, s *subject) error {
	c.done.Versions++
	if s.parts == 0 {
		return c.verify(ctx, s)
	}
	n, size := 0, int64(0)
	err := c.walk(ctx, string(versionParts(s.unique)), func(r kv.Reader, k, value []byte) (int, error) {
		all, err := listSubjects(r, s, k, value)
		if err != nil {
			c.find(s.finding(BadRecord, oneLine(err)))
		}
		for _, p := range all {
			n, size = n+1, size+p.at.Size
		}
		c.items = append(c.items, all...)
		return scrubPortion, nil
	}, func() error { return c.partsTaken(ctx) })
	if err != nil || n == s.parts && size == s.at.Size {
		return err
	}
	next, err := c.again(ctx, s)
	if err != nil || next == nil {
		return err
	}
	f := s.finding(Missing, fmt.Sprintf("%d of %d parts are there, with %d of %d bytes", n, s.parts, size, s.at.Size))
	return c.tell(&f)
}

func (c *scrubber) partsTaken(ctx context.Context) error {
	for _, p := range c.taken() {
		c.done.Parts++
		if err := c.verify(ctx, p); err != nil {
			return err
		}
	}
	return nil
}

// uploads examines the parts of uploads in progress.
func (c *scrubber) uploads(ctx context.Context) error {
	return c.walk(ctx, uploadPrefix, func(r kv.Reader, k, value []byte) (int, error) {
		if len(k) <= uploadFixed {
			c.find(Finding{Problem: BadRecord, Detail: fmt.Sprintf("the record %q: its key is too short", k)})
			return 0, nil
		}
		s := &subject{record: bytes.Clone(k), id: string(k[2 : 2+bucketIDSize])}
		s.of.Bucket, s.of.Key = c.bucketName(r, s.id), string(k[2+bucketIDSize+1:len(k)-25])
		s.of.UploadID = base64.RawURLEncoding.EncodeToString(k[len(k)-24:])
		s.unique = unique(k[len(k)-16:])
		u, err := decodeUpload(bytes.Clone(value))
		if err == nil {
			s.choice, err = u.operatorChoice(s.of.Bucket, s.of.Key)
		}
		if err != nil {
			c.find(s.finding(BadRecord, oneLine(err)))
			return 0, nil
		}
		c.items = append(c.items, s)
		return 0, nil
	}, func() error {
		for _, s := range c.taken() {
			err := c.walk(ctx, string(uploadParts(s.unique)), func(r kv.Reader, k, value []byte) (int, error) {
				p, err := uploadPart(r, s, k, value)
				if err != nil {
					c.find(s.finding(BadRecord, oneLine(err)))
					return 0, nil
				}
				c.items = append(c.items, p)
				return len(p.inline), nil
			}, func() error { return c.partsTaken(ctx) })
			if err != nil {
				return err
			}
		}
		return nil
	})
}

// pointers finds current pointers to versions that are not there.
func (c *scrubber) pointers(ctx context.Context) error {
	return c.walk(ctx, pointerPrefix, func(r kv.Reader, k, value []byte) (int, error) {
		of := Finding{Problem: BadRecord, Detail: fmt.Sprintf("the record %q can't be read", k)}
		if len(k) > 2+bucketIDSize+1 {
			of.Bucket, of.Key = c.bucketName(r, string(k[2:2+bucketIDSize])), string(k[2+bucketIDSize+1:])
		}
		seq, err := pointerSeq(value)
		if err != nil {
			c.find(of)
			return 0, nil
		}
		at := record.Big(record.Key(bucket.VersionPrefix, string(k[2:]), "\x00"), ^seq)
		if v, err := r.Get(at); err == nil && v == nil {
			of.Problem = Missing
			of.Detail = fmt.Sprintf("the record of the current version, number %d, is not there", seq)
			c.find(of)
		}
		return 0, nil
	}, nil)
}

var errChanged = errors.New("object: the record changes again and again")
