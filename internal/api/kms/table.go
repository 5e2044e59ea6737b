// Package kms is the dialect of KMS: its operation table, and thin handlers that translate
// between shapes and core. It must never know how a key is stored or who may use it.
package kms

import (
	"context"
	"slices"

	"watertight/internal/access/authz"
	"watertight/internal/api/kms/shape"
	"watertight/internal/core/kms"
	"watertight/internal/fault"
	"watertight/internal/gateway/dialect/json"
	"watertight/internal/gateway/dispatch"
	"watertight/internal/gateway/protocol"
	"watertight/internal/gateway/sigv4"
)

// API is KMS over the core.
type API struct{ Keys *kms.Store }

// Table returns the operations of KMS. All others are UnknownOperationException.
func (a *API) Table() dispatch.Table {
	return dispatch.Table{
		Service: protocol.Service{Name: "kms", SigningName: "kms", Rules: sigv4.APIRules},
		Dialect: json.API("TrentService"),
		Rows: slices.Concat(
			a.keyRows(), a.manageRows(), a.aliasRows(), a.cryptoRows(), a.materialRows(), a.policyRows(),
			a.grantRows(), unsupportedRows(),
		),
	}
}

// unsupportedRows are operations for kinds of keys that do not exist here. They answer
// every caller who signed with the same error, without reading the request.
func unsupportedRows() (all []dispatch.Row) {
	for _, name := range []string{
		// Asymmetric keys and HMAC keys.
		"DeriveSharedSecret", "GenerateDataKeyPair", "GenerateDataKeyPairWithoutPlaintext", "GenerateMac",
		"GetPublicKey", "Sign", "Verify", "VerifyMac",
		// Custom key stores.
		"ConnectCustomKeyStore", "CreateCustomKeyStore", "DeleteCustomKeyStore", "DescribeCustomKeyStores",
		"DisconnectCustomKeyStore", "UpdateCustomKeyStore",
		// Multi-Region keys.
		"ReplicateKey", "UpdatePrimaryRegion",
	} {
		refusal := fault.New(fault.UnsupportedOperationException, name+" is not supported: keys are symmetric "+
			"encryption keys of one region, and their material is kept here.")
		all = append(all, dispatch.Define(name, json.Target(name),
			authz.AskFor(func(_ context.Context, c authz.Caller, _ *shape.UnsupportedInput) ([]authz.Need, error) {
				if c.Anonymous() {
					return nil, fault.Of(fault.MissingAuthenticationToken)
				}
				return nil, refusal
			}),
			func(context.Context, authz.Grant, *shape.UnsupportedInput) (*shape.Empty, error) { return nil, refusal }))
	}
	return all
}
