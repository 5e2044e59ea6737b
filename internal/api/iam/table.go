package iam

import (
	"slices"

	"watertight/internal/gateway/dialect/query"
	"watertight/internal/gateway/dispatch"
	"watertight/internal/gateway/protocol"
	"watertight/internal/gateway/sigv4"
)

// Table returns the operations of IAM. All other operations of IAM are InvalidAction.
func (a *API) Table() dispatch.Table {
	return dispatch.Table{
		Service: protocol.Service{Name: "iam", SigningName: "iam", HomeRegion: "us-east-1", Rules: sigv4.FormRules},
		Dialect: query.API("2010-05-08", "https://iam.amazonaws.com/doc/2010-05-08/"),
		Rows: slices.Concat(
			a.userRows(), a.groupRows(), a.roleRows(), a.policyRows(), a.keyRows(), a.mfaRows(), a.accountRows(),
			a.providerRows(),
			a.simulateRows(), a.nothingRows(), a.lastAccessedRows(),
		),
	}
}
