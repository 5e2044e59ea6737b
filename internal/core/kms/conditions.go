package kms

import (
	"context"
	"maps"
	"strconv"
	"strings"

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
		with[policy.KeyName("aws:resourcetag/"+k)] = []string{v}
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

// useConditions are the condition keys of a use by a service. They are made only when a
// policy refers to one, because most policies refer to few, and some keys cost a read.
type useConditions struct {
	s   *Store
	use *Use
	key Subject             // its aliases are read only if a policy refers to them
	all map[string][]string // set when a policy has referred to one
}

// Look implements authz.Conditions. It reads the key's aliases.
func (c *useConditions) Look(ctx context.Context, mentions func(prefix string) bool) error {
	if !mentions(resourceAliases) {
		return nil
	}
	return c.s.store.View(ctx, func(r kv.Reader) (err error) {
		c.all = nil
		c.key.Aliases, err = aliasesOf(r, c.key.ID)
		return err
	})
}

// Values implements policy.Conditions.
func (c *useConditions) Values(name string) []string {
	switch {
	case name == viaService:
		return []string{c.via()}
	case !strings.HasPrefix(name, "kms:") && !strings.HasPrefix(name, "aws:resourcetag/") && name != viaAWSService:
		return nil
	case c.all == nil:
		c.all = c.key.Conditions()
		maps.Copy(c.all, ContextConditions(c.use.Context))
		c.all[viaService] = []string{c.via()}
		c.all[viaAWSService] = []string{strconv.FormatBool(true)}
	}
	return c.all[name]
}

func (c *useConditions) via() string { return c.use.Via + "." + c.s.region + ".amazonaws.com" }

// Condition keys, as policy.KeyName has them.
const (
	resourceAliases = "kms:resourcealiases"
	viaService      = "kms:viaservice"
	viaAWSService   = "aws:viaawsservice"
)
