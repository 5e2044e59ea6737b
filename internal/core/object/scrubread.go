package object

import (
	"bytes"
	"cmp"
	"context"
	"encoding/binary"
	"errors"
	"fmt"

	"watertight/internal/core/bucket"
	"watertight/internal/core/keys"
	"watertight/internal/core/payload"
	"watertight/internal/storage/kv"
)

// subject is a version, a part or an upload that is being examined. Before a problem is
// reported, its records are read again.
type subject struct {
	of      Finding // what it is
	id      string  // of the bucket
	unique  unique  // of the version's payload, or the upload
	record  []byte  // key of the record that names the bytes
	refers  []byte  // what the references of its blobs hold
	at      payload.Location
	inline  []byte
	binding []byte
	choice  keys.Choice // choice of a KMS key
	wrong   string      // what is wrong with the reference of its blob
	parts   int         // number of parts of a multipart version
	// reload reads the record again. It returns nil if the record was deleted.
	reload func(kv.Reader) (*subject, error)
}

// finding returns a finding about s.
func (s *subject) finding(p Problem, detail string) Finding {
	f := s.of
	f.Problem, f.Detail, f.Blob = p, detail, s.at.Blob
	return f
}

// same reports whether o describes the same bytes.
func (s *subject) same(o *subject) bool {
	return s.at.Blob == o.at.Blob && s.at.Size == o.at.Size && s.parts == o.parts && s.wrong == o.wrong &&
		bytes.Equal(s.at.Key, o.at.Key) && bytes.Equal(s.inline, o.inline) && (s.inline == nil) == (o.inline == nil)
}

// splitVersion splits the key of a version's record.
func splitVersion(k []byte) (id, key string, seq uint64, ok bool) {
	const fixed = 2 + bucketIDSize + 1 + 1 + 8
	if len(k) <= fixed || string(k[:2]) != bucket.VersionPrefix {
		return "", "", 0, false
	}
	return string(k[2 : 2+bucketIDSize]), string(k[2+bucketIDSize+1 : len(k)-9]),
		^binary.BigEndian.Uint64(k[len(k)-8:]), true
}

// versionSubject decodes a version. name is its bucket's.
func versionSubject(r kv.Reader, name string, k, value []byte) (*subject, *version, error) {
	id, key, seq, ok := splitVersion(k)
	v, err := decodeVersion(bytes.Clone(value))
	if err != nil {
		return nil, nil, err
	}
	if !ok || v.seq != seq {
		return nil, nil, errors.New("it belongs to another key")
	}
	s := &subject{
		of: Finding{Bucket: name, Key: key, VersionID: v.id()}, id: id, unique: v.payloadUnique(),
		record: bytes.Clone(k), at: v.location(), parts: int(v.etag.Parts),
	}
	s.binding, s.refers = binding(bucket.ID([]byte(id)), s.unique, key), s.record
	if v.shared {
		s.refers = shareKey(s.unique)
	}
	if s.choice, err = v.operatorChoice(name, key); err != nil {
		return nil, nil, err
	}
	s.reload = func(r kv.Reader) (*subject, error) {
		b, err := r.Get(s.record)
		if b == nil || err != nil {
			return nil, err
		}
		next, _, err := versionSubject(r, name, s.record, b)
		return next, err
	}
	if v.deleteMarker || s.parts > 0 {
		return s, v, nil
	}
	return s, v, s.look(r, v.inline, s.unique, s.refers)
}

// operatorChoice returns the choice of keys of a version or an upload under a key of KMS,
// and the zero choice for others.
func (v *version) operatorChoice(bucketName, key string) (keys.Choice, error) {
	if v.kms == nil {
		return keys.Choice{}, nil
	}
	return v.kms.choice(slot{&bucket.Bucket{Name: bucketName}, key}, v.encryption)
}

// look reads the inline bytes, or checks that the blob refers back to the record refers.
func (s *subject) look(r kv.Reader, inline bool, u unique, refers []byte) (err error) {
	if inline {
		s.inline, err = r.Get(inlineKey(u))
		return err
	}
	if s.at.Blob == "" {
		return errors.New("it has neither inline bytes nor a blob")
	}
	got, err := r.Get(blobKey(s.at.Blob))
	if err == nil && !bytes.Equal(got, refers) {
		s.wrong = "the record of its blob does not refer to it"
	}
	return err
}

// partSubject describes a part of a version, or of an upload in progress.
func partSubject(r kv.Reader, of *subject, p *part, refers []byte) (*subject, error) {
	s := &subject{
		of: of.of, id: of.id, unique: of.unique, at: p.location(), choice: of.choice,
		binding: partBinding(bucket.ID([]byte(of.id)), of.unique, p.number, of.of.Key),
	}
	s.of.Part = p.number
	return s, s.look(r, p.inline, p.unique, refers)
}

// listSubjects decodes the parts in one record of a version's parts. With an error, it also
// returns the parts that it could decode.
func listSubjects(r kv.Reader, of *subject, k, value []byte) (all []*subject, err error) {
	list := bytes.Clone(k)
	_, err = partsOf(bytes.Clone(value), nil, func(p *part) bool {
		s, serr := partSubject(r, of, p, of.refers)
		if serr != nil {
			err = serr
			return false
		}
		s.reload = func(r kv.Reader) (*subject, error) {
			of, err := of.reload(r) // it may share its parts by now
			if of == nil || err != nil {
				return nil, err
			}
			b, err := r.Get(list)
			if b == nil || err != nil {
				return nil, err
			}
			again, err := listSubjects(r, of, list, b)
			for _, a := range again {
				if a.of.Part == s.of.Part {
					return a, nil
				}
			}
			return nil, err
		}
		all = append(all, s)
		return true
	})
	return all, err
}

// uploadPart decodes a part of an upload in progress.
func uploadPart(r kv.Reader, of *subject, k, value []byte) (*subject, error) {
	p, err := decodePart(value)
	if err != nil {
		return nil, err
	}
	at := bytes.Clone(k)
	s, err := partSubject(r, of, p, at)
	if err != nil {
		return nil, err
	}
	s.reload = func(r kv.Reader) (*subject, error) {
		b, err := r.Get(at)
		if b == nil || err != nil {
			return nil, err
		}
		return uploadPart(r, of, at, b)
	}
	return s, nil
}

// again reads the records of a subject again. It returns nil if they were deleted.
func (c *scrubber) again(ctx context.Context, s *subject) (next *subject, err error) {
	err = c.o.store.View(ctx, func(r kv.Reader) error {
		next, err = s.reload(r)
		return err
	})
	return next, err
}

// maxLooks bounds how often a subject whose record changes is read again.
const maxLooks = 5

// verify checks the bytes of a version or part. Before it reports a problem, it reads the
// record again and the bytes again, from the disk.
func (c *scrubber) verify(ctx context.Context, s *subject) error {
	err := c.read(ctx, s, false)
	for look := 1; s.wrong != "" || isBad(err); look++ {
		if err := cmp.Or(c.stop, ctx.Err()); err != nil {
			return err
		}
		if look > maxLooks {
			return c.bad(s, errChanged)
		}
		next, rerr := c.again(ctx, s)
		if rerr != nil && ctx.Err() == nil {
			return c.bad(s, rerr)
		}
		if next == nil || rerr != nil {
			return rerr // it was deleted in the meantime
		}
		if look > 1 && next.same(s) {
			return c.bad(s, err)
		}
		s = next
		err = c.read(ctx, s, true)
	}
	switch {
	case errors.Is(err, keys.ErrCustomerKey):
		c.done.CustomerKey++
	case errors.Is(err, keys.ErrUnavailable):
		c.done.Unavailable++
	}
	return c.in.Tell(nil, c.done)
}

// isBad reports whether the result of a check must be reported.
func isBad(err error) bool {
	return err != nil && !errors.Is(err, keys.ErrCustomerKey) && !errors.Is(err, keys.ErrUnavailable)
}

func (c *scrubber) read(ctx context.Context, s *subject, uncached bool) error {
	return c.o.bytes.Verify(ctx, payload.Check{
		At: s.at, Inline: s.inline, Binding: s.binding, Choice: s.choice, Uncached: uncached,
		Read: func(n int64) error {
			c.done.Bytes += n
			if c.stop = c.pace.Wait(ctx, n); c.stop == nil {
				c.stop = c.in.Tell(nil, c.done)
			}
			return c.stop
		},
	})
}

// bad reports what is wrong with a subject, and puts a damaged blob into quarantine. A blob
// counts as damaged only if its data key opens and its bytes do not authenticate under that
// key: any other error may be caused by the disk's driver, by records or by keys, and the
// bytes may be good.
func (c *scrubber) bad(s *subject, err error) error {
	var damage *payload.DamageError
	var f Finding
	switch {
	case !isBad(err):
		f = s.finding(BadRecord, s.wrong)
	case errors.As(err, &damage):
		f = s.finding(Damaged, fmt.Sprintf("from byte %d on: %s", damage.At, damage.Reason))
	case errors.Is(err, payload.ErrMissing):
		f = s.finding(Missing, "its bytes are not there")
	case errors.Is(err, payload.ErrWrongKey):
		f = s.finding(WrongKey, "its data key does not open for it")
	default:
		f = s.finding(Unreadable, oneLine(err))
	}
	if f.Problem == Damaged && f.Blob != "" && c.in.Quarantine {
		if c.done.Quarantined >= maxQuarantined {
			f.Detail += fmt.Sprintf("; more than %d blobs: it was left where it is", maxQuarantined)
		} else if err := c.o.bytes.Quarantine(f.Blob); err != nil {
			f.Detail += "; it could not be put into quarantine: " + oneLine(err)
		} else {
			c.done.Quarantined++
			f.Quarantined = true
		}
	}
	return c.tell(&f)
}
