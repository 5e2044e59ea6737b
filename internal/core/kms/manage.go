package kms

import (
	"context"
	"fmt"
	"time"

	"watertight/internal/access/arn"
	"watertight/internal/access/authz"
	"watertight/internal/access/policy"
	"watertight/internal/core/change"
	"watertight/internal/core/change/record"
	"watertight/internal/core/page"
	"watertight/internal/core/tag"
	"watertight/internal/fault"
	"watertight/internal/storage/kv"
)

// view demands action on a key and reads the key.
func (s *Store) view(
	ctx context.Context, g authz.Grant, action policy.Action, name string,
	do func(r kv.Reader, k *keyRecord, at time.Time) error,
) error {
	owner, err := account(g)
	if err != nil {
		return err
	}
	at := g.Caller().At()
	return s.store.View(ctx, func(r kv.Reader) error {
		k, err := s.findOwn(r, owner, name, at)
		if err != nil {
			return err
		}
		if err := g.Demand(action, k.arn()); err != nil {
			return err
		}
		return do(r, k, at)
	})
}

// modify demands action on a key and changes the key, if the key's state allows the
// operation. It refuses keys that the server manages.
func (s *Store) modify(
	ctx context.Context, g authz.Grant, action policy.Action, name string, o operation,
	do func(tx kv.Tx, k *keyRecord, at time.Time) error,
) error {
	return s.commit(ctx, g, func(tx kv.Tx, at time.Time) error {
		owner, err := account(g)
		if err != nil {
			return err
		}
		k, err := s.findOwn(tx, owner, name, at)
		if err != nil {
			return err
		}
		if err := g.Demand(action, k.arn()); err != nil {
			return err
		}
		if k.managed {
			return fault.New(fault.AccessDenied, k.arn().String()+" is managed by the server and cannot be changed.")
		}
		if err := k.check(o, at); err != nil {
			return err
		}
		return k.update(tx, func() error { return do(tx, k, at) })
	})
}

// update writes a key after do has changed it, together with the records of its due times.
func (k *keyRecord) update(tx kv.Tx, do func() error) error {
	before := k.dues()
	if err := do(); err != nil {
		return err
	}
	for _, key := range before {
		tx.Delete(key)
	}
	for _, key := range k.dues() {
		tx.Set(key, record.Start(nil))
	}
	k.write(tx)
	return nil
}

// dues returns the keys of the records that say when the server has to act on the key.
func (k *keyRecord) dues() (all [][]byte) {
	if k.state == PendingDeletion {
		all = append(all, dueKey(deletionPrefix, k.ends, k.id))
	}
	if k.current != (MaterialID{}) && !k.validTo.IsZero() {
		all = append(all, dueKey(expiryPrefix, k.validTo, k.id))
	}
	if k.state == Enabled && k.period > 0 {
		all = append(all, dueKey(rotationPrefix, k.next, k.id))
	}
	return all
}

// EnableKey enables a disabled key. It needs kms:EnableKey on the key. Errors:
// NotFoundException, InvalidArnException, KMSInvalidStateException.
func (s *Store) EnableKey(ctx context.Context, g authz.Grant, key string) error {
	return s.setState(ctx, g, "kms:EnableKey", key, Enabled)
}

// DisableKey prevents the use of a key from the next request on. It needs kms:DisableKey on
// the key. Errors: NotFoundException, InvalidArnException, KMSInvalidStateException.
func (s *Store) DisableKey(ctx context.Context, g authz.Grant, key string) error {
	return s.setState(ctx, g, "kms:DisableKey", key, Disabled)
}

func (s *Store) setState(ctx context.Context, g authz.Grant, action policy.Action, key string, to State) error {
	return s.modify(ctx, g, action, key, toEnable, func(_ kv.Tx, k *keyRecord, _ time.Time) error {
		if k.state == to {
			return change.ErrUnchanged
		}
		k.state = to
		return nil
	})
}

// UpdateKeyDescription replaces a key's description, of at most 8192 characters. It
// needs kms:UpdateKeyDescription on the key. Errors: NotFoundException,
// InvalidArnException, KMSInvalidStateException, ValidationException.
func (s *Store) UpdateKeyDescription(ctx context.Context, g authz.Grant, key, description string) error {
	return s.modify(ctx, g, "kms:UpdateKeyDescription", key, toChange,
		func(_ kv.Tx, k *keyRecord, _ time.Time) error {
			k.description = description
			return checkDescription(description)
		})
}

// Waiting periods of a deletion, in days (KMS API reference, ScheduleKeyDeletion).
const (
	minWindow = 7
	maxWindow = 30
)

// inDays returns a duration of n days of 24 hours.
func inDays(n int) time.Duration { return time.Duration(n) * 24 * time.Hour }

// ScheduleKeyDeletion starts a key's waiting period of 7 to 30 days; 0 means 30. The key
// can't be used from the next request on. At the end of the waiting period, the key and its
// material are destroyed for ever. It needs kms:ScheduleKeyDeletion on the key. Errors:
// NotFoundException, InvalidArnException, KMSInvalidStateException, ValidationException.
func (s *Store) ScheduleKeyDeletion(
	ctx context.Context, g authz.Grant, key string, days int,
) (out Metadata, err error) {
	return out, s.modify(ctx, g, "kms:ScheduleKeyDeletion", key, toSchedule,
		func(_ kv.Tx, k *keyRecord, at time.Time) error {
			err := k.schedule(days, at)
			out = k.metadata(at)
			return err
		})
}

// schedule starts the waiting period of a key's deletion.
func (k *keyRecord) schedule(days int, at time.Time) error {
	if days == 0 {
		days = maxWindow
	}
	if days < minWindow || days > maxWindow {
		return fault.New(fault.ValidationException, fmt.Sprintf(
			"PendingWindowInDays is %d, but must be between %d and %d.", days, minWindow, maxWindow))
	}
	k.state, k.window, k.ends = PendingDeletion, days, at.Add(inDays(days))
	return nil
}

// CancelKeyDeletion cancels the deletion before the waiting period ends. The key is then
// disabled or, if its material was removed, pending import. It needs kms:CancelKeyDeletion
// on the key. Errors: NotFoundException, InvalidArnException, KMSInvalidStateException.
func (s *Store) CancelKeyDeletion(ctx context.Context, g authz.Grant, key string) (out Key, err error) {
	return out, s.modify(ctx, g, "kms:CancelKeyDeletion", key, toCancel,
		func(_ kv.Tx, k *keyRecord, _ time.Time) error {
			k.state, k.window, k.ends = Disabled, 0, time.Time{}
			out = k.key()
			return nil
		})
}

// TagResource adds tags to a key or, if their keys exist, replaces their values. It needs
// kms:TagResource on the key. Errors: NotFoundException, InvalidArnException,
// KMSInvalidStateException, TagException, ValidationException.
func (s *Store) TagResource(ctx context.Context, g authz.Grant, key string, tags []tag.Tag) error {
	return s.modify(ctx, g, "kms:TagResource", key, toChange, func(_ kv.Tx, k *keyRecord, _ time.Time) (err error) {
		k.tags, err = tag.AddKMS(k.tags, tags)
		return err
	})
}

// UntagResource removes tags from a key, by their keys. It needs kms:UntagResource on
// the key. Errors: NotFoundException, InvalidArnException, KMSInvalidStateException.
func (s *Store) UntagResource(ctx context.Context, g authz.Grant, key string, keys []string) error {
	return s.modify(ctx, g, "kms:UntagResource", key, toChange, func(_ kv.Tx, k *keyRecord, _ time.Time) error {
		k.tags = tag.RemoveKMS(k.tags, keys)
		return nil
	})
}

// ListResourceTags returns a page of a key's tags, and the marker of the next page. It
// needs kms:ListResourceTags on the key. Errors: NotFoundException, InvalidArnException,
// InvalidMarkerException.
func (s *Store) ListResourceTags(
	ctx context.Context, g authz.Grant, key string, p page.Request,
) (tags []tag.Tag, next string, err error) {
	err = s.view(ctx, g, "kms:ListResourceTags", key, func(_ kv.Reader, k *keyRecord, _ time.Time) error {
		tags, next, err = tag.Page(k.tags, p, k.id)
		return invalidMarker(err)
	})
	return tags, next, err
}

// invalidMarker returns the error for an invalid marker with KMS's code.
func invalidMarker(err error) error {
	if fault.Is(err, fault.ValidationError) {
		return fault.New(fault.InvalidMarkerException, "Could not deserialize token").Because(err)
	}
	return err
}

// ListKeys returns a page of the keys of the caller's account, in the order of their ids,
// and the marker of the next page. It needs kms:ListKeys on every resource. Errors:
// InvalidMarkerException.
func (s *Store) ListKeys(ctx context.Context, g authz.Grant, p page.Request) (all []Key, next string, err error) {
	if err := g.Demand("kms:ListKeys", arn.Any()); err != nil {
		return nil, "", err
	}
	owner, err := account(g)
	if err != nil {
		return nil, "", err
	}
	at := g.Caller().At()
	err = s.store.View(ctx, func(r kv.Reader) error {
		ids, more, err := pageOf(r, ownedKey(owner, ""), p, "keys\x00"+owner)
		if err != nil {
			return err
		}
		next = more
		for _, id := range ids {
			k, err := readKey(r, id)
			if err != nil {
				return err
			}
			if k != nil && !k.isDestroyed(at) {
				all = append(all, k.key())
			}
		}
		return nil
	})
	return all, next, err
}

// pageOf returns a page of the names after a prefix, and the marker of the next page. It
// reads only that page. Errors: InvalidMarkerException.
func pageOf(r kv.Reader, prefix []byte, p page.Request, scope string) (names []string, next string, err error) {
	last, err := p.After(scope)
	if err != nil {
		return nil, "", invalidMarker(err)
	}
	from := prefix
	if last != "" {
		from = record.Key(string(prefix), last, "\x00")
	}
	for pair, err := range r.Scan(from, record.After(prefix)) {
		switch {
		case err != nil:
			return nil, "", err
		case len(names) == p.Size():
			return names, page.Token(scope, names[len(names)-1]), nil
		}
		names = append(names, string(pair.Key[len(prefix):]))
	}
	return names, "", nil
}
