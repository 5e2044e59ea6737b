package object

import (
	"bytes"
	"context"
	"errors"

	"watertight/internal/access/arn"
	"watertight/internal/access/authz"
	"watertight/internal/core/alarm"
	"watertight/internal/core/bucket"
	"watertight/internal/core/change"
	"watertight/internal/core/change/record"
	"watertight/internal/core/keys"
	"watertight/internal/core/mfa"
	"watertight/internal/core/payload"
	"watertight/internal/fault"
	"watertight/internal/storage/kv"
)

// UpdateEncryptionInput moves a version to a key of KMS.
type UpdateEncryptionInput struct {
	VersionInput
	KeyARN    string // full ARN of the key
	BucketKey bool
}

// UpdateEncryption rewraps the data keys of a version under a key of KMS (SSE-KMS). The
// version may be under the server's keys (SSE-S3), or under another key of KMS; then it
// keeps the caller's own pairs of the encryption context. No bytes move; ETag, dates,
// checksums, metadata and tags stay as they are. Checksums that were stored in plaintext
// are sealed. It needs s3:UpdateObjectEncryption, kms:GenerateDataKey on the key, and
// kms:Decrypt on the key that the version is under. If the version changes in the meantime,
// UpdateEncryption starts again, and finally answers OperationAborted. Errors:
// NoSuchBucket, NoSuchKey, NoSuchVersion, MethodNotAllowed for a delete marker,
// InvalidArgument, InvalidRequest, AccessDenied for a key that the bucket's account does
// not own, for a version that Object Lock protects, and for another key while MFA Delete is
// enabled, those of KMS. InvalidRequest also answers for a version that shares its parts with
// other versions, since a rollback.
func (s *Store) UpdateEncryption(ctx context.Context, g authz.Grant, in UpdateEncryptionInput) (Version, error) {
	if err := g.Demand("s3:UpdateObjectEncryption", arn.Object(in.Bucket, in.Key)); err != nil {
		return Version{}, err
	}
	if err := checkKey(in.Key); err != nil {
		return Version{}, err
	}
	key, err := arn.Parse(in.KeyARN)
	if err != nil || key.Service != "kms" || !key.Begins("key/") {
		return Version{}, fault.New(fault.InvalidRequest,
			"The key must be named by the full Amazon Resource Name (ARN) of a KMS key.")
	}
	if err := s.mayUseKMS(g); err != nil {
		return Version{}, err
	}
	for try := 1; ; try++ {
		out, err := s.updateEncryption(ctx, g, &in, key)
		if !errors.Is(err, errRekeyed) {
			return out, err
		}
		if try == maxRereads {
			return Version{}, fault.Of(fault.OperationAborted).Because(err)
		}
	}
}

// errRekeyed means that the version no longer has the data keys that were opened.
var errRekeyed = errors.New("object: the data keys of a version changed while they were wrapped anew")

// rekeyed holds the rewrapped data keys of a version and of its parts. They are made before
// the transaction that stores them.
type rekeyed struct {
	of    unique
	kms   *underKMS
	whole rewrapped
	parts map[unique]rewrapped // by the unique bytes of each
}

// rewrapped is one data key: old is the present one; at has the new one and the sealed checksum.
type rewrapped struct {
	old []byte
	at  payload.Location
}

func (s *Store) updateEncryption(
	ctx context.Context, g authz.Grant, in *UpdateEncryptionInput, key arn.ARN,
) (out Version, err error) {
	k := slot{key: in.Key}
	var v *version
	var parts []*part
	err = change.View(ctx, s.store, g, func(r kv.Reader) error {
		if k.b, err = bucket.For(r, g, in.Bucket); err != nil {
			return err
		}
		if v, err = in.find(r, k.b, "PUT"); err != nil || v.etag.Parts == 0 {
			return err
		}
		if err = k.ownParts(r, v); err != nil {
			return err
		}
		parts, err = allParts(r, v)
		return err
	})
	if err != nil {
		return Version{}, err
	}
	if key.Account != k.b.Owner {
		return Version{}, fault.New(fault.AccessDenied,
			"The AWS KMS key in the request must be owned by the same account as the bucket.")
	}
	if v.encryption != bucket.AES256 && v.encryption != bucket.KMS {
		return Version{}, fault.New(fault.InvalidRequest,
			"Only objects with SSE-S3 or SSE-KMS can be moved under another key.")
	}
	to := &underKMS{key: in.KeyARN, bucketKey: in.BucketKey}
	if v.kms != nil {
		to.pairs = v.kms.pairs
	}
	n, g, err := s.rekey(ctx, g, k, v, parts, to)
	if err != nil {
		return Version{}, err
	}
	var changed alarm.Changes
	err = s.writeKey(ctx, g, in.Bucket, in.Key, func(tx kv.Tx, now slot) error {
		changed = alarm.Changes{}
		if now.b.ID != k.b.ID {
			return noSuchBucket(in.Bucket)
		}
		v, err := in.find(tx, now.b, "PUT")
		if err != nil {
			return err
		}
		same := v.kms.sameKey(n.kms)
		if err := now.mayRekey(v, same, removalBy(s.clock, g, now.b)); err != nil {
			return err
		}
		if !same {
			changed.Add(alarm.Change{Key: in.Key, Version: v.id(), Counts: alarm.Counts{alarm.KeyChanges: 1}})
		}
		if err := n.replace(tx, now, v); err != nil {
			return err
		}
		noteVersion(g, now.b, v)
		out = v.public(now.b, in.Key)
		return nil
	})
	if err == nil {
		s.tell(ctx, g, k.b, changed)
	}
	return out, err
}

// mayRekey refuses to move a protected version: whoever can delete the key that it comes
// under could destroy it without a bypass or a code.
func (s slot) mayRekey(v *version, sameKey bool, r removal) error {
	if err := v.removable(r.at, false); err != nil || sameKey {
		return err
	}
	return s.b.MayRemove(mfa.Proof{})
}

// allParts returns the parts of a version: at most MaxParts.
func allParts(r kv.Reader, v *version) (parts []*part, err error) {
	err = eachPart(r, v, nil, func(p *part) bool { parts = append(parts, p); return true })
	return parts, err
}

// rekey opens the data keys of a version and its parts, and wraps them under to. It returns
// a grant that covers both keys.
func (s *Store) rekey(
	ctx context.Context, g authz.Grant, k slot, v *version, parts []*part, to *underKMS,
) (n rekeyed, _ authz.Grant, err error) {
	from, g, err := s.openFor(ctx, g, k, v, keys.Choice{})
	if err != nil {
		return n, g, err
	}
	g, found, err := s.kms.ExtendToGenerate(ctx, g, to.use(k))
	if err != nil {
		return n, g, err
	}
	to.key = found.ARN.String()
	choice, err := to.choice(k, bucket.KMS)
	if err != nil {
		return n, g, err
	}
	n = rekeyed{of: v.unique, kms: to, parts: make(map[unique]rewrapped, len(parts))}
	n.whole, err = s.wrapAnew(ctx, g, v.location(), v.checksum.Sum, from, choice, k.binding(v))
	for _, p := range parts {
		if err != nil {
			break
		}
		n.parts[p.unique], err = s.wrapAnew(
			ctx, g, p.location(), p.checksum.Sum, from, choice, k.partBinding(v.payloadUnique(), p.number),
		)
	}
	return n, g, err
}

// wrapAnew wraps the data key of a location under to, and seals its checksum if that is in
// plaintext. A multipart version without a data key of its own gets one, to seal its
// checksum.
func (s *Store) wrapAnew(
	ctx context.Context, g authz.Grant, at payload.Location, plain []byte, from, to keys.Choice, binding []byte,
) (w rewrapped, err error) {
	w = rewrapped{old: at.Key, at: at}
	var key payload.DataKey
	if at.Key == nil {
		var made payload.Location
		made, key, err = s.payloads.NewKey(ctx, g, to, binding)
		w.at.Key = made.Key
	} else if key, err = s.payloads.OpenKey(ctx, g, at, from, binding); err == nil {
		w.at.Key, err = s.payloads.WrapKey(ctx, g, key, to, binding)
	}
	if err == nil && plain != nil {
		w.at = key.SealSum(w.at, plain)
	}
	return w, err
}

// replace writes a version with its rewrapped data keys.
func (n *rekeyed) replace(tx kv.Tx, k slot, v *version) error {
	if v.unique != n.of || !bytes.Equal(v.dataKey, n.whole.old) {
		return errRekeyed
	}
	if err := k.ownParts(tx, v); err != nil {
		return err
	}
	lists, err := n.replaceParts(tx, v)
	if err != nil {
		return err
	}
	v.encryption, v.kms = bucket.KMS, n.kms
	v.dataKey, v.sealedSum, v.checksum.Sum = n.whole.at.Key, n.whole.at.Sum, nil
	for _, l := range lists {
		tx.Set(l.Key, l.Value)
	}
	return k.rewrite(tx, v)
}

// replaceParts returns the records of a version's parts with their rewrapped data keys.
func (n *rekeyed) replaceParts(r kv.Reader, v *version) (lists []kv.Pair, err error) {
	if v.etag.Parts == 0 {
		return nil, nil
	}
	prefix := versionParts(v.payloadUnique())
	found := 0
	for pair, err := range r.Scan(prefix, record.After(prefix)) {
		if err != nil {
			return nil, err
		}
		var parts []*part
		l, err := partsOf(pair.Value, nil, func(p *part) bool { parts = append(parts, p); return true })
		if err != nil {
			return nil, err
		}
		for _, p := range parts {
			w, ok := n.parts[p.unique]
			if !ok || !bytes.Equal(p.dataKey, w.old) {
				return nil, errRekeyed
			}
			p.dataKey, p.sealedSum, p.checksum.Sum = w.at.Key, w.at.Sum, nil
		}
		found += len(parts)
		lists = append(lists, kv.Pair{Key: bytes.Clone(pair.Key), Value: append(encodeParts(parts), l.kept...)})
	}
	if found != len(n.parts) {
		return nil, errRekeyed
	}
	return lists, nil
}
