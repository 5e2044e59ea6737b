package kms

import (
	"context"
	"maps"
	"strconv"
	"strings"
	"time"

	"watertight/internal/access/authz"
	"watertight/internal/access/policy"
	"watertight/internal/storage/kv"
)

// Conditions returns the condition keys for a key and its name in the request (KMS
// developer guide, "Condition keys for AWS KMS"). kms:CallerAccount depends on the caller,
// and is in access/policy.
func (s *Subject) Conditions() map[string][]string {
	origin := OriginKMS
	if s.Imported {
		origin = OriginExternal
	}
	with := KindConditions(origin)
	if s.Alias != "" {
		with["kms:requestalias"] = []string{s.Alias}
	}
	if len(s.Aliases) > 0 {
		with[resourceAliases] = s.Aliases
	}
	for k, v := range s.Tags {
		name := policy.KeyName("aws:resourcetag/" + k)
		with[name] = append(with[name], v) // tag keys may differ only by case
	}
	return with
}

// KindConditions returns the condition keys for the kind of a key: a symmetric one, with
// the origin of its material. For CreateKey there are no other condition keys of the key.
func KindConditions(origin string) map[string][]string {
	return map[string][]string{
		"kms:keyspec": {SpecSymmetric}, "kms:keyusage": {UsageEncrypt}, "kms:keyorigin": {origin},
		"kms:multiregion": {strconv.FormatBool(false)},
	}
}

// ContextConditions returns the condition keys of a cryptographic operation with an
// encryption context. Condition keys ignore case: if two names of the context differ only
// in case, their condition key has both values.
func ContextConditions(context map[string]string) map[string][]string {
	with := map[string][]string{"kms:encryptionalgorithm": {SpecSymmetric}}
	for k, v := range context {
		name := policy.KeyName("kms:encryptioncontext:" + k)
		with[name] = append(with[name], v)
		with["kms:encryptioncontextkeys"] = append(with["kms:encryptioncontextkeys"], k)
	}
	return with
}

// useConditions are the condition keys and the laws of a use by a service. The condition
// keys are made only when a policy refers to one, because most policies refer to few, and
// some keys cost a read.
type useConditions struct {
	s       *Store
	use     *Use
	key     *keyRecord
	alias   string              // that the use named; "" if it named the key itself
	at      time.Time           // of the request
	aliases []string            // read only if a policy refers to them
	all     map[string][]string // set when a policy has referred to one
}

// Costly implements authz.Conditions.
func (c *useConditions) Costly() string { return resourceAliases }

// Look implements authz.Conditions. It reads the key's aliases.
func (c *useConditions) Look(ctx context.Context) error {
	return c.s.store.View(ctx, func(r kv.Reader) (err error) {
		c.all = nil
		c.aliases, err = aliasesOf(r, c.key.id)
		return err
	})
}

// Laws implements authz.Conditions.
func (c *useConditions) Laws() *authz.ResourceLaws { return c.s.lawsOf(c.key) }

// Values implements policy.Conditions.
func (c *useConditions) Values(name string) []string {
	switch {
	case name == viaService:
		return c.s.via(c.use.Via)
	case !strings.HasPrefix(name, "kms:") && !strings.HasPrefix(name, "aws:resourcetag/") && name != viaAWSService:
		return nil
	case c.all == nil:
		subject := c.key.described(c.alias, c.at)
		subject.Aliases = c.aliases
		c.all = subject.Conditions()
		maps.Copy(c.all, ContextConditions(c.use.Context.All()))
		c.all[viaService] = c.s.via(c.use.Via)
		c.all[viaAWSService] = []string{strconv.FormatBool(true)}
	}
	return c.all[name]
}

// service is the value of kms:ViaService for one service.
type service struct {
	name   string
	values []string
}

// via returns the value of kms:ViaService for a service. The last one is kept: there is
// hardly another.
func (s *Store) via(name string) []string {
	if last := s.lastVia.Load(); last != nil && last.name == name {
		return last.values
	}
	v := &service{name, []string{name + "." + s.region + ".amazonaws.com"}}
	s.lastVia.Store(v)
	return v.values
}

// Condition keys, as policy.KeyName has them.
const (
	resourceAliases = "kms:resourcealiases"
	viaService      = "kms:viaservice"
	viaAWSService   = "aws:viaawsservice"
)
