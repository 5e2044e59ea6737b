package kms

import (
	"context"
	"maps"
	"strconv"
	"strings"

	"watertight/internal/access/policy"
	"watertight/internal/storage/kv"
)

// Conditions are the condition keys that follow from a key, and from its name in the
// request (KMS developer guide, "Condition keys for AWS KMS"). kms:CallerAccount follows
// from the caller, and access/policy has it.
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

// KindConditions are the condition keys of what a key is: of a symmetric one, with the
// origin of its material. CreateKey has no others of the key.
func KindConditions(origin string) map[string][]string {
	return map[string][]string{
		"kms:keyspec": {SpecSymmetric}, "kms:keyusage": {UsageEncrypt}, "kms:keyorigin": {origin},
		"kms:multiregion": {strconv.FormatBool(false)},
	}
}

// ContextConditions are the condition keys of a cryptographic operation with an
// encryption context. The names of keys do not depend on case: where two names of the
// context differ in case alone, their key has both values.
func ContextConditions(context map[string]string) map[string][]string {
	with := map[string][]string{"kms:encryptionalgorithm": {SpecSymmetric}}
	for k, v := range context {
		name := policy.KeyName("kms:encryptioncontext:" + k)
		with[name] = append(with[name], v)
		with["kms:encryptioncontextkeys"] = append(with["kms:encryptioncontextkeys"], k)
	}
	return with
}

// useConditions are the condition keys of a use by a service. Most policies ask for few
// of them, and for none that costs reading.
type useConditions struct {
	s   *Store
	use *Use
	key Subject             // has its aliases only where a policy asks for them
	all map[string][]string // once one was asked for
}

// Look implements authz.Conditions: it reads the key's aliases.
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
