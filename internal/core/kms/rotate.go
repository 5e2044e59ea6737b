package kms

import (
	"context"
	"fmt"
	"slices"
	"time"

	"watertight/internal/access/arn"
	"watertight/internal/access/authz"
	"watertight/internal/core/change"
	"watertight/internal/core/page"
	"watertight/internal/fault"
	"watertight/internal/storage/kv"
	"watertight/internal/storage/seal"
)

// Limits of rotations (KMS API reference, EnableKeyRotation and RotateKeyOnDemand;
// developer guide, "Resource quotas").
const (
	minPeriod     = 90 // days
	maxPeriod     = 2560
	defaultPeriod = 365
	maxOnDemand   = 25
	// nearRotation is the minimum time between a rotation on demand and the next automatic one.
	nearRotation = 20 * time.Minute
)

// EnableKeyRotation enables the automatic rotation of a key's material every so many days,
// from 90 to 2560; 0 means the key's present period, or else 365. Older ciphertext can
// still be decrypted. It needs kms:EnableKeyRotation on the key. Errors: NotFoundException,
// InvalidArnException, DisabledException, KMSInvalidStateException,
// UnsupportedOperationException for imported material, ValidationException.
func (s *Store) EnableKeyRotation(ctx context.Context, g authz.Grant, key string, days int) error {
	return s.modify(ctx, g, "kms:EnableKeyRotation", key, toRotate, func(_ kv.Tx, k *keyRecord, at time.Time) error {
		switch {
		case k.imported:
			return notForImported(k.arn().String())
		case days == 0 && k.period > 0:
			return change.ErrUnchanged
		case days == 0:
			days = defaultPeriod
		case days < minPeriod || days > maxPeriod:
			return fault.New(fault.ValidationException, fmt.Sprintf(
				"RotationPeriodInDays is %d, but must be between %d and %d.", days, minPeriod, maxPeriod))
		}
		if days == k.period { // a repeated request must not postpone the next rotation
			return change.ErrUnchanged
		}
		k.period, k.next = days, at.Add(inDays(days))
		return nil
	})
}

// DisableKeyRotation disables automatic rotation. It needs kms:DisableKeyRotation on the
// key. Errors: NotFoundException, InvalidArnException, DisabledException,
// KMSInvalidStateException, UnsupportedOperationException for imported material.
func (s *Store) DisableKeyRotation(ctx context.Context, g authz.Grant, key string) error {
	return s.modify(ctx, g, "kms:DisableKeyRotation", key, toRotate, func(_ kv.Tx, k *keyRecord, _ time.Time) error {
		switch {
		case k.imported:
			return notForImported(k.arn().String())
		case k.period == 0:
			return change.ErrUnchanged
		}
		k.period, k.next = 0, time.Time{}
		return nil
	})
}

// RotationStatus says whether a key's material is rotated automatically.
type RotationStatus struct {
	Key     arn.ARN
	Enabled bool
	Period  int       // days; 0 unless enabled
	Next    time.Time // zero unless enabled
}

// GetKeyRotationStatus returns whether a key's material is rotated automatically. While the
// key's deletion is pending, it is not. It needs kms:GetKeyRotationStatus on the key.
// Errors: NotFoundException, InvalidArnException.
func (s *Store) GetKeyRotationStatus(
	ctx context.Context, g authz.Grant, key string,
) (out RotationStatus, err error) {
	err = s.view(ctx, g, "kms:GetKeyRotationStatus", key, func(_ kv.Reader, k *keyRecord, _ time.Time) error {
		out.Key = k.arn()
		if k.period > 0 && k.state != PendingDeletion {
			out.Enabled, out.Period, out.Next = true, k.period, k.next
		}
		return nil
	})
	return out, err
}

// RotateKeyOnDemand creates new material and makes it current, at most 25 times for each
// key. The dates of automatic rotations do not change. It needs kms:RotateKeyOnDemand on
// the key. Errors: NotFoundException, InvalidArnException, DisabledException,
// KMSInvalidStateException, UnsupportedOperationException, LimitExceededException,
// ConflictException within 20 minutes before an automatic rotation.
func (s *Store) RotateKeyOnDemand(ctx context.Context, g authz.Grant, key string) (out Key, err error) {
	id, err := s.rotatable(ctx, g, key, func(on arn.ARN) error { return g.Demand("kms:RotateKeyOnDemand", on) })
	if err != nil {
		return out, err
	}
	defer s.wrapping.root.Hold().Release()
	m := s.newMaterial(id, seal.NewKey(), g.Caller().At(), OnDemand)
	return out, s.modify(ctx, g, "kms:RotateKeyOnDemand", key, toRotate,
		func(tx kv.Tx, k *keyRecord, at time.Time) error {
			if err := k.mayRotate(id, at); err != nil {
				return err
			}
			k.onDemand++
			k.begin(tx, m)
			out = k.key()
			return nil
		})
}

// rotatable returns the key to rotate; it is called before new material is made.
func (s *Store) rotatable(
	ctx context.Context, g authz.Grant, name string, may func(arn.ARN) error,
) (id keyID, err error) {
	owner, err := account(g)
	if err != nil {
		return id, err
	}
	at := g.Caller().At()
	err = s.store.View(ctx, func(r kv.Reader) error {
		k, err := s.findOwn(r, owner, name, at)
		if err != nil {
			return err
		}
		if err := may(k.arn()); err != nil {
			return err
		}
		id, _ = parseKeyID(k.id)
		if err := k.check(toRotate, at); err != nil {
			return err
		}
		return k.mayRotate(id, at)
	})
	return id, err
}

// mayRotate checks the conditions of a rotation on demand, apart from the key's state.
func (k *keyRecord) mayRotate(made keyID, at time.Time) error {
	switch {
	case made.String() != k.id:
		return notFound("Key '" + k.arn().String() + "' was replaced")
	case k.imported:
		return invalidState("No available key material pending rotation for the key: " + k.arn().String() + ".")
	case k.period > 0 && k.next.Sub(at) <= nearRotation:
		return fault.New(fault.ConflictException,
			"An automatic rotation of the key is in progress or begins within 20 minutes.")
	case k.onDemand >= maxOnDemand:
		return fault.New(fault.LimitExceededException, "The on-demand rotations limit has been reached for the given "+
			"keyId. No more on-demand rotations can be performed for this key: "+k.id)
	}
	return nil
}

// MaterialInfo describes one material of a key.
type MaterialInfo struct {
	Key      arn.ARN
	Material MaterialID
	Current  bool
	At       time.Time // when it became current; for the first material, when it was created
	How      Rotation
	Imported bool      // the key has imported material
	Present  bool      // false for imported material that was removed
	ValidTo  time.Time // end of imported material; zero means that it does not expire
}

// ListKeyRotations returns a page of a key's rotations, the oldest first, and the marker of
// the next page. If all is set, it lists all materials of the key. It needs
// kms:ListKeyRotations on the key. Errors: NotFoundException, InvalidArnException,
// InvalidMarkerException.
func (s *Store) ListKeyRotations(
	ctx context.Context, g authz.Grant, key string, all bool, p page.Request,
) (out []MaterialInfo, next string, err error) {
	err = s.view(ctx, g, "kms:ListKeyRotations", key, func(r kv.Reader, k *keyRecord, at time.Time) error {
		found, err := materialsIn(r, k.id)
		if err != nil {
			return err
		}
		if !all {
			found = slices.DeleteFunc(found, func(m *materialRecord) bool { return m.how == First })
		}
		slices.SortFunc(found, func(a, b *materialRecord) int { return int(int64(a.number) - int64(b.number)) })
		found, next, err = page.Cut(found, func(m **materialRecord) string { return fmt.Sprintf("%020d", (*m).number) },
			p, fmt.Sprint("rotations\x00", k.id, all))
		if err != nil {
			return invalidMarker(err)
		}
		for _, m := range found {
			info := MaterialInfo{
				Key: k.arn(), Material: m.id, At: m.created, How: m.how, Imported: k.imported,
				Current: k.imported || m.id == k.current, Present: m.wrapped != nil,
			}
			if k.imported {
				info.Present, info.ValidTo = k.hasMaterial(at), k.validTo
			}
			out = append(out, info)
		}
		return nil
	})
	return out, next, err
}

// rotate makes new material current if an automatic rotation is due, and reports whether it did.
func (s *Store) rotate(ctx context.Context, id string, at time.Time, event EventOf) (rotated bool, err error) {
	uuid, ok := parseKeyID(id)
	if !ok {
		return false, nil
	}
	defer s.wrapping.root.Hold().Release()
	m := s.newMaterial(uuid, seal.NewKey(), at, Automatic)
	err = s.background(ctx, id, event, KeyRotated, func(tx kv.Tx, k *keyRecord) error {
		rotated = false
		if k.state != Enabled || k.period == 0 || k.imported || at.Before(k.next) {
			return change.ErrUnchanged
		}
		rotated = true
		return k.update(tx, func() error {
			for !at.Before(k.next) { // after years without a running server, the key is rotated once
				k.next = k.next.Add(inDays(max(k.period, minPeriod)))
			}
			k.begin(tx, m)
			return nil
		})
	})
	return rotated && err == nil, err
}
