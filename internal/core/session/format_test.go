package session

import (
	"fmt"
	"testing"
	"time"

	"watertight/internal/access/arn"
	"watertight/internal/access/policy"
	"watertight/internal/core/change/coretest"
	"watertight/internal/core/change/record"
	"watertight/internal/core/tag"
)

// TestStoredForm: every record of this package is written as docs/FORMAT.md says, with
// each stored number.
func TestStoredForm(t *testing.T) {
	var all []coretest.Record
	add := func(name string, b []byte) { all = append(all, coretest.Record{Name: name, Bytes: b}) }
	at := time.UnixMicro(1_700_000_000_000_001).UTC()
	const account = coretest.Account
	kinds := map[Purpose]policy.PrincipalKind{
		RoleAssumed: policy.RoleSession, SessionToken: policy.User, FederationToken: policy.FederatedUser,
		WebIdentity: policy.RoleSession,
	}
	for purpose, kind := range kinds {
		n := &Session{
			Secret: "s", Token: "t", Issued: at, Expires: at.Add(time.Hour),
			Principal: policy.Principal{
				Kind: kind, Account: account, ARN: arn.Root(account), Role: arn.Root(account), ID: "ID:s", Name: "n",
			},
			Parent: "AKIA", Policies: []string{"a", "b"}, Managed: []PolicyRef{{"arn", "ANPA"}}, Restricted: true,
			Tags:       []tag.Tag{{Key: "k", Value: "v"}},
			Transitive: []string{"k"}, MFAAt: at, SourceIdentity: "i", Provider: "p", ProviderID: "q", Purpose: purpose,
		}
		add(fmt.Sprintf("session of purpose %d", purpose), n.encode())
	}
	root := policy.Principal{Kind: policy.AccountRoot, Account: account, ARN: arn.Root(account), ID: account}
	add("session of the root user",
		(&Session{
			Secret: "s", Token: "t", Issued: at, Expires: at, Principal: root, Parent: "AKIA", Purpose: SessionToken,
		}).encode())
	add("how many sessions a maker has", record.Uint(record.Start(nil), fieldRoomTaken, 7))
	add("a session of a maker", record.String(record.Start(nil), fieldHeldParent, "AKIA"))
	coretest.Golden(t, "testdata/records.golden", all)
}
