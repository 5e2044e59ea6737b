package bucket

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"fmt"

	"watertight/internal/access/arn"
	"watertight/internal/access/authz"
	"watertight/internal/core/change"
	"watertight/internal/core/change/record"
	"watertight/internal/core/lifecycle"
	"watertight/internal/fault"
	"watertight/internal/limit"
	"watertight/internal/storage/kv"
)

// LifecycleID identifies a version of a bucket's lifecycle configuration: each Put makes a
// new one. Zero means that the bucket has no configuration.
type LifecycleID [8]byte

// lifecycles describes the record s/ID/lifecycle. The bucket's own record has the
// configuration's id, so that requests on a bucket without a configuration read nothing
// more.
func lifecycles() setting[lifecycle.Configuration] {
	return setting[lifecycle.Configuration]{
		// AWS has no separate action for deleting it.
		name: "lifecycle", put: "s3:PutLifecycleConfiguration", get: "s3:GetLifecycleConfiguration",
		missing: fault.NoSuchLifecycleConfiguration,
		encode:  encodeLifecycle, decode: decodeLifecycle,
		isRemoving: func(c lifecycle.Configuration) bool { return len(c.Rules) == 0 },
	}
}

// ProgressKey returns the key of the record that says how far the background work on the
// bucket is. Package object writes it.
func (id ID) ProgressKey() []byte { return record.Key("l/", string(id[:])) }

// PutLifecycle replaces a bucket's lifecycle configuration. It needs
// s3:PutLifecycleConfiguration. Errors: NoSuchBucket, those of
// lifecycle.Configuration.Check, InvalidRequest while MFA Delete is on.
func (s *Store) PutLifecycle(
	ctx context.Context, g authz.Grant, name string, configuration lifecycle.Configuration,
) error {
	if err := g.Demand("s3:PutLifecycleConfiguration", arn.Bucket(name)); err != nil {
		return err
	}
	if err := configuration.Check(newRuleID); err != nil {
		return err
	}
	return s.setLifecycle(ctx, g, name, configuration)
}

// DeleteLifecycle removes a bucket's lifecycle configuration, if it has one. It needs
// s3:PutLifecycleConfiguration. Errors: NoSuchBucket.
func (s *Store) DeleteLifecycle(ctx context.Context, g authz.Grant, name string) error {
	return s.setLifecycle(ctx, g, name, lifecycle.Configuration{})
}

// setLifecycle replaces the configuration; one without rules removes it. As with any
// setting, a record that can't be read is never replaced.
func (s *Store) setLifecycle(ctx context.Context, g authz.Grant, name string, c lifecycle.Configuration) error {
	setting := lifecycles()
	return s.configure(ctx, g, setting.put, name, func(tx kv.Tx, b *Bucket) error {
		removing := setting.isRemoving(c)
		if removing && b.Lifecycle == (LifecycleID{}) {
			return change.ErrUnchanged
		}
		if _, _, err := setting.in(tx, b); err != nil {
			return err
		}
		if b.Lifecycle = (LifecycleID{}); !removing {
			if err := b.refuseLifecycle(); err != nil {
				return err
			}
			rand.Read(b.Lifecycle[:])
		}
		b.write(tx)
		setting.set(tx, b.ID, c)
		tx.Delete(b.ID.ProgressKey())
		return nil
	})
}

// GetLifecycle returns a bucket's lifecycle configuration. It needs
// s3:GetLifecycleConfiguration. Errors: NoSuchBucket, NoSuchLifecycleConfiguration.
func (s *Store) GetLifecycle(ctx context.Context, g authz.Grant, name string) (lifecycle.Configuration, error) {
	return lifecycles().read(ctx, s, g, name)
}

// newRuleID returns the ID for a rule that was put without one. Its form is AWS's: base64
// of a random UUID.
func newRuleID() string {
	var u [16]byte
	rand.Read(u[:])
	u[6], u[8] = u[6]&0x0f|0x40, u[8]&0x3f|0x80
	text := fmt.Sprintf("%x-%x-%x-%x-%x", u[:4], u[4:6], u[6:8], u[8:10], u[10:])
	return base64.StdEncoding.EncodeToString([]byte(text))
}

// maxRules bounds the cache of compiled rules, in bytes.
const maxRules = 8 << 20

// rulesCache keeps compiled rules by their configuration's id. The bucket's record has that
// id, so a new configuration counts from the next request on.
type rulesCache struct {
	cache *limit.Cache[LifecycleID, *lifecycle.Rules]
}

func newRulesCache() rulesCache {
	return rulesCache{
		limit.NewCache(maxRules, func(_ LifecycleID, r *lifecycle.Rules) int64 { return limit.Footprint(r) }),
	}
}

// Rules returns the compiled rules of a bucket as r sees it, nil if it has none. It takes
// no grant: no caller sees the rules, they only say what is due.
func (s *Store) Rules(r kv.Reader, b *Bucket) (*lifecycle.Rules, error) {
	if b.Lifecycle == (LifecycleID{}) {
		return nil, nil
	}
	if rules, ok := s.rules.cache.Get(b.Lifecycle); ok {
		return rules, nil
	}
	c, found, err := lifecycles().in(r, b)
	if err != nil {
		return nil, err
	}
	if !found {
		return nil, malformed(b.Name)
	}
	rules := c.Compile()
	s.rules.cache.Put(b.Lifecycle, rules)
	return rules, nil
}

// EachWithLifecycle calls fn with each bucket that has a lifecycle configuration, in order
// of the names, beginning after the name after. fn returns false to stop. bad gets the
// error of each record that can't be read.
func EachWithLifecycle(r kv.Reader, after string, fn func(*Bucket) bool, bad func(error)) error {
	from := bucketKey(after)
	if after != "" {
		from = append(from, 0)
	}
	for p, err := range r.Scan(from, record.After([]byte(bucketPrefix))) {
		if err != nil {
			return err
		}
		b, err := decode(string(p.Key[len(bucketPrefix):]), p.Value)
		switch {
		case err != nil:
			bad(err)
		case b.Lifecycle != LifecycleID{} && !fn(&b):
			return nil
		}
	}
	return nil
}
