package policy

import (
	"fmt"
	"testing"
)

// TestStoredNumbers: records of sessions hold the kind of their principal.
func TestStoredNumbers(t *testing.T) {
	for kind, number := range map[PrincipalKind]uint8{
		Nobody: 0, Anonymous: 1, AccountRoot: 2, User: 3, RoleSession: 4, FederatedUser: 5, Service: 6, WebIdentity: 7,
	} {
		t.Run(fmt.Sprint(kind), func(t *testing.T) {
			if uint8(kind) != number {
				t.Errorf("%d, want %d", kind, number)
			}
		})
	}
}
