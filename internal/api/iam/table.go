package iam

import (
	"slices"

	"watertight/internal/gateway/dispatch"
)

// Table is the operations of IAM. Whatever else IAM has is InvalidAction.
func (a *API) Table() dispatch.Table {
	return dispatch.Table{Service: "iam", EventSource: "iam.amazonaws.com", Rows: slices.Concat(
		a.userRows(), a.groupRows(), a.roleRows(), a.policyRows(), a.keyRows(), a.mfaRows(), a.accountRows(), a.providerRows(), a.simulateRows(), a.nothingRows(), a.lastAccessedRows(),
	)}
}
