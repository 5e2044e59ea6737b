package object

import (
	"bytes"
	"errors"
	"fmt"
	"time"

	"watertight/internal/core/bucket"
	"watertight/internal/core/change/record"
	"watertight/internal/core/mfa"
	"watertight/internal/fault"
	"watertight/internal/storage/kv"
)

// This file is the only one of this room that deletes records (test/arch), so that
// what protects a version is judged in one place, whoever wants it gone; see
// decision 0053.

// removal says who removes a version for good and what they bring. The zero removal
// may remove only what nothing protects.
type removal struct {
	at     time.Time // the request's instant
	bypass bool      // of GOVERNANCE: the header was sent, and s3:BypassGovernanceRetention was demanded
	mfa    mfa.Proof // a code that the bucket owner's root user gave for this request
}

// remove deletes the records of a version and returns the bytes to remove after
// the commit. It judges the version as the transaction reads it, and writes nothing
// where it refuses. The caller updates the current pointer. v may be what a current
// pointer holds.
// Errors: AccessDenied, and for a version that can't be read those of decodeVersion.
func (s slot) remove(tx kv.Tx, v *version, r removal) ([]garbage, error) {
	seq := v.seq
	v, err := s.at(tx, seq)
	if err != nil {
		return nil, err
	}
	if v == nil {
		return nil, s.lost(seq)
	}
	if err := v.removable(r.at, r.bypass); err != nil {
		return nil, err
	}
	if err := s.b.MayRemove(r.mfa); err != nil {
		return nil, err
	}
	tx.Delete(s.version(v.seq))
	if v.null && s.b.Versioning != bucket.Off {
		forget(tx, s.nullIndex())
	}
	return s.release(tx, v)
}

// concernsOneVersion reports an error about a version that is protected or that this
// program can't read. Other keys of a batch are not concerned. Whoever lacks a code
// lacks it for the whole request (S3 API reference, DeleteObjects, x-amz-mfa).
func concernsOneVersion(err error) bool {
	return fault.Is(err, fault.AccessDenied) && !errors.Is(err, mfa.ErrMissing) ||
		errors.Is(err, record.ErrUnknown) || errors.Is(err, record.ErrMalformed)
}

// forget deletes a record that is not a version's.
func forget(tx kv.Tx, key []byte) {
	if bytes.HasPrefix(key, []byte(bucket.VersionPrefix)) {
		panic(fmt.Sprintf("object: the version at %q is deleted past slot.remove", key))
	}
	tx.Delete(key)
}
