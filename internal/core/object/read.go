package object

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"io"

	"watertight/internal/access/arn"
	"watertight/internal/access/authz"
	"watertight/internal/access/policy"
	"watertight/internal/core/bucket"
	"watertight/internal/core/change"
	"watertight/internal/core/keys"
	"watertight/internal/core/payload"
	"watertight/internal/storage/kv"
)

// readAction returns the action that a read needs. With a version id, even "null", it is a
// read of a version (S3 user guide, "Required permissions for Amazon S3 API operations").
func readAction(versionID *string) policy.Action {
	if versionID != nil {
		return "s3:GetObjectVersion"
	}
	return "s3:GetObject"
}

// maxRereads bounds how often a read starts again because its version was replaced, and the
// blob removed, before the blob was opened.
const maxRereads = 4

// Get opens a version for reading. It needs s3:GetObject, or
// s3:GetObjectVersion with VersionID, and kms:Decrypt on the version's key of KMS. The
// caller closes the Body.
// Errors: NoSuchBucket, NoSuchKey, NoSuchVersion, MethodNotAllowed,
// InvalidArgument, InvalidRequest, PreconditionFailed, NotModified,
// InvalidRange, InvalidPartNumber and, of a customer's key, AccessDenied and
// InvalidEncryptionAlgorithmError; those of KMS.
func (s *Store) Get(ctx context.Context, g authz.Grant, in GetInput) (*Reading, error) {
	if err := g.Demand(readAction(in.VersionID), arn.Object(in.Bucket, in.Key)); err != nil {
		return nil, err
	}
	r, wider, err := s.get(ctx, g, &in)
	if err != nil {
		return nil, err
	}
	if r.Lock, err = r.Lock.shown(ctx, wider, &in); err != nil {
		r.Body.Close()
		return nil, err
	}
	return r, nil
}

// get opens a version for reading, and returns a grant that also covers its key.
func (s *Store) get(ctx context.Context, g authz.Grant, in *GetInput) (*Reading, authz.Grant, error) {
	for try := 1; ; try++ {
		f, err := s.plan(ctx, g, in, "GET", true)
		if err != nil {
			return nil, g, err
		}
		reading := s.reading(ctx, f, in)
		reading.Body, err = s.open(ctx, f, in.Key)
		if err == nil {
			return reading, f.grant, nil
		}
		if !errors.Is(err, payload.ErrGone) || try == maxRereads {
			return nil, g, err
		}
	}
}

// Head is Get without a body. It needs s3:GetObject, or s3:GetObjectVersion with VersionID.
// For a version under a key of KMS, only the checksum needs kms:Decrypt.
func (s *Store) Head(ctx context.Context, g authz.Grant, in GetInput) (*Reading, error) {
	if err := g.Demand(readAction(in.VersionID), arn.Object(in.Bucket, in.Key)); err != nil {
		return nil, err
	}
	f, err := s.plan(ctx, g, &in, "HEAD", false)
	if err != nil {
		return nil, err
	}
	r := s.reading(ctx, f, &in)
	if r.Lock, err = r.Lock.shown(ctx, f.grant, &in); err != nil {
		return nil, err
	}
	return r, nil
}

// reading is f's answer. Only that about a current version says when it expires.
func (s *Store) reading(ctx context.Context, f *readPlan, in *GetInput) *Reading {
	r := f.reading(in.Key)
	if in.VersionID == nil && in.AsOf.IsZero() {
		r.Expires = s.expires(ctx, f.b, in.Key, f.v)
	}
	return r
}

// readPlan is a version and the range of it to read.
type readPlan struct {
	b       *bucket.Bucket
	v       *version
	span    span
	inline  []byte
	parts   []segment // of a multipart object
	choice  keys.Choice
	grant   authz.Grant     // also covers the version's key
	key     payload.DataKey // set if the choice hides digests
	refusal error           // error of the conditions or the range
}

func (f *readPlan) reading(key string) *Reading {
	r := &Reading{
		Version: f.v.public(f.b, key), Lock: f.v.lock, Partial: f.span.partial, Start: f.span.start,
		Length: f.span.length,
	}
	if f.span.part != nil {
		p := f.span.part.public()
		r.Part = &p
	}
	return r
}

// plan reads the version in the view in which it is authorized, and checks the conditions
// and the range. After the view it checks the key. An error of the key takes precedence
// over one of the conditions or the range.
func (s *Store) plan(ctx context.Context, g authz.Grant, in *GetInput, method string, bytes bool) (*readPlan, error) {
	if err := cmp.Or(in.check(), checkPast(g, in.AsOf)); err != nil {
		return nil, err
	}
	choice, err := in.Customer.forReading(g)
	if err != nil {
		return nil, err
	}
	f := &readPlan{choice: choice, grant: g}
	err = change.View(ctx, s.store, g, func(r kv.Reader) (err error) {
		if f.b, err = bucket.For(r, g, in.Bucket); err != nil {
			return err
		}
		k := slot{f.b, in.Key}
		if in.AsOf.IsZero() {
			f.v, err = k.find(r, in.VersionID, method)
		} else {
			f.v, err = k.findAsOf(r, in.AsOf, in.VersionID)
		}
		if err != nil {
			return err
		}
		if f.refusal = in.conditions(f.v.etag, f.v.modified, g.Caller().At()); f.refusal != nil {
			return nil
		}
		if f.span, f.refusal = in.span(r, f.v); f.refusal != nil {
			return nil
		}
		if bytes && f.v.etag.Parts > 0 && f.span.length > 0 {
			f.parts, err = segments(r, f.v, f.span)
			if s := f.parts; f.span.partial && len(s) == 1 && s[0].length == s[0].size {
				f.span.part = s[0].part
			}
			return err
		}
		if !bytes || !f.v.inline || f.span.length == 0 {
			return nil
		}
		f.inline, err = r.Get(inlineKey(f.v.payloadUnique()))
		if err == nil && f.inline == nil {
			err = k.lost(f.v.seq)
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	if f.v.kms != nil && !bytes && !in.Checksums {
		return f, cmp.Or(f.v.checkChoice(choice), f.refusal) // Head without checksums opens no key
	}
	k := slot{f.b, in.Key}
	if f.choice, f.grant, err = s.openFor(ctx, g, k, f.v, choice); err != nil {
		return nil, err
	}
	if f.choice.IsKMS() && !in.Checksums && f.span.part == nil { // nobody sees the checksum
		f.key, err = s.payloads.OpenKey(ctx, f.grant, f.v.location(), f.choice, k.binding(f.v))
		return f, cmp.Or(err, f.refusal)
	}
	if f.key, err = s.openVersion(ctx, f.grant, k, f.v, f.choice); err != nil {
		return nil, err
	}
	if f.refusal == nil && f.span.part != nil {
		err = s.openParts(ctx, f.grant, k, f.v.payloadUnique(), f.choice, f.span.part)
	}
	return f, cmp.Or(f.refusal, err)
}

// find returns the full record of the version that a request names. That is always an
// object, never a delete marker.
func (s slot) find(r kv.Reader, versionID *string, method string) (*version, error) {
	if versionID == nil {
		v, marker, err := s.current(r)
		switch {
		case err != nil:
			return nil, err
		case marker != nil:
			return nil, noSuchKey(s.key).WithHeader("x-amz-delete-marker", "true").
				WithHeader("x-amz-version-id", marker.id())
		case v == nil:
			return nil, noSuchKey(s.key)
		default:
			return v, nil
		}
	}
	v, err := s.byID(r, *versionID)
	switch {
	case err != nil:
		return nil, err
	case v == nil:
		return nil, noSuchVersion(s.key, *versionID)
	case v.deleteMarker:
		return nil, v.notAllowed(method)
	default:
		return v, nil
	}
}

// open opens the bytes asked for.
func (s *Store) open(ctx context.Context, f *readPlan, key string) (io.ReadCloser, error) {
	if f.span.length == 0 {
		return &body{ReadCloser: io.NopCloser(bytes.NewReader(nil))}, nil
	}
	if f.parts != nil {
		return s.join(ctx, f, key)
	}
	k, at := f.key, f.v.location()
	if !f.choice.HidesDigests() {
		var err error
		if k, err = s.payloads.OpenKey(ctx, f.grant, at, f.choice, slot{f.b, key}.binding(f.v)); err != nil {
			return nil, err
		}
	}
	return s.openRange(at, k, f.inline, f.span.start, f.span.length)
}

// body is a range of an opened object; Close closes both.
type body struct {
	io.ReadCloser
	content io.Closer // may be nil
}

func (b *body) WriteTo(w io.Writer) (int64, error) {
	if from, ok := b.ReadCloser.(io.WriterTo); ok {
		return from.WriteTo(w)
	}
	return io.Copy(w, b.ReadCloser)
}

func (b *body) Close() error {
	err := b.ReadCloser.Close()
	if b.content != nil {
		err = errors.Join(err, b.content.Close())
	}
	return err
}
