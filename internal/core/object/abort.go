package object

import (
	"context"

	"watertight/internal/access/arn"
	"watertight/internal/access/authz"
	"watertight/internal/core/bucket"
	"watertight/internal/storage/kv"
)

// AbortUpload ends an upload and drops its parts. It needs
// s3:AbortMultipartUpload. Errors: NoSuchBucket, NoSuchUpload.
func (s *Store) AbortUpload(ctx context.Context, g authz.Grant, bucketName, key, id string) error {
	if err := g.Demand("s3:AbortMultipartUpload", arn.Object(bucketName, key)); err != nil {
		return err
	}
	var gone []garbage
	err := s.writeIn(ctx, g, bucketName, func(tx kv.Tx, b *bucket.Bucket) error {
		k := slot{b, key}
		u, err := lockUpload(tx, k, id, kv.Exclusive)
		if err != nil {
			return err
		}
		gone, err = endUpload(tx, k.uploadKey(u), u, nil)
		return err
	})
	if err != nil {
		return err
	}
	s.removeAll(ctx, gone)
	return nil
}

// endUpload deletes an upload's records. It also drops the bytes of every part that is not in keep.
func endUpload(tx kv.Tx, at []byte, u *upload, keep map[int]*part) (gone []garbage, err error) {
	err = eachUploadPart(tx, u.unique, 0, func(p *part) bool {
		if keep[p.number] == nil {
			gone = append(gone, dropPart(tx, p)...)
		}
		forget(tx, partKey(u.unique, p.number))
		return true
	})
	if err != nil {
		return nil, err
	}
	forget(tx, at)
	return gone, nil
}

// initiator is the ARN of the caller who begins an upload, "" for an anonymous one.
func initiator(g authz.Grant) string {
	if who := g.Caller().Principal().ARN; !who.IsZero() {
		return who.String()
	}
	return ""
}
