// Package kms is the API of KMS: its operation table and thin handlers that translate
// between shapes and core. It exists so that KMS's words stand in one place. It must
// never know how a key is kept or who may use it.
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

// Table is the operations of KMS. All others are UnknownOperationException.
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

// unsupportedRows are the operations for what keys here cannot be: they answer so to
// whoever signed, and look at nothing of the request.
func unsupportedRows() (all []dispatch.Row) {
	for _, name := range []string{
		// Asymmetric keys and HMAC keys.
		"DeriveSharedSecret", "GenerateDataKeyPair", "GenerateDataKeyPairWithoutPlaintext", "GenerateMac",
		"GetPublicKey", "Sign", "Verify", "VerifyMac",
		// Key stores elsewhere.
		"ConnectCustomKeyStore", "CreateCustomKeyStore", "DeleteCustomKeyStore", "DescribeCustomKeyStores",
		"DisconnectCustomKeyStore", "UpdateCustomKeyStore",
		// Keys in several regions.
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
