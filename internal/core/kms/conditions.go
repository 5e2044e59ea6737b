package kms

import (
	"strconv"

	"watertight/internal/access/policy"
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
		with["kms:resourcealiases"] = s.Aliases
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
