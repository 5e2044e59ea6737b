package kms

import (
	"context"

	"watertight/internal/access/authz"
	"watertight/internal/access/policy"
	"watertight/internal/api/kms/shape"
	"watertight/internal/core/kms"
	"watertight/internal/fault"
	"watertight/internal/gateway/dispatch"
)

func (a *API) cryptoRows() []dispatch.Row {
	return []dispatch.Row{
		define("Encrypt", using(a, onKey(a, "kms:Encrypt", encrypting), ofEncrypt), a.encrypt),
		define("Decrypt", using(a, a.mayDecrypt, ofDecrypt), a.decrypt),
		define("ReEncrypt", using(a, a.mayReEncrypt, ofReEncrypt), a.reEncrypt),
		define("GenerateDataKey", using(a, onKey(a, "kms:GenerateDataKey", generating), ofDataKey),
			a.generateDataKey),
		define("GenerateDataKeyWithoutPlaintext",
			using(a, onKey(a, "kms:GenerateDataKeyWithoutPlaintext", generating), ofDataKey),
			a.generateDataKeyWithoutPlaintext),
		define("GenerateRandom", onAny("kms:GenerateRandom", none[shape.GenerateRandomInput]), a.generateRandom),
	}
}

// use has the members that the inputs of all cryptographic operations share.
type use struct {
	tokens   []string
	contexts []map[string]string
}

func ofEncrypt(in *shape.EncryptInput) use {
	return use{in.GrantTokens, []map[string]string{in.EncryptionContext}}
}

func ofDecrypt(in *shape.DecryptInput) use {
	return use{in.GrantTokens, []map[string]string{in.EncryptionContext}}
}

func ofDataKey(in *shape.GenerateDataKeyInput) use {
	return use{in.GrantTokens, []map[string]string{in.EncryptionContext}}
}

func ofReEncrypt(in *shape.ReEncryptInput) use {
	return use{
		in.GrantTokens, []map[string]string{in.SourceEncryptionContext, in.DestinationEncryptionContext},
	}
}

func encrypting(in *shape.EncryptInput) keys { return kms.ContextConditions(in.EncryptionContext) }
func generating(in *shape.GenerateDataKeyInput) keys {
	return kms.ContextConditions(in.EncryptionContext)
}

// using refuses grant tokens that name no grant. It also refuses encryption contexts with
// names that differ only in case: condition keys ignore case, so a policy could not tell
// the names apart.
func using[In any](a *API, may needs[In], of func(*In) use) needs[In] {
	return withTokens(a, func(ctx context.Context, c authz.Caller, in *In) ([]authz.Need, error) {
		for _, pairs := range of(in).contexts {
			seen := map[string]bool{}
			for name := range pairs {
				if name = policy.FoldCase(name); seen[name] {
					return nil, fault.New(fault.ValidationException,
						"The names of an encryption context have to differ in more than the case of their letters.")
				}
				seen[name] = true
			}
		}
		return may(ctx, c, in)
	}, func(in *In) []string { return of(in).tokens })
}

// mayDecrypt needs the action on the key that the request names or, without a name, on the
// key that the ciphertext names.
func (a *API) mayDecrypt(ctx context.Context, c authz.Caller, in *shape.DecryptInput) ([]authz.Need, error) {
	n, err := a.sealerNeed(ctx, c, "kms:Decrypt", value(in.KeyId), in.CiphertextBlob,
		kms.ContextConditions(in.EncryptionContext))
	return []authz.Need{n}, err
}

func (a *API) sealerNeed(
	ctx context.Context, c authz.Caller, action policy.Action, name string, blob []byte, conditions keys,
) (authz.Need, error) {
	if name != "" {
		return a.keyNeed(ctx, c, action, name, conditions)
	}
	account := c.Principal().Account
	s, err := a.Keys.SubjectOf(ctx, account, "", blob, c.At())
	if err != nil {
		return authz.Need{}, err
	}
	n := a.needOn(c, action, &s, conditions)
	if s.Account != account {
		// The error is the same as for a ciphertext whose key does not exist.
		n.Refusal = func(policy.Verdict) error { return kms.NoSealer() }
	}
	return n, nil
}

// mayReEncrypt needs actions on both keys. Both needs say whether the keys are the same.
func (a *API) mayReEncrypt(ctx context.Context, c authz.Caller, in *shape.ReEncryptInput) ([]authz.Need, error) {
	from, err := a.sealerNeed(ctx, c, "kms:ReEncryptFrom", value(in.SourceKeyId), in.CiphertextBlob,
		kms.ContextConditions(in.SourceEncryptionContext))
	if err != nil {
		return nil, err
	}
	to, err := a.keyNeed(ctx, c, "kms:ReEncryptTo", *in.DestinationKeyId,
		kms.ContextConditions(in.DestinationEncryptionContext))
	if err != nil {
		return nil, err
	}
	for _, n := range []*authz.Need{&from, &to} {
		n.Keys["kms:reencryptonsamekey"] = truth(from.Resource == to.Resource)
	}
	return []authz.Need{from, to}, nil
}

// symmetric refuses algorithms of asymmetric keys, which do not exist here.
func symmetric(algorithms ...*string) error {
	for _, a := range algorithms {
		if a != nil && *a != kms.SpecSymmetric {
			return fault.New(fault.InvalidKeyUsageException,
				"The key's algorithm is "+kms.SpecSymmetric+", which "+*a+" is not compatible with.")
		}
	}
	return nil
}

// plain refuses requests for responses that only an enclave can read: there are no
// enclaves, so the response would be in plaintext.
func plain(r *shape.RecipientInfo) error {
	if r != nil {
		return fault.New(fault.UnsupportedOperationException, "Recipient is not supported.")
	}
	return nil
}

// unmodified refuses requests to skip a part of what DryRun checks.
func unmodified(modifiers []string) error {
	if len(modifiers) > 0 {
		return fault.New(fault.UnsupportedOperationException, "DryRunModifiers are not supported.")
	}
	return nil
}

func (a *API) encrypt(ctx context.Context, g authz.Grant, in *shape.EncryptInput) (*shape.EncryptOutput, error) {
	if err := symmetric(in.EncryptionAlgorithm); err != nil {
		return nil, err
	}
	out, err := a.Keys.Encrypt(ctx, g, kms.EncryptInput{
		Key: *in.KeyId, Plaintext: in.Plaintext, Context: in.EncryptionContext, DryRun: value(in.DryRun),
	})
	if err != nil {
		return nil, err
	}
	return &shape.EncryptOutput{
		CiphertextBlob: out.Ciphertext, KeyId: out.Key.String(), EncryptionAlgorithm: kms.SpecSymmetric,
	}, nil
}

func (a *API) decrypt(ctx context.Context, g authz.Grant, in *shape.DecryptInput) (*shape.DecryptOutput, error) {
	for _, err := range []error{
		symmetric(in.EncryptionAlgorithm), plain(in.Recipient), unmodified(in.DryRunModifiers),
	} {
		if err != nil {
			return nil, err
		}
	}
	out, err := a.Keys.Decrypt(ctx, g, kms.DecryptInput{
		Ciphertext: in.CiphertextBlob, Context: in.EncryptionContext, Key: value(in.KeyId), DryRun: value(in.DryRun),
	})
	if err != nil {
		return nil, err
	}
	return &shape.DecryptOutput{
		KeyId: out.Key.String(), Plaintext: out.Plaintext, EncryptionAlgorithm: kms.SpecSymmetric,
		KeyMaterialId: out.Material.String(),
	}, nil
}

func (a *API) reEncrypt(ctx context.Context, g authz.Grant, in *shape.ReEncryptInput) (*shape.ReEncryptOutput, error) {
	if err := symmetric(in.SourceEncryptionAlgorithm, in.DestinationEncryptionAlgorithm); err != nil {
		return nil, err
	}
	if err := unmodified(in.DryRunModifiers); err != nil {
		return nil, err
	}
	out, err := a.Keys.ReEncrypt(ctx, g, kms.ReEncryptInput{
		Ciphertext: in.CiphertextBlob, SourceContext: in.SourceEncryptionContext, SourceKey: value(in.SourceKeyId),
		Key: *in.DestinationKeyId, Context: in.DestinationEncryptionContext, DryRun: value(in.DryRun),
	})
	if err != nil {
		return nil, err
	}
	return &shape.ReEncryptOutput{
		CiphertextBlob: out.Ciphertext, SourceKeyId: out.Source.String(), KeyId: out.Key.String(),
		SourceEncryptionAlgorithm: kms.SpecSymmetric, DestinationEncryptionAlgorithm: kms.SpecSymmetric,
		SourceKeyMaterialId: out.SourceMaterial.String(), DestinationKeyMaterialId: out.Material.String(),
	}, nil
}

// generateInput returns the size of a data key, which the request states in one of two ways.
func generateInput(in *shape.GenerateDataKeyInput) (kms.GenerateInput, error) {
	g := kms.GenerateInput{
		Key: *in.KeyId, Bytes: value(in.NumberOfBytes), Context: in.EncryptionContext, DryRun: value(in.DryRun),
	}
	if (in.NumberOfBytes == nil) == (in.KeySpec == nil) {
		return g, fault.New(fault.ValidationException, "Please specify either number of bytes or key spec.")
	}
	switch value(in.KeySpec) {
	case "AES_256":
		g.Bytes = 32
	case "AES_128":
		g.Bytes = 16
	}
	return g, plain(in.Recipient)
}

func (a *API) generateDataKey(
	ctx context.Context, g authz.Grant, in *shape.GenerateDataKeyInput,
) (*shape.GenerateDataKeyOutput, error) {
	asked, err := generateInput(in)
	if err != nil {
		return nil, err
	}
	return dataKey(a.Keys.GenerateDataKey(ctx, g, asked))
}

func (a *API) generateDataKeyWithoutPlaintext(
	ctx context.Context, g authz.Grant, in *shape.GenerateDataKeyInput,
) (*shape.GenerateDataKeyOutput, error) {
	asked, err := generateInput(in)
	if err != nil {
		return nil, err
	}
	return dataKey(a.Keys.GenerateDataKeyWithoutPlaintext(ctx, g, asked))
}

func dataKey(k kms.DataKey, err error) (*shape.GenerateDataKeyOutput, error) {
	if err != nil {
		return nil, err
	}
	return &shape.GenerateDataKeyOutput{
		CiphertextBlob: k.Ciphertext, Plaintext: k.Plaintext, KeyId: k.Key.String(), KeyMaterialId: k.Material.String(),
	}, nil
}

func (a *API) generateRandom(
	ctx context.Context, g authz.Grant, in *shape.GenerateRandomInput,
) (*shape.GenerateRandomOutput, error) {
	if in.CustomKeyStoreId != nil {
		return nil, fault.New(fault.UnsupportedOperationException, "Custom key stores are not supported.")
	}
	if err := plain(in.Recipient); err != nil {
		return nil, err
	}
	out, err := a.Keys.GenerateRandom(ctx, g, value(in.NumberOfBytes))
	if err != nil {
		return nil, err
	}
	return &shape.GenerateRandomOutput{Plaintext: out}, nil
}
