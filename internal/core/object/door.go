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

// This file is the only one of this package that deletes records (test/arch), so that one
// function checks whether a version is protected, whoever asks to remove it; see decision
// 0053.

// removal holds what permits to remove protected versions for good. The zero removal
// removes unprotected versions only.
type removal struct {
	at     time.Time // the instant that has certainly come, see instant.Clock.Passed
	bypass bool      // of GOVERNANCE: the header was sent, and s3:BypassGovernanceRetention was demanded
	mfa    mfa.Proof // of a code that the bucket owner's root user sent with this request
	// removed, if set, gets the version that was removed, as it was read.
	removed **version
}

// remove deletes the records of a version and returns the bytes to remove after the
// commit. It checks the version as the transaction reads it, and writes nothing if it
// refuses. The caller updates the current pointer. v may come from a current pointer.
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
	if r.removed != nil {
		*r.removed = v
	}
	tx.Delete(s.version(v.seq))
	if v.null && s.b.Versioning != bucket.Off {
		forget(tx, s.nullIndex())
	}
	return s.release(tx, v)
}

// concernsOneVersion reports whether an error says that one version is protected or can't
// be read, so that a batch can continue with its other keys. A missing MFA code fails the
// whole request (S3 API reference, DeleteObjects, x-amz-mfa).
func concernsOneVersion(err error) bool {
	return fault.Is(err, fault.AccessDenied) && !errors.Is(err, mfa.ErrMissing) ||
		errors.Is(err, record.ErrUnknown) || errors.Is(err, record.ErrMalformed)
}

// forget deletes a record that is not a version's.
func forget(tx kv.Tx, key []byte) {
	if bytes.HasPrefix(key, []byte(bucket.VersionPrefix)) {
		panic(fmt.Sprintf("object: the version at %q is deleted without slot.remove", key))
	}
	tx.Delete(key)
}
