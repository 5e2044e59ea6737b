package object

import (
	"context"

	"watertight/internal/access/arn"
	"watertight/internal/access/authz"
	"watertight/internal/access/policy"
	"watertight/internal/core/bucket"
	"watertight/internal/core/change"
	"watertight/internal/core/tag"
	"watertight/internal/fault"
	"watertight/internal/storage/kv"
)

// VersionInput names a version of an object. If VersionID is nil, it names the current version.
type VersionInput struct {
	Bucket, Key string
	VersionID   *string
}

func (in *VersionInput) action(plain, versioned policy.Action) policy.Action {
	if in.VersionID != nil {
		return versioned
	}
	return plain
}

// GetTags returns a version and its tags. It needs s3:GetObjectTagging, or
// s3:GetObjectVersionTagging with VersionID. Errors: NoSuchBucket, NoSuchKey,
// NoSuchVersion, MethodNotAllowed for a delete marker, InvalidArgument.
func (s *Store) GetTags(ctx context.Context, g authz.Grant, in VersionInput) (out Version, err error) {
	if err := g.Demand(in.action("s3:GetObjectTagging", "s3:GetObjectVersionTagging"),
		arn.Object(in.Bucket, in.Key)); err != nil {
		return Version{}, err
	}
	err = change.View(ctx, s.store, g, func(r kv.Reader) error {
		b, err := bucket.For(r, g, in.Bucket)
		if err != nil {
			return err
		}
		v, err := in.find(r, b, "GET")
		if err == nil {
			out = v.public(b, in.Key)
		}
		return err
	})
	return out, err
}

// PutTags replaces the tags of a version with tags, a set that tag.Object made; its bytes,
// ETag and date stay as they are. It needs s3:PutObjectTagging, or
// s3:PutObjectVersionTagging with VersionID. It returns the same errors as GetTags.
func (s *Store) PutTags(ctx context.Context, g authz.Grant, in VersionInput, tags tag.Set) (Version, error) {
	return s.setTags(ctx, g, in, in.action("s3:PutObjectTagging", "s3:PutObjectVersionTagging"), "PUT", tags)
}

// DeleteTags removes the tags of a version, if it has any. It needs s3:DeleteObjectTagging,
// or s3:DeleteObjectVersionTagging with VersionID. It returns the same errors as GetTags.
func (s *Store) DeleteTags(ctx context.Context, g authz.Grant, in VersionInput) (Version, error) {
	return s.setTags(ctx, g, in, in.action("s3:DeleteObjectTagging", "s3:DeleteObjectVersionTagging"), "DELETE", nil)
}

func (s *Store) setTags(
	ctx context.Context, g authz.Grant, in VersionInput, action policy.Action, method string, tags tag.Set,
) (out Version, err error) {
	if err := g.Demand(action, arn.Object(in.Bucket, in.Key)); err != nil {
		return Version{}, err
	}
	err = s.rewrite(ctx, g, &in, method, func(_ kv.Tx, k slot, v *version) error {
		v.tags = tags
		out = v.public(k.b, in.Key)
		return nil
	})
	return out, err
}

// find returns the full record of the version. If a delete marker is current, the error is
// MethodNotAllowed, not NoSuchKey: the key exists, but a marker can't have tags.
func (in *VersionInput) find(r kv.Reader, b *bucket.Bucket, method string) (*version, error) {
	if err := checkKey(in.Key); err != nil {
		return nil, err
	}
	k := slot{b, in.Key}
	if in.VersionID != nil {
		return k.find(r, in.VersionID, method)
	}
	v, marker, err := k.current(r)
	switch {
	case err != nil:
		return nil, err
	case marker != nil:
		return nil, marker.notAllowed(method)
	case v == nil:
		return nil, noSuchKey(in.Key)
	default:
		return v, nil
	}
}

// notAllowed is the error for every request that names a delete marker, except its deletion.
func (v *version) notAllowed(method string) error {
	return fault.Of(fault.MethodNotAllowed).
		Telling().With("Method", method).With("ResourceType", "DeleteMarker").
		WithHeader("Allow", "DELETE").WithHeader("x-amz-delete-marker", "true").
		WithHeader("x-amz-version-id", v.id()).WithHeader("Last-Modified", v.modified.UTC().Format(httpTime))
}

// Tags returns the tags of a version. Authorization calls it before anything is granted. It
// returns no tags if the version does not exist.
func (s *Store) Tags(ctx context.Context, in VersionInput) (tags tag.Set, err error) {
	err = s.store.View(ctx, func(r kv.Reader) error {
		b, err := bucket.Read(r, in.Bucket)
		if err != nil {
			return err
		}
		v, err := in.find(r, &b, "GET")
		if err == nil {
			tags = v.tags
		}
		return err
	})
	if f := fault.From(err); f != nil {
		switch f.Kind {
		case fault.KindNotFound, fault.KindNotAllowed, fault.KindInvalid:
			return nil, nil
		}
	}
	return tags, err
}
